//! The gateway as a process between a scripted capture and a scripted receiver, over real QUIC on
//! loopback.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test fails the test by panicking"
)]

#[path = "gateway/capture.rs"]
mod capture;
#[path = "gateway/image.rs"]
mod image;
#[path = "gateway/intruders.rs"]
mod intruders;
#[path = "gateway/lives.rs"]
mod lives;
#[path = "gateway/orders.rs"]
mod orders;
#[path = "gateway/outages.rs"]
mod outages;
#[path = "gateway/receiver.rs"]
mod receiver;
#[path = "gateway/relayed.rs"]
mod relayed;
#[path = "gateway/running.rs"]
mod running;
#[path = "gateway/site.rs"]
mod site;
#[path = "gateway/transfer.rs"]
mod transfer;
