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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io;
    use std::sync::{Arc, Mutex};

    use indicatif::TermLike;

    use super::*;
    use crate::arguments::Invocation;
    use crate::run::command;

    /// Everything that was written to a terminal.
    #[derive(Clone, Debug, Default)]
    struct Screen(Arc<Mutex<String>>);

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            120
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            self.write_str("\n")
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    fn plan() -> Plan {
        let line = "http://127.0.0.1/ --duration 10s --warm-up 1s";
        let words = line.split(' ').map(str::to_owned);
        let Ok(Invocation::Run(arguments)) = command::PROGRAM.read(words) else {
            panic!("{line}");
        };
        command::read_plan(&arguments).unwrap()
    }

    fn interval(number: u64, answers: u64, troubles: u64) -> Interval {
        let mut interval = Interval::new(number);
        interval
            .latency
            .record_many(Duration::from_millis(2), answers);
        interval.troubles = troubles;
        interval
    }

    /// The time line's histograms have two digits: two milliseconds are up to 2.01 there.
    #[test]
    fn a_terminal_is_told_how_far_the_run_is_with_rate_and_p99() {
        let (plan, screen) = (plan(), Screen::default());
        let target = ProgressDrawTarget::term_like(Box::new(screen.clone()));
        let mut progress = Progress::new(&plan, target);
        progress.handle_interval(&interval(0, 1_100, 0));
        let shown = std::mem::take(&mut *screen.0.lock().unwrap());
        for part in ["warming up", "of 11 s", "10,000/s", "p99 2.01 ms"] {
            assert!(shown.contains(part), "{part} is not in {shown}");
        }
        assert!(!shown.contains("errors"), "{shown}");
        progress.handle_interval(&interval(50, 0, 3));
        progress.handle_interval(&interval(51, 0, 4));
        let shown = std::mem::take(&mut *screen.0.lock().unwrap());
        for part in ["recording", "===>", "7 errors"] {
            assert!(shown.contains(part), "{part} is not in {shown}");
        }
        let last = shown.lines().last().unwrap_or_default();
        assert!(!last.contains("p99"), "nothing was answered: {shown}");
    }

    #[test]
    fn what_is_hidden_draws_nothing_and_counts_all_the_same() {
        let mut progress = Progress::hidden(&plan());
        progress.handle_interval(&interval(0, 0, 3));
        assert!(progress.bar.is_hidden());
        assert_eq!(progress.errors, 3);
    }
}
