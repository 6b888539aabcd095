//! Working on one exchange: calling the app, polling it, feeding it the body, until it stalls or is over. Sending what it
//! answers is in `answering`.
//!
//! What every request goes through is always inline, here and where it leads (`exchange`, `lanner_protocol`'s connection): two
//! protocols share it, so that left to the compiler it would be a dozen calls, which cost a request of HTTP/1.1 130 instructions
//! of 2,950 to 4,950. What few go through has a twin out of the way.

use super::wire::{Fed, Wire};
use super::{Progress, plain};
use crate::Error;
use crate::caught::caught;
use crate::counters::Count;
use crate::exchange::{Dispatch, Polled, Stage};
use crate::request::ConnectionInfo;
use crate::response::Response;
use crate::shared::Shared;
use lanner_limits::{Moment, Trip};
use lanner_protocol::host::Authority;
use lanner_protocol::{Misbehaviour, Output, Status};
use std::task::Waker;

/// One exchange and what its turn needs.
pub(super) struct Drive<'a, W> {
    pub(super) wire: W,
    pub(super) output: &'a mut Output,
    pub(super) info: &'a ConnectionInfo,
    pub(super) slot: u32,
    pub(super) now: Moment,
    /// The exchange is over, and its slot free.
    pub(super) is_over: bool,
}

