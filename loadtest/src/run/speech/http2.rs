//! HTTP/2: each call has a stream, and a body waits with its stream until there is window for it.

use std::rc::Rc;

use bytes::Bytes;
use lanner_limits::{Limits, Moment};
use lanner_protocol::client::http2::{Connection, Event, Reset, StreamKey};
use lanner_protocol::h2::Fault;
use lanner_protocol::h2::error_code::ErrorCode;

use super::{Ask, Call, Ears, Heard, News, ONLY_INTERIM, State, Trouble, Turn};
use crate::run::trouble::{Kind, NO_STREAM};

/// A call on its stream.
#[derive(Debug)]
struct Open {
    stream: StreamKey,
    call: Call,
    status: u16,
    /// What of its body did not go out yet.
    body: Bytes,
}

#[derive(Debug)]
pub(in crate::run) struct Http2 {
    pub(super) connection: Connection,
    /// By the place of their stream.
    open: Vec<Option<Open>>,
    under_way: usize,
    streams: usize,
    /// The server has said something that is HTTP/2: its SETTINGS, which come first.
    is_greeted: bool,
    /// An interim answer came, and no other on the connection.
    is_announced: bool,
}

/// Streams opened before the server has said how many it allows: no server should allow fewer (RFC 9113 section 6.5.2).
const STREAMS_UNGREETED_MAX: usize = 100;

impl Http2 {
    pub(super) fn new(limits: &Rc<Limits>, streams: usize, now: Moment) -> Self {
        Self {
            connection: Connection::new(limits.clone(), now),
            open: Vec::new(),
            under_way: 0,
            streams,
            is_greeted: false,
            is_announced: false,
        }
    }

    #[inline]
    pub(super) fn has_room(&self) -> bool {
        let streams_max = if self.is_greeted {
            self.streams
        } else {
            self.streams.min(STREAMS_UNGREETED_MAX)
        };
        self.under_way < streams_max && self.connection.may_request()
    }

    #[inline]
    pub(super) fn ask(
        &mut self,
        turn: &mut Turn<'_>,
        ask: &Ask,
        call: Call,
    ) -> Result<(), Trouble> {
        let failed = |error| Trouble::new(Kind::Protocol, error);
        let sent = self.connection.send_prepared(turn, &ask.http2);
        let stream = sent.map_err(failed)?;
        let mut body = ask.body.clone();
        if !body.is_empty() {
            let sent = self.connection.send(stream, turn, &mut body, true);
            sent.map_err(failed)?;
        }
        let place = stream.place();
        if self.open.len() <= place {
            self.open.resize_with(place + 1, || None);
        }
        self.open[place] = Some(Open {
            stream,
            call,
            status: 0,
            body,
        });
        self.under_way += 1;
        Ok(())
    }

    pub(super) fn hear(&mut self, turn: &mut Turn<'_>, input: &[u8], ears: &mut Ears) -> Heard {
        let (mut consumed, mut body_bytes) = (0, 0);
        let mut is_held = false;
        let state = loop {
            let left = &input[consumed..];
            let step = self
                .connection
                .poll(turn, left, &mut ears.response, &mut ears.text);
            consumed += step.consumed;
            match step.event {
                Event::More => break State::Open,
                Event::Held => {
                    is_held = true;
                    break State::Open;
                }
                Event::Informational { .. } => self.is_announced = true,
                Event::Response { stream, last } => {
                    self.is_announced = false;
                    let status = ears.response.status.code();
                    if let Some(open) = self.at(stream) {
                        open.status = status;
                    }
                    if last {
                        self.answered(stream, turn, ears);
                    }
                }
                Event::Data { stream, at, last } => {
                    body_bytes += at.len() as u64;
                    self.connection.consumed(stream, turn, at.len());
                    if last {
                        self.answered(stream, turn, ears);
                    }
                }
                Event::End { stream, .. } => self.answered(stream, turn, ears),
                Event::Reset { stream, reason } => {
                    if let Some(open) = self.take(stream) {
                        ears.news.push(News::Lost {
                            call: open.call,
                            trouble: reset(reason),
                        });
                    }
                }
                // What is open is still answered, and the connection closes behind it.
                Event::GoAway { .. } => {}
                Event::Closed => break State::Closed,
                Event::Failed(error) => break State::Failed(trouble(error, self.is_greeted)),
            }
        };
        self.is_greeted |= consumed > 0;
        self.resume(turn);
        Heard {
            consumed,
            body_bytes,
            is_held,
            state,
        }
    }

