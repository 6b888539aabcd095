//! How a stream leaves the table, and how the connection ends: by a fault, at leisure, or at once.
//!
//! ```text
//!            leave                   PING answered, or a second later       no stream left
//!   No ──────────────▶ Announced ──────────────────────────────▶ Final ────────────────▶ Flush
//!     GOAWAY(2^31-1), PING           GOAWAY(last stream)
//! ```

use super::*;
use std::time::Duration;

/// How long requests may be on their way that were sent before the client knew that we leave.
const LEAVE_GRACE: Duration = Duration::from_secs(1);

impl Connection {
    // Streams.

    /// What is queued of a stream goes nowhere.
    pub(super) fn unqueue(&mut self, key: StreamKey) {
        if let Some(stream) = self.streams.at_mut(key) {
            self.queued_bytes -= stream.queue.len();
            stream.queue.clear();
            stream.trailers = None;
            if std::mem::take(&mut stream.is_held) {
                self.held.retain(|held| *held != key);
            }
            self.schedule.remove(key.place());
        }
    }

    /// A stream is over, on the wire and in the engine.
    pub(super) fn remove(&mut self, turn: &mut Turn<'_>, key: StreamKey) {
        self.credit_unread(turn, key);
        self.unqueue(key);
        let head_bytes = self.streams.at(key).map_or(0, |stream| stream.head_bytes);
        self.head_bytes -= head_bytes as usize;
        if !self.streams.remove(key) || self.streams.count() > 0 || self.fate != Fate::Open {
            return;
        }
        self.idle_since = turn.now;
        self.release_due = turn.now + RELEASE_AFTER;
        if self.backlog == 0 {
            self.deadlines
                .set(Timer::KeepAlive, turn.now + self.limits.keepalive_timeout);
        }
        self.leave_if_done(turn);
    }

    // Leaving.

    /// No more requests are wanted, in two steps (section 6.8): those that are on their way are still answered.
    pub(super) fn leave(&mut self, turn: &mut Turn<'_>, reason: EndReason) {
        if self.leaving != Leaving::No || self.fate != Fate::Open {
            return;
        }
        self.leaving = Leaving::Announced;
        self.leaving_reason = reason;
        // SETTINGS come first: whoever greets says it behind them.
        if self.greeted {
            self.say_leaving(turn);
        }
    }

    /// The first step, on the wire.
    pub(super) fn say_leaving(&mut self, turn: &mut Turn<'_>) {
        frame::encode_go_away(
            frame::STREAM_MAX,
            ErrorCode::NO_ERROR,
            &[],
            turn.output.tail(),
        );
        self.ping_leaving(turn);
        self.deadlines.set(Timer::Stop, turn.now + LEAVE_GRACE);
    }

    /// The second step: what is not there by now is not looked at.
    pub(super) fn leave_finally(&mut self, turn: &mut Turn<'_>) {
        self.deadlines.clear(Timer::Stop);
        self.leaving = Leaving::Final {
            last_stream: self.last_stream,
        };
        self.say_goodbye(turn);
        self.leave_if_done(turn);
    }

    pub(super) fn leave_if_done(&mut self, turn: &mut Turn<'_>) {
        if self.streams.count() > 0 || self.fate != Fate::Open {
            return;
        }
        if matches!(self.leaving, Leaving::Final { .. }) {
            self.close(!self.eof, self.leaving_reason);
        } else if self.peer_leaving {
            self.say_goodbye(turn);
            // It may still be about to send a PING or the like; nothing that we owe it an answer to.
            self.close(!self.eof, EndReason::Announced);
        }
    }

    /// GOAWAY without a fault.
    pub(super) fn say_goodbye(&mut self, turn: &mut Turn<'_>) {
        self.encode_go_away(turn, ErrorCode::NO_ERROR, "");
    }

    /// GOAWAY with the last stream that was looked at. Section 6.8: never a higher one than was named before.
    fn encode_go_away(&self, turn: &mut Turn<'_>, code: ErrorCode, debug: &str) {
        let last_stream = match self.leaving {
            Leaving::Final { last_stream } => last_stream,
            Leaving::No | Leaving::Announced => self.last_stream,
        };
        let out = turn.output.tail();
        frame::encode_go_away(last_stream, code, debug.as_bytes(), out);
    }

    /// The client has ended its side, and everything that it sent has been looked at.
    pub(super) fn end_of_input(&mut self, turn: &mut Turn<'_>) {
        self.reader.take_block();
        for place in 0..self.streams.places() {
            let Some(key) = self.streams.key_at(place) else {
                continue;
            };
            match self.streams.at(key).map(|stream| stream.receive) {
                Some(Receive::Open) => self.reset_with(turn, key, Reset::EarlyEof),
                Some(Receive::Draining { .. } | Receive::Stopped) => self.receive_end(turn, key),
                Some(Receive::Closed) | None => {}
            }
        }
        if self.streams.count() == 0 {
            self.close(false, EndReason::PeerClosed);
        }
    }

