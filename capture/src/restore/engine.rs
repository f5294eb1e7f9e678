//! The run of a restore: stamps, devices and source, in the order that survives a kill anywhere.
//!
//! [`Restore::begin`] checks everything, then stamps **all** devices as being written; only then
//! does [`Restore::run`] write. So a group in which one volume is done and another is not begun is
//! never served. Each volume: bring it to the point, sync, read it back whole, compare with the
//! source's digest; where they differ compare block by block and repair, once; stamp it clean.
//! Blocks; give it a thread.

use std::{collections::HashSet, ops::ControlFlow};

use bcdr_format::{Generation, RestoreId, VolumeId};
use bcdr_wire::restore::{
    Answer, ByteRange, Description, Digest, PointName, Request, VolumeHasher,
};

use super::{
    device::{ApplyError, Device},
    error::RestoreError,
    fence::{ConfirmedOverwrite, FencedVolume},
    plan::{Finished, PlanLimits, RestorePlan, Step},
    proof::{Judgement, Method, Why, judge},
    seam,
    source::{PointSource, SourceError},
    stamp::{Stamp, StampBook, StampFound, StampState},
};

/// How a restore goes about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestoreSettings {
    /// What may be under way.
    pub limits: PlanLimits,
    /// Changed bytes after which the device is synced and the cursor kept: what a run that is
    /// interrupted does again at most.
    pub sync_bytes: u64,
    /// Bytes that were looked at after which the cursor is kept, even if little was changed.
    pub cursor_bytes: u64,
}

impl Default for RestoreSettings {
    fn default() -> Self {
        Self {
            limits: PlanLimits::default(),
            sync_bytes: 64 << 20,
            cursor_bytes: 1 << 30,
        }
    }
}

/// What a run is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The device is brought to the point.
    Applying,
    /// The device is read back.
    Verifying,
    /// The device was wrong, and is compared block by block.
    Repairing,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The volume.
    pub volume: VolumeId,
    /// What it is at.
    pub stage: Stage,
    /// Bytes of the volume behind which this stage is.
    pub done_bytes: u64,
    /// The volume's size in bytes.
    pub total_bytes: u64,
    /// Bytes that the source gave in this run.
    pub fetched_bytes: u64,
    /// Bytes written to the device in this run.
    pub written_bytes: u64,
    /// Bytes made zero on the device in this run.
    pub zeroed_bytes: u64,
}

/// Hears how far a run is, and may stop it.
pub type Watch<'a> = &'a mut dyn FnMut(&Progress) -> ControlFlow<()>;

/// A volume that holds the point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The volume.
    pub volume: VolumeId,
    /// What it holds.
    pub point: PointName,
    /// Its digest, read back and equal to the source's.
    pub digest: Digest,
    /// Why it was compared, or was not.
    pub why: Why,
    /// Whether every block was compared, rather than the known differences taken.
    pub compared: bool,
    /// Whether the device was wrong at first and had to be repaired.
    pub repaired: bool,
    /// Bytes that the source gave in this run.
    pub fetched_bytes: u64,
    /// Bytes written to the device in this run.
    pub written_bytes: u64,
    /// Bytes made zero on the device in this run.
    pub zeroed_bytes: u64,
}

struct Prepared {
    fenced: FencedVolume,
    judgement: Judgement,
}

/// A restore that may begin to write.
pub struct Restore {
    stamps: StampBook,
    settings: RestoreSettings,
    description: Description,
    volumes: Vec<Prepared>,
}

impl Restore {
    /// Asks the source what is to be restored, checks that it may be restored onto these devices,
    /// and stamps each of them as being written. Writes nothing to a device.
    ///
    /// # Errors
    /// If a device is not confirmed or does not fit, or a stamp cannot be kept.
    pub fn begin(
        stamps: StampBook,
        restore: RestoreId,
        volumes: Vec<(FencedVolume, ConfirmedOverwrite)>,
        source: &mut dyn PointSource,
        settings: RestoreSettings,
    ) -> Result<Self, RestoreError> {
        let mut seen = HashSet::new();
        for (fenced, confirmed) in &volumes {
            let volume = fenced.id();
            if !confirmed.allows(fenced) {
                return Err(RestoreError::NotConfirmed {
                    volume,
                    identity: fenced.identity(),
                });
            }
            if !seen.insert(volume) {
                return Err(RestoreError::Twice { volume });
            }
        }
        let description = describe(restore, source).map_err(RestoreError::Describe)?;
        let volumes = volumes
            .into_iter()
            .map(|(fenced, _)| prepare(&stamps, &description, fenced))
            .collect::<Result<Vec<_>, _>>()?;
        let this = Self {
            stamps,
            settings,
            description,
            volumes,
        };
        for prepared in &this.volumes {
            let Judgement { method, from, .. } = prepared.judgement;
            this.stamp_writing(&prepared.fenced, method, from)?;
        }
        Ok(this)
    }

