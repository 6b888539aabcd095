//! What TLS's tests are made of: a clock that is set, an authority that signs whatever is asked of it, folders, and a
//! client (rustls') that talks to a session without a socket.

#![allow(clippy::unwrap_used)]

use crate::tls::arithmetic;
use crate::tls::clients::ClientSettings;
use crate::tls::config::Configurations;
use crate::tls::failure::Failure;
use crate::tls::reload::Reloader;
use crate::tls::session::{Bounds, Outcome, Progress, Session};
use crate::tls::settings::{Alpn, Identity, TlsSettings};
use crate::tls::wall_clock::WallClock;
use lanner_limits::{Limits, Machine, Moment, PemSource, TlsVersion};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SanType, SerialNumber,
};
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ClientConnection, NamedGroup, RootCertStore, SupportedProtocolVersion};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// A date as certificates are made with it. A macro, for its type is of a crate that we do not name.
macro_rules! date {
    ($seconds:expr) => {
        rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs($seconds)
    };
}

/// 2033-05-18.
pub(crate) const NOW: u64 = 2_000_000_000;
pub(crate) const HOUR: u64 = 3_600;
pub(crate) const DAY: u64 = 24 * HOUR;

/// A time of day that stands until it is set.
#[derive(Debug)]
pub(crate) struct TestClock(AtomicU64);

impl TestClock {
    pub(crate) fn new(seconds: u64) -> Arc<TestClock> {
        Arc::new(TestClock(AtomicU64::new(seconds)))
    }

    pub(crate) fn set(&self, seconds: u64) {
        self.0.store(seconds, Ordering::Relaxed);
    }

    pub(crate) fn wall(self: &Arc<Self>) -> WallClock {
        WallClock::made_up(self.clone())
    }
}

impl TimeProvider for TestClock {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = self.0.load(Ordering::Relaxed);
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

/// A folder of its own, gone at the end.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Folder {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("lanner-tls-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        drop(std::fs::remove_dir_all(&path));
        std::fs::create_dir(&path).unwrap();
        Folder(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        self.with_mode(name, text, 0o644)
    }

    pub(crate) fn secret(&self, name: &str, text: &str) -> PathBuf {
        self.with_mode(name, text, 0o600)
    }

    /// Put in place by a rename, so that it is another file each time.
    fn with_mode(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let (path, new) = (self.path(name), self.path("new"));
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&new)
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
        std::fs::rename(new, &path).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

pub(crate) fn source(path: &Path) -> PemSource {
    PemSource::File(path.to_str().unwrap().to_owned())
}

/// A certificate with its key.
pub(crate) struct Made {
    pub(crate) certificate: rcgen::Certificate,
    pub(crate) key: KeyPair,
}

impl Made {
    pub(crate) fn pem(&self) -> String {
        self.certificate.pem() + &self.key.serialize_pem()
    }

    pub(crate) fn identity(&self) -> Identity {
        Identity::Provided {
            certificate: PemSource::Text(self.pem()),
            key: None,
        }
    }

    fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![self.certificate.der().clone()]
    }

    fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.key.serialize_der()).unwrap()
    }
}

/// Somebody who signs certificates.
pub(crate) struct Authority {
    params: CertificateParams,
    pub(crate) made: Made,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Authority {
        let mut params = params(name, NOW - 1_000 * DAY, NOW + 1_000 * DAY);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Authority {
            params,
            made: Made { certificate, key },
        }
    }

