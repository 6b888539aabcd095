//! What a client makes of the bytes it gets: answers, taken off one by one.

use lanner_protocol::field::parse_line;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    pub(super) close: bool,
}

/// Reads as many whole answers as there are. What is not whole stays.
#[derive(Debug, Default)]
pub(super) struct Reader {
    unread: Vec<u8>,
    /// The chunked body at the front of `unread`, as far as it was read.
    chunks: Chunks,
    pub(super) answers: Vec<Answer>,
    pub(super) continues: usize,
    /// Bytes behind a 101.
    pub(super) switched: Option<Vec<u8>>,
}

impl Reader {
    pub(super) fn take(&mut self, bytes: &[u8]) {
        if let Some(switched) = &mut self.switched {
            return switched.extend_from_slice(bytes);
        }
        self.unread.extend_from_slice(bytes);
        let mut read = 0;
        while self.switched.is_none()
            && let Some(len) = self.take_one(read)
        {
            read += len;
        }
        self.unread.drain(..read);
    }

    /// Whether an answer has begun that is not whole.
    pub(super) fn is_within(&self) -> bool {
        !self.unread.is_empty()
    }

    /// How many answers there would be if these bytes were taken too; `None` if they have left HTTP behind, or end within
    /// an answer.
    pub(super) fn count_with(&self, bytes: &[u8]) -> Option<usize> {
        let mut ahead = Self {
            unread: self.unread.clone(),
            chunks: self.chunks.clone(),
            switched: self.switched.as_ref().map(|_| Vec::new()),
            ..Self::default()
        };
        ahead.take(bytes);
        let is_between = ahead.switched.is_none() && !ahead.is_within();
        is_between.then_some(self.answers.len() + ahead.answers.len())
    }

    /// Whether the server speaks another protocol already, these bytes included.
    pub(super) fn has_switched_with(&self, bytes: &[u8]) -> bool {
        self.switched.is_some() || memmem(bytes, b"HTTP/1.1 101 ").is_some()
    }

    fn take_one(&mut self, from: usize) -> Option<usize> {
        let rest = &self.unread[from..];
        let head_len = memmem(rest, b"\r\n\r\n")? + 4;
        let head = std::str::from_utf8(&rest[..head_len]).expect("a head of ours is ASCII");
        let status: u16 = head
            .strip_prefix("HTTP/1.1 ")
            .and_then(|line| line.get(..3)?.parse().ok())
            .unwrap_or_else(|| panic!("no status line: {head}"));
        let body = &rest[head_len..];
        let (body, len) = match status {
            100 => {
                self.continues += 1;
                return Some(head_len);
            }
            101 => {
                self.switched = Some(body.to_vec());
                (Vec::new(), body.len())
            }
            _ if head.contains("transfer-encoding: chunked\r\n") => self.chunks.read(body)?,
            _ => {
                let length = head
                    .split("content-length: ")
                    .nth(1)
                    .and_then(|rest| rest.split('\r').next()?.parse().ok());
                // Garbage that has become a request of HTTP/1.0 may be answered up to the close. To nobody else is that
                // a whole answer.
                if length.is_none() && head.contains("connection: close\r\n") {
                    return None;
                }
                let length = length.unwrap_or_else(|| panic!("no length: {head}"));
                (body.get(..length)?.to_vec(), length)
            }
        };
        assert!(
            !self.answers.last().is_some_and(|answer| answer.close),
            "an answer behind one that announced the close"
        );
        let close = head.contains("connection: close\r\n");
        self.answers.push(Answer {
            status,
            body,
            close,
        });
        Some(head_len + len)
    }
}

/// How far a chunked body has come.
#[derive(Clone, Debug, Default)]
struct Chunks {
    body: Vec<u8>,
    at: usize,
}

impl Chunks {
    /// The content and how many bytes it took, once all of it is there. `bytes` begins with the body's first byte.
    fn read(&mut self, bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
        loop {
            let rest = &bytes[self.at..];
            let line = memmem(rest, b"\r\n")?;
            let digits = std::str::from_utf8(&rest[..line]).expect("a chunk size is ASCII");
            let size = usize::from_str_radix(digits, 16).expect("a chunk size is hexadecimal");
            if size == 0 {
                let section = &rest[line..];
                let end = memmem(section, b"\r\n\r\n")?;
                // Clients send one trailer, and an app that hands a body back hands it on. Garbage may have changed it, but
                // into nothing that is no field line.
                let mut trailers = section[..end].split(|&byte| byte == b'\n').skip(1);
                assert!(trailers.all(|line| parse_line(line.trim_ascii_end()).is_ok()));
                let whole = std::mem::take(self);
                return Some((whole.body, whole.at + line + end + 4));
            }
            let content = rest.get(line + 2..line + 2 + size)?;
            assert_eq!(rest.get(line + 2 + size..line + 4 + size)?, b"\r\n");
            self.body.extend_from_slice(content);
            self.at += line + 4 + size;
        }
    }
}

fn memmem(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
