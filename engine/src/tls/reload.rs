//! Certificates that change on disk. Whoever has a timer asks every few seconds whether a file is another one than when it
//! was read; if so everything is read again, and put in place as a whole. What cannot be read leaves the last good
//! configurations where they are, and is said in the log, once. Connections go on under those that they were made with.
//!
//! Files are told apart by device, inode, size and times, as followed through symbolic links: that sees a file that is
//! written to, one renamed into place, and Kubernetes' exchange of a whole directory.

use crate::tls::config::{Built, Configurations};
use crate::tls::fault::Fault;
use crate::tls::perishable::Perishable;
use crate::tls::published::{Published, Reader};
use crate::tls::reminders::Reminders;
use crate::tls::settings::TlsSettings;
use crate::tls::ticket_keys::TicketKeys;
use crate::tls::wall_clock::WallClock;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Two writes within one tick of a file system's clock leave the same times, so what was read so soon after a write is
/// read once more. Network file systems tick in seconds.
const SETTLED_SECONDS: u64 = 2;
/// New certificates that are told of one by one: a directory may have thousands.
const NEWS_TOLD_MAX: usize = 5;

/// How a file looked. Times in seconds and nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    written: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// None where there is no such file.
    fn of(path: &Path) -> Option<Stamp> {
        let facts = std::fs::metadata(path).ok()?;
        Some(Stamp {
            device: facts.dev(),
            inode: facts.ino(),
            size: facts.size(),
            written: (facts.mtime(), facts.mtime_nsec()),
            changed: (facts.ctime(), facts.ctime_nsec()),
        })
    }

    fn is_settled(&self, now: u64) -> bool {
        let newest = u64::try_from(self.written.0.max(self.changed.0)).unwrap_or(0);
        newest.abs_diff(now) > SETTLED_SECONDS
    }
}

/// The files of some settings, as they were looked at.
#[derive(Debug, PartialEq, Eq)]
struct Watch(BTreeMap<PathBuf, Option<Stamp>>);

impl Watch {
    fn look(settings: &TlsSettings) -> Watch {
        let files = settings.files().into_iter();
        Watch(
            files
                .map(|path| {
                    let stamp = Stamp::of(&path);
                    (path, stamp)
                })
                .collect(),
        )
    }

    fn is_settled(&self, now: u64) -> bool {
        self.0.values().flatten().all(|stamp| stamp.is_settled(now))
    }
}

/// What a look at the files led to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Nothing is new, or what is wrong is what was wrong already.
    Same,
    /// Something is, and was put in place.
    Exchanged,
    /// Something is, and cannot be used.
    Kept(Fault),
}

/// A listener's configurations, kept up with its files.
#[derive(Debug)]
pub(crate) struct Reloader {
    settings: TlsSettings,
    keys: Arc<TicketKeys>,
    clock: WallClock,
    published: Arc<Published<Configurations>>,
    /// As the files were before they were read: a write in between shows as a change.
    watch: Watch,
    /// Whether they had lain still for long enough for `watch` to tell them from any others.
    settled: bool,
    /// What is wrong with the files as they are, if they cannot be used.
    fault: Option<Fault>,
    /// What somebody should know of what is served.
    remarks: Vec<String>,
    perishables: BTreeSet<Perishable>,
    reminders: Reminders,
}

impl Reloader {
    /// Reads everything for the first time.
    pub(crate) fn new(settings: TlsSettings, clock: WallClock) -> Result<Reloader, Fault> {
        let watch = Watch::look(&settings);
        let settled = watch.is_settled(clock.seconds());
        let keys = match &settings.ticket_keys {
            Some(path) => TicketKeys::read(path, clock.clone())?,
            None => TicketKeys::made(clock.clone())
                .ok_or_else(|| Fault::new("ticket keys", "the system has no random bytes"))?,
        };
        let keys = Arc::new(keys);
        let Built {
            configurations,
            warnings,
            perishables,
        } = Configurations::build(&settings, &keys, &clock)?;
        Ok(Reloader {
            settings,
            keys,
            clock,
            published: Arc::new(Published::new(configurations)),
            watch,
            settled,
            fault: None,
            remarks: warnings,
            perishables,
            reminders: Reminders::default(),
        })
    }

    /// A view for a worker.
    pub(crate) fn reader(&self) -> Reader<Configurations> {
        Reader::new(self.published.clone())
    }

