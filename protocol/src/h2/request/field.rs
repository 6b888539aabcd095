//! Which fields may stand in a message of HTTP/2 (RFC 9113 section 8.2): names in lower case, values that end no line in
//! HTTP/1.1, and nothing that belongs to one of its connections.

use super::Malformed;
use crate::field::search::{first_control, leading};
use crate::field::{is_named, is_token_byte, valid_value};
use crate::hpack::{Field, KnownName};

/// Which bytes may stand in a name: those of a token, without capital letters.
const NAME: [bool; 256] = {
    const OTHERS: &[u8] = b"!#$%&'*+-.^_`|~";
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_lowercase() || (byte as u8).is_ascii_digit();
        byte += 1;
    }
    let mut at = 0;
    while at < OTHERS.len() {
        table[OTHERS[at] as usize] = true;
        at += 1;
    }
    table
};

/// Judges a field that is no pseudo-field.
#[inline]
pub(crate) fn judge(field: &Field, text: &[u8]) -> Result<(), Malformed> {
    let value = field.span.value.slice(text);
    match field.name {
        None => judge_name(field.span.name.slice(text))?,
        Some(KnownName::TE) if !is_named(value, b"trailers") => {
            return Err(Malformed::TransferCodings);
        }
        Some(
            KnownName::CONNECTION
            | KnownName::KEEP_ALIVE
            | KnownName::PROXY_CONNECTION
            | KnownName::TRANSFER_ENCODING
            | KnownName::UPGRADE,
        ) => return Err(Malformed::ConnectionField),
        Some(_) => {}
    }
    // What stands in the static table is fine.
    if field.pair.is_some() || is_value(value) {
        Ok(())
    } else {
        Err(Malformed::FieldValue)
    }
}

#[inline]
fn judge_name(name: &[u8]) -> Result<(), Malformed> {
    if !name.is_empty() && leading(name, &NAME) == name.len() {
        return Ok(());
    }
    debug_assert!(
        name.is_empty()
            || !name
                .iter()
                .all(|&byte| is_token_byte(byte) && !byte.is_ascii_uppercase())
    );
    Err(match name.first() {
        Some(b':') => Malformed::PseudoFieldUnknown,
        _ => Malformed::FieldName,
    })
}

/// Section 8.2.1 forbids NUL, CR, LF, and white space at either end; the other control bytes are forbidden by RFC 9110
/// section 5.5 and refused on HTTP/1.1 too.
#[inline]
fn is_value(value: &[u8]) -> bool {
    let (Some(first), Some(last)) = (value.first(), value.last()) else {
        return true;
    };
    *first != b' '
        && *last != b' '
        && match first_control(value) {
            None => true,
            Some(_) => !matches!((first, last), (b'\t', _) | (_, b'\t')) && valid_value(value),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_tokens_in_lower_case() {
        for name in [&b"a"[..], b"x-request-id", b"!#$%&'*+-.^_`|~09az"] {
            assert_eq!(judge_name(name), Ok(()), "{name:?}");
        }
        for byte in 0..=255u8 {
            let name = [b'a', byte, b'b', b'c', b'd', b'e', b'f', b'g', b'h'];
            let allowed = is_token_byte(byte) && !byte.is_ascii_uppercase();
            assert_eq!(judge_name(&name).is_ok(), allowed, "{byte:#04x}");
        }
        assert_eq!(judge_name(b""), Err(Malformed::FieldName));
        assert_eq!(judge_name(b":a"), Err(Malformed::PseudoFieldUnknown));
        assert_eq!(judge_name(b"a:"), Err(Malformed::FieldName));
    }

    #[test]
    fn values_end_no_line_and_have_no_white_space_around_them() {
        for value in [
            &b""[..],
            b"a",
            b"a b\tc",
            b"\x80\xff",
            b"a\tb c\td e f g h i j k",
        ] {
            assert!(is_value(value), "{value:?}");
        }
        for value in [
            &b" a"[..],
            b"a ",
            b"\ta",
            b"a\t",
            b" ",
            b"\t",
            b"a\0b",
            b"a\rb",
            b"a\nb",
            b"a\x7fb",
            b"a\x01b",
        ] {
            assert!(!is_value(value), "{value:?}");
        }
    }
}
