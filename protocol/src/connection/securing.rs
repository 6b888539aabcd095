//! TLS below a connection, as far as HTTP is concerned: the handshake before its first byte, and the end of both.

use super::*;

impl Connection {
    /// The connection, accepted `now`, begins with a TLS handshake: `LANNER_TLS_HANDSHAKE_TIMEOUT` stands in the place of
    /// `LANNER_FIRST_BYTE_TIMEOUT`.
    pub fn await_handshake(&mut self, now: Moment) {
        self.handshaking = true;
        let deadline = now + self.limits.tls_handshake_timeout;
        self.deadlines.set(Timer::FirstByte, deadline);
    }

    /// The handshake is over. The first request may take its time: browsers connect before they have one to send.
    pub fn handle_handshake(&mut self, now: Moment) {
        self.handshaking = false;
        self.secure = true;
        if self.fate == Fate::Open {
            self.deadlines.clear(Timer::FirstByte);
            self.idle_since = now;
            self.deadlines
                .set(Timer::KeepAlive, now + self.limits.keepalive_timeout);
        }
    }

    /// `input` came in the clear where a handshake was expected: it is answered in the clear too.
    pub fn refuse_cleartext(&mut self, turn: &mut Turn<'_>, input: &[u8]) {
        self.handshaking = false;
        self.deadlines.clear(Timer::FirstByte);
        self.refuse_head(turn, input, Misbehaviour::CleartextOnTls.into());
    }

    /// TLS has ended, and nothing more can be said or heard but its own last words.
    pub fn handle_insecure(&mut self, reason: EndReason, trip: Option<Trip>) {
        self.trip = trip.or(self.trip);
        match self.fate.without_tls(trip) {
            Some(Fate::Abort) => self.abort(reason),
            Some(_) => self.close(false, reason),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lanner_limits::Machine;

    fn limits() -> Rc<Limits> {
        Rc::new(Limits::for_machine(Machine {
            nofile: 4096,
            memory: 1 << 32,
            cpus: 1,
        }))
    }

    fn turn(output: &mut Output, now: Moment) -> Turn<'_> {
        Turn {
            now,
            output,
            date: b"Thu, 01 Jan 1970 00:00:00 GMT",
        }
    }

    #[test]
    fn a_handshake_has_its_own_time_and_then_the_first_request_has_that_of_any_other() {
        let limits = limits();
        let mut connection = Connection::new(limits.clone(), Moment::ZERO, 1);
        connection.await_handshake(Moment::ZERO);
        let over = Moment::ZERO + limits.tls_handshake_timeout;
        assert_eq!(connection.deadline(), Some(over));
        connection.handle_handshake(over);
        assert_eq!(connection.deadline(), Some(over + limits.keepalive_timeout));
        assert_eq!(connection.idle_since(), Some(over));
        let mut late = Connection::new(limits, Moment::ZERO, 1);
        late.await_handshake(Moment::ZERO);
        late.handle_timeout(&mut turn(&mut Output::new(), over));
        assert_eq!(late.take_trip(), Some(Trip::TlsHandshakeTimeout));
        assert_eq!(late.end_reason(), Some(EndReason::TlsHandshakeFailed));
        assert_eq!(late.fate(), Fate::Gone);
    }

    #[test]
    fn https_targets_are_for_connections_with_tls() {
        for secure in [false, true] {
            let mut connection = Connection::new(limits(), Moment::ZERO, 1);
            if secure {
                connection.await_handshake(Moment::ZERO);
                connection.handle_handshake(Moment::ZERO);
            }
            let (mut output, mut head) = (Output::new(), Head::default());
            let input = b"GET https://a.test/ HTTP/1.1\r\nhost: a.test\r\n\r\n";
            let step =
                connection.poll_request(&mut turn(&mut output, Moment::ZERO), input, &mut head);
            assert_eq!(matches!(step.event, Event::Head { .. }), secure);
        }
    }

    #[test]
    fn a_folded_head_is_secure_as_the_connection_is_wherever_it_is_parsed_to() {
        let lax = Limits {
            h1_strict: false,
            ..(*limits()).clone()
        };
        let mut connection = Connection::new(Rc::new(lax), Moment::ZERO, 1);
        connection.await_handshake(Moment::ZERO);
        connection.handle_handshake(Moment::ZERO);
        let mut output = Output::new();
        let mut turn = turn(&mut output, Moment::ZERO);
        let mut copy = *b"GET https://a.test/ HTTP/1.1\r\nhost: a.test\r\na: b\r\n c\r\n\r\n";
        let step = connection.poll_request(&mut turn, &copy, &mut Head::default());
        assert!(matches!(step.event, Event::FoldedHead { .. }));
        scan::unfold(&mut copy);
        let mut head = Head::default();
        assert!(connection.handle_unfolded(&mut turn, &copy, &mut head) && head.secure);
    }

    #[test]
    fn http_without_tls_is_told_so_in_its_own_words() {
        let mut connection = Connection::new(limits(), Moment::ZERO, 1);
        connection.await_handshake(Moment::ZERO);
        let mut output = Output::new();
        connection.refuse_cleartext(&mut turn(&mut output, Moment::ZERO), b"GET / HTTP/1.1");
        let answer = output.slices().collect::<Vec<_>>().concat();
        assert!(answer.starts_with(b"HTTP/1.1 400 "), "{answer:?}");
        assert_eq!(connection.fate(), Fate::Flush { linger: true });
        assert_eq!(connection.end_reason(), Some(EndReason::TlsHandshakeFailed));
    }

    #[test]
    fn what_ends_tls_ends_the_connection_with_its_reason() {
        for (trip, reason, fate) in [
            (
                None,
                EndReason::ConnectionReset,
                Fate::Flush { linger: false },
            ),
            (
                Some(Trip::TlsKeyupdateRate),
                EndReason::TlsKeyupdateRateExceeded,
                Fate::Abort,
            ),
        ] {
            let mut connection = Connection::new(limits(), Moment::ZERO, 1);
            connection.handle_insecure(reason, trip);
            assert_eq!((connection.fate(), connection.take_trip()), (fate, trip));
            assert_eq!(connection.end_reason(), Some(reason));
        }
    }
}
