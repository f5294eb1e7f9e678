//! The drill calendar: which group is drilled when, durable in the catalog.
//!
//! Owns the schedules and what was decided of each. [`cadence`] decides; [`runner`] starts the
//! drills. Invariants: an occurrence's drill and the key that names the occurrence are durable
//! together, so a process that is killed in between does not start it twice; a change that is being
//! written comes to its end, in memory too, also when whoever asked has left meanwhile, since a
//! schedule that is gone from the catalog alone would go on starting drills.

pub(crate) mod cadence;
pub(crate) mod runner;

use crate::{
    catalog::{Catalog, CatalogError, Document},
    jobs::select,
    offload::offload,
    record_id::DrillId,
    target::LaunchSettings,
};
use bcdr_format::{GroupId, Timestamp};
use cadence::Cadence;
pub(crate) use cadence::EVERY_SECONDS;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::OwnedMutexGuard;
use utoipa::ToSchema;

/// The longest pause after a failed start.
pub(crate) const RETRY_MAX: Duration = Duration::from_secs(3600);
/// The pause after the first.
const RETRY_FIRST: Duration = Duration::from_secs(60);

/// Which point a scheduled drill boots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum PointChoice {
    /// The newest.
    Latest,
    /// The newest that is at least this old.
    Age {
        /// Its age, in seconds.
        seconds: u64,
    },
}

/// A group's schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Schedule {
    pub(crate) group: GroupId,
    pub(crate) cadence: Cadence,
    pub(crate) point: PointChoice,
    pub(crate) hold_seconds: u32,
    pub(crate) settings: Option<LaunchSettings>,
    pub(crate) set_at: Timestamp,
    /// Every occurrence up to this was decided.
    pub(crate) decided: Timestamp,
    /// The last drill it started.
    pub(crate) last_drill: Option<DrillId>,
    /// Why the last start failed; none since one succeeded.
    pub(crate) trouble: Option<String>,
}

impl Document for Schedule {
    const COLLECTION: &'static str = "drill_schedules";

    fn key(&self) -> String {
        self.group.to_string()
    }
}

/// Starts that failed, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Failures {
    count: u32,
    retry_at: Option<Timestamp>,
}

impl Failures {
    fn one_more(self, now: Timestamp) -> Self {
        let pause = RETRY_FIRST
            .saturating_mul(1 << self.count.min(16))
            .min(RETRY_MAX);
        let microseconds = i64::try_from(pause.as_micros()).unwrap_or(i64::MAX);
        Self {
            count: self.count.saturating_add(1),
            retry_at: Some(Timestamp(now.0.saturating_add(microseconds))),
        }
    }
}

type Table = BTreeMap<GroupId, (Schedule, Failures)>;

/// The right to decide and make one change.
type Turn = OwnedMutexGuard<()>;

/// All schedules.
#[derive(Debug)]
pub(crate) struct Schedules {
    catalog: Arc<Catalog>,
    all: Arc<Mutex<Table>>,
    // A change is in memory only after it is durable, and changes do not overtake each other.
    changing: Arc<tokio::sync::Mutex<()>>,
}

impl Schedules {
    /// The schedules of a catalog. Blocks.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) fn load(catalog: Arc<Catalog>) -> Result<Self, CatalogError> {
        let stored = select(&catalog, None, usize::MAX, |_: &Schedule| true)?;
        let all = stored
            .into_iter()
            .map(|schedule| (schedule.group, (schedule, Failures::default())))
            .collect();
        Ok(Self {
            catalog,
            all: Arc::new(Mutex::new(all)),
            changing: Arc::default(),
        })
    }

    fn all(&self) -> MutexGuard<'_, Table> {
        lock(&self.all)
    }

    async fn turn(&self) -> Turn {
        Arc::clone(&self.changing).lock_owned().await
    }

    pub(crate) fn get(&self, group: GroupId) -> Option<Schedule> {
        self.all().get(&group).map(|(schedule, _)| schedule.clone())
    }

    /// When the next drill of a group is due, a failed start's repetition included.
    pub(crate) fn next(&self, group: GroupId, now: Timestamp) -> Option<Timestamp> {
        let all = self.all();
        let (schedule, failures) = all.get(&group)?;
        Some(
            match schedule
                .cadence
                .decide(schedule.decided, failures.retry_at, now)
            {
                cadence::Decision::Wait { until } => until,
                cadence::Decision::Start { .. } => now,
                cadence::Decision::Forget { decided } => schedule.cadence.next_after(decided),
            },
        )
    }

    /// Since when a drill of the group that passed is missing.
    pub(crate) fn overdue_since(
        &self,
        group: GroupId,
        last_passed: Option<jiff::Timestamp>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let all = self.all();
        let (schedule, _) = all.get(&group)?;
        schedule
            .cadence
            .overdue_since(last_passed.map(crate::clock::stored), now)
    }

    /// Sets a group's schedule, if what is there is as expected; durable on return. Says whether it
    /// was.
    pub(crate) async fn set(
        &self,
        schedule: Schedule,
        expected: impl Fn(Option<&Schedule>) -> bool + Send,
    ) -> Result<bool, CatalogError> {
        let turn = self.turn().await;
        if !expected(self.get(schedule.group).as_ref()) {
            return Ok(false);
        }
        self.keep(turn, schedule).await?;
        Ok(true)
    }

    /// Removes a group's schedule; durable on return. Says whether there was one that is as expected.
    pub(crate) async fn remove(
        &self,
        group: GroupId,
        expected: impl Fn(&Schedule) -> bool + Send,
    ) -> Result<bool, CatalogError> {
        let turn = self.turn().await;
        if !self.get(group).is_some_and(|schedule| expected(&schedule)) {
            return Ok(false);
        }
        let (catalog, all) = (Arc::clone(&self.catalog), Arc::clone(&self.all));
        // From here on it is on a thread that nobody's leaving ends.
        offload(move || {
            let removed = catalog.remove_document::<Schedule>(&group.to_string())?;
            lock(&all).remove(&group);
            drop(turn);
            Ok(removed)
        })
        .await
    }

    async fn keep(&self, turn: Turn, schedule: Schedule) -> Result<(), CatalogError> {
        let (catalog, all) = (Arc::clone(&self.catalog), Arc::clone(&self.all));
        offload(move || {
            catalog.put_document(&schedule)?;
            lock(&all).insert(schedule.group, (schedule, Failures::default()));
            drop(turn);
            Ok(())
        })
        .await
    }

    /// Notes what was decided of a schedule, unless it was set anew or removed meanwhile.
    async fn decided(
        &self,
        of: &Schedule,
        decided: Timestamp,
        drill: Option<DrillId>,
    ) -> Result<(), CatalogError> {
        let turn = self.turn().await;
        let Some(mut schedule) = self.get(of.group).filter(|held| held.set_at == of.set_at) else {
            return Ok(());
        };
        schedule.decided = decided;
        schedule.last_drill = drill.or(schedule.last_drill);
        schedule.trouble = None;
        self.keep(turn, schedule).await
    }

    /// Notes a start that failed; it is repeated later.
    fn failed(&self, of: &Schedule, now: Timestamp, trouble: String) {
        if let Some((schedule, failures)) = self.all().get_mut(&of.group)
            && schedule.set_at == of.set_at
        {
            schedule.trouble = Some(trouble);
            *failures = failures.one_more(now);
        }
    }

    /// What is to be done now, group by group.
    fn due(&self, now: Timestamp) -> Vec<(Schedule, cadence::Decision)> {
        let all = self.all();
        let decide = |(schedule, failures): &(Schedule, Failures)| {
            let decision = schedule
                .cadence
                .decide(schedule.decided, failures.retry_at, now);
            (schedule.clone(), decision)
        };
        all.values().map(decide).collect()
    }
}

