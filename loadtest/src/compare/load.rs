//! CPU time per request: rounds over all servers, each round in another order, all servers running (those not asked sleep).

use std::time::{Duration, Instant};

use crate::arguments::Failure;

use super::engine::Engine;
use super::floor::{self, Cost};
use super::generator::{Outcome, Target, Times};
use super::recipe::Recipe;
use super::scenario::{Scenario, Shape};
use super::scripts::Scripts;
use super::server::Server;
use super::shuffle::Shuffle;
use super::steal::Steal;
use super::summary::Column;
use super::table::{Table, median};
use super::{Plan, generator, process_tree};

/// Load before the first round: caches, pools and the branch predictor. Where rounds are shorter, it is one of them.
const WARM_UP_MAX: Duration = Duration::from_secs(1);

/// How often a round is tried. A machine that stood still, or a `wrk` that was not let in, must not cost the rounds before it.
const TRIES_MAX: usize = 3;

/// What came of a load.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) table: Table,
    pub(crate) column: Column,
    /// Why there are fewer rounds than planned.
    pub(crate) failure: Option<Failure>,
}

/// One server's rounds, in order.
#[derive(Clone, Debug, Default, PartialEq)]
struct Rounds {
    cpu_micros: Vec<f64>,
    per_second: Vec<f64>,
    /// Share of the server's core that it used.
    busy_percent: Vec<f64>,
    errors: Vec<u64>,
    times: Vec<Option<Times>>,
}

/// One server's figures of one round.
#[derive(Clone, Copy, Debug)]
struct Figures {
    cpu_micros: f64,
    per_second: f64,
    busy_percent: f64,
    errors: u64,
    times: Option<Times>,
}

/// Measures all servers that can bear this load. A round that fails for good ends it, with the rounds that are whole.
pub(crate) fn measure(
    plan: &Plan,
    recipes: &[Recipe],
    word: &str,
    shape: Shape,
) -> Result<Measured, Failure> {
    let engine = Engine::of(plan, shape)?;
    let (left_out, recipes): (Vec<&Recipe>, Vec<&Recipe>) = recipes
        .iter()
        .partition(|recipe| recipe.objection(shape.demand()).is_some());
    if recipes.is_empty() {
        return Err(Failure::Run(format!(
            "no server is left for {}",
            Scenario::Load(shape)
        )));
    }
    let scripts = Scripts::write()?;
    let mut servers = recipes
        .iter()
        .map(|recipe| Ok(Server::start(recipe, plan, shape.demand())?))
        .collect::<Result<Vec<_>, Failure>>()?;
    for (server, recipe) in servers.iter_mut().zip(&recipes) {
        let time = WARM_UP_MAX.min(plan.time);
        retried(&recipe.name, || {
            load(plan, server, &recipe.name, shape, time, &scripts)
        })?;
    }
    let mut rounds = vec![Rounds::default(); servers.len()];
    let mut shuffle = Shuffle::new(plan.seed);
    let mut stolen_most = [0.0_f64; 2];
    let mut failure = None;
    'rounds: for round in 0..plan.rounds {
        for index in shuffle.order(servers.len()) {
            let name = &recipes[index].name;
            let steal = Steal::read([plan.server_core, plan.client_core]);
            let tried = retried(name, || {
                one_round(plan, &mut servers[index], name, shape, &scripts)
            });
            let figures = match tried {
                Ok(figures) => figures,
                // Without a single whole round there is nothing to tell.
                Err(reason) if round == 0 => return Err(reason),
                Err(reason) => {
                    rounds.iter_mut().for_each(|rounds| rounds.truncate(round));
                    failure = Some(reason);
                    break 'rounds;
                }
            };
            let stolen = Steal::read([plan.server_core, plan.client_core]).percent_since(steal);
            stolen_most = [stolen_most[0].max(stolen[0]), stolen_most[1].max(stolen[1])];
            eprintln!(
                "round {} of {}: {name} {:.3} us, {:.0}/s, stolen {:.1} % and {:.1} %",
                round + 1,
                plan.rounds,
                figures.cpu_micros,
                figures.per_second,
                stolen[0],
                stolen[1],
            );
            rounds[index].push(figures);
        }
    }
    let costs: Vec<Cost> = recipes
        .iter()
        .zip(&rounds)
        .map(|(recipe, rounds)| Cost {
            recipe,
            cpu_micros: &rounds.cpu_micros,
        })
        .collect();
    let mut table = tabulate(shape, &costs, &rounds, &servers);
    table.note(match engine {
        Engine::H2load => "Sent by h2load, which tells no percentiles.".to_owned(),
        engine => format!("Sent by {engine}."),
    });
    for verdict in floor::verdicts(&costs, shape) {
        table.note(verdict);
    }
    for recipe in left_out {
        let objection = recipe.objection(shape.demand()).unwrap_or_default();
        table.note(format!("{} is left out: {objection}.", recipe.name));
    }
    table.note(format!(
        "Most stolen in a round: {:.1} % of the servers' core, {:.1} % of the load's.",
        stolen_most[0], stolen_most[1]
    ));
    if failure.is_some() {
        let whole = rounds.first().map_or(0, |rounds| rounds.cpu_micros.len());
        table.note(format!(
            "ENDED EARLY, after {whole} of {} rounds.",
            plan.rounds
        ));
    }
    Ok(Measured {
        column: Column::of_load(word, shape, &costs),
        table,
        failure,
    })
}

