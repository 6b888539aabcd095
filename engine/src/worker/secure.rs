//! Connections over TLS: what the worker does between the bytes of a socket and those of HTTP. The session itself, and
//! what is made of it, is `tls`' business; whose handshake is next, that of `handshakes`.

use super::{SPARE_OUTPUT_BYTES_MAX, Served, Verdict, Worker};
use crate::connection::Connection;
use crate::exchange::Dispatch;
use crate::lease::{Lease, Pool};
use crate::shared::Shared;
use crate::slab::Key;
use crate::tls::{Failure, Layer};
use crate::worker::Appetite;
use lanner_limits::{Moment, Trip};
use lanner_protocol::{EndReason, Fate, Output};
use std::sync::Arc;

/// Handshakes answered in one turn. Each costs as much as fifty requests, for which everybody else waits.
const ANSWERS_PER_TURN: usize = 2;

/// What one read may say: all of it, and the record that it completes.
const PLAIN_BYTES: usize = 64 * 1024;

/// What a worker lends to whichever connection with TLS is being served.
#[derive(Default)]
pub(super) struct Memory {
    /// What a read said. There once there was one.
    plain: Option<Lease>,
    pub(super) spare_cipher: Output,
    /// Where small pieces are put together for a record.
    record: Vec<u8>,
    /// What is still to be said on a connection that is to be closed.
    farewell: Output,
}

impl Memory {
    #[cfg(test)]
    pub(super) fn buffers(&self) -> usize {
        usize::from(self.plain.is_some())
    }

    /// Draws the conclusions for a layer after a write. Returns whether there is more to be encrypted now.
    pub(super) fn settle(&mut self, connection: &Connection, layer: &mut Layer) -> bool {
        if !layer.cipher.is_drained() {
            return false;
        }
        self.spare_cipher.reclaim(&mut layer.cipher);
        self.spare_cipher.shrink_to(SPARE_OUTPUT_BYTES_MAX);
        let is_last = matches!(connection.fate(), Fate::Flush { .. });
        let goes_on = is_last || connection.fate() == Fate::Open;
        goes_on && layer.cipher.is_empty() && layer.has_more(&connection.output, is_last)
    }
}

impl Served {
    /// The client's stream has ended: in the middle of a handshake that is its failure.
    pub(super) fn note_cut(&mut self) {
        if self
            .layer
            .as_ref()
            .is_some_and(|layer| layer.is_cut_short())
        {
            self.connection
                .handle_insecure_end(EndReason::TlsHandshakeFailed, None);
        }
    }

    /// Puts ciphertext, or with none a ClientHello that is whole, through TLS. What is said goes to the connection's input.
    fn hear(
        &mut self,
        bytes: Option<&mut [u8]>,
        memory: &mut Memory,
        pool: &Pool,
        now: Moment,
    ) -> Result<(), Failure> {
        let Some(layer) = &mut self.layer else {
            return Ok(());
        };
        let buffer = memory
            .plain
            .get_or_insert_with(|| pool.take_for_reading(PLAIN_BYTES));
        if buffer.is_shared() {
            *buffer = pool.take_for_reading(PLAIN_BYTES);
        }
        let (mut count, mut is_too_much) = (0, false);
        let room = buffer.bytes_mut().unwrap_or_default();
        let mut plain = |said: &[u8]| {
            if let Some(place) = room.get_mut(count..count + said.len()) {
                place.copy_from_slice(said);
                count += said.len();
            } else {
                is_too_much = true;
            }
        };
        let outcome = match bytes {
            Some(bytes) => layer.receive(bytes, &mut plain, now),
            None => layer.accept(&mut plain, now),
        };
        // It is never longer than what it was encrypted to, so this cannot be; but a hole in what was said must not be.
        if is_too_much {
            self.connection.handle_reset();
        }
        if count > 0 {
            self.connection.input.receive(buffer, count, pool);
        }
        outcome
    }

    /// What is to be sent in all, encrypted or not.
    fn unsent(&self) -> usize {
        let cipher = self.layer.as_ref().map_or(0, |layer| layer.cipher.len());
        self.connection.output.len() + cipher
    }
}

impl<D: Dispatch> Worker<D> {
    /// `count` bytes were read into the worker's buffer.
    #[inline(never)]
    pub(super) fn decrypt_read(&mut self, key: Key, count: usize) {
        let Some(served) = self.connections.get_mut(key) else {
            return;
        };
        let now = self.context.now.get();
        let read = self.read_buffer.bytes_mut().unwrap_or_default();
        let count = count.min(read.len());
        let outcome = decrypt(
            served,
            &mut read[..count],
            &mut self.secure,
            &mut self.shared,
            now,
        );
        self.conclude_hearing(key, outcome, now);
    }

    /// As [`Worker::advance_with`].
    #[inline(never)]
    pub(super) fn advance_secure_with(
        &mut self,
        key: Key,
        buffer: &mut Lease,
        count: usize,
        now: Moment,
    ) -> Appetite {
        if let Some(served) = self.connections.get_mut(key) {
            // The kernel has written to it, so nobody else holds it.
            let read = buffer.bytes_mut().unwrap_or_default();
            let count = count.min(read.len());
            let outcome = decrypt(
                served,
                &mut read[..count],
                &mut self.secure,
                &mut self.shared,
                now,
            );
            self.conclude_hearing(key, outcome, now);
        }
        if self.has_yielded(key) {
            // It has had its share of this turn.
            self.park(key);
        } else {
            self.advance(key, now);
        }
        self.appetite(key)
    }

