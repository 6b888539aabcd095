//! The servers: how each is started with one worker on one core, and what a reader must know of it. Running one is left to
//! `server.rs`.

use std::iter;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::arguments::Failure;
use crate::secure::Group;

use super::child::{pinned_to, program_exists};
use super::configuration::{self, Place};
use super::custom::{self, Custom};
use super::versions;
use super::wire::{Demand, Wire};

/// The servers that have a name of their own; `all` stands for the list. The drivers of ours first, then what the sockets cost
/// without a server, then rivals.
pub(crate) const BUILT_IN: [&str; 12] = [
    "lanner-epoll",
    "lanner-uring",
    "lanner-monoio",
    "lanner-monoio-epoll",
    "lanner-glommio",
    "floor-epoll",
    "floor-ring",
    "nginx",
    "h2o",
    "haproxy",
    "hyper",
    "may-minihttp",
];

const BUILD_LANNER: &str = "cargo build --release --bin lanner";
const BUILD_FLOORS: &str = "cargo build --release -p lanner-bench --bins";
const BUILD_RIVALS: &str =
    "cargo build --release --manifest-path bench/rivals/Cargo.toml --target-dir target/rivals";

/// How a server is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recipe {
    /// What the tables call it.
    pub(crate) name: String,
    /// What it waits for sockets with, where we know.
    waits: Option<Waits>,
    kind: Kind,
    /// What it refused to do here, and why.
    refusals: Vec<(Demand, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    Epoll,
    Ring,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// Our own, on this driver.
    Lanner {
        program: PathBuf,
        driver: &'static str,
    },
    /// A server without a parser, in `bench/src/bin/floor`.
    Floor {
        program: PathBuf,
        /// The one that closes connections, if `program` has no word for it.
        closing: Option<PathBuf>,
    },
    /// With the configuration committed in `bench/rivals`.
    Nginx,
    /// Likewise.
    H2o,
    /// Likewise.
    Haproxy,
    /// The rival in `bench/rivals/hyper-hello`.
    Hyper { program: PathBuf },
    /// The rival in `bench/rivals/may-hello`.
    May { program: PathBuf },
    /// Anything else.
    Custom(Custom),
}

impl Recipe {
    /// Reads `NAME=COMMAND`, or the name of one that is built in.
    pub(crate) fn read(word: &str, programs: &Path) -> Result<Self, Failure> {
        match word.split_once('=') {
            Some((name, command)) => Ok(Self {
                name: custom::read_name(name)?,
                waits: None,
                kind: Kind::Custom(Custom::read(command)?),
                refusals: Vec::new(),
            }),
            None => Self::built_in(word, programs).ok_or_else(|| {
                let names = BUILT_IN.join(", ");
                Failure::Usage(format!(
                    "`{word}` is no built-in server (which are {names}); others are written NAME=COMMAND"
                ))
            }),
        }
    }

    /// Whether it is ours, with which everything begins.
    pub(crate) fn is_lanner(&self) -> bool {
        matches!(self.kind, Kind::Lanner { .. })
    }

