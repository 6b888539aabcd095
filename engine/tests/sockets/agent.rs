//! User agents: whoever asks a server, seen alike whichever version of HTTP they speak. On HTTP/1.1 requests that are open at
//! once have a connection each, and the next request takes one that is free; on HTTP/2 they are streams of one connection.

use crate::client::streams::Streams;
use crate::client::{Answer, Client, End, Socket};
use crate::way::{Version, Way};
use crate::wire::Got;
use lanner_protocol::h2::error_code::ErrorCode;
use std::collections::HashMap;
use std::net::SocketAddr;

/// See the file's comment.
pub(crate) struct Agent {
    way: Way,
    address: SocketAddr,
    connections: Connections,
    /// What was asked, by number.
    asked: Vec<Asked>,
}

enum Connections {
    /// By their numbers, until they end.
    Http1(HashMap<usize, Client<Box<dyn Socket>>>),
    Http2(Box<Streams>),
}

/// A request, to be named when more is to be said or heard of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Request(usize);

struct Asked {
    /// Its connection on HTTP/1.1, its stream on HTTP/2.
    place: usize,
    wants_head: bool,
    /// Its body has no announced length.
    chunked: bool,
    answered: bool,
}

/// What came of an answer that has no end.
#[derive(Debug)]
pub(crate) struct Cut {
    pub(crate) status: Option<u16>,
    pub(crate) body: Vec<u8>,
    /// What HTTP/2 was told.
    pub(crate) code: Option<ErrorCode>,
    /// How the connection of HTTP/1.1 ended.
    pub(crate) end: Option<End>,
}

impl Agent {
    pub(crate) fn new(way: Way, address: SocketAddr) -> Self {
        match way.version {
            Version::Http1 => Self::with(way, address, Connections::Http1(HashMap::new())),
            Version::Http2 => Self::over(way, Client::connect(address)),
        }
    }

    /// One that begins with a connection that there is already.
    pub(crate) fn over(way: Way, client: Client) -> Self {
        let address = client.stream.peer_addr().unwrap();
        let socket = way.socket(client);
        let connections = match way.version {
            Version::Http1 => Connections::Http1([(0, Client::over(socket))].into()),
            Version::Http2 => Connections::Http2(Box::new(Streams::begin(socket, way.scheme()))),
        };
        Self::with(way, address, connections)
    }

    fn with(way: Way, address: SocketAddr, connections: Connections) -> Self {
        Self {
            way,
            address,
            connections,
            asked: Vec::new(),
        }
    }

    /// The connection of HTTP/2.
    pub(crate) fn streams(&mut self) -> &mut Streams {
        match &mut self.connections {
            Connections::Http1(_) => panic!("that is of HTTP/2"),
            Connections::Http2(streams) => streams,
        }
    }

    /// The stream that a request is on.
    pub(crate) fn stream(&self, request: Request) -> u32 {
        self.asked[request.0].place as u32
    }

    /// The connection of HTTP/1.1 that a request has for itself.
    fn line(&mut self, request: Request) -> &mut Client<Box<dyn Socket>> {
        let place = self.asked[request.0].place;
        match &mut self.connections {
            Connections::Http1(lines) => lines.get_mut(&place).expect("its connection has ended"),
            Connections::Http2(_) => panic!("that is of HTTP/1.1"),
        }
    }

    // Asking.

    /// A request without a body.
    pub(crate) fn ask(&mut self, path: &str) -> Request {
        self.request("GET", path, &[], true)
    }

    /// A request with a whole body, whose length is announced.
    pub(crate) fn post(&mut self, path: &str, body: &[u8]) -> Request {
        let length = body.len().to_string();
        let request = self.begin(path, &[("content-length", &length)]);
        self.put(request, body);
        self.finish(request);
        request
    }

    /// A request whose body is still to come. Its length is announced if it is among the fields.
    pub(crate) fn begin(&mut self, path: &str, fields: &[(&str, &str)]) -> Request {
        self.request("POST", path, fields, false)
    }

    /// Any request, `whole` if it has no body.
    pub(crate) fn request(
        &mut self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        whole: bool,
    ) -> Request {
        let announced = fields.iter().any(|(name, _)| *name == "content-length");
        let chunked = !whole && !announced;
        let place = match &mut self.connections {
            Connections::Http2(streams) => streams.ask(method, path, fields, whole) as usize,
            Connections::Http1(lines) => {
                let is_free = |place: &usize| {
                    let mut asked = self.asked.iter();
                    asked.all(|asked| asked.answered || asked.place != *place)
                };
                let place = lines.keys().copied().find(is_free).unwrap_or_else(|| {
                    let socket = self.way.socket(Client::connect(self.address));
                    // One that there was beforehand is number 0.
                    lines.insert(self.asked.len() + 1, Client::over(socket));
                    self.asked.len() + 1
                });
                let mut head = format!("{method} {path} HTTP/1.1\r\nhost: a.test\r\n");
                for (name, value) in fields {
                    head += &format!("{name}: {value}\r\n");
                }
                if chunked {
                    head += "transfer-encoding: chunked\r\n";
                }
                head += "\r\n";
                let line = lines.get_mut(&place).expect("it was found or made");
                line.converse(head.as_bytes());
                place
            }
        };
        self.asked.push(Asked {
            place,
            wants_head: method == "HEAD",
            chunked,
            answered: false,
        });
        Request(self.asked.len() - 1)
    }

