//! Names that are recognised without comparing text: those of the static table, and those by which HTTP/2 requests are
//! judged (RFC 9113 sections 8.2.2 and 8.3, RFC 8441, RFC 9218).

use std::num::NonZeroU8;

use super::static_table::ENTRIES;
use crate::words;

/// A name that the server knows. That a field has none means that its name is none of these, however it was written: the
/// decoder also recognises names that were spelled out.
///
/// Its number is the name's first index in the static table; names beyond that table follow behind it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct KnownName(NonZeroU8);

/// The names that the static table lacks.
const BEYOND: [&str; 8] = [
    ":protocol",
    "connection",
    "keep-alive",
    "priority",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
];

impl KnownName {
    /// `:authority`
    pub const AUTHORITY: KnownName = KnownName::constant(1);
    /// `:method`
    pub const METHOD: KnownName = KnownName::constant(2);
    /// `:path`
    pub const PATH: KnownName = KnownName::constant(4);
    /// `:scheme`
    pub const SCHEME: KnownName = KnownName::constant(6);
    /// `:status`
    pub const STATUS: KnownName = KnownName::constant(8);
    /// `accept-charset`
    pub const ACCEPT_CHARSET: KnownName = KnownName::constant(15);
    /// `accept-encoding`
    pub const ACCEPT_ENCODING: KnownName = KnownName::constant(16);
    /// `accept-language`
    pub const ACCEPT_LANGUAGE: KnownName = KnownName::constant(17);
    /// `accept-ranges`
    pub const ACCEPT_RANGES: KnownName = KnownName::constant(18);
    /// `accept`
    pub const ACCEPT: KnownName = KnownName::constant(19);
    /// `access-control-allow-origin`
    pub const ACCESS_CONTROL_ALLOW_ORIGIN: KnownName = KnownName::constant(20);
    /// `age`
    pub const AGE: KnownName = KnownName::constant(21);
    /// `allow`
    pub const ALLOW: KnownName = KnownName::constant(22);
    /// `authorization`
    pub const AUTHORIZATION: KnownName = KnownName::constant(23);
    /// `cache-control`
    pub const CACHE_CONTROL: KnownName = KnownName::constant(24);
    /// `content-disposition`
    pub const CONTENT_DISPOSITION: KnownName = KnownName::constant(25);
    /// `content-encoding`
    pub const CONTENT_ENCODING: KnownName = KnownName::constant(26);
    /// `content-language`
    pub const CONTENT_LANGUAGE: KnownName = KnownName::constant(27);
    /// `content-length`
    pub const CONTENT_LENGTH: KnownName = KnownName::constant(28);
    /// `content-location`
    pub const CONTENT_LOCATION: KnownName = KnownName::constant(29);
    /// `content-range`
    pub const CONTENT_RANGE: KnownName = KnownName::constant(30);
    /// `content-type`
    pub const CONTENT_TYPE: KnownName = KnownName::constant(31);
    /// `cookie`
    pub const COOKIE: KnownName = KnownName::constant(32);
    /// `date`
    pub const DATE: KnownName = KnownName::constant(33);
    /// `etag`
    pub const ETAG: KnownName = KnownName::constant(34);
    /// `expect`
    pub const EXPECT: KnownName = KnownName::constant(35);
    /// `expires`
    pub const EXPIRES: KnownName = KnownName::constant(36);
    /// `from`
    pub const FROM: KnownName = KnownName::constant(37);
    /// `host`
    pub const HOST: KnownName = KnownName::constant(38);
    /// `if-match`
    pub const IF_MATCH: KnownName = KnownName::constant(39);
    /// `if-modified-since`
    pub const IF_MODIFIED_SINCE: KnownName = KnownName::constant(40);
    /// `if-none-match`
    pub const IF_NONE_MATCH: KnownName = KnownName::constant(41);
    /// `if-range`
    pub const IF_RANGE: KnownName = KnownName::constant(42);
    /// `if-unmodified-since`
    pub const IF_UNMODIFIED_SINCE: KnownName = KnownName::constant(43);
    /// `last-modified`
    pub const LAST_MODIFIED: KnownName = KnownName::constant(44);
    /// `link`
    pub const LINK: KnownName = KnownName::constant(45);
    /// `location`
    pub const LOCATION: KnownName = KnownName::constant(46);
    /// `max-forwards`
    pub const MAX_FORWARDS: KnownName = KnownName::constant(47);
    /// `proxy-authenticate`
    pub const PROXY_AUTHENTICATE: KnownName = KnownName::constant(48);
    /// `proxy-authorization`
    pub const PROXY_AUTHORIZATION: KnownName = KnownName::constant(49);
    /// `range`
    pub const RANGE: KnownName = KnownName::constant(50);
    /// `referer`
    pub const REFERER: KnownName = KnownName::constant(51);
    /// `refresh`
    pub const REFRESH: KnownName = KnownName::constant(52);
    /// `retry-after`
    pub const RETRY_AFTER: KnownName = KnownName::constant(53);
    /// `server`
    pub const SERVER: KnownName = KnownName::constant(54);
    /// `set-cookie`
    pub const SET_COOKIE: KnownName = KnownName::constant(55);
    /// `strict-transport-security`
    pub const STRICT_TRANSPORT_SECURITY: KnownName = KnownName::constant(56);
    /// `transfer-encoding`
    pub const TRANSFER_ENCODING: KnownName = KnownName::constant(57);
    /// `user-agent`
    pub const USER_AGENT: KnownName = KnownName::constant(58);
    /// `vary`
    pub const VARY: KnownName = KnownName::constant(59);
    /// `via`
    pub const VIA: KnownName = KnownName::constant(60);
    /// `www-authenticate`
    pub const WWW_AUTHENTICATE: KnownName = KnownName::constant(61);
    /// `:protocol`
    pub const PROTOCOL: KnownName = KnownName::constant(62);
    /// `connection`
    pub const CONNECTION: KnownName = KnownName::constant(63);
    /// `keep-alive`
    pub const KEEP_ALIVE: KnownName = KnownName::constant(64);
    /// `priority`
    pub const PRIORITY: KnownName = KnownName::constant(65);
    /// `proxy-connection`
    pub const PROXY_CONNECTION: KnownName = KnownName::constant(66);
    /// `te`
    pub const TE: KnownName = KnownName::constant(67);
    /// `trailer`
    pub const TRAILER: KnownName = KnownName::constant(68);
    /// `upgrade`
    pub const UPGRADE: KnownName = KnownName::constant(69);

