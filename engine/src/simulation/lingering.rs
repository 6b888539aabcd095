//! Connections that linger: their last answer is out, and what still comes is read away so that no reset destroys it. At
//! most a tenth of the connection cap may; one more, and the oldest of them goes, which has had the most time to read.
//!
//! The rules are checked from outside: only then does one go early, it is the oldest, everybody has got the answer that
//! the lingering is for, and nobody lingers for longer than told, the stop included.

use super::app;
use super::client::{Client, Standing};
use super::random::Random;
use super::watch::{Deed, Sight};
use super::world::{Plan, serving};
use lanner_limits::{Limits, Moment, Trip};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

/// Scenarios of an ordinary test run.
const SEEDS: u64 = 300;

/// For how long the stop lets those linger whose answer has long been sent.
const AT_STOP: Duration = Duration::from_secs(1);

struct Rules {
    limits: Limits,
    shed: BTreeSet<usize>,
    /// Who has lingered for longer than somebody who was shed in this turn: they must be gone at its end.
    older: BTreeSet<usize>,
    stopped: Option<Moment>,
    lingering_at_stop: usize,
}

impl Rules {
    fn watch(&mut self, sight: &Sight<'_>) {
        match (sight.deed, sight.client) {
            (Deed::Hit(Trip::LingerShed), Some(client)) => self.shed(sight, client),
            (Deed::Hit(trip), _) => panic!("{trip} although the cap is far away"),
            (Deed::Rest, _) => {
                let lingering = lingering(sight);
                let max = self.limits.lingering_connections();
                assert!(lingering.len() <= max, "{lingering:?} linger");
                let mut spared = lingering
                    .iter()
                    .filter(|(index, _)| self.older.contains(index));
                assert_eq!(spared.next(), None, "younger ones than that were shed");
                self.older.clear();
            }
            (Deed::Stopping, _) => {
                self.stopped = Some(sight.now);
                self.lingering_at_stop = lingering(sight).len();
            }
            _ => {}
        }
    }

    fn shed(&mut self, sight: &Sight<'_>, client: usize) {
        let lingering = lingering(sight);
        let since = lingering.iter().find(|(index, _)| *index == client);
        let since = since.expect("it lingered").1;
        let older = lingering.iter().filter(|(_, other)| *other < since);
        self.older.extend(older.map(|(index, _)| *index));
        let count = sight.lingering().count();
        assert!(
            count > self.limits.lingering_connections(),
            "{count} linger"
        );
        self.shed.insert(client);
    }

    fn judge(&self, index: usize, client: &Client) {
        let socket = &client.socket;
        let Some(since) = socket.lingers else {
            return;
        };
        // What it lingers for: an answer, whole, that can be read.
        let is_whole = !client.reader.answers.is_empty() && !client.reader.is_within();
        assert!(is_whole && !socket.server_reset, "client {index}");
        let closed = socket.server_closed.expect("everything ends");
        let slack = 2 * self.limits.timer_resolution;
        let by_time = since + self.limits.body_drain_timeout;
        let stopped = self.stopped.filter(|stopped| since <= *stopped);
        let by_stop = stopped.map(|stopped| stopped + AT_STOP);
        let latest = by_stop.map_or(by_time, |by_stop| by_time.min(by_stop));
        assert!(
            closed <= latest + slack,
            "client {index}: {closed} is later than {latest}"
        );
        // Nobody goes early who stays, unless room was needed.
        let may_go = self.shed.contains(&index) || socket.client_ended;
        assert!(
            may_go || closed >= latest,
            "client {index}: {closed} is earlier than {latest}"
        );
    }
}

/// Who lingers now, and since when.
fn lingering(sight: &Sight<'_>) -> Vec<(usize, Moment)> {
    let standings = sight.standings().into_iter();
    standings
        .filter_map(|(index, standing)| match standing {
            Standing::Lingering(since) => Some((index, since)),
            _ => None,
        })
        .collect()
}

/// How many were shed, and how many lingered when the stop came.
fn a_crowd(seed: u64) -> (usize, usize) {
    let mut random = Random::new(seed);
    let mut limits = super::limits();
    limits.max_connections = random.within(10..60);
    limits.idle_shed_at = 100;
    limits.max_connections_per_ip = limits.max_connections;
    limits.body_drain_timeout = random.millis(100..10_000);
    let latest = [1, 500, 20_000][random.below(3)];
    let grain = Duration::from_millis([1, 100][random.below(2)]);
    let clients: Vec<Client> = (0..random.within(2..limits.max_connections))
        .map(|_| {
            let at = random.millis(0..latest);
            let client = Client::that_lingers(&mut random).connecting_at(at);
            client.in_step(grain)
        })
        .collect();
    let rules = RefCell::new(Rules {
        limits: limits.clone(),
        shed: BTreeSet::new(),
        older: BTreeSet::new(),
        stopped: None,
        lingering_at_stop: 0,
    });
    let plan = Plan {
        stop_at: random.millis(0..latest * 2 + 3_000),
        freezes: false,
        random,
        limits,
        clients,
        watch: Some(Box::new(|sight| rules.borrow_mut().watch(sight))),
    };
    let mut world = serving(plan, app::app);
    world.run();
    world.judge(|_| false);
    let rules = rules.borrow();
    for (index, client) in world.clients.iter().enumerate() {
        rules.judge(index, client);
    }
    (rules.shed.len(), rules.lingering_at_stop)
}

#[test]
fn at_the_bound_the_oldest_lingering_connection_goes_and_all_have_their_answers() {
    let outcomes = super::with_every_seed(SEEDS, a_crowd);
    if outcomes.len() < SEEDS as usize {
        return;
    }
    let (shed, at_stop) = outcomes.iter().fold((0, 0), |sum, outcome| {
        (sum.0 + outcome.0, sum.1 + outcome.1)
    });
    assert!(
        shed > 100 && at_stop > 100,
        "{shed} were shed, {at_stop} lingered at the stop"
    );
}
