//! The way in: captures' feeds.
//!
//! [`records`] reads frames of records, [`acceptance`] decides whether they continue what was
//! taken before, [`server`] accepts connections.

pub mod acceptance;
pub mod records;
pub mod server;
