//! One connection in its worker: the protocol's state machine, the input not consumed, the output not sent, and the
//! exchange it is in. What happens in a turn is plain functions here; sockets belong to the backend.

mod answering;
mod feeding;

use crate::caught::caught;
use crate::counters::Count;
use crate::exchange::{Dispatch, Polled, Stage};
use crate::input::Input;
use crate::lease::Piece;
use crate::request::ConnectionInfo;
use crate::response::Response;
use crate::shared::Shared;
use crate::slab::Key;
use lanner_limits::{Moment, Trip};
use lanner_protocol::{Event, Output, Status, Turn, scan};
use std::ops::Range;
use std::rc::Rc;

/// How often an exchange is polled or fed before other connections get their turn: a body may come in pieces of a byte.
const STEPS_PER_TURN_MAX: usize = 128;

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
        self.input.len() > 0 && self.http.awaits_request() && !self.http.has_only_empty_lines()
    }

    /// Whether bytes are worth reading.
    pub(crate) fn wants_input<D: Dispatch>(&self, shared: &Shared<D>) -> bool {
        self.http.wants_input(self.input.len()) && !self.is_held_back(shared)
    }

    /// Whether there is room for more input: what is there already comes first, it may be the reason for the next turn.
    pub(crate) fn has_room<D: Dispatch>(&self, shared: &Shared<D>) -> bool {
        !self.has_yielded() && self.wants_input(shared)
    }

    /// Whether what it is given stays for a while: bytes of a body wait for the app, and requests behind answers that are
    /// not taken wait for those.
    pub(crate) fn keeps_input<D: Dispatch>(&self, shared: &Shared<D>) -> bool {
        self.http.body_open() || self.is_held_back(shared)
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
            self.count_trip(shared);
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

    /// Counts the limit that was hit, if one was: one request may hit one, and the next another.
    pub(crate) fn count_trip<D: Dispatch>(&mut self, shared: &Shared<D>) {
        if let Some(trip) = self.http.take_trip() {
            shared.counters.trip(trip);
        }
    }

    /// Takes the next request from the input and hands it to the app.
    fn next_request<D: Dispatch>(&mut self, shared: &mut Shared<D>, now: Moment) -> Progress {
        // The head is borrowed from `shared`, so this one is made by hand.
        let mut turn = Turn {
            now,
            output: &mut self.output,
            date: shared.date.bytes(),
        };
        let head = shared.exchanges.spare_head(self.key);
        let step = self.http.poll_request(&mut turn, self.input.unread(), head);
        let head = match step.event {
            Event::Head { at } => self.input.share(&shared.pool, at),
            Event::FoldedHead { at } => self.unfold(shared, at, now),
            _ => None,
        };
        self.input.consume(step.consumed);
        let Some(head) = head else {
            return Progress::Stalled;
        };
        let slot = shared.exchanges.reserve(self.key, &self.info, head, now);
        shared.counters.add(Count::Requests);
        let Some(overrides) = shared.exchanges.admit(slot) else {
            shared.counters.add(Count::Panics);
            tracing::error!(connection = self.info.id, "the app panicked in its `admit`");
            self.exchange = Some(slot);
            self.respond(shared, slot, plain(Status::INTERNAL_SERVER_ERROR), now);
            return Progress::Made;
        };
        let mut turn = shared.turn(&mut self.output, now);
        if !self.http.admit(&mut turn, overrides) {
            shared.log_exchange(slot, self.http.answered(), self.http.body_bytes_sent(), now);
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
        let mut turn = shared.turn(&mut self.output, now);
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
        if !shared.exchanges.take_call(slot) {
            return Progress::Stalled;
        }
        self.http.handle_dequeued(now);
        shared.exchanges.begin(slot, self.http.body_open());
        Progress::Made
    }

    /// Parses a head with folded lines from a copy in which they are not (`LANNER_H1_STRICT=false`); none if it is refused.
    #[cold]
    fn unfold<D: Dispatch>(
        &mut self,
        shared: &mut Shared<D>,
        at: Range<usize>,
        now: Moment,
    ) -> Option<Piece> {
        let mut head = shared.pool.copy(&self.input.unread()[at]);
        scan::unfold(head.bytes_mut()?);
        let mut turn = Turn {
            now,
            output: &mut self.output,
            date: shared.date.bytes(),
        };
        let spare = shared.exchanges.spare_head(self.key);
        self.http
            .handle_unfolded(&mut turn, head.bytes(), spare)
            .then_some(head)
    }

    /// Works on the open exchange until it stalls, is over, or has had its share of the turn.
    fn drive<D: Dispatch>(&mut self, shared: &mut Shared<D>, slot: u32, now: Moment) -> Progress {
        for _ in 0..STEPS_PER_TURN_MAX {
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
        Progress::Yield
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
        let mut answer = None;
        let polled = shared.exchanges.poll_call(slot, &mut answer);
        let answer = match (polled, answer) {
            (Polled::Answered, Some(Ok(response))) => response,
            (Polled::Answered, Some(Err(error))) => {
                let status = error.status();
                caught(&shared.counters, "in the error it returned", || {
                    if !error.is_body_error() {
                        tracing::warn!(%error, connection = self.info.id, "the app failed");
                    }
                    drop(error);
                });
                plain(status)
            }
            (Polled::Pending, None) => {
                self.apply_overrides(shared, slot, now);
                return Progress::Stalled;
            }
            (_, dropped) => {
                shared.counters.add(Count::Panics);
                tracing::error!(connection = self.info.id, "the app panicked");
                caught(&shared.counters, "while its answer was dropped", || {
                    drop(dropped);
                });
                plain(Status::INTERNAL_SERVER_ERROR)
            }
        };
        // They may be for a body that is read while the answer is sent.
        self.apply_overrides(shared, slot, now);
        if self.http.in_exchange() {
            self.respond(shared, slot, answer, now);
        } else {
            caught(&shared.counters, "while its answer was dropped", || {
                drop(answer);
            });
        }
        Progress::Made
    }

    fn apply_overrides<D: Dispatch>(&mut self, shared: &mut Shared<D>, slot: u32, now: Moment) {
        if let Some(overrides) = shared.exchanges.slot(slot).link.take_overrides() {
            let mut turn = shared.turn(&mut self.output, now);
            self.http.admit(&mut turn, overrides);
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
        let (status, body_bytes) = (self.http.answered(), self.http.body_bytes_sent());
        shared.log_exchange(slot, status, body_bytes, now);
        if shared.exchanges.end(slot, aborted) {
            shared.counters.add(Count::Panics);
        }
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
