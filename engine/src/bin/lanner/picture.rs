//! A request as text: what `/headers` and `lanner mirror` answer.

use lanner::{Error, Request, Response};

/// The request line without its version, then the fields as they came, one a line.
pub(crate) fn of(request: &Request) -> Result<Response, Error> {
    let mut text = Vec::with_capacity(1024);
    line(
        &mut text,
        &[
            request.method_text().as_bytes(),
            b" ",
            request.target().as_bytes(),
        ],
    );
    for (name, value) in request.fields() {
        line(&mut text, &[name.as_bytes(), b": ", value]);
    }
    // It is the client's own text: a browser must not take it for a page.
    Ok(Response::text(text).with_field("X-Content-Type-Options", "nosniff")?)
}

fn line(text: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        text.extend_from_slice(part);
    }
    text.push(b'\n');
}
