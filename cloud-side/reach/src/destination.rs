//! Where a host's name leads, when every address it has may be called.
//!
//! Invariant: whoever connects takes one of the addresses that were judged here, and never resolves the
//! name again for that connection.

use crate::webhook::Networks;
use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use tokio::time::{Instant, timeout_at};

/// Why nobody can be called.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// It may pass: the cause and the remedy.
    Again(String),
    /// It will not: the cause and the remedy.
    Never(String),
}

/// The addresses of a host; at least one.
pub(crate) async fn addresses(
    host: &str,
    port: u16,
    is_tls: bool,
    networks: &Networks,
    deadline: Instant,
    resolve: &impl AsyncFn(String, u16) -> io::Result<Vec<SocketAddr>>,
) -> Result<Vec<SocketAddr>, Unusable> {
    // Addresses of the sixth version stand in brackets in a URL.
    let host = host.trim_matches(['[', ']']);
    let again =
        |cause: String| Unusable::Again(format!("{cause}; check the name and our resolver"));
    let found = timeout_at(deadline, resolve(host.to_owned(), port))
        .await
        .map_err(|_| again(format!("{host} was not resolved in time")))?
        .map_err(|error| again(format!("{host} cannot be resolved: {error}")))?;
    if found.is_empty() {
        return Err(again(format!("{host} has no address")));
    }
    for address in &found {
        // One that may not be called makes the name suspicious as a whole.
        networks
            .judge(address.ip(), is_tls)
            .map_err(|cause| Unusable::Never(format!("{host}: {cause}")))?;
    }
    Ok(found)
}

/// Asks the system's resolver.
pub(crate) async fn resolve(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok(tokio::net::lookup_host((host, port)).await?.collect())
}

/// The addresses that a host has now, if all of them may be called. Without TLS, only networks that
/// were listed may.
///
/// # Errors
/// Says what is wrong, and what to do.
pub async fn look(
    host: &str,
    port: u16,
    is_tls: bool,
    networks: &Networks,
    within: Duration,
) -> Result<Vec<IpAddr>, String> {
    let deadline = Instant::now() + within;
    match addresses(host, port, is_tls, networks, deadline, &resolve).await {
        Ok(found) => Ok(found.iter().map(SocketAddr::ip).collect()),
        Err(Unusable::Again(cause) | Unusable::Never(cause)) => Err(cause),
    }
}
