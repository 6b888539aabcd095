//! How a connection ends: by itself, by what is wrong, or by time.

use super::*;

impl Connection {
    // Leaving.

    /// The driver wants no more requests here: those that are open are still answered, and the connection is over behind them
    /// (section 6.8).
    pub fn leave(&mut self, turn: &mut Turn<'_>) {
        if !self.over {
            self.leaving = true;
            self.leave_if_done(turn);
        }
    }

    /// Where no stream is open any more, there is nothing left to do.
    pub(super) fn leave_if_done(&mut self, turn: &mut Turn<'_>) {
        if self.leaving && self.streams.count() == 0 && !self.over {
            if self.greeted {
                self.encode_go_away(turn, ErrorCode::NO_ERROR, "");
            }
            self.end();
        }
    }

    /// GOAWAY. The server opens no streams, so none was looked at.
    fn encode_go_away(&self, turn: &mut Turn<'_>, code: ErrorCode, debug: &str) {
        frame::encode_go_away(0, code, debug.as_bytes(), turn.output.tail());
    }

    // What happens to the socket.

    /// The server has ended its side; what it sent before counts, and is still to be looked at.
    pub fn handle_eof(&mut self) {
        self.eof = true;
    }

    /// The connection is broken: nothing can be sent any more.
    pub fn handle_reset(&mut self) {
        if !self.over {
            if self.streams.count() > 0 {
                self.failed = Some(Error::ConnectionReset);
            }
            self.end();
        }
    }

    /// The server has ended its side, and everything that it sent has been looked at.
    pub(super) fn end_of_input(&mut self, turn: &mut Turn<'_>) {
        if self.streams.count() > 0 {
            self.fail(turn, Error::EndInStreams);
        } else {
            self.end();
        }
    }

    // Time.

    /// Handles every deadline that has passed.
    pub fn handle_timeout(&mut self, turn: &mut Turn<'_>) {
        if self.terms.due <= turn.now {
            self.fail(turn, Fault::SettingsTimeout);
        }
        if self.head_due <= turn.now {
            self.fail(turn, Trip::HeaderTimeout);
        }
        if self.ping_due <= turn.now {
            self.silence_over(turn);
        }
    }

    /// The server has been silent for long enough to be asked, or has not answered.
    fn silence_over(&mut self, turn: &mut Turn<'_>) {
        let Some(interval) = self.limits.h2_ping_interval else {
            return;
        };
        if self.pinged {
            return self.fail(turn, Trip::PingTimeout);
        }
        let due = self.heard + interval;
        if due > turn.now || !self.greeted {
            self.ping_due = due.max(turn.now + interval / 2);
        } else {
            self.ping_alive(turn);
        }
    }

    // The ends that all others come to.

    /// Section 5.4.1: GOAWAY says what was wrong, and behind it there is nothing.
    #[cold]
    pub(super) fn fail(&mut self, turn: &mut Turn<'_>, error: impl Into<Error>) {
        let error = error.into();
        if self.over {
            return;
        }
        if let (Some(code), true) = (error.code(), self.greeted) {
            self.encode_go_away(turn, code, error.name());
        }
        self.failed = Some(error);
        self.end();
    }

    fn end(&mut self) {
        self.over = true;
        self.reader.take_block();
        self.streams = Streams::new();
        self.waiting = VecDeque::new();
        self.terms.due = Moment::MAX;
        self.head_due = Moment::MAX;
        self.ping_due = Moment::MAX;
    }
}
