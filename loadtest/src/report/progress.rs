//! The bar of a run that goes on, on standard error: how far it is, and the rate and p99 of the last piece of its time line.
//! Where standard error is no terminal, nothing is drawn.

use std::fmt::Write as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::readable::{Count, Millis, Seconds};
use super::record::Figures;
use crate::run::{Interval, Plan};

/// Where the pieces of a time line are longer, the time that has passed is drawn in between.
const REDRAWN_AFTER: Duration = Duration::from_secs(1);

const TEMPLATE: &str = "{prefix} [{bar:30}] {passed} {msg}";

/// See the file's comment. It is wiped away when dropped.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    interval: Duration,
    warm_up: Duration,
    errors: u64,
}

impl Progress {
    /// For a run that is about to begin.
    pub fn on_terminal(plan: &Plan) -> Self {
        Self::new(plan, ProgressDrawTarget::stderr())
    }

    /// Draws nothing.
    pub fn hidden(plan: &Plan) -> Self {
        Self::new(plan, ProgressDrawTarget::hidden())
    }

    fn new(plan: &Plan, target: ProgressDrawTarget) -> Self {
        let span = plan.warm_up + plan.duration;
        let bar = ProgressBar::with_draw_target(Some(millis(span)), target);
        let of = Seconds(span.as_secs_f64());
        let passed = move |state: &ProgressState, to: &mut dyn std::fmt::Write| {
            // What cannot be written is not drawn.
            let _ = write!(to, "{:.0} of {of}", state.elapsed().as_secs_f64());
        };
        let style = ProgressStyle::with_template(TEMPLATE).expect("the template is a constant");
        bar.set_style(style.with_key("passed", passed).progress_chars("=> "));
        bar.set_prefix(if plan.warm_up.is_zero() {
            RECORDING
        } else {
            WARMING_UP
        });
        let interval = plan.interval();
        if interval > REDRAWN_AFTER && !bar.is_hidden() {
            bar.enable_steady_tick(REDRAWN_AFTER);
        }
        Self {
            bar,
            interval,
            warm_up: plan.warm_up,
            errors: 0,
        }
    }

    /// A piece of the time line is over.
    pub fn handle_interval(&mut self, interval: &Interval) {
        let count = u32::try_from(interval.number + 1).unwrap_or(u32::MAX);
        let end = self.interval.saturating_mul(count);
        if end > self.warm_up {
            self.bar.set_prefix(RECORDING);
        }
        self.errors += interval.troubles;
        let rate = interval.latency.count() as f64 / self.interval.as_secs_f64();
        let mut text = format!("{}/s", Count(rate));
        if let Some(figures) = Figures::of(&interval.latency) {
            let _ = write!(text, ", p99 {}", Millis(figures.p99));
        }
        if self.errors > 0 {
            let _ = write!(text, ", {} errors", Count::of(self.errors));
        }
        self.bar.set_message(text);
        self.bar.set_position(millis(end));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

const WARMING_UP: &str = "warming up";
const RECORDING: &str = "recording ";

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
