//! What a default needs to know of the machine, and the defaults made from it. The engine measures; nothing here looks.

use crate::Limits;

/// What the process may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Open descriptors allowed (RLIMIT_NOFILE, the soft limit).
    pub nofile: u64,
    /// Bytes of memory, of the cgroup where it has fewer than the machine.
    pub memory: u64,
    /// CPUs allowed, by affinity and by quota.
    pub cpus: usize,
}

/// Descriptors for what is not a connection: listeners, logs, files being served.
const NOFILE_RESERVE: u64 = 256;
/// Descriptors that each worker holds for itself: its driver, its wakers, its share of the listeners.
const NOFILE_PER_WORKER: u64 = 16;
/// What a connection at work is expected to hold of memory, half of it the kernel's.
const MEMORY_PER_CONNECTION: u64 = 32 * 1024;
/// Below this a server is a toy, and something about the machine was set by mistake.
pub(crate) const CONNECTIONS_AUTO_MIN: u64 = 64;
/// One address's share of the connections, and what it gets at least: a whole office can sit behind one address.
const PER_IP_SHARE: usize = 8;
/// The handshakes' share of the connections.
const HANDSHAKES_SHARE: usize = 4;
const PER_IP_AUTO_MIN: usize = 256;

impl Machine {
    /// One worker for each CPU.
    pub(crate) fn workers(self) -> usize {
        self.cpus.clamp(1, crate::knob::WORKERS_MAX as usize)
    }

    /// Connections for which there are descriptors.
    pub(crate) fn connections_by_descriptors(self, workers: usize) -> u64 {
        self.nofile
            .saturating_sub(NOFILE_RESERVE)
            .saturating_sub(NOFILE_PER_WORKER.saturating_mul(workers as u64))
    }

    /// The connection cap where none is configured: bounded by descriptors and by memory, never below 64. Whether there
    /// are descriptors for 64 is for `Limits::resolve` to complain about.
    pub(crate) fn connections(self, workers: usize) -> usize {
        let connections = self
            .connections_by_descriptors(workers)
            .min(self.memory / MEMORY_PER_CONNECTION)
            .clamp(CONNECTIONS_AUTO_MIN, crate::knob::CONNECTIONS_MAX);
        usize::try_from(connections).unwrap_or(usize::MAX)
    }
}

impl Limits {
    /// Puts a number wherever `auto` stands, in the order in which they depend on one another.
    pub(crate) fn fill_automatic(&mut self, machine: Machine) {
        if self.workers == 0 {
            self.workers = machine.workers();
        }
        if self.max_connections == 0 {
            self.max_connections = machine.connections(self.workers);
        }
        if self.max_connections_per_ip == 0 {
            let share = (self.max_connections / PER_IP_SHARE).max(PER_IP_AUTO_MIN);
            self.max_connections_per_ip = share.min(self.max_connections);
        }
        if self.tls_max_handshakes == 0 {
            self.tls_max_handshakes = (self.max_connections / HANDSHAKES_SHARE).max(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn descriptors_bound_the_connections() {
        let machine = Machine {
            nofile: 1_024,
            memory: 64 * GIB,
            cpus: 4,
        };
        assert_eq!(
            Limits::for_machine(machine).max_connections,
            1_024 - 256 - 64
        );
    }

    #[test]
    fn memory_bounds_the_connections_where_descriptors_do_not() {
        let machine = Machine {
            nofile: 1 << 20,
            memory: GIB,
            cpus: 1,
        };
        assert_eq!(Limits::for_machine(machine).max_connections, 32_768);
    }

    #[test]
    fn an_automatic_cap_is_never_below_64() {
        for machine in [
            Machine {
                nofile: 0,
                memory: 0,
                cpus: 0,
            },
            Machine {
                nofile: 1 << 20,
                memory: 4_096,
                cpus: 2,
            },
            Machine {
                nofile: 300,
                memory: GIB,
                cpus: usize::MAX,
            },
        ] {
            let limits = Limits::for_machine(machine);
            assert_eq!(limits.max_connections, 64);
            assert_eq!(limits.max_connections_per_ip, 64);
            assert!(limits.workers >= 1);
        }
    }

    #[test]
    fn one_address_gets_an_eighth_or_256_of_the_connections() {
        let many = Limits::for_machine(Machine {
            nofile: 1 << 20,
            memory: 64 * GIB,
            cpus: 8,
        });
        assert_eq!(many.max_connections_per_ip, many.max_connections / 8);
        let few = Limits::for_machine(Machine {
            nofile: 1_024,
            memory: 64 * GIB,
            cpus: 1,
        });
        assert_eq!(few.max_connections_per_ip, 256);
    }
}
