//! From settings to limits, as the engine asks for it.
#![allow(clippy::unwrap_used)]

use lanner_limits::{KNOBS, Limits, Machine, Mistakes, Resolved, Setting, Source};
use std::time::Duration;

const MACHINE: Machine = Machine {
    nofile: 65_536,
    memory: 1 << 34,
    cpus: 4,
};

fn setting(source: Source, (name, value): (&str, &str)) -> Setting {
    Setting {
        name: name.to_owned(),
        value: value.to_owned(),
        source,
    }
}

fn resolve(
    environment: &[(&str, &str)],
    command_line: &[(&str, &str)],
) -> Result<Resolved, Mistakes> {
    let environment = environment
        .iter()
        .map(|pair| setting(Source::Environment, *pair));
    let command_line = command_line
        .iter()
        .map(|pair| setting(Source::CommandLine, *pair));
    Limits::resolve(environment.chain(command_line), MACHINE)
}

fn mistakes(environment: &[(&str, &str)]) -> Vec<String> {
    resolve(environment, &[])
        .unwrap_err()
        .to_string()
        .lines()
        .map(str::to_owned)
        .collect()
}

#[test]
fn without_settings_the_limits_are_those_of_the_machine() {
    let resolved = resolve(&[], &[]).unwrap();
    assert_eq!(resolved.limits, Limits::for_machine(MACHINE));
    assert_eq!(resolved.effective.len(), KNOBS.len());
    assert!(
        resolved
            .effective
            .iter()
            .all(|value| value.source == Source::Default)
    );
    assert!(resolved.notices.is_empty());
}

#[test]
fn the_command_line_wins_over_the_environment_in_either_order() {
    let environment = setting(Source::Environment, ("LANNER_HEADER_TIMEOUT", "7s"));
    let command_line = setting(Source::CommandLine, ("header_timeout", "8s"));
    for settings in [
        [environment.clone(), command_line.clone()],
        [command_line, environment],
    ] {
        let resolved = Limits::resolve(settings, MACHINE).unwrap();
        assert_eq!(resolved.limits.header_timeout, Duration::from_secs(8));
        let effective = resolved
            .effective
            .iter()
            .find(|value| value.variable == "LANNER_HEADER_TIMEOUT")
            .unwrap();
        assert_eq!(
            (effective.value.as_str(), effective.source),
            ("8s", Source::CommandLine)
        );
    }
}

#[test]
fn of_one_source_the_later_setting_wins() {
    let resolved = resolve(
        &[],
        &[("max_pipelined", "3"), ("limits.max_pipelined", "4")],
    )
    .unwrap();
    assert_eq!(resolved.limits.max_pipelined, 4);
}

#[test]
fn values_may_have_space_around_them() {
    assert_eq!(
        resolve(&[("LANNER_MAX_PIPELINED", " 3\n")], &[])
            .unwrap()
            .limits
            .max_pipelined,
        3
    );
}

#[test]
fn every_mistake_is_reported_at_once_and_names_variable_value_and_range() {
    let mistakes = mistakes(&[
        ("LANNER_HEADER_TIMEOUT", "30"),
        ("LANNER_MAX_HEADER_COUNT", "1001"),
        ("LANNER_MAX_CONECTIONS", "5"),
        ("LANNER_DRIVER", "kqueue"),
        ("LANNER_H1_STRICT", "yes"),
        ("LANNER_LISTEN", "https://example.com"),
    ]);
    let has = |parts: &[&str]| {
        let found = mistakes
            .iter()
            .filter(|mistake| parts.iter().all(|part| mistake.contains(part)))
            .count();
        assert_eq!(found, 1, "{parts:?} in {mistakes:#?}");
    };
    has(&[
        "LANNER_HEADER_TIMEOUT=\"30\"",
        "has no unit",
        "a duration from 1ms to 168h",
    ]);
    has(&[
        "LANNER_MAX_HEADER_COUNT=\"1001\"",
        "out of range",
        "from 1 to 1000",
    ]);
    has(&[
        "LANNER_MAX_CONECTIONS is not a setting",
        "LANNER_MAX_CONNECTIONS",
    ]);
    has(&[
        "LANNER_DRIVER=\"kqueue\"",
        "auto, uring, epoll, monoio, monoio-epoll or glommio",
    ]);
    has(&["LANNER_H1_STRICT=\"yes\"", "true or false"]);
    has(&[
        "LANNER_LISTEN=",
        "whose host is not",
        "https://localhost:8443",
    ]);
    assert_eq!(mistakes.len(), 6);
}

