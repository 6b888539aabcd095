//! What a setting's name means: a knob, a named listener, something that Kubernetes put there, or nothing we know.

use crate::knob::{KNOBS, Knob};
use crate::kubernetes;
use crate::mistake::nearest;
use crate::resolve::Source;

const PREFIX: &str = "LANNER_";
const LISTENER: &str = "LANNER_LISTENER__";
/// A name shows up in every log line of its listener.
const LISTENER_NAME_BYTES_MAX: usize = 32;

/// What a name means.
#[derive(Debug, PartialEq)]
pub(crate) enum Meaning {
    /// The knob at this place in `KNOBS`.
    Knob(usize),
    /// The URL of the listener of this name.
    Listener(String),
    /// Nobody's setting.
    Injected,
    /// Nothing; the nearest name is this one.
    Unknown(String),
    /// A listener's variable whose name of the listener is not one.
    BadListenerName,
}

/// What `name` means where it comes from `source`. In the environment it is the variable and nothing else. On the command
/// line it may also be the variable without its prefix, the field's name or the dotted path, in any case.
pub(crate) fn meaning(name: &str, source: Source) -> Meaning {
    if source == Source::Environment {
        if let Some(place) = KNOBS.iter().position(|knob| knob.variable == name) {
            return Meaning::Knob(place);
        }
        return listener(name).unwrap_or_else(|| {
            if kubernetes::injects(name) {
                Meaning::Injected
            } else {
                unknown(name)
            }
        });
    }
    if let Some(place) = KNOBS.iter().position(|knob| is_spelling(knob, name)) {
        return Meaning::Knob(place);
    }
    let variable = variable_spelling(name);
    listener(&variable).unwrap_or_else(|| unknown(&variable))
}

fn is_spelling(knob: &Knob, name: &str) -> bool {
    [knob.variable, knob.name, knob.path]
        .iter()
        .any(|spelling| spelling.eq_ignore_ascii_case(name))
}

/// The variable that a name on the command line stands for: `listener__public__url` and `server.listener.public.url` are
/// `LANNER_LISTENER__PUBLIC__URL`.
fn variable_spelling(name: &str) -> String {
    let upper = name.to_ascii_uppercase();
    if let Some(path) = upper.strip_prefix("SERVER.LISTENER.") {
        return format!("{LISTENER}{}", path.replace('.', "__"));
    }
    let bare = ["SERVER.", "LIMITS.", PREFIX]
        .into_iter()
        .find_map(|root| upper.strip_prefix(root))
        .unwrap_or(&upper);
    format!("{PREFIX}{}", bare.replace('.', "_"))
}

/// `LANNER_LISTENER__NAME__URL`; the only property a listener has so far.
fn listener(variable: &str) -> Option<Meaning> {
    let rest = variable.strip_prefix(LISTENER)?;
    let (name, property) = rest.rsplit_once("__")?;
    if property != "URL" {
        // What they meant is a property of theirs, not some knob that happens to look alike.
        let nearest = if valid_listener_name(name) {
            name
        } else {
            "NAME"
        };
        return Some(Meaning::Unknown(format!("{LISTENER}{nearest}__URL")));
    }
    Some(if valid_listener_name(name) {
        Meaning::Listener(name.to_owned())
    } else {
        Meaning::BadListenerName
    })
}

/// Begins with a letter, so that it is never one of the numbers that the entries of `LANNER_LISTEN` have.
fn valid_listener_name(name: &str) -> bool {
    name.len() <= LISTENER_NAME_BYTES_MAX
        && name
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_uppercase())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
        && !name.ends_with('_')
        && !name.contains("__")
}

/// What a listener's name must be, worded to follow "expected".
pub(crate) fn listener_name_range() -> String {
    format!(
        "{LISTENER}NAME__URL with a NAME of 1 to {LISTENER_NAME_BYTES_MAX} capital letters, digits and single \
         underscores that begins with a letter"
    )
}

fn unknown(variable: &str) -> Meaning {
    // Comparing without the prefix they share: it would make everything look alike.
    let bare = variable.strip_prefix(PREFIX).unwrap_or(variable);
    let names = KNOBS
        .iter()
        .map(|knob| knob.name)
        .chain(["listener__name__url"]);
    let nearest = nearest(bare, names).unwrap_or_default();
    Meaning::Unknown(format!("{PREFIX}{}", nearest.to_ascii_uppercase()))
}

