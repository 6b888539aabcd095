//! One stream as a client has it.
//!
//! ```text
//!   receive:  Head ── HEADERS ──▶ Body ── END_STREAM ──▶ Closed
//!              └─ 1xx ─▶ Head        (or at once, where HEADERS end the stream)
//! ```
//! A stream leaves the table when the response is complete and the request is sent, or when either side resets it.

use crate::h2::flood::SmallData;
use crate::h2::window::{ReceiveWindow, SendWindow};

/// What the server still sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Receive {
    /// The final response.
    Head,
    /// Its content; `left` bytes where it was said.
    Body {
        left: Option<u64>,
    },
    Closed,
}

/// What a body that goes no further waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Blocked {
    /// Room in the output: nothing but its end is left, which needs no window.
    ByOutput,
    /// That, and both windows.
    ByWindows,
}

/// What is kept of a stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) receive: Receive,
    /// The request's body is not complete.
    pub(super) sending: bool,
    /// Only the head was asked for.
    pub(super) head_request: bool,
    /// The driver waits to hear that it may send more.
    pub(super) blocked: Option<Blocked>,
    pub(super) informational: u16,
    /// What is left of the length that the request announced.
    pub(super) send_left: Option<u64>,
    pub(super) receive_window: ReceiveWindow,
    pub(super) send_window: SendWindow,
    pub(super) small_data: SmallData,
}

impl Stream {
    /// Whether nothing is left on either side.
    #[inline]
    pub(super) fn is_over(&self) -> bool {
        self.receive == Receive::Closed && !self.sending
    }
}
