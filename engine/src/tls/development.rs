//! Certificates for developing with: an authority of one's own, made at the first start and kept, which signs a
//! certificate for this machine's names and nothing else. Whoever trusts it trusts it for `localhost` only: the
//! authority's own certificate says so, and clients hold it to that.
//!
//! In the directory lie `authority.pem` (its key and certificate; the key never leaves it), `localhost.pem` (what is
//! served) and `lanner-development-authority.crt` (what a browser is told to trust). Where there is no directory that can
//! be written to, everything is made anew in memory at each start, and nobody can trust it for longer. How to trust it is told
//! in `trust.rs`.

use crate::tls::certificates::Certificate;
use crate::tls::fault::Fault;
use crate::tls::pem::PemText;
use crate::tls::validity::Validity;
use crate::tls::wall_clock::WallClock;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

const DAY_SECONDS: u64 = 24 * 3_600;
/// Whoever has trusted the authority should not have to again.
const AUTHORITY_DAYS: u64 = 3_650;
/// Browsers take no certificate for much more than a year, and one that is renewed by itself needs no more than this.
const LEAF_DAYS: u64 = 90;
/// What is nearer to its end is made anew.
const RENEWAL_DAYS: u64 = 30;
/// A virtual machine's clock may be behind that of its host's browser.
const BACKDATED_DAYS: u64 = 1;

const AUTHORITY_FILE: &str = "authority.pem";
const LEAF_FILE: &str = "localhost.pem";
pub(crate) const PUBLIC_FILE: &str = "lanner-development-authority.crt";
/// What a message says of what is in no file.
const IN_MEMORY: &str = "the development certificate";

/// A certificate for developing with.
#[derive(Debug)]
pub(crate) struct Development {
    pub(crate) certificate: Certificate,
    /// Where it is kept, if it is.
    pub(crate) files: Option<Files>,
    /// Why it is not.
    pub(crate) warning: Option<String>,
}

/// Where a certificate for developing with is kept.
#[derive(Debug)]
pub(crate) struct Files {
    /// The authority's certificate.
    pub(crate) authority: PathBuf,
    /// What is served: certificate and key.
    pub(crate) leaf: PathBuf,
}

/// When a certificate that is kept is made anew. The authority never is before its time: somebody may trust it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renewal {
    WhenDue,
    Now,
}

/// Where the files are kept: under `$XDG_DATA_HOME`, else under `~/.local/share`. None where neither is known.
pub(crate) fn data_directory(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    // The specification wants relative ones ignored.
    let absolute = |path: OsString| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    let home = || Some(absolute(variable("HOME")?)?.join(".local/share"));
    let base = variable("XDG_DATA_HOME").and_then(absolute).or_else(home)?;
    Some(base.join("lanner"))
}

impl Development {
    /// The certificate in `directory`, made or renewed where that is due; one in memory where there is no such directory.
    ///
    /// # Errors
    /// Not even one in memory could be made.
    pub(crate) fn open(directory: Option<&Path>, clock: &WallClock) -> Result<Development, Fault> {
        Development::kept(directory, clock, Renewal::WhenDue).or_else(|fault| {
            let warning = format!(
                "{fault}; the development certificate is kept in memory, and is another one at the next start, so no client can be told to trust it (XDG_DATA_HOME=DIRECTORY keeps it in DIRECTORY/lanner, where this user can write to that)"
            );
            Ok(Development {
                certificate: Development::in_memory(clock)?,
                files: None,
                warning: Some(warning),
            })
        })
    }

    /// One that is in no file, and whose authority is gone already.
    pub(crate) fn in_memory(clock: &WallClock) -> Result<Certificate, Fault> {
        let now = clock.seconds();
        let leaf = Authority::make(now)?.sign_leaf(now)?;
        Certificate::made(IN_MEMORY, leaf.chain, leaf.key)
    }

    /// The certificate in `directory`, made or renewed where that is due or asked for.
    ///
    /// # Errors
    /// There is no such directory, or what is in it cannot be used.
    pub(crate) fn kept(
        directory: Option<&Path>,
        clock: &WallClock,
        renewal: Renewal,
    ) -> Result<Development, Fault> {
        match directory {
            Some(directory) => in_directory(directory, clock.seconds(), renewal),
            None => Err(Fault::new(
                IN_MEMORY,
                "there is no place for it, for neither XDG_DATA_HOME nor HOME is set",
            )),
        }
    }
}

