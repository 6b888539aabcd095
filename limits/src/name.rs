//! What a setting's name means: a knob, a listener's property, something that Kubernetes put there, or nothing we know.

use crate::knob::{KNOBS, Knob};
use crate::kubernetes;
use crate::listen::LISTENERS_MAX;
use crate::listener::property::{HOST_PROPERTIES, LISTENER, LISTENER_PROPERTIES, SNI_MAX, number};
use crate::mistake::nearest;
use crate::resolve::Source;
use std::fmt;

const PREFIX: &str = "LANNER_";
/// What stands before the number of a name that a listener has a certificate for.
const SNI: &str = "SNI";
/// A name shows up in every log line of its listener.
const LISTENER_NAME_BYTES_MAX: usize = 32;

/// What a name means.
#[derive(Debug, PartialEq)]
pub(crate) enum Meaning {
    /// The knob at this place in `KNOBS`.
    Knob(usize),
    /// A listener's property.
    Property(PropertyKey),
    /// Nobody's setting.
    Injected,
    /// Nothing; the nearest name is this one.
    Unknown(String),
    /// A listener's variable whose name of the listener is not one; what was expected.
    BadListenerName(String),
    /// A listener's variable whose number of a host is not one; what was expected.
    BadHostNumber(String),
}

/// Which listener: one of the entries of `LANNER_LISTEN`, or one with a name of its own, which come after them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ListenerKey {
    Number(usize),
    Name(String),
}

impl fmt::Display for ListenerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenerKey::Number(number) => write!(f, "{number}"),
            ListenerKey::Name(name) => f.write_str(name),
        }
    }
}

/// One property of one listener. They sort as one would list them: by listener, its own properties in the order of their
/// table, then those of its hosts by number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PropertyKey {
    pub(crate) listener: ListenerKey,
    /// The number of the host that it is of; none where it is the listener's.
    pub(crate) host: Option<usize>,
    /// Its place in `LISTENER_PROPERTIES`, or in `HOST_PROPERTIES`.
    pub(crate) place: usize,
}

impl PropertyKey {
    /// The end of its variable.
    pub(crate) fn name(&self) -> &'static str {
        match self.host {
            None => LISTENER_PROPERTIES[self.place].property.name,
            Some(_) => HOST_PROPERTIES[self.place].property.name,
        }
    }

    /// What it accepts.
    pub(crate) fn range(&self) -> String {
        match self.host {
            None => LISTENER_PROPERTIES[self.place].property.range(),
            Some(_) => HOST_PROPERTIES[self.place].property.range(),
        }
    }

    /// Its variable.
    pub(crate) fn variable(&self) -> String {
        let (listener, name) = (&self.listener, self.name());
        match self.host {
            None => format!("{LISTENER}{listener}__{name}"),
            Some(number) => format!("{LISTENER}{listener}__{SNI}__{number}__{name}"),
        }
    }

    /// Its dotted path.
    pub(crate) fn path(&self) -> String {
        let listener = self.listener.to_string().to_ascii_lowercase();
        let name = self.name().to_ascii_lowercase();
        let name = match name.strip_prefix("tls_") {
            Some(name) => format!("tls.{name}"),
            None => name,
        };
        match self.host {
            None => format!("server.listener.{listener}.{name}"),
            Some(number) => format!("server.listener.{listener}.sni.{number}.{name}"),
        }
    }
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
/// `LANNER_LISTENER__PUBLIC__URL`, and `server.listener.public.tls.cert` is `LANNER_LISTENER__PUBLIC__TLS_CERT`.
fn variable_spelling(name: &str) -> String {
    let upper = name.to_ascii_uppercase();
    if let Some(path) = upper.strip_prefix("SERVER.LISTENER.") {
        let words: Vec<&str> = path.split('.').collect();
        let (place, property) = match words.as_slice() {
            [listener, SNI, number, property @ ..] => {
                (format!("{listener}__{SNI}__{number}"), property)
            }
            [listener, property @ ..] => ((*listener).to_owned(), property),
            [] => (String::new(), [].as_slice()),
        };
        return format!("{LISTENER}{place}__{}", property.join("_"));
    }
    let bare = ["SERVER.", "LIMITS.", PREFIX]
        .into_iter()
        .find_map(|root| upper.strip_prefix(root))
        .unwrap_or(&upper);
    format!("{PREFIX}{}", bare.replace('.', "_"))
}

