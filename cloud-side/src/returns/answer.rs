//! One request and its answer. Blocks, except where it says otherwise.

use super::{Offered, contents::branch_refusal, refusal, unknown};
use crate::offload::offload;
use bcdr_format::{RestoreId, record::Member};
use bcdr_wire::restore::{
    Answer, BLOCK_BYTES, ByteRange, Content, Description, Digest, PointName, Refusal, RefusalKind,
    Request, VolumeDescription,
};
use bytes::Bytes;
use std::{ops::ControlFlow, sync::Arc};
use tokio::sync::Semaphore;

/// Answers a request about an offer; waits for a worker, and for a volume's digest.
pub(super) async fn answer(
    id: RestoreId,
    offered: Arc<Offered>,
    request: Request,
    workers: Arc<Semaphore>,
) -> Answer {
    let answered = match request {
        Request::Done { volume, digest } if offered.offer.sink.is_none() => {
            done(id, &offered, volume, digest).await
        }
        request => {
            // Closed only with everything else.
            let worker = workers.acquire_owned().await;
            offload(move || {
                let answered = offered.blocking(id, request);
                drop(worker);
                answered
            })
            .await
        }
    };
    answered.unwrap_or_else(Answer::Refused)
}

/// Waits for the digest of the point, which another thread computes.
async fn done(
    id: RestoreId,
    offered: &Arc<Offered>,
    volume: bcdr_format::VolumeId,
    digest: Digest,
) -> Result<Answer, Refusal> {
    let checked = Arc::clone(offered);
    offload(move || checked.check_valid(id)).await?;
    offered.volume(volume)?;
    let wanted = offered.digests.of_image(volume).await?;
    offered.counters.told(volume, wanted == digest);
    Ok(Answer::Done { digest: wanted })
}

impl Offered {
    fn blocking(&self, id: RestoreId, request: Request) -> Result<Answer, Refusal> {
        self.check_valid(id)?;
        match request {
            Request::Describe { restore } if restore == id => Ok(self.describe()),
            Request::Describe { restore } => Err(unknown(restore)),
            Request::Changed {
                volume,
                since,
                from,
                limit,
            } => self.changed(&self.volume(volume)?, since, from, limit),
            Request::Digests {
                volume,
                offset,
                length,
                ..
            } => {
                let volume = self.volume(volume)?;
                let range = ByteRange { offset, length };
                check_blocks(&volume, range)?;
                let mut digests = Vec::new();
                self.contents.digests(volume.number, range, &mut |digest| {
                    digests.push(digest);
                    ControlFlow::Continue(())
                })?;
                self.counters.compared(length);
                Ok(Answer::Digests { offset, digests })
            }
            Request::Read {
                volume,
                offset,
                length,
            } => {
                let volume = self.volume(volume)?;
                let range = ByteRange {
                    offset,
                    length: u64::from(length),
                };
                check_range(&volume, range)?;
                let content = self.contents.read(volume.number, range)?;
                self.counters.read(range.length);
                Ok(Answer::Data { offset, content })
            }
            Request::Done { volume, digest } => {
                let found = self.digests.now(&self.volume(volume)?)?;
                self.counters.told(volume, found == digest);
                Ok(Answer::Done { digest: found })
            }
            Request::Keep {
                volume,
                offset,
                content,
            } => self.keep(&self.volume(volume)?, offset, &content),
            Request::Seam {
                volume,
                from,
                limit,
            } => {
                let volume = self.volume(volume)?;
                check_place(&volume, from)?;
                self.seam(&volume, from, limit)
            }
            Request::Settle => {
                self.sink()?
                    .flush()
                    .map_err(|error| branch_refusal(&error))?;
                Ok(Answer::Settled)
            }
        }
    }

    fn describe(&self) -> Answer {
        if self.offer.sink.is_none() {
            self.digests.begin();
        }
        let volumes = self.offer.volumes.iter().map(|member| VolumeDescription {
            id: member.id,
            size_bytes: member.size_bytes,
        });
        Answer::Description(Description {
            point: self.offer.point,
            generation: self.offer.generation,
            volumes: volumes.collect(),
        })
    }

    fn changed(
        &self,
        volume: &Member,
        since: PointName,
        from: u64,
        limit: u32,
    ) -> Result<Answer, Refusal> {
        check_place(volume, from)?;
        let unknown = |reason: String| {
            let refusal = refusal(RefusalKind::Unreadable, reason);
            Ok(Answer::Unknown {
                reason: refusal.reason,
            })
        };
        if self.offer.sink.is_some() {
            return unknown("what is kept of the disks changes while they are read".to_owned());
        }
        let histories = &self.offer.histories;
        let between = match histories.between(since, self.offer.point, volume.id) {
            Ok(between) => between,
            Err(reason) => return unknown(reason),
        };
        match between.changed(from, limit as usize) {
            Ok(changed) => Ok(Answer::Ranges {
                ranges: changed.ranges,
                next: changed.next,
            }),
            Err(error) => unknown(error.to_string()),
        }
    }

    fn keep(&self, volume: &Member, offset: u64, content: &Content) -> Result<Answer, Refusal> {
        let length = content.length();
        check_range(volume, ByteRange { offset, length })?;
        let sink = self.sink()?;
        let kept = match content {
            Content::Zero { .. } => sink.write_zeroes(volume.number, offset, length),
            Content::Stored(bytes) => sink.write(volume.number, offset, bytes.clone()),
            Content::Zstd { .. } => {
                let mut bytes = vec![0; length as usize];
                content.unpack(&mut bytes).map_err(|error| {
                    let reason = format!("what was sent for {length} bytes at {offset}: {error}");
                    refusal(RefusalKind::OutOfRange, reason)
                })?;
                sink.write(volume.number, offset, Bytes::from(bytes))
            }
        };
        kept.map_err(|error| branch_refusal(&error))?;
        self.counters.kept(length);
        Ok(Answer::Kept { offset })
    }

    fn sink(&self) -> Result<&crate::branch::Branch, Refusal> {
        self.offer.sink.as_deref().ok_or_else(|| {
            let reason = "this restore gives a point back and keeps nothing".to_owned();
            refusal(RefusalKind::NotAllowed, reason)
        })
    }
}

/// Where ranges are asked for from.
fn check_place(volume: &Member, from: u64) -> Result<(), Refusal> {
    if from > volume.size_bytes || !from.is_multiple_of(bcdr_format::SECTOR_BYTES) {
        let reason = format!("{from} is no place in {}", volume.id);
        return Err(refusal(RefusalKind::OutOfRange, reason));
    }
    Ok(())
}

fn check_range(volume: &Member, range: ByteRange) -> Result<(), Refusal> {
    let inside = range
        .offset
        .checked_add(range.length)
        .is_some_and(|end| end <= volume.size_bytes);
    if inside {
        return Ok(());
    }
    let reason = format!(
        "{} bytes at {} are not within {}, which has {}",
        range.length, range.offset, volume.id, volume.size_bytes
    );
    Err(refusal(RefusalKind::OutOfRange, reason))
}

/// Digests are of whole blocks; only the volume's last one may be shorter.
fn check_blocks(volume: &Member, range: ByteRange) -> Result<(), Refusal> {
    check_range(volume, range)?;
    if range.length.is_multiple_of(u64::from(BLOCK_BYTES)) || range.end() == volume.size_bytes {
        return Ok(());
    }
    let reason = format!(
        "{} bytes at {} are not whole blocks",
        range.length, range.offset
    );
    Err(refusal(RefusalKind::OutOfRange, reason))
}
