//! The cloud role: everything put together, started and stopped in order.
//!
//! Start: lock the state directory, open the catalog, the lineages and their owners, settle what an
//! earlier process left, then let gateways and clients in. Stop: the reverse; what was acknowledged
//! is durable anyway, so a kill at any moment loses nothing.

mod background;
mod builder;
mod certificates;
pub(crate) mod start;

pub use start::{Started, start};

use crate::{
    access::AccessError, catalog::CatalogError, init::InitError, keys::KeysError,
    outside::OutsideError, service::NewGroupError,
};
use bcdr_disk::{DiskError, LockError};
use bcdr_http::{MetricsError, TlsConfigError};
use bcdr_wire::{identity::IdentityError, transport::TransportError};
use std::{future::Future, net::SocketAddr, path::PathBuf};
use tokio_util::sync::CancellationToken;

/// Why the role could not start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RoleError {
    /// The state directory is not one, or cannot be read.
    #[error(transparent)]
    Init(#[from] InitError),
    /// Another process has the state directory.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A file could not be used.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The catalog could not be used.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The keys could not be used.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// Users and tokens could not be read.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// Reports cannot be made.
    #[error("{0}")]
    Reports(String),
    /// What plans may use outside is not configured as it has to be.
    #[error(transparent)]
    Outside(#[from] OutsideError),
    /// The audit log cannot be opened.
    #[error("cannot open the audit log: {0}")]
    Audit(String),
    /// Alerts cannot be told as configured.
    #[error(transparent)]
    Alerts(#[from] crate::alerts::config::AlertsConfigError),
    /// A group's store could not be started.
    #[error("{0}")]
    Group(String),
    /// An identity could not be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A certificate file could not be read.
    #[error("cannot read {path} as PEM: {reason}; check the path in the configuration")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The API's certificate and key do not fit.
    #[error(transparent)]
    Tls(#[from] TlsConfigError),
    /// The address for gateways could not be used.
    #[error("cannot listen for gateways: {0}")]
    Transport(#[from] TransportError),
    /// The address of the API could not be used.
    #[error(
        "cannot listen for API clients on {address}: {source}; choose another port or stop what uses it"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] std::io::Error),
    /// A metric could not be registered.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The gauges could not be made.
    #[error("cannot make a metric: {0}")]
    Gauges(#[from] prometheus::Error),
    /// The system gave no randomness.
    #[error("the system gives no randomness: {0}")]
    Random(#[from] getrandom::Error),
    /// Only a new process can go on.
    #[error("this process gives up so that a new one can go on: {0}")]
    GivenUp(String),
}

impl From<NewGroupError> for RoleError {
    fn from(error: NewGroupError) -> Self {
        Self::Group(error.to_string())
    }
}

/// Runs the role until `shutdown` ends.
///
/// # Errors
/// When it cannot start, or only a new process can go on.
pub async fn run(
    config: crate::config::CloudConfig,
    shutdown: impl Future<Output = ()>,
) -> Result<(), RoleError> {
    let stop = CancellationToken::new();
    let started = start(config, stop.clone()).await?;
    let mut finished = started.finished;
    tokio::select! {
        ended = &mut finished => return joined(ended),
        () = shutdown => stop.cancel(),
    }
    joined(finished.await)
}

fn joined(ended: Result<Result<(), RoleError>, tokio::task::JoinError>) -> Result<(), RoleError> {
    match ended {
        Ok(ended) => ended,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Ok(()),
        },
    }
}
