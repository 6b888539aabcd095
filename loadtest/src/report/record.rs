//! Every figure of one run, as it is written to JSON and read back.
//!
//! Latencies are in milliseconds, times in seconds, the histogram in nanoseconds; names say so. What was not measured is
//! `null`, never zero.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::distribution;
use super::readable::Seconds;
use crate::latency::Latency;
use crate::run::{Interval, Outcome, Pace, Place, Plan, Tally, Version};
use crate::schedule::Arrivals;

/// Changed when a name changes its meaning or goes; names that are added leave it.
const FORMAT: u32 = 1;

/// Files that are larger are no reports of ours, whose histograms have some thousand steps.
pub(super) const FILE_BYTES_MAX: u64 = 64 << 20;

/// See the file's comment.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Record {
    format: u32,
    /// What the run is called.
    pub title: String,
    /// What was asked of whom.
    pub asked: Asked,
    /// Why the run ended before its time.
    pub aborted: Option<String>,
    /// That was because somebody wished it, and not because there was no use in going on.
    #[serde(default)]
    pub interrupted: bool,
    /// How long requests were sent before anything was recorded.
    pub warm_up_s: f64,
    /// How long was recorded.
    pub recorded_s: f64,
    /// Answers per second, in the time that was recorded.
    pub rate: f64,
    /// What `rate` and the bytes per second are of. In records of before it was told apart, everything is.
    #[serde(default)]
    pub in_time: Option<InTime>,
    /// Answers, whatever their status, to what was asked in the time that was recorded.
    pub answers: u64,
    /// Those of them that came behind it, where an open loop had to wait for some.
    #[serde(default)]
    pub late: Option<Late>,
    /// Those that are neither 2xx nor 3xx.
    pub failures: u64,
    /// Answers by their status.
    pub statuses: BTreeMap<u16, u64>,
    /// What went wrong, all kinds together.
    pub errors: u64,
    /// And by kind.
    pub errors_by_kind: Vec<Met>,
    /// Requests under way at the end: neither answered nor failed.
    pub unfinished: u64,
    /// Streams that the server allowed on a connection, where those are fewer than were asked for.
    #[serde(default)]
    pub streams_allowed: Option<usize>,
    /// From the start of a request, which an open loop has fixed beforehand, to the last byte of its answer.
    pub latency_ms: Option<Figures>,
    /// From the first packet to a connection.
    pub connect_ms: Option<Figures>,
    /// From there to the end of the TLS handshake.
    pub handshake_ms: Option<Figures>,
    /// TLS handshakes that were resumed.
    pub resumed: u64,
    /// What went over the sockets.
    pub bytes: Bytes,
    /// How long a piece of the time line is.
    pub interval_s: f64,
    /// The run piece by piece, its warm-up first.
    pub time_line: Vec<Piece>,
    /// What `latency_ms` is of.
    #[serde(with = "distribution")]
    pub histogram: Latency,
}

/// What a run was to do.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct Asked {
    /// The method of the first request.
    pub method: String,
    /// What it asks for.
    pub url: String,
    /// How many different requests there are.
    pub requests: usize,
    /// Bytes that go up with each.
    pub body_bytes: usize,
    /// The address that was connected to.
    pub address: String,
    /// `HTTP/1.1` or `HTTP/2`.
    pub version: String,
    /// Whether it was spoken over TLS.
    pub tls: bool,
    /// Whether connections came back with tickets.
    pub resumes: bool,
    /// Connections in all.
    pub connections: usize,
    /// Requests under way on each.
    pub depth: usize,
    /// Whether each is for one request.
    pub closes: bool,
    /// Threads.
    pub threads: usize,
    /// Requests per second of an open loop; `null` where the connections set the pace.
    pub rate: Option<f64>,
    /// Whether they come as independent users send them, and not evenly.
    pub poisson: bool,
    /// How long the run was to record.
    pub duration_s: f64,
    /// An answer that took longer has failed.
    pub timeout_s: f64,
}

/// Errors of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Met {
    /// Which.
    pub kind: String,
    /// How many.
    pub count: u64,
    /// In the words of the first.
    pub first: String,
}

/// Behind the warm-up, as the answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Bytes {
    /// Read from sockets.
    pub read: u64,
    /// Written to them.
    pub written: u64,
    /// Of answers' bodies.
    pub body: u64,
}

/// What came in the time that was recorded: in an open loop also answers to requests of the warm-up, and none that came late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct InTime {
    /// Answers.
    pub answers: u64,
    /// Bytes.
    pub bytes: Bytes,
}

