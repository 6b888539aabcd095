//! One variant per bound that can be hit, and beside it the one place that decides what the peer is told. How the answer
//! goes out is the protocol's business; counting it under its name is the engine's.

use std::fmt;

/// A bound that was hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Trip {
    /// All connections that the server may hold are open.
    MaxConnections,
    /// All connections that one address may hold are open.
    MaxConnectionsPerIp,
    /// All upgraded connections that the server may hold are open.
    MaxUpgradedConnections,
    /// One address connects too often.
    ConnectionRatePerIp,
    /// Everybody together connects too often.
    AcceptRate,
    /// The cap is near, and this connection was idle longest.
    IdleShed,
    /// The cap is near, and this connection only waited for its peer's close.
    LingerShed,
    /// Nothing came since accept.
    FirstByteTimeout,
    /// A head began and did not end.
    HeaderTimeout,
    /// No next request came.
    KeepaliveTimeout,
    /// A body comes too slowly while the app waits on it.
    MinBodyRate,
    /// A response is taken too slowly.
    MinResponseRate,
    /// An exchange took too long.
    RequestTimeout,
    /// The rest of an unread body did not come in time.
    BodyDrainTimeout,
    /// The rest of an unread body is too long to wait for.
    BodyDrainMax,
    /// A connection has had its share of requests.
    MaxRequestsPerConnection,
    /// A connection is too old.
    MaxConnectionAge,
    /// A request line is too long.
    RequestLine,
    /// The fields of a head (or the trailers) are too long together.
    HeaderBytes,
    /// The fields of a head (or the trailers) are too many.
    HeaderCount,
    /// A body is too long.
    RequestBody,
    /// A chunk's size line is too long.
    ChunkLine,
    /// A body's chunk extensions are too long together.
    ChunkExtensions,
    /// A client opens more HTTP/2 streams than it may have open at once, or their heads are too long together.
    Streams,
    /// One field of an HTTP/2 head is too long.
    HeaderField,
    /// A PING of ours was not answered.
    PingTimeout,
    /// Streams are reset too often before their answer is complete.
    Resets,
    /// A head takes too many CONTINUATION frames.
    Continuations,
    /// PING, SETTINGS, unknown frames and frames of streams that are gone come too often.
    ControlFrames,
    /// WINDOW_UPDATE frames are more than streams and DATA can explain.
    WindowUpdates,
    /// PRIORITY and PRIORITY_UPDATE frames are more than streams can explain.
    Priorities,
    /// Small DATA frames pile up unread.
    SmallData,
    /// DATA frames without data come too often.
    EmptyData,
    /// Frames that answer the peer pile up unsent.
    QueuedControl,
    /// All requests that a worker may work on are under way.
    MaxInflight,
    /// A request waited too long for its turn.
    QueueTimeout,
    /// The server's stop did not wait any longer.
    ShutdownTimeout,
    /// A TLS handshake took too long.
    TlsHandshakeTimeout,
    /// All TLS handshakes that may be under way are, and this one waited longest for its peer.
    TlsMaxHandshakes,
    /// A TLS handshake has too many bytes.
    TlsHandshakeBytes,
    /// Too many TLS records brought nothing.
    TlsKeyupdateRate,
}

/// What a connection does once a bound was hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Close {
    /// Send the answer, half-close, and read for a bounded while, so that a reset does not destroy the answer on its way.
    Linger,
    /// Reset: what is queued is thrown away, the kernel's send buffer included.
    Abort,
    /// Send GOAWAY with ENHANCE_YOUR_CALM and the bound's name, then close as with `Linger`.
    GoAway,
    /// Just close.
    Silent,
    /// Refuse the stream, which its sender may open again; the connection stays.
    RefuseStream,
    /// Not a reason to close.
    Keep,
}

/// What the peer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Answer {
    /// The status to send, where one can be: nothing of a response has left yet.
    pub status: Option<u16>,
    /// What happens to the connection where an answer can still be given, or none is due. A limit that is hit while an
    /// answer is under way cuts it: what is out cannot be taken back.
    pub close: Close,
}

impl Answer {
    const fn status(status: u16, close: Close) -> Answer {
        Answer {
            status: Some(status),
            close,
        }
    }

