//! The access log (`LANNER_LOG_ACCESS`): one line an exchange, in Apache's combined format or as JSON, on standard
//! output.
//!
//! Workers gather lines and hand them over once a turn; a thread of its own writes them. A reader that does not keep
//! up costs lines, which are counted, and never a request.

use crate::counters::{Count, WorkerCounters};
use crate::date::{MONTHS, civil};
use crate::request::RequestHead;
use lanner_limits::LogAccess;
use lanner_protocol::{Head, Status};
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::time::Duration;

/// Batches that may wait for the writer.
const BATCHES_MAX: usize = 256;

/// A batch is handed over at this size even within a turn.
const BATCH_BYTES_MAX: usize = 64 * 1024;

/// How long the end of the server waits for the last lines to be taken.
const LAST_LINES_PATIENCE: Duration = Duration::from_millis(500);

/// The thread that writes.
#[derive(Debug)]
pub(crate) struct Writer {
    format: LogAccess,
    sender: SyncSender<String>,
}

impl Writer {
    /// Starts the thread, unless the log is off. It ends when the last worker's half is gone.
    pub(crate) fn start(format: LogAccess) -> std::io::Result<Option<(Self, Writing)>> {
        if format == LogAccess::Off {
            return Ok(None);
        }
        let (sender, batches) = sync_channel::<String>(BATCHES_MAX);
        let (done, is_done) = channel();
        std::thread::Builder::new()
            .name("lanner-access-log".into())
            .spawn(move || {
                for batch in batches {
                    let mut output = std::io::stdout().lock();
                    // Nobody reads any more: lines are dropped, requests go on.
                    let _ = output
                        .write_all(batch.as_bytes())
                        .and_then(|()| output.flush());
                }
                drop(done);
            })?;
        Ok(Some((Self { format, sender }, Writing { is_done })))
    }

    pub(crate) fn for_worker(&self, counters: Arc<WorkerCounters>) -> AccessLog {
        AccessLog {
            format: self.format,
            sender: self.sender.clone(),
            batch: String::new(),
            lines: 0,
            counters,
        }
    }
}

/// The thread at work.
#[derive(Debug)]
pub(crate) struct Writing {
    is_done: Receiver<()>,
}

impl Writing {
    /// Waits until the last line is written, but not for ever: nobody may be reading.
    pub(crate) fn finish(self) {
        let _ = self.is_done.recv_timeout(LAST_LINES_PATIENCE);
    }
}

/// One worker's half of the log.
#[derive(Debug)]
pub(crate) struct AccessLog {
    format: LogAccess,
    sender: SyncSender<String>,
    batch: String,
    lines: u64,
    counters: Arc<WorkerCounters>,
}

impl AccessLog {
    /// Adds the line of an exchange. `status` is `None` where it ended without an answer.
    pub(crate) fn line(
        &mut self,
        request: &RequestHead,
        status: Option<Status>,
        body_bytes: u64,
        duration: Duration,
        seconds: u64,
    ) {
        let status = status.map_or(499, Status::code);
        match self.format {
            LogAccess::Json => json_line(
                &mut self.batch,
                request,
                status,
                body_bytes,
                duration,
                seconds,
            ),
            LogAccess::Combined | LogAccess::Off => {
                combined_line(&mut self.batch, request, status, body_bytes, seconds);
            }
        }
        self.lines += 1;
        if self.batch.len() >= BATCH_BYTES_MAX {
            self.hand_over();
        }
    }

    /// Gives the lines gathered so far to the writer.
    pub(crate) fn hand_over(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let batch = std::mem::take(&mut self.batch);
        if self.sender.try_send(batch).is_err() {
            (0..self.lines).for_each(|_| self.counters.add(Count::LogLinesDropped));
        }
        self.lines = 0;
    }
}