/// Answers that came behind the time that was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
pub struct Late {
    /// How many.
    pub answers: u64,
    /// How long behind it the last of them came.
    pub until_s: f64,
}

/// What one quotes of a histogram, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
pub struct Figures {
    /// How many were counted.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// Half were at most this.
    pub p50: f64,
    /// Nine of ten.
    pub p90: f64,
    /// All but one in a hundred.
    pub p99: f64,
    /// All but one in a thousand.
    pub p999: f64,
    /// All but one in ten thousand.
    pub p9999: f64,
    /// The longest.
    pub max: f64,
}

/// A piece of the time line.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
pub struct Piece {
    /// When it began, counted from the end of the warm-up: negative before that.
    pub at_s: f64,
    /// How long it is.
    pub length_s: f64,
    /// Answers per second in it.
    pub rate: f64,
    /// How many of its answers came behind the time that was recorded.
    #[serde(default)]
    pub late: u64,
    /// Errors in it.
    pub errors: u64,
    /// Latencies of what was answered in it, to two digits.
    pub latency_ms: Option<Figures>,
}

/// Why a file is no record.
#[derive(Debug)]
pub struct Unreadable(String);

impl fmt::Display for Unreadable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "not what --json writes: {}", self.0)
    }
}

impl std::error::Error for Unreadable {}

impl Record {
    /// Puts together what a plan asked for and what came of it.
    pub fn new(title: Option<&str>, plan: &Plan, outcome: &Outcome) -> Self {
        let asked = Asked::of(plan);
        let tally = &outcome.tally;
        let title = title.map_or_else(|| asked.to_string(), str::to_owned);
        Self {
            format: FORMAT,
            title,
            asked,
            aborted: outcome.aborted.clone(),
            interrupted: outcome.is_interrupted,
            warm_up_s: outcome.warm_up.as_secs_f64(),
            recorded_s: outcome.recorded.as_secs_f64(),
            rate: rounded(outcome.rate()),
            in_time: Some(InTime {
                answers: tally.in_time.answers,
                bytes: Bytes {
                    read: tally.in_time.bytes_read,
                    written: tally.in_time.bytes_written,
                    body: tally.in_time.body_bytes,
                },
            }),
            answers: tally.answers(),
            late: (tally.late > 0).then_some(Late {
                answers: tally.late,
                until_s: tally.late_until.as_secs_f64(),
            }),
            failures: tally.failures(),
            statuses: tally.statuses.clone(),
            errors: tally.troubles.sum(),
            errors_by_kind: met(tally),
            unfinished: tally.unfinished,
            streams_allowed: tally.streams_allowed,
            latency_ms: Figures::of(&tally.latency),
            connect_ms: Figures::of(&tally.connect),
            handshake_ms: Figures::of(&tally.handshake),
            resumed: tally.resumed,
            bytes: Bytes {
                read: tally.bytes_read,
                written: tally.bytes_written,
                body: tally.body_bytes,
            },
            interval_s: outcome.interval.as_secs_f64(),
            time_line: time_line(outcome, matches!(plan.pace, Pace::Open { .. })),
            histogram: tally.latency.clone(),
        }
    }

    /// How a run ended that ended before its time, in a word or two and a sentence.
    pub(super) fn early_end(&self) -> Option<(&'static str, String)> {
        let reason = self.aborted.as_ref()?;
        if !self.interrupted {
            return Some(("aborted", reason.clone()));
        }
        let (recorded, asked) = (Seconds(self.recorded_s), Seconds(self.asked.duration_s));
        let text = format!("{reason}: these figures are of {recorded}, and {asked} were asked for");
        Some(("ended early", text))
    }

    /// What came in the time that was recorded.
    pub(super) fn in_time(&self) -> InTime {
        self.in_time.unwrap_or(InTime {
            answers: self.answers,
            bytes: self.bytes,
        })
    }

    /// One line of JSON.
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("its keys are texts and its numbers are finite")
    }

    /// Reads what [`Record::json`] wrote.
    ///
    /// # Errors
    /// It is something else, or of a later version that changed a name's meaning.
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        /// Looked at first: of another format, a missing name is not what is wrong.
        #[derive(Deserialize)]
        struct Marked {
            format: u32,
        }
        let wrong = |error: serde_json::Error| Unreadable(error.to_string());
        let Marked { format } = serde_json::from_str(text).map_err(wrong)?;
        if format != FORMAT {
            let text = format!("it is of format {format}, and this program reads {FORMAT}");
            return Err(Unreadable(text));
        }
        serde_json::from_str(text).map_err(wrong)
    }
}

