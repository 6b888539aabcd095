//! A run for people, on a terminal.

use std::fmt::{self, Write as _};

use super::readable::{Count, Millis, Plain, Seconds, Size};
use super::record::{Figures, Record};

/// See the file's comment.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a>(pub &'a Record);

/// Names of lines are as wide as this.
const NAME_WIDTH: usize = 12;

/// A column of figures.
const FIGURE_WIDTH: usize = 10;

/// And of their number.
const COUNT_WIDTH: usize = 12;

impl fmt::Display for Text<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(record) = self;
        // Where none was given, it says what the next lines do.
        if record.title != record.asked.to_string() {
            writeln!(formatter, "{}", Plain(&record.title))?;
        }
        write_asked(formatter, record)?;
        if let Some((word, text)) = record.early_end() {
            writeln!(formatter)?;
            line(formatter, word, Plain(&text))?;
        }
        writeln!(formatter)?;
        write_answers(formatter, record)?;
        write_errors(formatter, record)?;
        write_bytes(formatter, record)?;
        write_figures(formatter, record)
    }
}

fn line(formatter: &mut fmt::Formatter<'_>, name: &str, text: impl fmt::Display) -> fmt::Result {
    writeln!(formatter, "{name:<NAME_WIDTH$}{text}")
}

fn write_asked(formatter: &mut fmt::Formatter<'_>, record: &Record) -> fmt::Result {
    let [what, whom, how] = asked(record);
    for part in [what, whom, how] {
        writeln!(formatter, "  {}", Plain(&part))?;
    }
    Ok(())
}

/// What was asked for, of whom, and how: a line each.
pub(super) fn asked(record: &Record) -> [String; 3] {
    let asked = &record.asked;
    let mut what = format!("{} {}", asked.method, asked.url);
    if asked.requests > 1 {
        let others = plural(asked.requests - 1, "other request");
        let _ = write!(what, " and {others}");
    }
    if asked.body_bytes > 0 {
        let _ = write!(what, ", {} up with each", Size(asked.body_bytes as f64));
    }
    let mut how = match asked.rate {
        Some(rate) => {
            let spaced = if asked.poisson {
                ", at random moments"
            } else {
                ""
            };
            format!("open loop, {}/s{spaced}", Count(rate))
        }
        None => "closed loop".to_owned(),
    };
    let _ = write!(how, ", {}", Seconds(record.recorded_s));
    if record.aborted.is_some() {
        let _ = write!(how, " of {}", Seconds(asked.duration_s));
    }
    let warm_up = Seconds(record.warm_up_s);
    let _ = write!(how, " recorded after {warm_up} of warm-up");
    [what, whom(record), how]
}

fn whom(record: &Record) -> String {
    let asked = &record.asked;
    let mut whom = format!("at {}: {}", asked.address, asked.version);
    if asked.tls {
        whom.push_str(if asked.resumes {
            " over TLS with resumption"
        } else {
            " over TLS"
        });
    }
    let _ = write!(whom, ", {}", plural(asked.connections, "connection"));
    if asked.closes {
        whom.push_str(" at a time, one for each request");
    } else if asked.depth > 1 {
        let _ = write!(whom, " with {} requests under way on each", asked.depth);
        if let Some(streams) = record.streams_allowed {
            let _ = write!(whom, " (of which the server allows {streams})");
        }
    }
    let _ = write!(whom, ", {}", plural(asked.threads, "thread"));
    whom
}

fn plural(count: usize, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", Count(count as f64))
}

fn write_answers(formatter: &mut fmt::Formatter<'_>, record: &Record) -> fmt::Result {
    line(formatter, "throughput", throughput(record))?;
    line(formatter, "statuses", statuses(record))
}

/// Answers per second, of how many, and those that came too late for it.
pub(super) fn throughput(record: &Record) -> String {
    let (rate, answers) = (Count(record.rate), Count::of(record.in_time().answers));
    let mut text = format!("{rate}/s ({answers} answers in ");
    let _ = write!(text, "{}", Seconds(record.recorded_s));
    if let Some(late) = record.late {
        let (answers, until) = (Count::of(late.answers), Millis(late.until_s * 1e3));
        let _ = write!(text, "; {answers} more came up to {until} later");
    }
    text.push(')');
    text
}

/// Each status and how often it came.
pub(super) fn statuses(record: &Record) -> String {
    if record.statuses.is_empty() {
        return "no answer".to_owned();
    }
    let each = record.statuses.iter();
    let texts: Vec<_> = each
        .map(|(status, count)| format!("{status}: {}", Count::of(*count)))
        .collect();
    let mut text = texts.join(", ");
    if record.failures > 0 {
        let share = record.failures as f64 / record.answers.max(1) as f64 * 100.0;
        let _ = write!(text, " ({share:.2} % are neither 2xx nor 3xx)");
    }
    text
}

fn write_errors(formatter: &mut fmt::Formatter<'_>, record: &Record) -> fmt::Result {
    line(formatter, "errors", Count::of(record.errors))?;
    for met in &record.errors_by_kind {
        let (count, kind) = (Count::of(met.count), Plain(&met.kind));
        writeln!(formatter, "  {count:>10} {kind}: {}", Plain(&met.first))?;
    }
    line(formatter, "unfinished", Count::of(record.unfinished))
}

fn write_bytes(formatter: &mut fmt::Formatter<'_>, record: &Record) -> fmt::Result {
    line(formatter, "bytes", bytes(record))
}

/// What went over the wire, and how much of it in each second that was recorded.
pub(super) fn bytes(record: &Record) -> String {
    let (bytes, in_time) = (record.bytes, record.in_time().bytes);
    let per_second = |count: u64| Size(count as f64 / record.recorded_s.max(1e-9));
    format!(
        "{} in ({}/s), {} of them bodies; {} out ({}/s)",
        Size(bytes.read as f64),
        per_second(in_time.read),
        Size(bytes.body as f64),
        Size(bytes.written as f64),
        per_second(in_time.written),
    )
}

fn write_figures(formatter: &mut fmt::Formatter<'_>, record: &Record) -> fmt::Result {
    let rows = [
        ("latency", &record.latency_ms),
        ("connect", &record.connect_ms),
        ("handshake", &record.handshake_ms),
    ];
    if rows.iter().any(|(_, figures)| figures.is_some()) {
        write!(formatter, "\n{:<NAME_WIDTH$}{:>COUNT_WIDTH$}", "", "count")?;
        for name in Figures::NAMES {
            write!(formatter, "{name:>FIGURE_WIDTH$}")?;
        }
        writeln!(formatter)?;
    }
    for (name, figures) in rows {
        let Some(figures) = figures else {
            continue;
        };
        let count = Count::of(figures.count);
        write!(formatter, "{name:<NAME_WIDTH$}{count:>COUNT_WIDTH$}")?;
        for millis in figures.values() {
            write!(formatter, "{:>FIGURE_WIDTH$}", Millis(millis))?;
        }
        writeln!(formatter)?;
    }
    if record.asked.tls {
        line(formatter, "resumed", Count::of(record.resumed))?;
    }
    Ok(())
}
