//! What comes in: heads, bodies, the end of the client's side.
//!
//! The scan, the grammar and the framing are decided elsewhere in this crate; here it is only which of them is due.

use super::*;
use crate::field::strip_line_end;

impl Connection {
    /// Looks for the next request in everything received and not yet consumed. `head` is where it is parsed to; it means
    /// something only after [`Event::Head`].
    #[inline(always)]
    pub fn poll_request(&mut self, turn: &mut Turn<'_>, input: &[u8], head: &mut Head) -> Step {
        head.secure = self.secure;
        if let Receive::Head(scan) = &mut self.receive
            && self.fate == Fate::Open
            && let Some(front) = scan.first_look(input, &self.limits)
        {
            match head.parse_front(front, &self.limits) {
                Ok(Some(len)) => {
                    self.begin_exchange(turn.now, head);
                    return Step::new(len, Event::Head { at: 0..len });
                }
                Ok(None) => {}
                Err(refusal) => return self.refuse_head(turn, input, refusal),
            }
        }
        self.receive_otherwise(turn, input, head)
    }

    /// What is not a whole head at first look.
    #[inline(never)]
    fn receive_otherwise(&mut self, turn: &mut Turn<'_>, input: &[u8], head: &mut Head) -> Step {
        match &mut self.receive {
            Receive::Head(_) => self.receive_head(turn, input, head),
            Receive::Draining { .. } => self.drain(turn, input, head),
            Receive::Discarding => Step::new(input.len(), Event::Closing),
            Receive::Body(_) | Receive::Complete | Receive::Upgraded => Step::new(0, Event::Held),
        }
    }

    /// Looks for the next piece of the body, or of the upgraded protocol, in everything received and not yet consumed.
    pub fn poll_body(&mut self, turn: &mut Turn<'_>, input: &[u8]) -> Step {
        match &mut self.receive {
            Receive::Body(_) => self.receive_body(turn, input),
            Receive::Upgraded => self.receive_upgraded(turn, input),
            Receive::Discarding => Step::new(input.len(), Event::Closing),
            Receive::Head(_) | Receive::Complete | Receive::Draining { .. } => {
                Step::new(0, Event::Held)
            }
        }
    }

    fn receive_head(&mut self, turn: &mut Turn<'_>, input: &[u8], head: &mut Head) -> Step {
        let Receive::Head(scan) = &mut self.receive else {
            return Step::new(0, Event::Held);
        };
        if self.fate != Fate::Open {
            return Step::new(input.len(), Event::Closing);
        }
        if input.is_empty() {
            return self.receive_nothing(turn.now);
        }
        match scan.advance(input, &self.limits) {
            Ok(Some(end)) if end.folded => {
                let at = end.start..end.end;
                if scan::folds_framing(&input[at.clone()]) {
                    return self.refuse_head(turn, input, Misbehaviour::ObsoleteFold.into());
                }
                Step::new(end.end, Event::FoldedHead { at })
            }
            Ok(Some(end)) => {
                let at = end.start..end.end;
                match head.parse(&input[at.clone()], &self.limits) {
                    Ok(()) => {
                        self.begin_exchange(turn.now, head);
                        Step::new(end.end, Event::Head { at })
                    }
                    Err(refusal) => self.refuse_head(turn, input, refusal),
                }
            }
            Ok(None) if self.eof => {
                self.close(false, EndReason::ConnectionReset);
                Step::new(input.len(), Event::Closing)
            }
            // RFC 9112 section 2.2: empty lines before a request are skipped. They are not its beginning: whoever sends
            // one behind a body is idle all the same, and must not be told 408.
            Ok(None) if input.iter().all(|byte| matches!(byte, b'\r' | b'\n')) => {
                self.only_empty_lines = true;
                Step::new(0, Event::More)
            }
            Ok(None) => {
                self.only_empty_lines = false;
                self.exchange.head_request = begins_head_request(input, self.limits.h1_strict);
                if !self.deadlines.is_set(Timer::Head) {
                    self.deadlines.clear(Timer::FirstByte);
                    self.deadlines.clear(Timer::KeepAlive);
                    self.deadlines
                        .set(Timer::Head, turn.now + self.limits.header_timeout);
                }
                Step::new(0, Event::More)
            }
            Err(refusal) => self.refuse_head(turn, input, refusal),
        }
    }

