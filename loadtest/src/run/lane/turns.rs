//! One connection's turn: read, understand, send what there is room for, write.

use lanner_limits::Moment;
use lanner_protocol::client::Turn;

use super::{Lane, key};
use crate::poller::{Interest, Ready, is_transient};
use crate::run::demand::Demand;
use crate::run::link::{Link, Stage};
use crate::run::speech::{Call, Ears, News, Speech, State};
use crate::run::trouble::{Kind, Trouble};
use std::sync::atomic::Ordering;

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
        let went = match link.stage {
            Stage::Dialling(begun) => self.connected(index, begun),
            Stage::Handshaking(_) | Stage::Open(_) => self.hear(index),
        };
        if let Err(trouble) = went {
            self.fail(index, &trouble);
        }
    }

    /// A connect has come to an end.
    fn connected(&mut self, index: u32, begun: Moment) -> Result<(), Trouble> {
        let failed = |error| Trouble::new(Kind::Connect, error);
        let now = self.clock.now();
        let place = &mut self.places[index as usize];
        let Some(link) = &mut place.link else {
            return Ok(());
        };
        link.outcome().map_err(failed)?;
        self.dialling -= 1;
        self.tally.connect.record(now.since(begun));
        let key = key(index, place.generation);
        link.stage = match self.terms {
            Some(terms) => {
                // Not dialling any more, whatever comes of it.
                link.stage = Stage::Handshaking(now);
                link.secure = Some(Box::new(terms.begin()?));
                Stage::Handshaking(now)
            }
            None => Stage::Open(Speech::new(self.plan.version, &self.limits, now)),
        };
        let watched = self.poller.modify(link.descriptor(), key, Interest::Read);
        watched.map_err(failed)?;
        self.speak(index)
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
        if count == 0 {
            return self.handle_eof(index);
        }
        let mut is_closed = false;
        let secure = link.secure.is_some();
        if let Some(secure) = &mut link.secure {
            self.plain.clear();
            is_closed = secure.hear(&self.read[..count], &mut self.plain)?.is_closed;
            if let Stage::Handshaking(begun) = link.stage
                && !secure.is_handshaking()
            {
                secure.judge_protocol()?;
                let now = self.clock.now();
                self.tally.handshake.record(now.since(begun));
                self.tally.resumed += u64::from(secure.is_resumed());
                link.stage = Stage::Open(Speech::new(self.plan.version, &self.limits, now));
            }
        }
        let fresh = if secure {
            &self.plain[..]
        } else {
            &self.read[..count]
        };
        let goes_on = understand(
            link,
            fresh,
            &mut self.ears,
            self.clock.now(),
            &mut self.tally.body_bytes,
        );
        self.take_news(index);
        match goes_on {
            State::Open if is_closed => self.handle_eof(index),
            State::Open => self.speak(index),
            State::Closed => {
                self.renew(index);
                Ok(())
            }
            State::Failed(trouble) => Err(trouble),
        }
    }

    fn handle_eof(&mut self, index: u32) -> Result<(), Trouble> {
        let Some(link) = &mut self.places[index as usize].link else {
            return Ok(());
        };
        let Stage::Open(speech) = &mut link.stage else {
            return Err(ended(&link.stage, "the server closed the connection"));
        };
        speech.handle_eof();
        let now = self.clock.now();
        let body_bytes = &mut self.tally.body_bytes;
        let goes_on = understand(link, &[], &mut self.ears, now, body_bytes);
        self.take_news(index);
        if let State::Failed(trouble) = goes_on {
            return Err(trouble);
        }
        self.renew(index);
        Ok(())
    }

    /// Counts what was heard of calls.
    #[inline]
    fn take_news(&mut self, index: u32) {
        if self.ears.news.is_empty() {
            return;
        }
        let now = self.clock.now();
        let mut news = std::mem::take(&mut self.ears.news);
        for item in news.drain(..) {
            match item {
                News::Answered { call, status } => {
                    let latency = now.since(call.start);
                    self.interval.latency.record(latency);
                    if self.counts(call, now) {
                        self.tally.latency.record(latency);
                        *self.tally.statuses.entry(status).or_default() += 1;
                    }
                    if let Some(link) = &mut self.places[index as usize].link {
                        link.answered += 1;
                    }
                }
                News::Lost { call, trouble } => self.lose(call, &trouble),
            }
        }
        self.ears.news = news;
        if !self.shared.answered.load(Ordering::Relaxed) {
            self.shared.answered.store(true, Ordering::Relaxed);
        }
    }

    /// As `records`, where the moment of the answer is known.
    #[inline]
    fn counts(&self, call: Call, now: Moment) -> bool {
        let recorded = self.begin + self.plan.warm_up;
        match self.demand {
            Demand::Open(_) => call.start >= recorded,
            Demand::Closed { end } => now >= recorded && now < end,
        }
    }

    /// Sends what there is room for, and writes.
    #[inline]
    fn speak(&mut self, index: u32) -> Result<(), Trouble> {
        let now = self.clock.now();
        let place = &mut self.places[index as usize];
        let Some(link) = &mut place.link else {
            return Ok(());
        };
        if let Stage::Open(speech) = &mut link.stage {
            let mut turn = Turn {
                now,
                output: &mut link.output,
            };
            while speech.has_room()
                && let Some(call) = self.demand.take(now)
            {
                speech.ask(&mut turn, self.plan.mix.ask(&mut self.turn), call)?;
            }
            speech.flush(&mut turn);
            if matches!(self.demand, Demand::Open(_)) && !link.is_listed && speech.has_room() {
                link.is_listed = true;
                self.listed.push_back(index);
            }
        }
        let written = link.write()?;
        self.tally.bytes_written += written.bytes;
        if written.is_blocked != link.awaits_room {
            link.awaits_room = written.is_blocked;
            let interest = if written.is_blocked {
                Interest::ReadWrite
            } else {
                Interest::Read
            };
            let key = key(index, place.generation);
            let watched = self.poller.modify(link.descriptor(), key, interest);
            watched.map_err(|error| Trouble::new(Kind::Cut, error))?;
        }
        Ok(())
    }

    /// Calls are due, and this connection has room.
    pub(super) fn send_listed(&mut self, index: u32) {
        if let Some(link) = &mut self.places[index as usize].link {
            link.is_listed = false;
            if let Err(trouble) = self.speak(index) {
                self.fail(index, &trouble);
            }
        }
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
