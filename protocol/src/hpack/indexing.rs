//! Which fields are worth a place in the dynamic table, and which must never have one.

use super::known_name::KnownName;

/// Below this a cookie might be guessed byte by byte through the size of what is sent (RFC 7541 section 7.1.3).
const COOKIE_LEN_MIN: usize = 20;

/// Whether a field goes into the dynamic table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Indexing {
    /// Decided by the field's name; a name that nobody knows is taken for [`Indexing::Recurring`].
    ByName,
    /// It will be sent again with the same value: it goes in at once.
    Wanted,
    /// It may be sent again with the same value: it goes in the second time. So an identifier that is new in every
    /// response does not push out what repeats, nor does the date on a connection with one response a second.
    Recurring,
    /// It will not be sent again with the same value.
    Without,
    /// It is a secret: it stays out of this table and of all tables on its way (RFC 7541 section 6.2.3).
    Never,
}

impl Indexing {
    /// The same, with what `ByName` stands for.
    pub(super) fn of(self, known: Option<KnownName>, value: &[u8]) -> Indexing {
        match (self, known) {
            (Indexing::ByName, Some(known)) => by_name(known, value),
            (Indexing::ByName, None) => Indexing::Recurring,
            (decided, _) => decided,
        }
    }
}

fn by_name(name: KnownName, value: &[u8]) -> Indexing {
    match name {
        KnownName::AUTHORIZATION | KnownName::PROXY_AUTHORIZATION | KnownName::SET_COOKIE => {
            Indexing::Never
        }
        KnownName::COOKIE if value.len() < COOKIE_LEN_MIN => Indexing::Never,
        // Of one resource, not of the site.
        KnownName::AGE
        | KnownName::CONTENT_DISPOSITION
        | KnownName::CONTENT_LENGTH
        | KnownName::CONTENT_LOCATION
        | KnownName::CONTENT_RANGE
        | KnownName::ETAG
        | KnownName::IF_MATCH
        | KnownName::IF_MODIFIED_SINCE
        | KnownName::IF_NONE_MATCH
        | KnownName::IF_RANGE
        | KnownName::IF_UNMODIFIED_SINCE
        | KnownName::LAST_MODIFIED
        | KnownName::LOCATION
        | KnownName::PATH
        | KnownName::RANGE
        | KnownName::RETRY_AFTER
        | KnownName::WWW_AUTHENTICATE => Indexing::Without,
        KnownName::DATE | KnownName::EXPIRES | KnownName::LINK | KnownName::REFERER => {
            Indexing::Recurring
        }
        _ => Indexing::Wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_never_indexed_and_only_what_repeats_is() {
        for (name, value, indexing) in [
            ("set-cookie", "a=b", Indexing::Never),
            ("authorization", "Basic Zm9vOmJhcg==", Indexing::Never),
            ("proxy-authorization", "x", Indexing::Never),
            ("cookie", "nineteen-bytes-long", Indexing::Never),
            ("cookie", "twenty-bytes-of-text", Indexing::Wanted),
            ("content-length", "12", Indexing::Without),
            ("etag", "\"x\"", Indexing::Without),
            ("location", "/", Indexing::Without),
            ("date", "today", Indexing::Recurring),
            ("x-request-id", "1", Indexing::Recurring),
            ("content-type", "text/html", Indexing::Wanted),
            ("server", "lanner", Indexing::Wanted),
            ("cache-control", "no-store", Indexing::Wanted),
            ("vary", "accept-encoding", Indexing::Wanted),
        ] {
            let known = KnownName::of(name.as_bytes());
            assert_eq!(
                Indexing::ByName.of(known, value.as_bytes()),
                indexing,
                "{name}"
            );
            assert_eq!(Indexing::Never.of(known, value.as_bytes()), Indexing::Never);
        }
    }
}
