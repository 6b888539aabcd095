//! A server of one's own, as it is written on the command line: `NAME=COMMAND`.

use std::fmt;
use std::path::Path;
use std::process::Command;

use super::child::program_exists;
use super::configuration::Place;
use crate::arguments::Failure;

/// Words that start it, and what becomes its environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Custom {
    environment: Vec<(String, String)>,
    words: Vec<String>,
}

impl Custom {
    /// Reads the command: leading `VARIABLE=value` words are its environment.
    pub(crate) fn read(command: &str) -> Result<Self, Failure> {
        let mut environment = Vec::new();
        let mut words = command.split_ascii_whitespace().peekable();
        while let Some((name, value)) = words.peek().and_then(|word| word.split_once('=')) {
            let legal =
                |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
            if name.is_empty() || !name.bytes().all(legal) {
                break;
            }
            environment.push((name.to_owned(), value.to_owned()));
            words.next();
        }
        let words: Vec<String> = words.map(str::to_owned).collect();
        let custom = Self { environment, words };
        let Some(program) = custom.words.first() else {
            return Err(Failure::Usage(format!(
                "`{command}`: there is no program to start"
            )));
        };
        if !custom.mentions("{port}") {
            return Err(Failure::Usage(format!(
                "`{command}`: {{port}} must stand where the server is told its port"
            )));
        }
        if !Path::new(program).is_file() && !program_exists(program) {
            return Err(Failure::Usage(format!(
                "`{command}`: there is no program {program}"
            )));
        }
        Ok(custom)
    }

    /// Whether it says where something goes.
    pub(crate) fn mentions(&self, mark: &str) -> bool {
        let values = self.environment.iter().map(|(_, value)| value);
        self.words
            .iter()
            .chain(values)
            .any(|text| text.contains(mark))
    }

    /// The program, which `start` makes a command of, and all that it is told.
    pub(crate) fn command(&self, place: &Place<'_>, start: impl Fn(&Path) -> Command) -> Command {
        let credentials = place.credentials;
        let fill = |word: &str| {
            word.replace("{port}", &place.port.to_string())
                .replace("{socket}", &place.socket().display().to_string())
                .replace("{scheme}", place.demand.wire.scheme())
                .replace("{cert}", &credentials.certificate().display().to_string())
                .replace("{key}", &credentials.key().display().to_string())
        };
        let mut command = start(Path::new(&fill(&self.words[0])));
        command.args(self.words[1..].iter().map(|word| fill(word)));
        command.envs(
            self.environment
                .iter()
                .map(|(name, value)| (name, fill(value))),
        );
        command
    }
}

/// As it was written, without its environment.
impl fmt::Display for Custom {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}`", self.words.join(" "))
    }
}

/// A server's name, which is a part of a directory's too.
pub(crate) fn read_name(name: &str) -> Result<String, Failure> {
    let legal = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    if name.is_empty() || !name.chars().all(legal) || name.starts_with('.') {
        return Err(Failure::Usage(format!(
            "`{name}`: a server's name is made of letters, digits, - _ and ."
        )));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_command_is_words_after_its_environment() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let custom = Custom::read("RUST_LOG=off P=h:{port} sh --port={port} a=b").unwrap();
        let expected = Custom {
            environment: vec![pair("RUST_LOG", "off"), pair("P", "h:{port}")],
            words: ["sh", "--port={port}", "a=b"].map(str::to_owned).to_vec(),
        };
        assert_eq!(custom, expected);
        assert_eq!(custom.to_string(), "`sh --port={port} a=b`");
    }

    #[test]
    fn what_cannot_be_started_is_refused() {
        for (command, said) in [
            ("", "no program to start"),
            ("PORT={port}", "no program to start"),
            ("sh 8080", "{port} must stand"),
            ("./no-such-server {port}", "no program ./no-such-server"),
        ] {
            let error = Custom::read(command).unwrap_err().to_string();
            assert!(error.contains(said), "{command}: {error}");
        }
    }

    #[test]
    fn a_name_is_a_word_that_may_be_a_part_of_a_path() {
        assert_eq!(read_name("old-1.2_x").unwrap(), "old-1.2_x");
        for name in ["", "a/b", "..", "a b", ".hidden"] {
            assert!(read_name(name).is_err(), "{name}");
        }
    }
}