#[test]
fn every_knob_refuses_what_it_cannot_mean_and_names_its_range() {
    for knob in KNOBS {
        // Not a number, a duration, a word, a host, a network or a URL; and no field value either.
        let mistakes = mistakes(&[(knob.variable, "\u{7f} ??")]);
        assert_eq!(mistakes.len(), 1, "{mistakes:#?}");
        assert!(
            mistakes[0].starts_with(&format!("{}=\"\\u{{7f}} ??\" ", knob.variable)),
            "{}",
            mistakes[0]
        );
        assert!(
            mistakes[0].ends_with(&format!("expected {}", knob.range())),
            "{}",
            mistakes[0]
        );
    }
}

#[test]
fn every_bound_refuses_a_number_beyond_it_and_names_its_range() {
    let mut bounded = 0;
    for knob in KNOBS {
        // "... from 1ms to 1s", "... from 4KiB to 1GiB"
        let range = knob.range();
        let Some((_, bounds)) = range.split_once(" from ") else {
            continue;
        };
        let (min, max) = bounds.split_once(" to ").unwrap();
        bounded += 1;
        for (bound, beyond) in [(min, below(min)), (max, Some(above(max)))] {
            let Some(beyond) = beyond else { continue };
            let mistakes = mistakes(&[(knob.variable, &beyond)]);
            assert_eq!(mistakes.len(), 1, "{mistakes:#?}");
            let expected = format!(
                "{}=\"{beyond}\" is out of range; expected {range}",
                knob.variable
            );
            assert_eq!(mistakes[0], expected, "beyond {bound}");
            // The bound itself is accepted, though it may contradict another value or the machine.
            if let Err(mistakes) = resolve(&[(knob.variable, bound)], &[]) {
                assert!(!mistakes.to_string().contains("out of range"), "{mistakes}");
            }
        }
    }
    assert!(bounded > 30, "{bounded}");
}

fn digits_of(text: &str) -> (u64, &str) {
    let end = text
        .bytes()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    (text[..end].parse().unwrap(), &text[end..])
}

/// One less, in the next smaller unit where the text has one.
fn below(bound: &str) -> Option<String> {
    let (number, unit) = digits_of(bound);
    if number == 0 {
        return None;
    }
    Some(match unit {
        "KiB" => format!("{}", number * 1_024 - 1),
        "s" => format!("{}ms", number * 1_000 - 1),
        _ => format!("{}{unit}", number - 1),
    })
}

fn above(bound: &str) -> String {
    let (number, unit) = digits_of(bound);
    match unit {
        "MiB" => format!("{}", (number << 20) + 1),
        "h" => format!("{}ms", number * 3_600_000 + 1),
        _ => format!("{}{unit}", number + 1),
    }
}

#[test]
fn a_losing_setting_is_not_judged() {
    let resolved = resolve(
        &[("LANNER_MAX_PIPELINED", "many")],
        &[("max_pipelined", "4")],
    )
    .unwrap();
    assert_eq!(resolved.limits.max_pipelined, 4);
}

#[test]
fn variables_that_kubernetes_injects_are_ignored_with_a_notice() {
    let resolved = resolve(
        &[
            ("LANNER_SERVICE_HOST", "10.0.0.1"),
            ("LANNER_PORT_80_TCP", "tcp://10.0.0.1:80"),
        ],
        &[],
    )
    .unwrap();
    assert_eq!(resolved.notices.len(), 2);
    assert!(
        resolved.notices[0].starts_with("LANNER_SERVICE_HOST is ignored"),
        "{}",
        resolved.notices[0]
    );
    assert_eq!(resolved.limits, Limits::for_machine(MACHINE));
}

#[test]
fn a_number_of_workers_changes_what_auto_leaves_for_connections() {
    let resolved = resolve(&[("LANNER_WORKERS", "100")], &[]).unwrap();
    assert_eq!(resolved.limits.max_connections, 65_536 - 256 - 1_600);
    let effective = |variable: &str| {
        resolved
            .effective
            .iter()
            .find(|value| value.variable == variable)
            .unwrap()
    };
    assert_eq!(effective("LANNER_MAX_CONNECTIONS").value, "63680");
    assert!(effective("LANNER_MAX_CONNECTIONS").automatic);
    assert!(!effective("LANNER_WORKERS").automatic);
    assert!(
        !effective("LANNER_DRIVER").automatic,
        "its auto is a word and not a number"
    );
}

#[test]
fn auto_may_be_asked_for_by_name() {
    let auto = [
        ("LANNER_WORKERS", "auto"),
        ("LANNER_MAX_CONNECTIONS", "auto"),
        ("LANNER_MAX_CONNECTIONS_PER_IP", "auto"),
    ];
    assert_eq!(
        resolve(&auto, &[]).unwrap().limits,
        Limits::for_machine(MACHINE)
    );
}

