//! Where log lines go: to a thread of their own, which alone waits for standard error. A reader that does not keep up
//! costs lines, and how many is said once there is room again; it never holds up a worker, or the end of the process.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;
use tracing_subscriber::fmt::MakeWriter;

/// Lines that may wait for the reader.
const LINES_MAX: usize = 4096;

/// How long the end of the process waits for the last of them.
const LAST_LINES_PATIENCE: Duration = Duration::from_millis(500);

static LINES: OnceLock<SyncSender<Message>> = OnceLock::new();
static DROPPED: AtomicU64 = AtomicU64::new(0);

enum Message {
    Line(Vec<u8>),
    /// Whoever waits at the other end is told by its closing that all lines before this are written.
    Flush(SyncSender<()>),
}

/// Makes a writer for each line.
pub(crate) struct LogWriter;

impl LogWriter {
    /// Starts the thread.
    pub(crate) fn start() -> io::Result<Self> {
        let (sender, messages) = sync_channel(LINES_MAX);
        std::thread::Builder::new()
            .name("lanner-log".to_owned())
            .spawn(move || write_all(&messages))?;
        // The other outcome is that a thread serves already.
        let _ = LINES.set(sender);
        Ok(Self)
    }
}

fn write_all(messages: &Receiver<Message>) {
    for message in messages {
        match message {
            Message::Line(line) => {
                let dropped = DROPPED.swap(0, Ordering::Relaxed);
                let mut output = io::stderr().lock();
                if dropped > 0 {
                    let _ = writeln!(output, "{dropped} log lines were dropped: nobody took them");
                }
                let _ = output.write_all(&line);
            }
            Message::Flush(done) => drop(done),
        }
    }
}

/// Waits until what was logged is written, but not for ever: nobody may be reading.
pub(crate) fn finish() {
    let (done, is_done) = sync_channel(0);
    if LINES
        .get()
        .is_some_and(|lines| lines.try_send(Message::Flush(done)).is_ok())
    {
        let _ = is_done.recv_timeout(LAST_LINES_PATIENCE);
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        Self
    }
}

/// Takes a whole line at a time, as the formatter hands them over.
impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let sent = LINES
            .get()
            .is_some_and(|lines| lines.try_send(Message::Line(line.to_vec())).is_ok());
        if !sent {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
