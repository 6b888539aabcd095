//! What a run is to do.

use std::path::PathBuf;
use std::time::Duration;

use super::mix::Mix;
use super::origin::{Origin, Place};
use crate::opening::OPENING_MAX;
use crate::quantity::Rate;
use crate::schedule::Arrivals;

/// Which HTTP is spoken, and how many requests a connection has under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.1.
    Http1 {
        /// Requests under way on a connection: more than one are pipelined.
        pipeline: usize,
        /// Every connection is for one request.
        closes: bool,
    },
    /// HTTP/2: agreed on by ALPN over TLS, known beforehand without.
    Http2 {
        /// Streams under way on a connection.
        streams: usize,
    },
}

impl Version {
    /// Requests that a connection may have under way.
    pub fn depth(self) -> usize {
        match self {
            Self::Http1 { pipeline, .. } => pipeline,
            Self::Http2 { streams } => streams,
        }
    }
}

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As soon as there is room on a connection: the server sets the pace.
    Closed,
    /// At moments that are fixed before the first request, whatever the server does. Latencies count from those moments.
    Open {
        /// How many per second.
        rate: Rate,
        /// How they are spaced.
        arrivals: Arrivals,
    },
}

/// Who speaks HTTP for us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Client {
    /// Our own halves of HTTP/1.1 and HTTP/2.
    #[default]
    Own,
    /// The `h2` crate on tokio: HTTP/2 in a closed loop, as an independent second opinion.
    H2Crate,
}

/// How TLS is spoken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsTerms {
    /// The authorities whose certificates are accepted, in PEM; any certificate where there is none.
    pub authorities: Option<PathBuf>,
    /// Whether connections come back with the tickets of earlier ones.
    pub resumes: bool,
    /// The only cipher suite that is offered, as RFC 8446 names it; all where there is none.
    pub suite: Option<String>,
    /// The only key exchange that is offered, as RFC 8446 names it; all where there is none.
    pub group: Option<String>,
}

/// See the file's comment.
#[derive(Debug)]
pub struct Plan {
    /// Whom to ask.
    pub origin: Origin,
    /// Where it is.
    pub place: Place,
    /// For what.
    pub mix: Mix,
    /// In which version.
    pub version: Version,
    /// By whose code.
    pub client: Client,
    /// Connections in all.
    pub connections: usize,
    /// Threads, each with its share of the connections. Where there are just as many processors, each is pinned to one.
    pub threads: usize,
    /// When.
    pub pace: Pace,
    /// How over TLS.
    pub tls: TlsTerms,
    /// Requests are sent for so long before anything is recorded.
    pub warm_up: Duration,
    /// Then for so long.
    pub duration: Duration,
    /// A request that has no answer by then, from its start, has failed.
    pub timeout: Duration,
}

impl Plan {
    /// How long a piece of the time line is: a hundred of them are a run, and none is shorter than a tenth of a second.
    pub fn interval(&self) -> Duration {
        ((self.warm_up + self.duration) / 100).max(Duration::from_millis(100))
    }

    /// How many of those the time has in which requests are sent; the last may be shorter.
    pub(super) fn pieces(&self) -> u64 {
        let span = (self.warm_up + self.duration).as_nanos();
        let pieces = span.div_ceil(self.interval().as_nanos()).max(1);
        u64::try_from(pieces).unwrap_or(u64::MAX)
    }

    /// How many connections each thread may have under way at once. A run has no more of them than a listen backlog holds, or one
    /// for each thread.
    pub(super) fn opening_max(&self) -> usize {
        (OPENING_MAX / self.threads).max(1)
    }

    /// One thread's share of the connections.
    pub(super) fn connections_of_lane(&self, lane: usize) -> usize {
        self.connections / self.threads + usize::from(lane < self.connections % self.threads)
    }
}
