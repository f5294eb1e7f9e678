//! Which addresses may be called. Pure.
//!
//! A name under somebody else's control may resolve to an address inside of our own network, where the
//! caller is trusted (server-side request forgery). So only the public internet may be called, and
//! what the operator's configuration lists. Addresses that carry another one inside (mapped, NAT64,
//! 6to4) are judged by that one.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// A network: an address and the number of its leading bits that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// Why a network could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no network; write an address and the number of its leading bits, such as 10.20.0.0/16, \
     with no other bit set"
)]
pub struct NetworkError(String);

impl FromStr for Network {
    type Err = NetworkError;

    /// Reads `ADDRESS/BITS`, or a single address.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let wrong = || NetworkError(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().map_err(|_| wrong())?,
            None => most,
        };
        let network = Self { address, bits };
        if bits > most || network.first() != address {
            return Err(wrong());
        }
        Ok(network)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.bits)
    }
}

impl Network {
    const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8) -> Self {
        Self {
            address: IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
            bits,
        }
    }

    const fn v6(high: [u16; 3], bits: u8) -> Self {
        Self {
            address: IpAddr::V6(Ipv6Addr::new(high[0], high[1], high[2], 0, 0, 0, 0, 0)),
            bits,
        }
    }

    /// Whether it holds the address. The two versions never hold each other's.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4()
            && Self { address, ..*self }.first() == self.first()
    }

    /// Its first address.
    fn first(&self) -> IpAddr {
        let bits = u32::from(self.bits);
        match self.address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - bits.min(32)).unwrap_or(0);
                Ipv4Addr::from_bits(address.to_bits() & mask).into()
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - bits.min(128)).unwrap_or(0);
                Ipv6Addr::from_bits(address.to_bits() & mask).into()
            }
        }
    }
}

/// Where machines in clouds learn secrets about themselves. Only an entry for the single address
/// allows it.
const METADATA: [(IpAddr, &str); 5] = [
    (
        IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
        "of most clouds",
    ),
    (
        IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
        "of Alibaba Cloud",
    ),
    (IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)), "of Azure"),
    (IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)), "of Oracle Cloud"),
    (
        IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
        "of AWS",
    ),
];

/// Networks that are not the public internet (IANA's registries of special-purpose addresses).
const SPECIAL: [(Network, &str); 26] = [
    (Network::v4(0, 0, 0, 0, 8), "this host"),
    (Network::v4(10, 0, 0, 0, 8), "a private network"),
    (Network::v4(100, 64, 0, 0, 10), "a provider's inner network"),
    (Network::v4(127, 0, 0, 0, 8), "this host"),
    (Network::v4(169, 254, 0, 0, 16), "the local link"),
    (Network::v4(172, 16, 0, 0, 12), "a private network"),
    (Network::v4(192, 0, 0, 0, 24), "reserved for protocols"),
    (Network::v4(192, 0, 2, 0, 24), "for documentation"),
    (Network::v4(192, 88, 99, 0, 24), "reserved"),
    (Network::v4(192, 168, 0, 0, 16), "a private network"),
    (Network::v4(198, 18, 0, 0, 15), "for benchmarks"),
    (Network::v4(198, 51, 100, 0, 24), "for documentation"),
    (Network::v4(203, 0, 113, 0, 24), "for documentation"),
    (Network::v4(224, 0, 0, 0, 4), "multicast"),
    (Network::v4(240, 0, 0, 0, 4), "reserved"),
    // The unspecified address, the loopback and the old form with an IPv4 address inside.
    (Network::v6([0, 0, 0], 8), "this host or reserved"),
    (Network::v6([0x64, 0xff9b, 1], 48), "a private network"),
    (Network::v6([0x100, 0, 0], 64), "a sink"),
    (Network::v6([0x2001, 0, 0], 23), "reserved for protocols"),
    (Network::v6([0x2001, 0xdb8, 0], 32), "for documentation"),
    (Network::v6([0x3fff, 0, 0], 20), "for documentation"),
    (Network::v6([0x5f00, 0, 0], 16), "reserved for protocols"),
    (Network::v6([0xfc00, 0, 0], 7), "a private network"),
    (Network::v6([0xfe80, 0, 0], 10), "the local link"),
    (Network::v6([0xfec0, 0, 0], 10), "a private network"),
    (Network::v6([0xff00, 0, 0], 8), "multicast"),
];

/// The networks beside the public internet that the operator lets be called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

impl Networks {
    /// Allows these. With none, only the public internet may be called, and only over TLS.
    #[must_use]
    pub fn allowing(networks: Vec<Network>) -> Self {
        Self(networks)
    }

