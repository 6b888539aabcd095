//! One connection in its worker: the protocol's state machine, the input not consumed, the output not sent, and the
//! exchange it is in. What happens in a turn is plain functions here; sockets belong to the backend.

use crate::body::{BodyError, Chunk};
use crate::counters::Count;
use crate::exchange::{Dispatch, Polled, Stage};
use crate::input::Input;
use crate::request::ConnectionInfo;
use crate::response::{self, Response, ResponseBody};
use crate::slab::Key;
use crate::upgrade::Upgraded;
use crate::worker::Shared;
use bytes::Buf as _;
use lanner_limits::{Moment, Trip};
use lanner_protocol::{
    BodyLength, EndReason, Event, Fields, Output, Refusal, ResponseHead, Status, Turn,
    chunked, scan,
};
use std::ops::Range;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// How many pieces of a response body are taken from the app before other connections get their turn.
const BODY_PIECES_PER_TURN_MAX: usize = 64;

/// See the file's comment.
pub(crate) struct Connection {
    pub(crate) http: lanner_protocol::Connection,
    pub(crate) input: Input,
    /// What waits to be written. Between turns its memory belongs to this connection only if a write fell short.
    pub(crate) output: Output,
    /// Bytes added to `output` since the protocol was last told.
    pub(crate) queued: usize,
    exchange: Option<u32>,
    key: Key,
    info: Rc<ConnectionInfo>,
    /// There is more to do than one turn may take.
    yielded: bool,
}

/// How far a step came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Something happened; look again.
    Made,
    /// Nothing more can happen before something comes from outside.
    Stalled,
    /// The turn has had its share.
    Yield,
}

impl Connection {
    pub(crate) fn new(
        http: lanner_protocol::Connection,
        key: Key,
        info: Rc<ConnectionInfo>,
    ) -> Self {
        Self {
            http,
            input: Input::default(),
            output: Output::new(),
            queued: 0,
            exchange: None,
            key,
            info,
            yielded: false,
        }
    }

    pub(crate) fn info(&self) -> &Rc<ConnectionInfo> {
        &self.info
    }

    pub(crate) fn has_exchange(&self) -> bool {
        self.exchange.is_some()
    }

    /// Whether it would go on at once if it got another turn.
    pub(crate) fn has_yielded(&self) -> bool {
        self.yielded
    }

    /// Whether the next request is not taken yet because the client does not take the answers it has caused: without
    /// this, one that pipelines and never reads could fill our memory with them.
    fn is_held_back<D: Dispatch>(&self, shared: &Shared<D>) -> bool {
        self.output.len() >= shared.limits.response_buffer && self.awaits_look()
    }

    /// Whether there is input at which nobody has looked, between two requests.
    fn awaits_look(&self) -> bool {
        self.input.len() > 0 && self.http.awaits_request()
    }

    /// Whether bytes are worth reading.
    pub(crate) fn wants_input<D: Dispatch>(&self, shared: &Shared<D>) -> bool {
        self.http.wants_input(self.input.len()) && !self.is_held_back(shared)
    }

    /// Does everything that can be done now: takes requests from the input, polls the app, queues output.
    pub(crate) fn advance<D: Dispatch>(&mut self, shared: &mut Shared<D>, now: Moment) {
        self.yielded = false;
        let mut requests_left = shared.limits.max_pipelined;
        loop {
            if let Some(slot) = self.exchange {
                match self.drive(shared, slot, now) {
                    Progress::Made => {}
                    Progress::Stalled => return,
                    Progress::Yield => break,
                }
            }
            if requests_left == 0 && self.input.len() > 0 {
                break;
            }
            requests_left = requests_left.saturating_sub(1);
            if self.is_held_back(shared) || self.next_request(shared, now) == Progress::Stalled {
                return;
            }
        }
        self.yielded = true;
    }

