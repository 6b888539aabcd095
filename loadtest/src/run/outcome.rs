//! What came of a run: the sums over its lanes, from which every report is made.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::latency::Latency;

use super::trouble::Troubles;

/// What one lane counted, or all of them together. Counts and latencies are of the time behind the warm-up; what concerns
/// connections is of the whole run, for most are made before.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// From the start of each request, which an open loop has fixed beforehand, to the last byte of its answer.
    pub latency: Latency,
    /// From the first packet to a connection.
    pub connect: Latency,
    /// From there to the end of the TLS handshake.
    pub handshake: Latency,
    /// TLS handshakes that were resumed.
    pub resumed: u64,
    /// Answers by their status.
    pub statuses: BTreeMap<u16, u64>,
    /// What came in the time that was recorded: what rates are of.
    pub in_time: InTime,
    /// Of the answers, those that came behind that time. Only an open loop waits for them.
    pub late: u64,
    /// How long behind it the last of them came.
    pub late_until: Duration,
    /// Bytes read from sockets behind the warm-up.
    pub bytes_read: u64,
    /// Bytes written to them.
    pub bytes_written: u64,
    /// Bytes of answers' bodies.
    pub body_bytes: u64,
    /// What went wrong.
    pub troubles: Troubles,
    /// Requests that were under way when the time was over: neither answered nor failed.
    pub unfinished: u64,
    /// Streams that some server allowed on a connection, where those are fewer than were asked for.
    pub streams_allowed: Option<usize>,
    /// What was still waited for then, requests and connections, in the words that it is told in where nothing at all was
    /// answered.
    pub(super) in_vain: Troubles,
}

impl Tally {
    /// Adds another lane's.
    pub(super) fn merge(&mut self, other: Self) {
        self.latency.merge(&other.latency);
        self.connect.merge(&other.connect);
        self.handshake.merge(&other.handshake);
        self.resumed += other.resumed;
        self.in_time.merge(other.in_time);
        self.late += other.late;
        self.late_until = self.late_until.max(other.late_until);
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        self.bytes_read += other.bytes_read;
        self.bytes_written += other.bytes_written;
        self.body_bytes += other.body_bytes;
        self.troubles.merge(other.troubles);
        self.unfinished += other.unfinished;
        self.in_vain.merge(other.in_vain);
        if let Some(streams) = other.streams_allowed {
            self.allow_streams(streams);
        }
    }

    /// A server allows fewer streams than are asked for.
    pub(super) fn allow_streams(&mut self, streams: usize) {
        let fewest = self.streams_allowed.unwrap_or(streams).min(streams);
        self.streams_allowed = Some(fewest);
    }

    /// The time is over. Where nothing was answered in it, what was still waited for is no end like any other: it went wrong.
    pub(super) fn settle(&mut self) {
        let in_vain = std::mem::take(&mut self.in_vain);
        if self.answers() == 0 && in_vain.sum() > 0 {
            self.troubles.merge(in_vain);
            self.unfinished = 0;
        }
    }

    /// What was moved so far was the warm-up's.
    pub(super) fn forget_bytes(&mut self) {
        (self.bytes_read, self.bytes_written, self.body_bytes) = (0, 0, 0);
    }

    /// The time that is recorded is over: what is moved from now on was not moved in it.
    pub(super) fn note_bytes(&mut self) {
        self.in_time.bytes_read = self.bytes_read;
        self.in_time.bytes_written = self.bytes_written;
        self.in_time.body_bytes = self.body_bytes;
    }

    /// All answers, whatever their status.
    pub fn answers(&self) -> u64 {
        self.statuses.values().sum()
    }

    /// Where nothing was answered: what to say of it, in the words of the most frequent trouble.
    pub fn without_answer(&self) -> Option<String> {
        if self.answers() > 0 {
            return None;
        }
        let worst = self.troubles.met().max_by_key(|(_, count, _)| *count);
        Some(match worst {
            Some((_, _, first)) => format!("nothing was answered: {first}"),
            None => "nothing was answered in the time that was recorded".to_owned(),
        })
    }

    /// Answers that are no success: neither 2xx nor 3xx.
    pub fn failures(&self) -> u64 {
        let failed = |(status, _): &(&u16, &u64)| !(200..400).contains(*status);
        let counts = self.statuses.iter().filter(failed);
        counts.map(|(_, count)| count).sum()
    }
}

/// What came in the time that was recorded, whatever belongs to it. In an open loop that is something else than the answers to
/// the requests of that time: a server that falls behind answers those of the warm-up in it, and many of its own when it is
/// over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InTime {
    /// Answers.
    pub answers: u64,
    /// Bytes read from sockets.
    pub bytes_read: u64,
    /// Bytes written to them.
    pub bytes_written: u64,
    /// Bytes of answers' bodies.
    pub body_bytes: u64,
}

impl InTime {
    fn merge(&mut self, other: Self) {
        self.answers += other.answers;
        self.bytes_read += other.bytes_read;
        self.bytes_written += other.bytes_written;
        self.body_bytes += other.body_bytes;
    }
}

/// One piece of the time line, the warm-up included.
#[derive(Clone, Debug)]
pub struct Interval {
    /// Its number; each is as long as [`Outcome::interval`].
    pub number: u64,
    /// Latencies of the requests that were answered in it.
    pub latency: Latency,
    /// How many of them came behind the time that was recorded.
    pub late: u64,
    /// What went wrong in it.
    pub troubles: u64,
}

impl Interval {
    pub(crate) fn new(number: u64) -> Self {
        Self {
            number,
            latency: Latency::coarse(),
            late: 0,
            troubles: 0,
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.latency.merge(&other.latency);
        self.late += other.late;
        self.troubles += other.troubles;
    }

    /// Whether it belongs to the time line: it is one of the `pieces` in which requests are sent, or something happened in it.
    pub(super) fn is_worth_telling(&self, pieces: u64) -> bool {
        self.number < pieces || self.latency.count() > 0 || self.troubles > 0
    }
}

/// See the file's comment.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The sums.
    pub tally: Tally,
    /// The time line, one after the other, the first of which begin with the warm-up.
    pub time_line: Vec<Interval>,
    /// How long each piece of the time line is.
    pub interval: Duration,
    /// How long was recorded: what rates are over.
    pub recorded: Duration,
    /// How long the warm-up was.
    pub warm_up: Duration,
    /// Why the run ended before its time.
    pub aborted: Option<String>,
    /// That was because somebody wished it, and not because there was no use in going on.
    pub is_interrupted: bool,
}

impl Outcome {
    /// The run ended so long after it began, which was before its time.
    pub(super) fn end_at(&mut self, elapsed: Duration) {
        self.recorded = elapsed.saturating_sub(self.warm_up).min(self.recorded);
        self.warm_up = self.warm_up.min(elapsed);
    }

    /// Answers per second, in the time that was recorded. What an open loop was answered later is not among them, or a server
    /// that falls behind would seem to keep up.
    pub fn rate(&self) -> f64 {
        let seconds = self.recorded.as_secs_f64();
        if seconds > 0.0 {
            self.tally.in_time.answers as f64 / seconds
        } else {
            0.0
        }
    }
}
