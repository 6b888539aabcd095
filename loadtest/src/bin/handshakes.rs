//! `handshakes`: TLS handshakes one after the other on several threads; see `lanner_loadtest::handshakes`. Reports as one line of
//! JSON.

use std::path::PathBuf;
use std::process::ExitCode;

use lanner_loadtest::arguments::{Failure, Flag, Program};
use lanner_loadtest::handshakes::{Plan, run};
use lanner_loadtest::secure::Group;

const PROGRAM: Program = Program {
    name: "handshakes",
    about: "Makes TLS 1.3 handshakes with AES-128-GCM, ends each connection at once, and reports how many as one line of JSON.",
    words: None,
    flags: &[
        Flag::ADDR,
        Flag {
            name: "certificate",
            value: Some("FILE"),
            default: None,
            about: "The server's certificate, in PEM; no other is taken.",
        },
        Flag {
            name: "group",
            value: Some("GROUP"),
            default: Some("X25519"),
            about: "The key exchange: X25519 or X25519MLKEM768.",
        },
        Flag {
            name: "resume",
            value: None,
            default: None,
            about: "With the ticket of the handshake before.",
        },
        Flag {
            name: "threads",
            value: Some("N"),
            default: Some("16"),
            about: "Handshakes at once.",
        },
        Flag {
            name: "time",
            value: Some("TIME"),
            default: Some("5s"),
            about: "For how long.",
        },
    ],
};

fn main() -> ExitCode {
    PROGRAM.start(|arguments| {
        let certificate = arguments.text("certificate");
        let certificate =
            certificate.ok_or_else(|| Failure::Usage("--certificate is needed".to_owned()))?;
        let group = arguments.text("group").unwrap_or_default();
        let report = run(&Plan {
            address: arguments.value("addr")?,
            certificate: PathBuf::from(certificate),
            group: group
                .parse::<Group>()
                .map_err(|error| Failure::Usage(format!("--group: {error}")))?,
            resumes: arguments.switch("resume"),
            threads: arguments.count("threads", 1..=1024)?,
            time: arguments.value("time")?,
        });
        let report = report.map_err(Failure::of("the first handshakes"))?;
        if let Some(failure) = &report.failure {
            eprintln!("one of {} failures: {failure}", report.failed);
        }
        println!(
            "{{\"done\":{},\"not_resumed\":{},\"failed\":{},\"seconds\":{:.3}}}",
            report.done, report.not_resumed, report.failed, report.seconds
        );
        Ok(())
    })
}
