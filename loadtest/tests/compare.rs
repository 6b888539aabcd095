//! `lanner-loadtest compare` as a program: a whole run as short as can be, and what it says of servers and scenarios that it
//! cannot measure. Nothing here depends on how fast anything is.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;

use rustix::thread::{CpuSet, sched_getaffinity};

const PROGRAM: &str = env!("CARGO_BIN_EXE_lanner-loadtest");

/// One run at a time: each pins its servers to the same core.
static ALONE: Mutex<()> = Mutex::new(());

/// A directory that goes with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let name = format!("loadtest-compare-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|directory| directory.join(program));
    places.find(|place| place.is_file())
}

/// Two processors on which to run, if the programs that pin to them are here; what is missing is told, and fails in CI.
fn two_cores(test: &str) -> Option<[String; 2]> {
    let allowed = sched_getaffinity(None).unwrap();
    let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
    let missing = ["setpriv", "taskset"]
        .into_iter()
        .find(|program| find(program).is_none());
    let reason = match (missing, cores.next(), cores.next()) {
        (None, Some(one), Some(other)) => return Some([one.to_string(), other.to_string()]),
        (Some(program), _, _) => format!("there is no {program} here (Debian's util-linux)"),
        _ => "there are not two processors".to_owned(),
    };
    let in_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(!in_ci, "{test}: {reason}");
    let _ = writeln!(std::io::stderr(), "skipped {test}: {reason}");
    None
}

fn compare(words: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg("compare").args(words);
    command
}

