//! What an attack found out, for people and for scripts.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::spread::Spread;

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// The server sent this status first.
    Answered(u16),
    /// The server sent something that is no HTTP answer.
    Nonsense,
    /// An end of stream, without a word.
    Closed,
    /// A reset, without a word.
    Reset,
}

impl fmt::Display for Ending {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered(status) => write!(formatter, "{status}"),
            Self::Nonsense => formatter.write_str("nonsense"),
            Self::Closed => formatter.write_str("closed"),
            Self::Reset => formatter.write_str("reset"),
        }
    }
}

/// What the server did about it. All times count from a connection's first byte.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Connections that were established.
    pub opened: usize,
    /// When the last of the first [`super::Plan::connections`] was established, from the start of the attack.
    pub opened_within: Option<Duration>,
    /// Connects that failed, by their error.
    pub refused: BTreeMap<String, usize>,
    /// How the connections that were cut ended.
    pub endings: BTreeMap<Ending, usize>,
    /// Until the first byte of an answer.
    pub answered: Spread,
    /// Until the end of stream or the reset: what the connection cost the server at least.
    pub lifetimes: Spread,
    /// Under [`super::Plan::cling`]: until the reset that followed an end of stream.
    pub released: Spread,
    /// Connections the server had not cut when the attack ended.
    pub not_cut: usize,
    /// Under [`super::Plan::cling`]: those it had cut but not yet let go.
    pub not_released: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "opened {}", self.opened)?;
        if let Some(within) = self.opened_within {
            write!(
                formatter,
                ", the first of all places filled within {:.3} s",
                within.as_secs_f64()
            )?;
        }
        write!(
            formatter,
            "\nrefused {}",
            self.refused.values().sum::<usize>()
        )?;
        for (error, count) in &self.refused {
            write!(formatter, ", {error}: {count}")?;
        }
        write!(formatter, "\ncut {}", self.lifetimes.count())?;
        for (ending, count) in &self.endings {
            write!(formatter, ", {ending}: {count}")?;
        }
        write!(formatter, "\nnot cut {}", self.not_cut)?;
        for (name, spread) in self.spreads() {
            if let Some([min, p50, p99, max]) = spread
                .figures()
                .map(|figures| figures.map(|time| time.as_secs_f64()))
            {
                write!(
                    formatter,
                    "\n{name:<12} min {min:.3} s  p50 {p50:.3} s  p99 {p99:.3} s  max {max:.3} s"
                )?;
            }
        }
        if self.not_released > 0 {
            write!(formatter, "\ncut but not released {}", self.not_released)?;
        }
        Ok(())
    }
}

impl Report {
    fn spreads(&self) -> [(&'static str, &Spread); 3] {
        [
            ("answered_s", &self.answered),
            ("lifetime_s", &self.lifetimes),
            ("released_s", &self.released),
        ]
    }

    /// The same as one JSON object on one line. A spread without members is absent.
    pub fn json(&self) -> String {
        let mut parts = vec![
            format!("\"opened\":{}", self.opened),
            format!("\"refused\":{}", self.refused.values().sum::<usize>()),
            format!("\"cut\":{}", self.lifetimes.count()),
            format!("\"not_cut\":{}", self.not_cut),
            format!("\"not_released\":{}", self.not_released),
        ];
        for (name, spread) in self.spreads() {
            if let Some([min, p50, p99, max]) = spread
                .figures()
                .map(|figures| figures.map(|time| time.as_secs_f64()))
            {
                let figures = format!(
                    "{{\"min\":{min:.6},\"p50\":{p50:.6},\"p99\":{p99:.6},\"max\":{max:.6}}}"
                );
                parts.push(format!("\"{name}\":{figures}"));
            }
        }
        let endings = self
            .endings
            .iter()
            .map(|(ending, count)| format!("\"{ending}\":{count}"));
        parts.push(format!(
            "\"endings\":{{{}}}",
            endings.collect::<Vec<_>>().join(",")
        ));
        format!("{{{}}}", parts.join(","))
    }
}
