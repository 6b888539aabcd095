//! What is asked for: one request, or several with weights, written for the wire once and sent many times.
//!
//! Several are asked for in an order that repeats and spreads each evenly: a request of weight 1 among 9 others comes as every
//! tenth, not ten times in a row after ninety.

use std::fmt;

use bytes::Bytes;
use lanner_protocol::client::{InvalidRequest, Request, http1, http2};
use lanner_protocol::target::Scheme;
use lanner_protocol::{BodyLength, Fields};

use super::origin::Origin;
use crate::arguments::Failure;

/// More turns of the order than this are not kept: weights like 1:99999 are rounded by whoever writes them.
const TURNS_MAX: u32 = 100_000;

/// Requests to choose from: their numbers have 16 bits.
const SHARES_MAX: usize = 1 << 16;

/// What to ask for, before it is written for the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// How often, compared with the others.
    pub weight: u32,
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
}

impl Share {
    /// Reads a file of them: lines of `WEIGHT [METHOD] URL-or-path`; empty lines and those that begin with `#` say nothing.
    /// Where no method is written, it is `method`.
    pub fn read_file(text: &str, origin: &Origin, method: &str) -> Result<Vec<Self>, Failure> {
        let mut shares = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |why: &str| {
                let line = line.escape_debug();
                Failure::Usage(format!("line {}, `{line}`: {why}", index + 1))
            };
            let mut words = line.split_whitespace();
            let weight = words.next().and_then(|word| word.parse().ok());
            let expected = "expected a weight first, a whole number up to 4294967295";
            let weight = weight.ok_or_else(|| wrong(expected))?;
            let (first, second) = (words.next(), words.next());
            let (method, place) = match (first, second) {
                (Some(place), None) => (method, place),
                (Some(method), Some(place)) => (method, place),
                (None, _) => return Err(wrong("expected a path or a URL behind the weight")),
            };
            if words.next().is_some() {
                return Err(wrong("expected a weight, a method and a path, and no more"));
            }
            let target = if place.starts_with('/') {
                place.to_owned()
            } else {
                let (other, target) =
                    Origin::read(place).map_err(|failure| wrong(&failure.to_string()))?;
                if other != *origin {
                    return Err(wrong("all URLs of a run are of one scheme, host and port"));
                }
                target
            };
            shares.push(Self {
                weight,
                method: method.to_owned(),
                target,
            });
        }
        if shares.iter().all(|share| share.weight == 0) {
            return Err(Failure::Usage(
                "expected a line with a weight above 0, such as `1 /path`".to_owned(),
            ));
        }
        Ok(shares)
    }
}

/// What every request of a run has.
#[derive(Clone, Debug, Default)]
pub struct Common {
    /// Fields as names and values.
    pub fields: Vec<(String, String)>,
    /// What goes up with each.
    pub body: Bytes,
    /// On HTTP/1.1: each request is the last of its connection.
    pub closes: bool,
}

/// One request as each version writes it.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) http1: http1::Prepared,
    pub(super) http2: http2::Prepared,
    /// What HTTP/2 sends behind the head.
    pub(super) body: Bytes,
    /// The same as the `h2` crate takes it.
    pub(super) h2_crate: Option<http::Request<()>>,
}

/// All requests of a run.
#[derive(Debug)]
pub struct Mix {
    asks: Vec<Ask>,
    order: Vec<u16>,
    shares: Vec<Share>,
}

/// Why a request cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsendable(String);

