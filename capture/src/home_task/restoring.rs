//! Putting the disks back to the point that is given back.

use std::{collections::HashSet, ops::ControlFlow};

use bcdr_wire::{
    order::{ConfirmedVolume, TaskOutcome},
    restore::Description,
};

use super::{Attempt, fault::Fault};
use crate::restore::{
    ConfirmedOverwrite, FencedVolume, PointSource, Progress, Restore, RestoreError, Stage, describe,
};

impl Attempt<'_> {
    pub(super) fn restore(&mut self, source: &mut dyn PointSource) -> Result<TaskOutcome, Fault> {
        let id = self.parts.task.id;
        let description = describe(id, source)?;
        check_confirmed(&self.parts.task.confirmed, &description)?;
        let (opener, volumes) = (&*self.parts.disks, &self.parts.volumes);
        self.disks.of_point(opener, volumes, &description)?;
        // The engine owns the disks while it runs; they are locked anew for another attempt.
        let confirmed = confirm(self.disks.take_all(), &self.parts.task.confirmed)?;
        // Each disk is brought to the point and then read back.
        let total: u64 = description.volumes.iter().map(|it| 2 * it.size_bytes).sum();
        let stamps = self.parts.stamps.clone();
        let restore = Restore::begin(stamps, id, confirmed, source, self.parts.settings)?;
        let mut before = *self.counted;
        let mut behind = 0;
        let mut last: Option<Progress> = None;
        let ran = restore.run(source, &mut |progress| {
            if let Some(last) = last.filter(|last| last.volume != progress.volume) {
                behind += 2 * last.total_bytes;
                before = *self.counted;
            }
            last = Some(*progress);
            self.counted.fetched = before.fetched + progress.fetched_bytes;
            self.counted.written = before.written + progress.written_bytes + progress.zeroed_bytes;
            let done = match progress.stage {
                Stage::Applying => progress.done_bytes,
                Stage::Verifying | Stage::Repairing => progress.total_bytes + progress.done_bytes,
            };
            self.show(behind + done.min(2 * progress.total_bytes), total);
            if self.cancel.is_cancelled() {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        match ran {
            Ok(_) => Ok(TaskOutcome::Restored {
                fetched_bytes: self.counted.fetched,
                written_bytes: self.counted.written,
            }),
            Err(RestoreError::Stopped { .. }) => Err(Fault::Cancelled),
            Err(error) => Err(error.into()),
        }
    }
}

/// What is given back and what was confirmed must be the same volumes: of a group that is half put
/// back nothing can be made.
fn check_confirmed(confirmed: &[ConfirmedVolume], description: &Description) -> Result<(), Fault> {
    let mut seen = HashSet::new();
    for ConfirmedVolume { volume, .. } in confirmed {
        let volume = *volume;
        if !seen.insert(volume) {
            return Err(Fault::Twice { volume });
        }
        if !description.volumes.iter().any(|it| it.id == volume) {
            return Err(Fault::NotGivenBack { volume });
        }
    }
    match description.volumes.iter().find(|it| !seen.contains(&it.id)) {
        Some(missing) => Err(Fault::NotConfirmed { volume: missing.id }),
        None => Ok(()),
    }
}

/// Compares what was typed with the disks that are held.
fn confirm(
    disks: Vec<FencedVolume>,
    confirmed: &[ConfirmedVolume],
) -> Result<Vec<(FencedVolume, ConfirmedOverwrite)>, Fault> {
    disks
        .into_iter()
        .map(|disk| {
            let volume = disk.id();
            let typed = confirmed.iter().find(|it| it.volume == volume);
            let typed = typed.ok_or(Fault::NotConfirmed { volume })?;
            let overwrite =
                ConfirmedOverwrite::typed(&disk, &typed.volume.to_string(), &typed.identity)?;
            Ok((disk, overwrite))
        })
        .collect()
}
