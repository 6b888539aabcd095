//! Sets of addresses that an operator names: networks in CIDR notation and the word `loopback`.

use crate::value::{Kind, entries};
use std::fmt;
use std::net::IpAddr;

/// The most networks one setting may list: each is looked at on every accept.
const NETWORKS_MAX: usize = 256;

/// A network: an address and how many of its leading bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Every bit after the prefix is zero.
    address: IpAddr,
    /// At most 32 or 128, by family.
    prefix: u8,
}

impl Network {
    /// Reads `10.0.0.0/8`, `2001:db8::/32`, or one address. Bits set after the prefix are an error: they show that
    /// something else was meant.
    fn parse(text: &str) -> Result<Network, String> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address
            .parse()
            .map_err(|_| format!("lists {text:?}, which is neither an address nor a network"))?;
        let bits = address_bits(address);
        let prefix = match prefix {
            None => bits,
            Some(prefix) => prefix
                .parse()
                .ok()
                .filter(|length| *length <= bits && !prefix.starts_with('+'))
                .ok_or_else(|| format!("lists {text:?}, whose prefix is not from 0 to {bits}"))?,
        };
        if whole(address) & !mask(prefix, bits) != 0 {
            return Err(format!(
                "lists {text:?}, which has bits set after its prefix"
            ));
        }
        Ok(Network { address, prefix })
    }

    /// Whether `address` is in the network. An IPv4-mapped IPv6 address is the IPv4 address it carries.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        if address.is_ipv4() != self.address.is_ipv4() {
            return false;
        }
        (whole(address) ^ whole(self.address)) & mask(self.prefix, address_bits(address)) == 0
    }
}

fn address_bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn whole(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The first `prefix` of `bits` bits.
fn mask(prefix: u8, bits: u8) -> u128 {
    let whole = u128::MAX >> (128 - u32::from(bits));
    whole & !whole.checked_shr(u32::from(prefix)).unwrap_or(0)
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix == address_bits(self.address) {
            return self.address.fmt(f);
        }
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// A set of addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressSet {
    loopback: bool,
    networks: Vec<Network>,
}

impl AddressSet {
    /// No address.
    pub const NONE: AddressSet = AddressSet {
        loopback: false,
        networks: Vec::new(),
    };
    /// `127.0.0.0/8` and `::1`.
    pub const LOOPBACK: AddressSet = AddressSet {
        loopback: true,
        networks: Vec::new(),
    };

    /// Whether `address` is in the set. An IPv4-mapped IPv6 address is the IPv4 address it carries.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        (self.loopback && address.to_canonical().is_loopback())
            || self
                .networks
                .iter()
                .any(|network| network.contains(address))
    }
}

/// `none`, or a list of networks, addresses and the word `loopback`.
pub(crate) struct Addresses;

impl Kind for Addresses {
    type Value = AddressSet;

    fn parse(&self, text: &str) -> Result<AddressSet, String> {
        let mut set = AddressSet::NONE;
        if text == "none" {
            return Ok(set);
        }
        for entry in entries(text) {
            match entry {
                "loopback" => set.loopback = true,
                network if set.networks.len() < NETWORKS_MAX => {
                    set.networks.push(Network::parse(network)?)
                }
                _ => return Err("lists too many networks".to_owned()),
            }
        }
        Ok(set)
    }

    fn write(&self, value: &AddressSet) -> String {
        let mut entries = Vec::new();
        if value.loopback {
            entries.push("loopback".to_owned());
        }
        entries.extend(value.networks.iter().map(Network::to_string));
        if entries.is_empty() {
            "none".to_owned()
        } else {
            entries.join(",")
        }
    }

    fn range(&self) -> String {
        format!(
            "none, or a list of at most {NETWORKS_MAX} networks (10.0.0.0/8, 2001:db8::/32), addresses, and the word loopback"
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn loopback_is_every_loopback_address_mapped_ones_included() {
        for inside in ["127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1"] {
            assert!(AddressSet::LOOPBACK.contains(ip(inside)), "{inside}");
            assert!(!AddressSet::NONE.contains(ip(inside)), "{inside}");
        }
        for outside in ["128.0.0.1", "::2", "::ffff:10.0.0.1", "0.0.0.0"] {
            assert!(!AddressSet::LOOPBACK.contains(ip(outside)), "{outside}");
        }
    }

    #[test]
    fn networks_hold_what_their_prefix_says() {
        let set = Addresses
            .parse("10.0.0.0/8, 192.0.2.7 ,2001:db8::/33,0.0.0.0/32")
            .unwrap();
        for inside in [
            "10.255.1.2",
            "192.0.2.7",
            "2001:db8:7fff::1",
            "::ffff:10.1.1.1",
            "0.0.0.0",
        ] {
            assert!(set.contains(ip(inside)), "{inside}");
        }
        for outside in [
            "11.0.0.0",
            "192.0.2.6",
            "2001:db8:8000::1",
            "::a00:1",
            "0.0.0.1",
        ] {
            assert!(!set.contains(ip(outside)), "{outside}");
        }
        assert_eq!(
            Addresses.write(&set),
            "10.0.0.0/8,192.0.2.7,2001:db8::/33,0.0.0.0"
        );
    }

    #[test]
    fn a_prefix_of_zero_holds_its_whole_family_and_no_other() {
        let set = Addresses.parse("0.0.0.0/0").unwrap();
        assert!(set.contains(ip("255.255.255.255")));
        assert!(!set.contains(ip("2001:db8::1")));
    }

    #[test]
    fn what_is_not_a_network_is_refused_by_name() {
        for wrong in [
            "",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "::/129",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0/8",
            "localhost",
            "loopback,",
        ] {
            let error = Addresses.parse(wrong).unwrap_err();
            assert!(error.starts_with("lists \""), "{wrong}: {error}");
        }
        assert!(Addresses.parse(&["10.0.0.1"; 257].join(",")).is_err());
    }

    proptest! {
        #[test]
        fn a_network_holds_exactly_the_addresses_that_share_its_prefix(
            address in any::<u32>(), other in any::<u32>(), flip in 0..33u32, prefix in 0..=32u32,
        ) {
            let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
            let network = Network::parse(&format!("{}/{prefix}", Ipv4Addr::from_bits(address & mask))).unwrap();
            // Random addresses rarely share a long prefix; one that differs in a single bit often does.
            for other in [other, address ^ 1u32.checked_shl(flip).unwrap_or(0)] {
                let expected = other & mask == address & mask;
                prop_assert_eq!(network.contains(Ipv4Addr::from_bits(other).into()), expected);
            }
        }

        #[test]
        fn networks_are_written_as_they_are_read(address in any::<u128>(), prefix in 0..=128u32) {
            let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
            let text = format!("{}/{prefix}", Ipv6Addr::from_bits(address & mask));
            let set = Addresses.parse(&text).unwrap();
            prop_assert_eq!(Addresses.parse(&Addresses.write(&set)).unwrap(), set);
        }
    }
}
