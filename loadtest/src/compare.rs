//! `lanner-loadtest compare`: servers side by side in one run: each pinned to one core, the load on another, rounds interleaved
//! in shuffled order, medians. The figure is the server's CPU time per request, which holds as long as the load generator is
//! the bottleneck; only ratios within one run mean anything.
//!
//! ```text
//! cargo build --release
//! cargo build --release --manifest-path bench/rivals/Cargo.toml --target-dir target/rivals
//! target/release/lanner-loadtest compare all --scenarios all --markdown results.md
//! ```
//!
//! What is measured is in `load.rs` (requests and handshakes, sent by an `engine`), `idle.rs` (memory) and `attack.rs` (slow
//! clients). A server is a `recipe` until it runs (`server.rs`). This file goes through the scenarios and tells what came of
//! each; tables over all of them are made in `summary.rs`, and put together to one text in `document.rs`.

use std::path::PathBuf;
use std::time::Duration;

use crate::arguments::{Arguments, Failure};
use crate::descriptors;
use crate::run::Interruption;

pub use command::PROGRAM;

use credentials::Credentials;
use document::Document;
use engine::Engine;
use measured::Measured;
use recipe::Recipe;
use scenario::Scenario;
use server::Server;
use wire::Demand;

mod agreement;
mod attack;
mod child;
mod circumstances;
mod command;
mod configuration;
mod credentials;
mod curl;
mod custom;
mod directory;
mod document;
mod engine;
mod floor;
mod generator;
mod h2load;
mod handshakes;
mod idle;
mod json;
mod load;
mod measured;
mod ours;
mod process_tree;
mod recipe;
mod round;
mod said;
mod scenario;
mod scripts;
mod server;
mod shuffle;
mod steal;
mod summary;
mod table;
mod versions;
mod wire;
mod wrk;

/// What servers open besides connections, with room to spare.
const DESCRIPTORS_OF_SERVERS: usize = 512;

/// What holds for the whole run.
#[derive(Debug)]
struct Plan {
    rounds: usize,
    time: Duration,
    /// Those that were asked for.
    engines: Vec<Engine>,
    markdown: Option<Markdown>,
    attackers: usize,
    attack_time: Duration,
    rate: String,
    seed: u64,
    server_core: usize,
    client_core: usize,
    /// Where the other programs of this build are.
    programs: PathBuf,
    credentials: Credentials,
    /// Asked between rounds, so that nothing is left behind: the servers and their files go with what holds them.
    interruption: Interruption,
}

/// Where a document of the whole run goes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Markdown {
    File(PathBuf),
    /// Standard output, where nothing else is then written.
    Standard,
}

/// Load before anything is recorded. Where rounds are shorter, it is as long as one of them.
const WARM_UP_MAX: Duration = Duration::from_secs(1);

impl Plan {
    /// For how long a load is sent before it counts, by a generator that knows a warm-up.
    fn warm_up(&self) -> Duration {
        WARM_UP_MAX.min(self.time)
    }

    /// What an interrupted run ends with.
    fn interrupted(&self) -> Failure {
        Failure::Run(format!("{}: the rest was not measured", self.interruption))
    }

    /// Tells of what was found out, as soon as it is.
    fn tell(&self, text: &str) {
        match self.markdown {
            Some(Markdown::Standard) => eprintln!("{text}"),
            Some(Markdown::File(_)) | None => println!("{text}"),
        }
    }
}

/// Does what a command line asks for, and prints the tables.
///
/// # Errors
/// The command line is wrong, a program is missing, or a server does not answer as the others do.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut plan = command::read_plan(arguments)?;
    plan.interruption = Interruption::by_signals().map_err(Failure::of("taking signals"))?;
    let mut document = Document::default();
    let scenarios = sendable(command::read_scenarios(arguments)?, &plan, &mut document)?;
    let recipes = command::read_recipes(arguments.words(), &plan)?;
    for (_, scenario) in &scenarios {
        scenario.check_programs(&plan)?;
    }
    command::check_cores(&plan)?;
    command::check_markdown(&plan)?;
    // Servers and clients inherit it.
    let connections = scenarios.iter().map(|(_, scenario)| scenario.connections());
    descriptors::reserve(connections.max().unwrap_or_default() + DESCRIPTORS_OF_SERVERS)?;
    document.circumstances = circumstances::lines(&plan);
    document.generators = generators(&plan, &scenarios)?;
    plan.tell(&document.circumstances.join("\n"));
    plan.tell("");
    for line in &document.left_out {
        plan.tell(&format!("- {line}"));
    }
    let recipes = present(recipes, &plan, &mut document)?;
    let recipes = without_refusals(recipes, &plan, &scenarios, &mut document)?;
    for line in &document.generators {
        plan.tell(&format!("- {line}"));
    }
    document.write(&plan, &recipes)?;
    let mut failure = None;
    for (word, scenario) in &scenarios {
        // What went wrong with one scenario need not with the next.
        match measure(word, *scenario, &plan, &recipes, &mut document) {
            Ok(None) => {}
            Ok(Some(wrong)) => {
                failure.get_or_insert(wrong);
            }
            Err(wrong) => {
                let text = format!("FAILED: {}\n", measured::reason(&wrong));
                plan.tell(&format!("\n### {word}\n\n{text}"));
                document.sections.push((word.clone(), text));
                failure.get_or_insert(wrong);
            }
        }
        document.write(&plan, &recipes)?;
        if plan.interruption.is_wanted() {
            failure.get_or_insert_with(|| plan.interrupted());
            break;
        }
    }
    conclude(&plan, &recipes, &document);
    failure.map_or(Ok(()), Err)
}

