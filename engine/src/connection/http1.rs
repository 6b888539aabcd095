//! HTTP/1.1 on a connection: one request after the other, each answered before the next is taken.

use super::driving::{Drive, wake_reader};
use super::wire::{Fed, Wire};
use super::{Around, Progress, STEPS_PER_TURN_MAX};
use crate::body::{BodyError, Chunk};
use crate::counters::Count;
use crate::exchange::{Dispatch, Stage};
use crate::input::Input;
use crate::lease::Piece;
use crate::link::Link;
use crate::shared::Shared;
use bytes::Bytes;
use lanner_limits::{Limits, Moment};
use lanner_protocol::{
    Connection, EndReason, Event, Fields, Output, Overrides, Refusal, ResponseError, ResponseHead,
    Status, Turn, chunked, scan,
};
use std::ops::Range;
use std::time::Duration;

/// The protocol's state, and the exchange it is in.
pub(crate) struct Http1 {
    pub(super) http: Connection,
    pub(super) exchange: Option<u32>,
}

impl Http1 {
    pub(super) fn new(http: Connection) -> Self {
        Self {
            http,
            exchange: None,
        }
    }

    /// Whether the next request is not taken yet because the client does not take the answers it has caused: without
    /// this, one that pipelines and never reads could fill our memory with them.
    pub(super) fn is_held_back(&self, input: &Input, output: &Output, limits: &Limits) -> bool {
        output.len() >= limits.response_buffer && self.awaits_look(input)
    }

    /// Whether there is input at which nobody has looked, between two requests.
    pub(super) fn awaits_look(&self, input: &Input) -> bool {
        input.len() > 0 && self.http.awaits_request() && !self.http.has_only_empty_lines()
    }

    /// Does everything that can be done now: takes requests from the input, polls the app, queues output. Returns whether
    /// there is more to do than one turn may take.
    #[inline]
    pub(super) fn advance<D: Dispatch>(
        &mut self,
        around: &mut Around<'_>,
        shared: &mut Shared<D>,
    ) -> bool {
        let mut requests_left = shared.limits.max_pipelined;
        loop {
            if let Some(slot) = self.exchange {
                match self.drive(around, shared, slot) {
                    Progress::Made => {}
                    Progress::Stalled => return false,
                    Progress::Yield => return true,
                }
            }
            self.count_trip(shared);
            if requests_left == 0 && around.input.len() > 0 {
                return true;
            }
            requests_left = requests_left.saturating_sub(1);
            if self.is_held_back(around.input, around.output, &shared.limits) {
                return false;
            }
            match self.next_request(around, shared) {
                Progress::Made => {}
                Progress::Stalled => return false,
                Progress::Yield => return true,
            }
        }
    }

    /// Counts the limit that was hit, if one was: one request may hit one, and the next another.
    pub(super) fn count_trip<D: Dispatch>(&mut self, shared: &Shared<D>) {
        if let Some(trip) = self.http.take_trip() {
            shared.counters.trip(trip);
        }
    }

    /// Takes the next request from the input, and works on it.
    #[inline]
    fn next_request<D: Dispatch>(
        &mut self,
        around: &mut Around<'_>,
        shared: &mut Shared<D>,
    ) -> Progress {
        // The head is borrowed from `shared`, so this one is made by hand.
        let mut turn = Turn {
            now: around.now,
            output: around.output,
            date: shared.date.bytes(),
        };
        let head = shared.exchanges.spare_head(around.key);
        let step = self
            .http
            .poll_request(&mut turn, around.input.unread(), head);
        let head = match step.event {
            Event::Head { at } => around.input.share(&shared.pool, at),
            Event::FoldedHead { at } => self.unfold(around, shared, at),
            _ => None,
        };
        around.input.consume(step.consumed);
        let Some(head) = head else {
            return Progress::Stalled;
        };
        let slot = shared
            .exchanges
            .reserve(around.key, None, around.info, head, around.now);
        shared.counters.add(Count::Requests);
        let mut drive = self.driver(around, slot);
        let progress = drive.take_up(shared, &mut { STEPS_PER_TURN_MAX });
        let is_over = drive.is_over;
        self.exchange = (!is_over).then_some(slot);
        progress
    }