    /// After something was heard: how far the handshake is.
    fn conclude_hearing(&mut self, key: Key, outcome: Result<(), Failure>, now: Moment) {
        let Some(served) = self.connections.get_mut(key) else {
            return;
        };
        let Some(layer) = &mut served.layer else {
            return;
        };
        if let Err(failure) = outcome {
            let handshaking = !layer.has_opened();
            if let Some(number) = layer.handshake.take() {
                self.handshakes.end(number);
            }
            tracing::debug!(connection = served.connection.info().id, %failure, "TLS ended");
            return served.connection.handle_insecure(&failure, handshaking);
        }
        if layer.awaits_accept() {
            if layer.handshake.is_none() {
                layer.handshake = Some(self.handshakes.queue(key));
            }
        } else if served.connection.info().tls.is_none()
            && let Some(info) = layer.info()
        {
            if let Some(number) = layer.handshake.take() {
                self.handshakes.end(number);
            }
            served
                .connection
                .begin_secure(Arc::new(info), &self.shared, now);
            self.schedule(key);
        }
    }

    /// Answers the handshakes whose turn it is.
    #[inline(never)]
    pub(super) fn answer_handshakes(&mut self, now: Moment, into: &mut Vec<Key>) {
        let mut answered = 0;
        while answered < ANSWERS_PER_TURN
            && let Some((number, key)) = self.handshakes.next()
        {
            // Those whose clients have gone meanwhile cost nothing, and nobody waits for them.
            let Some(served) = self.connections.get_mut(key) else {
                continue;
            };
            if served.connection.fate() != Fate::Open {
                continue;
            }
            answered += 1;
            let gone = self.handshakes.answer(number, key, served.permit.address());
            let outcome = served.hear(None, &mut self.secure, &self.shared.pool, now);
            self.conclude_hearing(key, outcome, now);
            into.push(key);
            if let Some(gone) = gone {
                self.drop_handshake(gone);
                into.push(gone);
            }
        }
    }

    /// Too many handshakes are under way: this one has waited for its peer for longest.
    fn drop_handshake(&mut self, key: Key) {
        if let Some(served) = self.connections.get_mut(key)
            && let Some(layer) = &mut served.layer
        {
            layer.handshake = None;
            let trip = Trip::TlsMaxHandshakes;
            served
                .connection
                .handle_insecure_end(trip.into(), Some(trip));
        }
    }

    /// As [`Worker::advance`], of a connection with TLS.
    #[inline(never)]
    pub(super) fn advance_secure(&mut self, key: Key, now: Moment) {
        let Some(served) = self.connections.get_mut(key) else {
            return;
        };
        let (before, told) = (served.unsent(), served.connection.queued);
        let connection = &mut served.connection;
        connection.advance(&mut self.shared, now);
        let Some(layer) = &mut served.layer else {
            return;
        };
        if layer.end_due && !connection.has_yielded() {
            layer.end_due = false;
            connection.handle_eof(&mut self.shared);
            connection.advance(&mut self.shared, now);
        }
        if layer.cipher.is_drained() {
            layer.cipher.reclaim(&mut self.secure.spare_cipher);
        }
        let is_last = matches!(connection.fate(), Fate::Flush { .. });
        let sent = layer.send(&mut connection.output, is_last, &mut self.secure.record);
        if let Err(failure) = sent {
            connection.handle_insecure(&failure, false);
        }
        let queued = served.unsent().saturating_sub(before);
        served.connection.queued = told + queued;
        self.park(key);
        if self.has_yielded(key) {
            self.put_off(key);
        }
    }

    /// A connection ends. One that is closed while nothing else is to be sent, because it was idle for too long, say, still
    /// tells its client that this is the end.
    pub(super) fn take_leave(&mut self, layer: &mut Layer, verdict: Verdict) {
        if let Some(number) = layer.handshake.take() {
            self.handshakes.end(number);
        }
        if verdict == Verdict::Close && layer.cipher.is_empty() {
            layer.close();
            self.secure.farewell = std::mem::take(&mut layer.cipher);
        }
    }

    /// Has `say` send the last words of the connection whose verdict was [`Verdict::Close`], if it has any: at once, or not
    /// at all.
    pub(crate) fn farewell(&mut self, say: impl FnOnce(&[u8])) {
        let farewell = std::mem::take(&mut self.secure.farewell);
        match farewell.contiguous() {
            Some([]) | None => {}
            Some(bytes) => say(bytes),
        }
    }

    /// Moves what was said and is not consumed out of the memory that all share.
    fn park(&mut self, key: Key) {
        if let Some(served) = self.connections.get_mut(key)
            && let Some(plain) = &self.secure.plain
        {
            served.connection.input.park(plain, &self.shared.pool);
        }
    }
}

/// Puts ciphertext through TLS; what is no TLS at all is refused here.
fn decrypt<D: Dispatch>(
    served: &mut Served,
    bytes: &mut [u8],
    memory: &mut Memory,
    shared: &mut Shared<D>,
    now: Moment,
) -> Result<(), Failure> {
    // Nothing that comes now is wanted: it is only read so that what we said last arrives.
    if served.connection.fate() != Fate::Open {
        return Ok(());
    }
    let outcome = served.hear(Some(&mut *bytes), memory, &shared.pool, now);
    if outcome.as_ref().is_err_and(Failure::is_cleartext) {
        served.layer = None;
        served.connection.refuse_cleartext(shared, bytes, now);
        return Ok(());
    }
    outcome
}
