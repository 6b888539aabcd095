//! One connection's turn: read, understand, send what there is room for, write.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lanner_limits::Moment;
use lanner_protocol::client::Turn;

use super::{Handshake, Lane, key};
use crate::poller::{Interest, Ready, is_transient};
use crate::run::demand::Demand;
use crate::run::link::{Link, Stage};
use crate::run::speech::{Ears, News, Speech, State};
use crate::run::trouble::{Kind, Trouble};

/// Writes of one connection in one turn.
const ROUNDS_MAX: u32 = 16;

impl Lane<'_> {
    #[inline]
    pub(super) fn serve(&mut self, event: Ready) {
        let index = event.key as u32;
        let Some(place) = self.places.get_mut(index as usize) else {
            return;
        };
        if key(index, place.generation) != event.key {
            return;
        }
        let Some(link) = &mut place.link else {
            return;
        };
        // Told of something before it moved on, one that is being made is looked at when its turn comes.
        if !matches!(link.stage, Stage::Open(_)) {
            return;
        }
        if let Err(trouble) = self.hear(index) {
            self.fail(index, &trouble);
        }
    }

    /// Looks at the connections that are being made.
    pub(super) fn serve_openings(&mut self) -> io::Result<()> {
        let ready = self.openings.look()?;
        let seen = self.clock.now();
        for event in &ready {
            if let Err(trouble) = self.serve_opening(*event, seen) {
                self.fail(event.key as u32, &trouble);
            }
        }
        self.openings.looked_at(ready);
        Ok(())
    }

    fn serve_opening(&mut self, event: Ready, seen: Moment) -> Result<(), Trouble> {
        let index = event.key as u32;
        let place = &mut self.places[index as usize];
        let Some(link) = &mut place.link else {
            return Ok(());
        };
        if key(index, place.generation) != event.key {
            return Ok(());
        }
        match &mut link.stage {
            Stage::Dialling(_) => self.connected(index, seen),
            Stage::Handshaking(handshake) => {
                handshake.handle_turn(seen, self.clock.now());
                self.hear(index)
            }
            Stage::Open(_) => Ok(()),
        }
    }

    /// A connect was begun.
    pub(super) fn dialled(&mut self, index: u32) -> Result<(), Trouble> {
        let failed = |error| Trouble::new(Kind::Connect, error);
        let place = &mut self.places[index as usize];
        let Some(link) = &mut place.link else {
            return Ok(());
        };
        if link.is_dialled().map_err(failed)? {
            return self.connected(index, self.clock.now());
        }
        let key = key(index, place.generation);
        let watched = self
            .openings
            .watch(&self.poller, link, key, Interest::Write);
        watched.map_err(failed)
    }

    /// A connect was seen to have come to an end.
    fn connected(&mut self, index: u32, seen: Moment) -> Result<(), Trouble> {
        let failed = |error| Trouble::new(Kind::Connect, error);
        let place = &mut self.places[index as usize];
        let Some(link) = &mut place.link else {
            return Ok(());
        };
        let Stage::Dialling(begun) = link.stage else {
            return Ok(());
        };
        link.outcome().map_err(failed)?;
        self.tally.connect.record(seen.since(begun));
        let now = self.clock.now();
        let Some(terms) = self.terms else {
            self.open(index, now).map_err(failed)?;
            return self.speak(index);
        };
        link.stage = Stage::Handshaking(Handshake::begin(now));
        link.secure = Some(Box::new(terms.begin()?));
        let key = key(index, place.generation);
        let watched = self.openings.watch(&self.poller, link, key, Interest::Read);
        watched.map_err(failed)?;
        self.speak(index)
    }

    /// A connection is made: calls can be sent on it.
    fn open(&mut self, index: u32, now: Moment) -> io::Result<()> {
        let place = &mut self.places[index as usize];
        let Some(link) = &mut place.link else {
            return Ok(());
        };
        let speech = Speech::new(self.plan, &self.limits, now);
        link.stage = Stage::Open(speech);
        self.openings.ended();
        let interest = interest(link.awaits_room);
        let key = key(index, place.generation);
        self.openings.watch(&self.poller, link, key, interest)
    }

    /// Something came, or there is room to write.
    #[inline]
    fn hear(&mut self, index: u32) -> Result<(), Trouble> {
        let Some(link) = &mut self.places[index as usize].link else {
            return Ok(());
        };
        let count = match link.read(&mut self.read) {
            Ok(count) => count,
            Err(error) if is_transient(&error) => return self.speak(index),
            Err(error) => return Err(ended(&link.stage, error)),
        };
        self.tally.bytes_read += count as u64;
        let now = self.clock.now();
        if count == 0 {
            return self.handle_eof(index, true, now);
        }
        if link.secure.is_some() {
            return self.hear_secure(index, count, now);
        }
        let body_bytes = &mut self.tally.body_bytes;
        let state = understand(link, &self.read[..count], &mut self.ears, now, body_bytes);
        self.take_news(index, now);
        match state {
            State::Open => self.speak(index),
            state => self.go_on(index, state),
        }
    }

    /// The same under TLS.
    fn hear_secure(&mut self, index: u32, count: usize, now: Moment) -> Result<(), Trouble> {
        let Some(link) = &mut self.places[index as usize].link else {
            return Ok(());
        };
        let Some(secure) = &mut link.secure else {
            return Ok(());
        };
        self.plain.clear();
        let heard = secure.hear(&self.read[..count], &mut self.plain);
        if heard.is_err() {
            link.say_goodbye();
        }
        let is_closed = heard?.is_closed;
        if let Stage::Handshaking(handshake) = link.stage
            && let Some(secure) = &link.secure
            && !secure.is_handshaking()
        {
            secure.judge_protocol()?;
            self.tally.handshake.record(handshake.took(now));
            self.tally.resumed += u64::from(secure.is_resumed());
            let opened = self.open(index, now);
            opened.map_err(|error| Trouble::new(Kind::Cut, error))?;
        }
        let Some(link) = &mut self.places[index as usize].link else {
            return Ok(());
        };
        let body_bytes = &mut self.tally.body_bytes;
        let state = understand(link, &self.plain, &mut self.ears, now, body_bytes);
        self.take_news(index, now);
        match state {
            State::Open if is_closed => self.handle_eof(index, false, now),
            State::Open => self.speak(index),
            state => self.go_on(index, state),
        }
    }

    /// The server has ended its side; `is_bare` says that nothing but the socket said so.
    fn handle_eof(&mut self, index: u32, is_bare: bool, now: Moment) -> Result<(), Trouble> {
        let Some(link) = &mut self.places[index as usize].link else {
            return Ok(());
        };
        let Stage::Open(speech) = &mut link.stage else {
            return Err(ended(&link.stage, "the server closed the connection"));
        };
        // Under TLS, somebody else may have cut off what the server was saying.
        if is_bare && link.secure.is_some() && speech.calls().next().is_some() {
            speech.handle_reset();
        } else {
            speech.handle_eof();
        }
        let body_bytes = &mut self.tally.body_bytes;
        let state = understand(link, &[], &mut self.ears, now, body_bytes);
        self.take_news(index, now);
        match state {
            State::Open => self.go_on(index, State::Closed),
            state => self.go_on(index, state),
        }
    }

    /// What follows from how the connection is.
    fn go_on(&mut self, index: u32, state: State) -> Result<(), Trouble> {
        match state {
            State::Open => Ok(()),
            State::Closed => {
                self.renew(index);
                Ok(())
            }
            State::Failed(trouble) => Err(trouble),
        }
    }

    /// Counts what was heard of calls.
    #[inline]
    fn take_news(&mut self, index: u32, now: Moment) {
        if self.ears.news.is_empty() {
            return;
        }
        let mut news = std::mem::take(&mut self.ears.news);
        let mut answered = 0;
        let late = self.lateness(now);
        let is_in_time = late.is_none() && now >= self.recorded_from();
        for item in news.drain(..) {
            match item {
                News::Answered { call, status } => {
                    answered += 1;
                    let latency = now.since(call.start);
                    self.interval.latency.record(latency);
                    self.tally.in_time.answers += u64::from(is_in_time);
                    let counts = match self.demand {
                        Demand::Open(_) => call.start >= self.recorded_from(),
                        Demand::Closed { .. } => is_in_time,
                    };
                    if counts {
                        self.tally.latency.record(latency);
                        *self.tally.statuses.entry(status).or_default() += 1;
                    }
                    if let Some(late) = late {
                        self.take_late(late, counts);
                    }
                }
                News::Lost { call, trouble } => self.lose(call, &trouble),
            }
        }
        self.ears.news = news;
        self.under_way -= answered as usize;
        if let Some(link) = &mut self.places[index as usize].link {
            link.answered += answered;
        }
        if answered > 0 && !self.shared.answered.load(Ordering::Relaxed) {
            self.shared.answered.store(true, Ordering::Relaxed);
        }
    }

    /// How long behind the time that is recorded it is, where that is over.
    #[inline]
    fn lateness(&self, now: Moment) -> Option<Duration> {
        let end = self.recorded_until();
        (now >= end).then(|| now.since(end))
    }

    /// An answer came so late.
    #[cold]
    fn take_late(&mut self, late: Duration, counts: bool) {
        if self.demand.is_closed() {
            // Too late for this run, as what is still under way.
            self.tally.unfinished += 1;
            return;
        }
        self.interval.late += 1;
        if counts {
            self.tally.late += 1;
            self.tally.late_until = self.tally.late_until.max(late);
        }
    }

    /// Sends what there is room for, and writes, until there is nothing more to say or no room for it.
    #[inline]
    pub(super) fn speak(&mut self, index: u32) -> Result<(), Trouble> {
        let mut rounds = 0;
        loop {
            rounds += 1;
            let now = self.clock.now();
            let place = &mut self.places[index as usize];
            let Some(link) = &mut place.link else {
                return Ok(());
            };
            let key = key(index, place.generation);
            if let Stage::Open(speech) = &mut link.stage
                && !link.is_shut
            {
                let mut turn = Turn {
                    now,
                    output: &mut link.output,
                };
                while speech.has_room()
                    && let Some(call) = self.demand.take(now)
                {
                    speech.ask(&mut turn, self.plan.mix.ask(&mut self.turn), call)?;
                    self.under_way += 1;
                }
                speech.flush(&mut turn);
                if matches!(self.demand, Demand::Open(_)) && !link.is_listed && speech.has_room() {
                    link.is_listed = true;
                    self.listed.push_back(key);
                }
            }
            let mut is_blocked = false;
            if !link.is_shut && link.has_output() {
                let written = link.write();
                self.tally.bytes_written += written.bytes;
                // A server that takes whatever comes must not keep us from all others: the poller comes back here.
                is_blocked = written.is_blocked || rounds == ROUNDS_MAX;
            }
            if is_blocked != link.awaits_room {
                link.awaits_room = is_blocked;
                let interest = interest(is_blocked);
                let watched = self.openings.watch(&self.poller, link, key, interest);
                watched.map_err(|error| Trouble::new(Kind::Cut, error))?;
            }
            let Stage::Open(speech) = &mut link.stage else {
                return Ok(());
            };
            if is_blocked || link.is_shut {
                return Ok(());
            }
            // What waited for room in the output has it now, and nothing that happens outside would tell.
            if link.is_held {
                let body_bytes = &mut self.tally.body_bytes;
                let state = understand(link, &[], &mut self.ears, now, body_bytes);
                self.take_news(index, now);
                if !matches!(state, State::Open) {
                    return self.go_on(index, state);
                }
                continue;
            }
            speech.flush(&mut Turn {
                now,
                output: &mut link.output,
            });
            if link.output.is_empty() {
                return Ok(());
            }
        }
    }

    /// Calls are due, and this connection has room.
    pub(super) fn send_listed(&mut self, listed: u64) {
        let index = listed as u32;
        let Some(place) = self.places.get_mut(index as usize) else {
            return;
        };
        // Of a connection that is gone.
        if key(index, place.generation) != listed {
            return;
        }
        if let Some(link) = &mut place.link {
            link.is_listed = false;
            if let Err(trouble) = self.speak(index) {
                self.fail(index, &trouble);
            }
        }
    }
}

