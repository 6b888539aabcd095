//! CPU time per request: rounds over all servers, each round in another order, all servers running (those not asked sleep).

use std::time::{Duration, Instant};

use lanner_loadtest::arguments::Failure;

use crate::floor::{self, Cost};
use crate::recipe::Recipe;
use crate::scenario::Shape;
use crate::scripts::Scripts;
use crate::server::Server;
use crate::shuffle::Shuffle;
use crate::steal::Steal;
use crate::summary::Column;
use crate::table::{Table, median};
use crate::{Plan, process_tree, wrk};

/// Load before the first round: caches, pools and the branch predictor.
const WARM_UP: Duration = Duration::from_secs(1);

/// One server's rounds, in order.
#[derive(Clone, Debug, Default)]
struct Rounds {
    cpu_micros: Vec<f64>,
    requests_per_second: Vec<f64>,
    /// Share of the server's core that it used.
    busy_percent: Vec<f64>,
    errors: u64,
}

/// Measures all servers that can bear this load.
pub(crate) fn measure(
    plan: &Plan,
    recipes: &[Recipe],
    shape: Shape,
) -> Result<(Table, Column), Failure> {
    let (left_out, recipes): (Vec<&Recipe>, Vec<&Recipe>) = recipes
        .iter()
        .partition(|recipe| recipe.objection(shape).is_some());
    let scripts = Scripts::write()?;
    let servers = recipes
        .iter()
        .map(|recipe| Ok(Server::start(recipe, plan, shape.close)?))
        .collect::<Result<Vec<_>, Failure>>()?;
    for server in &servers {
        load(plan, server, shape, WARM_UP, &scripts)?;
    }
    let mut rounds = vec![Rounds::default(); servers.len()];
    let mut shuffle = Shuffle::new(plan.seed);
    let mut stolen_most = [0.0_f64; 2];
    for round in 0..plan.rounds {
        for index in shuffle.order(servers.len()) {
            let steal = Steal::read([plan.server_core, plan.client_core]);
            one_round(plan, &servers[index], shape, &scripts, &mut rounds[index])?;
            let stolen = Steal::read([plan.server_core, plan.client_core]).percent_since(steal);
            stolen_most = [stolen_most[0].max(stolen[0]), stolen_most[1].max(stolen[1])];
            eprintln!(
                "round {} of {}: {} {:.3} us, {:.0}/s, stolen {:.1} % and {:.1} %",
                round + 1,
                plan.rounds,
                recipes[index].name,
                rounds[index].cpu_micros.last().unwrap_or(&f64::NAN),
                rounds[index]
                    .requests_per_second
                    .last()
                    .unwrap_or(&f64::NAN),
                stolen[0],
                stolen[1],
            );
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
    let mut table = tabulate(&costs, &rounds, &servers);
    for verdict in floor::verdicts(&costs, shape) {
        table.note(verdict);
    }
    for recipe in left_out {
        let objection = recipe.objection(shape).unwrap_or_default();
        table.note(format!("{} is left out: {objection}.", recipe.name));
    }
    table.note(format!(
        "Most stolen in a round: {:.1} % of the servers' core, {:.1} % of the load's.",
        stolen_most[0], stolen_most[1]
    ));
    Ok((table, Column::of_load(shape, &costs)))
}

fn load(
    plan: &Plan,
    server: &Server,
    shape: Shape,
    time: Duration,
    scripts: &Scripts,
) -> Result<wrk::Outcome, Failure> {
    let core = match shape.shares_core {
        true => plan.server_core,
        false => plan.client_core,
    };
    wrk::run(core, server.address, shape, plan.mixed_heads, time, scripts)
}

fn one_round(
    plan: &Plan,
    server: &Server,
    shape: Shape,
    scripts: &Scripts,
    rounds: &mut Rounds,
) -> Result<(), Failure> {
    let (cpu, start) = (process_tree::cpu_seconds(server.id()), Instant::now());
    let outcome = load(plan, server, shape, plan.time, scripts)?;
    let elapsed = start.elapsed().as_secs_f64();
    let cpu = process_tree::cpu_seconds(server.id()) - cpu;
    if outcome.requests == 0 {
        return Err(Failure::Run(format!(
            "{} answered nothing to wrk",
            server.address
        )));
    }
    rounds.cpu_micros.push(cpu * 1e6 / outcome.requests as f64);
    rounds
        .requests_per_second
        .push(outcome.requests as f64 / outcome.seconds);
    rounds.busy_percent.push(cpu * 100.0 / elapsed);
    rounds.errors += outcome.bad_statuses + outcome.socket_errors;
    Ok(())
}

fn tabulate(costs: &[Cost<'_>], rounds: &[Rounds], servers: &[Server]) -> Table {
    let head = [
        "server",
        "CPU us/request",
        "least - most",
        "ratio",
        "to its floor",
        "requests/s",
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
            format!("{:.3}", middle(&own.cpu_micros)),
            format!("{least:.3} - {most:.3}"),
            format!("{:.3}", cost.ratio(&costs[0])),
            cost.over_floor(costs)
                .map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.3}")),
            format!("{:.0}", middle(&own.requests_per_second)),
            format!("{:.0} %", middle(&own.busy_percent)),
            own.errors.to_string(),
            process_tree::memory(servers[index].id())
                .rss_kib
                .to_string(),
        ]);
    }
    table
}
