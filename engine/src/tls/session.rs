//! The TLS of one connection, without its socket: ciphertext and moments in; plaintext, ciphertext and facts out.
//!
//! ```text
//!  Hello ----------> Named -------> Open --------> Over
//!    bytes come        accept()       records        a failure, or
//!                                                    both have closed
//! ```
//! `Session::read` takes what came. It stops at a whole ClientHello, before any arithmetic was done for it, so that
//! whoever drives it can say when (and whether) the handshake goes on: `Session::accept`. From there on every record that
//! is there as a whole goes through rustls, in place, where the bytes lie; only a record that is cut short is copied, into
//! a buffer that grows with the bytes that came and goes when it is empty. An idle session holds no buffer: it has 128
//! bytes here and 2.3 KiB on the heap, and what the library of arithmetic keeps for two keys, 2.1 KiB. rustls' buffered
//! interface would keep 4 KiB more, for the next record's beginning.
//!
//! rustls sees one record at a time (in `opened`), so that records which bring nothing can be counted. Which configuration
//! a name gets is up to `config`, waiting and its deadlines to the driver.

use crate::tls::config::Configurations;
use crate::tls::failure::Failure;
use crate::tls::info::TlsInfo;
use crate::tls::opened::Opened;
use crate::tls::record::{self, plain_alert};
use lanner_limits::{Limits, Moment, TokenBucket, Trip};
use rustls::server::Acceptor;
use std::sync::Arc;

/// RFC 8446 section 6.2.
const ALERT_UNRECOGNIZED_NAME: u8 = 112;
const ALERT_RECORD_OVERFLOW: u8 = 22;
const ALERT_UNEXPECTED_MESSAGE: u8 = 10;

/// What one client may cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    handshake_bytes_max: usize,
    fruitless_per_second: u64,
}

impl Bounds {
    pub(crate) fn new(limits: &Limits) -> Bounds {
        Bounds {
            handshake_bytes_max: limits.tls_max_handshake_bytes,
            fruitless_per_second: limits.tls_keyupdate_rate,
        }
    }
}

/// Where what comes out goes.
pub(crate) struct Outcome<'a> {
    /// Is given what the peer said, a record at a time.
    pub(crate) plain: &'a mut dyn FnMut(&[u8]),
    /// What is to be sent is added here, also with a failure.
    pub(crate) cipher: &'a mut Vec<u8>,
}

/// Where a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The ClientHello is not whole yet.
    Hello,
    /// The ClientHello is whole: `accept` is next.
    Named,
    /// The handshake goes on, and waits for the peer.
    Handshaking,
    /// Data can go both ways.
    Open,
    /// The peer has said that no more data comes. Ours can still go.
    PeerClosed,
}

/// How a peer's side ended, asked when its stream did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With `close_notify`: all that was said has come.
    Clean,
    /// Without: somebody may have cut off the end (RFC 8446 section 6.1).
    Truncated,
    /// Before the handshake was over.
    Unfinished,
}

/// See the file's comment.
pub(crate) struct Session {
    stage: Stage,
    /// Bytes that came and are not through: the beginning of a record, or of a message over several records.
    held: Vec<u8>,
    /// How many of them rustls has seen: 0 unless a message goes over several records. All before are whole records.
    seen: usize,
    /// Bytes of the handshake so far.
    handshake_bytes: usize,
    /// Records that may bring nothing.
    fruitless: TokenBucket,
    peer_closed: bool,
    /// The handshake was over once.
    has_opened: bool,
    bounds: Bounds,
}

enum Stage {
    /// Nothing but the beginning of a ClientHello. The parser is made with the first byte.
    Hello(Option<Box<Acceptor>>),
    /// A ClientHello with this name, all of it still in `held`.
    Named(Option<Box<str>>),
    Open(Box<Opened>),
    Over,
}

impl Session {
    pub(crate) fn new(bounds: Bounds, now: Moment) -> Session {
        let rate = bounds.fruitless_per_second;
        Session {
            stage: Stage::Hello(None),
            held: Vec::new(),
            seen: 0,
            handshake_bytes: 0,
            fruitless: TokenBucket::new(rate, rate, now),
            peer_closed: false,
            has_opened: false,
            bounds,
        }
    }

    /// Takes what came, all of it: what is not whole yet is kept here. The input is worked on in place and is not worth anything
    /// afterwards.
    ///
    /// # Errors
    /// The session is over, and whatever alert there is lies in the outcome.
    pub(crate) fn read(
        &mut self,
        input: &mut [u8],
        outcome: &mut Outcome<'_>,
        now: Moment,
    ) -> Result<Progress, Failure> {
        let result = self.take(input, outcome, now);
        if result.is_err() {
            self.end();
        }
        result.map(|()| self.progress())
    }