    const fn only(close: Close) -> Answer {
        Answer {
            status: None,
            close,
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(status) = self.status {
            write!(f, "{status}, ")?;
        }
        f.write_str(match self.close {
            Close::Linger => "close with linger",
            Close::Abort => "reset",
            Close::GoAway => "GOAWAY with ENHANCE_YOUR_CALM",
            Close::Silent => "close",
            Close::RefuseStream => "RST_STREAM with REFUSED_STREAM",
            Close::Keep => "stay open",
        })
    }
}

impl Trip {
    /// Every bound, in the order of the enum: an index for counters.
    pub const ALL: [Trip; 41] = [
        Trip::MaxConnections,
        Trip::MaxConnectionsPerIp,
        Trip::MaxUpgradedConnections,
        Trip::ConnectionRatePerIp,
        Trip::AcceptRate,
        Trip::IdleShed,
        Trip::LingerShed,
        Trip::FirstByteTimeout,
        Trip::HeaderTimeout,
        Trip::KeepaliveTimeout,
        Trip::MinBodyRate,
        Trip::MinResponseRate,
        Trip::RequestTimeout,
        Trip::BodyDrainTimeout,
        Trip::BodyDrainMax,
        Trip::MaxRequestsPerConnection,
        Trip::MaxConnectionAge,
        Trip::RequestLine,
        Trip::HeaderBytes,
        Trip::HeaderCount,
        Trip::RequestBody,
        Trip::ChunkLine,
        Trip::ChunkExtensions,
        Trip::Streams,
        Trip::HeaderField,
        Trip::PingTimeout,
        Trip::Resets,
        Trip::Continuations,
        Trip::ControlFrames,
        Trip::WindowUpdates,
        Trip::Priorities,
        Trip::SmallData,
        Trip::EmptyData,
        Trip::QueuedControl,
        Trip::MaxInflight,
        Trip::QueueTimeout,
        Trip::ShutdownTimeout,
        Trip::TlsHandshakeTimeout,
        Trip::TlsMaxHandshakes,
        Trip::TlsHandshakeBytes,
        Trip::TlsKeyupdateRate,
    ];

    /// The name of the knob that sets the bound: the label of its counter. `LingerShed` shares its knob with `IdleShed`
    /// and has a label of its own.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Trip::MaxConnections => "max_connections",
            Trip::MaxConnectionsPerIp => "max_connections_per_ip",
            Trip::MaxUpgradedConnections => "max_upgraded_connections",
            Trip::ConnectionRatePerIp => "max_connection_rate_per_ip",
            Trip::AcceptRate => "max_accept_rate",
            Trip::IdleShed => "idle_shed_at",
            Trip::LingerShed => "linger_shed",
            Trip::FirstByteTimeout => "first_byte_timeout",
            Trip::HeaderTimeout => "header_timeout",
            Trip::KeepaliveTimeout => "keepalive_timeout",
            Trip::MinBodyRate => "min_body_rate",
            Trip::MinResponseRate => "min_response_rate",
            Trip::RequestTimeout => "request_timeout",
            Trip::BodyDrainTimeout => "body_drain_timeout",
            Trip::BodyDrainMax => "body_drain_max",
            Trip::MaxRequestsPerConnection => "max_requests_per_connection",
            Trip::MaxConnectionAge => "max_connection_age",
            Trip::RequestLine => "max_request_line",
            Trip::HeaderBytes => "max_header_bytes",
            Trip::HeaderCount => "max_header_count",
            Trip::RequestBody => "max_request_body",
            Trip::ChunkLine => "h1_max_chunk_line",
            Trip::ChunkExtensions => "h1_max_chunk_extensions",
            Trip::Streams => "h2_max_streams",
            Trip::HeaderField => "h2_max_header_field",
            Trip::PingTimeout => "h2_ping_timeout",
            Trip::Resets => "h2_reset_burst",
            Trip::Continuations => "h2_max_continuation",
            Trip::ControlFrames => "h2_control_burst",
            Trip::WindowUpdates => "h2_window_update_factor",
            Trip::Priorities => "h2_priority_factor",
            Trip::SmallData => "h2_small_data_budget",
            Trip::EmptyData => "h2_max_empty_data",
            Trip::QueuedControl => "h2_max_queued_control",
            Trip::MaxInflight => "max_inflight",
            Trip::QueueTimeout => "queue_timeout",
            Trip::ShutdownTimeout => "shutdown_timeout",
            Trip::TlsHandshakeTimeout => "tls_handshake_timeout",
            Trip::TlsMaxHandshakes => "tls_max_handshakes",
            Trip::TlsHandshakeBytes => "tls_max_handshake_bytes",
            Trip::TlsKeyupdateRate => "tls_keyupdate_rate",
        }
    }

    /// What the peer is told: the one place that decides it.
    #[must_use]
    pub const fn answer(self) -> Answer {
        use Close::{Abort, GoAway, Keep, Linger, RefuseStream, Silent};
        match self {
            // No request was read, so there is nothing to answer, and a flood must not cost us a write each.
            Trip::MaxConnections | Trip::MaxConnectionsPerIp | Trip::ConnectionRatePerIp => {
                Answer::only(Silent)
            }
            // Accepting pauses; the backlog is the queue, and nobody is turned away.
            Trip::AcceptRate => Answer::only(Keep),
            // The upgrade was asked for politely, by someone whose bytes may already be under way.
            Trip::MaxUpgradedConnections => Answer::status(503, Linger),
            // Between requests, or after our last byte: RFC 9112, section 9.5 lets either side close then.
            Trip::IdleShed | Trip::LingerShed | Trip::KeepaliveTimeout | Trip::MaxConnectionAge => {
                Answer::only(Silent)
            }
            // Nothing was said. Browsers open connections ahead of need, and take a 408 for the answer to a request that
            // they send a moment later.
            Trip::FirstByteTimeout => Answer::only(Silent),
            // A request was begun: its sender waits for an answer.
            Trip::HeaderTimeout | Trip::MinBodyRate => Answer::status(408, Linger),
            // The peer does not take bytes, so more of them tell it nothing, and a close would keep what is queued in the
            // kernel for as long as the peer likes.
            Trip::MinResponseRate => Answer::only(Abort),
            // The app was too slow, not the client.
            Trip::RequestTimeout => Answer::status(504, Linger),
            // The answer went out before the drain, and the peer had its time to read it.
            Trip::BodyDrainTimeout => Answer::only(Silent),
            // The answer went out; closing without reading would reset it away.
            Trip::BodyDrainMax => Answer::only(Linger),
            // The last answer said `Connection: close`, and the close follows it in the ordinary way.
            Trip::MaxRequestsPerConnection => Answer::only(Keep),
            // Where the head ends is unknown, so no other request can follow.
            Trip::RequestLine => Answer::status(414, Linger),
            Trip::HeaderBytes | Trip::HeaderCount => Answer::status(431, Linger),
            // The rest of the body is still coming.
            Trip::RequestBody => Answer::status(413, Linger),
            // Where the body ends is unknown. Nothing better than 400 exists for its framing.
            Trip::ChunkLine | Trip::ChunkExtensions => Answer::status(400, Linger),
            // SETTINGS told the client the number, but may have been on its way; nothing of the stream was looked at.
            Trip::Streams => Answer::only(RefuseStream),
            // Where the head ends is known on HTTP/2, so other streams are not concerned.
            Trip::HeaderField => Answer::status(431, Keep),
            // Nobody is there to read a GOAWAY.
            Trip::PingTimeout => Answer::only(Abort),
            // Legal frame by frame, and more of them than anything honest explains: an attack, or a client so broken that
            // its owner should hear which bound it hit.
            Trip::Resets
            | Trip::Continuations
            | Trip::ControlFrames
            | Trip::WindowUpdates
            | Trip::Priorities
            | Trip::SmallData
            | Trip::EmptyData
            | Trip::QueuedControl => Answer::only(GoAway),
            // The request was fine and so is the connection; only the moment was not. Making everybody reconnect would
            // add to the load. A body that nobody reads is drained under the usual bounds.
            Trip::MaxInflight | Trip::QueueTimeout => Answer::status(503, Keep),
            // The stop was announced, waited for, and its time is up.
            Trip::ShutdownTimeout => Answer::only(Abort),
            // There is no request yet, and no connection that an answer could go over.
            Trip::TlsHandshakeTimeout | Trip::TlsMaxHandshakes | Trip::TlsHandshakeBytes => {
                Answer::only(Silent)
            }
            // Whoever does this is not a client, and does not wait for an answer.
            Trip::TlsKeyupdateRate => Answer::only(Abort),
        }
    }
}

