//! CPU time per request: rounds over all servers, each round in another order, all servers running (those not asked sleep).

use std::fs;
use std::time::{Duration, Instant};

use lanner_loadtest::arguments::Failure;

use crate::recipe::Recipe;
use crate::scenario::Shape;
use crate::server::Server;
use crate::shuffle::Shuffle;
use crate::steal::Steal;
use crate::table::{Table, median};
use crate::{Plan, process_tree, wrk};

/// Load before the first round: caches, pools and the branch predictor.
const WARM_UP: Duration = Duration::from_secs(1);

const PIPELINE_SCRIPT: &str = include_str!("../../../rivals/pipeline.lua");

/// One server's rounds, in order.
#[derive(Clone, Debug, Default)]
struct Rounds {
    cpu_micros: Vec<f64>,
    requests_per_second: Vec<f64>,
    /// Share of the server's core that it used.
    busy_percent: Vec<f64>,
    errors: u64,
}

/// Measures all servers.
pub(crate) fn measure(plan: &Plan, recipes: &[Recipe], shape: Shape) -> Result<Table, Failure> {
    let script = Script::write()?;
    let servers = recipes
        .iter()
        .map(|recipe| Server::start(recipe, plan))
        .collect::<Result<Vec<_>, _>>()?;
    for server in &servers {
        wrk::run(
            plan.client_core,
            server.address,
            shape,
            plan.mixed_heads,
            WARM_UP,
            &script.0,
        )?;
    }
    let mut rounds = vec![Rounds::default(); servers.len()];
    let mut shuffle = Shuffle::new(plan.seed);
    let mut stolen_most = [0.0_f64; 2];
    for round in 0..plan.rounds {
        for index in shuffle.order(servers.len()) {
            let steal = Steal::read([plan.server_core, plan.client_core]);
            one_round(plan, &servers[index], shape, &script, &mut rounds[index])?;
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
    let mut table = tabulate(recipes, &rounds, &servers);
    table.note(format!(
        "Most stolen in a round: {:.1} % of the servers' core, {:.1} % of the load's.",
        stolen_most[0], stolen_most[1]
    ));
    Ok(table)
}

fn one_round(
    plan: &Plan,
    server: &Server,
    shape: Shape,
    script: &Script,
    rounds: &mut Rounds,
) -> Result<(), Failure> {
    let (cpu, start) = (process_tree::cpu_seconds(server.id()), Instant::now());
    let outcome = wrk::run(
        plan.client_core,
        server.address,
        shape,
        plan.mixed_heads,
        plan.time,
        &script.0,
    )?;
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

fn tabulate(recipes: &[Recipe], rounds: &[Rounds], servers: &[Server]) -> Table {
    let head = [
        "server",
        "CPU us/request",
        "least - most",
        "ratio",
        "requests/s",
        "core busy",
        "errors",
        "RSS KiB",
    ];
    let mut table = Table::new(&head);
    for (index, recipe) in recipes.iter().enumerate() {
        let own = &rounds[index];
        let (least, most) = own
            .cpu_micros
            .iter()
            .fold((f64::MAX, 0.0_f64), |(least, most), value| {
                (least.min(*value), most.max(*value))
            });
        let middle = |values: &[f64]| median(values).unwrap_or(f64::NAN);
        table.row(vec![
            recipe.name.clone(),
            format!("{:.3}", middle(&own.cpu_micros)),
            format!("{least:.3} - {most:.3}"),
            format!("{:.3}", ratio(&own.cpu_micros, &rounds[0].cpu_micros)),
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

/// The median of the ratios within each round: the machine drifts less within a round than over the run.
fn ratio(own: &[f64], first: &[f64]) -> f64 {
    let ratios: Vec<f64> = own
        .iter()
        .zip(first)
        .map(|(own, first)| own / first)
        .collect();
    median(&ratios).unwrap_or(f64::NAN)
}

/// The script as a file, for wrk reads no other.
#[derive(Debug)]
struct Script(std::path::PathBuf);

impl Script {
    fn write() -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("side-by-side-{}.lua", std::process::id()));
        fs::write(&path, PIPELINE_SCRIPT).map_err(Failure::of("wrk's script"))?;
        Ok(Self(path))
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_taken_within_rounds() {
        // The machine became three times slower after the first round; the ratio is still two in most rounds.
        assert_eq!(ratio(&[2.0, 6.0, 9.0], &[1.0, 3.0, 3.0]), 2.0);
        assert_eq!(ratio(&[1.0, 3.0], &[1.0, 3.0]), 1.0);
    }
}
