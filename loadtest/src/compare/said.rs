//! What a server prints: read all the time, so that it never waits for us, and only the last of it kept, so that one that never
//! stops costs neither memory nor disk.

use std::collections::VecDeque;
use std::io::{self, PipeReader, Read};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

/// What is kept: a backtrace, or a page of errors.
const KEPT_BYTES_MAX: usize = 16 << 10;

/// How long the end of what it says is waited for: at once, where it has ended.
const PATIENCE: Duration = Duration::from_millis(300);

/// See the file's comment.
#[derive(Debug)]
pub(crate) struct Said {
    kept: Arc<Mutex<VecDeque<u8>>>,
    reader: JoinHandle<()>,
}

impl Said {
    /// Listens to both of a program's outputs, from its start on. The command is to be dropped when it has been started: it
    /// holds them open.
    pub(crate) fn by(command: &mut Command) -> io::Result<Self> {
        let (from, to) = io::pipe()?;
        command.stdout(to.try_clone()?).stderr(to);
        let kept = Arc::new(Mutex::new(VecDeque::new()));
        let keeps = Arc::clone(&kept);
        let reader = thread::Builder::new().name("said".to_owned());
        let reader = reader.spawn(move || listen(from, &keeps))?;
        Ok(Self { kept, reader })
    }

    /// The last of it; all of that, if the program has ended.
    pub(crate) fn last(&self) -> String {
        let until = Instant::now() + PATIENCE;
        while !self.reader.is_finished() && Instant::now() < until {
            sleep(Duration::from_millis(5));
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(kept.make_contiguous());
        printable(text.trim())
    }
}

/// The text without what would colour a terminal, or spoil a document.
fn printable(text: &str) -> String {
    let is_layout = |letter| matches!(letter, '\n' | '\t');
    let spared = |letter: &char| !letter.is_control() || is_layout(*letter);
    text.chars().filter(spared).collect()
}

fn listen(mut from: PipeReader, kept: &Mutex<VecDeque<u8>>) {
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(&bytes[..count]);
        let excess = kept.len().saturating_sub(KEPT_BYTES_MAX);
        kept.drain(..excess);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn said(program: &str, words: &[&str]) -> String {
        let mut command = Command::new(program);
        let said = Said::by(command.args(words)).unwrap();
        command.spawn().unwrap().wait().unwrap();
        drop(command);
        said.last()
    }

    #[test]
    fn both_outputs_are_heard() {
        let text = said("sh", &["-c", "echo one; echo two >&2"]);
        assert_eq!(text, "one\ntwo");
        assert_eq!(said("true", &[]), "");
    }

    #[test]
    fn a_terminal_is_told_nothing_by_it() {
        assert_eq!(
            said("printf", &["\\033[31mred\\000\\r\\n\\tend"]),
            "[31mred\n\tend"
        );
    }

    #[test]
    fn of_much_only_the_last_is_kept() {
        let text = said("seq", &["1000000"]);
        assert!(text.ends_with("\n999999\n1000000"), "{text}");
        assert!(text.len() <= KEPT_BYTES_MAX);
    }

    #[test]
    fn one_that_never_stops_is_not_waited_for() {
        let mut command = Command::new("yes");
        let said = Said::by(&mut command).unwrap();
        let mut yes = command.spawn().unwrap();
        drop(command);
        while !said.last().ends_with('y') {}
        assert!(said.last().len() <= KEPT_BYTES_MAX);
        yes.kill().unwrap();
        yes.wait().unwrap();
    }
}