fn in_directory(directory: &Path, now: u64, renewal: Renewal) -> Result<Development, Fault> {
    let mut maker = DirBuilder::new();
    maker
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|error| fault(directory, error))?;
    let authority = authority_in(directory, now)?;
    let public = directory.join(PUBLIC_FILE);
    let certificate = authority.certificate.pem();
    if std::fs::read(&public).ok().as_deref() != Some(certificate.as_bytes()) {
        put(&public, &certificate, 0o644, Present::Replace)?;
    }
    Ok(Development {
        certificate: leaf_in(directory, &authority, now, renewal)?,
        files: Some(Files {
            authority: public,
            leaf: directory.join(LEAF_FILE),
        }),
        warning: None,
    })
}

fn authority_in(directory: &Path, now: u64) -> Result<Authority, Fault> {
    let path = directory.join(AUTHORITY_FILE);
    match Authority::read(&path)? {
        Some(authority) if authority.certificate.is_fresh(now) => return Ok(authority),
        Some(_) => {
            // It has served its time, and a new one must be trusted anew.
            let authority = Authority::make(now)?;
            put(&path, &authority.pem(), 0o600, Present::Replace)?;
            return Ok(authority);
        }
        None => {}
    }
    let authority = Authority::make(now)?;
    if put(&path, &authority.pem(), 0o600, Present::Keep)? {
        return Ok(authority);
    }
    // Another process was first; two authorities would be one too many.
    Authority::read(&path)?.ok_or_else(|| Fault::new(path.display().to_string(), "came and went"))
}

fn leaf_in(
    directory: &Path,
    authority: &Authority,
    now: u64,
    renewal: Renewal,
) -> Result<Certificate, Fault> {
    let path = directory.join(LEAF_FILE);
    let source = lanner_limits::PemSource::File(path.display().to_string());
    // Whatever is wrong with it, it is made anew: nobody has trusted it by itself.
    if renewal == Renewal::WhenDue
        && let Ok(certificate) = Certificate::read(&source, None)
        && certificate.key.cert.last() == Some(&authority.certificate.der)
        && is_fresh(certificate.validity, now)
        && is_private(&path)
    {
        return Ok(certificate);
    }
    let leaf = authority.sign_leaf(now)?;
    put(&path, &leaf.pem, 0o600, Present::Replace)?;
    Certificate::made(&path.display().to_string(), leaf.chain, leaf.key)
}

/// An authority's certificate.
struct Trusted {
    der: CertificateDer<'static>,
}

impl Trusted {
    fn pem(&self) -> String {
        armoured(&self.der)
    }

    fn is_fresh(&self, now: u64) -> bool {
        Validity::of(&self.der).is_some_and(|validity| is_fresh(validity, now))
    }
}

fn is_fresh(validity: Validity, now: u64) -> bool {
    validity.begins <= now && validity.ends >= now + RENEWAL_DAYS * DAY_SECONDS
}

struct Authority {
    key: KeyPair,
    certificate: Trusted,
}

struct Leaf {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    pem: String,
}

impl Authority {
    fn make(now: u64) -> Result<Authority, Fault> {
        let key = KeyPair::generate().map_err(made)?;
        let params = authority_params(&key, now);
        let der = params.self_signed(&key).map_err(made)?.der().clone();
        Ok(Authority {
            key,
            certificate: Trusted { der },
        })
    }

    /// None where there is no such file. One that cannot be used is left alone: somebody may have trusted it.
    fn read(path: &Path) -> Result<Option<Authority>, Fault> {
        if let Err(error) = std::fs::metadata(path) {
            return if error.kind() == ErrorKind::NotFound {
                Ok(None)
            } else {
                Err(fault(path, error))
            };
        }
        let text = PemText::read_file(path)?;
        if !is_private(path) {
            return Err(
                text.fault("others can read the authority's key (delete it, and what trusts it)")
            );
        }
        let key = text.sections::<PrivateKeyDer<'static>>("the authority's key")?;
        let certificate =
            text.sections::<CertificateDer<'static>>("the authority's certificate")?;
        let (Some(key), Some(der)) = (key.first(), certificate.first()) else {
            return Err(
                text.fault("has no key with its certificate (delete it to have it made again)")
            );
        };
        // That the two fit, which signing itself would not notice.
        Certificate::made(&text.place, vec![der.clone()], key.clone_key())?;
        let key = KeyPair::try_from(key).map_err(|error| text.fault(error.to_string()))?;
        let der = der.clone();
        Ok(Some(Authority {
            key,
            certificate: Trusted { der },
        }))
    }

