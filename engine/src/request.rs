//! A request as the app sees it: views of the bytes received, the body, and the facts about its connection.

use crate::body::{Body, BodyError};
use crate::lease::Piece;
use crate::link::Link;
use crate::server::ServerInfo;
use crate::tls::TlsInfo;
use lanner_limits::MinRate;
use lanner_protocol::{Head, Method, Span};
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

/// Facts about the connection a request came on.
#[derive(Clone, Debug)]
pub struct ConnectionInfo {
    /// A number that no other connection of this process has had.
    pub id: u64,
    /// The client's address; `None` on a unix socket.
    pub peer: Option<SocketAddr>,
    /// The address the client connected to; `None` on a unix socket.
    pub local: Option<SocketAddr>,
    /// The listener's name: its place in `LANNER_LISTEN`, or the name of its `LANNER_LISTENER__NAME__URL`.
    pub listener: Arc<str>,
    /// What the whole server is bound to.
    pub server: Arc<ServerInfo>,
    /// What TLS has agreed on, where the connection is secured by it.
    pub tls: Option<Arc<TlsInfo>>,
}

impl ConnectionInfo {
    /// The scheme of the requests on this connection.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

/// The bytes of a head and what was found in them.
#[derive(Debug, Default)]
pub(crate) struct RequestHead {
    pub(crate) head: Head,
    pub(crate) piece: Option<Piece>,
    pub(crate) connection: Option<Rc<ConnectionInfo>>,
}

impl RequestHead {
    pub(crate) fn bytes(&self) -> &[u8] {
        self.piece.as_ref().map_or(&[], Piece::bytes)
    }

    /// The text of a span. What the parser lets through is ASCII in method and target; a span of anything else is
    /// empty here.
    fn text(&self, span: Span) -> &str {
        std::str::from_utf8(span.slice(self.bytes())).unwrap_or_default()
    }

    /// Whether the client offered to switch to `protocol` (RFC 9110 section 7.8). Never to HTTP/2, which has no
    /// upgrade any more (RFC 9113 section 3.1), and not while a body would have to be read first.
    pub(crate) fn offers_upgrade(&self, protocol: &str) -> bool {
        let Some(offer) = self.head.upgrade else {
            return false;
        };
        let mut offered = self.text(offer).split(',').map(str::trim);
        !self.head.framing.has_body()
            && !protocol.eq_ignore_ascii_case("h2c")
            && offered.any(|offered| offered.eq_ignore_ascii_case(protocol))
    }

    pub(crate) fn method(&self) -> &str {
        self.text(self.head.method_span)
    }

    pub(crate) fn target(&self) -> &str {
        self.text(self.head.target.whole)
    }
}

/// What a request says before its body: what [`crate::App::admit`] decides on.
#[derive(Clone, Copy, Debug)]
pub struct RequestView<'a>(pub(crate) &'a RequestHead);

impl<'a> RequestView<'a> {
    /// The method; [`Method::Other`] for one without a name here.
    pub fn method(&self) -> Method {
        self.0.head.method
    }

    /// The path: dot segments resolved, percent-encoding as received.
    pub fn path(&self) -> &'a str {
        self.0.head.target.path_text(self.0.bytes())
    }

    /// The first value of a field.
    pub fn field(&self, name: &str) -> Option<&'a [u8]> {
        self.0.head.field(self.0.bytes(), name)
    }
}

/// A request. It keeps the bytes it was received in, so its views live across awaits without a copy.
pub struct Request {
    pub(crate) head: Rc<RequestHead>,
    pub(crate) link: Rc<Link>,
    body: Body,
}

impl Request {
    pub(crate) fn new(head: Rc<RequestHead>, link: Rc<Link>) -> Self {
        let body = Body::new(link.clone());
        Self { head, link, body }
    }

    /// The method; [`Method::Other`] for one without a name here.
    pub fn method(&self) -> Method {
        self.head.head.method
    }

    /// The method as sent.
    pub fn method_text(&self) -> &str {
        self.head.method()
    }

    /// The request target as sent (RFC 9112 section 3.2).
    pub fn target(&self) -> &str {
        self.head.target()
    }

    /// The path: dot segments resolved, percent-encoding as received. `*` for `OPTIONS *`.
    pub fn path(&self) -> &str {
        RequestView(&self.head).path()
    }

