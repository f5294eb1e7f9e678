//! The history of every group's recovery point: how old the newest point was, second by second.
//!
//! Owns the hours that the catalog keeps. It measures while the process runs; the time before is
//! found at the first sample and counted as one in which nobody measured. What was not yet written
//! when the process is killed is counted so as well.

pub(crate) mod hour;

use crate::{
    catalog::{Catalog, CatalogError, DocumentRow},
    clock::RunClock,
    groups::Groups,
    offload::offload,
};
use bcdr_format::{GroupId, Timestamp};
use bcdr_report::RpoPeriod;
use hour::{Hour, Part, Sample, between, hour_of, part, period};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

const PAGE: usize = 256;

/// What was measured and is not written yet, and the last sample of each group.
#[derive(Debug, Default)]
struct Measured {
    last: HashMap<GroupId, (Sample, u64)>,
    pending: HashMap<(GroupId, i64), Hour>,
}

/// The history of all groups.
#[derive(Debug)]
pub(crate) struct RpoHistory {
    catalog: Arc<Catalog>,
    measured: Mutex<Measured>,
    writing: tokio::sync::Mutex<()>,
}

impl RpoHistory {
    pub(crate) fn new(catalog: Arc<Catalog>) -> Self {
        Self {
            catalog,
            measured: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
        }
    }

    fn measured(&self) -> MutexGuard<'_, Measured> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Measures every group once.
    pub(crate) async fn sample(
        &self,
        groups: &Groups,
        clock: &RunClock,
        now: Timestamp,
    ) -> Result<(), CatalogError> {
        for group in groups.all() {
            // Before the first point there is nothing to measure.
            let Some(age) = group.age(clock) else {
                continue;
            };
            let this = Sample {
                at: now,
                age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
            };
            self.enter(group.id(), this, clock.now_nanoseconds())
                .await?;
        }
        Ok(())
    }

    async fn enter(&self, group: GroupId, this: Sample, now: u64) -> Result<(), CatalogError> {
        let known = self.measured().last.get(&group).copied();
        let gap = match known {
            Some((last, at)) => Some((last, Duration::from_nanos(now.saturating_sub(at)))),
            // Only the wall clock knows how long no process measured.
            None => self.newest(group).await?.map(|hour| {
                let last = Sample {
                    at: hour.to,
                    age_ms: hour.last_age_ms,
                };
                let microseconds = this.at.0.saturating_sub(last.at.0).max(0);
                (last, Duration::from_micros(microseconds.unsigned_abs()))
            }),
        };
        let mut measured = self.measured();
        measured.last.insert(group, (this, now));
        let Some((last, elapsed)) = gap else {
            return Ok(());
        };
        for part in between(group, last, this, elapsed) {
            measured
                .pending
                .entry((group, part.hour))
                .and_modify(|held| held.merge(&part))
                .or_insert(part);
        }
        Ok(())
    }

    async fn newest(&self, group: GroupId) -> Result<Option<Hour>, CatalogError> {
        let catalog = Arc::clone(&self.catalog);
        offload(move || Ok(hours(&catalog, group, 0, i64::MAX)?.pop())).await
    }

    /// Writes what was measured; durable on return.
    pub(crate) async fn write(&self) -> Result<(), CatalogError> {
        let _one = self.writing.lock().await;
        let pending = std::mem::take(&mut self.measured().pending);
        if pending.is_empty() {
            return Ok(());
        }
        let catalog = Arc::clone(&self.catalog);
        let kept = pending.clone();
        let written = offload(move || {
            let mut rows = Vec::new();
            for (_, mut hour) in pending {
                let key = Hour::key_of(hour.group, hour.hour);
                if let Some(stored) = catalog.document::<Hour>(&key)? {
                    hour.merge(&stored);
                }
                rows.push(DocumentRow::of(&hour));
            }
            catalog.put_documents(&rows)
        })
        .await;
        if written.is_err() {
            // Nothing was written, so it is tried again with what comes.
            let mut measured = self.measured();
            for (place, hour) in kept {
                measured
                    .pending
                    .entry(place)
                    .and_modify(|held| held.merge(&hour))
                    .or_insert(hour);
            }
        }
        written
    }

    /// What was measured of a group from `from` on; none if nothing was.
    pub(crate) async fn period(
        &self,
        group: GroupId,
        from: Timestamp,
    ) -> Result<Option<RpoPeriod>, CatalogError> {
        self.write().await?;
        let catalog = Arc::clone(&self.catalog);
        let hours = offload(move || hours(&catalog, group, hour_of(from), i64::MAX)).await?;
        Ok(period(&hours))
    }

