//! The time line as comma-separated values: a line for each piece, with a head. Where a run ended before its time, the last line
//! says so behind its figures.

use std::fmt::{self, Write as _};

use super::readable::Plain;
use super::record::{Figures, Piece, Record};

const HEAD: &str = "at_s,length_s,rate,errors,answers,late,mean_ms,p50_ms,p90_ms,p99_ms,p999_ms,p9999_ms,max_ms,ended";

/// The whole file. `late` are those of the answers that came behind the time that was recorded. Where nothing was answered,
/// latencies are empty.
pub(super) fn csv(record: &Record) -> String {
    let mut text = format!("{HEAD}\n");
    for (index, piece) in record.time_line.iter().enumerate() {
        let Piece {
            at_s,
            length_s,
            rate,
            errors,
            late,
            ..
        } = piece;
        let _ = write!(text, "{at_s},{length_s},{rate},{errors},");
        let answers = piece.latency_ms.map_or(0, |figures| figures.count);
        let _ = write!(text, "{answers},{late}");
        let values = piece.latency_ms.as_ref().map(Figures::values);
        for index in 0..Figures::NAMES.len() {
            text.push(',');
            if let Some(values) = values {
                let _ = write!(text, "{}", values[index]);
            }
        }
        text.push(',');
        if index + 1 == record.time_line.len()
            && let Some((how, why)) = record.early_end()
        {
            let _ = write!(text, "{}", Quoted(&format!("{how}: {why}")));
        }
        text.push('\n');
    }
    text
}

/// A text that may hold what separates values (RFC 4180).
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = Plain(self.0).to_string();
        write!(formatter, "\"{}\"", text.replace('"', "\"\""))
    }
}
