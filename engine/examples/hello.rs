//! The smallest server: `cargo run --release --example hello`.

use lanner::{Error, Request, Response, Server};

async fn hello(_request: Request) -> Result<Response, Error> {
    Ok(Response::text("Hello, World!"))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::builder()
        .environment()
        .set("listen", "http://127.0.0.1:8080")
        .start(|_worker| hello)?;
    println!("serving on {:?}", server.handle().addresses());
    Ok(server.join()?)
}
