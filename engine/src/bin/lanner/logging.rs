//! The log: lines on standard error, from the engine's and the program's `tracing` events. (The access log is the
//! engine's, and goes to standard output.)

use crate::log_writer::LogWriter;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal as _};
use std::panic::PanicHookInfo;
use tracing_subscriber::filter::LevelFilter;

/// Begins to log. Panics, which in an app cost one request and not the server, become log lines too.
pub(crate) fn start(level: LevelFilter) -> io::Result<()> {
    let writer = LogWriter::start()?;
    let colours = io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    // The other outcome is that somebody else logs already, and then there is a log.
    let _ = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(writer)
        .with_ansi(colours)
        .with_target(false)
        // It would be reported by `eprintln!`, which panics where nobody listens: a lost log line must stay one.
        .log_internal_errors(false)
        .try_init();
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    let place = panic
        .location()
        .map(ToString::to_string)
        .unwrap_or_default();
    let message = match panic.payload() {
        payload if payload.is::<&str>() => payload.downcast_ref::<&str>().copied(),
        payload => payload.downcast_ref::<String>().map(String::as_str),
    };
    let message = message.unwrap_or("a value that is no text");
    // Captured only where RUST_BACKTRACE asks for it.
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        tracing::error!(thread, place, "panic: {message}\n{backtrace}");
    } else {
        tracing::error!(thread, place, "panic: {message}");
    }
}
