//! Serving one connection: what its completions say goes to the worker, and what the worker concludes becomes the next
//! operations.

use super::Uring;
use super::kernel::{Completion, Kernel, Token};
use super::socket::{Flight, Socket};
use crate::exchange::Dispatch;
use crate::slab::{Key, Slab};
use crate::worker::Verdict;
use rustix::event::PollFlags;
use rustix::io::Errno;

/// How often a connection is served in one turn while it could go on at once.
const SERVES_PER_TURN: usize = 16;

/// Receives of a connection before it is told of a stop, if it keeps on sending.
const HEARD_MAX: u8 = 4;

/// The place of a connection's socket.
pub(super) fn find<S>(sockets: &Slab<Socket<S>>, places: &[Key], key: Key) -> Option<Key> {
    let at = *places.get(key.index as usize)?;
    let socket = sockets.get(at)?;
    (socket.key == key && !socket.closing).then_some(at)
}

impl<D: Dispatch, K: Kernel> Uring<D, K> {
    /// Begins to serve a connection.
    pub(super) fn open_socket(&mut self, key: Key, socket: K::Socket) {
        let at = self.sockets.insert_with(|_| Socket::new(socket, key));
        if at.index >= Token::PLACES_MAX {
            // More than any limit on descriptors allows.
            self.sockets.remove(at);
            self.worker.handle_reset(key);
            self.worker.settle(key, self.now, || true);
            return;
        }
        let index = key.index as usize;
        if index >= self.places.len() {
            self.places.resize(index + 1, at);
        }
        self.places[index] = at;
        if let Some(socket) = self.sockets.get_mut(at) {
            socket.appetite.is_there = true;
            socket.listen(&mut self.kernel, at);
        }
    }

    pub(super) fn handle_receive(&mut self, completion: &Completion<K::Socket>) {
        let at = completion.token.place();
        let Some(socket) = self.sockets.get_mut(at) else {
            self.strays += 1;
            return self.take_back(completion.buffer);
        };
        if !completion.more {
            socket.receive = Flight::Idle;
        }
        if socket.closing {
            self.take_back(completion.buffer);
            return self.close_at_rest(at);
        }
        match (completion.result, completion.buffer) {
            (Ok(count), Some(id)) if count > 0 => self.deliver(at, id, count as usize),
            (Ok(_), unused) => {
                self.take_back(unused);
                self.end_receiving(at);
            }
            (Err(errno), unused) => {
                self.take_back(unused);
                self.fail_receiving(at, errno);
            }
        }
    }

    /// Gives the worker what stands in a buffer, and the kernel the buffer.
    fn deliver(&mut self, at: Key, id: u16, count: usize) {
        let mut lease = match self.buffers.take(id) {
            Ok(lease) => lease,
            Err(error) => return self.broken = Some(error),
        };
        let Some(socket) = self.sockets.get_mut(at) else {
            return;
        };
        let key = socket.key;
        let count = count.min(lease.len());
        let appetite = self.worker.advance_with(key, &mut lease, count, self.now);
        self.buffers.give_back(self.kernel.table(), id, lease);
        socket.heard = socket.heard.saturating_add(1);
        let before = std::mem::replace(&mut socket.appetite, appetite);
        if appetite.is_small || !before.is_there && !appetite.is_there {
            socket.cease_receiving(&mut self.kernel, at);
        }
        self.conclude(at);
    }

    fn take_back(&mut self, unused: Option<u16>) {
        let Some(id) = unused else { return };
        match self.buffers.take(id) {
            Ok(lease) => self.buffers.give_back(self.kernel.table(), id, lease),
            Err(error) => self.broken = Some(error),
        }
    }

    /// The client has ended its side.
    fn end_receiving(&mut self, at: Key) {
        let Some(socket) = self.sockets.get_mut(at) else {
            return;
        };
        if !std::mem::replace(&mut socket.ended, true) {
            socket.end_due = true;
            self.serve(at);
        }
    }