    /// What was measured of a group in `count` parts of `step` hours, from the hour `first` since 1970
    /// on; none for each part of which nothing is known.
    pub(crate) async fn parts(
        &self,
        group: GroupId,
        first: i64,
        step: i64,
        count: usize,
    ) -> Result<Vec<Option<Part>>, CatalogError> {
        self.write().await?;
        let catalog = Arc::clone(&self.catalog);
        let whole = step.saturating_mul(i64::try_from(count).unwrap_or(i64::MAX));
        let last = first.saturating_add(whole).saturating_sub(1);
        let hours = offload(move || hours(&catalog, group, first, last)).await?;
        let mut parts = vec![Vec::new(); count];
        for hour in hours {
            let place = usize::try_from((hour.hour - first) / step);
            if let Some(part) = place.ok().and_then(|place| parts.get_mut(place)) {
                part.push(hour);
            }
        }
        Ok(parts.iter().map(|hours| part(hours)).collect())
    }
}

/// The hours of a group from the first one to the last, oldest first. Blocks.
fn hours(
    catalog: &Catalog,
    group: GroupId,
    first: i64,
    last: i64,
) -> Result<Vec<Hour>, CatalogError> {
    let mut found: Vec<Hour> = Vec::new();
    let mut after = Hour::key_of(group, first.saturating_sub(1));
    if first <= 0 {
        // Before the first key of the group.
        after = format!("{group}/");
    }
    loop {
        let page: Vec<Hour> = catalog.documents(Some(&after), PAGE)?;
        let whole = page.len() == PAGE;
        let wanted = |hour: &Hour| hour.group == group && hour.hour <= last;
        let before = found.len();
        found.extend(page.into_iter().take_while(wanted));
        if !whole || found.len() < before + PAGE {
            return Ok(found);
        }
        if let Some(last) = found.last() {
            after = Hour::key_of(group, last.hour);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bcdr_disk::RealStorage;

    const SECOND: u64 = 1_000_000_000;

    fn history(directory: &tempfile::TempDir) -> RpoHistory {
        let path = directory.path().join("catalog.redb");
        let catalog = Catalog::open_or_create(&RealStorage::new(), &path, 1 << 20).unwrap();
        RpoHistory::new(Arc::new(catalog))
    }

    fn sample(seconds: i64, age_ms: u64) -> Sample {
        Sample {
            at: Timestamp(seconds * 1_000_000),
            age_ms,
        }
    }

    #[tokio::test]
    async fn what_was_measured_survives_and_the_time_between_processes_is_blind() {
        let directory = tempfile::tempdir().unwrap();
        let group = GroupId::from_u128(7);
        let other = GroupId::from_u128(8);
        let first = history(&directory);
        assert_eq!(first.period(group, Timestamp(0)).await.unwrap(), None);
        for second in 0..10_i64 {
            let now = second.unsigned_abs() * SECOND;
            first.enter(group, sample(second, 300), now).await.unwrap();
            first.enter(other, sample(second, 9000), now).await.unwrap();
        }
        let known = first.period(group, Timestamp(0)).await.unwrap().unwrap();
        // Each point was almost a second older just before the next one.
        assert_eq!((known.worst_ms, known.blind_ms), (1300, 0));
        drop(first);
        let second = history(&directory);
        second
            .enter(group, sample(69, 200), 5 * SECOND)
            .await
            .unwrap();
        let known = second.period(group, Timestamp(0)).await.unwrap().unwrap();
        assert_eq!((known.worst_ms, known.blind_ms), (60_300, 60_000));
        // Written twice, counted once.
        assert_eq!(
            second.period(group, Timestamp(0)).await.unwrap().unwrap(),
            known
        );
    }

    #[tokio::test]
    async fn a_period_begins_where_it_is_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let group = GroupId::from_u128(7);
        let history = history(&directory);
        history.enter(group, sample(0, 50_000), 0).await.unwrap();
        history
            .enter(group, sample(1, 50_000), SECOND)
            .await
            .unwrap();
        history.measured().last.clear();
        history.write().await.unwrap();
        history.enter(group, sample(7200, 100), 0).await.unwrap();
        history
            .measured()
            .last
            .insert(group, (sample(7200, 100), 0));
        history.measured().pending.clear();
        history
            .enter(group, sample(7201, 100), SECOND)
            .await
            .unwrap();
        let late = history
            .period(group, Timestamp(7_200_000_000))
            .await
            .unwrap();
        assert_eq!(late.unwrap().worst_ms, 1100);
        let whole = history.period(group, Timestamp(0)).await.unwrap();
        assert_eq!(whole.unwrap().worst_ms, 51_000);
    }
}
