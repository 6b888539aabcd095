//! Which certificate is for which name, and which requests a connection is for.

use super::identity::Authority;
use super::party::{self, Shake as _};
use crate::app;
use crate::server::start;
use lanner::{EndReason, Limits, StartError};
use lanner_limits::{ClientAuth, Driver, PemSource, SniEntry};
use std::net::SocketAddr;

/// A server with certificates of their own for these names, beside the one for all others.
fn with_names(driver: Driver, names: &[&str]) -> Limits {
    let mut limits = party::limits(driver);
    let tls = limits.listeners[0].tls.as_mut().unwrap();
    tls.sni = names
        .iter()
        .map(|name| SniEntry {
            host: (*name).to_owned(),
            cert: party::text(&Authority::shared().server(&[*name])),
            key: None,
            client_auth: ClientAuth::Off,
            client_ca: None,
            crl: None,
        })
        .collect();
    limits
}

/// Whether a client that asks for a name is shown a certificate for it.
fn is_served(address: SocketAddr, name: &str) -> bool {
    let mut client = party::connect_as(address, party::config(), name);
    let (conn, sock) = (&mut client.stream.conn, &mut client.stream.sock);
    while conn.is_handshaking() {
        if conn.complete_io(sock).is_err() {
            return false;
        }
    }
    true
}

fn status(address: SocketAddr, name: &str, host: &str) -> u16 {
    let mut client = party::connect_as(address, party::config(), name);
    let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    client.send(request).answer().status
}

on_every_driver! {
    fn each_name_has_its_certificate(driver) {
        let limits = with_names(driver, &["b.test", "*.wild.test"]);
        let server = start(limits, |_| app::hello).unwrap();
        for name in [party::NAME, "b.test", "x.wild.test"] {
            assert!(is_served(server.address(), name), "{name}");
        }
        assert!(!is_served(server.address(), "c.test"), "its client trusts nothing here");
    }

    fn unknown_names_are_refused_where_only_known_ones_are_served(driver) {
        let mut limits = with_names(driver, &["b.test"]);
        limits.listeners[0].tls.as_mut().unwrap().strict_sni = true;
        let server = start(limits, |_| app::hello).unwrap();
        assert!(is_served(server.address(), party::NAME));
        assert!(is_served(server.address(), "b.test"));
        let mut client = party::connect_as(server.address(), party::config(), "c.test");
        let error = client.stream.conn.complete_io(&mut client.stream.sock).unwrap_err();
        assert!(error.to_string().contains("UnrecognisedName"), "{error}");
    }

    fn a_request_for_another_certificates_host_is_misdirected(driver) {
        let server = start(with_names(driver, &["b.test"]), |_| app::hello).unwrap();
        for (name, host, expected) in [
            (party::NAME, "a.test", 200),
            (party::NAME, "A.TEST:443", 200),
            // Under the same certificate.
            (party::NAME, "other.test", 200),
            ("b.test", "b.test", 200),
            (party::NAME, "b.test", 421),
            ("b.test", "a.test", 421),
        ] {
            assert_eq!(status(server.address(), name, host), expected, "{name} {host}");
        }
        server.until_open(0);
        assert_eq!(server.counters().ended(EndReason::InvalidRequestHeaders), 2);
    }
}

#[test]
fn a_server_without_a_good_certificate_does_not_start() {
    let refused = |change: &dyn Fn(&mut Limits)| {
        let mut limits = party::limits(Driver::Epoll);
        change(&mut limits);
        match start(limits, |_| app::hello).err() {
            Some(error @ StartError::Tls { .. }) => error.to_string(),
            other => panic!("{:?}", other.map(|error| error.to_string())),
        }
    };
    let told = refused(&|limits| {
        let tls = limits.listeners[0].tls.as_mut().unwrap();
        tls.cert = Some(PemSource::File("/nowhere/cert.pem".to_owned()));
    });
    assert!(
        told.contains("/nowhere/cert.pem") && told.contains("https://127.0.0.1"),
        "{told}"
    );
    let told = refused(&|limits| {
        let tls = limits.listeners[0].tls.as_mut().unwrap();
        tls.cert = Some(PemSource::Text(Authority::shared().pem()));
    });
    assert!(told.contains("key"), "{told}");
}

#[test]
fn an_address_with_tls_says_so() {
    let server = start(party::limits(Driver::Epoll), |_| app::hello).unwrap();
    let address = server.handle().addresses()[0].to_string();
    assert!(address.starts_with("https://127.0.0.1:"), "{address}");
    party::connect(server.address()).shake();
}
