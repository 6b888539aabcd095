//! Why a peer is turned away: it broke the protocol, or it hit a bound.
//!
//! The two families stay apart because they mean different things to whoever runs the server: a `Misbehaviour` is the
//! peer's fault, a `Trip` is a number somebody chose. What each one answers is decided beside its own enum.

use lanner_limits::{Close, Trip};
use std::fmt;

use crate::misbehaviour::Misbehaviour;

/// The reason for turning a peer away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The peer broke RFC 9110 or 9112.
    Misbehaviour(Misbehaviour),
    /// The peer hit a bound.
    Trip(Trip),
}

impl Refusal {
    /// The status to answer with, if an answer is due at all.
    pub fn status(self) -> Option<u16> {
        match self {
            Refusal::Misbehaviour(misbehaviour) => Some(misbehaviour.answer().0),
            Refusal::Trip(trip) => trip.answer().status,
        }
    }

    /// Whether the connection may go on after the answer: the request was fine, only the moment was not.
    pub fn keeps_connection(self) -> bool {
        matches!(self, Refusal::Trip(trip) if matches!(trip.answer().close, Close::Keep | Close::RefuseStream))
    }

    /// The name in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Refusal::Misbehaviour(misbehaviour) => misbehaviour.name(),
            Refusal::Trip(trip) => trip.name(),
        }
    }
}

/// What the body of the answer says, for whoever reads it.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Misbehaviour(misbehaviour) => f.write_str(misbehaviour.answer().1),
            Refusal::Trip(trip) => write!(f, "The limit {} was reached.", trip.name()),
        }
    }
}

impl From<Misbehaviour> for Refusal {
    fn from(misbehaviour: Misbehaviour) -> Refusal {
        Refusal::Misbehaviour(misbehaviour)
    }
}

impl From<Trip> for Refusal {
    fn from(trip: Trip) -> Refusal {
        Refusal::Trip(trip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_answers_what_its_reason_answers() {
        assert_eq!(
            Refusal::from(Misbehaviour::UnsupportedVersion).status(),
            Some(505)
        );
        assert_eq!(
            Refusal::from(Misbehaviour::BareLineFeed).status(),
            Some(400)
        );
        assert_eq!(Refusal::from(Trip::RequestLine).status(), Some(414));
        assert_eq!(Refusal::from(Trip::HeaderCount).status(), Some(431));
        assert_eq!(Refusal::from(Trip::FirstByteTimeout).status(), None);
    }

    #[test]
    fn a_refusal_is_named_like_its_reason() {
        assert_eq!(
            Refusal::from(Misbehaviour::BareLineFeed).name(),
            "bare_line_feed"
        );
        assert_eq!(
            Refusal::from(Trip::RequestLine).name(),
            Trip::RequestLine.name()
        );
    }
}