    /// Parses a head with folded lines from a copy in which they are not (`LANNER_H1_STRICT=false`); none if it is refused.
    #[cold]
    fn unfold<D: Dispatch>(
        &mut self,
        around: &mut Around<'_>,
        shared: &mut Shared<D>,
        at: Range<usize>,
    ) -> Option<Piece> {
        let mut head = shared.pool.copy(&around.input.unread()[at]);
        scan::unfold(head.bytes_mut()?);
        let mut turn = Turn {
            now: around.now,
            output: around.output,
            date: shared.date.bytes(),
        };
        let spare = shared.exchanges.spare_head(around.key);
        self.http
            .handle_unfolded(&mut turn, head.bytes(), spare)
            .then_some(head)
    }

    #[inline]
    fn driver<'a>(
        &'a mut self,
        around: &'a mut Around<'_>,
        slot: u32,
    ) -> Drive<'a, OnConnection<'a>> {
        Drive {
            wire: OnConnection {
                http: &mut self.http,
                input: around.input,
            },
            output: around.output,
            info: around.info,
            slot,
            now: around.now,
            is_over: false,
        }
    }

    #[inline]
    fn drive<D: Dispatch>(
        &mut self,
        around: &mut Around<'_>,
        shared: &mut Shared<D>,
        slot: u32,
    ) -> Progress {
        let mut drive = self.driver(around, slot);
        let progress = drive.run(shared, &mut { STEPS_PER_TURN_MAX });
        if drive.is_over {
            self.exchange = None;
        }
        progress
    }

    /// Ends the exchange that is open, if one is, before its answer is complete.
    pub(super) fn end_exchange<D: Dispatch>(
        &mut self,
        around: &mut Around<'_>,
        shared: &mut Shared<D>,
    ) {
        if let Some(slot) = self.exchange.take() {
            self.driver(around, slot).end_early(shared);
        }
    }

    /// Whether something stopped only for want of room, so that a write which emptied the output lets it go on.
    pub(super) fn wants_room<D: Dispatch>(&self, input: &Input, shared: &mut Shared<D>) -> bool {
        let Some(slot) = self.exchange else {
            return self.awaits_look(input);
        };
        let exchange = shared.exchanges.slot(slot);
        match exchange.stage {
            Stage::Streaming(_) => exchange.due,
            Stage::Upgraded(_) => exchange.due || exchange.link.has_outgoing(),
            Stage::Idle | Stage::Queued { .. } | Stage::Calling => false,
        }
    }

    /// The body cannot be received.
    pub(super) fn fail_body<D: Dispatch>(&self, shared: &mut Shared<D>, refusal: Option<Refusal>) {
        if let (Some(refusal), Some(slot)) = (refusal, self.exchange) {
            let link = &shared.exchanges.slot(slot).link;
            let reader = link.deliver_failure(BodyError::from(refusal));
            wake_reader(shared, slot, reader);
        }
    }
}

/// HTTP/1.1 as its exchange sees it.
struct OnConnection<'a> {
    http: &'a mut Connection,
    input: &'a mut Input,
}

