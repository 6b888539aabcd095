//! CPU time per request: rounds over all servers, each round in another order, all servers running (those not asked sleep).
//! Where several generators were asked for, each of them sends each server's load in every round.
//!
//! A server that does not answer as it should, or that a load fails with for good, is left out with what it said, or keeps the
//! rounds that it had; the others are measured all the same, and the failure is told in the end.

use std::time::Duration;

use crate::arguments::Failure;

use super::agreement::{Account, Agreement};
use super::engine::{Engine, Senders};
use super::floor::{self, Cost};
use super::generator::{Sent, Target};
use super::measured::{Absent, Measured, reason};
use super::recipe::Recipe;
use super::round::{Figures, Rounds};
use super::scenario::Shape;
use super::scripts::Scripts;
use super::server::Server;
use super::shuffle::Shuffle;
use super::steal::{Steal, Taken};
use super::summary::Column;
use super::table::{Table, median};
use super::{Plan, generator, process_tree};

/// How often a round is tried. A machine that stood still, or a `wrk` that was not let in, must not cost the rounds before it.
const TRIES_MAX: usize = 3;

/// A generator that uses this share of its core cannot send more; a server that uses as much cannot answer more.
const BUSY_PERCENT: f64 = 90.0;

/// A server that takes part.
#[derive(Debug)]
struct Contender<'a> {
    recipe: &'a Recipe,
    server: Server,
}

/// One generator with one server.
#[derive(Debug)]
struct Seat {
    contender: usize,
    engine: Engine,
    rounds: Rounds,
    /// Why there are no more rounds.
    failure: Option<String>,
}

/// What is sent, and by whom.
#[derive(Debug)]
struct Load<'a> {
    plan: &'a Plan,
    shape: Shape,
    senders: Senders,
    scripts: Scripts,
}

/// Measures all servers that can bear this load.
pub(crate) fn measure(
    plan: &Plan,
    recipes: &[Recipe],
    word: &str,
    shape: Shape,
) -> Result<Measured, Failure> {
    let load = Load {
        plan,
        shape,
        senders: Senders::of(plan, shape)?,
        scripts: Scripts::write()?,
    };
    let mut absent = Absent::default();
    let ready = |recipe| {
        let server = load.ready(recipe)?;
        Ok(Contender { recipe, server })
    };
    let mut contenders = absent.except(plan, recipes, shape.demand(), ready)?;
    let mut seats = load.seats(contenders.len());
    let taken = load.play(&mut contenders, &mut seats, &mut absent);
    let (table, column) = load.tabulate(word, &contenders, &seats);
    let mut unfinished = unfinished(plan, &contenders, &seats);
    let Some(mut table) = table else {
        return Err(Failure::Run(unfinished.remove(0)));
    };
    unfinished.into_iter().for_each(|note| table.note(note));
    let failure = absent.note(&mut table);
    let was_disturbed = taken.iter().any(|taken| taken.disturbs());
    table.note(format!(
        "{}ost that others had in a round: {} of the servers' core, {} of the load's.",
        if was_disturbed {
            "THE MACHINE WAS NOT QUIET. M"
        } else {
            "M"
        },
        taken[0],
        taken[1]
    ));
    let accounts = seats.into_iter().filter(|seat| seat.rounds.count() > 0);
    let account = |seat: Seat| Account {
        server: contenders[seat.contender].recipe.name.clone(),
        engine: seat.engine,
        rounds: seat.rounds,
    };
    Ok(Measured {
        table,
        column: Some(column),
        agreement: Agreement::of(word, shape, accounts.map(account).collect()),
        was_disturbed,
        failure,
    })
}

