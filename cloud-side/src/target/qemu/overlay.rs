//! The throw-away disks: one qcow2 overlay per volume, with the read-only export as backing file.
//!
//! Overlays hold decrypted data, so files and their directory are readable by their owner only. They
//! are not durable: they are thrown away, and the instance's record outlives them.

use std::{fs, os::unix::fs::DirBuilderExt, path::Path, sync::Arc};

use bcdr_disk::Storage;

use super::{QemuInstance, files, off_thread, tools};
use crate::target::{DiskSource, LaunchRequest, TargetError};

/// Makes the instance's directories and its overlays.
pub(super) async fn prepare(
    tools: &tools::ToolPaths,
    storage: &Arc<dyn Storage>,
    instance: &QemuInstance,
    request: &LaunchRequest,
) -> Result<(), TargetError> {
    make_places(storage.clone(), instance.clone()).await?;
    let disks = request
        .settings
        .arrange(&request.disks, |disk: &DiskSource| &disk.volume)?;
    for (disk, overlay) in disks.iter().zip(&instance.overlays) {
        let path = overlay.path.to_string_lossy();
        let size = disk.size_bytes.to_string();
        // qemu-img opens the backing export here, so an export that does not answer fails now.
        let create = [
            "create", "-q", "-f", "qcow2", "-F", "raw", "-b", &disk.uri, &path, &size,
        ];
        tools::run(&tools.image_tool, &create).await?;
    }
    Ok(())
}

async fn make_places(storage: Arc<dyn Storage>, instance: QemuInstance) -> Result<(), TargetError> {
    off_thread("creating the overlays", move || {
        storage
            .create_directory_all(&instance.directory)
            .map_err(|error| {
                TargetError::files("create directory", &instance.directory)(error.into())
            })?;
        if let Some(short) = &instance.short_directory {
            make_private_directory(short)?;
        }
        for overlay in &instance.overlays {
            // qemu-img keeps the mode of a file it finds.
            files::create_private(&*storage, &overlay.path)?;
        }
        for log in [&instance.console_log, &instance.error_log] {
            files::create_private(&*storage, log)?;
        }
        copy_uefi_variables(&*storage, &instance)
    })
    .await?
}

/// Fails when the directory exists: somebody else may have made it.
fn make_private_directory(path: &Path) -> Result<(), TargetError> {
    let created = fs::DirBuilder::new().mode(0o700).create(path);
    created.map_err(TargetError::files("create the private directory", path))
}

fn copy_uefi_variables(storage: &dyn Storage, instance: &QemuInstance) -> Result<(), TargetError> {
    let Some(target) = &instance.uefi_variables else {
        return Ok(());
    };
    let source = tools::find_uefi()
        .ok_or_else(tools::uefi_missing)?
        .variables;
    files::create_private(storage, target)?;
    let mut from =
        fs::File::open(&source).map_err(TargetError::files("open the UEFI variables", &source))?;
    let mut to = fs::OpenOptions::new()
        .write(true)
        .open(target)
        .map_err(TargetError::files(
            "open the copy of the UEFI variables",
            target,
        ))?;
    std::io::copy(&mut from, &mut to)
        .map(drop)
        .map_err(TargetError::files("copy the UEFI variables to", target))
}
