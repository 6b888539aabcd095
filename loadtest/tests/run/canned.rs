//! Servers that do what a script says: a thread accepts, and another one plays each connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::certificate::Identity;

/// One answer of HTTP/1.1.
pub(crate) const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A server that plays `script` on each connection; the number counts connections.
pub(crate) fn serve(script: impl Fn(TcpStream, u64) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let script = Arc::new(script);
    let count = AtomicU64::new(0);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Scripts write in pieces, and are not to wait for the other side's delayed acknowledgements.
            stream.set_nodelay(true).unwrap();
            let (script, number) = (script.clone(), count.fetch_add(1, Ordering::SeqCst));
            thread::spawn(move || script(stream, number));
        }
    });
    address
}

/// A server that agrees on TLS, if it is let, and says nothing.
pub(crate) fn serve_secure(identity: &Identity) -> SocketAddr {
    serve_secure_and(identity, hold)
}

/// A server that agrees on TLS, if it is let, and then does as it likes with the socket.
pub(crate) fn serve_secure_and(
    identity: &Identity,
    then: impl Fn(TcpStream) + Send + Sync + 'static,
) -> SocketAddr {
    let chain = CertificateDer::from_pem_slice(identity.chain.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let config = Arc::new(config);
    serve(move |mut stream, _| {
        let mut session = rustls::ServerConnection::new(config.clone()).unwrap();
        if session.complete_io(&mut stream).is_ok() {
            then(stream);
        }
    })
}

/// Reads one request without a body; false at the connection's end. What comes behind it must wait for it.
pub(crate) fn read_request(stream: &mut TcpStream) -> bool {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    while !seen.ends_with(b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(count) if count > 0 => seen.extend_from_slice(&buffer[..count]),
            _ => return false,
        }
    }
    true
}

/// Reads whatever comes; false at the connection's end.
pub(crate) fn read_something(stream: &mut TcpStream) -> bool {
    let mut buffer = [0; 4096];
    matches!(stream.read(&mut buffer), Ok(count) if count > 0)
}

/// Answers so many requests, one after the other.
pub(crate) fn answer(stream: &mut TcpStream, count: u64) {
    for _ in 0..count {
        if !read_request(stream) || stream.write_all(ANSWER).is_err() {
            return;
        }
    }
}

/// Reads until the end, and says nothing.
pub(crate) fn listen_only(mut stream: TcpStream) {
    let mut buffer = [0; 4096];
    while matches!(stream.read(&mut buffer), Ok(count) if count > 0) {}
}

/// A frame of HTTP/2.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The SETTINGS of a server that lets so many streams be open.
pub(crate) fn streams_max(count: u8) -> Vec<u8> {
    frame(4, 0, 0, &[0, 3, 0, 0, 0, count])
}

/// Holds every connection and says nothing, nor reads.
pub(crate) fn hold(stream: TcpStream) {
    // Until the process ends.
    std::mem::forget(stream);
}

/// Answers requests of HTTP/2 with what `answer` makes of the number of their stream, until that says nothing.
pub(crate) fn answer_h2(mut stream: TcpStream, mut answer: impl FnMut(u32) -> Option<Vec<u8>>) {
    let mut preface = [0; 24];
    if stream.read_exact(&mut preface).is_err() || stream.write_all(&frame(4, 0, 0, &[])).is_err() {
        return;
    }
    let mut header = [0; 9];
    while stream.read_exact(&mut header).is_ok() {
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
        let mut payload = vec![0; length as usize];
        if stream.read_exact(&mut payload).is_err() {
            return;
        }
        let said = match (header[3], header[4] & 1) {
            (1, _) => {
                let id = u32::from_be_bytes([header[5], header[6], header[7], header[8]]);
                answer(id)
            }
            (4, 0) => Some(frame(4, 1, 0, &[])),
            _ => Some(Vec::new()),
        };
        let Some(said) = said else { return };
        if stream.write_all(&said).is_err() {
            return;
        }
    }
}

/// 200 without a body.
pub(crate) fn h2_ok(stream: u32) -> Vec<u8> {
    frame(1, 5, stream, &[0x88])
}
