//! Ways from this host to ports of a drill's machine, for a script: a Unix socket for each port.
//!
//! They lead in one direction, into the machine. Invariant: a socket lies in the instance's own
//! directory, which nobody else may enter, and is gone with the value.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::{
    io::copy_bidirectional,
    net::{UnixListener, UnixStream},
    sync::Semaphore,
    task::{JoinHandle, JoinSet},
};

use crate::target::WaysIn;

/// Most connections that a script may have open at a port.
const CONNECTIONS_MAX: usize = 16;

/// The ways of one script.
#[derive(Default)]
pub(super) struct Passages(Vec<Passage>);

struct Passage {
    port: u16,
    socket: PathBuf,
    task: JoinHandle<()>,
}

impl Drop for Passage {
    fn drop(&mut self) {
        self.task.abort();
        if let Err(error) = fs::remove_file(&self.socket)
            && error.kind() != io::ErrorKind::NotFound
        {
            // The instance's clean-up removes it with the directory.
            tracing::warn!(socket = %self.socket.display(), %error, "a script's way was not removed");
        }
    }
}

impl Passages {
    /// Opens a way to each port.
    ///
    /// # Errors
    /// When a socket cannot be made.
    pub(super) fn open(ways: &Arc<dyn WaysIn>, ports: &[u16]) -> io::Result<Self> {
        let mut passages = Self::default();
        for &port in ports {
            let socket = ways.sockets().join(format!("guest-{port}"));
            let listener = UnixListener::bind(&socket)?;
            let task = tokio::spawn(serve(listener, Arc::clone(ways), port));
            passages.0.push(Passage {
                port,
                socket: socket.clone(),
                task,
            });
            fs::set_permissions(&socket, fs::Permissions::from_mode(0o600))?;
        }
        Ok(passages)
    }

    /// The ports with their sockets.
    pub(super) fn sockets(&self) -> impl Iterator<Item = (u16, &Path)> {
        self.0
            .iter()
            .map(|passage| (passage.port, passage.socket.as_path()))
    }
}

/// Takes connections until it is dropped; those that are open end with it.
async fn serve(listener: UnixListener, ways: Arc<dyn WaysIn>, port: u16) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut open = JoinSet::new();
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(port, %error, "a script's connection to the machine was not taken");
                return;
            }
        };
        while open.try_join_next().is_some() {}
        let ways = Arc::clone(&ways);
        open.spawn(async move {
            lead(stream, &*ways, port).await;
            drop(place);
        });
    }
}

/// Leads one connection into the machine. One that the machine does not take ends at once, which is what
/// its client would see of the machine.
async fn lead(mut stream: UnixStream, ways: &dyn WaysIn, port: u16) {
    match ways.connect(port).await {
        Ok(mut machine) => {
            if let Err(error) = copy_bidirectional(&mut stream, &mut machine).await {
                tracing::debug!(port, %error, "a script's connection to the machine broke");
            }
        }
        Err(reason) => tracing::debug!(port, reason, "the machine took no connection of a script"),
    }
}
