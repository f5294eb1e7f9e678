//! What must hold of the database of a disk, found by a server that recovers on it as after a power cut.

use super::{
    client::{Client, NAME},
    ledger::{self, Present},
    programs::Programs,
    server::Server,
};
use crate::end_to_end::host_disk::HostDisk;
use anyhow::{Context, ensure};
use std::{fs, path::Path};

/// The directory of the cluster on a disk of these tests.
pub const CLUSTER: &str = "cluster";

/// Mounts a disk, recovers the server on it, and checks everything that the server can tell of itself:
/// the ledger's invariants, tables and indexes against each other with amcheck, and once it is stopped
/// the checksum of every page. Returns the transactions it has, and takes the disk apart.
///
/// # Errors
/// Says what does not hold, or what cannot be started.
pub fn recover_and_check(
    programs: &Programs,
    disk: HostDisk,
    beside: &Path,
) -> anyhow::Result<Present> {
    disk.mount()?;
    let data = disk.directory().join(CLUSTER);
    forget_postmaster(&data)?;
    let server = Server::start(programs, &data, beside)?;
    let checked = check_running(&server).with_context(|| server.log_end());
    let present = checked?;
    server.stop()?;
    check_pages(programs, &data)?;
    ensure!(
        !disk.is_read_only()?,
        "the file system found an error in itself"
    );
    disk.detach()?;
    Ok(present)
}

/// Removes the file by which a server sees that another one runs on its data. It names the process that
/// production runs with; another machine, where a point is recovered, has no such process.
fn forget_postmaster(data: &Path) -> anyhow::Result<()> {
    match fs::remove_file(data.join("postmaster.pid")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Checks all that a running server can tell; returns the transactions it has.
///
/// # Errors
/// Says what does not hold.
pub fn check_running(server: &Server) -> anyhow::Result<Present> {
    let mut client = Client::connect(server.sockets())?;
    ledger::check_invariants(&mut client)?;
    let present = ledger::present(&mut client)?;
    check_relations(server)?;
    Ok(present)
}

/// Checks tables and indexes of a running server: every tuple of every table must be in every index of
/// it, and every index in order from its root.
///
/// # Errors
/// Says what does not hold.
pub fn check_relations(server: &Server) -> anyhow::Result<()> {
    let sockets = server.sockets().to_str().context("test paths are UTF-8")?;
    let thorough = ["--parent-check", "--heapallindexed", "--rootdescend"];
    let where_to = ["--host", sockets, "--username", NAME, NAME];
    let arguments = thorough.into_iter().chain(where_to);
    server.programs().run("pg_amcheck", arguments)
}

/// Checks the checksum of every page of a cluster whose server was stopped in order.
///
/// # Errors
/// Says which page is damaged.
pub fn check_pages(programs: &Programs, data: &Path) -> anyhow::Result<()> {
    let data = data.to_str().context("test paths are UTF-8")?;
    programs.run("pg_checksums", ["--check", "--pgdata", data])
}
