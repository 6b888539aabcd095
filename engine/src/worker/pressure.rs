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
        if let Some(key) = self.shed_oldest_lingering() {
            return Some(key);
        }
        let interval = self.shared.limits.timer_resolution;
        // What an earlier look has listed may all be busy or gone by now: the second look is at everybody.
        for _ in 0..2 {
            let candidates = self
                .connections
                .iter()
                .map(|(key, served)| (key, &served.connection.http));
            self.shedding.refill(now, interval, candidates);
            while let Some((key, since)) = self.shedding.next() {
                let Some(served) = self.connections.get_mut(key) else {
                    continue;
                };
                let http = &mut served.connection.http;
                // A client that has sent nothing but empty lines is as idle as one that has sent nothing.
                let has_begun = served.connection.input.len() > 0 && !http.has_only_empty_lines();
                if http.idle_since() == Some(since) && !has_begun && is_quiet(key) {
                    http.shed();
                    self.shedding.succeeded();
                    return Some(key);
                }
            }
        }
        None
    }

    /// Too many linger: ends the one of this worker's that has for longest, for it has had the most time to read its
    /// answer. Where there is none, the others are other workers', and the newcomer lingers beyond the bound.
    pub(super) fn shed_lingering(&mut self) {
        if let Some(key) = self.shed_oldest_lingering() {
            self.put_off(key);
        }
    }

    fn shed_oldest_lingering(&mut self) -> Option<Key> {
        while let Some(key) = self.shedding.next_lingering() {
            if let Some(served) = self.connections.get_mut(key)
                && served.connection.http.is_lingering()
            {
                served.connection.http.shed();
                return Some(key);
            }
        }
        None
    }
}
