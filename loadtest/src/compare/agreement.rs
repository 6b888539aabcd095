//! How far the generators of a run agree on a load that each of them sent in the same rounds, and what they cost themselves.

use super::engine::Engine;
use super::round::{Figures, Rounds};
use super::scenario::{Scenario, Shape};
use super::table::Table;

/// How far from one the share of a rate or of a median may be, and that of a 99th percentile.
const RATE_WITHIN: f64 = 0.05;
const P50_WITHIN: f64 = 0.05;
const P99_WITHIN: f64 = 0.15;

/// The most that a request may cost our generator, as a share of what it costs another.
const CPU_SHARE_MAX: f64 = 1.0;

/// One generator's rounds with a server.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) server: String,
    pub(crate) engine: Engine,
    pub(crate) rounds: Rounds,
}

/// What all generators told of a scenario.
#[derive(Clone, Debug)]
pub(crate) struct Agreement {
    word: String,
    shape: Shape,
    /// By server, and for each in the order in which the engines were asked for.
    accounts: Vec<Account>,
}

impl Agreement {
    /// Of one scenario, if more than one generator has a whole round in it.
    pub(crate) fn of(word: &str, shape: Shape, accounts: Vec<Account>) -> Option<Self> {
        let first = accounts.first()?.engine;
        let others = accounts.iter().any(|account| account.engine != first);
        others.then(|| Self {
            word: word.to_owned(),
            shape,
            accounts,
        })
    }

    /// What it is called.
    pub(crate) fn heading(&self) -> String {
        format!("{}: {}", self.word, Scenario::Load(self.shape))
    }

    /// What the others are compared with: ours, or else the first of a server.
    fn bases(&self) -> impl Iterator<Item = &Account> {
        let is_base = |account: &&Account| {
            let own = |other: &&Account| other.server == account.server;
            let mut all = self.accounts.iter().filter(own);
            let ours = all.clone().find(|other| other.engine == Engine::Lanner);
            ours.or_else(|| all.next())
                .is_some_and(|base| base.engine == account.engine)
        };
        self.accounts.iter().filter(is_base)
    }

    fn others<'a>(&'a self, base: &'a Account) -> impl Iterator<Item = &'a Account> {
        let is_other =
            |other: &&Account| other.server == base.server && other.engine != base.engine;
        self.accounts.iter().filter(is_other)
    }

    /// Medians over the rounds.
    pub(crate) fn figures(&self) -> Table {
        let all = self.shape.connections * self.shape.depth;
        let mut table = Table::new(&[
            "server",
            "generator",
            "requests/s",
            "mean ms",
            "p50 ms",
            "p99 ms",
            &format!("under way, of {all}"),
            "generator's CPU us/request",
            "generator used of its core",
            "server used of its core",
            "errors",
        ]);
        for account in &self.accounts {
            let cell = |digits: usize, of: fn(&Figures) -> Option<f64>| {
                let median = account.rounds.median(of);
                median.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
            };
            table.row(vec![
                account.server.clone(),
                account.engine.to_string(),
                cell(0, |figures| Some(figures.per_second)),
                cell(3, |figures| figures.times.mean_millis),
                cell(3, |figures| figures.times.p50_millis),
                cell(3, |figures| figures.times.p99_millis),
                cell(1, Figures::under_way),
                cell(3, |figures| Some(figures.load_micros)),
                cell(0, |figures| Some(figures.load_percent)) + " %",
                cell(0, |figures| Some(figures.server_percent)) + " %",
                account.rounds.errors().to_string(),
            ]);
        }
        table
    }
}

/// Ours as a share of the others, over all scenarios; nothing where there was but one generator.
pub(crate) fn ratios(agreements: &[Agreement]) -> Option<Table> {
    if agreements.is_empty() {
        return None;
    }
    let mut table = Table::new(&[
        "scenario",
        "server",
        "generators",
        "rate",
        "mean",
        "p50",
        "p99",
        "CPU/request",
        "beyond what is asked",
    ]);
    for agreement in agreements {
        for base in agreement.bases() {
            for other in agreement.others(base) {
                table.row(row(&agreement.word, base, other));
            }
        }
    }
    table.note(format!(
        "The first generator's figure as a share of the second's: the median of the shares within the rounds. Asked are rate and \
         p50 within {:.0} %, p99 within {:.0} %, and CPU time of the generator's own processes per request at most \
         {CPU_SHARE_MAX:.2} of the other's.",
        RATE_WITHIN * 100.0,
        P99_WITHIN * 100.0,
    ));
    table.note(
        "Under way, in the tables below: rate x mean latency, which for a closed loop that sends again at once is all its connections (Little's law). \
         Less is time in which a generator had a connection without a request on it, or did not count it as latency; more is \
         latency that it told without a request. Where a generator used all of its core and the server did not, rate and \
         latency are that generator's own, and generators that cost differently cannot agree."
            .to_owned(),
    );
    Some(table)
}

