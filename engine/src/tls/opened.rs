//! rustls' side of a session: its unbuffered interface, driven one whole record at a time. Which bytes are a record, and
//! how many there may be, is `session`'s business.

use crate::tls::config::{ConfigurationId, Configurations};
use crate::tls::failure::Failure;
use crate::tls::info::TlsInfo;
use crate::tls::session::Outcome;
use crate::tls::validity::Validity;
use rustls::HandshakeKind;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic,
};
use std::sync::Arc;

/// What a record adds to its data, at most and on both versions: header, nonce or type, tag.
const RECORD_OVERHEAD_BYTES: usize = 5 + 8 + 16;
const RECORD_PLAINTEXT_BYTES: usize = 1 << 14;

/// What became of some bytes.
pub(crate) struct Taken {
    /// How many of them are through; the rest must come first the next time.
    pub(crate) through: usize,
    /// What they said, in bytes.
    pub(crate) plain_bytes: usize,
}

/// A session whose configuration is chosen.
pub(crate) struct Opened {
    tls: UnbufferedServerConnection,
    server_name: Option<Box<str>>,
    configurations: Arc<Configurations>,
    configuration: ConfigurationId,
}

impl Opened {
    pub(crate) fn new(
        configurations: &Arc<Configurations>,
        configuration: ConfigurationId,
        server_name: Option<Box<str>>,
    ) -> Result<Opened, Failure> {
        let server = configurations.server(configuration).clone();
        Ok(Opened {
            tls: UnbufferedServerConnection::new(server)?,
            server_name,
            configurations: configurations.clone(),
            configuration,
        })
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        self.tls.is_handshaking()
    }

    #[cfg(test)]
    pub(crate) fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// What was agreed on, once it was.
    pub(crate) fn info(&self) -> Option<TlsInfo> {
        if self.is_handshaking() {
            return None;
        }
        TlsInfo::new(
            &self.tls,
            self.server_name.clone(),
            self.configurations.clone(),
            self.configuration,
        )
    }

    /// Puts `bytes` through rustls: whole records, of which it has seen all but the last.
    pub(crate) fn take(
        &mut self,
        bytes: &mut [u8],
        outcome: &mut Outcome<'_>,
        peer_closed: &mut bool,
    ) -> Result<Taken, Failure> {
        let (mut through, mut plain_bytes) = (0, 0);
        loop {
            let UnbufferedStatus { discard, state, .. } =
                self.tls.process_tls_records(&mut bytes[through..]);
            let mut more = 0;
            let waits = match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        plain_bytes += record.payload.len();
                        (outcome.plain)(record.payload);
                        more += record.discard;
                    }
                    false
                }
                Ok(ConnectionState::EncodeTlsData(data)) => {
                    encode(data, outcome.cipher);
                    false
                }
                Ok(ConnectionState::TransmitTlsData(sent)) => {
                    sent.done();
                    false
                }
                Ok(ConnectionState::PeerClosed) => {
                    *peer_closed = true;
                    false
                }
                Ok(_) => true,
                Err(error) => {
                    through += discard;
                    self.last_words(&mut bytes[through..], outcome.cipher);
                    return Err(error.into());
                }
            };
            through += discard + more;
            if waits {
                return Ok(Taken {
                    through,
                    plain_bytes,
                });
            }
        }
    }

    /// Puts out the alert that tells the peer of an error. Once it is out rustls must not be asked again: it would go on
    /// with what came behind the error.
    fn last_words(&mut self, rest: &mut [u8], cipher: &mut Vec<u8>) {
        while self.tls.wants_write() {
            match self.tls.process_tls_records(rest).state {
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, cipher),
                // What came before the error, and its sender has broken the rules since.
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while traffic.next_record().is_some() {}
                }
                _ => return,
            }
        }
    }

    /// Encrypts `plain`. What rustls has seen and is not through must be shown to it again.
    pub(crate) fn write(
        &mut self,
        seen: &mut [u8],
        plain: &[u8],
        cipher: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        self.with_traffic(seen, cipher, |traffic, cipher| {
            let records = plain.len().div_ceil(RECORD_PLAINTEXT_BYTES);
            // One more, for an answer to a key update.
            let room = plain.len() + (records + 1) * RECORD_OVERHEAD_BYTES;
            append(cipher, room, |room| traffic.encrypt(plain, room))
        })
    }

    /// Says that no more of ours comes.
    pub(crate) fn close(&mut self, seen: &mut [u8], cipher: &mut Vec<u8>) -> Result<(), Failure> {
        self.with_traffic(seen, cipher, |traffic, cipher| {
            append(cipher, 2 * RECORD_OVERHEAD_BYTES, |room| {
                traffic.queue_close_notify(room)
            })
        })
    }

    /// Puts out what waits to be sent, then lets `act` write where data can go.
    fn with_traffic(
        &mut self,
        seen: &mut [u8],
        cipher: &mut Vec<u8>,
        act: impl FnOnce(&mut Traffic<'_>, &mut Vec<u8>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        loop {
            let UnbufferedStatus { discard, state, .. } = self.tls.process_tls_records(seen);
            debug_assert_eq!(discard, 0, "nothing new was there to be taken");
            match state? {
                ConnectionState::EncodeTlsData(data) => encode(data, cipher),
                ConnectionState::TransmitTlsData(sent) => sent.done(),
                ConnectionState::WriteTraffic(mut traffic) => return act(&mut traffic, cipher),
                ConnectionState::PeerClosed => {}
                _ => return Err(rustls::Error::HandshakeNotComplete.into()),
            }
        }
    }

    /// Whether a client may come back: its certificate was good when it was shown, and must not have run out since. What
    /// else may have changed (the authorities, what they revoked) ends its tickets by itself.
    pub(crate) fn judge_resumption(&self) -> Result<(), Failure> {
        if self.tls.handshake_kind() != Some(HandshakeKind::Resumed) {
            return Ok(());
        }
        let certificate = self.tls.peer_certificates().and_then(<[_]>::first);
        let now = self.configurations.clock.seconds();
        let holds = certificate
            .is_none_or(|own| Validity::of(own).is_some_and(|validity| validity.holds_at(now)));
        if holds {
            Ok(())
        } else {
            Err(Failure::ClientCertificateExpired)
        }
    }
}

type Traffic<'a> = WriteTraffic<'a, ServerConnectionData>;

fn encode(mut data: EncodeTlsData<'_, ServerConnectionData>, cipher: &mut Vec<u8>) {
    // It says how much room it needs when it has none.
    if let Err(EncodeError::InsufficientSize(size)) = data.encode(&mut []) {
        let begin = cipher.len();
        cipher.resize(begin + size.required_size, 0);
        let written = data.encode(&mut cipher[begin..]).unwrap_or(0);
        cipher.truncate(begin + written);
    }
}

/// Lets `write` add to `cipher`, with this much room, or with as much as it asks for then.
fn append(
    cipher: &mut Vec<u8>,
    room: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, EncryptError>,
) -> Result<(), Failure> {
    let begin = cipher.len();
    cipher.resize(begin + room, 0);
    let mut written = write(&mut cipher[begin..]);
    if let Err(EncryptError::InsufficientSize(size)) = &written {
        cipher.resize(begin + size.required_size, 0);
        written = write(&mut cipher[begin..]);
    }
    let result = written.map_err(|_| rustls::Error::EncryptError.into());
    cipher.truncate(begin + *result.as_ref().unwrap_or(&0));
    result.map(|_| ())
}
