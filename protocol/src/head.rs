//! A request head, parsed and judged: everything the server itself must know about a request before the app sees it.
//!
//! A complete head is taken apart in one pass, by `head/request_line.rs` and `field`; what the parts mean is decided here,
//! strictly. The end of the head was found by `scan`, the target is judged in `target`, hosts in `host`, the body's end in
//! `framing`. What a broken head is told is found out in `head/diagnosis.rs`, off the path of those that are well.

mod diagnosis;
mod request_line;

use lanner_limits::{Limits, Trip, UnderscoreHeaders};
use memchr::memchr;

pub use crate::field::FieldSpan;
pub use crate::framing::Framing;
pub use crate::method::Method;
pub use crate::target::{Scheme, Target, TargetForm};

use crate::field::{FieldLine, is_named, list, strip_line_end};
use crate::framing::BodyFields;
use crate::host::{self, Authority};
use crate::misbehaviour::Misbehaviour;
use crate::refusal::Refusal;
use crate::span::Span;
use request_line::RequestLine;

/// The version of HTTP that a request came in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
    /// HTTP/2
    Http2,
}

/// A request head. Spans are relative to the bytes it was parsed from, which the caller keeps. One `Head` serves one
/// request after another and keeps its memory: parsing allocates only for more fields than ever before, or for a path with
/// dot segments.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Head {
    /// Whether it comes over TLS: said before it is parsed, and not part of it.
    pub secure: bool,
    /// The method.
    pub method: Method,
    /// Where the method's text stands.
    pub method_span: Span,
    /// The target.
    pub target: Target,
    /// The version.
    pub version: Version,
    /// The fields in the order in which they were sent.
    pub fields: Vec<FieldSpan>,
    /// How the body ends. Whether it is too long is judged later: the app may raise its bound first.
    pub framing: Framing,
    /// Whether the peer expects to send another request on this connection.
    pub keep_alive: bool,
    /// Whether the peer waits for `100 Continue` before it sends the body it announced.
    pub expect_continue: bool,
    /// The value of Upgrade, where `Connection: upgrade` makes it count and it offers anything but `h2c`.
    pub upgrade: Option<Span>,
    /// Host and port, from the target's absolute form or else from Host; empty where neither names one, which only
    /// HTTP/1.0 and `OPTIONS *` may.
    pub host: Span,
}

/// What the fields said, before it is judged as a whole.
#[derive(Default)]
struct Said<'a> {
    body: BodyFields<'a>,
    host: Option<&'a [u8]>,
    several_hosts: bool,
    close: bool,
    keep_alive: bool,
    connection_upgrade: bool,
    upgrade: Option<&'a [u8]>,
    continues: bool,
    other_expectation: bool,
}

impl Head {
    /// Parses a complete head: `bytes` is what the scan found, from its `start` to its `end`. After an error the head's
    /// contents mean nothing.
    ///
    /// # Errors
    /// The first reason found for turning the peer away.
    pub fn parse(&mut self, bytes: &[u8], limits: &Limits) -> Result<(), Refusal> {
        match self.parse_front(bytes, limits)? {
            Some(len) if len == bytes.len() => Ok(()),
            _ => Err(diagnosis::of(bytes, limits)),
        }
    }

