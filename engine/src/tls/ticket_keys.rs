//! The secrets that session tickets are sealed with: made here and changed every six hours, or read from a file that
//! several processes share. Sealing itself is `tickets`' business.
//!
//! The file has a line for each secret: from when on it seals, in seconds since 1970, and 64 hexadecimal digits, as
//! `openssl rand -hex 32` prints them. Empty lines and lines that begin with `#` are left out. A secret seals from its
//! moment to the next one's, and opens for six hours more, so processes agree on which one it is as well as their clocks
//! do. Whoever writes the file adds lines ahead of time and takes old ones away: what is gone can open nothing any more.

use crate::tls::arithmetic::{self, hkdf};
use crate::tls::fault::Fault;
use crate::tls::validity::utc;
use crate::tls::wall_clock::WallClock;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

/// How long a secret seals, and how long it opens after that.
pub(crate) const SECRET_LIFETIME_SECONDS: u32 = 6 * 3_600;
const LIFETIME: u64 = SECRET_LIFETIME_SECONDS as u64;
/// Another process's clock may be ahead of ours by so much.
const CLOCK_SKEW_SECONDS: u64 = 300;
/// The name of a secret, at the head of each of its tickets.
pub(crate) const NAME_BYTES: usize = 16;
const SECRET_BYTES: usize = 32;
/// A line an hour, for a week.
const FILE_SECRETS_MAX: usize = 168;
const FILE_BYTES_MAX: u64 = 64 << 10;

/// What keys of tickets are derived from.
pub(crate) struct Secret {
    pub(crate) name: [u8; NAME_BYTES],
    pub(crate) prk: hkdf::Prk,
    /// When it began to seal, in seconds since 1970.
    from: u64,
}

impl Secret {
    fn new(bytes: &[u8; SECRET_BYTES], from: u64) -> Option<Secret> {
        let mut secret = Secret {
            name: [0; NAME_BYTES],
            prk: hkdf::Salt::new(hkdf::HKDF_SHA256, b"lanner ticket secret").extract(bytes),
            from,
        };
        let mut name = [0; NAME_BYTES];
        secret
            .derive(&[b"lanner ticket name"], &mut name)
            .then_some(())?;
        secret.name = name;
        Some(secret)
    }

    fn random(from: u64) -> Option<Secret> {
        let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
        arithmetic::fill_random(&mut bytes[..]).then_some(())?;
        Secret::new(&bytes, from)
    }
}

/// The secrets of a process, shared by its workers.
///
/// The lock is held for a look at a list of two, twice for each handshake, which takes a thousand times as long.
pub(crate) struct TicketKeys {
    /// By their moments; never empty.
    secrets: Mutex<Vec<Arc<Secret>>>,
    /// Whether we make the next one.
    ours: bool,
    clock: WallClock,
}

impl TicketKeys {
    /// Secrets that nobody else knows. None where the system has no random bytes.
    pub(crate) fn made(clock: WallClock) -> Option<TicketKeys> {
        let first = Secret::random(clock.seconds())?;
        Some(TicketKeys {
            secrets: Mutex::new(vec![Arc::new(first)]),
            ours: true,
            clock,
        })
    }

    /// The secrets of a file.
    pub(crate) fn read(path: &Path, clock: WallClock) -> Result<TicketKeys, Fault> {
        let secrets = read_file(path, clock.seconds())?;
        Ok(TicketKeys {
            secrets: Mutex::new(secrets),
            ours: false,
            clock,
        })
    }

    /// Reads the file again. With a fault, what was read before stays.
    pub(crate) fn read_again(&self, path: &Path) -> Result<(), Fault> {
        *self.lock() = read_file(path, self.clock.seconds())?;
        Ok(())
    }

    /// What somebody should know although there are keys.
    pub(crate) fn warning(&self, path: &Path) -> Option<String> {
        let newest = self.lock().last().map_or(0, |secret| secret.from);
        let age = self.clock.seconds().saturating_sub(newest);
        (age > 2 * LIFETIME).then(|| {
            let (path, since) = (path.display(), utc(newest));
            format!("{path}: the newest ticket key is in use since {since}; whoever gets it can read what was said since then")
        })
    }