    /// What is restored.
    #[must_use]
    pub const fn description(&self) -> &Description {
        &self.description
    }

    /// How each volume is brought to the point, and why so.
    pub fn judgements(&self) -> impl Iterator<Item = (VolumeId, &Judgement)> {
        self.volumes
            .iter()
            .map(|prepared| (prepared.fenced.id(), &prepared.judgement))
    }

    /// Restores one volume after the other. `watch` hears often.
    ///
    /// # Errors
    /// At the first volume that cannot be completed. Run a new restore to go on.
    pub fn run(
        self,
        source: &mut dyn PointSource,
        watch: Watch<'_>,
    ) -> Result<Vec<Restored>, RestoreError> {
        let mut restored = Vec::with_capacity(self.volumes.len());
        for Prepared { fenced, judgement } in &self.volumes {
            let run = Run {
                restore: &self,
                fenced,
                device: Device::new(fenced.file().clone(), fenced.size_bytes()),
                source,
                watch,
            };
            restored.push(run.volume(judgement)?);
        }
        let sizes = |one: &Prepared| (one.fenced.id(), one.fenced.size_bytes());
        let volumes: Vec<_> = self.volumes.iter().map(sizes).collect();
        seam::keep(&self.stamps, &volumes, self.description.point, source);
        Ok(restored)
    }

    fn stamp_writing(
        &self,
        fenced: &FencedVolume,
        method: Method,
        cursor: u64,
    ) -> Result<(), RestoreError> {
        let base = match method {
            Method::Known { since } => Some(since),
            Method::Compare | Method::Rewrite => None,
        };
        self.stamp(
            fenced,
            StampState::Writing {
                target: self.description.point,
                base,
                cursor,
                failed: method == Method::Rewrite,
            },
        )
    }

    fn stamp(&self, fenced: &FencedVolume, state: StampState) -> Result<(), RestoreError> {
        let volume = fenced.id();
        self.stamps
            .put(&Stamp {
                volume,
                size_bytes: fenced.size_bytes(),
                identity: fenced.identity_number(),
                generation: self.description.generation,
                state,
            })
            .map_err(|source| RestoreError::Stamp { volume, source })
    }
}

/// Asks what is to be restored.
pub(crate) fn describe(
    restore: RestoreId,
    source: &mut dyn PointSource,
) -> Result<Description, SourceError> {
    match exchange(source, &Request::Describe { restore })? {
        Answer::Description(description) => Ok(description),
        _ => Err(SourceError::nonsense(
            "no description where one was asked for",
        )),
    }
}

/// One request and its answer, with nothing else under way.
pub(crate) fn exchange(
    source: &mut dyn PointSource,
    request: &Request,
) -> Result<Answer, SourceError> {
    source.ask(request)?;
    match source.answer()? {
        Answer::Refused(refusal) => Err(refusal.into()),
        answer => Ok(answer),
    }
}

/// Checks that the point fits onto the device, and weighs what the device holds.
fn prepare(
    stamps: &StampBook,
    description: &Description,
    fenced: FencedVolume,
) -> Result<Prepared, RestoreError> {
    let volume = fenced.id();
    let described = description.volumes.iter().find(|one| one.id == volume);
    let Some(described) = described else {
        return Err(RestoreError::UnknownVolume {
            volume,
            point: description.point,
        });
    };
    if described.size_bytes != fenced.size_bytes() {
        return Err(RestoreError::Size {
            volume,
            wanted: described.size_bytes,
            found: fenced.size_bytes(),
        });
    }
    let found = stamps
        .read(volume)
        .map_err(|source| RestoreError::Stamp { volume, source })?;
    if let StampFound::Stamp(stamp) = &found {
        refuse_old(volume, stamp.generation, description.generation)?;
    }
    let evidence = fenced
        .evidence()
        .map_err(|source| RestoreError::Evidence { volume, source })?;
    let judgement = judge(&found, evidence, fenced.size_bytes(), description.point);
    tracing::info!(
        volume = fenced.name(),
        point = %description.point,
        method = ?judgement.method,
        from = judgement.from,
        why = %judgement.why,
        "a restore begins"
    );
    Ok(Prepared { fenced, judgement })
}

fn refuse_old(
    volume: VolumeId,
    known: Generation,
    offered: Generation,
) -> Result<(), RestoreError> {
    if offered < known {
        return Err(RestoreError::OldGeneration {
            volume,
            known,
            offered,
        });
    }
    Ok(())
}

