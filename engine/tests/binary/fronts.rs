//! Real reverse proxies in front: nginx and HAProxy, with kept-alive connections to the server behind them. The
//! configurations are those that measurements use.

use crate::clients::wrk;
use crate::program::{Front, Serving, finish, installed};
use std::net::SocketAddr;

const NGINX: &str = include_str!("../../../bench/rivals/nginx-front.conf");
const HAPROXY: &str = include_str!("../../../bench/rivals/haproxy-front.cfg");

#[test]
fn nginx_in_front_works_with_keep_alive() {
    serves_behind(|upstream| {
        let mut nginx = installed("nginx")?;
        Some(Front::start(NGINX, upstream, move |path| {
            nginx.arg("-c").arg(path);
            nginx
        }))
    });
}

#[test]
fn haproxy_in_front_works_with_keep_alive() {
    serves_behind(|upstream| {
        let mut haproxy = installed("haproxy")?;
        Some(Front::start(HAPROXY, upstream, move |path| {
            haproxy.arg("-db").arg("-f").arg(path);
            haproxy
        }))
    });
}

/// Requests of every shape through the proxy, then load; the server behind must have seen all of them on few
/// connections.
fn serves_behind(front: impl Fn(SocketAddr) -> Option<Front>) {
    let mirror = Serving::start(&["mirror"], &[]);
    let Some(front) = front(mirror.address) else {
        return;
    };
    let Some(curl) = installed("curl") else {
        return;
    };
    let curl = |arguments: &[&str]| {
        let mut command = std::process::Command::new(curl.get_program());
        command
            .args(["-q", "-sS", "--noproxy", "*", "--max-time", "30"])
            .args(arguments);
        let (success, output, errors) = finish(&mut command);
        assert!(success, "{command:?}\n{output}\n{errors}");
        output
    };
    let url = |path: &str| format!("http://{}{path}", front.address);

    let picture = curl(&["-X", "PATCH", "-H", "X-Asked: yes", &url("/a/b?c=d")]);
    assert!(picture.starts_with("PATCH /a/b?c=d\n"), "{picture}");
    assert!(
        picture.to_ascii_lowercase().contains("\nx-asked: yes\n"),
        "{picture}"
    );
    assert_eq!(
        curl(&["-d", "with a length", &url("/echo")]),
        "with a length"
    );
    assert_eq!(
        curl(&[
            "-H",
            "Transfer-Encoding: chunked",
            "-d",
            "in chunks",
            &url("/echo")
        ]),
        "in chunks"
    );
    assert!(
        curl(&["-I", &url("/bytes/1000")])
            .to_ascii_lowercase()
            .contains("content-length: 1000\r\n")
    );
    assert_eq!(
        curl(&[
            "-o",
            "/dev/null",
            "-w",
            "%{http_code} %{size_download}",
            &url("/bytes/5000000")
        ]),
        "200 5000000"
    );
    assert_eq!(
        curl(&["-o", "/dev/null", "-w", "%{http_code}", &url("/status/404")]),
        "404"
    );
    let body_of_a_megabyte = "x".repeat(1_000_000);
    let through_standard_input = {
        let path = std::env::temp_dir().join(format!(
            "lanner-test-{}-{}",
            std::process::id(),
            front.address.port()
        ));
        std::fs::write(&path, &body_of_a_megabyte).unwrap();
        let output = curl(&[
            "--data-binary",
            &format!("@{}", path.display()),
            "-H",
            "Expect:",
            &url("/echo"),
        ]);
        std::fs::remove_file(&path).unwrap();
        output
    };
    assert!(through_standard_input == body_of_a_megabyte);
    // One after the other, each with its own number.
    let numbers = curl(&[
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}\n",
        &url("/numbers/[1-300]"),
    ]);
    assert_eq!(numbers, "200\n".repeat(300));
    if wrk(&url("/"), &[]).is_none() {
        return;
    }

    drop(front);
    let (status, said) = mirror.process.stop();
    assert!(status.success(), "{said}");
    let summary = said
        .lines()
        .find_map(|line| line.split_once("stopped after "))
        .unwrap()
        .1;
    let mut numbers = summary
        .split(|character: char| !character.is_ascii_digit())
        .filter(|word| !word.is_empty());
    let requests: u64 = numbers.next().unwrap().parse().unwrap();
    let connections: u64 = numbers.next().unwrap().parse().unwrap();
    assert!(requests > 1_300, "{summary}");
    // At most what the proxy keeps open, and a few that it opened anew.
    assert!(connections < 200, "{summary}");
}
