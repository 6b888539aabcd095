//! Every tunable, once: field, variable, dotted path, type, default, kind with range, what hitting it is counted as, and
//! why. `Limits`, its parsing, the README's table and the tests are made of this list; reading the settings is the
//! business of `resolve.rs`. `LIMITS.md` says what other servers do.

mod derived;
mod entry;
mod markdown;

use crate::Trip;
use crate::choice::{
    ClientAuth, Driver, LogAccess, PathPolicy, Pin, TlsVersion, UnderscoreHeaders,
};
use crate::files::{Path, Pem, PemSource, TicketKeys, TicketKeysFrom};
use crate::hosts::{AllowedHosts, Hosts};
use crate::listen::{self, ListenUrl, Urls};
use crate::listener::Listener;
use crate::machine::Machine;
use crate::network::{AddressSet, Addresses};
use crate::value::{FieldText, Flag, Kind, OrAuto, OrNone};
use crate::value::{
    byte_rate, count, event_rate, hours, millis, one_of, percent, seconds, size, time,
};
use std::time::Duration;

pub use entry::Knob;
use entry::{knobs, range_of};
pub use markdown::markdown_table;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// A slab's index is a `u32`, and the last ones mean something else.
pub(crate) const CONNECTIONS_MAX: u64 = 1 << 30;
pub(crate) const WORKERS_MAX: u64 = 1_024;
/// A head is addressed by 32-bit spans, and is held whole; nobody sends one of this length in good faith.
const HEAD_BYTES_MAX: u64 = 16 * MIB;
/// A deadline further away than this is better said as `none`.
const TIMEOUT_MAX: Duration = hours(24 * 7);
const TIMEOUT_MIN: Duration = millis(1);

