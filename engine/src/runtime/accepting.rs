//! Taking connections from the listeners: how many in a turn, at what rate, and what happens when descriptors run out.
//! How a driver learns that a listener has some, and what becomes of a connection, is the driver's.

use crate::counters::{Count, WorkerCounters};
use crate::listener::{Accepted, ENDPOINTS_MAX, Listening, Refused};
use lanner_limits::{Limits, Moment, TokenBucket, Trip};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Connections taken from one listener in one turn.
const ACCEPTS_PER_TURN: usize = 64;

/// How long accepting pauses when descriptors or memory ran out: long enough for connections to end, short enough
/// for a client not to notice.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// How long it pauses when a connection was shed to make room: on a ring, the socket of one that was shed is closed a turn
/// later.
const SHED_PAUSE: Duration = Duration::from_millis(1);

/// How long the log is spared more of the same.
const TELL_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// The number under which the first listener stands in a driver's epoll; the others follow. No connection's key gets
/// so far: its lower half is an index below the descriptor limit.
pub(super) const FIRST_LISTENER: u64 = u64::MAX - 1024;

// Behind them stand the drivers' own few numbers.
const _: () = assert!(ENDPOINTS_MAX < 1024 - 8);

/// One worker's listeners, and what may hold accepting up.
pub(super) struct Accepting {
    listeners: Vec<Listening>,
    /// Given up for a moment when descriptors run out, so that a connection can be accepted and closed instead of
    /// waking us again and again.
    reserve: Option<OwnedFd>,
    paused_until: Option<Moment>,
    /// When the log was told that accepting fails.
    told_at: Option<Moment>,
    rate: Option<TokenBucket>,
    /// Connections count against `LANNER_MAX_CONNECTION_RATE_PER_IP`.
    counts_addresses: bool,
    counters: Arc<WorkerCounters>,
}

impl Accepting {
    pub(super) fn new(
        listeners: Vec<Listening>,
        limits: &Limits,
        counters: Arc<WorkerCounters>,
        now: Moment,
    ) -> Self {
        let workers = u64::try_from(limits.workers).unwrap_or(1).max(1);
        let rate = limits.max_accept_rate.map(|rate| {
            let share = (rate / workers).max(1);
            TokenBucket::new(share, share, now)
        });
        Self {
            listeners,
            reserve: reserve(),
            paused_until: None,
            told_at: None,
            rate,
            counts_addresses: limits.max_connection_rate_per_ip.is_some(),
            counters,
        }
    }

    pub(super) fn listeners(&self) -> &[Listening] {
        &self.listeners
    }

    /// Whether each connection must be asked for: there is a rate to keep to, others wait for them too, or it must be known
    /// who even those were that are gone already, for only accept(2) can say.
    pub(super) fn takes_one_by_one(&self, number: usize) -> bool {
        self.rate.is_some() || self.counts_addresses || self.listeners[number].shared
    }

    /// How many connections to take now that a listener has some.
    pub(super) fn share(&self, number: usize) -> usize {
        match self.listeners.get(number) {
            Some(_) if self.paused_until.is_some() => 0,
            Some(listening) if listening.shared => 1,
            Some(_) => ACCEPTS_PER_TURN,
            None => 0,
        }
    }

    /// Takes one connection. After anything but a connection or [`Refused::Gone`] there is none for now.
    pub(super) fn accept(&mut self, number: usize, now: Moment) -> Result<Accepted, Refused> {
        if let Some(rate) = &mut self.rate
            && !rate.take(1, now)
        {
            self.counters.trip(Trip::AcceptRate);
            let until = rate.ready_at(1).unwrap_or(now + EXHAUSTED_PAUSE);
            self.paused_until = Some(until);
            return Err(Refused::None);
        }
        let accepted = self.listeners[number].accept();
        // One that has to wait pays when it comes in.
        if let (Some(rate), Err(Refused::None | Refused::Exhausted(_))) =
            (&mut self.rate, &accepted)
        {
            rate.give_back(1);
        }
        accepted
    }