impl Wire for OnConnection<'_> {
    #[inline]
    fn in_exchange(&self) -> bool {
        self.http.in_exchange()
    }

    #[inline]
    fn body_open(&self) -> bool {
        self.http.body_open()
    }

    #[inline]
    fn answered(&self) -> Option<Status> {
        self.http.answered()
    }

    #[inline]
    fn body_bytes_sent(&self) -> u64 {
        self.http.body_bytes_sent()
    }

    #[inline]
    fn admit(&mut self, turn: &mut Turn<'_>, overrides: Overrides) -> bool {
        self.http.admit(turn, overrides)
    }

    fn handle_queued(&mut self, now: Moment, timeout: Duration) {
        self.http.handle_queued(now, timeout);
    }

    fn handle_dequeued(&mut self, now: Moment) {
        self.http.handle_dequeued(now);
    }

    #[inline(always)]
    fn respond(
        &mut self,
        turn: &mut Turn<'_>,
        head: &ResponseHead<'_>,
        complete: bool,
    ) -> Result<(), ResponseError> {
        self.http.respond(turn, head, complete)
    }

    fn respond_upgrade(
        &mut self,
        turn: &mut Turn<'_>,
        protocol: &str,
        fields: &Fields,
    ) -> Result<(), ResponseError> {
        self.http.respond_upgrade(turn, protocol, fields)
    }

    #[inline]
    fn sends_body(&self) -> bool {
        self.http.sends_body()
    }

    /// When the backlog has gone out, the driver gives another turn.
    fn accepts_body(&mut self, turn: &Turn<'_>, limits: &Limits) -> bool {
        turn.output.len() < limits.response_buffer
    }

    #[inline(always)]
    fn send(&mut self, turn: &mut Turn<'_>, piece: Bytes) -> Result<(), ResponseError> {
        self.http.send(turn, piece)
    }

    #[inline(always)]
    fn finish(
        &mut self,
        turn: &mut Turn<'_>,
        trailers: Option<&Fields>,
    ) -> Result<(), ResponseError> {
        self.http.finish(turn, trailers)
    }

    fn refuse(&mut self, turn: &mut Turn<'_>, refusal: Refusal) {
        self.http.refuse(turn, refusal);
    }

    fn truncate(&mut self, _turn: &mut Turn<'_>, reason: EndReason) {
        self.http.truncate(reason);
    }

    fn abort(&mut self, _turn: &mut Turn<'_>) {
        self.http.abort(EndReason::AbortedByApp);
    }

    fn feed<D: Dispatch>(
        &mut self,
        shared: &mut Shared<D>,
        output: &mut Output,
        link: &Link,
        now: Moment,
    ) -> Fed {
        let mut turn = shared.turn(output, now);
        self.http.want_body(&mut turn, self.input.len());
        loop {
            let mut turn = shared.turn(output, now);
            let step = self.http.poll_body(&mut turn, self.input.unread());
            let reader = match step.event {
                Event::Data { at, last } if at.is_empty() && last => link.deliver_end(None),
                Event::Data { at, last } => match self.input.share(&shared.pool, at) {
                    Some(piece) => link.deliver(Chunk(piece), last),
                    // The range lies in the input, so it is there; a body cut short must never look whole.
                    None => link.deliver_failure(BodyError::Aborted),
                },
                Event::End { trailers } => self.deliver_end(trailers, link, &shared.limits),
                Event::BodyFailed(refusal) => link.deliver_failure(refusal.into()),
                Event::More if step.consumed > 0 && step.consumed < self.input.len() => {
                    self.input.consume(step.consumed);
                    continue;
                }
                Event::More
                | Event::Held
                | Event::Head { .. }
                | Event::FoldedHead { .. }
                | Event::Closing => {
                    self.input.consume(step.consumed);
                    return Fed::Nothing;
                }
            };
            self.input.consume(step.consumed);
            return Fed::Delivered(reader);
        }
    }
}

impl OnConnection<'_> {
    /// The end of a chunked body, with its trailers.
    fn deliver_end(
        &mut self,
        trailers: Range<usize>,
        link: &Link,
        limits: &Limits,
    ) -> Option<std::task::Waker> {
        let bytes = &self.input.unread()[trailers];
        let mut spans = Vec::new();
        let parsed = chunked::parse_trailers(bytes, limits, &mut spans)
            .and_then(|()| super::trailers::fields(&spans, bytes, limits.underscore_headers));
        match parsed {
            Ok(fields) => link.deliver_end(fields),
            Err(refusal) => {
                self.http.fail_trailers(refusal);
                link.deliver_failure(refusal.into())
            }
        }
    }
}
