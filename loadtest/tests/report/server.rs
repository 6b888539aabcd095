//! Servers of canned answers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

const HEAD_END: &[u8] = b"\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// Answers whatever comes, until the test ends. One request is under way on a connection at a time.
pub(crate) fn answering() -> SocketAddr {
    answering_times(usize::MAX)
}

/// The same, each after a pause.
pub(crate) fn answering_after(pause: Duration) -> SocketAddr {
    answering_times_after(usize::MAX, pause)
}

/// Takes connections, and says nothing.
pub(crate) fn mute() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().flatten().collect::<Vec<_>>());
    address
}

/// Answers whatever comes, and tells when it has answered so many.
pub(crate) fn telling(count: usize) -> (SocketAddr, Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let left = Arc::new(AtomicUsize::new(usize::MAX));
    let (sender, receiver) = mpsc::channel();
    let watched = left.clone();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let left = left.clone();
            thread::spawn(move || answer(stream, &left, address, Duration::ZERO));
        }
    });
    thread::spawn(move || {
        while usize::MAX - watched.load(Ordering::SeqCst) < count {
            thread::sleep(Duration::from_millis(1));
        }
        // The test may be over.
        let _ = sender.send(());
    });
    (address, receiver)
}

/// Answers so many requests, and then is gone: connections are cut, and nobody listens any more.
pub(crate) fn answering_times(times: usize) -> SocketAddr {
    answering_times_after(times, Duration::ZERO)
}

fn answering_times_after(times: usize, pause: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let left = Arc::new(AtomicUsize::new(times));
    thread::spawn(move || {
        while left.load(Ordering::SeqCst) > 0 {
            let Ok((stream, _)) = listener.accept() else {
                return;
            };
            let left = left.clone();
            thread::spawn(move || answer(stream, &left, address, pause));
        }
    });
    address
}

fn answer(mut stream: TcpStream, left: &AtomicUsize, address: SocketAddr, pause: Duration) {
    let (mut heard, mut bytes) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = stream.read(&mut bytes) {
        heard.extend_from_slice(&bytes[..count]);
        if !heard.ends_with(HEAD_END) {
            continue;
        }
        heard.clear();
        let took = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
            left.checked_sub(1)
        });
        if took.is_err() {
            // Wakes the listener, which then sees that it is over.
            drop(TcpStream::connect(address));
            return;
        }
        thread::sleep(pause);
        if stream.write_all(ANSWER).is_err() {
            return;
        }
    }
}

/// An address where nobody listens, and nobody else can while the socket lives.
pub(crate) fn refusing() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}