    /// So much of a request's body.
    pub(crate) fn put(&mut self, request: Request, bytes: &[u8]) {
        let asked = &self.asked[request.0];
        if let Connections::Http2(streams) = &mut self.connections {
            return streams.put(asked.place as u32, bytes);
        }
        if !asked.chunked {
            self.line(request).converse(bytes);
        } else if !bytes.is_empty() {
            let chunk = [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
            self.line(request).converse(&chunk);
        }
    }

    /// The end of a request's body.
    pub(crate) fn finish(&mut self, request: Request) {
        self.finish_with(request, &[]);
    }

    /// The end of a request's body, with trailers behind it.
    pub(crate) fn finish_with(&mut self, request: Request, trailers: &[(&str, &str)]) {
        let asked = &self.asked[request.0];
        if let Connections::Http2(streams) = &mut self.connections {
            return streams.finish(asked.place as u32, trailers);
        }
        if asked.chunked {
            let lines: String = trailers
                .iter()
                .map(|(name, value)| format!("{name}: {value}\r\n"))
                .collect();
            self.line(request)
                .converse(format!("0\r\n{lines}\r\n").as_bytes());
        }
    }

    /// Does not want the answer any more.
    pub(crate) fn give_up(&mut self, request: Request) {
        self.asked[request.0].answered = true;
        let place = self.asked[request.0].place;
        match &mut self.connections {
            Connections::Http1(lines) => lines.remove(&place).unwrap().abort(),
            Connections::Http2(streams) => streams.reset(place as u32, ErrorCode::CANCEL),
        }
    }

    // Hearing.

    /// Whether nothing has come of an answer yet. On HTTP/2 everything that was said is worked on by then.
    pub(crate) fn hears_nothing(&mut self, request: Request) -> bool {
        let place = self.asked[request.0].place;
        match &mut self.connections {
            Connections::Http1(_) => self.line(request).is_silent(),
            Connections::Http2(streams) => streams.is_silent(place as u32),
        }
    }

    /// The head of an answer, of which more is to come.
    #[track_caller]
    pub(crate) fn head(&mut self, request: Request) -> Answer {
        let place = self.asked[request.0].place;
        match &mut self.connections {
            Connections::Http1(_) => self.line(request).head(),
            Connections::Http2(streams) => {
                let (answer, end) = streams.head(place as u32);
                assert!(!end, "{answer:?}");
                answer
            }
        }
    }

    /// The next piece of an answer whose length is not known. On HTTP/1.1 it is a chunk, on HTTP/2 a frame.
    #[track_caller]
    pub(crate) fn piece(&mut self, request: Request) -> Vec<u8> {
        let place = self.asked[request.0].place;
        match &mut self.connections {
            Connections::Http1(_) => self.line(request).chunk().expect("more of the body"),
            Connections::Http2(streams) => match streams.next_of(place as u32) {
                Got::Data { bytes, .. } => bytes,
                other => panic!("{other:?}"),
            },
        }
    }

    /// A whole answer, or an interim one.
    #[track_caller]
    pub(crate) fn answer(&mut self, request: Request) -> Answer {
        let Asked {
            place, wants_head, ..
        } = self.asked[request.0];
        let answer = match &mut self.connections {
            Connections::Http1(_) => {
                let line = self.line(request);
                let mut answer = line.head();
                if !wants_head {
                    line.content(&mut answer);
                }
                answer
            }
            Connections::Http2(streams) => {
                let (mut answer, end) = streams.head(place as u32);
                if !end && answer.status >= 200 {
                    let whole = streams.content(place as u32, &mut answer);
                    assert_eq!(whole, Ok(()), "{answer:?}");
                }
                answer
            }
        };
        if answer.status >= 200 {
            self.answered(request, &answer);
        }
        answer
    }

    /// What is left of an answer whose head was read.
    #[track_caller]
    pub(crate) fn content(&mut self, request: Request, mut answer: Answer) -> Answer {
        let place = self.asked[request.0].place;
        match &mut self.connections {
            Connections::Http1(_) => self.line(request).content(&mut answer),
            Connections::Http2(streams) => {
                assert_eq!(streams.content(place as u32, &mut answer), Ok(()));
            }
        }
        self.answered(request, &answer);
        answer
    }

    /// An answer after which HTTP/1.1 closes its connection, as it has said.
    #[track_caller]
    fn answered(&mut self, request: Request, answer: &Answer) {
        self.asked[request.0].answered = true;
        let place = self.asked[request.0].place;
        if let Connections::Http1(lines) = &mut self.connections
            && answer.closes()
        {
            let mut line = lines.remove(&place).expect("it was answered there");
            line.expect_end();
        }
    }

    /// What follows the head of an answer that must not be whole.
    #[track_caller]
    pub(crate) fn cut_behind(&mut self, request: Request, mut head: Answer) -> Cut {
        self.asked[request.0].answered = true;
        let place = self.asked[request.0].place;
        match &mut self.connections {
            Connections::Http1(lines) => {
                let (bytes, end) = lines.remove(&place).unwrap().rest();
                Cut {
                    status: Some(head.status),
                    body: pieces(&bytes),
                    code: None,
                    end: Some(end),
                }
            }
            Connections::Http2(streams) => {
                let outcome = streams.content(place as u32, &mut head);
                Cut {
                    status: Some(head.status),
                    body: head.body,
                    code: Some(outcome.expect_err("an answer without an end")),
                    end: None,
                }
            }
        }
    }

    /// Everything there is ends now. How it does; answers that come before are not looked at.
    pub(crate) fn rest(&mut self) -> Vec<End> {
        match &mut self.connections {
            Connections::Http1(lines) => lines.drain().map(|(_, mut line)| line.rest().1).collect(),
            Connections::Http2(streams) => vec![streams.rest().1],
        }
    }

    /// Everything there is ends in the ordinary way, and of HTTP/2 with nothing but a leave that was taken.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        match &mut self.connections {
            Connections::Http1(lines) => lines.drain().for_each(|(_, mut line)| line.expect_end()),
            Connections::Http2(streams) => {
                let (rest, end) = streams.rest();
                let mut leave = rest.iter().filter_map(|got| match got {
                    Got::GoAway { code, .. } => Some(*code),
                    Got::Ping { .. } => None,
                    other => panic!("{other:?}"),
                });
                let fine = leave.all(|code| code == ErrorCode::NO_ERROR);
                assert!(fine && end == End::Closed, "{end:?} after {rest:?}");
            }
        }
    }

    /// Asks, and hears the answer.
    #[track_caller]
    pub(crate) fn get(&mut self, path: &str) -> Answer {
        let request = self.ask(path);
        self.answer(request)
    }

    /// An answer that must not be whole.
    #[track_caller]
    pub(crate) fn cut(&mut self, request: Request) -> Cut {
        self.asked[request.0].answered = true;
        let place = self.asked[request.0].place;
        match &mut self.connections {
            Connections::Http1(lines) => {
                let (bytes, end) = lines.remove(&place).unwrap().rest();
                let (status, body) = begun(&bytes);
                Cut {
                    status,
                    body,
                    code: None,
                    end: Some(end),
                }
            }
            Connections::Http2(streams) => {
                let stream = place as u32;
                if streams.is_answered(stream) {
                    let (head, end) = streams.head(stream);
                    assert!(!end, "{head:?}");
                    return self.cut_behind(request, head);
                }
                let Got::Reset(_, code) = streams.next_of(stream) else {
                    panic!("neither a head nor a reset");
                };
                Cut {
                    status: None,
                    body: Vec::new(),
                    code: Some(code),
                    end: None,
                }
            }
        }
    }
}

/// What there is of an answer of HTTP/1.1 that its connection's end has cut short.
#[track_caller]
fn begun(bytes: &[u8]) -> (Option<u16>, Vec<u8>) {
    if bytes.is_empty() {
        return (None, Vec::new());
    }
    let text = bytes.escape_ascii().to_string();
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let head = std::str::from_utf8(&bytes[..end.expect("a head")]).unwrap();
    let rest = &bytes[head.len() + 4..];
    let status = head[9..12].parse().unwrap();
    let Some(length) = head.split("content-length: ").nth(1) else {
        return (Some(status), pieces(rest));
    };
    let length = length.lines().next().unwrap().parse().unwrap();
    assert!(rest.len() < length, "whole: {text}");
    (Some(status), rest.to_vec())
}

/// The content of chunks of which the last one is missing.
#[track_caller]
fn pieces(mut chunks: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    while let Some(line) = chunks.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&chunks[..line]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        assert!(size > 0, "whole, behind {}", content.escape_ascii());
        chunks = &chunks[line + 2..];
        content.extend(&chunks[..size.min(chunks.len())]);
        chunks = chunks.get(size + 2..).unwrap_or_default();
    }
    content
}
