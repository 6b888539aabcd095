//! The app that is measured: as little as possible, so that the figures are the engine's.

use bytes::Bytes;
use http_body::Frame;
use lanner::{Error, Request, Response, Status};
use std::pin::Pin;
use std::task::{Context, Poll};

/// The body of every answer that is not streamed.
pub const HELLO: &str = "Hello, World!";

/// How many pieces a streamed answer has.
pub const PIECES: usize = 4;

/// One piece of a streamed answer.
pub const PIECE: &[u8; 1024] = &[b'.'; 1024];

/// Answers `/hello`; `/discard`, which reads the body first; and `/chunked`, whose length nobody is told.
///
/// # Errors
/// If the request body cannot be read.
pub async fn answer(mut request: Request) -> Result<Response, Error> {
    match request.path() {
        "/hello" => Ok(Response::text(HELLO)),
        "/discard" => {
            request.discard_body().await?;
            Ok(Response::text(HELLO))
        }
        "/chunked" => Ok(Response::stream(None, Pieces { left: PIECES })),
        _ => Ok(Response::new(Status::NOT_FOUND)),
    }
}

/// A body whose pieces are always ready.
struct Pieces {
    left: usize,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(PIECE)))))
    }
}
