//! Who counts as one client, as far as an address can tell.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// What the bounds per address count by: an IPv4 address, or an IPv6 network of 64 bits. Everybody who has IPv6 has a
/// whole /64 to choose addresses from, so counting single ones would bound nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressKey(Key);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Key {
    V4(u32),
    /// The first 64 bits.
    V6(u64),
}

const _: () = assert!(size_of::<AddressKey>() <= 16);

impl AddressKey {
    /// The key of an address. An IPv4-mapped IPv6 address, as dual-stack sockets report them, has the key of the IPv4
    /// address it carries: else all of IPv4 would be one client.
    #[must_use]
    pub fn from_ip(address: IpAddr) -> AddressKey {
        AddressKey(match address.to_canonical() {
            IpAddr::V4(address) => Key::V4(address.to_bits()),
            IpAddr::V6(address) => Key::V6((address.to_bits() >> 64) as u64),
        })
    }
}

impl From<IpAddr> for AddressKey {
    fn from(address: IpAddr) -> AddressKey {
        AddressKey::from_ip(address)
    }
}

impl fmt::Display for AddressKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Key::V4(bits) => std::net::Ipv4Addr::from_bits(bits).fmt(f),
            Key::V6(bits) => write!(f, "{}/64", Ipv6Addr::from_bits(u128::from(bits) << 64)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn key(text: &str) -> AddressKey {
        AddressKey::from_ip(text.parse().unwrap())
    }

    #[test]
    fn ipv4_addresses_count_one_by_one() {
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
        assert_eq!(key("192.0.2.1").to_string(), "192.0.2.1");
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_address_it_carries() {
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
        assert_ne!(key("::ffff:192.0.2.1"), key("::ffff:192.0.2.2"));
    }

    #[test]
    fn ipv6_addresses_count_by_their_first_64_bits() {
        assert_eq!(
            key("2001:db8:1:2::1"),
            key("2001:db8:1:2:ffff:ffff:ffff:ffff")
        );
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("2001:db8:1:2::1").to_string(), "2001:db8:1:2::/64");
    }

    #[test]
    fn no_ipv6_network_is_an_ipv4_address() {
        assert_ne!(key("::1"), key("0.0.0.0"));
        assert_ne!(key("0:0:0:1::"), key("0.0.0.1"));
    }
}
