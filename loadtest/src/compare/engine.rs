//! Which load generator sends a load: ours, `wrk` or `h2load`; what each can send, and which it is where nobody asked for one.

use std::fmt;
use std::process::Command;

use super::Plan;
use super::child::program_exists;
use super::scenario::{Shape, Work};
use crate::arguments::Failure;

/// A load generator. How each is called, and what it prints, is in a file of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    /// `lanner-loadtest run`.
    Lanner,
    /// For HTTP/1.1.
    Wrk,
    /// For both versions.
    H2load,
    /// Our own client that makes nothing but handshakes.
    Handshakes,
}

impl Engine {
    /// Those that one may ask for.
    pub(crate) const ALL: [Self; 3] = [Self::Lanner, Self::Wrk, Self::H2load];

    /// Those of these names, separated by commas.
    pub(crate) fn read_list(list: &str) -> Result<Vec<Self>, Failure> {
        let mut read = Vec::new();
        for name in list.split(',') {
            let engine = Self::read(name)?;
            if read.contains(&engine) {
                let text = format!("--engine {list}: {name} stands there twice");
                return Err(Failure::Usage(text));
            }
            read.push(engine);
        }
        Ok(read)
    }

    fn read(name: &str) -> Result<Self, Failure> {
        let found = Self::ALL.into_iter().find(|engine| engine.name() == name);
        found.ok_or_else(|| {
            Failure::Usage(format!(
                "--engine: `{name}` is none: expected lanner, wrk or h2load, or several of them separated by commas"
            ))
        })
    }

    /// How it is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lanner => "lanner",
            Self::Wrk => "wrk",
            Self::H2load => "h2load",
            Self::Handshakes => "handshakes",
        }
    }

    /// The Debian package that brings it; ours come with this program.
    pub(crate) fn package(self) -> Option<&'static str> {
        match self {
            Self::Wrk => Some("wrk"),
            Self::H2load => Some("nghttp2-client"),
            Self::Lanner | Self::Handshakes => None,
        }
    }

    /// Its program among those of this build.
    pub(crate) fn own_program(self) -> Option<&'static str> {
        match self {
            Self::Lanner => Some("lanner-loadtest"),
            Self::Handshakes => Some("handshakes"),
            Self::Wrk | Self::H2load => None,
        }
    }

    fn usual(shape: Shape, is_installed: impl Fn(&str) -> bool) -> Self {
        let usual = match shape {
            Shape { on_unix: true, .. } => return Self::Lanner,
            Shape { wire, .. } if wire.is_http2() => Self::H2load,
            // Nobody else sends such heads.
            Shape { mixed: true, .. } => return Self::Wrk,
            _ => Self::Wrk,
        };
        match is_installed(usual.name()) {
            true => usual,
            false => Self::Lanner,
        }
    }

    /// Why it cannot send this load, if it cannot.
    fn objection(self, plan: &Plan, shape: Shape) -> Option<String> {
        let is_http2 = shape.wire.is_http2();
        let name = self.name();
        let why = match self {
            Self::Wrk if is_http2 => "speaks no HTTP/2: --engine h2load or lanner does",
            Self::Wrk if shape.on_unix => "knows no unix sockets: --engine h2load or lanner does",
            Self::Wrk if shape.close && shape.mixed => {
                "has no mixed heads that ask for the end of a connection"
            }
            Self::H2load if shape.close => {
                "keeps its connections, as `close` may not: --engine wrk or lanner does not"
            }
            Self::H2load | Self::Lanner if shape.mixed => {
                "sends heads that are all alike: mixed ones are wrk's"
            }
            Self::Wrk | Self::H2load if plan.time.subsec_nanos() != 0 => {
                "counts in whole seconds: --time 1s is the least, or --engine lanner"
            }
            _ => return None,
        };
        Some(format!("{name} {why}"))
    }

    /// What one must know to read its figures: which time it leaves out, which it counts in, and what it does not tell.
    pub(crate) fn accounts(self, plan: &Plan) -> String {
        match self {
            Self::Lanner => format!(
                "records after a warm-up of {:?}, in which it opens its connections; CPU time is divided by all that was \
                 answered, the warm-up's too",
                plan.warm_up()
            ),
            Self::Wrk => "knows no warm-up and sends for as much longer; it counts the time in which it connects as part of the \
                          load's, but not as any request's latency; nor does it count as such what lies between an answer and \
                          the next request on that connection, which it writes a turn of its loop later, so rate x mean falls \
                          short of its connections, and its p50 of another generator's; where an answer took more than twice \
                          the mean it adds the latencies of requests that it takes to have been held up meanwhile, so rate x \
                          mean may be more than its connections, too; of pipelined requests it tells no latencies, only of \
                          whole batches, which are left out here"
                .to_owned(),
            Self::H2load => "is not asked for a warm-up, behind which it would not tell what it sent, and sends for as much longer; \
                             it counts the time in which it connects as part of the load's; over HTTP/2 a latency begins when the \
                             request's frame is written, a turn of its loop after the answer that made room for it, so rate x mean \
                             falls short of its streams; it tells the mean latency and no percentiles"
                .to_owned(),
            Self::Handshakes => "tells no latencies".to_owned(),
        }
    }

    /// What it says of its own version.
    pub(crate) fn version(self) -> String {
        let Some(package) = self.package() else {
            return format!(
                "Lanner's own `{}` {}",
                match self {
                    Self::Handshakes => "handshakes",
                    _ => "lanner-loadtest run",
                },
                env!("CARGO_PKG_VERSION")
            );
        };
        let flag = match self {
            Self::Wrk => "-v",
            _ => "--version",
        };
        // wrk tells it in front of its usage, and fails.
        let output = Command::new(self.name()).arg(flag).output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        let text = text.unwrap_or_default();
        let line = text.lines().next().unwrap_or_default();
        let version = line.split(" Copyright").next().unwrap_or_default().trim();
        match version {
            "" => format!("{} of unknown version", self.name()),
            version => format!("{version} (Debian's package {package})"),
        }
    }
}

