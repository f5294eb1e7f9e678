//! The peer of the capture: qemu-nbd serving a disk of the same size, without any capture.

use anyhow::{Context, bail};
use std::{
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// The name the table gives it.
pub(crate) const NAME: &str = "qemu-nbd --cache=none --aio=io_uring";

const PATIENCE: Duration = Duration::from_secs(20);

/// A running qemu-nbd; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct QemuNbd {
    child: Child,
    socket: PathBuf,
}

impl QemuNbd {
    /// Serves `disk` on a socket in `sockets`.
    ///
    /// # Errors
    /// When it does not come up.
    pub(crate) fn start(disk: &Path, sockets: &Path) -> anyhow::Result<Self> {
        let socket = sockets.join("peer.sock");
        if socket.exists() {
            std::fs::remove_file(&socket)
                .with_context(|| format!("cannot remove {}", socket.display()))?;
        }
        let child = Command::new("qemu-nbd")
            .args([
                "-f",
                "raw",
                "--cache=none",
                "--aio=io_uring",
                "--discard=unmap",
            ])
            .args(["--persistent", "--shared=32", "--socket"])
            .arg(&socket)
            .arg(disk)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("cannot run qemu-nbd: install what is needed with make setup")?;
        let mut server = Self { child, socket };
        server.wait()?;
        Ok(server)
    }

    /// Where it serves.
    pub(crate) fn uri(&self) -> String {
        format!("nbd+unix:///?socket={}", self.socket.display())
    }

    fn wait(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while UnixStream::connect(&self.socket).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("qemu-nbd ended with {status} instead of serving");
            }
            if Instant::now() >= deadline {
                bail!("qemu-nbd does not serve on {}", self.socket.display());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for QemuNbd {
    fn drop(&mut self) {
        let _ended_by_itself = self.child.kill();
        let _gone = self.child.wait();
    }
}