    /// The secret that seals now.
    pub(crate) fn current(&self) -> Option<Arc<Secret>> {
        let now = self.clock.seconds();
        let mut secrets = self.lock();
        self.rotate(&mut secrets, now);
        let begun = secrets.iter().rev().find(|secret| secret.from <= now);
        // A clock that was set back has only secrets to come.
        begun.or(secrets.first()).cloned()
    }

    /// The secret of a name, if it still opens tickets.
    pub(crate) fn named(&self, name: &[u8]) -> Option<Arc<Secret>> {
        let now = self.clock.seconds();
        let mut secrets = self.lock();
        self.rotate(&mut secrets, now);
        let place = secrets.iter().position(|secret| secret.name == name)?;
        let begun = secrets[place].from <= now + CLOCK_SKEW_SECONDS;
        let ended = secrets
            .get(place + 1)
            .is_some_and(|next| next.from.saturating_add(LIFETIME) <= now);
        (begun && !ended).then(|| secrets[place].clone())
    }

    /// Makes the next secret when it is time, and forgets those that open nothing any more.
    fn rotate(&self, secrets: &mut Vec<Arc<Secret>>, now: u64) {
        if !self.ours {
            return;
        }
        let due = |newest: &Arc<Secret>| newest.from.saturating_add(LIFETIME) <= now;
        if secrets.last().is_none_or(due)
            && let Some(next) = Secret::random(now)
        {
            secrets.push(Arc::new(next));
        }
        // Without random bytes the old one goes on; it is the last in any case.
        let newest = secrets.last().map(|newest| newest.name);
        secrets.retain(|secret| {
            secret.from.saturating_add(2 * LIFETIME) > now || Some(secret.name) == newest
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Secret>>> {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TicketKeys").finish_non_exhaustive()
    }
}

fn read_file(path: &Path, now: u64) -> Result<Vec<Arc<Secret>>, Fault> {
    let fault = |problem: String| Fault::new(path.display().to_string(), problem);
    let file = File::open(path).map_err(|error| fault(error.to_string()))?;
    let facts = file.metadata().map_err(|error| fault(error.to_string()))?;
    if facts.mode() & 0o007 != 0 {
        return Err(fault(
            "everybody can read it, and with it what clients say (chmod 600)".to_owned(),
        ));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|error| fault(error.to_string()))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(fault("too long for ticket keys".to_owned()));
    }
    secrets_of(&text, now).map_err(fault)
}

/// The secrets in a file's text, by their moments.
fn secrets_of(text: &str, now: u64) -> Result<Vec<Arc<Secret>>, String> {
    let mut secrets = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        // The line itself is a secret, so the message does not repeat it.
        let secret = secret_of(line).ok_or_else(|| {
            let number = index + 1;
            format!("line {number} is not `<seconds since 1970> <64 hexadecimal digits>`")
        })?;
        secrets.push(Arc::new(secret));
    }
    if secrets.len() > FILE_SECRETS_MAX {
        return Err(format!("has more than {FILE_SECRETS_MAX} keys"));
    }
    secrets.sort_by_key(|secret| secret.from);
    let twice = |pair: &[Arc<Secret>]| pair[0].from == pair[1].from;
    if secrets.windows(2).any(twice) {
        return Err("has two keys of the same moment".to_owned());
    }
    let mut names: Vec<_> = secrets.iter().map(|secret| secret.name).collect();
    names.sort_unstable();
    names.dedup();
    if names.len() < secrets.len() {
        return Err("has the same key twice".to_owned());
    }
    if secrets.first().is_none_or(|first| first.from > now) {
        return Err("has no key that is in use yet".to_owned());
    }
    Ok(secrets)
}

fn secret_of(line: &str) -> Option<Secret> {
    let (from, digits) = line.split_once(char::is_whitespace)?;
    let digits = digits.trim_start().as_bytes();
    if digits.len() != 2 * SECRET_BYTES {
        return None;
    }
    let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = [pair[0], pair[1]].map(|digit| char::from(digit).to_digit(16));
        *byte = u8::try_from(high? << 4 | low?).ok()?;
    }
    Secret::new(&bytes, from.parse().ok()?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::tls::testing::{Folder, HOUR, NOW, TestClock};

    fn line(from: u64, digit: char) -> String {
        format!("{from} {}\n", digit.to_string().repeat(64))
    }

    #[test]
    fn processes_that_share_a_file_change_secrets_at_the_same_moment() {
        let folder = Folder::new();
        let text = format!(
            "# tickets\n\n{}{}",
            line(NOW + 6 * HOUR, 'b'),
            line(NOW - HOUR, 'A')
        );
        let path = folder.secret("tickets", &text);
        let clock = TestClock::new(NOW);
        let [one, other] = [(); 2].map(|()| TicketKeys::read(&path, clock.wall()).unwrap());
        let early = one.current().unwrap().name;
        assert_eq!(other.current().unwrap().name, early);
        clock.set(NOW + 6 * HOUR);
        let late = other.current().unwrap().name;
        assert!(late != early && one.current().unwrap().name == late);
        assert!(one.named(&early).is_some(), "it opens for six hours more");
        clock.set(NOW + 12 * HOUR);
        assert!(one.named(&early).is_none() && one.named(&late).is_some());
        assert_eq!(one.warning(&path), None);
        clock.set(NOW + 48 * HOUR);
        assert_eq!(
            one.current().unwrap().name,
            late,
            "the newest is never too old"
        );
        assert!(
            one.warning(&path)
                .unwrap()
                .contains("in use since 2033-05-18 09:33 UTC")
        );
    }

    #[test]
    fn a_ticket_of_a_process_whose_clock_is_ahead_opens() {
        let folder = Folder::new();
        let text = line(NOW - HOUR, 'a') + &line(NOW + 60, 'b');
        let path = folder.secret("tickets", &text);
        let clock = TestClock::new(NOW + 60);
        let ahead = TicketKeys::read(&path, clock.wall()).unwrap();
        let name = ahead.current().unwrap().name;
        let behind = TicketKeys::read(&path, TestClock::new(NOW).wall()).unwrap();
        assert_ne!(behind.current().unwrap().name, name);
        assert!(behind.named(&name).is_some());
        let far_behind = TicketKeys::read(&path, TestClock::new(NOW - HOUR).wall()).unwrap();
        assert!(far_behind.named(&name).is_none());
    }

    #[test]
    fn a_file_is_refused_whole_and_its_secrets_are_not_repeated() {
        let digits = "c".repeat(64);
        for (text, problem) in [
            (String::new(), "no key that is in use yet"),
            (line(NOW + 1, 'a'), "no key that is in use yet"),
            (format!("{NOW} {digits}0"), "line 1 is not"),
            (format!("{NOW} {}z", &digits[1..]), "line 1 is not"),
            (format!("\n-1 {digits}"), "line 2 is not"),
            (digits.clone(), "line 1 is not"),
            (line(NOW, 'a') + &line(NOW, 'b'), "the same moment"),
            (line(NOW, 'a') + &line(NOW - 1, 'a'), "the same key twice"),
            (
                (0..=FILE_SECRETS_MAX as u64)
                    .map(|hour| format!("{} {:064x}\n", NOW - hour, hour))
                    .collect(),
                "more than 168",
            ),
        ] {
            let found = secrets_of(&text, NOW).err().unwrap();
            assert!(found.contains(problem), "{found}");
            assert!(!found.contains("ccc"), "{found}");
        }
    }

    #[test]
    fn a_file_that_everybody_can_read_is_refused() {
        let folder = Folder::new();
        let path = folder.file("tickets", &line(NOW, 'a'));
        let fault = TicketKeys::read(&path, TestClock::new(NOW).wall()).unwrap_err();
        assert!(
            fault.to_string().contains("everybody can read it"),
            "{fault}"
        );
        assert!(fault.to_string().contains("tickets"), "{fault}");
    }

    #[test]
    fn what_was_read_stays_where_it_cannot_be_read_again() {
        let folder = Folder::new();
        let path = folder.secret("tickets", &line(NOW, 'a'));
        let keys = TicketKeys::read(&path, TestClock::new(NOW).wall()).unwrap();
        let before = keys.current().unwrap().name;
        folder.secret("tickets", "nonsense");
        assert!(keys.read_again(&path).is_err());
        assert_eq!(keys.current().unwrap().name, before);
        folder.secret("tickets", &line(NOW, 'b'));
        keys.read_again(&path).unwrap();
        assert_ne!(keys.current().unwrap().name, before);
    }
}
