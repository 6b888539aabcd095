//! HTTP on one connection of a run, of either version: calls go out, and come back answered or not. The protocol itself is
//! `lanner_protocol::client`'s.

mod http1;
mod http2;

use std::rc::Rc;

use lanner_limits::{Limits, Moment};
use lanner_protocol::client::{Response, Turn};

use super::mix::Ask;
use super::plan::{Pace, Plan, Version};
use super::trouble::Trouble;

/// A request that was sent, or is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// What its latency counts from.
    pub(super) start: Moment,
}

/// What became of a call.
#[derive(Debug)]
pub(super) enum News {
    Answered { call: Call, status: u16 },
    Lost { call: Call, trouble: Trouble },
}

/// How a connection goes on.
#[derive(Debug)]
pub(super) enum State {
    Open,
    /// It has served: what was asked is answered, unless `calls` says otherwise.
    Closed,
    Failed(Trouble),
}

/// What came of some input.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) consumed: usize,
    pub(super) body_bytes: u64,
    /// The rest is to be looked at again when more of the output is written.
    pub(super) is_held: bool,
    pub(super) state: State,
}

/// What hearing needs and keeps for the next time, of whichever connection.
#[derive(Debug)]
pub(super) struct Ears {
    response: Response,
    text: Vec<u8>,
    /// What was heard of calls.
    pub(super) news: Vec<News>,
    /// Calls that have waited too long.
    pub(super) expired: Vec<Call>,
}

/// What `silence` says of a server that keeps announcing an answer.
const ONLY_INTERIM: &str = "only interim answers (1xx) came";

impl Ears {
    pub(super) fn new() -> Self {
        Self {
            response: Response::without_fields(),
            text: Vec::new(),
            news: Vec::new(),
            expired: Vec::new(),
        }
    }
}

/// See the file's comment.
#[derive(Debug)]
pub(super) enum Speech {
    Http1(Box<http1::Http1>),
    Http2(Box<http2::Http2>),
}

impl Speech {
    pub(super) fn new(plan: &Plan, limits: &Rc<Limits>, now: Moment) -> Self {
        match plan.version {
            Version::Http1 { pipeline, .. } => {
                let goes_in_batches = plan.pace == Pace::Closed;
                Self::Http1(Box::new(http1::Http1::new(
                    limits,
                    pipeline,
                    goes_in_batches,
                )))
            }
            Version::Http2 { streams } => {
                Self::Http2(Box::new(http2::Http2::new(limits, streams, now)))
            }
        }
    }

    /// Whether another call may be sent now.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        match self {
            Self::Http1(http1) => http1.has_room(),
            Self::Http2(http2) => http2.has_room(),
        }
    }

    /// Sends a call. Only where there is room.
    #[inline]
    pub(super) fn ask(
        &mut self,
        turn: &mut Turn<'_>,
        ask: &Ask,
        call: Call,
    ) -> Result<(), Trouble> {
        match self {
            Self::Http1(http1) => http1.ask(turn, ask, call),
            Self::Http2(http2) => http2.ask(turn, ask, call),
        }
    }

    /// What there was of the server where an answer should have been; nothing that would say more than that none came.
    pub(super) fn silence(&self) -> Option<&'static str> {
        match self {
            Self::Http1(http1) => http1.silence(),
            Self::Http2(http2) => http2.silence(),
        }
    }

    /// How many calls the server lets be under way, where it has said that these are fewer than were asked for.
    pub(super) fn narrowed(&self) -> Option<usize> {
        match self {
            Self::Http1(_) => None,
            Self::Http2(http2) => http2.narrowed(),
        }
    }

    /// Looks at everything that came and was not consumed yet.
    #[inline]
    pub(super) fn hear(&mut self, turn: &mut Turn<'_>, input: &[u8], ears: &mut Ears) -> Heard {
        match self {
            Self::Http1(http1) => http1.hear(turn, input, ears),
            Self::Http2(http2) => http2.hear(turn, input, ears),
        }
    }

    /// The server ends its side.
    pub(super) fn handle_eof(&mut self) {
        match self {
            Self::Http1(http1) => http1.connection.handle_eof(),
            Self::Http2(http2) => http2.connection.handle_eof(),
        }
    }

    /// The connection is broken, or ended without what ends TLS.
    pub(super) fn handle_reset(&mut self) {
        match self {
            Self::Http1(http1) => http1.connection.handle_reset(),
            Self::Http2(http2) => http2.connection.handle_reset(),
        }
    }

    /// When `handle_timeout` is due.
    pub(super) fn deadline(&self) -> Option<Moment> {
        match self {
            Self::Http1(http1) => http1.connection.deadline(),
            Self::Http2(http2) => http2.connection.deadline(),
        }
    }

    /// The protocol's own deadline has passed; what comes of it is heard.
    pub(super) fn handle_timeout(&mut self, turn: &mut Turn<'_>) {
        match self {
            Self::Http1(http1) => http1.connection.handle_timeout(turn.now),
            Self::Http2(http2) => http2.connection.handle_timeout(turn),
        }
    }

    /// Takes out the calls that were sent at `since` or before, where the others can go on without them. Where they cannot,
    /// takes nothing, and the connection is of no use.
    pub(super) fn expire(&mut self, turn: &mut Turn<'_>, since: Moment, ears: &mut Ears) -> bool {
        match self {
            Self::Http1(_) => false,
            Self::Http2(http2) => http2.expire(turn, since, ears),
        }
    }

    /// Queues what is due before a write.
    #[inline]
    pub(super) fn flush(&mut self, turn: &mut Turn<'_>) {
        if let Self::Http2(http2) = self {
            http2.flush(turn);
        }
    }

    /// A write left so many bytes in the output.
    #[inline]
    pub(super) fn handle_output(&mut self, queued: usize, unsent: usize) {
        if let Self::Http2(http2) = self {
            http2.connection.handle_output(queued, unsent);
        }
    }

    /// The calls that have no answer yet.
    pub(super) fn calls(&self) -> impl Iterator<Item = Call> {
        let (one, other) = match self {
            Self::Http1(http1) => (Some(http1.calls()), None),
            Self::Http2(http2) => (None, Some(http2.calls())),
        };
        one.into_iter().flatten().chain(other.into_iter().flatten())
    }
}