    fn pem(&self) -> String {
        self.key.serialize_pem() + &self.certificate.pem()
    }

    fn sign_leaf(&self, now: u64) -> Result<Leaf, Fault> {
        let key = KeyPair::generate().map_err(made)?;
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "localhost");
        params.subject_alt_names = vec![
            SanType::DnsName("localhost".try_into().map_err(made)?),
            SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            SanType::IpAddress(IpAddr::V6(Ipv6Addr::LOCALHOST)),
        ];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        lasts(&mut params, now, LEAF_DAYS);
        // Its date is not in what an issuer signs with.
        let issuer = authority_params(&self.key, now);
        let certificate = params
            .signed_by(&key, &Issuer::from_params(&issuer, &self.key))
            .map_err(made)?;
        let chain = vec![certificate.der().clone(), self.certificate.der.clone()];
        let pem = key.serialize_pem() + &armoured(&chain[0]) + &armoured(&chain[1]);
        let key = PrivateKeyDer::try_from(key.serialize_der())
            .map_err(|problem| Fault::new(IN_MEMORY, problem))?;
        Ok(Leaf { chain, key, pem })
    }
}

/// The name of an authority is made of its key, so that it can be found again, and two are not taken for one.
fn authority_params(key: &KeyPair, now: u64) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut name = "Lanner development authority ".to_owned();
    for byte in params.key_identifier(key).iter().take(4) {
        let _ = write!(name, "{byte:02x}");
    }
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let hosts = [
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
    ];
    let mut permitted = vec![GeneralSubtree::DnsName("localhost".to_owned())];
    permitted.extend(hosts.map(|host| {
        let bits = if host.is_ipv4() { 32 } else { 128 };
        GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(host, bits))
    }));
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: permitted,
        excluded_subtrees: Vec::new(),
    });
    lasts(&mut params, now, AUTHORITY_DAYS);
    params
}

fn lasts(params: &mut CertificateParams, now: u64, days: u64) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before =
        epoch + Duration::from_secs(now.saturating_sub(BACKDATED_DAYS * DAY_SECONDS));
    params.not_after = epoch + Duration::from_secs(now + days * DAY_SECONDS);
}

fn armoured(certificate: &CertificateDer<'_>) -> String {
    const LINE: usize = 64;
    let text = base64(certificate);
    let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for line in text.as_bytes().chunks(LINE) {
        pem.extend(line.iter().map(|byte| char::from(*byte)));
        pem.push('\n');
    }
    pem + "-----END CERTIFICATE-----\n"
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group
            .iter()
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - group.len()));
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= group.len() {
                char::from(letter)
            } else {
                '='
            });
        }
    }
    text
}

/// What becomes of a file that is there already.
#[derive(Clone, Copy, PartialEq)]
enum Present {
    Keep,
    Replace,
}

/// Writes a file as a whole, under another name first, with its mode from the beginning. Returns whether it is in place.
fn put(path: &Path, text: &str, mode: u32, present: Present) -> Result<bool, Fault> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let new = path.with_file_name(name);
    // Left behind by a process of the same number that died on the way.
    drop(std::fs::remove_file(&new));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&new)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
    let placed = written.and_then(|()| match present {
        Present::Replace => std::fs::rename(&new, path).map(|()| true),
        // Unlike a rename, a link does not replace anything.
        Present::Keep => match std::fs::hard_link(&new, path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            linked => linked.map(|()| true),
        },
    });
    // After a rename it is gone already.
    drop(std::fs::remove_file(&new));
    placed.map_err(|error| fault(path, error))
}

fn is_private(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|facts| facts.mode() & 0o077 == 0)
}

fn fault(path: &Path, error: std::io::Error) -> Fault {
    Fault::new(path.display().to_string(), error.to_string())
}

