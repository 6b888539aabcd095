//! What others had of two cores while we measured: time that the hypervisor gave to somebody else, and time of other
//! processes. Rounds with much of either measured the neighbours.

use std::{fmt, fs};

/// Others that had more of a core than this made a round another one: as much as figures are asked to agree within, twice.
const DISTURBING_PERCENT: f64 = 10.0;

/// One core's counters, in clock ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ticks {
    stolen: u64,
    /// Of whatever process, and of interrupts.
    used: u64,
    all: u64,
}

/// The counters of `/proc/stat` for two cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Steal {
    cores: [Ticks; 2],
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
        self.share_since(earlier, |ticks| ticks.stolen)
    }

    /// What others had of each core since `earlier`, where our own processes had so much of it.
    pub(crate) fn taken_since(self, earlier: Self, own_percent: [f64; 2]) -> [Taken; 2] {
        let stolen = self.percent_since(earlier);
        let used = self.share_since(earlier, |ticks| ticks.used);
        [0, 1].map(|core| Taken {
            stolen_percent: stolen[core],
            used_percent: (used[core] - own_percent[core]).max(0.0),
        })
    }

    fn share_since(self, earlier: Self, of: impl Fn(&Ticks) -> u64) -> [f64; 2] {
        [0, 1].map(|index| {
            let (now, before) = (&self.cores[index], &earlier.cores[index]);
            let all = now.all.saturating_sub(before.all).max(1);
            of(now).saturating_sub(of(before)) as f64 * 100.0 / all as f64
        })
    }
}

/// What others had of a core.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Taken {
    /// By the hypervisor, for another machine.
    stolen_percent: f64,
    /// By other processes on this one.
    used_percent: f64,
}

impl Taken {
    /// The larger of each.
    pub(crate) fn or_more(self, other: Self) -> Self {
        Self {
            stolen_percent: self.stolen_percent.max(other.stolen_percent),
            used_percent: self.used_percent.max(other.used_percent),
        }
    }

    /// Whether that was too much to measure beside.
    pub(crate) fn disturbs(self) -> bool {
        self.stolen_percent + self.used_percent > DISTURBING_PERCENT
    }
}

impl fmt::Display for Taken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stolen, used) = (self.stolen_percent, self.used_percent);
        write!(
            formatter,
            "{stolen:.1} % (stolen) and {used:.0} % (other processes)"
        )
    }
}

/// One core's. `guest` and `guest_nice`, the last two fields, are part of `user` and `nice` already.
fn ticks(text: &str, core: usize) -> Option<Ticks> {
    let name = format!("cpu{core} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&name))?;
    let fields: Vec<u64> = line
        .split_ascii_whitespace()
        .map_while(|field| field.parse().ok())
        .collect();
    let &[
        user,
        nice,
        system,
        idle,
        waiting,
        interrupts,
        softly,
        stolen,
        ..,
    ] = &fields[..]
    else {
        return None;
    };
    let used = user + nice + system + interrupts + softly;
    Some(Ticks {
        stolen,
        used,
        all: used + idle + waiting + stolen,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "cpu  3 0 3 3 0 0 0 3 0 0\ncpu0 100 0 50 800 10 0 20 20 7 7\ncpu1 1 1 1 1 1 1 1 1 1 1\ncpu10 9 9 9 9 9 9 9 9 9 9\n";

    #[test]
    fn a_core_is_found_by_its_whole_number_and_guests_count_once() {
        let expected = |stolen, used, all| Some(Ticks { stolen, used, all });
        assert_eq!(ticks(TEXT, 0), expected(20, 170, 1000));
        assert_eq!(ticks(TEXT, 1), expected(1, 5, 8));
        assert_eq!(ticks(TEXT, 10), expected(9, 45, 72));
        assert_eq!(ticks(TEXT, 2), None);
    }

    #[test]
    fn the_share_is_of_the_time_between_two_readings() {
        let counters = |stolen, used, all| Ticks { stolen, used, all };
        let before = Steal {
            cores: [counters(20, 170, 1000), Ticks::default()],
        };
        let after = Steal {
            cores: [counters(30, 270, 1200), Ticks::default()],
        };
        assert_eq!(after.percent_since(before), [5.0, 0.0]);
        let [servers, loads] = after.taken_since(before, [42.0, 3.0]);
        assert_eq!(
            servers.to_string(),
            "5.0 % (stolen) and 8 % (other processes)"
        );
        assert!(servers.disturbs() && !loads.disturbs());
        assert_eq!(loads, Taken::default());
        assert_eq!(loads.or_more(servers), servers);
    }
}