knobs! {
    /// Where to listen: `http://*:80`, `https://*:443`, `http://127.0.0.1:8080`, `unix:/run/lanner.sock?mode=0660`, `fd:3`,
    /// `systemd:NAME`. Without a word from the operator only this machine can connect: a server that is reachable from
    /// everywhere should be so because somebody said so. Only there is HTTPS without a certificate of the operator's: it has
    /// one for developing with, which `lanner dev-cert` tells of. Names for listeners come from `LANNER_LISTENER__NAME__URL`.
    listen "LANNER_LISTEN" "server.listen": Vec<ListenUrl> = Vec::new() => "http://localhost:8080,https://localhost:8443",
        Urls;

    /// Threads that serve, each with its own listeners, driver, wheel and app. One for each CPU that the process may use:
    /// more only take turns, fewer leave CPUs idle.
    workers "LANNER_WORKERS" "server.workers": usize = 0 => "auto", OrAuto::new(count(1, WORKERS_MAX));

    /// Whether each worker stays on one CPU. Pinning keeps caches warm when there are as many workers as CPUs; under a
    /// CPU quota it would put the workers of every container on the same few, so `auto` pins only in the first case.
    pin "LANNER_PIN" "server.pin": Pin = Pin::Auto => "auto", one_of::<Pin>();

    /// What drives the sockets. `auto` is our own on io_uring (`uring`), or on epoll where the kernel does not let us, and
    /// the log says why; `monoio` likewise runs on io_uring or on epoll; `glommio` is in builds with the cargo feature of
    /// that name, and runs on io_uring only. A driver named explicitly that cannot run at all is a start-up error, so that
    /// nobody measures another one than they think.
    driver "LANNER_DRIVER" "server.driver": Driver = Driver::Auto => "auto", one_of::<Driver>();

    /// Connections that the kernel completes and holds for us before accept. A burst of reconnects after a restart must
    /// not meet SYN cookies and lost handshakes; the kernel cuts it to `net.core.somaxconn`.
    tcp_backlog "LANNER_TCP_BACKLOG" "server.tcp.backlog": u32 = 4_096 => "4096", count(1, 65_535);

    /// For how long the kernel keeps a connection to itself while its client says nothing; parts of a second count for a
    /// whole one. It comes to us with its first bytes then, which makes one of a single request cost a quarter to a third
    /// less, and a client that says nothing holds no descriptor. Caps and deadlines count from when it comes, and a stop
    /// resets those that have not come. Apache and h2o do it by themselves, nginx and HAProxy where told to.
    tcp_defer_accept "LANNER_TCP_DEFER_ACCEPT" "server.tcp.defer_accept": Option<Duration> = None => "none",
        OrNone(time(seconds(1), seconds(60)));

    /// Whether small segments leave at once. We write whole responses in one go, so Nagle's algorithm could only delay
    /// their last segment by a round trip.
    tcp_nodelay "LANNER_TCP_NODELAY" "server.tcp.nodelay": bool = true => "true", Flag;

    /// Bytes not yet sent at which the kernel says that a socket takes no more. A slow reader otherwise pins megabytes of
    /// kernel memory that no bound of ours counts.
    tcp_notsent_lowat "LANNER_TCP_NOTSENT_LOWAT" "server.tcp.notsent_lowat": Option<u32> = Some(128 << 10) => "128KiB",
        OrNone(size(4 * KIB, GIB));

    /// How long sent bytes may stay unacknowledged before the kernel gives the connection up. Its own default keeps a
    /// vanished peer's buffers for a quarter of an hour.
    tcp_user_timeout "LANNER_TCP_USER_TIMEOUT" "server.tcp.user_timeout": Option<Duration> = Some(seconds(30)) => "30s",
        OrNone(time(seconds(1), hours(24)));

    /// How long a connection may be silent before the kernel asks whether its peer is still there, with TCP's keep-alive
    /// probes. An upgraded connection or a long poll has no other deadline: without this a peer that vanished while
    /// nothing was being sent would be held for ever.
    tcp_keepalive "LANNER_TCP_KEEPALIVE" "server.tcp.keepalive": Option<Duration> = Some(seconds(120)) => "2m",
        OrNone(time(seconds(1), hours(9)));

    /// The `Server` field of every response. Left out by default: it tells an attacker more than a user.
    server_header "LANNER_SERVER_HEADER" "server.header": Option<String> = None => "none", OrNone(FieldText);

    /// The hosts that requests may be for, without ports; others get 421. Worth setting wherever the app makes links out
    /// of the Host field (password resets!), or is reachable from browsers on a private network (DNS rebinding).
    allowed_hosts "LANNER_ALLOWED_HOSTS" "server.allowed_hosts": AllowedHosts = AllowedHosts::ANY => "*", Hosts;

    /// How long a tick of the timer wheel is: nothing fires before its moment, and nothing later than a tick after it.
    /// 64 ms wakes an idle worker seldom enough to cost nothing, and is a sixteenth of Kestrel's second.
    timer_resolution "LANNER_TIMER_RESOLUTION" "server.timer_resolution": Duration = millis(64) => "64ms",
        time(millis(1), seconds(1));

    /// The access log. Off by default, for it costs as much as a small request does.
    log_access "LANNER_LOG_ACCESS" "server.log.access": LogAccess = LogAccess::Off => "off", one_of::<LogAccess>();

    /// Connections open at once, over all workers; one more is closed right after accept. `auto` is what the descriptors
    /// allow (RLIMIT_NOFILE less 256, less 16 for each worker), at most memory / 32 KiB and never below 64, because
    /// running out of descriptors or memory hurts everybody and refusing one connection hurts one.
    max_connections "LANNER_MAX_CONNECTIONS" "limits.max_connections": usize = 0 => "auto",
        OrAuto::new(count(1, CONNECTIONS_MAX)), trips MaxConnections;

    /// Upgraded connections open at once. They live long and leave the request bounds behind, so whoever offers WebSockets
    /// may want a bound for them alone.
    max_upgraded_connections "LANNER_MAX_UPGRADED_CONNECTIONS" "limits.max_upgraded_connections": Option<usize>
        = None => "none", OrNone(count(0, CONNECTIONS_MAX)), trips MaxUpgradedConnections;

    /// Connections open at once from one address (an IPv6 network of 64 bits counts as one, for everybody has a whole
    /// one). `auto` is an eighth of all, at least 256: an office or a carrier's gateway fits, one machine alone cannot
    /// fill the server.
    max_connections_per_ip "LANNER_MAX_CONNECTIONS_PER_IP" "limits.max_connections_per_ip": usize = 0 => "auto",
        OrAuto::new(count(1, CONNECTIONS_MAX)), trips MaxConnectionsPerIp;

    /// The addresses that the bounds per address do not count: load tests on this machine and one's own balancers are not
    /// strangers.
    per_ip_exempt "LANNER_PER_IP_EXEMPT" "limits.per_ip_exempt": AddressSet = AddressSet::LOOPBACK => "loopback", Addresses;

    /// New connections a second from one address. Off by default: how often an honest client reconnects depends on the
    /// app and on how many people share an address.
    max_connection_rate_per_ip "LANNER_MAX_CONNECTION_RATE_PER_IP" "limits.max_connection_rate_per_ip": Option<u64>
        = None => "none", OrNone(event_rate(1, 1_000_000)), trips ConnectionRatePerIp;

    /// New connections a second over all workers; beyond it accepting pauses, and the backlog is the queue. Off by
    /// default, since accepting is the cheapest thing we do; with costly handshakes it smooths a thundering herd.
    max_accept_rate "LANNER_MAX_ACCEPT_RATE" "limits.max_accept_rate": Option<u64> = None => "none",
        OrNone(event_rate(1, 10_000_000)), trips AcceptRate;

    /// The share of `max_connections` from which on connections are shed: lingering ones first, then idle ones, longest
    /// idle first. Where the process has no descriptor left for a newcomer it is done below that share too. An idle
    /// connection is only a promise to be faster next time; a newcomer has a request now.
    idle_shed_at "LANNER_IDLE_SHED_AT" "limits.idle_shed_at": u8 = 90 => "90%", percent(1, 100), trips IdleShed;

    /// Bytes of one request body. Checked by Content-Length before a byte is read, and while reading where there is none.
    /// 30,000,000 is Kestrel's; an app can raise it for the route that takes uploads.
    max_request_body "LANNER_MAX_REQUEST_BODY" "limits.max_request_body": Option<u64> = Some(30_000_000) => "30MB",
        OrNone(size(0, 1 << 60)), trips RequestBody;

    /// Bytes of one request that may wait here unread; beyond it we stop reading and TCP slows the sender down. A quarter
    /// of Kestrel's: it is what each of many slow apps' clients can pin. On HTTP/2 `LANNER_H2_STREAM_WINDOW` says so.
    request_buffer "LANNER_REQUEST_BUFFER" "limits.request_buffer": usize = 256 << 10 => "256KiB", size(4 * KIB, GIB);

    /// Bytes of one response that may wait here unsent; beyond it the app's writes wait. On HTTP/2 they wait as well where
    /// the client has given no window for them.
    response_buffer "LANNER_RESPONSE_BUFFER" "limits.response_buffer": usize = 64 << 10 => "64KiB", size(4 * KIB, GIB);

    /// Bytes of a request line. Everybody's number: longer targets break on the way to us anyhow.
    max_request_line "LANNER_MAX_REQUEST_LINE" "limits.max_request_line": usize = 8 << 10 => "8KiB",
        size(256, HEAD_BYTES_MAX), trips RequestLine;

    /// Bytes of all field lines of a head, after the request line; trailers count afresh. Cookies and single sign-on
    /// tokens fit; a head is held whole in memory, so this is what a slow attacker gets for each connection. The open
    /// requests of an HTTP/2 connection have sixteen times as much together; one more is refused, and may be sent again.
    max_header_bytes "LANNER_MAX_HEADER_BYTES" "limits.max_header_bytes": usize = 32 << 10 => "32KiB",
        size(256, HEAD_BYTES_MAX), trips HeaderBytes;

    /// Field lines of a head; trailers count afresh. Everything that walks over fields is linear in it.
    max_header_count "LANNER_MAX_HEADER_COUNT" "limits.max_header_count": usize = 100 => "100", count(1, 1_000),
        trips HeaderCount;

    /// Bytes of one chunk's size line, its extensions included. Real ones have a dozen.
    h1_max_chunk_line "LANNER_H1_MAX_CHUNK_LINE" "limits.h1.max_chunk_line": usize = 4 << 10 => "4KiB",
        size(32, MIB), trips ChunkLine;

    /// Bytes of all chunk extensions of one body. Nobody uses them; unbounded, they are traffic that no body limit counts
    /// (CVE-2023-39326 in Go's server was that).
    h1_max_chunk_extensions "LANNER_H1_MAX_CHUNK_EXTENSIONS" "limits.h1.max_chunk_extensions": u64 = 16 << 10 => "16KiB",
        size(0, GIB), trips ChunkExtensions;

    /// Whether lines must end in CR LF and fields must not be folded. Turning it off relaxes these two only, for very old
    /// clients; what tells one request from the next is never relaxed, and such fields (and Host) may not be folded even so.
    h1_strict "LANNER_H1_STRICT" "limits.h1.strict": bool = true => "true", Flag;

    /// Streams that one HTTP/2 client may have open at once; one more is refused, which tells the client that it may ask
    /// again. What Kestrel, h2o and Envoy's edge have. At most 1,000: some of the bookkeeping looks at every stream.
    h2_max_streams "LANNER_H2_MAX_STREAMS" "limits.h2.max_streams": u32 = 100 => "100", count(1, 1_000), trips Streams;

    /// Bytes of the table in which an HTTP/2 connection remembers the fields of requests (HPACK). Everybody's number, and
    /// what each connection may pin.
    h2_header_table "LANNER_H2_HEADER_TABLE" "limits.h2.header_table": u32 = 4 << 10 => "4KiB", size(0, MIB);

    /// Bytes of the payload of one HTTP/2 frame from a client. The least that may be asked for, and what everybody asks
    /// for: while a longer frame comes, no other stream of its connection does.
    h2_max_frame "LANNER_H2_MAX_FRAME" "limits.h2.max_frame": u32 = 16 << 10 => "16KiB", size(16 * KIB, MIB);

    /// Bytes of one field of an HTTP/2 head, name and value together. Half of all that a head may have.
    h2_max_header_field "LANNER_H2_MAX_HEADER_FIELD" "limits.h2.max_header_field": usize = 16 << 10 => "16KiB",
        size(256, HEAD_BYTES_MAX), trips HeaderField;

    /// Bytes of all bodies of one HTTP/2 connection that may be under way or wait here unread, at most. A connection
    /// begins with 64 KiB, and its window doubles while apps read what comes as fast as it comes and the client takes what
    /// they answer; it also grows where an app waits while others leave all of it unread. It gets new credit for what the app has consumed and for nothing else, so this is also what one
    /// connection can pin.
    h2_conn_window "LANNER_H2_CONN_WINDOW" "limits.h2.conn_window": u32 = 1 << 20 => "1MiB", size(64 * KIB, GIB);

    /// Bytes of one HTTP/2 body that may be under way or wait here unread, to begin with. Where an app keeps up with a
    /// fast upload it doubles, up to `h2_conn_window`: many small uploads pin little, and a large one is not held up by the
    /// way it has to go.
    h2_stream_window "LANNER_H2_STREAM_WINDOW" "limits.h2.stream_window": u32 = 256 << 10 => "256KiB", size(64 * KIB, GIB);

    /// How long an HTTP/2 connection may be silent before we ask with a PING whether its peer is still there. Off by
    /// default: TCP's own probes find out as well, and wake nobody's radio.
    h2_ping_interval "LANNER_H2_PING_INTERVAL" "limits.h2.ping_interval": Option<Duration> = None => "none",
        OrNone(time(seconds(1), TIMEOUT_MAX));

    /// How long the answer to our PING may take, from when we last heard of the client otherwise.
    h2_ping_timeout "LANNER_H2_PING_TIMEOUT" "limits.h2.ping_timeout": Duration = seconds(20) => "20s",
        time(TIMEOUT_MIN, TIMEOUT_MAX), trips PingTimeout;

    /// Streams that an HTTP/2 client may reset before their answer is complete, or make us reset, in one go. A request
    /// that is reset at once costs its sender two frames and us the work (CVE-2023-44487, rapid reset; CVE-2025-8671 is
    /// the same with resets of ours). Enough for a browser that leaves a page with all its images under way, twice.
    h2_reset_burst "LANNER_H2_RESET_BURST" "limits.h2.reset_burst": u64 = 200 => "200", count(1, 1_000_000), trips Resets;

    /// How many such resets are forgiven each second. nghttp2's number.
    h2_reset_rate "LANNER_H2_RESET_RATE" "limits.h2.reset_rate": u64 = 33 => "33/s", event_rate(1, 1_000_000);

    /// CONTINUATION frames that one HTTP/2 head may take. With frames of 16 KiB a head within `max_header_bytes` needs two
    /// at most; without a bound they are work that no other limit sees (CVE-2024-27316 and its like).
    h2_max_continuation "LANNER_H2_MAX_CONTINUATION" "limits.h2.max_continuation": u32 = 8 => "8", count(0, 10_000),
        trips Continuations;

    /// PING, SETTINGS and unknown frames, and frames of streams that are gone, that an HTTP/2 client may send in one go.
    /// The first two want an answer each (CVE-2019-9512, CVE-2019-9515). Each DATA frame that we send gives one back: gRPC
    /// clients measure their round trip with a PING for each.
    h2_control_burst "LANNER_H2_CONTROL_BURST" "limits.h2.control_burst": u64 = 1_000 => "1000", count(10, 1_000_000),
        trips ControlFrames;

    /// How many such frames are forgiven each second.
    h2_control_rate "LANNER_H2_CONTROL_RATE" "limits.h2.control_rate": u64 = 200 => "200/s", event_rate(1, 1_000_000);

    /// WINDOW_UPDATE frames that each DATA frame of ours allows an HTTP/2 client, besides 5 for the connection and 2 for
    /// each stream opened. Envoy's number: two are usual, one for the stream and one for the connection.
    h2_window_update_factor "LANNER_H2_WINDOW_UPDATE_FACTOR" "limits.h2.window_update_factor": u32 = 10 => "10",
        count(2, 1_000), trips WindowUpdates;

    /// PRIORITY and PRIORITY_UPDATE frames that each stream opened allows an HTTP/2 client, besides 100 for the
    /// connection. Browsers send one or two for each; a flood of them was CVE-2019-9513.
    h2_priority_factor "LANNER_H2_PRIORITY_FACTOR" "limits.h2.priority_factor": u32 = 10 => "10", count(1, 1_000),
        trips Priorities;

    /// How much of small DATA frames may wait here unread on one HTTP/2 connection: a frame of fewer than 256 bytes that
    /// is not its body's last costs what it lacks of them, until the app has consumed it. A body of single bytes would
    /// otherwise pin far more than its window says. The h2 crate's number: a hundred frames of nearly nothing.
    h2_small_data_budget "LANNER_H2_SMALL_DATA_BUDGET" "limits.h2.small_data_budget": u32 = 25 << 10 => "25KiB",
        size(256, GIB), trips SmallData;

    /// DATA frames without data that an HTTP/2 client may send in one go, not counting those that end a body; ten a second
    /// are forgiven. No window bounds them (CVE-2019-9518).
    h2_max_empty_data "LANNER_H2_MAX_EMPTY_DATA" "limits.h2.max_empty_data": u64 = 100 => "100", count(1, 1_000_000),
        trips EmptyData;

    /// Frames that an HTTP/2 client made us answer with (acknowledgements, resets, window updates) and does not read. Each
    /// is short and all are held here, so a client that asks and never reads would fill our memory.
    h2_max_queued_control "LANNER_H2_MAX_QUEUED_CONTROL" "limits.h2.max_queued_control": u32 = 1_000 => "1000",
        count(10, 1_000_000), trips QueuedControl;

    /// Bytes of all responses of one HTTP/2 connection that may wait here unsent; beyond it the app's writes wait. Twice
    /// what the kernel is asked to hold, so that the socket does not run dry while streams take turns.
    h2_max_send_buffer "LANNER_H2_MAX_SEND_BUFFER" "limits.h2.max_send_buffer": usize = 256 << 10 => "256KiB",
        size(64 * KIB, GIB);

    /// Bytes of the table in which we remember the fields of an HTTP/2 connection's responses, if the client allows as
    /// many; 0 turns it off. A repeated field then costs a byte or two on the wire.
    h2_hpack_encoder_table "LANNER_H2_HPACK_ENCODER_TABLE" "limits.h2.hpack_encoder_table": u32 = 4 << 10 => "4KiB",
        size(0, 64 * KIB);

    /// Takes `https://` targets on listeners without TLS too. Without this they are answered 421: whoever sent one
    /// believes the connection to be secure (RFC 9110, section 7.4). For servers behind something that ends TLS and passes
    /// absolute targets on.
    allow_scheme_mismatch "LANNER_ALLOW_SCHEME_MISMATCH" "server.allow_scheme_mismatch": bool = false => "false", Flag;

    /// Fields whose names have an underscore. To an app in process `X_Y` and `X-Y` are two names; CGI-like apps read both
    /// as one, and then a client can forge what a proxy meant to set.
    underscore_headers "LANNER_UNDERSCORE_HEADERS" "limits.underscore_headers": UnderscoreHeaders
        = UnderscoreHeaders::Allow => "allow", one_of::<UnderscoreHeaders>();

    /// How paths are read. `strict` resolves dot segments once, so that rules and routes see the same path, and refuses
    /// `%00` and `..;`, which only ever mean an attack (Envoy's CVE-2019-9901 is what happens otherwise).
    path_policy "LANNER_PATH_POLICY" "limits.path_policy": PathPolicy = PathPolicy::Strict => "strict",
        one_of::<PathPolicy>();

    /// How long a connection may be silent between requests. nginx's number: browsers close sooner, and an idle
    /// connection costs us little until the cap is near. Behind a balancer it must be longer than the balancer's own.
    keepalive_timeout "LANNER_KEEPALIVE_TIMEOUT" "limits.keepalive_timeout": Duration = seconds(75) => "75s",
        time(TIMEOUT_MIN, TIMEOUT_MAX), trips KeepaliveTimeout;

    /// How long a new connection may say nothing. A connection without a byte is the cheapest attack there is.
    first_byte_timeout "LANNER_FIRST_BYTE_TIMEOUT" "limits.first_byte_timeout": Duration = seconds(15) => "15s",
        time(TIMEOUT_MIN, TIMEOUT_MAX), trips FirstByteTimeout;

    /// How long a head may take, from its first byte to its last; trailers likewise. It does not start again with each
    /// byte: a byte a second is what Slowloris sends. Half of Kestrel's, and still long on a bad line.
    header_timeout "LANNER_HEADER_TIMEOUT" "limits.header_timeout": Duration = seconds(15) => "15s",
        time(TIMEOUT_MIN, TIMEOUT_MAX), trips HeaderTimeout;

    /// Bytes a second that a body must bring on average, while the app waits on it. Kestrel's number: any modem has more,
    /// and an attack has to pay for every connection it holds.
    min_body_rate "LANNER_MIN_BODY_RATE" "limits.min_body_rate": Option<u64> = Some(240) => "240B/s",
        OrNone(byte_rate(1, 1 << 40)), trips MinBodyRate;

    /// How long a body is not judged by its rate: a connection may stall for a moment without being an attack.
    min_body_rate_grace "LANNER_MIN_BODY_RATE_GRACE" "limits.min_body_rate_grace": Duration = seconds(5) => "5s",
        time(TIMEOUT_MIN, TIMEOUT_MAX);

    /// Bytes a second that a client must take of a response, its head included. Every write gets the time that it needs
    /// at this rate, and time not used up is kept for the next, but never more than what still waits is worth.
    min_response_rate "LANNER_MIN_RESPONSE_RATE" "limits.min_response_rate": Option<u64> = Some(240) => "240B/s",
        OrNone(byte_rate(1, 1 << 40)), trips MinResponseRate;

    /// How long any write may take at least, however short it is.
    min_response_rate_grace "LANNER_MIN_RESPONSE_RATE_GRACE" "limits.min_response_rate_grace": Duration
        = seconds(5) => "5s", time(TIMEOUT_MIN, TIMEOUT_MAX);

    /// How long an exchange may take, from its complete head to its complete answer. Off by default: only the app knows
    /// what is long, and event streams never end.
    request_timeout "LANNER_REQUEST_TIMEOUT" "limits.request_timeout": Option<Duration> = None => "none",
        OrNone(time(TIMEOUT_MIN, TIMEOUT_MAX)), trips RequestTimeout;

    /// How long the rest of a body that nobody reads may take to come, and how long we wait for a peer's close after ours.
    /// Closing at once would reset the connection, and the answer would be lost with it.
    body_drain_timeout "LANNER_BODY_DRAIN_TIMEOUT" "limits.body_drain_timeout": Duration = seconds(5) => "5s",
        time(TIMEOUT_MIN, hours(1)), trips BodyDrainTimeout;

    /// Bytes of an unread body that are worth reading to keep a connection. A new connection costs less than reading more
    /// than this; a Content-Length above it closes at once.
    body_drain_max "LANNER_BODY_DRAIN_MAX" "limits.body_drain_max": u64 = 256 << 10 => "256KiB", size(0, GIB),
        trips BodyDrainMax;

    /// Requests on one connection before it is closed in an orderly way. Off by default; it spreads long-lived clients
    /// over servers behind a balancer.
    max_requests_per_connection "LANNER_MAX_REQUESTS_PER_CONNECTION" "limits.max_requests_per_connection": Option<u64>
        = None => "none", OrNone(count(1, 1 << 60)), trips MaxRequestsPerConnection;

    /// How old a connection may get before it is closed in an orderly way, give or take a tenth, so that those who came
    /// together do not come back together.
    max_connection_age "LANNER_MAX_CONNECTION_AGE" "limits.max_connection_age": Option<Duration> = None => "none",
        OrNone(time(seconds(1), hours(24 * 365))), trips MaxConnectionAge;

    /// How long a connection past its age may take for the exchange it is in.
    max_connection_age_grace "LANNER_MAX_CONNECTION_AGE_GRACE" "limits.max_connection_age_grace": Duration
        = seconds(30) => "30s", time(TIMEOUT_MIN, TIMEOUT_MAX);

    /// Pipelined requests of one connection that are answered in a row before other connections get their turn; while
    /// an answer takes its time, no more than one buffer is read ahead. Pipelining is nobody's fault, so it is slowed
    /// and never refused.
    max_pipelined "LANNER_MAX_PIPELINED" "limits.max_pipelined": usize = 16 => "16", count(1, 1_024);

    /// Requests that one worker works on at once; beyond it they queue for `queue_timeout`, or get 503. Off by default:
    /// the connection cap bounds it already, and a good number depends on the app.
    max_inflight "LANNER_MAX_INFLIGHT" "limits.max_inflight": Option<usize> = None => "none",
        OrNone(count(1, CONNECTIONS_MAX)), trips MaxInflight;

    /// How long a request waits for its turn before it gets 503. `none`: it does not wait at all.
    queue_timeout "LANNER_QUEUE_TIMEOUT" "limits.queue_timeout": Option<Duration> = None => "none",
        OrNone(time(TIMEOUT_MIN, hours(1))), trips QueueTimeout;

    /// How long a stop waits for exchanges under way, its delay included; after it they are reset. Kubernetes kills after
    /// 30 seconds, and what is left after 25 belongs to the app's own cleaning up.
    shutdown_timeout "LANNER_SHUTDOWN_TIMEOUT" "limits.shutdown_timeout": Duration = seconds(25) => "25s",
        time(Duration::ZERO, hours(24)), trips ShutdownTimeout;

    /// How long a stop goes on accepting first, while health checks are told the truth (`lanner::is_stopping` in an app): a
    /// balancer needs a moment to look elsewhere.
    shutdown_delay "LANNER_SHUTDOWN_DELAY" "limits.shutdown_delay": Duration = seconds(0) => "0s",
        time(Duration::ZERO, hours(1));

    /// The certificate chain of TLS listeners, in PEM, the server's own first. Clients that name no host, or one that no
    /// other certificate is for, get this one. The key may stand in the same file.
    tls_cert "LANNER_TLS_CERT" "server.tls.cert": Option<PemSource> = None => "none", OrNone(Pem);

    /// The private key of `tls_cert`, in PEM. `none`: it stands beside the certificate.
    tls_key "LANNER_TLS_KEY" "server.tls.key": Option<PemSource> = None => "none", OrNone(Pem);

    /// A directory of certificates, each used for the names it says it is for. A certificate and its key are `NAME.crt`
    /// and `NAME.key`, or both are in `NAME.pem`; other files are left alone.
    tls_cert_dir "LANNER_TLS_CERT_DIR" "server.tls.cert_dir": Option<String> = None => "none", OrNone(Path);

    /// Whether clients show certificates. `optional` asks for one and takes none for an answer, never a bad one;
    /// `required` makes it the price of the connection.
    tls_client_auth "LANNER_TLS_CLIENT_AUTH" "server.tls.client_auth": ClientAuth = ClientAuth::Off => "off",
        one_of::<ClientAuth>();

    /// The authorities whose client certificates are taken, in PEM. Without a default: those that browsers trust would
    /// vouch for anybody.
    tls_client_ca "LANNER_TLS_CLIENT_CA" "server.tls.client_ca": Option<PemSource> = None => "none", OrNone(Pem);

    /// Revocation lists for client certificates, in PEM. With any, every certificate of a client's chain must be covered
    /// by one that has not run out: a list that somebody kept from being renewed must not let a thief in.
    tls_crl "LANNER_TLS_CRL" "server.tls.crl": Option<PemSource> = None => "none", OrNone(Pem);

    /// Whether a client must name a host that a certificate is for (SNI); others are refused with `unrecognized_name`.
    /// Off by default, for health checks and old clients name none. On, scanners of addresses learn no names.
    tls_strict_sni "LANNER_TLS_STRICT_SNI" "server.tls.strict_sni": bool = false => "false", Flag;

    /// The oldest version of TLS that is spoken. 1.2 still has clients, and here it has forward secrecy and AEAD ciphers
    /// only; what is older is broken.
    tls_min "LANNER_TLS_MIN" "server.tls.min": TlsVersion = TlsVersion::Tls12 => "1.2", one_of::<TlsVersion>();

    /// The newest version of TLS that is spoken. There is no reason to lower it but to find out what breaks.
    tls_max "LANNER_TLS_MAX" "server.tls.max": TlsVersion = TlsVersion::Tls13 => "1.3", one_of::<TlsVersion>();

    /// How long a handshake may take, from accept. A handshake costs us more than it costs a peer that never ends it;
    /// over a bad mobile network it takes a second or two.
    tls_handshake_timeout "LANNER_TLS_HANDSHAKE_TIMEOUT" "limits.tls.handshake_timeout": Duration = seconds(10) => "10s",
        time(TIMEOUT_MIN, seconds(600)), trips TlsHandshakeTimeout;

    /// Handshakes under way at once whose ClientHello has come, for from there on they hold keys. At the bound the one
    /// that has waited longest for its peer gives way, never the newest; one address may hold an eighth. `auto` is a
    /// quarter of the connection cap.
    tls_max_handshakes "LANNER_TLS_MAX_HANDSHAKES" "limits.tls.max_handshakes": usize = 0 => "auto",
        OrAuto::new(count(1, CONNECTIONS_MAX)), trips TlsMaxHandshakes;

    /// Bytes that a client may send until its handshake is over. A hello with a post-quantum key share has 2 KiB, a long
    /// chain of client certificates 10; unbounded, it is memory for whoever asks.
    tls_max_handshake_bytes "LANNER_TLS_MAX_HANDSHAKE_BYTES" "limits.tls.max_handshake_bytes": usize = 64 << 10 => "64KiB",
        size(4 * KIB, MIB), trips TlsHandshakeBytes;

    /// Records a second on one connection that bring no data once the handshake is over: key updates, empty records,
    /// warnings. Each costs us as much as one with data does, and none is needed more than a few times an hour.
    tls_keyupdate_rate "LANNER_TLS_KEYUPDATE_RATE" "limits.tls.keyupdate_rate": u64 = 100 => "100/s",
        event_rate(1, 1_000_000), trips TlsKeyupdateRate;

    /// The keys of session tickets, with which clients come back without a whole handshake. `auto` makes a new one every
    /// 6 hours, and takes each for 12. A file is for several processes that share their clients: lines of
    /// `<seconds since 1970> <64 hex digits>`, each key in use from its moment to the next one's, and not readable by everybody.
    tls_ticket_keys "LANNER_TLS_TICKET_KEYS" "server.tls.ticket_keys": TicketKeys = TicketKeys::Auto => "auto",
        TicketKeysFrom;
}

