//! The TLS client of the comparisons against a server in this process: what it says it did is what the server saw.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lanner_loadtest::certificate::Certificate;
use lanner_loadtest::secure::{Client, Group, Wishes};
use lanner_loadtest::{handshakes, held};
use rustls::crypto::aws_lc_rs::{Ticketer, cipher_suite, default_provider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{CipherSuite, HandshakeKind, NamedGroup, ServerConfig, ServerConnection};

/// What the server saw of one connection.
#[derive(Debug, PartialEq)]
struct Seen {
    suite: CipherSuite,
    group: NamedGroup,
    kind: HandshakeKind,
    asked: Vec<u8>,
    /// Whether the client said that it was done.
    said_goodbye: bool,
}

/// A server with every suite and key exchange, that answers a request if there is one and then reads to the end.
struct Server {
    address: SocketAddr,
    directory: PathBuf,
    certificate: Certificate,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl Server {
    fn start(protocols: &[&str], tickets: bool) -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("loadtest-secure-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).unwrap();
        let certificate = Certificate::make(&directory).unwrap();
        let chain = vec![CertificateDer::from_pem_file(&certificate.chain).unwrap()];
        let key = PrivateKeyDer::from_pem_file(&certificate.key).unwrap();
        let provider = Arc::new(default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        match tickets {
            true => config.ticketer = Ticketer::new().unwrap(),
            false => config.send_tls13_tickets = 0,
        }
        let (config, seen) = (Arc::new(config), Arc::new(Mutex::new(Vec::new())));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen_there = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
                let seen = Arc::clone(&seen_there);
                std::thread::spawn(move || serve(stream.unwrap(), tls, &seen));
            }
        });
        Self {
            address,
            directory,
            certificate,
            seen,
        }
    }

    fn wishes(&self, group: Group, resumes: bool) -> Wishes<'_> {
        Wishes {
            certificate: &self.certificate.chain,
            group,
            resumes,
            protocol: "http/1.1",
        }
    }

    fn client(&self, group: Group, resumes: bool) -> Client {
        Client::new(self.address, &self.wishes(group, resumes)).unwrap()
    }
}

/// Notes what it saw before its own end, so that a client which waits for that finds it noted.
fn serve(mut stream: TcpStream, mut tls: ServerConnection, seen: &Mutex<Vec<Seen>>) {
    let mut asked = Vec::new();
    let mut bytes = [0; 1024];
    let said_goodbye = loop {
        match rustls::Stream::new(&mut tls, &mut stream).read(&mut bytes) {
            Ok(0) => break true,
            Ok(count) => asked.extend_from_slice(&bytes[..count]),
            Err(_) => break false,
        }
        if asked.ends_with(b"\r\n\r\n") {
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, World!";
            rustls::Stream::new(&mut tls, &mut stream)
                .write_all(answer)
                .unwrap();
        }
    };
    if let (Some(suite), Some(group), Some(kind)) = (
        tls.negotiated_cipher_suite(),
        tls.negotiated_key_exchange_group(),
        tls.handshake_kind(),
    ) {
        seen.lock().unwrap().push(Seen {
            suite: suite.suite(),
            group: group.name(),
            kind,
            asked,
            said_goodbye,
        });
    }
    tls.send_close_notify();
    while tls.wants_write() && tls.write_tls(&mut stream).is_ok() {}
}

fn seen(group: NamedGroup, kind: HandshakeKind) -> Seen {
    Seen {
        suite: CipherSuite::TLS13_AES_128_GCM_SHA256,
        group,
        kind,
        asked: Vec::new(),
        said_goodbye: true,
    }
}

#[test]
fn a_handshake_is_whole_alike_and_over_when_it_is_counted() {
    for (group, name) in [
        (Group::X25519, NamedGroup::X25519),
        (Group::X25519MlKem768, NamedGroup::X25519MLKEM768),
    ] {
        let server = Server::start(&["http/1.1"], true);
        let client = server.client(group, false);
        for _ in 0..3 {
            assert!(!client.shake_hands().unwrap());
        }
        let expected = [(); 3].map(|()| seen(name, HandshakeKind::Full));
        assert_eq!(*server.seen.lock().unwrap(), expected);
    }
}