    /// Tells the worker of the client's end, once it has seen everything before it.
    fn tell_of_end(&mut self, at: Key) {
        let Some(socket) = self.sockets.get_mut(at) else {
            return;
        };
        if socket.end_due && !self.worker.has_yielded(socket.key) {
            socket.end_due = false;
            let key = socket.key;
            self.worker.handle_eof(key);
            self.worker.advance(key, self.now);
        }
    }

    fn fail_receiving(&mut self, at: Key, errno: Errno) {
        match errno {
            Errno::NOBUFS => {
                self.buffers.grow(self.kernel.table());
                self.listen(at);
            }
            // It was cancelled: by us, and it may be wanted again by now.
            Errno::CANCELED | Errno::INTR | Errno::AGAIN => self.listen(at),
            _ => self.break_off(at),
        }
    }

    /// The connection is broken.
    fn break_off(&mut self, at: Key) {
        let Some(socket) = self.sockets.get_mut(at) else {
            return;
        };
        socket.ended = true;
        socket.end_due = false;
        let key = socket.key;
        self.worker.handle_reset(key);
        if let Some(output) = self.worker.output(key) {
            output.clear();
        }
        self.conclude(at);
    }

    pub(super) fn handle_watch(&mut self, completion: &Completion<K::Socket>) {
        let at = completion.token.place();
        let Some(socket) = self.sockets.get_mut(at) else {
            self.strays += 1;
            return;
        };
        if !completion.more {
            socket.watch = Flight::Idle;
        }
        if socket.closing {
            return self.close_at_rest(at);
        }
        let broken = PollFlags::HUP | PollFlags::ERR;
        let events = completion.result.unwrap_or_default();
        let is_broken = events & u32::from(broken.bits()) != 0;
        socket.is_gone |= is_broken;
        // What is being received for is told of with the bytes before it.
        if is_broken && socket.receive != Flight::Running {
            return self.break_off(at);
        }
        if socket.receive.is_idle() && completion.result.is_ok() {
            socket.listen(&mut self.kernel, at);
        }
    }

    pub(super) fn handle_send(&mut self, completion: &Completion<K::Socket>) {
        let at = completion.token.place();
        let Some(socket) = self.sockets.get_mut(at) else {
            self.strays += 1;
            return;
        };
        socket.send = Flight::Idle;
        socket.unsettled = false;
        let key = socket.key;
        let Some(mut sending) = socket.sending.take() else {
            self.strays += 1;
            return;
        };
        let sent = match completion.result {
            Ok(count) if count > 0 => Some(count as usize),
            Err(Errno::AGAIN | Errno::INTR) => Some(0),
            Ok(_) | Err(_) => None,
        };
        let left = sending.end(sent.unwrap_or_default());
        if socket.closing {
            self.spares.keep(sending);
            return self.close_at_rest(at);
        }
        let output = self.worker.output(key);
        match (sent, output) {
            (Some(count), Some(output)) => {
                output.advance(count);
                if left {
                    socket.sending = Some(sending);
                    socket.transmit(&mut self.kernel, at);
                } else {
                    self.spares.keep(sending);
                }
            }
            (None, Some(output)) => {
                output.abandon();
                self.spares.keep(sending);
                self.worker.handle_reset(key);
            }
            (_, None) => self.spares.keep(sending),
        }
        self.conclude(at);
    }

    /// Serves a connection that has something to do without input.
    pub(super) fn serve_key(&mut self, key: Key) {
        if let Some(at) = find(&self.sockets, &self.places, key) {
            self.serve(at);
        }
    }

    fn serve(&mut self, at: Key) {
        let Some(socket) = self.sockets.get(at) else {
            return;
        };
        self.worker.advance(socket.key, self.now);
        self.tell_of_end(at);
        self.conclude(at);
    }

