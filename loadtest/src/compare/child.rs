//! Child processes that cannot outlive us: pinned to a core, ended on drop, by their own ids and nobody else's, and told to end
//! by the kernel should we be killed.

use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::arguments::Failure;
use rustix::process::{Pid, Signal, kill_process};

use super::process_tree;

/// How often a child is looked at while we wait for it.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// How long a child may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);

/// A running child.
#[derive(Debug)]
pub(crate) struct Pinned {
    pub(crate) child: Child,
    name: String,
}

/// A command that runs on one core. `setpriv` and `taskset` replace themselves by what they start, so the child's id is the
/// program's.
pub(crate) fn pinned_to(core: usize, program: impl AsRef<Path>) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "TERM", "taskset", "-c", &core.to_string()])
        .arg(program.as_ref());
    command.stdin(Stdio::null());
    command
}

/// Whether a program is on the path.
pub(crate) fn program_exists(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(name).is_file())
}

impl Pinned {
    /// Starts it.
    pub(crate) fn start(name: &str, command: &mut Command) -> Result<Self, Failure> {
        let child = command.spawn().map_err(Failure::of(name))?;
        Ok(Self {
            child,
            name: name.to_owned(),
        })
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end and gives what it printed, which is read meanwhile: a pipe does not hold much.
    pub(crate) fn output(mut self, within: Duration) -> Result<String, Failure> {
        let out = self.child.stdout.take();
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            out.map_or(Ok(0), |mut out| out.read_to_string(&mut text))
                .map(|_| text)
        });
        let Some(status) = self.wait(within).map_err(Failure::of(&self.name))? else {
            return Err(Failure::Run(format!(
                "{} did not end within {within:?}",
                self.name
            )));
        };
        let panicked = |_| Failure::Run(format!("{}: reading it panicked", self.name));
        let text = reader.join().map_err(panicked)?;
        let text = text.map_err(Failure::of(&self.name))?;
        match status.success() {
            true => Ok(text),
            false => Err(Failure::Run(format!(
                "{} failed with {status}: {}",
                self.name,
                text.trim()
            ))),
        }
    }

    fn wait(&mut self, within: Duration) -> io::Result<Option<ExitStatus>> {
        let until = Instant::now() + within;
        loop {
            match self.child.try_wait()? {
                None if Instant::now() < until => sleep(LOOK_EVERY),
                status => return Ok(status),
            }
        }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // Not yet reaped, so no other process can have its id.
        if matches!(self.child.try_wait(), Ok(None)) {
            signal(self.id(), Signal::TERM);
            if matches!(self.wait(GRACE), Ok(None)) {
                for member in process_tree::members(self.id()) {
                    signal(member, Signal::KILL);
                }
                let _ = self.child.wait();
            }
        }
    }
}

fn signal(id: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        // It may be gone already, which is what we want.
        let _ = kill_process(pid, signal);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn sleeper() -> Pinned {
        Pinned::start("sleep", pinned_to(0, "sleep").arg("600")).unwrap()
    }

    #[test]
    fn a_dropped_child_is_gone() {
        let child = sleeper();
        let id = child.id();
        assert!(Path::new(&format!("/proc/{id}")).exists());
        drop(child);
        assert!(!Path::new(&format!("/proc/{id}")).exists());
    }

    #[test]
    fn a_child_that_takes_too_long_is_given_up_and_ended() {
        let child = sleeper();
        let id = child.id();
        let error = child
            .output(Duration::from_millis(1))
            .unwrap_err()
            .to_string();
        assert!(error.contains("did not end"), "{error}");
        assert!(!Path::new(&format!("/proc/{id}")).exists());
    }

    #[test]
    fn more_is_read_than_a_pipe_holds() {
        let mut command = pinned_to(0, "seq");
        command.arg("100000").stdout(Stdio::piped());
        let seq = Pinned::start("seq", &mut command).unwrap();
        let text = seq.output(Duration::from_secs(10)).unwrap();
        assert!(text.ends_with("\n99999\n100000\n"));
    }

    #[test]
    fn output_and_failure_are_told() {
        let within = Duration::from_secs(10);
        let echo = Pinned::start(
            "echo",
            pinned_to(0, "echo").arg("hello").stdout(Stdio::piped()),
        )
        .unwrap();
        assert_eq!(echo.output(within).unwrap(), "hello\n");
        let failing = Pinned::start("false", &mut pinned_to(0, "false")).unwrap();
        assert!(
            failing
                .output(within)
                .unwrap_err()
                .to_string()
                .contains("exit status: 1")
        );
    }
}
