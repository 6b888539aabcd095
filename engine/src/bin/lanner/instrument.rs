//! What people point curl, wrk and h2load at, in both built-in apps: `/echo`, `/bytes/N` and `/status/N`.

use crate::refusal;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use lanner::{Body, Chunk, Error, Method, Request, Response, Status};
use std::pin::Pin;
use std::task::{Context, Poll};

/// The most bytes that `/bytes/N` sends: an hour's work at 2.4 Gbit/s, and far from overflowing anybody's counter.
const BYTES_MAX: u64 = 1 << 40;

/// One of the three, with its argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Instrument {
    /// The request's body comes back while it arrives.
    Echo,
    /// So many bytes.
    Bytes(u64),
    /// An answer of this status.
    Status(Status),
    /// One of the above, but its argument is none; this was expected.
    Misused(&'static str),
}

impl Instrument {
    /// The instrument at `path`.
    pub(crate) fn at(path: &str) -> Option<Self> {
        if path == "/echo" {
            return Some(Self::Echo);
        }
        if let Some(count) = path.strip_prefix("/bytes/") {
            let count = number(count).filter(|count| *count <= BYTES_MAX);
            return Some(count.map_or(
                Self::Misused("/bytes/N sends N bytes; N is a whole number up to 1099511627776.\n"),
                Self::Bytes,
            ));
        }
        let code = path.strip_prefix("/status/")?;
        // 1xx is no final answer.
        let status = number(code)
            .and_then(|code| u16::try_from(code).ok())
            .filter(|code| *code >= 200);
        Some(status.and_then(Status::new).map_or(
            Self::Misused(
                "/status/N answers with status N; N is a whole number from 200 to 599.\n",
            ),
            Self::Status,
        ))
    }

    /// Uses it.
    pub(crate) async fn answer(self, request: Request) -> Result<Response, Error> {
        match self {
            Self::Echo => echo(request).await,
            Self::Bytes(_) if !matches!(request.method(), Method::Get | Method::Head) => {
                refusal::method_not_allowed("GET, HEAD")
            }
            Self::Bytes(count) => Ok(Response::stream(Some(count), Filler { left: count })
                .with_content_type(lanner::ContentType::BYTES)),
            Self::Status(status) if status.never_has_content() => Ok(Response::new(status)),
            Self::Status(status) => {
                Ok(
                    Response::text(format!("{} {}\n", status.code(), status.reason()))
                        .with_status(status),
                )
            }
            Self::Misused(expected) => Ok(refusal::bad_request(expected)),
        }
    }
}

/// Digits and nothing else: `+5` is no number in a path.
fn number(text: &str) -> Option<u64> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

/// Answers once the first piece is there: asking for it is what lets a client that waits for `100 (Continue)` begin.
async fn echo(mut request: Request) -> Result<Response, Error> {
    let first = request.body().chunk().await.transpose()?;
    let length = request.field_str("content-length").and_then(number);
    let content_type = request
        .field("content-type")
        .unwrap_or(b"application/octet-stream")
        .to_vec();
    let response = match first {
        None => Response::new(Status::OK),
        Some(_) => Response::stream(
            length,
            Echo {
                first,
                rest: request.into_body(),
            },
        ),
    };
    // It is the client's own text: a browser must not guess a page out of it.
    Ok(response
        .with_field("Content-Type", content_type)?
        .with_field("X-Content-Type-Options", "nosniff")?)
}

/// A body that goes out as it comes in.
struct Echo {
    first: Option<Chunk>,
    rest: Body,
}

impl http_body::Body for Echo {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self.first.take() {
            Some(chunk) => Poll::Ready(Some(Ok(Frame::data(Bytes::copy_from_slice(&chunk))))),
            None => Pin::new(&mut self.rest).poll_frame(context),
        }
    }
}

/// What is sent of a long body at a time; the same memory again and again.
static BLOCK: [u8; 32 * 1024] = block();

/// Lines of 64 characters that a person can look at.
const fn block() -> [u8; 32 * 1024] {
    let mut bytes = [b'.'; 32 * 1024];
    let mut place = 63;
    while place < bytes.len() {
        bytes[place] = b'\n';
        place += 64;
    }
    bytes
}

/// A body of so many bytes, none of which was made for it.
struct Filler {
    left: u64,
}

impl http_body::Body for Filler {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let count = usize::try_from(self.left).map_or(BLOCK.len(), |left| left.min(BLOCK.len()));
        self.left -= count as u64;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&BLOCK[..count])))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_an_instrument_and_its_argument() {
        assert_eq!(Instrument::at("/echo"), Some(Instrument::Echo));
        assert_eq!(Instrument::at("/bytes/0"), Some(Instrument::Bytes(0)));
        assert_eq!(
            Instrument::at("/bytes/1099511627776"),
            Some(Instrument::Bytes(BYTES_MAX))
        );
        assert_eq!(
            Instrument::at("/status/503"),
            Status::new(503).map(Instrument::Status)
        );
        for path in [
            "/",
            "/echo/",
            "/bytes",
            "/status",
            "/Echo",
            "/statuses/200",
            "*",
        ] {
            assert_eq!(Instrument::at(path), None, "{path}");
        }
    }

    #[test]
    fn an_argument_that_is_none_is_misuse_and_not_another_path() {
        for path in [
            "/bytes/",
            "/bytes/-1",
            "/bytes/+1",
            "/bytes/1k",
            "/bytes/1/2",
            "/bytes/1099511627777",
            "/bytes/99999999999999999999999",
            "/status/",
            "/status/199",
            "/status/600",
            "/status/65736",
            "/status/two",
        ] {
            assert!(
                matches!(Instrument::at(path), Some(Instrument::Misused(_))),
                "{path}"
            );
        }
    }

    #[test]
    fn a_filler_yields_exactly_its_bytes() {
        for count in [0, 1, BLOCK.len() as u64, 3 * BLOCK.len() as u64 + 7] {
            let mut filler = Filler { left: count };
            let mut context = Context::from_waker(std::task::Waker::noop());
            let mut sum = 0;
            while let Poll::Ready(Some(frame)) =
                http_body::Body::poll_frame(Pin::new(&mut filler), &mut context)
            {
                let piece = frame
                    .ok()
                    .and_then(|frame| frame.into_data().ok())
                    .map_or(0, |data| data.len());
                assert!(piece > 0);
                sum += piece as u64;
            }
            assert_eq!(sum, count);
        }
    }
}
