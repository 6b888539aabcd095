//! How the end of a request body is found: the one place that decides it (RFC 9112 section 6.3).
//!
//! Every request-smuggling attack needs two parties that answer this question differently. So whatever leaves room for a
//! second answer is refused, even where the RFC would allow mending it. Whether a length is too long is not judged here:
//! the app may raise its bound first.

use crate::field::{is_named, is_token, list_with_empty, trim_ows};
use crate::head::Version;
use crate::misbehaviour::Misbehaviour;

/// How long the body is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Framing {
    /// There is none: the next byte belongs to the next request.
    #[default]
    None,
    /// As many bytes as Content-Length said; maybe zero.
    Length(u64),
    /// Chunks up to the last one, then the trailer section. On HTTP/2, which has no chunks: as much as comes before the stream's
    /// end.
    Chunked,
}

impl Framing {
    /// Whether the request announced at least one byte, or might.
    pub fn has_body(self) -> bool {
        !matches!(self, Framing::None | Framing::Length(0))
    }
}

/// The digits of the longest Content-Length that is read: 10^19 - 1 fits in 64 bits, and is more than anyone sends.
const CONTENT_LENGTH_DIGITS_MAX: usize = 19;

/// The fields of one request that have a say in its framing, collected line by line, then decided upon once.
#[derive(Debug, Default)]
pub struct BodyFields<'a> {
    content_length: Option<&'a [u8]>,
    content_length_repeated: bool,
    transfer_encoding: Option<TransferCodings>,
}

/// What all Transfer-Encoding lines together ask for; several lines are one list (RFC 9110 section 5.3).
#[derive(Debug, Default)]
struct TransferCodings {
    chunked: bool,
    /// A coding that we do not implement came before it.
    unknown: bool,
    fault: Option<Misbehaviour>,
}

impl<'a> BodyFields<'a> {
    /// Takes note of one Content-Length line.
    #[inline]
    pub fn content_length(&mut self, value: &'a [u8]) {
        self.content_length_repeated |= self.content_length.replace(value).is_some();
    }

    /// Takes note of one Transfer-Encoding line.
    pub fn transfer_encoding(&mut self, value: &[u8]) {
        let codings = self.transfer_encoding.get_or_insert_default();
        for element in list_with_empty(value) {
            let fault = codings.add(element).err();
            codings.fault = codings.fault.or(fault);
        }
    }

    /// Decides how the body ends.
    ///
    /// # Errors
    /// If there is more than one way to read the fields, or none.
    #[inline]
    pub fn decide(&self, version: Version) -> Result<Framing, Misbehaviour> {
        match (&self.transfer_encoding, self.content_length) {
            (None, None) => Ok(Framing::None),
            (None, Some(_)) if self.content_length_repeated => {
                Err(Misbehaviour::ContentLengthConflict)
            }
            (None, Some(value)) => parse_content_length(value).map(Framing::Length),
            // RFC 9112 section 6.3 would let Transfer-Encoding win; a forwarder in between may have let Content-Length win.
            (Some(_), Some(_)) => Err(Misbehaviour::TransferEncodingWithContentLength),
            (Some(_), None) if version == Version::Http10 => {
                Err(Misbehaviour::TransferEncodingOnHttp10)
            }
            (Some(codings), None) => codings.decide(),
        }
    }
}

impl TransferCodings {
    /// Adds the next element of the list.
    fn add(&mut self, element: &[u8]) -> Result<(), Misbehaviour> {
        let mut parts = element.splitn(2, |&byte| byte == b';');
        let coding = trim_ows(parts.next().unwrap_or_default());
        if !is_token(coding) {
            return Err(Misbehaviour::TransferEncodingInvalid);
        }
        if !is_named(coding, b"chunked") {
            if self.chunked {
                return Err(Misbehaviour::ChunkedNotLast);
            }
            self.unknown = true;
            return Ok(());
        }
        if parts.next().is_some() {
            return Err(Misbehaviour::ChunkedParameters);
        }
        if self.chunked {
            return Err(Misbehaviour::ChunkedRepeated);
        }
        self.chunked = true;
        Ok(())
    }

    fn decide(&self) -> Result<Framing, Misbehaviour> {
        match self.fault {
            Some(fault) => Err(fault),
            // RFC 9112 section 6.3: without a final chunked nobody can tell where a request's body ends.
            None if !self.chunked => Err(Misbehaviour::ChunkedNotLast),
            // Section 6.1: it ends, but we cannot read it.
            None if self.unknown => Err(Misbehaviour::UnknownTransferCoding),
            None => Ok(Framing::Chunked),
        }
    }
}

