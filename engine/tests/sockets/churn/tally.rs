//! What the clients of a run did, kind by kind: whether that is enough of everything, and whether the server's own
//! counters tell the same story.

use super::visit::{Departure, Stage, Use, Visit};
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, ErrorKind};

/// How often everything has to have happened before a run means something.
const USES_MIN: u64 = 100;
const DEPARTURES_MIN: u64 = 20;

/// The bounds at which the server ends a connection whose client is too slow for it.
const TOO_SLOW: [&str; 6] = [
    "limit:first_byte_timeout",
    "limit:header_timeout",
    "limit:keepalive_timeout",
    "limit:min_body_rate",
    "limit:min_response_rate",
    "limit:body_drain_timeout",
];

/// How many of the connections that were cut are told of one by one.
const CUTS_TOLD_MAX: usize = 5;

/// Counts of everything that clients did.
#[derive(Default)]
pub(super) struct Tally {
    /// Connections.
    pub(super) opened: u64,
    uses: [u64; Use::ALL.len()],
    departures: [[u64; Departure::ALL.len()]; Stage::ALL.len()],
    /// Connections that were reset before anything came back: the kernel may have thrown them away before the server
    /// saw them.
    reset_unheard: u64,
    /// Connections that the server ended when their client did not expect it, and where.
    cut: Vec<String>,
}

impl Tally {
    pub(super) fn used(&mut self, one: Use) {
        self.uses[one as usize] += 1;
    }

    pub(super) fn left(&mut self, stage: Stage, departure: Departure, unheard: bool) {
        self.departures[stage as usize][departure as usize] += 1;
        if unheard && departure == Departure::Reset {
            self.reset_unheard += 1;
        }
    }

    /// Takes note of an end that came too early. Anything else that can go wrong is a failure at once.
    pub(super) fn cut(&mut self, visit: &Visit, error: &io::Error) {
        let place = format!(
            "to {:?} when {:?} after {:?}: {error}",
            visit.departure(),
            visit.stage(),
            visit.uses()
        );
        let ended = [
            ErrorKind::UnexpectedEof,
            ErrorKind::ConnectionReset,
            ErrorKind::BrokenPipe,
            ErrorKind::NotConnected,
        ];
        assert!(ended.contains(&error.kind()), "{place}");
        self.cut.push(place);
    }

    /// Something that has not happened often enough.
    pub(super) fn missing(&self) -> Option<String> {
        let uses = Use::ALL.iter().find_map(|one| {
            let count = self.uses[*one as usize];
            (count < USES_MIN).then(|| format!("{one:?}: {count}"))
        });
        uses.or_else(|| {
            self.all_departures().find_map(|(stage, departure, count)| {
                (count < DEPARTURES_MIN).then(|| format!("{departure:?} when {stage:?}: {count}"))
            })
        })
    }

    fn all_departures(&self) -> impl Iterator<Item = (Stage, Departure, u64)> + '_ {
        Stage::ALL.into_iter().flat_map(move |stage| {
            Departure::ALL.into_iter().map(move |departure| {
                let count = self.departures[stage as usize][departure as usize];
                (stage, departure, count)
            })
        })
    }

    fn abandoned(&self, stages: &[Stage]) -> u64 {
        let places = stages.iter().map(|stage| *stage as usize);
        places
            .map(|stage| self.departures[stage][Departure::Abandon as usize])
            .sum()
    }

    /// Fails unless what the server counted can be what these clients did.
    pub(super) fn agrees_with(&self, counters: &BTreeMap<String, u64>) {
        let count = |name: &str| counters.get(name).copied().unwrap_or(0);
        assert_eq!(self.missing(), None);

        let accepted = count("accepted_connections");
        assert!(
            accepted <= self.opened && accepted + self.reset_unheard >= self.opened,
            "{accepted} accepted of {} opened, of which {} were reset at once",
            self.opened,
            self.reset_unheard
        );
        let reasons = counters.iter().filter(|(name, _)| name.starts_with("end:"));
        let reasons: u64 = reasons.map(|(_, count)| count).sum();
        assert_eq!((count("ended_connections"), reasons), (accepted, accepted));
        for never in [
            "rejected_connections",
            "accept_errors",
            "app_panics",
            "end:io_error",
            "end:shed",
        ] {
            assert_eq!(count(never), 0, "{never}: {counters:?}");
        }

        // Each way to be silent has its own bound, and all of them were hit.
        for (name, stages) in [
            ("limit:first_byte_timeout", &[Stage::Silent][..]),
            ("limit:header_timeout", &[Stage::WithinHead]),
            ("limit:min_body_rate", &[Stage::WithinBody]),
            ("limit:keepalive_timeout", &[Stage::Waiting, Stage::Idle]),
            ("end:upgrade_finished", &[Stage::Upgraded]),
        ] {
            let abandoned = self.abandoned(stages);
            assert!(count(name) >= abandoned, "{name}: {abandoned} {counters:?}");
        }
        // The oldest of those that are held are read after all, and are idle then.
        let unread = self.abandoned(&[Stage::WithinAnswer]);
        assert!(
            2 * count("limit:min_response_rate") >= unread,
            "{unread} {counters:?}"
        );
        assert!(count("end:connection_reset") >= DEPARTURES_MIN);

        // Who was cut was cut by a bound that the server knows of.
        let too_slow: u64 = TOO_SLOW.iter().map(|name| count(name)).sum();
        let meant =
            self.abandoned(&Stage::ALL) - self.abandoned(&[Stage::Upgraded, Stage::Refused]);
        assert!(
            meant + self.cut.len() as u64 <= too_slow,
            "{meant} connections meant to be cut, {too_slow} were; these too: {:?}",
            self.cut
        );
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} connections ({} reset before they were heard, {} cut early)",
            self.opened,
            self.reset_unheard,
            self.cut.len()
        )?;
        for one in Use::ALL {
            write!(f, ", {one:?} {}", self.uses[one as usize])?;
        }
        for stage in Stage::ALL {
            write!(f, "; {stage:?}")?;
            for departure in Departure::ALL {
                let count = self.departures[stage as usize][departure as usize];
                write!(f, " {departure:?} {count}")?;
            }
        }
        let mut told = self.cut.iter().take(CUTS_TOLD_MAX);
        told.try_for_each(|cut| write!(f, "; cut: {cut}"))
    }
}
