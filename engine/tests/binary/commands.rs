//! What a person gets who types a command: tables, errors they can act on, and codes for the shell. Never a panic.

use crate::program::{Serving, lanner, run};
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Command, Output, Stdio};

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The lines of an error that was reported as one: each begins with our name, and none is a panic's.
fn complaints(output: &Output, code: i32) -> Vec<String> {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(output.stdout.is_empty(), "{}", stdout(output));
    assert!(
        !text.contains("panicked") && !text.contains("backtrace"),
        "{text}"
    );
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    assert!(
        !lines.is_empty() && lines.iter().all(|line| line.starts_with("lanner: ")),
        "{text}"
    );
    lines
}

#[test]
fn help_and_version_need_no_valid_settings() {
    let wrong = [("LANNER_WORKERS", "none at all")];
    for (arguments, part) in [
        (&["--help"][..], "lanner mirror"),
        (&["help"], "--set NAME=VALUE"),
        (&["limits", "-h"], "LANNER_LISTEN="),
        (
            &["--version"],
            concat!("lanner ", env!("CARGO_PKG_VERSION")),
        ),
        (&["version"], concat!("lanner ", env!("CARGO_PKG_VERSION"))),
        (&["limits", "--markdown"], "| `LANNER_WORKERS` | `auto` |"),
        (
            &["limits", "--markdown"],
            "| `LANNER_LISTENER__NAME__TLS_CERT` |",
        ),
        (&["--help"], "lanner dev-cert"),
    ] {
        let output = run(arguments, &wrong);
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{output:?}"
        );
        assert!(stdout(&output).contains(part), "{output:?}");
    }
}

#[test]
fn limits_prints_every_knob_with_value_default_source_range_and_meaning() {
    let text = stdout(&run(
        &["limits", "--set", "workers=1"],
        &[("LANNER_HEADER_TIMEOUT", "20s")],
    ));
    for knob in lanner_limits::KNOBS {
        assert!(
            text.lines()
                .any(|line| line.starts_with(&format!("{}=", knob.variable))),
            "{}",
            knob.variable
        );
    }
    let entry = |variable: &str| {
        let entry = text
            .split("\n\n")
            .find(|entry| entry.starts_with(&format!("{variable}=")))
            .unwrap();
        entry.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let header = entry("LANNER_HEADER_TIMEOUT");
    assert!(
        header
            .starts_with("LANNER_HEADER_TIMEOUT=20s Source: environment. Default: 15s. Accepts: "),
        "{header}"
    );
    assert!(header.contains("When hit: 408"), "{header}");
    assert!(
        entry("LANNER_WORKERS")
            .starts_with("LANNER_WORKERS=1 Source: command line. Default: auto.")
    );
}

#[test]
fn config_prints_effective_values_with_their_sources_and_the_command_line_wins() {
    let environment = [("LANNER_WORKERS", "3"), ("LANNER_MAX_REQUEST_BODY", "1MB")];
    let text = stdout(&run(&["config", "--set", "workers=2"], &environment));
    let line = |start: &str| {
        let line = text
            .lines()
            .find(|line| line.starts_with(start))
            .unwrap_or_else(|| panic!("{start}: {text}"));
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("LANNER_WORKERS="), "LANNER_WORKERS=2 command line");
    assert_eq!(
        line("LANNER_MAX_REQUEST_BODY="),
        "LANNER_MAX_REQUEST_BODY=1MB environment"
    );
    assert_eq!(
        line("LANNER_LISTEN="),
        "LANNER_LISTEN=http://localhost:8080,https://localhost:8443 default"
    );
    assert!(line("LANNER_MAX_CONNECTIONS=").ends_with(" default, from the machine"));
}

#[test]
fn check_says_that_settings_are_valid_and_what_it_noticed() {
    let kubernetes = [("LANNER_SERVICE_HOST", "10.0.0.1"), ("LANNER_WORKERS", "1")];
    let output = run(&["check"], &kubernetes);
    assert!(output.status.success(), "{output:?}");
    let text = stdout(&output);
    assert!(
        text.contains("notice: LANNER_SERVICE_HOST is ignored"),
        "{text}"
    );
    assert!(text.contains("settings are valid: 1 chosen"), "{text}");
}

#[test]
fn every_mistake_in_the_settings_is_a_line_of_its_own() {
    let wrong = [
        ("LANNER_KEEPALIVE_TIMEOUT", "10"),
        ("LANNER_MAX_CONECTIONS", "100"),
        ("LANNER_LISTEN", "https://*:443"),
    ];
    for command in [&["check"][..], &["config"], &["limits"], &["mirror"], &[]] {
        let lines = complaints(&run(command, &wrong), 2);
        assert_eq!(lines.len(), 3, "{lines:?}");
        for part in [
            "LANNER_KEEPALIVE_TIMEOUT=\"10\"",
            "LANNER_MAX_CONECTIONS is not a setting; the nearest is LANNER_MAX_CONNECTIONS",
            "listener 0 (https://*:443) has no certificate",
        ] {
            assert!(
                lines.iter().any(|line| line.contains(part)),
                "{part}: {lines:?}"
            );
        }
    }
}

#[test]
fn an_environment_that_is_not_utf8_is_named_and_not_a_panic() {
    let mut command = lanner(&["check"], &[("LANNER_WORKERS", "x")]);
    command.env("LANNER_LISTEN", OsStr::from_bytes(b"http://\xff"));
    command.env(OsStr::from_bytes(b"LANNER_\xfe"), "1");
    command.env("SOMEBODY_ELSE", OsStr::from_bytes(b"\xff"));
    let lines = complaints(&command.stdout(Stdio::piped()).output().unwrap(), 2);
    for part in [
        "LANNER_LISTEN=\"http://\\xFF\" is not UTF-8",
        "\"LANNER_\\xFE\"",
        "LANNER_WORKERS=\"x\"",
    ] {
        assert!(
            lines.iter().any(|line| line.contains(part)),
            "{part}: {lines:?}"
        );
    }
    assert_eq!(lines.len(), 3, "{lines:?}");
}

#[test]
fn a_command_line_that_is_none_says_what_is_wrong_and_where_help_is() {
    for (arguments, part) in [
        (&["serve-me"][..], "\"serve-me\" is not a command"),
        (&["--prot", "80"], "--prot"),
        (&["--set", "workers"], "NAME=VALUE"),
        (&["--log", "loud"], "loud"),
    ] {
        let lines = complaints(&run(arguments, &[]), 2);
        assert!(lines[0].contains(part), "{lines:?}");
        assert!(lines[1].contains("lanner --help"), "{lines:?}");
    }
    let mut bytes = lanner(&[], &[]);
    bytes
        .arg(OsStr::from_bytes(b"\xff\xfe"))
        .stdout(Stdio::piped());
    complaints(&bytes.output().unwrap(), 2);
    let lines = complaints(&run(&["check", "--set", "wrokers=1"], &[]), 2);
    assert!(
        lines[0].contains("the nearest is LANNER_WORKERS"),
        "{lines:?}"
    );
}

#[test]
fn a_port_in_use_is_one_line_that_names_the_address() {
    let other = Serving::start(&[], &[]);
    let address = format!("http://{}", other.address);
    let environment = [
        ("LANNER_LISTEN", address.as_str()),
        ("RUST_BACKTRACE", "full"),
    ];
    let lines = complaints(&run(&[], &environment), 1);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].contains(&address) && lines[0].contains("in use"),
        "{lines:?}"
    );
    assert_eq!(
        other.request("GET", "/hello").body,
        "Hello, World!",
        "the first one was not disturbed"
    );
}

