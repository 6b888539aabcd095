//! What is served where nobody has configured anything: HTTP and HTTPS, on ports that are free in a network of one's own.

use crate::development::{AUTHORITY, curl, private};
use crate::program::{Directory, Process, installed, run};
use std::process::{Command, Stdio};

/// A way to run commands in a network of their own, in which every port is free, and a way to join one that runs there.
struct OwnNetwork {
    begin: &'static [&'static str],
    join: &'static [&'static str],
}

impl OwnNetwork {
    /// As root no user namespace is needed, which some systems forbid where they allow the network's.
    const WAYS: [OwnNetwork; 2] = [
        OwnNetwork {
            begin: &["--net"],
            join: &["--net"],
        },
        OwnNetwork {
            begin: &["--user", "--map-root-user", "--net"],
            join: &["--user", "--preserve-credentials", "--net"],
        },
    ];

    /// The one that this system allows, if any.
    fn find() -> Option<OwnNetwork> {
        for program in ["unshare", "nsenter", "ip"] {
            installed(program)?;
        }
        let possible = |way: &OwnNetwork| way.command("true").output().unwrap().status.success();
        let found = Self::WAYS.into_iter().find(possible);
        if found.is_none() {
            eprintln!("skipped: no network namespace of our own");
        }
        found
    }

    fn command(&self, program: &str) -> Command {
        let script = "PATH=$PATH:/usr/sbin:/sbin ip link set lo up && exec \"$@\"";
        let mut command = Command::new("unshare");
        command
            .args(self.begin)
            .args(["sh", "-c", script, "sh", program]);
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().env("PATH", path);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    /// `program`, in the network of a process.
    fn beside(&self, process: u32, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        let target = format!("--target={process}");
        command.arg(target).args(self.join).arg(program);
        command
    }
}

#[test]
fn without_a_word_from_anybody_both_http_and_https_are_served() {
    let Some(network) = OwnNetwork::find() else {
        return;
    };
    if installed("curl").is_none() {
        return;
    }
    let directory = Directory::new();
    let mut command = network.command(env!("CARGO_BIN_EXE_lanner"));
    command.env("XDG_DATA_HOME", &directory.0);
    let mut server = Process::start(&mut command);
    server.line_with("`lanner dev-cert` says how to trust it");
    server.line_with("listening on http://127.0.0.1:8080");
    server.line_with("listening on https://127.0.0.1:8443");
    let authority = directory.0.join("lanner").join(AUTHORITY);
    for url in [
        "http://localhost:8080/hello",
        "https://localhost:8443/hello",
    ] {
        let mut client = network.beside(server.pid(), "curl");
        let (success, output, errors) = curl(&mut client, authority.to_str().unwrap(), &[url]);
        assert!(success, "{url}: {errors}");
        assert_eq!(output, "Hello, World!");
    }
    private(&directory.0);
    let (status, said) = server.stop();
    assert!(status.success(), "{said}");
}

#[test]
fn where_nothing_can_be_kept_https_is_served_nevertheless_with_one_warning() {
    let Some(network) = OwnNetwork::find() else {
        return;
    };
    let mut server = Process::start(&mut network.command(env!("CARGO_BIN_EXE_lanner")));
    let line = server.line_with("the development certificate is kept in memory");
    assert!(line.contains("XDG_DATA_HOME=DIRECTORY"), "{line}");
    server.line_with("listening on https://127.0.0.1:8443");
    let (status, said) = server.stop();
    assert!(status.success(), "{said}");
    assert_eq!(said.matches("in memory").count(), 1, "{said}");
    assert!(!said.contains("dev-cert"), "nobody can trust it: {said}");
}

#[test]
fn a_port_that_nobody_asked_for_and_somebody_has_is_told_with_what_to_set() {
    let Some(network) = OwnNetwork::find() else {
        return;
    };
    for (taken, secure, remedy) in [
        (
            8080,
            false,
            "LANNER_LISTEN=http://localhost:8081 takes another",
        ),
        (
            8443,
            true,
            "LANNER_LISTEN=http://localhost:8080 serves without it",
        ),
    ] {
        let mut holder = network.command(env!("CARGO_BIN_EXE_lanner"));
        holder.env("LANNER_LISTEN", format!("http://localhost:{taken}"));
        let mut holder = Process::start(&mut holder);
        holder.line_with("listening on");
        let mut second = network.beside(holder.pid(), env!("CARGO_BIN_EXE_lanner"));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let output = second.env_clear().env("PATH", path).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        let scheme = if secure { "https" } else { "http" };
        let line =
            format!("lanner: cannot listen on {scheme}://localhost:{taken}: the address is in use");
        let line = said.lines().find(|one| one.starts_with(&line));
        assert!(line.is_some_and(|line| line.contains(remedy)), "{said}");
        let (status, said) = holder.stop();
        assert!(status.success(), "{said}");
    }
    // Whoever chose an address knows what to set.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", taken.local_addr().unwrap());
    let output = run(&[], &[("LANNER_LISTEN", &url)]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("in use") && !said.contains("LANNER_LISTEN="),
        "{said}"
    );
}
