//! What must hold between values that are each in range. The defaults' half of it is checked when this compiles, at the
//! foot of `knob.rs`.

use crate::choice::{ClientAuth, TlsVersion};
use crate::knob::Limits;
use std::time::Duration;

/// A relation that does not hold.
pub(crate) struct Broken {
    /// The fields that it is between.
    pub(crate) knobs: &'static [&'static str],
    /// What should hold.
    pub(crate) rule: &'static str,
}

/// The relations that do not hold in `limits`.
pub(crate) fn broken(limits: &Limits) -> Vec<Broken> {
    let mut broken = Vec::new();
    let mut must = |holds: bool, knobs: &'static [&'static str], rule| {
        if !holds {
            broken.push(Broken { knobs, rule });
        }
    };
    // Not `<`: a stop with neither is one that waits for nobody.
    let stops = limits.shutdown_delay < limits.shutdown_timeout || limits.shutdown_delay.is_zero();
    must(
        stops,
        &["shutdown_delay", "shutdown_timeout"],
        "the delay is part of the timeout and must be shorter",
    );
    let head = limits
        .max_request_line
        .saturating_add(limits.max_header_bytes);
    must(
        head <= limits.request_buffer,
        &["request_buffer", "max_request_line", "max_header_bytes"],
        HEAD_RULE,
    );
    must(
        limits.h1_max_chunk_line <= limits.request_buffer,
        &["request_buffer", "h1_max_chunk_line"],
        "the buffer must hold a chunk's size line",
    );
    let frames = (limits.h2_max_continuation as usize).saturating_add(1);
    must(
        head <= frames.saturating_mul(limits.h2_max_frame as usize),
        &[
            "h2_max_continuation",
            "h2_max_frame",
            "max_request_line",
            "max_header_bytes",
        ],
        "the frames of an HTTP/2 head, one and its continuations, must hold a whole head",
    );
    must(
        limits.h2_stream_window <= limits.h2_conn_window,
        &["h2_stream_window", "h2_conn_window"],
        "the connection's window must hold a stream's",
    );
    let timeouts: [(Option<Duration>, &'static [&'static str]); 10] = [
        (
            Some(limits.first_byte_timeout),
            &["first_byte_timeout", "timer_resolution"],
        ),
        (
            Some(limits.header_timeout),
            &["header_timeout", "timer_resolution"],
        ),
        (
            Some(limits.keepalive_timeout),
            &["keepalive_timeout", "timer_resolution"],
        ),
        (
            Some(limits.body_drain_timeout),
            &["body_drain_timeout", "timer_resolution"],
        ),
        (
            Some(limits.min_body_rate_grace),
            &["min_body_rate_grace", "timer_resolution"],
        ),
        (
            Some(limits.min_response_rate_grace),
            &["min_response_rate_grace", "timer_resolution"],
        ),
        (
            limits.request_timeout,
            &["request_timeout", "timer_resolution"],
        ),
        (limits.queue_timeout, &["queue_timeout", "timer_resolution"]),
        (
            Some(limits.h2_ping_timeout),
            &["h2_ping_timeout", "timer_resolution"],
        ),
        (
            Some(limits.tls_handshake_timeout),
            &["tls_handshake_timeout", "timer_resolution"],
        ),
    ];
    for (timeout, knobs) in timeouts {
        let holds = timeout.is_none_or(|timeout| timeout >= limits.timer_resolution);
        must(holds, knobs, TICK_RULE);
    }
    let versions = limits.tls_min == TlsVersion::Tls12 || limits.tls_max == TlsVersion::Tls13;
    must(versions, &["tls_min", "tls_max"], VERSIONS_RULE);
    must(
        limits.tls_key.is_none() || limits.tls_cert.is_some(),
        &["tls_key", "tls_cert"],
        "a key needs the certificate it is for",
    );
    broken
}

/// Holds for each listener too.
pub(crate) const VERSIONS_RULE: &str = "the oldest version must not be newer than the newest";
const TICK_RULE: &str = "a time shorter than a tick would be a tick long";
const HEAD_RULE: &str = "the buffer must hold a whole head, which is a request line and its fields";