// The relations that relations.rs asks of configured values hold for the defaults. What is `auto` is filled
// in from the machine, and its relations are tested in machine.rs.
const _: () = {
    let defaults = DEFAULTS;
    let resolution = defaults.timer_resolution.as_nanos();
    assert!(defaults.shutdown_delay.as_nanos() < defaults.shutdown_timeout.as_nanos());
    assert!(defaults.first_byte_timeout.as_nanos() >= resolution);
    assert!(defaults.header_timeout.as_nanos() >= resolution);
    assert!(defaults.tls_handshake_timeout.as_nanos() >= resolution);
    assert!(defaults.keepalive_timeout.as_nanos() >= resolution);
    assert!(defaults.body_drain_timeout.as_nanos() >= resolution);
    assert!(defaults.min_body_rate_grace.as_nanos() >= resolution);
    assert!(defaults.min_response_rate_grace.as_nanos() >= resolution);
    // A head is held whole, and so is a chunk's size line.
    assert!(defaults.max_request_line + defaults.max_header_bytes <= defaults.request_buffer);
    assert!(defaults.h1_max_chunk_line <= defaults.request_buffer);
    assert!(defaults.h2_ping_timeout.as_nanos() >= resolution);
    // What may be unread of one stream is part of what may be unread of all.
    assert!(defaults.h2_stream_window <= defaults.h2_conn_window);
    // A head of the longest sort arrives within its frames, though its sender does not compress it at all.
    let frames = 1 + defaults.h2_max_continuation as usize;
    let head = defaults.max_request_line + defaults.max_header_bytes;
    assert!(head <= frames * defaults.h2_max_frame as usize);
    assert!(defaults.h2_max_header_field <= defaults.max_header_bytes);
    // Spans of a head are 32 bits.
    assert!(2 * HEAD_BYTES_MAX <= u32::MAX as u64);
};

