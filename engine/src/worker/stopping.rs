//! The stop, as a worker's connections learn of it.

use super::Worker;
use crate::exchange::Dispatch;
use crate::slab::Key;
use lanner_limits::Moment;

impl<D: Dispatch> Worker<D> {
    /// Begins the stop: every connection is to end when what it is doing is done. Returns them all, to be read once
    /// more and served.
    pub(crate) fn stop(&mut self, now: Moment) -> Vec<Key> {
        self.stopping = true;
        let keys = self.connections.keys();
        for key in &keys {
            if let Some(served) = self.connections.get_mut(*key) {
                served.connection.announce_close(&self.shared, now);
            }
        }
        keys
    }

    /// Tells a connection of the stop, after it has been read once more.
    pub(crate) fn handle_stop(&mut self, key: Key, now: Moment) {
        if let Some(served) = self.connections.get_mut(key) {
            served.connection.handle_stop(&self.shared, now);
        }
    }

    /// The stop's deadline has come: cuts a connection.
    pub(crate) fn handle_stop_deadline(&mut self, key: Key) {
        if let Some(served) = self.connections.get_mut(key) {
            served.connection.handle_stop_deadline();
        }
    }
}
