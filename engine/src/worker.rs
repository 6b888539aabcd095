//! One worker: its connections, their exchanges and deadlines, and what they share. No socket is known here; a backend
//! (in `runtime`) tells what happened and carries out the [`Verdict`].
//!
//! A backend's turn: [`Worker::turn_begins`]; for each socket event [`Worker::room`] and [`Worker::received`] (or
//! [`Worker::handle_eof`], [`Worker::handle_reset`]); then [`Worker::collect`] for what became due without a socket
//! event (woken exchanges, passed deadlines, connections that yielded). After each of these it serves the
//! connection: [`Worker::advance`], a write of [`Worker::output`], [`Worker::settle`].

mod handshakes;
mod lending;
mod pressure;
mod secure;
mod stopping;

pub(crate) use lending::Appetite;

use crate::admission::Permit;
use crate::connection::Connection;
use crate::context::Context;
use crate::counters::Count;
use crate::exchange::Dispatch;
use crate::input::unshared;
use crate::lease::{Lease, READ_BYTES};
use crate::listener::Newcomer;
use crate::ready::Token;
use crate::request::ConnectionInfo;
use crate::shared::Shared;
use crate::shedding::Shedding;
use crate::slab::{Key, Slab};
use crate::task::Tasks;
use crate::tls::Layer;
use handshakes::Handshakes;
use lanner_limits::{Moment, Trip, Wheel};
use lanner_protocol::{EndReason, Fate, Output};
use std::rc::Rc;

/// Woken exchanges and tasks looked at in one turn; the rest stays for the next, so that apps which wake themselves
/// cannot starve the sockets.
const WOKEN_PER_TURN_MAX: usize = 1024;

/// Passed deadlines looked at in one turn. An attack that opened its connections together has them cut together: 8,000
/// answers of 408 in one turn would be a tenth of a second in which nobody else is served.
const EXPIRED_PER_TURN_MAX: usize = 32;

/// Memory that a worker keeps for the output of the connection being served.
const SPARE_OUTPUT_BYTES_MAX: usize = 256 * 1024;

/// What a backend is to do with a connection's socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Wait for it to become readable, writable or neither.
    Wait { read: bool, write: bool },
    /// Serve it again: there is room for more of its answer.
    Again,
    /// Shut down the sending side, call [`Worker::handle_shutdown`] and settle again.
    Shutdown,
    /// Close it after a last [`Worker::farewell`]; [`Worker::remove`] was done.
    Close,
    /// Close it with a reset; [`Worker::remove`] was done.
    Reset,
    /// It has ended before. Another connection may have its place: leave that alone.
    Stale,
}

/// See the file's comment.
pub(crate) struct Worker<D: Dispatch> {
    pub(crate) shared: Shared<D>,
    pub(crate) context: Rc<Context>,
    connections: Slab<Served>,
    wheel: Wheel,
    tasks: Tasks,
    read_buffer: Lease,
    /// Output memory lent to whichever connection is being served.
    spare_output: Output,
    secure: secure::Memory,
    handshakes: Handshakes,
    shedding: Shedding,
    woken: Vec<Token>,
    yielded: Vec<Key>,
    stopping: bool,
}

/// A connection and its place under the caps.
struct Served {
    connection: Connection,
    permit: Permit,
    /// TLS, where the listener has it: what is read and written is its ciphertext then, and the connection's output is what
    /// it has yet to encrypt.
    layer: Option<Box<Layer>>,
    /// It stands in `yielded`, where it stands at most once.
    is_put_off: bool,
}

impl Served {
    /// What is to be written.
    fn outgoing(&mut self) -> &mut Output {
        match &mut self.layer {
            None => &mut self.connection.output,
            Some(layer) => &mut layer.cipher,
        }
    }
}

impl<D: Dispatch> Worker<D> {
    pub(crate) fn new(shared: Shared<D>, context: Rc<Context>, now: Moment) -> Self {
        let read_buffer = shared.pool.take_for_reading(READ_BYTES);
        Self {
            connections: Slab::new(),
            wheel: Wheel::new(shared.limits.timer_resolution, now),
            tasks: Tasks::new(context.ready.clone()),
            read_buffer,
            spare_output: Output::new(),
            secure: secure::Memory::default(),
            handshakes: Handshakes::new(&shared.limits),
            shedding: Shedding::default(),
            woken: Vec::new(),
            yielded: Vec::new(),
            stopping: false,
            shared,
            context,
        }
    }

