//! The command line of `lanner-loadtest run`.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;

use super::mix::{Common, Mix, Share};
use super::origin::{Origin, Place};
use super::plan::{Client, Pace, Plan, TlsTerms, Version};
use crate::arguments::{Arguments, Failure, Flag, Program};
use crate::quantity::Rate;
use crate::schedule::{self, Arrivals};

/// Larger bodies are not kept in memory for sending.
const BODY_BYTES_MAX: usize = 1 << 30;

const fn flag(
    name: &'static str,
    value: &'static str,
    default: Option<&'static str>,
    about: &'static str,
) -> Flag {
    Flag {
        name,
        value: Some(value),
        default,
        about,
    }
}

const fn switch(name: &'static str, about: &'static str) -> Flag {
    Flag {
        name,
        value: None,
        default: None,
        about,
    }
}

/// See the file's comment.
pub const PROGRAM: Program = Program {
    name: "lanner-loadtest run",
    about: "Loads a server and measures what it answers. As fast as its connections allow (closed loop), or with --rate at \
            moments fixed beforehand, from which latencies then count (open loop: no coordinated omission).",
    words: Some((
        "URL",
        "What to ask for: http://HOST[:PORT]/PATH, or https://.",
    )),
    flags: &[
        flag("connections", "N", Some("64"), "Connections in all."),
        flag(
            "threads",
            "N",
            Some("1"),
            "Threads, each with its share of the connections, on a processor of its own.",
        ),
        flag("duration", "TIME", Some("10s"), "Recorded for so long."),
        flag(
            "warm-up",
            "TIME",
            Some("1s"),
            "Sent but not recorded before that.",
        ),
        flag(
            "timeout",
            "TIME",
            Some("10s"),
            "A request unanswered by then has failed.",
        ),
        flag(
            "rate",
            "RATE",
            None,
            "Requests per second, in an open loop.",
        ),
        Flag::POISSON,
        switch(
            "h2",
            "HTTP/2: by ALPN on https://, by prior knowledge on http://. Else HTTP/1.1.",
        ),
        flag(
            "streams",
            "N",
            Some("1"),
            "With --h2: requests under way on each connection.",
        ),
        flag(
            "client",
            "CLIENT",
            Some("own"),
            "Whose HTTP: own, or h2-crate (the `h2` crate on tokio: a second opinion; with --h2, in a closed loop).",
        ),
        flag(
            "pipeline",
            "N",
            Some("1"),
            "With HTTP/1.1: requests under way on each connection.",
        ),
        switch(
            "close",
            "With HTTP/1.1: a connection for every request (Connection: close).",
        ),
        flag(
            "method",
            "METHOD",
            None,
            "Of the requests; GET, or POST where there is a body.",
        ),
        flag(
            "header",
            "FIELD...",
            None,
            "`Name: value`, sent with every request. `Host: name` says whom to ask for instead of the URL's host.",
        ),
        flag(
            "data",
            "TEXT",
            None,
            "Sent as the body of every request; @FILE sends a file's bytes.",
        ),
        flag("data-bytes", "N", None, "The same, of so many bytes."),
        flag(
            "urls",
            "FILE",
            None,
            "Several requests: lines of `WEIGHT [METHOD] URL-or-path`, of the same host.",
        ),
        flag(
            "unix-socket",
            "PATH",
            None,
            "Connects there instead of to the URL's host.",
        ),
        flag(
            "cacert",
            "FILE",
            None,
            "Accepts only certificates of these authorities (PEM). Without it any is accepted.",
        ),
        switch(
            "resume",
            "With TLS: connections come back with the tickets of earlier ones.",
        ),
        flag(
            "tls-suite",
            "NAME",
            None,
            "The only cipher suite that is offered, such as TLS_AES_128_GCM_SHA256.",
        ),
        flag(
            "tls-group",
            "NAME",
            None,
            "The only key exchange that is offered, such as X25519.",
        ),
        flag("title", "TEXT", None, "What the run is called in reports."),
        switch("json", "Report as one line of JSON."),
        flag(
            "csv",
            "FILE",
            None,
            "Writes the time line there, as comma-separated values.",
        ),
        flag(
            "hgrm",
            "FILE",
            None,
            "Writes the distribution of latencies there, as HdrHistogram's plotters read it.",
        ),
        flag(
            "report",
            "FILE",
            None,
            "Writes a page of HTML with plots there.",
        ),
        flag(
            "overlay",
            "FILE...",
            None,
            "The JSON of an earlier run, to be drawn on that page beside this one.",
        ),
    ],
};

