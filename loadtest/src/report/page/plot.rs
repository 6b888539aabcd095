//! One plot, drawn by `plotters` as SVG that stands in a page. What text there is on it is ours: names of runs are left to the
//! page's legend.

use plotters::coord::ranged1d::Ranged as _;
use plotters::prelude::{
    ChartBuilder, Circle, Color, DrawingAreaErrorKind, IntoDrawingArea, IntoFont, LineSeries,
    Rectangle, SVGBackend, TRANSPARENT, TextStyle,
};
use plotters::style::RGBColor;

use super::super::readable::{Count, Millis, Seconds};
use super::axis::Axis;
use super::palette::{AXIS, GRID, RUNS, SHADE, TEXT};

/// See the file's comment.
#[derive(Debug)]
pub(super) struct Plot {
    /// What it shows, for those who do not see it. It is written as it is.
    pub(super) about: &'static str,
    pub(super) size: (u32, u32),
    pub(super) x: Axis,
    pub(super) x_names: Names,
    pub(super) y: Axis,
    pub(super) y_names: Names,
    pub(super) lines: Vec<Line>,
    /// Whether what lies left of zero was not recorded.
    pub(super) has_warm_up: bool,
}

/// What is written on an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// Milliseconds.
    Latency,
    /// Of 1/(1-percentile).
    Percentile,
    Seconds,
    Count,
}

/// A run's line, in pieces: where there is nothing, there is a gap.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    /// Which run.
    pub(super) run: usize,
    pub(super) pieces: Vec<Vec<(f64, f64)>>,
}

impl Line {
    /// Takes points that may be missing.
    pub(super) fn new(run: usize, points: impl Iterator<Item = Option<(f64, f64)>>) -> Self {
        let mut pieces = vec![Vec::new()];
        for point in points {
            match (point, pieces.last_mut()) {
                (Some(point), Some(piece)) => piece.push(point),
                _ => pieces.push(Vec::new()),
            }
        }
        pieces.retain(|piece| !piece.is_empty());
        Self { run, pieces }
    }

    pub(super) fn points(&self) -> impl Iterator<Item = (f64, f64)> {
        self.pieces.iter().flatten().copied()
    }
}

/// Widths of lines, sizes of letters: for the units of a drawing, of which a page shows two to a pixel or so.
const LINE: u32 = 4;
const LETTERS: u32 = 30;
const MARGIN: u32 = 24;
const NAMES_BELOW: u32 = 52;
const NAMES_LEFT: u32 = 136;

impl Plot {
    /// The element `svg`.
    pub(super) fn svg(&self) -> String {
        let mut svg = String::new();
        self.draw(&mut svg)
            .expect("there is room for the margins, and a text takes all that is drawn");
        // Its size is the page's affair; of what kind it is an `svg` says by its name.
        let (width, height) = self.size;
        let plain = format!("<svg width=\"{width}\" height=\"{height}\"");
        let named = format!("<svg role=\"img\" aria-label=\"{}\"", self.about);
        svg.replacen(&plain, &named, 1)
            .replacen(" xmlns=\"http://www.w3.org/2000/svg\"", "", 1)
    }

    fn draw(&self, svg: &mut String) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
        let area = SVGBackend::with_string(svg, self.size).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .margin(MARGIN)
            .margin_right(3 * MARGIN)
            .x_label_area_size(NAMES_BELOW)
            .y_label_area_size(NAMES_LEFT)
            .build_cartesian_2d(self.x.clone(), self.y.clone())?;
        let (x, y) = (self.x.range(), self.y.range());
        if self.has_warm_up && x.start < 0.0 {
            let corners = [(x.start, y.end), (x.end.min(0.0), y.start)];
            chart.draw_series([Rectangle::new(corners, SHADE.color().filled())])?;
        }
        let letters = ("sans-serif", LETTERS).into_font();
        chart
            .configure_mesh()
            .bold_line_style(GRID.color().stroke_width(LINE / 2))
            .light_line_style(TRANSPARENT)
            .axis_style(AXIS.color().stroke_width(LINE / 2))
            .label_style(TextStyle::from(letters).color(&TEXT.color()))
            .x_label_formatter(&|value| self.x_names.name(*value))
            .y_label_formatter(&|value| self.y_names.name(*value))
            .draw()?;
        // The first run is drawn last, above all others.
        for line in self.lines.iter().rev() {
            let color: RGBColor = RUNS[line.run % RUNS.len()].color();
            for piece in &line.pieces {
                if let [point] = piece[..] {
                    chart.draw_series([Circle::new(point, 2 * LINE, color.filled())])?;
                } else {
                    let points = piece.iter().copied();
                    chart.draw_series(LineSeries::new(points, color.stroke_width(LINE)))?;
                }
            }
        }
        area.present()
    }
}

