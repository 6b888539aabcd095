//! Frames about streams and about the connection: SETTINGS, PING, GOAWAY, RST_STREAM, WINDOW_UPDATE; and how ours are
//! written.

use super::*;
use crate::h2::settings::Entries;

/// What a PING of ours says.
const PING_ALIVE: [u8; 8] = *b"lannerup";

impl Connection {
    /// Section 6.5: the peer's SETTINGS hold at once, and are acknowledged.
    pub(super) fn receive_settings(
        &mut self,
        turn: &mut Turn<'_>,
        entries: Entries<'_>,
    ) -> Result<(), Fault> {
        self.flood.control(turn.now)?;
        let delta = self.terms.receive(entries, turn.output.tail())?;
        self.note_control(turn);
        if delta != 0 {
            for stream in self.streams.iter_mut() {
                stream.send_window.shift(delta)?;
            }
            self.resumable = self.waiting.len();
        }
        Ok(())
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
        } else if payload == PING_ALIVE && std::mem::take(&mut self.pinged) {
            let interval = self.limits.h2_ping_interval;
            self.ping_due = interval.map_or(Moment::MAX, |interval| turn.now + interval);
        }
        Ok(())
    }

    /// Section 6.8: streams above the last that the server looks at may be asked for again elsewhere, and no new ones here.
    pub(super) fn receive_go_away(
        &mut self,
        turn: &mut Turn<'_>,
        last_stream: u32,
        code: ErrorCode,
    ) -> Result<(), Fault> {
        self.flood.control(turn.now)?;
        // "Endpoints MUST NOT increase the value they send in the last stream identifier".
        self.last_stream = self.last_stream.min(last_stream);
        self.leaving = true;
        self.owed.push_back(Event::GoAway { code });
        for stream in self.streams_above(self.last_stream) {
            self.owed.push_back(Event::Reset {
                stream,
                reason: Reset::Unprocessed,
            });
            self.remove(turn, stream);
        }
        self.leave_if_done(turn);
        Ok(())
    }

    /// The streams above a number, the lowest first.
    fn streams_above(&self, id: u32) -> Vec<StreamKey> {
        let mut keys: Vec<StreamKey> = (0..self.streams.places())
            .filter_map(|place| self.streams.key_at(place))
            .filter(|key| key.id > id)
            .collect();
        keys.sort_unstable_by_key(|key| key.id);
        keys
    }

    /// Section 6.4: the server ends a stream.
    pub(super) fn receive_reset(
        &mut self,
        turn: &mut Turn<'_>,
        stream: u32,
        code: ErrorCode,
    ) -> Result<(), Fault> {
        let Some(key) = self.streams.find(stream) else {
            if self.is_idle(stream) {
                return Err(Fault::IdleStream);
            }
            self.flood.control(turn.now)?;
            self.streams.forget_reset(stream);
            return Ok(());
        };
        self.owed.push_back(Event::Reset {
            stream: key,
            reason: Reset::Peer(code),
        });
        self.remove(turn, key);
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
            self.resumable = self.waiting.len();
            return Ok(self.send_window.increase(increment)?);
        }
        let Some(key) = self.streams.find(stream) else {
            return if self.is_idle(stream) {
                Err(Fault::IdleStream)
            } else {
                Ok(())
            };
        };
        let Some(found) = self.streams.at_mut(key) else {
            return Ok(());
        };
        if found.blocked.is_some() {
            self.resumable = self.waiting.len();
        }
        if found.send_window.increase(increment).is_err() {
            self.reset_by_fault(turn, key, Reset::Window);
        }
        Ok(())
    }

    // Streams that end before their time.

    /// HEADERS or DATA of a stream that is not open: of one that we ended it was on its way already.
    #[cold]
    pub(super) fn receive_late(
        &mut self,
        now: Moment,
        stream: u32,
        end_stream: bool,
    ) -> Result<(), Fault> {
        if self.is_idle(stream) {
            return Err(Fault::IdleStream);
        }
        if !self.streams.was_reset(stream) {
            return Err(Fault::ClosedStream);
        }
        self.flood.control(now)?;
        if end_stream {
            self.streams.forget_reset(stream);
        }
        Ok(())
    }

    /// A stream ends by a fault of the server's. It can make us do so once for each request.
    #[cold]
    pub(super) fn reset_by_fault(&mut self, turn: &mut Turn<'_>, key: StreamKey, reason: Reset) {
        self.owed.push_back(Event::Reset {
            stream: key,
            reason,
        });
        self.reset(key, turn, reason.code());
    }

    /// The driver has no use for a stream any more. What came of it counts until it is told as consumed.
    pub fn reset(&mut self, stream: StreamKey, turn: &mut Turn<'_>, code: ErrorCode) {
        let Some(found) = self.streams.at(stream) else {
            return;
        };
        if found.receive != Receive::Closed {
            self.streams.remember_reset(stream.id);
        }
        frame::encode_reset(stream.id, code, turn.output.tail());
        self.note_control(turn);
        self.remove(turn, stream);
    }

    // Writing.

    /// A frame that answers the server was queued. There may not be many that it does not read.
    #[inline]
    fn note_control(&mut self, turn: &mut Turn<'_>) {
        if let Err(trip) = self.flood.control_queued() {
            self.fail(turn, trip);
        }
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
        self.pinged = true;
        self.ping_due = turn.now + self.limits.h2_ping_timeout;
    }
}
