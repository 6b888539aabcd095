//! The knobs whose values are words: each a closed list, so that what is not on it cannot be configured.

use crate::value::Word;
use std::fmt;

macro_rules! choices {
    ($($(#[$about:meta])+ $name:ident { $($(#[$why:meta])+ $variant:ident = $word:literal,)+ })+) => {
        $(
            $(#[$about])+
            #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
            pub enum $name {
                $($(#[$why])+ $variant,)+
            }

            impl Word for $name {
                const ALL: &'static [$name] = &[$($name::$variant),+];

                fn word(self) -> &'static str {
                    match self {
                        $($name::$variant => $word,)+
                    }
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str(self.word())
                }
            }
        )+
    };
}

choices! {
    /// Whether workers are bound to CPUs.
    Pin {
        /// Bound when there are as many workers as allowed CPUs.
        Auto = "auto",
        /// Always bound.
        On = "on",
        /// Never bound.
        Off = "off",
    }

    /// What drives the sockets.
    Driver {
        /// The best that this build and this kernel have.
        Auto = "auto",
        /// Our own, on io_uring.
        Uring = "uring",
        /// Our own, on epoll.
        Epoll = "epoll",
        /// monoio, on io_uring where the kernel allows it.
        Monoio = "monoio",
        /// monoio, on epoll.
        MonoioEpoll = "monoio-epoll",
        /// glommio, on io_uring, in builds that have it.
        Glommio = "glommio",
    }

    /// Whether clients have to show certificates.
    ClientAuth {
        /// They are not asked for one.
        Off = "off",
        /// They are asked, and may have none. One that is shown must be good.
        Optional = "optional",
        /// No connection without a good one.
        Required = "required",
    }

    /// A version of TLS.
    TlsVersion {
        /// TLS 1.2 (RFC 5246).
        Tls12 = "1.2",
        /// TLS 1.3 (RFC 8446).
        Tls13 = "1.3",
    }

    /// The versions of HTTP that a listener speaks.
    Protocols {
        /// HTTP/1.1 and HTTP/1.0.
        Http1 = "h1",
        /// HTTP/2; on a listener without TLS by prior knowledge (RFC 9113, section 3.3).
        Http2 = "h2",
        /// All of them; the client chooses.
        Both = "h1+h2",
    }

    /// The shape of the access log.
    LogAccess {
        /// No access log.
        Off = "off",
        /// The combined format of Apache and nginx.
        Combined = "combined",
        /// One JSON object a line.
        Json = "json",
    }

    /// What happens to a field whose name has an underscore, which CGI-like apps cannot tell from a hyphen.
    UnderscoreHeaders {
        /// The request is refused.
        Reject = "reject",
        /// The field is left out.
        Drop = "drop",
        /// The field is passed on.
        Allow = "allow",
    }

    /// How paths are read before anybody routes by them.
    PathPolicy {
        /// Dot segments are resolved once; `%00` and `..;` are refused.
        Strict = "strict",
        /// Paths are passed on as they came.
        Off = "off",
    }
}