    /// Looks at the files, and reads them where they are others: system calls in the number of files, and a few
    /// milliseconds where something changed. Not for a worker's thread, where there are many certificates.
    pub(crate) fn look(&mut self) -> Look {
        let watch = Watch::look(&self.settings);
        let now = self.clock.seconds();
        let settled = watch.is_settled(now);
        if watch == self.watch && self.settled {
            return Look::Same;
        }
        // A file that is still too young is read again when it is not, and not each time in between.
        if watch == self.watch && !settled {
            return Look::Same;
        }
        let news = watch != self.watch;
        self.watch = watch;
        self.settled = settled;
        match self.read_again() {
            Ok(built) => {
                if news || self.fault.is_some() {
                    let new = told(&self.perishables, &built.perishables);
                    tracing::info!("TLS certificates were read again; {new}");
                }
                self.published.exchange(built.configurations);
                self.remarks = built.warnings;
                self.perishables = built.perishables;
                self.fault = None;
                Look::Exchanged
            }
            // Read once more, as it was too young before.
            Err(fault) if !news && self.fault.as_ref() == Some(&fault) => Look::Same,
            Err(fault) => {
                tracing::error!(%fault, "TLS goes on with the certificates it has");
                self.fault = Some(fault.clone());
                Look::Kept(fault)
            }
        }
    }

    fn read_again(&self) -> Result<Built, Fault> {
        let built = Configurations::build(&self.settings, &self.keys, &self.clock)?;
        if let Some(path) = &self.settings.ticket_keys {
            self.keys.read_again(path)?;
        }
        Ok(built)
    }

    /// What somebody should know of what is served, and was not told lately: asked at each look, for some of it comes with
    /// time alone.
    pub(crate) fn warnings(&mut self) -> Vec<String> {
        let now = self.clock.seconds();
        let mut warnings = self.remarks.clone();
        let perishables = self.perishables.iter();
        warnings.extend(perishables.filter_map(|perishable| perishable.warning(now)));
        let file = self.settings.ticket_keys.as_deref();
        warnings.extend(file.and_then(|path| self.keys.warning(path)));
        self.reminders.due(warnings, now)
    }
}

