//! What to listen on, before anything is bound: what was configured, else what systemd passed, else the default; and
//! whether it could be served. Binding it is up to `listener`.

use crate::runtime::inherited;
use crate::server::StartError;
use crate::tls::Keeper;
use lanner_limits::{Limits, ListenUrl, Listener};
use std::io;

/// Every listener that a server is to have.
pub(super) fn wanted(limits: &Limits) -> Result<Vec<Listener>, StartError> {
    let passed = if limits.listeners.iter().any(|one| !one.automatic) {
        Vec::new()
    } else {
        inherited::activation().map_err(|source| StartError::Listen {
            what: "what systemd passed".into(),
            source,
        })?
    };
    if passed.is_empty() {
        let mut listeners = limits.listeners.clone();
        // A build without TLS needs no settings either.
        let has_tls = cfg!(any(feature = "aws-lc-rs", feature = "ring"));
        listeners.retain(|one| has_tls || !one.automatic || one.tls.is_none());
        return Ok(listeners);
    }
    let listener = |(name, descriptor)| Listener::new(name, ListenUrl::Fd(descriptor), limits);
    Ok(passed.into_iter().map(listener).collect())
}

/// Reads what every listener needs and lets it go again. Gives what a server that starts would warn of.
///
/// # Errors
/// What a start would fail for, of each listener the first thing.
pub(crate) fn check(limits: &Limits) -> Result<Vec<String>, Vec<StartError>> {
    let (mut warnings, mut errors) = (Vec::new(), Vec::new());
    for listener in wanted(limits).map_err(|error| vec![error])? {
        match Keeper::check(limits, &listener) {
            Ok(more) => warnings.extend(more),
            Err(fault) => errors.push(StartError::Tls {
                what: describe(&listener),
                problem: fault.to_string(),
            }),
        }
    }
    // Listeners may share their certificates.
    warnings.sort_unstable();
    warnings.dedup();
    if errors.is_empty() {
        Ok(warnings)
    } else {
        Err(errors)
    }
}

/// A listener in a message.
pub(super) fn describe(listener: &Listener) -> String {
    match &listener.url {
        // Its mode is not part of where it is.
        ListenUrl::Unix { path, .. } => format!("unix:{path}"),
        url => url.to_string(),
    }
}

/// Why a listener could not be bound. Nobody has asked for an automatic one, so whoever has never heard of it is told how to
/// do without.
pub(super) fn unbound(listener: &Listener, error: io::Error) -> StartError {
    let source = match (error.kind(), &listener.url) {
        (io::ErrorKind::AddrInUse, ListenUrl::Tcp { port, .. }) => {
            let mut problem =
                "the address is in use, by another process or another listener of this one"
                    .to_owned();
            if listener.automatic {
                problem.push_str(&advice(*port, listener.tls.is_some()));
            }
            io::Error::new(io::ErrorKind::AddrInUse, problem)
        }
        _ => error,
    };
    StartError::Listen {
        what: describe(listener),
        source,
    }
}

fn advice(port: u16, has_tls: bool) -> String {
    let instead = if has_tls {
        "LANNER_LISTEN=http://localhost:8080 serves without it".to_owned()
    } else {
        format!("LANNER_LISTEN=http://localhost:{} takes another", port + 1)
    };
    format!("; it is listened on because nothing else was said: {instead}")
}
