//! Connections over TLS, or of HTTP/2, that asked once and then do nothing: what they cost is the server's memory, which somebody
//! else reads while they are held. (Those of plain HTTP/1.1 are `crate::idle`'s.)

use std::io::{self, ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use crate::first_request::{Version, ask};
use crate::secure::{Client, Group, Wishes};

/// How long a server may take for its answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Connections to hold.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whom to ask.
    pub address: SocketAddr,
    /// The certificate that is expected there; without one there is no TLS.
    pub certificate: Option<PathBuf>,
    /// Whether HTTP/2 is spoken.
    pub http2: bool,
    /// How many.
    pub connections: usize,
}

/// Connections that were each answered and are open. What TLS needs on this side is gone already: thousands of sessions would
/// take a gigabyte, and there is nothing more to be said.
#[derive(Debug)]
pub struct Held(Vec<TcpStream>);

/// Opens them, one after the other, or says what went wrong with the first that failed.
pub fn open(plan: &Plan) -> io::Result<Held> {
    let version = match plan.http2 {
        false => Version::One,
        true => Version::Two {
            is_secure: plan.certificate.is_some(),
        },
    };
    let client = plan.certificate.as_ref().map(|certificate| {
        let wishes = Wishes {
            certificate,
            group: Group::X25519,
            resumes: false,
            protocol: if plan.http2 { "h2" } else { "http/1.1" },
        };
        Client::new(plan.address, &wishes)
    });
    let client = client.transpose()?;
    let streams = (1..=plan.connections).map(|number| {
        let opened = open_one(plan, client.as_ref(), version);
        opened.map_err(|error| io::Error::other(format!("connection {number}: {error}")))
    });
    Ok(Held(streams.collect::<io::Result<_>>()?))
}

fn open_one(plan: &Plan, client: Option<&Client>, version: Version) -> io::Result<TcpStream> {
    match client {
        Some(client) => {
            let mut session = client.connect()?;
            ask(&mut session, plan.address, version)?;
            Ok(session.into_stream())
        }
        None => {
            let mut stream = TcpStream::connect_timeout(&plan.address, TIMEOUT)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            ask(&mut stream, plan.address, version)?;
            Ok(stream)
        }
    }
}

impl Held {
    /// How many the server has not ended; those that it has are let go.
    pub fn count_open(&mut self) -> usize {
        self.0.retain_mut(is_open);
        self.0.len()
    }
}

/// Reads past what the server may still have said to whether it said goodbye.
fn is_open(stream: &mut TcpStream) -> bool {
    if stream.set_nonblocking(true).is_err() {
        return false;
    }
    let mut bytes = [0; 4096];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
    }
}
