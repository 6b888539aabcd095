//! Who may connect: caps that hold exactly over all workers. The only state that workers share; it is touched when a
//! connection is accepted or ends, never on a request.

use lanner_limits::{AddressKey, Caps, Limits, Moment, RateTable, Trip};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Locks over which addresses are spread, so that workers seldom meet.
const SHARDS: usize = 16;

/// The server's caps.
#[derive(Debug)]
pub(crate) struct Admission {
    connections: AtomicUsize,
    upgraded: AtomicUsize,
    lingering: AtomicUsize,
    shards: Vec<Mutex<Shard>>,
}

#[derive(Debug)]
struct Shard {
    caps: Caps,
    /// `LANNER_MAX_CONNECTION_RATE_PER_IP`, with one second's worth as burst.
    rates: Option<RateTable>,
}

/// A connection's place under the caps; dropping it gives the place back.
#[derive(Debug)]
pub(crate) struct Permit {
    admission: Arc<Admission>,
    /// The address it counts for, unless that is exempt.
    address: Option<AddressKey>,
    lingering: bool,
}

impl Admission {
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        let shard = || {
            let rates = limits
                .max_connection_rate_per_ip
                .map(|rate| RateTable::new(rate, rate, Moment::ZERO));
            Mutex::new(Shard {
                caps: Caps::new(),
                rates,
            })
        };
        Arc::new(Self {
            connections: AtomicUsize::new(0),
            upgraded: AtomicUsize::new(0),
            lingering: AtomicUsize::new(0),
            shards: (0..SHARDS).map(|_| shard()).collect(),
        })
    }

    /// Connections open in the whole server, upgraded ones apart.
    pub(crate) fn connections(&self) -> usize {
        self.connections
            .load(Ordering::Relaxed)
            .saturating_sub(self.upgraded.load(Ordering::Relaxed))
    }

    /// Every count there is: connections, upgraded ones, lingering ones, addresses that hold any.
    #[cfg(test)]
    pub(crate) fn counts(&self) -> [usize; 4] {
        let addresses = self.shards.iter().map(|shard| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.caps.addresses()
        });
        let [connections, upgraded, lingering] =
            [&self.connections, &self.upgraded, &self.lingering]
                .map(|count| count.load(Ordering::Relaxed));
        [connections, upgraded, lingering, addresses.sum()]
    }

    fn shard(&self, key: AddressKey) -> MutexGuard<'_, Shard> {
        use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
        // Only spreads over locks; the maps behind them hash with a key of their own.
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(key);
        self.shards[hash as usize % SHARDS]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection from `peer`.
    ///
    /// # Errors
    /// The bound that it would pass.
    pub(crate) fn admit(
        self: &Arc<Self>,
        peer: Option<IpAddr>,
        limits: &Limits,
        now: Moment,
    ) -> Result<Permit, Trip> {
        let address = peer
            .filter(|address| !limits.per_ip_exempt.contains(*address))
            .map(AddressKey::from_ip);
        if let Some(key) = address {
            let mut shard = self.shard(key);
            if shard
                .rates
                .as_mut()
                .is_some_and(|rates| !rates.take(key, now))
            {
                return Err(Trip::ConnectionRatePerIp);
            }
            if !shard.caps.try_acquire(key, limits.max_connections_per_ip) {
                return Err(Trip::MaxConnectionsPerIp);
            }
        }
        let before = self.connections.fetch_add(1, Ordering::Relaxed);
        // From here on the permit's drop undoes everything.
        let permit = Permit {
            admission: self.clone(),
            address,
            lingering: false,
        };
        if before.saturating_sub(self.upgraded.load(Ordering::Relaxed)) >= limits.max_connections {
            // It may ask again at once, when room has been made for it.
            if let Some(key) = address
                && let Some(rates) = &mut self.shard(key).rates
            {
                rates.give_back(key);
            }
            return Err(Trip::MaxConnections);
        }
        Ok(permit)
    }

    /// Counts a connection as upgraded, which takes it out of the other count.
    pub(crate) fn try_upgrade(&self, max: Option<usize>) -> bool {
        let before = self.upgraded.fetch_add(1, Ordering::Relaxed);
        let over = max.is_some_and(|max| before >= max);
        if over {
            self.end_upgrade();
        }
        !over
    }

    pub(crate) fn end_upgrade(&self) {
        self.upgraded.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Permit {
    /// The address that it counts for, unless that is exempt.
    pub(crate) fn address(&self) -> Option<AddressKey> {
        self.address
    }

    /// Counts the connection as lingering. Returns whether those that do are still within their bound.
    pub(crate) fn linger(&mut self, limits: &Limits) -> bool {
        if !self.lingering {
            self.admission.lingering.fetch_add(1, Ordering::Relaxed);
            self.lingering = true;
        }
        self.admission.lingering.load(Ordering::Relaxed) <= limits.lingering_connections()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.admission.connections.fetch_sub(1, Ordering::Relaxed);
        if self.lingering {
            self.admission.lingering.fetch_sub(1, Ordering::Relaxed);
        }
        if let Some(key) = self.address {
            self.admission.shard(key).caps.release(key);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use lanner_limits::Machine;

    fn with_limits(connections: usize, per_ip: usize) -> (Arc<Admission>, Limits) {
        let mut limits = Limits::for_machine(Machine {
            nofile: 100_000,
            memory: 1 << 33,
            cpus: 2,
        });
        limits.max_connections = connections;
        limits.max_connections_per_ip = per_ip;
        (Admission::new(&limits), limits)
    }

    fn stranger(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn the_cap_holds_over_all_and_a_dropped_permit_frees_its_place() {
        let (admission, limits) = with_limits(2, 100);
        let first = admission.admit(stranger(1), &limits, Moment::ZERO).unwrap();
        let _second = admission.admit(stranger(2), &limits, Moment::ZERO).unwrap();
        assert_eq!(
            admission
                .admit(stranger(3), &limits, Moment::ZERO)
                .unwrap_err(),
            Trip::MaxConnections
        );
        assert_eq!(admission.connections(), 2);
        drop(first);
        assert!(admission.admit(stranger(3), &limits, Moment::ZERO).is_ok());
    }

    #[test]
    fn one_address_cannot_take_everything_and_loopback_is_exempt() {
        let (admission, limits) = with_limits(100, 1);
        let held = admission.admit(stranger(1), &limits, Moment::ZERO).unwrap();
        assert_eq!(
            admission
                .admit(stranger(1), &limits, Moment::ZERO)
                .unwrap_err(),
            Trip::MaxConnectionsPerIp
        );
        let _other = admission.admit(stranger(2), &limits, Moment::ZERO).unwrap();
        let loopback = Some(IpAddr::from([127, 0, 0, 1]));
        let _many: Vec<_> = (0..5)
            .map(|_| admission.admit(loopback, &limits, Moment::ZERO).unwrap())
            .collect();
        drop(held);
        assert!(admission.admit(stranger(1), &limits, Moment::ZERO).is_ok());
    }

    #[test]
    fn a_refusal_leaves_no_trace() {
        let (admission, limits) = with_limits(1, 1);
        let held = admission.admit(stranger(1), &limits, Moment::ZERO).unwrap();
        for _ in 0..10 {
            assert!(admission.admit(stranger(2), &limits, Moment::ZERO).is_err());
        }
        drop(held);
        assert_eq!(admission.connections(), 0);
        assert!(admission.admit(stranger(2), &limits, Moment::ZERO).is_ok());
    }

    #[test]
    fn a_place_that_is_not_to_be_had_costs_no_token() {
        let (_, mut limits) = with_limits(1, 10);
        limits.max_connection_rate_per_ip = Some(1);
        let admission = Admission::new(&limits);
        let held = admission.admit(stranger(1), &limits, Moment::ZERO).unwrap();
        let refused = admission.admit(stranger(2), &limits, Moment::ZERO);
        assert_eq!(refused.unwrap_err(), Trip::MaxConnections);
        drop(held);
        let admitted = admission.admit(stranger(2), &limits, Moment::ZERO);
        let again = admission.admit(stranger(2), &limits, Moment::ZERO);
        assert!(admitted.is_ok());
        assert_eq!(again.unwrap_err(), Trip::ConnectionRatePerIp);
    }

    #[test]
    fn upgraded_connections_leave_the_first_count() {
        let (admission, limits) = with_limits(1, 10);
        let _permit = admission.admit(stranger(1), &limits, Moment::ZERO).unwrap();
        assert!(admission.try_upgrade(Some(1)));
        assert!(!admission.try_upgrade(Some(1)));
        assert!(admission.admit(stranger(2), &limits, Moment::ZERO).is_ok());
        admission.end_upgrade();
        assert_eq!(admission.connections(), 1);
    }
}