impl Asked {
    fn of(plan: &Plan) -> Self {
        let origin = &plan.origin;
        let shares = plan.mix.shares();
        let (method, target) = shares.first().map_or(("", ""), |share| {
            (share.method.as_str(), share.target.as_str())
        });
        let scheme = if origin.is_secure { "https" } else { "http" };
        let (version, closes) = match plan.version {
            Version::Http1 { closes, .. } => ("HTTP/1.1", closes),
            Version::Http2 { .. } => ("HTTP/2", false),
        };
        let (rate, poisson) = match plan.pace {
            Pace::Closed => (None, false),
            Pace::Open { rate, arrivals } => (Some(rate.per_second()), arrivals != Arrivals::Even),
        };
        Self {
            method: method.to_owned(),
            url: format!("{scheme}://{}{target}", origin.authority),
            requests: shares.len(),
            body_bytes: plan.mix.body_bytes(),
            address: match &plan.place {
                Place::Tcp(address) => address.to_string(),
                Place::Unix(path) => format!("unix:{}", path.display()),
            },
            version: version.to_owned(),
            tls: origin.is_secure,
            resumes: plan.tls.resumes,
            connections: plan.connections,
            depth: plan.version.depth(),
            closes,
            threads: plan.threads,
            rate,
            poisson,
            duration_s: plan.duration.as_secs_f64(),
            timeout_s: plan.timeout.as_secs_f64(),
        }
    }
}

/// In few words: what a run is called that was given no title.
impl fmt::Display for Asked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}, {}", self.method, self.url, self.version)?;
        let (connections, depth) = (self.connections, self.depth);
        if depth > 1 {
            write!(formatter, ", {connections} x {depth}")?;
        } else {
            write!(formatter, ", {connections} connections")?;
        }
        match self.rate {
            Some(rate) => write!(formatter, ", {rate}/s"),
            None => Ok(()),
        }
    }
}

impl Figures {
    /// The names of [`Figures::values`].
    pub(super) const NAMES: [&str; 7] = ["mean", "p50", "p90", "p99", "p99.9", "p99.99", "max"];

    /// All but the count.
    pub(super) fn values(&self) -> [f64; 7] {
        let [mean, p50, p90, p99] = [self.mean, self.p50, self.p90, self.p99];
        [mean, p50, p90, p99, self.p999, self.p9999, self.max]
    }

    /// `None` where nothing was recorded.
    pub(super) fn of(latency: &Latency) -> Option<Self> {
        let figures = latency.figures();
        let millis = |time: Duration| time.as_nanos() as f64 / 1e6;
        (figures.count > 0).then(|| Self {
            count: figures.count,
            mean: rounded(latency.nanoseconds().mean() / 1e6),
            p50: millis(figures.p50),
            p90: millis(figures.p90),
            p99: millis(figures.p99),
            p999: millis(figures.p999),
            p9999: millis(figures.p9999),
            max: millis(figures.max),
        })
    }
}

/// To six digits behind the point: what comes after is noise.
fn rounded(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}

fn met(tally: &Tally) -> Vec<Met> {
    let each = tally.troubles.met();
    each.map(|(kind, count, first)| Met {
        kind: kind.name().to_owned(),
        count,
        first: first.to_owned(),
    })
    .collect()
}

/// A last piece that is shorter is none: a few nanoseconds would have any rate.
const PIECE_MIN: Duration = Duration::from_millis(1);

/// The pieces without a gap: in one that nobody told of nothing was answered, which is worth seeing. In a closed loop the time
/// line ends with the run; in an open one late answers come after it.
fn time_line(outcome: &Outcome, is_open: bool) -> Vec<Piece> {
    let end = outcome.warm_up + outcome.recorded;
    let mut pieces = Vec::new();
    for told in &outcome.time_line {
        let begin = begin_of(told.number, outcome.interval);
        // What is left of the run, where a whole piece is not.
        let rest = end.saturating_sub(begin);
        let is_late = rest < PIECE_MIN;
        let is_empty = told.latency.count() == 0 && told.troubles == 0;
        if is_late && (is_empty || !is_open) {
            continue;
        }
        for number in pieces.len() as u64..told.number {
            pieces.push(piece(&Interval::new(number), outcome, outcome.interval));
        }
        // What came late filled the rest of the piece in which the run ended.
        let length = if is_late || told.late > 0 {
            outcome.interval
        } else {
            outcome.interval.min(rest)
        };
        pieces.push(piece(told, outcome, length));
    }
    // An aborted run has no end that one could count up to: in its warm-up nobody noted when it came.
    while outcome.aborted.is_none()
        && let number = pieces.len() as u64
        && let rest = end.saturating_sub(begin_of(number, outcome.interval))
        && rest >= PIECE_MIN
    {
        let length = outcome.interval.min(rest);
        pieces.push(piece(&Interval::new(number), outcome, length));
    }
    pieces
}