    /// Takes the next request from the input and hands it to the app.
    fn next_request<D: Dispatch>(&mut self, shared: &mut Shared<D>, now: Moment) -> Progress {
        let mut turn = Turn {
            now,
            output: &mut self.output,
            date: shared.date.bytes(),
        };
        let step = self.http.poll_input(&mut turn, self.input.unread());
        let Event::Head { at, folded } = step.event else {
            self.input.consume(step.consumed);
            return Progress::Stalled;
        };
        let slot = shared.exchanges.reserve(self.key, &self.info, now);
        self.place_head(shared, slot, at, folded);
        self.input.consume(step.consumed);
        let head = shared.exchanges.head_mut(slot);
        let mut turn = Turn {
            now,
            output: &mut self.output,
            date: shared.date.bytes(),
        };
        let bytes = head.lease.as_ref().map_or(&[][..], |lease| {
            &lease.bytes()[head.start..head.start + head.len]
        });
        let accepted = self.http.handle_head(&mut turn, bytes, &mut head.head);
        if !accepted {
            shared.exchanges.end(slot, true);
            return Progress::Stalled;
        }
        shared.counters.add(Count::Requests);
        let overrides = shared.exchanges.admit(slot);
        if !self.http.admit(&mut turn, overrides) {
            shared.exchanges.end(slot, true);
            return Progress::Stalled;
        }
        self.exchange = Some(slot);
        self.begin_or_queue(shared, slot, now)
    }

    /// Calls the app, or waits for others to end first (`LANNER_MAX_INFLIGHT`).
    fn begin_or_queue<D: Dispatch>(
        &mut self,
        shared: &mut Shared<D>,
        slot: u32,
        now: Moment,
    ) -> Progress {
        if shared.exchanges.may_begin(shared.limits.max_inflight) {
            shared.exchanges.begin(slot, self.http.body_open());
            return Progress::Made;
        }
        if let Some(timeout) = shared.limits.queue_timeout {
            shared.counters.trip(Trip::MaxInflight);
            self.http.handle_queued(now, timeout);
            shared.exchanges.queue(slot);
            return Progress::Stalled;
        }
        let mut turn = Turn {
            now,
            output: &mut self.output,
            date: shared.date.bytes(),
        };
        self.http.refuse(&mut turn, Trip::MaxInflight.into());
        Progress::Made
    }

    /// Calls the app for a request that has waited, if its turn has come.
    fn leave_queue<D: Dispatch>(
        &mut self,
        shared: &mut Shared<D>,
        slot: u32,
        now: Moment,
    ) -> Progress {
        if !shared.exchanges.take_due(slot) {
            return Progress::Stalled;
        }
        if !shared.exchanges.may_leave_queue(shared.limits.max_inflight) {
            shared.exchanges.queue_first(slot);
            return Progress::Stalled;
        }
        self.http.handle_dequeued(now);
        shared.exchanges.begin(slot, self.http.body_open());
        Progress::Made
    }

    /// Gives a slot the bytes of a head: by lease where they can be used as they are.
    fn place_head<D: Dispatch>(
        &mut self,
        shared: &mut Shared<D>,
        slot: u32,
        at: Range<usize>,
        folded: bool,
    ) {
        let len = at.len();
        let placed = if folded {
            let mut copy = shared.pool.copy(&self.input.unread()[at]);
            if let Some(bytes) = copy.bytes_mut() {
                scan::unfold(&mut bytes[..len]);
            }
            Some((copy, 0))
        } else {
            self.input.share(&shared.pool, at)
        };
        let head = shared.exchanges.head_mut(slot);
        head.len = len;
        (head.lease, head.start) = match placed {
            Some((lease, start)) => (Some(lease), start),
            None => (None, 0),
        };
    }

