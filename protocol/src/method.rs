//! The request method, as far as the server itself cares about it.
//!
//! Methods are case-sensitive (RFC 9110 section 9.1): `get` is some other method. The text of `Other` stays in the head, where
//! `Head::method_span` points at it; whether the app knows the method is the app's business.

/// A request method.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Method {
    /// `GET`
    #[default]
    Get,
    /// `HEAD`: answered without a body.
    Head,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `DELETE`
    Delete,
    /// `CONNECT`: its target is an authority; refused, for this is no forward proxy.
    Connect,
    /// `OPTIONS`: the one method that may carry the target `*`.
    Options,
    /// `TRACE`
    Trace,
    /// `PATCH` (RFC 5789)
    Patch,
    /// Any other valid token.
    Other,
}

impl Method {
    /// Tells a method from its token. The token's characters were checked before.
    #[inline]
    pub fn from_token(token: &[u8]) -> Method {
        match token {
            b"GET" => Method::Get,
            b"HEAD" => Method::Head,
            b"POST" => Method::Post,
            b"PUT" => Method::Put,
            b"DELETE" => Method::Delete,
            b"CONNECT" => Method::Connect,
            b"OPTIONS" => Method::Options,
            b"TRACE" => Method::Trace,
            b"PATCH" => Method::Patch,
            _ => Method::Other,
        }
    }

    /// The registered text; none for `Other`, whose text only the head knows.
    pub fn text(self) -> Option<&'static str> {
        match self {
            Method::Get => Some("GET"),
            Method::Head => Some("HEAD"),
            Method::Post => Some("POST"),
            Method::Put => Some("PUT"),
            Method::Delete => Some("DELETE"),
            Method::Connect => Some("CONNECT"),
            Method::Options => Some("OPTIONS"),
            Method::Trace => Some("TRACE"),
            Method::Patch => Some("PATCH"),
            Method::Other => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [Method; 9] = [
        Method::Get,
        Method::Head,
        Method::Post,
        Method::Put,
        Method::Delete,
        Method::Connect,
        Method::Options,
        Method::Trace,
        Method::Patch,
    ];

    #[test]
    fn every_known_method_is_recognised_by_its_text() {
        for method in KNOWN {
            let text = method.text().expect("a known method has a text");
            assert_eq!(Method::from_token(text.as_bytes()), method);
        }
    }

    #[test]
    fn methods_are_case_sensitive_and_whole() {
        for token in ["get", "Get", "GE", "GETT", "PROPFIND", "QUERY", "M-SEARCH"] {
            assert_eq!(
                Method::from_token(token.as_bytes()),
                Method::Other,
                "{token}"
            );
        }
        assert_eq!(Method::Other.text(), None);
    }
}
