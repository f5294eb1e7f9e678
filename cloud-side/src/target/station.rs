//! The probe station: the only other station in the network of a drill's machine.
//!
//! Owns one end of a Unix socket whose other end is the machine's network card. [`stack`] is a user-space
//! TCP/IP stack, sans I/O; [`runner`] moves its frames and the bytes of its connections. It gives the
//! card one address by DHCP, learns the address of a machine that has its own, and opens connections
//! *to* the machine.
//!
//! Invariants: no frame of the machine leaves the station, since there is nothing behind it: it
//! forwards nothing, routes nothing, holds no socket but that one, and answers ARP for its own address
//! alone. It takes no connection from the machine. What it holds in memory is bounded.

mod dhcp;
mod runner;
mod stack;
mod subnet;
#[cfg(test)]
mod tests;

use std::{net::Ipv4Addr, path::PathBuf};

use serde::{Deserialize, Serialize};

pub(crate) use runner::{StationHandle, start};
pub use subnet::{GuestNetwork, GuestNetworkError};

/// A station as it is planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StationPlan {
    /// The socket on which QEMU finds it.
    pub socket: PathBuf,
    /// The hardware address of the machine's card.
    pub card: String,
    /// The address that the machine has on this card by its own configuration, if it is known.
    pub network: Option<GuestNetwork>,
}

/// How a machine's address became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressOrigin {
    /// The machine took it over DHCP.
    Leased,
    /// The launch settings name it.
    Given,
    /// The machine used it.
    Heard,
}

/// What is known of one card of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CardAddress {
    /// The machine's address on it.
    pub address: Ipv4Addr,
    /// How it became known.
    pub origin: AddressOrigin,
    /// Whether the machine answered when it was asked for the owner of that address.
    pub has_answered: bool,
}