/// What sends a load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Senders {
    /// At least one; the first is the one whose rounds the servers are compared by.
    pub(crate) engines: Vec<Engine>,
    /// Why others that were asked for cannot.
    pub(crate) objections: Vec<String>,
}

impl Senders {
    /// Those that were asked for and can send it, or else what everybody measures with, if it is installed. Handshakes are
    /// always made by our own client.
    pub(crate) fn of(plan: &Plan, shape: Shape) -> Result<Self, Failure> {
        if let Work::Handshakes { .. } = shape.work {
            return Ok(Self {
                engines: vec![Engine::Handshakes],
                objections: Vec::new(),
            });
        }
        let mut asked = plan.engines.clone();
        if asked.is_empty() {
            asked.push(Engine::usual(shape, program_exists));
        }
        let (mut engines, mut objections) = (Vec::new(), Vec::new());
        // One that was not asked for need not be here.
        let is_absent = |engine: &Engine| match engine.package() {
            Some(_) => plan.engines.is_empty() && !program_exists(engine.name()),
            None => false,
        };
        for engine in asked {
            match engine.objection(plan, shape) {
                _ if is_absent(&engine) => objections.push(format!(
                    "{engine}, which alone sends it, is not installed: apt-get install {}",
                    engine.package().unwrap_or_default()
                )),
                None => engines.push(engine),
                Some(objection) => objections.push(objection),
            }
        }
        match engines.is_empty() {
            false => Ok(Self {
                engines,
                objections,
            }),
            true => Err(Failure::Usage(objections.join("; "))),
        }
    }

