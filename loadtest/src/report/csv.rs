//! The time line as comma-separated values: a line for each piece, with a head.

use std::fmt::Write as _;

use super::record::{Figures, Piece, Record};

const HEAD: &str =
    "at_s,length_s,rate,errors,answers,mean_ms,p50_ms,p90_ms,p99_ms,p999_ms,p9999_ms,max_ms";

/// The whole file. Where nothing was answered, latencies are empty.
pub(super) fn csv(record: &Record) -> String {
    let mut text = format!("{HEAD}\n");
    for piece in &record.time_line {
        let Piece {
            at_s,
            length_s,
            rate,
            errors,
            ..
        } = piece;
        let _ = write!(text, "{at_s},{length_s},{rate},{errors},");
        let answers = piece.latency_ms.map_or(0, |figures| figures.count);
        let _ = write!(text, "{answers}");
        let values = piece.latency_ms.as_ref().map(Figures::values);
        for index in 0..Figures::NAMES.len() {
            text.push(',');
            if let Some(values) = values {
                let _ = write!(text, "{}", values[index]);
            }
        }
        text.push('\n');
    }
    text
}