/// A knob that does nothing as long as another is `none`.
pub(crate) struct Idle {
    pub(crate) knob: &'static str,
    pub(crate) needs: &'static str,
}

/// The knobs that do nothing in `limits`.
pub(crate) fn without_effect(limits: &Limits) -> Vec<Idle> {
    let tls = || limits.listeners.iter().filter_map(|one| one.tls.as_ref());
    let hosts = tls().flat_map(|tls| &tls.sni).map(|host| host.client_auth);
    let mut clients = tls().map(|tls| tls.client_auth).chain(hosts);
    // Where nobody speaks TLS at all it is said of everything that TLS has.
    let without_clients = tls().next().is_some() && clients.all(|auth| auth == ClientAuth::Off);
    [
        (
            limits.max_inflight.is_none() && limits.queue_timeout.is_some(),
            "queue_timeout",
            "max_inflight",
        ),
        (
            limits.min_body_rate.is_none(),
            "min_body_rate_grace",
            "min_body_rate",
        ),
        (
            limits.min_response_rate.is_none(),
            "min_response_rate_grace",
            "min_response_rate",
        ),
        (
            limits.max_connection_age.is_none(),
            "max_connection_age_grace",
            "max_connection_age",
        ),
        (
            limits.h2_ping_interval.is_none(),
            "h2_ping_timeout",
            "h2_ping_interval",
        ),
        (without_clients, "tls_client_ca", "tls_client_auth"),
        (without_clients, "tls_crl", "tls_client_auth"),
    ]
    .into_iter()
    .filter(|(idle, ..)| *idle)
    .map(|(_, knob, needs)| Idle { knob, needs })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KNOBS, Machine, PemSource};

    const MACHINE: Machine = Machine {
        nofile: 65_536,
        memory: 1 << 34,
        cpus: 4,
    };

    #[test]
    fn nothing_is_broken_by_default() {
        assert!(broken(&Limits::for_machine(MACHINE)).is_empty());
    }

    #[test]
    fn every_relation_can_be_broken_and_names_knobs_that_exist() {
        let mut limits = Limits::for_machine(MACHINE);
        limits.shutdown_delay = limits.shutdown_timeout;
        limits.request_buffer = 1;
        limits.timer_resolution = Duration::from_secs(1);
        let short = Duration::from_millis(999);
        for timeout in [
            &mut limits.first_byte_timeout,
            &mut limits.header_timeout,
            &mut limits.keepalive_timeout,
            &mut limits.body_drain_timeout,
            &mut limits.min_body_rate_grace,
            &mut limits.min_response_rate_grace,
            &mut limits.h2_ping_timeout,
            &mut limits.tls_handshake_timeout,
        ] {
            *timeout = short;
        }
        limits.request_timeout = Some(short);
        limits.queue_timeout = Some(short);
        limits.h2_max_continuation = 0;
        limits.h2_conn_window = limits.h2_stream_window - 1;
        limits.min_body_rate = None;
        limits.min_response_rate = None;
        let secure = std::mem::take(&mut limits.listeners);
        assert_eq!(without_effect(&limits).len(), 5, "nobody speaks TLS");
        limits.listeners = secure;
        let idle = without_effect(&limits);
        assert_eq!(idle.len(), 7);
        limits.tls_min = TlsVersion::Tls13;
        limits.tls_max = TlsVersion::Tls12;
        limits.tls_key = Some(PemSource::File("key.pem".to_owned()));
        let broken = broken(&limits);
        assert_eq!(broken.len(), 17);
        let named = broken
            .iter()
            .flat_map(|broken| broken.knobs.iter().copied())
            .chain(idle.iter().flat_map(|idle| [idle.knob, idle.needs]));
        for field in named {
            assert!(KNOBS.iter().any(|knob| knob.name == field), "{field}");
        }
    }

    #[test]
    fn a_stop_that_waits_for_nobody_is_allowed() {
        let mut limits = Limits::for_machine(MACHINE);
        limits.shutdown_timeout = Duration::ZERO;
        assert!(broken(&limits).is_empty());
    }
}