#[test]
fn an_address_gets_its_share_of_a_configured_cap() {
    assert_eq!(
        resolve(&[("LANNER_MAX_CONNECTIONS", "4000")], &[])
            .unwrap()
            .limits
            .max_connections_per_ip,
        500
    );
    assert_eq!(
        resolve(&[("LANNER_MAX_CONNECTIONS", "10")], &[])
            .unwrap()
            .limits
            .max_connections_per_ip,
        10
    );
}

#[test]
fn too_few_descriptors_are_a_mistake_that_names_what_to_change() {
    let small = Machine {
        nofile: 256 + 16 * 4 + 63,
        ..MACHINE
    };
    let mistakes = Limits::resolve([], small).unwrap_err().to_string();
    for part in [
        "LANNER_MAX_CONNECTIONS",
        "at least 64",
        "RLIMIT_NOFILE=383",
        "LANNER_WORKERS=4",
        "for 63",
    ] {
        assert!(mistakes.contains(part), "{part} in {mistakes}");
    }
    let enough = Machine {
        nofile: small.nofile + 1,
        ..small
    };
    assert_eq!(
        Limits::resolve([], enough).unwrap().limits.max_connections,
        64
    );
    let fewer = Limits::resolve(
        [setting(Source::Environment, ("LANNER_WORKERS", "1"))],
        small,
    )
    .unwrap();
    assert_eq!(fewer.limits.max_connections, 383 - 256 - 16);
}

#[test]
fn more_connections_than_descriptors_are_a_mistake() {
    let mistakes = mistakes(&[("LANNER_MAX_CONNECTIONS", "100000")]);
    assert_eq!(mistakes.len(), 1);
    for part in [
        "LANNER_MAX_CONNECTIONS=100000 is more",
        "RLIMIT_NOFILE=65536",
        "for 65216",
    ] {
        assert!(mistakes[0].contains(part), "{part} in {}", mistakes[0]);
    }
}

#[test]
fn values_that_contradict_one_another_are_a_mistake_that_shows_both() {
    let mistakes = mistakes(&[
        ("LANNER_SHUTDOWN_DELAY", "25s"),
        ("LANNER_REQUEST_BUFFER", "16KiB"),
        ("LANNER_QUEUE_TIMEOUT", "10ms"),
        ("LANNER_MAX_INFLIGHT", "5"),
    ]);
    assert_eq!(
        mistakes,
        [
            "LANNER_SHUTDOWN_DELAY=25s, LANNER_SHUTDOWN_TIMEOUT=25s: the delay is part of the timeout and must be shorter",
            "LANNER_REQUEST_BUFFER=16KiB, LANNER_MAX_REQUEST_LINE=8KiB, LANNER_MAX_HEADER_BYTES=32KiB: the buffer must hold a \
             whole head, which is a request line and its fields",
            "LANNER_QUEUE_TIMEOUT=10ms, LANNER_TIMER_RESOLUTION=64ms: a time shorter than a tick would be a tick long",
        ]
    );
}

#[test]
fn a_value_that_is_wrong_by_itself_is_not_compared_as_well() {
    // Its default, 25s, would not be longer than this delay.
    let mistakes = mistakes(&[
        ("LANNER_SHUTDOWN_DELAY", "50s"),
        ("LANNER_SHUTDOWN_TIMEOUT", "60"),
    ]);
    assert_eq!(mistakes.len(), 1, "{mistakes:#?}");
    assert!(mistakes[0].starts_with("LANNER_SHUTDOWN_TIMEOUT=\"60\" has no unit"));
}

#[test]
fn a_setting_that_does_nothing_is_noticed() {
    let resolved = resolve(&[("LANNER_QUEUE_TIMEOUT", "1s")], &[]).unwrap();
    assert_eq!(
        resolved.notices,
        ["LANNER_QUEUE_TIMEOUT has no effect without LANNER_MAX_INFLIGHT"]
    );
}

#[test]
fn none_takes_a_bound_away() {
    let none = [
        ("LANNER_MAX_REQUEST_BODY", "none"),
        ("LANNER_MIN_BODY_RATE", "none"),
        ("LANNER_PER_IP_EXEMPT", "none"),
    ];
    let limits = resolve(&none, &[]).unwrap().limits;
    assert_eq!(limits.max_request_body, None);
    assert_eq!(limits.body_rate(), None);
    assert!(!limits.per_ip_exempt.contains("127.0.0.1".parse().unwrap()));
    assert!(mistakes(&[("LANNER_HEADER_TIMEOUT", "none")])[0].contains("is not a duration"));
}

#[test]
fn hostile_values_are_shown_harmlessly() {
    let mistakes = mistakes(&[("LANNER_WORKERS", &"\u{1b}]0;x\u{7}".repeat(1_000))]);
    assert!(
        mistakes[0].len() < 1_000 && mistakes[0].chars().all(|character| !character.is_control())
    );
}