/// Tries again what failed, a bounded number of times, and says so.
fn retried<T>(name: &str, mut attempt: impl FnMut() -> Result<T, Failure>) -> Result<T, Failure> {
    for number in 1..TRIES_MAX {
        match attempt() {
            Ok(value) => return Ok(value),
            Err(failure) => eprintln!("{name}, try {number} of {TRIES_MAX} failed: {failure}"),
        }
    }
    attempt()
}

fn load(
    plan: &Plan,
    server: &mut Server,
    name: &str,
    shape: Shape,
    time: Duration,
    scripts: &Scripts,
) -> Result<Outcome, Failure> {
    let core = match shape.shares_core {
        true => plan.server_core,
        false => plan.client_core,
    };
    let target = Target {
        address: server.address,
        socket: server.socket(),
        shape,
        time,
        scripts,
    };
    let outcome = generator::run(plan, &target, core);
    // What one that has ended did not answer is not the generator's fault, and its CPU time is gone.
    server.check_alive(name)?;
    outcome
}

fn one_round(
    plan: &Plan,
    server: &mut Server,
    name: &str,
    shape: Shape,
    scripts: &Scripts,
) -> Result<Figures, Failure> {
    let (cpu, start) = (process_tree::cpu_seconds(server.id()), Instant::now());
    let outcome = load(plan, server, name, shape, plan.time, scripts)?;
    let elapsed = start.elapsed().as_secs_f64();
    let cpu = process_tree::cpu_seconds(server.id()) - cpu;
    // While it warms up that may be: wrk takes a second to open thousands of connections.
    if outcome.done == 0 {
        let text = format!("{name} answered nothing, with {} errors", outcome.errors);
        return Err(Failure::Run(text));
    }
    Ok(Figures {
        cpu_micros: cpu * 1e6 / outcome.done as f64,
        per_second: outcome.done as f64 / outcome.seconds,
        busy_percent: cpu * 100.0 / elapsed,
        errors: outcome.errors,
        times: outcome.times,
    })
}

impl Rounds {
    fn push(&mut self, figures: Figures) {
        self.cpu_micros.push(figures.cpu_micros);
        self.per_second.push(figures.per_second);
        self.busy_percent.push(figures.busy_percent);
        self.errors.push(figures.errors);
        self.times.push(figures.times);
    }

    /// The median over the rounds, where the generator told it.
    fn millis(&self, of: impl Fn(&Times) -> f64) -> String {
        let told: Vec<f64> = self.times.iter().flatten().map(of).collect();
        median(&told).map_or_else(|| "-".to_owned(), |millis| format!("{millis:.3}"))
    }

    fn truncate(&mut self, rounds: usize) {
        self.cpu_micros.truncate(rounds);
        self.per_second.truncate(rounds);
        self.busy_percent.truncate(rounds);
        self.errors.truncate(rounds);
        self.times.truncate(rounds);
    }
}

fn tabulate(shape: Shape, costs: &[Cost<'_>], rounds: &[Rounds], servers: &[Server]) -> Table {
    let unit = shape.unit();
    let (cost_each, pace) = (format!("CPU us/{unit}"), format!("{unit}s/s"));
    let ratio = format!("to {}", costs[0].recipe.name);
    let head = [
        "server",
        &ratio,
        "to its floor",
        &cost_each,
        "least - most",
        &pace,
        "p50 ms",
        "p99 ms",
        "core busy",
        "errors",
        "RSS KiB",
    ];
    let mut table = Table::new(&head);
    for (index, cost) in costs.iter().enumerate() {
        let own = &rounds[index];
        let (least, most) = own
            .cpu_micros
            .iter()
            .fold((f64::MAX, 0.0_f64), |(least, most), value| {
                (least.min(*value), most.max(*value))
            });
        let middle = |values: &[f64]| median(values).unwrap_or(f64::NAN);
        table.row(vec![
            cost.recipe.name.clone(),
            format!("{:.3}", cost.ratio(&costs[0])),
            cost.over_floor(costs)
                .map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.3}")),
            format!("{:.3}", middle(&own.cpu_micros)),
            format!("{least:.3} - {most:.3}"),
            format!("{:.0}", middle(&own.per_second)),
            own.millis(|times| times.p50_millis),
            own.millis(|times| times.p99_millis),
            format!("{:.0} %", middle(&own.busy_percent)),
            own.errors.iter().sum::<u64>().to_string(),
            process_tree::memory(servers[index].id())
                .rss_kib
                .to_string(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Fails so often, then succeeds; gives the number of tries too.
    fn tries(failures: usize) -> (Result<usize, Failure>, usize) {
        let mut tries = 0;
        let result = retried("a server", || {
            tries += 1;
            match tries > failures {
                true => Ok(tries),
                false => Err(Failure::Run(format!("failure {tries}"))),
            }
        });
        (result, tries)
    }

    #[test]
    fn a_failure_is_tried_again_a_bounded_number_of_times() {
        for failures in 0..TRIES_MAX {
            let (result, tries) = tries(failures);
            assert_eq!((result.unwrap(), tries), (failures + 1, failures + 1));
        }
        let (result, tries) = tries(usize::MAX);
        assert_eq!(tries, TRIES_MAX);
        let last = format!("failure {TRIES_MAX}");
        assert_eq!(result.unwrap_err().to_string(), last);
    }

    #[test]
    fn a_round_that_is_not_whole_leaves_no_trace() {
        let figures = |errors| Figures {
            cpu_micros: 1.0,
            per_second: 2.0,
            busy_percent: 3.0,
            errors,
            times: None,
        };
        let mut rounds = Rounds::default();
        rounds.push(figures(4));
        let whole = rounds.clone();
        rounds.push(figures(5));
        rounds.truncate(1);
        assert_eq!(rounds, whole);
    }
}
