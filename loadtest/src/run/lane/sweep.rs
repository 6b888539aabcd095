//! What has waited too long: calls without an answer, connections that are not made, deadlines of the protocol.
//!
//! Connections are looked at in portions, each once in a tenth of the timeout: a hundred thousand at once would hold up all
//! others for milliseconds.

use std::time::Duration;

use lanner_limits::Moment;
use lanner_protocol::client::Turn;

use super::{Lane, Stage};
use crate::run::trouble::{Kind, Trouble};

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
            let late = self.late();
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

    fn late(&self) -> Trouble {
        let timeout = self.plan.timeout;
        Trouble::new(Kind::TimedOut, format_args!("no answer within {timeout:?}"))
    }

    /// Looks at one connection; what began at `since` or before has waited too long.
    fn judge(&mut self, index: u32, now: Moment, since: Option<Moment>) -> Result<(), Trouble> {
        let Some(link) = &mut self.places[index as usize].link else {
            return Ok(());
        };
        let is_late = |begun: Moment| since.is_some_and(|since| begun <= since);
        let timeout = self.plan.timeout;
        let speech = match &mut link.stage {
            Stage::Dialling(begun) if is_late(*begun) => {
                let text = format_args!("no connection within {timeout:?}");
                return Err(Trouble::new(Kind::Connect, text));
            }
            Stage::Handshaking(begun) if is_late(*begun) => {
                let text = format_args!("not agreed within {timeout:?}");
                return Err(Trouble::new(Kind::Handshake, text));
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
        let Some(since) = since else {
            return Ok(());
        };
        if !speech.calls().any(|call| call.start <= since) {
            return Ok(());
        }
        let goes_on = speech.expire(&mut turn, since, &mut self.ears);
        let late = self.late();
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
