//! What lets a server that was killed tell its peers, once it is back, that it knows them no more.
//!
//! A killed process says no farewell, and UDP has none. Without more a peer waits until the connection
//! has been silent for the idle timeout. QUIC's stateless reset ends that: the answer to a packet of an
//! unknown connection that only the server of before can give. So its key must outlive the process.

use aws_lc_rs::hmac;
use quinn::{ConnectionId, ConnectionIdGenerator, EndpointConfig};
use std::{fmt, sync::Arc, time::Duration};

const KEY_CONTEXT: &str = "bcdr 2026-11 QUIC stateless reset key v1";
const CONNECTION_ID_BYTES: usize = 8;

/// What a server's connections of a former life are ended with. Clones share one key.
#[derive(Clone)]
pub struct ResetKey(Arc<hmac::Key>);

impl ResetKey {
    /// The key that follows from a secret: one that the server keeps over restarts, whatever else it is
    /// used for, and that nobody else may use to end them.
    pub fn of(secret: &[u8]) -> Self {
        let key = blake3::derive_key(KEY_CONTEXT, secret);
        Self(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &key)))
    }
}

impl fmt::Debug for ResetKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ResetKey(hidden)")
    }
}

/// The settings of a server's endpoint.
pub(super) fn endpoint_config(key: &ResetKey) -> EndpointConfig {
    let key = Arc::clone(&key.0);
    let mut config = EndpointConfig::new(key);
    config.cid_generator(|| Box::new(RandomIds));
    config
}

/// Random ids. Those that quinn makes by itself are signed with a key of the process, and it answers no
/// packet with an id of another.
struct RandomIds;

impl ConnectionIdGenerator for RandomIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut bytes = [0; CONNECTION_ID_BYTES];
        getrandom::fill(&mut bytes).expect("TLS had randomness of the system a moment ago");
        ConnectionId::new(&bytes)
    }

    fn cid_len(&self) -> usize {
        CONNECTION_ID_BYTES
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}