    /// Goes on from a whole ClientHello: chooses the configuration for its name, and answers it. This is where a
    /// handshake begins to cost.
    ///
    /// # Errors
    /// As for `read`; also where no configuration is for the name.
    pub(crate) fn accept(
        &mut self,
        configurations: &Arc<Configurations>,
        outcome: &mut Outcome<'_>,
        now: Moment,
    ) -> Result<Progress, Failure> {
        let result = self.open(configurations, outcome, now);
        if result.is_err() {
            self.end();
        }
        result.map(|()| self.progress())
    }

    /// Encrypts `plain`. Only once the handshake is over.
    ///
    /// # Errors
    /// The keys are worn out, which takes exabytes, or the session is over.
    pub(crate) fn write(&mut self, plain: &[u8], cipher: &mut Vec<u8>) -> Result<(), Failure> {
        let result = match &mut self.stage {
            Stage::Open(open) => open.write(&mut self.held[..self.seen], plain, cipher),
            _ => Err(rustls::Error::HandshakeNotComplete.into()),
        };
        if result.is_err() {
            self.end();
        }
        result
    }

    /// Says that no more of ours comes (`close_notify`). Nothing is said where the handshake is not over.
    pub(crate) fn close(&mut self, cipher: &mut Vec<u8>) {
        if let Stage::Open(open) = &mut self.stage {
            // Whether it could be said or not, this was the last of us.
            drop(open.close(&mut self.held[..self.seen], cipher));
        }
    }

    pub(crate) fn progress(&self) -> Progress {
        match &self.stage {
            Stage::Hello(_) => Progress::Hello,
            Stage::Named(_) => Progress::Named,
            Stage::Open(open) if open.is_handshaking() => Progress::Handshaking,
            Stage::Open(_) if !self.peer_closed => Progress::Open,
            Stage::Open(_) | Stage::Over => Progress::PeerClosed,
        }
    }

    #[cfg(test)]
    pub(crate) fn is_handshaking(&self) -> bool {
        matches!(
            self.progress(),
            Progress::Hello | Progress::Named | Progress::Handshaking
        )
    }

    /// Whether the handshake was completed, whatever came then.
    pub(crate) fn has_opened(&self) -> bool {
        self.has_opened
    }

    /// How the peer's side ended, where its stream has.
    pub(crate) fn ending(&self) -> Ending {
        match self.progress() {
            _ if self.peer_closed => Ending::Clean,
            Progress::Open | Progress::PeerClosed => Ending::Truncated,
            Progress::Hello | Progress::Named | Progress::Handshaking => Ending::Unfinished,
        }
    }

    /// Bytes that came and are not through.
    #[cfg(test)]
    pub(crate) fn held_bytes(&self) -> usize {
        self.held.len()
    }

    /// The name that the client asked for, once its ClientHello is whole.
    #[cfg(test)]
    pub(crate) fn server_name(&self) -> Option<&str> {
        match &self.stage {
            Stage::Named(name) => name.as_deref(),
            Stage::Open(open) => open.server_name(),
            Stage::Hello(_) | Stage::Over => None,
        }
    }

    /// What the handshake agreed on, once it is over.
    pub(crate) fn info(&self) -> Option<TlsInfo> {
        match &self.stage {
            Stage::Open(open) => open.info(),
            _ => None,
        }
    }

    fn end(&mut self) {
        self.stage = Stage::Over;
        self.held = Vec::new();
        self.seen = 0;
    }

    fn take(
        &mut self,
        input: &mut [u8],
        outcome: &mut Outcome<'_>,
        now: Moment,
    ) -> Result<(), Failure> {
        match &mut self.stage {
            Stage::Hello(_) => self.take_hello(input, outcome),
            // More than a ClientHello comes when it does; rustls will say whether it may.
            Stage::Named(_) => self.hold(input, outcome),
            Stage::Open(_) if !self.peer_closed => self.take_records(input, outcome, now),
            Stage::Open(_) | Stage::Over => Ok(()),
        }
    }

    /// Keeps handshake bytes, within their bound.
    fn hold(&mut self, input: &[u8], outcome: &mut Outcome<'_>) -> Result<(), Failure> {
        if self.held.len() + input.len() > self.bounds.handshake_bytes_max {
            outcome.cipher.extend(plain_alert(ALERT_RECORD_OVERFLOW));
            return Err(Failure::Limit(Trip::TlsHandshakeBytes));
        }
        self.held.extend_from_slice(input);
        Ok(())
    }

