//! Settings as tables and lines for a person: what `limits`, `config` and `check` print, and what the log says of the
//! caps in effect.

use lanner_limits::{Effective, KNOBS, Knob, Limits, Resolved, Source};
use std::fmt::Write as _;

/// Where paragraphs are wrapped: what a terminal shows beside its edge.
const LINE_CHARACTERS_MAX: usize = 100;
/// How far paragraphs stand in below their variable.
const INDENT: &str = "    ";

/// Every knob: value and source, default, what it accepts, what tripping it answers, why it is there.
pub(crate) fn limits(resolved: &Resolved) -> String {
    let mut text = String::new();
    for knob in KNOBS {
        let effective = resolved
            .effective
            .iter()
            .find(|value| value.variable == knob.variable);
        entry(&mut text, knob, effective);
    }
    for named in resolved.effective.iter().filter(|value| !is_knob(value)) {
        own(&mut text, named);
    }
    text
}

/// A value that one listener has of its own.
fn own(text: &mut String, value: &Effective) {
    let _ = writeln!(text, "{}={}", value.variable, value.value);
    let mut facts = format!("Source: {}.", source(value));
    let mut properties = lanner_limits::properties();
    if let Some(property) = properties.find(|property| property.is(&value.variable)) {
        let _ = write!(facts, " Accepts: {}.", property.range());
        paragraph(text, &facts);
        paragraph(text, property.why);
    }
    text.push('\n');
}

fn is_knob(value: &Effective) -> bool {
    KNOBS.iter().any(|knob| knob.variable == value.variable)
}

fn entry(text: &mut String, knob: &Knob, effective: Option<&Effective>) {
    let (value, source) = match effective {
        Some(effective) => (effective.value.as_str(), source(effective)),
        // Only `listen` is ever left out: named listeners stand in its place.
        None => ("", "none, for listeners are named".to_owned()),
    };
    let _ = writeln!(text, "{}={value}", knob.variable);
    let mut facts = format!(
        "Source: {source}. Default: {}. Accepts: {}.",
        knob.default,
        knob.range()
    );
    if let Some(answer) = knob.answer() {
        let _ = write!(facts, " When hit: {answer}.");
    }
    paragraph(text, &facts);
    paragraph(text, knob.why);
    text.push('\n');
}