fn lock(all: &Mutex<Table>) -> MutexGuard<'_, Table> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::leaving::{leave, one_after_the_other};
    use bcdr_disk::RealStorage;

    fn schedules(directory: &tempfile::TempDir) -> Schedules {
        let path = directory.path().join("catalog.redb");
        let catalog = Catalog::open_or_create(&RealStorage::new(), &path, 1 << 20).unwrap();
        Schedules::load(Arc::new(catalog)).unwrap()
    }

    fn schedule(set_at: i64) -> Schedule {
        let set_at = Timestamp(set_at);
        Schedule {
            group: GroupId::from_u128(3),
            cadence: Cadence::new(3600, None, "UTC", set_at).unwrap(),
            point: PointChoice::Latest,
            hold_seconds: 0,
            settings: None,
            set_at,
            decided: set_at,
            last_drill: None,
            trouble: None,
        }
    }

    #[tokio::test]
    async fn schedules_survive_and_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        let first = schedules(&directory);
        assert!(first.set(schedule(5), |_| true).await.unwrap());
        drop(first);
        let second = schedules(&directory);
        assert_eq!(second.get(GroupId::from_u128(3)), Some(schedule(5)));
        assert!(
            second
                .remove(GroupId::from_u128(3), |_| true)
                .await
                .unwrap()
        );
        assert!(
            !second
                .remove(GroupId::from_u128(3), |_| true)
                .await
                .unwrap()
        );
        drop(second);
        assert_eq!(schedules(&directory).get(GroupId::from_u128(3)), None);
    }

    #[test]
    fn a_change_whose_asker_leaves_is_in_memory_as_it_is_in_the_catalog() {
        one_after_the_other(async {
            let directory = tempfile::tempdir().unwrap();
            let schedules = schedules(&directory);
            let group = GroupId::from_u128(3);
            let stored =
                || -> Option<Schedule> { schedules.catalog.document(&group.to_string()).unwrap() };
            leave(schedules.set(schedule(5), |_| true), || ()).await;
            assert_eq!(stored(), Some(schedule(5)));
            assert_eq!(schedules.get(group), Some(schedule(5)));
            let now = Timestamp(99);
            leave(schedules.decided(&schedule(5), now, None), || ()).await;
            let decided = Schedule {
                decided: now,
                ..schedule(5)
            };
            assert_eq!(stored(), Some(decided.clone()));
            assert_eq!(schedules.get(group), Some(decided));
            leave(schedules.remove(group, |_| true), || ()).await;
            assert_eq!(stored(), None);
            assert_eq!(schedules.get(group), None);
            // Whoever left holds up nobody.
            assert!(schedules.set(schedule(6), |_| true).await.unwrap());
        });
    }

    #[tokio::test]
    async fn what_was_decided_of_an_older_schedule_does_not_touch_the_new_one() {
        let directory = tempfile::tempdir().unwrap();
        let schedules = schedules(&directory);
        schedules.set(schedule(5), |_| true).await.unwrap();
        schedules.set(schedule(6), |_| true).await.unwrap();
        schedules
            .decided(&schedule(5), Timestamp(99), None)
            .await
            .unwrap();
        schedules.failed(&schedule(5), Timestamp(9), "late".to_owned());
        assert_eq!(schedules.get(GroupId::from_u128(3)), Some(schedule(6)));
    }

    #[test]
    fn pauses_double_up_to_an_hour() {
        let mut failures = Failures::default();
        let pauses: Vec<i64> = (0..9)
            .map(|_| {
                failures = failures.one_more(Timestamp(0));
                failures.retry_at.unwrap().0 / 1_000_000
            })
            .collect();
        assert_eq!(pauses, [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]);
    }
}
