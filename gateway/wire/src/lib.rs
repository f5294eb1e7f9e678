//! The QUIC session between the roles: identity, frames, messages, sealed chunks.
//!
//! Owns how bytes are authenticated, framed and sealed on their way, and the messages the roles
//! exchange. Owns no role's state: captures, gateways and receivers each keep their own.

pub mod feed;
pub mod frame;
pub mod identity;
pub mod order;
pub mod restore;
pub mod seal;
pub mod ship;
pub mod transport;
