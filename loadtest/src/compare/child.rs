//! Child processes that cannot outlive us: pinned to a core, ended on drop, by their own ids and nobody else's, and told to end
//! by the kernel should we be killed. What one has cost is read between its end and its being reaped.

use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::arguments::Failure;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use super::process_tree;

/// How often a child is looked at while we wait for it.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What is read of a child's words, far more than any generator's report; the rest is thrown away.
const WORDS_BYTES_MAX: u64 = 64 << 20;

/// How long a child may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);

/// A running child.
#[derive(Debug)]
pub(crate) struct Pinned {
    pub(crate) child: Child,
    name: String,
}

/// What a child left.
#[derive(Debug)]
pub(crate) struct Ending {
    /// What it printed.
    pub(crate) text: String,
    /// User and system time of it and of its children.
    pub(crate) cpu_seconds: f64,
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

    /// Waits for its end and gives what it printed.
    pub(crate) fn output(self, within: Duration) -> Result<String, Failure> {
        Ok(self.ending(within)?.text)
    }

    /// Waits for its end. What it prints is read meanwhile: a pipe does not hold much.
    pub(crate) fn ending(mut self, within: Duration) -> Result<Ending, Failure> {
        let out = self.child.stdout.take();
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            if let Some(out) = out {
                let mut out = out.take(WORDS_BYTES_MAX);
                out.read_to_string(&mut text)?;
                io::copy(&mut out.into_inner(), &mut io::sink())?;
            }
            Ok::<_, io::Error>(text)
        });
        let ended = self.wait(within).map_err(Failure::of(&self.name))?;
        let Some((status, cpu_seconds)) = ended else {
            return Err(Failure::Run(format!(
                "{} did not end within {within:?}",
                self.name
            )));
        };
        let panicked = |_| Failure::Run(format!("{}: reading it panicked", self.name));
        let text = reader.join().map_err(panicked)?;
        let text = text.map_err(Failure::of(&self.name))?;
        match status.success() {
            true => Ok(Ending { text, cpu_seconds }),
            false => Err(Failure::Run(format!(
                "{} failed with {status}: {}",
                self.name,
                text.trim()
            ))),
        }
    }

    /// How it ended and what CPU time it took, if it does so in time.
    fn wait(&mut self, within: Duration) -> io::Result<Option<(ExitStatus, f64)>> {
        let until = Instant::now() + within;
        while !self.has_ended()? {
            if Instant::now() >= until {
                return Ok(None);
            }
            sleep(LOOK_EVERY);
        }
        // Nobody else can have its id before it is reaped.
        let cpu_seconds = process_tree::cpu_seconds_of_ended(self.id());
        Ok(Some((self.child.wait()?, cpu_seconds)))
    }

    /// Whether it has ended, without reaping it.
    fn has_ended(&self) -> io::Result<bool> {
        let Some(pid) = pid(self.id()) else {
            return Ok(true);
        };
        let looks = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        Ok(waitid(WaitId::Pid(pid), looks)?.is_some())
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
    if let Some(pid) = pid(id) {
        // It may be gone already, which is what we want.
        let _ = kill_process(pid, signal);
    }
}

fn pid(id: u32) -> Option<Pid> {
    i32::try_from(id).ok().and_then(Pid::from_raw)
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
    fn what_a_child_and_its_own_children_cost_is_known_when_it_has_ended() {
        // Whatever the machine's speed: it ends when its child has used more than a tenth of a second.
        let script = "sh -c 'while read -r _ _ _ _ _ _ _ _ _ _ _ _ _ user system _ < /proc/self/stat; \
                      do if [ $((user + system)) -gt 10 ]; then exit; fi; done'; exit 0";
        let mut command = pinned_to(0, "sh");
        let child = Pinned::start("sh", command.args(["-c", script])).unwrap();
        let ending = child.ending(Duration::from_secs(60)).unwrap();
        assert!(ending.cpu_seconds > 0.1, "{ending:?}");
        let idle = Pinned::start("true", &mut pinned_to(0, "true")).unwrap();
        let idle = idle.ending(Duration::from_secs(10)).unwrap();
        assert!(idle.cpu_seconds < ending.cpu_seconds, "{idle:?}");
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
