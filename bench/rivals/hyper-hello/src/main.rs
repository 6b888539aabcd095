//! The hyper server we measure ourselves against: `/hello` as text/plain on one current-thread tokio runtime, set up as
//! hyper's own documentation advises for speed. It speaks HTTP/1.1, or HTTP/2 to clients that know it beforehand, or over TLS
//! (`tls.rs`) what was agreed there. It bounds nothing and times nothing out (no timer is installed), which flatters its
//! figures and is right for a rival.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::rt::{Read, Write};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;

mod tls;

/// What is spoken on every connection.
#[derive(Clone)]
enum Speech {
    Http1,
    Http2,
    Secure(TlsAcceptor),
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let Some(port) = words.first().and_then(|word| word.parse::<u16>().ok()) else {
        return usage();
    };
    let speech = match words[1..] {
        [] => Ok(Speech::Http1),
        ["http2"] => Ok(Speech::Http2),
        ["tls", certificate, key] => {
            tls::acceptor(Path::new(certificate), Path::new(key)).map(Speech::Secure)
        }
        _ => return usage(),
    };
    match speech.and_then(|speech| serve(port, &speech)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hyper-hello: port {port}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: hyper-hello PORT [http2 | tls CERTIFICATE KEY]");
    ExitCode::from(2)
}

fn serve(port: u16, speech: &Speech) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    runtime.block_on(async {
        let listener = listen(port)?;
        loop {
            // A failed accept (the peer left, descriptors ran out) concerns one connection, not the server.
            if let Ok((stream, _)) = listener.accept().await {
                // Small answers must not wait for the peer's delayed acknowledgement.
                let _ = stream.set_nodelay(true);
                // Tasks of their own types: a connection without TLS is no larger for those with.
                match speech {
                    Speech::Http1 => tokio::spawn(http1_connection(TokioIo::new(stream))),
                    Speech::Http2 => tokio::spawn(http2_connection(TokioIo::new(stream))),
                    Speech::Secure(acceptor) => {
                        tokio::spawn(secure_connection(acceptor.clone(), stream))
                    }
                };
            }
            // `accept` spends tokio's cooperative budget, so this loop yields to the connections by itself.
        }
    })
}

fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    // The backlog that the other servers in the comparison use; tokio's default would drop part of 8,000 clients.
    socket.listen(4096)
}

async fn secure_connection(acceptor: TlsAcceptor, stream: TcpStream) {
    // A failed handshake ends the client's own connection.
    if let Ok(stream) = acceptor.accept(stream).await {
        match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => http2_connection(TokioIo::new(stream)).await,
            _ => http1_connection(TokioIo::new(stream)).await,
        }
    }
}

async fn http1_connection(io: impl Read + Write + Unpin) {
    let mut http = http1::Builder::new();
    // Without it every pipelined answer is a write of its own.
    http.pipeline_flush(true);
    // An error here is a client that left or spoke nonsense; both only end its own connection.
    let _ = http.serve_connection(io, service_fn(answer)).await;
}

async fn http2_connection(io: impl Read + Write + Unpin) {
    let http = http2::Builder::new(TokioExecutor::new());
    let _ = http.serve_connection(io, service_fn(answer)).await;
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, text) = match request.uri().path() {
        "/hello" => (StatusCode::OK, "Hello, World!"),
        _ => (StatusCode::NOT_FOUND, "Not Found"),
    };
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(response)
}
