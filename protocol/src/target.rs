//! The request target in its four forms (RFC 9112 section 3.2), taken apart and checked against RFC 3986.
//!
//! What the path means is the app's business, but everyone must mean the same path: `target/path.rs` resolves dot
//! segments once and refuses what servers and apps are known to read differently. Whether the authority agrees with Host
//! is seen in `head`, which knows both.

mod path;

use lanner_limits::PathPolicy;
use memchr::memchr;

use crate::host::Authority;
use crate::method::Method;
use crate::misbehaviour::Misbehaviour;
use crate::span::Span;

/// Which of the four forms of RFC 9112 section 3.2 a target has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TargetForm {
    /// `/path?query`
    #[default]
    Origin,
    /// `http://host/path?query`: meant for proxies, but a server must take it too.
    Absolute,
    /// `host:port`, for CONNECT only.
    Authority,
    /// `*`, for OPTIONS only: the server as a whole.
    Asterisk,
}

/// The scheme that an absolute form begins with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scheme {
    /// `http`
    Http,
    /// `https`
    Https,
}

impl Scheme {
    /// The port meant where none is given.
    pub fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

/// The request target, taken apart; spans are relative to the head.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Target {
    /// Its form.
    pub form: TargetForm,
    /// The scheme of the absolute form.
    pub scheme: Option<Scheme>,
    /// The authority of the absolute and of the authority form; empty in the others.
    pub authority: Span,
    /// All of it as it was sent.
    pub whole: Span,
    /// The path as it was sent: `*` in the asterisk form; empty in the authority form and in `http://host`. Routing wants
    /// `path_text`.
    pub path: Span,
    /// What stands behind the first `?`.
    pub query: Option<Span>,
    /// The path with its dot segments resolved, where it had any and the path policy is strict.
    pub normalised: Option<String>,
}

/// What a byte may not be, or calls for, in a path or a query.
const NOT_IN_PATH: u8 = 1;
const NOT_IN_QUERY: u8 = 2;
const DOT: u8 = 4;
const PERCENT: u8 = 8;
const QUESTION_MARK: u8 = 16;

/// `pchar` and `/` of RFC 3986 in a path, also `?` in a query. In a query `[`, `]` and `|` pass too: browsers send them as
/// they are (WHATWG URL), frameworks build on `filter[name]=`, and nobody splits a query there. Of the others that browsers
/// would send, `"<>\^{}` and the backtick, each has been half of some injection. `%` and `.` need a closer look.
const CLASS: [u8; 256] = {
    let mut table = [NOT_IN_PATH | NOT_IN_QUERY; 256];
    let mut byte = 0;
    while byte < 256 {
        match byte as u8 {
            b'-' | b'_' | b'~' => table[byte] = 0,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' => {
                table[byte] = 0
            }
            b':' | b'@' | b'/' => table[byte] = 0,
            b'.' => table[byte] = DOT,
            b'%' => table[byte] = PERCENT,
            b'?' => table[byte] = QUESTION_MARK,
            b'[' | b']' | b'|' => table[byte] = NOT_IN_PATH,
            alphanumeric if alphanumeric.is_ascii_alphanumeric() => table[byte] = 0,
            _ => {}
        }
        byte += 1;
    }
    table
};

/// The classes of all bytes together. By eights, because the compiler unrolls that: 2 instructions a byte rather than 5.
#[inline]
fn classes_of(text: &[u8]) -> u8 {
    let with = |classes, &byte: &u8| classes | CLASS[byte as usize];
    let (eights, rest) = text.as_chunks::<8>();
    let classes = eights
        .iter()
        .fold(0, |classes, eight| eight.iter().fold(classes, with));
    rest.iter().fold(classes, with)
}

impl Target {
    /// Takes `target`, a part of `head`, apart. It is written in place of the one before: moving a `Target` about costs more
    /// than checking most paths.
    ///
    /// # Errors
    /// `InvalidTarget`, `InvalidHost`, or `ForbiddenPath` where the policy is strict. The contents then mean nothing.
    #[inline]
    pub fn parse(
        &mut self,
        head: &[u8],
        target: &[u8],
        method: Method,
        policy: PathPolicy,
    ) -> Result<(), Misbehaviour> {
        *self = Target {
            whole: Span::of(head, target),
            ..Target::default()
        };
        let path_and_query = match target {
            [b'/', ..] if method != Method::Connect => Some(target),
            _ => self.take_rare_form(head, target, method)?,
        };
        match path_and_query {
            Some(text) => self.take_path_and_query(head, text, policy),
            None => Ok(()),
        }
    }

    /// Takes `target`, a part of `head`, that begins with a slash, and of which path and query were seen to need no closer
    /// look: letters, digits, slashes, hyphens and underscores up to `path_len`, and behind that nothing or a query.
    #[inline]
    pub(crate) fn take_plain(&mut self, head: &[u8], target: &[u8], path_len: usize) {
        let whole = Span::of(head, target);
        let path = Span {
            len: path_len as u32,
            ..whole
        };
        *self = Target {
            whole,
            path,
            query: (path_len < target.len()).then(|| Span::between(path.end() + 1, whole.end())),
            ..Target::default()
        };
    }