#[test]
fn a_client_that_resumes_uses_the_ticket_of_the_handshake_before() {
    let server = Server::start(&["http/1.1"], true);
    let client = server.client(Group::X25519, true);
    let resumed: Vec<bool> = (0..4).map(|_| client.shake_hands().unwrap()).collect();
    assert_eq!(resumed, [false, true, true, true]);
    let kinds = server.seen.lock().unwrap();
    assert_eq!(kinds[0], seen(NamedGroup::X25519, HandshakeKind::Full));
    for kind in &kinds[1..] {
        assert_eq!(*kind, seen(NamedGroup::X25519, HandshakeKind::Resumed));
    }
}

#[test]
fn what_is_not_as_agreed_fails() {
    let server = Server::start(&["http/1.1"], true);
    let other = Server::start(&[], true);
    let strangers = Client::new(other.address, &server.wishes(Group::X25519, false)).unwrap();
    let error = strangers.shake_hands().unwrap_err().to_string();
    assert!(error.contains("UnknownIssuer"), "{error}");

    let silent = other.client(Group::X25519, false);
    let error = silent.shake_hands().unwrap_err().to_string();
    assert!(error.contains("ALPN"), "{error}");

    // What is answered in cleartext, or with nothing, is no handshake.
    for answer in ["HTTP/1.1 400 Bad Request\r\n\r\n", ""] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let client = Client::new(address, &server.wishes(Group::X25519, false)).unwrap();
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
            stream.write_all(answer.as_bytes()).unwrap();
        });
        assert!(client.shake_hands().is_err(), "{answer}");
        thread.join().unwrap();
    }
}

#[test]
fn a_report_counts_what_was_done_and_what_was_not_as_planned() {
    let plan = |server: &Server, resumes| handshakes::Plan {
        address: server.address,
        certificate: server.certificate.chain.clone(),
        group: Group::X25519,
        resumes,
        threads: 2,
        time: Duration::from_millis(50),
    };
    let server = Server::start(&["http/1.1"], true);
    let report = handshakes::run(&plan(&server, true)).unwrap();
    assert!(report.seconds >= 0.05, "{report:?}");
    assert_eq!((report.not_resumed, report.failed), (0, 0), "{report:?}");
    let count = server.seen.lock().unwrap().len() as u64;
    assert_eq!(report.done + 2, count, "each thread's first does not count");

    let forgetful = Server::start(&["http/1.1"], false);
    let report = handshakes::run(&plan(&forgetful, true)).unwrap();
    assert_eq!((report.done, report.failed), (0, 0), "{report:?}");
    let count = forgetful.seen.lock().unwrap().len() as u64;
    assert_eq!(report.not_resumed + 2, count);
}

#[test]
fn held_connections_asked_once_and_are_counted_as_long_as_the_server_keeps_them() {
    let server = Server::start(&["http/1.1"], true);
    let plan = held::Plan {
        address: server.address,
        certificate: Some(server.certificate.chain.clone()),
        http2: false,
        connections: 5,
    };
    let mut held = held::open(&plan).unwrap();
    assert_eq!(held.count_open(), 5);
    assert!(server.seen.lock().unwrap().is_empty(), "one is over");

    let cleartext = held::Plan {
        certificate: None,
        ..plan
    };
    assert!(held::open(&cleartext).is_err());
}

#[test]
fn connections_that_the_server_ends_are_missed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let plan = held::Plan {
        address: listener.local_addr().unwrap(),
        certificate: None,
        http2: false,
        connections: 3,
    };
    let thread = std::thread::spawn(move || {
        let mut streams = Vec::new();
        for _ in 0..3 {
            let (mut stream, _) = listener.accept().unwrap();
            assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, World!";
            stream.write_all(answer).unwrap();
            streams.push(stream);
        }
        streams
    });
    let mut held = held::open(&plan).unwrap();
    let mut streams = thread.join().unwrap();
    assert_eq!(held.count_open(), 3);
    streams.truncate(1);
    assert_eq!(held.count_open(), 1);
}

/// The whole of the comparison rests on it: AES-128-GCM although the server prefers another.
#[test]
fn the_server_would_have_preferred_another_suite() {
    let first = default_provider().cipher_suites[0].suite();
    assert_ne!(first, cipher_suite::TLS13_AES_128_GCM_SHA256.suite());
}
