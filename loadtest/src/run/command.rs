//! The command line of `lanner-loadtest run`.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;

use super::mix::{Common, Mix, Share};
use super::origin::{Origin, Place};
use super::plan::{Client, Pace, Plan, TlsTerms, Version};
use super::ports;
use crate::arguments::{Arguments, Failure, Flag, Program};
use crate::quantity::Rate;
use crate::schedule::{self, Arrivals};

/// Requests under way on all connections together. Each takes some two hundred bytes, a server's side of it more.
const UNDER_WAY_MAX: usize = 1 << 22;

/// Larger files are no list of URLs.
const URLS_BYTES_MAX: usize = 64 << 20;

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
            "Threads, each with its share of the connections; each on a processor of its own where there are just as many.",
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
            "With HTTP/1.1: requests sent together on each connection, the next when all of them are answered.",
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
        Some(path) => Share::read_file(&read_text(path)?, &origin, method)
            .map_err(|failure| Failure::Usage(format!("--urls {path}: {failure}")))?,
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
        Some(path) => Place::unix(path)?,
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
    for (flag, time) in [("duration", plan.duration), ("timeout", plan.timeout)] {
        if time < Duration::from_millis(1) {
            let given = arguments.text(flag).unwrap_or_default();
            let text = format!("--{flag} {given}: expected a millisecond at least");
            return Err(Failure::Usage(text));
        }
    }
    judge_tls(&plan)?;
    judge_depth(&plan)?;
    ports::check(&plan.place, plan.connections)?;
    if plan.client == Client::H2Crate && !plan.mix.suits_h2_crate() {
        let text = "--client h2-crate: its crate does not send such a target, method or field";
        return Err(Failure::Usage(text.to_owned()));
    }
    if let Pace::Open { rate, .. } = plan.pace {
        schedule::check(rate, plan.warm_up + plan.duration)?;
    }
    Ok(plan)
}

fn judge_tls(plan: &Plan) -> Result<(), Failure> {
    let tls = &plan.tls;
    let given = [
        ("cacert", tls.authorities.is_some()),
        ("resume", tls.resumes),
        ("tls-suite", tls.suite.is_some()),
        ("tls-group", tls.group.is_some()),
    ];
    match given.into_iter().find(|(_, is_given)| *is_given) {
        Some((flag, _)) if !plan.origin.is_secure => Err(Failure::Usage(format!(
            "--{flag} is for TLS: the URL begins with http://, not https://"
        ))),
        _ => Ok(()),
    }
}

fn judge_depth(plan: &Plan) -> Result<(), Failure> {
    let (connections, depth) = (plan.connections, plan.version.depth());
    if connections.saturating_mul(depth) <= UNDER_WAY_MAX {
        return Ok(());
    }
    let flag = match plan.version {
        Version::Http1 { .. } => "pipeline",
        Version::Http2 { .. } => "streams",
    };
    Err(Failure::Usage(format!(
        "--connections {connections} with --{flag} {depth}: at most {UNDER_WAY_MAX} requests are kept under way at once"
    )))
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
        (None, Some(bytes)) => Err(Failure::Usage(format!(
            "--data-bytes {bytes}: at most {BODY_BYTES_MAX}, for it is kept in memory"
        ))),
        (Some(text), None) => match text.strip_prefix('@') {
            Some(path) => read_file("data", path, BODY_BYTES_MAX).map(Bytes::from),
            None => Ok(Bytes::copy_from_slice(text.as_bytes())),
        },
        (Some(_), Some(_)) => Err(Failure::Usage(
            "--data and --data-bytes are two ways to say the same".to_owned(),
        )),
    }
}

fn read_text(path: &str) -> Result<String, Failure> {
    let bytes = read_file("urls", path, URLS_BYTES_MAX)?;
    let text = String::from_utf8(bytes);
    text.map_err(|error| Failure::Run(format!("--urls {path}: {error}")))
}

/// As much as may be kept in memory; a device or a pipe may have no end.
fn read_file(flag: &str, path: &str, bytes_max: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let file = File::open(path);
    let read = file.and_then(|file| file.take(bytes_max as u64 + 1).read_to_end(&mut bytes));
    read.map_err(|error| Failure::Run(format!("--{flag} {path}: {error}")))?;
    if bytes.len() > bytes_max {
        let text =
            format!("--{flag} {path}: at most {bytes_max} bytes, for they are kept in memory");
        return Err(Failure::Usage(text));
    }
    Ok(bytes)
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
            (
                "http://127.0.0.1/ --duration 0s",
                "--duration 0s: expected a millisecond",
            ),
            (
                "http://127.0.0.1/ --duration 0",
                "--duration 0: expected a time with its unit",
            ),
            (
                "http://127.0.0.1/ --timeout 0s",
                "--timeout 0s: expected a millisecond",
            ),
            (
                "http://127.0.0.1/ --rate 0",
                "--rate 0: expected a rate above 0",
            ),
            (
                "http://127.0.0.1/ --connections 0",
                "--connections 0: expected 1 to",
            ),
            (
                "http://127.0.0.1/ --connections 70000",
                "ports to connect from",
            ),
            (
                "http://127.0.0.1/ --h2 --streams 65536",
                "--streams 65536: expected 1 to 65535",
            ),
            (
                "http://127.0.0.1/ --h2 --streams 60000 --connections 1000",
                "--connections 1000 with --streams 60000: at most",
            ),
            ("http://127.0.0.1/ --resume", "--resume is for TLS"),
            ("http://127.0.0.1/ --tls-suite x", "--tls-suite is for TLS"),
            (
                "http://127.0.0.1/ --urls /nowhere",
                "--urls /nowhere: No such file",
            ),
            (
                "http://127.0.0.1/ --urls /dev/zero",
                "--urls /dev/zero: at most",
            ),
            (
                "http://127.0.0.1/ --header a{b:c",
                "--header: field `a{b` refused",
            ),
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