    /// The forms other than origin-form; gives the path and query if there can be any.
    #[cold]
    fn take_rare_form<'a>(
        &mut self,
        head: &[u8],
        target: &'a [u8],
        method: Method,
    ) -> Result<Option<&'a [u8]>, Misbehaviour> {
        match method {
            Method::Connect => {
                // The port is not optional here (RFC 9110 section 9.3.6).
                match Authority::parse(target) {
                    Ok(Authority { port: Some(_), .. }) => {}
                    _ => return Err(Misbehaviour::InvalidTarget),
                }
                self.form = TargetForm::Authority;
                self.authority = self.whole;
                Ok(None)
            }
            Method::Options if target == b"*" => {
                self.form = TargetForm::Asterisk;
                self.path = self.whole;
                Ok(None)
            }
            _ => {
                let (scheme, rest) = split_scheme(target).ok_or(Misbehaviour::InvalidTarget)?;
                let authority_len = rest
                    .iter()
                    .position(|byte| matches!(byte, b'/' | b'?'))
                    .unwrap_or(rest.len());
                let (authority, path_and_query) = rest.split_at(authority_len);
                Authority::parse(authority)?;
                self.form = TargetForm::Absolute;
                self.scheme = Some(scheme);
                self.authority = Span::of(head, authority);
                Ok(Some(path_and_query))
            }
        }
    }

    #[inline]
    fn take_path_and_query(
        &mut self,
        head: &[u8],
        text: &[u8],
        policy: PathPolicy,
    ) -> Result<(), Misbehaviour> {
        let mut classes = classes_of(text);
        // What no query may hold, no path may hold either.
        if classes & NOT_IN_QUERY != 0 {
            return Err(Misbehaviour::InvalidTarget);
        }
        let mut path = text;
        if classes & QUESTION_MARK != 0
            && let Some(mark) = memchr(b'?', text)
        {
            path = &text[..mark];
            classes = classes_of(path);
            self.query = Some(Span::of(head, &text[mark + 1..]));
        }
        if classes & NOT_IN_PATH != 0 {
            return Err(Misbehaviour::InvalidTarget);
        }
        self.path = Span::of(head, path);
        let needs_care =
            classes & PERCENT != 0 || classes & DOT != 0 && path::has_dot_after_slash(path);
        if needs_care && policy == PathPolicy::Strict {
            self.normalised = path::normalise(path)?;
        }
        Ok(())
    }

    /// The path that routing, rules and files must all use: with dot segments resolved, `/` where the absolute form has
    /// none, `*` in the asterisk form, and empty in the authority form.
    pub fn path_text<'a>(&'a self, head: &'a [u8]) -> &'a str {
        match &self.normalised {
            Some(path) => path,
            None if self.path.is_empty() && self.form == TargetForm::Absolute => "/",
            None => self.path.str(head),
        }
    }

    /// The query, without its `?`.
    pub fn query_text<'a>(&self, head: &'a [u8]) -> Option<&'a str> {
        self.query.map(|query| query.str(head))
    }
}

