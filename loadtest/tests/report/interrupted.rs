//! Ctrl-C and SIGTERM end a run early with everything written; whoever asks twice does not wait for that either.

use std::fs;
use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use lanner_loadtest::report::Record;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process};

use crate::program::Folder;
use crate::server;

/// A run of an hour, which has been answered by the time this returns.
fn under_way(flags: &[&str], out: impl Into<Stdio>) -> Child {
    let (address, answered) = server::telling(100);
    let mut command = Command::new(env!("CARGO_BIN_EXE_lanner-loadtest"));
    command.args(["run", &format!("http://{address}/"), "--duration", "1h"]);
    command
        .args(["--connections", "2", "--warm-up", "0s"])
        .args(flags);
    let child = command.stdout(out).stderr(Stdio::piped()).spawn().unwrap();
    answered.recv().unwrap();
    child
}

fn send(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

#[test]
fn every_format_of_an_interrupted_run_is_written_and_says_so() {
    for (signal, name) in [(Signal::INT, "SIGINT"), (Signal::TERM, "SIGTERM")] {
        let folder = Folder::new(&format!("interrupted-{name}"));
        let files = ["a.csv", "a.hgrm", "a.html"].map(|file| folder.path(file));
        let [csv, hgrm, html] = &files;
        let flags = ["--json", "--csv", csv, "--hgrm", hgrm, "--report", html];
        let child = under_way(&flags, Stdio::piped());
        send(&child, signal);
        let ended = child.wait_with_output().unwrap();
        let (out, err) = (ended.stdout, String::from_utf8(ended.stderr).unwrap());
        assert_eq!(ended.status.code(), Some(1), "{err}");
        let why = format!("interrupted by {name}");
        assert!(err.contains(&format!("the run was {why}")), "{err}");

        let record = Record::read(&String::from_utf8(out).unwrap()).unwrap();
        assert!(record.interrupted);
        assert_eq!(record.aborted.as_deref(), Some(why.as_str()));
        assert!(record.answers >= 90, "{}", record.answers);
        assert!(record.recorded_s > 0.0 && record.recorded_s < 600.0);
        assert_eq!(record.asked.duration_s, 3600.0);
        let answers = record.rate * record.recorded_s;
        assert!((answers - record.answers as f64).abs() < 0.1, "{answers}");
        let in_line: f64 = record.time_line.iter().map(|piece| piece.length_s).sum();
        assert!((in_line - record.recorded_s).abs() < record.interval_s / 50.0);

        let text = folder.read("a.csv");
        let last = text.lines().last().unwrap();
        assert!(last.contains(&format!(",\"ended early: {why}: ")), "{last}");
        assert!(
            folder
                .read("a.hgrm")
                .contains(&format!("#[ended early: {why}"))
        );
        let page = folder.read("a.html");
        assert!(
            page.contains(&format!("The run ended early: {why}")),
            "{page}"
        );
        assert!(page.contains("3600 s were asked for"), "{page}");
    }
}

#[test]
fn people_are_told_how_much_of_it_there_is() {
    let child = under_way(&[], Stdio::piped());
    send(&child, Signal::INT);
    let out = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    for part in [
        "\nended early interrupted by SIGINT: these figures are of ",
        "s, and 3600 s were asked for\n",
        " s of 3600 s recorded",
        "\nlatency  ",
    ] {
        assert!(out.contains(part), "{part} is missing in:\n{out}");
    }
}

#[test]
fn a_second_signal_ends_the_program_at_once() {
    // Nobody reads its results, and there is no room for them: it waits for that for ever.
    let (mut reader, mut full) = io::pipe().unwrap();
    let flags = fcntl_getfl(&full).unwrap();
    fcntl_setfl(&full, flags | OFlags::NONBLOCK).unwrap();
    while full.write(&[0; 4096]).is_ok() {}
    while full.write(&[0]).is_ok() {}
    fcntl_setfl(&full, flags).unwrap();

    let folder = Folder::new("interrupted-twice");
    let csv = folder.path("a.csv");
    let mut child = under_way(&["--csv", &csv], full);
    assert_eq!(fs::read(&csv).unwrap(), b"", "nothing is written yet");
    send(&child, Signal::INT);
    while folder.read("a.csv").is_empty() {
        sleep(Duration::from_millis(1));
    }
    assert_eq!(child.try_wait().unwrap(), None);
    send(&child, Signal::INT);
    let begun = Instant::now();
    let ended = loop {
        match child.try_wait().unwrap() {
            Some(ended) => break ended,
            None if begun.elapsed() < Duration::from_secs(20) => sleep(Duration::from_millis(1)),
            None => {
                child.kill().unwrap();
                panic!("it went on");
            }
        }
    };
    assert_eq!(ended.code(), Some(130));
    // Nothing of the results came after what it was filled with.
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    assert!(bytes.iter().all(|byte| *byte == 0));
}
