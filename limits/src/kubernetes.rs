//! Variables that Kubernetes injects into every pod for a Service whose name begins like ours. They are nobody's
//! settings, so they are not judged as such.

/// Whether `variable` is what Kubernetes injects for a Service named `lanner` or `lanner-...`, that is, whether it is
/// `LANNER(_\w+)?_SERVICE_(HOST|PORT\w*)` or `LANNER(_\w+)?_PORT(_\d+_(TCP|UDP)\w*)?` as a whole.
pub(crate) fn injects(variable: &str) -> bool {
    let Some(rest) = variable.strip_prefix("LANNER") else {
        return false;
    };
    if !rest
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    {
        return false;
    }
    tails(rest, "_SERVICE_").any(|tail| tail == "HOST" || tail.starts_with("PORT"))
        || tails(rest, "_PORT").any(port_tail)
}

/// What follows each `word` in `rest`, where nothing, or `_` and at least one character more, comes before it.
fn tails<'a>(rest: &'a str, word: &'a str) -> impl Iterator<Item = &'a str> {
    (0..rest.len())
        .filter(move |place| *place == 0 || (*place >= 2 && rest.starts_with('_')))
        .filter_map(move |place| rest[place..].strip_prefix(word))
}

/// `(_\d+_(TCP|UDP)\w*)?`
fn port_tail(tail: &str) -> bool {
    if tail.is_empty() {
        return true;
    }
    let Some(number) = tail.strip_prefix('_') else {
        return false;
    };
    let protocol = number.trim_start_matches(|character: char| character.is_ascii_digit());
    protocol.len() < number.len() && (protocol.starts_with("_TCP") || protocol.starts_with("_UDP"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KNOBS;

    #[test]
    fn what_kubernetes_injects_is_recognised() {
        for variable in [
            "LANNER_SERVICE_HOST",
            "LANNER_SERVICE_PORT",
            "LANNER_SERVICE_PORT_HTTP",
            "LANNER_SERVICE_PORT_HTTP_ALT",
            "LANNER_PORT",
            "LANNER_PORT_80_TCP",
            "LANNER_PORT_80_TCP_ADDR",
            "LANNER_PORT_53_UDP_PROTO",
            "LANNER_PORT_443_TCP_PORT",
            "LANNER_STAGING_SERVICE_HOST",
            "LANNER_STAGING_EU_PORT_8080_TCP_ADDR",
            "LANNER_SERVICE_SERVICE_HOST",
            "LANNER_PORT_PORT",
            "LANNER_X_PORT",
        ] {
            assert!(injects(variable), "{variable}");
        }
    }

    #[test]
    fn what_only_resembles_it_is_not() {
        for variable in [
            "LANNER",
            "LANNER_",
            "LANNERSERVICE_HOST",
            "LANNERX_PORT",
            "LANNER_SERVICE_HOSTS",
            "LANNER_SERVICE_",
            "LANNER_PORTS",
            "LANNER_PORT_",
            "LANNER_PORT_TCP",
            "LANNER_PORT_80",
            "LANNER_PORT_80_SCTP",
            "LANNER_PORT_8a_TCP",
            "LANNER_XPORT",
            "LANNER__PORTX",
            "LANNER-X_PORT",
            "OTHER_SERVICE_HOST",
            "lanner_port",
        ] {
            assert!(!injects(variable), "{variable}");
        }
    }

    #[test]
    fn an_underscore_alone_is_no_name() {
        // `(_\w+)?` needs a character after its underscore: `LANNER__PORT` could only be `_` + nothing, or `__PORT`.
        assert!(!injects("LANNER__PORT"));
        assert!(injects("LANNER___PORT"));
    }

    #[test]
    fn no_knob_is_taken_for_an_injected_variable() {
        for knob in KNOBS {
            assert!(!injects(knob.variable), "{}", knob.variable);
        }
    }
}
