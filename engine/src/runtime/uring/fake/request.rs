//! What the fake kernel remembers of an operation that it was asked for.

use super::offers;
use crate::runtime::uring::kernel::{Operation, Token};
use crate::runtime::uring::sending::Slice;
use crate::simulation::network::Socket;

/// One operation.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) token: Token,
    pub(super) what: What,
    pub(super) cancelled: bool,
}

#[derive(Debug)]
pub(super) enum What {
    Accept,
    Poll,
    Receive {
        client: usize,
        once: bool,
    },
    Send {
        client: usize,
        slices: Vec<Slice>,
        /// What stood there when it was asked for.
        bytes: Vec<u8>,
    },
    Watch {
        client: usize,
        told: bool,
    },
    Cancel(Token),
}

impl Request {
    pub(super) fn new(operation: Operation<'_, Socket>, token: Token) -> Self {
        let what = match operation {
            Operation::Accept(_) => What::Accept,
            Operation::Poll { .. } => What::Poll,
            Operation::Receive(socket) => What::Receive {
                client: socket.client(),
                once: false,
            },
            Operation::ReceiveOnce(socket) => What::Receive {
                client: socket.client(),
                once: true,
            },
            Operation::Send(socket, slices) => What::Send {
                client: socket.client(),
                slices: slices.to_vec(),
                bytes: offers::read(slices),
            },
            Operation::Watch(socket) => What::Watch {
                client: socket.client(),
                told: false,
            },
            Operation::Cancel(name) => What::Cancel(name),
        };
        Self {
            token,
            what,
            cancelled: false,
        }
    }
}

/// What became of looking at an operation.
pub(super) enum Progress {
    /// It goes on to wait.
    Waits,
    /// It completed, and goes on.
    Goes,
    /// It is over.
    Over,
}
