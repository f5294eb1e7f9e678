//! Which drills run, and what each group knows of those that ended. In memory: the records of drills
//! are the truth, and a new process learns from them.
//!
//! Invariant: a drill that left something behind is known here until that is proven to be gone, also
//! while others of its group run.

use super::{DrillRecord, DrillState};
use crate::{drill::DrillProgress, record_id::DrillId};
use bcdr_format::GroupId;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The drill axis of a group.
#[derive(Debug, Clone, Default)]
pub(crate) struct DrillAxis {
    /// The newest drill that runs; without one, the oldest that left something behind.
    pub(crate) drill: Option<DrillId>,
    /// How it stands; none for no drill.
    pub(crate) state: Option<DrillState>,
    /// How many run, or wait for a free place.
    pub(crate) running: usize,
    /// The oldest one that left something behind.
    pub(crate) leftover: Option<DrillId>,
    /// When the last one passed.
    pub(crate) last_passed: Option<jiff::Timestamp>,
    /// Seconds from its request to its login.
    pub(crate) last_recovery_seconds: Option<f64>,
}

/// A drill that runs, or waits for a free place.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) group: GroupId,
    pub(super) stop: CancellationToken,
    pub(super) progress: watch::Receiver<Option<DrillProgress>>,
}

/// What is known of a group's drills that ended.
#[derive(Debug, Default)]
struct Ended {
    leftovers: BTreeSet<DrillId>,
    last_passed: Option<jiff::Timestamp>,
    last_recovery_seconds: Option<f64>,
}

/// All that is known.
#[derive(Debug, Default)]
pub(super) struct Board {
    running: BTreeMap<DrillId, Running>,
    ended: HashMap<GroupId, Ended>,
}

impl Board {
    pub(super) fn begin(&mut self, id: DrillId, running: Running) {
        self.running.insert(id, running);
    }

    pub(super) fn end(&mut self, id: DrillId) {
        self.running.remove(&id);
    }

    /// The drill, if it runs and is of this group.
    pub(super) fn running(&self, group: GroupId, id: DrillId) -> Option<&Running> {
        self.running
            .get(&id)
            .filter(|running| running.group == group)
    }

    /// The drills of a group that run, oldest first.
    pub(super) fn running_of(&self, group: GroupId) -> impl DoubleEndedIterator<Item = DrillId> {
        let of_group =
            move |(id, running): (&DrillId, &Running)| (running.group == group).then_some(*id);
        self.running.iter().filter_map(of_group)
    }

    /// The drills of a group that left something behind, oldest first.
    pub(super) fn leftovers_of(&self, group: GroupId) -> Vec<DrillId> {
        let ended = self.ended.get(&group);
        ended
            .map(|ended| ended.leftovers.iter().copied().collect())
            .unwrap_or_default()
    }

    /// What a drill left behind is gone.
    pub(super) fn is_clean(&mut self, group: GroupId, id: DrillId) {
        if let Some(ended) = self.ended.get_mut(&group) {
            ended.leftovers.remove(&id);
        }
    }

    /// Learns how a drill ended.
    pub(super) fn learn(&mut self, record: &DrillRecord) {
        let ended = self.ended.entry(record.group).or_default();
        if record.state == DrillState::CleanupFailed {
            ended.leftovers.insert(record.id);
        }
        if record.state == DrillState::Passed
            && let Some(report) = &record.report
            && ended
                .last_passed
                .is_none_or(|last| last < report.finished_at)
        {
            ended.last_passed = Some(report.finished_at);
            ended.last_recovery_seconds = report.recovery_times.login_seconds;
        }
    }

    /// The drill axis of a group.
    pub(super) fn axis(&self, group: GroupId) -> DrillAxis {
        let ended = self.ended.get(&group);
        let leftover = ended.and_then(|ended| ended.leftovers.first().copied());
        let newest = self.running_of(group).next_back();
        let state = match newest.and_then(|id| self.running.get(&id)) {
            Some(running) => Some(DrillState::of_progress(running.progress.borrow().as_ref())),
            None => leftover.map(|_| DrillState::CleanupFailed),
        };
        DrillAxis {
            drill: newest.or(leftover),
            state,
            running: self.running_of(group).count(),
            leftover,
            last_passed: ended.and_then(|ended| ended.last_passed),
            last_recovery_seconds: ended.and_then(|ended| ended.last_recovery_seconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        jobs::{JobKind, JobRecord},
        receive::PointId,
        target::LaunchSettings,
    };
    use bcdr_format::Timestamp;

    fn begin(board: &mut Board, group: GroupId, at: i64) -> DrillId {
        let id = DrillId::generate(Timestamp(at * 1_000_000)).unwrap();
        let (_, progress) = watch::channel(None);
        let running = Running {
            group,
            stop: CancellationToken::new(),
            progress,
        };
        board.begin(id, running);
        id
    }

    fn left_something(group: GroupId, at: Timestamp) -> DrillRecord {
        let id = DrillId::generate(at).unwrap();
        DrillRecord {
            id,
            group,
            point: PointId("1-1".parse().unwrap()),
            job: JobRecord::new(JobKind::Drill, group, id.to_string())
                .unwrap()
                .id,
            view: None,
            settings: LaunchSettings::default(),
            hold_seconds: 0,
            requested_at: at,
            finished_at: Some(at),
            state: DrillState::CleanupFailed,
            reason: None,
            report: None,
        }
    }

    #[test]
    fn a_group_shows_its_newest_drill_and_how_many_run() {
        let (group, other) = (GroupId::from_u128(1), GroupId::from_u128(2));
        let mut board = Board::default();
        let first = begin(&mut board, group, 1);
        let second = begin(&mut board, group, 2);
        let stranger = begin(&mut board, other, 3);
        let axis = board.axis(group);
        assert_eq!((axis.drill, axis.running), (Some(second), 2));
        assert!(board.running(group, stranger).is_none());
        assert!(board.running(other, stranger).is_some());
        board.end(second);
        assert_eq!(board.axis(group).drill, Some(first));
        board.end(first);
        assert_eq!(
            (board.axis(group).drill, board.axis(group).running),
            (None, 0)
        );
    }

    #[test]
    fn what_was_left_behind_is_known_while_others_run_and_until_each_is_clean() {
        let group = GroupId::from_u128(1);
        let mut board = Board::default();
        let left = [1, 2].map(|at| {
            let record = left_something(group, Timestamp(at * 1_000_000));
            board.learn(&record);
            record.id
        });
        assert_eq!(board.axis(group).state, Some(DrillState::CleanupFailed));
        let running = begin(&mut board, group, 3);
        let axis = board.axis(group);
        assert_eq!((axis.drill, axis.leftover), (Some(running), Some(left[0])));
        board.end(running);
        board.is_clean(group, left[0]);
        assert_eq!(board.axis(group).drill, Some(left[1]));
        board.is_clean(group, left[1]);
        assert_eq!(board.axis(group).state, None);
    }
}
