//! A published point as a disk that a server can recover on, without touching the point.

use crate::end_to_end::{
    host_disk::HostDisk,
    lab::{Lab, wait_for},
    processes::Background,
    tool,
};
use anyhow::Context;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// How a point is made writable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// A throw-away overlay on a view, as a drill has it: what is not read is not fetched.
    Overlay,
    /// A copy of the whole volume in a file.
    Export,
}

/// What serves the disk of a point; the disk itself is in other hands.
#[derive(Debug)]
pub struct OpenedPoint<'lab> {
    lab: &'lab Lab,
    overlay: Option<(Background, String)>,
    directory: PathBuf,
}

impl<'lab> OpenedPoint<'lab> {
    /// Opens a volume at a point, with its files in `directory`, which is made.
    ///
    /// # Errors
    /// When the point cannot be opened.
    pub fn open(
        lab: &'lab Lab,
        volume: &str,
        at: &str,
        way: Way,
        directory: &Path,
    ) -> anyhow::Result<(Self, HostDisk)> {
        fs::create_dir(directory)?;
        let mut opened = Self {
            lab,
            overlay: None,
            directory: directory.to_owned(),
        };
        let disk = match way {
            Way::Overlay => opened.overlay(volume, at)?,
            Way::Export => {
                let file = directory.join("exported.raw");
                lab.export(volume, at, &file)?;
                HostDisk::attach_file(directory, "point", &file)?
            }
        };
        Ok((opened, disk))
    }

    fn overlay(&mut self, volume: &str, at: &str) -> anyhow::Result<HostDisk> {
        let view = self.lab.json(&["view", "open", "lab", "--at", at])?;
        let volumes = view["volumes"].as_array().context("a view has volumes")?;
        let uri = volumes
            .iter()
            .find(|found| found["name"] == volume)
            .and_then(|found| found["nbd"].as_str())
            .context("the view lacks the volume")?;
        let id = view["id"].as_str().context("a view has an id")?.to_owned();
        let (file, socket) = (self.path("overlay.qcow2")?, self.path("qemu.sock")?);
        let create = ["create", "-q", "-f", "qcow2", "-F", "raw", "-b", uri, &file];
        tool::run("qemu-img", create)?;
        let serve = ["-t", "-f", "qcow2", "-x", volume, "-k", &socket, &file];
        let served = Background::start("qemu-nbd", serve)?;
        let (served, _) = self.overlay.insert((served, id));
        wait_for_socket(served, Path::new(&socket))?;
        let uri = format!("nbd+unix:///{volume}?socket={socket}");
        HostDisk::attach(&self.directory, "point", &uri)
    }

    fn path(&self, name: &str) -> anyhow::Result<String> {
        let path = self.directory.join(name);
        Ok(path.to_str().context("test paths are UTF-8")?.to_owned())
    }

    /// Gives back what the point was opened with, once its disk is taken apart.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn close(self) -> anyhow::Result<()> {
        if let Some((mut served, view)) = self.overlay {
            served.end();
            let ended = self.lab.try_command(&["view", "close", &view])?;
            anyhow::ensure!(ended.code == 0, "a view cannot be closed: {ended:?}");
        }
        Ok(fs::remove_dir_all(&self.directory)?)
    }
}

/// Waits until a server that listens on a unix socket does so.
///
/// # Errors
/// When it ends instead.
pub fn wait_for_socket(server: &mut Background, socket: &Path) -> anyhow::Result<()> {
    wait_for(&format!("{}", socket.display()), || Ok(socket.exists()))
        .or_else(|waited| server.require_running().and(Err(waited)))
}
