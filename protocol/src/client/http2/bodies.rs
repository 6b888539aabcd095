//! What comes in of bodies: DATA, whom it is for, and the credit that is given for it (section 5.2, 6.1 and 6.9).

use super::receiving::Taken;
use super::*;
use crate::h2::reader::DataHeader;
use crate::h2::request::Malformed;

impl Connection {
    /// The header of a DATA frame is there, and what it costs is known: all of that is decided before the content comes.
    #[inline]
    pub(super) fn receive_data_header(
        &mut self,
        turn: &mut Turn<'_>,
        header: DataHeader,
    ) -> Result<Option<Event>, Fault> {
        // Section 6.9: the connection's window counts in any case.
        self.receive_window.receive(header.flow_bytes)?;
        let found = self.streams.find(header.stream);
        let stream = match found {
            Some(key) => self.count_data(turn, key, header)?.then_some(key),
            None => {
                self.receive_late(turn.now, header.stream, header.end_stream)?;
                None
            }
        };
        if stream.is_none() {
            self.credit_connection(turn, header.flow_bytes);
        }
        self.reader.begin_data(header, stream);
        // There is no content to end the body with.
        let ended = stream.filter(|_| header.end_stream && header.data == 0);
        Ok(ended.map(|stream| {
            self.receive_end(turn, stream);
            let trailers = false;
            Event::End { stream, trailers }
        }))
    }

    /// Counts a frame. False if nobody wants it, and its stream is reset then.
    #[inline]
    fn count_data(
        &mut self,
        turn: &mut Turn<'_>,
        key: StreamKey,
        header: DataHeader,
    ) -> Result<bool, Fault> {
        let Some(stream) = self.streams.at_mut(key) else {
            return Ok(false);
        };
        let (data, ends) = (u64::from(header.data), header.end_stream);
        let reason = match &mut stream.receive {
            // Section 8.1: a message begins with its head.
            Receive::Head => Some(Reset::OutOfOrder),
            Receive::Closed => Some(Reset::FrameAfterEnd),
            Receive::Body { left } => {
                if stream.receive_window.receive(header.flow_bytes).is_err() {
                    Some(Reset::Window)
                } else if left.is_some_and(|left| left < data || ends && left > data) {
                    Some(Malformed::ContentLength.into())
                } else {
                    *left = left.map(|left| left - data);
                    None
                }
            }
        };
        if let Some(reason) = reason {
            self.reset_by_fault(turn, key, reason);
            if ends {
                self.streams.forget_reset(key.id);
            }
            return Ok(false);
        }
        self.flood
            .data_received(&mut stream.small_data, header.data, ends, turn.now)?;
        let overhead = header.flow_bytes - header.data;
        if overhead > 0 {
            self.credit(turn, key, overhead);
        }
        Ok(true)
    }

    /// Content of the DATA frame under way, or its padding, which begins at `from` in all of the input.
    #[inline]
    pub(super) fn receive_data(&mut self, turn: &mut Turn<'_>, input: &[u8], from: usize) -> Taken {
        let piece = self.reader.read_data(input)?;
        let (count, last) = (piece.bytes, piece.last);
        let Some(stream) = piece.stream else {
            return Some((count, None));
        };
        if self.streams.at(stream).is_none() {
            // The driver reset it meanwhile, so nobody else will say that this is consumed.
            self.credit_connection(turn, count as u32);
            if last {
                self.streams.forget_reset(stream.id);
            }
            return Some((count, None));
        }
        if last {
            self.receive_end(turn, stream);
        }
        let at = from..from + count;
        Some((count, Some(Event::Data { stream, at, last })))
    }

    /// The response is whole.
    #[inline]
    pub(super) fn receive_end(&mut self, turn: &mut Turn<'_>, key: StreamKey) {
        let Some(stream) = self.streams.at_mut(key) else {
            return;
        };
        stream.receive = Receive::Closed;
        if stream.is_over() {
            self.remove(turn, key);
        }
    }

    // Credit.

    /// So many bytes that an [`Event::Data`] told of are out of the driver's hands: the server may send as many more.
    #[inline]
    pub fn consumed(&mut self, stream: StreamKey, turn: &mut Turn<'_>, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        if self.over || bytes == 0 {
            return;
        }
        if let Some(found) = self.streams.at_mut(stream) {
            self.flood.data_consumed(&mut found.small_data, bytes);
            self.credit(turn, stream, bytes);
        } else {
            self.credit_connection(turn, bytes);
        }
    }

    #[inline]
    fn credit(&mut self, turn: &mut Turn<'_>, key: StreamKey, bytes: u32) {
        let size_max = self.limits.h2_stream_window_max();
        if let Some(stream) = self.streams.at_mut(key)
            && stream.receive != Receive::Closed
        {
            let count = bytes.min(stream.receive_window.unread());
            let increment = stream.receive_window.consume(count, size_max, turn.now);
            if let Some(increment) = increment {
                self.encode_window_update(turn, key.id, increment);
            }
        }
        self.credit_connection(turn, bytes);
    }

    #[inline]
    pub(super) fn credit_connection(&mut self, turn: &mut Turn<'_>, bytes: u32) {
        let bytes = bytes.min(self.receive_window.unread());
        if let Some(increment) = self.receive_window.consume(bytes, 0, turn.now) {
            self.encode_window_update(turn, 0, increment);
        }
    }
}