    /// Looks for a whole ClientHello with rustls' own parser: another one might find another name in it. What comes out
    /// of the parser is thrown away but for the name, and the bytes are read again when the handshake goes on: 1.6 us more
    /// for a handshake of 100 (with P-256; with RSA it takes longer).
    fn take_hello(&mut self, input: &mut [u8], outcome: &mut Outcome<'_>) -> Result<(), Failure> {
        let Some(&first) = input.first() else {
            return Ok(());
        };
        // No record's type is a letter, and every method begins with one.
        if self.held.is_empty() && first.is_ascii_uppercase() {
            return Err(Failure::PlainHttp);
        }
        self.hold(input, outcome)?;
        let Stage::Hello(acceptor) = &mut self.stage else {
            return Ok(());
        };
        let acceptor = acceptor.get_or_insert_default();
        let mut unread: &[u8] = input;
        while !unread.is_empty() {
            // It reads from memory, and from a buffer that is never full: `accept` empties it.
            if acceptor.read_tls(&mut unread).is_err() {
                return Err(Failure::Limit(Trip::TlsHandshakeBytes));
            }
            match acceptor.accept() {
                Ok(None) => {}
                Ok(Some(accepted)) => {
                    let name = accepted.client_hello().server_name().map(Box::from);
                    self.stage = Stage::Named(name);
                    return Ok(());
                }
                Err((error, mut alert)) => {
                    let before = outcome.cipher.len();
                    // Writing to memory does not fail.
                    drop(alert.write_all(outcome.cipher));
                    // It has none for messages that must not come first.
                    if outcome.cipher.len() == before {
                        outcome.cipher.extend(plain_alert(ALERT_UNEXPECTED_MESSAGE));
                    }
                    return Err(error.into());
                }
            }
        }
        Ok(())
    }

    fn open(
        &mut self,
        configurations: &Arc<Configurations>,
        outcome: &mut Outcome<'_>,
        now: Moment,
    ) -> Result<(), Failure> {
        let Stage::Named(name) = &mut self.stage else {
            return Ok(());
        };
        let server_name = name.take();
        let Some(configuration) = configurations.choose(server_name.as_deref()) else {
            outcome.cipher.extend(plain_alert(ALERT_UNRECOGNIZED_NAME));
            return Err(Failure::UnrecognizedName);
        };
        let open = Opened::new(configurations, configuration, server_name)?;
        self.stage = Stage::Open(Box::new(open));
        let mut held = std::mem::take(&mut self.held);
        let through = self.records(&mut held, outcome, now)?;
        held.drain(..through);
        self.keep(held);
        Ok(())
    }

    fn take_records(
        &mut self,
        mut input: &mut [u8],
        outcome: &mut Outcome<'_>,
        now: Moment,
    ) -> Result<(), Failure> {
        // What is held becomes a whole record first, with no byte more than it needs: the rest is not copied.
        while !self.held.is_empty() && !input.is_empty() {
            let begun = &self.held[self.seen..];
            let missing = record::bytes_wanted(begun) - begun.len();
            let (more, rest) = input.split_at_mut(missing.min(input.len()));
            input = rest;
            self.held.extend_from_slice(more);
            let mut held = std::mem::take(&mut self.held);
            let through = self.records(&mut held, outcome, now)?;
            held.drain(..through);
            self.keep(held);
        }
        if !input.is_empty() && !self.peer_closed {
            let through = self.records(input, outcome, now)?;
            self.held.extend_from_slice(&input[through..]);
        }
        Ok(())
    }

    /// Keeps a buffer as long as there is something in it.
    fn keep(&mut self, held: Vec<u8>) {
        if !held.is_empty() {
            self.held = held;
        }
    }

    /// Puts every whole record of `bytes` through rustls. Returns how many bytes are through; the rest must come again,
    /// with more behind it.
    fn records(
        &mut self,
        bytes: &mut [u8],
        outcome: &mut Outcome<'_>,
        now: Moment,
    ) -> Result<usize, Failure> {
        let mut through = 0;
        while let Some(length) = record::whole(&bytes[through + self.seen..]) {
            let end = through + self.seen + length;
            through += self.record(&mut bytes[through..end], length, outcome, now)?;
            self.seen = end - through;
            if self.peer_closed {
                // What comes after close_notify is ignored (RFC 8446 section 6.1), and not kept either.
                self.seen = 0;
                return Ok(bytes.len());
            }
        }
        Ok(through)
    }

    /// Puts the record at the end of `bytes` through rustls, and counts it. Returns how many bytes are through.
    fn record(
        &mut self,
        bytes: &mut [u8],
        length: usize,
        outcome: &mut Outcome<'_>,
        now: Moment,
    ) -> Result<usize, Failure> {
        let Stage::Open(open) = &mut self.stage else {
            return Ok(bytes.len());
        };
        let was_handshaking = open.is_handshaking();
        if was_handshaking {
            self.handshake_bytes += length;
        }
        // Afterwards it is one message over many records that could go on for ever.
        let unfinished = if was_handshaking {
            self.handshake_bytes
        } else {
            self.seen
        };
        if unfinished > self.bounds.handshake_bytes_max {
            return Err(Failure::Limit(Trip::TlsHandshakeBytes));
        }
        let taken = open.take(bytes, outcome, &mut self.peer_closed)?;
        if !was_handshaking {
            let fruitless = taken.plain_bytes == 0 && !self.peer_closed;
            if fruitless && !self.fruitless.take(1, now) {
                return Err(Failure::Limit(Trip::TlsKeyupdateRate));
            }
        } else if !open.is_handshaking() {
            open.judge_resumption()?;
            self.has_opened = true;
        }
        Ok(taken.through)
    }
}