/// What came with a change, in words.
fn told(before: &BTreeSet<Perishable>, after: &BTreeSet<Perishable>) -> String {
    let new: Vec<&Perishable> = after.difference(before).collect();
    if new.is_empty() {
        return "none of them is new".to_owned();
    }
    let first: Vec<String> = new
        .iter()
        .take(NEWS_TOLD_MAX)
        .map(ToString::to_string)
        .collect();
    let mut text = format!("new: {}", first.join("; "));
    match new.len() - first.len() {
        0 => {}
        more => text.push_str(&format!("; and {more} more")),
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::tls::clients::ClientSettings;
    use crate::tls::settings::{HostSettings, Identity};
    use crate::tls::testing::{
        self, Authority, ClientSetup, Folder, Made, NOW, Pair, TestClock, source,
    };
    use crate::tls::validity::Validity;
    use lanner_limits::{ClientAuth, PemSource};

    /// A server with a certificate in files.
    struct Served {
        folder: Folder,
        clock: Arc<TestClock>,
        reloader: Reloader,
        reader: Reader<Configurations>,
    }

    impl Served {
        fn new(made: &Made) -> Served {
            let folder = Folder::new();
            let certificate = folder.file("cert.pem", &made.certificate.pem());
            let key = folder.secret("key.pem", &made.key.serialize_pem());
            let settings = testing::settings(Identity::Provided {
                certificate: source(&certificate),
                key: Some(source(&key)),
            });
            let clock = TestClock::new(NOW);
            let reloader = Reloader::new(settings, clock.wall()).unwrap();
            let reader = reloader.reader();
            Served {
                folder,
                clock,
                reloader,
                reader,
            }
        }

        fn put(&self, made: &Made) {
            self.folder.file("cert.pem", &made.certificate.pem());
            self.folder.secret("key.pem", &made.key.serialize_pem());
        }

        fn connect(&mut self) -> Pair {
            let client = ClientSetup::new().build(Authority::shared(), &self.clock);
            Pair::shaken(&client, "a.test", self.reader.current())
        }
    }

    fn made() -> Made {
        Authority::shared().serves(&["a.test"])
    }

    #[test]
    fn new_files_are_served_and_old_connections_go_on() {
        let (old, new) = (made(), made());
        let mut served = Served::new(&old);
        let mut before = served.connect();
        assert_eq!(before.certificate(), &old.certificate.der()[..]);
        assert_eq!(served.reloader.look(), Look::Same);
        served.put(&new);
        assert_eq!(served.connect().certificate(), &old.certificate.der()[..]);
        assert_eq!(served.reloader.look(), Look::Exchanged);
        assert_eq!(served.reloader.look(), Look::Same);
        assert_eq!(served.connect().certificate(), &new.certificate.der()[..]);
        assert_eq!(before.hears(b"still here"), b"still here");
        before.says(b"me too");
        assert_eq!(before.heard, b"me too");
    }

    #[test]
    fn what_cannot_be_used_leaves_the_last_good_one() {
        let (old, new) = (made(), made());
        let mut served = Served::new(&old);
        for (name, text, problem) in [
            ("cert.pem", String::new(), "has no certificate"),
            ("cert.pem", "nonsense".to_owned(), "has no certificate"),
            ("cert.pem", new.certificate.pem(), "does not fit"),
        ] {
            served.folder.file(name, &text);
            let Look::Kept(fault) = served.reloader.look() else {
                panic!("{problem}");
            };
            assert!(fault.to_string().contains(problem), "{fault}");
            assert!(fault.to_string().contains("cert.pem"), "{fault}");
            assert_eq!(served.reloader.look(), Look::Same, "it is said once");
            assert!(served.connect().is_open());
        }
        std::fs::remove_file(served.folder.path("cert.pem")).unwrap();
        assert!(matches!(served.reloader.look(), Look::Kept(_)));
        // Its other half comes later, as it does where nobody exchanges both at once.
        served.put(&new);
        assert_eq!(served.reloader.look(), Look::Exchanged);
        assert_eq!(served.connect().certificate(), &new.certificate.der()[..]);
    }

    #[test]
    fn a_file_that_was_read_too_soon_after_a_write_is_read_again() {
        let mut served = Served::new(&made());
        // As if the time of day were that of the files.
        let written = std::fs::metadata(served.folder.path("key.pem")).unwrap();
        let written = u64::try_from(written.mtime()).unwrap();
        served.clock.set(written + 1);
        served.put(&made());
        assert!(served.reloader.settled);
        served.reloader.look();
        assert!(!served.reloader.settled);
        assert_eq!(served.reloader.look(), Look::Same);
        served.clock.set(written + 60);
        // The certificates are of another day than the files, which rustls does not mind in its own.
        assert_eq!(served.reloader.look(), Look::Exchanged);
        assert_eq!(served.reloader.look(), Look::Same);
    }

    #[test]
    fn certificates_come_and_go_in_a_directory() {
        let authority = Authority::shared();
        let folder = Folder::new();
        let inside = folder.path("certificates");
        std::fs::create_dir(&inside).unwrap();
        let one = authority.serves(&["a.test"]);
        let mut settings = testing::settings(one.identity());
        settings.directory = Some(inside.clone());
        let clock = TestClock::new(NOW);
        let mut reloader = Reloader::new(settings, clock.wall()).unwrap();
        let mut reader = reloader.reader();
        let client = ClientSetup::new().build(authority, &clock);
        let mut opens = |name| Pair::shaken(&client, name, reader.current()).is_open();
        assert!(opens("a.test") && !opens("b.test"));
        let other = authority.serves(&["b.test"]);
        std::fs::rename(folder.secret("b", &other.pem()), inside.join("b.pem")).unwrap();
        assert_eq!(reloader.look(), Look::Exchanged);
        assert!(opens("a.test") && opens("b.test"));
        std::fs::remove_file(inside.join("b.pem")).unwrap();
        assert_eq!(reloader.look(), Look::Exchanged);
        assert!(!opens("b.test"));
    }

    #[test]
    fn ticket_keys_are_read_again_too() {
        let folder = Folder::new();
        let line = |digit: &str| format!("{NOW} {}\n", digit.repeat(64));
        let mut settings = testing::settings(made().identity());
        settings.ticket_keys = Some(folder.secret("tickets", &line("a")));
        let clock = TestClock::new(NOW);
        let mut reloader = Reloader::new(settings, clock.wall()).unwrap();
        let before = reloader.keys.current().unwrap().name;
        folder.secret("tickets", &line("b"));
        assert_eq!(reloader.look(), Look::Exchanged);
        assert_ne!(reloader.keys.current().unwrap().name, before);
        folder.secret("tickets", "nonsense");
        assert!(matches!(reloader.look(), Look::Kept(_)));
        clock.set(NOW + 20 * testing::HOUR);
        assert!(reloader.warnings()[0].contains("the newest ticket key is in use since"));
    }

    #[test]
    fn a_fault_is_told_once_though_the_file_is_read_again_when_it_has_lain_still() {
        let mut served = Served::new(&made());
        let written = std::fs::metadata(served.folder.path("key.pem")).unwrap();
        let written = u64::try_from(written.mtime()).unwrap();
        served.clock.set(written + 1);
        served.folder.file("cert.pem", "nonsense");
        assert!(matches!(served.reloader.look(), Look::Kept(_)));
        served.clock.set(written + 60);
        assert!(!served.reloader.settled);
        assert_eq!(served.reloader.look(), Look::Same);
        assert!(served.reloader.settled, "it was read again");
        // Somebody has tried again, to no avail.
        served.folder.file("cert.pem", "more nonsense");
        assert!(matches!(served.reloader.look(), Look::Kept(_)));
        served.put(&made());
        assert_eq!(served.reloader.look(), Look::Exchanged);
        assert_eq!(served.reloader.fault, None);
    }

    #[test]
    fn what_is_new_is_told_by_name_and_date_and_not_without_end() {
        let perishables = |names: &[&str], days: u64| -> BTreeSet<Perishable> {
            let validity = Validity {
                begins: NOW,
                ends: NOW + days * testing::DAY,
            };
            let one = |name: &&str| {
                Perishable::certificate("cert.pem", &[(*name).to_owned()], validity, b"")
            };
            names.iter().map(one).collect()
        };
        let before = perishables(&["a.test", "b.test"], 1);
        assert_eq!(told(&before, &before), "none of them is new");
        let fewer = perishables(&["a.test"], 1);
        assert_eq!(told(&before, &fewer), "none of them is new");
        let mut after = before.clone();
        after.extend(perishables(&["a.test"], 2));
        assert_eq!(
            told(&before, &after),
            "new: a.test until 2033-05-20 03:33 UTC"
        );
        // Another one for as long as the last: it was renewed twice within a second.
        let validity = Validity {
            begins: NOW,
            ends: NOW,
        };
        let [one, other] = [b"1", b"2"]
            .map(|der| BTreeSet::from([Perishable::certificate("", &[], validity, der)]));
        assert!(told(&one, &other).starts_with("new: "));
        let many = perishables(&["1", "2", "3", "4", "5", "6", "7"], 1);
        let text = told(&before, &many);
        assert!(text.ends_with("; and 2 more"), "{text}");
        assert_eq!(text.matches(" until ").count(), NEWS_TOLD_MAX);
    }

    #[test]
    fn what_runs_out_is_warned_of_when_it_nears_and_when_it_does() {
        let authority = Authority::shared();
        let folder = Folder::new();
        let list = folder.file("crl.pem", &authority.revokes(&[], NOW + 30 * testing::DAY));
        let server = authority.server(&["a.test"], NOW, NOW + 90 * testing::DAY);
        let mut settings = testing::settings(server.identity());
        settings.clients = ClientSettings {
            auth: ClientAuth::Required,
            authorities: Some(PemSource::Text(authority.made.certificate.pem())),
            revocations: Some(source(&list)),
        };
        // A host under the same list does not have it said twice.
        settings.hosts = vec![HostSettings {
            host: "b.test".to_owned(),
            identity: server.identity(),
            clients: settings.clients.clone(),
        }];
        let clock = TestClock::new(NOW);
        let mut reloader = Reloader::new(settings, clock.wall()).unwrap();
        assert_eq!(reloader.warnings(), [""; 0]);
        let mut at = |seconds: u64| {
            clock.set(seconds);
            reloader.look();
            reloader.warnings().join("\n")
        };
        let end = NOW + 30 * testing::DAY;
        let near = at(end - testing::HOUR);
        assert!(near.contains("crl.pem: the revocation list runs out on"));
        assert_eq!(near.lines().count(), 1, "{near}");
        assert_eq!(at(end - 2), "");
        assert!(at(end).contains("the revocation list has run out"));
        assert_eq!(at(end + 2), "");
        // A newer one ends it; another that is over already begins it anew.
        folder.file("crl.pem", &authority.revokes(&[], NOW + 200 * testing::DAY));
        assert_eq!(at(end + 4), "");
        folder.file("crl.pem", &authority.revokes(&[], NOW + testing::DAY));
        assert!(at(end + 6).contains("the revocation list has run out (2033-05-19"));
        folder.file("crl.pem", &authority.revokes(&[], NOW + 200 * testing::DAY));
        let end = NOW + 90 * testing::DAY;
        assert!(at(end - 9 * testing::DAY).contains("the certificate expires on 2033-08-16"));
        assert_eq!(at(end - 9 * testing::DAY + 2), "");
        assert!(at(end - 8 * testing::DAY).contains("the certificate expires on"));
        assert!(at(end + 1).contains("the certificate has expired"));
    }
}
