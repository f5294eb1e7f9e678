//! What lets a server that was killed tell its peers, once it is back, that it knows them no more.
//!
//! A killed process says no farewell, and UDP has none. Without more a peer waits until the connection
//! has been silent for the idle timeout. QUIC's stateless reset ends that: the answer to a packet of an
//! unknown connection that only the server of before can give. So its key outlives the process: it
//! follows from the server's private key. After a renewed certificate peers of before wait once.

use crate::identity::Identity;
use aws_lc_rs::hmac;
use quinn::{ConnectionId, ConnectionIdGenerator, EndpointConfig};
use std::{sync::Arc, time::Duration};

const KEY_CONTEXT: &str = "bcdr 2026-11 QUIC stateless reset key v1";
const CONNECTION_ID_BYTES: usize = 8;

/// The settings of a server's endpoint.
pub(super) fn endpoint_config(identity: &Identity) -> EndpointConfig {
    let secret = identity.private_key();
    let key = blake3::derive_key(KEY_CONTEXT, secret.secret_der());
    let mut config = EndpointConfig::new(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &key)));
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