/// Words, wrapped and indented.
fn paragraph(text: &mut String, words: &str) {
    let mut line = String::new();
    for word in words.split_whitespace() {
        let full =
            INDENT.len() + line.chars().count() + 1 + word.chars().count() > LINE_CHARACTERS_MAX;
        if full && !line.is_empty() {
            let _ = writeln!(text, "{INDENT}{line}");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    let _ = writeln!(text, "{INDENT}{line}");
}

/// The values in effect, one a line, with their sources.
pub(crate) fn config(resolved: &Resolved) -> String {
    let pairs: Vec<(String, String)> = resolved
        .effective
        .iter()
        .map(|value| (format!("{}={}", value.variable, value.value), source(value)))
        .collect();
    let width = pairs
        .iter()
        .map(|(pair, _)| pair.chars().count())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for (pair, source) in pairs {
        let _ = writeln!(text, "{pair:width$}  {source}");
    }
    text
}

fn source(value: &Effective) -> String {
    match (value.source, value.automatic) {
        (Source::Default, true) => "default, from the machine".to_owned(),
        (source, true) => format!("{source}, from the machine"),
        (source, false) => source.to_string(),
    }
}

/// That nothing is wrong, and what is worth knowing nevertheless.
pub(crate) fn check(resolved: &Resolved, warnings: &[String]) -> String {
    let mut text = String::new();
    for notice in resolved.notices.iter().chain(warnings) {
        let _ = writeln!(text, "notice: {notice}");
    }
    let chosen = resolved
        .effective
        .iter()
        .filter(|value| value.source != Source::Default)
        .count();
    let _ = writeln!(
        text,
        "settings are valid: {chosen} chosen, the rest default"
    );
    text
}

/// The bounds that an operator asks for first, in one line.
pub(crate) fn caps(limits: &Limits) -> String {
    let value = |name: &str| {
        let knob = KNOBS.iter().find(|knob| knob.name == name);
        knob.map(|knob| knob.value(limits))
            .expect("the names below are in the table; a test resolves them")
    };
    format!(
        "caps: connections {}, from one address {}, request body {}, request head {}, keep-alive {}",
        value("max_connections"),
        value("max_connections_per_ip"),
        value("max_request_body"),
        value("max_header_bytes"),
        value("keepalive_timeout"),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use lanner_limits::{Machine, Setting};

    fn resolved(settings: &[(&str, &str)]) -> Resolved {
        let settings = settings.iter().map(|(name, value)| Setting {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
            source: Source::Environment,
        });
        Limits::resolve(
            settings,
            Machine {
                nofile: 4_096,
                memory: 1 << 33,
                cpus: 2,
            },
        )
        .unwrap()
    }

    #[test]
    fn every_knob_is_printed_with_value_source_default_range_and_reason() {
        let text = limits(&resolved(&[("LANNER_KEEPALIVE_TIMEOUT", "20s")]));
        for knob in KNOBS {
            assert!(
                text.contains(&format!("{}=", knob.variable)),
                "{}",
                knob.variable
            );
        }
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for knob in KNOBS {
            let facts = format!("Default: {}. Accepts: {}.", knob.default, knob.range());
            assert!(
                words.contains(&facts.split_whitespace().collect::<Vec<_>>().join(" ")),
                "{facts}"
            );
            assert!(
                words.contains(&knob.why.split_whitespace().collect::<Vec<_>>().join(" ")),
                "{}",
                knob.variable
            );
        }
        assert!(
            words.contains("LANNER_KEEPALIVE_TIMEOUT=20s Source: environment. Default: 75s."),
            "{words}"
        );
        assert!(
            words.contains("LANNER_WORKERS=2 Source: default, from the machine. Default: auto."),
            "{words}"
        );
    }

    #[test]
    fn paragraphs_are_wrapped_at_the_edge_and_never_within_a_word() {
        for length in 1..=LINE_CHARACTERS_MAX + 5 {
            let word = "x".repeat(length);
            let words = [word.as_str(); 7].join(" ");
            let mut text = String::new();
            paragraph(&mut text, &words);
            assert!(text.lines().all(|line| line.starts_with("    x")), "{text}");
            assert!(
                text.lines()
                    .all(|line| line.len() <= LINE_CHARACTERS_MAX.max(4 + length)),
                "{text}"
            );
            assert_eq!(text.split_whitespace().collect::<Vec<_>>().join(" "), words);
            let fitting = ((LINE_CHARACTERS_MAX - 3) / (length + 1)).max(1);
            assert_eq!(text.lines().count(), 7_usize.div_ceil(fitting), "{text}");
        }
    }

    #[test]
    fn what_a_listener_has_of_its_own_is_printed_with_what_it_accepts_and_why() {
        let text = limits(&resolved(&[
            ("LANNER_LISTENER__PUBLIC__URL", "http://*:80"),
            ("LANNER_LISTENER__PUBLIC__PROTOCOLS", "h1"),
        ]));
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in [
            "LANNER_LISTENER__PUBLIC__URL=http://*:80 Source: environment. Accepts: a URL (",
            "LANNER_LISTENER__PUBLIC__PROTOCOLS=h1 Source: environment. Accepts: h1, h2 or h1+h2. The versions of HTTP",
        ] {
            assert!(words.contains(part), "{part} in {words}");
        }
    }

    #[test]
    fn config_lines_up_sources_and_shows_named_listeners() {
        let text = config(&resolved(&[
            ("LANNER_LISTENER__PUBLIC__URL", "http://*:80"),
            ("LANNER_LISTENER__PUBLIC__PROTOCOLS", "h2"),
            ("LANNER_WORKERS", "1"),
        ]));
        let line = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap();
        assert!(line("LANNER_WORKERS=1 ").ends_with("  environment"));
        assert!(line("LANNER_LISTENER__PUBLIC__URL=http://*:80").ends_with("environment"));
        assert!(line("LANNER_LISTENER__PUBLIC__PROTOCOLS=h2 ").ends_with("environment"));
        assert!(!text.contains("LANNER_LISTEN="), "{text}");
    }

    #[test]
    fn the_caps_in_one_line_name_their_values() {
        let text = caps(
            &resolved(&[
                ("LANNER_MAX_CONNECTIONS", "100"),
                ("LANNER_MAX_REQUEST_BODY", "none"),
            ])
            .limits,
        );
        assert!(
            text.contains("connections 100, from one address 100, request body none,"),
            "{text}"
        );
    }
}
