//! A server near its connection cap: who is let in, who is turned away, and who has to go for others.
//!
//! The rules are checked from outside, by what went over each connection: lingering connections go first, then idle ones,
//! the longest idle of them, and never one on which anything is under way; nobody is turned away while one of those could
//! go; no address has more than its share.

use super::app;
use super::client::{Client, Standing};
use super::random::Random;
use super::watch::{Deed, Sight};
use super::world::{Plan, serving};
use lanner_limits::{Limits, Moment, Trip};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// Scenarios of an ordinary test run.
const SEEDS: u64 = 100;

struct Rules {
    limits: Limits,
    /// Who was shed or turned away, by what bound, and how many requests it had sent by then.
    fates: BTreeMap<usize, (Trip, usize)>,
}

impl Rules {
    fn watch(&mut self, sight: &Sight<'_>) {
        match (sight.deed, sight.client) {
            (Deed::Hit(trip @ (Trip::IdleShed | Trip::LingerShed)), Some(client)) => {
                self.shed(sight, client, trip);
            }
            (Deed::Rejected(trip), Some(client)) => self.rejected(sight, client, trip),
            (Deed::Admitted { made_room }, Some(client)) => {
                self.admitted(sight, client, made_room);
            }
            _ => {}
        }
    }

    fn shed(&mut self, sight: &Sight<'_>, client: usize, trip: Trip) {
        let standings = sight.standings();
        let is_near = open(&standings) > self.limits.idle_shed_connections();
        let too_many_linger = sight.lingering().count() > self.limits.lingering_connections();
        let standing = standings.iter().find(|(index, _)| *index == client);
        let standing = standing.expect("it was open").1;
        match (trip, standing) {
            (Trip::LingerShed, Standing::Lingering(_)) => {
                assert!(is_near || too_many_linger, "{standings:?}");
            }
            (Trip::IdleShed, Standing::Idle(since)) => {
                assert!(is_near, "{standings:?}");
                for (other, standing) in &standings {
                    let first = match standing {
                        Standing::Lingering(_) => true,
                        Standing::Idle(other) => *other < since,
                        Standing::Busy | Standing::Upgraded => false,
                    };
                    assert!(
                        !first,
                        "client {client}, {standing:?}, before {other}: {standings:?}"
                    );
                }
            }
            _ => panic!("client {client} was shed by {trip} as it was {standing:?}"),
        }
        let requests = sight.clients[client].requests_sent();
        self.fates.insert(client, (trip, requests));
    }

    fn rejected(&mut self, sight: &Sight<'_>, client: usize, trip: Trip) {
        let others = without(sight.standings(), client);
        let share = self.share(sight, &others, client);
        match trip {
            Trip::MaxConnectionsPerIp => {
                assert_eq!(share, Some(self.limits.max_connections_per_ip));
            }
            Trip::MaxConnections => {
                assert_eq!(open(&others), self.limits.max_connections);
                assert!(share.is_none_or(|share| share < self.limits.max_connections_per_ip));
                self.in_vain(sight.now, &others);
            }
            _ => panic!("turned away by {trip}"),
        }
        let requests = sight.clients[client].requests_sent();
        self.fates.insert(client, (trip, requests));
    }

    fn admitted(&mut self, sight: &Sight<'_>, client: usize, made_room: bool) {
        let others = without(sight.standings(), client);
        let share = self.share(sight, &others, client);
        assert!(share.is_none_or(|share| share < self.limits.max_connections_per_ip));
        assert!(open(&others) < self.limits.max_connections);
        if open(&others) + 1 > self.limits.idle_shed_connections() && !made_room {
            self.in_vain(sight.now, &others);
        }
    }

    /// Those who have just begun to linger or to be idle may have escaped a look that was taken a moment ago.
    fn in_vain(&self, now: Moment, standings: &[(usize, Standing)]) {
        for (index, standing) in standings {
            if let Standing::Lingering(since) | Standing::Idle(since) = standing {
                let interval = self.limits.timer_resolution;
                assert!(
                    now < *since + interval,
                    "client {index} could go: {standings:?}"
                );
            }
        }
    }

    /// How many of `others` count for the same address as `client`; none if that is not counted.
    fn share(
        &self,
        sight: &Sight<'_>,
        others: &[(usize, Standing)],
        client: usize,
    ) -> Option<usize> {
        let key = |index: usize| counted_as(sight.clients[index].address(index));
        let own = key(client)?;
        let same = others
            .iter()
            .filter(|(other, _)| key(*other).as_ref() == Some(&own));
        Some(same.count())
    }
}

/// What an address counts as: itself, or its IPv6 network of 64 bits; nothing if it is this machine's.
fn counted_as(address: IpAddr) -> Option<String> {
    match address {
        address if address.is_loopback() => None,
        IpAddr::V4(address) => Some(address.to_string()),
        IpAddr::V6(address) => Some(match address.to_ipv4_mapped() {
            Some(mapped) => mapped.to_string(),
            None => format!("{:x?}", &address.segments()[..4]),
        }),
    }
}

