//! A request out of the fields of its field section (RFC 9113 section 8.3): the pseudo-fields become target, host and method,
//! `cookie` is put together again, and what is left is judged as strictly as a head of HTTP/1.1.
//!
//! Decoding is HPACK's. What happens to the stream of a request that is none is the connection's.

pub(crate) mod field;
mod malformed;
pub(crate) mod trailers;

pub use malformed::Malformed;

use super::priority::Priority;
use crate::field::{FieldSpan, is_named, is_token, list};
use crate::framing::{BodyFields, Framing};
use crate::head::{Head, Version};
use crate::host::Authority;
use crate::hpack::{Decoded, Exceeded, Field, KnownName};
use crate::method::Method;
use crate::misbehaviour::Misbehaviour;
use crate::refusal::Refusal;
use crate::span::Span;
use crate::target::{Scheme, TargetForm};
use lanner_limits::{Limits, Trip, UnderscoreHeaders};

/// What every field counts beside its name and value (RFC 9113 section 6.5.2).
const FIELD_OVERHEAD: usize = 32;

/// What stands between the pieces of `cookie` (section 8.2.3).
const CRUMB_SEPARATOR: &[u8] = b"; ";

/// Why a field section is not handed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Rejected {
    /// The stream is reset.
    Malformed(Malformed),
    /// The client is answered.
    Refused(Refusal),
}

impl From<Malformed> for Rejected {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl From<Misbehaviour> for Rejected {
    fn from(misbehaviour: Misbehaviour) -> Self {
        Self::Refused(misbehaviour.into())
    }
}

impl From<Trip> for Rejected {
    fn from(trip: Trip) -> Self {
        Self::Refused(trip.into())
    }
}

/// What is known of a request beside its fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around<'a> {
    pub(super) limits: &'a Limits,
    /// Whether TLS is below.
    pub(super) secure: bool,
    /// Whether CONNECT may name a protocol: we said so (RFC 8441).
    pub(super) connect_protocol: bool,
    /// Whether the request ends with this field section.
    pub(super) end_stream: bool,
}

/// Takes the fields of a request as they are decoded; spans are relative to the decoded text.
pub(super) struct RequestFields<'a> {
    head: &'a mut Head,
    limits: &'a Limits,
    method: Option<Span>,
    scheme: Option<Span>,
    authority: Option<Span>,
    /// The authority is well-formed, and one that is served.
    authority_served: bool,
    path: Option<Span>,
    protocol: Option<Span>,
    pseudo_bytes: usize,
    /// A field that is no pseudo-field has come.
    regular: bool,
    regular_bytes: usize,
    /// Where the first field named `cookie` stands, and how many follow: HTTP/2 splits them, for its table's sake (section
    /// 8.2.3). They count as one.
    first_crumb: Option<usize>,
    more_crumbs: usize,
    too_many: bool,
    host: Option<Span>,
    several_hosts: bool,
    content_length: Option<Span>,
    several_lengths: bool,
    continues: bool,
    other_expectation: bool,
    priority: Option<Priority>,
    malformed: Option<Malformed>,
}

impl<'a> RequestFields<'a> {
    #[inline]
    pub(super) fn new(head: &'a mut Head, limits: &'a Limits) -> Self {
        head.fields.clear();
        Self {
            head,
            limits,
            method: None,
            scheme: None,
            authority: None,
            authority_served: false,
            path: None,
            protocol: None,
            pseudo_bytes: 0,
            regular: false,
            regular_bytes: 0,
            first_crumb: None,
            more_crumbs: 0,
            too_many: false,
            host: None,
            several_hosts: false,
            content_length: None,
            several_lengths: false,
            continues: false,
            other_expectation: false,
            priority: None,
            malformed: None,
        }
    }