    pub(super) fn flush(&mut self, turn: &mut Turn<'_>) {
        self.resume(turn);
        self.connection.flush(turn);
    }

    /// As `Speech::expire`: a stream is given up alone, unless none of them is answered.
    pub(super) fn expire(&mut self, turn: &mut Turn<'_>, since: Moment, ears: &mut Ears) -> bool {
        let is_late = |open: &Open| open.call.start <= since;
        if self.open.iter().flatten().all(is_late) {
            return false;
        }
        for place in &mut self.open {
            if let Some(open) = place.take_if(|open| is_late(open)) {
                self.connection.reset(open.stream, turn, ErrorCode::CANCEL);
                self.under_way -= 1;
                ears.expired.push(open.call);
            }
        }
        true
    }

    /// As `Speech::narrowed`.
    pub(super) fn narrowed(&self) -> Option<usize> {
        let allowed = self.connection.streams_max();
        (self.is_greeted && allowed < self.streams).then_some(allowed)
    }

    /// As `Speech::silence`.
    pub(super) fn silence(&self) -> Option<&'static str> {
        if !self.is_greeted {
            Some("the server said nothing in HTTP/2, not even its SETTINGS")
        } else if self.connection.streams_max() == 0 {
            Some(NO_STREAM)
        } else {
            self.is_announced.then_some(ONLY_INTERIM)
        }
    }

    pub(super) fn calls(&self) -> impl Iterator<Item = Call> {
        self.open.iter().flatten().map(|open| open.call)
    }

    /// Goes on with bodies for which there is room again.
    fn resume(&mut self, turn: &mut Turn<'_>) {
        while let Some(stream) = self.connection.take_resumed() {
            let place = self.open.get_mut(stream.place());
            if let Some(Some(open)) = place
                && open.stream == stream
            {
                // Where it fails, the stream is over and says so by an event.
                let _ = self.connection.send(stream, turn, &mut open.body, true);
            }
        }
    }

    fn at(&mut self, stream: StreamKey) -> Option<&mut Open> {
        let open = self.open.get_mut(stream.place())?.as_mut()?;
        (open.stream == stream).then_some(open)
    }

    fn take(&mut self, stream: StreamKey) -> Option<Open> {
        self.at(stream)?;
        self.under_way -= 1;
        self.open[stream.place()].take()
    }

    fn answered(&mut self, stream: StreamKey, turn: &mut Turn<'_>, ears: &mut Ears) {
        if let Some(open) = self.take(stream) {
            // The server has answered without all of the body, and may never make room for the rest of it.
            if !open.body.is_empty() {
                self.connection.reset(stream, turn, ErrorCode::CANCEL);
            }
            ears.news.push(News::Answered {
                call: open.call,
                status: open.status,
            });
        }
    }
}

/// `is_greeted` says that the server has spoken HTTP/2 before.
fn trouble(error: lanner_protocol::client::http2::Error, is_greeted: bool) -> Trouble {
    use lanner_protocol::client::http2::Error;
    let (kind, text) = match error {
        Error::EndInStreams if !is_greeted => (
            Kind::Cut,
            "the server closed the connection before it said anything in HTTP/2",
        ),
        Error::EndInStreams => (
            Kind::Cut,
            "the server closed the connection with streams open",
        ),
        Error::ConnectionReset => (Kind::Cut, "the connection broke with streams open"),
        Error::Fault(Fault::SettingsTimeout) if !is_greeted => (
            Kind::TimedOut,
            "the server said nothing in HTTP/2, not even its SETTINGS",
        ),
        Error::Fault(Fault::SettingsTimeout) => (
            Kind::TimedOut,
            "the server did not acknowledge our SETTINGS in time",
        ),
        _ if !is_greeted => (Kind::Protocol, "what the server sent is no HTTP/2"),
        _ => (Kind::Protocol, "the server breaks HTTP/2"),
    };
    Trouble::new(kind, format_args!("{text} ({error})"))
}

#[cold]
fn reset(reason: Reset) -> Trouble {
    let name = reason.name();
    let text = match reason {
        Reset::Peer(_) => format!("the server reset the stream ({name})"),
        Reset::Unprocessed => {
            format!("the server went away before it looked at the request ({name})")
        }
        _ => format!("the answer is wrong ({name})"),
    };
    Trouble::new(Kind::StreamReset, text)
}
