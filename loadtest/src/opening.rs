//! Connections that are being opened: dialled, numbered, bounded in number, and handed over once they stand. What an open one
//! is for is left to each client.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpStream};

use crate::dial::{Sources, dial, outcome};
use crate::poller::{Interest, Poller};

/// Connects under way at once. Below any listen backlog, so that no SYN is dropped and retried a second later.
pub const OPENING_MAX: usize = 128;

/// Connects under way, by number. A number never recurs, so that a late event cannot be taken for another connection's.
#[derive(Debug, Default)]
pub struct Openings {
    streams: HashMap<u64, TcpStream>,
    dialled: u64,
}

impl Openings {
    /// How many are under way.
    pub fn count(&self) -> usize {
        self.streams.len()
    }

    /// How many were begun, the failed ones included: the number that the next one gets.
    pub fn dialled(&self) -> u64 {
        self.dialled
    }

    /// Whether one more may be begun.
    pub fn have_room(&self) -> bool {
        self.streams.len() < OPENING_MAX
    }

    /// Begins one, from the source address of its number.
    pub fn start(
        &mut self,
        poller: &Poller,
        target: SocketAddr,
        sources: Sources,
    ) -> io::Result<()> {
        let key = self.dialled;
        self.dialled += 1;
        let stream = dial(
            target,
            sources.address(usize::try_from(key).unwrap_or_default()),
        )?;
        poller.add(&stream, key, Interest::Write)?;
        self.streams.insert(key, stream);
        Ok(())
    }

    /// Takes an event: the stream, from now on watched for bytes, or why there is none. `None` if the number is of no connect
    /// under way.
    pub fn finish(&mut self, poller: &Poller, key: u64) -> Option<io::Result<TcpStream>> {
        let stream = self.streams.remove(&key)?;
        Some(outcome(&stream).and_then(|()| {
            poller.modify(&stream, key, Interest::Read)?;
            Ok(stream)
        }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::time::{Duration, Instant};

    use super::*;

    /// Waits for the first event and finishes what it is about.
    fn finish(openings: &mut Openings, poller: &mut Poller) -> (u64, io::Result<TcpStream>) {
        let (mut ready, until) = (Vec::new(), Instant::now() + Duration::from_secs(10));
        while ready.is_empty() && Instant::now() < until {
            poller.wait(until, &mut ready).unwrap();
        }
        (ready[0].key, openings.finish(poller, ready[0].key).unwrap())
    }

    #[test]
    fn an_open_stream_is_handed_over_once_and_watched_for_bytes() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (mut openings, mut poller) = (Openings::default(), Poller::new().unwrap());
        let target = listener.local_addr().unwrap();
        openings.start(&poller, target, Sources::ANY).unwrap();
        assert_eq!((openings.count(), openings.dialled()), (1, 1));
        let (key, stream) = finish(&mut openings, &mut poller);
        let mut stream = stream.unwrap();
        assert_eq!((key, openings.count()), (0, 0));
        assert!(openings.finish(&poller, key).is_none());

        listener.accept().unwrap().0.write_all(b"x").unwrap();
        let (mut ready, until) = (Vec::new(), Instant::now() + Duration::from_secs(10));
        while ready.is_empty() && Instant::now() < until {
            poller.wait(until, &mut ready).unwrap();
        }
        assert_eq!(ready[0].key, key);
        assert_eq!(stream.read(&mut [0; 8]).unwrap(), 1);
    }

    #[test]
    fn a_refusal_frees_its_room_and_its_number_is_not_used_again() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = listener.local_addr().unwrap();
        drop(listener);
        let (mut openings, mut poller) = (Openings::default(), Poller::new().unwrap());
        for number in 0..2 {
            openings.start(&poller, target, Sources::ANY).unwrap();
            let (key, refused) = finish(&mut openings, &mut poller);
            assert_eq!(key, number);
            assert_eq!(
                refused.unwrap_err().kind(),
                io::ErrorKind::ConnectionRefused
            );
            assert_eq!(openings.count(), 0);
        }
    }

    #[test]
    fn no_more_are_under_way_than_a_backlog_holds() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (mut openings, poller) = (Openings::default(), Poller::new().unwrap());
        let target = listener.local_addr().unwrap();
        while openings.have_room() {
            openings.start(&poller, target, Sources::ANY).unwrap();
        }
        assert_eq!(openings.count(), OPENING_MAX);
    }
}
