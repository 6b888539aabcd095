//! A client: a script of what it sends and how it reads, and what it is promised for that. What kinds there are is told
//! in `client/kinds.rs`, and what those of a crowd do in `client/crowd.rs`.

mod crowd;
mod kinds;
mod unwelcome;

use super::answers::{Answer, Reader};
use super::random::Random;
use super::socket::Socket;
use lanner_limits::{Limits, Moment};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// One thing that a client does next.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Send(Vec<u8>),
    Sleep(Duration),
    /// Waits until so many answers have come whole.
    Await(usize),
    /// Waits for a 100 or an answer.
    AwaitContinue,
    /// Waits until so many bytes came behind the 101.
    AwaitSwitched(usize),
    /// From here on the knob's time runs.
    Mark,
    End,
    Reset,
}

/// How a client takes what it is sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reading {
    AtOnce,
    /// So many bytes every so often.
    Slowly(usize, Duration),
    Never,
}

/// What the protocol promises a client for its behaviour.
#[derive(Clone, Debug)]
pub(super) enum Promise {
    /// Every answer, whole and in order, and no cut before its own end.
    Answers,
    /// The server ends its side `within` of the mark, not before `from`, after the answers and this status if any.
    Cut {
        status: Option<u16>,
        within: Duration,
        /// So much earlier is still right.
        early: Duration,
        reset: bool,
    },
    /// The answer behind the expected ones is cut short, or the connection reset within it.
    Broken,
    /// Nothing but an end, once the script is over and the longest timeout too.
    Nothing,
}

/// How a connection stands, as far as anybody can tell who sees what went over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The server has ended its side at that moment, and waits for the client's end.
    Lingering(Moment),
    /// Since that moment nothing is under way in either direction.
    Idle(Moment),
    /// A request or an answer is under way, or an end that the server has not seen.
    Busy,
    /// Another protocol is spoken.
    Upgraded,
}

pub(super) struct Client {
    pub(super) name: &'static str,
    /// Where it comes from, if that is not any address of its own.
    from: Option<IpAddr>,
    script: Vec<Step>,
    at: usize,
    reading: Reading,
    pub(super) promise: Promise,
    pub(super) expected: Vec<(u16, Vec<u8>)>,
    /// Where in the script each expected answer's request is sent whole.
    sent_by: Vec<usize>,
    /// When to go on, in real time.
    step_at: Duration,
    read_at: Duration,
    pub(super) marked: Option<Moment>,
    pub(super) reader: Reader,
    pub(super) socket: Socket,
    /// Whether it stays when everything is done, instead of closing.
    stays: bool,
    /// Echoed behind a 101.
    switched: Vec<u8>,
    /// Answers that must come although the server stops.
    owed: Option<usize>,
    /// How many answers must have come if it is shed after it was last found quiet.
    owed_if_shed: Option<usize>,
}

impl Client {
    fn new(name: &'static str, promise: Promise, random: &mut Random) -> Self {
        let begin = random.millis(0..20_000);
        Self {
            name,
            from: None,
            script: Vec::new(),
            at: 0,
            reading: Reading::AtOnce,
            promise,
            expected: Vec::new(),
            sent_by: Vec::new(),
            step_at: begin,
            read_at: Duration::ZERO,
            marked: None,
            reader: Reader::default(),
            socket: Socket {
                capacity: random.within(1_000..40_000),
                ..Socket::default()
            },
            stays: false,
            switched: Vec::new(),
            owed: None,
            owed_if_shed: None,
        }
    }

    fn send(&mut self, bytes: impl Into<Vec<u8>>) {
        self.script.push(Step::Send(bytes.into()));
    }

    fn request(&mut self, bytes: impl Into<Vec<u8>>, status: u16, body: impl Into<Vec<u8>>) {
        self.send(bytes);
        self.expect(status, body);
    }

    fn expect(&mut self, status: u16, body: impl Into<Vec<u8>>) {
        self.expected.push((status, body.into()));
        self.sent_by.push(self.script.len());
    }

    fn await_all(&mut self) {
        self.script.push(Step::Await(self.expected.len()));
    }

    // Its life.

    /// When it does something next, in real time.
    pub(super) fn next_at(&self) -> Option<Duration> {
        if self.socket.server_closed.is_some() && self.socket.outbound.is_empty() {
            return None;
        }
        let steps = (!self.waits()).then_some(self.step_at);
        let learns = self.socket.server_ended.is_some() && !self.stays && !self.socket.client_ended;
        let reads = !self.socket.outbound.is_empty() || learns;
        let reading = match self.reading {
            Reading::Never => None,
            Reading::AtOnce if reads => Some(Duration::ZERO),
            Reading::Slowly(..) if reads => Some(self.read_at),
            _ => None,
        };
        [steps, reading].into_iter().flatten().min()
    }

