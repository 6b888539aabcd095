//! A page of HTML with a run's figures and plots, and earlier runs beside it. It is whole in itself: it names no other file,
//! asks nothing of the network, has no script, and its policy lets a browser do neither, whatever stands in a title.

mod axis;
mod palette;
mod plot;

use std::fmt::{self, Write as _};

use self::axis::Axis;
use self::plot::{Line, Names, Plot};
use super::readable::{Count, Millis};
use super::record::{Figures, Piece, Record};
use super::text::{asked, bytes, statuses, throughput};

/// Runs on one page: as many as there are colours to tell them apart.
pub(super) const RUNS_MAX: usize = palette::RUNS.len();

/// Lines for each halving of what is left to 100 %: enough for a curve without corners.
const TICKS_PER_HALVING: u32 = 16;

/// A text of others, so written that it is only text in HTML.
#[derive(Clone, Copy, Debug)]
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => formatter.write_str("&amp;")?,
                '<' => formatter.write_str("&lt;")?,
                '>' => formatter.write_str("&gt;")?,
                '"' => formatter.write_str("&quot;")?,
                '\'' => formatter.write_str("&#39;")?,
                // A browser would take NUL and its like for an error in the page.
                other if other.is_control() => formatter.write_char(char::REPLACEMENT_CHARACTER)?,
                other => formatter.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// The whole page: of this run, and of others beside it.
pub(super) fn page(record: &Record, overlays: &[Record]) -> String {
    let runs: Vec<&Record> = std::iter::once(record).chain(overlays).collect();
    let title = Escaped(&record.title);
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n<style>\n{}{STYLE}</style>\n</head>\n<body>\n\
         <h1>{title}</h1>\n",
        palette::style(),
    );
    push_figures(&mut html, &runs);
    push_percentiles(&mut html, &runs);
    push_time_lines(&mut html, &runs);
    for (index, run) in runs.iter().enumerate() {
        push_run(&mut html, index, run);
    }
    html.push_str("</body>\n</html>\n");
    html
}

const STYLE: &str = "\
:root{color-scheme:light dark;--ground:#FFFFFF;--ink:#1A1F27;--faint:#5A6472;--bad:#B3261E;--badground:#FBEAE9}
@media (prefers-color-scheme:dark){:root{--ground:#14181F;--ink:#E8ECF2;--faint:#9AA5B4;--bad:#FF8A80;--badground:#3A1F1F}}
*{box-sizing:border-box}
body{background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:76rem;padding:1.5rem}
h1{font-size:1.4rem;margin:0 0 1rem;overflow-wrap:anywhere}
h2{font-size:1.1rem;margin:2.2rem 0 .4rem;overflow-wrap:anywhere}
h3{font-size:.95rem;margin:.8rem 0 .2rem}
p{margin:.3rem 0;color:var(--faint)}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .8rem .3rem 0;text-align:right;white-space:nowrap;border-bottom:1px solid var(--grid)}
thead th{color:var(--faint);font-weight:500}
th:first-child{text-align:left;font-weight:500;white-space:normal;overflow-wrap:anywhere;min-width:11rem}
.bad{color:var(--bad)}
.aborted{background:var(--badground);color:var(--bad);padding:.5rem .8rem;border-radius:.4rem;overflow-wrap:anywhere}
.mark{display:inline-block;width:.8em;height:.8em;border-radius:.2em;margin-right:.5em}
figure{margin:0}
figure.whole{overflow-x:auto}
figure.whole svg{min-width:44rem}
svg{display:block;width:100%;height:auto}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(26rem,100%),1fr));gap:.4rem 1.5rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:.4rem 0}
dt{color:var(--faint)}
dd{margin:0;overflow-wrap:anywhere}
";

/// The square of a run's colour, and its name.
fn push_name(html: &mut String, index: usize, run: &Record) {
    let title = Escaped(&run.title);
    let _ = write!(
        html,
        "<span class=\"mark\" style=\"background:var(--run-{index})\"></span>{title}"
    );
}