fn interest(awaits_room: bool) -> Interest {
    if awaits_room {
        Interest::ReadWrite
    } else {
        Interest::Read
    }
}

/// Has a connection's speech look at what came.
#[inline]
fn understand(
    link: &mut Link,
    fresh: &[u8],
    ears: &mut Ears,
    now: Moment,
    body_bytes: &mut u64,
) -> State {
    let Stage::Open(speech) = &mut link.stage else {
        return State::Open;
    };
    let mut turn = Turn {
        now,
        output: &mut link.output,
    };
    let heard = if link.held.is_empty() {
        let heard = speech.hear(&mut turn, fresh, ears);
        link.held.extend_from_slice(&fresh[heard.consumed..]);
        heard
    } else {
        link.held.extend_from_slice(fresh);
        let heard = speech.hear(&mut turn, &link.held, ears);
        link.held.drain(..heard.consumed);
        heard
    };
    link.is_held = heard.is_held;
    *body_bytes += heard.body_bytes;
    heard.state
}

/// What a connection's end means at its stage.
fn ended(stage: &Stage, how: impl std::fmt::Display) -> Trouble {
    let kind = match stage {
        Stage::Dialling(_) => Kind::Connect,
        Stage::Handshaking(_) => Kind::Handshake,
        Stage::Open(_) => Kind::Cut,
    };
    Trouble::new(kind, how)
}
