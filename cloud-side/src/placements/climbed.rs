//! Keeps what a climb saw: its rungs, the end of the console, the picture of the screen, and what scripts did.
//!
//! The machine goes on writing to its console, and is gone after a rollback; what a report vouches for
//! must be neither. So the end of the console is copied into a file of its own, and all is hashed here.

use super::{
    RecoveredInstance,
    hands::{Hands, StepError},
    kept::ClimbedLadder,
};
use crate::{drill::script, offload::offload, target::ConsoleOffset};
use bcdr_disk::{DiskError, DiskErrorKind, Storage, read_whole, replace_atomically};
use bcdr_report::{Digest, Evidence, Serial};
use std::{path::Path, sync::Arc};

/// The end of the console when the ladder was climbed.
const CONSOLE_LOG: &str = "console-at-boot.log";
/// How much of it is kept, in bytes.
const CONSOLE_BYTES: usize = 64 << 10;
/// Pieces of the console that are read at most; a machine that writes faster than it is read from
/// must not keep the climb from its end.
const PIECES_MAX: usize = 4096;
/// The longest file that is hashed, in bytes.
const FILE_BYTES_MAX: u64 = 32 << 20;

impl Hands {
    /// Keeps what the climb saw; durable on return.
    pub(super) async fn keep_climb(
        &self,
        instance: &RecoveredInstance,
        screenshot: &'static str,
    ) -> Result<(), StepError> {
        let job = self.failover()?;
        let tail = self.end_of_console(instance).await;
        let directory = self.parts.evidence_directory.join(&instance.name.0);
        let storage = Arc::clone(&self.parts.storage);
        let (kept, place) = (tail.clone(), directory.clone());
        let mut files = vec![screenshot.to_owned()];
        files.extend(script::files_of(&instance.settings.probes));
        let evidence = offload(move || keep_files(&*storage, &place, &files, &kept)).await;
        let evidence = evidence.map_err(|error| {
            StepError::new(
                "evidence_failed",
                error.to_string(),
                "make room or repair the device, then retry",
            )
        })?;
        let ladder = ClimbedLadder {
            failover: job.id,
            generation: job.generation,
            launched_at: instance.launched_at.unwrap_or(job.requested_at),
            rungs: instance.rungs.clone(),
            console: (!tail.is_empty()).then(|| Serial::excerpt(CONSOLE_LOG, &tail)),
            screenshot: evidence
                .iter()
                .any(|file| file.name == screenshot)
                .then(|| screenshot.to_owned()),
            evidence,
        };
        let catalog = Arc::clone(&self.parts.catalog);
        Ok(offload(move || catalog.put_document(&ladder)).await?)
    }

    async fn end_of_console(&self, instance: &RecoveredInstance) -> Vec<u8> {
        let mut tail = Vec::new();
        let mut at = ConsoleOffset::default();
        for _ in 0..PIECES_MAX {
            let Ok(chunk) = self.parts.target.console(&instance.record, at).await else {
                break;
            };
            if chunk.bytes.is_empty() {
                break;
            }
            at = chunk.next;
            tail.extend(chunk.bytes);
            let surplus = tail.len().saturating_sub(CONSOLE_BYTES);
            tail.drain(..surplus);
        }
        tail
    }
}

/// Writes the console's end and hashes what there is. Blocks.
fn keep_files(
    storage: &dyn Storage,
    directory: &Path,
    files: &[String],
    console: &[u8],
) -> Result<Vec<Evidence>, DiskError> {
    let hashed = |name: &str, bytes: &[u8]| Evidence {
        name: name.to_owned(),
        bytes: bytes.len() as u64,
        blake3: Digest::of(bytes),
    };
    let mut evidence = Vec::new();
    if !console.is_empty() {
        storage.create_directory_all(directory)?;
        replace_atomically(storage, &directory.join(CONSOLE_LOG), console)?;
        evidence.push(hashed(CONSOLE_LOG, console));
    }
    for name in files {
        match read_whole(storage, &directory.join(name), FILE_BYTES_MAX) {
            Ok(bytes) => evidence.push(hashed(name, &bytes)),
            // A machine without a screen has no picture, and a script that was not reached left nothing.
            Err(error) if error.kind() == DiskErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(evidence)
}
