//! What can go wrong with what the driver wants to send.

use super::request::InvalidRequest;
use crate::response::ResponseError;
use std::fmt;

/// Why something was not sent. Nothing of it is in the output then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SendError {
    /// The request is none.
    Invalid(InvalidRequest),
    /// Not now: see `may_request`.
    NotNow,
    /// There is no such exchange, or its body is complete.
    Closed,
    /// More of a body than was announced; the exchange cannot be completed.
    TooManyBytes,
    /// Less of a body than was announced; the exchange cannot be completed.
    TooFewBytes,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(invalid) => invalid.fmt(f),
            Self::NotNow => f.write_str("the connection takes no request now"),
            Self::Closed => f.write_str("nothing is being sent there"),
            Self::TooManyBytes => f.write_str("the body was longer than the length announced"),
            Self::TooFewBytes => f.write_str("the body was shorter than the length announced"),
        }
    }
}

impl std::error::Error for SendError {}

impl From<InvalidRequest> for SendError {
    fn from(invalid: InvalidRequest) -> Self {
        Self::Invalid(invalid)
    }
}

impl From<ResponseError> for SendError {
    fn from(error: ResponseError) -> Self {
        match error {
            ResponseError::TooManyBytes => Self::TooManyBytes,
            ResponseError::TooFewBytes => Self::TooFewBytes,
            ResponseError::InformationalStatus => Self::Closed,
        }
    }
}