#[test]
fn an_address_of_another_machine_is_one_line_that_names_it() {
    // RFC 5737: nobody has this address.
    let lines = complaints(&run(&["--set", "listen=http://192.0.2.1:80"], &[]), 1);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("http://192.0.2.1:80"), "{lines:?}");
}

#[test]
fn a_descriptor_that_is_not_open_or_no_socket_is_a_start_error() {
    for fd in ["fd:999", "systemd:web"] {
        let lines = complaints(&run(&["--set", &format!("listen={fd}")], &[]), 1);
        assert!(lines.len() == 1 && lines[0].contains(fd), "{lines:?}");
    }
}

#[test]
fn a_reader_who_has_seen_enough_is_no_failure() {
    let mut child = lanner(&["limits"], &[])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    drop(output);
    let mut complaints = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut complaints)
        .unwrap();
    assert_eq!(
        (child.wait().unwrap().code(), complaints.as_str()),
        (Some(0), "")
    );
    assert!(line.starts_with("LANNER_LISTEN="), "{line}");
}

#[test]
fn output_that_cannot_be_written_is_a_failure_and_not_a_panic() {
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = lanner(&["limits"], &[]).stdout(full).output().unwrap();
    let lines = complaints(&output, 1);
    assert!(lines[0].contains("standard output"), "{lines:?}");
}

#[test]
fn no_standard_streams_at_all_are_no_panic() {
    let mut shell = Command::new("/bin/sh");
    shell
        .args([
            "-c",
            "exec \"$0\" \"$@\" <&- >&- 2>&-",
            env!("CARGO_BIN_EXE_lanner"),
            "check",
        ])
        .env_clear();
    assert_eq!(
        shell
            .env("LANNER_WORKERS", "wrong")
            .status()
            .unwrap()
            .code(),
        Some(2)
    );
    assert_eq!(
        shell.env("LANNER_WORKERS", "1").status().unwrap().code(),
        Some(0)
    );
}

/// `ulimit` in a shell, then the program in its place.
fn limited(limit: &str, arguments: &[&str]) -> Output {
    let mut shell = Command::new("/bin/sh");
    shell.args([
        "-c",
        &format!("ulimit {limit} && exec \"$0\" \"$@\""),
        env!("CARGO_BIN_EXE_lanner"),
    ]);
    shell.args(arguments).env_clear().output().unwrap()
}

#[test]
fn the_descriptor_limit_is_raised_before_the_caps_follow_from_it() {
    // The hard limit is lowered too, so that the figure is the same everywhere; the soft one is what must not count.
    let output = limited(
        "-Sn 400 && ulimit -Hn 2000",
        &["config", "--set", "workers=2"],
    );
    let text = stdout(&output);
    let line = text
        .lines()
        .find(|line| line.starts_with("LANNER_MAX_CONNECTIONS="))
        .unwrap_or_else(|| panic!("{output:?}"));
    assert!(
        line.starts_with("LANNER_MAX_CONNECTIONS=1712 "),
        "{line}: 2000 - 256 - 2 x 16"
    );
}

#[test]
fn too_few_descriptors_are_an_error_that_names_the_limit() {
    let lines = complaints(&limited("-n 300", &["check", "--set", "workers=1"]), 2);
    assert!(
        lines[0].contains("RLIMIT_NOFILE=300") && lines[0].contains("LANNER_WORKERS"),
        "{lines:?}"
    );
}
