//! What a server costs, summed over the process that was started and all its descendants: nginx's master forks its worker.

use std::fs;

/// The part of `/proc/PID/stat` that is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// User and system time of all threads, in clock ticks.
    cpu_ticks: u64,
    /// The same of the children that it has waited for.
    waited_ticks: u64,
}

/// Memory of several processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Resident, shared pages counted in each process.
    pub(crate) rss_kib: u64,
    /// Resident, shared pages divided among the processes that map them.
    pub(crate) pss_kib: u64,
}

/// A process and its descendants, those that live now.
pub(crate) fn members(root: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parents: Vec<(u32, u32)> = pids
        .filter_map(|pid| Some((pid, stat(pid)?.parent)))
        .collect();
    descendants(root, &parents)
}

fn descendants(root: u32, parents: &[(u32, u32)]) -> Vec<u32> {
    let mut found = vec![root];
    let mut looked_at = 0;
    while let Some(parent) = found.get(looked_at).copied() {
        let children = parents
            .iter()
            .filter(|(pid, of)| *of == parent && !found.contains(pid));
        let children: Vec<u32> = children.map(|(pid, _)| *pid).collect();
        found.extend(children);
        looked_at += 1;
    }
    found
}

/// CPU time of a process and its living descendants, in seconds.
pub(crate) fn cpu_seconds(root: u32) -> f64 {
    let ticks = members(root)
        .into_iter()
        .filter_map(|pid| Some(stat(pid)?.cpu_ticks));
    seconds(ticks.sum())
}

/// CPU time of a process that has ended and was not reaped yet, with that of the children it has waited for.
pub(crate) fn cpu_seconds_of_ended(pid: u32) -> f64 {
    let stat = stat(pid);
    seconds(stat.map_or(0, |stat| stat.cpu_ticks + stat.waited_ticks))
}

fn seconds(ticks: u64) -> f64 {
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}

/// Memory of a process and its living descendants.
pub(crate) fn memory(root: u32) -> Memory {
    let rollups = members(root)
        .into_iter()
        .filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok());
    rollups.fold(Memory::default(), |sum, text| Memory {
        rss_kib: sum.rss_kib + kib(&text, "Rss:"),
        pss_kib: sum.pss_kib + kib(&text, "Pss:"),
    })
}

fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The name in the second field may hold blanks and parentheses, so fields count from the last `)`.
fn parse_stat(text: &str) -> Option<Stat> {
    let (_, fields) = text.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    // proc(5) numbers fields from 1 and these begin with the third: ppid is 4, utime 14, stime 15, cutime 16, cstime 17.
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Stat {
        parent: u32::try_from(number(4)?).ok()?,
        cpu_ticks: number(14)? + number(15)?,
        waited_ticks: number(16)? + number(17)?,
    })
}

fn kib(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_from_the_last_parenthesis() {
        let text = "4386 (nginx: (x) 1) S 4383 4383 4378 0 -1 4194624 190 0 0 0 153 247 11 13 20 0 1 0 1 2 3\n";
        assert_eq!(
            parse_stat(text),
            Some(Stat {
                parent: 4383,
                cpu_ticks: 400,
                waited_ticks: 24
            })
        );
        assert_eq!(parse_stat("4386 (short) S 1 2"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn grandchildren_belong_to_the_tree_and_strangers_do_not() {
        let parents = [(1, 0), (10, 1), (12, 11), (11, 10), (20, 1), (13, 10)];
        let mut tree = descendants(10, &parents);
        tree.sort_unstable();
        assert_eq!(tree, [10, 11, 12, 13]);
    }

    #[test]
    fn memory_lines_are_read_by_their_name() {
        let text = "00-ff ---p 00000000 00:00 0 [rollup]\nRss:                1676 kB\nPss:                 302 kB\nPss_Dirty: 9 kB\n";
        assert_eq!(
            (kib(text, "Rss:"), kib(text, "Pss:"), kib(text, "Swap:")),
            (1676, 302, 0)
        );
    }

    #[test]
    fn this_process_has_used_memory_and_is_in_its_own_tree() {
        let own = std::process::id();
        assert!(memory(own).rss_kib > 0);
        assert!(members(own).contains(&own));
        assert!(cpu_seconds(own) >= 0.0);
    }
}
