//! Epoll with a clock that keeps sub-millisecond appointments: `epoll_wait` alone rounds up to whole milliseconds, which a
//! latency measured from an intended start would show as the server's. Level-triggered throughout.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};

/// Most events taken per wait; more are taken by the next one.
const EVENTS_MAX: usize = 1024;

/// The timer's own key; no caller may use it.
const TIMER_KEY: u64 = u64::MAX;

/// What to be woken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Bytes or the peer's end of stream.
    Read,
    /// Room to write, or the outcome of a connect.
    Write,
    /// Both of these.
    ReadWrite,
    /// Only a reset, which is always reported.
    Reset,
}

/// One descriptor that has something to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// The key it was added with.
    pub key: u64,
    /// The connection is gone in both directions.
    pub reset: bool,
}

/// An epoll and its timer.
pub struct Poller {
    epoll: OwnedFd,
    timer: OwnedFd,
    armed_for: Option<Instant>,
    events: Vec<Event>,
}

impl Poller {
    /// A poller that watches nothing yet.
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let timer = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        epoll::add(
            &epoll,
            &timer,
            EventData::new_u64(TIMER_KEY),
            EventFlags::IN,
        )?;
        Ok(Self {
            epoll,
            timer,
            armed_for: None,
            events: Vec::with_capacity(EVENTS_MAX),
        })
    }

    /// Watches a descriptor until it is closed.
    pub fn add(&self, descriptor: impl AsFd, key: u64, interest: Interest) -> io::Result<()> {
        debug_assert_ne!(key, TIMER_KEY);
        Ok(epoll::add(
            &self.epoll,
            descriptor,
            EventData::new_u64(key),
            flags(interest),
        )?)
    }

    /// Changes what a watched descriptor wakes for.
    pub fn modify(&self, descriptor: impl AsFd, key: u64, interest: Interest) -> io::Result<()> {
        debug_assert_ne!(key, TIMER_KEY);
        Ok(epoll::modify(
            &self.epoll,
            descriptor,
            EventData::new_u64(key),
            flags(interest),
        )?)
    }

    /// Watches a descriptor no more.
    pub fn forget(&self, descriptor: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, descriptor)?)
    }

    /// Waits for descriptors or for the moment, whichever comes first, and fills `ready`. May return early and empty.
    pub fn wait(&mut self, until: Instant, ready: &mut Vec<Ready>) -> io::Result<()> {
        ready.clear();
        let left = until.saturating_duration_since(Instant::now());
        let timeout = if left.is_zero() {
            Some(Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            })
        } else {
            None
        };
        if timeout.is_none() && self.armed_for != Some(until) {
            self.arm(left)?;
            self.armed_for = Some(until);
        }
        self.events.clear();
        match epoll::wait(
            &self.epoll,
            spare_capacity(&mut self.events),
            timeout.as_ref(),
        ) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &self.events {
            let (key, happened) = (event.data.u64(), event.flags);
            if key == TIMER_KEY {
                // Reading makes it unreadable; that it may have been read already does not matter.
                let _ = rustix::io::read(&self.timer, &mut [0; 8]);
                self.armed_for = None;
            } else {
                ready.push(Ready {
                    key,
                    reset: happened.intersects(EventFlags::ERR | EventFlags::HUP),
                });
            }
        }
        Ok(())
    }

    fn arm(&self, left: Duration) -> io::Result<()> {
        let value = Timespec {
            tv_sec: left.as_secs().cast_signed(),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let once = Itimerspec {
            it_interval: Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: value,
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }
}

/// To be watched by another one, which is told when there is something to wait for.
impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

impl fmt::Debug for Poller {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Poller")
            .field("armed_for", &self.armed_for)
            .finish_non_exhaustive()
    }
}

/// Whether a read or a write only came too early, or was interrupted: the poller tells when to try again.
pub fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

fn flags(interest: Interest) -> EventFlags {
    match interest {
        Interest::Read => EventFlags::IN | EventFlags::RDHUP,
        Interest::Write => EventFlags::OUT,
        Interest::ReadWrite => EventFlags::IN | EventFlags::RDHUP | EventFlags::OUT,
        Interest::Reset => EventFlags::empty(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_wait_ends_at_its_moment_when_nothing_happens() {
        let mut poller = Poller::new().unwrap();
        let mut ready = Vec::new();
        let until = Instant::now() + Duration::from_micros(300);
        while Instant::now() < until {
            poller.wait(until, &mut ready).unwrap();
            assert!(ready.is_empty());
        }
        // A moment that has passed does not block.
        poller.wait(until, &mut ready).unwrap();
    }

    #[test]
    fn bytes_and_a_hang_up_are_told_under_the_key() {
        let (mut near, far) = UnixStream::pair().unwrap();
        let mut poller = Poller::new().unwrap();
        let mut ready = Vec::new();
        let until = Instant::now() + Duration::from_secs(10);
        poller.add(&far, 7, Interest::Read).unwrap();
        near.write_all(b"x").unwrap();
        poller.wait(until, &mut ready).unwrap();
        assert_eq!(
            ready,
            [Ready {
                key: 7,
                reset: false
            }]
        );

        poller.modify(&far, 8, Interest::Reset).unwrap();
        drop(near);
        poller.wait(until, &mut ready).unwrap();
        assert_eq!(
            ready,
            [Ready {
                key: 8,
                reset: true
            }]
        );
    }
}
