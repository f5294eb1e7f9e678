//! The gateway as a process: opens what it needs, serves until told to stop.

use crate::{
    clock,
    config::GatewayConfig,
    intake,
    keys::{Keys, KeysError},
    local_api,
    relay::Relay,
    renewal::{self, ACCEPTED_ROLES},
    stream::{StreamError, StreamSettings, Streams},
};
use bcdr_disk::{DirectoryLock, DiskError, LockError, RealStorage, Storage};
use bcdr_wire::{
    identity::{IdentityError, IdentitySource, READ_AGAIN_EVERY},
    transport::{Protocol, ResetKey, TransportError, server_endpoint},
};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The least memory a stream works with, in bytes.
const MEMORY_BYTES_MIN: u64 = 1 << 20;

/// Why the gateway cannot run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// The memory budget holds no batch.
    #[error(
        "batch.memory_bytes is {memory_bytes}: give each stream at least {MEMORY_BYTES_MIN} bytes, or nothing is ever taken from a capture"
    )]
    NoMemory {
        /// What is configured.
        memory_bytes: u64,
    },
    /// No receiver is configured.
    #[error("the configuration names no receiver: set receivers to the cloud side's addresses")]
    NoReceiver,
    /// Its certificate or key is of no use.
    #[error("cannot use the gateway's identity: {0}")]
    Identity(#[from] IdentityError),
    /// Its state directory cannot be used.
    #[error("cannot use the state directory: {0}")]
    Disk(#[from] DiskError),
    /// Another process uses its state directory.
    #[error("cannot use the state directory: {0}")]
    Lock(#[from] LockError),
    /// Its keys cannot be prepared.
    #[error("{0}")]
    Keys(#[from] KeysError),
    /// A stream's spool or state cannot be used.
    #[error("{0}")]
    Stream(#[from] StreamError),
    /// Its address cannot be listened on.
    #[error("cannot serve captures: {0}")]
    Transport(#[from] TransportError),
    /// Its local API cannot be served.
    #[error("cannot serve the local API: {0}")]
    LocalApi(#[from] local_api::LocalApiError),
}

/// Runs the gateway until `shutdown`, and returns when its sessions, owners and spools have ended.
pub async fn run(config: GatewayConfig, shutdown: CancellationToken) -> Result<(), GatewayError> {
    if config.receivers.is_empty() {
        return Err(GatewayError::NoReceiver);
    }
    let memory_bytes = config.batch.memory_bytes;
    if memory_bytes < MEMORY_BYTES_MIN {
        return Err(GatewayError::NoMemory { memory_bytes });
    }
    let storage: Arc<dyn Storage> = Arc::new(RealStorage::new());
    storage.create_directory_all(&config.state_directory)?;
    let _lock = DirectoryLock::acquire(&config.state_directory)?;
    let identity = IdentitySource::load_from(config.identity.clone(), clock::wall())?;
    let shown = identity.current();
    let installation = shown.peer().installation;
    let keys = Keys::prepare(
        storage.as_ref(),
        &config.state_directory,
        installation,
        clock::wall(),
    )?;
    // The port first: a gateway that cannot be reached must not touch the spools.
    let reset = ResetKey::of(keys.installation.to_bytes().expose());
    let (address, roles) = (config.listen, &ACCEPTED_ROLES);
    let endpoint = server_endpoint(address, &shown, roles, Protocol::Feed, &reset)?;
    let streams = Streams::restore(StreamSettings {
        storage,
        state_directory: config.state_directory.clone(),
        identity: identity.clone(),
        installation,
        receivers: config.receivers.clone(),
        keys,
        batch: config.batch,
        spool: config.spool,
    })
    .await?;
    tracing::info!(address = %config.listen, "gateway serves captures");
    let stop = shutdown.child_token();
    let relay = Relay::new(
        Arc::clone(&streams),
        identity.clone(),
        config.receivers.clone(),
    );
    let renewal = renewal::run(endpoint.clone(), shown, identity, READ_AGAIN_EVERY);
    let serving = intake::server::run(
        endpoint,
        Arc::clone(&streams),
        Arc::new(relay),
        stop.clone(),
    );
    let intake = async {
        tokio::select! {
            () = serving => {}
            never = renewal => match never {},
        }
    };
    let served = match &config.local_api_socket {
        Some(path) => {
            let api = async {
                let served = local_api::serve(path, Arc::clone(&streams), stop.clone()).await;
                // It ends early only when it cannot serve, and then the gateway ends with it.
                stop.cancel();
                served
            };
            tokio::join!(intake, api).1
        }
        None => {
            intake.await;
            Ok(())
        }
    };
    streams.stop().await;
    Ok(served?)
}