    fn waits(&self) -> bool {
        match self.script.get(self.at) {
            Some(Step::Await(count)) => self.reader.answers.len() < *count,
            Some(Step::AwaitContinue) => {
                self.reader.continues == 0 && self.reader.answers.is_empty()
            }
            Some(Step::AwaitSwitched(count)) => self
                .reader
                .switched
                .as_ref()
                .is_none_or(|bytes| bytes.len() < *count),
            Some(_) => self.socket.client_reset,
            None => true,
        }
    }

    /// Its address; `index` is its number in the world.
    pub(super) fn address(&self, index: usize) -> IpAddr {
        let of_its_own = Ipv4Addr::from(0xc000_0200 + u32::try_from(index).unwrap_or(u32::MAX));
        self.from.unwrap_or(of_its_own.into())
    }

    /// How its connection stands, if it has one.
    pub(super) fn standing(&self) -> Option<Standing> {
        let socket = &self.socket;
        let connected = socket.connected?;
        if socket.server_closed.is_some() {
            return None;
        }
        if let Some(since) = socket.server_ended {
            return Some(Standing::Lingering(since));
        }
        let (first, second) = socket.outbound.as_slices();
        let unread = [first, second].concat();
        let may_switch = self.expected.iter().any(|(status, _)| *status == 101);
        if may_switch && self.reader.has_switched_with(&unread) {
            return Some(Standing::Upgraded);
        }
        let whole = self.requests_sent();
        let behind = whole.checked_sub(1).map_or(0, |last| self.sent_by[last]);
        let has_begun = self.script[behind..self.at]
            .iter()
            .any(|step| matches!(step, Step::Send(_)));
        let is_idle =
            socket.is_quiet() && !has_begun && self.reader.count_with(&unread) == Some(whole);
        Some(if is_idle {
            Standing::Idle(
                socket
                    .written
                    .map_or(connected, |written| written.max(connected)),
            )
        } else {
            Standing::Busy
        })
    }

    /// Whether it has begun to connect.
    pub(super) fn connects_at(&self) -> Duration {
        self.step_at
    }

    /// Does everything that is due. `now` is the worker's time.
    pub(super) fn act(&mut self, real: Duration, now: Moment) {
        self.read(real);
        while self.step_at <= real && !self.waits() {
            self.step(real, now);
        }
        // A peer that is done, or sees the server's end, closes too.
        let done = self.at == self.script.len() && !self.stays;
        let told = self.socket.server_ended.is_some() && self.socket.outbound.is_empty();
        if (done || told) && !matches!(self.reading, Reading::Never) && !self.stays {
            self.socket.client_ended = true;
        }
    }

    fn step(&mut self, real: Duration, now: Moment) {
        match &self.script[self.at] {
            Step::Send(bytes) => {
                if self.socket.server_closed.is_none() {
                    self.socket.inbound.extend(bytes);
                }
            }
            Step::Sleep(duration) => self.step_at = self.step_at.max(real) + *duration,
            Step::Await(_) | Step::AwaitContinue | Step::AwaitSwitched(_) => self.step_at = real,
            Step::Mark => self.marked = Some(now),
            Step::End => self.socket.client_ended = true,
            Step::Reset => {
                self.socket.client_reset = true;
                self.socket.inbound.clear();
                self.socket.outbound.clear();
            }
        }
        self.at += 1;
    }

    fn read(&mut self, real: Duration) {
        let count = match self.reading {
            Reading::Never => return,
            Reading::AtOnce => self.socket.outbound.len(),
            Reading::Slowly(_, every) if self.read_at > real => {
                debug_assert!(!every.is_zero());
                return;
            }
            Reading::Slowly(bytes, every) => {
                self.read_at = self.read_at.max(real.saturating_sub(every)) + every;
                bytes.min(self.socket.outbound.len())
            }
        };
        let outbound = &mut self.socket.outbound;
        self.reader.take(&outbound.make_contiguous()[..count]);
        outbound.drain(..count);
    }

    // The server stops.

    /// Takes note of what must still be answered: the request being answered, or the next that has been sent.
    pub(super) fn note_stop(&mut self) {
        let sent = self.requests_sent();
        // One read more is what the stop grants; the smallest buffer has this much room.
        let is_read_whole = self.socket.inbound.len() <= 512;
        let next = self.reader.answers.len() + usize::from(is_read_whole);
        self.owed = Some(if self.socket.client_reset {
            0
        } else {
            sent.min(next)
        });
    }

