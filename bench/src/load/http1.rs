//! An answer of HTTP/1.1 as bytes.

use std::io;

/// The first answer in `bytes`, if it is complete: where it ends, and its body.
pub(super) fn parse(bytes: &[u8]) -> io::Result<Option<(usize, Vec<u8>)>> {
    let wrong = |what: &str| Err(io::Error::other(format!("an answer {what}")));
    let Some(head_end) = find(bytes, b"\r\n\r\n").map(|at| at + 4) else {
        return Ok(None);
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).to_ascii_lowercase();
    if !head.starts_with("http/1.1 200 ") {
        let status = head.lines().next().unwrap_or_default();
        return wrong(&format!("is not 200: {status}"));
    }
    if head.contains("\r\nconnection: close\r\n") {
        return wrong("closes the connection");
    }
    if head.contains("\r\ntransfer-encoding: chunked\r\n") {
        return dechunk(bytes, head_end);
    }
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .and_then(|value| value.parse::<usize>().ok());
    let Some(length) = length else {
        return wrong("has no length");
    };
    let end = head_end + length;
    Ok(bytes.get(head_end..end).map(|body| (end, body.to_vec())))
}

fn dechunk(bytes: &[u8], mut at: usize) -> io::Result<Option<(usize, Vec<u8>)>> {
    let mut body = Vec::new();
    loop {
        let Some(line) = find(&bytes[at..], b"\r\n") else {
            return Ok(None);
        };
        let size = std::str::from_utf8(&bytes[at..at + line])
            .ok()
            .and_then(|text| usize::from_str_radix(text, 16).ok())
            .ok_or_else(|| io::Error::other("an answer's chunk has no size"))?;
        let start = at + line + 2;
        let end = start.saturating_add(size);
        match bytes.get(end..end.saturating_add(2)) {
            None => return Ok(None),
            Some(b"\r\n") => {}
            Some(_) => return Err(io::Error::other("an answer's chunk ends wrongly")),
        }
        body.extend_from_slice(&bytes[start..end]);
        at = end + 2;
        if size == 0 {
            return Ok(Some((at, body)));
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_answer_is_complete_with_its_last_byte() {
        let sized = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc";
        let chunked =
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
        for answer in [&sized[..], &chunked[..]] {
            for cut in 0..answer.len() {
                assert_eq!(parse(&answer[..cut]).unwrap(), None, "{cut}");
            }
            assert_eq!(
                parse(answer).unwrap(),
                Some((answer.len(), b"abc".to_vec()))
            );
        }
    }

    #[test]
    fn what_is_not_the_expected_answer_is_an_error() {
        assert!(parse(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").is_err());
        assert!(
            parse(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").is_err()
        );
        assert!(parse(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(parse(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n").is_err());
    }
}
