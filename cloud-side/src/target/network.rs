//! Network cards: what a recovered machine is connected to.
//!
//! Owns the cards and their limits. A drill connects every card to an isolated hub whatever is said
//! here; only a failover uses the connection.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::TargetError;

/// Most cards of one machine.
pub(crate) const CARDS_MAX: usize = 8;
/// Most forwarded ports of one card.
pub(crate) const FORWARDS_MAX: usize = 64;

/// One network card of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkCard {
    /// Its hardware address, `xx:xx:xx:xx:xx:xx`, so that the machine recognises its own card; one
    /// is made up without it.
    pub address: Option<String>,
    /// What it is connected to in a failover.
    pub connection: NetworkConnection,
}

impl NetworkCard {
    /// Ports of the host that lead to ports of the machine.
    pub(crate) fn forwards(&self) -> &[PortForward] {
        match &self.connection {
            NetworkConnection::Isolated => &[],
            NetworkConnection::HostNat { forward } => forward,
        }
    }
}

/// What a card is connected to in a failover.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum NetworkConnection {
    /// Nothing, as in a drill.
    Isolated,
    /// A network of the machine's own behind the host's addresses: it reaches out by way of the
    /// host, and is reached by the ports named here.
    HostNat {
        /// Ports of the host that lead to ports of the machine.
        #[serde(default)]
        forward: Vec<PortForward>,
    },
}

impl Default for NetworkConnection {
    fn default() -> Self {
        Self::HostNat {
            forward: Vec::new(),
        }
    }
}

/// A TCP port of the host that leads to a port of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PortForward {
    /// The host's address to listen on; default 127.0.0.1.
    #[serde(default = "loopback")]
    #[schema(value_type = String, format = Ipv4)]
    pub host_address: Ipv4Addr,
    /// The host's port.
    pub host_port: u16,
    /// The machine's port.
    pub machine_port: u16,
}

fn loopback() -> Ipv4Addr {
    Ipv4Addr::LOCALHOST
}

/// Checks the cards of one machine.
pub(crate) fn check(cards: &[NetworkCard]) -> Result<(), TargetError> {
    let wrong = |reason: String| Err(TargetError::Network { reason });
    if cards.len() > CARDS_MAX {
        return wrong(format!("{} cards, at most {CARDS_MAX}", cards.len()));
    }
    let mut ports = Vec::new();
    let mut addresses = Vec::new();
    for card in cards {
        if let Some(address) = &card.address {
            if !is_station_address(address) {
                return wrong(format!(
                    "{address:?} is no hardware address of a card, such as 52:54:00:12:34:56"
                ));
            }
            if addresses.contains(&address.to_ascii_lowercase()) {
                return wrong(format!("address {address} is given twice"));
            }
            addresses.push(address.to_ascii_lowercase());
        }
        let NetworkConnection::HostNat { forward } = &card.connection else {
            continue;
        };
        if forward.len() > FORWARDS_MAX {
            return wrong(format!(
                "{} forwarded ports of one card, at most {FORWARDS_MAX}",
                forward.len()
            ));
        }
        for one in forward {
            if one.host_port == 0 || one.machine_port == 0 {
                return wrong("port 0 cannot be forwarded".to_owned());
            }
            if ports.contains(&(one.host_address, one.host_port)) {
                return wrong(format!("port {} of the host leads to two", one.host_port));
            }
            ports.push((one.host_address, one.host_port));
        }
    }
    Ok(())
}

/// Six bytes in hexadecimal, not a multicast address.
fn is_station_address(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    let byte = |part: &&str| {
        (part.len() == 2)
            .then(|| u8::from_str_radix(part, 16).ok())
            .flatten()
    };
    let bytes: Option<Vec<u8>> = parts.iter().map(byte).collect();
    bytes.is_some_and(|bytes| bytes.len() == 6 && bytes[0] & 1 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cards(text: &str) -> Vec<NetworkCard> {
        #[derive(Deserialize)]
        struct Cards {
            card: Vec<NetworkCard>,
        }
        toml::from_str::<Cards>(text).unwrap().card
    }

    #[test]
    fn cards_are_read_and_checked() {
        let fine = cards(
            "[[card]]\naddress = \"52:54:00:12:34:56\"\nconnection = \"isolated\"\n\
             [[card]]\n[card.connection.host_nat]\nforward = [{ host_port = 8022, machine_port = 22 }]\n",
        );
        check(&fine).unwrap();
        let NetworkConnection::HostNat { forward } = &fine[1].connection else {
            panic!("{fine:?}")
        };
        assert_eq!(forward[0].host_address, Ipv4Addr::LOCALHOST);
        check(&[NetworkCard::default()]).unwrap();
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        for (text, part) in [
            ("[[card]]\naddress = \"52:54:00:12:34\"", "52:54:00:12:34"),
            ("[[card]]\naddress = \"53:54:00:12:34:56\"", "hardware"),
            ("[[card]]\naddress = \"52:54:00:12:34:5,\"", "hardware"),
            (
                "[[card]]\naddress = \"52:54:00:12:34:5a\"\n[[card]]\naddress = \"52:54:00:12:34:5A\"",
                "twice",
            ),
            (
                "[[card]]\n[card.connection.host_nat]\nforward = [{ host_port = 1, machine_port = 2 }, { host_port = 1, machine_port = 3 }]",
                "port 1",
            ),
            (
                "[[card]]\n[card.connection.host_nat]\nforward = [{ host_port = 0, machine_port = 2 }]",
                "port 0",
            ),
        ] {
            let error = check(&cards(text)).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        assert!(check(&vec![NetworkCard::default(); CARDS_MAX + 1]).is_err());
    }
}
