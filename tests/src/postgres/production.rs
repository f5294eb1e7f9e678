//! The machine that is protected: a volume of a lab, a file system on it, and PostgreSQL on that.
//!
//! It connects to its volume as the manual says, through a client that waits for a capture to come back.
//! So to it the death of a capture is a pause, and only its own death ends its connections.

use super::{
    client::Client,
    inspect::CLUSTER,
    ledger,
    opened::wait_for_socket,
    programs::Programs,
    server::{Server, make_cluster},
};
use crate::end_to_end::{host_disk::HostDisk, processes::Background};
use anyhow::{Context, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A running machine. Dropping it takes everything apart.
#[derive(Debug)]
pub struct Production {
    // In the order in which they end.
    server: Option<Server>,
    disk: Option<HostDisk>,
    connection: Option<Background>,
    programs: Programs,
    volume: PathBuf,
    work: PathBuf,
}

impl Production {
    /// Makes a file system, a cluster and the ledger on the volume that `volume` serves, and starts the
    /// server. Files are in `work`, which PostgreSQL's user must be able to enter.
    ///
    /// # Errors
    /// When something cannot be made.
    pub fn begin(programs: &Programs, volume: &Path, work: &Path) -> anyhow::Result<Self> {
        let mut production = Self {
            server: None,
            disk: None,
            connection: None,
            programs: programs.clone(),
            volume: volume.to_owned(),
            work: work.to_owned(),
        };
        let disk = production.connect()?;
        disk.format()?;
        disk.mount()?;
        make_cluster(programs, &disk.directory().join(CLUSTER))?;
        production.start()?;
        ledger::make(&mut Client::connect(production.sockets()?)?)?;
        Ok(production)
    }

    fn connect(&mut self) -> anyhow::Result<&HostDisk> {
        let socket = self.work.join("production.sock");
        if socket.exists() {
            fs::remove_file(&socket)?;
        }
        let name = socket.to_str().context("test paths are UTF-8")?;
        let options = format!(
            "driver=nbd,export=disk,reconnect-delay=60,server.type=unix,server.path={}",
            self.volume.display()
        );
        let serve = ["-t", "-x", "disk", "-k", name, "--image-opts", &options];
        let connection = self
            .connection
            .insert(Background::start("qemu-nbd", serve)?);
        wait_for_socket(connection, &socket)?;
        let uri = format!("nbd+unix:///disk?socket={name}");
        let disk = HostDisk::attach(&self.work, "production", &uri)?;
        Ok(self.disk.insert(disk))
    }

    fn start(&mut self) -> anyhow::Result<()> {
        let disk = self.disk.as_ref().context("the machine has no disk")?;
        let data = disk.directory().join(CLUSTER);
        self.server = Some(Server::start(&self.programs, &data, &self.work)?);
        Ok(())
    }

    fn server(&mut self) -> anyhow::Result<&mut Server> {
        self.server.as_mut().context("the server does not run")
    }

    /// The directory of the server's sockets.
    ///
    /// # Errors
    /// When it does not run.
    pub fn sockets(&self) -> anyhow::Result<&Path> {
        let server = self.server.as_ref().context("the server does not run")?;
        Ok(server.sockets())
    }

    /// Kills the server with all its processes; the machine goes on.
    ///
    /// # Errors
    /// When it does not run, or a process stays.
    pub fn kill_server(&mut self) -> anyhow::Result<()> {
        self.server()?.kill()
    }

    /// Starts a killed server again: it recovers.
    ///
    /// # Errors
    /// When it does not.
    pub fn restart_server(&mut self) -> anyhow::Result<()> {
        self.server = None;
        self.start()
    }

    /// Cuts the machine's power: every process of it is gone at once, and what its file system had not
    /// written down is lost.
    ///
    /// # Errors
    /// When the server does not run, or a process stays.
    pub fn cut_power(&mut self) -> anyhow::Result<()> {
        // The way to the disk goes first, so that nothing is written down any more.
        if let Some(connection) = &mut self.connection {
            connection.end();
        }
        self.connection = None;
        let killed = self.kill_server();
        self.server = None;
        if let Some(disk) = self.disk.take() {
            disk.lose();
        }
        killed
    }

    /// Starts a machine without power again, with the volume as it is now.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn power_on(&mut self) -> anyhow::Result<()> {
        self.connect()?.mount()?;
        self.start()
    }

    /// Checks that the file system met no error.
    ///
    /// # Errors
    /// When it did.
    pub fn require_sound(&self) -> anyhow::Result<()> {
        let disk = self.disk.as_ref().context("the machine has no disk")?;
        ensure!(
            !disk.is_read_only()?,
            "production's file system met an error and takes no more writes"
        );
        Ok(())
    }

    /// Shuts the machine down in order.
    ///
    /// # Errors
    /// When a part of it does not end well.
    pub fn shut_down(mut self) -> anyhow::Result<()> {
        if let Some(server) = self.server.take() {
            server.stop()?;
        }
        if let Some(disk) = self.disk.take() {
            disk.detach()?;
        }
        Ok(())
    }
}
