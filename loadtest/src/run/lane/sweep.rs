//! What has waited too long: calls without an answer, connections that are not made, deadlines of the protocol.
//!
//! Connections are looked at in portions, each once in a tenth of the timeout: a hundred thousand at once would hold up all
//! others for milliseconds.

use std::time::Duration;

use lanner_limits::Moment;
use lanner_protocol::client::Turn;

use super::{Lane, Speech, Stage, open};
use crate::run::trouble::{Trouble, Troubles, Waited};

/// Connections looked at in one go.
const PORTION: usize = 1024;

/// Between two portions: not less, and not more, for it is also how soon a run that is given up ends.
const EVERY_MIN: Duration = Duration::from_millis(1);
const EVERY_MAX: Duration = Duration::from_millis(100);

impl Lane<'_> {
    pub(super) fn sweep(&mut self, now: Moment) {
        let portions = self.places.len().div_ceil(PORTION).max(1) as u32;
        let every = self.plan.timeout / 10 / portions;
        self.sweep_due = now + every.clamp(EVERY_MIN, EVERY_MAX);
        let timeout = self.plan.timeout;
        let since = (now.since(Moment::ZERO) >= timeout)
            .then(|| Moment::from_nanos(now.as_nanos() - timeout.as_nanos() as u64));
        if let Some(since) = since {
            let late = self.late(self.silence());
            while let Some(call) = self.demand.take_expired(since) {
                self.count_lost(call, &late);
            }
        }
        let begin = self.swept;
        let end = self.places.len().min(begin + PORTION);
        self.swept = if end == self.places.len() { 0 } else { end };
        for index in begin..end {
            if let Err(trouble) = self.judge(index as u32, now, since) {
                self.fail(index as u32, &trouble);
            }
        }
    }

    fn late(&self, silence: Option<&str>) -> Trouble {
        Waited::Within(self.plan.timeout).for_an_answer(silence)
    }

    /// What some server said instead of letting a call be sent.
    fn silence(&self) -> Option<&'static str> {
        open(&self.places).find_map(Speech::silence)
    }

    /// The time is over: notes what is still waited for.
    pub(super) fn note_in_vain(&mut self) {
        let waited = Waited::ToTheEnd;
        let is_closed = self.demand.is_closed();
        let mut noted = Troubles::default();
        for link in self.places.iter().filter_map(|place| place.link.as_ref()) {
            match &link.stage {
                Stage::Dialling(_) => noted.add(&waited.for_a_connection(), 1),
                Stage::Handshaking(_) => noted.add(&waited.for_tls(), 1),
                Stage::Open(speech) => {
                    let calls = speech.calls().filter(|call| self.records(*call)).count();
                    // Without a call it would have one, were it allowed to.
                    let count = calls.max(usize::from(is_closed && !speech.has_room()));
                    noted.add(&waited.for_an_answer(speech.silence()), count as u64);
                }
            }
        }
        let waiting = self.demand.waiting(self.recorded_from());
        noted.add(&waited.for_an_answer(self.silence()), waiting as u64);
        self.tally.in_vain = noted;
    }

    /// Looks at one connection; what began at `since` or before has waited too long.
    fn judge(&mut self, index: u32, now: Moment, since: Option<Moment>) -> Result<(), Trouble> {
        let Some(link) = &mut self.places[index as usize].link else {
            return Ok(());
        };
        let is_late = |begun: Moment| since.is_some_and(|since| begun <= since);
        let waited = Waited::Within(self.plan.timeout);
        let speech = match &mut link.stage {
            Stage::Dialling(begun) if is_late(*begun) => return Err(waited.for_a_connection()),
            Stage::Handshaking(handshake) if is_late(handshake.begun) => {
                return Err(waited.for_tls());
            }
            Stage::Dialling(_) | Stage::Handshaking(_) => return Ok(()),
            Stage::Open(speech) => speech,
        };
        let mut turn = Turn {
            now,
            output: &mut link.output,
        };
        if speech.deadline().is_some_and(|deadline| deadline <= now) {
            speech.handle_timeout(&mut turn);
            link.is_held = true;
            return self.speak(index);
        }
        if self.demand.is_closed() && speech.calls().next().is_none() && !speech.has_room() {
            let begun = *link.roomless.get_or_insert(now);
            return if now.since(begun) < self.plan.timeout {
                Ok(())
            } else {
                Err(waited.for_an_answer(speech.silence()))
            };
        }
        link.roomless = None;
        let Some(since) = since else {
            return Ok(());
        };
        if !speech.calls().any(|call| call.start <= since) {
            return Ok(());
        }
        let late = waited.for_an_answer(speech.silence());
        let goes_on = speech.expire(&mut turn, since, &mut self.ears);
        for call in std::mem::take(&mut self.ears.expired) {
            self.lose(call, &late);
        }
        if goes_on {
            self.speak(index)
        } else {
            Err(late)
        }
    }
}
