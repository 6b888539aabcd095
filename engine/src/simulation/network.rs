//! Clients behind sockets, for a kernel that is made up (`runtime/uring/fake.rs`): when each of them does something, what
//! there is to be received from it, and what it has been sent.

use super::app;
use super::client::Client;
use super::random::Random;
use super::socket::Socket as Wire;
use crate::App;
use crate::control::{Control, Phase};
use crate::exchange::{Dispatch, Dispatcher};
use lanner_limits::{Limits, Moment};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How long the end may wait for a moment in which somebody is sending.
const END_LATER: Duration = Duration::from_secs(5);

/// See the file's comment.
pub(crate) struct Network {
    clients: Vec<Client>,
    connected: Vec<bool>,
    control: Arc<Control>,
    stop_at: Duration,
    /// When the server is told to end at once, if it has not ended by then: every connection is cut where it is.
    end_at: Option<Duration>,
    stop_began: Option<Moment>,
    end_began: Option<Moment>,
    /// Sockets that the server has not closed.
    sockets: usize,
    now: Moment,
}

/// What can be received from a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrived {
    Nothing,
    Bytes,
    End,
    Reset,
}

/// A server's socket.
pub(crate) struct Socket {
    /// `None` is one that was gone before it was accepted.
    client: Option<usize>,
    network: Rc<RefCell<Network>>,
    reset: Cell<bool>,
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Socket({:?})", self.client)
    }
}

pub(crate) fn dispatch() -> impl Dispatch {
    Dispatcher::new(app::app, async |app: Rc<_>, request| {
        App::call(&*app, request).await
    })
}

fn real(now: Moment) -> Duration {
    now.since(Moment::ZERO)
}

fn client(random: &mut Random, limits: &Limits) -> Client {
    let mut client = match random.below(20) {
        0 => Client::uploading_to_a_slow_app(random),
        1 => Client::gone_while_being_worked_for(random),
        _ => Client::random(random, limits),
    };
    // Nothing of what it is sent fits anywhere.
    if client.name == "slow reader" && random.once_in(2) {
        client.socket.capacity = 0;
    }
    client
}

impl Network {
    pub(crate) fn random(
        random: &mut Random,
        limits: &Limits,
        control: Arc<Control>,
    ) -> Rc<RefCell<Self>> {
        let clients: Vec<Client> = (0..random.within(1..25))
            .map(|_| client(random, limits))
            .collect();
        // Before, in the middle of, or after everything that the clients do.
        let latest = [20_000, 100_000, 2_000_000][random.below(3)];
        Rc::new(RefCell::new(Self {
            connected: vec![false; clients.len()],
            clients,
            control,
            stop_at: random.millis(0..latest),
            end_at: random.once_in(3).then(|| random.millis(0..latest)),
            stop_began: None,
            end_began: None,
            sockets: 0,
            now: Moment::ZERO,
        }))
    }

    // Time.

    /// When something happens next that is not the server's doing.
    pub(crate) fn next_at(&self, now: Moment) -> Option<Moment> {
        let stop = self.stop_began.is_none().then_some(self.stop_at);
        let end = self.end_at.filter(|_| self.end_began.is_none());
        let end = end.map(|end_at| match real(now) < end_at {
            true => end_at,
            false => end_at + END_LATER,
        });
        let clients = (0..self.clients.len()).filter_map(|index| self.client_at(index));
        let next = clients.chain(stop).chain(end).min()?;
        Some(now.max(Moment::ZERO + next))
    }

    /// When a client does something next. A connection that was begun but not accepted is the kernel's to go on with.
    fn client_at(&self, index: usize) -> Option<Duration> {
        let client = &self.clients[index];
        if self.connected[index] {
            return client.next_at();
        }
        let begins = client.connects_at();
        (!self.is_stopping() && begins > real(self.now)).then_some(begins)
    }

    /// Has everybody do what is due.
    pub(crate) fn let_clients_act(&mut self, now: Moment) {
        self.now = now;
        for index in 0..self.clients.len() {
            let at = self.client_at(index).filter(|_| self.connected[index]);
            if at.is_some_and(|at| at <= real(now)) {
                self.clients[index].act(real(now), now);
            }
        }
        let ends = self.end_at.is_some_and(|end_at| {
            real(now) >= end_at && (self.is_sent_to() || real(now) >= end_at + END_LATER)
        });
        if !self.is_stopping() && (ends || real(now) >= self.stop_at) {
            self.stop_began = Some(now);
            self.clients.iter_mut().for_each(Client::note_stop);
            self.control.advance(Phase::Stopping);
        }
        if ends && self.end_began.is_none() {
            self.end_began = Some(now);
            self.control.advance(Phase::Ending);
        }
    }

    /// Whether something is on its way to the server.
    fn is_sent_to(&self) -> bool {
        self.accepted()
            .any(|(_, client)| !client.socket.inbound.is_empty())
    }

