//! One connection's task. It owns the socket, carries bytes between it and the worker, and does what the worker's
//! verdict says.
//!
//! At most one read and one write are in flight. A pending read is kept whatever else happens; a connection that has
//! been silent for a moment, or has never spoken, has no read pending and no buffer: the hub watches its socket. While
//! a write is in flight the connection goes on reading and answering; what it has to send gathers behind it.
//!
//! What a peer can make us hold beyond the worker's own bounds is what one read brings in: it stays here while the
//! worker wants no input, and no further read is begun.

use super::piece::{self, Piece};
use super::shell::{News, Shell, Slot};
use super::{Canceller, Outcome, Tasks};
use crate::exchange::Dispatch;
use crate::runtime::delivery;
use crate::slab::Key;
use crate::worker::{Verdict, Worker};
use lanner_limits::Moment;
use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::Shutdown;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

/// How often a connection is served in one turn while it could go on at once.
const SERVES_PER_TURN: usize = 16;

/// Begins to serve a connection.
///
/// # Errors
/// If the socket cannot be registered.
pub(super) fn spawn<D: Dispatch, T: Tasks>(
    shell: &Rc<Shell<D>>,
    socket: OwnedFd,
    key: Key,
) -> io::Result<()> {
    let descriptor = socket.as_raw_fd();
    let (reader, writer) = T::adopt(socket)?;
    // SAFETY: the task owns the two halves and with them the descriptor. It takes the slot out of the shell before it
    // closes them, and uses the slot's socket only before that.
    let socket = unsafe { BorrowedFd::borrow_raw(descriptor) };
    let slot = shell.open_slot(key, socket);
    T::spawn(serve::<D, T>(shell.clone(), reader, writer, slot));
    Ok(())
}

/// The task.
async fn serve<D: Dispatch, T: Tasks>(
    shell: Rc<Shell<D>>,
    reader: T::Reader,
    writer: T::Writer,
    slot: Rc<Slot>,
) {
    let _task = Task(shell.clone());
    let mut served = Served::<D, T::Canceller>::new(&shell, &slot);
    // One that has not said anything yet gets no memory to say it into.
    if !slot.has_input() {
        served.park();
    }
    let (mut reader, mut writer) = (Some(reader), Some(writer));
    let (mut read, mut write) = (pin!(None), pin!(None));
    let reset = poll_fn(|context| {
        slot.register(context.waker());
        let now = shell.enter();
        for _ in 0..SERVES_PER_TURN {
            let mut busy = served.hear(slot.take_news());
            if let Some((half, outcome)) = poll_operation(&mut read, context) {
                reader = Some(half);
                served.handle_read(outcome);
                busy = true;
            }
            if let Some((half, outcome)) = poll_operation(&mut write, context) {
                writer = Some(half);
                served.handle_write(outcome);
                busy = true;
            }
            if !busy {
                return Poll::Pending;
            }
            if let Some(end) = served.serve(now) {
                return Poll::Ready(end == End::Reset);
            }
            if let Some(half) = writer.take_if(|_| served.lent.is_some())
                && let Some(piece) = served.lent.take()
            {
                write.set(Some(T::write(half, piece)));
            }
            if let Some(half) = reader.take_if(|_| served.may_read()) {
                let (buffer, handle) = served.begin_read();
                read.set(Some(T::read(half, buffer, handle)));
            }
        }
        // monoio's epoll driver and glommio read and write within the poll: a peer that keeps the socket busy has had its
        // share.
        shell.worker.borrow_mut().put_off(slot.key);
        Poll::Pending
    })
    .await;
    shell.close_slot(&slot);
    let in_flight = T::KEEPS_SOCKETS || reader.is_none() || writer.is_none();
    end(slot.socket, reset, in_flight);
    // Operations in flight own memory that the kernel may still write to, and a reference to the descriptor: until they
    // have completed the socket is not closed.
    poll_fn(|context| {
        shell.enter();
        if let Some((half, (_, buffer))) = poll_operation(&mut read, context) {
            reader = Some(half);
            shell.spare.borrow_mut().keep_read(buffer);
        }
        if let Some((half, _)) = poll_operation(&mut write, context) {
            writer = Some(half);
        }
        if reader.is_some() && writer.is_some() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    if let (Some(reader), Some(writer)) = (reader, writer) {
        T::close(reader, writer);
    }
}

/// Polls an operation, if there is one, and takes it away once it has completed.
fn poll_operation<F: Future>(
    operation: &mut Pin<&mut Option<F>>,
    context: &mut Context<'_>,
) -> Option<F::Output> {
    let Poll::Ready(output) = operation.as_mut().as_pin_mut()?.poll(context) else {
        return None;
    };
    operation.set(None);
    Some(output)
}

/// Ends a connection on the wire, so far as closing the socket does not: with a reset if the peer must not take what
/// it got for the whole, and so that operations in flight complete.
fn end(socket: BorrowedFd<'_>, reset: bool, in_flight: bool) {
    if reset {
        // Dissolving a TCP connection sends a reset at once, without an end of the stream before it, and fails what is
        // in flight. A unix socket refuses; closing it is all there is.
        if rustix::net::connect_unspec(socket).is_err() {
            let _ = rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO));
        }
    }
    if in_flight {
        let _ = rustix::net::shutdown(socket, Shutdown::Both);
    }
}