    /// Whether an address may be called. Without TLS, only networks that were listed.
    ///
    /// # Errors
    /// Says why not, and what to do.
    pub fn judge(&self, address: IpAddr, is_tls: bool) -> Result<(), String> {
        let inner = inner(address);
        let listed = |address| self.0.iter().any(|network| network.contains(address));
        let alone = |network: &Network| network.first() == inner && network.contains(inner);
        if let Some((_, whose)) = METADATA.iter().find(|(metadata, _)| *metadata == inner) {
            let is_single =
                |network: &Network| network.bits == if inner.is_ipv4() { 32 } else { 128 };
            if self
                .0
                .iter()
                .any(|network| alone(network) && is_single(network))
            {
                return Ok(());
            }
            return Err(format!(
                "{address} is the metadata service {whose}, which is never called; give another address"
            ));
        }
        if listed(inner) {
            return Ok(());
        }
        let special = SPECIAL.iter().find(|(network, _)| network.contains(inner));
        match special {
            Some((network, what)) => Err(format!(
                "{address} is {what} ({network}), which may not be called; if it must be, list its \
                 network among the destinations in the cloud side's configuration"
            )),
            None if !is_tls => Err(format!(
                "{address} would be called without TLS over the internet; use https://"
            )),
            None => Ok(()),
        }
    }
}

/// The address that a packet to this one ends up at.
fn inner(address: IpAddr) -> IpAddr {
    let IpAddr::V6(outer) = address else {
        return address;
    };
    let [a, b, c, d, e, f, g, h] = outer.segments();
    let carried =
        |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)).into();
    match (a, b, c, d, e, f) {
        (0, 0, 0, 0, 0, 0xffff) | (0x64, 0xff9b, 0, 0, 0, 0) => carried(g, h),
        (0x2002, high, low, ..) => carried(high, low),
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn judged(networks: &[&str], address: &str) -> Result<(), String> {
        let networks = networks.iter().map(|text| text.parse().unwrap()).collect();
        Networks::allowing(networks).judge(address.parse().unwrap(), true)
    }

    #[test]
    fn only_the_public_internet_may_be_called() {
        for address in [
            "8.8.8.8",
            "172.32.0.1",
            "2600::1",
            "64:ff9b::808:808",
            "::ffff:8.8.8.8",
        ] {
            assert_eq!(judged(&[], address), Ok(()), "{address}");
        }
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.1.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "198.19.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "2001::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "ff02::1",
            "2001:db8::1",
        ] {
            let refused = judged(&[], address).unwrap_err();
            assert!(refused.contains("list its network"), "{address}: {refused}");
        }
    }

    #[test]
    fn listed_networks_may_be_called() {
        assert_eq!(judged(&["10.20.0.0/16"], "10.20.3.4"), Ok(()));
        assert_eq!(judged(&["10.20.0.0/16"], "::ffff:10.20.3.4"), Ok(()));
        assert!(judged(&["10.20.0.0/16"], "10.21.0.1").is_err());
        assert_eq!(judged(&["fd12::/16"], "fd12::9"), Ok(()));
        assert!(
            judged(&["0.0.0.0/0"], "::1").is_err(),
            "of the other version"
        );
    }

    #[test]
    fn metadata_services_need_an_entry_of_their_own() {
        for address in [
            "169.254.169.254",
            "100.100.100.200",
            "168.63.129.16",
            "fd00:ec2::254",
        ] {
            let wide = ["0.0.0.0/0", "::/0"];
            assert!(
                judged(&wide, address).unwrap_err().contains("metadata"),
                "{address}"
            );
            assert_eq!(judged(&[address], address), Ok(()));
        }
        assert!(
            judged(&[], "::ffff:169.254.169.254")
                .unwrap_err()
                .contains("metadata")
        );
    }

    #[test]
    fn without_tls_only_listed_networks_are_called() {
        let networks = Networks::allowing(vec!["10.0.0.0/8".parse().unwrap()]);
        assert!(networks.judge("10.0.0.1".parse().unwrap(), false).is_ok());
        let refused = networks
            .judge("8.8.8.8".parse().unwrap(), false)
            .unwrap_err();
        assert!(refused.contains("https"), "{refused}");
    }

    #[test]
    fn networks_are_read_strictly() {
        for wrong in [
            "",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "10.0.0.0/",
            "ten/8",
            "::/129",
            "/8",
        ] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong:?}");
        }
        assert_eq!(
            "10.0.0.0/8".parse::<Network>().unwrap().to_string(),
            "10.0.0.0/8"
        );
    }

    proptest! {
        #[test]
        fn what_the_library_knows_as_local_is_refused(bits in any::<u32>()) {
            let address = Ipv4Addr::from_bits(bits);
            let local = address.is_private() || address.is_loopback() || address.is_link_local()
                || address.is_multicast() || address.is_broadcast() || address.is_unspecified()
                || address.is_documentation();
            let judged = Networks::default().judge(address.into(), true);
            prop_assert!(!local || judged.is_err());
            let mapped = Networks::default().judge(address.to_ipv6_mapped().into(), true);
            prop_assert_eq!(judged.is_ok(), mapped.is_ok(), "in its other form");
        }

        #[test]
        fn a_network_holds_its_own_addresses(bits in any::<u32>(), length in 0u8..=32, inside in any::<u32>()) {
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            let text = format!("{}/{length}", Ipv4Addr::from_bits(bits & mask));
            let network: Network = text.parse().unwrap();
            prop_assert!(network.contains(Ipv4Addr::from_bits(bits & mask | inside & !mask).into()));
            if length > 0 {
                let outside = bits ^ (1 << (32 - length));
                prop_assert!(!network.contains(Ipv4Addr::from_bits(outside).into()));
            }
        }
    }
}
