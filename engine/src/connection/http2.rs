//! HTTP/2 on a connection: as many exchanges as it has streams, each in a slot of its own.
//!
//! What came is looked at first, and a request is worked on as soon as it is there: an app that answers at once has its
//! answer in the output before the next frame is looked at. Then come the streams that have something to do for another
//! reason, and at the end what streams have queued is moved into the output as windows and priorities allow.

mod streaming;

use super::arrivals::{Arrivals, End, Next};
use super::driving::{Drive, wake_reader};
use super::wire::{Fed, Wire};
use super::{Around, Progress, STEPS_PER_TURN_MAX, trailers};
use crate::body::{BodyError, Chunk};
use crate::counters::Count;
use crate::exchange::Dispatch;
use crate::link::Link;
use crate::shared::Shared;
use bytes::Bytes;
use lanner_limits::{Limits, Moment};
use lanner_protocol::h2::error_code::ErrorCode;
use lanner_protocol::h2::{Connection, Event, StreamKey};
use lanner_protocol::{
    EndReason, Fate, Fields, Output, Overrides, Refusal, ResponseError, ResponseHead, Status, Turn,
};
use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;
use streaming::Streaming;

/// The protocol's state, and the exchanges that are under way.
pub(crate) struct Http2 {
    pub(super) http: Connection,
    /// By the places of their streams.
    exchanges: Vec<Option<OnStream>>,
    /// Streams whose exchanges have something to do; each stands here at most once.
    due: VecDeque<StreamKey>,
    /// Input is there at which nobody looks before output has gone out.
    is_held: bool,
}

/// A stream's exchange.
struct OnStream {
    stream: StreamKey,
    slot: u32,
    is_listed: bool,
    /// Most requests have no body.
    arrivals: Option<Box<Arrivals>>,
}

impl Http2 {
    pub(super) fn new(http: Connection) -> Self {
        Self {
            http,
            exchanges: Vec::new(),
            due: VecDeque::new(),
            is_held: false,
        }
    }

    /// A deadline may have passed. One of them is that of a connection which has been idle for a while: it keeps little.
    pub(super) fn handle_timeout(&mut self, turn: &mut Turn<'_>) {
        self.http.handle_timeout(turn);
        if self.http.streams() == 0 && !self.has_exchange() {
            (self.exchanges, self.due) = Default::default();
        }
    }

    pub(super) fn has_exchange(&self) -> bool {
        self.exchanges.iter().any(Option::is_some)
    }

    /// Whether the input is not looked at because the client does not take what it has caused.
    pub(super) fn is_held(&self) -> bool {
        self.is_held
    }

    /// An exchange has something to do.
    #[inline(never)]
    pub(super) fn list(&mut self, stream: StreamKey) {
        if let Some(exchange) = self.at(stream)
            && !std::mem::replace(&mut exchange.is_listed, true)
        {
            self.due.push_back(stream);
        }
    }

    fn at(&mut self, stream: StreamKey) -> Option<&mut OnStream> {
        self.exchanges
            .get_mut(stream.place())?
            .as_mut()
            .filter(|exchange| exchange.stream == stream)
    }

    /// Does everything that can be done now. Returns whether there is more to do than one turn may take.
    #[inline(never)]
    pub(super) fn advance<D: Dispatch>(
        &mut self,
        around: &mut Around<'_>,
        shared: &mut Shared<D>,
    ) -> bool {
        let mut steps = STEPS_PER_TURN_MAX;
        loop {
            let has_all = self.take_events(around, shared, &mut steps);
            self.drive_due(around, shared, &mut steps);
            let mut turn = shared.turn(around.output, around.now);
            self.http.flush(&mut turn);
            self.count_trip(shared);
            while let Some(stream) = self.http.take_resumed() {
                self.list(stream);
            }
            // Once the client has ended its side, the connection ends with the last stream, and hears so from `poll`.
            let is_last = self.http.has_ended() && self.http.fate() == Fate::Open;
            if steps == 0 {
                return !has_all || !self.due.is_empty() || self.http.owes_events() || is_last;
            }
            if self.due.is_empty() && !self.http.owes_events() && !is_last {
                return false;
            }
        }
    }

    pub(super) fn count_trip<D: Dispatch>(&mut self, shared: &Shared<D>) {
        while let Some(trip) = self.http.take_trip() {
            shared.counters.trip(trip);
        }
    }

