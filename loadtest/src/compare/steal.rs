//! Time that the hypervisor gave to somebody else, per core: rounds with much of it measured the neighbours.

use std::fs;

/// The counters of `/proc/stat` for two cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Steal {
    /// `(stolen, all)` ticks of each.
    cores: [(u64, u64); 2],
}

impl Steal {
    /// The counters now; zeroes where they cannot be read, for steal is only a remark.
    pub(crate) fn read(cores: [usize; 2]) -> Self {
        let text = fs::read_to_string("/proc/stat").unwrap_or_default();
        Self {
            cores: cores.map(|core| ticks(&text, core).unwrap_or_default()),
        }
    }

    /// Percent stolen from each core since `earlier`.
    pub(crate) fn percent_since(self, earlier: Self) -> [f64; 2] {
        let percent = |index: usize| {
            let (stolen, all) = self.cores[index];
            let (stolen_before, all_before) = earlier.cores[index];
            let all = all.saturating_sub(all_before).max(1);
            stolen.saturating_sub(stolen_before) as f64 * 100.0 / all as f64
        };
        [percent(0), percent(1)]
    }
}

/// Stolen and all ticks of one core. `guest` and `guest_nice`, the last two, are part of `user` and `nice` already.
fn ticks(text: &str, core: usize) -> Option<(u64, u64)> {
    let name = format!("cpu{core} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&name))?;
    let fields: Vec<u64> = line
        .split_ascii_whitespace()
        .map_while(|field| field.parse().ok())
        .collect();
    let stolen = *fields.get(7)?;
    Some((stolen, fields.iter().take(8).sum()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "cpu  3 0 3 3 0 0 0 3 0 0\ncpu0 100 0 50 800 10 0 20 20 7 7\ncpu1 1 1 1 1 1 1 1 1 1 1\ncpu10 9 9 9 9 9 9 9 9 9 9\n";

    #[test]
    fn a_core_is_found_by_its_whole_number_and_guests_count_once() {
        assert_eq!(ticks(TEXT, 0), Some((20, 1000)));
        assert_eq!(ticks(TEXT, 1), Some((1, 8)));
        assert_eq!(ticks(TEXT, 10), Some((9, 72)));
        assert_eq!(ticks(TEXT, 2), None);
    }

    #[test]
    fn the_share_is_of_the_time_between_two_readings() {
        let before = Steal {
            cores: [(20, 1000), (0, 0)],
        };
        let after = Steal {
            cores: [(30, 1200), (0, 0)],
        };
        assert_eq!(after.percent_since(before), [5.0, 0.0]);
    }
}