/// Reads `1*DIGIT`. A list is told apart from other nonsense because it is what merging repeated lines makes.
fn parse_content_length(value: &[u8]) -> Result<u64, Misbehaviour> {
    if value.is_empty()
        || value.len() > CONTENT_LENGTH_DIGITS_MAX
        || !value.iter().all(u8::is_ascii_digit)
    {
        return Err(match value.contains(&b',') {
            true => Misbehaviour::ContentLengthConflict,
            false => Misbehaviour::ContentLengthInvalid,
        });
    }
    Ok(value
        .iter()
        .fold(0, |length, digit| length * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(
        version: Version,
        lengths: &[&str],
        encodings: &[&str],
    ) -> Result<Framing, Misbehaviour> {
        let mut fields = BodyFields::default();
        for length in lengths {
            fields.content_length(length.as_bytes());
        }
        for encoding in encodings {
            fields.transfer_encoding(encoding.as_bytes());
        }
        fields.decide(version)
    }

    #[test]
    fn without_either_field_there_is_no_body() {
        assert_eq!(decide(Version::Http11, &[], &[]), Ok(Framing::None));
        assert_eq!(decide(Version::Http10, &[], &[]), Ok(Framing::None));
    }

    #[test]
    fn content_length_is_digits_and_nothing_else() {
        for (value, length) in [
            ("0", 0),
            ("5", 5),
            ("007", 7),
            ("30000000", 30_000_000),
            ("9999999999999999999", 9_999_999_999_999_999_999),
        ] {
            assert_eq!(
                decide(Version::Http11, &[value], &[]),
                Ok(Framing::Length(length)),
                "{value}"
            );
            assert_eq!(
                decide(Version::Http10, &[value], &[]),
                Ok(Framing::Length(length)),
                "{value}"
            );
        }
        for value in [
            "",
            "+5",
            "-5",
            "0x5",
            "5 ",
            " 5",
            "5 5",
            "5;",
            "5.0",
            "1e3",
            "five",
            "\u{0661}",
            "5\0",
            "18446744073709551616",
            "10000000000000000000",
            "00000000000000000005",
        ] {
            let got = decide(Version::Http11, &[value], &[]);
            assert_eq!(got, Err(Misbehaviour::ContentLengthInvalid), "{value:?}");
        }
    }

    #[test]
    fn content_length_twice_is_refused_even_if_both_agree() {
        for lengths in [
            &["5", "6"][..],
            &["5", "5"],
            &["5, 5"],
            &["5,6"],
            &["5,"],
            &["0", "0", "0"],
        ] {
            assert_eq!(
                decide(Version::Http11, lengths, &[]),
                Err(Misbehaviour::ContentLengthConflict),
                "{lengths:?}"
            );
        }
    }

    #[test]
    fn chunked_alone_in_any_case_is_the_only_coding() {
        for value in ["chunked", "Chunked", "CHUNKED"] {
            assert_eq!(decide(Version::Http11, &[], &[value]), Ok(Framing::Chunked));
        }
    }

    #[test]
    fn every_other_transfer_encoding_is_refused_with_its_reason() {
        use Misbehaviour::*;
        for (lines, fault) in [
            (&["gzip"][..], ChunkedNotLast),
            (&["identity"], ChunkedNotLast),
            (&["xchunked"], ChunkedNotLast),
            (&["chunkedx"], ChunkedNotLast),
            (&["gzip, chunked"], UnknownTransferCoding),
            (&["gzip", "chunked"], UnknownTransferCoding),
            (&["identity, chunked"], UnknownTransferCoding),
            (&["chunked, gzip"], ChunkedNotLast),
            (&["chunked", "identity"], ChunkedNotLast),
            (&["chunked, chunked"], ChunkedRepeated),
            (&["chunked", "chunked"], ChunkedRepeated),
            (&["chunked;q=1"], ChunkedParameters),
            (&["chunked ; a"], ChunkedParameters),
            (&["chunked;"], ChunkedParameters),
            (&[""], TransferEncodingInvalid),
            (&[","], TransferEncodingInvalid),
            (&["chunked,"], TransferEncodingInvalid),
            (&[", chunked"], TransferEncodingInvalid),
            (&["chunked", ""], TransferEncodingInvalid),
            (&["\"chunked\""], TransferEncodingInvalid),
            (&["chunked chunked"], TransferEncodingInvalid),
            (&["chunked\0"], TransferEncodingInvalid),
            (&["\u{b}chunked"], TransferEncodingInvalid),
            (&["{chunked}"], TransferEncodingInvalid),
        ] {
            assert_eq!(decide(Version::Http11, &[], lines), Err(fault), "{lines:?}");
        }
    }

    #[test]
    fn transfer_encoding_and_content_length_never_go_together() {
        for version in [Version::Http10, Version::Http11] {
            for encoding in ["chunked", "identity", "", "x"] {
                for length in ["0", "5", "x"] {
                    let got = decide(version, &[length], &[encoding]);
                    assert_eq!(
                        got,
                        Err(Misbehaviour::TransferEncodingWithContentLength),
                        "{encoding} {length}"
                    );
                }
            }
        }
    }

    #[test]
    fn http_1_0_has_no_transfer_encoding() {
        assert_eq!(
            decide(Version::Http10, &[], &["chunked"]),
            Err(Misbehaviour::TransferEncodingOnHttp10)
        );
    }

    #[test]
    fn a_length_of_zero_is_no_body() {
        assert!(!Framing::None.has_body() && !Framing::Length(0).has_body());
        assert!(Framing::Length(1).has_body() && Framing::Chunked.has_body());
    }
}
