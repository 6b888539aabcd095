//! TLS under one connection, between what its driver carries and what HTTP says: a session, and the ciphertext that it has
//! to send. What HTTP says stays plain until the socket is nearly ready for it, so that a client that does not read costs a
//! record or two more than without TLS, however much waits for it.

use crate::tls::config::Configurations;
use crate::tls::failure::Failure;
use crate::tls::info::TlsInfo;
use crate::tls::session::{Bounds, Ending, Outcome, Progress, Session};
use lanner_limits::{Limits, Moment};
use lanner_protocol::Output;
use std::sync::Arc;

/// What a record holds.
const RECORD_BYTES: usize = 16 * 1024;

/// How much ciphertext is made at once for a socket that takes whatever it is given.
const AHEAD_BYTES_MAX: usize = 64 * 1024;

/// So much without a wait, and the client reads.
const FLOWING_BYTES: usize = 256 * 1024;

/// What a listener gives each of its connections.
#[derive(Clone, Debug)]
pub(crate) struct Terms(pub(super) Arc<Configurations>);

/// See the file's comment.
pub(crate) struct Layer {
    session: Session,
    terms: Terms,
    /// What is to be sent.
    pub(crate) cipher: Output,
    ahead: Ahead,
    /// Its place among the handshakes under way.
    pub(crate) handshake: Option<u64>,
    /// The peer has ended its side, of which HTTP is to be told when it has seen what came before.
    pub(crate) end_due: bool,
    /// The peer has said something.
    has_begun: bool,
    /// We have said that no more comes.
    has_closed: bool,
}

impl Layer {
    pub(crate) fn new(terms: Terms, limits: &Limits, now: Moment) -> Layer {
        Layer {
            session: Session::new(Bounds::new(limits), now),
            terms,
            cipher: Output::new(),
            ahead: Ahead::default(),
            handshake: None,
            end_due: false,
            has_begun: false,
            has_closed: false,
        }
    }

    /// Whether a whole ClientHello waits for [`Layer::accept`].
    pub(crate) fn awaits_accept(&self) -> bool {
        self.session.progress() == Progress::Named
    }

    /// Whether the handshake was completed, whatever came then.
    pub(crate) fn has_opened(&self) -> bool {
        self.session.has_opened()
    }

    /// What the handshake agreed on, once it is over.
    pub(crate) fn info(&self) -> Option<TlsInfo> {
        self.session.info()
    }

    /// Takes what came, in place. What it says is given to `plain`.
    ///
    /// # Errors
    /// The session is over; its last words are among the ciphertext.
    pub(crate) fn receive(
        &mut self,
        bytes: &mut [u8],
        plain: &mut dyn FnMut(&[u8]),
        now: Moment,
    ) -> Result<(), Failure> {
        self.has_begun |= !bytes.is_empty();
        let was_open = self.session.ending() != Ending::Clean;
        let mut outcome = Outcome {
            plain,
            cipher: self.cipher.tail(),
        };
        self.session.read(bytes, &mut outcome, now)?;
        self.end_due |= was_open && self.session.ending() == Ending::Clean;
        Ok(())
    }

    /// Goes on with a handshake whose ClientHello is whole: what costs.
    ///
    /// # Errors
    /// As for [`Layer::receive`].
    pub(crate) fn accept(
        &mut self,
        plain: &mut dyn FnMut(&[u8]),
        now: Moment,
    ) -> Result<(), Failure> {
        let mut outcome = Outcome {
            plain,
            cipher: self.cipher.tail(),
        };
        self.session.accept(&self.terms.0, &mut outcome, now)?;
        Ok(())
    }

    /// Encrypts what may go out next. `is_last` says whether nothing follows what is there: the client is told so behind it.
    /// `spare` is memory to put small pieces together in.
    ///
    /// # Errors
    /// The session is over.
    pub(crate) fn send(
        &mut self,
        plain: &mut Output,
        is_last: bool,
        spare: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let ahead = self.ahead.next(self.cipher.len());
        while !plain.is_empty() && self.cipher.len() < ahead {
            let record = next_record(plain, spare);
            let length = record.len();
            self.session.write(record, self.cipher.tail())?;
            plain.advance(length);
            self.ahead.made(length);
        }
        if is_last && plain.is_empty() {
            self.close();
        }
        Ok(())
    }

