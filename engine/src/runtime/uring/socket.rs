//! One connection's socket, and what the kernel is doing with it. It outlives its connection until all of that has
//! completed: a descriptor that is closed earlier would be another connection's when the kernel comes to it.

use super::kernel::{Kernel, Kind, Operation, Token};
use super::sending::Sending;
use crate::slab::Key;
use crate::worker::Appetite;

/// One of a socket's operations.
///
/// ```text
/// Idle ─ asked for ─▶ Running ─ cancelled ─▶ Ending
///   ▲                    │                     │
///   └──── completed ─────┴─────────────────────┘
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Flight {
    #[default]
    Idle,
    Running,
    Ending,
}

impl Flight {
    pub(super) fn is_idle(self) -> bool {
        self == Self::Idle
    }
}

/// See the file's comment.
#[derive(Debug)]
pub(super) struct Socket<S> {
    socket: S,
    /// The worker's connection. It may be gone: a key of what is gone finds nothing.
    pub(super) key: Key,
    /// Bytes on their way out. There are some exactly while `send` is not idle.
    pub(super) sending: Option<Box<Sending>>,
    pub(super) receive: Flight,
    pub(super) send: Flight,
    /// Told of the end while nothing is received: a client that is gone frees what is being done for it.
    pub(super) watch: Flight,
    /// What the connection wants, as far as is known.
    pub(super) appetite: Appetite,
    /// Nothing more can be received.
    pub(super) ended: bool,
    /// The client was seen to be gone while something was received for it, which is told of with the bytes before that. The
    /// watch does not tell again.
    pub(super) is_gone: bool,
    /// The client's end has been received, and the connection is yet to be told.
    pub(super) end_due: bool,
    /// What has been received since the server stops: so many times.
    pub(super) heard: u8,
    /// Something was sent, and the worker has not drawn its conclusions from that yet.
    pub(super) unsettled: bool,
    /// The connection is over; what is in flight ends, and then the socket is closed.
    pub(super) closing: bool,
}

impl<S> Socket<S> {
    pub(super) fn new(socket: S, key: Key) -> Self {
        Self {
            socket,
            key,
            sending: None,
            receive: Flight::Idle,
            send: Flight::Idle,
            watch: Flight::Idle,
            appetite: Appetite::default(),
            ended: false,
            is_gone: false,
            end_due: false,
            heard: 0,
            unsettled: false,
            closing: false,
        }
    }

    pub(super) fn socket(&self) -> &S {
        &self.socket
    }

    /// Whether the kernel has nothing to do with it any more.
    pub(super) fn is_at_rest(&self) -> bool {
        self.receive.is_idle() && self.send.is_idle() && self.watch.is_idle()
    }

    /// Begins or resumes whatever tells of the client: its bytes if they are wanted, else its end.
    pub(super) fn listen(&mut self, kernel: &mut impl Kernel<Socket = S>, at: Key) {
        if self.closing || !self.receive.is_idle() {
            return;
        }
        if self.appetite.is_there && !self.ended {
            self.receive = Flight::Running;
            let operation = match self.appetite.is_small {
                false => Operation::Receive(&self.socket),
                true => Operation::ReceiveOnce(&self.socket),
            };
            kernel.push(operation, Token::new(Kind::Receive, at));
        } else if self.watch.is_idle() {
            self.watch = Flight::Running;
            kernel.push(Operation::Watch(&self.socket), Token::new(Kind::Watch, at));
        }
    }

    /// Sends what is in `sending`, or goes on with it.
    pub(super) fn transmit(&mut self, kernel: &mut impl Kernel<Socket = S>, at: Key) {
        if let Some(sending) = &mut self.sending {
            self.send = Flight::Running;
            let slices = sending.begin();
            kernel.push(
                Operation::Send(&self.socket, slices.as_slice()),
                Token::new(Kind::Send, at),
            );
        }
    }

    /// Ends the receiving, which completes.
    pub(super) fn cease_receiving(&mut self, kernel: &mut impl Kernel<Socket = S>, at: Key) {
        cancel(&mut self.receive, kernel, Token::new(Kind::Receive, at));
    }

    /// Ends all that is in flight, which completes.
    pub(super) fn cease(&mut self, kernel: &mut impl Kernel<Socket = S>, at: Key) {
        cancel(&mut self.receive, kernel, Token::new(Kind::Receive, at));
        cancel(&mut self.send, kernel, Token::new(Kind::Send, at));
        cancel(&mut self.watch, kernel, Token::new(Kind::Watch, at));
    }
}

fn cancel(flight: &mut Flight, kernel: &mut impl Kernel, token: Token) {
    if *flight == Flight::Running {
        *flight = Flight::Ending;
        kernel.push(
            Operation::Cancel(token),
            Token::new(Kind::Cancel, token.place()),
        );
    }
}