/// Counts a task for as long as it lives.
struct Task<D: Dispatch>(Rc<Shell<D>>);

impl<D: Dispatch> Drop for Task<D> {
    fn drop(&mut self) {
        self.0.task_ends();
    }
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Close,
    Reset,
}

/// What has come in and has not been given to the worker yet.
#[derive(Debug)]
enum Arrived {
    Nothing,
    Bytes { buffer: Vec<u8>, from: usize },
    End,
}

/// Who waits for input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    /// A read, or nobody: a read may be begun.
    Here,
    /// A read is being cancelled.
    GivingUp,
    /// The hub, which was told whether input is wanted.
    Parked { read: bool },
}

/// The connection's state apart from the operations in flight.
struct Served<'a, D: Dispatch, C: Canceller> {
    shell: &'a Rc<Shell<D>>,
    key: Key,
    slot: &'a Slot,
    arrived: Arrived,
    /// The worker wants input.
    wants_read: bool,
    /// The last read filled its buffer.
    large: bool,
    reading: bool,
    writing: bool,
    waiting: Waiting,
    /// The hub's epoll knows the socket.
    known: bool,
    /// To be written next.
    lent: Option<Piece>,
    canceller: C,
    /// The server stops, and the worker is to be told once what had been sent before is read.
    stop: Option<Stop>,
    /// The connection was ended from outside.
    ended: Option<End>,
}

/// How far the news of a stop has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Heard,
    /// Something was waiting in the socket; a read will bring it.
    Awaited,
    /// It has been read.
    Due,
}

impl<'a, D: Dispatch, C: Canceller> Served<'a, D, C> {
    fn new(shell: &'a Rc<Shell<D>>, slot: &'a Slot) -> Self {
        Self {
            shell,
            key: slot.key,
            slot,
            arrived: Arrived::Nothing,
            wants_read: true,
            large: false,
            reading: false,
            writing: false,
            waiting: Waiting::Here,
            known: false,
            lent: None,
            canceller: C::default(),
            stop: None,
            ended: None,
        }
    }

