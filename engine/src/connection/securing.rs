//! A connection over TLS: what changes for it once the handshake is over, and how it ends with it.

use super::{Connection, Dialect};
use crate::exchange::Dispatch;
use crate::shared::Shared;
use crate::tls::{Alpn, Failure, TlsInfo};
use lanner_limits::{Moment, Protocols, Trip};
use lanner_protocol::EndReason;
use std::rc::Rc;
use std::sync::Arc;

impl Connection {
    /// A handshake comes before anything that HTTP says.
    pub(crate) fn await_handshake(&mut self, now: Moment) {
        if let Dialect::Http1(http1) = &mut self.dialect {
            http1.http.await_handshake(now);
        }
    }

    /// The handshake is over, and nothing was said by HTTP yet. What ALPN agreed on is what is spoken; to a client that does
    /// not know ALPN, HTTP/1.1, or what its listener speaks.
    pub(crate) fn begin_secure<D: Dispatch>(
        &mut self,
        tls: Arc<TlsInfo>,
        shared: &Shared<D>,
        now: Moment,
    ) {
        let alpn = tls.alpn();
        Rc::make_mut(&mut self.info).tls = Some(tls);
        if alpn == Some(Alpn::H2) || alpn.is_none() && self.protocols == Protocols::Http2 {
            return self.speak_http2(shared, now);
        }
        if let Dialect::Http1(http1) = &mut self.dialect {
            http1.http.handle_handshake(now);
        }
    }

    /// What came is HTTP without TLS, and is answered so.
    pub(crate) fn refuse_cleartext<D: Dispatch>(
        &mut self,
        shared: &Shared<D>,
        input: &[u8],
        now: Moment,
    ) {
        self.say(shared, now, |dialect, turn| {
            if let Dialect::Http1(http1) = dialect {
                http1.http.refuse_cleartext(turn, input);
            }
        });
    }

    /// TLS has ended, and with it all that was to be said over it.
    pub(crate) fn handle_insecure(&mut self, failure: &Failure, handshaking: bool) {
        self.output.clear();
        self.handle_insecure_end(failure.end_reason(handshaking), failure.trip());
    }

    /// TLS has ended.
    pub(crate) fn handle_insecure_end(&mut self, reason: EndReason, trip: Option<Trip>) {
        match &mut self.dialect {
            Dialect::Http1(http1) => http1.http.handle_insecure(reason, trip),
            Dialect::Http2(http2) => http2.http.handle_insecure(reason, trip),
        }
    }
}