    /// The one that the servers are compared by.
    pub(crate) fn first(&self) -> Engine {
        self.engines[0]
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;
    use crate::compare::wire::Wire;

    const HTTP2: Shape = Shape {
        wire: Wire::Http2,
        ..Shape::PLAIN
    };

    const MIXED: Shape = Shape {
        mixed: true,
        ..Shape::PLAIN
    };

    #[test]
    fn what_everybody_measures_with_is_used_where_it_is_installed() {
        for (shape, installed, engine) in [
            (Shape::PLAIN, &["wrk", "h2load"][..], Engine::Wrk),
            (HTTP2, &["wrk", "h2load"], Engine::H2load),
            (Shape::PLAIN, &["h2load"], Engine::Lanner),
            (HTTP2, &["wrk"], Engine::Lanner),
        ] {
            let usual = Engine::usual(shape, |name| installed.contains(&name));
            assert_eq!(usual, engine, "{shape:?} {installed:?}");
        }
        // Only wrk has them: that it is not there is then told, and nothing else is measured.
        assert_eq!(Engine::usual(MIXED, |_| false), Engine::Wrk);
    }

    #[test]
    fn what_a_generator_cannot_send_is_refused_with_one_that_can() {
        let closing = Shape {
            close: true,
            ..Shape::PLAIN
        };
        let mut plan = crate::compare::command::plan_of(&[]);
        for (engine, shape, millis, said) in [
            (Engine::Wrk, HTTP2, 1000, "no HTTP/2"),
            (Engine::H2load, closing, 1000, "--engine wrk"),
            (Engine::Lanner, MIXED, 1000, "are wrk's"),
            (Engine::H2load, MIXED, 1000, "are wrk's"),
            (
                Engine::Wrk,
                Shape {
                    close: true,
                    ..MIXED
                },
                1000,
                "no mixed heads",
            ),
            (Engine::Wrk, Shape::PLAIN, 300, "whole seconds"),
            (Engine::H2load, HTTP2, 1300, "--engine lanner"),
        ] {
            plan.engines = vec![engine];
            plan.time = Duration::from_millis(millis);
            let error = Senders::of(&plan, shape).unwrap_err().to_string();
            assert!(error.contains(said) && error.starts_with(engine.name()));
        }
    }

    #[test]
    fn of_several_engines_those_send_a_load_that_can() {
        let closing = Shape {
            close: true,
            ..Shape::PLAIN
        };
        let plan = crate::compare::command::plan_of(&["--engine", "wrk,h2load,lanner"]);
        let senders = |shape| Senders::of(&plan, shape).unwrap();
        assert_eq!(senders(Shape::PLAIN).engines.len(), 3);
        let of_close = senders(closing);
        assert_eq!(of_close.engines, [Engine::Wrk, Engine::Lanner]);
        assert!(of_close.objections[0].starts_with("h2load keeps its connections"));
        let of_streams = senders(HTTP2);
        assert_eq!(of_streams.first(), Engine::H2load);
        assert!(of_streams.objections[0].starts_with("wrk speaks no HTTP/2"));
        let handshakes = Shape {
            work: Work::Handshakes { resumed: false },
            wire: Wire::Https1,
            ..Shape::PLAIN
        };
        assert_eq!(senders(handshakes).engines, [Engine::Handshakes]);
    }

    #[test]
    fn an_engine_is_read_by_its_name() {
        for engine in Engine::ALL {
            assert_eq!(Engine::read_list(engine.name()).unwrap(), [engine]);
            assert_eq!(engine.package().is_none(), engine.own_program().is_some());
        }
        let both = [Engine::Wrk, Engine::Lanner];
        assert_eq!(Engine::read_list("wrk,lanner").unwrap(), both);
        for (list, said) in [
            ("ab", "`ab` is none: expected lanner, wrk or h2load"),
            ("handshakes", "`handshakes` is none"),
            ("wrk,", "`` is none"),
            ("wrk,lanner,wrk", "wrk stands there twice"),
        ] {
            let error = Engine::read_list(list).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