    /// Works on the open exchange until it stalls or is over.
    fn drive<D: Dispatch>(&mut self, shared: &mut Shared<D>, slot: u32, now: Moment) -> Progress {
        loop {
            // A limit may have ended the exchange on the protocol's side.
            if !self.http.in_exchange() {
                self.end_exchange(shared, true, now);
                return Progress::Made;
            }
            let progress = match shared.exchanges.slot(slot).stage {
                Stage::Idle => Progress::Stalled,
                Stage::Queued => self.leave_queue(shared, slot, now),
                Stage::Calling => self.drive_call(shared, slot, now),
                Stage::Streaming(_) => self.drive_stream(shared, slot, now),
                Stage::Upgraded(_) => self.drive_upgrade(shared, slot, now),
            };
            if self.exchange.is_none() {
                return Progress::Made;
            }
            match progress {
                Progress::Made => {}
                Progress::Yield => return Progress::Yield,
                Progress::Stalled if self.feed(shared, slot, now) => {}
                Progress::Stalled => return Progress::Stalled,
            }
        }
    }

    fn drive_call<D: Dispatch>(
        &mut self,
        shared: &mut Shared<D>,
        slot: u32,
        now: Moment,
    ) -> Progress {
        if !shared.exchanges.slot(slot).due {
            return Progress::Stalled;
        }
        let answer = match shared.exchanges.poll_call(slot) {
            Polled::Pending => {
                self.apply_overrides(shared, slot, now);
                return Progress::Stalled;
            }
            Polled::Answered(Ok(response)) => response,
            Polled::Answered(Err(error)) => {
                if !error.is_body_error() {
                    tracing::warn!(%error, connection = self.info.id, "the app failed");
                }
                plain(error.status())
            }
            Polled::Panicked => {
                shared.counters.add(Count::Panics);
                tracing::error!(connection = self.info.id, "the app panicked");
                plain(Status::INTERNAL_SERVER_ERROR)
            }
        };
        self.respond(shared, slot, answer, now);
        Progress::Made
    }

    fn apply_overrides<D: Dispatch>(&mut self, shared: &mut Shared<D>, slot: u32, now: Moment) {
        if let Some(overrides) = shared.exchanges.slot(slot).link.take_overrides() {
            let mut turn = Turn {
                now,
                output: &mut self.output,
                date: shared.date.bytes(),
            };
            self.http.admit(&mut turn, overrides);
        }
    }

    /// Begins the app's answer, and ends it too where the body is whole.
    fn respond<D: Dispatch>(
        &mut self,
        shared: &mut Shared<D>,
        slot: u32,
        response: Response,
        now: Moment,
    ) {
        let Response {
            status,
            fields,
            body,
        } = response;
        let mut turn = Turn {
            now,
            output: &mut self.output,
            date: shared.date.bytes(),
        };
        let (length, complete) = match &body {
            ResponseBody::Empty => (BodyLength::Known(0), true),
            ResponseBody::Whole(bytes) => (BodyLength::Known(bytes.len() as u64), true),
            ResponseBody::Stream { length, .. } => {
                (length.map_or(BodyLength::Unknown, BodyLength::Known), false)
            }
            ResponseBody::Upgrade { .. } => return self.upgrade(shared, slot, fields, body, now),
            ResponseBody::Reset => {
                self.http.abort(EndReason::AbortedByApp);
                return self.end_exchange(shared, true, now);
            }
        };
        let head = ResponseHead {
            status,
            fields: &fields,
            length,
        };
        if let Err(error) = self.http.respond(&mut turn, &head, complete) {
            tracing::error!(%error, connection = self.info.id, "the app's response cannot be sent");
            response::recycle(fields);
            return self.respond(shared, slot, plain(Status::INTERNAL_SERVER_ERROR), now);
        }
        response::recycle(fields);
        shared.exchanges.slot(slot).status = Some(status);
        match body {
            ResponseBody::Whole(bytes) => {
                // The length announced is the body's own.
                let _ = self.http.send(&mut turn, bytes);
                self.finish(shared, None, now);
            }
            ResponseBody::Stream { stream, .. } if self.http.sends_body() => {
                let exchange = shared.exchanges.slot(slot);
                exchange.stage = Stage::Streaming(stream);
                exchange.due = true;
            }
            _ => self.finish(shared, None, now),
        }
    }