/// `LANNER_LISTENER__NAME__URL` and the like, and `LANNER_LISTENER__NAME__SNI__0__HOST` and the like.
fn listener(variable: &str) -> Option<Meaning> {
    let rest = variable.strip_prefix(LISTENER)?;
    let (before, property) = rest.rsplit_once("__")?;
    let host = before.rsplit_once("__").and_then(|(before, number)| {
        let (name, word) = before.rsplit_once("__")?;
        (word == SNI).then_some((name, number))
    });
    let place = match host {
        Some(_) => HOST_PROPERTIES
            .iter()
            .position(|row| row.property.name == property),
        None => LISTENER_PROPERTIES
            .iter()
            .position(|row| row.property.name == property),
    };
    let Some(place) = place else {
        return Some(unknown_property(rest));
    };
    let (name, host) = match host {
        None => (before, None),
        Some((name, text)) => match number(text, SNI_MAX) {
            None => return Some(Meaning::BadHostNumber(host_number_range())),
            number => (name, number),
        },
    };
    let makes_listener = host.is_none() && property == "URL";
    let Some(listener) =
        listener_key(name).filter(|key| !makes_listener || matches!(key, ListenerKey::Name(_)))
    else {
        return Some(Meaning::BadListenerName(listener_name_range(
            property,
            makes_listener,
        )));
    };
    let key = PropertyKey {
        listener,
        host,
        place,
    };
    Some(Meaning::Property(key))
}

fn listener_key(name: &str) -> Option<ListenerKey> {
    match number(name, LISTENERS_MAX) {
        Some(number) => Some(ListenerKey::Number(number)),
        None => valid_listener_name(name).then(|| ListenerKey::Name(name.to_owned())),
    }
}

