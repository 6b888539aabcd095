//! Reads what a connection sent as a client would: an independent judge of its framing, on `httparse` and nothing of
//! this crate.

/// One answer as a client sees it.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
    /// Whether it came to its end, as its framing says.
    pub(crate) whole: bool,
}

impl Answer {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(field, _)| field == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} stands there twice");
        value
    }

    pub(crate) fn announces_close(&self) -> bool {
        self.field("connection") == Some("close")
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// What a whole wire held.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Wire {
    /// Final answers, the last one perhaps not whole.
    pub(crate) answers: Vec<Answer>,
    /// How many 100s came before the answer of the same index.
    pub(crate) continues: Vec<usize>,
    /// What followed a 101.
    pub(crate) switched: Option<Vec<u8>>,
}

/// Reads everything. `methods` are those of the requests answered, in order; `closed` says whether nothing more comes.
///
/// # Panics
/// If what was sent is not well-formed HTTP/1.1.
pub(crate) fn read(mut wire: &[u8], methods: &[&str], closed: bool) -> Wire {
    let mut found = Wire::default();
    let mut continues = 0;
    while !wire.is_empty() {
        assert!(
            !found.answers.last().is_some_and(Answer::announces_close),
            "something follows an answer that announced the close"
        );
        let mut slots = [httparse::EMPTY_HEADER; 64];
        let mut head = httparse::Response::new(&mut slots);
        let len = match head.parse(wire) {
            Ok(httparse::Status::Complete(len)) => len,
            Ok(httparse::Status::Partial) => {
                found.answers.push(Answer::default());
                return found;
            }
            Err(error) => panic!("{error}: {}", wire.escape_ascii()),
        };
        assert_eq!(head.version, Some(1));
        let status = head.code.unwrap();
        let fields = owned(head.headers);
        wire = &wire[len..];
        if status == 100 {
            assert!(fields.is_empty());
            continues += 1;
            continue;
        }
        let mut answer = Answer {
            status,
            fields,
            ..Answer::default()
        };
        found.continues.push(std::mem::take(&mut continues));
        if status == 101 {
            answer.whole = true;
            found.answers.push(answer);
            found.switched = Some(wire.to_vec());
            return found;
        }
        assert!(status >= 200);
        assert!(
            answer.field("date").is_some(),
            "RFC 9110 section 6.6.1: a Date"
        );
        let method = methods.get(found.answers.len()).copied().unwrap_or("GET");
        wire = body(&mut answer, wire, method, closed);
        found.answers.push(answer);
    }
    found
}

fn owned(headers: &[httparse::Header<'_>]) -> Vec<(String, String)> {
    let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
    headers
        .iter()
        .map(|header| (header.name.to_ascii_lowercase(), text(header.value)))
        .collect()
}

/// Takes the body off the wire by the rules of RFC 9112 section 6.3. Returns what follows it.
fn body<'a>(answer: &mut Answer, wire: &'a [u8], method: &str, closed: bool) -> &'a [u8] {
    let length = answer
        .field("content-length")
        .map(|value| value.parse::<usize>().unwrap());
    let coding = answer.field("transfer-encoding").map(str::to_owned);
    assert!(
        length.is_none() || coding.is_none(),
        "two ways to frame one body"
    );
    if answer.status == 204 {
        assert!(length.is_none() && coding.is_none());
    }
    if method == "HEAD" || matches!(answer.status, 204 | 304) {
        answer.whole = true;
        return wire;
    }
    match (length, coding.as_deref()) {
        (Some(length), _) => {
            let taken = length.min(wire.len());
            answer.body = wire[..taken].to_vec();
            answer.whole = taken == length;
            &wire[taken..]
        }
        (None, Some("chunked")) => chunks(answer, wire),
        (None, None) => {
            assert!(
                answer.announces_close(),
                "no length, and no close to end the body"
            );
            answer.body = wire.to_vec();
            answer.whole = closed;
            &[]
        }
        (None, Some(other)) => panic!("transfer-encoding: {other}"),
    }
}

fn chunks<'a>(answer: &mut Answer, mut wire: &'a [u8]) -> &'a [u8] {
    loop {
        let (line, size) = match httparse::parse_chunk_size(wire).unwrap() {
            httparse::Status::Complete((line, size)) => (line, size as usize),
            httparse::Status::Partial => return &[],
        };
        wire = &wire[line..];
        if size == 0 {
            let mut slots = [httparse::EMPTY_HEADER; 16];
            let Ok(httparse::Status::Complete((len, fields))) =
                httparse::parse_headers(wire, &mut slots)
            else {
                return &[];
            };
            answer.trailers = owned(fields);
            answer.whole = true;
            return &wire[len..];
        }
        answer.body.extend_from_slice(&wire[..size.min(wire.len())]);
        let Some(rest) = wire.get(size + 2..) else {
            return &[];
        };
        assert_eq!(&wire[size..size + 2], b"\r\n");
        wire = rest;
    }
}
