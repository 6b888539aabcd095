//! The versions of the servers, as they tell them themselves or as they were locked when they were built.

use std::path::Path;
use std::process::Command;

const RIVALS_LOCK: &str = include_str!("../../../bench/rivals/Cargo.lock");

/// Our own.
pub(crate) fn lanner(program: &Path, driver: &str) -> String {
    let version = said(Command::new(program).arg("version"));
    let version = version.lines().next().unwrap_or_default().to_owned();
    format!("{version}, {driver} driver, one worker")
}

/// nginx, and how strongly its compiler was told to optimise.
pub(crate) fn nginx() -> String {
    let text = said(Command::new("nginx").arg("-V"));
    let optimised = text.split([' ', '\'']).rfind(|word| word.starts_with("-O"));
    let version = text.lines().next().unwrap_or_default();
    format!(
        "{}, built {}",
        version.trim_start_matches("nginx version: "),
        optimised.unwrap_or("with unknown flags")
    )
}

/// h2o and its OpenSSL.
pub(crate) fn h2o() -> String {
    let text = said(Command::new("h2o").arg("--version"));
    let lines: Vec<&str> = text.lines().take(2).collect();
    format!("{}, as packaged, one thread", lines.join(", "))
}

/// HAProxy and its OpenSSL.
pub(crate) fn haproxy() -> String {
    let text = said(Command::new("haproxy").arg("-vv"));
    let version = text.lines().next().unwrap_or_default();
    let version = version.split(" - ").next().unwrap_or_default();
    let library = text
        .lines()
        .find_map(|line| line.strip_prefix("Running on OpenSSL version : "));
    format!(
        "{version}, {}, as packaged, one thread, answering by itself",
        library.unwrap_or("of unknown TLS")
    )
}

/// The rival in `bench/rivals/hyper-hello`.
pub(crate) fn hyper() -> String {
    format!(
        "hyper {} on tokio {} (h2 {}, rustls {}), one current-thread runtime, pipeline_flush, our release profile",
        locked_version("hyper"),
        locked_version("tokio"),
        locked_version("h2"),
        locked_version("rustls"),
    )
}

/// The rival in `bench/rivals/may-hello`.
pub(crate) fn may() -> String {
    format!(
        "may_minihttp {} on may {}, one worker, mimalloc, our release profile",
        locked_version("may_minihttp"),
        locked_version("may"),
    )
}

/// What a program prints, wherever it prints it.
fn said(command: &mut Command) -> String {
    let Ok(output) = command.output() else {
        return String::new();
    };
    let [out, err] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    out + &err
}

/// The version of a rival's package.
fn locked_version(package: &str) -> &'static str {
    version_in(RIVALS_LOCK, package).unwrap_or("of unknown version")
}

/// The version of a package in a lock file.
fn version_in<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let name = format!("name = \"{package}\"\nversion = \"");
    let rest = &lock[lock.find(&name)? + name.len()..];
    rest.split_once('"').map(|(version, _)| version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locked_version_is_found_by_the_whole_name() {
        let lock =
            "name = \"hyper-util\"\nversion = \"0.1\"\n\nname = \"hyper\"\nversion = \"1.12.0\"\n";
        assert_eq!(version_in(lock, "hyper"), Some("1.12.0"));
        assert_eq!(version_in(lock, "tokio"), None);
        for rival in ["hyper", "tokio", "h2", "rustls", "may", "may_minihttp"] {
            assert!(version_in(RIVALS_LOCK, rival).is_some(), "{rival}");
        }
    }
}
