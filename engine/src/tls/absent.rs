//! What the engine asks of TLS, in a build without it: every name is there, and nothing has a value. A listener that wants
//! TLS is an error at the start.

use lanner_limits::{Limits, Listener, Moment, TlsVersion, Trip};
use lanner_protocol::{EndReason, Output};
use std::convert::Infallible;
use std::fmt;

/// An application protocol that a client can ask for by ALPN (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpn {
    /// HTTP/2.
    H2,
    /// HTTP/1.1.
    Http11,
}

impl Alpn {
    /// Its name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Alpn::H2 => "h2",
            Alpn::Http11 => "http/1.1",
        }
    }
}

/// The facts of a TLS connection, of which this build has none.
#[derive(Clone, Debug)]
pub struct TlsInfo(Infallible);

impl TlsInfo {
    /// The version of TLS.
    #[must_use]
    pub fn version(&self) -> TlsVersion {
        match self.0 {}
    }

    /// The cipher suite, by IANA's name for it.
    #[must_use]
    pub fn cipher(&self) -> &'static str {
        match self.0 {}
    }

    /// The group that keys were exchanged with, by IANA's name for it.
    #[must_use]
    pub fn key_exchange(&self) -> Option<&'static str> {
        match self.0 {}
    }

    /// The name that the client asked for (SNI), as it sent it.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        match self.0 {}
    }

    /// The application protocol that was agreed on.
    #[must_use]
    pub fn alpn(&self) -> Option<Alpn> {
        match self.0 {}
    }

    /// Whether the client came back with a ticket.
    #[must_use]
    pub fn resumed(&self) -> bool {
        match self.0 {}
    }

    /// The client's certificate in DER.
    #[must_use]
    pub fn client_certificate(&self) -> Option<&[u8]> {
        match self.0 {}
    }

    /// The client's certificate and those that vouch for it.
    pub fn client_chain(&self) -> std::iter::Empty<&[u8]> {
        match self.0 {}
    }

    /// Whether a request for `host` may be answered on this connection.
    #[must_use]
    pub fn covers(&self, _host: &[u8]) -> bool {
        match self.0 {}
    }
}

/// The certificate for developing with, which this build cannot make.
#[derive(Clone, Debug)]
pub struct DevelopmentCertificate(Infallible);

impl DevelopmentCertificate {
    /// Fails: there is no TLS here.
    ///
    /// # Errors
    /// Always.
    pub fn open() -> std::io::Result<Self> {
        Err(std::io::Error::other(Fault.to_string()))
    }

    /// Fails: there is no TLS here.
    ///
    /// # Errors
    /// Always.
    pub fn renew() -> std::io::Result<Self> {
        Self::open()
    }

    /// The authority's certificate: the file that clients are told to trust.
    #[must_use]
    pub fn authority(&self) -> &std::path::Path {
        match self.0 {}
    }

    /// The file with the certificate and its key, for `LANNER_TLS_CERT`.
    #[must_use]
    pub fn certificate(&self) -> &std::path::Path {
        match self.0 {}
    }

    /// Where it is and how to use and to trust it, for a person.
    #[must_use]
    pub fn instructions(&self) -> String {
        match self.0 {}
    }
}

/// Why a listener with TLS cannot be served.
#[derive(Debug)]
pub(crate) struct Fault;

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "this build has no TLS: it was made without the cargo features `aws-lc-rs` and `ring`",
        )
    }
}

/// The certificates of a server.
#[derive(Debug, Default)]
pub(crate) struct Keeper(());

/// What keeps them up.
#[derive(Debug)]
pub(crate) struct Keeping(());

/// Which listener's certificates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept(Infallible);

/// One worker's way to them.
#[derive(Debug)]
pub(crate) struct Source(Infallible);

/// What a listener gives each of its connections.
#[derive(Clone, Debug)]
pub(crate) struct Terms(Infallible);

impl Keeper {
    /// None, where the listener wants none.
    pub(crate) fn read(
        &mut self,
        _limits: &Limits,
        listener: &Listener,
    ) -> Result<Option<Kept>, Fault> {
        if listener.tls.is_some() {
            return Err(Fault);
        }
        Ok(None)
    }

    /// Nothing is worth a warning, where the listener wants none.
    pub(crate) fn check(_limits: &Limits, listener: &Listener) -> Result<Vec<String>, Fault> {
        match listener.tls {
            Some(_) => Err(Fault),
            None => Ok(Vec::new()),
        }
    }

    pub(crate) fn source(&self, kept: Kept) -> Source {
        match kept.0 {}
    }

    pub(crate) fn start(self) -> std::io::Result<Option<Keeping>> {
        Ok(None)
    }
}

impl Source {
    pub(crate) fn terms(&self) -> Terms {
        match self.0 {}
    }
}

/// Why a session ends before its time.
#[derive(Debug)]
pub(crate) enum Failure {}

impl Failure {
    pub(crate) fn is_cleartext(&self) -> bool {
        match *self {}
    }

    pub(crate) fn trip(&self) -> Option<Trip> {
        match *self {}
    }

    pub(crate) fn end_reason(&self, _handshaking: bool) -> EndReason {
        match *self {}
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

/// TLS under one connection.
pub(crate) struct Layer {
    pub(crate) cipher: Output,
    pub(crate) handshake: Option<u64>,
    pub(crate) end_due: bool,
    never: Infallible,
}

impl Layer {
    pub(crate) fn new(terms: Terms, _limits: &Limits, _now: Moment) -> Layer {
        match terms.0 {}
    }

    pub(crate) fn has_opened(&self) -> bool {
        match self.never {}
    }

    pub(crate) fn awaits_accept(&self) -> bool {
        match self.never {}
    }

    pub(crate) fn info(&self) -> Option<TlsInfo> {
        match self.never {}
    }

    pub(crate) fn receive(
        &mut self,
        _bytes: &mut [u8],
        _plain: &mut dyn FnMut(&[u8]),
        _now: Moment,
    ) -> Result<(), Failure> {
        match self.never {}
    }

    pub(crate) fn accept(
        &mut self,
        _plain: &mut dyn FnMut(&[u8]),
        _now: Moment,
    ) -> Result<(), Failure> {
        match self.never {}
    }

    pub(crate) fn send(
        &mut self,
        _plain: &mut Output,
        _is_last: bool,
        _spare: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        match self.never {}
    }

    pub(crate) fn has_more(&self, _plain: &Output, _is_last: bool) -> bool {
        match self.never {}
    }

    pub(crate) fn close(&mut self) {
        match self.never {}
    }

    pub(crate) fn is_cut_short(&self) -> bool {
        match self.never {}
    }
}
