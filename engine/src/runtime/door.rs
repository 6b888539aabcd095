//! A worker's door, the same on every driver: who comes in, who goes to make room, and how it is closed when the server
//! stops. How sockets are watched, read and closed is the driver's.

use super::accepting::Accepting;
use super::turn;
use crate::control::{Control, StopPlan, StopStep};
use crate::exchange::Dispatch;
use crate::listener::{Accepted, Listening, Newcomer, Refused};
use crate::slab::Key;
use crate::worker::Worker;
use lanner_limits::{Limits, Moment, Trip};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

/// One worker's door.
///
/// ```text
/// open ─ the stop begins ─▶ closing ─ nothing is being accepted any more ─▶ closed
/// ```
pub(super) struct Door {
    pub(super) accepting: Accepting,
    control: Arc<Control>,
    limits: Rc<Limits>,
    stop: StopPlan,
    /// The driver has been told to watch the listeners.
    watching: bool,
    has_watched: bool,
    closing: bool,
}

impl Door {
    pub(super) fn new<D: Dispatch>(
        worker: &Worker<D>,
        listeners: Vec<Listening>,
        control: Arc<Control>,
        now: Moment,
    ) -> Self {
        let shared = &worker.shared;
        Self {
            accepting: Accepting::new(listeners, &shared.limits, shared.counters.clone(), now),
            control,
            limits: shared.limits.clone(),
            stop: StopPlan::Running,
            watching: false,
            has_watched: false,
            closing: false,
        }
    }

    /// When the door has something to do without being knocked at. To be asked between [`turn::ends`], which said
    /// `before`, and the wait.
    pub(super) fn due<D: Dispatch>(&self, worker: &Worker<D>, before: Moment) -> Option<Moment> {
        let stop = turn::stop_due(worker, self.stop, before);
        [stop, self.accepting.due()].into_iter().flatten().min()
    }

    /// Whether nobody comes in any more: the worker ends with its last connection.
    pub(super) fn is_closed(&self) -> bool {
        self.stop.is_draining() && !self.closing
    }
}

/// What the door needs of a driver, and what a driver gets for it.
pub(super) trait Doorkeeper<D: Dispatch> {
    /// A connection's socket, as this driver holds it.
    type Socket;

    fn door(&mut self) -> &mut Door;

    fn now(&self) -> Moment;

    /// Uses the worker. Nothing else of the driver is called meanwhile.
    fn with_worker<R>(&mut self, how: impl FnOnce(&mut Worker<D>) -> R) -> R;

    /// Begins or ceases to watch the listeners.
    fn watch_listeners(&mut self, on: bool) -> io::Result<()>;

    /// Whether no connection can be on its way in that the driver has taken from a listener already. Asked again in the
    /// next turn if not.
    fn has_ceased_accepting(&mut self) -> bool {
        true
    }

    fn adopt(&mut self, descriptor: OwnedFd) -> Self::Socket;

    /// Begins to serve a connection of the worker's.
    fn open(&mut self, key: Key, socket: Self::Socket);

    /// Sheds a connection if the server is near its cap, or would be with so many newcomers. Returns whether it did; the
    /// place is free then, and the socket is closed soon.
    fn make_room(&mut self, newcomers: usize) -> bool;

    /// The server stops: gives the worker what the client has sent by now, and then the news.
    fn stop_connection(&mut self, key: Key);

    /// Serves a connection that the worker has been told to cut.
    fn cut_connection(&mut self, key: Key);

    /// What the door does once a turn, after everybody has been served.
    fn mind_the_door(&mut self) -> io::Result<()> {
        let now = self.now();
        let watch = self.door().accepting.resume(now);
        match self.watch(watch) {
            // The kernel is short of memory or of watches, for which a neighbour may be to blame. It did before.
            Err(error) if self.door().has_watched => self.door().accepting.pause(&error, now),
            watched => watched?,
        }
        self.follow_stop()
    }

