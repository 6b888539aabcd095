//! Crowds that begin handshakes and do not go on must lock nobody out.

use super::party::{self, Tls};
use crate::app;
use crate::client::Client;
use crate::server::{Fixture, PATIENCE};
use lanner::{Limits, Trip};
use lanner_limits::{AddressSet, Driver};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};

const CONNECTIONS: usize = 64;
const QUARTER: usize = CONNECTIONS / 4;

/// A small server to which loopback is a stranger like any other.
fn small(limits: &mut Limits) {
    limits.max_connections = CONNECTIONS;
    limits.max_connections_per_ip = CONNECTIONS;
    limits.tls_max_handshakes = QUARTER;
    limits.per_ip_exempt = AddressSet::NONE;
}

fn serve(driver: Driver) -> Fixture {
    party::serve(driver, small, app::hello)
}

/// Connects from an address of its own.
fn connect_from(server: SocketAddr, last: u8) -> Client {
    let kind = socket2::Type::STREAM;
    let socket = socket2::Socket::new(socket2::Domain::IPV4, kind, None).unwrap();
    let own = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), 0);
    socket.bind(&own.into()).unwrap();
    socket.connect(&server.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    Client::over(stream)
}

fn asks(server: &Fixture) {
    let mut client: Client<Tls> = party::connect(server.address());
    let request = "GET / HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n";
    assert_eq!(client.send(request).answer().status, 200);
}

/// Falls silent behind a whole ClientHello, which has been answered.
fn fall_silent(mut client: Client) -> Client {
    client.send(party::hello(party::config(), party::NAME));
    client.take(1);
    client
}

on_every_driver! {
    fn those_who_fall_silent_before_or_behind_their_hello_lock_nobody_out(driver) {
        for own_addresses in [false, true] {
            let server = serve(driver);
            let address = server.address();
            let connect = |number: usize| match own_addresses {
                false => Client::connect(address),
                true => connect_from(address, 10 + number as u8),
            };
            let mut crowd = Vec::new();
            for number in 0..QUARTER {
                crowd.push(connect(number));
                asks(&server);
            }
            for number in 0..QUARTER {
                crowd.push(fall_silent(connect(QUARTER + number)));
                asks(&server);
            }
            // As many again: now some have to go.
            for number in 0..QUARTER {
                crowd.push(fall_silent(connect(2 * QUARTER + number)));
                asks(&server);
            }
            assert!(server.counters().hits(Trip::TlsMaxHandshakes) > 0);
            drop(crowd);
        }
    }

    fn one_address_holds_an_eighth_of_the_handshakes_and_others_are_left_alone(driver) {
        let server = serve(driver);
        let mut bystander = connect_from(server.address(), 99);
        bystander.send(party::hello(party::config(), party::NAME)).take(1);
        let held: Vec<_> = (0..10)
            .map(|_| fall_silent(Client::connect(server.address())))
            .collect();
        server.until_hits(Trip::TlsMaxHandshakes, (held.len() - QUARTER / 8) as u64);
        server.until_open((QUARTER / 8 + 1) as u64);
        // Its handshake, made with other keys, is refused for what it says, not for want of a place.
        bystander.send([21, 3, 3, 0, 2, 2, 40]);
        let _ = bystander.rest();
        drop((held, bystander));
    }
}