impl Limits {
    /// What a server without any setting has on this machine. Never fails: where there are too few descriptors even for
    /// 64 connections, [`Limits::resolve`](crate::Limits::resolve) says so and this does not.
    #[must_use]
    pub fn for_machine(machine: Machine) -> Limits {
        let mut limits = Limits::unfilled();
        limits.fill_automatic(machine);
        limits.listeners = limits.automatic_listeners();
        limits
    }

    /// What is listened on where nothing is configured.
    pub(crate) fn automatic_listeners(&self) -> Vec<Listener> {
        let automatic = |(number, url): (usize, &ListenUrl)| {
            let mut listener = Listener::new(number.to_string(), url.clone(), self);
            listener.automatic = true;
            if let Some(tls) = &mut listener.tls {
                tls.development = !tls.has_certificate();
            }
            listener
        };
        listen::DEFAULT.iter().enumerate().map(automatic).collect()
    }

    /// The table's defaults with zero where `auto` stands: never to leave the crate.
    pub(crate) fn unfilled() -> Limits {
        DEFAULTS.clone()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::MinRate;
    use std::collections::HashSet;

    const MACHINE: Machine = Machine {
        nofile: 65_536,
        memory: 1 << 34,
        cpus: 4,
    };

    #[test]
    fn every_default_is_written_as_the_table_says_and_reads_back_as_the_same_value() {
        for knob in KNOBS {
            assert_eq!(knob.value(DEFAULTS), knob.default, "{}", knob.name);
            let mut limits = DEFAULTS.clone();
            (knob.assign)(&mut limits, knob.default).unwrap();
            assert_eq!(knob.value(&limits), knob.default, "{}", knob.name);
            // An empty list of URLs is the default and cannot be written as itself.
            if knob.name != "listen" {
                assert_eq!(&limits, DEFAULTS, "{}", knob.name);
            }
        }
    }

    #[test]
    fn every_effective_value_reads_back_as_the_same_value() {
        let limits = Limits::for_machine(MACHINE);
        for knob in KNOBS.iter().filter(|knob| knob.name != "listen") {
            let mut copy = limits.clone();
            (knob.assign)(&mut copy, &knob.value(&limits)).unwrap();
            assert_eq!(copy, limits, "{}", knob.name);
        }
    }

    #[test]
    fn variables_fields_and_paths_are_three_spellings_of_one_name() {
        for knob in KNOBS {
            assert_eq!(
                knob.variable,
                format!("LANNER_{}", knob.name.to_ascii_uppercase())
            );
            // The path ends in the same words; only what groups it in a file comes before them.
            let words = knob.path.replace('.', "_");
            assert!(
                words == knob.name || words.ends_with(&format!("_{}", knob.name)),
                "{}",
                knob.path
            );
            assert!(
                knob.path.starts_with("limits.") || knob.path.starts_with("server."),
                "{}",
                knob.path
            );
        }
        for spelling in [|knob: &Knob| knob.variable, |knob: &Knob| knob.path] {
            let distinct: HashSet<&str> = KNOBS.iter().map(spelling).collect();
            assert_eq!(distinct.len(), KNOBS.len());
        }
    }

    #[test]
    fn every_trip_belongs_to_the_knob_of_its_name() {
        for trip in Trip::ALL {
            let owners: Vec<&str> = KNOBS
                .iter()
                .filter(|knob| knob.trips == Some(trip))
                .map(|knob| knob.name)
                .collect();
            if trip == Trip::LingerShed {
                assert!(owners.is_empty(), "it is idle_shed_at by another name");
            } else {
                assert_eq!(owners, [trip.name()]);
            }
        }
    }

    #[test]
    fn every_why_is_a_paragraph() {
        for knob in KNOBS {
            assert!(
                knob.why.len() > 40 && knob.why.ends_with(['.', '!']),
                "{}",
                knob.name
            );
            assert!(
                !knob.why.contains("  ") && !knob.why.contains('\n'),
                "{}",
                knob.name
            );
        }
    }

    #[test]
    fn nothing_stands_at_auto_for_a_real_machine() {
        let limits = Limits::for_machine(MACHINE);
        assert!(
            limits.workers > 0 && limits.max_connections > 0 && limits.max_connections_per_ip > 0
        );
        assert_eq!(limits.workers, 4);
        assert_eq!(limits.listeners, limits.automatic_listeners());
    }

    #[test]
    fn rates_come_with_their_grace_or_not_at_all() {
        let mut limits = Limits::for_machine(MACHINE);
        let rate = MinRate {
            bytes_per_second: 240,
            grace: seconds(5),
        };
        assert_eq!(
            (limits.body_rate(), limits.response_rate()),
            (Some(rate), Some(rate))
        );
        limits.min_body_rate = None;
        limits.min_response_rate = None;
        assert_eq!((limits.body_rate(), limits.response_rate()), (None, None));
    }

    #[test]
    fn shedding_begins_at_its_share_of_the_cap() {
        let mut limits = Limits::for_machine(MACHINE);
        limits.max_connections = 1_001;
        assert_eq!(limits.idle_shed_connections(), 900);
        limits.idle_shed_at = 100;
        assert_eq!(limits.idle_shed_connections(), 1_001);
        limits.max_connections = usize::MAX;
        assert_eq!(limits.idle_shed_connections(), usize::MAX);
    }
}