    const fn constant(number: u8) -> KnownName {
        match NonZeroU8::new(number) {
            Some(number) => KnownName(number),
            None => panic!("numbers begin at 1"),
        }
    }

    /// Which of them `name` is. One comparison at most: no two share a slot.
    #[inline]
    pub fn of(name: &[u8]) -> Option<KnownName> {
        let known = KnownName::from_number(SLOTS[slot(name)])?;
        words::same(known.text().as_bytes(), name).then_some(known)
    }

    /// The name itself.
    #[inline]
    pub fn text(self) -> &'static str {
        TEXTS[usize::from(self.0.get()) - 1]
    }

    /// Its index in the static table, if it has one there.
    #[inline]
    pub(super) fn static_index(self) -> Option<u32> {
        let number = self.0.get();
        (usize::from(number) <= ENTRIES.len()).then_some(u32::from(number))
    }

    #[inline]
    pub(super) const fn number(self) -> u8 {
        self.0.get()
    }

    /// From one of the numbers that are given here.
    #[inline]
    pub(super) fn from_number(number: u8) -> Option<KnownName> {
        NonZeroU8::new(number).map(KnownName)
    }
}

/// Every name by its number less one; names that the static table has more than once also stand at their later indices.
static TEXTS: [&str; ENTRIES.len() + BEYOND.len()] = TEXTS_BY_NUMBER;

const TEXTS_BY_NUMBER: [&str; ENTRIES.len() + BEYOND.len()] = {
    let mut texts = [""; ENTRIES.len() + BEYOND.len()];
    let mut at = 0;
    while at < texts.len() {
        texts[at] = if at < ENTRIES.len() {
            ENTRIES[at].0
        } else {
            BEYOND[at - ENTRIES.len()]
        };
        at += 1;
    }
    texts
};

/// Where a name stands in `SLOTS`. The factors were searched for until no two names met.
#[inline]
const fn slot(name: &[u8]) -> usize {
    if name.is_empty() {
        return 0;
    }
    let (first, middle, last) = (name[0], name[name.len() / 2], name[name.len() - 1]);
    name.len()
        .wrapping_mul(102)
        .wrapping_add(first as usize * 90)
        .wrapping_add(middle as usize * 182)
        .wrapping_add(last as usize * 237)
        & 0xff
}

static SLOTS: [u8; 256] = {
    let mut slots = [0u8; 256];
    let mut at = 0;
    while at < TEXTS_BY_NUMBER.len() {
        let slot = slot(TEXTS_BY_NUMBER[at].as_bytes());
        if slots[slot] == 0 {
            slots[slot] = at as u8 + 1;
        } else {
            // Only another field of the same name may stand there; that these are that is tested.
            assert!(at < ENTRIES.len());
        }
        at += 1;
    }
    slots
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_known_and_nothing_else_is() {
        for text in TEXTS_BY_NUMBER {
            let known = KnownName::of(text.as_bytes()).expect(text);
            assert_eq!(known.text(), text);
            let first = TEXTS_BY_NUMBER.iter().position(|other| *other == text);
            assert_eq!(usize::from(known.number()), first.expect(text) + 1);
            for other in [
                text.to_uppercase(),
                format!("{text}x"),
                text[1..].to_owned(),
                text.replacen(['e', 'a', 'i', 'o'], "u", 2),
            ] {
                let found = KnownName::of(other.as_bytes());
                assert!(found.is_none_or(|known| known.text() == other), "{other}");
            }
        }
        assert_eq!(KnownName::of(b""), None);
    }

    #[test]
    fn constants_are_named_after_their_text() {
        for (constant, text) in [
            (KnownName::AUTHORITY, ":authority"),
            (KnownName::PATH, ":path"),
            (KnownName::STATUS, ":status"),
            (KnownName::CONTENT_LENGTH, "content-length"),
            (KnownName::DATE, "date"),
            (KnownName::SET_COOKIE, "set-cookie"),
            (KnownName::WWW_AUTHENTICATE, "www-authenticate"),
            (KnownName::PROTOCOL, ":protocol"),
            (KnownName::UPGRADE, "upgrade"),
        ] {
            assert_eq!(constant.text(), text);
        }
    }
}
