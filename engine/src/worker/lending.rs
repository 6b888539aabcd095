//! What a driver needs whose kernel reads and writes by itself: input comes in a buffer of the kernel's choice, wanted or
//! not, and output is out of the worker's hands until the kernel is done with it.

use super::Worker;
use crate::exchange::Dispatch;
use crate::lease::Lease;
use crate::slab::Key;
use lanner_limits::Moment;
use lanner_protocol::Output;

impl<D: Dispatch> Worker<D> {
    /// Whether the connection wants input.
    pub(crate) fn has_room(&self, key: Key) -> bool {
        let served = self.connections.get(key);
        served.is_some_and(|served| served.connection.has_room(&self.shared))
    }

    /// For a driver whose kernel chooses the buffer: takes in `count` bytes that stand at the beginning of `buffer`,
    /// wanted or not, and does all that can be done for the connection now. Whoever holds on to what was received
    /// shares `buffer` afterwards. Returns whether the connection wants more.
    pub(crate) fn advance_with(
        &mut self,
        key: Key,
        buffer: &mut Lease,
        count: usize,
        now: Moment,
    ) -> bool {
        let Some(served) = self.connections.get_mut(key) else {
            return false;
        };
        let connection = &mut served.connection;
        let pool = &self.shared.pool;
        connection.input.receive(buffer, count, pool);
        if connection.has_yielded() {
            // It has had its share of this turn.
            connection.input.park(buffer, pool);
            return false;
        }
        std::mem::swap(&mut self.read_buffer, buffer);
        self.advance(key, now);
        std::mem::swap(&mut self.read_buffer, buffer);
        self.has_room(key)
    }

    /// Whether the connection has more to do than fitted into its turn.
    pub(crate) fn has_yielded(&self, key: Key) -> bool {
        let served = self.connections.get(key);
        served.is_some_and(|served| served.connection.has_yielded())
    }

    /// Moves what is to be written into `to`, which is empty, for a driver that must own it while it is being written.
    /// Returns whether there was anything; not before all that was lent earlier has been.
    pub(crate) fn lend_output(&mut self, key: Key, to: &mut Output) -> bool {
        let Some(served) = self.connections.get_mut(key) else {
            return false;
        };
        let output = &mut served.connection.output;
        if !output.lend_all(to) {
            return false;
        }
        self.spare_output.reclaim(output);
        true
    }
}
