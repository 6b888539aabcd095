//! Feeds bytes to the decoder in every way a network may, with a buffer that is consumed as a connection's is, and checks
//! that the way makes no difference.

use lanner_limits::{Limits, Machine};
use lanner_protocol::chunked::{Chunk, ChunkedDecoder, parse_trailers};
use lanner_protocol::{Misbehaviour, Refusal};

/// What came of an input.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Outcome {
    pub(crate) content: Vec<u8>,
    pub(crate) end: End,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum End {
    /// The input ends before the body does.
    Incomplete,
    Refused(Refusal),
    /// The trailers, and how many bytes stand behind the body.
    Complete {
        trailers: Vec<(String, String)>,
        behind: usize,
    },
}

pub(crate) fn limits() -> Limits {
    Limits::for_machine(Machine {
        nofile: 65_536,
        memory: 1 << 30,
        cpus: 1,
    })
}

/// Feeds the input in pieces that end at the given places.
pub(crate) fn feed(
    input: &[u8],
    ends: impl IntoIterator<Item = usize>,
    limits: &Limits,
) -> Outcome {
    let mut decoder = ChunkedDecoder::default();
    let mut content = Vec::new();
    let mut consumed = 0;
    for end in ends {
        loop {
            let fresh = &input[consumed..end];
            let decoded = match decoder.decode(fresh, limits) {
                Ok(decoded) => decoded,
                Err(refusal) => {
                    return Outcome {
                        content,
                        end: End::Refused(refusal),
                    };
                }
            };
            assert!(decoded.consumed <= fresh.len());
            consumed += decoded.consumed;
            match decoded.kind {
                Chunk::More => {
                    assert!(
                        decoder.in_trailers() || consumed == end,
                        "only trailers are kept"
                    );
                    break;
                }
                Chunk::Data(range) => {
                    assert!(!range.is_empty() && range.end <= decoded.consumed);
                    content.extend_from_slice(&fresh[range]);
                }
                Chunk::End { trailers } => {
                    assert!(decoder.is_ended() && !decoder.in_trailers());
                    assert_eq!(
                        trailers.end + 2,
                        decoded.consumed,
                        "the empty line is consumed too"
                    );
                    let lines = &fresh[trailers];
                    let mut fields = Vec::new();
                    let end = match parse_trailers(lines, limits, &mut fields) {
                        Err(refusal) => End::Refused(refusal),
                        Ok(()) => {
                            let text = |span: lanner_protocol::Span| span.str(lines).to_owned();
                            let trailers = fields
                                .iter()
                                .map(|field| (text(field.name), text(field.value)))
                                .collect();
                            End::Complete {
                                trailers,
                                behind: input.len() - consumed,
                            }
                        }
                    };
                    return Outcome { content, end };
                }
            }
        }
    }
    Outcome {
        content,
        end: End::Incomplete,
    }
}

/// The outcome of an input, proven to be the same whole, at every split and byte by byte.
pub(crate) fn outcome(input: &[u8], limits: &Limits) -> Outcome {
    let whole = feed(input, [input.len()], limits);
    for split in 0..input.len() {
        let got = feed(input, [split, input.len()], limits);
        assert_eq!(got, whole, "split at {split}: {}", input.escape_ascii());
    }
    let got = feed(input, 1..=input.len(), limits);
    assert_eq!(got, whole, "byte by byte: {}", input.escape_ascii());
    whole
}

pub(crate) fn refused_under(input: impl AsRef<[u8]>, limits: &Limits) -> Refusal {
    match outcome(input.as_ref(), limits).end {
        End::Refused(refusal) => refusal,
        other => panic!("{other:?}: {}", input.as_ref().escape_ascii()),
    }
}

/// How an input misbehaves.
pub(crate) fn misbehaves(input: impl AsRef<[u8]>) -> Misbehaviour {
    match refused_under(input, &limits()) {
        Refusal::Misbehaviour(misbehaviour) => misbehaviour,
        Refusal::Trip(trip) => panic!("{trip:?}"),
    }
}

/// Content and trailers of a body with nothing behind it.
pub(crate) fn decoded(input: impl AsRef<[u8]>) -> (Vec<u8>, Vec<(String, String)>) {
    match outcome(input.as_ref(), &limits()) {
        Outcome {
            content,
            end: End::Complete {
                trailers,
                behind: 0,
            },
        } => (content, trailers),
        other => panic!("{other:?}: {}", input.as_ref().escape_ascii()),
    }
}
