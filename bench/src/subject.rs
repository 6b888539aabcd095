//! The program `steady` as a process of its own: one worker, and nothing else that would be counted.

use crate::obstacle::Obstacle;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::DirBuilder;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What `steady` ends with when its driver cannot run.
pub const NO_DRIVER: u8 = 3;

/// How long it may take to stop, under a tool that slows it down a hundredfold; it is killed then.
const STOP_PATIENCE: Duration = Duration::from_secs(60);

/// How often its end is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// A running `steady`, perhaps under a tool that watches it. It ends when its standard input does, so it cannot
/// outlive us.
#[derive(Debug)]
pub struct Subject {
    child: Child,
    /// What it prints.
    output: Option<BufReader<ChildStdout>>,
    /// Where it serves.
    pub address: SocketAddr,
    /// The thread id of its worker.
    pub worker: u32,
    /// Its own process id, which under a tool may be another than the child's.
    process: i32,
}

impl Subject {
    /// Starts it and waits until it serves.
    ///
    /// # Errors
    /// If it does not come so far.
    pub fn start(mut command: Command) -> Result<Self, Obstacle> {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let name = format!("{command:?}");
        let mut child = command.spawn().map_err(Obstacle::failed(&name))?;
        let mut line = String::new();
        let mut output = child.stdout.take().map(BufReader::new);
        if let Some(output) = &mut output {
            let read = output.read_line(&mut line);
            read.map_err(Obstacle::failed(&name))?;
        }
        match parse(&line) {
            Some((address, process, worker)) => Ok(Self {
                child,
                output,
                address,
                worker,
                process,
            }),
            None => Err(failure(child, &name)),
        }
    }

    /// Waits until it is at the end of a step, if it goes in steps.
    ///
    /// # Errors
    /// If it has ended.
    pub fn await_step(&mut self) -> io::Result<()> {
        match &mut self.output {
            Some(output) => output.read_exact(&mut [0]),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Lets it take the next one.
    ///
    /// # Errors
    /// If it has ended.
    pub fn step(&mut self) -> io::Result<()> {
        match &mut self.child.stdin {
            Some(input) => input.write_all(b"."),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Lets it stop, and waits for its end.
    ///
    /// # Errors
    /// If it fails meanwhile.
    pub fn end(mut self) -> Result<(), Obstacle> {
        let status = self.stop().map_err(Obstacle::failed("steady"))?;
        if status.success() {
            return Ok(());
        }
        let mut said = String::new();
        if let Some(mut err) = self.child.stderr.take() {
            let _ = err.read_to_string(&mut said);
        }
        Err(Obstacle::Failure(format!("steady: {status}: {said}")))
    }

    fn stop(&mut self) -> io::Result<ExitStatus> {
        drop(self.child.stdin.take());
        let until = Instant::now() + STOP_PATIENCE;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            sleep(LOOK_EVERY);
        }
        // The child has not been waited for, so its id, and that of the process it waits for, are still theirs.
        if let Some(process) = Pid::from_raw(self.process) {
            let _ = kill_process(process, Signal::KILL);
        }
        self.child.kill()?;
        self.child.wait()
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

/// Why it did not start.
fn failure(mut child: Child, name: &str) -> Obstacle {
    drop(child.stdin.take());
    let mut said = String::new();
    if let Some(mut err) = child.stderr.take() {
        let _ = err.read_to_string(&mut said);
    }
    let status = child.wait().ok().and_then(|status| status.code());
    if status == Some(i32::from(NO_DRIVER)) {
        return Obstacle::Driver(said.trim().into());
    }
    if said.contains("ptrace") || said.contains("PTRACE") {
        return Obstacle::Tool(format!("processes may not be traced here: {}", said.trim()));
    }
    Obstacle::Failure(format!("{name} did not start ({status:?}): {said}"))
}

/// Reads what `steady` prints: `serving ADDRESS PROCESS THREAD`.
fn parse(line: &str) -> Option<(SocketAddr, i32, u32)> {
    let mut words = line.strip_prefix("serving ")?.split_whitespace();
    let address = words.next()?.parse().ok()?;
    let process = words.next()?.parse().ok()?;
    Some((address, process, words.next()?.parse().ok()?))
}

/// A file for a tool to write to, or a directory, gone with this value.
#[derive(Debug)]
pub struct Scratch(pub PathBuf);

impl Scratch {
    /// A path that nobody else uses.
    pub fn new(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let file = format!("lanner-bench-{}-{number}-{name}", std::process::id());
        Self(std::env::temp_dir().join(file))
    }

    /// A directory that nobody else uses or reads.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn directory(name: &str) -> io::Result<Self> {
        let scratch = Self::new(name);
        DirBuilder::new().mode(0o700).create(&scratch.0)?;
        Ok(scratch)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = match self.0.is_dir() {
            true => std::fs::remove_dir_all(&self.0),
            false => std::fs::remove_file(&self.0),
        };
    }
}

/// Whether a program is on the path.
///
/// # Errors
/// If not, with the package that brings it.
pub fn tool(name: &str) -> Result<(), Obstacle> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    match std::env::split_paths(&path).any(|directory| directory.join(name).is_file()) {
        true => Ok(()),
        false => Err(Obstacle::Tool(format!(
            "there is no {name} here (Debian's package {name} brings it)"
        ))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_program_that_is_not_there_is_an_obstacle_with_its_package() {
        assert!(tool("sh").is_ok());
        match tool("valgrind-of-nobody") {
            Err(Obstacle::Tool(text)) => assert!(text.contains("package valgrind-of-nobody")),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_it_prints_is_read() {
        let address = "127.0.0.1:80".parse().unwrap();
        assert_eq!(parse("serving 127.0.0.1:80 7 8\n"), Some((address, 7, 8)));
        for wrong in [
            "",
            "serving nowhere 7 8",
            "serving 127.0.0.1:80 7",
            "127.0.0.1:80 7 8",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_was_scratched_together_is_gone_with_its_value() {
        let directory = Scratch::directory("test").unwrap();
        let path = directory.0.clone();
        std::fs::write(path.join("file"), "text").unwrap();
        drop(directory);
        assert!(!path.exists());
    }
}