    /// Whether somebody waits to be accepted.
    pub(super) fn is_awaited(&self, number: usize) -> bool {
        let at_once = rustix::time::Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        self.listeners.get(number).is_some_and(|listening| {
            let descriptor = listening.descriptor();
            let mut polled = [PollFd::new(&descriptor, PollFlags::IN)];
            rustix::event::poll(&mut polled, Some(&at_once)).is_ok_and(|ready| ready > 0)
        })
    }

    /// Descriptors or memory ran out. If a connection was shed, the newcomer at the head of the queue has its place in a
    /// moment. If none could be, the newcomer is turned away so that it need not wait for nothing, and accepting pauses.
    pub(super) fn exhausted(
        &mut self,
        number: usize,
        error: &io::Error,
        has_shed: bool,
        now: Moment,
    ) {
        self.counters.add(Count::AcceptErrors);
        if has_shed {
            let until = now + SHED_PAUSE;
            return self.pause_until(
                until,
                error,
                "descriptors ran out; closing idle connections",
                now,
            );
        }
        if self.reserve.take().is_some() {
            drop(self.listeners.get(number).map(Listening::accept));
            self.reserve = reserve();
        }
        self.pause(error, now);
    }

    /// Leaves newcomers in the queue for a moment, because of an error that passes.
    pub(super) fn pause(&mut self, error: &io::Error, now: Moment) {
        let until = now + EXHAUSTED_PAUSE;
        self.pause_until(
            until,
            error,
            "cannot accept; pausing for a moment each time",
            now,
        );
    }

    fn pause_until(&mut self, until: Moment, error: &io::Error, what: &str, now: Moment) {
        // The counter counts each time; the log is told once in a while.
        if self
            .told_at
            .is_none_or(|told| now >= told + TELL_AGAIN_AFTER)
        {
            self.told_at = Some(now);
            tracing::warn!(%error, "{what}");
        }
        self.paused_until = Some(until);
    }

    /// When a pause ends.
    pub(super) fn due(&self) -> Option<Moment> {
        self.paused_until
    }

    /// Ends a pause that is over. Returns whether the listeners are to be watched.
    pub(super) fn resume(&mut self, now: Moment) -> bool {
        if self.paused_until.is_some_and(|until| until <= now) {
            self.paused_until = None;
            self.reserve = self.reserve.take().or_else(reserve);
        }
        self.paused_until.is_none()
    }

    /// Ceases to count: what is queued when the server stops is all accepted, at once. Returns how many listeners there
    /// are.
    pub(super) fn unlimit(&mut self) -> usize {
        self.rate = None;
        self.listeners.len()
    }

    /// Closes the listeners, which resets what is queued on them.
    pub(super) fn close(&mut self) {
        self.listeners.clear();
        self.paused_until = None;
    }

    /// Begins or ceases to watch the listeners through an epoll.
    pub(super) fn watch_through(&self, epoll: BorrowedFd<'_>, on: bool) -> io::Result<()> {
        for (number, listening) in (FIRST_LISTENER..).zip(&self.listeners) {
            if !on {
                match epoll::delete(epoll, listening.descriptor()) {
                    Ok(()) | Err(Errno::NOENT) => {}
                    Err(error) => tracing::error!(%error, "cannot pause a listener"),
                }
                continue;
            }
            // A shared listener wakes one worker, not all of them.
            let exclusive = if listening.shared {
                EventFlags::EXCLUSIVE
            } else {
                EventFlags::empty()
            };
            epoll::add(
                epoll,
                listening.descriptor(),
                EventData::new_u64(number),
                EventFlags::IN | exclusive,
            )?;
        }
        Ok(())
    }
}

/// A descriptor to give up when there are no others.
fn reserve() -> Option<OwnedFd> {
    rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).ok()
}
