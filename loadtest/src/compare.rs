//! `lanner-loadtest compare`: servers side by side in one run: each pinned to one core, the load on another, rounds interleaved in shuffled order, medians.
//! The figure is the server's CPU time per request, which holds as long as the load generator is the bottleneck; only ratios
//! within one run mean anything.
//!
//! ```text
//! cargo build --release
//! cargo build --release --manifest-path bench/rivals/Cargo.toml --target-dir target/rivals
//! target/release/lanner-loadtest compare lanner-epoll lanner-monoio nginx hyper --scenarios c64,c1000,x16,idle,slowloris
//! ```
//!
//! and the table of all drivers, over heads that vary, beside the floors of both kinds and the rivals:
//!
//! ```text
//! target/release/lanner-loadtest compare all --heads mixed --scenarios c64,same64,c1000,c8000,x16,idle8000
//! ```
//!
//! and HTTP/2 and TLS, every server with the same certificate, suite and key exchange:
//!
//! ```text
//! target/release/lanner-loadtest compare lanner-epoll lanner-uring nginx h2o hyper \
//!     --scenarios h2c-16x32,h2c-64x1,h2-tls-16x32,h2-tls-64x1,https64,handshake,handshake-pq,resumed,idle-tls,idle-h2c
//! ```
//!
//! What is measured is in `load.rs` (requests), `idle.rs` (memory) and `attack.rs` (slow clients); this file reads the command
//! line and prints.

use std::path::PathBuf;
use std::time::Duration;

use crate::arguments::{Arguments, Failure, Flag, Program};
use crate::descriptors;

use credentials::Credentials;
use recipe::{BUILT_IN, Recipe};
use scenario::Scenario;
use server::Server;
use summary::Column;
use wire::Demand;

mod attack;
mod child;
mod credentials;
mod curl;
mod directory;
mod floor;
mod generator;
mod h2load;
mod handshakes;
mod idle;
mod json;
mod load;
mod process_tree;
mod recipe;
mod scenario;
mod scripts;
mod server;
mod shuffle;
mod steal;
mod summary;
mod table;
mod wire;
mod wrk;

/// The command line.
pub const PROGRAM: Program = Program {
    name: "lanner-loadtest compare",
    about: "Measures servers against each other in one run and prints Markdown tables; ratios are to the first server.",
    words: Some((
        "SERVER",
        "lanner-DRIVER (epoll, uring, monoio, monoio-epoll, glommio; skipped if it refuses to start here), floor-epoll, \
         floor-ring, nginx, h2o, hyper, may-minihttp, `all` of these, or NAME=COMMAND: words split at blanks, {port} filled in \
         (for TLS {cert} and {key} too, files in PEM, and {scheme}, http or https), leading VARIABLE=value words become its \
         environment. It must answer /hello as the others do. Without any: \
         lanner-epoll, lanner-monoio, nginx and hyper.",
    )),
    flags: &[
        Flag {
            name: "scenarios",
            value: Some("LIST"),
            default: Some("c64,c1000,x16"),
            about: "Of cN (N connections), sameN (N connections, the load on the servers' core), xN (64 connections, N \
                    requests pipelined), close (a connection a request), \
                    h2c-CxS and h2-tls-CxS (HTTP/2, C connections with S streams each, in cleartext or over TLS), httpsN, \
                    handshake, handshake-pq (X25519MLKEM768) and resumed (TLS handshakes without a request), \
                    idleN, idle-tlsN, idle-h2cN, idle-h2-tlsN (memory of N idle connections), slowloris, \
                    slowloris-body.",
        },
        Flag {
            name: "rounds",
            value: Some("N"),
            default: Some("5"),
            about: "Rounds per load scenario.",
        },
        Flag {
            name: "time",
            value: Some("TIME"),
            default: Some("5s"),
            about: "Load per round, whole seconds.",
        },
        Flag {
            name: "heads",
            value: Some("MIX"),
            default: Some("plain"),
            about: "What wrk sends. plain: its own head; mixed: several, in turn. (h2load always sends its own.)",
        },
        Flag {
            name: "attackers",
            value: Some("N"),
            default: Some("8000"),
            about: "Connections of the slowloris scenarios.",
        },
        Flag {
            name: "attack-time",
            value: Some("TIME"),
            default: Some("25s"),
            about: "How long the honest client is measured, without and under attack.",
        },
        Flag {
            name: "rate",
            value: Some("RATE"),
            default: Some("500/s"),
            about: "Requests of the honest client.",
        },
        Flag {
            name: "seed",
            value: Some("N"),
            default: None,
            about: "Repeats the order of another run.",
        },
        Flag {
            name: "server-core",
            value: Some("N"),
            default: Some("0"),
            about: "Where servers run.",
        },
        Flag {
            name: "client-core",
            value: Some("N"),
            default: Some("1"),
            about: "Where load comes from.",
        },
    ],
};

