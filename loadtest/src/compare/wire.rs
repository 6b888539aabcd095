//! What a server is asked to speak in a scenario.

use crate::secure::Group;

/// The version of HTTP, and whether TLS is below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 in cleartext, from clients that know it beforehand.
    Http2,
    /// HTTP/1.1 over TLS.
    Https1,
    /// HTTP/2 over TLS, chosen by ALPN.
    Https2,
}

impl Wire {
    /// Whether TLS is below.
    pub(crate) fn is_secure(self) -> bool {
        matches!(self, Self::Https1 | Self::Https2)
    }

    /// Whether it is HTTP/2.
    pub(crate) fn is_http2(self) -> bool {
        matches!(self, Self::Http2 | Self::Https2)
    }

    /// How URLs begin.
    pub(crate) fn scheme(self) -> &'static str {
        if self.is_secure() { "https" } else { "http" }
    }

    /// How tables call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
            Self::Https1 => "HTTPS",
            Self::Https2 => "HTTP/2 over TLS",
        }
    }
}

/// What a scenario asks of a server before it is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Demand {
    pub(crate) wire: Wire,
    /// Whether it is to close connections when asked.
    pub(crate) closes: bool,
    /// Whether it is to listen on a unix socket.
    pub(crate) on_unix: bool,
    /// The key exchange, where there is TLS.
    pub(crate) group: Group,
}

impl Demand {
    /// HTTP/1.1 on connections that are kept.
    pub(crate) const PLAIN: Self = Self {
        wire: Wire::Http1,
        closes: false,
        on_unix: false,
        group: Group::X25519,
    };
}