    fn finish<D: Dispatch>(
        &mut self,
        shared: &mut Shared<D>,
        trailers: Option<&Fields>,
        now: Moment,
    ) {
        let mut turn = Turn {
            now,
            output: &mut self.output,
            date: shared.date.bytes(),
        };
        let finished = self.http.finish(&mut turn, trailers);
        if let Err(error) = &finished {
            tracing::error!(%error, connection = self.info.id, "the app's response could not be completed");
        }
        self.end_exchange(shared, finished.is_err(), now);
    }

    fn drive_stream<D: Dispatch>(
        &mut self,
        shared: &mut Shared<D>,
        slot: u32,
        now: Moment,
    ) -> Progress {
        if !shared.exchanges.slot(slot).due {
            return Progress::Stalled;
        }
        for _ in 0..BODY_PIECES_PER_TURN_MAX {
            // When the backlog has gone out, the driver gives another turn.
            if self.output.len() >= shared.limits.response_buffer {
                return Progress::Stalled;
            }
            let exchange = shared.exchanges.slot(slot);
            let waker = exchange.waker().clone();
            let Stage::Streaming(stream) = &mut exchange.stage else {
                return Progress::Stalled;
            };
            let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                stream.as_mut().poll_frame(&mut Context::from_waker(&waker))
            }));
            let frame = match polled {
                Ok(Poll::Pending) => {
                    exchange.due = false;
                    return Progress::Stalled;
                }
                Ok(Poll::Ready(None)) => {
                    self.finish(shared, None, now);
                    return Progress::Made;
                }
                Ok(Poll::Ready(Some(Ok(frame)))) => frame,
                Ok(Poll::Ready(Some(Err(error)))) => {
                    tracing::warn!(%error, connection = self.info.id, "the app failed within its response");
                    return self.fail_response(shared, now);
                }
                Err(_) => {
                    shared.counters.add(Count::Panics);
                    tracing::error!(
                        connection = self.info.id,
                        "the app panicked within its response"
                    );
                    return self.fail_response(shared, now);
                }
            };
            let mut turn = Turn {
                now,
                output: &mut self.output,
                date: shared.date.bytes(),
            };
            match frame.into_data() {
                Ok(mut piece) => {
                    if let Err(error) = self
                        .http
                        .send(&mut turn, piece.copy_to_bytes(piece.remaining()))
                    {
                        tracing::error!(%error, connection = self.info.id, "the app's response is too long");
                        self.end_exchange(shared, true, now);
                        return Progress::Made;
                    }
                }
                Err(frame) => {
                    let trailers = response::trailers(frame);
                    self.finish(shared, trailers.as_ref(), now);
                    return Progress::Made;
                }
            }
        }
        Progress::Yield
    }

    /// What is out cannot be taken back: the connection is reset, so that the client cannot take it for the whole.
    fn fail_response<D: Dispatch>(&mut self, shared: &mut Shared<D>, now: Moment) -> Progress {
        self.http.abort(EndReason::ErrorAfterStartingResponse);
        self.end_exchange(shared, true, now);
        Progress::Made
    }

    fn upgrade<D: Dispatch>(
        &mut self,
        shared: &mut Shared<D>,
        slot: u32,
        fields: Fields,
        body: ResponseBody,
        now: Moment,
    ) {
        let ResponseBody::Upgrade { protocol, handler } = body else {
            return;
        };
        let mut turn = Turn {
            now,
            output: &mut self.output,
            date: shared.date.bytes(),
        };
        if !shared
            .admission
            .try_upgrade(shared.limits.max_upgraded_connections)
        {
            self.http
                .refuse(&mut turn, Trip::MaxUpgradedConnections.into());
            return self.end_exchange(shared, true, now);
        }
        if let Err(error) = self.http.respond_upgrade(&mut turn, protocol, &fields) {
            shared.admission.end_upgrade();
            tracing::error!(%error, connection = self.info.id, "the request did not offer an upgrade");
            return self.respond(shared, slot, plain(Status::INTERNAL_SERVER_ERROR), now);
        }
        response::recycle(fields);
        let exchange = shared.exchanges.slot(slot);
        exchange.status = Some(Status::SWITCHING_PROTOCOLS);
        exchange.link.reopen();
        exchange.stage = Stage::Upgraded(handler(Upgraded::new(exchange.link.clone())));
        exchange.due = true;
    }

    fn drive_upgrade<D: Dispatch>(
        &mut self,
        shared: &mut Shared<D>,
        slot: u32,
        now: Moment,
    ) -> Progress {
        let exchange = shared.exchanges.slot(slot);
        if std::mem::take(&mut exchange.due) {
            let waker = exchange.waker().clone();
            let Stage::Upgraded(handler) = &mut exchange.stage else {
                return Progress::Stalled;
            };
            let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                handler.as_mut().poll(&mut Context::from_waker(&waker))
            }));
            let finished = match polled {
                Ok(polled) => polled.is_ready(),
                Err(_) => {
                    shared.counters.add(Count::Panics);
                    tracing::error!(
                        connection = self.info.id,
                        "the handler of an upgraded connection panicked"
                    );
                    true
                }
            };
            let link = exchange.link.clone();
            self.send_upgraded(
                shared,
                &link,
                if finished {
                    usize::MAX
                } else {
                    shared.limits.response_buffer
                },
                now,
            );
            if finished {
                self.finish(shared, None, now);
                return Progress::Made;
            }
            return Progress::Stalled;
        }
        let link = exchange.link.clone();
        let bytes_max = shared.limits.response_buffer;
        if self.send_upgraded(shared, &link, bytes_max, now) {
            Progress::Made
        } else {
            Progress::Stalled
        }
    }

    fn send_upgraded<D: Dispatch>(
        &mut self,
        shared: &Shared<D>,
        link: &crate::link::Link,
        bytes_max: usize,
        now: Moment,
    ) -> bool {
        let mut sent = false;
        while self.output.len() < bytes_max {
            let Some(bytes) = link.take_outgoing() else {
                break;
            };
            let mut turn = Turn {
                now,
                output: &mut self.output,
                date: shared.date.bytes(),
            };
            let _ = self.http.send(&mut turn, bytes);
            sent = true;
        }
        sent
    }

    /// Gives the app the next piece of the body, if it waits for one and there is one.
    fn feed<D: Dispatch>(&mut self, shared: &mut Shared<D>, slot: u32, now: Moment) -> bool {
        let link = shared.exchanges.slot(slot).link.clone();
        if !link.is_wanted() {
            return false;
        }
        let mut turn = Turn {
            now,
            output: &mut self.output,
            date: shared.date.bytes(),
        };
        self.http.want_body(&mut turn, self.input.len());
        loop {
            let mut turn = Turn {
                now,
                output: &mut self.output,
                date: shared.date.bytes(),
            };
            let step = self.http.poll_input(&mut turn, self.input.unread());
            let reader = match step.event {
                Event::Data { at, last } if at.is_empty() && last => link.deliver_end(None),
                Event::Data { at, last } => match self.input.share(&shared.pool, at.clone()) {
                    Some((lease, start)) => link.deliver(Chunk::new(lease, start, at.len()), last),
                    None => link.deliver_end(None),
                },
                Event::End { trailers } => {
                    match trailer_fields(&self.input.unread()[trailers], shared) {
                        Ok(fields) => link.deliver_end(fields),
                        Err(refusal) => {
                            self.http.fail_trailers(refusal);
                            link.deliver_failure(refusal.into())
                        }
                    }
                }
                Event::BodyFailed(refusal) => link.deliver_failure(refusal.into()),
                Event::More if step.consumed > 0 && step.consumed < self.input.len() => {
                    self.input.consume(step.consumed);
                    continue;
                }
                Event::More | Event::Held | Event::Head { .. } | Event::Closing => {
                    self.input.consume(step.consumed);
                    return false;
                }
            };
            self.input.consume(step.consumed);
            self.wake_reader(shared, slot, reader);
            return true;
        }
    }

    /// The reader is usually the exchange's own future, which is polled next anyway.
    fn wake_reader<D: Dispatch>(
        &mut self,
        shared: &mut Shared<D>,
        slot: u32,
        reader: Option<Waker>,
    ) {
        let exchange = shared.exchanges.slot(slot);
        match reader {
            Some(reader) if reader.will_wake(exchange.waker()) => exchange.due = true,
            Some(reader) => reader.wake(),
            None => {}
        }
    }

    /// The client has ended its side.
    pub(crate) fn handle_eof<D: Dispatch>(&mut self, shared: &mut Shared<D>) {
        let refusal = self.http.handle_eof();
        self.fail_body(shared, refusal);
    }

    /// A deadline may have passed.
    pub(crate) fn handle_timeout<D: Dispatch>(&mut self, shared: &mut Shared<D>, now: Moment) {
        let mut turn = Turn {
            now,
            output: &mut self.output,
            date: shared.date.bytes(),
        };
        let refusal = self.http.handle_timeout(&mut turn);
        self.fail_body(shared, refusal);
    }

    fn fail_body<D: Dispatch>(&mut self, shared: &mut Shared<D>, refusal: Option<Refusal>) {
        if let (Some(refusal), Some(slot)) = (refusal, self.exchange) {
            let reader = shared
                .exchanges
                .slot(slot)
                .link
                .deliver_failure(BodyError::from(refusal));
            self.wake_reader(shared, slot, reader);
        }
    }

    /// Frees the exchange's slot; `aborted` if its answer was not completed.
    pub(crate) fn end_exchange<D: Dispatch>(
        &mut self,
        shared: &mut Shared<D>,
        aborted: bool,
        now: Moment,
    ) {
        let Some(slot) = self.exchange.take() else {
            return;
        };
        if matches!(shared.exchanges.slot(slot).stage, Stage::Upgraded(_)) {
            shared.admission.end_upgrade();
        }
        shared.log_exchange(slot, self.http.body_bytes_sent(), now);
        shared.exchanges.end(slot, aborted);
    }

    /// Whether something stopped only for want of room, so that a write which emptied the output lets it go on.
    pub(crate) fn wants_room<D: Dispatch>(&self, shared: &mut Shared<D>) -> bool {
        let Some(slot) = self.exchange else {
            return self.awaits_look();
        };
        let exchange = shared.exchanges.slot(slot);
        match exchange.stage {
            Stage::Streaming(_) => exchange.due,
            Stage::Upgraded(_) => exchange.due || exchange.link.has_outgoing(),
            Stage::Idle | Stage::Queued | Stage::Calling => false,
        }
    }
}

/// A response that says no more than its status.
fn plain(status: Status) -> Response {
    Response::text(format!("{status}\n")).with_status(status)
}

fn trailer_fields<D: Dispatch>(
    bytes: &[u8],
    shared: &Shared<D>,
) -> Result<Option<Fields>, Refusal> {
    let mut spans = Vec::new();
    chunked::parse_trailers(bytes, &shared.limits, &mut spans)?;
    let mut fields = Fields::new();
    for span in &spans {
        // What the parser let through is valid, and no trailer may be a field that frames messages.
        let _ = fields.append(span.name.str(bytes), span.value.slice(bytes));
    }
    Ok((!fields.is_empty()).then_some(fields))
}