/// Splits `http://` or `https://` off.
fn split_scheme(target: &[u8]) -> Option<(Scheme, &[u8])> {
    for (text, scheme) in [
        (&b"http://"[..], Scheme::Http),
        (b"https://", Scheme::Https),
    ] {
        if let Some((front, rest)) = target.split_at_checked(text.len())
            && front.eq_ignore_ascii_case(text)
        {
            return Some((scheme, rest));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn parse(method: Method, target: &str) -> Result<Target, Misbehaviour> {
        parse_by(PathPolicy::Strict, method, target.as_bytes())
    }

    fn parse_by(policy: PathPolicy, method: Method, target: &[u8]) -> Result<Target, Misbehaviour> {
        let mut parsed = Target::default();
        parsed.parse(target, target, method, policy)?;
        Ok(parsed)
    }

    #[test]
    fn origin_form_is_path_and_query() {
        for (text, path, query) in [
            ("/", "/", None),
            ("/a/b.html", "/a/b.html", None),
            ("/?", "/", Some("")),
            ("/a?b", "/a", Some("b")),
            ("/a?b?c/d", "/a", Some("b?c/d")),
            ("/a;v=1,2/(x)!$&'*+=:@~-_", "/a;v=1,2/(x)!$&'*+=:@~-_", None),
            ("/%41%7e", "/%41%7e", None),
            ("//host/a", "//host/a", None),
            ("/q?filter[a]=1|2&x=%", "/q", Some("filter[a]=1|2&x=%")),
            ("/q?../..;%00", "/q", Some("../..;%00")),
        ] {
            let target = parse(Method::Get, text).unwrap();
            assert_eq!(target.form, TargetForm::Origin, "{text}");
            assert_eq!(target.path_text(text.as_bytes()), path, "{text}");
            assert_eq!(target.query_text(text.as_bytes()), query, "{text}");
            assert_eq!(target.whole.str(text.as_bytes()), text);
            assert!(target.authority.is_empty());
        }
    }

    #[test]
    fn bytes_outside_rfc_3986_are_refused_in_path_and_query() {
        for byte in 0..=255u8 {
            let mut path = b"/a".to_vec();
            path.push(byte);
            path.push(b'b');
            let mut query = b"/?a".to_vec();
            query.push(byte);
            let allowed_in_path =
                byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?".contains(&byte);
            let allowed_in_query = allowed_in_path || b"%[]|".contains(&byte);
            let parse = |text: &[u8]| parse_by(PathPolicy::Strict, Method::Get, text);
            assert_eq!(
                parse(&path).is_ok(),
                allowed_in_path,
                "{byte:#04x} in a path"
            );
            assert_eq!(
                parse(&query).is_ok(),
                allowed_in_query,
                "{byte:#04x} in a query"
            );
        }
    }

    #[test]
    fn a_fragment_is_refused() {
        for text in ["/#", "/a#b", "/a?b#c", "http://a/#b", "http://a#b"] {
            assert!(parse(Method::Get, text).is_err(), "{text}");
        }
    }

    #[test]
    fn absolute_form_is_scheme_authority_path_and_query() {
        for (text, scheme, authority, path, query) in [
            ("http://a.com", Scheme::Http, "a.com", "/", None),
            ("http://a.com/", Scheme::Http, "a.com", "/", None),
            (
                "HTTPS://a.com:8443/b?c",
                Scheme::Https,
                "a.com:8443",
                "/b",
                Some("c"),
            ),
            (
                "http://[::1]:80?q=http://x",
                Scheme::Http,
                "[::1]:80",
                "/",
                Some("q=http://x"),
            ),
            ("http://a.com/b/../c", Scheme::Http, "a.com", "/c", None),
        ] {
            let target = parse(Method::Get, text).unwrap();
            assert_eq!(target.form, TargetForm::Absolute, "{text}");
            assert_eq!(target.scheme, Some(scheme), "{text}");
            assert_eq!(target.authority.str(text.as_bytes()), authority, "{text}");
            assert_eq!(target.path_text(text.as_bytes()), path, "{text}");
            assert_eq!(target.query_text(text.as_bytes()), query, "{text}");
        }
    }

    #[test]
    fn absolute_form_without_a_plain_host_is_refused() {
        for text in [
            "http://",
            "http:///a",
            "http://?a",
            "http://user@a/",
            "http://user:pw@a/",
            "http://a:b/",
            "http://a b/",
            "http://:80/",
        ] {
            assert_eq!(
                parse(Method::Get, text),
                Err(Misbehaviour::InvalidHost),
                "{text}"
            );
        }
    }

    #[test]
    fn every_other_scheme_or_shape_is_refused() {
        for text in [
            "ftp://a/",
            "http:/a",
            "http:a",
            "a",
            "a/b",
            "a.com:80",
            "*",
            "**",
            "?a",
            "",
            ".",
            "\\a",
            "javascript:1",
            "file:///a",
        ] {
            assert_eq!(
                parse(Method::Get, text),
                Err(Misbehaviour::InvalidTarget),
                "{text}"
            );
        }
    }

    #[test]
    fn the_asterisk_is_for_options_only() {
        let target = parse(Method::Options, "*").unwrap();
        assert_eq!(
            (target.form, target.path_text(b"*")),
            (TargetForm::Asterisk, "*")
        );
        assert_eq!(
            parse(Method::Options, "*a"),
            Err(Misbehaviour::InvalidTarget)
        );
        assert_eq!(parse(Method::Other, "*"), Err(Misbehaviour::InvalidTarget));
        assert_eq!(
            parse(Method::Options, "/a").unwrap().form,
            TargetForm::Origin
        );
    }

    #[test]
    fn connect_takes_an_authority_with_a_port_and_nothing_else() {
        for text in ["a.com:443", "[::1]:80"] {
            let target = parse(Method::Connect, text).unwrap();
            assert_eq!(target.form, TargetForm::Authority);
            assert_eq!(target.authority.str(text.as_bytes()), text);
            assert_eq!(target.path_text(text.as_bytes()), "");
        }
        for text in [
            "a.com",
            "a.com:",
            "/",
            "http://a.com:80/",
            "*",
            "u@a.com:80",
            "",
        ] {
            assert_eq!(
                parse(Method::Connect, text),
                Err(Misbehaviour::InvalidTarget),
                "{text}"
            );
        }
    }

    #[test]
    fn without_a_path_policy_paths_stay_as_they_came() {
        for text in ["/a/../b", "/a/%2e%2e/b", "/%00", "/a/..;/b", "/%zz", "/%"] {
            let target = parse_by(PathPolicy::Off, Method::Get, text.as_bytes()).unwrap();
            assert_eq!(target.path_text(text.as_bytes()), text);
            assert_eq!(target.normalised, None);
        }
    }
}