    /// Parses the head at the front of what has arrived, and gives its length; `None` if it is not whole or not
    /// well-formed, which the scan then finds out. What stands behind the head is not looked at.
    ///
    /// # Errors
    /// As [`Head::parse`].
    pub fn parse_front(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<usize>, Refusal> {
        let strict = limits.h1_strict;
        let Some((line, mut rest)) = RequestLine::split_off(bytes, strict) else {
            return Ok(None);
        };
        let mut said = Said::default();
        self.fields.clear();
        let behind = loop {
            if let Some(behind) = strip_line_end(rest, strict) {
                break behind;
            }
            let Some(field) = FieldLine::split_off(rest, strict) else {
                return Ok(None);
            };
            if self.fields.len() >= limits.max_header_count {
                return Err(Trip::HeaderCount.into());
            }
            self.fields.push(FieldSpan {
                name: Span::of(bytes, field.name),
                value: Span::of(bytes, field.value),
            });
            said.listen_to(field.name, field.value);
            rest = field.rest;
        };
        self.judge(bytes, &line, &said, limits)?;
        Ok(Some(bytes.len() - behind.len()))
    }

    /// The strict layer: decides what the tokens mean.
    #[inline]
    fn judge(
        &mut self,
        bytes: &[u8],
        line: &RequestLine<'_>,
        said: &Said<'_>,
        limits: &Limits,
    ) -> Result<(), Refusal> {
        self.version = line.version;
        self.method = line.method;
        self.method_span = Span::of(bytes, line.method_token);
        match line.plain_path {
            Some(len) if line.target[0] == b'/' && self.method != Method::Connect => {
                self.target.take_plain(bytes, line.target, len)
            }
            _ => self
                .target
                .parse(bytes, line.target, self.method, limits.path_policy)?,
        }
        if self.method == Method::Connect {
            return Err(Misbehaviour::ConnectUnsupported.into());
        }
        if limits.underscore_headers != UnderscoreHeaders::Allow {
            self.judge_underscores(bytes, limits.underscore_headers)?;
        }
        self.framing = said.body.decide(self.version)?;
        self.take_host(bytes, said, limits)?;
        self.take_connection(bytes, said)?;
        Ok(())
    }

    #[cold]
    pub(crate) fn judge_underscores(
        &mut self,
        bytes: &[u8],
        policy: UnderscoreHeaders,
    ) -> Result<(), Misbehaviour> {
        let has_underscore = |field: &FieldSpan| memchr(b'_', field.name.slice(bytes)).is_some();
        match policy {
            UnderscoreHeaders::Allow => {}
            UnderscoreHeaders::Drop => self.fields.retain(|field| !has_underscore(field)),
            UnderscoreHeaders::Reject if self.fields.iter().any(has_underscore) => {
                return Err(Misbehaviour::UnderscoreField);
            }
            UnderscoreHeaders::Reject => {}
        }
        Ok(())
    }

    /// RFC 9112 section 3.2 and 3.3: who is meant.
    #[inline]
    fn take_host(
        &mut self,
        bytes: &[u8],
        said: &Said<'_>,
        limits: &Limits,
    ) -> Result<(), Misbehaviour> {
        if let (Some(text), None, false) = (said.host, self.target.scheme, said.several_hosts) {
            self.host = Span::of(bytes, text);
            let from_host = bytes.get(self.host.offset as usize..).unwrap_or_default();
            if limits.allowed_hosts.allows_any() && host::is_certain(from_host, text.len()) {
                return Ok(());
            }
        }
        self.judge_host(bytes, said, limits)
    }

    /// Whether all that names a host is well-formed and agrees, and which it is.
    fn judge_host(
        &mut self,
        bytes: &[u8],
        said: &Said<'_>,
        limits: &Limits,
    ) -> Result<(), Misbehaviour> {
        if said.several_hosts {
            return Err(Misbehaviour::SeveralHosts);
        }
        let field = match said.host {
            None if self.version == Version::Http11 => return Err(Misbehaviour::MissingHost),
            None => None,
            // Empty is what a client sends that means no host in particular: the server itself.
            Some([]) if self.target.form == TargetForm::Asterisk => None,
            Some(text) => Some((text, Authority::parse(text)?)),
        };
        let meant = match self.target.scheme {
            None => field,
            Some(scheme) => {
                let text = self.target.authority.slice(bytes);
                let authority = Authority::parse(text)?;
                if field
                    .is_some_and(|(_, host)| !host.agrees_with(&authority, scheme.default_port()))
                {
                    return Err(Misbehaviour::HostMismatch);
                }
                if scheme == Scheme::Https && !self.secure && !limits.allow_scheme_mismatch {
                    return Err(Misbehaviour::SchemeMismatch);
                }
                Some((text, authority))
            }
        };
        self.host = meant.map_or(Span::default(), |(text, _)| Span::of(bytes, text));
        let allowed = limits.allowed_hosts.allows_any()
            || meant
                .is_some_and(|(_, host)| limits.allowed_hosts.matches(host.name_without_root()));
        if allowed {
            Ok(())
        } else {
            Err(Misbehaviour::HostNotAllowed)
        }
    }

    /// RFC 9112 section 9.3; RFC 9110 section 7.8 and 10.1.1: what happens to the connection around this request.
    fn take_connection(&mut self, bytes: &[u8], said: &Said<'_>) -> Result<(), Misbehaviour> {
        let modern = self.version == Version::Http11;
        self.keep_alive = !said.close && (modern || said.keep_alive);
        self.upgrade = match said.upgrade {
            Some(value) if modern && said.connection_upgrade => Some(Span::of(bytes, value)),
            _ => None,
        };
        // RFC 9110 section 10.1.1: from an HTTP/1.0 client the field must be ignored.
        if modern && said.other_expectation {
            return Err(Misbehaviour::UnknownExpectation);
        }
        self.expect_continue = modern && said.continues && self.framing.has_body();
        Ok(())
    }

    /// The value of the first field of this name, which is given in lower case.
    pub fn field<'a>(&self, bytes: &'a [u8], name_lower: &str) -> Option<&'a [u8]> {
        let wanted = name_lower.as_bytes();
        self.fields
            .iter()
            .find(|field| {
                field.name.len as usize == wanted.len()
                    && field.name.slice(bytes).eq_ignore_ascii_case(wanted)
            })
            .map(|field| field.value.slice(bytes))
    }

    /// All fields as (name, value), in the order in which they were sent and in the case in which they were sent.
    pub fn iter<'a>(&self, bytes: &'a [u8]) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.fields
            .iter()
            .map(move |field| (field.name.str(bytes), field.value.slice(bytes)))
    }
}

