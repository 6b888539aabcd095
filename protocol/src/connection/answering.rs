//! What the app does: it reads, begins an answer, sends it, ends it; and what the engine answers in its place.

use super::*;

impl Connection {
    /// The app waits for body bytes (or, upgraded, for any). `waiting` is how many bytes are there already.
    pub fn want_body(&mut self, turn: &mut Turn<'_>, waiting: usize) {
        if !self.body_open() || self.exchange.wanted {
            return;
        }
        self.exchange.wanted = true;
        if self.is_upgraded() {
            return;
        }
        // RFC 9110 section 10.1.1: sent when the app reads, and omitted once content has begun to arrive.
        if std::mem::take(&mut self.exchange.continue_owed)
            && waiting == 0
            && matches!(self.transmit, Transmit::Pending)
        {
            turn.output.push(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        self.read_rate.start_wait(turn.now);
        if let Some(deadline) = self
            .exchange
            .min_body_rate
            .and_then(|rate| self.read_rate.deadline(rate))
        {
            self.deadlines.set(Timer::BodyRate, deadline);
        }
    }

    pub(super) fn stop_waiting(&mut self, now: Moment) {
        self.exchange.wanted = false;
        self.read_rate.stop_wait(now);
        self.deadlines.clear(Timer::BodyRate);
    }

    /// Begins the answer. `complete` says that the app has nothing more to read: an unread body then decides at once
    /// whether the connection can go on.
    ///
    /// # Errors
    /// What the app did wrong; the connection is as before, and still owes an answer.
    #[inline(always)]
    pub fn respond(
        &mut self,
        turn: &mut Turn<'_>,
        head: &ResponseHead<'_>,
        complete: bool,
    ) -> Result<(), ResponseError> {
        if head.status.code() < 200 {
            return Err(ResponseError::InformationalStatus);
        }
        if let Some(refusal) = self.exchange.failure {
            self.answer_refusal(turn, refusal);
            return Ok(());
        }
        self.foresee_close(complete);
        self.answered = Some(head.status);
        let framing = response::encode_head(head, self.circumstances(turn.date), turn.output);
        self.last |= framing == Framing::Close;
        self.exchange.close_announced = self.last;
        self.transmit = Transmit::Body(framing);
        Ok(())
    }

    /// Decides what the answer's head must announce: whether what is left of the request stands in the next one's way.
    #[inline]
    fn foresee_close(&mut self, complete: bool) {
        self.last |= self.exchange.continue_owed;
        if complete && let Receive::Body(body) = &self.receive {
            self.last |= body
                .announced()
                .is_some_and(|announced| announced > self.limits.body_drain_max);
        }
    }

    fn circumstances<'a>(&'a self, date: &'a [u8; 29]) -> Circumstances<'a> {
        Circumstances {
            date,
            server: self.limits.server_header.as_deref(),
            head_request: self.exchange.head_request,
            http10: self.exchange.http10,
            close: self.last,
        }
    }

    /// Whether body bytes offered to [`Connection::send`] go anywhere (not for HEAD, 204, 304, or a replaced answer).
    pub fn sends_body(&self) -> bool {
        match self.transmit {
            Transmit::Body(framing) => framing != Framing::Suppressed,
            Transmit::Upgraded => true,
            Transmit::Idle | Transmit::Pending => false,
        }
    }

    /// Queues a piece of the answer's body, or of the upgraded protocol.
    ///
    /// # Errors
    /// [`ResponseError::TooManyBytes`]; the answer is cut short then, since the peer cannot be told otherwise.
    #[inline(always)]
    pub fn send(&mut self, turn: &mut Turn<'_>, piece: Bytes) -> Result<(), ResponseError> {
        let Transmit::Body(framing) = &mut self.transmit else {
            self.send_upgraded(turn, piece);
            return Ok(());
        };
        if *framing != Framing::Suppressed {
            self.body_bytes_sent += piece.len() as u64;
        }
        let sent = framing.send(piece, turn.output);
        sent.inspect_err(|error| self.truncate((*error).into()))
    }

    #[inline(never)]
    fn send_upgraded(&mut self, turn: &mut Turn<'_>, piece: Bytes) {
        if self.is_upgraded() {
            self.body_bytes_sent += piece.len() as u64;
            turn.output.push_shared(piece);
        }
    }

    /// Ends the answer, and with it the exchange.
    ///
    /// # Errors
    /// [`ResponseError::TooFewBytes`]; the answer is cut short then.
    #[inline(always)]
    pub fn finish(
        &mut self,
        turn: &mut Turn<'_>,
        trailers: Option<&Fields>,
    ) -> Result<(), ResponseError> {
        let Transmit::Body(framing) = self.transmit else {
            if self.is_upgraded() {
                self.close(true, EndReason::UpgradeFinished);
            }
            return Ok(());
        };
        if let Err(error) = framing.finish(trailers, turn.output) {
            self.truncate(error.into());
            return Err(error);
        }
        self.transmit = Transmit::Idle;
        self.deadlines.clear(Timer::Request);
        self.end_exchange(turn.now);
        Ok(())
    }

    #[inline]
    fn end_exchange(&mut self, now: Moment) {
        if std::mem::take(&mut self.exchange.wanted) {
            self.stop_waiting(now);
        }
        // Without that announcement the client may have sent its next request: it still gets an answer.
        if self.exchange.close_announced || matches!(self.receive, Receive::Discarding) {
            let reason = self
                .exchange
                .failure
                .map_or(EndReason::Announced, EndReason::from);
            // Where the close is our wish, the client's next request may be on its way already.
            let nothing_follows =
                matches!(self.receive, Receive::Complete) && self.exchange.close_asked;
            return self.close(!nothing_follows, reason);
        }
        match std::mem::replace(&mut self.receive, Receive::Complete) {
            Receive::Body(body)
                if body
                    .announced()
                    .is_some_and(|left| left > self.limits.body_drain_max) =>
            {
                self.note(Trip::BodyDrainMax.into());
                self.close(true, EndReason::BodyDrain);
            }
            Receive::Body(body) => {
                self.deadlines.clear(Timer::Head);
                self.deadlines
                    .set(Timer::Drain, now + self.limits.body_drain_timeout);
                self.receive = Receive::Draining {
                    body,
                    budget: self.limits.body_drain_max,
                };
            }
            _ => self.await_request(now),
        }
    }

    #[inline]
    pub(super) fn await_request(&mut self, now: Moment) {
        self.deadlines.clear(Timer::Drain);
        self.receive = Receive::Head(HeadScan::default());
        self.exchange = Exchange::IDLE;
        self.idle_since = now;
        self.deadlines
            .set(Timer::KeepAlive, now + self.limits.keepalive_timeout);
    }

    /// Switches to the protocol the client offered: queues the 101 and holds the client's bytes until it is out.
    ///
    /// # Errors
    /// [`ResponseError::InformationalStatus`] if the request did not offer an upgrade.
    pub fn respond_upgrade(
        &mut self,
        turn: &mut Turn<'_>,
        protocol: &str,
        fields: &Fields,
    ) -> Result<(), ResponseError> {
        if !self.exchange.upgrade_offered || !self.awaits_response() {
            return Err(ResponseError::InformationalStatus);
        }
        turn.output
            .push(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: ");
        turn.output.push(protocol.as_bytes());
        turn.output.push(b"\r\n");
        fields.encode(turn.output.tail());
        turn.output.push(b"\r\n");
        self.transmit = Transmit::Upgraded;
        self.answered = Some(Status::SWITCHING_PROTOCOLS);
        self.deadlines.clear(Timer::Request);
        Ok(())
    }

    /// Answers with the engine's own words for a refusal, and closes so that they can be read, unless the connection may
    /// go on.
    pub fn refuse(&mut self, turn: &mut Turn<'_>, refusal: Refusal) {
        self.note(refusal);
        if refusal.keeps_connection() && self.awaits_response() {
            self.foresee_close(true);
            self.answer_refusal(turn, refusal);
            let finished = self.finish(turn, None);
            debug_assert!(finished.is_ok(), "nothing is left to be sent");
            return;
        }
        self.last = true;
        let within_exchange = self.in_exchange();
        if !within_exchange {
            self.body_bytes_sent = 0;
        }
        self.answer_refusal(turn, refusal);
        self.refused = self.answered.filter(|_| !within_exchange);
        // There is no body to send: the exchange, if there was one, is over.
        self.transmit = Transmit::Idle;
        self.close(true, refusal.into());
    }

    fn answer_refusal(&mut self, turn: &mut Turn<'_>, refusal: Refusal) {
        let status = refusal
            .status()
            .and_then(Status::new)
            .unwrap_or(Status::BAD_REQUEST);
        let text = format!("{status}\n{refusal}\n");
        let mut fields = Fields::new();
        fields.content_type(ContentType::TEXT);
        let text_bytes = text.len() as u64;
        let length = BodyLength::Known(text_bytes);
        let head = ResponseHead {
            status,
            fields: &fields,
            length,
        };
        self.answered = Some(status);
        self.exchange.close_announced = self.last;
        let mut framing = response::encode_head(&head, self.circumstances(turn.date), turn.output);
        if framing != Framing::Suppressed {
            self.body_bytes_sent += text_bytes;
        }
        let sent = framing.send(text.into(), turn.output);
        debug_assert!(sent.is_ok(), "the length announced is the text's");
        // What the app may still offer under this answer goes nowhere.
        self.transmit = Transmit::Body(Framing::Suppressed);
    }

    /// The answer cannot be completed. What is queued still goes out, for answers before this one may be among it; then
    /// the close shows that the message is cut short, since its framing says so. Where only the close ends it, it must
    /// be a reset.
    pub fn truncate(&mut self, reason: EndReason) {
        // An app that streams a body back ends with what became of that.
        let reason = self.exchange.failure.map_or(reason, EndReason::from);
        match self.transmit {
            Transmit::Body(Framing::Length { .. } | Framing::Chunked) => self.close(true, reason),
            _ => self.abort(reason),
        }
    }

    /// The app asked for a reset, or nothing more can be sent.
    pub fn abort(&mut self, reason: EndReason) {
        self.end.get_or_insert(reason);
        self.transmit = Transmit::Idle;
        self.receive = Receive::Discarding;
        self.deadlines.clear_all();
        self.fate = Fate::Abort;
    }
}