    /// Where a connection's state would stand in memory; it may be gone, or another's.
    pub(crate) fn place(&self, key: Key) -> Option<&impl Sized> {
        self.connections.place(key)
    }

    /// Connections being served.
    pub(crate) fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Brings what depends on the moment up to date.
    pub(crate) fn turn_begins(&mut self, now: Moment) {
        self.context.now.set(now);
        self.shared.date.refresh(now);
        self.shared.exchanges.give_back(now);
    }

    /// Until when a backend may wait; `None` is for ever.
    pub(crate) fn next_due(&self, now: Moment) -> Option<Moment> {
        if !self.yielded.is_empty() || !self.woken.is_empty() || self.handshakes.are_due() {
            return Some(now);
        }
        [self.wheel.next_due(), self.context.next_sleeper_due()]
            .into_iter()
            .flatten()
            .min()
    }

    /// A place under the caps for a connection that was accepted.
    ///
    /// # Errors
    /// The bound that it would pass.
    pub(crate) fn admit(&self, info: &ConnectionInfo) -> Result<Permit, Trip> {
        let Shared {
            admission, limits, ..
        } = &self.shared;
        // All workers feed the same rates.
        let now = self.context.real();
        admission.admit(info.peer.map(|peer| peer.ip()), limits, now)
    }

    /// Counts a connection that was not admitted.
    pub(crate) fn reject(&self, trip: Trip) {
        self.shared.counters.add(Count::Rejected);
        self.shared.counters.trip(trip);
    }

    /// Takes over a connection that has been admitted.
    pub(crate) fn accept(&mut self, newcomer: Newcomer, permit: Permit, now: Moment) -> Key {
        let Newcomer {
            info,
            tls,
            protocols,
        } = newcomer;
        self.shared.counters.add(Count::Accepted);
        let limits = &self.shared.limits;
        let layer = tls.map(|terms| Box::new(Layer::new(terms, limits, now)));
        let key = self.connections.insert_with(|key| Served {
            connection: Connection::new(limits, now, key, Rc::new(info), protocols),
            permit,
            layer,
            is_put_off: false,
        });
        if let Some(served) = self.connections.get_mut(key) {
            if served.layer.is_some() {
                served.connection.await_handshake(now);
            } else {
                served.connection.begin_cleartext(&self.shared, now);
            }
            if self.stopping {
                served.connection.handle_stop(&self.shared, now);
            }
        }
        self.schedule(key);
        key
    }

    /// Where to read to, if the connection wants input.
    pub(crate) fn room(&mut self, key: Key) -> Option<&mut [u8]> {
        let served = self.connections.get_mut(key)?;
        let connection = &mut served.connection;
        if !connection.has_room(&self.shared) {
            return None;
        }
        if served.layer.is_some() {
            return Some(unshared(&mut self.read_buffer, &self.shared.pool));
        }
        Some(
            connection
                .input
                .room(&mut self.read_buffer, &self.shared.pool),
        )
    }

    /// `count` bytes were read into [`Worker::room`].
    pub(crate) fn received(&mut self, key: Key, count: usize) {
        let Some(served) = self.connections.get_mut(key) else {
            return;
        };
        if served.layer.is_some() {
            return self.decrypt_read(key, count);
        }
        served.connection.input.received(&self.read_buffer, count);
    }

    /// The client has ended its side.
    pub(crate) fn handle_eof(&mut self, key: Key) {
        if let Some(served) = self.connections.get_mut(key) {
            served.connection.handle_eof(&mut self.shared);
            served.note_cut();
        }
    }

    /// The connection is broken.
    pub(crate) fn handle_reset(&mut self, key: Key) {
        if let Some(served) = self.connections.get_mut(key) {
            served.connection.handle_reset();
        }
    }