    /// The server stops: an idle connection ends, a busy one after its answers.
    pub fn handle_stop(&mut self, turn: &mut Turn<'_>) {
        if self.is_lingering() {
            let soon = turn.now + LEAVE_GRACE;
            let linger = self.deadlines.at(Timer::Linger);
            self.deadlines
                .set(Timer::Linger, linger.map_or(soon, |at| at.min(soon)));
        }
        self.leave(turn, EndReason::ServerStopped);
        // It may have been asked to leave as the first step of the stop.
        if self.leaving_reason == EndReason::Announced {
            self.leaving_reason = EndReason::ServerStopped;
        }
        if !self.greeted && self.fate == Fate::Open {
            // It may have been accepted a moment ago.
            self.deadlines.set(Timer::Stop, turn.now + LEAVE_GRACE);
        }
    }

    /// No request is wanted behind those that are under way.
    pub fn announce_close(&mut self, turn: &mut Turn<'_>) {
        self.leave(turn, EndReason::Announced);
    }

    /// The deadline of the stop has come: the connection is cut where it is.
    pub fn handle_stop_deadline(&mut self) {
        self.abort_with(Trip::ShutdownTimeout);
    }

    /// Makes room near the connection cap.
    pub fn shed(&mut self, turn: &mut Turn<'_>) {
        if self.is_lingering() {
            self.trips.note(Trip::LingerShed);
            return self.gone(Trip::LingerShed.into());
        }
        self.trips.note(Trip::IdleShed);
        if self.greeted {
            self.say_goodbye(turn);
        }
        self.close(false, Trip::IdleShed.into());
    }

    // What happens to the socket.

    /// The client has ended its side; what it sent before counts, and is still to be looked at.
    pub fn handle_eof(&mut self) {
        self.eof = true;
        if self.fate == Fate::Lingering {
            self.gone(EndReason::Announced);
        }
    }

    /// The connection is broken: nothing can be sent any more.
    pub fn handle_reset(&mut self) {
        // It was to be reset by us, and no more of it counts than before.
        if self.fate == Fate::Abort {
            return;
        }
        self.gone(if self.awaits_request() {
            EndReason::PeerClosed
        } else {
            EndReason::ConnectionReset
        });
    }

    /// The driver has shut down the sending side after [`Fate::Flush`] with `linger`.
    pub fn handle_shutdown(&mut self, now: Moment) {
        if self.eof {
            return self.gone(EndReason::Announced);
        }
        self.fate = Fate::Lingering;
        self.clear_deadlines();
        self.deadlines
            .set(Timer::Linger, now + self.limits.body_drain_timeout);
    }

    // The ends that all others come to.

    /// Section 5.4.1: GOAWAY says what was wrong, and behind it there is nothing.
    #[cold]
    pub(super) fn fail(&mut self, turn: &mut Turn<'_>, fault: Fault) {
        if self.fate != Fate::Open {
            return;
        }
        if let Fault::Trip(trip) = fault {
            self.trips.note(trip);
        }
        let (code, reason) = fault.answer();
        self.encode_go_away(turn, code, fault.name());
        self.close(!self.eof, reason);
    }

    pub(super) fn close(&mut self, linger: bool, reason: EndReason) {
        let response_rate = self.deadlines.at(Timer::ResponseRate);
        self.end_all(reason);
        if let Some(at) = response_rate {
            self.deadlines.set(Timer::ResponseRate, at);
        }
        self.fate = Fate::Flush { linger };
    }

    pub(super) fn gone(&mut self, reason: EndReason) {
        self.end_all(reason);
        self.fate = Fate::Gone;
    }

    /// The app or the engine asked for a reset of the connection, or nothing more can be sent.
    pub fn abort(&mut self, reason: EndReason) {
        self.end_all(reason);
        self.fate = Fate::Abort;
    }

    /// TLS has ended, and nothing more can be said or heard but its own last words.
    pub fn handle_insecure(&mut self, reason: EndReason, trip: Option<Trip>) {
        if let Some(trip) = trip {
            self.trips.note(trip);
        }
        match self.fate.without_tls(trip) {
            Some(Fate::Abort) => self.abort(reason),
            Some(_) => self.close(false, reason),
            None => {}
        }
    }

    pub(super) fn abort_with(&mut self, trip: Trip) {
        self.trips.note(trip);
        self.abort(trip.into());
    }

    fn end_all(&mut self, reason: EndReason) {
        self.end.get_or_insert(reason);
        self.clear_deadlines();
        self.keep_cut_answers();
        self.streams = Streams::new();
        self.schedule = Schedule::new();
        self.reader.take_block();
        self.owed = VecDeque::new();
        self.resumed = VecDeque::new();
        self.held = VecDeque::new();
        self.queued_bytes = 0;
    }

    /// The engine ends the exchanges only now, and says what came of them.
    fn keep_cut_answers(&mut self) {
        // An end may come behind another one.
        if self.streams.count() == 0 {
            return;
        }
        let answer_at = |place| {
            let key = self.streams.key_at(place)?;
            Some(LastAnswer::new(key, self.streams.at(key)?))
        };
        self.cut_answers = (0..self.streams.places())
            .map(|place| answer_at(place).unwrap_or_default())
            .collect();
    }

    fn clear_deadlines(&mut self) {
        self.deadlines.clear_all();
        self.streams_due = Moment::MAX;
        self.terms.due = Moment::MAX;
        self.ping_due = Moment::MAX;
        self.release_due = Moment::MAX;
    }
}