    /// The floor of its kind: what its sockets would cost without it.
    pub(crate) fn floor(&self) -> Option<&'static str> {
        self.waits.map(|waits| match waits {
            Waits::Epoll => "floor-epoll",
            Waits::Ring => "floor-ring",
        })
    }

    /// Whether this is a floor itself.
    pub(crate) fn is_floor(&self) -> bool {
        matches!(self.kind, Kind::Floor { .. })
    }

    /// Whether it may refuse to start here: a driver that was not built in, or that the kernel does not let run. Or whether its
    /// library may be too old for a key exchange.
    pub(crate) fn may_refuse(&self, demand: Demand) -> bool {
        let new = demand.group != Group::X25519 && self.objection(demand).is_none();
        matches!(self.kind, Kind::Lanner { .. }) || new
    }

    /// Remembers that it refused.
    pub(crate) fn refuse(&mut self, demand: Demand, reason: String) {
        self.refusals.push((demand, reason));
    }

    /// What it refused, and why.
    pub(crate) fn refusals(&self) -> impl Iterator<Item = &(Demand, String)> {
        self.refusals.iter()
    }

    /// Why it is left out of a scenario, if it is.
    pub(crate) fn objection(&self, demand: Demand) -> Option<String> {
        let is_refused = |(refused, _): &&(Demand, String)| {
            (refused.wire, refused.group, refused.on_unix)
                == (demand.wire, demand.group, demand.on_unix)
        };
        if let Some((_, reason)) = self.refusals.iter().find(is_refused) {
            return Some(reason.clone());
        }
        let objection = match &self.kind {
            Kind::May { .. } if demand.closes => {
                "it does not close connections, whatever it is asked"
            }
            Kind::May { .. } | Kind::Floor { .. } if demand.wire != Wire::Http1 => {
                "it speaks HTTP/1.1 in cleartext and nothing else"
            }
            Kind::Hyper { .. } | Kind::May { .. } | Kind::Floor { .. } if demand.on_unix => {
                "it does not listen on unix sockets"
            }
            Kind::Custom(custom) if demand.on_unix && !custom.mentions("{socket}") => {
                "its command says nowhere where its unix socket goes ({socket})"
            }
            Kind::Custom(custom) if demand.wire.is_secure() && !custom.mentions("{cert}") => {
                "its command says nowhere where the certificate goes ({cert})"
            }
            _ => return None,
        };
        Some(objection.to_owned())
    }

    /// The one of a name of ours.
    pub(crate) fn built_in(name: &str, programs: &Path) -> Option<Self> {
        // `--target-dir target/rivals`, beside the `target/release` that this program is in.
        let rivals = programs.join("../rivals/release");
        let lanner = |driver| Kind::Lanner {
            program: programs.join("lanner"),
            driver,
        };
        let (kind, waits) = match name {
            "lanner-epoll" => (lanner("epoll"), Waits::Epoll),
            "lanner-uring" => (lanner("uring"), Waits::Ring),
            "lanner-monoio" => (lanner("monoio"), Waits::Ring),
            "lanner-monoio-epoll" => (lanner("monoio-epoll"), Waits::Epoll),
            "lanner-glommio" => (lanner("glommio"), Waits::Ring),
            "floor-epoll" | "floor-ring" => {
                let program = programs.join(name);
                let (closing, waits) = match name {
                    "floor-ring" => (Some(programs.join("floor-ring-close")), Waits::Ring),
                    _ => (None, Waits::Epoll),
                };
                (Kind::Floor { program, closing }, waits)
            }
            "nginx" => (Kind::Nginx, Waits::Epoll),
            "h2o" => (Kind::H2o, Waits::Epoll),
            "haproxy" => (Kind::Haproxy, Waits::Epoll),
            "hyper" => {
                let program = rivals.join("hyper-hello");
                (Kind::Hyper { program }, Waits::Epoll)
            }
            "may-minihttp" => {
                let program = rivals.join("may-hello");
                (Kind::May { program }, Waits::Epoll)
            }
            _ => return None,
        };
        Some(Self {
            name: name.to_owned(),
            waits: Some(waits),
            kind,
            refusals: Vec::new(),
        })
    }

    /// What is to be done to have it, where it is not installed or not built.
    pub(crate) fn absence(&self) -> Option<String> {
        let (programs, remedy) = match &self.kind {
            Kind::Lanner { program, .. } => (vec![program], BUILD_LANNER),
            Kind::Floor { program, closing } => {
                (iter::once(program).chain(closing).collect(), BUILD_FLOORS)
            }
            Kind::Hyper { program } | Kind::May { program } => (vec![program], BUILD_RIVALS),
            // Each is called as its package is.
            Kind::Nginx | Kind::H2o | Kind::Haproxy if !program_exists(&self.name) => {
                return Some(format!(
                    "it is not installed: apt-get install {}",
                    self.name
                ));
            }
            Kind::Nginx | Kind::H2o | Kind::Haproxy | Kind::Custom(_) => return None,
        };
        let is_missing = programs.iter().any(|program| !program.is_file());
        is_missing.then(|| format!("it is not built: {remedy}"))
    }

    /// Version and kind of build, for the reader of the tables.
    pub(crate) fn description(&self) -> String {
        match &self.kind {
            Kind::Lanner { program, driver } => versions::lanner(program, driver),
            Kind::Nginx => versions::nginx(),
            Kind::H2o => versions::h2o(),
            Kind::Haproxy => versions::haproxy(),
            Kind::Floor { .. } => {
                "no parser, no limits: canned bytes for every end of a head".to_owned()
            }
            Kind::Hyper { .. } => versions::hyper(),
            Kind::May { .. } => versions::may(),
            Kind::Custom(custom) => custom.to_string(),
        }
    }

    /// The command that starts it on one core, to do there what is demanded.
    pub(crate) fn command(&self, core: usize, place: &Place<'_>) -> Result<Command, Failure> {
        let (port, wire, credentials) = (place.port, place.demand.wire, place.credentials);
        let unconfigured = |program: &Path| unconfigured(core, program);
        let mut command;
        match &self.kind {
            Kind::Lanner { program, driver } => {
                command = unconfigured(program);
                command
                    .env("LANNER_DRIVER", driver)
                    .env("LANNER_WORKERS", "1");
                let listen = match place.demand.on_unix {
                    true => format!("unix:{}", place.socket().display()),
                    false => format!("{}://127.0.0.1:{port}", wire.scheme()),
                };
                command.env("LANNER_LISTEN", listen);
                if wire.is_secure() {
                    command.env("LANNER_TLS_CERT", credentials.certificate());
                    command.env("LANNER_TLS_KEY", credentials.key());
                }
            }
            Kind::Nginx => {
                let path =
                    configuration::nginx(place).map_err(Failure::of("nginx's configuration"))?;
                command = unconfigured(Path::new("nginx"));
                command.arg("-c").arg(path);
            }
            Kind::H2o => {
                let path = configuration::h2o(place).map_err(Failure::of("h2o's configuration"))?;
                command = unconfigured(Path::new("h2o"));
                command.arg("-c").arg(path);
                credentials.bind(&mut command);
            }
            Kind::Haproxy => {
                let path = configuration::haproxy(place)
                    .map_err(Failure::of("haproxy's configuration"))?;
                command = unconfigured(Path::new("haproxy"));
                command.args(["-db", "-f"]).arg(path);
            }
            Kind::Floor { program, closing } => {
                // A floor does not read that it is to close.
                let (program, words) = match (place.demand.closes, closing) {
                    (false, _) => (program, None),
                    (true, Some(program)) => (program, None),
                    (true, None) => (program, Some("close")),
                };
                command = unconfigured(program);
                command.arg(port.to_string()).args(words);
            }
            Kind::Hyper { program } => {
                command = unconfigured(program);
                command.arg(port.to_string());
                match wire {
                    Wire::Http1 => {}
                    Wire::Http2 => {
                        command.arg("http2");
                    }
                    Wire::Https1 | Wire::Https2 => {
                        command.arg("tls").arg(credentials.certificate());
                        command.arg(credentials.key());
                    }
                }
            }
            Kind::May { program } => {
                command = unconfigured(program);
                command.arg(port.to_string());
            }
            Kind::Custom(custom) => command = custom.command(place, unconfigured),
        }
        Ok(command)
    }
}

