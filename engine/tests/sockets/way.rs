//! The ways in which a request reaches an app: HTTP/1.1 or HTTP/2, in the clear or over TLS, on a driver. What must hold on
//! all of them is one test, whose clients are [agents](crate::agent).

use crate::agent::Agent;
use crate::client::{Client, Socket};
use crate::server::{Fixture, start};
use lanner::{App, Limits};
use lanner_limits::Driver;

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) driver: Driver,
    pub(crate) version: Version,
    pub(crate) secure: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Version {
    Http1,
    Http2,
}

/// Stamps each function into one test for each version of HTTP, in the clear, on each driver.
macro_rules! in_both_versions {
    ($($(#[$attribute:meta])* fn $name:ident($way:ident) $body:block)+) => {$(
        $(#[$attribute])*
        fn $name($way: crate::way::Way) $body

        mod $name {
            use crate::way::{Version, Way};

            on_every_driver! {
                fn http1(driver) { super::$name(Way { driver, version: Version::Http1, secure: false }); }
                fn http2(driver) { super::$name(Way { driver, version: Version::Http2, secure: false }); }
            }
        }
    )+};
}

/// The same, and over TLS too, where ALPN decides on the version.
macro_rules! in_every_way {
    ($($(#[$attribute:meta])* fn $name:ident($way:ident) $body:block)+) => {$(
        $(#[$attribute])*
        fn $name($way: crate::way::Way) $body

        mod $name {
            use crate::way::{Version, Way};

            on_every_driver! {
                fn http1(driver) { super::$name(Way { driver, version: Version::Http1, secure: false }); }
                fn http2(driver) { super::$name(Way { driver, version: Version::Http2, secure: false }); }
                #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
                fn http1_over_tls(driver) { super::$name(Way { driver, version: Version::Http1, secure: true }); }
                #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
                fn http2_over_tls(driver) { super::$name(Way { driver, version: Version::Http2, secure: true }); }
            }
        }
    )+};
}

impl Way {
    /// HTTP/1.1 in the clear.
    pub(crate) fn http1(driver: Driver) -> Self {
        Self {
            driver,
            version: Version::Http1,
            secure: false,
        }
    }

    /// HTTP/2 in the clear.
    pub(crate) fn http2(driver: Driver) -> Self {
        Self {
            driver,
            version: Version::Http2,
            secure: false,
        }
    }

    /// HTTP/2 in the clear and, where there is TLS, over that.
    pub(crate) fn both_of_http2(driver: Driver) -> impl Iterator<Item = Self> {
        let tls = cfg!(any(feature = "aws-lc-rs", feature = "ring"));
        let secure = Self {
            secure: true,
            ..Self::http2(driver)
        };
        [Self::http2(driver)]
            .into_iter()
            .chain(tls.then_some(secure))
    }

    pub(crate) fn is_http1(self) -> bool {
        self.version == Version::Http1
    }

    pub(crate) fn scheme(self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    /// Serves `app` with the settings of tests after `change`.
    pub(crate) fn serve<A>(self, change: impl FnOnce(&mut Limits), app: A) -> Fixture
    where
        A: App + Clone + Send + Sync,
    {
        let mut limits = self.limits();
        change(&mut limits);
        start(limits, move |_| app.clone()).unwrap()
    }

    #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    fn limits(self) -> Limits {
        if self.secure {
            return crate::secure::party::limits(self.driver);
        }
        crate::server::limits(self.driver)
    }

    #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
    fn limits(self) -> Limits {
        crate::server::limits(self.driver)
    }

    /// Somebody who asks the server this way.
    pub(crate) fn agent(self, server: &Fixture) -> Agent {
        Agent::new(self, server.address())
    }

    /// The connection of a client on which HTTP has not begun.
    #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    pub(crate) fn socket(self, client: Client) -> Box<dyn Socket> {
        match (self.secure, self.version) {
            (false, _) => Box::new(client.stream),
            (true, Version::Http1) => {
                Box::new(crate::secure::party::agreed_on_http1(client.stream))
            }
            (true, Version::Http2) => {
                Box::new(crate::secure::party::agreed_on_http2(client.stream))
            }
        }
    }

    #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
    pub(crate) fn socket(self, client: Client) -> Box<dyn Socket> {
        Box::new(client.stream)
    }
}
