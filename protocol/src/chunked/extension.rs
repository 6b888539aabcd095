//! The grammar of chunk extensions (RFC 9112 section 7.1.1), read and forgotten: none has a meaning here.
//!
//! They are checked all the same. Parsers that skip to the next LF, or to the next CR, or that let a quoted string hide
//! either, find different ends of the size line in the same bytes (CVE-2025-55315).

use crate::field::is_token_byte;
use crate::misbehaviour::Misbehaviour;

/// ```text
/// *( ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] BWS )
/// ```
/// Where in it the reader stands; the default is behind the first semicolon.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Extension {
    /// Behind a semicolon, before the name.
    #[default]
    BeforeName,
    Name,
    /// Behind a name and white space.
    AfterName,
    /// Behind the equals sign.
    BeforeValue,
    Token,
    Quoted,
    /// Behind a backslash in a quoted string.
    Escape,
    /// Behind the closing quote.
    QuoteEnd,
    /// Behind a value and white space: another extension must follow.
    AfterValue,
}

impl Extension {
    /// Whether the size line may end here.
    pub(super) fn may_end(self) -> bool {
        matches!(
            self,
            Extension::Name | Extension::Token | Extension::QuoteEnd
        )
    }

    /// Takes one byte.
    pub(super) fn next(self, byte: u8) -> Result<Extension, Misbehaviour> {
        use Extension::*;
        let white = matches!(byte, b' ' | b'\t');
        let token = is_token_byte(byte);
        match (self, byte) {
            (BeforeName | AfterName | BeforeValue | AfterValue, _) if white => Ok(self),
            (BeforeName | Name, _) if token => Ok(Name),
            (Name, _) if white => Ok(AfterName),
            (Name | AfterName, b'=') => Ok(BeforeValue),
            (BeforeValue, b'"') => Ok(Quoted),
            (BeforeValue | Token, _) if token => Ok(Token),
            (Token | QuoteEnd, _) if white => Ok(AfterValue),
            (Name | AfterName | Token | QuoteEnd | AfterValue, b';') => Ok(BeforeName),
            (Quoted, b'"') => Ok(QuoteEnd),
            (Quoted, b'\\') => Ok(Escape),
            // qdtext and quoted-pair (RFC 9110 section 5.6.4) without obs-text: no line end can hide in there.
            (Quoted | Escape, b'\t' | b' '..=b'~') => Ok(Quoted),
            _ => Err(Misbehaviour::InvalidChunkExtension),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the text behind the first semicolon is a complete list of extensions.
    fn accepts(text: &str) -> bool {
        let end = text.bytes().try_fold(Extension::default(), Extension::next);
        end.is_ok_and(Extension::may_end)
    }

    #[test]
    fn names_tokens_and_quoted_strings_are_extensions() {
        for text in [
            "a",
            "a=b",
            "a;b",
            "a=b;c=d",
            "a=\"\"",
            "a=\"b c;d=\\\"e\\\\\"",
            "a = b ;\tc",
            " a",
            "a=\"b\" ;c",
            "signature=0af1",
        ] {
            assert!(accepts(text), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            ";",
            "a;",
            "a=",
            "=b",
            "a=b=c",
            "a b",
            "a=b c",
            "a=\"b",
            "a=\"b\"c",
            "a=\"b\\",
            "a ",
            "a=b ",
            "a,b",
            "a=\"\n\"",
            "a\n",
            "a\r",
            "a=\"\r\n\"",
            "a=\"\0\"",
            "a=ä",
            "a=\"ä\"",
            "a=\"\\\n\"",
            "\"a\"",
            "a=\u{7f}",
        ] {
            assert!(!accepts(text), "{text:?}");
        }
    }
}
