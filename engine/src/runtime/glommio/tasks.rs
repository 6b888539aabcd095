//! What the shell asks of glommio: reads and writes, tasks and time.
//!
//! glommio reads and writes at once, by system call, and its ring says when that is worth another try. So the kernel
//! never has our memory, and an operation may be dropped at any time. No stream here has a timeout: one of a read that
//! was polled and dropped would stay armed (known fault of glommio 0.9, glommio/glommio issue 67), and the worker has its
//! own deadlines. It sends without MSG_NOSIGNAL, which is why SIGPIPE must be ignored, as it is by Rust's start-up code.

use crate::runtime::tasks::{Canceller, Outcome, Piece, Tasks};
use futures_io::{AsyncRead, AsyncWrite};
use glommio::TaskQueueHandle;
use glommio::net::UnixStream;
use glommio::timer::Timer;
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use rustix::io::Errno;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::os::unix::net::UnixStream as Pair;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

/// How soon the epoll is looked at again when there is no descriptor to wait for it with.
const WITHOUT_DESCRIPTOR: Duration = Duration::from_millis(10);

/// The first number for the descriptors that are closed with each wait and made again: far from those of connections,
/// which other workers take and give back meanwhile, so that they stay the same and a leak can be told from a change.
const NUMBERS: RawFd = 1000;

/// One of a socket's two directions, which glommio does not tell apart.
type Half = Rc<RefCell<UnixStream>>;

/// glommio's tasks.
pub(super) struct GlommioTasks;

impl Tasks for GlommioTasks {
    type Reader = Half;
    type Writer = Half;
    type Canceller = GivingUp;
    type Sleep = Sleep;
    type Watched = Watched;

    /// Known fault of glommio 0.9: a stream waits for the next input before anybody asks for it, and a descriptor that
    /// is closed meanwhile leaves the socket open until the ring has heard of it.
    const KEEPS_SOCKETS: bool = true;

    fn adopt(socket: OwnedFd) -> io::Result<(Half, Half)> {
        let half = Rc::new(RefCell::new(stream(socket)));
        Ok((half.clone(), half))
    }

    fn close(reader: Half, writer: Half) {
        drop((reader, writer));
    }

    async fn read(
        reader: Half,
        mut buffer: Vec<u8>,
        handle: Rc<Cell<bool>>,
    ) -> (Half, Outcome<Vec<u8>>) {
        buffer.resize(buffer.capacity(), 0);
        let result = poll_fn(|context| {
            let read = Pin::new(&mut *reader.borrow_mut()).poll_read(context, &mut buffer);
            if read.is_pending() && handle.get() {
                return Poll::Ready(Err(Errno::CANCELED.into()));
            }
            read
        })
        .await;
        buffer.truncate(*result.as_ref().unwrap_or(&0));
        (reader, (result, buffer))
    }

    async fn write(writer: Half, piece: Piece) -> (Half, Outcome<Piece>) {
        let result = poll_fn(|context| {
            Pin::new(&mut *writer.borrow_mut()).poll_write(context, piece.rest())
        })
        .await;
        (writer, (result, piece))
    }

    fn watch(epoll: BorrowedFd<'_>) -> io::Result<Watched> {
        let watched = Watched {
            epoll: epoll.try_clone_to_owned()?,
            next: Cell::default(),
        };
        watched.prepare(NUMBERS);
        Ok(watched)
    }

    /// Known fault of glommio 0.9: it waits for a descriptor that is no socket in one case only, when a stream is made
    /// of it. Each wait takes a stream of its own, which closes its descriptor.
    async fn readable(watched: &Watched) {
        let Some(descriptor) = watched.next.take() else {
            Timer::new(WITHOUT_DESCRIPTOR).await;
            return watched.prepare(NUMBERS);
        };
        let number = descriptor.as_raw_fd();
        let mut watch = stream(descriptor);
        // The wait has ended when the read is tried. An epoll cannot be read, which does not matter.
        let _ = poll_fn(|context| Pin::new(&mut watch).poll_read(context, &mut [0])).await;
        drop(watch);
        watched.prepare(number);
    }

    fn watch_can_be_dropped() -> bool {
        true
    }

    fn sleep(duration: Duration) -> Sleep {
        Sleep(Timer::new(duration))
    }

    /// Into the queue by its name: a task that is spawned without one runs at once, within the one that spawns it.
    fn spawn(task: impl Future<Output = ()> + 'static) {
        let spawned = glommio::spawn_local_into(task, TaskQueueHandle::default());
        spawned
            .expect("an executor has its first queue for as long as it lives")
            .detach();
    }

    fn spawning_hurries() -> bool {
        false
    }
}

/// An epoll to be waited for.
pub(super) struct Watched {
    epoll: OwnedFd,
    /// A duplicate for the next wait: taken in time, for there may be none left to take later.
    next: Cell<Option<OwnedFd>>,
}

impl Watched {
    /// Prepares the next wait, if possible with a descriptor of this number.
    fn prepare(&self, number: RawFd) {
        let duplicate = |from| rustix::io::fcntl_dupfd_cloexec(&self.epoll, from);
        // Numbers may be bounded below it.
        self.next
            .set(duplicate(number).or_else(|_| duplicate(0)).ok());
    }
}

/// How a read is given up: it is told, and says so when it is polled next.
#[derive(Debug, Default)]
pub(super) struct GivingUp(Rc<Cell<bool>>);

impl Canceller for GivingUp {
    type Handle = Rc<Cell<bool>>;

    fn handle(&self) -> Rc<Cell<bool>> {
        self.0.clone()
    }

    /// The task that cancels a read polls it next.
    fn cancel(&mut self) {
        std::mem::take(&mut self.0).set(true);
    }
}

/// glommio's timer without what it says in the end.
#[derive(Debug)]
pub(super) struct Sleep(Timer);

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(context).map(drop)
    }
}

/// glommio's thinnest stream: receive, send and poll on a descriptor, which is all that TCP needs as well.
fn stream(descriptor: OwnedFd) -> UnixStream {
    // SAFETY: the descriptor is open, and nobody else's: from now on it is the stream's, which closes it.
    unsafe { UnixStream::from_raw_fd(descriptor.into_raw_fd()) }
}

/// Sends a byte to itself, which the ring announces.
pub(super) async fn echo() -> io::Result<()> {
    let (near, far) = Pair::pair()?;
    let (mut near, mut far) = (stream(near.into()), stream(far.into()));
    let mut echoed = [0];
    let mut read = std::pin::pin!(poll_fn(
        |context| Pin::new(&mut far).poll_read(context, &mut echoed)
    ));
    let mut sent = false;
    let received = poll_fn(|context| {
        let received = read.as_mut().poll(context);
        if received.is_pending() && !sent {
            sent = true;
            // It fits in, and a failure to send it is an end for the other side.
            let _ = Pin::new(&mut near).poll_write(context, &[7]);
        }
        received
    })
    .await?;
    if (received, echoed) == (1, [7]) {
        Ok(())
    } else {
        Err(io::Error::other("the ring does not carry bytes"))
    }
}
