//! What the process may use of the machine: descriptors, memory, CPUs.

use lanner_limits::Machine;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs;

/// Measures the machine, for [`lanner_limits::Limits::resolve`]. What cannot be read is taken as not limited.
pub fn machine() -> Machine {
    Machine {
        nofile: getrlimit(Resource::Nofile).current.unwrap_or(1 << 20),
        memory: [physical_memory(), cgroup_memory()]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(1 << 30),
        cpus: cpus(),
    }
}

/// Raises RLIMIT_NOFILE to its hard limit: the soft one is kept low for the sake of programs that use select(2).
/// Returns the limit in force.
pub fn raise_descriptor_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    // An unlimited hard limit is still bounded by fs.nr_open, so it is tried and may fail.
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
    getrlimit(Resource::Nofile).current.unwrap_or(1 << 20)
}

/// CPUs by affinity, fewer where a cgroup's quota allows less.
fn cpus() -> usize {
    let allowed = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let allowed = core_affinity::get_core_ids().map_or(allowed, |cores| cores.len().max(1));
    quota_cpus()
        .map_or(allowed, |quota| quota.min(allowed))
        .max(1)
}

/// CPUs that `cpu.max` of cgroup v2 amounts to, rounded up.
fn quota_cpus() -> Option<usize> {
    let text = fs::read_to_string(cgroup_file("cpu.max")?).ok()?;
    let (quota, period) = text.trim().split_once(' ')?;
    let (quota, period): (usize, usize) = (quota.parse().ok()?, period.parse().ok()?);
    Some(quota.div_ceil(period.max(1)).max(1))
}

fn cgroup_memory() -> Option<u64> {
    fs::read_to_string(cgroup_file("memory.max")?)
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// A file of this process's own cgroup (v2).
fn cgroup_file(name: &str) -> Option<std::path::PathBuf> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    Some(
        std::path::Path::new("/sys/fs/cgroup")
            .join(path.trim_start_matches('/'))
            .join(name),
    )
}

fn physical_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_something_to_work_with() {
        let machine = machine();
        assert!(
            machine.cpus >= 1 && machine.nofile >= 64 && machine.memory > 1 << 20,
            "{machine:?}"
        );
    }
}
