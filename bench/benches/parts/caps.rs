//! What is asked at accept of each address. `connections`: one more is held, and given back later; beside ours, what one would
//! write for it: a `HashMap` from address to count. Both hash alike (std's keyed hash), so what shows is the key. `rate`: a
//! token is taken; beside ours, `governor` with its map and a clock that stands still, for the time is an argument of ours.
//! governor's map is behind a lock that is always free here, keeps every address for good unless told otherwise, and is not
//! bounded; ours forgets. (The engine puts locks around ours; they are private to it and not timed.)

use criterion::{Criterion, Throughput};
use governor::clock::FakeRelativeClock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use lanner_limits::{AddressKey, Caps, Moment, RateTable};
use std::collections::HashMap;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;

/// Addresses that come.
const ADDRESSES: u32 = 8_192;

/// Connections of one address.
const HELD_MAX: usize = 256;

const PER_SECOND: NonZeroU32 = NonZeroU32::new(1_000_000).unwrap();

pub(crate) fn bench(criterion: &mut Criterion) {
    let addresses: Vec<IpAddr> = (0..ADDRESSES).map(address).collect();
    connections(criterion, &addresses);
    rate(criterion, &addresses);
}

/// Half of them IPv4, half IPv6 with a network each.
fn address(number: u32) -> IpAddr {
    let bits = number.wrapping_mul(0x9e37_79b9);
    match number % 2 {
        0 => Ipv4Addr::from_bits(bits).into(),
        _ => Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(bits) << 64 | 1).into(),
    }
}

fn connections(criterion: &mut Criterion, addresses: &[IpAddr]) {
    let mut caps = Caps::new();
    let mut naive: HashMap<IpAddr, usize> = HashMap::new();
    // Every second address holds one already, so that entries come and go, and counts do.
    for address in addresses.iter().step_by(2) {
        assert!(caps.try_acquire((*address).into(), HELD_MAX));
        naive.insert(*address, 1);
    }
    let mut group = criterion.benchmark_group("caps/connections");
    group.throughput(Throughput::Elements(u64::from(ADDRESSES)));
    group.bench_function("lanner", |b| {
        b.iter(|| {
            for address in addresses {
                let key = AddressKey::from_ip(black_box(*address));
                assert!(caps.try_acquire(key, HELD_MAX));
            }
            for address in addresses {
                caps.release(AddressKey::from_ip(black_box(*address)));
            }
        });
    });
    group.bench_function("HashMap", |b| {
        b.iter(|| {
            for address in addresses {
                let held = naive.entry(black_box(*address)).or_default();
                assert!(*held < HELD_MAX);
                *held += 1;
            }
            for address in addresses {
                let held = naive.get_mut(&black_box(*address)).unwrap();
                *held -= 1;
                if *held == 0 {
                    naive.remove(address);
                }
            }
        });
    });
    group.finish();
    // Nothing was lost or kept on either side.
    assert_eq!(caps.addresses(), addresses.len() / 2);
    assert_eq!(naive.len(), addresses.len() / 2);
}

fn rate(criterion: &mut Criterion, addresses: &[IpAddr]) {
    let capacity = u64::from(PER_SECOND.get());
    let mut now = Moment::ZERO;
    let mut table = RateTable::new(capacity, capacity, now);
    let clock = FakeRelativeClock::default();
    let quota = Quota::per_second(PER_SECOND);
    let map: HashMapStateStore<IpAddr> = HashMapStateStore::default();
    let governor: RateLimiter<IpAddr, _, _, NoOpMiddleware<Nanos>> =
        RateLimiter::new(quota, map, clock.clone());
    // Between two rounds each bucket has time to fill.
    let pause = std::time::Duration::from_micros(100);
    let mut group = criterion.benchmark_group("caps/rate");
    group.throughput(Throughput::Elements(u64::from(ADDRESSES)));
    group.bench_function("lanner", |b| {
        b.iter(|| {
            now += pause;
            for address in addresses {
                assert!(table.take(AddressKey::from_ip(black_box(*address)), now));
            }
        });
    });
    group.bench_function("governor", |b| {
        b.iter(|| {
            clock.advance(pause);
            for address in addresses {
                governor.check_key(black_box(address)).unwrap();
            }
        });
    });
    group.finish();
}