/// Reads what is to be done.
pub fn read_plan(arguments: &Arguments) -> Result<Plan, Failure> {
    let [url] = arguments.words() else {
        return Err(Failure::Usage("expected one URL".to_owned()));
    };
    let (mut origin, target) = Origin::read(url)?;
    let version = read_version(arguments)?;
    let fields = arguments.texts("header").map(read_field);
    let fields: Vec<_> = fields.collect::<Result<_, _>>()?;
    // Whom to ask for is not a field among others: HTTP/2 has it as :authority.
    let (hosts, fields): (Vec<_>, Vec<_>) = fields
        .into_iter()
        .partition(|(name, _)| name.eq_ignore_ascii_case("host"));
    if hosts.len() > 1 {
        let text = "--header Host is given twice";
        return Err(Failure::Usage(text.to_owned()));
    }
    let common = Common {
        fields,
        body: read_body(arguments)?,
        closes: matches!(version, Version::Http1 { closes: true, .. }),
    };
    let default = if common.body.is_empty() {
        "GET"
    } else {
        "POST"
    };
    let method = arguments.text("method").unwrap_or(default);
    let shares = match arguments.text("urls") {
        Some(path) => Share::read_file(&read_text(path)?, &origin, method)?,
        None => vec![Share {
            weight: 1,
            method: method.to_owned(),
            target,
        }],
    };
    if let Some((_, authority)) = hosts.into_iter().next() {
        origin.authority = authority;
    }
    let mix = Mix::new(&origin, &shares, &common);
    let mix = mix.map_err(|error| Failure::Usage(error.to_string()))?;
    let place = match arguments.text("unix-socket") {
        Some(path) => Place::Unix(PathBuf::from(path)),
        None => {
            let resolved = origin.resolve();
            Place::Tcp(resolved.map_err(Failure::of(&format!("looking up {}", origin.host)))?)
        }
    };
    let connections = arguments.count("connections", 1..=100_000)?;
    let plan = Plan {
        origin,
        place,
        mix,
        version,
        client: read_client(arguments, version)?,
        connections,
        threads: arguments.count("threads", 1..=1024)?.min(connections),
        pace: read_pace(arguments)?,
        tls: TlsTerms {
            authorities: arguments.text("cacert").map(PathBuf::from),
            resumes: arguments.switch("resume"),
            suite: arguments.text("tls-suite").map(str::to_owned),
            group: arguments.text("tls-group").map(str::to_owned),
        },
        warm_up: arguments.value("warm-up")?,
        duration: arguments.value("duration")?,
        timeout: arguments.value("timeout")?,
    };
    if plan.duration < Duration::from_millis(1) || plan.timeout < Duration::from_millis(1) {
        let text = "--duration and --timeout are a millisecond at least";
        return Err(Failure::Usage(text.to_owned()));
    }
    if plan.client == Client::H2Crate && !plan.mix.suits_h2_crate() {
        let text = "--client h2-crate: its crate does not send such a target, method or field";
        return Err(Failure::Usage(text.to_owned()));
    }
    if let Pace::Open { rate, .. } = plan.pace {
        schedule::check(rate, plan.warm_up + plan.duration)?;
    }
    Ok(plan)
}

fn read_version(arguments: &Arguments) -> Result<Version, Failure> {
    let streams = arguments.count("streams", 1..=65_535)?;
    let pipeline = arguments.count("pipeline", 1..=1024)?;
    let closes = arguments.switch("close");
    let refuse = |text: &str| Err(Failure::Usage(text.to_owned()));
    if arguments.switch("h2") {
        if pipeline > 1 || closes {
            return refuse("--pipeline and --close are HTTP/1.1's, which --h2 is not");
        }
        return Ok(Version::Http2 { streams });
    }
    if streams > 1 {
        return refuse("--streams is HTTP/2's: add --h2");
    }
    if closes && pipeline > 1 {
        return refuse("a connection for one request (--close) has nothing to pipeline");
    }
    Ok(Version::Http1 { pipeline, closes })
}

fn read_client(arguments: &Arguments, version: Version) -> Result<Client, Failure> {
    match arguments.text("client").unwrap_or_default() {
        "own" => Ok(Client::Own),
        "h2-crate" if !matches!(version, Version::Http2 { .. }) => Err(Failure::Usage(
            "--client h2-crate speaks HTTP/2 only: add --h2".to_owned(),
        )),
        "h2-crate" if arguments.text("rate").is_some() => Err(Failure::Usage(
            "--client h2-crate has no open loop: leave out --rate".to_owned(),
        )),
        "h2-crate" => Ok(Client::H2Crate),
        other => Err(Failure::Usage(format!(
            "--client {other}: expected own or h2-crate"
        ))),
    }
}