impl<'a> Said<'a> {
    /// Takes note of one field, if it is one of the few that the server itself reads.
    #[inline]
    fn listen_to(&mut self, name: &[u8], value: &'a [u8]) {
        match name.len() {
            4 if is_named(name, b"host") => {
                self.several_hosts |= self.host.replace(value).is_some()
            }
            6 if is_named(name, b"expect") => self.expect(value),
            7 if is_named(name, b"upgrade") => self.upgrade(value),
            // What nearly every client sends needs no list to be taken apart.
            10 if is_named(name, b"connection") => match is_named(value, b"keep-alive") {
                true => self.keep_alive = true,
                false => self.connection(value),
            },
            14 if is_named(name, b"content-length") => self.body.content_length(value),
            17 if is_named(name, b"transfer-encoding") => self.body.transfer_encoding(value),
            _ => {}
        }
    }

    #[inline(never)]
    fn connection(&mut self, value: &[u8]) {
        for option in list(value) {
            self.close |= is_named(option, b"close");
            self.keep_alive |= is_named(option, b"keep-alive");
            self.connection_upgrade |= is_named(option, b"upgrade");
        }
    }

    #[inline(never)]
    fn expect(&mut self, value: &[u8]) {
        for expectation in list(value) {
            let continues = is_named(expectation, b"100-continue");
            self.continues |= continues;
            self.other_expectation |= !continues;
        }
    }

    /// An offer of `h2c` alone is one that RFC 9113 withdrew; passing it on has tunnelled requests past the rules of
    /// proxies in front.
    #[inline(never)]
    fn upgrade(&mut self, value: &'a [u8]) {
        if self.upgrade.is_none() && list(value).any(|protocol| !is_named(protocol, b"h2c")) {
            self.upgrade = Some(value);
        }
    }
}
