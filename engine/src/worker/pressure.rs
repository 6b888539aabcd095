//! Making room: which connection a worker ends when there are too many. Whom to look at is `shedding`'s business.

use super::Worker;
use crate::exchange::Dispatch;
use crate::slab::Key;
use lanner_limits::Moment;

impl<D: Dispatch> Worker<D> {
    /// Makes room if the server is near its cap: the connection to serve next, which will then end. `newcomers` are to
    /// be admitted and do not count yet. `is_quiet` says whether nothing has come on an idle connection's socket that
    /// was not read yet.
    pub(crate) fn shed(
        &mut self,
        now: Moment,
        newcomers: usize,
        mut is_quiet: impl FnMut(Key) -> bool,
    ) -> Option<Key> {
        let limits = &self.shared.limits;
        if self.shared.admission.connections() + newcomers <= limits.idle_shed_connections() {
            return None;
        }
        if let Some(key) = self.shed_oldest_lingering(now) {
            return Some(key);
        }
        let interval = self.shared.limits.timer_resolution;
        // What an earlier look has listed may all be busy or gone by now: the second look is at everybody.
        for _ in 0..2 {
            let candidates = self
                .connections
                .iter()
                .map(|(key, served)| (key, &served.connection));
            self.shedding.refill(now, interval, candidates);
            while let Some((key, since)) = self.shedding.next() {
                let Some(served) = self.connections.get_mut(key) else {
                    continue;
                };
                let connection = &mut served.connection;
                if connection.idle_since() == Some(since)
                    && !connection.has_begun()
                    && is_quiet(key)
                {
                    connection.shed(&self.shared, now);
                    self.shedding.succeeded();
                    return Some(key);
                }
            }
        }
        None
    }

    /// Too many linger: ends the one of this worker's that has for longest, for it has had the most time to read its
    /// answer. Where there is none, the others are other workers', and the newcomer lingers beyond the bound.
    pub(super) fn shed_lingering(&mut self, now: Moment) {
        if let Some(key) = self.shed_oldest_lingering(now) {
            self.put_off(key);
        }
    }

    fn shed_oldest_lingering(&mut self, now: Moment) -> Option<Key> {
        while let Some(key) = self.shedding.next_lingering() {
            if let Some(served) = self.connections.get_mut(key)
                && served.connection.is_lingering()
            {
                served.connection.shed(&self.shared, now);
                return Some(key);
            }
        }
        None
    }
}