impl Names {
    fn name(self, value: f64) -> String {
        match self {
            Self::Latency => round(Millis(value).to_string()),
            Self::Percentile => {
                let percent = 100.0 - 100.0 / value;
                // Ten digits of nines are all there are before rounding shows.
                let text = format!("{percent:.10}");
                format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
            }
            Self::Seconds => Seconds(value).to_string(),
            Self::Count => short(value),
        }
    }
}

/// A round number without the digits that say how exact it is: 5 ms for 5.00 ms.
fn round(text: String) -> String {
    match text.split_once(' ') {
        Some((number, unit)) if number.contains('.') => {
            let number = number.trim_end_matches('0').trim_end_matches('.');
            format!("{number} {unit}")
        }
        _ => text,
    }
}

/// A count for a narrow place: 150k, 1.5M.
fn short(count: f64) -> String {
    let (number, unit) = if count >= 1e6 {
        (count / 1e6, "M")
    } else if count >= 1e4 {
        (count / 1e3, "k")
    } else {
        return round(format!("{} ", Count(count))).trim_end().to_owned();
    };
    let text = format!("{number:.2}");
    format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_named_in_few_letters() {
        for (names, value, name) in [
            (Names::Latency, 5.0, "5 ms"),
            (Names::Latency, 0.02, "20 µs"),
            (Names::Latency, 200.0, "200 ms"),
            (Names::Latency, 10_000.0, "10 s"),
            (Names::Percentile, 1.0, "0%"),
            (Names::Percentile, 2.0, "50%"),
            (Names::Percentile, 100_000.0, "99.999%"),
            (Names::Seconds, -1.0, "-1 s"),
            (Names::Seconds, 2.5, "2.5 s"),
            (Names::Count, 0.0, "0"),
            (Names::Count, 0.5, "0.5"),
            (Names::Count, 2_000.0, "2,000"),
            (Names::Count, 150_000.0, "150k"),
            (Names::Count, 1_500_000.0, "1.5M"),
        ] {
            assert_eq!(names.name(value), name);
        }
    }

    #[test]
    fn a_line_has_gaps_where_points_are_missing() {
        let points = [
            None,
            Some((1.0, 1.0)),
            None,
            None,
            Some((2.0, 2.0)),
            Some((3.0, 3.0)),
        ];
        let line = Line::new(0, points.into_iter());
        assert_eq!(
            line.pieces,
            [vec![(1.0, 1.0)], vec![(2.0, 2.0), (3.0, 3.0)]]
        );
        assert_eq!(line.points().count(), 3);
    }

    #[test]
    fn a_drawing_is_one_element_of_its_own() {
        let line = Line::new(0, [Some((1.0, 1.0)), Some((10.0, 2.0))].into_iter());
        let alone = Line::new(1, [Some((1.0, 1.0))].into_iter());
        let plot = Plot {
            about: "A plot",
            size: (1200, 600),
            x: Axis::percentiles(10.0),
            x_names: Names::Percentile,
            y: Axis::logarithmic([1.0, 2.0].into_iter()),
            y_names: Names::Latency,
            lines: vec![line, alone],
            has_warm_up: false,
        };
        let svg = plot.svg();
        assert!(
            svg.starts_with("<svg role=\"img\" aria-label=\"A plot\" viewBox="),
            "{svg}"
        );
        assert!(svg.trim_end().ends_with("</svg>"), "{svg}");
        assert_eq!(svg.matches("stroke=\"#0B5CC4\"").count(), 1, "{svg}");
        assert_eq!(svg.matches("<circle").count(), 1, "{svg}");
        assert!(svg.contains("90%") && svg.contains("2 ms"), "{svg}");
    }
}