    /// Takes note of one field, and says whether it is in order by itself: then it need not be looked at when the peer names
    /// it by its place in the table again.
    #[inline]
    pub(super) fn take(&mut self, field: Field, text: &[u8]) -> bool {
        let value = field.span.value;
        let place = match field.name {
            Some(KnownName::METHOD) => &mut self.method,
            Some(KnownName::SCHEME) => &mut self.scheme,
            Some(KnownName::AUTHORITY) => {
                self.authority_served = field.judged || self.serves(value.slice(text));
                &mut self.authority
            }
            Some(KnownName::PATH) => &mut self.path,
            Some(KnownName::PROTOCOL) => &mut self.protocol,
            Some(KnownName::STATUS) => {
                self.fault(Malformed::PseudoFieldUnknown);
                return false;
            }
            _ => return self.take_regular(&field, text),
        };
        let repeated = place.replace(value).is_some();
        self.pseudo_bytes += value.len as usize;
        if repeated {
            self.fault(Malformed::PseudoFieldRepeated);
        } else if self.regular {
            self.fault(Malformed::PseudoFieldLate);
        }
        field.name == Some(KnownName::AUTHORITY) && self.authority_served
    }

    /// Whether an authority is well-formed, and its host one that is served.
    fn serves(&self, authority: &[u8]) -> bool {
        let hosts = &self.limits.allowed_hosts;
        Authority::parse(authority)
            .is_ok_and(|host| hosts.allows_any() || hosts.matches(host.name_without_root()))
    }

    #[inline]
    fn take_regular(&mut self, field: &Field, text: &[u8]) -> bool {
        self.regular = true;
        if !field.judged
            && let Err(malformed) = field::judge(field, text)
        {
            self.fault(malformed);
            return false;
        }
        let value = field.span.value;
        match field.name {
            Some(KnownName::COOKIE) => return self.take_crumb(field),
            Some(KnownName::HOST) => self.several_hosts |= self.host.replace(value).is_some(),
            Some(KnownName::CONTENT_LENGTH) => {
                self.several_lengths |= self.content_length.replace(value).is_some();
            }
            Some(KnownName::EXPECT) => self.expect(value.slice(text)),
            // Of several lines the last counts: clients send one.
            Some(KnownName::PRIORITY) => {
                self.priority = Some(Priority::parse(value.slice(text)));
            }
            _ => {}
        }
        self.keep(field);
        true
    }

    /// A field that counts as one.
    #[inline]
    fn keep(&mut self, field: &Field) {
        let FieldSpan { name, value } = field.span;
        self.regular_bytes += (name.len + value.len) as usize + FIELD_OVERHEAD;
        if self.head.fields.len() - self.more_crumbs < self.limits.max_header_count {
            self.head.fields.push(field.span);
        } else {
            self.too_many = true;
        }
    }

    /// A piece of `cookie`, which counts as what it will be when it is put behind the one before.
    #[inline]
    fn take_crumb(&mut self, field: &Field) -> bool {
        if self.first_crumb.is_none() {
            self.first_crumb = Some(self.head.fields.len());
            self.keep(field);
        } else if !self.too_many {
            self.more_crumbs += 1;
            self.regular_bytes += CRUMB_SEPARATOR.len() + field.span.value.len as usize;
            self.head.fields.push(field.span);
        }
        true
    }

    fn expect(&mut self, value: &[u8]) {
        for expectation in list(value) {
            let continues = is_named(expectation, b"100-continue");
            self.continues |= continues;
            self.other_expectation |= !continues;
        }
    }

    #[cold]
    fn fault(&mut self, malformed: Malformed) {
        self.malformed.get_or_insert(malformed);
    }

    /// Whether only a head is asked for, as far as anything is known.
    pub(super) fn is_head_request(&self, text: &[u8]) -> bool {
        self.method
            .is_some_and(|method| method.slice(text) == b"HEAD")
    }