/// What is read across all scenarios.
fn conclude(plan: &Plan, recipes: &[Recipe], document: &Document) {
    match &plan.markdown {
        Some(Markdown::Standard) => print!("{}", document.text(recipes)),
        Some(Markdown::File(path)) => println!("\nAll of it is in {}.", path.display()),
        None => {
            if let Some(table) = agreement::ratios(&document.agreements) {
                print!("\n### How the generators agree\n\n{table}");
            }
            // One scenario's own table says it all.
            if document.columns.len() < 2 {
                return;
            }
            for (name, table) in summary::shares(recipes, &document.columns) {
                print!("\n### What {name} costs, as a share of what others do\n\n{table}");
            }
            if let Some(table) = summary::table(recipes, &document.columns) {
                print!("\n### All of it\n\n{table}");
            }
        }
    }
}

/// Measures one scenario and prints its table at once. What kept a server out of it is given, too.
fn measure(
    word: &str,
    scenario: Scenario,
    plan: &Plan,
    recipes: &[Recipe],
    document: &mut Document,
) -> Result<Option<Failure>, Failure> {
    let Measured {
        table,
        column,
        agreement,
        was_disturbed,
        failure,
    } = match scenario {
        Scenario::Load(shape) => load::measure(plan, recipes, word, shape)?,
        Scenario::Idle { connections, wire } => {
            idle::measure(plan, recipes, word, connections, wire)?
        }
        Scenario::Attack(part) => attack::measure(plan, recipes, part)?,
    };
    let heading = format!("{word}: {scenario}");
    plan.tell(&format!("\n### {heading}\n\n{table}"));
    if let Some(agreement) = &agreement {
        let figures = agreement.figures();
        plan.tell(&format!("\nBy generator:\n\n{figures}"));
    }
    if was_disturbed {
        document.disturbed.push(word.to_owned());
    }
    document.columns.extend(column);
    document.agreements.extend(agreement);
    document.sections.push((heading, table.to_string()));
    Ok(failure)
}

/// Leaves out scenarios that no generator can send of those that were asked for, or are here.
fn sendable(
    scenarios: Vec<(String, Scenario)>,
    plan: &Plan,
    document: &mut Document,
) -> Result<Vec<(String, Scenario)>, Failure> {
    let mut sendable = Vec::new();
    let mut failure = None;
    for (word, scenario) in scenarios {
        match scenario.senders(plan).err() {
            None => sendable.push((word, scenario)),
            Some(reason) => {
                let line = format!("{word} is LEFT OUT: {reason}");
                document.left_out.push(line);
                failure.get_or_insert(reason);
            }
        }
    }
    match failure {
        Some(failure) if sendable.is_empty() => Err(failure),
        _ => Ok(sendable),
    }
}

/// The versions of what will send the loads, and what one must know of each.
fn generators(plan: &Plan, scenarios: &[(String, Scenario)]) -> Result<Vec<String>, Failure> {
    let mut lines = Vec::new();
    for (_, scenario) in scenarios {
        for engine in scenario
            .senders(plan)?
            .map_or_else(Vec::new, |senders| senders.engines)
        {
            let line = format!("{}; it {}", engine.version(), engine.accounts(plan));
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    Ok(lines)
}

/// Leaves out rivals that are not here, and says how one gets them. Ours must be.
fn present(
    recipes: Vec<Recipe>,
    plan: &Plan,
    document: &mut Document,
) -> Result<Vec<Recipe>, Failure> {
    let mut present = Vec::new();
    for recipe in recipes {
        match recipe.absence() {
            None => present.push(recipe),
            Some(absence) if recipe.is_lanner() => {
                return Err(Failure::Run(format!("{}: {absence}", recipe.name)));
            }
            Some(absence) => {
                let line = format!("{}: SKIPPED, {absence}", recipe.name);
                plan.tell(&format!("- {line}"));
                document.servers.push(line);
            }
        }
    }
    match present.is_empty() {
        false => Ok(present),
        true => Err(Failure::Run("none of these servers is here".to_owned())),
    }
}

/// Leaves out what refuses to start here for any scenario, such as a driver that was not built in, and lists every server with
/// what a reader must know of it. One that refuses some scenarios is left out of those.
fn without_refusals(
    recipes: Vec<Recipe>,
    plan: &Plan,
    scenarios: &[(String, Scenario)],
    document: &mut Document,
) -> Result<Vec<Recipe>, Failure> {
    let mut demands: Vec<Demand> = Vec::new();
    for (_, scenario) in scenarios {
        // Whoever keeps connections can close them.
        let demand = Demand {
            closes: false,
            ..scenario.demand()
        };
        if !demands.contains(&demand) {
            demands.push(demand);
        }
    }
    let mut starting = Vec::new();
    for mut recipe in recipes {
        for demand in &demands {
            if let Some(reason) = Server::refusal(&recipe, plan, *demand) {
                recipe.refuse(*demand, reason);
            }
        }
        let refused = recipe.refusals().map(|(_, reason)| reason.as_str());
        let reasons: Vec<&str> = refused.collect();
        if reasons.len() == demands.len() {
            let reasons = reasons.join("; ");
            let line = format!("{}: SKIPPED, it refuses to start: {reasons}", recipe.name);
            plan.tell(&format!("- {line}"));
            document.servers.push(line);
            continue;
        }
        let mut line = format!("{}: {}", recipe.name, recipe.description());
        for (demand, reason) in recipe.refusals() {
            let wire = demand.wire.name();
            line += &format!("; LEFT OUT of {wire} with {}: {reason}", demand.group);
        }
        plan.tell(&format!("- {line}"));
        document.servers.push(line);
        starting.push(recipe);
    }
    match starting.is_empty() {
        false => Ok(starting),
        true => Err(Failure::Run("no server starts here".to_owned())),
    }
}
