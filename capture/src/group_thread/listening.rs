//! The Unix sockets of a group: one for each volume, which is its only and default export.
//!
//! Owns accepting. A group serves at most [`CONNECTIONS_MAX`] clients; further ones wait in the
//! kernel's queue, as they do while the system is out of descriptors.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
    sync::Arc,
};

use bcdr_format::{SECTOR_BYTES, VolumeNumber};
use bcdr_nbd::{
    BlockSizes, DEFAULT_MAXIMUM_PAYLOAD, ExportInfo, Features, PrivateSocket, ServerSession,
    TlsMode,
};
use rustix::{io::Errno, net::SocketFlags};

use super::{GroupThread, Watched, connection::TapSession};
use crate::ring::{Interest, WatchKey, backing::Backing};

/// Clients of one group.
const CONNECTIONS_MAX: usize = 256;

/// A volume ready to be served.
pub struct Export {
    /// Its number in the stream.
    pub number: VolumeNumber,
    /// What clients are told of it.
    pub info: ExportInfo,
    /// Its backing, locked.
    pub backing: Arc<Backing>,
    /// Its socket, listening.
    pub socket: PrivateSocket,
}

/// What clients are told of a volume.
#[must_use]
pub fn export_info(name: &str, group: &str, backing: &Backing) -> ExportInfo {
    let sector = u32::try_from(SECTOR_BYTES).expect("a sector is small");
    ExportInfo {
        name: name.to_owned(),
        description: format!("volume {name} of protection group {group}"),
        size: backing.size_bytes(),
        block_sizes: BlockSizes::new(sector, 4096, DEFAULT_MAXIMUM_PAYLOAD)
            .expect("these are among the allowed sizes"),
        features: Features {
            flush: true,
            fua: true,
            trim: true,
            write_zeroes: true,
            // One thread and one watermark serve all connections of the group.
            multi_connection: true,
            ..Features::default()
        },
    }
}

/// A listening socket.
pub(super) struct Listener {
    pub(super) volume: VolumeNumber,
    pub(super) info: ExportInfo,
    // Removes the path when dropped.
    _socket: PrivateSocket,
    descriptor: Arc<OwnedFd>,
    pub(super) watch: Option<WatchKey>,
}

impl Listener {
    pub(super) fn new(
        volume: VolumeNumber,
        info: ExportInfo,
        socket: PrivateSocket,
    ) -> io::Result<Self> {
        socket.listener().set_nonblocking(true)?;
        let descriptor = Arc::new(socket.listener().as_fd().try_clone_to_owned()?);
        Ok(Self {
            volume,
            info,
            _socket: socket,
            descriptor,
            watch: None,
        })
    }

    fn session(&self) -> TapSession {
        ServerSession::new(Arc::new(vec![self.info.clone()]), TlsMode::NotOffered)
    }
}

impl GroupThread {
    /// Watches every listener that is not watched, if there is room for more clients.
    pub(super) fn listen(&mut self) {
        if self.connections.len() >= CONNECTIONS_MAX {
            return;
        }
        for index in 0..self.listeners.len() {
            if self.listeners[index].watch.is_none() {
                let socket = Arc::clone(&self.listeners[index].descriptor);
                let key = self.watch(socket, Interest::Readable, Watched::Listener(index));
                self.listeners[index].watch = Some(key);
            }
        }
    }

    /// Takes the clients that wait. The listener is watched again here, or at the next tick when
    /// there is no room.
    pub(super) fn accept(&mut self, index: usize) {
        let Some(listener) = self.listeners.get_mut(index) else {
            return;
        };
        listener.watch = None;
        while self.connections.len() < CONNECTIONS_MAX {
            let listener = &self.listeners[index];
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            match rustix::net::accept_with(&listener.descriptor, flags) {
                Ok(socket) => {
                    let (session, volume) = (listener.session(), listener.volume);
                    self.add_connection(socket, session, volume, &[]);
                }
                Err(Errno::AGAIN) => return self.listen(),
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(error) => {
                    // Out of descriptors or memory: the next tick tries again.
                    tracing::warn!(%error, volume = listener.info.name, "cannot accept a client");
                    return;
                }
            }
        }
    }

    pub(super) fn watch(
        &mut self,
        socket: Arc<OwnedFd>,
        interest: Interest,
        watched: Watched,
    ) -> WatchKey {
        let key = WatchKey(self.next_watch);
        self.next_watch += 1;
        self.watches.insert(key, watched);
        self.ring.watch(key, socket, interest);
        key
    }

    pub(super) fn unwatch(&mut self, key: Option<WatchKey>) {
        if let Some(key) = key {
            self.watches.remove(&key);
            self.ring.unwatch(key);
        }
    }
}