    /// The sending side has been shut down.
    pub(crate) fn handle_shutdown(&mut self, key: Key, now: Moment) {
        if let Some(served) = self.connections.get_mut(key) {
            served.connection.handle_shutdown(now);
            // One whose client has ended its side too is over, and takes nobody's place.
            if !served.connection.is_lingering() {
                return;
            }
            let limits = &self.shared.limits;
            let fits = served.permit.linger(limits);
            if !fits {
                self.shed_lingering(now);
            }
            self.shedding
                .lingers(key, self.shared.limits.lingering_connections(), |key| {
                    self.connections.get(key).is_some()
                });
        }
    }

    /// Does all that can be done for a connection now. What is to be written stands in [`Worker::output`] then.
    pub(crate) fn advance(&mut self, key: Key, now: Moment) {
        let Some(served) = self.connections.get_mut(key) else {
            return;
        };
        let connection = &mut served.connection;
        if connection.output.is_drained() {
            connection.output.reclaim(&mut self.spare_output);
        }
        if served.layer.is_some() {
            return self.advance_secure(key, now);
        }
        connection.advance(&mut self.shared, now);
        connection.input.park(&self.read_buffer, &self.shared.pool);
        if connection.has_yielded() {
            self.put_off(key);
        }
    }

    /// What is to be written. The backend advances it by what it wrote.
    pub(crate) fn output(&mut self, key: Key) -> Option<&mut Output> {
        self.connections.get_mut(key).map(Served::outgoing)
    }

    /// Gives a connection another turn: it could go on, but has had its share of this one.
    pub(crate) fn put_off(&mut self, key: Key) {
        if let Some(served) = self.connections.get_mut(key)
            && !std::mem::replace(&mut served.is_put_off, true)
        {
            self.yielded.push(key);
        }
    }

    /// Draws the conclusions of a turn, after the write. `is_delivered` says whether the client has received all that was
    /// written, and has sent nothing that was not read: only then can a close not become a reset, which would eat what is
    /// still on its way (RFC 9112 section 9.6).
    pub(crate) fn settle(
        &mut self,
        key: Key,
        now: Moment,
        is_delivered: impl FnOnce() -> bool,
    ) -> Verdict {
        let Some(served) = self.connections.get_mut(key) else {
            return Verdict::Stale;
        };
        let connection = &mut served.connection;
        let more = served
            .layer
            .as_deref()
            .map_or(0, |layer| layer.cipher.len());
        let unsent = connection.output.len() + more;
        let resumed = connection.handle_output(&mut self.shared, now, unsent);
        if connection.output.is_drained() {
            self.spare_output.reclaim(&mut connection.output);
            self.spare_output.shrink_to(SPARE_OUTPUT_BYTES_MAX);
        }
        if let Some(layer) = &mut served.layer
            && self.secure.settle(connection, layer)
        {
            return Verdict::Again;
        }
        connection.drop_given_up(&mut self.shared, now);
        match connection.fate() {
            Fate::Open
                if unsent == 0
                    && !connection.has_yielded()
                    && (resumed || connection.wants_room(&mut self.shared)) =>
            {
                return Verdict::Again;
            }
            Fate::Flush { linger: true } if unsent == 0 => return Verdict::Shutdown,
            Fate::Flush { linger: false } if unsent == 0 && !is_delivered() => {
                return Verdict::Shutdown;
            }
            Fate::Flush { linger: false } if unsent == 0 => {
                return self.remove(key, Verdict::Close, now);
            }
            Fate::Gone => return self.remove(key, Verdict::Close, now),
            Fate::Abort => return self.remove(key, Verdict::Reset, now),
            Fate::Open | Fate::Flush { .. } | Fate::Lingering => {}
        }
        let read = connection.wants_input(&self.shared);
        self.schedule(key);
        Verdict::Wait {
            read,
            write: unsent > 0,
        }
    }

    fn remove(&mut self, key: Key, verdict: Verdict, now: Moment) -> Verdict {
        if let Some(mut served) = self.connections.remove(key) {
            if let Some(layer) = &mut served.layer {
                self.take_leave(layer, verdict);
            }
            served.connection.end_exchanges(&mut self.shared, now);
            let reason = served.connection.end_reason().unwrap_or(EndReason::IoError);
            self.shared.counters.end(reason);
            tracing::debug!(
                connection = served.connection.info().id,
                reason = reason.name(),
                "connection ended"
            );
            self.wheel.cancel(key.index);
        }
        verdict
    }