/// One volume under way.
struct Run<'a, 'w> {
    restore: &'a Restore,
    fenced: &'a FencedVolume,
    device: Device,
    source: &'a mut dyn PointSource,
    watch: Watch<'w>,
}

impl Run<'_, '_> {
    fn volume(mut self, judgement: &Judgement) -> Result<Restored, RestoreError> {
        let compared = self.apply(Stage::Applying, judgement)?.is_some();
        // What somebody else writes while the device is read back must show later.
        let mut change = self.change()?;
        let mut found = self.verify()?;
        let mut wanted = self.wanted(found)?;
        let repaired = found != wanted;
        if repaired {
            tracing::warn!(
                volume = self.fenced.name(),
                %found,
                %wanted,
                "the device does not hold the point; it is compared block by block"
            );
            let blocks = self.apply(
                Stage::Repairing,
                &Judgement {
                    method: Method::Compare,
                    from: 0,
                    why: judgement.why.clone(),
                },
            )?;
            change = self.change()?;
            found = self.verify()?;
            wanted = self.wanted(found)?;
            self.judge_repair(blocks, found, wanted)?;
        }
        self.stamp_clean(found, change)?;
        let done = self.device.done();
        Ok(Restored {
            volume: self.fenced.id(),
            point: self.restore.description.point,
            digest: found,
            why: judgement.why.clone(),
            compared,
            repaired,
            fetched_bytes: done.fetched_bytes,
            written_bytes: done.written_bytes,
            zeroed_bytes: done.zeroed_bytes,
        })
    }

    /// Brings the device to the point. If all of it was compared from some byte on, returns the
    /// digest that follows from the source's block digests; it is that of the volume if the
    /// comparison began at its first byte.
    fn apply(
        &mut self,
        stage: Stage,
        judgement: &Judgement,
    ) -> Result<Option<Digest>, RestoreError> {
        let volume = self.fenced.id();
        let size_bytes = self.fenced.size_bytes();
        let limits = self.restore.settings.limits;
        let mut plan = RestorePlan::new(volume, size_bytes, judgement, limits);
        let mut blocks = VolumeHasher::new(size_bytes);
        let mut kept = Kept {
            cursor: plan.cursor(),
            changed_bytes: self.device.done().changed_bytes(),
        };
        if stage == Stage::Repairing {
            self.keep(&plan, &mut kept)?;
        }
        while !plan.is_done() {
            while let Some(request) = plan.next_request() {
                self.ask(&request)?;
            }
            let answer = self.answer()?;
            let step = plan
                .answered(answer)
                .map_err(|source| self.source_error(source))?;
            match step {
                Step::None => {}
                Step::Compare { range, digests } => {
                    digests.iter().for_each(|digest| blocks.push(*digest));
                    let differing = self.compare(range, &digests)?;
                    plan.finished(Finished::Compared(differing));
                }
                Step::Write { fetch, content } => {
                    let trusted = plan.method() != Method::Rewrite;
                    self.device
                        .apply(&fetch, &content, trusted)
                        .map_err(|error| self.apply_error(error))?;
                    plan.finished(Finished::Written);
                }
            }
            if self.is_due(&plan, &kept) {
                self.keep(&plan, &mut kept)?;
            }
            self.tell(stage, plan.cursor())?;
        }
        self.keep(&plan, &mut kept)?;
        Ok((plan.method() == Method::Compare).then(|| blocks.finish()))
    }

    /// The blocks that differ, with what they should be.
    fn compare(
        &mut self,
        range: ByteRange,
        digests: &[Digest],
    ) -> Result<Vec<(u64, Digest)>, RestoreError> {
        let volume = self.fenced.id();
        let mut differing = Vec::new();
        let mut wanted = digests.iter();
        self.device
            .hash(range, |offset, found| {
                if let Some(wanted) = wanted.next()
                    && *wanted != found
                {
                    differing.push((offset, *wanted));
                }
            })
            .map_err(|source| RestoreError::Device { volume, source })?;
        Ok(differing)
    }

    fn is_due(&self, plan: &RestorePlan, kept: &Kept) -> bool {
        let settings = &self.restore.settings;
        self.device.done().changed_bytes() - kept.changed_bytes >= settings.sync_bytes
            || plan.cursor() - kept.cursor >= settings.cursor_bytes
    }

