//! Frames about streams and about the connection: SETTINGS, PING, GOAWAY, RST_STREAM, WINDOW_UPDATE, priorities; and how ours
//! are written.

use super::*;
use crate::h2::settings::Entries;

/// What a PING of ours says: whether it asks for a sign of life, or goes with the first of two GOAWAY.
const PING_ALIVE: [u8; 8] = *b"lannerup";
const PING_LEAVING: [u8; 8] = *b"lannerby";

impl Connection {
    /// Section 6.5: the peer's SETTINGS hold at once, and are acknowledged.
    pub(super) fn receive_settings(
        &mut self,
        turn: &mut Turn<'_>,
        entries: Entries<'_>,
    ) -> Result<(), Fault> {
        self.flood.control(turn.now)?;
        if !self.terms.peer.have_begun() {
            // The first request has the time that any other has.
            self.idle_since = turn.now;
            self.deadlines
                .set(Timer::KeepAlive, turn.now + self.limits.keepalive_timeout);
        }
        let delta = self.terms.receive(entries, turn.output.tail())?;
        self.note_control(turn);
        if delta != 0 {
            for stream in self.streams.iter_mut() {
                stream.send_window.shift(delta)?;
            }
            self.schedule_all();
        }
        Ok(())
    }

    /// The windows of all streams have moved.
    fn schedule_all(&mut self) {
        for place in 0..self.streams.places() {
            if let Some(key) = self.streams.key_at(place) {
                self.reschedule(key);
            }
        }
    }

    pub(super) fn receive_settings_ack(&mut self, turn: &mut Turn<'_>) -> Result<(), Fault> {
        self.flood.control(turn.now)?;
        self.terms.receive_ack()
    }

    /// Section 6.7: a PING is answered with the same payload.
    pub(super) fn receive_ping(
        &mut self,
        turn: &mut Turn<'_>,
        ack: bool,
        payload: [u8; 8],
    ) -> Result<(), Fault> {
        self.flood.control(turn.now)?;
        if !ack {
            frame::encode_ping(true, payload, turn.output.tail());
            self.note_control(turn);
        } else if payload == PING_ALIVE {
            self.ping = Ping::None;
            self.await_silence(turn.now);
        } else if payload == PING_LEAVING && self.leaving == Leaving::Announced {
            // Whatever was on its way before the client knew has come.
            self.leave_finally(turn);
        }
        Ok(())
    }

    /// Section 6.8: the client opens no more streams. Those that are open go on.
    pub(super) fn receive_go_away(&mut self, turn: &mut Turn<'_>) -> Result<(), Fault> {
        self.flood.control(turn.now)?;
        self.peer_leaving = true;
        self.leave_if_done(turn);
        Ok(())
    }

    /// Section 6.4: the client has no use for a stream any more.
    pub(super) fn receive_reset(
        &mut self,
        turn: &mut Turn<'_>,
        stream: u32,
        code: ErrorCode,
    ) -> Result<(), Fault> {
        let Some(key) = self.streams.find(stream) else {
            if self.is_idle(stream) && !self.is_ignored(stream) {
                return Err(Fault::IdleStream);
            }
            self.flood.control(turn.now)?;
            self.streams.forget_reset(stream);
            return Ok(());
        };
        let Some(found) = self.streams.at(key) else {
            return Ok(());
        };
        if found.reset {
            self.flood.control(turn.now)?;
            self.streams.forget_reset(stream);
            return Ok(());
        }
        let premature = found.end != End::Sent;
        self.end_early(turn, key, Reset::Peer(code));
        if premature {
            self.flood.reset(turn.now)?;
        } else {
            self.flood.control(turn.now)?;
        }
        Ok(())
    }

    /// Section 6.9: we may send more.
    #[inline]
    pub(super) fn receive_window_update(
        &mut self,
        turn: &mut Turn<'_>,
        stream: u32,
        increment: u32,
    ) -> Result<(), Fault> {
        self.flood.window_update()?;
        if stream == 0 {
            return Ok(self.send_window.increase(increment)?);
        }
        match self.streams.find(stream) {
            Some(key) => {
                let increased = self
                    .streams
                    .at_mut(key)
                    .map(|found| found.send_window.increase(increment));
                match increased {
                    Some(Err(_)) => self.reset_by_fault(turn, key, Reset::Window),
                    _ => self.reschedule(key),
                }
                Ok(())
            }
            None if self.is_idle(stream) && !self.is_ignored(stream) => Err(Fault::IdleStream),
            None => Ok(()),
        }
    }

    /// RFC 9218 section 7.1. One for a stream that is still to come is kept for a while.
    pub(super) fn receive_priority_update(
        &mut self,
        stream: u32,
        value: &[u8],
    ) -> Result<(), Fault> {
        self.flood.priority()?;
        // Pushes are what it cannot mean: we promise none.
        if stream.is_multiple_of(2) {
            return Err(Fault::IdleStream);
        }
        self.speaks_priorities = true;
        let priority = Priority::parse(value);
        if let Some(key) = self.streams.find(stream) {
            if let Some(found) = self.streams.at_mut(key) {
                found.priority = priority;
            }
            self.schedule.reprioritise(key.place(), priority);
        } else if stream > self.last_stream {
            self.early_priorities.retain(|(early, _)| *early != stream);
            if self.early_priorities.len() == EARLY_PRIORITIES_MAX {
                self.early_priorities.remove(0);
            }
            self.early_priorities.push((stream, priority));
        }
        Ok(())
    }

