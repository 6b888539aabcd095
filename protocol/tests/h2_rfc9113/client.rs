//! A client of the suite: says what a case wants said, and holds every frame that comes back to the rules that each of a
//! server's frames is under.
//!
//! The server at the other end runs the suite's app:
//! - GET and OPTIONS are answered with `hello`;
//! - GET of `/large` with 100,000 bytes, and GET of `/cookie` with the value of the request's Cookie;
//! - POST, once its body is whole, with the number of bytes that it had;
//! - POST to `/hold` never, and nobody reads its body;
//! - every answer has the field `X-Suite: yes`.

use super::peer;
use super::wire::{self, Got, Wire, greeting};
use lanner_limits::Limits;
use lanner_protocol::h2::error_code::ErrorCode;
use lanner_protocol::h2::frame::{
    ACK, END_HEADERS, END_STREAM, FrameHeader, HEADER_BYTES, Kind, PADDED, PAYLOAD_BYTES_DEFAULT,
    PRIORITY,
};
use lanner_protocol::h2::settings::Id;
use std::collections::HashSet;

/// What a GET of `/large` is answered with.
pub(crate) const LARGE_BYTES: usize = 100_000;

/// What both windows begin with (section 6.9.2).
const WINDOW_DEFAULT: i64 = 65_535;

/// A server at the other end of some wire.
pub(crate) trait Peer {
    /// Sends bytes to it: whole frames and whole field blocks, or what is an error before it is whole.
    fn send(&mut self, bytes: &[u8]);

    /// Everything that it has sent since the last call, once it has nothing more to say for now.
    fn receive(&mut self) -> Vec<u8>;

    /// Whether it has ended the connection, as far as is known.
    fn has_closed(&self) -> bool;

    /// Whether nothing but HTTP/2 is spoken there.
    fn is_only_http2(&self) -> bool {
        true
    }
}

pub(crate) struct Client {
    pub(crate) peer: Box<dyn Peer>,
    pub(crate) wire: Wire,
    /// The frames that came last.
    pub(crate) frames: Vec<(FrameHeader, Vec<u8>)>,
    /// What the server announced.
    pub(crate) settings: Vec<(u16, u32)>,
    /// What the server lets us send on the connection. Cases that send much count it down.
    pub(crate) window: i64,
    unread: Vec<u8>,
    /// Streams on which the server has sent END_STREAM, and those on which it has sent RST_STREAM.
    ended: HashSet<u32>,
    reset: HashSet<u32>,
}

impl Client {
    /// One that has said nothing.
    pub(crate) fn silent() -> Self {
        Self::at(peer::connect())
    }

    /// One whose connection is begun on both sides.
    pub(crate) fn new() -> Self {
        Self::silent().greet()
    }

    /// The same with a server that has other limits, where this is a server whose limits are ours to set.
    pub(crate) fn with(change: impl FnOnce(&mut Limits)) -> Option<Self> {
        Some(Self::at(peer::connect_with(change)?).greet())
    }

    fn at(peer: Box<dyn Peer>) -> Self {
        Self {
            peer,
            wire: Wire::new(),
            frames: Vec::new(),
            settings: Vec::new(),
            window: WINDOW_DEFAULT,
            unread: Vec::new(),
            ended: HashSet::new(),
            reset: HashSet::new(),
        }
    }

    fn greet(mut self) -> Self {
        let got = self.say(&greeting());
        assert!(matches!(got[0], Got::Settings(_)), "{got:?}");
        assert!(got.contains(&Got::SettingsAck), "{got:?}");
        self
    }

    /// Sends bytes, and reads everything that comes of them.
    pub(crate) fn say(&mut self, bytes: &[u8]) -> Vec<Got> {
        self.peer.send(bytes);
        let received = self.peer.receive();
        self.judge_frames(&received);
        self.wire.feed(&received);
        let got: Vec<Got> = std::iter::from_fn(|| self.wire.next()).collect();
        got.iter().for_each(|got| self.judge(got));
        got
    }

    /// What holds of every frame: section 4.1, flags that a type does not have and the reserved bit are not set; 4.2, none is
    /// longer than we take; 8.4 and 6.6, nothing is pushed to a client that does not want it.
    fn judge_frames(&mut self, received: &[u8]) {
        self.unread.extend_from_slice(received);
        self.frames.clear();
        while let Some((header, rest)) = self.unread.split_first_chunk::<HEADER_BYTES>() {
            assert_eq!(header[5] & 0x80, 0, "the reserved bit is set");
            let header = FrameHeader::parse(header);
            let flags = match header.kind {
                Kind::DATA => END_STREAM | PADDED,
                Kind::HEADERS => END_STREAM | END_HEADERS | PADDED | PRIORITY,
                Kind::CONTINUATION => END_HEADERS,
                Kind::SETTINGS | Kind::PING => ACK,
                Kind::RST_STREAM | Kind::GOAWAY | Kind::WINDOW_UPDATE => 0,
                other => panic!("a server has no reason to send {other:?}"),
            };
            assert_eq!(header.flags & !flags, 0, "{header:?}");
            assert!(header.length <= PAYLOAD_BYTES_DEFAULT, "{header:?}");
            let Some(payload) = rest.get(..header.length as usize) else {
                break;
            };
            let payload = payload.to_vec();
            self.unread.drain(..HEADER_BYTES + payload.len());
            self.frames.push((header, payload));
        }
    }

