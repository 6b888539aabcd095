//! The app that the cases of RFC 9113 talk to (`protocol/tests/h2_rfc9113`), as a server to point tools at: the cases
//! themselves, h2spec, or whatever else wants small answers.
//!
//! ```text
//! LANNER_LISTEN=http://127.0.0.1:8080 cargo run --release --example rfc9113
//! H2_TARGET=127.0.0.1:8080 cargo test -p lanner --test http2 rfc9113
//! h2spec -h 127.0.0.1 -p 8080
//! ```

use lanner::{Error, Method, Request, Response, Server};

const LARGE: &[u8] = &[b'x'; 100_000];

/// Answers as the cases expect it.
pub(crate) async fn app(mut request: Request) -> Result<Response, Error> {
    let answer = match (request.method(), request.path()) {
        (Method::Post, "/hold") => std::future::pending().await,
        (Method::Post, _) => {
            let mut bytes = 0;
            while let Some(chunk) = request.body().chunk().await {
                bytes += chunk?.len();
            }
            Response::text(bytes.to_string())
        }
        (_, "/large") => Response::text(LARGE),
        (_, "/cookie") => Response::text(request.field("cookie").unwrap_or_default().to_vec()),
        _ => Response::text("hello"),
    };
    Ok(answer.with_field("X-Suite", "yes")?)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::builder().environment().start(|_worker| app)?;
    println!("serving on {:?}", server.handle().addresses());
    Ok(server.join()?)
}
