//! Status codes and their reason phrases (RFC 9110 section 15 and the IANA registry).

use std::fmt;

/// A three-digit status code, 100 to 599.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(u16);

macro_rules! statuses {
    ($($name:ident = $code:literal $phrase:literal,)*) => {
        impl Status {
            $(#[doc = concat!($code, " ", $phrase)] pub const $name: Self = Self($code);)*

            /// The phrase registered for this code, or an empty one.
            pub const fn reason(self) -> &'static str {
                match self.0 { $($code => $phrase,)* _ => "" }
            }
        }
    };
}

statuses! {
    CONTINUE = 100 "Continue",
    SWITCHING_PROTOCOLS = 101 "Switching Protocols",
    OK = 200 "OK",
    CREATED = 201 "Created",
    ACCEPTED = 202 "Accepted",
    NON_AUTHORITATIVE_INFORMATION = 203 "Non-Authoritative Information",
    NO_CONTENT = 204 "No Content",
    RESET_CONTENT = 205 "Reset Content",
    PARTIAL_CONTENT = 206 "Partial Content",
    MULTIPLE_CHOICES = 300 "Multiple Choices",
    MOVED_PERMANENTLY = 301 "Moved Permanently",
    FOUND = 302 "Found",
    SEE_OTHER = 303 "See Other",
    NOT_MODIFIED = 304 "Not Modified",
    TEMPORARY_REDIRECT = 307 "Temporary Redirect",
    PERMANENT_REDIRECT = 308 "Permanent Redirect",
    BAD_REQUEST = 400 "Bad Request",
    UNAUTHORIZED = 401 "Unauthorized",
    PAYMENT_REQUIRED = 402 "Payment Required",
    FORBIDDEN = 403 "Forbidden",
    NOT_FOUND = 404 "Not Found",
    METHOD_NOT_ALLOWED = 405 "Method Not Allowed",
    NOT_ACCEPTABLE = 406 "Not Acceptable",
    PROXY_AUTHENTICATION_REQUIRED = 407 "Proxy Authentication Required",
    REQUEST_TIMEOUT = 408 "Request Timeout",
    CONFLICT = 409 "Conflict",
    GONE = 410 "Gone",
    LENGTH_REQUIRED = 411 "Length Required",
    PRECONDITION_FAILED = 412 "Precondition Failed",
    CONTENT_TOO_LARGE = 413 "Content Too Large",
    URI_TOO_LONG = 414 "URI Too Long",
    UNSUPPORTED_MEDIA_TYPE = 415 "Unsupported Media Type",
    RANGE_NOT_SATISFIABLE = 416 "Range Not Satisfiable",
    EXPECTATION_FAILED = 417 "Expectation Failed",
    IM_A_TEAPOT = 418 "I'm a teapot",
    MISDIRECTED_REQUEST = 421 "Misdirected Request",
    UNPROCESSABLE_CONTENT = 422 "Unprocessable Content",
    UPGRADE_REQUIRED = 426 "Upgrade Required",
    PRECONDITION_REQUIRED = 428 "Precondition Required",
    TOO_MANY_REQUESTS = 429 "Too Many Requests",
    REQUEST_HEADER_FIELDS_TOO_LARGE = 431 "Request Header Fields Too Large",
    INTERNAL_SERVER_ERROR = 500 "Internal Server Error",
    NOT_IMPLEMENTED = 501 "Not Implemented",
    BAD_GATEWAY = 502 "Bad Gateway",
    SERVICE_UNAVAILABLE = 503 "Service Unavailable",
    GATEWAY_TIMEOUT = 504 "Gateway Timeout",
    HTTP_VERSION_NOT_SUPPORTED = 505 "HTTP Version Not Supported",
    INSUFFICIENT_STORAGE = 507 "Insufficient Storage",
}

impl Status {
    /// Takes a code from 100 to 599; anything else is no HTTP status.
    pub const fn new(code: u16) -> Option<Self> {
        if code >= 100 && code <= 599 {
            Some(Self(code))
        } else {
            None
        }
    }

    /// The code as a number.
    pub const fn code(self) -> u16 {
        self.0
    }

    /// Whether a response with this status never has content (RFC 9110 section 6.4.1), so that neither
    /// `Content-Length` nor `Transfer-Encoding` is sent with it.
    pub const fn never_has_content(self) -> bool {
        self.0 < 200 || self.0 == 204 || self.0 == 304
    }

    /// Appends `HTTP/1.1 CODE PHRASE\r\n`. The version is always 1.1, whatever the request's (RFC 9110 section 2.5).
    pub(crate) fn encode_line(self, into: &mut Vec<u8>) {
        let digits = [self.0 / 100, self.0 / 10 % 10, self.0 % 10].map(|digit| b'0' + digit as u8);
        into.extend_from_slice(b"HTTP/1.1 ");
        into.extend_from_slice(&digits);
        into.push(b' ');
        into.extend_from_slice(self.reason().as_bytes());
        into.extend_from_slice(b"\r\n");
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.reason())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_line_is_written_for_every_code() {
        for code in 100..600 {
            let status = Status::new(code).expect("in range");
            let mut line = Vec::new();
            status.encode_line(&mut line);
            assert_eq!(
                line,
                format!("HTTP/1.1 {code} {}\r\n", status.reason()).into_bytes()
            );
        }
        assert_eq!(Status::new(99), None);
        assert_eq!(Status::new(600), None);
    }
}