impl Load<'_> {
    /// A server that answers as it should, and has done so for a while: caches, pools and the branch predictor are warm.
    fn ready(&self, recipe: &Recipe) -> Result<Server, Failure> {
        let mut server = Server::start(recipe, self.plan, self.shape.demand())?;
        let (engine, time) = (self.senders.first(), self.plan.warm_up());
        retried(&recipe.name, || {
            self.send(engine, &mut server, &recipe.name, Duration::ZERO, time)
        })?;
        Ok(server)
    }

    /// Every generator with every server.
    fn seats(&self, contenders: usize) -> Vec<Seat> {
        let pairs = (0..contenders).flat_map(|contender| {
            self.senders
                .engines
                .iter()
                .map(move |engine| (contender, *engine))
        });
        let seat = |(contender, engine)| Seat {
            contender,
            engine,
            rounds: Rounds::default(),
            failure: None,
        };
        pairs.map(seat).collect()
    }

    /// Goes through all rounds; gives what others had of each core in the worst of them.
    fn play(
        &self,
        contenders: &mut [Contender<'_>],
        seats: &mut [Seat],
        absent: &mut Absent,
    ) -> [Taken; 2] {
        let plan = self.plan;
        let mut shuffle = Shuffle::new(plan.seed);
        let mut most = [Taken::default(); 2];
        for round in 0..plan.rounds {
            for index in shuffle.order(seats.len()) {
                if plan.interruption.is_wanted() {
                    absent.fail(plan.interrupted());
                    return most;
                }
                let seat = &mut seats[index];
                if seat.failure.is_some() {
                    continue;
                }
                let contender = &mut contenders[seat.contender];
                let name = &contender.recipe.name;
                let tried = retried(name, || {
                    self.watched_round(seat.engine, &mut contender.server, name)
                });
                let (figures, taken) = match tried {
                    Ok(told) => told,
                    // A terminal's Ctrl-C ends the servers too.
                    Err(_) if plan.interruption.is_wanted() => {
                        absent.fail(plan.interrupted());
                        return most;
                    }
                    Err(wrong) => {
                        seat.failure = Some(reason(&wrong));
                        absent.fail(wrong);
                        continue;
                    }
                };
                most = [0, 1].map(|core| most[core].or_more(taken[core]));
                eprintln!(
                    "round {} of {}: {name} by {} {:.3} us, {:.0}/s; others had {} and {}",
                    round + 1,
                    plan.rounds,
                    seat.engine,
                    figures.server_micros,
                    figures.per_second,
                    taken[0],
                    taken[1],
                );
                seat.rounds.push(figures);
            }
        }
        most
    }

    /// A round, and what others had of the two cores meanwhile.
    fn watched_round(
        &self,
        engine: Engine,
        server: &mut Server,
        name: &str,
    ) -> Result<(Figures, [Taken; 2]), Failure> {
        let cores = [self.plan.server_core, self.plan.client_core];
        let before = Steal::read(cores);
        let figures = self.round(engine, server, name)?;
        let ours = match self.shape.shares_core {
            true => [figures.server_percent + figures.load_percent, 0.0],
            false => [figures.server_percent, figures.load_percent],
        };
        let taken = Steal::read(cores).taken_since(before, ours);
        Ok((figures, taken))
    }

    fn round(&self, engine: Engine, server: &mut Server, name: &str) -> Result<Figures, Failure> {
        let (warm_up, time) = (self.plan.warm_up(), self.plan.time);
        let cpu = process_tree::cpu_seconds(server.id());
        let sent = self.send(engine, server, name, warm_up, time)?;
        let cpu = process_tree::cpu_seconds(server.id()) - cpu;
        // While it warms up that may be: wrk takes a second to open thousands of connections.
        if sent.outcome.done == 0 {
            let errors = sent.outcome.errors;
            let text = format!("{name} answered nothing to {engine}, with {errors} errors");
            return Err(Failure::Run(text));
        }
        // What is dear or cheap about refusals compares nothing.
        if sent.outcome.errors >= sent.outcome.done {
            let (done, errors) = (sent.outcome.done, sent.outcome.errors);
            let text = format!("{name} answered {done} requests of {engine}, with {errors} errors");
            return Err(Failure::Run(text));
        }
        Ok(Figures::of(&sent, cpu))
    }

    fn send(
        &self,
        engine: Engine,
        server: &mut Server,
        name: &str,
        warm_up: Duration,
        time: Duration,
    ) -> Result<Sent, Failure> {
        let core = match self.shape.shares_core {
            true => self.plan.server_core,
            false => self.plan.client_core,
        };
        let target = Target {
            address: server.address,
            socket: server.socket(),
            shape: self.shape,
            warm_up,
            time,
            scripts: &self.scripts,
        };
        let sent = generator::run(self.plan, engine, &target, core);
        // What one that has ended did not answer is not the generator's fault, and its CPU time is gone.
        server.check_alive(name)?;
        sent
    }

    /// What the first generator found, if it found anything.
    fn tabulate(
        &self,
        word: &str,
        contenders: &[Contender<'_>],
        seats: &[Seat],
    ) -> (Option<Table>, Column) {
        let first = self.senders.first();
        let is_told = |seat: &&Seat| seat.engine == first && seat.rounds.count() > 0;
        let seats: Vec<&Seat> = seats.iter().filter(is_told).collect();
        let micros: Vec<Vec<f64>> = seats
            .iter()
            .map(|seat| seat.rounds.all(|figures| figures.server_micros))
            .collect();
        let costs: Vec<Cost<'_>> = seats
            .iter()
            .zip(&micros)
            .map(|(seat, cpu_micros)| Cost {
                recipe: contenders[seat.contender].recipe,
                cpu_micros,
            })
            .collect();
        let column = Column::of_load(word, self.shape, &costs);
        if costs.is_empty() {
            return (None, column);
        }
        let rounds: Vec<&Rounds> = seats.iter().map(|seat| &seat.rounds).collect();
        let memory = |seat: &&Seat| process_tree::memory(contenders[seat.contender].server.id());
        let rss_kib: Vec<u64> = seats.iter().map(|seat| memory(seat).rss_kib).collect();
        let mut table = table(self.shape, &costs, &rounds, &rss_kib);
        table.note(match self.senders.engines.len() {
            1 => format!("Sent by {first}."),
            _ => format!("Sent by {first}; what other generators found is told apart."),
        });
        for objection in &self.senders.objections {
            table.note(format!("Not sent by every generator: {objection}."));
        }
        if !self.shape.shares_core {
            let names: Vec<&str> = costs.iter().map(|cost| cost.recipe.name.as_str()).collect();
            bottleneck(&names, &rounds)
                .into_iter()
                .for_each(|note| table.note(note));
        }
        for verdict in floor::verdicts(&costs, self.shape) {
            table.note(verdict);
        }
        (Some(table), column)
    }
}

/// Those for which there are fewer rounds than planned, and why.
fn unfinished(plan: &Plan, contenders: &[Contender<'_>], seats: &[Seat]) -> Vec<String> {
    let note = |seat: &Seat| {
        let failure = seat.failure.as_ref()?;
        let (name, engine) = (&contenders[seat.contender].recipe.name, seat.engine);
        Some(match seat.rounds.count() {
            0 => format!("{name} is LEFT OUT of what {engine} sends: {failure}"),
            count => format!(
                "{name} ENDED EARLY, with {count} of {} rounds by {engine}: {failure}",
                plan.rounds
            ),
        })
    };
    seats.iter().filter_map(note).collect()
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

/// Whose rates and latencies are the generator's, for it could not send more while the server could have answered more.
fn bottleneck(names: &[&str], rounds: &[&Rounds]) -> Option<String> {
    let is_held_up = |rounds: &&Rounds| {
        let percent = |of: fn(&Figures) -> f64| rounds.median(|figures| Some(of(figures)));
        percent(|figures| figures.load_percent) >= Some(BUSY_PERCENT)
            && percent(|figures| figures.server_percent) < Some(BUSY_PERCENT)
    };
    let pairs = names.iter().zip(rounds);
    let held_up = pairs.filter(|(_, rounds)| is_held_up(rounds));
    let held_up: Vec<&str> = held_up.map(|(name, _)| *name).collect();
    (!held_up.is_empty()).then(|| {
        format!(
            "THE GENERATOR WAS THE BOTTLENECK with {}: it used its core up and the server did not, so rate and latency there are \
             the generator's and do not compare servers. CPU time per request does.",
            held_up.join(", ")
        )
    })
}

fn table(shape: Shape, costs: &[Cost<'_>], rounds: &[&Rounds], rss_kib: &[u64]) -> Table {
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
        "server used of its core",
        "generator used of its core",
        "errors",
        "RSS KiB",
    ];
    let mut table = Table::new(&head);
    for (index, cost) in costs.iter().enumerate() {
        let own = rounds[index];
        let (least, most) = cost
            .cpu_micros
            .iter()
            .fold((f64::MAX, 0.0_f64), |(least, most), value| {
                (least.min(*value), most.max(*value))
            });
        let cell = |digits: usize, of: fn(&Figures) -> Option<f64>| {
            let median = own.median(of);
            median.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
        };
        table.row(vec![
            cost.recipe.name.clone(),
            format!("{:.3}", cost.ratio(&costs[0])),
            cost.over_floor(costs)
                .map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.3}")),
            format!("{:.3}", median(cost.cpu_micros).unwrap_or(f64::NAN)),
            format!("{least:.3} - {most:.3}"),
            cell(0, |figures| Some(figures.per_second)),
            cell(3, |figures| figures.times.p50_millis),
            cell(3, |figures| figures.times.p99_millis),
            cell(0, |figures| Some(figures.server_percent)) + " %",
            cell(0, |figures| Some(figures.load_percent)) + " %",
            own.errors().to_string(),
            rss_kib[index].to_string(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::compare::round::tests::figures;

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
    fn the_generator_is_the_bottleneck_where_its_core_is_busy_and_the_servers_is_not() {
        let rounds = |server_percent, load_percent| {
            let mut rounds = Rounds::default();
            rounds.push(Figures {
                server_percent,
                load_percent,
                ..figures(1.0, 1.0)
            });
            rounds
        };
        let all = [
            rounds(60.0, 98.0),
            rounds(97.0, 98.0),
            rounds(97.0, 60.0),
            rounds(50.0, 50.0),
        ];
        let all: Vec<&Rounds> = all.iter().collect();
        let said = bottleneck(&["a", "b", "c", "d"], &all).unwrap();
        assert!(
            said.starts_with("THE GENERATOR WAS THE BOTTLENECK with a: "),
            "{said}"
        );
        assert_eq!(bottleneck(&["b", "c", "d"], &all[1..]), None);
    }
}