    /// After the worker has done what it could: sends what there is to send, or does with the socket what came of it.
    fn conclude(&mut self, at: Key) {
        let Some(socket) = self.sockets.get(at) else {
            return;
        };
        let key = socket.key;
        for _ in 0..SERVES_PER_TURN {
            if self.begin_send(at) {
                // Its completion tells what came of it.
                self.unsettled.push(at);
                return;
            }
            let (kernel, sockets) = (&self.kernel, &self.sockets);
            let is_delivered = || {
                let socket = sockets.get(at);
                socket.is_none_or(|socket| kernel.is_delivered(socket.socket()))
            };
            match self.worker.settle(key, self.now, is_delivered) {
                Verdict::Again => {
                    self.worker.advance(key, self.now);
                    self.tell_of_end(at);
                }
                Verdict::Wait { .. } => return self.listen_if_wanted(at),
                Verdict::Shutdown => {
                    if let Some(socket) = self.sockets.get(at) {
                        self.kernel.shut_down(socket.socket());
                    }
                    self.worker.handle_shutdown(key, self.now);
                }
                Verdict::Stale => return,
                Verdict::Close => return self.close(at, false),
                Verdict::Reset => return self.close(at, true),
            }
        }
        self.worker.put_off(key);
    }

    /// Draws the conclusions for sends that did not complete at once.
    pub(super) fn settle_all(&mut self) {
        while let Some(at) = self.settling.pop() {
            if let Some(socket) = self.sockets.get_mut(at)
                && std::mem::take(&mut socket.unsettled)
                && !socket.closing
            {
                self.conclude(at);
            }
        }
    }

    /// Sends what the connection has to say, unless something of it is on its way. Returns whether it began.
    fn begin_send(&mut self, at: Key) -> bool {
        let Some(socket) = self.sockets.get_mut(at) else {
            return false;
        };
        if !socket.send.is_idle() {
            return false;
        }
        let (worker, key) = (&mut self.worker, socket.key);
        let lent = self.spares.take_if(|spare| worker.lend_output(key, spare));
        let Some(sending) = lent else {
            return false;
        };
        socket.sending = Some(sending);
        socket.unsettled = true;
        socket.transmit(&mut self.kernel, at);
        true
    }

    fn listen_if_wanted(&mut self, at: Key) {
        if let Some(socket) = self.sockets.get_mut(at) {
            socket.appetite = self.worker.appetite(socket.key);
            self.listen(at);
        }
    }

    fn listen(&mut self, at: Key) {
        let Some(socket) = self.sockets.get_mut(at) else {
            return;
        };
        // Nobody receives any more what would have told of that.
        let is_over = socket.is_gone && socket.receive.is_idle() && !socket.appetite.is_there;
        if is_over && !socket.ended {
            return self.break_off(at);
        }
        socket.listen(&mut self.kernel, at);
    }

    /// Tells connections that the server stops, each of them once it has been given what had come by then.
    pub(super) fn tell_of_stop(&mut self) {
        let mut stopping = std::mem::take(&mut self.stopping);
        let drained = self.kernel.is_drained();
        stopping.retain(|key| self.is_told_later(*key, drained));
        debug_assert!(self.stopping.is_empty());
        self.stopping = stopping;
    }

    fn is_told_later(&mut self, key: Key, drained: bool) -> bool {
        let Some(at) = find(&self.sockets, &self.places, key) else {
            return false;
        };
        let Some(socket) = self.sockets.get(at) else {
            return false;
        };
        let is_received_for = socket.appetite.is_there && socket.receive == Flight::Running;
        if is_received_for
            && socket.heard < HEARD_MAX
            && !(drained && self.kernel.is_quiet(socket.socket()))
        {
            return true;
        }
        self.worker.handle_stop(key, self.now);
        self.serve(at);
        false
    }

    /// The connection is over. The socket is closed when the kernel is done with it, which is with the next wait.
    fn close(&mut self, at: Key, reset: bool) {
        let Some(socket) = self.sockets.get_mut(at) else {
            return;
        };
        socket.closing = true;
        let kernel = &self.kernel;
        self.worker
            .farewell(|bytes| kernel.say_at_once(socket.socket(), bytes));
        if reset {
            self.kernel.reset_on_close(socket.socket());
        }
        socket.cease(&mut self.kernel, at);
        self.close_at_rest(at);
    }

    fn close_at_rest(&mut self, at: Key) {
        let at_rest = self.sockets.get(at).is_some_and(Socket::is_at_rest);
        if at_rest {
            self.sockets.remove(at);
        }
    }
}
