//! Inspecting: which disks are there, how large they are, and whether anything is on them.
//!
//! Nothing is written. A disk that holds something is recognised at its first byte that is not zero;
//! only one that is blank is read to its end, apart from its holes.

use std::{fs::File, io, os::unix::fs::FileExt as _, time::Duration};

use bcdr_wire::order::{InspectedVolume, TaskOutcome};
use rustix::{
    fs::{SeekFrom, seek},
    io::Errno,
};

use super::task::{Job, NoOutcome};
use crate::{config::VolumeConfig, restore::FencedVolume};

/// Read at a time.
const READ_BYTES: usize = 1 << 20;
/// How long whoever has a volume may take to let it go.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// Looks at every volume of the group.
///
/// # Errors
/// If one of them cannot be looked at, or the task was stopped.
pub fn inspect(job: &Job, progress: &dyn Fn(u64, u64)) -> Result<TaskOutcome, NoOutcome> {
    let take = |config: &VolumeConfig| {
        FencedVolume::take(config, LOCK_PATIENCE, &*job.storage).map_err(|error| {
            NoOutcome::Failed {
                code: "volume_unavailable".to_owned(),
                cause: error.to_string(),
                remedy: "make the device available and give the task again under a new id"
                    .to_owned(),
            }
        })
    };
    let volumes: Vec<FencedVolume> = job
        .group
        .volumes
        .iter()
        .map(take)
        .collect::<Result<_, _>>()?;
    let total: u64 = volumes.iter().map(FencedVolume::size_bytes).sum();
    let mut before = 0;
    let mut inspected = Vec::with_capacity(volumes.len());
    for volume in &volumes {
        let blank = is_blank(volume, job, &|done| progress(before + done, total))?;
        before += volume.size_bytes();
        progress(before, total);
        inspected.push(InspectedVolume {
            volume: volume.id(),
            identity: volume.identity(),
            size_bytes: volume.size_bytes(),
            blank,
        });
    }
    Ok(TaskOutcome::Inspected(inspected))
}

fn is_blank(volume: &FencedVolume, job: &Job, done: &dyn Fn(u64)) -> Result<bool, NoOutcome> {
    let failed = |source: io::Error| NoOutcome::Failed {
        code: "volume_unreadable".to_owned(),
        cause: format!("cannot read {}: {source}", volume.path().display()),
        remedy: "check the device and the kernel log, and give the task again under a new id"
            .to_owned(),
    };
    let file = File::open(volume.path()).map_err(failed)?;
    let mut buffer = vec![0; READ_BYTES];
    let mut at = 0;
    while let Some(data) = next_data(&file, at, volume.size_bytes()) {
        if job.stop.is_cancelled() {
            return Err(NoOutcome::Stopped);
        }
        done(data);
        let room = usize::try_from(volume.size_bytes() - data).unwrap_or(READ_BYTES);
        let part = &mut buffer[..room.min(READ_BYTES)];
        file.read_exact_at(part, data).map_err(failed)?;
        if part.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        at = data + part.len() as u64;
    }
    Ok(true)
}

/// The next byte from `at` on that is in no hole; none if there is none before `end`.
fn next_data(file: &File, at: u64, end: u64) -> Option<u64> {
    if at >= end {
        return None;
    }
    let data = match seek(file, SeekFrom::Data(at)) {
        Ok(data) => data.max(at),
        Err(Errno::NXIO) => return None,
        // Devices do not tell: everything is read.
        Err(_) => at,
    };
    (data < end).then_some(data)
}