/// What they meant is a property of theirs, not some knob that happens to look alike.
fn unknown_property(rest: &str) -> Meaning {
    let (name, property) = rest.split_once("__").unwrap_or((rest, ""));
    let listeners = LISTENER_PROPERTIES
        .iter()
        .map(|row| row.property.name.to_owned());
    // With the number that they wrote, where they wrote one.
    let written = property
        .split("__")
        .nth(1)
        .and_then(|text| number(text, SNI_MAX))
        .unwrap_or(0);
    let hosts = HOST_PROPERTIES
        .iter()
        .map(|row| format!("{SNI}__{written}__{}", row.property.name));
    let candidates: Vec<String> = listeners.chain(hosts).collect();
    let names = || candidates.iter().map(String::as_str);
    // `CERT` is `TLS_CERT` without its family, however much shorter another name is.
    let family = |name: &&str| {
        let family = name.strip_suffix(property);
        !property.is_empty() && family.is_some_and(|family| family.ends_with('_'))
    };
    let near = names().find(family).or_else(|| nearest(property, names()));
    let near = near.unwrap_or_default();
    let name = if listener_key(name).is_some() {
        name
    } else {
        "NAME"
    };
    Meaning::Unknown(format!("{LISTENER}{name}__{near}"))
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
fn listener_name_range(property: &str, makes_listener: bool) -> String {
    let entries = if makes_listener {
        ""
    } else {
        ", or the number of an entry of LANNER_LISTEN"
    };
    format!(
        "{LISTENER}NAME__{property} with a NAME of 1 to {LISTENER_NAME_BYTES_MAX} capital letters, digits and single \
         underscores that begins with a letter{entries}"
    )
}

/// What the number of a host must be, worded to follow "expected".
fn host_number_range() -> String {
    format!(
        "{LISTENER}NAME__{SNI}__N__HOST with an N from 0 to {}",
        SNI_MAX - 1
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn place(field: &str) -> Meaning {
        Meaning::Knob(KNOBS.iter().position(|knob| knob.name == field).unwrap())
    }

    fn url_of(listener: &str) -> Meaning {
        Meaning::Property(PropertyKey {
            listener: ListenerKey::Name(listener.to_owned()),
            host: None,
            place: 0,
        })
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
        let public = || url_of("PUBLIC");
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
    }

    #[test]
    fn every_property_is_found_by_its_variable_and_by_its_path() {
        for listener in [ListenerKey::Number(7), ListenerKey::Name("A_1".to_owned())] {
            let own = (0..LISTENER_PROPERTIES.len()).map(|place| (None, place));
            let hosts = (0..HOST_PROPERTIES.len()).map(|place| (Some(SNI_MAX - 1), place));
            for (host, place) in own.chain(hosts) {
                let listener = listener.clone();
                let key = PropertyKey {
                    listener,
                    host,
                    place,
                };
                if key.name() == "URL" && matches!(key.listener, ListenerKey::Number(_)) {
                    continue;
                }
                let (variable, path) = (key.variable(), key.path());
                for source in [Source::Environment, Source::CommandLine] {
                    assert_eq!(meaning(&variable, source), Meaning::Property(key.clone()));
                }
                for name in [
                    &path,
                    &path.replace("tls.", "tls_"),
                    &variable.to_ascii_lowercase(),
                ] {
                    assert_eq!(
                        meaning(name, Source::CommandLine),
                        Meaning::Property(key.clone()),
                        "{name}"
                    );
                }
            }
        }
        let host = PropertyKey {
            listener: ListenerKey::Name("PUBLIC".to_owned()),
            host: Some(0),
            place: 0,
        };
        assert_eq!(host.variable(), "LANNER_LISTENER__PUBLIC__SNI__0__HOST");
        assert_eq!(host.path(), "server.listener.public.sni.0.host");
    }

    #[test]
    fn a_listener_that_looks_like_a_kubernetes_port_is_still_a_listener() {
        let name = "LANNER_LISTENER__A_SERVICE_PORT__URL";
        assert!(kubernetes::injects(name));
        assert_eq!(meaning(name, Source::Environment), url_of("A_SERVICE_PORT"));
    }

    #[test]
    fn listener_names_that_could_be_misread_are_refused() {
        let long = "A".repeat(33);
        for name in ["", "0", "9A", "public", "A__B", "A_", "_A", "A-B", &long] {
            let variable = format!("{LISTENER}{name}__URL");
            let meaning = meaning(&variable, Source::Environment);
            let Meaning::BadListenerName(expected) = meaning else {
                panic!("{name}: {meaning:?}");
            };
            assert!(expected.ends_with("begins with a letter"), "{expected}");
        }
        for name in [
            "", "64", "00", "9A", "public", "A__B", "A_", "_A", "A-B", &long,
        ] {
            for property in ["PROTOCOLS", "SNI__0__HOST"] {
                let variable = format!("{LISTENER}{name}__{property}");
                let meaning = meaning(&variable, Source::Environment);
                let Meaning::BadListenerName(expected) = meaning else {
                    panic!("{name}: {meaning:?}");
                };
                assert!(expected.ends_with("or the number of an entry of LANNER_LISTEN"));
            }
        }
    }

    #[test]
    fn numbers_of_hosts_are_bounded_and_have_one_spelling() {
        for number in ["", "256", "00", "-1", "A", "0_"] {
            let variable = format!("{LISTENER}A__SNI__{number}__HOST");
            let meaning = meaning(&variable, Source::Environment);
            let Meaning::BadHostNumber(expected) = meaning else {
                panic!("{number}: {meaning:?}");
            };
            assert!(expected.ends_with("with an N from 0 to 255"), "{expected}");
        }
    }

    #[test]
    fn another_property_of_a_listener_is_unknown_and_the_nearest_of_them_is_named() {
        for (wrong, near) in [
            ("PUBLIC__TLS_CRT", "PUBLIC__TLS_CERT"),
            ("PUBLIC__CERT", "PUBLIC__TLS_CERT"),
            ("PUBLIC__PROTOCOL", "PUBLIC__PROTOCOLS"),
            ("PUBLIC__TLS__CERT", "PUBLIC__TLS_CERT"),
            ("3__TLS_CIENT_AUTH", "3__TLS_CLIENT_AUTH"),
            ("PUBLIC__SNI__7__KYE", "PUBLIC__SNI__7__KEY"),
            ("PUBLIC__SNI_0_HOST", "PUBLIC__SNI__0__HOST"),
            ("PUBLIC__SNI__HOST", "PUBLIC__SNI__0__HOST"),
            ("public__ULR", "NAME__URL"),
        ] {
            let meaning = meaning(&format!("{LISTENER}{wrong}"), Source::Environment);
            assert_eq!(
                meaning,
                Meaning::Unknown(format!("{LISTENER}{near}")),
                "{wrong}"
            );
        }
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
