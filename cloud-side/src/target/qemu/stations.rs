//! The probe stations of one running emulator.
//!
//! Each listens on a socket in the instance's directory before the emulator starts, takes one
//! connection, proves by the kernel's word that the emulator is on the other end, and removes the
//! socket's name, so that nobody else ever connects.

use std::{
    fs,
    os::{fd::AsFd, unix::fs::PermissionsExt},
    path::PathBuf,
    time::Duration,
};

use tokio::{
    net::{UnixListener, UnixStream},
    sync::watch,
};

use super::process::ProcessIdentity;
use crate::target::{
    CardAddress, GuestStream, StationPlan, TargetError, WayFuture, WaysIn,
    station::{self, StationHandle},
};

/// Longest wait for the emulator to connect; it does when it starts.
const ACCEPT_DEADLINE: Duration = Duration::from_secs(15);

/// Our end of a station's socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StationEnd {
    /// The path it was bound to.
    pub(super) path: PathBuf,
    /// Its inode among the kernel's sockets.
    pub(super) inode: u64,
}

/// A station that runs.
pub(super) struct LiveStation {
    end: StationEnd,
    handle: StationHandle,
}

impl LiveStation {
    pub(super) fn end(&self) -> StationEnd {
        self.end.clone()
    }
}

/// Listens for the emulator, before it is started.
pub(super) fn listen(
    plans: &[StationPlan],
) -> Result<Vec<(StationPlan, UnixListener)>, TargetError> {
    let listen = |plan: &StationPlan| {
        let wrap = || TargetError::files("listen on", &plan.socket);
        let listener = UnixListener::bind(&plan.socket).map_err(wrap())?;
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(&plan.socket, private).map_err(wrap())?;
        Ok((plan.clone(), listener))
    };
    plans.iter().map(listen).collect()
}

/// Takes the emulator's connections, and starts the stations on them.
pub(super) async fn accept(
    listeners: Vec<(StationPlan, UnixListener)>,
    emulator: Option<&ProcessIdentity>,
    mut exited: watch::Receiver<Option<String>>,
) -> Result<Vec<LiveStation>, TargetError> {
    let mut stations = Vec::new();
    for (plan, listener) in listeners {
        let accepted = tokio::select! {
            accepted = tokio::time::timeout(ACCEPT_DEADLINE, listener.accept()) => accepted,
            ended = exited.wait_for(Option::is_some) => {
                let reason = ended.ok().and_then(|reason| reason.clone()).unwrap_or_default();
                return Err(TargetError::Ended { during: "starting", reason });
            }
        };
        let wrap = || TargetError::files("take the emulator's connection on", &plan.socket);
        let (stream, _) = accepted
            .map_err(|_| TargetError::Deadline {
                what: "the emulator's connection to the probe station".to_owned(),
                limit: ACCEPT_DEADLINE,
            })?
            .map_err(wrap())?;
        let peer = stream.peer_cred().map_err(wrap())?.pid();
        if peer.is_none() || peer != emulator.map(|process| process.pid) {
            let reason = format!(
                "process {} connected to the probe station in place of the emulator",
                peer.unwrap_or_default()
            );
            return Err(TargetError::NotIsolated { reason });
        }
        drop(listener);
        fs::remove_file(&plan.socket).map_err(TargetError::files("remove", &plan.socket))?;
        let inode = rustix::fs::fstat(stream.as_fd())
            .map_err(|error| wrap()(error.into()))?
            .st_ino;
        let end = StationEnd {
            path: plan.socket.clone(),
            inode,
        };
        let handle = station::start(stream, card(&plan)?, plan.network, seed()?);
        stations.push(LiveStation { end, handle });
    }
    Ok(stations)
}

fn card(plan: &StationPlan) -> Result<[u8; 6], TargetError> {
    let wrong = || TargetError::Network {
        reason: format!("{:?} is no hardware address", plan.card),
    };
    let bytes: Option<Vec<u8>> = plan
        .card
        .split(':')
        .map(|part| u8::from_str_radix(part, 16).ok())
        .collect();
    bytes
        .and_then(|bytes| <[u8; 6]>::try_from(bytes).ok())
        .ok_or_else(wrong)
}

fn seed() -> Result<u64, TargetError> {
    getrandom::u64().map_err(|source| TargetError::Tool {
        tool: "the system's random numbers".to_owned(),
        reason: source.to_string(),
        remedy: "check /dev/urandom".to_owned(),
    })
}

/// The ways into the machine: its stations, and the socket of its guest agent.
pub(super) struct Ways {
    stations: Vec<StationHandle>,
    agent: Option<PathBuf>,
    sockets: PathBuf,
}

impl Ways {
    /// None when there is none.
    pub(super) fn new(
        stations: &[LiveStation],
        agent: Option<PathBuf>,
        sockets: PathBuf,
    ) -> Option<Self> {
        let stations: Vec<_> = stations
            .iter()
            .map(|station| station.handle.clone())
            .collect();
        let is_any = !stations.is_empty() || agent.is_some();
        is_any.then_some(Self {
            stations,
            agent,
            sockets,
        })
    }
}

impl WaysIn for Ways {
    fn addresses(&self) -> Vec<Option<CardAddress>> {
        self.stations.iter().map(StationHandle::machine).collect()
    }

    fn connect(&self, port: u16) -> WayFuture {
        let station = self
            .stations
            .iter()
            .find(|station| station.machine().is_some());
        let connecting = station.map(|station| station.connect(port));
        Box::pin(async move {
            let Some(connecting) = connecting else {
                return Err("the machine has no address yet".to_owned());
            };
            let stream = connecting.await.map_err(|error| error.to_string())?;
            Ok(Box::new(stream) as Box<dyn GuestStream>)
        })
    }

    fn sockets(&self) -> PathBuf {
        self.sockets.clone()
    }

    fn agent(&self) -> WayFuture {
        let socket = self.agent.clone();
        Box::pin(async move {
            let socket = socket.ok_or("the machine was launched without a channel for an agent")?;
            let stream = UnixStream::connect(&socket)
                .await
                .map_err(|error| format!("cannot open the agent's channel: {error}"))?;
            Ok(Box::new(stream) as Box<dyn GuestStream>)
        })
    }
}
