//! What time does to a connection: deadlines that pass, age, the server's stop, and having to make room.

use super::*;

impl Connection {
    /// Handles every deadline that has passed. Returns what the app's pending read, if any, fails with.
    pub fn handle_timeout(&mut self, turn: &mut Turn<'_>) -> Option<Refusal> {
        let mut body_failure = None;
        while let Some(timer) = self.deadlines.take_expired(turn.now) {
            match timer {
                Timer::FirstByte if self.handshaking => {
                    self.timed_out(Trip::TlsHandshakeTimeout);
                }
                Timer::FirstByte => self.timed_out(Trip::FirstByteTimeout),
                Timer::KeepAlive => self.timed_out(Trip::KeepaliveTimeout),
                Timer::Head if matches!(self.receive, Receive::Head(_)) => {
                    self.refuse(turn, Trip::HeaderTimeout.into());
                }
                Timer::Head => body_failure = self.fail_body_with(Trip::HeaderTimeout),
                Timer::BodyRate => body_failure = self.fail_body_with(Trip::MinBodyRate),
                Timer::ResponseRate => self.abort_with(Trip::MinResponseRate),
                Timer::Request => self.request_timed_out(turn),
                Timer::Drain => {
                    self.note(Trip::BodyDrainTimeout.into());
                    self.close(false, EndReason::BodyDrain);
                }
                Timer::Linger => self.gone(EndReason::Announced),
                Timer::Age => self.aged(turn.now),
                Timer::Stop => self.gone(EndReason::ServerStopped),
            }
        }
        body_failure
    }

    /// The trailers turned out to break the grammar: as for a body that cannot be received.
    pub fn fail_trailers(&mut self, refusal: Refusal) {
        self.fail_body(refusal);
    }

    fn fail_body_with(&mut self, trip: Trip) -> Option<Refusal> {
        self.fail_body(trip.into());
        Some(trip.into())
    }

    fn timed_out(&mut self, trip: Trip) {
        self.trip = Some(trip);
        self.gone(trip.into());
    }

    fn abort_with(&mut self, trip: Trip) {
        self.trip = Some(trip);
        self.abort(trip.into());
    }

    fn request_timed_out(&mut self, turn: &mut Turn<'_>) {
        match self.transmit {
            Transmit::Pending => {
                let trip = if self.queued {
                    Trip::QueueTimeout
                } else {
                    Trip::RequestTimeout
                };
                self.refuse(turn, trip.into());
            }
            Transmit::Body(_) => self.abort_with(Trip::RequestTimeout),
            Transmit::Idle | Transmit::Upgraded => {}
        }
    }

    /// First the connection takes no further request; when the grace is over too, it is cut.
    fn aged(&mut self, now: Moment) {
        if self.aged {
            return self.abort_with(Trip::MaxConnectionAge);
        }
        self.aged = true;
        self.last = true;
        if self.idle_since().is_some() {
            return self.timed_out(Trip::MaxConnectionAge);
        }
        self.deadlines
            .set(Timer::Age, now + self.limits.max_connection_age_grace);
    }

    /// No request is taken after the next answer, which says so.
    pub fn announce_close(&mut self) {
        self.last = true;
    }

    /// The server stops: an idle connection ends, a busy one after its answer.
    pub fn handle_stop(&mut self, now: Moment) {
        if self.is_lingering() {
            // The answer has long been sent; the stop does not wait for a client that keeps its side open.
            let soon = now + STOP_FRESH_GRACE;
            let linger = self
                .deadlines
                .at(Timer::Linger)
                .map_or(soon, |at| at.min(soon));
            self.deadlines.set(Timer::Linger, linger);
        }
        self.announce_close();
        if self.idle_since().is_none() {
            return;
        }
        if self.requests > 0 {
            return self.gone(EndReason::ServerStopped);
        }
        self.deadlines.set(Timer::Stop, now + STOP_FRESH_GRACE);
    }

    /// The deadline of the stop has come: the connection is cut where it is.
    pub fn handle_stop_deadline(&mut self) {
        self.abort_with(Trip::ShutdownTimeout);
    }

    /// Makes room near the connection cap.
    pub fn shed(&mut self) {
        self.timed_out(if self.is_lingering() {
            Trip::LingerShed
        } else {
            Trip::IdleShed
        });
    }
}
