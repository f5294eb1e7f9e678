//! The gateway: takes captures' journals in, batches, reduces and seals them, and ships them.
//!
//! The modules are in the order the data takes: [`intake`] (captures' feeds), [`stream`] (the one
//! owner of a stream's state), [`reduce`] (records to sealed batches), [`spool`] (what is late, on
//! our own disk), [`ship`] (the way to the receiver). [`relay`] stands beside them: what a capture asks of a
//! point that is given back goes through here unread. The gateway holds nothing that is promised to
//! anyone: captures trim at L3 only.

pub mod clock;
pub mod config;
pub mod intake;
pub mod keys;
pub mod local_api;
pub mod metrics;
pub mod reduce;
pub mod relay;
mod renewal;
pub mod role;
pub mod ship;
pub mod spool;
pub mod stream;
