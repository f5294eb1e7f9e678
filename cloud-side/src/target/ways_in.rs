//! Ways into an isolated instance: how a drill asks the machine something.
//!
//! They lead in one direction, from this process into the machine, and end with the instance.

use std::{future::Future, path::PathBuf, pin::Pin};

use tokio::io::{AsyncRead, AsyncWrite};

use super::CardAddress;

/// A connection to the machine.
pub trait GuestStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> GuestStream for T {}

/// A connection on its way: the stream, or why there is none.
pub type WayFuture = Pin<Box<dyn Future<Output = Result<Box<dyn GuestStream>, String>> + Send>>;

/// The ways into one instance.
pub trait WaysIn: Send + Sync {
    /// What is known of each card of the machine, in their order.
    fn addresses(&self) -> Vec<Option<CardAddress>>;

    /// Opens a TCP connection to a port of the machine's first card that has an address.
    fn connect(&self, port: u16) -> WayFuture;

    /// A directory of the instance, which nobody else may enter and which goes with it: sockets with names
    /// of at most 12 bytes fit into it.
    fn sockets(&self) -> PathBuf;

    /// Opens the channel of the guest agent, if the instance was launched with one.
    fn agent(&self) -> WayFuture;
}