    /// Refuses what never became a request.
    #[cold]
    pub(super) fn refuse_head(
        &mut self,
        turn: &mut Turn<'_>,
        input: &[u8],
        refusal: Refusal,
    ) -> Step {
        self.exchange.head_request = begins_head_request(input, self.limits.h1_strict);
        self.refuse(turn, refusal);
        Step::new(input.len(), Event::Closing)
    }

    /// Between requests, with nothing to look at.
    fn receive_nothing(&mut self, now: Moment) -> Step {
        // A client that has ended its side still gets what is queued.
        if self.eof {
            self.close(false, EndReason::PeerClosed);
            return Step::new(0, Event::Closing);
        }
        // The stop or the connection's age came when it was too late for the last answer to announce it.
        if self.last && self.requests > 0 {
            let reason = if self.aged {
                EndReason::MaxConnectionAge
            } else {
                EndReason::ServerStopped
            };
            // Only a client that has just been answered may be about to send the next.
            self.close(self.backlog || self.idle_since == now, reason);
            return Step::new(0, Event::Closing);
        }
        Step::new(0, Event::More)
    }

    /// Parses the unfolded copy of a head, after [`Event::FoldedHead`]. Returns whether it is a request to dispatch; if
    /// not, the answer is queued already.
    pub fn handle_unfolded(&mut self, turn: &mut Turn<'_>, bytes: &[u8], head: &mut Head) -> bool {
        head.secure = self.secure;
        match head.parse(bytes, &self.limits) {
            Ok(()) => self.begin_exchange(turn.now, head),
            Err(refusal) => {
                self.refuse_head(turn, bytes, refusal);
                return false;
            }
        }
        true
    }

    /// A request is there. Its body's announced length is judged later, by [`Connection::admit`].
    #[inline(always)]
    fn begin_exchange(&mut self, now: Moment, head: &Head) {
        debug_assert!(
            self.exchange.is_idle(),
            "what is not set here is as it is between exchanges"
        );
        for timer in [Timer::FirstByte, Timer::KeepAlive, Timer::Head, Timer::Stop] {
            self.deadlines.clear(timer);
        }
        self.only_empty_lines = false;
        self.requests += 1;
        self.body_bytes_sent = 0;
        self.answered = None;
        self.transmit = Transmit::Pending;
        self.receive = Receive::Complete;
        self.exchange.head_request = head.method == Method::Head;
        self.exchange.http10 = head.version == Version::Http10;
        self.exchange.close_asked = !head.keep_alive;
        if head.framing.has_body() {
            self.begin_body(head);
        } else {
            self.exchange.upgrade_offered = head.upgrade.is_some();
        }
        self.min_response_rate = None;
        self.last |= !head.keep_alive;
        if self
            .limits
            .max_requests_per_connection
            .is_some_and(|max| self.requests >= max)
        {
            self.last = true;
            self.trip = Some(Trip::MaxRequestsPerConnection);
        }
        self.queued = false;
        if let Some(timeout) = self.limits.request_timeout {
            self.deadlines.set(Timer::Request, now + timeout);
        }
    }

    fn begin_body(&mut self, head: &Head) {
        self.receive = Receive::Body(match head.framing {
            framing::Framing::Length(left) => BodyDecoder::Length { left },
            _ => BodyDecoder::Chunked(ChunkedDecoder::default()),
        });
        self.exchange.continue_owed = head.expect_continue;
        self.exchange.max_body = self.limits.max_request_body;
        self.exchange.min_body_rate = self.limits.body_rate();
        self.read_rate = ReadRate::default();
    }

    /// The request has to wait for its turn, for `LANNER_QUEUE_TIMEOUT` at most.
    pub fn handle_queued(&mut self, now: Moment, timeout: Duration) {
        self.queued = true;
        self.deadlines.set(Timer::Request, now + timeout);
    }

    /// The request's turn has come.
    pub fn handle_dequeued(&mut self, now: Moment) {
        self.queued = false;
        self.deadlines.clear(Timer::Request);
        if let Some(timeout) = self.limits.request_timeout {
            self.deadlines.set(Timer::Request, now + timeout);
        }
    }

