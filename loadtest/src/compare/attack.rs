//! What an honest client feels while thousands trickle: each server started afresh, the honest client alone, then the same
//! client beside the attack.

use std::process::Stdio;
use std::time::Duration;

use crate::arguments::Failure;

use super::Plan;
use super::child::{Pinned, pinned_to};
use super::json;
use super::measured::{Absent, Measured};
use super::recipe::Recipe;
use super::scenario::Part;
use super::server::Server;
use super::steal::Steal;
use super::table::Table;
use super::wire::Demand;

/// Sent before recording begins, by the honest client.
const WARM_UP: Duration = Duration::from_secs(1);

/// How much longer than planned a client may take: its last requests time out after ten seconds.
const SLACK: Duration = Duration::from_secs(30);

/// Measures all servers, one after the other.
pub(crate) fn measure(plan: &Plan, recipes: &[Recipe], part: Part) -> Result<Measured, Failure> {
    let mut table = Table::new(&[
        "server",
        "p99 ms alone",
        "p99 ms attacked",
        "lag p99 ms",
        "failed",
        "attackers",
        "cut",
        "answered",
        "cut after s, p50",
        "max",
    ]);
    let cores = [plan.server_core, plan.client_core];
    let steal = Steal::read(cores);
    let mut absent = Absent::default();
    let attempt = |recipe: &Recipe| measure_one(plan, recipe, part);
    let rows = absent.except(plan, recipes, Demand::PLAIN, attempt)?;
    rows.into_iter().for_each(|row| table.row(row));
    let failure = absent.note(&mut table);
    table.note(format!(
        "{} honest requests over {} s each, from their intended start; the attack opens during the {} s before, and each \
         attacker sends a byte every 5 s. Lag is how late the honest client itself sent while attacked.",
        plan.rate,
        plan.attack_time.as_secs_f64(),
        WARM_UP.as_secs_f64(),
    ));
    if part == Part::Body {
        table.note(
            "The slow bodies go to /echo. A server that answers at once, as one does that has no such path, is not under attack."
                .to_owned(),
        );
    }
    let [servers, clients] = Steal::read(cores).percent_since(steal);
    table.note(format!(
        "Stolen meanwhile: {servers:.1} % of the servers' core, {clients:.1} % of the clients'."
    ));
    Ok(Measured {
        table,
        column: None,
        agreement: None,
        was_disturbed: false,
        failure,
    })
}

/// One server's row.
fn measure_one(plan: &Plan, recipe: &Recipe, part: Part) -> Result<Vec<String>, Failure> {
    let server = Server::start(recipe, plan, Demand::PLAIN)?;
    let alone = honest(plan, &server)?.output(plan.attack_time + WARM_UP + SLACK)?;
    let attack = slowloris(plan, &server, part)?;
    let attacked = honest(plan, &server)?.output(plan.attack_time + WARM_UP + SLACK)?;
    let attack = attack.output(plan.attack_time + WARM_UP + SLACK)?;
    let [alone, attacked, attack] = [alone, attacked, attack].map(|text| {
        eprintln!("attack on {}: {}", recipe.name, text.trim());
        json::read(&text).unwrap_or_default()
    });
    let figure = |report, path: &[&str]| json::number(report, path).unwrap_or(f64::NAN);
    let seconds = |which| match json::number(&attack, &["lifetime_s", which]) {
        Some(seconds) => format!("{seconds:.3}"),
        None => "-".to_owned(),
    };
    let answered = json::counts(&attack, "endings");
    Ok(vec![
        recipe.name.clone(),
        format!("{:.3}", figure(&alone, &["latency_ms", "p99"])),
        format!("{:.3}", figure(&attacked, &["latency_ms", "p99"])),
        format!("{:.3}", figure(&attacked, &["lag_ms", "p99"])),
        format!(
            "{:.0}",
            figure(&alone, &["failed"]) + figure(&attacked, &["failed"])
        ),
        format!("{:.0}", figure(&attack, &["opened"])),
        format!("{:.0}", figure(&attack, &["cut"])),
        if answered.is_empty() {
            "-".to_owned()
        } else {
            answered
        },
        seconds("p50"),
        seconds("max"),
    ])
}

fn honest(plan: &Plan, server: &Server) -> Result<Pinned, Failure> {
    let mut command = pinned_to(plan.client_core, plan.programs.join("honest"));
    command.args([
        "--addr",
        &server.address.to_string(),
        "--rate",
        &plan.rate,
        "--json",
    ]);
    command.args([
        "--warm-up",
        &seconds(WARM_UP),
        "--duration",
        &seconds(plan.attack_time),
    ]);
    Pinned::start("honest", command.stdout(Stdio::piped()))
}

fn slowloris(plan: &Plan, server: &Server, part: Part) -> Result<Pinned, Failure> {
    let mut command = pinned_to(plan.client_core, plan.programs.join("slowloris"));
    command.args([
        "--addr",
        &server.address.to_string(),
        "--connections",
        &plan.attackers.to_string(),
        "--json",
    ]);
    // It outlasts the honest client, so all of that client's time is under attack.
    command.args(["--duration", &seconds(plan.attack_time + WARM_UP * 2)]);
    match part {
        Part::Head => command.args(["--mode", "head", "--path", "/hello"]),
        Part::Body => command.args(["--mode", "body", "--path", "/echo"]),
    };
    Pinned::start("slowloris", command.stdout(Stdio::piped()))
}

fn seconds(time: Duration) -> String {
    format!("{:.3}s", time.as_secs_f64())
}