    /// The query, without its question mark.
    pub fn query(&self) -> Option<&str> {
        self.head.head.target.query_text(self.head.bytes())
    }

    /// Host and port the client addressed; empty where HTTP/1.0 sent none.
    pub fn host(&self) -> &str {
        self.head.text(self.head.head.host)
    }

    /// The first value of a field; the name is compared without case.
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        self.head.head.field(self.head.bytes(), name)
    }

    /// The first value of a field, if it is text.
    pub fn field_str(&self, name: &str) -> Option<&str> {
        self.field(name)
            .and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The values of every field of a name, in the order received: `Cookie` and lists such as `X-Forwarded-For` may come in
    /// several lines. The name is compared without case.
    pub fn fields_named(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.fields()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Every field in the order received, names as sent.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let bytes = self.head.bytes();
        self.head
            .head
            .fields
            .iter()
            .map(move |field| (self.head.text(field.name), field.value.slice(bytes)))
    }

    /// The connection this request came on.
    pub fn connection(&self) -> &ConnectionInfo {
        self.head
            .connection
            .as_deref()
            .expect("a request is made with its connection")
    }

    /// The body.
    pub fn body(&mut self) -> &mut Body {
        &mut self.body
    }

    /// The body alone, for an app that streams it on.
    pub fn into_body(self) -> Body {
        self.body
    }

    /// Replaces `LANNER_MAX_REQUEST_BODY` for this request; `None` is no limit. (Content-Length was judged before the
    /// app was called: a route that takes more says so in [`crate::App::admit`].)
    ///
    /// # Errors
    /// [`TooLate`] once the body has been read from, or the answer has begun.
    pub fn set_max_body(&self, max: Option<u64>) -> Result<(), TooLate> {
        self.change(|overrides| overrides.max_body = Some(max))
    }

    /// Replaces `LANNER_MIN_BODY_RATE` and its grace for this request; `None` is no minimum.
    ///
    /// # Errors
    /// [`TooLate`] once the body has been read from, or the answer has begun.
    pub fn set_min_body_rate(&self, rate: Option<MinRate>) -> Result<(), TooLate> {
        self.change(|overrides| overrides.min_body_rate = Some(rate))
    }

    /// Replaces `LANNER_MIN_RESPONSE_RATE` and its grace for the answer to this request; `None` is no minimum. Over HTTP/2 the
    /// answers that wait for their client together, already on their way to its socket, are judged as the mildest of them.
    ///
    /// # Errors
    /// [`TooLate`] once the body has been read from, or the answer has begun.
    pub fn set_min_response_rate(&self, rate: Option<MinRate>) -> Result<(), TooLate> {
        self.change(|overrides| overrides.min_response_rate = Some(rate))
    }

    fn change(&self, change: impl FnOnce(&mut crate::Overrides)) -> Result<(), TooLate> {
        self.link.set_override(change).then_some(()).ok_or(TooLate)
    }

    /// Completes when the exchange ends before its answer was complete: the client reset the connection, a limit
    /// cut it. The handler's own future is dropped at its next await then; this is for tasks it has spawned.
    pub fn aborted(&self) -> impl Future<Output = ()> + 'static {
        let link = self.link.clone();
        std::future::poll_fn(move |context| link.poll_aborted(context))
    }

    /// Whether the client offered to switch to `protocol`, which [`crate::Response::upgrade`] then may do.
    pub fn offers_upgrade(&self, protocol: &str) -> bool {
        self.head.offers_upgrade(protocol)
    }

    /// Reads the whole body and throws it away.
    ///
    /// # Errors
    /// [`BodyError`] as for [`Body::chunk`].
    pub async fn discard_body(&mut self) -> Result<(), BodyError> {
        std::future::poll_fn(|context| {
            loop {
                match std::task::ready!(self.body.poll_chunk(context)) {
                    None => return Poll::Ready(Ok(())),
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Poll::Ready(Err(error)),
                }
            }
        })
        .await
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({} {})", self.method_text(), self.target())
    }
}

/// A limit was changed after the body had been read from, or the answer had begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLate;

impl fmt::Display for TooLate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("limits of a request can be changed only before its body is read and before it is answered")
    }
}

impl std::error::Error for TooLate {}