    /// Decides what the fields mean, and writes it into the head. Gives the request's priority, if it named one. The text
    /// grows where cookies were in crumbs.
    ///
    /// # Errors
    /// The first reason found for not handing the request on. The head then means nothing.
    pub(super) fn judge(
        mut self,
        text: &mut Vec<u8>,
        decoded: &Decoded,
        around: &Around<'_>,
    ) -> Result<Option<Priority>, Rejected> {
        if let Some(malformed) = self.malformed {
            return Err(malformed.into());
        }
        self.judge_size(decoded, around.limits)?;
        self.take_method(text, around)?;
        self.take_target(text, around)?;
        self.take_host(text, around)?;
        self.take_body(text, around)?;
        if self.more_crumbs > 0 {
            self.join_crumbs(text);
        }
        if around.limits.underscore_headers != UnderscoreHeaders::Allow {
            let policy = around.limits.underscore_headers;
            self.head.judge_underscores(text, policy)?;
        }
        Ok(self.priority)
    }

    fn judge_size(&self, decoded: &Decoded, limits: &Limits) -> Result<(), Trip> {
        match decoded.exceeded {
            // What was reported ends before the field that was too much.
            Some(_) if self.path.is_none() && !self.regular => return Err(Trip::RequestLine),
            Some(Exceeded::FieldBytes) => return Err(Trip::HeaderField),
            Some(Exceeded::ListBytes) => return Err(Trip::HeaderBytes),
            Some(Exceeded::Fields) => return Err(Trip::HeaderCount),
            None => {}
        }
        if self.pseudo_bytes > limits.max_request_line {
            Err(Trip::RequestLine)
        } else if self.regular_bytes > limits.max_header_bytes {
            Err(Trip::HeaderBytes)
        } else if self.too_many {
            Err(Trip::HeaderCount)
        } else {
            Ok(())
        }
    }

    /// Section 8.3.1 and 8.5; RFC 8441 section 4.
    #[inline]
    fn take_method(&mut self, text: &[u8], around: &Around<'_>) -> Result<(), Rejected> {
        let span = self.method.ok_or(Malformed::PseudoFieldMissing)?;
        let token = span.slice(text);
        let method = Method::from_token(token);
        if method == Method::Other && !is_token(token) {
            return Err(Misbehaviour::InvalidMethod.into());
        }
        self.head.version = Version::Http2;
        self.head.method = method;
        self.head.method_span = span;
        self.head.keep_alive = true;
        self.head.upgrade = None;
        match self.protocol {
            None if method != Method::Connect => Ok(()),
            None if self.scheme.is_some() || self.path.is_some() => {
                Err(Malformed::ConnectForm.into())
            }
            None if self.authority.is_none() => Err(Malformed::PseudoFieldMissing.into()),
            None => Err(Misbehaviour::ConnectUnsupported.into()),
            Some(_) if !around.connect_protocol => Err(Malformed::PseudoFieldUnknown.into()),
            Some(_) if method != Method::Connect => Err(Malformed::ConnectForm.into()),
            Some(protocol) if !is_token(protocol.slice(text)) => Err(Malformed::FieldValue.into()),
            Some(protocol) => {
                self.head.upgrade = Some(protocol);
                Ok(())
            }
        }
    }

    #[inline]
    fn take_target(&mut self, text: &[u8], around: &Around<'_>) -> Result<(), Rejected> {
        let scheme = self.scheme.ok_or(Malformed::PseudoFieldMissing)?;
        let path = self.path.ok_or(Malformed::PseudoFieldMissing)?.slice(text);
        let secure = match scheme.slice(text) {
            b"http" => false,
            b"https" => true,
            _ => return Err(Misbehaviour::InvalidTarget.into()),
        };
        // Absolute targets are HTTP/1.1's (section 8.3.1: `:path` begins with a slash, or is `*`).
        let method = match (path, self.head.method) {
            // With a protocol named, its target is like any other's.
            ([b'/', ..], Method::Connect) => Method::Get,
            ([b'/', ..], method) => method,
            (b"*", Method::Options) => Method::Options,
            ([], _) => return Err(Malformed::PathEmpty.into()),
            _ => return Err(Misbehaviour::InvalidTarget.into()),
        };
        self.head
            .target
            .parse(text, path, method, around.limits.path_policy)?;
        if secure && !around.secure && !around.limits.allow_scheme_mismatch {
            return Err(Misbehaviour::SchemeMismatch.into());
        }
        Ok(())
    }

