//! The distribution of latencies as HdrHistogram's own tools print and plot it: value, percentile, how many were at most that,
//! and 1/(1-percentile), with a foot of comments. Values are in milliseconds, to the nanosecond.

use std::fmt::Write as _;

use super::readable::Plain;
use super::record::Record;

/// Lines for each halving of what is left to 100 %: HdrHistogram's own default.
const TICKS_PER_HALVING: u32 = 5;

/// The whole file.
pub(super) fn hgrm(record: &Record) -> String {
    let histogram = record.histogram.nanoseconds();
    let millis = |nanoseconds: u64| nanoseconds as f64 / 1e6;
    let mut text = format!(
        "{:>12} {:>14} {:>10} {:>14}\n\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    );
    let mut total = 0;
    for step in histogram.iter_quantiles(TICKS_PER_HALVING) {
        total += step.count_since_last_iteration();
        let (value, quantile) = (
            millis(step.value_iterated_to()),
            step.quantile_iterated_to(),
        );
        let _ = write!(text, "{value:12.6} {quantile:2.12} {total:10}");
        // The last line has no fourth column: nothing is left.
        if quantile < 1.0 {
            let _ = write!(text, " {:14.2}", 1.0 / (1.0 - quantile));
        }
        text.push('\n');
    }
    // Twice as many steps as its digits have values, so that the upper half of them is as fine.
    let sub_buckets = (2 * 10_u64.pow(u32::from(histogram.sigfig()))).next_power_of_two();
    let buckets = histogram.buckets();
    let (mean, deviation) = (histogram.mean() / 1e6, histogram.stdev() / 1e6);
    let _ = writeln!(
        text,
        "#[Mean    = {mean:12.6}, StdDeviation   = {deviation:12.6}]"
    );
    let (max, count) = (millis(histogram.max()), histogram.len());
    let _ = writeln!(text, "#[Max     = {max:12.6}, Total count    = {count:12}]");
    let _ = writeln!(
        text,
        "#[Buckets = {buckets:12}, SubBuckets     = {sub_buckets:12}]"
    );
    // Plotters pass over what begins so.
    if let Some((how, why)) = record.early_end() {
        let _ = writeln!(text, "#[{how}: {}]", Plain(&why));
    }
    text
}
