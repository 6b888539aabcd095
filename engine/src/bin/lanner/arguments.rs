//! The command line. What a setting may be is the limits' business; here it is only a name and a value.

use crate::failure::Failure;
use lanner_limits::{Setting, Source};
use lexopt::prelude::*;
use std::ffi::OsString;
use tracing_subscriber::filter::LevelFilter;

/// What `--help` says.
pub(crate) const HELP: &str = "\
lanner: an HTTP edge server

    lanner                 serves the built-in welcome app on http://localhost:8080 and https://localhost:8443
    lanner mirror          answers every request with what it received
    lanner limits          every setting: value, default, source, what it accepts, why
    lanner config          the values in effect and where each comes from
    lanner check           reads the settings and the files they name, says what is wrong with them, and ends
    lanner dev-cert        the certificate of https://localhost:8443: where it is, and how to trust it
    lanner version         the version

    --set NAME=VALUE       one setting, as often as needed: --set workers=2
    --log LEVEL            off, error, warn, info (the default), debug or trace; logs go to standard error
    --markdown             with `limits`: the table of settings as the README has it
    --path                 with `dev-cert`: only the path of the authority to trust, for scripts
    --renew                with `dev-cert`: a new certificate, of the same authority
    -h, --help             this text
    -V, --version          the version

Settings also come from the environment: LANNER_LISTEN=http://*:80 LANNER_MAX_REQUEST_BODY=1MB lanner
For HTTPS: LANNER_LISTEN=https://*:443 LANNER_TLS_CERT=chain.pem LANNER_TLS_KEY=key.pem lanner
The command line wins over the environment. Names that do not exist and values out of range are errors.

SIGTERM and SIGINT stop the server: what was begun is finished, for at most LANNER_SHUTDOWN_TIMEOUT; a second one ends
it at once. Other signals keep their usual meaning (SIGHUP ends the program, unless nohup ignores it).
Exit codes: 0 after a stop, 1 if the server could not start or go on, 2 for a mistake in arguments or settings.
";

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Welcome,
    Mirror,
    Limits,
    /// `limits --markdown`: the table without any server's values.
    Table,
    Config,
    Check,
    DevelopmentCertificate(Wish),
    Version,
    Help,
}

/// What is wanted of the certificate for developing with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wish {
    /// A new one.
    pub(crate) renew: bool,
    /// The authority's path and nothing else.
    pub(crate) path: bool,
}

/// What the command line says.
#[derive(Debug, PartialEq)]
pub(crate) struct Arguments {
    pub(crate) command: Command,
    pub(crate) settings: Vec<Setting>,
    pub(crate) log: LevelFilter,
}

impl Arguments {
    /// Reads the arguments after the program's name.
    pub(crate) fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, Failure> {
        let mut parser = lexopt::Parser::from_args(arguments);
        let mut command = None;
        let mut settings = Vec::new();
        let mut log = LevelFilter::INFO;
        let mut markdown = false;
        let mut wish = Wish::default();
        while let Some(argument) = parser.next().map_err(usage)? {
            match argument {
                Short('h') | Long("help") => command = Some(Command::Help),
                Short('V') | Long("version") => command = Some(Command::Version),
                Long("set") => settings.push(setting(text(&mut parser)?)?),
                Long("log") => log = level(&text(&mut parser)?)?,
                Long("markdown") => markdown = true,
                Long("path") => wish.path = true,
                Long("renew") => wish.renew = true,
                Value(word) if command.is_none() => {
                    command = Some(command_of(&word.string().map_err(usage)?)?)
                }
                // `lanner --help limits` is a wish for help.
                Value(_) if matches!(command, Some(Command::Help | Command::Version)) => {}
                other => return Err(usage(other.unexpected())),
            }
        }
        let command = command.unwrap_or(Command::Welcome);
        let asks = matches!(command, Command::Help | Command::Version);
        let of_limits = asks || command == Command::Limits;
        let of_certificate = asks || matches!(command, Command::DevelopmentCertificate(_));
        for (given, fits, words) in [
            (markdown, of_limits, "--markdown belongs to `lanner limits`"),
            (
                wish.path,
                of_certificate,
                "--path belongs to `lanner dev-cert`",
            ),
            (
                wish.renew,
                of_certificate,
                "--renew belongs to `lanner dev-cert`",
            ),
        ] {
            if given && !fits {
                return Err(Failure::Usage(words.to_owned()));
            }
        }
        let command = match command {
            Command::Limits if markdown => Command::Table,
            Command::DevelopmentCertificate(_) => Command::DevelopmentCertificate(wish),
            command => command,
        };
        Ok(Self {
            command,
            settings,
            log,
        })
    }
}

