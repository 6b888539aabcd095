//! What comes in of bodies: DATA, whom it is for, and the credit that is given for it (section 5.2, 6.1 and 6.9).

use super::receiving::Taken;
use super::*;
use crate::h2::frame::{END_STREAM, FrameFault, FrameHeader, HEADER_BYTES, PADDED};
use crate::h2::request::Malformed;

impl Connection {
    /// The header of a DATA frame is there, and what it costs is known: all of that is decided before the content comes.
    #[inline]
    pub(super) fn receive_data_header(
        &mut self,
        turn: &mut Turn<'_>,
        header: FrameHeader,
        rest: &[u8],
    ) -> Result<Taken, Error> {
        let (prefix, padding) = if header.has(PADDED) {
            let Some(padding) = rest.first() else {
                return Ok(Taken::None);
            };
            (1, u32::from(*padding))
        } else {
            (0, 0)
        };
        let data = (header.length - prefix)
            .checked_sub(padding)
            .ok_or(FrameFault::DataPadding)?;
        let end_stream = header.has(END_STREAM);
        // Section 6.9: the connection's window counts in any case.
        self.receive_window
            .receive(header.length)
            .map_err(|_| Error::WindowExceeded)?;
        let mut frame = DataFrame {
            stream: None,
            data,
            padding,
            end_stream,
        };
        match self.streams.find(header.stream) {
            Some(key) => {
                if self.begin_data(turn, key, header.length, &frame)? {
                    frame.stream = Some(key);
                }
            }
            None => self.pass_over_data(turn, header.stream, end_stream)?,
        }
        if frame.stream.is_none() {
            self.credit_connection(turn, header.length);
        }
        self.head_due = Moment::MAX;
        Ok(self.go_on(turn, frame, HEADER_BYTES + prefix as usize))
    }

    /// DATA of a stream that is not open.
    #[cold]
    fn pass_over_data(
        &mut self,
        turn: &mut Turn<'_>,
        stream: u32,
        end_stream: bool,
    ) -> Result<(), Error> {
        if self.is_idle(stream) {
            return Err(Error::IdleStream);
        }
        if !self.streams.was_reset(stream) {
            return Err(Error::ClosedStream);
        }
        self.flood.control(turn.now)?;
        if end_stream {
            self.streams.forget_reset(stream);
        }
        Ok(())
    }

    /// Counts a frame of `length` bytes. False if nobody wants it, and its stream is reset then.
    #[inline]
    fn begin_data(
        &mut self,
        turn: &mut Turn<'_>,
        key: StreamKey,
        length: u32,
        frame: &DataFrame,
    ) -> Result<bool, Error> {
        let Some(stream) = self.streams.at_mut(key) else {
            return Ok(false);
        };
        let reason = match &mut stream.receive {
            // Section 8.1: a message begins with its head.
            Receive::Head => Some(Reset::OutOfOrder),
            Receive::Closed => Some(Reset::FrameAfterEnd),
            Receive::Body { left } => {
                let data = u64::from(frame.data);
                if stream.receive_window.receive(length).is_err() {
                    Some(Reset::Window)
                } else if left.is_some_and(|left| left < data || frame.end_stream && left > data) {
                    Some(Malformed::ContentLength.into())
                } else {
                    *left = left.map(|left| left - data);
                    None
                }
            }
        };
        if let Some(reason) = reason {
            self.reset_by_fault(turn, key, reason);
            if frame.end_stream {
                self.streams.forget_reset(key.id);
            }
            return Ok(false);
        }
        self.flood.data_received(
            &mut stream.small_data,
            frame.data,
            frame.end_stream,
            turn.now,
        )?;
        let overhead = length - frame.data;
        if overhead > 0 {
            self.credit(turn, key, overhead);
        }
        Ok(true)
    }

    /// Content of the DATA frame under way, or its padding.
    #[inline]
    pub(super) fn receive_data(
        &mut self,
        turn: &mut Turn<'_>,
        mut frame: DataFrame,
        input: &[u8],
    ) -> Taken {
        if input.is_empty() {
            return Taken::None;
        }
        if frame.data == 0 {
            let count = input.len().min(frame.padding as usize);
            frame.padding -= count as u32;
            return self.go_on(turn, frame, count);
        }
        let count = input.len().min(frame.data as usize);
        frame.data -= count as u32;
        let last = frame.data == 0 && frame.end_stream;
        // What follows then is padding, which concerns nobody.
        frame.end_stream &= !last;
        self.go_on(turn, frame, 0);
        let Some(stream) = frame.stream else {
            return Taken::Bytes(count);
        };
        if self.streams.at(stream).is_none() {
            // The driver reset it meanwhile, so nobody else will say that this is consumed.
            self.credit_connection(turn, count as u32);
            if last {
                self.streams.forget_reset(stream.id);
            }
            return Taken::Bytes(count);
        }
        if last {
            self.receive_end(turn, stream);
        }
        let at = 0..count;
        Taken::Event(count, Event::Data { stream, at, last })
    }

    /// Goes on to what is left of the frame, or to the next one; `count` bytes were taken.
    #[inline]
    fn go_on(&mut self, turn: &mut Turn<'_>, frame: DataFrame, count: usize) -> Taken {
        if frame.data + frame.padding > 0 {
            self.input = Input::Data(frame);
            return Taken::Bytes(count);
        }
        self.input = Input::Frame;
        match frame.stream {
            Some(stream) if frame.end_stream && self.streams.at(stream).is_some() => {
                self.receive_end(turn, stream);
                let trailers = false;
                Taken::Event(count, Event::End { stream, trailers })
            }
            Some(stream) if frame.end_stream => {
                self.streams.forget_reset(stream.id);
                Taken::Bytes(count)
            }
            _ => Taken::Bytes(count),
        }
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