    /// Whether the server has been told to stop.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stop_began.is_some()
    }

    // What the server's kernel does.

    fn connecting(&self, now: Moment) -> Option<usize> {
        let waits = |index: &usize| {
            !self.connected[*index] && self.clients[*index].connects_at() <= real(now)
        };
        let mut clients = 0..self.clients.len();
        clients.find(waits).filter(|_| !self.is_stopping())
    }

    pub(crate) fn somebody_connects(&self, now: Moment) -> bool {
        self.connecting(now).is_some()
    }

    /// Accepts whoever has waited for it.
    pub(crate) fn accept(network: &Rc<RefCell<Self>>, now: Moment) -> Option<Socket> {
        let client = network.borrow().connecting(now)?;
        network.borrow_mut().connected[client] = true;
        Some(Socket::new(network, Some(client)))
    }

    fn wire(&mut self, client: usize) -> &mut Wire {
        &mut self.clients[client].socket
    }

    pub(crate) fn arrived(&self, client: usize) -> Arrived {
        let wire = &self.clients[client].socket;
        match wire {
            _ if wire.client_reset => Arrived::Reset,
            _ if !wire.inbound.is_empty() => Arrived::Bytes,
            _ if wire.client_ended => Arrived::End,
            _ => Arrived::Nothing,
        }
    }

    /// Whether nothing has arrived from a client, which then may be shed.
    pub(crate) fn is_quiet(&mut self, client: usize) -> bool {
        let is_quiet = self.arrived(client) == Arrived::Nothing;
        if is_quiet {
            self.clients[client].note_quiet();
        }
        is_quiet
    }

    /// Whether nothing is on its way in either direction.
    pub(crate) fn is_delivered(&self, client: usize) -> bool {
        let wire = &self.clients[client].socket;
        wire.inbound.is_empty() && wire.outbound.is_empty()
    }

    /// Takes bytes that have arrived.
    pub(crate) fn take(&mut self, client: usize, bytes_max: usize) -> Vec<u8> {
        let inbound = &mut self.wire(client).inbound;
        let count = inbound.len().min(bytes_max);
        inbound.drain(..count).collect()
    }

    /// How many bytes can be written to a client; `None` if it is gone.
    pub(crate) fn room(&self, client: usize) -> Option<usize> {
        let wire = &self.clients[client].socket;
        (!wire.client_reset).then(|| wire.room())
    }

    pub(crate) fn put(&mut self, client: usize, bytes: &[u8]) {
        self.wire(client).outbound.extend(bytes);
    }

    /// Whether a poll would tell of the end of both directions, or of an error.
    pub(crate) fn is_broken(&self, client: usize) -> bool {
        self.clients[client].socket.is_broken()
    }

    pub(crate) fn shut_down(&mut self, client: usize) {
        let now = self.now;
        self.wire(client).server_ended.get_or_insert(now);
    }

    // What came of it.

    /// Clients that have been accepted.
    fn accepted(&self) -> impl Iterator<Item = (usize, &Client)> {
        let clients = self.clients.iter().enumerate();
        clients.filter(|(index, _)| self.connected[*index])
    }

    /// Who is connected, to be told with a failure.
    pub(crate) fn standing(&self) -> String {
        self.accepted()
            .filter(|(_, client)| client.socket.server_closed.is_none())
            .map(|(index, client)| {
                format!("\n{index}, {}: {}", client.name, client.socket.summary())
            })
            .collect()
    }

    /// Checks that every socket has been closed, and what every client was promised. So many were `shed`: they are
    /// promised less.
    pub(crate) fn judge(
        &mut self,
        now: Moment,
        limits: &Limits,
        mut shed: u64,
    ) -> Result<(), String> {
        if self.sockets > 0 {
            return Err(format!("{} sockets were not closed", self.sockets));
        }
        self.let_everything_arrive(now);
        let stop_began = self.stop_began.ok_or("the server was not stopped")?;
        let slack = 2 * limits.timer_resolution;
        let cut_at = stop_began + limits.shutdown_timeout;
        let cut_at = self.end_began.map_or(cut_at, |end| end.min(cut_at));
        for (index, client) in self.accepted() {
            let Err(problem) = client.judge((stop_began, Some(cut_at)), slack, limits) else {
                continue;
            };
            if shed > 0 && client.was_shed_well() {
                shed -= 1;
                continue;
            }
            return Err(format!(
                "client {index}, {}: {problem}\nmarked {:?}, stop began {stop_began}, {}, closed {:?}, reset {}",
                client.name,
                client.marked,
                client.socket.summary(),
                client.socket.server_closed,
                client.socket.server_reset
            ));
        }
        Ok(())
    }

    /// What is on its way still arrives, at the pace of whoever takes it.
    fn let_everything_arrive(&mut self, now: Moment) {
        let mut at = real(now);
        for index in 0..self.clients.len() {
            while self.connected[index]
                && let Some(next) = self.clients[index].next_at()
            {
                at = at.max(next);
                self.clients[index].act(at, now);
            }
        }
    }
}

impl Socket {
    fn new(network: &Rc<RefCell<Network>>, client: Option<usize>) -> Self {
        network.borrow_mut().sockets += 1;
        Self {
            client,
            network: network.clone(),
            reset: Cell::new(false),
        }
    }

    /// One whose client was gone before it was accepted.
    pub(crate) fn of_nobody(network: &Rc<RefCell<Network>>) -> Self {
        Self::new(network, None)
    }

    pub(crate) fn client(&self) -> usize {
        self.client.expect("who is gone is not served")
    }

    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        let number = u32::try_from(self.client?).unwrap_or_default();
        Some((Ipv4Addr::from(0xc000_0200 + number), 1_000).into())
    }

    pub(crate) fn reset_on_close(&self) {
        self.reset.set(true);
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let mut network = self.network.borrow_mut();
        network.sockets -= 1;
        let Some(client) = self.client else { return };
        network.shut_down(client);
        let now = network.now;
        let wire = network.wire(client);
        wire.server_closed = Some(now);
        wire.server_reset = self.reset.get();
        if self.reset.get() {
            wire.outbound.clear();
        }
    }
}
