//! What a driver needs whose kernel reads and writes by itself: input comes in a buffer of the kernel's choice, wanted or
//! not, and output is out of the worker's hands until the kernel is done with it.

use super::Worker;
use crate::exchange::Dispatch;
use crate::lease::Lease;
use crate::slab::Key;
use lanner_limits::Moment;
use lanner_protocol::Output;

/// What a connection wants of a kernel that receives by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Appetite {
    /// It wants input.
    pub(crate) is_there: bool,
    /// What it is given it keeps for a while, so it is to get a little at a time.
    pub(crate) is_small: bool,
}

impl<D: Dispatch> Worker<D> {
    /// What the connection wants.
    pub(crate) fn appetite(&self, key: Key) -> Appetite {
        let Some(served) = self.connections.get(key) else {
            return Appetite::default();
        };
        Appetite {
            is_there: served.connection.has_room(&self.shared),
            is_small: served.connection.keeps_input(&self.shared),
        }
    }

    /// For a driver whose kernel chooses the buffer: takes in `count` bytes that stand at the beginning of `buffer`,
    /// wanted or not, and does all that can be done for the connection now. Whoever holds on to what was received
    /// shares `buffer` afterwards. Returns what the connection wants then.
    pub(crate) fn advance_with(
        &mut self,
        key: Key,
        buffer: &mut Lease,
        count: usize,
        now: Moment,
    ) -> Appetite {
        let Some(served) = self.connections.get_mut(key) else {
            return Appetite::default();
        };
        if served.layer.is_some() {
            return self.advance_secure_with(key, buffer, count, now);
        }
        let connection = &mut served.connection;
        let pool = &self.shared.pool;
        connection.input.receive(buffer, count, pool);
        if connection.has_yielded() {
            // It has had its share of this turn.
            connection.input.park(buffer, pool);
            return self.appetite(key);
        }
        std::mem::swap(&mut self.read_buffer, buffer);
        self.advance(key, now);
        std::mem::swap(&mut self.read_buffer, buffer);
        self.appetite(key)
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
        let spare = match served.layer {
            None => &mut self.spare_output,
            Some(_) => &mut self.secure.spare_cipher,
        };
        let output = served.outgoing();
        if !output.lend_all(to) {
            return false;
        }
        spare.reclaim(output);
        true
    }
}
