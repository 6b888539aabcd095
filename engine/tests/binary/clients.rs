//! Real clients: curl for what it insists on in the protocol, wrk for load without a single error. Each test runs on
//! every backend of this build.

use crate::program::{Directory, Serving, finish, installed};
use std::path::Path;
use std::process::Command;

/// Each of these as a test on each driver: clients must not be able to tell them apart.
macro_rules! on_every_driver {
    ($($name:ident),+ $(,)?) => {
        mod epoll {
            $(#[test] fn $name() { super::$name("epoll"); })+
        }

        #[cfg(feature = "monoio")]
        mod monoio {
            $(#[test] fn $name() { super::$name("monoio"); })+
        }
    };
}

on_every_driver!(
    curl_keeps_its_connection_alive,
    curl_uploads_chunked_and_gets_every_byte_back,
    curl_waits_for_100_and_gets_it_when_the_app_reads,
    curl_sees_heads_without_bodies,
    curl_reads_the_413_of_an_upload_that_is_too_large,
    curl_downloads_and_speaks_http_1_0,
    wrk_meets_no_error_on_64_connections,
    wrk_meets_no_error_with_16_requests_in_a_write,
);

/// A server on `driver`, for whoever ends it with [`ended_well`].
fn serving(driver: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Serving {
    let mut environment = environment.to_vec();
    environment.push(("LANNER_DRIVER", driver));
    Serving::start(arguments, &environment)
}

/// Stops a server that must have nothing to regret.
fn ended_well(server: Serving) {
    let (status, said) = server.process.stop();
    assert!(status.success() && said.contains("none was cut"), "{said}");
    assert!(!said.contains("panic"), "{said}");
}

/// curl, silent but for errors, and bounded in time; its own configuration and the proxies of its user left out.
fn curl(arguments: &[&str]) -> Option<Command> {
    let mut command = installed("curl")?;
    command
        .args(["-q", "-sS", "--noproxy", "*", "--max-time", "30"])
        .args(arguments)
        .env("LC_ALL", "C");
    Some(command)
}

/// Standard output and standard error of a curl that must succeed.
macro_rules! curl {
    ($($argument:expr),+ $(,)?) => {{
        let Some(mut command) = curl(&[$($argument),+]) else { return };
        let (success, output, errors) = finish(&mut command);
        assert!(success, "{command:?}:\n{output}\n{errors}");
        (output, errors)
    }};
}

fn curl_keeps_its_connection_alive(driver: &str) {
    let server = serving(driver, &[], &[]);
    let url = server.url("/hello");
    let (output, _) = curl!("-w", " %{http_code} %{num_connects}\n", &url, &url, &url);
    assert_eq!(
        output,
        "Hello, World! 200 1\nHello, World! 200 0\nHello, World! 200 0\n"
    );
    ended_well(server);
}

fn curl_uploads_chunked_and_gets_every_byte_back(driver: &str) {
    let directory = Directory::new();
    let content: Vec<u8> = (0_u32..2_000_000)
        .flat_map(|number| number.to_le_bytes())
        .collect();
    let path = directory.file("upload", &content);
    let (upload, back) = (format!("@{}", path.display()), directory.0.join("back"));
    let server = serving(driver, &[], &[]);
    for framing in ["Transfer-Encoding: chunked", "X-Framing: Content-Length"] {
        let (_, verbose) = curl!(
            "-v",
            "-H",
            framing,
            "-H",
            "Expect:",
            "-H",
            "Content-Type: text/x-numbers",
            "--data-binary",
            &upload,
            "-o",
            back.to_str().unwrap(),
            &server.url("/echo"),
        );
        assert!(
            std::fs::read(&back).unwrap() == content,
            "{driver}, {framing}: another body came back"
        );
        assert!(
            verbose.contains("< Content-Type: text/x-numbers"),
            "{verbose}"
        );
        let chunked = framing.starts_with("Transfer");
        assert_eq!(
            verbose
                .to_ascii_lowercase()
                .contains("< transfer-encoding: chunked"),
            chunked,
            "{verbose}"
        );
    }
    ended_well(server);
}

fn curl_waits_for_100_and_gets_it_when_the_app_reads(driver: &str) {
    let server = serving(driver, &[], &[]);
    let url = server.url("/echo");
    let (output, verbose) = curl!(
        "-v",
        "--expect100-timeout",
        "25",
        "-H",
        "Expect: 100-continue",
        "-d",
        "a body",
        &url
    );
    assert_eq!(output, "a body");
    assert!(verbose.contains("< HTTP/1.1 100 Continue"), "{verbose}");
    // An app that answers without reading: no 100, and the body need not be sent.
    let url = server.url("/status/403");
    let (output, verbose) = curl!(
        "-v",
        "--expect100-timeout",
        "25",
        "-H",
        "Expect: 100-continue",
        "-d",
        "a body",
        &url
    );
    assert_eq!(output, "403 Forbidden\n");
    assert!(!verbose.contains("100 Continue"), "{verbose}");
    assert!(
        verbose.to_ascii_lowercase().contains("< connection: close"),
        "{verbose}"
    );
    ended_well(server);
}

fn curl_sees_heads_without_bodies(driver: &str) {
    let server = serving(driver, &[], &[]);
    // It would wait for a body that a response to GET has, so the second one shows that none was sent.
    let (output, _) = curl!(
        "-I",
        "-w",
        "%{http_code} %{num_connects}\n",
        &server.url("/hello"),
        &server.url("/bytes/1000000")
    );
    assert!(
        output.contains("content-length: 13\r\n") && output.contains("content-length: 1000000\r\n"),
        "{output}"
    );
    assert!(
        output.contains("200 1\n") && output.ends_with("200 0\n"),
        "{output}"
    );
    let (output, _) = curl!(
        "-w",
        "%{http_code} %{num_connects}\n",
        &server.url("/status/204"),
        &server.url("/status/304")
    );
    assert_eq!(output, "204 1\n304 0\n");
    ended_well(server);
}

fn curl_reads_the_413_of_an_upload_that_is_too_large(driver: &str) {
    let directory = Directory::new();
    let upload = format!(
        "@{}",
        directory.file("upload", vec![b'x'; 8 << 20]).display()
    );
    let limit = [("LANNER_MAX_REQUEST_BODY", "1MB")];
    // The mirror reads bodies before it answers, so the limit is met while the answer can still be one.
    let server = serving(driver, &["mirror"], &limit);
    for framing in ["Transfer-Encoding: chunked", "X-Framing: Content-Length"] {
        // Ten times: a reset that eats the answer would come now and then.
        for _ in 0..10 {
            let (output, _) = curl!(
                "-H",
                framing,
                "-H",
                "Expect:",
                "--data-binary",
                &upload,
                "-o",
                "/dev/null",
                "-w",
                "%{http_code}",
                &server.url("/upload"),
            );
            assert_eq!(output, "413", "{driver}, {framing}");
        }
    }
    ended_well(server);
}

fn curl_downloads_and_speaks_http_1_0(driver: &str) {
    let server = serving(driver, &[], &[]);
    let (output, _) = curl!(
        "-o",
        "/dev/null",
        "-w",
        "%{http_code} %{size_download}",
        &server.url("/bytes/50000000")
    );
    assert_eq!(output, "200 50000000");
    let (output, _) = curl!("-0", "-w", " %{http_code}", &server.url("/hello"));
    assert_eq!(output, "Hello, World! 200");
    let (output, _) = curl!("-0", "-d", "a body", &server.url("/echo"));
    assert_eq!(output, "a body");
    ended_well(server);
}

/// wrk with one thread and 64 connections; every request must have been answered with success.
pub(crate) fn wrk(url: &str, rest: &[&str]) -> Option<()> {
    let mut command = installed("wrk")?;
    command.args(["-t1", "-c64", "-d2s", "--timeout", "10s"]);
    let (options, arguments) = rest.split_at(
        rest.iter()
            .position(|word| *word == "--")
            .unwrap_or(rest.len()),
    );
    let (success, output, errors) = finish(command.args(options).arg(url).args(arguments));
    assert!(success, "{output}\n{errors}");
    for trouble in ["Socket errors", "Non-2xx"] {
        assert!(!output.contains(trouble), "{command:?}\n{output}");
    }
    let requests = output
        .lines()
        .find_map(|line| line.trim().split_once(" requests in "));
    let requests: u64 = requests
        .unwrap_or_else(|| panic!("{output}"))
        .0
        .parse()
        .unwrap();
    assert!(requests > 1_000, "{output}");
    Some(())
}

fn wrk_meets_no_error_on_64_connections(driver: &str) {
    let server = serving(driver, &[], &[]);
    let _ = wrk(&server.url("/hello"), &[]);
    ended_well(server);
}

fn wrk_meets_no_error_with_16_requests_in_a_write(driver: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/rivals/pipeline.lua");
    let server = serving(driver, &[], &[]);
    let _ = wrk(
        &server.url("/hello"),
        &["-s", script.to_str().unwrap(), "--", "16", "mixed"],
    );
    ended_well(server);
}