fn command_of(word: &str) -> Result<Command, Failure> {
    Ok(match word {
        "mirror" => Command::Mirror,
        "limits" => Command::Limits,
        "config" => Command::Config,
        "check" => Command::Check,
        "dev-cert" => Command::DevelopmentCertificate(Wish::default()),
        "version" => Command::Version,
        "help" => Command::Help,
        _ => return Err(Failure::Usage(format!("{word:?} is not a command"))),
    })
}

fn text(parser: &mut lexopt::Parser) -> Result<String, Failure> {
    parser
        .value()
        .and_then(|value| value.string())
        .map_err(usage)
}

fn setting(pair: String) -> Result<Setting, Failure> {
    match pair.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok(Setting {
            name: name.to_owned(),
            value: value.to_owned(),
            source: Source::CommandLine,
        }),
        _ => Err(Failure::Usage(format!("--set {pair:?} is not NAME=VALUE"))),
    }
}

fn level(word: &str) -> Result<LevelFilter, Failure> {
    // `LevelFilter` itself would also read numbers and the empty word.
    let known = ["off", "error", "warn", "info", "debug", "trace"].contains(&word);
    word.parse().ok().filter(|_| known).ok_or_else(|| {
        Failure::Usage(format!(
            "--log {word:?} is none of off, error, warn, info, debug and trace"
        ))
    })
}

fn usage(error: lexopt::Error) -> Failure {
    Failure::Usage(error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn read(line: &str) -> Result<Arguments, String> {
        Arguments::read(line.split_whitespace().map(OsString::from))
            .map_err(|failure| format!("{failure:?}"))
    }

    #[test]
    fn no_argument_serves_the_welcome_app() {
        let arguments = read("").unwrap();
        assert_eq!(
            arguments,
            Arguments {
                command: Command::Welcome,
                settings: vec![],
                log: LevelFilter::INFO
            }
        );
    }

    #[test]
    fn settings_are_taken_in_order_around_the_command() {
        let arguments =
            read("--set workers=1 mirror --set=listen=http://*:0?a=b --log debug").unwrap();
        assert_eq!(
            (arguments.command, arguments.log),
            (Command::Mirror, LevelFilter::DEBUG)
        );
        let pairs: Vec<_> = arguments
            .settings
            .iter()
            .map(|set| (set.name.as_str(), set.value.as_str()))
            .collect();
        assert_eq!(pairs, [("workers", "1"), ("listen", "http://*:0?a=b")]);
        assert!(
            arguments
                .settings
                .iter()
                .all(|set| set.source == Source::CommandLine)
        );
    }

    #[test]
    fn help_is_given_wherever_it_is_asked_for() {
        for line in [
            "-h",
            "--help",
            "help",
            "limits --help",
            "--help limits",
            "mirror -h",
            "limits --markdown -h",
            "dev-cert --renew -h",
        ] {
            assert_eq!(read(line).unwrap().command, Command::Help, "{line}");
        }
        assert_eq!(read("-V").unwrap().command, Command::Version);
        assert_eq!(read("limits --markdown").unwrap().command, Command::Table);
    }

    #[test]
    fn what_is_wanted_of_the_certificate_may_be_said_on_either_side_of_the_command() {
        for (line, renew, path) in [
            ("dev-cert", false, false),
            ("dev-cert --path", false, true),
            ("--renew dev-cert", true, false),
            ("--renew dev-cert --path", true, true),
        ] {
            let wish = Command::DevelopmentCertificate(Wish { renew, path });
            assert_eq!(read(line).unwrap().command, wish, "{line}");
        }
    }

    #[test]
    fn what_is_no_command_line_is_refused_with_the_word_that_is_wrong() {
        for (line, word) in [
            ("serv", "serv"),
            ("mirror limits", "limits"),
            ("--sett workers=1", "--sett"),
            ("--set", "--set"),
            ("--set workers", "workers"),
            ("--set =1", "=1"),
            ("--log loud", "loud"),
            ("--log 3", "3"),
            ("--markdown", "--markdown"),
            ("dev-cert --markdown", "--markdown"),
            ("limits --path", "--path"),
            ("--renew", "--renew"),
            ("dev-certs", "dev-certs"),
            ("--help=yes", "yes"),
            ("-x", "-x"),
        ] {
            let problem = read(line).unwrap_err();
            assert!(problem.contains(word), "{line}: {problem}");
        }
    }
}
