//! Steps that wait for the source: it is told its order by its session, and answers by its reports.

use super::hands::{Hands, StepError};
use crate::{
    groups::{Link, Stored},
    recovery::{Probe, Serving, StepResult},
};
use bcdr_format::{Generation, Position};
use bcdr_wire::{
    feed::{CaptureReport, Tracking},
    order,
};
use std::time::Duration;

/// A source that lives reports every second; one that does not within this time is out of reach.
pub(super) const SIGHTING: Duration = Duration::from_secs(3);
/// How long a source may take to end the writes that are in flight.
const QUIESCE: Duration = Duration::from_secs(60);
/// How long it may take until all that a source holds is received and published.
const DRAIN: Duration = Duration::from_secs(15 * 60);
/// How long a source that is connected may take to carry an order out.
const OBEY: Duration = Duration::from_secs(60);

/// The same as the source says it.
pub(super) fn serving(serving: order::Serving) -> Serving {
    match serving {
        order::Serving::Writable => Serving::Writable,
        order::Serving::ReadOnly => Serving::ReadOnly,
        order::Serving::No => Serving::No,
    }
}

pub(super) fn report(link: &Link) -> Option<&CaptureReport> {
    link.capture.as_ref()?.report.as_ref()
}

/// Whether the source met a generation and takes no writes.
fn is_held(report: &CaptureReport, generation: Generation) -> bool {
    report.standing.generation >= generation && report.standing.serving != order::Serving::Writable
}

/// The newest point, if it holds all that was written up to `last`. What came after it may be beats
/// only: they extend the time that it covers, and are no point of their own.
fn whole_point(stored: &Stored, last: Position) -> Option<Position> {
    let point = stored.published.as_ref()?.id.0;
    let is_held = stored.held.is_some_and(|held| held >= last);
    let is_open = !stored.open_syncs.is_empty() || !stored.forks.is_empty();
    (point >= last || (is_held && !is_open)).then_some(point)
}

impl Hands {
    /// Waits until a report shows something; none when it does not in time.
    pub(super) async fn until<Found>(
        &self,
        limit: Duration,
        mut look: impl FnMut(&CaptureReport) -> Option<Found>,
    ) -> Result<Option<Found>, StepError> {
        let mut link = self.group.link.subscribe();
        let seen = async {
            loop {
                let found = report(&link.borrow_and_update()).and_then(&mut look);
                if found.is_some() {
                    return found;
                }
                if link.changed().await.is_err() {
                    return None;
                }
            }
        };
        tokio::select! {
            found = tokio::time::timeout(limit, seen) => Ok(found.unwrap_or(None)),
            () = self.stop.cancelled() => Err(StepError::stopped()),
        }
    }

    /// Looks whether the source serves. What was heard before does not count: it may be gone since.
    pub(super) async fn probe_source(&self) -> Result<StepResult, StepError> {
        let heard = report(&self.group.link.borrow()).map(|report| report.at);
        let seen = self
            .until(SIGHTING, |report| {
                (Some(report.at) != heard).then(|| Probe::Seen {
                    generation: report.standing.generation,
                    serving: serving(report.standing.serving),
                })
            })
            .await?;
        Ok(StepResult::Probed(seen.unwrap_or(Probe::Unreachable)))
    }

    pub(super) async fn quiesce_source(&self) -> Result<StepResult, StepError> {
        let generation = self.placement.authority().generation();
        let held = self
            .until(QUIESCE, |report| is_held(report, generation).then_some(()))
            .await?;
        held.map(|()| StepResult::Done).ok_or_else(|| {
            StepError::new(
                "source_not_quiesced",
                format!(
                    "the source still took writes, or was not heard of, {} s after it was told to stop",
                    QUIESCE.as_secs()
                ),
                "look at the capture, then start again; if it is lost, start an emergency failover",
            )
        })
    }

