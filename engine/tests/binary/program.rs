//! Processes under test: started, waited for by what they say or serve, and never left behind.

use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Nothing here takes nearly as long; a hang becomes a failure and not a stuck run.
const PATIENCE: Duration = Duration::from_secs(30);

/// The program with these arguments and an environment of nothing but `environment`.
pub(crate) fn lanner(arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lanner"));
    command
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied());
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// Runs the program to its end.
pub(crate) fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    lanner(arguments, environment)
        .stdout(Stdio::piped())
        .output()
        .unwrap()
}

/// A process and the lines it writes to standard error.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Process {
    /// Starts `command`, whose standard error is read.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines() {
                // Once nobody listens the pipe is closed, and the process has to live with that.
                let Ok(()) = sender.send(line.unwrap_or_default()) else {
                    return;
                };
            }
        });
        Self {
            child,
            lines,
            said: Vec::new(),
        }
    }

    /// The next line that holds `part`.
    pub(crate) fn line_with(&mut self, part: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            match self
                .lines
                .recv_timeout(until.saturating_duration_since(Instant::now()))
            {
                Ok(line) => {
                    self.said.push(line.clone());
                    if line.contains(part) {
                        return line;
                    }
                }
                Err(error) => panic!("no line with {part:?} ({error}):\n{}", self.said.join("\n")),
            }
        }
    }

    /// Waits until something accepts connections at `address`. Whoever has no line to say that it is ready is asked
    /// again whenever it has said anything, or a moment has passed.
    fn wait_until_it_listens(&mut self, address: SocketAddr) {
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            match self.lines.recv_timeout(Duration::from_millis(5)) {
                Ok(line) => self.said.push(line),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("it ended:\n{}", self.said.join("\n"))
                }
            }
            assert!(
                Instant::now() < until,
                "nobody listens at {address}:\n{}",
                self.said.join("\n")
            );
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it writes to standard output, if that was asked for.
    pub(crate) fn stdout(&mut self) -> impl Read + use<> {
        self.child.stdout.take().unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits for its end. Gives everything it said.
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        // Its end closes the pipe, so this is also where a hang is noticed.
        let until = Instant::now() + PATIENCE;
        loop {
            match self
                .lines
                .recv_timeout(until.saturating_duration_since(Instant::now()))
            {
                Ok(line) => self.said.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("it does not end:\n{}", self.said.join("\n"))
                }
            }
        }
        (self.child.wait().unwrap(), self.said.join("\n"))
    }

    /// Asks it to stop as an operator would, and waits for its end.
    pub(crate) fn stop(self) -> (ExitStatus, String) {
        self.signal(Signal::TERM);
        self.end()
    }

    /// Closes our end of its standard error.
    pub(crate) fn stop_listening(&mut self) {
        self.lines = channel().1;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            // A master process is given the chance to take its workers along.
            self.signal(Signal::TERM);
            let until = Instant::now() + Duration::from_secs(2);
            while Instant::now() < until {
                if !matches!(
                    self.lines.recv_timeout(Duration::from_millis(50)),
                    Err(RecvTimeoutError::Timeout) | Ok(_)
                ) {
                    break;
                }
            }
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// A lanner that serves.
pub(crate) struct Serving {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

impl Serving {
    /// Starts it with these arguments and settings, on a port that the kernel chooses.
    pub(crate) fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = lanner(arguments, environment);
        command.env("LANNER_LISTEN", "http://127.0.0.1:0");
        Self::launch(&mut command)
    }

    /// Starts a command that makes it listen on a TCP port.
    pub(crate) fn launch(command: &mut Command) -> Self {
        let mut process = Process::start(command);
        let line = process.line_with("listening on http://");
        let address = line
            .rsplit("http://")
            .next()
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        Self { process, address }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Sends bytes on a connection of their own and reads to its end.
    pub(crate) fn exchange(&self, bytes: &str) -> String {
        let mut connection = self.connect();
        connection.write_all(bytes.as_bytes()).unwrap();
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).unwrap();
        String::from_utf8(answer).unwrap()
    }

    /// A request without a body, on a connection of its own.
    pub(crate) fn request(&self, method: &str, target: &str) -> Answer {
        Answer::new(self.exchange(&format!(
            "{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )))
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let connection = TcpStream::connect(self.address).unwrap();
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        connection
    }
}

/// A response, taken apart as far as the tests look.
pub(crate) struct Answer {
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn new(text: String) -> Self {
        let (head, body) = text
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("no whole head: {text:?}"));
        Self {
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    pub(crate) fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let fields = self
            .head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "));
        fields
            .filter(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .next()
    }
}

/// A server of somebody else's, ready on a port of this machine.
pub(crate) struct Front {
    _process: Process,
    _directory: Directory,
    pub(crate) address: SocketAddr,
}

impl Front {
    /// Starts `command` with the path of a configuration made of `template`, in which `@port@`, `@directory@` and
    /// `@upstream_port@` are filled in.
    pub(crate) fn start(
        template: &str,
        upstream: SocketAddr,
        command: impl FnOnce(&Path) -> Command,
    ) -> Self {
        // Bound and let go again: these programs cannot say which port the kernel chose for them.
        let address = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let directory = Directory::new();
        let configuration = template
            .replace("@port@", &address.port().to_string())
            .replace("@upstream_port@", &upstream.port().to_string())
            .replace("@directory@", directory.0.to_str().unwrap());
        let path = directory.file("front.conf", &configuration);
        let mut process = Process::start(command(&path).stdin(Stdio::null()).stdout(Stdio::null()));
        process.wait_until_it_listens(address);
        Self {
            _process: process,
            _directory: directory,
            address,
        }
    }
}

/// A directory of a test's own that goes with it.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("lanner-test-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A program that has to be installed: `None`, and the test says so, where it is not. In CI that is a failure.
pub(crate) fn installed(program: &str) -> Option<Command> {
    let search = std::env::var("PATH").unwrap_or_default();
    let search = std::env::split_paths(&search).chain(["/usr/sbin".into(), "/sbin".into()]);
    let found = search
        .map(|directory| directory.join(program))
        .find(|path| path.is_file());
    if found.is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "{program} is not installed, and CI must not skip what needs it"
        );
        eprintln!("skipped: {program} is not installed");
    }
    found.map(Command::new)
}

/// Runs a client to its end; gives standard output and standard error.
pub(crate) fn finish(command: &mut Command) -> (bool, String, String) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.success(),
        text(&output.stdout),
        text(&output.stderr),
    )
}