    /// One for all tests that do not need their own.
    pub(crate) fn shared() -> &'static Authority {
        static SHARED: OnceLock<Authority> = OnceLock::new();
        SHARED.get_or_init(|| Authority::new("authority"))
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.made.key)
    }

    pub(crate) fn server(&self, names: &[&str], begins: u64, ends: u64) -> Made {
        let mut params = params("server", begins, ends);
        params.subject_alt_names = names
            .iter()
            .map(|name| SanType::DnsName((*name).try_into().unwrap()))
            .collect();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(params)
    }

    /// A good one.
    pub(crate) fn serves(&self, names: &[&str]) -> Made {
        self.server(names, NOW - DAY, NOW + 90 * DAY)
    }

    pub(crate) fn client(&self, serial: u64, begins: u64, ends: u64) -> Made {
        let mut params = params("client", begins, ends);
        params.serial_number = Some(SerialNumber::from(serial));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Made {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer()).unwrap();
        Made { certificate, key }
    }

    /// A revocation list, in PEM.
    pub(crate) fn revokes(&self, serials: &[u64], until: u64) -> String {
        let revoked = serials.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date!(NOW - HOUR),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: date!(NOW - DAY),
            next_update: date!(until),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer()).unwrap().pem().unwrap()
    }
}

fn params(name: &str, begins: u64, ends: u64) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date!(begins);
    params.not_after = date!(ends);
    params
}

/// Settings with one certificate for everybody.
pub(crate) fn settings(identity: Identity) -> TlsSettings {
    TlsSettings {
        default: Some(identity),
        directory: None,
        hosts: Vec::new(),
        clients: ClientSettings::NONE,
        strict: false,
        oldest: TlsVersion::Tls12,
        newest: TlsVersion::Tls13,
        protocols: vec![Alpn::H2, Alpn::Http11],
        ticket_keys: None,
    }
}

/// What settings lead to.
pub(crate) fn configurations(settings: TlsSettings, clock: &Arc<TestClock>) -> Arc<Configurations> {
    let reloader = Reloader::new(settings, clock.wall()).unwrap();
    reloader.reader().current().clone()
}

pub(crate) type Versions = &'static [&'static SupportedProtocolVersion];
pub(crate) const TLS12: Versions = &[&rustls::version::TLS12];
pub(crate) const TLS13: Versions = &[&rustls::version::TLS13];
/// Both, one after the other.
pub(crate) const VERSIONS: [Versions; 2] = [TLS12, TLS13];

/// How a client is set up.
pub(crate) struct ClientSetup {
    pub(crate) versions: Versions,
    pub(crate) alpn: &'static [&'static str],
    pub(crate) sni: bool,
    /// Whether the hello is a short one, without post-quantum keys.
    pub(crate) small: bool,
    pub(crate) certificate: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

impl ClientSetup {
    pub(crate) const fn new() -> ClientSetup {
        ClientSetup {
            versions: TLS13,
            alpn: &[],
            sni: true,
            small: false,
            certificate: None,
        }
    }

    pub(crate) fn shows(made: &Made) -> ClientSetup {
        ClientSetup {
            certificate: Some((made.chain(), made.private_key())),
            ..ClientSetup::new()
        }
    }

