//! What goes wrong in a run, by kind: how often, and in the words of the first time.

use std::fmt;
use std::time::Duration;

/// The kinds. Each counts requests, but for the first two, which count connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A connection could not be made.
    Connect,
    /// TLS could not be agreed on.
    Handshake,
    /// The server ended the connection before it had answered.
    Cut,
    /// What the server sent is no HTTP.
    Protocol,
    /// The server reset the stream of the request.
    StreamReset,
    /// No answer came in time.
    TimedOut,
    /// It was given up with its connection, on which the server let something else wait too long, before its own time was over.
    GivenUp,
}

impl Kind {
    /// All of them, in the order of a connection's life.
    pub const ALL: [Self; 7] = [
        Self::Connect,
        Self::Handshake,
        Self::Cut,
        Self::Protocol,
        Self::StreamReset,
        Self::TimedOut,
        Self::GivenUp,
    ];

    /// A word for reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Handshake => "handshake",
            Self::Cut => "cut",
            Self::Protocol => "protocol",
            Self::StreamReset => "stream_reset",
            Self::TimedOut => "timed_out",
            Self::GivenUp => "given_up",
        }
    }
}

/// One thing that went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Of what kind it is.
    pub kind: Kind,
    /// What exactly.
    pub text: String,
}

impl Trouble {
    pub(super) fn new(kind: Kind, text: impl fmt::Display) -> Self {
        Self {
            kind,
            text: text.to_string(),
        }
    }
}

/// What a connect says in the end that was told all the time to try again.
pub(super) const QUEUE_FULL: &str = "the server's queue of connections stays full";

/// What there is instead of a server that closes before it has said anything of use.
pub(super) const CLOSED_UNANSWERED: &str =
    "the server closed the connection before it had answered";

/// What there is instead of an answer where none may be asked for.
pub(super) const NO_STREAM: &str =
    "the server allows no stream (its SETTINGS_MAX_CONCURRENT_STREAMS is 0)";

/// How long something was waited for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Waited {
    /// As long as the plan says.
    Within(Duration),
    /// Until there was no time left.
    ToTheEnd,
}

impl fmt::Display for Waited {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Within(timeout) => write!(formatter, "within {timeout:?}"),
            Self::ToTheEnd => formatter.write_str("by the end of the run"),
        }
    }
}

impl Waited {
    pub(super) fn for_a_connection(self) -> Trouble {
        Trouble::new(Kind::Connect, format_args!("no connection {self}"))
    }

    pub(super) fn for_tls(self) -> Trouble {
        Trouble::new(
            Kind::Handshake,
            format_args!("TLS was not agreed on {self}"),
        )
    }

    /// `silence` is what there was instead, if that says more.
    pub(super) fn for_an_answer(self, silence: Option<&str>) -> Trouble {
        let text = match silence {
            Some(silence) => format!("no answer {self}: {silence}"),
            None => format!("no answer {self}"),
        };
        Trouble::new(Kind::TimedOut, text)
    }
}

impl Trouble {
    /// What this, for which the server took too long, is for a request that has not waited as long itself.
    pub(super) fn for_another(&self) -> Self {
        let text = format_args!("given up with its connection, not late itself: {self}");
        Self::new(Kind::GivenUp, text)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// How often each kind was met, with the first's text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Troubles {
    counts: [u64; Kind::ALL.len()],
    firsts: [Option<String>; Kind::ALL.len()],
}

impl Troubles {
    pub(super) fn add(&mut self, trouble: &Trouble, count: u64) {
        let index = trouble.kind as usize;
        self.counts[index] += count;
        if count > 0 {
            self.firsts[index].get_or_insert_with(|| trouble.text.clone());
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        for (sum, count) in self.counts.iter_mut().zip(other.counts) {
            *sum += count;
        }
        for (first, other) in self.firsts.iter_mut().zip(other.firsts) {
            if first.is_none() {
                *first = other;
            }
        }
    }

    /// How many there were in all.
    pub fn sum(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Every kind that was met: how often, and what the first one said.
    pub fn met(&self) -> impl Iterator<Item = (Kind, u64, &str)> {
        Kind::ALL.into_iter().filter_map(|kind| {
            let (count, first) = (self.counts[kind as usize], &self.firsts[kind as usize]);
            (count > 0).then(|| (kind, count, first.as_deref().unwrap_or_default()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_counted_apart_and_the_first_text_stays() {
        let (mut one, mut other) = (Troubles::default(), Troubles::default());
        one.add(&Trouble::new(Kind::Cut, "first"), 2);
        one.add(&Trouble::new(Kind::Cut, "second"), 1);
        other.add(&Trouble::new(Kind::Cut, "third"), 1);
        other.add(&Trouble::new(Kind::Connect, "refused"), 1);
        other.add(&Trouble::new(Kind::TimedOut, "never"), 0);
        one.merge(other);
        let met: Vec<_> = one.met().collect();
        assert_eq!(
            met,
            [(Kind::Connect, 1, "refused"), (Kind::Cut, 4, "first")]
        );
        assert_eq!(one.sum(), 5);
    }
}