    /// Takes in what the hub tells. Returns whether the connection is to be served.
    fn hear(&mut self, news: News) -> bool {
        if news.is_empty() {
            return false;
        }
        if news.has(News::CLOSED) {
            let reset = news.has(News::RESET);
            self.ended = Some(if reset { End::Reset } else { End::Close });
        }
        if news.has(News::READABLE | News::BROKEN) {
            self.waiting = Waiting::Here;
        }
        if news.has(News::STOP) {
            self.stop = Some(Stop::Heard);
        }
        if news.has(News::BROKEN) {
            // If input is wanted a read says what happened.
            let mut worker = self.shell.worker.borrow_mut();
            if worker.room(self.key).is_none() {
                worker.handle_reset(self.key);
            }
        }
        if news.has(News::QUIET) {
            self.fall_quiet();
        }
        news != News::QUIET || self.waiting == Waiting::Here
    }

    /// Nothing has happened for a moment: an idle connection holds no buffer.
    fn fall_quiet(&mut self) {
        if self.waiting != Waiting::Here {
            return;
        }
        if self.reading {
            self.waiting = Waiting::GivingUp;
            self.canceller.cancel();
        } else {
            self.park();
        }
    }

    /// Has the hub watch the socket. What is not watched for input is watched for its end all the same: a client that
    /// is gone frees what is being done for it.
    fn park(&mut self) {
        let read = self.wants_read;
        match self.shell.park(self.slot, read, self.known) {
            Ok(()) => {
                self.known = true;
                self.waiting = Waiting::Parked { read };
            }
            // Then it waits with a buffer.
            Err(_) => self.waiting = Waiting::Here,
        }
    }

    fn may_read(&self) -> bool {
        self.wants_read && self.waiting == Waiting::Here && matches!(self.arrived, Arrived::Nothing)
    }

    fn begin_read(&mut self) -> (Vec<u8>, C::Handle) {
        self.reading = true;
        let buffer = self.shell.spare.borrow_mut().take_for_reading(self.large);
        (buffer, self.canceller.handle())
    }

    fn handle_read(&mut self, (result, buffer): Outcome<Vec<u8>>) {
        self.reading = false;
        let gave_up = self.waiting == Waiting::GivingUp;
        self.waiting = Waiting::Here;
        match result.map_err(|error| Errno::from_io_error(&error)) {
            Ok(0) => {
                self.arrived = Arrived::End;
                self.note_read();
            }
            // A read that was to be cancelled may have completed all the same.
            Ok(count) => {
                self.large = piece::is_large(count);
                self.arrived = Arrived::Bytes { buffer, from: 0 };
                return self.note_read();
            }
            Err(Some(Errno::CANCELED)) if gave_up => self.park(),
            Err(Some(Errno::AGAIN | Errno::INTR | Errno::CANCELED)) => {}
            Err(_) => {
                self.shell.worker.borrow_mut().handle_reset(self.key);
                self.note_read();
            }
        }
        self.shell.spare.borrow_mut().keep_read(buffer);
    }

    fn note_read(&mut self) {
        if self.stop == Some(Stop::Awaited) {
            self.stop = Some(Stop::Due);
        }
    }

    fn handle_write(&mut self, (result, mut piece): Outcome<Piece>) {
        self.writing = false;
        let mut worker = self.shell.worker.borrow_mut();
        let Some(output) = worker.output(self.key) else {
            return;
        };
        let left = match result.map_err(|error| Errno::from_io_error(&error)) {
            Ok(count) if count > 0 => {
                output.advance(count);
                piece.advance(count)
            }
            Err(Some(Errno::AGAIN | Errno::INTR)) => true,
            _ => {
                output.abandon();
                return worker.handle_reset(self.key);
            }
        };
        if left {
            self.lent = Some(piece);
            self.writing = true;
        } else {
            self.shell.spare.borrow_mut().keep_written(piece);
        }
    }

