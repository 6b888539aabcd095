//! Session tickets (RFC 8446 section 4.6.1, RFC 5077): what a client shows to come back without a whole handshake,
//! sealed so that only we can read it, and only under the configuration that gave it.
//!
//! All workers share one ring of secrets. Each configuration's tickets are sealed with keys derived from a secret and the
//! configuration's fingerprint, so a ticket of one never opens under another with other rules for clients
//! (CVE-2025-23419). Each ticket has a key of its own, derived with a random salt: no number of tickets wears a key out.
//! Where secrets come from is up to `ticket_keys`.

use crate::tls::arithmetic::{self, Length, aead, hkdf};
use crate::tls::ticket_keys::{SECRET_LIFETIME_SECONDS, Secret, TicketKeys};
use rustls::server::ProducesTickets;
use std::sync::Arc;
use zeroize::Zeroizing;

/// name, salt, sealed session, tag
const NAME_BYTES: usize = crate::tls::ticket_keys::NAME_BYTES;
const SALT_BYTES: usize = 16;
const HEADER_BYTES: usize = NAME_BYTES + SALT_BYTES;
const TAG_BYTES: usize = 16;
const KEY_BYTES: usize = 32;

/// Seals and opens the tickets of one configuration.
pub(crate) struct Ticketer {
    keys: Arc<TicketKeys>,
    /// Of the configuration.
    fingerprint: [u8; 32],
}

impl Ticketer {
    pub(crate) fn new(keys: Arc<TicketKeys>, fingerprint: [u8; 32]) -> Ticketer {
        Ticketer { keys, fingerprint }
    }

    /// The key of one ticket. The nonce is derived too, though with a key that is used once it could be anything.
    fn key(&self, secret: &Secret, salt: &[u8]) -> Option<(aead::LessSafeKey, aead::Nonce)> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES + aead::NONCE_LEN]);
        let info: [&[u8]; 3] = [b"lanner ticket", &self.fingerprint, salt];
        secret.derive(&info, &mut bytes[..]).then_some(())?;
        let (key, nonce) = bytes.split_at(KEY_BYTES);
        let key = aead::UnboundKey::new(&aead::AES_256_GCM, key).ok()?;
        let nonce = aead::Nonce::try_assume_unique_for_key(nonce).ok()?;
        Some((aead::LessSafeKey::new(key), nonce))
    }
}

impl ProducesTickets for Ticketer {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        SECRET_LIFETIME_SECONDS
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let secret = self.keys.current()?;
        let mut salt = [0; SALT_BYTES];
        arithmetic::fill_random(&mut salt).then_some(())?;
        let (key, nonce) = self.key(&secret, &salt)?;
        let mut ticket = Vec::with_capacity(HEADER_BYTES + plain.len() + TAG_BYTES);
        ticket.extend_from_slice(&secret.name);
        ticket.extend_from_slice(&salt);
        ticket.extend_from_slice(plain);
        let (header, sealed) = ticket.split_at_mut(HEADER_BYTES);
        let tag = key
            .seal_in_place_separate_tag(nonce, aead::Aad::from(&*header), sealed)
            .ok()?;
        ticket.extend_from_slice(tag.as_ref());
        Some(ticket)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        let (header, sealed) = cipher.split_at_checked(HEADER_BYTES)?;
        let (name, salt) = header.split_at(NAME_BYTES);
        let secret = self.keys.named(name)?;
        let (key, nonce) = self.key(&secret, salt)?;
        let mut plain = sealed.to_vec();
        let length = key
            .open_in_place(nonce, aead::Aad::from(header), &mut plain)
            .ok()?
            .len();
        plain.truncate(length);
        Some(plain)
    }
}

impl std::fmt::Debug for Ticketer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ticketer").finish_non_exhaustive()
    }
}

impl Secret {
    /// Fills `out` with bytes that only the secret and `info` together make; false where that cannot be.
    #[must_use]
    pub(crate) fn derive(&self, info: &[&[u8]], out: &mut [u8]) -> bool {
        self.prk
            .expand(info, Length(out.len()))
            .and_then(|bytes: hkdf::Okm<'_, Length>| bytes.fill(out))
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::tls::testing::{HOUR, NOW, TestClock};

    fn ticketers() -> (Arc<TestClock>, Ticketer, Ticketer) {
        let clock = TestClock::new(NOW);
        let keys = Arc::new(TicketKeys::made(clock.wall()).unwrap());
        let one = Ticketer::new(keys.clone(), [1; 32]);
        (clock, one, Ticketer::new(keys, [2; 32]))
    }

    #[test]
    fn a_ticket_opens_under_its_own_configuration_only() {
        let (_, one, other) = ticketers();
        let ticket = one.encrypt(b"session").unwrap();
        assert_eq!(one.decrypt(&ticket).as_deref(), Some(&b"session"[..]));
        assert_eq!(other.decrypt(&ticket), None);
    }

    #[test]
    fn a_ticket_that_was_touched_or_cut_opens_nowhere() {
        let (_, one, _) = ticketers();
        let ticket = one.encrypt(b"session").unwrap();
        for place in 0..ticket.len() {
            let mut touched = ticket.clone();
            touched[place] ^= 0x10;
            assert_eq!(one.decrypt(&touched), None, "{place}");
            assert_eq!(one.decrypt(&ticket[..place]), None, "{place}");
        }
    }

    #[test]
    fn two_tickets_of_one_session_have_nothing_in_common_but_the_secrets_name() {
        let (_, one, _) = ticketers();
        let [first, second] = [(); 2].map(|()| one.encrypt(&[0; 64]).unwrap());
        assert_eq!(first[..NAME_BYTES], second[..NAME_BYTES]);
        let equal = first.iter().zip(&second).skip(NAME_BYTES);
        assert!(equal.filter(|(one, other)| one == other).count() < 16);
    }

    #[test]
    fn a_ticket_lives_for_six_hours_at_least_and_for_twelve_at_most() {
        let (clock, one, _) = ticketers();
        let early = one.encrypt(b"early").unwrap();
        clock.set(NOW + 6 * HOUR - 1);
        let late = one.encrypt(b"late").unwrap();
        assert_eq!(early[..NAME_BYTES], late[..NAME_BYTES]);
        clock.set(NOW + 6 * HOUR);
        let next = one.encrypt(b"next").unwrap();
        assert_ne!(next[..NAME_BYTES], late[..NAME_BYTES]);
        clock.set(NOW + 12 * HOUR - 1);
        for ticket in [&early, &late, &next] {
            assert!(one.decrypt(ticket).is_some());
        }
        clock.set(NOW + 12 * HOUR);
        assert_eq!(one.decrypt(&early), None);
        assert_eq!(one.decrypt(&late), None);
        assert!(one.decrypt(&next).is_some());
    }

    #[test]
    fn twelve_hours_are_all_where_nobody_came_in_between() {
        let (clock, one, _) = ticketers();
        let ticket = one.encrypt(b"session").unwrap();
        clock.set(NOW + 10 * HOUR);
        assert!(one.decrypt(&ticket).is_some());
        clock.set(NOW + 12 * HOUR);
        assert_eq!(one.decrypt(&ticket), None);
    }
}