fn row(word: &str, base: &Account, other: &Account) -> Vec<String> {
    let share = |of: fn(&Figures) -> Option<f64>| base.rounds.ratio(&other.rounds, of);
    let rate = share(|figures| Some(figures.per_second));
    let mean = share(|figures| figures.times.mean_millis);
    let p50 = share(|figures| figures.times.p50_millis);
    let p99 = share(|figures| figures.times.p99_millis);
    let cpu = share(|figures| Some(figures.load_micros));
    let differs = |share: Option<f64>, within: f64| share.is_some_and(|share| off(share) > within);
    let dear = cpu.is_some_and(|share| shown(share) > CPU_SHARE_MAX);
    let beyond = [
        ("rate", differs(rate, RATE_WITHIN)),
        ("p50", differs(p50, P50_WITHIN)),
        ("p99", differs(p99, P99_WITHIN)),
        ("CPU", dear),
    ];
    let beyond = beyond.into_iter().filter(|(_, is_beyond)| *is_beyond);
    let beyond: Vec<&str> = beyond.map(|(name, _)| name).collect();
    let cell =
        |share: Option<f64>| share.map_or_else(|| "-".to_owned(), |share| format!("{share:.2}"));
    vec![
        word.to_owned(),
        base.server.clone(),
        format!("{} / {}", base.engine, other.engine),
        cell(rate),
        cell(mean),
        cell(p50),
        cell(p99),
        cell(cpu),
        match beyond.is_empty() {
            true => "nothing".to_owned(),
            false => beyond.join(", "),
        },
    ]
}

/// What a reader sees of it, so that no verdict contradicts its figure.
fn shown(share: f64) -> f64 {
    (share * 100.0).round() / 100.0
}

/// How far a share is from one, in whole hundredths.
fn off(share: f64) -> f64 {
    ((share * 100.0).round() - 100.0).abs() / 100.0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::compare::round::tests::figures;

    fn account(server: &str, engine: Engine, all: &[Figures]) -> Account {
        let mut rounds = Rounds::default();
        all.iter().for_each(|figures| rounds.push(*figures));
        Account {
            server: server.to_owned(),
            engine,
            rounds,
        }
    }

    fn rows(table: &Table) -> Vec<String> {
        let text = table.to_string();
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        text.lines().map(words).collect()
    }

    #[test]
    fn every_other_generator_is_compared_with_ours_wherever_ours_stands() {
        let accounts = vec![
            account("nginx", Engine::Wrk, &[figures(50_000.0, 1.28)]),
            account("nginx", Engine::Lanner, &[figures(64_000.0, 1.0)]),
            account("h2o", Engine::Wrk, &[figures(64_000.0, 1.0)]),
            account("h2o", Engine::H2load, &[figures(64_000.0, 1.0)]),
        ];
        let agreement = Agreement::of("plain", Shape::PLAIN, accounts).unwrap();
        let ratios = rows(&ratios(std::slice::from_ref(&agreement)).unwrap());
        assert_eq!(
            ratios[2],
            "| plain | nginx | lanner / wrk | 1.28 | 0.78 | 0.78 | 0.78 | 1.00 | rate, p50, p99 |"
        );
        assert_eq!(
            ratios[3],
            "| plain | h2o | wrk / h2load | 1.00 | 1.00 | 1.00 | 1.00 | 1.00 | nothing |"
        );
        let figures = rows(&agreement.figures());
        assert_eq!(
            figures[2],
            "| nginx | wrk | 50000 | 1.280 | 1.280 | 1.280 | 64.0 | 2.000 | 95 % | 40 % | 1 |"
        );
        assert_eq!(agreement.heading(), "plain: 64 connections");
    }

    #[test]
    fn a_share_is_beyond_what_is_asked_as_soon_as_its_figure_shows_it() {
        let base = figures(100.0, 1.0);
        let beyond = |other: Figures| {
            let accounts = [
                account("x", Engine::Lanner, &[base]),
                account("x", Engine::Wrk, &[other]),
            ];
            row("plain", &accounts[0], &accounts[1]).pop().unwrap()
        };
        for (other, said) in [
            (base, "nothing"),
            (figures(95.3, 1.0), "nothing"),
            (figures(105.3, 1.0), "nothing"),
            (figures(94.0, 1.0), "rate"),
            (figures(107.0, 1.0), "rate"),
            (figures(100.0, 1.07), "p50"),
            (figures(100.0, 0.8), "p50, p99"),
        ] {
            assert_eq!(beyond(other), said, "{other:?}");
        }
        for (load_micros, said) in [(2.5, "nothing"), (1.995, "nothing"), (1.98, "CPU")] {
            let other = Figures {
                load_micros,
                ..base
            };
            assert_eq!(beyond(other), said, "{load_micros}");
        }
        let untold = Figures {
            times: Default::default(),
            ..base
        };
        assert_eq!(beyond(untold), "nothing");
    }

    #[test]
    fn one_generator_agrees_with_nobody() {
        let alone = vec![account("x", Engine::Wrk, &[figures(1.0, 1.0)])];
        assert!(Agreement::of("plain", Shape::PLAIN, alone).is_none());
        assert!(ratios(&[]).is_none());
    }
}