    /// Lets the connection do what it can, takes what it has to say, and draws the conclusions.
    fn serve(&mut self, now: Moment) -> Option<End> {
        if self.ended.is_some() {
            return self.ended;
        }
        if self.must_read_first() {
            self.unpark();
            return None;
        }
        let mut worker = self.shell.worker.borrow_mut();
        for _ in 0..SERVES_PER_TURN {
            self.deliver(&mut worker);
            worker.advance(self.key, now);
            self.borrow_output(&mut worker);
            let is_delivered = || delivery::is_over(self.slot.socket);
            match worker.settle(self.key, now, is_delivered) {
                Verdict::Again => {}
                Verdict::Shutdown => {
                    let _ = rustix::net::shutdown(self.slot.socket, Shutdown::Write);
                    worker.handle_shutdown(self.key, now);
                }
                Verdict::Close => {
                    worker.farewell(|bytes| delivery::say_at_once(self.slot.socket, bytes));
                    return Some(End::Close);
                }
                Verdict::Stale => return Some(End::Close),
                Verdict::Reset => return Some(End::Reset),
                Verdict::Wait { read, .. } => {
                    self.wants_read = read;
                    if !self.can_deliver(&mut worker) && !self.pass_on_stop(&mut worker, now) {
                        self.unpark();
                        self.note_activity();
                        return None;
                    }
                }
            }
        }
        worker.put_off(self.key);
        None
    }

    /// Gives the worker what has come in, as far as it has room for it.
    fn deliver(&mut self, worker: &mut Worker<D>) {
        if matches!(self.arrived, Arrived::Nothing) {
            return;
        }
        let Some(room) = worker.room(self.key) else {
            return;
        };
        match std::mem::replace(&mut self.arrived, Arrived::Nothing) {
            Arrived::Nothing => {}
            Arrived::End => worker.handle_eof(self.key),
            Arrived::Bytes { buffer, from } => {
                let count = room.len().min(buffer.len() - from);
                room[..count].copy_from_slice(&buffer[from..from + count]);
                worker.received(self.key, count);
                if from + count < buffer.len() {
                    let from = from + count;
                    self.arrived = Arrived::Bytes { buffer, from };
                } else {
                    self.shell.spare.borrow_mut().keep_read(buffer);
                }
            }
        }
    }

    fn can_deliver(&self, worker: &mut Worker<D>) -> bool {
        !matches!(self.arrived, Arrived::Nothing) && worker.room(self.key).is_some()
    }

    /// Takes output to be written, unless some is being written.
    fn borrow_output(&mut self, worker: &mut Worker<D>) {
        if self.writing {
            return;
        }
        let Some(output) = worker.output(self.key) else {
            return;
        };
        if output.is_drained() {
            return;
        }
        let spare = self.shell.spare.borrow_mut().take_for_writing();
        if let Some(lent) = output.lend(spare) {
            self.lent = Some(Piece::new(lent));
            self.writing = true;
        }
    }

    /// Whether the server stops, and what the client had sent by then has yet to be read.
    fn must_read_first(&mut self) -> bool {
        // All that a read had received was taken in before the news came, so what there is is in the socket.
        if self.stop == Some(Stop::Heard)
            && self.wants_read
            && matches!(self.arrived, Arrived::Nothing)
            && self.slot.has_input()
        {
            self.stop = Some(Stop::Awaited);
        }
        self.stop == Some(Stop::Awaited)
    }

    /// Tells the worker that the server stops. Returns whether there was a need.
    fn pass_on_stop(&mut self, worker: &mut Worker<D>, now: Moment) -> bool {
        if self.stop.take().is_none() {
            return false;
        }
        worker.handle_stop(self.key, now);
        true
    }

    /// Takes the socket back from the hub if a read is to be begun now, which the hub does not watch for.
    fn unpark(&mut self) {
        let stops = self.stop == Some(Stop::Awaited);
        if let Waiting::Parked { read } = self.waiting
            && self.wants_read
            && (!read || stops)
        {
            self.waiting = Waiting::Here;
        }
    }

    fn note_activity(&self) {
        if !matches!(self.waiting, Waiting::Parked { .. }) {
            self.shell.note_activity(self.slot);
        }
    }
}
