//! Whom to close when the server is near its connection cap: lingering connections first, then the longest idle.
//!
//! Kept off the request path: nothing is noted when a connection becomes idle. When room is needed, one look over all
//! connections makes a list, and that list serves until it is used up or out of date. Lingering connections have a bound
//! of their own, and those are listed as they come.

use crate::connection::Connection;
use crate::slab::Key;
use lanner_limits::Moment;
use std::cmp::Reverse;
use std::collections::VecDeque;
use std::time::Duration;

/// Candidates taken from one look.
const CANDIDATES_MAX: usize = 256;

/// See the file's comment.
#[derive(Debug, Default)]
pub(crate) struct Shedding {
    /// The next to go stands last.
    candidates: Vec<(Key, Moment)>,
    looked: Option<Moment>,
    /// The last look found more candidates than it listed.
    has_more: bool,
    /// Connections that linger, and some that have ended since; the oldest stands first.
    lingering: VecDeque<Key>,
}

impl Shedding {
    /// Looks anew if the list is used up, but not again within `interval` if the last look listed everybody it could: when
    /// the others are busy, a flood of newcomers must not make us look each time.
    pub(crate) fn refill<'a>(
        &mut self,
        now: Moment,
        interval: Duration,
        connections: impl Iterator<Item = (Key, &'a Connection)>,
    ) {
        let recent = self.looked.is_some_and(|looked| now < looked + interval);
        if !self.candidates.is_empty() || recent {
            return;
        }
        self.looked = Some(now);
        self.candidates.extend(
            connections.filter_map(|(key, connection)| Some((key, connection.idle_since()?))),
        );
        self.candidates
            .sort_unstable_by_key(|(_, since)| Reverse(*since));
        let surplus = self.candidates.len().saturating_sub(CANDIDATES_MAX);
        self.candidates.drain(..surplus);
        self.has_more = surplus > 0;
    }

    /// The next candidate, and since when it was idle: whoever closes it looks first whether it still is.
    pub(crate) fn next(&mut self) -> Option<(Key, Moment)> {
        self.candidates.pop()
    }

    /// The candidate given last was closed. Another look is worth it at once only if the last one did not list everybody:
    /// newcomers who are shed by the next must not have us look for each of them.
    pub(crate) fn succeeded(&mut self) {
        if self.has_more {
            self.looked = None;
        }
    }

    /// Takes note of a connection that begins to linger. At most `lingering_max` do at once; when the list is twice as
    /// long, those that have ended are taken out of it.
    pub(crate) fn lingers(
        &mut self,
        key: Key,
        lingering_max: usize,
        is_open: impl Fn(Key) -> bool,
    ) {
        if self.lingering.len() > 2 * lingering_max {
            self.lingering.retain(|known| is_open(*known));
        }
        self.lingering.push_back(key);
    }

    /// The one that has lingered for longest, if it has not ended.
    pub(crate) fn next_lingering(&mut self) -> Option<Key> {
        self.lingering.pop_front()
    }
}
