//! Receiving from gateways: sockets and sessions around the store.
//!
//! A connection's first frame says whether it ships or relays what a capture asks of a point that is
//! given back to it (see [`crate::returns`]); the two never share one, so that neither holds the
//! other up. One session per shipped stream: a newer one takes an older one's place. A session reads and checks
//! frames; the [`owner`] thread of the lineage alone touches its store, decides, appends and syncs,
//! and takes in with one sync whatever queued while the last one ran. Nothing is acknowledged that
//! the store did not say is durable.

mod back;
mod fault;
pub(crate) mod owner;
mod session;
pub(crate) mod slot;
mod writer;

use crate::{clock::RunClock, groups::Groups, keys::Keys, returns::Returns};
use bcdr_wire::{
    identity::Role,
    transport::{CloseCode, accept, close},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The roles that may ship.
pub(crate) const ACCEPTED_ROLES: [Role; 1] = [Role::Gateway];
/// Connections at a time. Each group has one; the rest are newcomers that replace old ones.
const CONNECTIONS_MAX: usize = 1024;
/// How long a stopping receiver waits for its sessions.
const DRAIN: Duration = Duration::from_secs(5);

/// What every session needs.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) installation: bcdr_format::InstallationId,
    pub(crate) groups: Arc<Groups>,
    pub(crate) keys: Arc<Keys>,
    pub(crate) clock: RunClock,
    /// What captures may ask for on streams of their own.
    pub(crate) returns: Arc<Returns>,
}

/// Accepts gateways until `shutdown`.
pub(crate) async fn run(
    endpoint: quinn::Endpoint,
    receiver: Arc<Receiver>,
    shutdown: CancellationToken,
) {
    let sessions = TaskTracker::new();
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let incoming = tokio::select! {
            incoming = endpoint.accept() => incoming,
            () = shutdown.cancelled() => None,
        };
        let Some(incoming) = incoming else { break };
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
            tracing::warn!(address = %incoming.remote_address(), "too many connections");
            incoming.refuse();
            continue;
        };
        let (receiver, shutdown) = (Arc::clone(&receiver), shutdown.clone());
        sessions.spawn(async move {
            serve(incoming, &receiver, &shutdown).await;
            drop(place);
        });
    }
    sessions.close();
    if tokio::time::timeout(DRAIN, sessions.wait()).await.is_err() {
        tracing::warn!("sessions did not end in time and are cut");
    }
    endpoint.close((CloseCode::Done as u32).into(), b"stopping");
    endpoint.wait_idle().await;
}

async fn serve(incoming: quinn::Incoming, receiver: &Receiver, shutdown: &CancellationToken) {
    let address = incoming.remote_address();
    let (connection, peer) = match accept(incoming).await {
        Ok(accepted) => accepted,
        Err(error) => {
            tracing::warn!(%address, %error, "a gateway was not let in");
            return;
        }
    };
    let ended = session::run(&connection, &peer, receiver, shutdown).await;
    if let Err(error) = ended {
        tracing::info!(%address, %peer, %error, "gateway session ended");
    }
    close(&connection, CloseCode::Done, "session over");
}

#[cfg(test)]
mod tests;