/// What servers open besides connections, with room to spare.
const DESCRIPTORS_OF_SERVERS: usize = 512;

/// What holds for the whole run.
#[derive(Debug)]
struct Plan {
    rounds: usize,
    time: Duration,
    mixed_heads: bool,
    attackers: usize,
    attack_time: Duration,
    rate: String,
    seed: u64,
    server_core: usize,
    client_core: usize,
    /// Where the other programs of this build are.
    programs: PathBuf,
    credentials: Credentials,
}

/// Does what a command line asks for, and prints the tables.
///
/// # Errors
/// The command line is wrong, a program is missing, or a server does not answer as the others do.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let plan = read_plan(arguments)?;
    let scenarios = arguments.text("scenarios").unwrap_or_default();
    let scenarios = scenarios
        .split(',')
        .map(Scenario::read)
        .collect::<Result<Vec<_>, _>>()?;
    let recipes = read_recipes(arguments.words(), &plan)?;
    for scenario in &scenarios {
        scenario.check_programs(&plan)?;
    }
    // Servers and clients inherit it.
    let connections = scenarios.iter().map(|scenario| scenario.connections());
    descriptors::reserve(connections.max().unwrap_or_default() + DESCRIPTORS_OF_SERVERS)?;
    print_circumstances(&plan);
    let recipes = without_refusals(recipes, &plan, &scenarios)?;
    let mut columns = Vec::new();
    let outcome = scenarios
        .iter()
        .try_for_each(|scenario| measure(*scenario, &plan, &recipes, &mut columns));
    // Whatever came of it: what was measured is not lost.
    if let Some(table) = summary::table(&recipes, &columns) {
        print!("\n### All of it\n\n{table}");
    }
    outcome
}

/// Measures one scenario and prints its table at once.
fn measure(
    scenario: Scenario,
    plan: &Plan,
    recipes: &[Recipe],
    columns: &mut Vec<Column>,
) -> Result<(), Failure> {
    let (table, failure) = match scenario {
        Scenario::Load(shape) => {
            let measured = load::measure(plan, recipes, shape)?;
            columns.push(measured.column);
            (measured.table, measured.failure)
        }
        Scenario::Idle { connections, wire } => {
            let (table, column) = idle::measure(plan, recipes, connections, wire)?;
            columns.push(column);
            (table, None)
        }
        Scenario::Attack(part) => (attack::measure(plan, recipes, part)?, None),
    };
    print!("\n### {scenario}\n\n{table}");
    failure.map_or(Ok(()), Err)
}

