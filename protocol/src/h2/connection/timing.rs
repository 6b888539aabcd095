//! What time does to a connection and to its streams: deadlines that pass, age, silence.

use super::*;

/// How soon a stream is looked at again that is slow by no fault of its client's.
const AGAIN_AFTER: std::time::Duration = std::time::Duration::from_secs(1);

impl Connection {
    /// Handles every deadline that has passed. What it means to streams, [`Connection::poll`] says afterwards.
    pub fn handle_timeout(&mut self, turn: &mut Turn<'_>) {
        while let Some(timer) = self.deadlines.take_expired(turn.now) {
            match timer {
                Timer::FirstByte => self.idle_over(turn, Trip::FirstByteTimeout),
                Timer::KeepAlive => self.idle_over(turn, Trip::KeepaliveTimeout),
                Timer::Head => self.fail(turn, Trip::HeaderTimeout.into()),
                Timer::ResponseRate => self.abort_with(Trip::MinResponseRate),
                Timer::Linger => self.gone(EndReason::Announced),
                Timer::Age => self.aged(turn),
                Timer::Stop if self.greeted => self.leave_finally(turn),
                Timer::Stop => self.gone(EndReason::ServerStopped),
                // Those are each stream's own.
                Timer::BodyRate | Timer::Request | Timer::Drain => {}
            }
        }
        if self.terms.due <= turn.now {
            self.fail(turn, Fault::SettingsTimeout);
        }
        if self.ping_due <= turn.now {
            self.silence_over(turn);
        }
        if self.release_due <= turn.now {
            self.release_memory();
        }
        if self.streams_due <= turn.now {
            self.handle_stream_timeouts(turn);
        }
    }

    /// No request came. The client hears so where it has heard anything.
    fn idle_over(&mut self, turn: &mut Turn<'_>, trip: Trip) {
        self.trips.note(trip);
        if !self.greeted {
            return self.gone(trip.into());
        }
        self.say_goodbye(turn);
        self.close(false, trip.into());
    }

    /// First the client is asked for no more requests; when the grace is over too, the connection is cut.
    fn aged(&mut self, turn: &mut Turn<'_>) {
        if std::mem::replace(&mut self.aged, true) {
            // Counted when it was asked to leave.
            return self.abort(Trip::MaxConnectionAge.into());
        }
        self.trips.note(Trip::MaxConnectionAge);
        self.leave(turn, EndReason::MaxConnectionAge);
        self.deadlines
            .set(Timer::Age, turn.now + self.limits.max_connection_age_grace);
    }

    fn silence_over(&mut self, turn: &mut Turn<'_>) {
        let Some(interval) = self.limits.h2_ping_interval else {
            return;
        };
        if self.ping == Ping::Alive {
            // Its answer may come late, behind much else on either way. Whoever is heard meanwhile is there.
            let due = self.heard + self.limits.h2_ping_timeout;
            if due <= turn.now {
                return self.abort_with(Trip::PingTimeout);
            }
            self.ping_due = due;
            return;
        }
        let due = self.heard + interval;
        if due > turn.now || !self.greeted {
            self.ping_due = due.max(turn.now + interval / 2);
        } else {
            self.ping_alive(turn);
        }
    }

    /// A connection that has been idle for a while keeps little.
    fn release_memory(&mut self) {
        self.release_due = Moment::MAX;
        if self.streams.count() == 0 {
            self.streams.release_memory();
            self.schedule = Schedule::new();
            self.owed.shrink_to_fit();
            self.resumed.shrink_to_fit();
            self.held.shrink_to_fit();
            self.offences.shrink_to_fit();
            self.trips.release_memory();
            self.early_priorities.shrink_to_fit();
            self.heads.release_memory();
            self.terms.encoder.release_memory();
            self.terms.decoder.release_memory();
        }
    }

    /// Looks at every stream, and at when the next one is due.
    fn handle_stream_timeouts(&mut self, turn: &mut Turn<'_>) {
        self.streams_due = Moment::MAX;
        for place in 0..self.streams.places() {
            if let Some(key) = self.streams.key_at(place) {
                self.handle_stream_timeout(turn, key);
            }
            let due = self
                .streams
                .key_at(place)
                .and_then(|key| self.streams.at(key))
                .map_or(Moment::MAX, |stream| stream.due.earliest());
            self.due_by(due);
        }
    }

