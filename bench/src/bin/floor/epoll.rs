//! `floor-epoll [ADDRESS:]PORT [close]`: what the sockets alone cost under epoll. Level-triggered, one read and one write a request; it
//! parses nothing and bounds nothing. Not a server for anything but comparisons.
#![forbid(unsafe_code)]

use std::io;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, OwnedFd};

use crate::answers::{Answers, Debt};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send};

mod answers;

/// Taken per wait.
const EVENTS_MAX: usize = 1024;

/// One read takes at most this.
const READ_BYTES: usize = 32 * 1024;

struct Connection {
    socket: OwnedFd,
    debt: Debt,
    /// What epoll was told to look for.
    interest: EventFlags,
}

fn main() -> io::Result<()> {
    let listener = answers::listener()?;
    let closes = std::env::args().nth(2).is_some_and(|word| word == "close");
    let answers = Answers::with(if closes { "connection: close\r\n" } else { "" });
    listener.set_nonblocking(true)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    // A descriptor's number is its key. It is reused only after its connection is dropped, and one wait tells of a descriptor
    // at most once, so no event meets another connection than its own.
    let listener_key = listener.as_raw_fd() as usize;
    epoll::add(&epoll, &listener, key(listener_key), EventFlags::IN)?;
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut events = Vec::<Event>::with_capacity(EVENTS_MAX);
    let mut bytes = vec![0; READ_BYTES];
    loop {
        events.clear();
        match epoll::wait(&epoll, spare_capacity(&mut events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            let index = event.data.u64() as usize;
            if index == listener_key {
                accept_all(&epoll, &listener, &mut connections);
            } else if let Some(slot) = connections.get_mut(index)
                && let Some(connection) = slot
                && !connection.turn(&answers, closes, &epoll, &mut bytes)
            {
                *slot = None;
            }
        }
    }
}

fn key(index: usize) -> EventData {
    EventData::new_u64(index as u64)
}

/// Any error ends it: nobody is there, or there is no descriptor left, or one connection is lost; epoll tells again.
fn accept_all(epoll: &OwnedFd, listener: &TcpListener, connections: &mut Vec<Option<Connection>>) {
    while let Ok(socket) = accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
        let index = socket.as_raw_fd() as usize;
        if index >= connections.len() {
            connections.resize_with(index + 1, || None);
        }
        let interest = EventFlags::IN;
        if epoll::add(epoll, &socket, key(index), interest).is_ok() {
            connections[index] = Some(Connection {
                socket,
                debt: Debt::default(),
                interest,
            });
        }
    }
}

impl Connection {
    /// One read unless it owes still, and one write if it owes then; false at its end.
    fn turn(&mut self, answers: &Answers, closes: bool, epoll: &OwnedFd, bytes: &mut [u8]) -> bool {
        if self.debt.bytes == 0 {
            match recv(&self.socket, &mut *bytes, RecvFlags::empty()) {
                Ok((_, 0)) => return false,
                Ok((_, count)) => answers.count(&mut self.debt, &bytes[..count]),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(_) => return false,
            }
        }
        if self.debt.bytes > 0 {
            match send(&self.socket, answers.next(self.debt), SendFlags::NOSIGNAL) {
                Ok(count) => self.debt.bytes -= count,
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(_) => return false,
            }
            if self.debt.bytes == 0 && closes {
                return false;
            }
        }
        let wanted = match self.debt.bytes {
            0 => EventFlags::IN,
            _ => EventFlags::OUT,
        };
        let index = self.socket.as_raw_fd() as usize;
        wanted == self.interest
            || epoll::modify(epoll, &self.socket, key(index), wanted)
                .map(|()| self.interest = wanted)
                .is_ok()
    }
}