    /// Looks at what came, and at what became of streams. Returns whether that was all.
    fn take_events<D: Dispatch>(
        &mut self,
        around: &mut Around<'_>,
        shared: &mut Shared<D>,
        steps: &mut usize,
    ) -> bool {
        self.is_held = false;
        while *steps > 0 {
            *steps -= 1;
            // The head is borrowed from `shared`, so this one is made by hand.
            let mut turn = Turn {
                now: around.now,
                output: around.output,
                date: shared.date.bytes(),
            };
            let head = shared.exchanges.spare_head(around.key);
            let input = around.input.unread();
            let step = self.http.poll(&mut turn, input, head, &mut shared.text);
            while let Some((stream, offence)) = self.http.take_misbehaviour() {
                tracing::debug!(connection = around.info.id, stream, ?offence, "refused");
            }
            let goes_on = self.handle(step.event, around, shared, steps);
            around.input.consume(step.consumed);
            self.count_trip(shared);
            if !goes_on {
                return true;
            }
        }
        around.input.len() == 0
    }

    /// Handles an event. Returns whether more may follow.
    #[inline]
    fn handle<D: Dispatch>(
        &mut self,
        event: Event,
        around: &mut Around<'_>,
        shared: &mut Shared<D>,
        steps: &mut usize,
    ) -> bool {
        match event {
            Event::More => return false,
            Event::Held => {
                self.is_held = true;
                return false;
            }
            Event::Closing => {
                self.end_all(around, shared);
                return false;
            }
            Event::Request { stream, .. } => self.open(stream, around, shared, steps),
            Event::Data { stream, at, last } => self.receive(stream, at, last, around, shared),
            Event::End { stream, trailers } => self.receive_end(stream, trailers, around, shared),
            Event::BodyFailed { stream, refusal } => {
                self.fail_body(stream, refusal.into(), shared);
            }
            Event::Reset { stream, .. } => self.end(stream, around, shared),
            Event::Refused { status } => shared.log_refusal(around.info, status, 0),
        }
        true
    }

    /// A request: its head stands where `poll` wrote it.
    fn open<D: Dispatch>(
        &mut self,
        stream: StreamKey,
        around: &mut Around<'_>,
        shared: &mut Shared<D>,
        steps: &mut usize,
    ) {
        let head = shared.pool.copy(&shared.text);
        let slot =
            shared
                .exchanges
                .reserve(around.key, Some(stream), around.info, head, around.now);
        shared.counters.add(Count::Requests);
        let exchange = OnStream {
            stream,
            slot,
            is_listed: false,
            arrivals: None,
        };
        let place = stream.place();
        if place >= self.exchanges.len() {
            self.exchanges.resize_with(place + 1, || None);
        }
        debug_assert!(
            self.exchanges[place].is_none(),
            "an exchange is over before its stream's place is another's"
        );
        self.exchanges[place] = Some(exchange);
        self.drive(stream, around, |drive| drive.take_up(shared, steps));
    }

    /// Works on a stream's exchange, and takes note of its end.
    fn drive(
        &mut self,
        stream: StreamKey,
        around: &mut Around<'_>,
        work: impl FnOnce(&mut Drive<'_, Streaming<'_>>) -> Progress,
    ) {
        let Some(Some(exchange)) = self.exchanges.get_mut(stream.place()) else {
            return;
        };
        let mut drive = Drive {
            wire: Streaming {
                http: &mut self.http,
                stream,
                arrivals: &mut exchange.arrivals,
            },
            output: around.output,
            info: around.info,
            slot: exchange.slot,
            now: around.now,
            is_over: false,
        };
        let progress = work(&mut drive);
        if drive.is_over {
            self.exchanges[stream.place()] = None;
        } else if progress == Progress::Yield {
            self.list(stream);
        }
    }

    fn drive_due<D: Dispatch>(
        &mut self,
        around: &mut Around<'_>,
        shared: &mut Shared<D>,
        steps: &mut usize,
    ) {
        while *steps > 0
            && let Some(stream) = self.due.pop_front()
        {
            // The one that was listed may be over.
            if let Some(exchange) = self.at(stream) {
                exchange.is_listed = false;
                self.drive(stream, around, |drive| drive.run(shared, steps));
            }
        }
    }

