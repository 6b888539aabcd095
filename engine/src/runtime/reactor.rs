//! Readiness for the sockets that apps open themselves: an epoll of its own, which stands as one descriptor in
//! whatever the backend waits on. So every backend supports outgoing connections with the same few lines.

use crate::waiter::Waiter;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::cell::{Cell, RefCell};
use std::io;
use std::mem::MaybeUninit;
use std::rc::Rc;
use std::task::{Context, Poll};

/// Events taken at once; what is left is reported by the next look.
const EVENTS_PER_LOOK: usize = 64;

/// One worker's outgoing sockets.
#[derive(Debug)]
pub(crate) struct Reactor {
    epoll: Rc<OwnedFd>,
    sources: RefCell<Vec<Option<Rc<Source>>>>,
    free: RefCell<Vec<usize>>,
}

/// One socket's readiness, as far as is known: edge-triggered, so it stays until an operation says it would block.
#[derive(Debug, Default)]
pub(crate) struct Source {
    readable: Cell<bool>,
    writable: Cell<bool>,
    reader: Waiter,
    writer: Waiter,
}

impl Reactor {
    pub(crate) fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Self {
            epoll: Rc::new(epoll),
            sources: RefCell::default(),
            free: RefCell::default(),
        })
    }

    /// Readable while a registered socket has news.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    /// Watches a socket until the number returned is given to [`Reactor::forget`].
    pub(crate) fn watch(&self, socket: BorrowedFd<'_>) -> io::Result<(usize, Rc<Source>)> {
        let mut sources = self.sources.borrow_mut();
        let index = self.free.borrow_mut().pop().unwrap_or(sources.len());
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        if let Err(error) = epoll::add(&self.epoll, socket, EventData::new_u64(index as u64), flags)
        {
            if index < sources.len() {
                self.free.borrow_mut().push(index);
            }
            return Err(error.into());
        }
        let source = Rc::new(Source::default());
        if index == sources.len() {
            sources.push(Some(source.clone()));
        } else {
            sources[index] = Some(source.clone());
        }
        Ok((index, source))
    }

    /// Stops watching a socket that is about to be closed.
    pub(crate) fn forget(&self, index: usize, socket: BorrowedFd<'_>) {
        let _ = epoll::delete(&self.epoll, socket);
        self.sources.borrow_mut()[index] = None;
        self.free.borrow_mut().push(index);
    }

    /// Wakes whoever waits for what has become ready.
    pub(crate) fn look(&self) {
        let mut events = [MaybeUninit::uninit(); EVENTS_PER_LOOK];
        let now = rustix::time::Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let Ok((ready, _)) = epoll::wait(&self.epoll, &mut events[..], Some(&now)) else {
            return;
        };
        for event in ready {
            // The event is packed: its parts are copied out.
            let (index, flags) = (event.data.u64() as usize, event.flags);
            let Some(source) = self.sources.borrow().get(index).cloned().flatten() else {
                continue;
            };
            let broken = flags.intersects(EventFlags::ERR | EventFlags::HUP);
            if broken || flags.intersects(EventFlags::IN | EventFlags::RDHUP) {
                source.readable.set(true);
                source.reader.wake();
            }
            if broken || flags.contains(EventFlags::OUT) {
                source.writable.set(true);
                source.writer.wake();
            }
        }
    }
}

impl Source {
    /// Tries `operation` whenever the socket may be readable.
    pub(crate) fn poll_read<T>(
        &self,
        context: &mut Context<'_>,
        operation: impl FnMut() -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        poll_io(&self.readable, &self.reader, context, operation)
    }

    /// Tries `operation` whenever the socket may be writable.
    pub(crate) fn poll_write<T>(
        &self,
        context: &mut Context<'_>,
        operation: impl FnMut() -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        poll_io(&self.writable, &self.writer, context, operation)
    }
}

fn poll_io<T>(
    ready: &Cell<bool>,
    waiting: &Waiter,
    context: &mut Context<'_>,
    mut operation: impl FnMut() -> io::Result<T>,
) -> Poll<io::Result<T>> {
    if ready.get() {
        loop {
            match operation() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                done => return Poll::Ready(done),
            }
        }
        ready.set(false);
    }
    waiting.wait(context);
    Poll::Pending
}
