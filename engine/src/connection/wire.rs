//! What an exchange asks of the protocol that its request came by: of the whole connection on HTTP/1.1, of one stream on
//! HTTP/2. Whoever works on the exchange does not know which.

use crate::exchange::Dispatch;
use crate::link::Link;
use crate::shared::Shared;
use bytes::Bytes;
use lanner_limits::{Limits, Moment};
use lanner_protocol::{
    EndReason, Fields, Output, Overrides, Refusal, ResponseError, ResponseHead, Status, Turn,
};
use std::task::Waker;
use std::time::Duration;

/// What became of an app's wish for more of the body.
pub(super) enum Fed {
    /// There is nothing to give it yet.
    Nothing,
    /// It was given something, and this is who waited for it.
    Delivered(Option<Waker>),
}

/// See the file's comment. The verbs are those of `lanner_protocol`'s connections.
pub(super) trait Wire {
    /// Whether the exchange is not over on the protocol's side.
    fn in_exchange(&self) -> bool;
    /// Whether a body is still to come, in part or whole.
    fn body_open(&self) -> bool;
    /// The status that was sent, for the access log.
    fn answered(&self) -> Option<Status>;
    /// Body bytes that were queued, for the access log.
    fn body_bytes_sent(&self) -> u64;

    fn admit(&mut self, turn: &mut Turn<'_>, overrides: Overrides) -> bool;
    fn handle_queued(&mut self, now: Moment, timeout: Duration);
    fn handle_dequeued(&mut self, now: Moment);

    fn respond(
        &mut self,
        turn: &mut Turn<'_>,
        head: &ResponseHead<'_>,
        complete: bool,
    ) -> Result<(), ResponseError>;
    fn respond_upgrade(
        &mut self,
        turn: &mut Turn<'_>,
        protocol: &str,
        fields: &Fields,
    ) -> Result<(), ResponseError>;
    /// Whether body bytes go anywhere.
    fn sends_body(&self) -> bool;
    /// Whether the app is to be asked for more of the body now.
    fn accepts_body(&mut self, turn: &Turn<'_>, limits: &Limits) -> bool;
    fn send(&mut self, turn: &mut Turn<'_>, piece: Bytes) -> Result<(), ResponseError>;
    fn finish(
        &mut self,
        turn: &mut Turn<'_>,
        trailers: Option<&Fields>,
    ) -> Result<(), ResponseError>;

    /// Answers with the engine's own words, and ends the exchange.
    fn refuse(&mut self, turn: &mut Turn<'_>, refusal: Refusal);
    /// The answer cannot be completed: it is cut short so that the client notices.
    fn truncate(&mut self, turn: &mut Turn<'_>, reason: EndReason);
    /// The app wants the exchange reset.
    fn abort(&mut self, turn: &mut Turn<'_>);

    /// Gives the app the next piece of the body, for which it waits.
    fn feed<D: Dispatch>(
        &mut self,
        shared: &mut Shared<D>,
        output: &mut Output,
        link: &Link,
        now: Moment,
    ) -> Fed;
}