    /// What holds of every message: section 5.1, nothing follows the end of a stream; 8.2, 8.2.2 and 8.3.2, what the field
    /// section of an answer is.
    fn judge(&mut self, got: &Got) {
        let stream = got.stream();
        assert!(stream == 0 || !self.reset.contains(&stream), "{got:?}");
        match got {
            Got::Headers { end, fields, .. } => {
                assert!(!self.ended.contains(&stream), "{got:?}");
                judge_fields(fields);
                if *end {
                    self.ended.insert(stream);
                }
            }
            Got::Data { end, .. } => {
                assert!(!self.ended.contains(&stream), "{got:?}");
                if *end {
                    self.ended.insert(stream);
                }
            }
            Got::Reset(..) => {
                self.reset.insert(stream);
            }
            Got::Settings(values) => self.settings.extend(values),
            Got::WindowUpdate(0, increment) => self.window += i64::from(*increment),
            _ => {}
        }
    }

    /// What the server announced last for this, if it did.
    pub(crate) fn announced(&self, id: Id) -> Option<u32> {
        let mut values = self.settings.iter().rev();
        values.find(|value| value.0 == id.0).map(|value| value.1)
    }

    /// The window that streams begin with, towards the server.
    pub(crate) fn stream_window(&self) -> usize {
        self.announced(Id::INITIAL_WINDOW_SIZE).unwrap_or(65_535) as usize
    }

    /// The bytes end the connection with this code.
    pub(crate) fn ends_with(&mut self, bytes: &[u8], code: ErrorCode) {
        let got = self.say(bytes);
        let said = got.iter().find_map(|got| match got {
            Got::GoAway { code, .. } => Some(*code),
            _ => None,
        });
        assert_eq!(said, Some(code), "{got:?}");
        // Section 5.4.1: behind GOAWAY the connection is closed.
        assert!(self.peer.has_closed());
    }

    /// The bytes end the stream with this code, and the connection goes on.
    pub(crate) fn resets(&mut self, stream: u32, bytes: &[u8], code: ErrorCode) {
        let got = self.say(bytes);
        assert!(got.contains(&Got::Reset(stream, code)), "{got:?}");
        self.lives();
    }

    /// The bytes change nothing.
    pub(crate) fn ignores(&mut self, bytes: &[u8]) {
        let got = self.say(bytes);
        assert!(
            got.iter().all(|got| matches!(got, Got::WindowUpdate(..))),
            "{got:?}"
        );
        self.lives();
    }

    /// The connection answers a PING.
    pub(crate) fn lives(&mut self) {
        let payload = *b"alive ? ";
        let got = self.say(&wire::ping(false, payload));
        assert_eq!(got, [Got::Ping { ack: true, payload }]);
        assert!(!self.peer.has_closed());
    }

    /// A request on this stream is answered.
    pub(crate) fn serves(&mut self, stream: u32) {
        let bytes = self.wire.get(stream);
        let got = self.say(&bytes);
        assert_eq!(got[0].status(), Some("200"), "{got:?}");
        assert_eq!(content(&got, stream), b"hello");
        assert!(self.ended.contains(&stream), "{got:?}");
    }
}

/// The content that came on a stream.
pub(crate) fn content(got: &[Got], stream: u32) -> Vec<u8> {
    let pieces = got.iter().filter_map(|got| match got {
        Got::Data {
            stream: of, bytes, ..
        } if *of == stream => Some(&bytes[..]),
        _ => None,
    });
    pieces.collect::<Vec<_>>().concat()
}

fn judge_fields(fields: &[(String, String)]) {
    let (name, status) = &fields[0];
    assert_eq!(name, ":status", "{fields:?}");
    assert!(
        status.len() == 3 && status != "101" && status.bytes().all(|byte| byte.is_ascii_digit())
    );
    for (name, _) in &fields[1..] {
        let of_connections = [
            "connection",
            "keep-alive",
            "proxy-connection",
            "transfer-encoding",
            "upgrade",
        ];
        let allowed = !name.starts_with(':')
            && !name.bytes().any(|byte| byte.is_ascii_uppercase())
            && !of_connections.contains(&&name[..]);
        assert!(allowed, "{name}");
    }
}
