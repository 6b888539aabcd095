//! The may_minihttp server we measure ourselves against: `/hello` as text/plain on one worker, set up as its own entry in the
//! TechEmpower benchmarks is. It validates almost nothing, takes at most sixteen fields, ignores `Connection: close`, and
//! closes nothing on time, which flatters its figures and is right for a rival.

use std::io;
use std::process::ExitCode;

use may_minihttp::{HttpService, HttpServiceFactory, Request, Response};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let port = std::env::args()
        .nth(1)
        .and_then(|word| word.parse::<u16>().ok());
    let Some(port) = port else {
        eprintln!("usage: may-hello PORT");
        return ExitCode::from(2);
    };
    // One worker as everywhere in the comparison; the rest is what its authors choose.
    may::config()
        .set_workers(1)
        .set_pool_capacity(500)
        .set_stack_size(0x1000);
    let server = match Hello.start(("127.0.0.1", port)) {
        Ok(server) => server,
        Err(error) => {
            eprintln!("may-hello: port {port}: {error}");
            return ExitCode::FAILURE;
        }
    };
    match server.join() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

struct Hello;

impl HttpServiceFactory for Hello {
    type Service = Self;

    fn new_service(&self, _: usize) -> Self {
        Self
    }
}

impl HttpService for Hello {
    fn call(&mut self, request: Request, response: &mut Response) -> io::Result<()> {
        let path = request.path();
        match path.split_once('?').map_or(path, |(path, _)| path) {
            "/hello" => response
                .header("Content-Type: text/plain")
                .body("Hello, World!"),
            _ => response.status_code(404, "Not Found").body("Not Found"),
        }
        Ok(())
    }
}