/// A run of one short round on these processors.
fn short(cores: &[String; 2], words: &[&str]) -> Command {
    let mut command = compare(words);
    command.args(["--rounds", "1", "--time", "300ms"]);
    command.args(["--server-core", &cores[0], "--client-core", &cores[1]]);
    command
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// The server that is compared, built beside the program under test, where that looks for it.
fn build_lanner() {
    let beside = Path::new(PROGRAM).parent().unwrap();
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--bin", "lanner", "--target-dir"]);
    command.arg(beside.parent().unwrap());
    if beside.ends_with("release") {
        command.arg("--release");
    }
    // From the workspace, whose features the other tests are built with too.
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", texts(&output).1);
    assert!(beside.join("lanner").is_file());
}

#[test]
fn a_short_run_ends_in_a_document_with_our_own_server_and_generator() {
    let Some(cores) = two_cores("a short run") else {
        return;
    };
    build_lanner();
    let _alone = ALONE.lock();
    // Nothing but what pins: neither rivals nor their generators are installed here.
    let scratch = Scratch::new("path");
    for program in ["setpriv", "taskset"] {
        symlink(find(program).unwrap(), scratch.0.join(program)).unwrap();
    }
    let path = scratch.0.join("results.md");
    let words = ["lanner-epoll", "nginx", "h2o", "haproxy"];
    let mut command = short(&cores, &words);
    command.args(["--scenarios", "plain,mixed,pipelined,idle10", "--markdown"]);
    let output = command.arg(&path).env("PATH", &scratch.0).output().unwrap();
    let (out, err) = texts(&output);
    assert!(output.status.success(), "{out}\n{err}");
    let document = fs::read_to_string(&path).unwrap();
    for said in [
        "- nginx: SKIPPED, it is not installed: apt-get install nginx\n",
        "- h2o: SKIPPED, it is not installed: apt-get install h2o\n",
        "- haproxy: SKIPPED, it is not installed: apt-get install haproxy\n",
        "- lanner-epoll: lanner ",
        "- Lanner's own `lanner-loadtest run` ",
        "\nSent by lanner.\n",
        "`lanner-loadtest compare lanner-epoll nginx h2o haproxy --rounds 1 ",
        "- mixed is LEFT OUT: wrk, which alone sends it, is not installed: apt-get install wrk\n",
        "- Static files of 1 KiB, 100 KiB and 10 MiB, and a reverse proxy, have no scenario: ",
        "### plain: 64 connections\n",
        "### pipelined: 64 connections, pipelined x16\n",
        "### idle10: 10 idle connections, HTTP/1.1\n",
    ] {
        assert!(document.contains(said), "{said} is not in\n{document}");
    }
    let (_, plain) = document.split_once("### plain").unwrap();
    let row = |text: &str| {
        let line = text.lines().find(|line| line.starts_with("| lanner-epoll"));
        let cells = line.unwrap().trim_matches('|').split('|');
        cells.map(|cell| cell.trim().to_owned()).collect::<Vec<_>>()
    };
    let cells = row(plain);
    // To the first, which it is itself, and no errors.
    assert_eq!((cells[1].as_str(), cells[10].as_str()), ("1.000", "0"));
    for figure in [3, 5, 6, 7, 11] {
        let value: f64 = cells[figure].parse().unwrap();
        assert!(value > 0.0, "{cells:?}");
    }
    let (_, costs) = document.split_once("## Costs").unwrap();
    assert_eq!(row(costs).len(), 4);
}

#[test]
fn what_is_no_scenario_server_or_engine_is_refused_before_anything_is_started() {
    for (words, said) in [
        (
            &["nginx", "--scenarios", "c64,fast"][..],
            "`fast` is no scenario",
        ),
        (
            &["--scenarios", "static-1k"],
            "lanner does not serve that yet",
        ),
        (&["--scenarios", "proxy"], "lanner does not serve that yet"),
        (&["apache"], "`apache` is no built-in server"),
        (
            &["x=no-such-server {port}"],
            "there is no program no-such-server",
        ),
        (&["--engine", "ab"], "expected lanner, wrk or h2load"),
        (&["--engine", "lanner,ab"], "`ab` is none"),
        (&["--engine", "wrk,wrk"], "wrk stands there twice"),
        (
            &["--engine", "wrk", "--scenarios", "h2c"],
            "speaks no HTTP/2",
        ),
        (
            &["--engine", "h2load", "--scenarios", "close"],
            "--engine wrk",
        ),
        (&["--engine", "wrk", "--time", "300ms"], "whole seconds"),
        (
            &["--engine", "lanner", "--heads", "mixed"],
            "mixed ones are wrk's",
        ),
        (&["--rounds", "0"], "--rounds 0: expected 1 to 1000"),
    ] {
        let output = compare(words).output().unwrap();
        let (out, err) = texts(&output);
        assert_eq!(output.status.code(), Some(2), "{words:?} {err}");
        assert!(err.contains(said), "{words:?}: {err}");
        assert!(out.is_empty(), "{words:?}: {out}");
    }
}

/// The words that make this program a server: `kind` is how it behaves.
fn server(kind: &str) -> String {
    let program = std::env::current_exe().unwrap();
    let program = program.display();
    format!(
        "{kind}=COMPARE_AS={kind} COMPARE_PORT={{port}} {program} --exact the_server_of_another_test --nocapture"
    )
}

/// Nothing by itself: another test starts this program anew to have a server that misbehaves.
#[test]
fn the_server_of_another_test() {
    let (Ok(kind), Ok(port)) = (std::env::var("COMPARE_AS"), std::env::var("COMPARE_PORT")) else {
        return;
    };
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
    let body = if kind == "liar" {
        "Hello, Word!!"
    } else {
        "Hello, World!"
    };
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\nDate: now\r\n\r\n{body}"
    );
    if kind == "steady" {
        for stream in listener.incoming().map(Result::unwrap) {
            let answer = answer.clone();
            std::thread::spawn(move || serve(stream, &answer));
        }
    }
    serve(listener.accept().unwrap().0, &answer);
    // With a backtrace it would take its time.
    std::panic::set_hook(Box::new(|_| {}));
    panic!("verified, and gone when the load comes");
}

fn serve(mut stream: TcpStream, answer: &str) {
    let mut heads = Vec::new();
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut bytes) {
        heads.extend_from_slice(&bytes[..count]);
        let end = b"\r\n\r\n";
        while let Some(place) = heads.windows(4).position(|window| window == end) {
            let head: Vec<u8> = heads.drain(..place + end.len()).collect();
            let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
            // Whoever has gone meanwhile is not answered.
            let is_gone = stream.write_all(answer.as_bytes()).is_err();
            if is_gone || head.contains("connection: close") {
                return;
            }
        }
    }
}