    /// Takes the app's overrides and judges the announced body length by them. Returns whether to dispatch; if not,
    /// a 413 is queued already.
    pub fn admit(&mut self, turn: &mut Turn<'_>, overrides: Overrides) -> bool {
        if let Some(rate) = overrides.min_body_rate {
            self.exchange.min_body_rate = rate;
        }
        if overrides.min_response_rate.is_some() {
            self.min_response_rate = overrides.min_response_rate;
        }
        if let Some(max) = overrides.max_body {
            self.exchange.max_body = max;
        }
        let Receive::Body(body) = &self.receive else {
            return true;
        };
        let over = body
            .announced()
            .zip(self.exchange.max_body)
            .is_some_and(|(announced, max)| announced > max);
        if over {
            self.refuse(turn, Trip::RequestBody.into());
        }
        !over
    }

    fn receive_body(&mut self, turn: &mut Turn<'_>, input: &[u8]) -> Step {
        let Receive::Body(body) = &mut self.receive else {
            return Step::new(0, Event::Held);
        };
        if !self.exchange.wanted {
            return Step::new(0, Event::Held);
        }
        match body.decode(input, &self.limits) {
            Ok(Decoded::More { consumed }) => {
                self.exchange.continue_owed &= input.is_empty();
                if body.in_trailers() && !self.deadlines.is_set(Timer::Head) {
                    self.deadlines
                        .set(Timer::Head, turn.now + self.limits.header_timeout);
                }
                // Unconsumed bytes are trailers, which will never be complete either.
                if self.eof {
                    return self.fail_body(Misbehaviour::EarlyEof.into());
                }
                Step::new(consumed, Event::More)
            }
            Ok(Decoded::Data { consumed, at, last }) => {
                self.exchange.continue_owed = false;
                self.exchange.body_bytes += at.len() as u64;
                if self
                    .exchange
                    .max_body
                    .is_some_and(|max| self.exchange.body_bytes > max)
                {
                    return self.fail_body(Trip::RequestBody.into());
                }
                self.read_rate.on_bytes(at.len() as u64);
                self.stop_waiting(turn.now);
                if last {
                    self.receive = Receive::Complete;
                }
                Step::new(consumed, Event::Data { at, last })
            }
            Ok(Decoded::End { consumed, trailers }) => {
                self.deadlines.clear(Timer::Head);
                self.stop_waiting(turn.now);
                self.receive = Receive::Complete;
                Step::new(consumed, Event::End { trailers })
            }
            Err(refusal) => self.fail_body(refusal),
        }
    }

    fn receive_upgraded(&mut self, turn: &mut Turn<'_>, input: &[u8]) -> Step {
        if !self.exchange.wanted {
            return Step::new(0, Event::Held);
        }
        if input.is_empty() && !self.eof {
            return Step::new(0, Event::More);
        }
        self.stop_waiting(turn.now);
        Step::new(
            input.len(),
            Event::Data {
                at: 0..input.len(),
                last: input.is_empty(),
            },
        )
    }

    /// A body that cannot be received: the app's read fails, and the engine's answer wins if none was begun.
    pub(super) fn fail_body(&mut self, refusal: Refusal) -> Step {
        self.note(refusal);
        self.exchange.failure = Some(refusal);
        self.exchange.wanted = false;
        self.deadlines.clear(Timer::BodyRate);
        self.deadlines.clear(Timer::Head);
        self.last = true;
        self.receive = Receive::Discarding;
        Step::new(0, Event::BodyFailed(refusal))
    }

    fn drain(&mut self, turn: &mut Turn<'_>, input: &[u8], head: &mut Head) -> Step {
        let mut consumed = 0;
        while let Receive::Draining { body, budget } = &mut self.receive {
            let spent;
            match body.decode(&input[consumed..], &self.limits) {
                Ok(Decoded::Data {
                    consumed: count,
                    last,
                    ..
                }) => {
                    (consumed, spent) = (consumed + count, count);
                    if last {
                        self.await_request(turn.now);
                        break;
                    }
                }
                Ok(Decoded::End {
                    consumed: count,
                    trailers,
                }) => {
                    // Nobody wants them, but a section that is none must not swallow what may be a request.
                    let lines = &input[consumed..][trailers];
                    if let Err(refusal) =
                        chunked::parse_trailers(lines, &self.limits, &mut Vec::new())
                    {
                        return self.fail_drain(refusal, input);
                    }
                    consumed += count;
                    self.await_request(turn.now);
                    break;
                }
                Ok(Decoded::More { consumed: count }) => {
                    consumed += count;
                    *budget = budget.saturating_sub(count as u64);
                    if self.eof {
                        self.close(false, EndReason::UnexpectedEndOfRequestContent);
                        return Step::new(input.len(), Event::Closing);
                    }
                    return Step::new(consumed, Event::More);
                }
                Err(refusal) => return self.fail_drain(refusal, input),
            }
            if let Receive::Draining { budget, .. } = &mut self.receive {
                if (spent as u64) > *budget {
                    self.note(Trip::BodyDrainMax.into());
                    self.close(true, EndReason::BodyDrain);
                    return Step::new(input.len(), Event::Closing);
                }
                *budget -= spent as u64;
            }
        }
        self.poll_request(turn, &input[consumed..], head)
            .behind(consumed)
    }

