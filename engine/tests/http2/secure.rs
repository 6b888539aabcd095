//! Clients that others have made, over TLS: they agree on HTTP/2 by ALPN, and on HTTP/1.1 where that is all they know.
#![cfg(any(feature = "aws-lc-rs", feature = "ring"))]

use crate::clients::{curl, stopped_well, succeeds};
use crate::program::{Directory, Process, installed, lanner};

/// A server with a certificate for localhost.
struct Secure {
    process: Process,
    port: u16,
    directory: Directory,
}

impl Secure {
    /// `None`, and the test says so, where nobody makes the certificate.
    fn start() -> Option<Self> {
        let directory = Directory::new();
        let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| {
            let path = directory.0.join(name);
            path.to_str().unwrap().to_owned()
        });
        let mut openssl = installed("openssl")?;
        openssl.args(["req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"]);
        openssl.args(["-pkeyopt", "ec_paramgen_curve:prime256v1"]);
        openssl.args(["-subj", "/CN=localhost", "-addext"]);
        openssl.args(["subjectAltName=DNS:localhost,IP:127.0.0.1"]);
        succeeds(openssl.args(["-keyout", &key, "-out", &certificate]));
        let settings = [
            ("LANNER_LISTEN", "https://127.0.0.1:0"),
            ("LANNER_TLS_CERT", &certificate),
            ("LANNER_TLS_KEY", &key),
        ];
        let mut process = Process::start(&mut lanner(&[], &settings));
        let line = process.line_with("listening on https://");
        let port = line.trim().rsplit(':').next().unwrap().parse().unwrap();
        Some(Self {
            process,
            port,
            directory,
        })
    }

    fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.port)
    }

    /// curl that trusts the server's certificate.
    fn curl(&self, arguments: &[&str]) -> Option<String> {
        let certificate = self.directory.0.join("certificate.pem");
        let trusts = ["--cacert", certificate.to_str().unwrap()];
        curl(&[&trusts[..], arguments].concat()).map(|(output, _)| output)
    }
}

#[test]
fn curl_agrees_on_http_2_and_keeps_its_connection() {
    let Some(server) = Secure::start() else {
        return;
    };
    let url = server.url("/hello");
    let ask = [
        "-w",
        " %{http_version} %{http_code} %{num_connects}\n",
        &url,
        &url,
    ];
    let Some(output) = server.curl(&[&["--http2"], &ask[..]].concat()) else {
        return;
    };
    assert_eq!(output, "Hello, World! 2 200 1\nHello, World! 2 200 0\n");
    let Some(output) = server.curl(&[&["--http1.1"], &ask[..]].concat()) else {
        return;
    };
    assert_eq!(output, "Hello, World! 1.1 200 1\nHello, World! 1.1 200 0\n");
    let url = server.url("/bytes/20000000");
    let download = ["--http2", "-o", "/dev/null", "-w", "%{size_download}", &url];
    let Some(output) = server.curl(&download) else {
        return;
    };
    assert_eq!(output, "20000000");
    stopped_well(server.process);
}

#[test]
fn h2load_meets_no_error_over_tls() {
    let Some(mut command) = installed("h2load") else {
        return;
    };
    let Some(server) = Secure::start() else {
        return;
    };
    let url = server.url("/hello");
    let (output, _) = succeeds(command.args(["-c16", "-m32", "-n20000", "-N20s", &url]));
    let all = "20000 succeeded, 0 failed, 0 errored, 0 timeout";
    assert!(output.contains(all), "{output}");
    assert!(output.contains("Application protocol: h2\n"), "{output}");
    stopped_well(server.process);
}

#[test]
fn openssl_is_told_what_was_agreed_upon() {
    let Some(server) = Secure::start() else {
        return;
    };
    let address = format!("127.0.0.1:{}", server.port);
    let certificate = server.directory.0.join("certificate.pem");
    for (offered, version, agreed) in [
        ("h2,http/1.1", "-tls1_3", "ALPN protocol: h2\n"),
        ("http/1.1", "-tls1_3", "ALPN protocol: http/1.1\n"),
        ("h2", "-tls1_2", "ALPN protocol: h2\n"),
    ] {
        let Some(mut command) = installed("openssl") else {
            return;
        };
        command.args(["s_client", "-connect", &address, "-alpn", offered, version]);
        command.args([
            "-servername",
            "localhost",
            "-verify_return_error",
            "-CAfile",
        ]);
        let (output, errors) = succeeds(command.arg(&certificate));
        assert!(output.contains(agreed), "{output}\n{errors}");
        let verified =
            output.contains("Verification: OK") && output.contains("Verify return code: 0");
        assert!(verified, "{output}\n{errors}");
    }
    stopped_well(server.process);
}