    /// Waits until all that the source sequenced is published: nothing is lost by what follows.
    pub(super) async fn drain_source(&self) -> Result<StepResult, StepError> {
        let generation = self.placement.authority().generation();
        let last = self
            .until(DRAIN, |report| match report.tracking {
                _ if !is_held(report, generation) => None,
                Tracking::Continuous => Some(Some(report.sequenced)),
                // What it did not feed waits in its journal, where nobody asks for it.
                Tracking::Standing => Some(None),
                // Writes without a position are not yet in what it can tell of.
                Tracking::Syncing { .. } | Tracking::Untracked { .. } => None,
            })
            .await?;
        let not_drained = |cause: String| {
            StepError::new(
                "source_not_drained",
                cause,
                "look at the link between source and cloud side, then start again",
            )
        };
        let Some(last) = last else {
            return Err(not_drained(
                "the source is not heard of any more, or does not track all of its writes"
                    .to_owned(),
            ));
        };
        let Some(last) = last else {
            return Err(not_drained(
                "the source was started again since it was told to stop, and holds what it wrote last"
                    .to_owned(),
            ));
        };
        let mut stored = self.group.stored.subscribe();
        let drained = async {
            loop {
                let end = whole_point(&stored.borrow_and_update(), last);
                if end.is_some() || stored.changed().await.is_err() {
                    return end;
                }
            }
        };
        let drained = tokio::select! {
            drained = tokio::time::timeout(DRAIN, drained) => drained.unwrap_or(None),
            () = self.stop.cancelled() => return Err(StepError::stopped()),
        };
        let stayed_so = report(&self.group.link.borrow()).is_none_or(|report| {
            is_held(report, generation)
                && report.tracking == Tracking::Continuous
                && report.sequenced == last
        });
        match drained {
            Some(_) if !stayed_so => Err(not_drained(
                "the source wrote on after it was told to stop".to_owned(),
            )),
            Some(position) => Ok(StepResult::Drained { position }),
            None => Err(not_drained(format!(
                "what the source wrote up to {last} was not published within {} minutes",
                DRAIN.as_secs() / 60
            ))),
        }
    }

    /// The source may serve; the order stands for one that is out of reach until it comes back.
    pub(super) async fn release_source(
        &self,
        generation: Generation,
    ) -> Result<StepResult, StepError> {
        let mut reached = false;
        let released = self.until(OBEY, |report| {
            reached = true;
            let standing = &report.standing;
            let serves = standing.serving == order::Serving::Writable;
            (standing.generation >= generation && serves).then_some(())
        });
        let released = tokio::select! {
            released = released => released?,
            gone = self.stays_away() => gone?,
        };
        if released.is_some() || !reached || report(&self.group.link.borrow()).is_none() {
            return Ok(StepResult::Done);
        }
        Err(StepError::new(
            "source_does_not_serve",
            format!(
                "the source is connected and did not serve again within {} s",
                OBEY.as_secs()
            ),
            "look at the capture's log, then retry",
        ))
    }

    /// Ends, with nothing found, when nothing is heard of the source for a while.
    async fn stays_away(&self) -> Result<Option<()>, StepError> {
        let mut link = self.group.link.subscribe();
        loop {
            let is_there = report(&link.borrow_and_update()).is_some();
            let change = link.changed();
            let patience = if is_there { OBEY } else { SIGHTING };
            if tokio::time::timeout(patience, change).await.is_err() && !is_there {
                return Ok(None);
            }
        }
    }

    /// The source takes no writes any more.
    pub(super) async fn hold_source(
        &self,
        generation: Generation,
    ) -> Result<StepResult, StepError> {
        let held = self
            .until(OBEY, |report| is_held(report, generation).then_some(()))
            .await?;
        held.map(|()| StepResult::Done).ok_or_else(|| {
            StepError::new(
                "source_not_held",
                format!(
                    "the source did not say within {} s that it takes no more writes",
                    OBEY.as_secs()
                ),
                "bring it back or switch it off, then retry",
            )
        })
    }
}