    /// Makes sure that the wheel comes by no later than the connection's next deadline. An entry that is too early
    /// stays: it costs a look when it fires, less than moving it on every request.
    fn schedule(&mut self, key: Key) {
        let Some(served) = self.connections.get(key) else {
            return;
        };
        let Some(deadline) = served.connection.deadline() else {
            return;
        };
        if self
            .wheel
            .scheduled(key.index)
            .is_none_or(|scheduled| deadline < scheduled)
        {
            self.wheel.schedule(key.index, deadline);
        }
    }

    /// Gathers the connections that have something to do without a socket event.
    pub(crate) fn collect(&mut self, now: Moment, into: &mut Vec<Key>) {
        for key in self.yielded.drain(..) {
            if let Some(served) = self.connections.get_mut(key) {
                served.is_put_off = false;
                into.push(key);
            }
        }
        self.answer_handshakes(now, into);
        self.context.wake_sleepers(now);
        self.context.wake_stop_watchers();
        self.take_spawned();
        if self.woken.is_empty() {
            self.context.ready.take(&mut self.woken);
        }
        for _ in 0..self.woken.len().min(WOKEN_PER_TURN_MAX) {
            match self.woken.pop() {
                Some(Token::Exchange(slot)) => {
                    if let Some((key, stream)) = self.shared.exchanges.woken(slot)
                        && let Some(served) = self.connections.get_mut(key)
                    {
                        served.connection.wake(stream);
                        into.push(key);
                    }
                }
                Some(Token::Task(index)) => {
                    if !self.tasks.poll(index) {
                        self.shared.counters.add(Count::Panics);
                    }
                    self.take_spawned();
                }
                None => break,
            }
        }
        for _ in 0..EXPIRED_PER_TURN_MAX {
            let Some(index) = self.wheel.pop_due(now) else {
                break;
            };
            let Some(key) = self.connections.key_at(index) else {
                continue;
            };
            let Some(served) = self.connections.get_mut(key) else {
                continue;
            };
            if served
                .connection
                .deadline()
                .is_some_and(|deadline| deadline <= now)
            {
                if served.connection.output.is_drained() {
                    served.connection.output.reclaim(&mut self.spare_output);
                }
                served.connection.handle_timeout(&mut self.shared, now);
                into.push(key);
            } else {
                self.schedule(key);
            }
        }
    }

    fn take_spawned(&mut self) {
        let mut spawned = std::mem::take(&mut *self.context.spawned.borrow_mut());
        spawned.drain(..).for_each(|task| self.tasks.add(task));
    }

    /// What is still held, by name, where everything should have been given back.
    #[cfg(test)]
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let (exchanges, inflight) = self.shared.exchanges.open();
        // One read buffer is the worker's own, and one for what TLS says.
        let leases = self.shared.pool.read_leases() - 1 - self.secure.buffers();
        let wheel = usize::from(self.wheel.next_due().is_some());
        let sleepers = self.context.sleepers.borrow().len();
        let mut held = vec![
            ("connections", self.connections.len()),
            ("exchanges", exchanges),
            ("exchanges in flight", inflight),
            ("read leases", leases),
            ("wheel slots", wheel),
            ("sleepers", sleepers),
            ("tasks", self.tasks.open()),
            ("handshakes", self.handshakes.len()),
        ];
        let admission = self.shared.admission.counts();
        held.extend(
            ["permits", "upgraded", "lingering", "addresses"]
                .into_iter()
                .zip(admission),
        );
        held.retain(|(_, count)| *count > 0);
        held.into_iter()
            .map(|(name, count)| format!("{count} {name}"))
            .collect()
    }

    /// The most input that is held for any connection.
    #[cfg(test)]
    pub(crate) fn held_input_max(&self) -> usize {
        let served = self.connections.iter().map(|(_, served)| served);
        let held = served.map(|served| served.connection.input.len());
        held.max().unwrap_or_default()
    }

    pub(crate) fn keys(&self) -> Vec<Key> {
        self.connections.keys()
    }
}