/// A row for each run. It is the plots' legend too.
fn push_figures(html: &mut String, runs: &[&Record]) {
    html.push_str("<div class=\"wide\"><table>\n<thead><tr><th>Run</th><th>Answers/s</th>");
    for name in Figures::NAMES {
        let _ = write!(html, "<th>{name}</th>");
    }
    html.push_str("<th>Answers</th><th>Not 2xx, 3xx</th><th>Errors</th></tr></thead>\n<tbody>\n");
    for (index, run) in runs.iter().enumerate() {
        html.push_str("<tr><th>");
        push_name(html, index, run);
        if let Some((how, _)) = run.early_end() {
            let _ = write!(html, " <span class=\"bad\">({how})</span>");
        }
        let _ = write!(html, "</th><td>{}</td>", Count(run.rate));
        push_values(html, run.latency_ms.as_ref());
        let _ = write!(html, "<td>{}</td>", Count::of(run.answers));
        for count in [run.failures, run.errors] {
            let class = if count > 0 { " class=\"bad\"" } else { "" };
            let _ = write!(html, "<td{class}>{}</td>", Count::of(count));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table></div>\n");
}

fn push_values(html: &mut String, figures: Option<&Figures>) {
    match figures {
        Some(figures) => {
            for value in figures.values() {
                let _ = write!(html, "<td>{}</td>", Millis(value));
            }
        }
        None => html.push_str(&"<td>&ndash;</td>".repeat(Figures::NAMES.len())),
    }
}

const NO_LATENCY: &str = "<p>No latency was recorded.</p>\n";

fn push_percentiles(html: &mut String, runs: &[&Record]) {
    html.push_str("<h2>Latency by percentile</h2>\n");
    let lines: Vec<_> = runs
        .iter()
        .enumerate()
        .map(|(index, run)| Line::new(index, percentiles(run).into_iter().map(Some)))
        .collect();
    let points = || lines.iter().flat_map(Line::points);
    if points().next().is_none() {
        html.push_str(NO_LATENCY);
        return;
    }
    let most = points().map(|(x, _)| x).fold(1.0, f64::max);
    let plot = Plot {
        about: "Latency over percentiles",
        size: (2_000, 800),
        x: Axis::percentiles(most),
        x_names: Names::Percentile,
        y: Axis::logarithmic(points().map(|(_, y)| y)),
        y_names: Names::Latency,
        lines,
        has_warm_up: false,
    };
    html.push_str("<p>So many of the requests took at most so long. Both axes are logarithmic, the lower one in what is left to 100&nbsp;%.</p>\n");
    let _ = writeln!(html, "<figure class=\"whole\">{}</figure>", plot.svg());
}

/// 1/(1-percentile) and milliseconds. The largest latency stands at the last percentile that so many requests can tell apart.
fn percentiles(run: &Record) -> Vec<(f64, f64)> {
    let histogram = run.histogram.nanoseconds();
    let end = (histogram.len() as f64).max(1.0);
    let steps = histogram.iter_quantiles(TICKS_PER_HALVING);
    steps
        .map(|step| {
            let left = 1.0 - step.quantile_iterated_to();
            let x = if left > 0.0 {
                (1.0 / left).min(end)
            } else {
                end
            };
            (x, step.value_iterated_to() as f64 / 1e6)
        })
        .collect()
}

/// What a piece of the time line has at its middle, if it has it.
type Value = fn(&Piece) -> Option<f64>;

fn push_time_lines(html: &mut String, runs: &[&Record]) {
    html.push_str("<h2>Time line</h2>\n");
    if runs.iter().all(|run| run.time_line.is_empty()) {
        html.push_str("<p>The run ended before there was any.</p>\n");
        return;
    }
    html.push_str("<p>Recording begins at 0&nbsp;s; what lies before it is the warm-up. What an open loop was answered late comes behind its \
         end. Axes of latencies are logarithmic.</p>\n<div class=\"grid\">\n");
    let plots: [(&str, &str, Names, Value); 4] = [
        (
            "Answers per second",
            "Answers per second over time",
            Names::Count,
            |piece| Some(piece.rate),
        ),
        (
            "Errors per second",
            "Errors per second over time",
            Names::Count,
            |piece| Some(piece.errors as f64 / piece.length_s),
        ),
        ("p50", "p50 over time", Names::Latency, |piece| {
            piece.latency_ms.map(|figures| figures.p50)
        }),
        ("p99", "p99 over time", Names::Latency, |piece| {
            piece.latency_ms.map(|figures| figures.p99)
        }),
    ];
    for (name, about, names, value) in plots {
        let plot = time_line(runs, about, names, value);
        let drawn = if plot.lines.iter().all(|line| line.pieces.is_empty()) {
            NO_LATENCY.to_owned()
        } else {
            plot.svg()
        };
        let _ = writeln!(html, "<figure><h3>{name}</h3>{drawn}</figure>");
    }
    html.push_str("</div>\n");
}

fn time_line(runs: &[&Record], about: &'static str, names: Names, value: Value) -> Plot {
    let pieces = || runs.iter().flat_map(|run| &run.time_line);
    let ends = pieces().flat_map(|piece| [piece.at_s, piece.at_s + piece.length_s]);
    let x = Axis::linear(ends);
    let lines: Vec<_> = runs
        .iter()
        .enumerate()
        .map(|(index, run)| {
            let points = run.time_line.iter().map(|piece| {
                let middle = piece.at_s + piece.length_s / 2.0;
                value(piece).map(|value| (middle, value))
            });
            Line::new(index, points)
        })
        .collect();
    let values = lines.iter().flat_map(Line::points).map(|(_, y)| y);
    let y = if names == Names::Latency {
        Axis::logarithmic(values)
    } else {
        Axis::from_zero(values)
    };
    Plot {
        about,
        size: (1_000, 440),
        x,
        x_names: Names::Seconds,
        y,
        y_names: names,
        lines,
        has_warm_up: true,
    }
}

/// What was asked, and what else came of it.
fn push_run(html: &mut String, index: usize, run: &Record) {
    html.push_str("<section>\n<h2>");
    push_name(html, index, run);
    html.push_str("</h2>\n");
    if let Some((how, text)) = run.early_end() {
        let _ = writeln!(
            html,
            "<p class=\"aborted\">The run {}: {}</p>",
            if run.interrupted { how } else { "was aborted" },
            Escaped(&text)
        );
    }
    html.push_str("<dl>\n");
    let [what, whom, how] = asked(run);
    for (name, text) in [
        ("Asked", what),
        ("Whom", whom),
        ("How", how),
        ("Throughput", throughput(run)),
        ("Statuses", statuses(run)),
        ("Bytes", bytes(run)),
    ] {
        push_fact(html, name, &text);
    }
    push_fact(html, "Unfinished", &Count::of(run.unfinished).to_string());
    if run.asked.tls {
        push_fact(
            html,
            "Resumed handshakes",
            &Count::of(run.resumed).to_string(),
        );
    }
    for met in &run.errors_by_kind {
        let text = format!("{} {}: {}", Count::of(met.count), met.kind, met.first);
        push_fact(html, "Errors", &text);
    }
    html.push_str("</dl>\n");
    push_connecting(html, run);
    html.push_str("</section>\n");
}

fn push_fact(html: &mut String, name: &str, text: &str) {
    let _ = writeln!(html, "<dt>{name}</dt><dd>{}</dd>", Escaped(text));
}

fn push_connecting(html: &mut String, run: &Record) {
    let kinds = [
        ("Connect", &run.connect_ms),
        ("TLS handshake", &run.handshake_ms),
    ];
    let mut kinds = kinds
        .into_iter()
        .filter_map(|(name, figures)| Some((name, figures.as_ref()?)))
        .peekable();
    if kinds.peek().is_none() {
        return;
    }
    html.push_str("<div class=\"wide\"><table>\n<thead><tr><th>Connections</th><th>Count</th>");
    for name in Figures::NAMES {
        let _ = write!(html, "<th>{name}</th>");
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for (name, figures) in kinds {
        let _ = write!(
            html,
            "<tr><th>{name}</th><td>{}</td>",
            Count::of(figures.count)
        );
        push_values(html, Some(figures));
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table></div>\n");
}
