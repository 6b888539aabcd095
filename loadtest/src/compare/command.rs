//! The command line of `lanner-loadtest compare`.

use std::fs::OpenOptions;
use std::path::PathBuf;
use std::time::Duration;

use rustix::thread::{CpuSet, sched_getaffinity};

use crate::arguments::{Arguments, Failure, Flag, Program};
use crate::run::Interruption;

use super::credentials::Credentials;
use super::engine::Engine;
use super::recipe::{BUILT_IN, Recipe};
use super::scenario::{self, Scenario};
use super::{Markdown, Plan};

/// What is compared where no server is named: ours on each driver that is not there for comparisons only, the floors of both
/// kinds, and the rivals.
const USUAL: [&str; 9] = [
    "lanner-epoll",
    "lanner-uring",
    "lanner-monoio",
    "floor-epoll",
    "floor-ring",
    "nginx",
    "h2o",
    "haproxy",
    "hyper",
];

/// See the file's comment.
pub const PROGRAM: Program = Program {
    name: "lanner-loadtest compare",
    about: "Measures servers against each other in one run: each pinned to one core, the load on another, its answer verified \
            first, rounds interleaved, medians; the figure is the server's CPU time per request. Prints Markdown tables; \
            ratios are to the first server.",
    words: Some((
        "SERVER...",
        "lanner-DRIVER (epoll, uring, monoio, monoio-epoll, glommio; skipped if it refuses to start here), floor-epoll, \
         floor-ring, nginx, h2o, haproxy, hyper, may-minihttp, `all` of these, or NAME=COMMAND: words split at blanks (quotes mean nothing), {port} \
         filled in (for TLS {cert} and {key} too, files in PEM, {scheme}, http or https, and {socket}, the path of a unix \
         socket), leading VARIABLE=value words become its environment. It must answer /hello as the others do. What is not \
         installed is skipped. Without any: lanner-epoll, lanner-uring, lanner-monoio, both floors, nginx, h2o, haproxy and hyper.",
    )),
    flags: &[
        Flag {
            name: "scenarios",
            value: Some("LIST"),
            default: Some("plain,1000,pipelined"),
            about: "What is measured, separated by commas; `all` is every one of the first table: each kind of scenario once.

        plain           c64             64 connections, a request at a time
        1000            c1000           1,000 connections
        8000            c8000           8,000 connections
        mixed           mixed64         64 connections, heads of several clients in turn (wrk alone sends them)
        pipelined       x16             64 connections, 16 requests at once
        close           close           a connection a request
        same-core       same64          64 connections, the load on the servers' core
        unix            unix64          64 connections over a unix socket
        tls             https64         64 connections over TLS
        tls-handshake   handshake       full TLS handshakes without a request
        tls-resumed     resumed         the same with tickets
        handshake-pq    handshake-pq    full ones with X25519MLKEM768
        h2c             h2c-16x32       HTTP/2 in cleartext, 16 connections with 32 streams
        h2              h2-tls-16x32    the same over TLS
        idle8000        idle8000        memory of 8,000 idle connections
        idle-tls8000    idle-tls8000    the same over TLS
        idle-h2c4000    idle-h2c4000    memory of 4,000 idle connections of HTTP/2
        idle-h2-tls4000 idle-h2-tls4000 the same over TLS
        slowloris       slowloris       an honest client beside slow heads
        slowloris-body  slowloris-body  an honest client beside slow bodies

      Others, for any N, C and S:

        cN, mixedN, xN, sameN, unixN, httpsN, h2c-CxS, h2-tls-CxS, idleN, idle-tlsN, idle-h2cN, idle-h2-tlsN

      Static files and a reverse proxy have none: lanner does not serve them yet. What no generator can send that was asked \
      for, or is here, is left out with its reason.",
        },
        Flag {
            name: "engine",
            value: Some("LIST"),
            default: None,
            about: "What sends the requests: lanner (`lanner-loadtest run`), wrk or h2load. Of several, separated by commas, each \
                    sends every load that it can to every server in every round: the first is what servers are compared by, and \
                    a section tells how far they agree and what they cost themselves. Without it: over TCP wrk for HTTP/1.1 and \
                    h2load for HTTP/2 where they are installed, else lanner. Handshakes are made by `handshakes`.",
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
            about: "Load per round; wrk and h2load take whole seconds.",
        },
        Flag {
            name: "markdown",
            value: Some("FILE"),
            default: None,
            about: "Writes one document there, ratios first, with machine, versions, command and date; - is standard output.",
        },
        Flag {
            name: "heads",
            value: Some("MIX"),
            default: Some("plain"),
            about: "Heads of every load in HTTP/1.1. plain: the generator's own; mixed: those of several clients in turn, as in \
                    the scenario `mixed`, which wrk alone sends.",
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

/// The least that a load is worth.
const TIME_MIN: Duration = Duration::from_millis(100);
const TIME_MAX: Duration = Duration::from_secs(600);

/// Reads what holds for the whole run.
pub(super) fn read_plan(arguments: &Arguments) -> Result<Plan, Failure> {
    let time = arguments.value::<Duration>("time")?;
    if !(TIME_MIN..=TIME_MAX).contains(&time) {
        return Err(Failure::Usage("--time: expected 100ms to 600s".to_owned()));
    }
    let program =
        std::env::current_exe().map_err(Failure::of("finding this program's own path"))?;
    let plan = Plan {
        rounds: arguments.count("rounds", 1..=1000)?,
        time,
        engines: match arguments.text("engine") {
            Some(list) => Engine::read_list(list)?,
            None => Vec::new(),
        },
        markdown: arguments.text("markdown").map(|place| match place {
            "-" => Markdown::Standard,
            path => Markdown::File(PathBuf::from(path)),
        }),
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
        interruption: Interruption::default(),
    };
    if plan.server_core == plan.client_core {
        return Err(Failure::Usage(
            "the load would run on the servers' own core".to_owned(),
        ));
    }
    Ok(plan)
}

/// That both cores are there, before a server is blamed for not starting on one that is not.
pub(super) fn check_cores(plan: &Plan) -> Result<(), Failure> {
    let allowed = sched_getaffinity(None)
        .map_err(|error| Failure::of("asking for this process's cores")(error.into()))?;
    let cores = [
        ("server-core", plan.server_core),
        ("client-core", plan.client_core),
    ];
    for (flag, core) in cores {
        if core < CpuSet::MAX_CPU && allowed.is_set(core) {
            continue;
        }
        let here = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        let here: Vec<String> = here.map(|core| core.to_string()).collect();
        return Err(Failure::Usage(format!(
            "--{flag} {core}: this process may run on {} only",
            here.join(", ")
        )));
    }
    Ok(())
}

/// That the document can be written, before hours are spent on it.
pub(super) fn check_markdown(plan: &Plan) -> Result<(), Failure> {
    let Some(Markdown::File(path)) = &plan.markdown else {
        return Ok(());
    };
    let mut options = OpenOptions::new();
    let opened = options.append(true).create(true).open(path).map(drop);
    opened.map_err(Failure::of(&format!("--markdown {}", path.display())))
}

/// Reads what to measure.
pub(super) fn read_scenarios(arguments: &Arguments) -> Result<Vec<(String, Scenario)>, Failure> {
    let mixed = match arguments.text("heads") {
        Some("plain") => false,
        Some("mixed") => true,
        _ => {
            let text = "--heads: expected plain or mixed".to_owned();
            return Err(Failure::Usage(text));
        }
    };
    scenario::read_list(arguments.text("scenarios").unwrap_or_default(), mixed)
}

/// Reads whom to compare.
pub(super) fn read_recipes(words: &[String], plan: &Plan) -> Result<Vec<Recipe>, Failure> {
    let mut named = Vec::new();
    for word in words {
        match word.as_str() {
            "all" => named.extend(BUILT_IN),
            word => named.push(word),
        }
    }
    if named.is_empty() {
        named.extend(USUAL);
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

/// The plan of these words, for tests.
#[cfg(test)]
pub(super) fn plan_of(words: &[&str]) -> Plan {
    use crate::arguments::Invocation;
    match PROGRAM.read(words.iter().map(|&word| word.to_owned())) {
        Ok(Invocation::Run(arguments)) => match read_plan(&arguments) {
            Ok(plan) => plan,
            Err(failure) => panic!("{failure}"),
        },
        other => panic!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::arguments::Invocation;

    fn refusal(line: &str) -> String {
        let words = line.split_whitespace().map(str::to_owned);
        let Invocation::Run(arguments) = PROGRAM.read(words).unwrap() else {
            panic!("{line} asks for help");
        };
        let refused = read_plan(&arguments).and_then(|_| read_scenarios(&arguments));
        refused.err().unwrap().to_string()
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (line, said) in [
            ("--time 50ms", "100ms to 600s"),
            ("--time 601s", "100ms to 600s"),
            ("--engine ab", "lanner, wrk or h2load"),
            ("--engine wrk,wrk", "stands there twice"),
            ("--heads odd", "plain or mixed"),
            ("--scenarios plain,fast", "`fast` is no scenario"),
            ("--rounds 0", "--rounds 0"),
            ("--server-core 1", "the servers' own core"),
        ] {
            let error = refusal(line);
            assert!(error.contains(said), "{line}: {error}");
        }
    }

    #[test]
    fn a_core_that_is_not_here_is_refused_with_those_that_are() {
        for (flag, core) in [("--server-core", "4095"), ("--client-core", "4094")] {
            let plan = plan_of(&[flag, core]);
            let error = check_cores(&plan).unwrap_err().to_string();
            let said = "this process may run on ";
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn a_document_that_cannot_be_written_is_told_at_once() {
        let plan = plan_of(&["--markdown", "/nowhere/at/all.md"]);
        let error = check_markdown(&plan).unwrap_err().to_string();
        assert!(
            error.starts_with("--markdown /nowhere/at/all.md: "),
            "{error}"
        );
        check_markdown(&plan_of(&["--markdown", "-"])).unwrap();
    }

    #[test]
    fn a_server_is_named_once() {
        let plan = plan_of(&[]);
        let words = ["nginx", "all"].map(str::to_owned);
        let error = read_recipes(&words, &plan).unwrap_err().to_string();
        assert!(error.contains("two servers are called nginx"), "{error}");
        let usual = read_recipes(&[], &plan).unwrap();
        assert!(usual.iter().map(|recipe| recipe.name.as_str()).eq(USUAL));
    }

    #[test]
    fn the_help_has_every_scenario_that_has_a_name() {
        let Invocation::Help(help) = PROGRAM.read(["--help".to_owned()]).unwrap() else {
            panic!("no help");
        };
        for (name, other) in scenario::NAMED {
            let found = help.lines().any(|line| {
                let mut words = line.split_whitespace();
                (words.next(), words.next()) == (Some(name), Some(other))
            });
            assert!(found, "{name} {other}");
        }
    }
}