impl fmt::Display for Trip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn all_lists_every_trip_at_its_own_place() {
        for (place, trip) in Trip::ALL.into_iter().enumerate() {
            assert_eq!(trip as usize, place);
        }
        // The last of the enum: a variant added after it would not be in ALL.
        assert_eq!(Trip::TlsKeyupdateRate as usize + 1, Trip::ALL.len());
    }

    #[test]
    fn names_are_unique_metric_labels() {
        let names: HashSet<&str> = Trip::ALL.into_iter().map(Trip::name).collect();
        assert_eq!(names.len(), Trip::ALL.len());
        for name in names {
            assert!(
                name.bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'),
                "{name}"
            );
        }
    }

    #[test]
    fn an_answer_with_a_status_is_never_reset_or_silently_closed() {
        for trip in Trip::ALL {
            let answer = trip.answer();
            if let Some(status) = answer.status {
                assert!((400..600).contains(&status), "{trip}");
                assert!(
                    matches!(answer.close, Close::Linger | Close::Keep),
                    "{trip}: nobody could read the {status}"
                );
            }
        }
    }

    #[test]
    fn the_statuses_are_the_documented_ones() {
        let status = |trip: Trip| trip.answer().status;
        assert_eq!(status(Trip::RequestLine), Some(414));
        assert_eq!(status(Trip::HeaderBytes), Some(431));
        assert_eq!(status(Trip::HeaderCount), Some(431));
        assert_eq!(status(Trip::RequestBody), Some(413));
        assert_eq!(status(Trip::HeaderTimeout), Some(408));
        assert_eq!(status(Trip::RequestTimeout), Some(504));
        assert_eq!(
            Trip::MinResponseRate.answer(),
            Answer {
                status: None,
                close: Close::Abort
            }
        );
        assert_eq!(Trip::MaxInflight.answer().to_string(), "503, stay open");
        assert_eq!(status(Trip::HeaderField), Some(431));
        assert_eq!(
            Trip::Resets.answer().to_string(),
            "GOAWAY with ENHANCE_YOUR_CALM"
        );
    }
}
