//! What a connection has received and not consumed yet.
//!
//! While a connection is being served its input stands in the worker's read buffer; what is left over when its turn
//! ends is parked in a buffer of its own that fits it, so that an idle connection holds no memory and a slow one holds
//! about as much as it sent.

use crate::lease::{Lease, Piece, Pool, READ_BYTES};
use std::ops::Range;

/// A connection's unconsumed bytes: `start..end` of `lease`.
#[derive(Debug, Default)]
pub(crate) struct Input {
    lease: Option<Lease>,
    start: usize,
    end: usize,
}

impl Input {
    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    pub(crate) fn unread(&self) -> &[u8] {
        self.lease
            .as_ref()
            .map_or(&[], |lease| &lease.bytes()[self.start..self.end])
    }

    /// Room to read into, behind what is there already: the worker's buffer when nothing is.
    pub(crate) fn room<'a>(&'a mut self, read_buffer: &'a mut Lease, pool: &Pool) -> &'a mut [u8] {
        if self.lease.is_some() {
            return self.own_room(pool);
        }
        unshared(read_buffer, pool)
    }

    /// Room in a buffer of this connection's own: at least half of it is free.
    fn own_room(&mut self, pool: &Pool) -> &mut [u8] {
        let len = self.len();
        let fits = self.lease.as_ref().is_some_and(|lease| {
            !lease.is_shared() && lease.len() - self.end >= lease.len().min(READ_BYTES) / 2
        });
        if !fits {
            let mut larger = pool.take((len * 2).max(1));
            if let Some(room) = larger.bytes_mut() {
                room[..len].copy_from_slice(self.unread());
            }
            self.lease = Some(larger);
            self.start = 0;
            self.end = len;
        }
        let end = self.end;
        self.lease
            .as_mut()
            .and_then(Lease::bytes_mut)
            .map(|bytes| &mut bytes[end..])
            .unwrap_or_default()
    }

    /// Takes note of `count` bytes read into [`Input::room`].
    pub(crate) fn received(&mut self, read_buffer: &Lease, count: usize) {
        if self.lease.is_none() {
            self.lease = Some(read_buffer.clone());
            (self.start, self.end) = (0, 0);
        }
        self.end += count;
    }

    /// Takes `count` bytes that stand at the beginning of a buffer: where they are if nothing came before them, else as
    /// a copy behind it.
    pub(crate) fn receive(&mut self, buffer: &Lease, count: usize, pool: &Pool) {
        if self.lease.is_none() {
            return self.received(buffer, count);
        }
        let mut rest = &buffer.bytes()[..count];
        while !rest.is_empty() {
            let room = self.own_room(pool);
            let part = room.len().min(rest.len());
            room[..part].copy_from_slice(&rest[..part]);
            self.end += part;
            rest = &rest[part..];
        }
    }

    /// A range of the unread bytes.
    #[inline]
    pub(crate) fn share(&self, pool: &Pool, range: Range<usize>) -> Option<Piece> {
        let lease = self.lease.as_ref()?;
        Some(pool.share(lease, self.start + range.start..self.start + range.end))
    }

    pub(crate) fn consume(&mut self, count: usize) {
        self.start += count;
        debug_assert!(
            self.start <= self.end,
            "a step consumes no more than it was given"
        );
        if self.start == self.end {
            *self = Self::default();
        }
    }

    /// Moves what is left out of the worker's read buffer at the end of a turn, or out of a buffer that a request
    /// still holds.
    pub(crate) fn park(&mut self, read_buffer: &Lease, pool: &Pool) {
        let Some(lease) = &self.lease else { return };
        let in_read_buffer = std::ptr::eq(lease.bytes().as_ptr(), read_buffer.bytes().as_ptr());
        if in_read_buffer && let Some((lease, end)) = pool.copy(self.unread()).into_front() {
            *self = Self {
                lease: Some(lease),
                start: 0,
                end,
            };
        }
    }
}

/// A buffer to read into: another one where a request still holds this one.
pub(crate) fn unshared<'a>(read_buffer: &'a mut Lease, pool: &Pool) -> &'a mut [u8] {
    if read_buffer.is_shared() {
        *read_buffer = pool.take_for_reading(READ_BYTES);
    }
    read_buffer.bytes_mut().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &mut Input, read_buffer: &mut Lease, pool: &Pool, bytes: &[u8]) {
        let room = input.room(read_buffer, pool);
        let count = room.len().min(bytes.len());
        room[..count].copy_from_slice(&bytes[..count]);
        input.received(read_buffer, count);
        if count < bytes.len() {
            read(input, read_buffer, pool, &bytes[count..]);
        }
    }

    #[test]
    fn what_is_consumed_in_the_turn_takes_no_buffer() {
        let (pool, mut input) = (Pool::default(), Input::default());
        let mut buffer = pool.take(READ_BYTES);
        read(&mut input, &mut buffer, &pool, b"whole");
        assert_eq!(input.unread(), b"whole");
        input.consume(5);
        input.park(&buffer, &pool);
        assert!(input.lease.is_none() && !buffer.is_shared());
    }

    #[test]
    fn a_rest_is_parked_in_a_small_buffer_and_grows_there() {
        let (pool, mut input) = (Pool::default(), Input::default());
        let mut buffer = pool.take(READ_BYTES);
        let mut model = b"GET / HT".to_vec();
        read(&mut input, &mut buffer, &pool, b"xxGET / HT");
        input.consume(2);
        input.park(&buffer, &pool);
        assert!(!buffer.is_shared());
        for round in 0..2000u32 {
            let piece = format!("piece {round};");
            model.extend_from_slice(piece.as_bytes());
            read(&mut input, &mut buffer, &pool, piece.as_bytes());
            input.park(&buffer, &pool);
        }
        assert_eq!(input.unread(), &model[..]);
        assert!(
            input
                .lease
                .as_ref()
                .is_some_and(|lease| lease.len() <= 4 * model.len())
        );
    }

    #[test]
    fn what_stands_in_a_buffer_already_is_copied_only_behind_a_rest() {
        let (pool, mut input) = (Pool::default(), Input::default());
        let mut filled = pool.take_for_reading(READ_BYTES);
        let long = [b'x'; READ_BYTES];
        if let Some(bytes) = filled.bytes_mut() {
            bytes.copy_from_slice(&long);
        }
        input.receive(&filled, 5, &pool);
        assert!(std::ptr::eq(input.unread(), &filled.bytes()[..5]));
        input.consume(2);
        input.park(&filled, &pool);
        assert!(!filled.is_shared());
        input.receive(&filled, READ_BYTES, &pool);
        assert!(!filled.is_shared());
        assert_eq!(input.unread().len(), 3 + READ_BYTES);
        assert!(input.unread().iter().all(|byte| *byte == b'x'));
    }

    #[test]
    fn a_buffer_that_a_request_holds_is_not_written_again() {
        let (pool, mut input) = (Pool::default(), Input::default());
        let mut buffer = pool.take(READ_BYTES);
        read(&mut input, &mut buffer, &pool, b"first second");
        let held = input.share(&pool, 0..5);
        input.consume(6);
        input.park(&buffer, &pool);
        read(&mut input, &mut buffer, &pool, b" third");
        assert_eq!(input.unread(), b"second third");
        let held = held.expect("something was there");
        assert_eq!(held.bytes(), b"first");
        read(&mut input, &mut buffer, &pool, b"!");
        assert!(
            buffer.is_shared(),
            "the held request still needs the read buffer"
        );
    }
}