fn read_plan(arguments: &Arguments) -> Result<Plan, Failure> {
    let time = arguments.value::<Duration>("time")?;
    if time.subsec_nanos() != 0 || !(1..=600).contains(&time.as_secs()) {
        return Err(Failure::Usage(
            "--time: expected whole seconds, 1s to 600s".to_owned(),
        ));
    }
    let program =
        std::env::current_exe().map_err(Failure::of("finding this program's own path"))?;
    let plan = Plan {
        rounds: arguments.count("rounds", 1..=1000)?,
        time,
        mixed_heads: match arguments.text("heads") {
            Some("plain") => false,
            Some("mixed") => true,
            _ => {
                return Err(Failure::Usage(
                    "--heads: expected plain or mixed".to_owned(),
                ));
            }
        },
        attackers: arguments.count("attackers", 1..=1_000_000)?,
        attack_time: arguments.value("attack-time")?,
        rate: arguments.text("rate").unwrap_or_default().to_owned(),
        seed: match arguments.value_if_given::<usize>("seed")? {
            Some(seed) => seed as u64,
            None => u64::from(std::process::id()),
        },
        server_core: arguments.count("server-core", 0..=4095)?,
        client_core: arguments.count("client-core", 0..=4095)?,
        programs: program.parent().map(PathBuf::from).unwrap_or_default(),
        credentials: Credentials::make()?,
    };
    if plan.server_core == plan.client_core {
        return Err(Failure::Usage(
            "the load would run on the servers' own core".to_owned(),
        ));
    }
    Ok(plan)
}

fn read_recipes(words: &[String], plan: &Plan) -> Result<Vec<Recipe>, Failure> {
    let mut named = Vec::new();
    for word in words {
        match word.as_str() {
            "all" => named.extend(BUILT_IN),
            word => named.push(word),
        }
    }
    if named.is_empty() {
        named.extend(["lanner-epoll", "lanner-monoio", "nginx", "hyper"]);
    }
    let recipes = named
        .into_iter()
        .map(|word| Recipe::read(word, &plan.programs))
        .collect::<Result<Vec<_>, _>>()?;
    for (index, recipe) in recipes.iter().enumerate() {
        if recipes[..index]
            .iter()
            .any(|earlier| earlier.name == recipe.name)
        {
            return Err(Failure::Usage(format!(
                "two servers are called {}",
                recipe.name
            )));
        }
    }
    Ok(recipes)
}

/// Leaves out what refuses to start here for any scenario, such as a driver that was not built in, and lists every server with
/// what a reader must know of it. One that refuses some scenarios is left out of those.
fn without_refusals(
    recipes: Vec<Recipe>,
    plan: &Plan,
    scenarios: &[Scenario],
) -> Result<Vec<Recipe>, Failure> {
    let mut demands: Vec<Demand> = Vec::new();
    for scenario in scenarios {
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
            if let Some(reason) = Server::refusal(&recipe, plan, *demand)? {
                recipe.refuse(*demand, reason);
            }
        }
        let refused = recipe.refusals().map(|(_, reason)| reason.as_str());
        let reasons: Vec<&str> = refused.collect();
        if reasons.len() == demands.len() {
            let reasons = reasons.join("; ");
            println!("- {}: SKIPPED, it refuses to start: {reasons}", recipe.name);
            continue;
        }
        println!("- {}: {}", recipe.name, recipe.description());
        for (demand, reason) in recipe.refusals() {
            let wire = demand.wire.name();
            println!("  LEFT OUT of {wire} with {}: {reason}", demand.group);
        }
        starting.push(recipe);
    }
    match starting.is_empty() {
        false => Ok(starting),
        true => Err(Failure::Run("no server starts here".to_owned())),
    }
}

/// What a reader must know to judge the figures.
fn print_circumstances(plan: &Plan) {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .unwrap_or("unknown");
    println!(
        "Linux {}, CPU {}.",
        kernel.trim(),
        cpu.trim_start_matches([' ', '\t', ':'])
    );
    println!(
        "Servers on core {}, load on core {}, {} rounds of {} s in shuffled order (seed {}), {} heads.\n",
        plan.server_core,
        plan.client_core,
        plan.rounds,
        plan.time.as_secs(),
        plan.seed,
        if plan.mixed_heads { "mixed" } else { "plain" },
    );
}
