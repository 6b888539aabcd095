//! What is said on one stream, planned before it is said.

use proptest::prelude::*;

pub(crate) type Lines = Vec<(String, Vec<u8>)>;

/// A request and the answer to it.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) fields: Lines,
    /// Pieces of the body; none is a request that ends with its head.
    pub(crate) body: Option<Vec<usize>>,
    pub(crate) trailers: Lines,
    pub(crate) end: End,
    pub(crate) status: u16,
    pub(crate) answer_fields: Lines,
    pub(crate) answer: Vec<usize>,
    /// Whether the answer's length is said beforehand.
    pub(crate) announced: bool,
    pub(crate) answer_trailers: Lines,
}

/// How an exchange ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    Well,
    /// The client resets the stream behind its request.
    ClientGivesUp,
    /// The app does, behind what it has sent.
    AppGivesUp,
}

impl Exchange {
    pub(crate) fn is_head(&self) -> bool {
        self.method == "HEAD"
    }

    /// The content of an answer as its client should see it.
    pub(crate) fn expected(&self) -> Vec<u8> {
        if self.is_head() || self.status == 204 {
            Vec::new()
        } else {
            content(&self.answer)
        }
    }
}

/// So many bytes, of which none looks like its neighbour.
pub(crate) fn content(pieces: &[usize]) -> Vec<u8> {
    let count = pieces.iter().sum();
    (0..count)
        .map(|at: usize| (at * 31 + at / 251) as u8)
        .collect()
}

/// Lines in an order in which lists of them can be compared: by name, and the values of one name as they came.
pub(crate) fn sorted(mut lines: Lines) -> Lines {
    lines.sort_by(|one, other| one.0.cmp(&other.0));
    lines
}

fn lines(most: usize) -> impl Strategy<Value = Lines> {
    let value = prop_oneof![
        "[!-~]{0,20}",
        "[!-~][ -~]{0,200}[!-~]",
        // The same ones again, so that tables of fields are put to use.
        Just("gzip, deflate".to_owned()),
    ];
    let name = prop_oneof!["x-[a-z0-9_-]{1,12}", Just("x-again".to_owned())];
    let line = (name, value).prop_map(|(name, value)| (name, value.into_bytes()));
    prop::collection::vec(line, 0..most)
}

fn pieces() -> impl Strategy<Value = Vec<usize>> {
    let piece = prop_oneof![
        0..3usize,
        200..3_000usize,
        Just(16_384),
        16_000..40_000usize
    ];
    prop::collection::vec(piece, 0..5)
}

pub(crate) fn exchange() -> impl Strategy<Value = Exchange> {
    let asks = (
        prop::sample::select(vec!["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"]),
        "/[a-z0-9_~-]{0,30}(\\?[a-z0-9=&]{0,20})?",
        lines(12),
        prop::option::of(pieces()),
        lines(3),
    );
    let end = prop_oneof![
        8 => Just(End::Well),
        1 => Just(End::ClientGivesUp),
        1 => Just(End::AppGivesUp),
    ];
    let answers = (
        end,
        prop::sample::select(vec![200u16, 201, 204, 404, 500]),
        lines(12),
        pieces(),
        any::<bool>(),
        lines(3),
    );
    (asks, answers).prop_map(|(asks, answers)| {
        let (method, path, fields, body, trailers) = asks;
        let (end, status, answer_fields, answer, announced, answer_trailers) = answers;
        Exchange {
            method,
            path,
            fields,
            body,
            trailers,
            end,
            status,
            answer_fields,
            answer,
            announced,
            answer_trailers,
        }
    })
}
