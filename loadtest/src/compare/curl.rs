//! One look at a server with `curl`, which is nobody's rival: that the answer is right over TLS and HTTP/2, that the certificate
//! is the server's own, that the version is the one agreed on, and that the connection is kept.
//!
//! In cleartext HTTP/2 it asks once: curl 7.88, which Debian has, breaks the second request on such a connection.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::arguments::Failure;

use super::child::Pinned;
use super::credentials::Credentials;
use super::wire::Wire;

/// How long its requests may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What curl writes after each answer: the version, and how many connections it opened for it.
const MARK: &str = "<%{http_version} %{num_connects}>";

/// Asks on one connection; gives the answers, as curl printed them.
pub(crate) fn ask(
    address: SocketAddr,
    wire: Wire,
    credentials: &Credentials,
) -> Result<Vec<String>, Failure> {
    let mut command = command(address, wire, credentials);
    let text = Pinned::start("curl", &mut command)?.output(TIMEOUT)?;
    answers(&text, wire).map_err(Failure::Run)
}

fn command(address: SocketAddr, wire: Wire, credentials: &Credentials) -> Command {
    let mut command = Command::new("curl");
    // Nobody's own settings or proxies.
    command.args(["--disable", "--noproxy", "*"]);
    command.args(["--silent", "--show-error", "--include", "--write-out", MARK]);
    command.arg("--cacert").arg(credentials.certificate());
    command.arg(match wire {
        Wire::Http1 | Wire::Https1 => "--http1.1",
        Wire::Http2 => "--http2-prior-knowledge",
        Wire::Https2 => "--http2",
    });
    let url = format!("{}://{address}/hello", wire.scheme());
    command.args(vec![url; requests(wire)]);
    credentials.bind(&mut command);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    command
}

fn answers(text: &str, wire: Wire) -> Result<Vec<String>, String> {
    let version = if wire.is_http2() { "2" } else { "1.1" };
    let mut rest = text;
    let mut answers = Vec::new();
    for number in 0..requests(wire) {
        let opened = if number == 0 { 1 } else { 0 };
        let Some((answer, after)) = rest.split_once(&format!("<{version} {opened}>")) else {
            return Err(format!("over {}, curl had {text:?}", wire.name()));
        };
        answers.push(answer.to_owned());
        rest = after;
    }
    Ok(answers)
}

fn requests(wire: Wire) -> usize {
    if wire == Wire::Http2 { 1 } else { 2 }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn two_answers_on_one_connection_of_the_right_version_pass() {
        let expected = vec!["HTTP/2 200 \r\n\r\na".to_owned(), "b".to_owned()];
        let text = "HTTP/2 200 \r\n\r\na<2 1>b<2 0>";
        assert_eq!(answers(text, Wire::Https2), Ok(expected));
        assert!(answers("a<1.1 1>b<1.1 0>", Wire::Https1).is_ok());
    }

    #[test]
    fn another_version_or_a_second_connection_does_not() {
        for text in ["", "a<1.1 1>b<1.1 0>", "a<2 1>b<2 1>", "a<2 1>"] {
            assert!(answers(text, Wire::Https2).is_err(), "{text}");
        }
        assert!(answers("a<1.1 1>", Wire::Http2).is_err());
    }
}
