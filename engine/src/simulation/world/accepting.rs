//! Letting clients in, or not: what every driver does with a connection fresh from the queue.

use super::World;
use crate::exchange::Dispatch;
use crate::listener::Newcomer;
use crate::request::ConnectionInfo;
use crate::server::ServerInfo;
use crate::simulation::watch::Deed;
use lanner_limits::{Protocols, Trip};
use std::net::SocketAddr;
use std::sync::Arc;

impl<D: Dispatch> World<'_, D> {
    pub(super) fn accept(&mut self, index: usize) {
        let peer = SocketAddr::new(self.clients[index].address(index), 1_000);
        let info = ConnectionInfo {
            id: index as u64,
            peer: Some(peer),
            local: None,
            listener: "sim".into(),
            server: Arc::new(ServerInfo {
                addresses: Vec::new(),
                workers: 1,
                driver: "simulation",
                driver_reason: "a test",
            }),
            tls: None,
        };
        let newcomer = Newcomer {
            info,
            tls: None,
            protocols: Protocols::Both,
        };
        self.clients[index].socket.connected = Some(self.now);
        let mut made_room = false;
        let mut admitted = self.worker.admit(&newcomer.info);
        if matches!(admitted, Err(Trip::MaxConnections)) && self.make_room(1) {
            made_room = true;
            admitted = self.worker.admit(&newcomer.info);
        }
        let permit = match admitted {
            Ok(permit) => permit,
            Err(trip) => {
                self.worker.reject(trip);
                self.tell(Deed::Rejected(trip), Some(index));
                let socket = &mut self.clients[index].socket;
                (socket.server_ended, socket.server_closed) = (Some(self.now), Some(self.now));
                return;
            }
        };
        made_room |= self.make_room(0);
        self.tell(Deed::Admitted { made_room }, Some(index));
        let key = self.worker.accept(newcomer, permit, self.now);
        let place = key.index as usize;
        if place >= self.sockets.len() {
            self.sockets.resize(place + 1, None);
        }
        self.sockets[place] = Some((key, index));
        self.connected[index] = Some(key);
        self.clients[index].socket.reads = true;
    }

    /// Sheds a connection if the server is near its cap. Returns whether it did.
    fn make_room(&mut self, newcomers: usize) -> bool {
        let (clients, sockets) = (&self.clients, &self.sockets);
        let shed = self.worker.shed(self.now, newcomers, |key| {
            let held = sockets[key.index as usize].filter(|(held, _)| *held == key);
            held.is_none_or(|(_, client)| clients[client].socket.is_quiet())
        });
        shed.inspect(|key| self.serve(*key)).is_some()
    }
}