    fn watch(&mut self, on: bool) -> io::Result<()> {
        if self.door().watching == on {
            return Ok(());
        }
        if let Err(error) = self.watch_listeners(on) {
            // None rather than some of them.
            let _ = self.watch_listeners(false);
            return Err(error);
        }
        self.door().watching = on;
        self.door().has_watched |= on;
        Ok(())
    }

    /// Takes the connections that a listener has, as many as a turn may.
    fn accept(&mut self, number: usize) {
        for _ in 0..self.door().accepting.share(number) {
            if !self.accept_one(number) {
                return;
            }
        }
    }

    /// Takes one connection from a listener. Returns whether there may be another.
    fn accept_one(&mut self, number: usize) -> bool {
        let now = self.now();
        match self.door().accepting.accept(number, now) {
            Ok(Accepted {
                descriptor,
                newcomer,
            }) => {
                let socket = self.adopt(descriptor);
                self.admit(socket, newcomer);
            }
            Err(Refused::Gone) => {}
            Err(Refused::None) => return false,
            Err(Refused::Exhausted(error)) => {
                self.exhausted(number, &error);
                return false;
            }
        }
        true
    }

    /// A listener has a connection, but descriptors or memory ran out: sheds one, as at the cap, or turns the newcomer away.
    fn exhausted(&mut self, number: usize, error: &io::Error) {
        // The process is at a cap of the system's, however far from its own. Where it is the system that has run out, what
        // we close may go to anybody.
        let ours = Errno::from_io_error(error) == Some(Errno::MFILE);
        // The kernel looks for a descriptor before it looks who is there.
        let is_awaited = self.door().accepting.is_awaited(number);
        let as_at_the_cap = self.door().limits.max_connections;
        let has_shed = ours && is_awaited && self.make_room(as_at_the_cap);
        let now = self.now();
        self.door()
            .accepting
            .exhausted(number, error, has_shed, now);
    }

    /// Begins to serve a connection that was accepted, or closes it if it is one too many.
    fn admit(&mut self, socket: Self::Socket, newcomer: Newcomer) {
        let mut admitted = self.with_worker(|worker| worker.admit(&newcomer.info));
        if matches!(admitted, Err(Trip::MaxConnections)) && self.make_room(1) {
            admitted = self.with_worker(|worker| worker.admit(&newcomer.info));
        }
        let permit = match admitted {
            Ok(permit) => permit,
            Err(trip) => return self.with_worker(|worker| worker.reject(trip)),
        };
        self.make_room(0);
        let now = self.now();
        let key = self.with_worker(|worker| worker.accept(newcomer, permit, now));
        self.open(key, socket);
    }

    fn follow_stop(&mut self) -> io::Result<()> {
        let real = self.with_worker(|worker| worker.context.real());
        let door = self.door();
        let phase = door.control.phase();
        match door.stop.step(phase, &door.limits, real) {
            StopStep::Nothing => {}
            StopStep::CloseListeners => door.closing = true,
            StopStep::CutAll => {
                door.closing = false;
                self.close_listeners()?;
                for key in self.with_worker(|worker| worker.keys()) {
                    self.with_worker(|worker| worker.handle_stop_deadline(key));
                    self.cut_connection(key);
                }
            }
        }
        if self.door().closing && self.has_ceased_accepting() {
            self.empty_queues()?;
        }
        Ok(())
    }

    /// Accepts what was queued before the stop, then closes: closing a listener resets what is queued on it.
    fn empty_queues(&mut self) -> io::Result<()> {
        let door = self.door();
        door.closing = false;
        let queued_max = door.limits.tcp_backlog;
        for number in 0..door.accepting.unlimit() {
            // No more than a queue holds: newcomers must not hold the stop up.
            let _ = (0..queued_max).find(|_| !self.accept_one(number));
        }
        self.close_listeners()?;
        let now = self.now();
        for key in self.with_worker(|worker| worker.stop(now)) {
            self.stop_connection(key);
        }
        Ok(())
    }

    /// A listener may stay open elsewhere, with another worker or whoever passed it to us: it is not to wake this one
    /// any more.
    fn close_listeners(&mut self) -> io::Result<()> {
        self.watch(false)?;
        self.door().accepting.close();
        Ok(())
    }
}