    // Streams that end before their time.

    /// More of a stream that we ended came; it was on its way already.
    pub(super) fn receive_late(
        &mut self,
        now: Moment,
        stream: u32,
        end_stream: bool,
    ) -> Result<(), Fault> {
        self.flood.control(now)?;
        if end_stream {
            self.streams.forget_reset(stream);
        }
        Ok(())
    }

    /// HEADERS or DATA behind the end of the client's half (section 5.1, "half-closed (remote)" and "closed").
    pub(super) fn receive_behind_end(
        &mut self,
        turn: &mut Turn<'_>,
        key: StreamKey,
        end_stream: bool,
    ) -> Result<(), Fault> {
        if self.streams.was_reset(key.id) {
            return self.receive_late(turn.now, key.id, end_stream);
        }
        if self.streams.at(key).is_some_and(|stream| stream.reset) {
            return Err(Fault::ClosedStream);
        }
        self.reset_by_fault(turn, key, Reset::FrameAfterEnd);
        Ok(())
    }

    /// Keeps what a client did wrong for [`Connection::take_misbehaviour`].
    #[cold]
    pub(super) fn note_offence(&mut self, stream: u32, offence: Offence) {
        if self.offences.len() < OFFENCES_KEPT {
            self.offences.push_back((stream, offence));
        }
    }

    /// A stream ends by a fault of the client's. It must not make us do that at will (CVE-2025-8671).
    #[cold]
    pub(super) fn reset_by_fault(&mut self, turn: &mut Turn<'_>, key: StreamKey, reason: Reset) {
        if self.streams.at(key).is_none_or(|stream| stream.reset) {
            return;
        }
        self.note_offence(key.id, Offence::Reset(reason));
        self.reset_with(turn, key, reason);
        if let Err(trip) = self.flood.reset(turn.now) {
            self.fail(turn, trip.into());
        }
    }

    /// A stream ends by our decision, and its app is told.
    pub(super) fn reset_with(&mut self, turn: &mut Turn<'_>, key: StreamKey, reason: Reset) {
        if let Reset::Trip(trip) = reason {
            self.trips.note(trip);
        }
        self.encode_reset(turn, key.id, reason.code(), true);
        self.end_early(turn, key, reason);
    }

    /// Nothing goes on on a stream any more. Its place is free when the engine has let go of it too.
    pub(super) fn end_early(&mut self, turn: &mut Turn<'_>, key: StreamKey, reason: Reset) {
        self.stop_waiting(turn.now, key);
        self.unqueue(key);
        let Some(stream) = self.streams.at_mut(key) else {
            return;
        };
        stream.reset = true;
        stream.receive = Receive::Closed;
        stream.end = End::Sent;
        stream.due = StreamDeadlines::NONE;
        if stream.transmit == Transmit::Over {
            self.remove(turn, key);
        } else {
            self.credit_unread(turn, key);
            self.owed.push_back(Event::Reset {
                stream: key,
                reason,
            });
        }
    }

    // Writing.

    /// A frame that answers the client was queued. There may not be many that it does not read.
    #[inline]
    pub(super) fn note_control(&mut self, turn: &mut Turn<'_>) {
        if let Err(trip) = self.flood.control_queued() {
            self.fail(turn, trip.into());
        }
    }

    /// RST_STREAM; `more` may come of the stream that is on its way already.
    pub(super) fn encode_reset(
        &mut self,
        turn: &mut Turn<'_>,
        stream: u32,
        code: ErrorCode,
        more: bool,
    ) {
        frame::encode_reset(stream, code, turn.output.tail());
        if more {
            self.streams.remember_reset(stream);
        }
        self.note_control(turn);
    }

    pub(super) fn encode_window_update(
        &mut self,
        turn: &mut Turn<'_>,
        stream: u32,
        increment: u32,
    ) {
        frame::encode_window_update(stream, increment, turn.output.tail());
        self.note_control(turn);
    }

    /// Asks whether anybody is there.
    pub(super) fn ping_alive(&mut self, turn: &mut Turn<'_>) {
        frame::encode_ping(false, PING_ALIVE, turn.output.tail());
        self.ping = Ping::Alive;
        self.ping_due = turn.now + self.limits.h2_ping_timeout;
    }

    pub(super) fn ping_leaving(&mut self, turn: &mut Turn<'_>) {
        frame::encode_ping(false, PING_LEAVING, turn.output.tail());
    }

    /// We ask again when the client has been silent for long enough.
    pub(super) fn await_silence(&mut self, now: Moment) {
        self.ping_due = self
            .limits
            .h2_ping_interval
            .map_or(Moment::MAX, |interval| now + interval);
    }
}
