//! A table of conversations, each at every split and byte by byte, with the outcome told by its statuses.

use crate::driver::{App, Peer, Stand, converse};
use lanner_protocol::{EndReason, Misbehaviour, Refusal};

#[test]
fn accepted_inputs_mean_the_same_however_they_are_split() {
    for (input, statuses) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", &[200][..]),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", &[200]),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", &[200]),
        ("GET http://a/x?y HTTP/1.1\r\nHost: A:80\r\n\r\n", &[200]),
        ("DELETE /a%20b HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", &[200]),
        ("GET / HTTP/1.0\r\n\r\n", &[200]),
        (
            "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n",
            &[200, 200],
        ),
        (
            "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            &[200, 200],
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            &[200, 200],
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;q=\"\r\"\r\nabc\r\n0\r\n\r\n",
            &[400],
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nA;q=\"1\"\r\n0123456789\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            &[200, 200],
        ),
        (
            "HEAD / HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
            &[200, 200],
        ),
    ] {
        let peer = converse(|| Peer::new(App::Collect), input);
        assert_eq!(peer.statuses(), statuses, "{input:?}");
        // The same without anybody reading the bodies.
        let peer = converse(|| Peer::new(App::AtOnce("x")), input);
        assert_eq!(peer.statuses()[..1], [200]);
    }
}

#[test]
fn refused_inputs_are_refused_the_same_however_they_are_split() {
    use Misbehaviour as M;
    let long_line = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(300));
    let long_field = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
        "a".repeat(300)
    );
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(12));
    let table: Vec<(&str, u16, Refusal)> = vec![
        ("\x16\x03\x01\x02\x00", 400, M::TlsOnCleartext.into()),
        (
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            505,
            M::Http2Preface.into(),
        ),
        ("GET / HTTP/1.1\nHost: a\n\n", 400, M::BareLineFeed.into()),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
            400,
            M::ObsoleteFold.into(),
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n",
            400,
            M::BareCarriageReturn.into(),
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n",
            400,
            M::ControlByte.into(),
        ),
        (
            "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            400,
            M::SpaceBeforeColon.into(),
        ),
        ("GET / HTTP/1.1\r\n\r\n", 400, M::MissingHost.into()),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            400,
            M::SeveralHosts.into(),
        ),
        (
            "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
            400,
            M::HostMismatch.into(),
        ),
        (
            "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
            505,
            M::UnsupportedVersion.into(),
        ),
        (
            "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
            501,
            M::ConnectUnsupported.into(),
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello",
            400,
            M::ContentLengthInvalid.into(),
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 6\r\n\r\nhello",
            400,
            M::ContentLengthConflict.into(),
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            M::TransferEncodingWithContentLength.into(),
        ),
        (
            "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            M::TransferEncodingOnHttp10.into(),
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            501,
            M::UnknownTransferCoding.into(),
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
            400,
            M::ChunkedRepeated.into(),
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n",
            417,
            M::UnknownExpectation.into(),
        ),
        (&long_line, 414, lanner_limits::Trip::RequestLine.into()),
        (&long_field, 431, lanner_limits::Trip::HeaderBytes.into()),
        (&many, 431, lanner_limits::Trip::HeaderCount.into()),
    ];
    for (input, status, refusal) in table {
        let peer = converse(
            || {
                Peer::with(App::Collect, |limits| {
                    limits.max_request_line = 256;
                    limits.max_header_bytes = 256;
                    limits.max_header_count = 10;
                })
            },
            input.to_owned() + "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        );
        assert!(peer.told.is_empty(), "{input:?}: {:?}", peer.told);
        assert_eq!(peer.only().status, status, "{input:?}");
        peer.assert_refused(status, refusal.into());
    }
}

#[test]
fn input_that_ends_anywhere_leaves_nothing_open() {
    let input = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx: y\r\n\r\n\
                 GET /b HTTP/1.1\r\nHost: a\r\n\r\n";
    for app in [App::Collect, App::AtOnce("x"), App::Echo] {
        for len in 0..=input.len() {
            let mut peer = Peer::new(app);
            peer.send(&input[..len]).end();
            let wanted = [Stand::Closed, Stand::Reset];
            assert!(
                wanted.contains(&peer.stand()),
                "{app:?}, {len} bytes: {:?}",
                peer.stand()
            );
            assert_ne!(peer.end_reason(), None);
            assert_ne!(peer.end_reason(), Some(EndReason::IoError));
            peer.read();
        }
    }
}
