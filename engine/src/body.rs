//! The request body as the app reads it: pieces, zero-copy, as fast as it asks for them.

use crate::lease::Piece;
use crate::link::Link;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Frame;
use lanner_limits::Trip;
use lanner_protocol::{Fields, Misbehaviour, Refusal};
use std::fmt;
use std::ops::Deref;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// The body of a request. Nothing is read from the client beyond `LANNER_REQUEST_BUFFER` until it is asked for here;
/// the first read also sends `100 (Continue)` where the client waits for it.
#[derive(Debug)]
pub struct Body {
    link: Option<Rc<Link>>,
}

impl Body {
    pub(crate) fn new(link: Rc<Link>) -> Self {
        Self { link: Some(link) }
    }

    /// A body without content.
    pub const fn empty() -> Self {
        Self { link: None }
    }

    /// The next piece, or `None` at the end.
    ///
    /// # Errors
    /// [`BodyError`]: a limit was hit, the client broke the framing or went away. Returning it from the handler is
    /// enough: the engine answers 400, 408 or 413 as the case asks.
    pub async fn chunk(&mut self) -> Option<Result<Chunk, BodyError>> {
        std::future::poll_fn(|context| self.poll_chunk(context)).await
    }

    /// [`Body::chunk`] for hand-written futures.
    pub fn poll_chunk(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Chunk, BodyError>>> {
        self.link
            .as_ref()
            .map_or(Poll::Ready(None), |link| link.poll_chunk(context))
    }

    /// Reads the whole body into memory.
    ///
    /// # Errors
    /// [`BodyError`] as for [`Body::chunk`]. What is read is bounded by the request's body limit
    /// (`LANNER_MAX_REQUEST_BODY` unless overridden).
    pub async fn collect(&mut self) -> Result<Vec<u8>, BodyError> {
        let mut whole = Vec::new();
        while let Some(chunk) = self.chunk().await {
            whole.extend_from_slice(&chunk?);
        }
        Ok(whole)
    }

    /// The trailer fields, once the body has been read to its end.
    pub fn take_trailers(&mut self) -> Option<Fields> {
        self.link.as_ref().and_then(|link| link.take_trailers())
    }

    /// Whether everything has been read, or there was nothing to read.
    pub fn is_end(&self) -> bool {
        self.link.as_ref().is_none_or(|link| link.body_ended())
    }
}

/// A body can be handed to whatever takes an `http_body::Body`, a response among others. Each piece is copied once; the
/// trailers come last.
impl http_body::Body for Body {
    type Data = Bytes;
    type Error = crate::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, crate::Error>>> {
        let next = std::task::ready!(self.poll_chunk(context));
        Poll::Ready(match next {
            Some(Ok(chunk)) => Some(Ok(Frame::data(Bytes::copy_from_slice(&chunk)))),
            Some(Err(error)) => Some(Err(error.into())),
            None => self
                .take_trailers()
                .map(|trailers| Ok(Frame::trailers(header_map(&trailers)))),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.is_end() && self.link.as_ref().is_none_or(|link| !link.has_trailers())
    }
}

/// Trailers in the form that other crates take them in. What got through the parser is valid there too.
fn header_map(fields: &Fields) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in fields.iter() {
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_bytes(value),
        ) {
            map.append(name, value);
        }
    }
    map
}

/// A piece of a body: a view of the memory it was received into.
#[derive(Clone, Debug)]
pub struct Chunk(pub(crate) Piece);

impl Deref for Chunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// A limit was hit.
    Trip(Trip),
    /// The client broke the framing.
    Misbehaviour(Misbehaviour),
    /// The connection is gone, or the exchange is over.
    Aborted,
}

impl From<Refusal> for BodyError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Trip(trip) => Self::Trip(trip),
            Refusal::Misbehaviour(misbehaviour) => Self::Misbehaviour(misbehaviour),
        }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trip(trip) => write!(f, "the request body hit the limit {}", trip.name()),
            Self::Misbehaviour(misbehaviour) => {
                write!(f, "the request body is broken: {}", misbehaviour.name())
            }
            Self::Aborted => f.write_str("the client went away before its body was read"),
        }
    }
}

impl std::error::Error for BodyError {}
