//! Watching a worker from outside: what it does to whom, and how everybody stands in that moment.

use super::client::{Client, Standing};
use lanner_limits::{Moment, Trip};

/// Bounds of which it is told whom they hit.
pub(super) const WATCHED: [Trip; 4] = [
    Trip::IdleShed,
    Trip::LingerShed,
    Trip::MaxInflight,
    Trip::QueueTimeout,
];

/// Something that a worker does, told as it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// A client was let in, and room was made for it or not.
    Admitted { made_room: bool },
    /// A client was turned away.
    Rejected(Trip),
    /// A whole request was taken.
    Taken,
    /// A bound was hit.
    Hit(Trip),
    /// The stop has begun.
    Stopping,
    /// Whatever is left is cut.
    Cutting,
    /// Nothing is left to do for now: time goes on.
    Rest,
}

/// Whom it was done to, and how everybody stands in that moment.
pub(super) struct Sight<'a> {
    pub(super) deed: Deed,
    /// Whose connection it is; nobody's if it is about all.
    pub(super) client: Option<usize>,
    pub(super) now: Moment,
    pub(super) clients: &'a [Client],
}

impl Sight<'_> {
    /// Every client that is connected, and how it stands as far as anybody outside can tell.
    pub(super) fn standings(&self) -> Vec<(usize, Standing)> {
        let connected = self.clients.iter().enumerate();
        connected
            .filter_map(|(index, client)| Some((index, client.standing()?)))
            .collect()
    }

    /// Clients whose end the server waits for, or has waited for until this very moment: of those that began to linger
    /// in one turn, some may be gone before another makes room for them.
    pub(super) fn lingering(&self) -> impl Iterator<Item = (usize, Moment)> {
        let clients = self.clients.iter().enumerate();
        clients.filter_map(|(index, client)| {
            let socket = &client.socket;
            let is_there = socket.server_closed.is_none_or(|closed| closed == self.now);
            Some((index, socket.lingers.filter(|_| is_there)?))
        })
    }
}

/// Whoever watches asserts as it goes: what is wrong is told with the moment it went wrong at.
pub(super) type Watch<'a> = Box<dyn FnMut(&Sight<'_>) + 'a>;
