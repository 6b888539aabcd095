//! The server that is measured: one worker with the app of `lanner_bench::app`, until standard input ends. It prints
//! `serving ADDRESS PROCESS THREAD` first. What it is asked, and by what it is watched, is left to `lanner_bench`.
//!
//! With `--step N` it writes a byte at every N-th request, waits until one comes on standard input, and ends when that has.
//! So whoever asks can see to it that the server finds the whole of the next round when it looks for input again, however
//! fast or slow either side is. Apart from that no thread but the worker's need run, not even to begin or to end:
//! valgrind (3.19) does not know that io_uring_enter may block, and holds all others up for as long as it does.

use lanner::{BoundAddress, Server, StartError, WorkerInfo};
use lanner_bench::app;
use lanner_bench::endpoint;
use lanner_bench::subject::NO_DRIVER;
use lanner_loadtest::arguments::{Failure, Flag, Invocation, Program};
use std::cell::Cell;
use std::io::Read as _;
use std::path::Path;
use std::process::{ExitCode, exit};

const PROGRAM: Program = Program {
    name: "steady",
    about: "Serves /hello, /discard and /chunked on one worker until standard input ends.",
    words: None,
    flags: &[
        Flag {
            name: "driver",
            value: Some("NAME"),
            default: Some("epoll"),
            about: "As LANNER_DRIVER.",
        },
        Flag {
            name: "certificate",
            value: Some("PATH"),
            default: None,
            about: "Serve over TLS, with this certificate; its key is named too.",
        },
        Flag {
            name: "key",
            value: Some("PATH"),
            default: None,
            about: "The key of the certificate.",
        },
        Flag {
            name: "step",
            value: Some("COUNT"),
            default: None,
            about: "Wait for a byte on standard input at every request of that number, and end when it ends.",
        },
    ],
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
            Invocation::Run(arguments) => {
                let step = arguments.value_if_given("step");
                let step = step.map_err(|failure| (failure.to_string(), ExitCode::from(2)))?;
                let certificate = match (arguments.text("certificate"), arguments.text("key")) {
                    (Some(chain), Some(key)) => Some((Path::new(chain), Path::new(key))),
                    (None, None) => None,
                    _ => {
                        let text = "a certificate and its key are named together";
                        return Err((text.to_owned(), ExitCode::from(2)));
                    }
                };
                let driver = arguments.text("driver").unwrap_or_default();
                let settings = endpoint::settings(certificate);
                let settings = settings.map_err(|error| {
                    let text = format!("the certificate or its key: {error}");
                    (text, ExitCode::FAILURE)
                })?;
                serve(driver, &settings, step)
            }
        });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err((text, code)) => {
            eprintln!("steady: {text}");
            code
        }
    }
}

fn serve(
    driver: &str,
    settings: &[(&'static str, String)],
    step: Option<usize>,
) -> Result<(), (String, ExitCode)> {
    let failed = |text: String| (text, ExitCode::FAILURE);
    let settings = settings.iter();
    let server = settings
        .fold(Server::builder(), |builder, (name, value)| {
            builder.set(name, value)
        })
        .set("driver", driver)
        .start(move |worker| {
            introduce(worker);
            let steps = Steps::of(step);
            move |request| {
                steps.count();
                app::answer(request)
            }
        })
        .map_err(|error| match error {
            StartError::Driver(_) => (error.to_string(), ExitCode::from(NO_DRIVER)),
            _ => failed(error.to_string()),
        })?;
    if step.is_none() {
        let waited = std::io::stdin().read_to_end(&mut Vec::new());
        waited.map_err(|error| failed(Failure::of("standard input")(error).to_string()))?;
        server.handle().stop();
    }
    server.join().map_err(|error| failed(error.to_string()))
}

/// Says where we serve. The listeners are there already.
fn introduce(worker: &WorkerInfo) {
    let address = worker.server.addresses.iter().find_map(BoundAddress::tcp);
    let address = address.map_or_else(|| "nowhere".into(), |address| address.to_string());
    let (process, thread) = (std::process::id(), rustix::thread::gettid());
    println!("serving {address} {process} {}", thread.as_raw_nonzero());
}

/// Counts requests, and waits where it was told to.
struct Steps {
    /// Requests of one step.
    each: usize,
    /// Requests until its end.
    left: Cell<usize>,
    /// One has ended.
    begun: Cell<bool>,
}

impl Steps {
    /// Without a number there is no step that ends.
    fn of(requests: Option<usize>) -> Self {
        let each = requests.unwrap_or(usize::MAX).max(1);
        Self {
            each,
            left: Cell::new(each),
            begun: Cell::new(false),
        }
    }

    fn count(&self) {
        self.left.set(self.left.get() - 1);
        if self.left.get() == 0 {
            self.left.set(self.each);
            match self.begun.replace(true) {
                false => wait_for_first_step(),
                true => wait_for_step(),
            }
        }
    }
}

/// Where counting begins: `lanner_bench::instructions` knows the name. What a start costs depends on which thread is
/// faster, for memory that another one gave back has to be zeroed.
#[cold]
#[inline(never)]
fn wait_for_first_step() {
    wait_for_step();
}

/// There are no children, and whoever is connected has what was wanted. The worker cannot be told to stop by a thread that
/// is held up.
#[cold]
#[allow(clippy::disallowed_methods)]
fn wait_for_step() {
    let told = rustix::io::write(rustix::stdio::stdout(), b".");
    match told.and_then(|_| rustix::io::read(rustix::stdio::stdin(), &mut [0])) {
        Ok(1) => {}
        Ok(_) => exit(0),
        Err(error) => {
            eprintln!("steady: its steps: {error}");
            exit(1);
        }
    }
}
