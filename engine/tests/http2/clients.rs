//! Clients that others have made, by prior knowledge on a cleartext port: curl and nghttp for what they insist on, h2load for
//! load without a single error, httpx and gRPC's own client for how Python sees it. On both drivers of our own.

use crate::program::{Directory, Process, Serving, finish, installed};
use std::path::Path;
use std::process::{Command, Stdio};

/// Each of these as a test on each driver: clients must not be able to tell them apart.
macro_rules! on_both_drivers {
    ($($name:ident),+ $(,)?) => {
        mod epoll {
            $(#[test] fn $name() { super::$name("epoll"); })+
        }

        mod uring {
            $(#[test] fn $name() { super::$name("auto"); })+
        }
    };
}

on_both_drivers!(
    curl_speaks_http_2_by_prior_knowledge,
    curl_that_offers_h2c_stays_with_http_1_1,
    curl_uploads_and_downloads,
    nghttp_gets_every_answer_through_small_windows,
    nghttp_uploads_with_trailers_and_padding,
    h2load_meets_no_error_with_100_connections_of_100_streams,
    h2load_meets_no_error_with_streams_that_fill_the_send_buffer,
    httpx_asks_for_much_at_once,
    grpc_is_answered_with_trailers,
);

/// A server on `driver`, for whoever ends it with [`ended_well`].
fn serving(driver: &str, arguments: &[&str]) -> Serving {
    Serving::start(arguments, &[("LANNER_DRIVER", driver)])
}

/// Stops a server that must have nothing to regret.
fn ended_well(server: Serving) {
    stopped_well(server.process);
}

/// The same of any process of the program.
pub(crate) fn stopped_well(process: Process) {
    let (status, said) = process.stop();
    assert!(status.success() && said.contains("none was cut"), "{said}");
    assert!(!said.contains("panic"), "{said}");
}

/// What a client that must succeed wrote to standard output and to standard error.
pub(crate) fn succeeds(command: &mut Command) -> (String, String) {
    let (success, output, errors) = finish(command.env("LC_ALL", "C"));
    assert!(success, "{command:?}:\n{output}\n{errors}");
    (output, errors)
}

/// curl, silent but for errors, and bounded in time; its own configuration and the proxies of its user left out.
pub(crate) fn curl(arguments: &[&str]) -> Option<(String, String)> {
    let mut command = installed("curl")?;
    command.args(["-q", "-sS", "--noproxy", "*", "--max-time", "30"]);
    Some(succeeds(command.args(arguments)))
}

/// One request a connection: curl 7.88 takes the connection's preface for an error when it asks again on one that it began by
/// prior knowledge, of whatever server.
fn curl_speaks_http_2_by_prior_knowledge(driver: &str) {
    let server = serving(driver, &[]);
    for (path, expected) in [
        ("/hello", "Hello, World! 2 200"),
        ("/status/204", " 2 204"),
        ("/status/304", " 2 304"),
        ("/status/404", "404 Not Found\n 2 404"),
    ] {
        let url = server.url(path);
        let ask = [
            "--http2-prior-knowledge",
            "-w",
            " %{http_version} %{http_code}",
        ];
        let Some((output, _)) = curl(&[&ask[..], &[&url]].concat()) else {
            return;
        };
        assert_eq!(output, expected, "{driver}, {path}");
    }
    // It would wait for content that an answer to GET has.
    let url = server.url("/bytes/1000000");
    let Some((output, _)) = curl(&["--http2-prior-knowledge", "-I", &url]) else {
        return;
    };
    let whole = output.starts_with("HTTP/2 200") && output.contains("content-length: 1000000\r\n");
    assert!(whole, "{output}");
    ended_well(server);
}

/// RFC 9113 section 3.1: there is no upgrade to HTTP/2 any more.
fn curl_that_offers_h2c_stays_with_http_1_1(driver: &str) {
    let server = serving(driver, &[]);
    let url = server.url("/hello");
    let ask = ["-v", "--http2", "-w", " %{http_version}"];
    let Some((output, verbose)) = curl(&[&ask[..], &[&url]].concat()) else {
        return;
    };
    assert!(verbose.contains("Upgrade: h2c"), "{verbose}");
    assert_eq!(output, "Hello, World! 1.1");
    ended_well(server);
}

fn curl_uploads_and_downloads(driver: &str) {
    let directory = Directory::new();
    let content: Vec<u8> = (0_u32..2_000_000)
        .flat_map(|number| number.to_le_bytes())
        .collect();
    let upload = format!("@{}", directory.file("upload", &content).display());
    let back = directory.0.join("back");
    let server = serving(driver, &[]);
    let url = server.url("/echo");
    for expect in ["Expect:", "Expect: 100-continue"] {
        let Some(_) = curl(&[
            "--http2-prior-knowledge",
            "-H",
            expect,
            "--data-binary",
            &upload,
            "-o",
            back.to_str().unwrap(),
            &url,
        ]) else {
            return;
        };
        assert!(
            std::fs::read(&back).unwrap() == content,
            "{driver}, {expect}"
        );
    }
    let url = server.url("/bytes/50000000");
    let download = [
        "--http2-prior-knowledge",
        "-o",
        "/dev/null",
        "-w",
        "%{http_version} %{http_code} %{size_download}",
    ];
    let Some((output, _)) = curl(&[&download[..], &[&url]].concat()) else {
        return;
    };
    assert_eq!(output, "2 200 50000000");
    ended_well(server);
}

fn nghttp(arguments: &[&str]) -> Option<String> {
    let mut command = installed("nghttp")?;
    Some(succeeds(command.args(arguments)).0)
}

/// Windows of 2^10-1 bytes, so that each answer takes many turns; and as many at once as an average page has.
fn nghttp_gets_every_answer_through_small_windows(driver: &str) {
    let server = serving(driver, &[]);
    let url = server.url("/bytes/20000");
    let Some(output) = nghttp(&["-nv", "-w10", "-W10", "-m50", "-t30s", &url]) else {
        return;
    };
    assert_eq!(output.matches(":status: 200").count(), 50, "{output}");
    assert_eq!(output.matches("; END_STREAM\n").count(), 50, "{output}");
    assert!(!output.contains("recv RST_STREAM"), "{output}");
    ended_well(server);
}

fn nghttp_uploads_with_trailers_and_padding(driver: &str) {
    let directory = Directory::new();
    let content = "a line that comes back\n".repeat(4_000);
    let path = directory.file("upload", &content);
    let server = serving(driver, &[]);
    let url = server.url("/echo");
    let upload = path.to_str().unwrap();
    let Some(output) = nghttp(&[
        "-d",
        upload,
        "--padding=200",
        "--trailer=x-last: 1",
        "--expect-continue",
        "--continuation",
        "-Hx-long: 0123456789",
        "-t30s",
        &url,
    ]) else {
        return;
    };
    assert!(output == content, "{driver}: another body came back");
    ended_well(server);
}

/// Every request of the load must have been answered with success.
fn h2load(driver: &str, load: &[&str], path: &str, requests: u32) {
    let Some(mut command) = installed("h2load") else {
        return;
    };
    let server = serving(driver, &[]);
    let number = format!("-n{requests}");
    // A connection on which nothing happens for so long is an error, and not a test that hangs.
    let (output, _) = succeeds(
        command
            .args(load)
            .args([&number, "-N20s", &server.url(path)]),
    );
    let all = format!("{requests} succeeded, 0 failed, 0 errored, 0 timeout");
    let good = format!("status codes: {requests} 2xx");
    assert!(output.contains(&all) && output.contains(&good), "{output}");
    ended_well(server);
}

fn h2load_meets_no_error_with_100_connections_of_100_streams(driver: &str) {
    h2load(driver, &["-c100", "-m100"], "/hello", 100_000);
}

/// More than all streams of a connection may have waiting, through windows of every kind.
fn h2load_meets_no_error_with_streams_that_fill_the_send_buffer(driver: &str) {
    h2load(driver, &["-c2", "-m80"], "/bytes/79000", 1_000);
    h2load(
        driver,
        &["-c2", "-m80", "-w14", "-W20"],
        "/bytes/79000",
        1_000,
    );
}

/// Python with these modules: `None`, and the test says so, where one is not installed. In CI that is a failure.
fn python(modules: &[&str]) -> Option<Command> {
    let mut command = installed("python3")?;
    for module in modules {
        let probe = installed("python3")?
            .args(["-c", &format!("import {module}")])
            .stderr(Stdio::null())
            .status()
            .unwrap();
        if !probe.success() {
            let ci = std::env::var_os("CI").is_some();
            assert!(
                !ci,
                "Python has no {module}, and CI must not skip what needs it"
            );
            eprintln!("skipped: Python has no {module}");
            return None;
        }
    }
    // What its user's proxies are is no business of a test.
    for variable in ["http_proxy", "https_proxy", "all_proxy"] {
        command.env_remove(variable);
        command.env_remove(variable.to_uppercase());
    }
    Some(command)
}

/// The path of a script beside this file.
fn script(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/http2");
    path.join(name).to_str().unwrap().to_owned()
}

fn httpx_asks_for_much_at_once(driver: &str) {
    let Some(mut command) = python(&["httpx", "h2"]) else {
        return;
    };
    let server = serving(driver, &[]);
    let (output, _) = succeeds(command.args([script("httpx_client.py"), server.url("")]));
    assert_eq!(output, "all is well\n");
    ended_well(server);
}

fn grpc_is_answered_with_trailers(driver: &str) {
    let Some(mut command) = python(&["grpc", "google.protobuf"]) else {
        return;
    };
    let server = crate::greeter::serve(driver);
    let target = server.address().to_string();
    let (output, _) = succeeds(command.args([script("grpc_client.py"), target]));
    assert_eq!(output, "all is well\n");
    server.stop();
}