fn begin_of(number: u64, interval: Duration) -> Duration {
    interval.saturating_mul(u32::try_from(number).unwrap_or(u32::MAX))
}

fn piece(told: &Interval, outcome: &Outcome, length: Duration) -> Piece {
    let begin = begin_of(told.number, outcome.interval).as_secs_f64();
    Piece {
        at_s: rounded(begin - outcome.warm_up.as_secs_f64()),
        length_s: length.as_secs_f64(),
        rate: rounded(told.latency.count() as f64 / length.as_secs_f64()),
        late: told.late,
        errors: told.troubles,
        latency_ms: Figures::of(&told.latency),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Of pieces as (number, answers, errors), each a tenth of a second.
    fn outcome(recorded: Duration, told: &[(u64, u64, u64)]) -> Outcome {
        let pieces = told.iter().map(|(number, answers, troubles)| {
            let mut interval = Interval::new(*number);
            let latency = Duration::from_millis(1);
            interval.latency.record_many(latency, *answers);
            interval.troubles = *troubles;
            interval
        });
        Outcome {
            tally: Tally::default(),
            time_line: pieces.collect(),
            interval: Duration::from_millis(100),
            recorded,
            warm_up: Duration::from_millis(100),
            aborted: None,
            is_interrupted: false,
        }
    }

    fn rates(pieces: &[Piece]) -> Vec<(f64, f64)> {
        pieces
            .iter()
            .map(|piece| (piece.at_s, piece.rate))
            .collect()
    }

    #[test]
    fn a_piece_that_nobody_told_of_had_no_answer() {
        let outcome = outcome(Duration::from_millis(300), &[(0, 10, 0), (3, 20, 1)]);
        let line = time_line(&outcome, false);
        assert_eq!(
            rates(&line),
            [(-0.1, 100.0), (0.0, 0.0), (0.1, 0.0), (0.2, 200.0)]
        );
        assert_eq!(line[1].latency_ms, None);
        assert_eq!(line[3].errors, 1);
    }

    #[test]
    fn the_time_line_is_as_long_as_the_run_whatever_was_told_of_it() {
        let mut stalled = outcome(Duration::from_millis(250), &[(0, 10, 0)]);
        let line = time_line(&stalled, false);
        assert_eq!(
            rates(&line),
            [(-0.1, 100.0), (0.0, 0.0), (0.1, 0.0), (0.2, 0.0)]
        );
        assert_eq!(line[3].length_s, 0.05);
        stalled.aborted = Some("nobody".to_owned());
        assert_eq!(rates(&time_line(&stalled, false)), [(-0.1, 100.0)]);
    }

    #[test]
    fn a_last_piece_is_as_long_as_what_is_left_of_the_run() {
        let line = time_line(
            &outcome(Duration::from_millis(50), &[(0, 10, 0), (1, 10, 0)]),
            false,
        );
        assert_eq!(rates(&line), [(-0.1, 100.0), (0.0, 200.0)]);
        assert_eq!(line[1].length_s, 0.05);
        // A nanosecond is no piece, whatever fell into it.
        let recorded = Duration::from_nanos(1);
        let line = time_line(&outcome(recorded, &[(0, 10, 0), (1, 10, 0)]), false);
        assert_eq!(rates(&line), [(-0.1, 100.0)]);
    }

    #[test]
    fn late_answers_of_an_open_loop_come_behind_its_end() {
        let told = [(0, 10, 0), (1, 10, 0), (2, 0, 0), (3, 4, 0), (4, 0, 0)];
        let outcome = outcome(Duration::from_millis(100), &told);
        let open = time_line(&outcome, true);
        assert_eq!(
            rates(&open),
            [(-0.1, 100.0), (0.0, 100.0), (0.1, 0.0), (0.2, 40.0)]
        );
        let closed = time_line(&outcome, false);
        assert_eq!(rates(&closed), [(-0.1, 100.0), (0.0, 100.0)]);
    }

    #[test]
    fn a_piece_in_which_the_run_ends_is_whole_where_late_answers_fill_it() {
        let mut outcome = outcome(Duration::from_millis(50), &[(0, 10, 0), (1, 10, 0)]);
        outcome.time_line[1].late = 5;
        let line = time_line(&outcome, true);
        assert_eq!(rates(&line), [(-0.1, 100.0), (0.0, 100.0)]);
        assert_eq!(line[1].late, 5);
    }
}
