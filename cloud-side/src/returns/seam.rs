//! Where a group's own history ends, and how a point that is given back differs from that: what the
//! host of the disks needs so that its stream goes on without comparing all of them.
//!
//! Invariant: an end is told only while it could be published, with the batch that it lies in, all as
//! of one moment, and what may differ follows from the histories as between any two points. It is
//! told as it is when it is asked for; should the history go on afterwards, its position shows that
//! to everybody, and a seam to an earlier end joins nothing. Keeps nothing.

use super::{Offered, refusal};
use crate::{groups::Stored, receive::BatchNumber};
use bcdr_format::{continuity::Held, record::Member};
use bcdr_wire::restore::{Answer, Refusal, RefusalKind, SeamHead};
use std::{fmt, sync::Arc};

/// The end of a group's own history, as it is durable at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// The last that is held, and whose life that belongs to.
    pub held: Held,
    /// The last batch; what is held behind it changed nothing.
    pub batch: BatchNumber,
    /// The volumes there.
    pub members: Vec<Member>,
}

/// Tells where a group's own history ends now, or in words, why nothing can join it there.
#[derive(Clone)]
pub struct EndNow(Arc<dyn Fn() -> Result<End, String> + Send + Sync>);

impl EndNow {
    /// What `tell` tells.
    pub fn new(tell: impl Fn() -> Result<End, String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }
}

impl fmt::Debug for EndNow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("EndNow")
    }
}

/// The end of what is stored of a group.
///
/// # Errors
/// In words, why nothing can join it there: what is open would be closed by a full compare only.
pub(crate) fn end_of(stored: &Stored) -> Result<End, String> {
    let (Some(position), Some(id)) = (stored.held, stored.held_in) else {
        return Err("the group's history is empty".to_owned());
    };
    let Some(last) = stored.batches.checked_sub(1) else {
        return Err("the group's history has no batch".to_owned());
    };
    if let Some(obstacle) = &stored.obstacle {
        return Err(format!("the group's history takes nothing now: {obstacle}"));
    }
    let is_whole =
        stored.initial_sync_done && stored.open_syncs.is_empty() && stored.forks.is_empty();
    if !is_whole {
        return Err("the group's history ends inside a sync interval or a fork".to_owned());
    }
    Ok(End {
        held: Held { position, id },
        batch: BatchNumber(last),
        members: stored.members.clone(),
    })
}

impl Offered {
    /// One volume's ranges from `from` on. Blocks.
    pub(super) fn seam(&self, volume: &Member, from: u64, limit: u32) -> Result<Answer, Refusal> {
        let unknown = |reason: String| {
            let refusal = refusal(RefusalKind::Unreadable, reason);
            Ok(Answer::Unknown {
                reason: refusal.reason,
            })
        };
        if self.offer.sink.is_some() {
            return unknown("this restore gives nothing back".to_owned());
        }
        let Some(end) = &self.offer.end else {
            return unknown("nobody here knows where the group's history ends".to_owned());
        };
        let end = match (end.0)() {
            Ok(end) => end,
            Err(reason) => return unknown(reason),
        };
        let histories = &self.offer.histories;
        let between = match histories.after_end(&end, self.offer.point, volume.id) {
            Ok(between) => between,
            Err(reason) => return unknown(reason),
        };
        let changed = match between.changed(from, limit as usize) {
            Ok(changed) => changed,
            Err(error) => return unknown(error.to_string()),
        };
        let Ok(volumes) = u32::try_from(end.members.len()) else {
            return unknown("the group has too many volumes".to_owned());
        };
        Ok(Answer::Seam {
            head: SeamHead {
                stream: histories.stream(),
                held: end.held,
                volumes,
            },
            number: volume.number,
            ranges: changed.ranges,
            next: changed.next,
        })
    }
}

#[cfg(test)]
mod tests;