    /// A client's configuration; clients that share one share their tickets.
    pub(crate) fn build(self, authority: &Authority, clock: &Arc<TestClock>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(authority.made.certificate.der().clone()).unwrap();
        let mut provider = CryptoProvider::clone(arithmetic::provider());
        if self.small {
            provider
                .kx_groups
                .retain(|group| group.name() == NamedGroup::X25519);
        }
        let builder =
            ClientConfig::builder_with_details(Arc::new(provider), clock.wall().provider());
        let builder = builder
            .with_protocol_versions(self.versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match self.certificate {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = self
            .alpn
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        config.enable_sni = self.sni;
        config.resumption = Resumption::in_memory_sessions(64);
        Arc::new(config)
    }
}

pub(crate) fn limits() -> Limits {
    Limits::for_machine(Machine {
        nofile: 65_536,
        memory: 1 << 34,
        cpus: 1,
    })
}

/// A client and a session, and the wire between them.
pub(crate) struct Pair {
    pub(crate) client: ClientConnection,
    pub(crate) session: Session,
    configurations: Arc<Configurations>,
    pub(crate) now: Moment,
    /// The most bytes that the session gets at once.
    pub(crate) piece: usize,
    /// What the session heard.
    pub(crate) heard: Vec<u8>,
    pub(crate) failure: Option<Failure>,
    /// What went wrong at the client.
    pub(crate) refusal: Option<rustls::Error>,
}

impl Pair {
    pub(crate) fn new(
        config: &Arc<ClientConfig>,
        name: &'static str,
        configurations: &Arc<Configurations>,
    ) -> Pair {
        let name = ServerName::try_from(name).unwrap();
        let now = Moment::ZERO;
        Pair {
            client: ClientConnection::new(config.clone(), name).unwrap(),
            session: Session::new(Bounds::new(&limits()), now),
            configurations: configurations.clone(),
            now,
            piece: usize::MAX,
            heard: Vec::new(),
            failure: None,
            refusal: None,
        }
    }

    /// A pair whose handshake has gone as far as it can.
    pub(crate) fn shaken(
        config: &Arc<ClientConfig>,
        name: &'static str,
        configurations: &Arc<Configurations>,
    ) -> Pair {
        let mut pair = Pair::new(config, name, configurations);
        pair.talk();
        pair
    }

    /// Gives the session these bytes. What it has to say to that goes to the client.
    pub(crate) fn give(&mut self, bytes: &[u8]) {
        let mut cipher = Vec::new();
        for piece in bytes.chunks(self.piece) {
            if self.failure.is_some() {
                break;
            }
            let result = self.give_piece(&mut piece.to_vec(), &mut cipher);
            self.failure = result.err();
        }
        self.tell(&cipher);
    }

    fn give_piece(&mut self, piece: &mut [u8], cipher: &mut Vec<u8>) -> Result<(), Failure> {
        let heard = &mut self.heard;
        let mut outcome = Outcome {
            plain: &mut |plain| heard.extend_from_slice(plain),
            cipher,
        };
        let progress = self.session.read(piece, &mut outcome, self.now)?;
        if progress == Progress::Named {
            self.session
                .accept(&self.configurations, &mut outcome, self.now)?;
        }
        Ok(())
    }

    /// Gives the client these bytes.
    pub(crate) fn tell(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.client.wants_read() {
            self.client.read_tls(&mut bytes).unwrap();
            if let Err(error) = self.client.process_new_packets() {
                self.refusal.get_or_insert(error);
            }
        }
    }

    /// Takes what the client has to send.
    pub(crate) fn sent(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.client.wants_write() {
            self.client.write_tls(&mut bytes).unwrap();
        }
        bytes
    }

    /// Carries bytes until neither has anything to say.
    pub(crate) fn talk(&mut self) {
        loop {
            let sent = self.sent();
            if sent.is_empty() {
                break;
            }
            self.give(&sent);
        }
    }

    pub(crate) fn says(&mut self, plain: &[u8]) {
        self.client.writer().write_all(plain).unwrap();
        self.talk();
    }

    /// What the client hears when the session writes this.
    pub(crate) fn hears(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut cipher = Vec::new();
        self.session.write(plain, &mut cipher).unwrap();
        let mut heard = Vec::new();
        let mut bytes = &cipher[..];
        while !bytes.is_empty() {
            self.client.read_tls(&mut bytes).unwrap();
            self.client.process_new_packets().unwrap();
            // It has no more for now, which is an error to it.
            drop(self.client.reader().read_to_end(&mut heard));
        }
        heard
    }

    /// The error that a client without a handshake ended with.
    pub(crate) fn alert(&self) -> rustls::AlertDescription {
        match self.refusal {
            Some(rustls::Error::AlertReceived(alert)) => alert,
            ref other => panic!("no alert: {other:?}, {:?}", self.failure),
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.session.progress() == Progress::Open && !self.client.is_handshaking()
    }

    pub(crate) fn certificate(&self) -> &[u8] {
        &self.client.peer_certificates().unwrap()[0]
    }
}
