//! Handlers that await: a timer, blocking work, an outgoing connection, a spawned task, an uploaded body.
//!
//! ```text
//! cargo run --release --example awaits
//! curl http://127.0.0.1:8080/sleep        answers after half a second
//! curl http://127.0.0.1:8080/blocking     reads a file on a thread that may block
//! curl http://127.0.0.1:8080/fetch        asks this very server for /sleep, over a socket
//! curl http://127.0.0.1:8080/both         does two things at once
//! curl -T Cargo.toml http://127.0.0.1:8080/count
//! ```

use lanner::{Error, Request, Response, Server, Status};
use std::net::SocketAddr;
use std::time::Duration;

async fn app(mut request: Request) -> Result<Response, Error> {
    match request.path() {
        "/sleep" => {
            lanner::sleep(Duration::from_millis(500)).await;
            Ok(Response::text("slept\n"))
        }
        "/blocking" => {
            let release = lanner::blocking(|| std::fs::read_to_string("/etc/os-release")).await??;
            Ok(Response::text(release))
        }
        "/fetch" => {
            let server = request
                .connection()
                .local
                .unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8080)));
            Ok(Response::text(fetch(server, "/sleep").await?))
        }
        "/both" => {
            let timer = lanner::spawn_local(lanner::sleep(Duration::from_millis(300)));
            let sum = lanner::blocking(|| (0..1_000_000u64).sum::<u64>()).await?;
            timer.await?;
            Ok(Response::text(format!("{sum}\n")))
        }
        "/count" => {
            let mut bytes = 0;
            while let Some(chunk) = request.body().chunk().await {
                bytes += chunk?.len();
            }
            Ok(Response::text(format!("{bytes} bytes\n")))
        }
        _ => Ok(Response::text("not here\n").with_status(Status::NOT_FOUND)),
    }
}

/// The crudest client there is.
async fn fetch(server: SocketAddr, path: &str) -> std::io::Result<Vec<u8>> {
    let mut connection = lanner::connect(server).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {server}\r\nconnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = connection.read(&mut buffer).await?;
        if count == 0 {
            return Ok(answer);
        }
        answer.extend_from_slice(&buffer[..count]);
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::builder()
        .set("listen", "http://127.0.0.1:8080")
        .start(|_worker| app)?;
    println!("serving on {:?}", server.handle().addresses());
    Ok(server.join()?)
}