/// A pinned command that inherits none of our own knobs: a forgotten variable must not decide a comparison.
fn unconfigured(core: usize, program: impl AsRef<Path>) -> Command {
    let mut command = pinned_to(core, program);
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"LANNER_") {
            command.env_remove(name);
        }
    }
    command
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;

    use super::*;
    use crate::compare::Plan;
    use crate::compare::command::plan_of;
    use crate::compare::directory::Directory;

    fn read(word: &str) -> Result<Recipe, String> {
        Recipe::read(word, Path::new("/nowhere")).map_err(|failure| failure.to_string())
    }

    #[test]
    fn what_cannot_be_started_is_refused_before_the_run() {
        for (word, said) in [
            ("apache", "is no built-in server"),
            ("a/b=x {port}", "a server's name"),
            ("=x {port}", "a server's name"),
            ("..=x {port}", "a server's name"),
            ("x=", "no program"),
            ("x=PORT={port}", "no program"),
            ("x=sh 8080", "{port} must stand"),
            ("x=no-such-server {port}", "no program no-such-server"),
        ] {
            let error = read(word).unwrap_err();
            assert!(error.contains(said), "{word}: {error}");
        }
    }

    #[test]
    fn what_is_not_there_says_how_one_gets_it() {
        for (name, said) in [
            ("lanner-epoll", "cargo build --release --bin lanner"),
            ("hyper", "--manifest-path bench/rivals/Cargo.toml"),
            ("may-minihttp", "--manifest-path bench/rivals/Cargo.toml"),
            ("floor-ring", "cargo build --release -p lanner-bench"),
        ] {
            let absence = read(name).unwrap().absence().unwrap();
            assert!(absence.contains(said), "{name}: {absence}");
        }
        for name in ["nginx", "h2o", "haproxy"] {
            let expected = format!("it is not installed: apt-get install {name}");
            let absence = read(name).unwrap().absence();
            let expected = (!program_exists(name)).then_some(expected);
            assert_eq!(absence, expected);
        }
        assert_eq!(read("x=sh {port}").unwrap().absence(), None);
    }

    #[test]
    fn every_built_in_server_is_known_and_is_compared_with_the_floor_of_its_kind() {
        for (name, floor) in BUILT_IN.into_iter().zip([
            "floor-epoll",
            "floor-ring",
            "floor-ring",
            "floor-epoll",
            "floor-ring",
            "floor-epoll",
            "floor-ring",
            "floor-epoll",
            "floor-epoll",
            "floor-epoll",
            "floor-epoll",
            "floor-epoll",
        ]) {
            let recipe = Recipe::built_in(name, Path::new("/nowhere")).unwrap();
            assert_eq!((recipe.name.as_str(), recipe.floor()), (name, Some(floor)));
            assert_eq!(recipe.is_floor(), name.starts_with("floor"));
            let is_ours = name.starts_with("lanner");
            assert_eq!(recipe.is_lanner(), is_ours);
            assert_eq!(recipe.may_refuse(Demand::PLAIN), is_ours);
        }
        assert_eq!(read("x=sh {port}").unwrap().floor(), None);
    }

    fn left_out(demand: Demand) -> Vec<&'static str> {
        let left_out = BUILT_IN.into_iter().filter(|name| {
            let recipe = Recipe::built_in(name, Path::new("/nowhere")).unwrap();
            recipe.objection(demand).is_some()
        });
        left_out.collect()
    }

    const SECURE: Demand = Demand {
        wire: Wire::Https1,
        ..Demand::PLAIN
    };

    #[test]
    fn what_a_server_cannot_do_it_is_not_asked_to() {
        let closing = Demand {
            closes: true,
            ..Demand::PLAIN
        };
        assert_eq!(left_out(closing), ["may-minihttp"]);
        assert!(left_out(Demand::PLAIN).is_empty());
        for wire in [Wire::Http2, Wire::Https1, Wire::Https2] {
            let demand = Demand {
                wire,
                ..Demand::PLAIN
            };
            let expected = ["floor-epoll", "floor-ring", "may-minihttp"];
            assert_eq!(left_out(demand), expected);
        }
        let on_unix = Demand {
            on_unix: true,
            ..Demand::PLAIN
        };
        let expected = ["floor-epoll", "floor-ring", "hyper", "may-minihttp"];
        assert_eq!(left_out(on_unix), expected);
        let custom = |word| read(word).unwrap().objection(on_unix);
        assert!(custom("x=sh {port}").unwrap().contains("{socket}"));
        assert_eq!(custom("x=sh {port} {socket}"), None);
    }

    #[test]
    fn a_command_is_asked_for_tls_where_it_takes_a_certificate() {
        for (word, takes) in [
            ("x=sh {port}", false),
            ("x=sh {port} {cert} {key}", true),
            ("x=CERT={cert} sh {port}", true),
        ] {
            let recipe = read(word).unwrap();
            assert_eq!(recipe.objection(SECURE).is_none(), takes, "{word}");
            assert!(recipe.objection(Demand::PLAIN).is_none());
        }
    }

    /// What a server is told: the words, its own environment, and its files.
    fn told(plan: &Plan, name: &str, demand: Demand) -> String {
        let directory = Directory::make("told").unwrap();
        let recipe = Recipe::built_in(name, Path::new("/nowhere")).unwrap();
        let place = Place {
            port: 4711,
            directory: directory.path(),
            demand,
            credentials: &plan.credentials,
        };
        let mut told = format!("{:?}\n", recipe.command(0, &place).unwrap());
        for file in fs::read_dir(directory.path()).unwrap() {
            told += &fs::read_to_string(file.unwrap().path()).unwrap();
        }
        let mut lines = told.lines().map(str::trim_start);
        let blank = lines.find(|line| !line.starts_with('#') && line.contains('@'));
        // `unix@` is HAProxy's own.
        let blank = blank.filter(|line| !line.contains("bind unix@"));
        assert_eq!(blank, None, "{name} {demand:?}");
        told
    }

    #[test]
    fn every_server_is_told_its_port_and_over_tls_its_certificate() {
        let plan = plan_of(&[]);
        let certificate = plan.credentials.certificate().display().to_string();
        let key = plan.credentials.key().display().to_string();
        for wire in [Wire::Http1, Wire::Http2, Wire::Https1, Wire::Https2] {
            let demand = Demand {
                wire,
                ..Demand::PLAIN
            };
            for name in ["lanner-epoll", "nginx", "h2o", "hyper", "haproxy"] {
                let told = told(&plan, name, demand);
                assert!(told.contains("4711"), "{told}");
                let paths = told.contains(&certificate) && told.contains(&key);
                let both = told.contains("-----BEGIN CERT") && told.contains("PRIVATE KEY");
                let secure = if name == "haproxy" { both } else { paths };
                assert_eq!(secure, wire.is_secure(), "{name} {wire:?}: {told}");
            }
        }
    }

    #[test]
    fn a_server_on_a_unix_socket_is_told_of_no_port_that_it_would_listen_on() {
        let plan = plan_of(&[]);
        let demand = Demand {
            on_unix: true,
            ..Demand::PLAIN
        };
        for name in ["lanner-epoll", "nginx", "h2o", "haproxy"] {
            let told = told(&plan, name, demand);
            assert!(told.contains("/socket"), "{told}");
            let mut lines = told.lines().map(str::trim_start);
            let is_told = |line: &&str| !line.starts_with('#') && !line.starts_with("proxy_pass");
            let port = lines.find(|line| is_told(line) && line.contains("4711"));
            assert_eq!(port, None, "{told}");
        }
    }

    #[test]
    fn a_command_of_ones_own_is_filled_in() {
        let plan = plan_of(&[]);
        let recipe = read("x=URL={scheme}://h:{port} sh {cert} {key} {socket}").unwrap();
        let place = Place {
            port: 4711,
            directory: Path::new("/nowhere"),
            demand: SECURE,
            credentials: &plan.credentials,
        };
        let said = format!("{:?}", recipe.command(0, &place).unwrap());
        let (certificate, key) = (plan.credentials.certificate(), plan.credentials.key());
        let words = format!("\"sh\" {certificate:?} {key:?} \"/nowhere/socket\"");
        assert!(said.contains(&words), "{said}");
        assert!(said.contains("URL=\"https://h:4711\""), "{said}");
    }

    #[test]
    fn a_refusal_holds_for_what_was_refused_and_a_new_key_exchange_may_be_refused() {
        let mut recipe = Recipe::built_in("nginx", Path::new("/nowhere")).unwrap();
        let new = Demand {
            group: Group::X25519MlKem768,
            ..SECURE
        };
        assert!(recipe.may_refuse(new) && !recipe.may_refuse(SECURE));
        recipe.refuse(new, "too old".to_owned());
        assert_eq!(recipe.objection(new).as_deref(), Some("too old"));
        assert!(recipe.objection(SECURE).is_none());
        assert_eq!(recipe.refusals().count(), 1);
    }
}