    /// Tells the client that no more of ours comes, once.
    pub(crate) fn close(&mut self) {
        if !std::mem::replace(&mut self.has_closed, true) {
            self.session.close(self.cipher.tail());
        }
    }

    /// Whether [`Layer::send`] has something to do as soon as the ciphertext is out.
    pub(crate) fn has_more(&self, plain: &Output, is_last: bool) -> bool {
        !plain.is_empty() || is_last && !self.has_closed
    }

    /// The client's stream has ended. Returns whether that was in the middle of a handshake.
    pub(crate) fn is_cut_short(&self) -> bool {
        self.has_begun && self.session.ending() == Ending::Unfinished
    }
}

/// How much ciphertext may wait for the socket before no more is made: a record, or more where so much has left without one
/// having to wait that the client must have read it. The kernel alone takes a hundred kilobytes for a client that reads nothing.
#[derive(Default)]
struct Ahead {
    /// Bytes since something last had to wait.
    flowed: usize,
}

impl Ahead {
    /// With this much waiting still.
    fn next(&mut self, waiting: usize) -> usize {
        if waiting > 0 {
            self.flowed = 0;
        }
        if self.flowed < FLOWING_BYTES {
            RECORD_BYTES
        } else {
            AHEAD_BYTES_MAX
        }
    }

    fn made(&mut self, bytes: usize) {
        self.flowed = self.flowed.saturating_add(bytes);
    }
}

/// What the next record holds: a large piece where it lies, and small ones put together.
fn next_record<'a>(plain: &'a Output, spare: &'a mut Vec<u8>) -> &'a [u8] {
    let mut slices = plain.slices();
    let first = slices.next().unwrap_or_default();
    let Some(mut next) = slices.next().filter(|_| first.len() < RECORD_BYTES / 2) else {
        return &first[..first.len().min(RECORD_BYTES)];
    };
    spare.clear();
    spare.extend_from_slice(first);
    loop {
        let room = RECORD_BYTES - spare.len();
        spare.extend_from_slice(&next[..next.len().min(room)]);
        match slices.next() {
            Some(slice) if spare.len() < RECORD_BYTES => next = slice,
            _ => return spare,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_client_that_reads_has_more_than_a_record_made_for_it() {
        let mut ahead = Ahead::default();
        let mut made = 0;
        while ahead.next(0) == RECORD_BYTES {
            ahead.made(RECORD_BYTES);
            made += RECORD_BYTES;
        }
        assert_eq!(made, FLOWING_BYTES);
        ahead.made(AHEAD_BYTES_MAX);
        assert_eq!(ahead.next(0), AHEAD_BYTES_MAX);
        assert_eq!(ahead.next(1), RECORD_BYTES);
        assert_eq!(ahead.next(0), RECORD_BYTES);
    }

    #[test]
    fn records_are_full_and_large_pieces_are_not_copied_into_them() {
        let mut plain = Output::new();
        let mut spare = Vec::new();
        plain.push(b"head");
        plain.push_shared(vec![b'x'; 40_000].into());
        plain.push(b"tail");
        let mut lengths = Vec::new();
        let mut said = Vec::new();
        while !plain.is_empty() {
            let record = next_record(&plain, &mut spare);
            said.extend_from_slice(record);
            lengths.push(record.len());
            plain.advance(lengths[lengths.len() - 1]);
        }
        assert_eq!(
            lengths,
            [RECORD_BYTES, RECORD_BYTES, 40_008 - 2 * RECORD_BYTES]
        );
        assert!(said.starts_with(b"headx") && said.ends_with(b"xtail"));
        assert_eq!(said.len(), 40_008);
    }
}
