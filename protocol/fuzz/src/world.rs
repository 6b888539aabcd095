//! What a session with a server's half has beside its connection: what the client sent, what it has not taken, and a clock, all of
//! which the input moves.

use lanner_limits::Moment;
use lanner_protocol::{BodyLength, Fields, Output, ResponseHead, Status, Turn};
use std::time::Duration;

pub(crate) struct World {
    pub(crate) now: Moment,
    pub(crate) output: Output,
    /// What was sent to the connection and not consumed.
    pub(crate) input: Vec<u8>,
    /// Of the output, what the connection was told of.
    queued: usize,
}

/// A connection in its world.
pub(crate) trait Session {
    fn world(&mut self) -> &mut World;
    fn deadline(&self) -> Option<Moment>;
    /// A deadline has passed: it is handled, and what came of it looked at.
    fn time_out(&mut self);

    /// Time passes, with every deadline in between handled.
    fn wait(&mut self, time: Duration) {
        let until = self.world().now + time;
        let mut rounds = 0;
        while let Some(at) = self.deadline().filter(|at| *at <= until) {
            let now = &mut self.world().now;
            *now = at.max(*now);
            self.time_out();
            rounds += 1;
            assert!(rounds < 100_000, "a deadline that is handled does not stay");
        }
        self.world().now = until;
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            now: Moment::ZERO,
            output: Output::new(),
            input: Vec::new(),
            queued: 0,
        }
    }

    pub(crate) fn turn(&mut self) -> Turn<'_> {
        turn(self.now, &mut self.output)
    }

    /// The client takes so many bytes of the output. Gives how many were added since it last took some, and how many are left.
    pub(crate) fn take(&mut self, count: usize) -> (usize, usize) {
        let before = self.output.len();
        self.output.advance(count.min(before));
        let queued = before - self.queued.min(before);
        self.queued = self.output.len();
        (queued, self.queued)
    }

    /// What must hold after each deed.
    pub(crate) fn check(&self, output_bytes_max: usize) {
        let bytes = self.output.len();
        assert!(bytes <= output_bytes_max, "{bytes}");
    }
}

pub(crate) fn turn(now: Moment, output: &mut Output) -> Turn<'_> {
    Turn {
        now,
        output,
        date: b"Sun, 06 Nov 1994 08:49:37 GMT",
    }
}

/// The head of an answer, of a length that may be known.
pub(crate) fn head(status: Status, fields: &Fields, length: Option<usize>) -> ResponseHead<'_> {
    ResponseHead {
        status,
        fields,
        length: length.map_or(BodyLength::Unknown, |length| {
            BodyLength::Known(length as u64)
        }),
    }
}
