//! What a client asks for, before it is written in one version of HTTP or the other.
//!
//! Judged here is what would be wrong in either: a request that a server might read in two ways is not sent.

use crate::field::is_token;
use crate::fields::Fields;
use crate::host::Authority;
use crate::response::BodyLength;
use crate::target::Scheme;
use std::fmt;

/// A request's head. How its body is framed, and what concerns the connection, is written by the connection.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method, a token.
    pub method: &'a [u8],
    /// `:scheme` on HTTP/2.
    pub scheme: Scheme,
    /// Host, or `:authority`: a host with an optional port.
    pub authority: &'a [u8],
    /// The target: a path with an optional query, or what else its method takes.
    pub target: &'a [u8],
    /// The other fields.
    pub fields: &'a Fields,
    /// How long the body is; none if there is none. A method that has one by nature needs `Known(0)` to say that it is empty
    /// (RFC 9110 section 8.6).
    pub body: Option<BodyLength>,
    /// Another protocol that the server may switch to (RFC 9110 section 7.8). On HTTP/1.1 only, and without a body.
    pub upgrade: Option<&'a str>,
    /// The last request of its connection. On HTTP/1.1 only.
    pub close: bool,
    /// The body is held back until the server asks for it (RFC 9110 section 10.1.1).
    pub expect_continue: bool,
}

impl<'a> Request<'a> {
    /// A request without a body.
    #[must_use]
    pub const fn new(
        method: &'a [u8],
        authority: &'a [u8],
        target: &'a [u8],
        fields: &'a Fields,
    ) -> Request<'a> {
        Request {
            method,
            scheme: Scheme::Http,
            authority,
            target,
            fields,
            body: None,
            upgrade: None,
            close: false,
            expect_continue: false,
        }
    }

    /// Whether a body is to follow, be it an empty one.
    #[must_use]
    pub const fn has_body(&self) -> bool {
        !matches!(self.body, None | Some(BodyLength::Known(0)))
    }

    /// What both versions ask of it.
    pub(crate) fn judge(&self) -> Result<(), InvalidRequest> {
        if !is_token(self.method) {
            return Err(InvalidRequest::Method);
        }
        // What is visible and no delimiter of the line; RFC 3986's finer rules are the server's to apply.
        if self.target.is_empty() || !self.target.iter().all(u8::is_ascii_graphic) {
            return Err(InvalidRequest::Target);
        }
        if Authority::parse(self.authority).is_err() {
            return Err(InvalidRequest::Authority);
        }
        for (name, _) in self.fields.lines() {
            if name.eq_ignore_ascii_case(b"host") || name.eq_ignore_ascii_case(b"expect") {
                return Err(InvalidRequest::Field);
            }
        }
        // RFC 9110 section 10.1.1: never without content.
        if self.expect_continue && !self.has_body() {
            return Err(InvalidRequest::ExpectWithoutBody);
        }
        // Section 7.8: the new protocol begins behind the whole request.
        if self.upgrade.is_some() && self.has_body() {
            return Err(InvalidRequest::UpgradeWithBody);
        }
        if self
            .upgrade
            .is_some_and(|protocol| !protocol.bytes().all(is_upgrade_byte) || protocol.is_empty())
        {
            return Err(InvalidRequest::Upgrade);
        }
        Ok(())
    }
}

/// Protocols with their versions, and a list of them.
fn is_upgrade_byte(byte: u8) -> bool {
    crate::field::is_token_byte(byte) || matches!(byte, b'/' | b',' | b' ')
}

/// A request that is not sent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum InvalidRequest {
    /// The method is no token.
    Method,
    /// The target is empty, or holds white space, control bytes or bytes beyond ASCII.
    Target,
    /// The authority is no host with an optional port.
    Authority,
    /// Host and Expect are no fields here: `authority` and `expect_continue` say the same.
    Field,
    /// A body is held back that there is not.
    ExpectWithoutBody,
    /// An upgrade of a request that has a body.
    UpgradeWithBody,
    /// The protocol to upgrade to is no list of protocols.
    Upgrade,
    /// What HTTP/2 does not have: CONNECT as a tunnel is not offered, nor Upgrade (RFC 9113 section 8.6).
    NotInHttp2,
    /// A body of unknown length for a server of HTTP/1.0, which cannot read chunks (RFC 9112 section 6.1).
    ChunkedToHttp10,
}

impl fmt::Display for InvalidRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Method => "the method is no token",
            Self::Target => "the target is empty or holds bytes that no target has",
            Self::Authority => "the authority is no host with an optional port",
            Self::Field => "Host and Expect are not given as fields",
            Self::ExpectWithoutBody => "nothing is there to wait for 100 (Continue) with",
            Self::UpgradeWithBody => "a request that offers an upgrade has no body",
            Self::Upgrade => "the protocol to upgrade to is no list of protocols",
            Self::NotInHttp2 => "HTTP/2 has no such request",
            Self::ChunkedToHttp10 => "a server of HTTP/1.0 must be told the body's length",
        })
    }
}

impl std::error::Error for InvalidRequest {}
