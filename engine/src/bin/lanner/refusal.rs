//! What the built-in apps answer where they cannot do what was asked: a status and a sentence.

use lanner::{Error, Response, Status};

/// 404.
pub(crate) fn not_found() -> Response {
    Response::text("There is nothing here; / says what there is.\n").with_status(Status::NOT_FOUND)
}

/// 405, with the methods that would do (RFC 9110 section 15.5.6).
pub(crate) fn method_not_allowed(allowed: &'static str) -> Result<Response, Error> {
    let response = Response::text("This method does nothing here; Allow says which do.\n");
    Ok(response
        .with_status(Status::METHOD_NOT_ALLOWED)
        .with_field("Allow", allowed)?)
}

/// 400, with what was expected.
pub(crate) fn bad_request(expected: &'static str) -> Response {
    Response::text(expected).with_status(Status::BAD_REQUEST)
}
