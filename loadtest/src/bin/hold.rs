//! `hold`: idle connections over TLS or of HTTP/2; see `lanner_loadtest::held`. Prints `ready N` when all are open, and
//! holds them until its standard input ends.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use lanner_loadtest::arguments::{Failure, Flag, Program};
use lanner_loadtest::descriptors;
use lanner_loadtest::held::{Plan, open};

const PROGRAM: Program = Program {
    name: "hold",
    about: "Opens connections, asks once on each for /hello, prints `ready N`, and holds them until standard input ends.",
    words: None,
    flags: &[
        Flag::ADDR,
        Flag {
            name: "connections",
            value: Some("N"),
            default: Some("8000"),
            about: "How many to hold.",
        },
        Flag {
            name: "certificate",
            value: Some("FILE"),
            default: None,
            about: "Over TLS; this is the server's certificate, in PEM, and no other is taken.",
        },
        Flag {
            name: "http2",
            value: None,
            default: None,
            about: "HTTP/2 instead of HTTP/1.1.",
        },
    ],
};

fn main() -> ExitCode {
    PROGRAM.start(|arguments| {
        let plan = Plan {
            address: arguments.value("addr")?,
            certificate: arguments.text("certificate").map(PathBuf::from),
            http2: arguments.switch("http2"),
            connections: arguments.count("connections", 1..=1_000_000)?,
        };
        descriptors::reserve(plan.connections)?;
        let mut held = open(&plan).map_err(Failure::of("opening"))?;
        say(&format!("ready {}", plan.connections))?;
        io::copy(&mut io::stdin().lock(), &mut io::sink())
            .map_err(Failure::of("standard input"))?;
        let open = held.count_open();
        say(&format!(
            "held {open}, closed by the server {}",
            plan.connections - open
        ))
    })
}

/// A script waits for the line, so it may not stay in a buffer.
fn say(line: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .map_err(Failure::of("standard output"))
}