fn read_pace(arguments: &Arguments) -> Result<Pace, Failure> {
    let arrivals = Arrivals::read(arguments)?;
    match arguments.value_if_given::<Rate>("rate")? {
        Some(rate) => Ok(Pace::Open { rate, arrivals }),
        None if arrivals == Arrivals::Even => Ok(Pace::Closed),
        None => Err(Failure::Usage(
            "--poisson spaces what --rate asks for".to_owned(),
        )),
    }
}

fn read_field(text: &str) -> Result<(String, String), Failure> {
    let wrong = || Failure::Usage(format!("--header {text}: expected `Name: value`"));
    let (name, value) = text.split_once(':').ok_or_else(wrong)?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

fn read_body(arguments: &Arguments) -> Result<Bytes, Failure> {
    let counted = arguments.value_if_given::<usize>("data-bytes")?;
    match (arguments.text("data"), counted) {
        (None, None) => Ok(Bytes::new()),
        (None, Some(bytes)) if bytes <= BODY_BYTES_MAX => Ok(Bytes::from(vec![b'x'; bytes])),
        (None, Some(_)) => Err(Failure::Usage(format!(
            "--data-bytes: at most {BODY_BYTES_MAX}, which is kept in memory"
        ))),
        (Some(text), None) => match text.strip_prefix('@') {
            Some(path) => std::fs::read(path)
                .map(Bytes::from)
                .map_err(Failure::of(path)),
            None => Ok(Bytes::copy_from_slice(text.as_bytes())),
        },
        (Some(_), Some(_)) => Err(Failure::Usage(
            "--data and --data-bytes are two ways to say the same".to_owned(),
        )),
    }
}

fn read_text(path: &str) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(Failure::of(path))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::arguments::Invocation;

    fn plan(line: &str) -> Result<Plan, String> {
        let words = line.split_whitespace().map(str::to_owned);
        match PROGRAM.read(words) {
            Ok(Invocation::Run(arguments)) => {
                read_plan(&arguments).map_err(|failure| failure.to_string())
            }
            Ok(Invocation::Help(text)) => Err(text),
            Err(failure) => Err(failure.to_string()),
        }
    }

    #[test]
    fn a_bare_url_is_asked_for_as_fast_as_it_goes() {
        let plan = plan("http://127.0.0.1:8080/hello").unwrap();
        assert_eq!(plan.pace, Pace::Closed);
        assert_eq!((plan.connections, plan.threads), (64, 1));
        let version = Version::Http1 {
            pipeline: 1,
            closes: false,
        };
        assert_eq!(plan.version, version);
        assert_eq!(plan.place, Place::Tcp("127.0.0.1:8080".parse().unwrap()));
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for (line, why) in [
            ("", "one URL"),
            ("http://127.0.0.1/ http://127.0.0.1/", "one URL"),
            ("http://127.0.0.1/ --streams 2", "add --h2"),
            ("http://127.0.0.1/ --h2 --close", "HTTP/1.1's"),
            (
                "http://127.0.0.1/ --close --pipeline 2",
                "nothing to pipeline",
            ),
            ("http://127.0.0.1/ --poisson 1", "--rate"),
            ("http://127.0.0.1/ --data a --data-bytes 1", "two ways"),
            ("http://127.0.0.1/ --client h2-crate", "add --h2"),
            (
                "http://127.0.0.1/ --h2 --client h2-crate --rate 5/s",
                "no open loop",
            ),
            (
                "http://127.0.0.1/<a> --h2 --client h2-crate",
                "does not send such",
            ),
            ("http://127.0.0.1/ --client curl", "own or h2-crate"),
            ("http://127.0.0.1/ --header nothing", "Name: value"),
            (
                "http://127.0.0.1/ --data @/nowhere/at/all",
                "/nowhere/at/all",
            ),
            ("http://127.0.0.1/ --duration 0s", "millisecond"),
            (
                "http://127.0.0.1/ --rate 1000000/s --duration 1h",
                "at most",
            ),
        ] {
            let error = plan(line).unwrap_err();
            assert!(error.contains(why), "{line}: {error}");
        }
    }
}
