//! Client certificates: good ones, none, those that ran out, those that were revoked.

use super::identity::{Authority, Identity};
use super::party;
use crate::client::Client;
use lanner::{EndReason, Error, Limits, Request, Response};
use lanner_limits::{ClientAuth, PemSource};
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;

/// Says whether the client has shown a certificate.
async fn whose(request: Request) -> Result<Response, Error> {
    let tls = request.connection().tls.as_ref();
    let shown = tls.is_some_and(|tls| tls.client_certificate().is_some());
    Ok(Response::text(if shown { "known" } else { "unknown" }))
}

fn judging(limits: &mut Limits, auth: ClientAuth) {
    let tls = limits.listeners[0].tls.as_mut().unwrap();
    tls.client_auth = auth;
    tls.client_ca = Some(PemSource::Text(Authority::shared().pem()));
    tls.crl = Some(PemSource::Text(Authority::shared().revokes(13)));
}

/// What a client with this certificate is answered, if anything.
fn asks(address: SocketAddr, shows: Option<&Identity>) -> Option<String> {
    let config = party::trusting(shows);
    let mut client: Client<party::Tls> = party::connect_as(address, &config, party::NAME);
    let request = b"GET / HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n";
    client.stream.write_all(request).ok()?;
    let mut answer = Vec::new();
    client.stream.read_to_end(&mut answer).ok()?;
    let text = String::from_utf8(answer).unwrap();
    text.split("\r\n\r\n").nth(1).map(str::to_owned)
}

on_every_driver! {
    fn only_good_certificates_are_taken_where_one_is_required(driver) {
        let server = party::serve(driver, |limits| judging(limits, ClientAuth::Required), whose);
        let authority = Authority::shared();
        let good = authority.client(12, 2090);
        let refused = [
            None,
            Some(authority.client(14, 2022)),
            Some(authority.client(13, 2090)),
        ];
        assert_eq!(asks(server.address(), Some(&good)).as_deref(), Some("known"));
        for shown in &refused {
            assert_eq!(asks(server.address(), shown.as_ref()), None);
        }
        server.until_open(0);
        assert_eq!(server.counters().ended(EndReason::TlsHandshakeFailed), 3);
    }

    fn where_one_is_optional_none_is_fine_and_a_bad_one_is_not(driver) {
        let server = party::serve(driver, |limits| judging(limits, ClientAuth::Optional), whose);
        let authority = Authority::shared();
        assert_eq!(asks(server.address(), None).as_deref(), Some("unknown"));
        let good = authority.client(12, 2090);
        assert_eq!(asks(server.address(), Some(&good)).as_deref(), Some("known"));
        let revoked = authority.client(13, 2090);
        assert_eq!(asks(server.address(), Some(&revoked)), None);
    }
}
