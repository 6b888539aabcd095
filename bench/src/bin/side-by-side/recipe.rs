//! The servers: how each is started with one worker on one core, and what a reader must know of it. Running one is left to
//! `server.rs`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lanner_loadtest::arguments::Failure;

use crate::Plan;
use crate::child::pinned_to;
use crate::scenario::Shape;

const NGINX_CONFIGURATION: &str = include_str!("../../../rivals/nginx.conf");
const RIVALS_LOCK: &str = include_str!("../../../rivals/Cargo.lock");

/// The servers that have a name of their own; `all` stands for the list. The drivers of ours first, then what the sockets cost
/// without a server, then rivals.
pub(crate) const BUILT_IN: [&str; 10] = [
    "lanner-epoll",
    "lanner-uring",
    "lanner-monoio",
    "lanner-monoio-epoll",
    "lanner-glommio",
    "floor-epoll",
    "floor-ring",
    "nginx",
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

    /// Whether it may refuse to start here: a driver that was not built in, or that the kernel does not let run.
    pub(crate) fn may_refuse(&self) -> bool {
        matches!(self.kind, Kind::Lanner { .. })
    }

    /// Why it is left out of a load, if it is.
    pub(crate) fn objection(&self, shape: Shape) -> Option<&'static str> {
        (shape.close && matches!(self.kind, Kind::May { .. }))
            .then_some("it does not close connections, whatever it is asked")
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
        })
    }

    fn check_program(&self) -> Result<(), Failure> {
        let (program, remedy) = match &self.kind {
            Kind::Lanner { program, .. } => (program, BUILD_LANNER),
            Kind::Floor { program, .. } => (program, BUILD_FLOORS),
            Kind::Hyper { program } | Kind::May { program } => (program, BUILD_RIVALS),
            Kind::Nginx if !crate::child::program_exists("nginx") => {
                (&PathBuf::from("nginx"), "apt-get install nginx")
            }
            Kind::Nginx | Kind::Command { .. } => return Ok(()),
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
            Kind::Floor { .. } => {
                "no parser, no limits: canned bytes for every end of a head".to_owned()
            }
            Kind::Hyper { .. } => format!(
                "hyper {} on tokio {}, one current-thread runtime, pipeline_flush, our release profile",
                locked_version("hyper"),
                locked_version("tokio"),
            ),
            Kind::May { .. } => format!(
                "may_minihttp {} on may {}, one worker, mimalloc, our release profile",
                locked_version("may_minihttp"),
                locked_version("may"),
            ),
            Kind::Command { words, .. } => format!("`{}`", words.join(" ")),
        }
    }

    /// The command that starts it, with `directory` for its files. `closes` is for a floor only, which does not read that it
    /// is to close.
    pub(crate) fn command(
        &self,
        plan: &Plan,
        port: u16,
        directory: &Path,
        closes: bool,
    ) -> Result<Command, Failure> {
        let fill = |word: &str| word.replace("{port}", &port.to_string());
        let mut command;
        match &self.kind {
            Kind::Lanner { program, driver } => {
                command = unconfigured(plan.server_core, program);
                command
                    .env("LANNER_DRIVER", driver)
                    .env("LANNER_WORKERS", "1");
                command.env("LANNER_LISTEN", format!("http://127.0.0.1:{port}"));
            }
            Kind::Nginx => {
                let configuration = NGINX_CONFIGURATION
                    .replace("@port@", &port.to_string())
                    .replace("@directory@", &directory.display().to_string());
                let path = directory.join("nginx.conf");
                fs::write(&path, configuration).map_err(Failure::of("nginx's configuration"))?;
                command = unconfigured(plan.server_core, "nginx");
                command.arg("-c").arg(path);
            }
            Kind::Floor { program, closing } => {
                let (program, words) = match (closes, closing) {
                    (false, _) => (program, None),
                    (true, Some(program)) => (program, None),
                    (true, None) => (program, Some("close")),
                };
                command = unconfigured(plan.server_core, program);
                command.arg(port.to_string()).args(words);
            }
            Kind::Hyper { program } | Kind::May { program } => {
                command = unconfigured(plan.server_core, program);
                command.arg(port.to_string());
            }
            Kind::Command { environment, words } => {
                command = unconfigured(plan.server_core, fill(&words[0]));
                command.args(words[1..].iter().map(|word| fill(word)));
                command.envs(environment.iter().map(|(name, value)| (name, fill(value))));
            }
        }
        Ok(command)
    }
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
    use super::*;

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
                kind: Kind::Command { environment, words }
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
        ]) {
            let recipe = Recipe::built_in(name, Path::new("/nowhere")).unwrap();
            assert_eq!((recipe.name.as_str(), recipe.floor()), (name, Some(floor)));
            assert_eq!(recipe.is_floor(), name.starts_with("floor"));
            assert_eq!(recipe.may_refuse(), name.starts_with("lanner"));
        }
        assert_eq!(read("x=./server {port}").unwrap().floor(), None);
    }

    #[test]
    fn only_a_server_that_never_closes_is_left_out_of_that_load() {
        let kept = Shape {
            connections: 64,
            depth: 1,
            close: false,
            shares_core: false,
        };
        let closing = Shape {
            close: true,
            ..kept
        };
        let left_out = |shape| {
            BUILT_IN.into_iter().filter(move |name| {
                let recipe = Recipe::built_in(name, Path::new("/nowhere")).unwrap();
                recipe.objection(shape).is_some()
            })
        };
        assert_eq!(left_out(closing).collect::<Vec<_>>(), ["may-minihttp"]);
        assert_eq!(left_out(kept).count(), 0);
    }

    #[test]
    fn a_locked_version_is_found_by_the_whole_name() {
        let lock =
            "name = \"hyper-util\"\nversion = \"0.1\"\n\nname = \"hyper\"\nversion = \"1.12.0\"\n";
        assert_eq!(version_in(lock, "hyper"), Some("1.12.0"));
        assert_eq!(version_in(lock, "tokio"), None);
        for rival in ["hyper", "tokio", "may", "may_minihttp"] {
            assert!(version_in(RIVALS_LOCK, rival).is_some(), "{rival}");
        }
    }
}