    /// Makes the device durable, and only then the cursor.
    fn keep(&mut self, plan: &RestorePlan, kept: &mut Kept) -> Result<(), RestoreError> {
        let volume = self.fenced.id();
        // The cursor may only cover what this sync covers.
        let cursor = plan.cursor();
        if let Err(source) = self.device.sync() {
            // The kernel may now give back what the device never got, so no comparison counts.
            self.restore
                .stamp_writing(self.fenced, Method::Rewrite, kept.cursor)?;
            return Err(RestoreError::Device { volume, source });
        }
        self.restore
            .stamp_writing(self.fenced, plan.method(), cursor)?;
        *kept = Kept {
            cursor,
            changed_bytes: self.device.done().changed_bytes(),
        };
        Ok(())
    }

    /// The device's digest, read back from it.
    fn verify(&mut self) -> Result<Digest, RestoreError> {
        /// Read between two looks at whether to stop.
        const STEP_BYTES: u64 = 16 << 20;
        let volume = self.fenced.id();
        let size_bytes = self.fenced.size_bytes();
        let mut hasher = VolumeHasher::new(size_bytes);
        let mut offset = 0;
        while offset < size_bytes {
            self.tell(Stage::Verifying, offset)?;
            let length = STEP_BYTES.min(size_bytes - offset);
            self.device
                .hash(ByteRange { offset, length }, |_, digest| {
                    hasher.push(digest)
                })
                .map_err(|source| RestoreError::Device { volume, source })?;
            offset += length;
        }
        self.tell(Stage::Verifying, size_bytes)?;
        Ok(hasher.finish())
    }

    /// Tells the source what the device holds, and hears what it should.
    fn wanted(&mut self, found: Digest) -> Result<Digest, RestoreError> {
        let request = Request::Done {
            volume: self.fenced.id(),
            digest: found,
        };
        let answer = exchange(self.source, &request).map_err(|source| self.source_error(source))?;
        match answer {
            Answer::Done { digest } => Ok(digest),
            _ => Err(self.source_error(SourceError::nonsense("no digest where one was asked for"))),
        }
    }

    /// After a repair: whether all agree now, and if not, who is wrong.
    fn judge_repair(
        &self,
        blocks: Option<Digest>,
        found: Digest,
        wanted: Digest,
    ) -> Result<(), RestoreError> {
        let volume = self.fenced.id();
        if found == wanted {
            return Ok(());
        }
        match blocks {
            Some(blocks) if blocks != wanted => Err(RestoreError::SourceContradicts {
                volume,
                what: format!("it says that the volume is {wanted}, its blocks make {blocks}"),
            }),
            _ => Err(RestoreError::StillDiffers {
                volume,
                wanted,
                found,
            }),
        }
    }

    /// How often the device was changed, as far as that shows from outside. All of ours is synced.
    fn change(&self) -> Result<u64, RestoreError> {
        let volume = self.fenced.id();
        let evidence = self.fenced.evidence();
        let evidence = evidence.map_err(|source| RestoreError::Evidence { volume, source })?;
        Ok(evidence.change)
    }

    /// The device is what it should be and durable: its stamp may say so.
    fn stamp_clean(&self, digest: Digest, change: u64) -> Result<(), RestoreError> {
        self.restore.stamp(
            self.fenced,
            StampState::Clean {
                point: self.restore.description.point,
                digest,
                change,
                seam: None,
            },
        )
    }

    fn ask(&mut self, request: &Request) -> Result<(), RestoreError> {
        self.source
            .ask(request)
            .map_err(|source| self.source_error(source))
    }

    fn answer(&mut self) -> Result<Answer, RestoreError> {
        self.source
            .answer()
            .map_err(|source| self.source_error(source))
    }

    fn tell(&mut self, stage: Stage, done_bytes: u64) -> Result<(), RestoreError> {
        let volume = self.fenced.id();
        let done = self.device.done();
        let progress = Progress {
            volume,
            stage,
            done_bytes,
            total_bytes: self.fenced.size_bytes(),
            fetched_bytes: done.fetched_bytes,
            written_bytes: done.written_bytes,
            zeroed_bytes: done.zeroed_bytes,
        };
        match (self.watch)(&progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(RestoreError::Stopped { volume }),
        }
    }

    fn source_error(&self, source: SourceError) -> RestoreError {
        RestoreError::Source {
            volume: self.fenced.id(),
            source,
        }
    }

    fn apply_error(&self, error: ApplyError) -> RestoreError {
        let volume = self.fenced.id();
        match error {
            ApplyError::Device(source) => RestoreError::Device { volume, source },
            ApplyError::Content(reason) => self.source_error(SourceError::nonsense(reason)),
            ApplyError::Digest { offset } => RestoreError::SourceContradicts {
                volume,
                what: format!("the block at {offset} is not what its digest says"),
            },
        }
    }
}

/// What is durable.
struct Kept {
    cursor: u64,
    changed_bytes: u64,
}