    /// The server found that nothing has come: it may shed this client now, if it has answered everything.
    pub(super) fn note_quiet(&mut self) {
        self.owed_if_shed = Some(self.requests_sent());
    }

    /// Whether it was shed as one may be: after it was found quiet, and with every answer whole.
    pub(super) fn was_shed_well(&self) -> bool {
        let answered = |owed| self.reader.answers.len() >= owed && !self.reader.is_within();
        !self.socket.server_reset && self.owed_if_shed.is_some_and(answered)
    }

    /// How many answers must have come although the server stopped.
    pub(super) fn owed(&self) -> usize {
        self.owed.unwrap_or(0)
    }

    // What came of it.

    /// Checks the promise. `stopped` is when the stop began and when what was left was cut, if anything was; `slack` is how
    /// late a deadline may be kept.
    pub(super) fn judge(
        &self,
        stopped: (Moment, Option<Moment>),
        slack: Duration,
        limits: &Limits,
    ) -> Result<(), String> {
        let closed = self.socket.server_closed.ok_or("the server never closed")?;
        let got: Vec<(u16, &[u8])> = self
            .reader
            .answers
            .iter()
            .map(|answer| (answer.status, &answer.body[..]))
            .collect();
        let wanted: Vec<(u16, &[u8])> = self
            .expected
            .iter()
            .map(|(status, body)| (*status, &body[..]))
            .collect();
        let (stop_began, cut) = stopped;
        let stop_met = closed >= stop_began;
        let was_cut = cut.is_some_and(|cut| closed >= cut);
        // At the latest: a worker that has stood still cuts by the time that people have waited.
        let cut_at = stop_began + limits.shutdown_timeout;
        let common = got.len().min(wanted.len());
        if !matches!(self.promise, Promise::Nothing) && got[..common] != wanted[..common] {
            return Err(format!("wrong answers: {}", summary(&self.reader.answers)));
        }
        if closed > cut_at + slack {
            return Err(format!("closed only at {closed}, cut was due at {cut_at}"));
        }
        match &self.promise {
            Promise::Answers => {
                if self.socket.server_reset && !was_cut {
                    return Err("reset".into());
                }
                let owed = match self.owed {
                    Some(owed) if stop_met => owed,
                    _ => wanted.len(),
                };
                if got.len() < owed && !was_cut {
                    return Err(format!("{} of {owed} answers", got.len()));
                }
                if self.reader.is_within() && !was_cut {
                    return Err("closed within an answer".into());
                }
                if let Some(switched) = self.reader.switched.as_ref().filter(|_| !stop_met)
                    && *switched != self.switched
                {
                    return Err("the echo differs".into());
                }
                Ok(())
            }
            Promise::Cut {
                status,
                within,
                early,
                reset,
            } => {
                let Some(marked) = self.marked else {
                    return if stop_met {
                        Ok(())
                    } else {
                        Err("never got so far".into())
                    };
                };
                let ended = self.socket.server_ended.unwrap_or(closed);
                if ended > marked + *within + slack {
                    return Err(format!(
                        "ended {:?} after the mark, not {within:?}",
                        ended.since(marked)
                    ));
                }
                if ended >= stop_began {
                    return Ok(());
                }
                if ended + *early < marked + *within {
                    return Err(format!(
                        "ended {:?} after the mark, before {within:?}",
                        ended.since(marked)
                    ));
                }
                if *reset != self.socket.server_reset && !was_cut {
                    return Err(format!("reset: {}", self.socket.server_reset));
                }
                let last = got.get(wanted.len()).map(|answer| answer.0);
                if last != *status && !matches!(self.reading, Reading::Never) {
                    return Err(format!("answered {last:?} at the end, not {status:?}"));
                }
                if closed > ended + limits.body_drain_timeout + slack {
                    return Err(format!("lingered for {:?}", closed.since(ended)));
                }
                Ok(())
            }
            Promise::Broken if stop_met => Ok(()),
            // Whole answers only are counted: the broken one must not look like one, and those before it must be there.
            Promise::Broken if got.len() == wanted.len() => Ok(()),
            Promise::Broken => {
                Err("the broken answer, or its lack, shows among the whole ones".into())
            }
            Promise::Nothing => Ok(()),
        }
    }
}

fn summary(answers: &[Answer]) -> String {
    answers
        .iter()
        .map(|answer| format!("{} ({} bytes) ", answer.status, answer.body.len()))
        .collect()
}
