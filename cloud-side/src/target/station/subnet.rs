//! Which addresses a station uses. Pure.

use std::{fmt, net::Ipv4Addr, str::FromStr};

use serde::{Deserialize, Serialize};

/// The network of a machine that says nothing of its own: private, and rare at home.
const LEASED: GuestNetwork = GuestNetwork {
    address: Ipv4Addr::new(10, 213, 77, 10),
    prefix: 24,
};

/// A machine's address with the length of its network's prefix, such as `192.168.1.20/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GuestNetwork {
    address: Ipv4Addr,
    prefix: u8,
}

/// Why a text is no address of a machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no address of a machine in its network: {reason}; write one such as 192.168.1.20/24"
)]
pub struct GuestNetworkError {
    text: String,
    reason: &'static str,
}

impl GuestNetwork {
    /// The machine's address.
    #[must_use]
    pub fn address(self) -> Ipv4Addr {
        self.address
    }

    /// Bits of the network's prefix.
    #[must_use]
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// The network given out over DHCP when nothing is known of the machine.
    pub(super) fn leased() -> Self {
        LEASED
    }

    /// A network that holds an address of which nothing else is known, and a neighbour of it.
    pub(super) fn around(address: Ipv4Addr) -> Option<Self> {
        // The neighbour that is chosen lies within the same four addresses, so it is a neighbour under
        // every prefix that leaves room for two machines.
        (8..=29)
            .rev()
            .map(|prefix| Self { address, prefix })
            .find(|network| network.is_host(address))
            .filter(|_| is_ordinary(address))
    }

    /// Another address of the network, for the station: as near as may be.
    pub(super) fn neighbour(self) -> Ipv4Addr {
        let base = self.address.to_bits() & !3;
        let near = [base + 1, base + 2, base + 5, base.wrapping_sub(2)].map(Ipv4Addr::from_bits);
        near.into_iter()
            .find(|one| *one != self.address && self.is_host(*one))
            // A network of two has no address that is not a machine's.
            .unwrap_or(Ipv4Addr::from_bits(self.address.to_bits() ^ 1))
    }

    pub(super) fn mask(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.mask_bits())
    }

    fn mask_bits(self) -> u32 {
        u32::MAX
            .checked_shl(32 - u32::from(self.prefix))
            .unwrap_or(0)
    }

    /// Whether a machine of this network may have the address.
    fn is_host(self, address: Ipv4Addr) -> bool {
        let (bits, mask) = (address.to_bits(), self.mask_bits());
        if bits & mask != self.address.to_bits() & mask {
            return false;
        }
        self.prefix >= 31 || (bits & !mask != 0 && bits | mask != u32::MAX)
    }
}

/// Whether one machine may have it, and others may reach it there.
fn is_ordinary(address: Ipv4Addr) -> bool {
    let strange = address.is_unspecified()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.octets()[0] >= 240
        || address.octets()[0] == 0;
    !strange
}

impl FromStr for GuestNetwork {
    type Err = GuestNetworkError;

    fn from_str(text: &str) -> Result<Self, GuestNetworkError> {
        let wrong = |reason| GuestNetworkError {
            text: text.to_owned(),
            reason,
        };
        let (address, prefix) = text
            .split_once('/')
            .ok_or_else(|| wrong("the length of the prefix is missing"))?;
        let address = address
            .parse()
            .map_err(|_| wrong("that is no IPv4 address"))?;
        let prefix = prefix
            .parse()
            .ok()
            .filter(|prefix| (8..=31).contains(prefix))
            .ok_or_else(|| wrong("the prefix has 8 to 31 bits"))?;
        let network = Self { address, prefix };
        if !is_ordinary(address) || !network.is_host(address) {
            return Err(wrong("no machine can have that address"));
        }
        Ok(network)
    }
}

impl TryFrom<String> for GuestNetwork {
    type Error = GuestNetworkError;

    fn try_from(text: String) -> Result<Self, GuestNetworkError> {
        text.parse()
    }
}

impl From<GuestNetwork> for String {
    fn from(network: GuestNetwork) -> Self {
        network.to_string()
    }
}

impl fmt::Display for GuestNetwork {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_machine_can_have_is_refused() {
        for text in [
            "192.168.1.20",
            "192.168.1/24",
            "192.168.1.20/33",
            "192.168.1.20/32",
            "192.168.1.0/24",
            "192.168.1.255/24",
            "127.0.0.1/8",
            "224.0.0.1/24",
            "0.0.0.1/8",
            "255.1.1.1/8",
        ] {
            assert!(text.parse::<GuestNetwork>().is_err(), "{text} was accepted");
        }
        let text = "192.168.1.20/24";
        assert_eq!(text.parse::<GuestNetwork>().unwrap().to_string(), text);
    }

    #[test]
    fn the_station_is_another_machine_of_every_network() {
        for prefix in 8..=31 {
            for last in 0..=255 {
                let text = format!("10.4.2.{last}/{prefix}");
                let Ok(network) = text.parse::<GuestNetwork>() else {
                    continue;
                };
                let station = network.neighbour();
                assert_ne!(station, network.address, "{text}");
                assert!(network.is_host(station), "{text}: {station}");
            }
        }
    }

    #[test]
    fn around_an_address_its_neighbour_fits_every_usual_prefix() {
        for last in 1..=254_u8 {
            let address = Ipv4Addr::new(10, 0, 2, last);
            let around = GuestNetwork::around(address).unwrap();
            let station = around.neighbour();
            for prefix in 8..=29 {
                let real = GuestNetwork { address, prefix };
                if real.is_host(address) {
                    assert!(real.is_host(station), "{address}/{prefix}: {station}");
                }
            }
        }
        for text in ["169.254.3.4", "0.0.0.0", "255.255.255.255", "239.1.1.1"] {
            assert_eq!(GuestNetwork::around(text.parse().unwrap()), None, "{text}");
        }
    }
}