fn without(mut standings: Vec<(usize, Standing)>, client: usize) -> Vec<(usize, Standing)> {
    standings.retain(|(index, _)| *index != client);
    standings
}

/// Connections under the cap: those that speak another protocol have left it.
fn open(standings: &[(usize, Standing)]) -> usize {
    let under = standings
        .iter()
        .filter(|(_, standing)| *standing != Standing::Upgraded);
    under.count()
}

/// How many clients were hit by what.
fn a_crowd(seed: u64) -> BTreeMap<Trip, usize> {
    let mut random = Random::new(seed);
    let mut limits = super::limits();
    limits.max_connections = random.within(3..25);
    limits.idle_shed_at = [30, 60, 90, 100][random.below(4)];
    limits.max_connections_per_ip = random.within(2..limits.max_connections + 1);
    let grain = Duration::from_millis([1, 100, 500][random.below(3)]);
    let clients: Vec<Client> = (0..random.within(20..70))
        .map(|_| {
            let at = random.millis(0..45_000);
            let client = Client::at_the_cap(&mut random).connecting_at(at);
            client.in_step(grain)
        })
        .collect();
    let rules = RefCell::new(Rules {
        limits: limits.clone(),
        fates: BTreeMap::new(),
    });
    let plan = Plan {
        stop_at: random.millis(0..90_000),
        freezes: false,
        random,
        limits,
        clients,
        watch: Some(Box::new(|sight| rules.borrow_mut().watch(sight))),
    };
    let mut world = serving(plan, app::app);
    world.run();
    let fates = rules.borrow().fates.clone();
    world.judge(|client| fates.contains_key(&client));
    let mut hits = BTreeMap::new();
    for (index, (trip, requests)) in fates {
        *hits.entry(trip).or_default() += 1;
        let client = &world.clients[index];
        let answered = client.reader.answers.len();
        if matches!(trip, Trip::IdleShed | Trip::LingerShed) {
            // Whatever it had asked for it has had, and it was told in the ordinary way.
            assert!(answered >= requests, "client {index}");
            let is_cut = client.reader.is_within() || client.socket.server_reset;
            assert!(!is_cut, "client {index}");
        } else {
            assert_eq!(answered, 0, "client {index}");
        }
    }
    hits
}

#[test]
fn near_the_cap_those_go_who_lose_least_and_nobody_goes_for_nothing() {
    let runs = super::with_every_seed(SEEDS, a_crowd);
    if runs.len() < SEEDS as usize {
        return;
    }
    // Whatever there is a rule for has come up, and not just once.
    for trip in [
        Trip::IdleShed,
        Trip::LingerShed,
        Trip::MaxConnections,
        Trip::MaxConnectionsPerIp,
    ] {
        let hits: usize = runs.iter().filter_map(|run| run.get(&trip)).sum();
        assert!(hits >= 20, "{trip}: {hits}");
    }
}

#[test]
fn lingering_connections_go_first_then_the_longest_idle_and_busy_ones_never() {
    let mut limits = super::limits();
    limits.max_connections = 5;
    limits.idle_shed_at = 80;
    let mut random = Random::new(1);
    let [work, hello] =
        ["sleep/60000", "hello"].map(|path| format!("GET /{path} HTTP/1.1\r\nHost: sim\r\n\r\n"));
    let garbage = "no request\r\n\r\n";
    // At what millisecond each connects, and what it sends.
    let scripts: [(u64, &str); 9] = [
        (0, &work),
        (10, &hello),
        (20, &hello),
        (30, garbage),
        // Four are there, as many as may be without a shedding: who comes now takes somebody's place...
        (1_000, &work),
        (1_001, &work),
        (1_002, &work),
        // ... unless all are busy, up to the cap...
        (1_003, &work),
        // ... and over it nobody comes.
        (1_004, &work),
    ];
    let clients = scripts.map(|(millis, bytes)| {
        Client::sending(&mut random, bytes).connecting_at(Duration::from_millis(millis))
    });
    let hits = RefCell::new(Vec::new());
    let plan = Plan {
        stop_at: Duration::from_secs(2),
        freezes: false,
        random,
        limits,
        clients: clients.into(),
        watch: Some(Box::new(|sight| {
            if let (Deed::Hit(trip) | Deed::Rejected(trip), Some(client)) =
                (sight.deed, sight.client)
            {
                hits.borrow_mut().push((client, trip));
            }
        })),
    };
    let mut world = serving(plan, app::app);
    world.run();
    world.judge(|_| false);
    let expected = [
        (3, Trip::LingerShed),
        (1, Trip::IdleShed),
        (2, Trip::IdleShed),
        (8, Trip::MaxConnections),
    ];
    assert_eq!(*hits.borrow(), expected);
}