fn combined_line(
    into: &mut String,
    request: &RequestHead,
    status: u16,
    body_bytes: u64,
    seconds: u64,
) {
    push_peer(into, request);
    let (year, month, day) = civil(seconds / 86_400);
    let month = MONTHS[month as usize - 1];
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let _ = write!(
        into,
        " - - [{day:02}/{month}/{year}:{hour:02}:{minute:02}:{second:02} +0000] \""
    );
    if request.method().is_empty() {
        // What came was no request.
        into.push('-');
    } else {
        push_quoted(into, request.method().as_bytes());
        into.push(' ');
        push_quoted(into, request.target().as_bytes());
        let _ = write!(into, " {}", version(&request.head));
    }
    let _ = write!(into, "\" {status} {body_bytes} \"");
    push_quoted(into, field(request, "referer"));
    into.push_str("\" \"");
    push_quoted(into, field(request, "user-agent"));
    into.push_str("\"\n");
}

fn json_line(
    into: &mut String,
    request: &RequestHead,
    status: u16,
    body_bytes: u64,
    duration: Duration,
    seconds: u64,
) {
    let _ = write!(into, "{{\"time\":{seconds},\"client.address\":\"");
    push_peer(into, request);
    for (name, value) in [
        ("http.request.method", request.method().as_bytes()),
        ("url.target", request.target().as_bytes()),
        ("server.address", request.head.host.slice(request.bytes())),
        ("user_agent.original", field(request, "user-agent")),
    ] {
        let _ = write!(into, "\",\"{name}\":\"");
        push_quoted(into, value);
    }
    let _ = writeln!(
        into,
        "\",\"network.protocol.version\":\"{}\",\"http.response.status_code\":{status},\
         \"http.response.body.size\":{body_bytes},\"duration_us\":{}}}",
        &version(&request.head)[5..],
        duration.as_micros(),
    );
}

fn push_peer(into: &mut String, request: &RequestHead) {
    match request
        .connection
        .as_ref()
        .and_then(|connection| connection.peer)
    {
        Some(peer) => {
            let _ = write!(into, "{}", peer.ip());
        }
        None => into.push('-'),
    }
}

fn field<'a>(request: &'a RequestHead, name: &str) -> &'a [u8] {
    request.head.field(request.bytes(), name).unwrap_or(b"-")
}

fn version(head: &Head) -> &'static str {
    match head.version {
        lanner_protocol::head::Version::Http10 => "HTTP/1.0",
        lanner_protocol::head::Version::Http11 => "HTTP/1.1",
        lanner_protocol::head::Version::Http2 => "HTTP/2.0",
    }
}

/// Appends text so that it can neither end its quotes nor its line, in a way that JSON reads too.
fn push_quoted(into: &mut String, text: &[u8]) {
    for &byte in text {
        match byte {
            b'"' => into.push_str("\\\""),
            b'\\' => into.push_str("\\\\"),
            b' '..=b'~' => into.push(byte as char),
            _ => {
                let _ = write!(into, "\\u00{byte:02x}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_a_client_sends_can_end_its_quotes_or_its_line() {
        let mut line = String::new();
        push_quoted(&mut line, b"a\"b\\c\nd\xffe\x7f");
        assert_eq!(line, "a\\\"b\\\\c\\u000ad\\u00ffe\\u007f");
    }

    #[test]
    fn a_writer_that_does_not_keep_up_costs_lines_and_counts_them() {
        let (sender, _receiver) = sync_channel(1);
        let counters = Arc::new(WorkerCounters::new());
        let mut log = AccessLog {
            format: LogAccess::Combined,
            sender,
            batch: String::new(),
            lines: 0,
            counters: counters.clone(),
        };
        for _ in 0..3 {
            log.line(
                &RequestHead::default(),
                Some(Status::OK),
                5,
                Duration::ZERO,
                0,
            );
            log.hand_over();
        }
        let sum = crate::counters::Counters::sum([&*counters].into_iter());
        assert_eq!(sum.count(Count::LogLinesDropped), 2);
    }
}
