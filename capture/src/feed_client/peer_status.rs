//! What the feed shows of itself.

use std::net::SocketAddr;

use bcdr_format::Position;
use bcdr_wire::feed::Acknowledged;
use serde::Serialize;

/// A snapshot of the way to the gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FeedStatus {
    /// Whether a gateway takes the group's records.
    pub connected: bool,
    /// The gateway, as its certificate names it; the last one if there is none now.
    pub gateway: Option<String>,
    /// Its address.
    pub address: Option<SocketAddr>,
    /// The last position sent.
    pub sent: Option<Position>,
    /// The ladder, as the gateway told it last.
    pub acknowledged: Acknowledged,
    /// Why there was no gateway the last time there was none; absent while there is one.
    pub last_error: Option<String>,
}

impl FeedStatus {
    pub(crate) fn connected(&mut self, name: &str, address: SocketAddr) {
        self.connected = true;
        self.gateway = Some(name.to_owned());
        self.address = Some(address);
        self.last_error = None;
    }

    pub(crate) fn disconnected(&mut self, why: String) {
        self.connected = false;
        self.last_error = Some(why);
    }
}