    /// Several may have passed. What is done about one may end the stream, and with it what else was due.
    fn handle_stream_timeout(&mut self, turn: &mut Turn<'_>, key: StreamKey) {
        if self.stream_due(key).request <= turn.now {
            self.request_timed_out(turn, key);
        }
        if self.stream_due(key).body <= turn.now {
            self.body_too_slow(turn, key);
        }
        if self.stream_due(key).response <= turn.now {
            self.response_too_slow(turn, key);
        }
        if self.stream_due(key).drain <= turn.now
            && let Some(stream) = self.streams.at_mut(key)
        {
            stream.due.drain = Moment::MAX;
            if stream.receive != Receive::Closed {
                stream.receive = Receive::Stopped;
                self.note(Trip::BodyDrainTimeout.into());
                self.stop_body(turn, key);
            }
        }
    }

    fn stream_due(&self, key: StreamKey) -> StreamDeadlines {
        self.streams
            .at(key)
            .map_or(StreamDeadlines::NONE, |stream| stream.due)
    }

    fn request_timed_out(&mut self, turn: &mut Turn<'_>, key: StreamKey) {
        let trip = if self.stream_due(key).queued {
            Trip::QueueTimeout
        } else {
            Trip::RequestTimeout
        };
        if !self.awaits_response(key) {
            return self.reset_with(turn, key, Reset::Trip(trip));
        }
        self.note(trip.into());
        self.answer_refusal(turn, key, trip.into());
        // Nobody waits for the body any more.
        if let Some(stream) = self.streams.at_mut(key) {
            stream.due = StreamDeadlines::NONE;
        }
        self.owed.push_back(Event::Reset {
            stream: key,
            reason: Reset::Trip(trip),
        });
    }

    /// A client that has no credit cannot send: what fills the connection's window is what the apps of other streams have not
    /// read, and a server that stands still never punishes its client.
    fn body_too_slow(&mut self, turn: &mut Turn<'_>, key: StreamKey) {
        if self.receive_window.credit() > 0 {
            return self.fail_body(turn, key, Trip::MinBodyRate.into());
        }
        if let Some(stream) = self.streams.at_mut(key) {
            stream.read_rate = Default::default();
            stream.wanted = false;
        }
        self.want_body(key, turn);
        if let Some(stream) = self.streams.at_mut(key) {
            stream.due.body = stream.due.body.max(turn.now + AGAIN_AFTER);
        }
    }

    /// The client's window was shut too long for what waits, or for what its app was not asked for. Where it is open, others go first, or the socket is full; who
    /// judges that is the connection's own deadline.
    fn response_too_slow(&mut self, turn: &mut Turn<'_>, key: StreamKey) {
        let connection_shut = self.send_window.is_shut();
        let Some(stream) = self.streams.at_mut(key) else {
            return;
        };
        if stream.send_window.is_shut() || connection_shut {
            return self.reset_with(turn, key, Reset::Trip(Trip::MinResponseRate));
        }
        let grace = stream
            .min_response_rate
            .map_or(Moment::MAX, |rate| turn.now + rate.grace.max(AGAIN_AFTER));
        stream.due.response = grace;
    }

    /// The request has to wait for its turn, for `LANNER_QUEUE_TIMEOUT` at most.
    pub fn handle_queued(&mut self, stream: StreamKey, now: Moment, timeout: std::time::Duration) {
        if let Some(found) = self.streams.at_mut(stream) {
            found.due.queued = true;
            found.due.request = now + timeout;
            self.due_by(now + timeout);
        }
    }

    /// The request's turn has come.
    pub fn handle_dequeued(&mut self, stream: StreamKey, now: Moment) {
        let timeout = self.limits.request_timeout;
        if let Some(found) = self.streams.at_mut(stream) {
            found.due.queued = false;
            found.due.request = timeout.map_or(Moment::MAX, |timeout| now + timeout);
            let due = found.due.request;
            self.due_by(due);
        }
    }
}
