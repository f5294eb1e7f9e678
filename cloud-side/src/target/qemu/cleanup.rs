//! Removing a QEMU instance, and proving that it is gone.
//!
//! Both work from the record alone, so that a process which comes after a crash can do them too.
//! Both may be repeated. Evidence is kept.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bcdr_disk::{DiskErrorKind, Storage};
use tokio::time::Instant;

use super::{QemuInstance, launch::LiveInstance, off_thread, process};
use crate::target::{Proof, TargetError};

/// Longest wait for a killed process to end; one that hangs in a system call may take a while.
const END_DEADLINE: Duration = Duration::from_secs(30);
/// Pause between two looks at a process that is not our child.
const LOOK_PAUSE: Duration = Duration::from_millis(20);

/// Ends the process and removes everything the record names, except evidence.
pub(super) async fn destroy(
    storage: &Arc<dyn Storage>,
    instance: &QemuInstance,
    live: Option<Arc<LiveInstance>>,
) -> Result<(), TargetError> {
    if let Some(live) = live {
        live.end(END_DEADLINE).await?;
        // A picture that is being taken leaves a file, until it is read; after the end none begins.
        drop(live.taking().await);
    }
    end_leftovers(instance).await?;
    let (storage, instance) = (storage.clone(), instance.clone());
    off_thread("removing the instance", move || {
        remove_directory(&*storage, &instance.directory)?;
        match &instance.short_directory {
            Some(short) => remove_directory(&*storage, short),
            None => Ok(()),
        }
    })
    .await?
}

/// Kills every process that carries the marker, whoever started it.
async fn end_leftovers(instance: &QemuInstance) -> Result<(), TargetError> {
    let deadline = Instant::now() + END_DEADLINE;
    loop {
        let marker = instance.marker.clone();
        let left = off_thread("ending leftover processes", move || {
            let found = process::find_by_marker(&marker)?;
            for one in &found {
                process::kill(one, &marker)?;
            }
            Ok(found)
        })
        .await?
        .map_err(|source| TargetError::Files {
            action: "end the leftover processes listed in",
            path: PathBuf::from("/proc"),
            source,
        })?;
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let what = format!(
                "the end of {} processes named {}",
                left.len(),
                instance.marker
            );
            return Err(TargetError::Deadline {
                what,
                limit: END_DEADLINE,
            });
        }
        tokio::time::sleep(LOOK_PAUSE).await;
    }
}

/// Removes a directory with the files in it; one that is not there is fine.
fn remove_directory(storage: &dyn Storage, directory: &Path) -> Result<(), TargetError> {
    let names = match storage.list(directory) {
        Ok(names) => names,
        Err(error) if error.kind() == DiskErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(TargetError::files("list", directory)(error.into())),
    };
    for name in names {
        let path = directory.join(name);
        storage
            .remove(&path)
            .map_err(|error| TargetError::files("remove", &path)(error.into()))?;
    }
    fs::remove_dir(directory).map_err(TargetError::files("remove the directory", directory))?;
    // Without this, a power cut could bring decrypted data back.
    let parent = directory.parent().unwrap_or(Path::new("/"));
    storage
        .sync_directory(parent)
        .map_err(|error| TargetError::files("sync the directory", parent)(error.into()))
}

/// Looks for everything the record names.
pub(super) fn prove(instance: &QemuInstance) -> Proof {
    let mut proof = Proof::default();
    match &instance.process {
        Some(one) => proof.note(
            format!("process {}", one.pid),
            !one.lives(),
            if one.lives() {
                "it still lives"
            } else {
                "gone"
            },
        ),
        None => proof.note("process", true, "none was recorded"),
    }
    match process::find_by_marker(&instance.marker) {
        Ok(found) => proof.note(
            format!("processes named {}", instance.marker),
            found.is_empty(),
            format!("{} found", found.len()),
        ),
        Err(error) => proof.note("processes", false, format!("/proc cannot be read: {error}")),
    }
    for overlay in &instance.overlays {
        absent(
            &mut proof,
            format!("overlay of {}", overlay.volume),
            &overlay.path,
        );
    }
    if let Some(variables) = &instance.uefi_variables {
        absent(
            &mut proof,
            "copy of the UEFI variables".to_owned(),
            variables,
        );
    }
    absent(
        &mut proof,
        "control socket".to_owned(),
        &instance.control_socket,
    );
    if let Some(agent) = &instance.agent_socket {
        absent(&mut proof, "guest agent's socket".to_owned(), agent);
    }
    for station in &instance.stations {
        let what = format!("network socket of card {}", station.card);
        absent(&mut proof, what, &station.socket);
    }
    absent(
        &mut proof,
        "runtime directory".to_owned(),
        &instance.directory,
    );
    if let Some(short) = &instance.short_directory {
        absent(&mut proof, "socket directory".to_owned(), short);
    }
    proof
}

/// Notes that a path does not exist; a path that cannot be looked at is not proven absent.
fn absent(proof: &mut Proof, what: String, path: &Path) {
    let shown = path.display();
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            proof.note(what, true, format!("{shown} does not exist"));
        }
        Err(error) => proof.note(what, false, format!("{shown} cannot be looked at: {error}")),
        Ok(_) => proof.note(what, false, format!("{shown} still exists")),
    }
}