    /// Section 8.3.1: who is meant. Usually nothing but `:authority` says so.
    #[inline]
    fn take_host(&mut self, text: &[u8], around: &Around<'_>) -> Result<(), Misbehaviour> {
        match self.authority {
            Some(authority) if self.authority_served && self.host.is_none() => {
                self.head.host = authority;
                Ok(())
            }
            _ => self.take_rare_host(text, around),
        }
    }

    /// `:authority` and Host must agree where both are there.
    #[inline(never)]
    fn take_rare_host(&mut self, text: &[u8], around: &Around<'_>) -> Result<(), Misbehaviour> {
        if self.several_hosts {
            return Err(Misbehaviour::SeveralHosts);
        }
        let is_asterisk = self.head.target.form == TargetForm::Asterisk;
        let read = |span: Option<Span>| match span {
            None => Ok(None),
            // Empty is what a client sends that means no host in particular: the server itself.
            Some(span) if span.is_empty() && is_asterisk => Ok(None),
            Some(span) => Authority::parse(span.slice(text)).map(|host| Some((span, host))),
        };
        let (authority, field) = (read(self.authority)?, read(self.host)?);
        if self.authority.is_none() && self.host.is_none() {
            return Err(Misbehaviour::MissingHost);
        }
        if let (Some((_, authority)), Some((_, host))) = (authority, field) {
            let is_https = self.scheme.is_some_and(|scheme| scheme.len == 5);
            let scheme = if is_https {
                Scheme::Https
            } else {
                Scheme::Http
            };
            if !host.agrees_with(&authority, scheme.default_port()) {
                return Err(Misbehaviour::HostMismatch);
            }
        }
        let meant = authority.or(field);
        self.head.host = meant.map_or(Span::default(), |(span, _)| span);
        let hosts = &around.limits.allowed_hosts;
        let allowed = hosts.allows_any()
            || meant.is_some_and(|(_, host)| hosts.matches(host.name_without_root()));
        if allowed {
            Ok(())
        } else {
            Err(Misbehaviour::HostNotAllowed)
        }
    }

    /// How the body ends, and whether the client waits for a word before it sends it.
    #[inline]
    fn take_body(&mut self, text: &[u8], around: &Around<'_>) -> Result<(), Rejected> {
        let announced = match self.content_length {
            None => None,
            Some(length) => self.announced(length, text)?,
        };
        self.head.framing = match announced {
            Some(length) if around.end_stream && length > 0 => {
                return Err(Malformed::ContentLength.into());
            }
            Some(length) => Framing::Length(length),
            None if around.end_stream => Framing::None,
            None => Framing::Chunked,
        };
        if self.other_expectation {
            return Err(Misbehaviour::UnknownExpectation.into());
        }
        self.head.expect_continue = self.continues && self.head.framing.has_body();
        Ok(())
    }

    fn announced(&self, length: Span, text: &[u8]) -> Result<Option<u64>, Misbehaviour> {
        let mut body = BodyFields::default();
        body.content_length(length.slice(text));
        if self.several_lengths {
            body.content_length(length.slice(text));
        }
        match body.decide(Version::Http11)? {
            Framing::Length(length) => Ok(Some(length)),
            Framing::None | Framing::Chunked => Ok(None),
        }
    }

    /// Section 8.2.3: crumbs are put together with `; ` before anybody looks at them; where the first stood.
    fn join_crumbs(&mut self, text: &mut Vec<u8>) {
        let Some(first) = self.first_crumb else {
            return;
        };
        let start = text.len();
        let mut kept = first;
        for at in first..self.head.fields.len() {
            let field = self.head.fields[at];
            if field.name.slice(text) != b"cookie" {
                self.head.fields[kept] = field;
                kept += 1;
                continue;
            }
            if at == first {
                kept += 1;
            } else {
                text.extend_from_slice(CRUMB_SEPARATOR);
            }
            text.extend_from_within(field.value.offset as usize..field.value.end());
        }
        self.head.fields.truncate(kept);
        if let Some(joined) = self.head.fields.get_mut(first) {
            joined.value = Span::between(start, text.len());
        }
    }
}
