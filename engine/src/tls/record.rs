//! Where one TLS record ends and the next begins (RFC 8446 section 5.1). Only the headers are looked at; what is in a
//! record is rustls' business.

/// Type, version, length.
const HEADER_BYTES: usize = 5;
/// The longest fragment, and the most that encryption may add to it (RFC 5246 section 6.2.3).
const FRAGMENT_BYTES_MAX: usize = (1 << 14) + 2_048;
/// A record in full. Whatever holds one needs no more.
#[cfg(test)]
pub(crate) const RECORD_BYTES_MAX: usize = HEADER_BYTES + FRAGMENT_BYTES_MAX;

/// How many bytes to wait for until there is something for rustls to judge, counted from the record's beginning: a whole
/// record, or only its header where that is wrong already. With less than a header, the header.
pub(crate) fn bytes_wanted(record: &[u8]) -> usize {
    let Some(&[kind, major, _, high, low]) = record.first_chunk::<HEADER_BYTES>() else {
        return HEADER_BYTES;
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    // ChangeCipherSpec, alert, handshake, data; heartbeats were never ours.
    let sound = matches!(kind, 20..=23) && major == 3 && length <= FRAGMENT_BYTES_MAX;
    HEADER_BYTES + if sound { length } else { 0 }
}

/// The length of the record that `bytes` begin with, if it is there as a whole.
pub(crate) fn whole(bytes: &[u8]) -> Option<usize> {
    let wanted = bytes_wanted(bytes);
    (bytes.len() >= wanted).then_some(wanted)
}

/// A fatal alert in the clear, as before any keys: for refusals that rustls does not make (RFC 8446 section 6).
pub(crate) const fn plain_alert(description: u8) -> [u8; 7] {
    const ALERT: u8 = 21;
    const FATAL: u8 = 2;
    [ALERT, 3, 3, 0, 2, FATAL, description]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_waited_for_as_a_whole() {
        let record = [23, 3, 3, 0, 3, 1, 2, 3, 9];
        for end in 0..5 {
            assert_eq!(
                (bytes_wanted(&record[..end]), whole(&record[..end])),
                (5, None)
            );
        }
        for end in 5..8 {
            assert_eq!(
                (bytes_wanted(&record[..end]), whole(&record[..end])),
                (8, None)
            );
        }
        for end in 8..9 {
            assert_eq!(whole(&record[..end]), Some(8));
        }
        assert_eq!(whole(&[23, 3, 3, 0, 0]), Some(5));
    }

    #[test]
    fn a_wrong_header_is_not_waited_for() {
        for header in [
            [b'G', b'E', b'T', b' ', b'/'],
            [24, 3, 3, 0, 9],
            [22, 2, 0, 0, 9],
            [23, 3, 3, 0x48, 1],
            [23, 3, 3, 0xFF, 0xFF],
        ] {
            assert_eq!(whole(&header), Some(5), "{header:?}");
        }
        assert_eq!(bytes_wanted(&[23, 3, 3, 0x48, 0]), RECORD_BYTES_MAX);
    }
}