impl fmt::Display for Unsendable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Mix {
    /// Writes the requests for the wire.
    pub fn new(origin: &Origin, shares: &[Share], common: &Common) -> Result<Self, Unsendable> {
        let mut fields = Fields::new();
        for (name, value) in &common.fields {
            fields
                .append(name, value)
                .map_err(|error| Unsendable(format!("--header: {error}")))?;
        }
        if shares.is_empty() || shares.len() > SHARES_MAX {
            let text = format!("expected 1 to {SHARES_MAX} requests to choose from");
            return Err(Unsendable(text));
        }
        let asks = shares
            .iter()
            .map(|share| {
                Ask::new(origin, share, &fields, common).map_err(|error| {
                    let (method, target) = (&share.method, &share.target);
                    let what = format!("{method} {target}");
                    Unsendable(format!("{}: {error}", what.escape_debug()))
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            asks,
            order: order(shares),
            shares: shares.to_vec(),
        })
    }

    /// Whether the `h2` crate can ask for all of it.
    pub(super) fn suits_h2_crate(&self) -> bool {
        self.asks.iter().all(|ask| ask.h2_crate.is_some())
    }

    /// What is asked for, for reports.
    pub fn shares(&self) -> &[Share] {
        &self.shares
    }

    /// Bytes that go up with each request.
    pub fn body_bytes(&self) -> usize {
        self.asks.first().map_or(0, |ask| ask.body.len())
    }

    /// The request of a turn; turns go on for ever.
    #[inline]
    pub(super) fn ask(&self, turn: &mut usize) -> &Ask {
        let which = self.order[*turn];
        *turn = if *turn + 1 == self.order.len() {
            0
        } else {
            *turn + 1
        };
        &self.asks[usize::from(which)]
    }

    /// Where the order of one of so many lanes begins: not all at the same request.
    pub(super) fn beginning(&self, lane: usize, lanes: usize) -> usize {
        self.order.len() * lane / lanes.max(1)
    }
}

impl Ask {
    fn new(
        origin: &Origin,
        share: &Share,
        fields: &Fields,
        common: &Common,
    ) -> Result<Self, InvalidRequest> {
        let mut request = Request::new(
            share.method.as_bytes(),
            origin.authority.as_bytes(),
            share.target.as_bytes(),
            fields,
        );
        if origin.is_secure {
            request.scheme = Scheme::Https;
        }
        if !common.body.is_empty() {
            request.body = Some(BodyLength::Known(common.body.len() as u64));
        }
        let http2 = http2::Prepared::new(&request)?;
        request.close = common.closes;
        Ok(Self {
            http1: http1::Prepared::new(&request, common.body.clone())?,
            http2,
            body: common.body.clone(),
            h2_crate: h2_crate(origin, share, common).ok(),
        })
    }
}

/// What its crate lets nobody say, such as `<` in a target, is none.
fn h2_crate(
    origin: &Origin,
    share: &Share,
    common: &Common,
) -> Result<http::Request<()>, http::Error> {
    let scheme = if origin.is_secure { "https" } else { "http" };
    let uri = http::Uri::builder()
        .scheme(scheme)
        .authority(origin.authority.as_str())
        .path_and_query(share.target.as_str())
        .build()?;
    let mut request = http::Request::builder()
        .method(share.method.as_str())
        .uri(uri)
        .version(http::Version::HTTP_2);
    for (name, value) in &common.fields {
        request = request.header(name, value);
    }
    if !common.body.is_empty() {
        request = request.header("content-length", common.body.len());
    }
    request.body(())
}

/// Smooth weighted round-robin: at each turn everybody gains its weight, and whoever has most goes, and pays the sum.
fn order(shares: &[Share]) -> Vec<u16> {
    let common = shares
        .iter()
        .fold(0, |common, share| gcd(common, share.weight));
    let weights: Vec<i64> = shares
        .iter()
        .map(|share| i64::from(share.weight / common.max(1)))
        .collect();
    // Also because what follows takes as many steps as there are turns times requests.
    if weights.iter().all(|weight| *weight == 1) {
        return (0..=u16::MAX).take(weights.len()).collect();
    }
    let sum: i64 = weights.iter().sum();
    let turns = u32::try_from(sum).unwrap_or(TURNS_MAX).clamp(1, TURNS_MAX);
    let mut gained = vec![0; weights.len()];
    (0..turns)
        .map(|_| {
            for (gained, weight) in gained.iter_mut().zip(&weights) {
                *gained += weight;
            }
            let most = (0..gained.len()).rev().max_by_key(|index| gained[*index]);
            let most = most.unwrap_or_default();
            gained[most] -= sum;
            u16::try_from(most).unwrap_or_default()
        })
        .collect()
}

fn gcd(one: u32, other: u32) -> u32 {
    if other == 0 {
        one
    } else {
        gcd(other, one % other)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn shares(weights: &[u32]) -> Vec<Share> {
        let share = |weight: &u32| Share {
            weight: *weight,
            method: "GET".to_owned(),
            target: "/".to_owned(),
        };
        weights.iter().map(share).collect()
    }

    #[test]
    fn each_comes_as_often_as_its_weight_says_and_is_spread_evenly() {
        assert_eq!(order(&shares(&[7])), [0]);
        assert_eq!(order(&shares(&[5, 1, 1])), [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(order(&shares(&[50, 50])), [0, 1]);
        let order = order(&shares(&[90, 10]));
        assert_eq!(order.len(), 10);
        assert_eq!(order.iter().filter(|which| **which == 1).count(), 1);
    }

    #[test]
    fn a_file_of_requests_is_read() {
        let (origin, _) = Origin::read("http://a.test:8080/").unwrap();
        let text = "# mostly reads\n8 /read\n\n1 POST /write\n1 http://a.test:8080/whole?x\n";
        let read = Share::read_file(text, &origin, "HEAD").unwrap();
        let share = |weight, method: &str, target: &str| Share {
            weight,
            method: method.to_owned(),
            target: target.to_owned(),
        };
        assert_eq!(
            read,
            [
                share(8, "HEAD", "/read"),
                share(1, "POST", "/write"),
                share(1, "HEAD", "/whole?x")
            ]
        );
        for (text, why) in [
            ("/read", "line 1, `/read`: expected a weight"),
            ("\n1", "line 2, `1`: expected a path"),
            ("1 GET /a b", "and no more"),
            ("1 https://a.test:8080/", "one scheme, host and port"),
            ("0 /", "a weight above 0"),
            ("# nothing", "a weight above 0"),
            ("1 /\n-1 /b", "line 2, `-1 /b`: expected a weight"),
            ("5000000000 /", "up to 4294967295"),
            ("1 a/b", "line 1, `1 a/b`: a/b: expected a URL"),
            ("1 \u{1b}/", "`1 \\u{1b}/`"),
            ("", "a weight above 0"),
        ] {
            let error = Share::read_file(text, &origin, "GET")
                .unwrap_err()
                .to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn what_no_server_should_be_sent_is_refused_before_anything_is() {
        let (origin, _) = Origin::read("http://a.test/").unwrap();
        let with = |method: &str, name: &str| {
            let share = Share {
                weight: 1,
                method: method.to_owned(),
                target: "/".to_owned(),
            };
            let common = Common {
                fields: vec![(name.to_owned(), "value".to_owned())],
                ..Common::default()
            };
            Mix::new(&origin, &[share], &common).map(|_| ())
        };
        assert_eq!(with("GET", "x-name"), Ok(()));
        assert!(with("G T", "x-name").is_err());
        assert!(with("GET", "x name").is_err());
        assert!(with("GET", "host").is_err());
    }
}
