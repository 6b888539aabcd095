//! The server that is measured: one worker with the app of `lanner_bench::app`, until standard input ends. It prints
//! `serving ADDRESS PROCESS THREAD` first. What it is asked, and by what it is watched, is left to `lanner_bench`.

use lanner::{BoundAddress, Server, StartError};
use lanner_bench::app;
use lanner_bench::subject::NO_DRIVER;
use lanner_loadtest::arguments::{Failure, Flag, Invocation, Program};
use std::io::Read as _;
use std::process::ExitCode;
use std::sync::mpsc::channel;

const PROGRAM: Program = Program {
    name: "steady",
    about: "Serves /hello, /discard and /chunked on one worker until standard input ends.",
    words: None,
    flags: &[Flag {
        name: "driver",
        value: Some("NAME"),
        default: Some("epoll"),
        about: "As LANNER_DRIVER.",
    }],
};

fn main() -> ExitCode {
    let words = std::env::args().skip(1);
    let outcome = PROGRAM
        .read(words)
        .map_err(|failure| (failure.to_string(), ExitCode::from(2)))
        .and_then(|invocation| match invocation {
            Invocation::Help(text) => {
                println!("{text}");
                Ok(())
            }
            Invocation::Run(arguments) => serve(arguments.text("driver").unwrap_or_default()),
        });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err((text, code)) => {
            eprintln!("steady: {text}");
            code
        }
    }
}

fn serve(driver: &str) -> Result<(), (String, ExitCode)> {
    let failed = |text: String| (text, ExitCode::FAILURE);
    let (worker, workers) = channel();
    let server = Server::builder()
        .set("listen", "http://127.0.0.1:0")
        .set("workers", "1")
        .set("driver", driver)
        .start(move |_worker| {
            let _ = worker.send(rustix::thread::gettid());
            app::answer
        })
        .map_err(|error| match error {
            StartError::Driver(_) => (error.to_string(), ExitCode::from(NO_DRIVER)),
            _ => failed(error.to_string()),
        })?;
    let handle = server.handle();
    let address = handle
        .addresses()
        .iter()
        .find_map(BoundAddress::tcp)
        .ok_or_else(|| failed("no address".into()))?;
    let thread = workers
        .recv()
        .map_err(|_| failed("the worker did not start".into()))?;
    println!(
        "serving {address} {} {}",
        std::process::id(),
        thread.as_raw_nonzero()
    );
    let waited = std::io::stdin().read_to_end(&mut Vec::new());
    waited.map_err(|error| failed(Failure::of("standard input")(error).to_string()))?;
    handle.stop();
    server.join().map_err(|error| failed(error.to_string()))
}
