//! The bodies of requests, under both windows (section 5.2 and 6.9).

use super::requesting::each_line;
use super::stream::Blocked;
use super::*;
use crate::fields::Fields;
use crate::hpack::Indexing;
use bytes::Bytes;

/// How much of a body goes into one frame: a frame is not interrupted, and others wait behind it.
const FRAME_BYTES_MAX: usize = 16 * 1024;

impl Connection {
    /// Sends as much of a piece of a body as windows and output have room for, off its front; `end` says that the body ends
    /// behind it. Where something is left, [`Connection::take_resumed`] names the stream when there is room again.
    ///
    /// # Errors
    /// Nothing is being sent there (any more), or the piece is more than was announced: then the stream is reset.
    pub fn send(
        &mut self,
        stream: StreamKey,
        turn: &mut Turn<'_>,
        piece: &mut Bytes,
        end: bool,
    ) -> Result<(), SendError> {
        let found = self
            .streams
            .at_mut(stream)
            .filter(|stream| stream.sending)
            .ok_or(SendError::Closed)?;
        let bytes = piece.len() as u64;
        let broken = match found.send_left {
            Some(left) if bytes > left => Some(SendError::TooManyBytes),
            Some(left) if end && bytes < left => Some(SendError::TooFewBytes),
            _ => None,
        };
        if let Some(broken) = broken {
            self.reset(stream, turn, ErrorCode::INTERNAL_ERROR);
            return Err(broken);
        }
        loop {
            if piece.is_empty() && !end {
                return Ok(());
            }
            if !self.send_frame(stream, turn, piece, end) {
                self.block_stream(stream, piece);
                return Ok(());
            }
            if piece.is_empty() {
                break;
            }
        }
        if end {
            self.end_request(turn, stream);
        }
        Ok(())
    }

    /// Sends one frame; false if there is no room.
    fn send_frame(
        &mut self,
        key: StreamKey,
        turn: &mut Turn<'_>,
        piece: &mut Bytes,
        end: bool,
    ) -> bool {
        let Some(stream) = self.streams.at_mut(key) else {
            return false;
        };
        let window = stream
            .send_window
            .available()
            .min(self.send_window.available()) as usize;
        let full = turn.output.len() >= self.limits.h2_max_send_buffer;
        // An end without content needs no window.
        if full || window == 0 && !piece.is_empty() {
            return false;
        }
        let frame_max = FRAME_BYTES_MAX.min(self.terms.peer.values().max_frame as usize);
        let bytes = piece.len().min(window).min(frame_max);
        let is_last = bytes == piece.len();
        frame::encode_data_header(key.id, is_last && end, bytes, turn.output.tail());
        turn.output.push_shared(piece.split_to(bytes));
        stream.send_window.take(bytes as u32);
        stream.send_left = stream.send_left.map(|left| left - bytes as u64);
        self.send_window.take(bytes as u32);
        self.flood
            .data_sent(bytes as u32, bytes == window && !is_last);
        true
    }

    /// So much of a stream's body found no room.
    fn block_stream(&mut self, key: StreamKey, left: &[u8]) {
        let by = if left.is_empty() {
            Blocked::ByOutput
        } else {
            Blocked::ByWindows
        };
        if let Some(stream) = self.streams.at_mut(key)
            && stream.blocked.replace(by).is_none()
        {
            self.waiting.push_back(key);
        }
    }

    /// A stream of whose body more may be sent than when it last fell short. Each is named once for each time.
    pub fn take_resumed(&mut self) -> Option<StreamKey> {
        while self.resumable > 0 {
            self.resumable -= 1;
            let key = self.waiting.pop_front()?;
            let Some(stream) = self.streams.at_mut(key) else {
                continue;
            };
            let is_shut = self.send_window.is_shut() || stream.send_window.is_shut();
            if is_shut && stream.blocked == Some(Blocked::ByWindows) {
                self.waiting.push_back(key);
            } else {
                stream.blocked = None;
                return Some(key);
            }
        }
        None
    }

    /// Ends the body of a request, with trailers or without.
    ///
    /// # Errors
    /// Less was sent than was announced: then the stream is reset.
    pub fn finish(
        &mut self,
        stream: StreamKey,
        turn: &mut Turn<'_>,
        trailers: Option<&Fields>,
    ) -> Result<(), SendError> {
        let found = self
            .streams
            .at(stream)
            .filter(|stream| stream.sending)
            .ok_or(SendError::Closed)?;
        if found.send_left.is_some_and(|left| left > 0) {
            self.reset(stream, turn, ErrorCode::INTERNAL_ERROR);
            return Err(SendError::TooFewBytes);
        }
        let out = turn.output.tail();
        match trailers {
            Some(fields) if !fields.is_empty() => {
                let begin = frame::begin_headers(out);
                let encoder = &mut self.terms.encoder;
                each_line(fields, |name, value| {
                    encoder.encode_field(name, value, Indexing::ByName, out);
                });
                let bytes_max = self.terms.peer.values().max_frame;
                frame::finish_headers(begin, stream.id, true, bytes_max, out);
            }
            _ => {
                frame::encode_data_header(stream.id, true, 0, out);
                self.flood.data_sent(0, false);
            }
        }
        self.end_request(turn, stream);
        Ok(())
    }

    /// END_STREAM is out.
    fn end_request(&mut self, turn: &mut Turn<'_>, key: StreamKey) {
        let Some(stream) = self.streams.at_mut(key) else {
            return;
        };
        stream.sending = false;
        if stream.is_over() {
            self.remove(turn, key);
        }
    }

    /// Queues what is due before a write: the preface, where nothing else was said yet.
    #[inline]
    pub fn flush(&mut self, turn: &mut Turn<'_>) {
        if !self.over {
            self.greet(turn);
        }
    }

    /// A write took what it could: `queued` bytes had been added since the last call, `unsent` are left. Where
    /// [`Event::Held`] was said, the input is to be looked at again when less than `LANNER_H2_MAX_SEND_BUFFER` is left.
    pub fn handle_output(&mut self, queued: usize, unsent: usize) {
        self.output_bytes += queued as u64;
        self.flood.output_sent(
            self.output_bytes - (unsent as u64).min(self.output_bytes),
            self.output_bytes,
        );
        if unsent < self.limits.h2_max_send_buffer && queued + unsent > 0 {
            self.resumable = self.waiting.len();
        }
    }
}