impl<W: Wire> Drive<'_, W> {
    /// Asks the app what is to hold for the request, and calls it or has it wait for others to end first
    /// (`LANNER_MAX_INFLIGHT`). [`Progress::Made`] where the app can be asked at once, or the exchange is over.
    #[inline]
    fn begin<D: Dispatch>(&mut self, shared: &mut Shared<D>) -> Progress {
        if self.is_misdirected(shared) {
            let mut turn = shared.turn(self.output, self.now);
            self.wire
                .refuse(&mut turn, Misbehaviour::Misdirected.into());
            self.end_early(shared);
            return Progress::Stalled;
        }
        let Some(overrides) = shared.exchanges.admit(self.slot) else {
            shared.counters.add(Count::Panics);
            tracing::error!(connection = self.info.id, "the app panicked in its `admit`");
            // Its link is not made good for this exchange yet, and nothing there is this app's wish.
            self.respond_with(shared, Status::INTERNAL_SERVER_ERROR);
            return Progress::Made;
        };
        let mut turn = shared.turn(self.output, self.now);
        if !self.wire.admit(&mut turn, overrides) {
            self.end_early(shared);
            return Progress::Stalled;
        }
        if shared.exchanges.may_begin(shared.limits.max_inflight) {
            shared.exchanges.begin(self.slot, self.wire.body_open());
            return Progress::Made;
        }
        if let Some(timeout) = shared.limits.queue_timeout {
            shared.counters.trip(Trip::MaxInflight);
            self.wire.handle_queued(self.now, timeout);
            shared.exchanges.queue(self.slot);
            return Progress::Stalled;
        }
        let mut turn = shared.turn(self.output, self.now);
        self.wire.refuse(&mut turn, Trip::MaxInflight.into());
        self.end_early(shared);
        Progress::Made
    }

    /// Whether the request is for a host whose clients would have come under another certificate, or other rules, than this
    /// connection did.
    fn is_misdirected<D: Dispatch>(&self, shared: &mut Shared<D>) -> bool {
        let Some(tls) = &self.info.tls else {
            return false;
        };
        let head = &shared.exchanges.slot(self.slot).head;
        // Where there is none, none is named.
        let Ok(host) = Authority::parse(head.head.host.slice(head.bytes())) else {
            return false;
        };
        let asked_for = tls
            .server_name()
            .is_some_and(|name| name.as_bytes().eq_ignore_ascii_case(host.name));
        !asked_for && !tls.covers(host.name)
    }

    /// Takes up a request: begins its exchange, and works on it as [`Drive::run`] does. Most apps answer at once, which takes
    /// no look at how far the exchange has come.
    #[inline]
    pub(super) fn take_up<D: Dispatch>(
        &mut self,
        shared: &mut Shared<D>,
        steps: &mut usize,
    ) -> Progress {
        let begun = self.begin(shared);
        if begun != Progress::Made || self.is_over {
            return begun;
        }
        if *steps > 0 {
            *steps -= 1;
            self.poll_call(shared);
        }
        if self.is_over {
            return Progress::Made;
        }
        self.run(shared, steps)
    }

    /// Works on the exchange until it stalls, is over, or has had its share of the turn: so many `steps`.
    pub(super) fn run<D: Dispatch>(
        &mut self,
        shared: &mut Shared<D>,
        steps: &mut usize,
    ) -> Progress {
        loop {
            // A limit may have ended the exchange on the protocol's side. That takes no step: in the next turn the place of its
            // stream may be another's.
            if !self.wire.in_exchange() {
                self.end_early(shared);
                return Progress::Made;
            }
            if *steps == 0 {
                return Progress::Yield;
            }
            *steps -= 1;
            let progress = match shared.exchanges.slot(self.slot).stage {
                Stage::Idle => Progress::Stalled,
                Stage::Queued { .. } => self.leave_queue(shared),
                Stage::Calling => self.drive_call(shared),
                Stage::Streaming(_) => self.drive_stream(shared),
                Stage::Upgraded(_) => self.drive_upgrade(shared),
            };
            if self.is_over {
                return Progress::Made;
            }
            match progress {
                Progress::Made => {}
                Progress::Yield => return Progress::Yield,
                Progress::Stalled if self.feed(shared) => {}
                Progress::Stalled => return Progress::Stalled,
            }
        }
    }

    /// Calls the app for a request that has waited, if its turn has come.
    #[cold]
    fn leave_queue<D: Dispatch>(&mut self, shared: &mut Shared<D>) -> Progress {
        if !shared.exchanges.take_call(self.slot) {
            return Progress::Stalled;
        }
        self.wire.handle_dequeued(self.now);
        shared.exchanges.begin(self.slot, self.wire.body_open());
        Progress::Made
    }

    fn drive_call<D: Dispatch>(&mut self, shared: &mut Shared<D>) -> Progress {
        if !shared.exchanges.slot(self.slot).due {
            return Progress::Stalled;
        }
        self.poll_call(shared)
    }

    /// Polls the app, and takes its answer if it has one.
    #[inline(always)]
    fn poll_call<D: Dispatch>(&mut self, shared: &mut Shared<D>) -> Progress {
        let mut answer = None;
        match shared.exchanges.poll_call(self.slot, &mut answer) {
            Polled::Answered => match answer {
                Some(Ok(response)) => self.take_answer(shared, response),
                Some(Err(error)) => self.answer_error(shared, error),
                None => debug_assert!(false, "an answer was given"),
            },
            Polled::Pending => {
                self.apply_overrides(shared);
                // What it asked for may have ended the exchange.
                if self.wire.in_exchange() {
                    return Progress::Stalled;
                }
            }
            Polled::Panicked => {
                shared.counters.add(Count::Panics);
                tracing::error!(connection = self.info.id, "the app panicked");
                caught(&shared.counters, "while its answer was dropped", || {
                    drop(answer);
                });
                self.answer_in_place(shared, Status::INTERNAL_SERVER_ERROR);
            }
        }
        Progress::Made
    }

    /// Answers for an app that has failed.
    #[inline(never)]
    fn answer_error<D: Dispatch>(&mut self, shared: &mut Shared<D>, error: Error) {
        let status = error.status();
        caught(&shared.counters, "in the error it returned", || {
            if !error.is_body_error() {
                tracing::warn!(%error, connection = self.info.id, "the app failed");
            }
            drop(error);
        });
        self.answer_in_place(shared, status);
    }

    /// Sends the app's answer, unless the exchange is over.
    #[inline(always)]
    fn take_answer<D: Dispatch>(&mut self, shared: &mut Shared<D>, response: Response) {
        // They may be for a body that is read while the answer is sent.
        self.apply_overrides(shared);
        if self.wire.in_exchange() {
            self.respond(shared, response);
        } else {
            caught(&shared.counters, "while its answer was dropped", || {
                drop(response);
            });
        }
    }

    /// Sends an answer of our own where the app, which was asked, has none.
    #[cold]
    #[inline(never)]
    fn answer_in_place<D: Dispatch>(&mut self, shared: &mut Shared<D>, status: Status) {
        self.take_answer(shared, plain(status));
    }

    /// Sends an answer of our own.
    #[cold]
    #[inline(never)]
    pub(super) fn respond_with<D: Dispatch>(&mut self, shared: &mut Shared<D>, status: Status) {
        self.respond(shared, plain(status));
    }

    #[inline]
    fn apply_overrides<D: Dispatch>(&mut self, shared: &mut Shared<D>) {
        if let Some(overrides) = shared.exchanges.slot(self.slot).link.take_overrides() {
            let mut turn = shared.turn(self.output, self.now);
            self.wire.admit(&mut turn, overrides);
        }
    }

    /// Gives the app the next piece of the body, if it waits for one and there is one.
    #[inline]
    fn feed<D: Dispatch>(&mut self, shared: &mut Shared<D>) -> bool {
        let link = shared.exchanges.slot(self.slot).link.clone();
        if !link.is_wanted() {
            return false;
        }
        match self.wire.feed(shared, self.output, &link, self.now) {
            Fed::Nothing => false,
            Fed::Delivered(reader) => {
                wake_reader(shared, self.slot, reader);
                true
            }
        }
    }

    /// Ends an exchange whose answer was not completed: out of the way of those whose answer is.
    #[cold]
    #[inline(never)]
    pub(super) fn end_early<D: Dispatch>(&mut self, shared: &mut Shared<D>) {
        self.end(shared, true);
    }

    /// Frees the exchange's slot; `aborted` if its answer was not completed.
    #[inline(always)]
    pub(super) fn end<D: Dispatch>(&mut self, shared: &mut Shared<D>, aborted: bool) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        let (status, body_bytes) = (self.wire.answered(), self.wire.body_bytes_sent());
        shared.log_exchange(self.slot, status, body_bytes, self.now);
        let ended = shared.exchanges.end(self.slot, aborted);
        if ended.was_upgraded {
            shared.admission.end_upgrade();
        }
        if ended.panicked {
            shared.counters.add(Count::Panics);
        }
    }
}

/// The reader is usually the exchange's own future, which is polled next anyway.
pub(super) fn wake_reader<D: Dispatch>(shared: &mut Shared<D>, slot: u32, reader: Option<Waker>) {
    let exchange = shared.exchanges.slot(slot);
    match reader {
        Some(reader) if reader.will_wake(exchange.waker()) => exchange.due = true,
        Some(reader) => reader.wake(),
        None => {}
    }
}
