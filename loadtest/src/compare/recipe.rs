//! The servers: how each is started with one worker on one core, and what a reader must know of it. Running one is left to
//! `server.rs`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::arguments::Failure;
use crate::secure::Group;

use super::Plan;
use super::child::{pinned_to, program_exists};
use super::wire::{Demand, Wire};

const NGINX_CONFIGURATION: &str = include_str!("../../../bench/rivals/nginx.conf");
const NGINX_TLS: &str = include_str!("../../../bench/rivals/nginx-tls.conf");
const H2O_CONFIGURATION: &str = include_str!("../../../bench/rivals/h2o.conf");
const H2O_SSL: &str = include_str!("../../../bench/rivals/h2o-ssl.conf");
const RIVALS_LOCK: &str = include_str!("../../../bench/rivals/Cargo.lock");

/// The servers that have a name of their own; `all` stands for the list. The drivers of ours first, then what the sockets cost
/// without a server, then rivals.
pub(crate) const BUILT_IN: [&str; 11] = [
    "lanner-epoll",
    "lanner-uring",
    "lanner-monoio",
    "lanner-monoio-epoll",
    "lanner-glommio",
    "floor-epoll",
    "floor-ring",
    "nginx",
    "h2o",
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
    /// With the configuration committed beside this program.
    Nginx,
    /// Likewise.
    H2o,
    /// The rival in `bench/rivals/hyper-hello`.
    Hyper { program: PathBuf },
    /// The rival in `bench/rivals/may-hello`.
    May { program: PathBuf },
    /// Anything else.
    Command {
        environment: Vec<(String, String)>,
        words: Vec<String>,
    },
}