#[test]
fn a_server_that_fails_is_left_out_with_what_it_did_and_the_rest_is_measured() {
    let Some(cores) = two_cores("a server that answers wrongly") else {
        return;
    };
    let _alone = ALONE.lock();
    let words = [
        &server("liar"),
        &server("mortal"),
        &server("steady"),
        "--engine",
        "lanner",
        "--scenarios",
        "plain,idle5",
    ];
    let output = short(&cores, &words).output().unwrap();
    let (out, err) = texts(&output);
    assert_eq!(output.status.code(), Some(1), "{out}\n{err}");
    assert!(err.contains("liar: /hello: expected 200"), "{err}");
    assert!(err.contains("Hello, Word!!"), "{err}");
    let (_, plain) = out.split_once("### plain: 64 connections").unwrap();
    let (plain, idle) = plain.split_once("### idle5: 5 idle").unwrap();
    let (idle, across) = idle.split_once("### What steady costs").unwrap();
    assert!(!out.contains("\nFAILED: "), "{out}");
    assert!(across.contains("| liar   |     - |"), "{out}");
    for table in [plain, idle] {
        assert!(table.contains("liar is LEFT OUT: liar: /hello: "), "{out}");
        assert!(table.contains("Hello, Word!!"), "{out}");
        assert!(table.contains("| steady |"), "{out}");
        assert!(!table.contains("| liar"), "{out}");
    }
    let said = "mortal is LEFT OUT: mortal ended under the load, with exit status: 101";
    assert!(plain.contains(said), "{out}");
    // Here its connections may be seen to end before the process is.
    assert!(idle.contains("mortal is LEFT OUT: "), "{out}");
    for table in [plain, idle] {
        assert!(!table.contains("| mortal"), "{out}");
    }
}

/// Whether the generators are here; what is missing is told, and fails in CI.
fn has_generators(test: &str) -> bool {
    let programs = [("wrk", "wrk"), ("h2load", "nghttp2-client")];
    let missing = programs.iter().find(|(program, _)| find(program).is_none());
    let Some((program, package)) = missing else {
        return true;
    };
    let in_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(
        !in_ci,
        "{test}: there is no {program}: apt-get install {package}"
    );
    let _ = writeln!(
        std::io::stderr(),
        "skipped {test}: there is no {program} here (Debian's {package})"
    );
    false
}

#[test]
fn of_several_generators_each_sends_the_load_and_a_section_tells_how_they_agree() {
    let test = "several generators";
    let Some(cores) = two_cores(test) else {
        return;
    };
    if !has_generators(test) {
        return;
    }
    let _alone = ALONE.lock();
    let mut command = compare(&[&server("steady"), "--engine", "h2load,lanner,wrk"]);
    command.args([
        "--rounds",
        "1",
        "--time",
        "1s",
        "--scenarios",
        "plain,close",
    ]);
    command.args(["--server-core", &cores[0], "--client-core", &cores[1]]);
    let output = command.args(["--markdown", "-"]).output().unwrap();
    let (out, err) = texts(&output);
    assert!(output.status.success(), "{out}\n{err}");
    let (_, agreement) = out.split_once("## How the generators agree").unwrap();
    let (ratios, figures) = agreement.split_once("### Generators on plain: 64").unwrap();
    let cells = |text: &str, start: &[&str]| -> Vec<String> {
        let split = |line: &str| -> Vec<String> {
            let cells = line.trim_matches('|').split('|');
            cells.map(|cell| cell.trim().to_owned()).collect()
        };
        let mut lines = text.lines().map(split);
        lines
            .find(|cells| {
                cells.starts_with(
                    &start
                        .iter()
                        .map(|cell| (*cell).to_owned())
                        .collect::<Vec<_>>(),
                )
            })
            .unwrap_or_else(|| panic!("{start:?} is not in\n{text}"))
    };
    for other in ["lanner / h2load", "lanner / wrk"] {
        let row = cells(ratios, &["plain", "steady", other]);
        for share in [3, 4, 7] {
            assert!(row[share].parse::<f64>().unwrap() > 0.0, "{row:?}");
        }
    }
    for generator in ["h2load", "lanner", "wrk"] {
        let row = cells(figures, &["steady", generator]);
        for figure in [2, 3, 6, 7] {
            assert!(row[figure].parse::<f64>().unwrap() > 0.0, "{row:?}");
        }
        // h2load tells no percentiles.
        assert_eq!(row[4] == "-", generator == "h2load", "{row:?}");
    }
    let (_, close) = out.split_once("### close: Connection: close").unwrap();
    assert!(close.contains("Not sent by every generator: h2load keeps its connections"));
    assert!(close.contains("Sent by lanner; what other"), "{close}");
}

#[test]
fn a_server_that_ends_under_the_load_is_told_as_that() {
    let Some(cores) = two_cores("a server that ends") else {
        return;
    };
    let _alone = ALONE.lock();
    let words = [
        &server("mortal"),
        "--engine",
        "lanner",
        "--scenarios",
        "plain",
    ];
    let output = short(&cores, &words).output().unwrap();
    let (out, err) = texts(&output);
    assert_eq!(output.status.code(), Some(1), "{out}\n{err}");
    let said = "mortal ended under the load, with exit status: 101";
    assert!(err.contains(said), "{err}");
    assert!(!out.contains("| mortal"), "{out}");
}
