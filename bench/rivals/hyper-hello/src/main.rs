//! The hyper server we measure ourselves against: `/hello` as text/plain on one current-thread tokio runtime, set up as
//! hyper's own documentation advises for speed. It bounds nothing and times nothing out (no timer is installed), which
//! flatters its figures and is right for a rival.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

fn main() -> ExitCode {
    let port = std::env::args()
        .nth(1)
        .and_then(|word| word.parse::<u16>().ok());
    let Some(port) = port else {
        eprintln!("usage: hyper-hello PORT");
        return ExitCode::from(2);
    };
    match serve(port) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hyper-hello: port {port}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(port: u16) -> io::Result<()> {
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
                tokio::spawn(connection(stream));
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

async fn connection(stream: TcpStream) {
    let mut http = http1::Builder::new();
    // Without it every pipelined answer is a write of its own.
    http.pipeline_flush(true);
    // An error here is a client that left or spoke nonsense; both only end its own connection.
    let _ = http
        .serve_connection(TokioIo::new(stream), service_fn(answer))
        .await;
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