fn made(error: rcgen::Error) -> Fault {
    Fault::new(IN_MEMORY, error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::tls::settings::Identity;
    use crate::tls::testing::{self, ClientSetup, DAY, Folder, NOW, Pair, TestClock};
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier;
    use rustls::pki_types::{ServerName, UnixTime};
    use std::sync::Arc;

    /// Whether somebody who trusts `authority` takes this chain for a server of this name.
    fn trusts(
        authority: &CertificateDer<'static>,
        chain: &[CertificateDer<'static>],
        name: &str,
    ) -> bool {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(authority.clone()).unwrap();
        let verifier = WebPkiServerVerifier::builder_with_provider(
            Arc::new(roots),
            crate::tls::arithmetic::provider().clone(),
        );
        let name = ServerName::try_from(name).unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW));
        let verifier = verifier.build().unwrap();
        verifier
            .verify_server_cert(&chain[0], &chain[1..], &name, &[], now)
            .is_ok()
    }

    fn open(folder: &Folder, now: u64) -> Development {
        let directory = folder.path("data/lanner");
        Development::open(Some(&directory), &TestClock::new(now).wall()).unwrap()
    }

    #[test]
    fn the_first_start_makes_files_that_nobody_else_can_read_and_the_next_ones_use_them() {
        let folder = Folder::new();
        let first = open(&folder, NOW);
        assert_eq!(first.warning, None);
        for (name, mode) in [
            (AUTHORITY_FILE, 0o600),
            (LEAF_FILE, 0o600),
            (PUBLIC_FILE, 0o644),
        ] {
            let facts = std::fs::metadata(folder.path("data/lanner").join(name)).unwrap();
            assert_eq!(facts.mode() & 0o777 & !mode, 0, "{name}");
            assert!(facts.mode() & 0o600 == 0o600, "{name}");
        }
        assert_eq!(
            std::fs::metadata(folder.path("data/lanner"))
                .unwrap()
                .mode()
                & 0o077,
            0
        );
        let files = std::fs::read_dir(folder.path("data/lanner"))
            .unwrap()
            .count();
        assert_eq!(files, 3, "nothing is left over");
        let second = open(&folder, NOW + DAY);
        assert_eq!(second.certificate.key.cert, first.certificate.key.cert);
        let public = std::fs::read_to_string(second.files.unwrap().authority).unwrap();
        assert!(public.starts_with("-----BEGIN CERTIFICATE-----\n") && !public.contains("KEY"));
    }

    #[test]
    fn who_trusts_the_authority_trusts_it_for_this_machine_only() {
        let authority = Authority::make(NOW).unwrap();
        let trusted = &authority.certificate.der;
        let again = authority_params(&authority.key, NOW).self_signed(&authority.key);
        let again = again.unwrap();
        assert_eq!(armoured(again.der()), again.pem(), "both write PEM");
        let leaf = authority.sign_leaf(NOW).unwrap();
        for name in ["localhost", "127.0.0.1", "::1"] {
            assert!(trusts(trusted, &leaf.chain, name), "{name}");
        }
        for name in ["example.com", "127.0.0.2"] {
            assert!(!trusts(trusted, &leaf.chain, name), "{name}");
        }
        // A thief of its key cannot use it for anything else.
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::DnsName("example.com".try_into().unwrap())];
        lasts(&mut params, NOW, 30);
        let issuer = authority_params(&authority.key, NOW);
        let forged = params
            .signed_by(&key, &Issuer::from_params(&issuer, &authority.key))
            .unwrap();
        assert!(!trusts(trusted, &[forged.der().clone()], "example.com"));
    }

    #[test]
    fn the_leaf_is_renewed_a_month_before_its_end_and_the_authority_stays() {
        let folder = Folder::new();
        let first = open(&folder, NOW);
        let same = open(&folder, NOW + 60 * DAY);
        assert_eq!(same.certificate.key.cert, first.certificate.key.cert);
        let renewed = open(&folder, NOW + 61 * DAY);
        assert_ne!(
            renewed.certificate.key.cert[0],
            first.certificate.key.cert[0]
        );
        assert_eq!(
            renewed.certificate.key.cert[1],
            first.certificate.key.cert[1]
        );
        assert_eq!(renewed.certificate.validity.ends, NOW + 151 * DAY);
        let another = open(&folder, NOW + 3_621 * DAY);
        assert_ne!(
            another.certificate.key.cert[1],
            first.certificate.key.cert[1]
        );
        let public = std::fs::read_to_string(another.files.unwrap().authority).unwrap();
        assert_eq!(public, armoured(&another.certificate.key.cert[1]));
    }

    #[test]
    fn an_authority_that_cannot_be_used_is_left_alone() {
        let folder = Folder::new();
        open(&folder, NOW);
        let path = folder.path("data/lanner").join(AUTHORITY_FILE);
        std::fs::write(&path, "nonsense").unwrap();
        let kept = open(&folder, NOW);
        assert!(kept.warning.unwrap().contains(AUTHORITY_FILE));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "nonsense");
        // One of whose key others have a copy is none.
        let other = Folder::new();
        open(&other, NOW);
        let path = other.path("data/lanner").join(AUTHORITY_FILE);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::rename(other.file("readable", &text), &path).unwrap();
        assert!(
            open(&other, NOW)
                .warning
                .unwrap()
                .contains("others can read")
        );
    }

    #[test]
    fn a_leaf_of_another_authority_is_replaced() {
        let folder = Folder::new();
        let first = open(&folder, NOW);
        std::fs::remove_file(folder.path("data/lanner").join(AUTHORITY_FILE)).unwrap();
        let second = open(&folder, NOW);
        assert_ne!(
            second.certificate.key.cert[1],
            first.certificate.key.cert[1]
        );
        assert_eq!(
            open(&folder, NOW).certificate.key.cert,
            second.certificate.key.cert
        );
    }

    #[test]
    fn where_nothing_can_be_written_it_is_made_in_memory_with_one_warning() {
        let folder = Folder::new();
        let file = folder.file("file", "");
        for directory in [Some(file.join("lanner")), None] {
            let clock = TestClock::new(NOW);
            let development = Development::open(directory.as_deref(), &clock.wall()).unwrap();
            let warning = development.warning.unwrap();
            assert!(warning.contains("in memory") && warning.contains("XDG_DATA_HOME=DIRECTORY"));
            assert!(development.files.is_none());
            let identity = Identity::Made(Box::new(development.certificate));
            let configurations = testing::configurations(testing::settings(identity), &clock);
            let setup = ClientSetup::new().build(testing::Authority::shared(), &clock);
            let pair = Pair::shaken(&setup, "localhost", &configurations);
            // It was presented, and whoever does not know its authority does not take it.
            assert!(matches!(
                pair.refusal,
                Some(rustls::Error::InvalidCertificate(_))
            ));
        }
    }

    #[test]
    fn two_that_start_at_once_have_one_authority() {
        let folder = Folder::new();
        let directory = folder.path("lanner");
        std::fs::create_dir(&directory).unwrap();
        let path = directory.join(AUTHORITY_FILE);
        let [first, second] = [(); 2].map(|()| Authority::make(NOW).unwrap());
        assert_eq!(put(&path, &first.pem(), 0o600, Present::Keep), Ok(true));
        assert_eq!(put(&path, &second.pem(), 0o600, Present::Keep), Ok(false));
        let found = authority_in(&directory, NOW).unwrap();
        assert_eq!(found.certificate.der, first.certificate.der);
    }

    #[test]
    fn the_directory_is_the_one_that_the_specification_says() {
        let with = |xdg: Option<&str>, home: Option<&str>| {
            data_directory(|name| match name {
                "XDG_DATA_HOME" => xdg.map(OsString::from),
                _ => home.map(OsString::from),
            })
        };
        assert_eq!(
            with(Some("/x"), Some("/h")),
            Some(PathBuf::from("/x/lanner"))
        );
        let home = Some(PathBuf::from("/h/.local/share/lanner"));
        assert_eq!(with(None, Some("/h")), home);
        assert_eq!(with(Some("relative"), Some("/h")), home);
        assert_eq!(with(Some(""), None), None);
    }

    #[test]
    fn a_leaf_is_renewed_before_its_time_only_where_that_is_asked_for() {
        let folder = Folder::new();
        let first = open(&folder, NOW);
        let directory = folder.path("data/lanner");
        let kept = |renewal| {
            let clock = TestClock::new(NOW).wall();
            Development::kept(Some(&directory), &clock, renewal).unwrap()
        };
        let same = kept(Renewal::WhenDue).certificate.key.cert.clone();
        assert_eq!(same, first.certificate.key.cert);
        let renewed = kept(Renewal::Now).certificate.key.cert.clone();
        assert_ne!(renewed[0], same[0]);
        assert_eq!(renewed[1], same[1], "its authority may be trusted already");
        assert_eq!(open(&folder, NOW).certificate.key.cert, renewed);
        let nowhere = Development::kept(None, &TestClock::new(NOW).wall(), Renewal::Now);
        assert!(nowhere.unwrap_err().to_string().contains("XDG_DATA_HOME"));
    }
}