/// The variable of a named listener.
pub(crate) fn listener_variable(name: &str) -> String {
    format!("{LISTENER}{name}__URL")
}

/// The dotted path of a named listener.
pub(crate) fn listener_path(name: &str) -> String {
    format!("server.listener.{}.url", name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn place(field: &str) -> Meaning {
        Meaning::Knob(KNOBS.iter().position(|knob| knob.name == field).unwrap())
    }

    #[test]
    fn the_environment_has_one_spelling() {
        for knob in KNOBS {
            assert_eq!(
                meaning(knob.variable, Source::Environment),
                place(knob.name)
            );
        }
        for other in [
            "max_connections",
            "MAX_CONNECTIONS",
            "limits.max_connections",
            "Lanner_Max_Connections",
        ] {
            assert!(
                matches!(meaning(other, Source::Environment), Meaning::Unknown(_)),
                "{other}"
            );
        }
    }

    #[test]
    fn the_command_line_takes_every_spelling() {
        for knob in KNOBS {
            for name in [
                knob.variable,
                knob.name,
                knob.path,
                &knob.name.to_ascii_uppercase(),
            ] {
                assert_eq!(
                    meaning(name, Source::CommandLine),
                    place(knob.name),
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn a_listener_may_be_named_wherever_settings_come_from() {
        let public = || Meaning::Listener("PUBLIC".to_owned());
        assert_eq!(
            meaning("LANNER_LISTENER__PUBLIC__URL", Source::Environment),
            public()
        );
        for name in [
            "LANNER_LISTENER__PUBLIC__URL",
            "listener__public__url",
            "server.listener.public.url",
        ] {
            assert_eq!(meaning(name, Source::CommandLine), public(), "{name}");
        }
        assert_eq!(listener_variable("PUBLIC"), "LANNER_LISTENER__PUBLIC__URL");
        assert_eq!(
            meaning(&listener_path("PUBLIC"), Source::CommandLine),
            public()
        );
    }

    #[test]
    fn a_listener_that_looks_like_a_kubernetes_port_is_still_a_listener() {
        let name = "LANNER_LISTENER__A_SERVICE_PORT__URL";
        assert!(kubernetes::injects(name));
        assert_eq!(
            meaning(name, Source::Environment),
            Meaning::Listener("A_SERVICE_PORT".to_owned())
        );
    }

    #[test]
    fn listener_names_that_could_be_misread_are_refused() {
        let long = "A".repeat(33);
        for name in ["", "0", "9A", "public", "A__B", "A_", "_A", "A-B", &long] {
            let variable = listener_variable(name);
            assert_eq!(
                meaning(&variable, Source::Environment),
                Meaning::BadListenerName,
                "{name}"
            );
        }
    }

    #[test]
    fn another_property_of_a_listener_is_unknown_and_its_url_is_near() {
        let meaning = meaning("LANNER_LISTENER__PUBLIC__TLS_CERT", Source::Environment);
        assert_eq!(
            meaning,
            Meaning::Unknown("LANNER_LISTENER__PUBLIC__URL".to_owned())
        );
    }

    #[test]
    fn the_nearest_name_is_found_from_every_spelling() {
        let near = |name: &str, source| {
            meaning(name, source) == Meaning::Unknown("LANNER_MAX_CONNECTIONS".to_owned())
        };
        assert!(near("LANNER_MAX_CONECTIONS", Source::Environment));
        for name in [
            "LANNER_MAX_CONECTIONS",
            "max_conections",
            "limits.max_conections",
            "MAX_CONNECTOINS",
        ] {
            assert!(near(name, Source::CommandLine), "{name}");
        }
    }

    #[test]
    fn injected_variables_are_so_in_the_environment_only() {
        assert_eq!(
            meaning("LANNER_SERVICE_HOST", Source::Environment),
            Meaning::Injected
        );
        assert!(matches!(
            meaning("LANNER_SERVICE_HOST", Source::CommandLine),
            Meaning::Unknown(_)
        ));
    }
}
