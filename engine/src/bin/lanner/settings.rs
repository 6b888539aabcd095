//! The settings of this process: the environment's and the command line's, judged together by the table of limits.

use crate::failure::Failure;
use lanner_limits::{Limits, Resolved, Setting, Source};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

/// The prefix that makes a variable ours.
const PREFIX: &[u8] = b"LANNER_";

/// The limits in force, or every mistake at once. The descriptor limit is raised first, for some defaults follow it.
pub(crate) fn resolve(command_line: Vec<Setting>) -> Result<Resolved, Failure> {
    lanner::raise_descriptor_limit();
    let (mut settings, mut mistakes) = environment(std::env::vars_os());
    settings.extend(command_line);
    match Limits::resolve(settings, lanner::machine()) {
        Ok(resolved) if mistakes.is_empty() => Ok(resolved),
        Ok(_) => Err(Failure::Settings(mistakes)),
        Err(others) => {
            mistakes.extend(others.iter().map(ToString::to_string));
            Err(Failure::Settings(mistakes))
        }
    }
}

/// Our variables, and a line for each that is no text. Sorted, so that the same mistakes always read the same.
fn environment(
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> (Vec<Setting>, Vec<String>) {
    let mut ours: Vec<_> = variables
        .filter(|(name, _)| name.as_bytes().starts_with(PREFIX))
        .collect();
    ours.sort();
    let mut settings = Vec::new();
    let mut mistakes = Vec::new();
    for (name, value) in ours {
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) => settings.push(Setting {
                name,
                value,
                source: Source::Environment,
            }),
            (Ok(name), Err(value)) => mistakes.push(format!("{name}={value:?} is not UTF-8")),
            (Err(name), _) => mistakes.push(format!(
                "the environment variable {name:?} has a name that is not UTF-8"
            )),
        }
    }
    (settings, mistakes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt as _;

    fn variable(name: &[u8], value: &[u8]) -> (OsString, OsString) {
        (
            OsString::from_vec(name.to_vec()),
            OsString::from_vec(value.to_vec()),
        )
    }

    #[test]
    fn only_variables_with_our_prefix_are_settings() {
        let variables = [
            variable(b"PATH", b"/bin"),
            variable(b"LANNER_WORKERS", b"2"),
            variable(b"LANNER", b"x"),
            variable(b"XLANNER_A", b"y"),
        ];
        let (settings, mistakes) = environment(variables.into_iter());
        assert_eq!(mistakes, Vec::<String>::new());
        let setting = Setting {
            name: "LANNER_WORKERS".into(),
            value: "2".into(),
            source: Source::Environment,
        };
        assert_eq!(settings, [setting]);
    }

    #[test]
    fn bytes_that_are_no_text_are_a_mistake_and_other_peoples_are_not() {
        let variables = [
            variable(b"LANNER_WORKERS", b"\xff2"),
            variable(b"LANNER_\xfe", b"1"),
            variable(b"OTHER", b"\xff"),
        ];
        let (settings, mistakes) = environment(variables.into_iter());
        assert_eq!(settings, []);
        assert_eq!(
            mistakes,
            [
                r#"LANNER_WORKERS="\xFF2" is not UTF-8"#,
                r#"the environment variable "LANNER_\xFE" has a name that is not UTF-8"#,
            ]
        );
    }
}
