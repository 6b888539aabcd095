//! A socket that is none: two queues, a small send buffer, and what either side has done to it.

use lanner_limits::Moment;
use std::collections::VecDeque;

#[derive(Debug, Default)]
pub(super) struct Socket {
    /// Sent by the client and not read by the server.
    pub(super) inbound: VecDeque<u8>,
    /// Written by the server and not taken by the client.
    pub(super) outbound: VecDeque<u8>,
    /// How many bytes `outbound` holds.
    pub(super) capacity: usize,
    /// When the client connected.
    pub(super) connected: Option<Moment>,
    /// When the server last wrote to it.
    pub(super) written: Option<Moment>,
    pub(super) client_ended: bool,
    pub(super) client_reset: bool,
    /// When the server shut its sending side down, closed or reset.
    pub(super) server_ended: Option<Moment>,
    /// When it began to wait for the client's end.
    pub(super) lingers: Option<Moment>,
    /// When it closed or reset.
    pub(super) server_closed: Option<Moment>,
    pub(super) server_reset: bool,
    pub(super) reads: bool,
    pub(super) writes: bool,
}

impl Socket {
    pub(super) fn room(&self) -> usize {
        self.capacity.saturating_sub(self.outbound.len())
    }

    pub(super) fn is_broken(&self) -> bool {
        self.client_reset || (self.client_ended && self.server_ended.is_some())
    }

    /// Whether there is nothing that the server has not read: no byte, no end.
    pub(super) fn is_quiet(&self) -> bool {
        self.inbound.is_empty() && !self.client_ended && !self.client_reset
    }

    pub(super) fn summary(&self) -> String {
        format!(
            "{} in, {} of {} out, reads {}, writes {}, client ended {}, server ended {:?}",
            self.inbound.len(),
            self.outbound.len(),
            self.capacity,
            self.reads,
            self.writes,
            self.client_ended,
            self.server_ended
        )
    }

    /// Whether epoll would tell of it.
    pub(super) fn is_ready(&self) -> bool {
        self.server_closed.is_none()
            && (self.is_broken()
                || self.reads && (!self.inbound.is_empty() || self.client_ended)
                || self.writes && self.room() > 0)
    }
}
