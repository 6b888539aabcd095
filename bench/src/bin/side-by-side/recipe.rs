//! The servers: how each is started with one worker on one core, and what a reader must know of it. Running one is left to
//! `server.rs`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lanner_loadtest::arguments::Failure;

use crate::Plan;
use crate::child::pinned_to;

const NGINX_CONFIGURATION: &str = include_str!("../../../rivals/nginx.conf");
const RIVALS_LOCK: &str = include_str!("../../../rivals/Cargo.lock");

/// How a server is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recipe {
    /// What the tables call it.
    pub(crate) name: String,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// Our own, on this driver.
    Lanner {
        program: PathBuf,
        driver: &'static str,
    },
    /// With the configuration committed beside this program.
    Nginx,
    /// The rival in `bench/rivals/hyper-hello`.
    Hyper { program: PathBuf },
    /// Anything else.
    Command {
        environment: Vec<(String, String)>,
        words: Vec<String>,
    },
}

impl Recipe {
    /// Reads `NAME=COMMAND`, or the name of one that is built in.
    pub(crate) fn read(word: &str, programs: &Path) -> Result<Self, Failure> {
        let usage = |text: String| Err(Failure::Usage(text));
        let lanner = |driver| Kind::Lanner {
            program: programs.join("lanner"),
            driver,
        };
        let kind = match word.split_once('=') {
            Some((name, command)) => {
                let legal = |character: char| {
                    character.is_ascii_alphanumeric() || "-_.".contains(character)
                };
                if name.is_empty() || !name.chars().all(legal) || name.starts_with('.') {
                    return usage(format!(
                        "`{name}`: a server's name is made of letters, digits, - _ and ."
                    ));
                }
                let kind = read_command(command)?;
                return Ok(Self {
                    name: name.to_owned(),
                    kind,
                });
            }
            None => match word {
                "lanner-epoll" => lanner("epoll"),
                "lanner-monoio" => lanner("monoio"),
                "nginx" => Kind::Nginx,
                // `--target-dir target/rivals`, beside the `target/release` that this program is in.
                "hyper" => Kind::Hyper {
                    program: programs.join("../rivals/release/hyper-hello"),
                },
                _ => {
                    return usage(format!(
                        "`{word}` is no built-in server; others are written NAME=COMMAND"
                    ));
                }
            },
        };
        let recipe = Self {
            name: word.to_owned(),
            kind,
        };
        recipe.check_program()?;
        Ok(recipe)
    }

    fn check_program(&self) -> Result<(), Failure> {
        let (missing, remedy) = match &self.kind {
            Kind::Lanner { program, .. } if !program.is_file() => (
                program.display().to_string(),
                "cargo build --release --bin lanner",
            ),
            Kind::Hyper { program } if !program.is_file() => (
                program.display().to_string(),
                "cargo build --release --manifest-path bench/rivals/Cargo.toml --target-dir target/rivals",
            ),
            Kind::Nginx if !crate::child::program_exists("nginx") => {
                ("nginx".to_owned(), "apt-get install nginx")
            }
            _ => return Ok(()),
        };
        Err(Failure::Run(format!(
            "{}: {missing} is not there; {remedy}",
            self.name
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
            Kind::Hyper { .. } => format!(
                "hyper {} on tokio {}, one current-thread runtime, pipeline_flush, our release profile",
                locked_version(RIVALS_LOCK, "hyper").unwrap_or("of unknown version"),
                locked_version(RIVALS_LOCK, "tokio").unwrap_or("of unknown version"),
            ),
            Kind::Command { words, .. } => format!("`{}`", words.join(" ")),
        }
    }

    /// The command that starts it, with `directory` for its files.
    pub(crate) fn command(
        &self,
        plan: &Plan,
        port: u16,
        directory: &Path,
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
            Kind::Hyper { program } => {
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

/// The version of a package in a lock file.
fn locked_version<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
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
        ] {
            let error = read(word).unwrap_err();
            assert!(error.contains(said), "{word}: {error}");
        }
    }

    #[test]
    fn a_locked_version_is_found_by_the_whole_name() {
        let lock =
            "name = \"hyper-util\"\nversion = \"0.1\"\n\nname = \"hyper\"\nversion = \"1.12.0\"\n";
        assert_eq!(locked_version(lock, "hyper"), Some("1.12.0"));
        assert_eq!(locked_version(lock, "tokio"), None);
        assert!(locked_version(RIVALS_LOCK, "hyper").is_some());
    }
}
