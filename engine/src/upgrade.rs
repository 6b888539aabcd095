//! A connection after 101: bytes in both directions, no HTTP any more.

use crate::body::{BodyError, Chunk};
use crate::link::Link;
use bytes::Bytes;
use std::rc::Rc;

/// How many bytes may wait to be sent before [`Upgraded::write`] waits for room.
const OUTGOING_BYTES_MAX: usize = 64 * 1024;

/// The stream of an upgraded connection, which ends when the handler it was given to returns: what was written goes out
/// first.
#[derive(Debug)]
pub struct Upgraded {
    link: Rc<Link>,
}

impl Upgraded {
    pub(crate) fn new(link: Rc<Link>) -> Self {
        Self { link }
    }

    /// The next bytes received, or `None` when the client has ended its side.
    ///
    /// # Errors
    /// [`BodyError::Aborted`] if the connection is gone.
    pub async fn read(&mut self) -> Option<Result<Chunk, BodyError>> {
        std::future::poll_fn(|context| self.link.poll_chunk(context)).await
    }

    /// Queues bytes to be sent, and waits while more than 64 KiB are queued already.
    ///
    /// # Errors
    /// [`BodyError::Aborted`] if the connection is gone.
    pub async fn write(&mut self, bytes: impl Into<Bytes>) -> Result<(), BodyError> {
        let mut bytes = bytes.into();
        let taken = std::future::poll_fn(|context| {
            self.link
                .poll_write(&mut bytes, OUTGOING_BYTES_MAX, context)
        })
        .await;
        taken.then_some(()).ok_or(BodyError::Aborted)
    }
}
