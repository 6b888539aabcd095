//! A server that runs: how one knows that it answers, and how it is stopped.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use lanner_loadtest::arguments::Failure;

use crate::Plan;
use crate::child::Pinned;
use crate::recipe::Recipe;

/// How long a server may take to answer its first request.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// How long one answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// A server that answers. Ends when dropped, its directory with it.
#[derive(Debug)]
pub(crate) struct Server {
    /// Before `directory`: fields are dropped in order, and the process must end before its files go.
    process: Pinned,
    directory: Directory,
    pub(crate) address: SocketAddr,
}

/// A directory of our own that goes with us.
#[derive(Debug)]
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Server {
    /// Starts one and waits until it answers as it should.
    pub(crate) fn start(recipe: &Recipe, plan: &Plan) -> Result<Self, Failure> {
        let directory = Directory(std::env::temp_dir().join(format!(
            "side-by-side-{}-{}",
            std::process::id(),
            recipe.name
        )));
        fs::create_dir_all(&directory.0)
            .map_err(Failure::of("the directory for a server's files"))?;
        let port = free_port().map_err(Failure::of("finding a free port"))?;
        let mut command = recipe.command(plan, port, &directory.0)?;
        let log = directory.0.join("log");
        let log_file = fs::File::create(&log).map_err(Failure::of("a server's log"))?;
        let log_file_too = log_file
            .try_clone()
            .map_err(Failure::of("a server's log"))?;
        command.stdout(log_file).stderr(log_file_too);
        let mut server = Self {
            process: Pinned::start(&recipe.name, &mut command)?,
            directory,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        };
        server.wait_until_it_answers().map_err(|reason| {
            let said = fs::read_to_string(server.directory.0.join("log")).unwrap_or_default();
            Failure::Run(format!("{}: {reason}\n{}", recipe.name, said.trim()))
        })?;
        Ok(server)
    }

    /// The id of the process whose tree is the server.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    fn wait_until_it_answers(&mut self) -> Result<(), String> {
        let until = Instant::now() + START_TIMEOUT;
        loop {
            if let Ok(Some(status)) = self.process.child.try_wait() {
                return Err(format!("ended at once with {status}"));
            }
            match TcpStream::connect_timeout(&self.address, ANSWER_TIMEOUT) {
                Ok(stream) => {
                    return check_answers(stream, self.address)
                        .map_err(|error| format!("/hello: {error}"));
                }
                Err(error) if Instant::now() >= until => {
                    return Err(format!("does not listen: {error}"));
                }
                Err(_) => sleep(Duration::from_millis(20)),
            }
        }
    }
}

/// Two requests on one connection, then two in one write: all must be answered alike, or the figures compare nothing.
fn check_answers(mut stream: TcpStream, address: SocketAddr) -> Result<(), String> {
    stream
        .set_read_timeout(Some(ANSWER_TIMEOUT))
        .map_err(|error| error.to_string())?;
    let request = format!("GET /hello HTTP/1.1\r\nHost: {address}\r\n\r\n");
    for (requests, answers) in [
        (request.clone(), 1),
        (request.clone(), 1),
        (request.repeat(2), 2),
    ] {
        stream
            .write_all(requests.as_bytes())
            .map_err(|error| error.to_string())?;
        let mut text = String::new();
        while text.matches("Hello, World!").count() < answers {
            let mut bytes = [0; 4096];
            match stream.read(&mut bytes) {
                Ok(0) => return Err(format!("the connection ended after {text:?}")),
                Ok(count) => text.push_str(&String::from_utf8_lossy(&bytes[..count])),
                Err(error) => return Err(format!("{error} after {text:?}")),
            }
        }
        for answer in text.split_inclusive("Hello, World!") {
            check_answer(answer)?;
        }
    }
    Ok(())
}

fn check_answer(answer: &str) -> Result<(), String> {
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or_else(|| format!("no head in {answer:?}"))?;
    let fields = head.to_ascii_lowercase();
    let has = |field: &str| fields.lines().any(|line| line.starts_with(field));
    let right = head.starts_with("HTTP/1.1 200 ")
        && body == "Hello, World!"
        && has("content-type: text/plain")
        && has("content-length: 13")
        && has("date: ");
    if right {
        return Ok(());
    }
    Err(format!(
        "expected 200, text/plain, Content-Length, Date and `Hello, World!`, not {answer:?}"
    ))
}

/// A port that was free just now. Another process may take it first; then the server says so and the run ends.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_agreed_answer_passes() {
        let right = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\ncontent-length: 13\r\nDate: x\r\n\r\nHello, World!";
        assert_eq!(check_answer(right), Ok(()));
        for (part, other) in [
            ("200", "404"),
            ("text/plain", "text/html"),
            ("Date", "Dote"),
            ("content-length: 13", "transfer-encoding: chunked"),
            ("\r\n\r\n", "\r\n\r\nOh. "),
        ] {
            assert!(
                check_answer(&right.replace(part, other)).is_err(),
                "{other}"
            );
        }
    }
}