    /// The answer is out, so there is nothing to tell the client: only its next request is refused.
    fn fail_drain(&mut self, refusal: Refusal, input: &[u8]) -> Step {
        self.note(refusal);
        self.close(true, refusal.into());
        Step::new(input.len(), Event::Closing)
    }

    /// The client has ended its side; what it sent before counts, and is still to be looked at.
    /// Returns what the app's pending read, if any, fails with.
    pub fn handle_eof(&mut self) -> Option<Refusal> {
        self.eof = true;
        match self.receive {
            Receive::Body(_) if self.exchange.wanted => {
                let refusal = Misbehaviour::EarlyEof.into();
                self.fail_body(refusal);
                return Some(refusal);
            }
            Receive::Discarding if self.fate == Fate::Lingering => self.gone(EndReason::Announced),
            _ => {}
        }
        None
    }

    /// The connection is broken: nothing can be sent any more.
    pub fn handle_reset(&mut self) {
        // It was to be reset by us, and no more of it counts than before.
        if self.fate == Fate::Abort {
            return;
        }
        let idle = matches!(self.receive, Receive::Head(_)) && !self.deadlines.is_set(Timer::Head);
        self.gone(if idle {
            EndReason::PeerClosed
        } else {
            EndReason::ConnectionReset
        });
    }

    /// The driver has shut down the sending side after [`Fate::Flush`] with `linger`.
    pub fn handle_shutdown(&mut self, now: Moment) {
        self.receive = Receive::Discarding;
        if self.eof {
            return self.gone(EndReason::Announced);
        }
        self.fate = Fate::Lingering;
        self.deadlines.clear_all();
        self.deadlines
            .set(Timer::Linger, now + self.limits.body_drain_timeout);
    }

    /// A write took what it could: `queued` bytes had been added since the last call, `unsent` are left. Returns whether
    /// something had waited for this output to go out: the input is to be looked at again then.
    pub fn handle_output(&mut self, now: Moment, queued: usize, unsent: usize) -> bool {
        if unsent > 0 {
            self.backlog = true;
            // The client is busy with the last answer; the time for its next request has not begun.
            self.deadlines.clear(Timer::KeepAlive);
            let rate = self
                .min_response_rate
                .unwrap_or_else(|| self.limits.response_rate());
            if let (Some(rate), true) = (rate, queued > 0) {
                let deadline = self
                    .write_rate
                    .on_queued(now, queued as u64, unsent as u64, rate);
                self.deadlines.set(Timer::ResponseRate, deadline);
            }
            return false;
        }
        if self.deadlines.is_set(Timer::ResponseRate) {
            self.write_rate.clear();
            self.deadlines.clear(Timer::ResponseRate);
        }
        let had_backlog = std::mem::take(&mut self.backlog);
        if had_backlog && self.awaits_request() {
            self.idle_since = now;
            self.deadlines
                .set(Timer::KeepAlive, now + self.limits.keepalive_timeout);
        }
        // The 101 is out: only now do the client's bytes belong to the other protocol (CVE-2026-73548).
        let switched = self.is_upgraded() && matches!(self.receive, Receive::Complete);
        if switched {
            self.receive = Receive::Upgraded;
        }
        had_backlog || switched
    }
}

/// Whether what has arrived, the whole head or not, is a request for a head only. RFC 9110 section 9.3.2 holds for
/// refusals too: nothing follows the head of the answer.
fn begins_head_request(input: &[u8], strict: bool) -> bool {
    let mut line = input;
    while let Some(rest) = strip_line_end(line, strict) {
        line = rest;
    }
    line.starts_with(b"HEAD ")
}