    /// A piece of a body: to the app if it waits for it.
    fn receive<D: Dispatch>(
        &mut self,
        stream: StreamKey,
        at: Range<usize>,
        last: bool,
        around: &mut Around<'_>,
        shared: &mut Shared<D>,
    ) {
        let Some(exchange) = self.at(stream) else {
            return;
        };
        let slot = exchange.slot;
        let link = &shared.exchanges.slot(slot).link;
        if exchange.arrivals.is_none()
            && link.is_wanted()
            && let Some(piece) = around.input.share(&shared.pool, at.clone())
        {
            let reader = link.deliver(Chunk(piece), last);
            wake_reader(shared, slot, reader);
            let mut turn = shared.turn(around.output, around.now);
            self.http.consumed(stream, &mut turn, at.len());
        } else {
            let arrivals = exchange.arrivals.get_or_insert_default();
            arrivals.add(&around.input.unread()[at], &shared.pool);
            if last {
                arrivals.end(End::Whole(None));
            }
        }
        self.list(stream);
    }

    fn receive_end<D: Dispatch>(
        &mut self,
        stream: StreamKey,
        has_trailers: bool,
        around: &Around<'_>,
        shared: &mut Shared<D>,
    ) {
        let end = if has_trailers {
            let spans = &shared.exchanges.spare_head(around.key).fields;
            match trailers::fields(spans, &shared.text, shared.limits.underscore_headers) {
                Ok(fields) => End::Whole(fields),
                Err(refusal) => {
                    self.http.fail_trailers(stream, refusal);
                    End::Failed(refusal.into())
                }
            }
        } else {
            End::Whole(None)
        };
        if let Some(exchange) = self.at(stream) {
            exchange.arrivals.get_or_insert_default().end(end);
            self.list(stream);
        }
    }

    /// The rest of a body will not come: what came of it counts for nothing.
    fn fail_body<D: Dispatch>(
        &mut self,
        stream: StreamKey,
        error: BodyError,
        shared: &mut Shared<D>,
    ) {
        let Some(exchange) = self.at(stream) else {
            return;
        };
        exchange.arrivals = None;
        let slot = exchange.slot;
        let reader = shared.exchanges.slot(slot).link.deliver_failure(error);
        wake_reader(shared, slot, reader);
        self.list(stream);
    }

    /// A stream has ended before its exchange: the app's future goes, and then the stream.
    fn end<D: Dispatch>(
        &mut self,
        stream: StreamKey,
        around: &mut Around<'_>,
        shared: &mut Shared<D>,
    ) {
        if self.at(stream).is_some() {
            self.drop_exchange(stream, around, shared);
        }
        let mut turn = shared.turn(around.output, around.now);
        self.http.release(stream, &mut turn);
    }

    /// Ends an exchange before its answer is complete.
    fn drop_exchange<D: Dispatch>(
        &mut self,
        stream: StreamKey,
        around: &mut Around<'_>,
        shared: &mut Shared<D>,
    ) {
        self.drive(stream, around, |drive| {
            drive.end_early(shared);
            Progress::Made
        });
    }

    /// Ends all exchanges before their answers are complete.
    #[inline(never)]
    pub(super) fn end_all<D: Dispatch>(&mut self, around: &mut Around<'_>, shared: &mut Shared<D>) {
        for place in 0..self.exchanges.len() {
            if let Some(stream) = self.exchanges[place].as_ref().map(|each| each.stream) {
                self.drop_exchange(stream, around, shared);
            }
        }
        self.exchanges = Vec::new();
        self.due.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lanner_limits::Machine;
    use std::rc::Rc;

    #[test]
    fn a_connection_that_has_become_idle_keeps_no_places_for_exchanges() {
        let limits = Limits::for_machine(Machine {
            nofile: 4096,
            memory: 1 << 30,
            cpus: 1,
        });
        let http = Connection::new(Rc::new(limits), Moment::ZERO, 0);
        let mut http2 = Http2::new(http);
        http2.exchanges.resize_with(100, || None);
        http2.handle_timeout(&mut Turn {
            now: Moment::ZERO,
            output: &mut Output::new(),
            date: b"Thu, 01 Jan 1970 00:00:00 GMT",
        });
        assert_eq!(http2.exchanges.capacity(), 0);
    }
}
