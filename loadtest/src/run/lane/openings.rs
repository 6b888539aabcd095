//! Connections of a lane that are being made, TLS included: how many at once, and what they have to tell.
//!
//! How long they take is the server's and the network's to say, so they are kept from waiting for us. They have a poller of
//! their own, which is looked at after every few of the connections that are loaded already, however many those are. And while
//! some are found waiting at such a look, fewer are begun.

use std::io;
use std::time::{Duration, Instant};

use lanner_limits::Moment;

use crate::poller::{Interest, Poller, Ready};
use crate::run::link::{Link, Stage, Watcher};

/// Begun at one look, if none are found waiting. A connect and the first message of TLS take us a tenth of a millisecond, and
/// what comes back twice as much, so those that are begun together wait for each other a millisecond or two.
const BEGUN_AT_ONCE: usize = 8;

/// The lane's poller calls ours so. No connection has that name: their generations have 31 bits.
const KEY: u64 = u64::MAX - 1;

/// See the file's comment.
#[derive(Debug)]
pub(super) struct Openings {
    poller: Poller,
    ready: Vec<Ready>,
    count: usize,
    max: usize,
    /// How many had something to tell at the last look.
    found: usize,
}

impl Openings {
    /// At most so many at once. `lane` is told when there is something to look at.
    pub(super) fn new(max: usize, lane: &Poller) -> io::Result<Self> {
        let poller = Poller::new()?;
        lane.add(&poller, KEY, Interest::Read)?;
        Ok(Self {
            poller,
            ready: Vec::new(),
            count: 0,
            max,
            found: 0,
        })
    }

    pub(super) fn began(&mut self) {
        self.count += 1;
    }

    /// One is made, or failed.
    pub(super) fn ended(&mut self) {
        self.count -= 1;
    }

    pub(super) fn is_full(&self) -> bool {
        self.count >= self.max
    }

    /// How many more may be begun before the next look. One at the least, or connections that come and go would hold up the
    /// others for ever.
    pub(super) fn room(&self) -> usize {
        let left = self.max.saturating_sub(self.count);
        left.min(BEGUN_AT_ONCE.saturating_sub(self.found).max(1))
    }

    /// Takes out what has something to tell. What is taken is to be given back by `looked_at`.
    pub(super) fn look(&mut self) -> io::Result<Vec<Ready>> {
        let mut ready = std::mem::take(&mut self.ready);
        ready.clear();
        if self.count > 0 {
            // A moment that has passed: without waiting.
            self.poller.wait(Instant::now(), &mut ready)?;
        }
        self.found = ready.len();
        Ok(ready)
    }

    pub(super) fn looked_at(&mut self, ready: Vec<Ready>) {
        self.ready = ready;
    }

    /// Has a connection watched, by our poller until it is open and by the lane's from then on.
    pub(super) fn watch(
        &self,
        lane: &Poller,
        link: &mut Link,
        key: u64,
        interest: Interest,
    ) -> io::Result<()> {
        let (watcher, poller) = match link.stage {
            Stage::Open(_) => (Watcher::Lane, lane),
            Stage::Dialling(_) | Stage::Handshaking(_) => (Watcher::Openings, &self.poller),
        };
        let before = link.watcher.replace(watcher);
        if before == Some(watcher) {
            return poller.modify(link.descriptor(), key, interest);
        }
        if before.is_some() {
            self.poller.forget(link.descriptor())?;
        }
        poller.add(link.descriptor(), key, interest)
    }
}

/// A handshake that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::run) struct Handshake {
    pub(in crate::run) begun: Moment,
    /// How much of the time since then was ours: what the server had said lay there until its turn came.
    ours: Duration,
}

impl Handshake {
    pub(super) fn begin(now: Moment) -> Self {
        Self {
            begun: now,
            ours: Duration::ZERO,
        }
    }

    /// Something was seen to be there, and now is its turn.
    pub(super) fn handle_turn(&mut self, seen: Moment, now: Moment) {
        self.ours += now.since(seen);
    }

    /// How long it took the server and the network.
    pub(super) fn took(&self, now: Moment) -> Duration {
        now.since(self.begun).saturating_sub(self.ours)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::TcpListener;

    use super::*;
    use crate::run::origin::Place;

    fn openings(max: usize) -> (Poller, Openings) {
        let lane = Poller::new().unwrap();
        let openings = Openings::new(max, &lane).unwrap();
        (lane, openings)
    }

    #[test]
    fn no_more_are_begun_than_may_be_under_way() {
        let (_lane, mut openings) = openings(10);
        assert_eq!(openings.room(), 8);
        for left in (0..10).rev() {
            openings.began();
            assert_eq!(openings.room(), left.min(8));
        }
        assert!(openings.is_full());
        openings.ended();
        assert_eq!(openings.room(), 1);
    }

    #[test]
    fn those_that_wait_for_us_keep_others_from_being_begun_but_one() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let place = Place::Tcp(listener.local_addr().unwrap());
        let (lane, mut openings) = openings(100);
        let mut links = Vec::new();
        for key in 0..20 {
            let mut link = Link::dial(&place, Moment::ZERO).unwrap();
            openings
                .watch(&lane, &mut link, key, Interest::Write)
                .unwrap();
            openings.began();
            links.push(link);
            // On loopback they stand when the call returns.
            let ready = openings.look().unwrap();
            assert_eq!(ready.len(), links.len());
            assert_eq!(openings.room(), 8_usize.saturating_sub(ready.len()).max(1));
            openings.looked_at(ready);
        }
        // One that is open is the lane's, which is not told of the others one by one.
        let mut heard = Vec::new();
        let mut lane = lane;
        lane.wait(Instant::now(), &mut heard).unwrap();
        assert_eq!(heard.iter().map(|one| one.key).collect::<Vec<_>>(), [KEY]);
        drop(links);
        assert_eq!(openings.look().unwrap().len(), 0);
        assert_eq!(openings.room(), 8);
    }

    #[test]
    fn what_lay_there_until_its_turn_is_not_the_servers_time() {
        let at = |millis: u64| Moment::from_nanos(millis * 1_000_000);
        let mut handshake = Handshake::begin(at(100));
        handshake.handle_turn(at(110), at(114));
        handshake.handle_turn(at(130), at(131));
        assert_eq!(handshake.took(at(131)).as_millis(), 31 - 5);
    }
}