impl Recipe {
    /// Reads `NAME=COMMAND`, or the name of one that is built in.
    pub(crate) fn read(word: &str, programs: &Path) -> Result<Self, Failure> {
        let recipe = match word.split_once('=') {
            Some((name, command)) => Self {
                name: read_name(name)?,
                waits: None,
                kind: read_command(command)?,
                refusals: Vec::new(),
            },
            None => Self::built_in(word, programs).ok_or_else(|| {
                Failure::Usage(format!(
                    "`{word}` is no built-in server; others are written NAME=COMMAND"
                ))
            })?,
        };
        recipe.check_program()?;
        Ok(recipe)
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
            (refused.wire, refused.group) == (demand.wire, demand.group)
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
            Kind::Command { environment, words } if demand.wire.is_secure() => {
                let mut texts = words
                    .iter()
                    .chain(environment.iter().map(|(_, value)| value));
                match texts.any(|text| text.contains("{cert}")) {
                    true => return None,
                    false => "its command says nowhere where the certificate goes ({cert})",
                }
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

    fn check_program(&self) -> Result<(), Failure> {
        let (program, remedy) = match &self.kind {
            Kind::Lanner { program, .. } => (program, BUILD_LANNER),
            Kind::Floor { program, .. } => (program, BUILD_FLOORS),
            Kind::Hyper { program } | Kind::May { program } => (program, BUILD_RIVALS),
            Kind::Nginx if !program_exists("nginx") => {
                (&PathBuf::from("nginx"), "apt-get install nginx")
            }
            Kind::H2o if !program_exists("h2o") => (&PathBuf::from("h2o"), "apt-get install h2o"),
            Kind::Nginx | Kind::H2o | Kind::Command { .. } => return Ok(()),
        };
        if program.is_file() {
            return Ok(());
        }
        Err(Failure::Run(format!(
            "{}: {} is not there; {remedy}",
            self.name,
            program.display()
        )))
    }

    /// Version and kind of build, for the reader of the tables.
    pub(crate) fn description(&self) -> String {
        match &self.kind {
            Kind::Lanner { program, driver } => {
                format!("{}, {driver} driver, one worker", program.display())
            }
            Kind::Nginx => {
                // Both print to standard error.
                let version = Command::new("nginx").arg("-V").output();
                let text = version
                    .map(|output| String::from_utf8_lossy(&output.stderr).into_owned())
                    .unwrap_or_default();
                let optimised = text.split([' ', '\'']).rfind(|word| word.starts_with("-O"));
                let version = text
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .trim_start_matches("nginx version: ");
                format!(
                    "{version}, built {}",
                    optimised.unwrap_or("with unknown flags")
                )
            }
            Kind::H2o => {
                let version = Command::new("h2o").arg("--version").output();
                let text = version
                    .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
                    .unwrap_or_default();
                let lines: Vec<&str> = text.lines().take(2).collect();
                format!("{}, as packaged, one thread", lines.join(", "))
            }
            Kind::Floor { .. } => {
                "no parser, no limits: canned bytes for every end of a head".to_owned()
            }
            Kind::Hyper { .. } => format!(
                "hyper {} on tokio {} (h2 {}, rustls {}), one current-thread runtime, pipeline_flush, our release profile",
                locked_version("hyper"),
                locked_version("tokio"),
                locked_version("h2"),
                locked_version("rustls"),
            ),
            Kind::May { .. } => format!(
                "may_minihttp {} on may {}, one worker, mimalloc, our release profile",
                locked_version("may_minihttp"),
                locked_version("may"),
            ),
            Kind::Command { words, .. } => format!("`{}`", words.join(" ")),
        }
    }

    /// The command that starts it, with `directory` for its files, to speak what is demanded.
    pub(crate) fn command(
        &self,
        plan: &Plan,
        port: u16,
        directory: &Path,
        demand: Demand,
    ) -> Result<Command, Failure> {
        let (wire, credentials) = (demand.wire, &plan.credentials);
        let unconfigured = |program: &Path| unconfigured(plan.server_core, program);
        let mut command;
        match &self.kind {
            Kind::Lanner { program, driver } => {
                command = unconfigured(program);
                command
                    .env("LANNER_DRIVER", driver)
                    .env("LANNER_WORKERS", "1");
                let scheme = wire.scheme();
                command.env("LANNER_LISTEN", format!("{scheme}://127.0.0.1:{port}"));
                if wire.is_secure() {
                    command.env("LANNER_TLS_CERT", credentials.certificate());
                    command.env("LANNER_TLS_KEY", credentials.key());
                }
            }
            Kind::Nginx => {
                command = unconfigured(Path::new("nginx"));
                let path = write_nginx(plan, port, directory, wire)
                    .map_err(Failure::of("nginx's configuration"))?;
                command.arg("-c").arg(path);
            }
            Kind::H2o => {
                command = unconfigured(Path::new("h2o"));
                let path = write_h2o(plan, port, directory, wire)
                    .map_err(Failure::of("h2o's configuration"))?;
                command.arg("-c").arg(path);
                credentials.bind(&mut command);
            }
            Kind::Floor { program, closing } => {
                // A floor does not read that it is to close.
                let (program, words) = match (demand.closes, closing) {
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
            Kind::Command { environment, words } => {
                let fill = |word: &str| {
                    word.replace("{port}", &port.to_string())
                        .replace("{scheme}", wire.scheme())
                        .replace("{cert}", &credentials.certificate().display().to_string())
                        .replace("{key}", &credentials.key().display().to_string())
                };
                command = unconfigured(Path::new(&fill(&words[0])));
                command.args(words[1..].iter().map(|word| fill(word)));
                command.envs(environment.iter().map(|(name, value)| (name, fill(value))));
            }
        }
        Ok(command)
    }
}

/// nginx has a port for each of the two it can speak in cleartext, and one for both over TLS.
fn write_nginx(plan: &Plan, port: u16, directory: &Path, wire: Wire) -> io::Result<PathBuf> {
    let (speech, tls) = match wire {
        Wire::Http1 => ("", String::new()),
        Wire::Http2 => ("http2", String::new()),
        Wire::Https1 | Wire::Https2 => {
            let path = directory.join("nginx-tls.conf");
            fs::write(&path, plan.credentials.fill(NGINX_TLS))?;
            ("ssl http2", format!("include {};", path.display()))
        }
    };
    let text = NGINX_CONFIGURATION
        .replace("@port@", &port.to_string())
        .replace("@directory@", &directory.display().to_string())
        .replace("@speech@", speech)
        .replace("@tls@", &tls);
    let path = directory.join("nginx.conf");
    fs::write(&path, text)?;
    Ok(path)
}

/// h2o listens for both in cleartext.
fn write_h2o(plan: &Plan, port: u16, directory: &Path, wire: Wire) -> io::Result<PathBuf> {
    fs::write(directory.join("hello"), "Hello, World!")?;
    let ssl = match wire.is_secure() {
        true => plan.credentials.fill(H2O_SSL),
        false => String::new(),
    };
    let text = H2O_CONFIGURATION
        .replace("@port@", &port.to_string())
        .replace("@directory@", &directory.display().to_string())
        // The comment above speaks of it too.
        .replace("\n@ssl@\n", &format!("\n{ssl}\n"));
    let path = directory.join("h2o.conf");
    fs::write(&path, text)?;
    Ok(path)
}

fn read_name(name: &str) -> Result<String, Failure> {
    let legal = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    if name.is_empty() || !name.chars().all(legal) || name.starts_with('.') {
        return Err(Failure::Usage(format!(
            "`{name}`: a server's name is made of letters, digits, - _ and ."
        )));
    }
    Ok(name.to_owned())
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

fn read_command(command: &str) -> Result<Kind, Failure> {
    let mut environment = Vec::new();
    let mut words = command.split_ascii_whitespace().peekable();
    while let Some((name, value)) = words.peek().and_then(|word| word.split_once('=')) {
        let legal = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        if name.is_empty() || !name.bytes().all(legal) {
            break;
        }
        environment.push((name.to_owned(), value.to_owned()));
        words.next();
    }
    let words: Vec<String> = words.map(str::to_owned).collect();
    let mentions_port = |text: &String| text.contains("{port}");
    if words.is_empty() {
        return Err(Failure::Usage(format!(
            "`{command}`: there is no program to start"
        )));
    }
    if !words
        .iter()
        .chain(environment.iter().map(|(_, value)| value))
        .any(mentions_port)
    {
        return Err(Failure::Usage(format!(
            "`{command}`: {{port}} must stand where the server is told its port"
        )));
    }
    Ok(Kind::Command { environment, words })
}

/// The version of a rival's package.
fn locked_version(package: &str) -> &'static str {
    version_in(RIVALS_LOCK, package).unwrap_or("of unknown version")
}

/// The version of a package in a lock file.
fn version_in<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let name = format!("name = \"{package}\"\nversion = \"");
    let rest = &lock[lock.find(&name)? + name.len()..];
    rest.split_once('"').map(|(version, _)| version)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::arguments::Invocation;

    use super::*;
    use crate::compare::directory::Directory;

    fn read(word: &str) -> Result<Recipe, String> {
        Recipe::read(word, Path::new("/nowhere")).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_command_is_words_after_its_environment() {
        let recipe = read("old=RUST_LOG=off P=h:{port} ./server --port={port} a=b").unwrap();
        let environment = vec![
            ("RUST_LOG".to_owned(), "off".to_owned()),
            ("P".to_owned(), "h:{port}".to_owned()),
        ];
        let words = ["./server", "--port={port}", "a=b"]
            .map(str::to_owned)
            .to_vec();
        assert_eq!(
            recipe,
            Recipe {
                name: "old".to_owned(),
                waits: None,
                kind: Kind::Command { environment, words },
                refusals: Vec::new(),
            }
        );
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
            ("x=server 8080", "{port} must stand"),
            ("lanner-epoll", "cargo build --release --bin lanner"),
            ("hyper", "--manifest-path bench/rivals/Cargo.toml"),
            ("may-minihttp", "--manifest-path bench/rivals/Cargo.toml"),
            ("floor-ring", "cargo build --release -p lanner-bench"),
        ] {
            let error = read(word).unwrap_err();
            assert!(error.contains(said), "{word}: {error}");
        }
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
        ]) {
            let recipe = Recipe::built_in(name, Path::new("/nowhere")).unwrap();
            assert_eq!((recipe.name.as_str(), recipe.floor()), (name, Some(floor)));
            assert_eq!(recipe.is_floor(), name.starts_with("floor"));
            let is_ours = name.starts_with("lanner");
            assert_eq!(recipe.may_refuse(Demand::PLAIN), is_ours);
        }
        assert_eq!(read("x=./server {port}").unwrap().floor(), None);
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
    }

    #[test]
    fn a_command_is_asked_for_tls_where_it_takes_a_certificate() {
        for (word, takes) in [
            ("x=server {port}", false),
            ("x=server {port} {cert} {key}", true),
            ("x=CERT={cert} server {port}", true),
        ] {
            let recipe = read(word).unwrap();
            assert_eq!(recipe.objection(SECURE).is_none(), takes, "{word}");
            assert!(recipe.objection(Demand::PLAIN).is_none());
        }
    }

    /// The plan of a command line without flags.
    fn plan() -> Plan {
        match crate::compare::PROGRAM.read([]).unwrap() {
            Invocation::Run(arguments) => crate::compare::read_plan(&arguments).unwrap(),
            Invocation::Help(text) => panic!("{text}"),
        }
    }

    /// What a server is told: the words, its own environment, and its files.
    fn told(plan: &Plan, name: &str, wire: Wire) -> String {
        let directory = Directory::make("told").unwrap();
        let recipe = Recipe::built_in(name, Path::new("/nowhere")).unwrap();
        let demand = Demand {
            wire,
            ..Demand::PLAIN
        };
        let command = recipe.command(plan, 4711, directory.path(), demand);
        let mut told = format!("{:?}", command.unwrap());
        for file in fs::read_dir(directory.path()).unwrap() {
            told += &fs::read_to_string(file.unwrap().path()).unwrap();
        }
        told
    }

    #[test]
    fn every_server_is_told_its_port_and_over_tls_its_certificate() {
        let plan = plan();
        let certificate = plan.credentials.certificate().display().to_string();
        let key = plan.credentials.key().display().to_string();
        for wire in [Wire::Http1, Wire::Http2, Wire::Https1, Wire::Https2] {
            for name in ["lanner-epoll", "nginx", "h2o", "hyper"] {
                let told = told(&plan, name, wire);
                assert!(told.contains("4711"), "{told}");
                let mut lines = told.lines().map(str::trim_start);
                let blank = lines.find(|line| !line.starts_with('#') && line.contains('@'));
                assert_eq!(blank, None, "{name} {wire:?}");
                let secure = told.contains(&certificate) && told.contains(&key);
                assert_eq!(secure, wire.is_secure(), "{name} {wire:?}: {told}");
            }
        }
    }

    #[test]
    fn a_command_of_ones_own_is_filled_in() {
        let plan = plan();
        let recipe = read("x=URL={scheme}://h:{port} server {cert} {key}").unwrap();
        let command = recipe.command(&plan, 4711, Path::new("/nowhere"), SECURE);
        let said = format!("{:?}", command.unwrap());
        let (certificate, key) = (plan.credentials.certificate(), plan.credentials.key());
        let words = format!("\"server\" {certificate:?} {key:?}");
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

    #[test]
    fn a_locked_version_is_found_by_the_whole_name() {
        let lock =
            "name = \"hyper-util\"\nversion = \"0.1\"\n\nname = \"hyper\"\nversion = \"1.12.0\"\n";
        assert_eq!(version_in(lock, "hyper"), Some("1.12.0"));
        assert_eq!(version_in(lock, "tokio"), None);
        for rival in ["hyper", "tokio", "h2", "rustls", "may", "may_minihttp"] {
            assert!(version_in(RIVALS_LOCK, rival).is_some(), "{rival}");
        }
    }
}
