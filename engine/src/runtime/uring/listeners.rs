//! What the kernel is doing with a worker's listeners, and what they have brought.
//!
//! A worker's own listener is accepted from by the kernel, one connection after the other. Where each connection must
//! be asked for (there is a rate to keep to, or others wait on the same listener) it only says that there is one.

use super::kernel::{Completion, Kernel, Kind, Operation, Token};
use super::socket::Flight;
use crate::runtime::accepting::Accepting;
use rustix::io::Errno;

/// See the file's comment.
pub(super) struct Listeners<S> {
    /// By number.
    operations: Vec<(Kind, Flight)>,
    /// The door wants them watched.
    watched: bool,
    /// Accepted by the kernel, or refused, and by which listener. They are let in after the turn's input was taken, for
    /// who has to make room for them is decided by that.
    arrived: Vec<(usize, Arrival<S>)>,
}

/// What a listener has brought.
pub(super) enum Arrival<S> {
    /// A connection.
    Connection(S),
    /// Somebody waits to be accepted.
    Knock,
    /// The kernel could not accept: why.
    Failure(Errno),
}

impl<S> Listeners<S> {
    pub(super) fn new(accepting: &Accepting) -> Self {
        let operation = |number| {
            let kind = if accepting.takes_one_by_one(number) {
                Kind::Knock
            } else {
                Kind::Accept
            };
            (kind, Flight::Idle)
        };
        Self {
            operations: (0..accepting.listeners().len()).map(operation).collect(),
            watched: false,
            arrived: Vec::new(),
        }
    }

    /// Whether the kernel has nothing to do with the listeners any more.
    pub(super) fn are_at_rest(&self) -> bool {
        self.arrived.is_empty() && self.operations.iter().all(|(_, flight)| flight.is_idle())
    }

    /// Begins or ceases to watch all of them.
    pub(super) fn watch(
        &mut self,
        kernel: &mut impl Kernel<Socket = S>,
        accepting: &Accepting,
        on: bool,
    ) {
        self.watched = on;
        self.follow(kernel, accepting);
    }

    /// Has each listener do what is wished. To be called once a turn: some operations end by themselves.
    pub(super) fn follow(&mut self, kernel: &mut impl Kernel<Socket = S>, accepting: &Accepting) {
        for number in 0..self.operations.len() {
            self.follow_one(kernel, accepting, number);
        }
    }

    fn follow_one(
        &mut self,
        kernel: &mut impl Kernel<Socket = S>,
        accepting: &Accepting,
        number: usize,
    ) {
        let (kind, flight) = &mut self.operations[number];
        let token = Token::numbered(*kind, number);
        match (*flight, self.watched, accepting.listeners().get(number)) {
            (Flight::Idle, true, Some(listening)) => {
                *flight = Flight::Running;
                let descriptor = listening.descriptor();
                let operation = match kind {
                    Kind::Accept => Operation::Accept(descriptor),
                    // A shared listener wakes one worker, not all of them.
                    _ => Operation::Poll {
                        descriptor,
                        exclusive: listening.shared,
                    },
                };
                kernel.push(operation, token);
            }
            (Flight::Running, false, _) => {
                *flight = Flight::Ending;
                let name = Token::numbered(Kind::Cancel, number);
                kernel.push(Operation::Cancel(token), name);
            }
            _ => {}
        }
    }

    /// Takes note of a completion.
    pub(super) fn complete(&mut self, completion: Completion<S>) {
        let number = completion.token.number();
        let Some((_, flight)) = self.operations.get_mut(number) else {
            return;
        };
        if !completion.more {
            *flight = Flight::Idle;
        }
        let arrival = match (completion.result, completion.socket) {
            (Ok(_), Some(socket)) => Arrival::Connection(socket),
            (Ok(_), None) => Arrival::Knock,
            (Err(errno), _) => Arrival::Failure(errno),
        };
        self.arrived.push((number, arrival));
    }

    /// Takes what has arrived, in exchange for the memory to gather more in.
    pub(super) fn take_arrived(&mut self, into: &mut Vec<(usize, Arrival<S>)>) {
        debug_assert!(into.is_empty());
        std::mem::swap(&mut self.arrived, into);
    }
}
