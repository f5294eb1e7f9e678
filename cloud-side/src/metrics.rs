//! What Prometheus is told: states are computed when they are asked for, since an age grows by
//! itself.

use crate::{
    clock::{self, RunClock},
    drills::{DrillState, Drills},
    events::Events,
    groups::{
        Group, Groups,
        status::{HealthLevel, ReplicationState},
    },
    jobs::{JobKind, Jobs},
    placements::Placements,
    schedules::Schedules,
    views::Views,
};
use bcdr_format::Position;
use prometheus::{
    GaugeVec, Opts,
    core::{Collector, Desc},
    proto::MetricFamily,
};
use std::sync::{Arc, Mutex, PoisonError};

const DRILL_STATES: [&str; 5] = ["none", "preparing", "running", "cleaning", "cleanup_failed"];

/// The gauges of one collection; made anew in each, so that what went away is gone.
struct Gauges {
    all: Vec<GaugeVec>,
}

/// Names, help texts and labels, in the order of [`Slot`].
const GAUGES: [(&str, &str, &[&str]); 21] = [
    (
        "bcdr_group_rpo_seconds",
        "Age of the newest point, measured; absent when it is not known.",
        &["group"],
    ),
    (
        "bcdr_group_rpo_known",
        "1 when the age of the newest point is known.",
        &["group"],
    ),
    (
        "bcdr_group_state",
        "1 for the state each axis is in.",
        &["group", "axis", "state"],
    ),
    (
        "bcdr_group_health",
        "1 for the level of health.",
        &["group", "level"],
    ),
    (
        "bcdr_group_lag_records",
        "Records between two positions of one incarnation.",
        &["group", "from", "to"],
    ),
    ("bcdr_points_retained", "Recovery points kept.", &["group"]),
    ("bcdr_batches_retained", "Batches kept.", &["group"]),
    (
        "bcdr_volume_size_bytes",
        "Size of a protected volume.",
        &["group", "volume"],
    ),
    (
        "bcdr_volume_written_bytes",
        "Bytes written by the application since its capture started.",
        &["group", "volume"],
    ),
    (
        "bcdr_journal_bytes",
        "Bytes of the capture's journal in use.",
        &["group"],
    ),
    (
        "bcdr_journal_capacity_bytes",
        "Bytes of the capture's journal.",
        &["group"],
    ),
    (
        "bcdr_gateway_spooled_bytes",
        "Bytes that wait in the gateway's spool.",
        &["group"],
    ),
    (
        "bcdr_transport_connected",
        "1 when the peer is connected.",
        &["group", "peer"],
    ),
    (
        "bcdr_log_failed_syncs",
        "Syncs of the log that failed since it was opened.",
        &["group"],
    ),
    ("bcdr_jobs_running", "Jobs that have not ended.", &["type"]),
    (
        "bcdr_drill_cleanup_pending",
        "1 when a drill may have left something.",
        &["group"],
    ),
    (
        "bcdr_group_last_drill_success_timestamp_seconds",
        "When a drill last passed.",
        &["group"],
    ),
    (
        "bcdr_group_last_drill_rto_seconds",
        "Seconds from request to login in the last drill that passed.",
        &["group"],
    ),
    (
        "bcdr_drill_overdue",
        "1 when a drill that passed is missing by the group's schedule; absent without one.",
        &["group"],
    ),
    ("bcdr_views_open", "Views that are open.", &["state"]),
    (
        "bcdr_event_streams",
        "Clients that follow the events of the API.",
        &[],
    ),
];

/// Which gauge is meant.
#[derive(Clone, Copy)]
enum Slot {
    Rpo,
    RpoKnown,
    State,
    Health,
    Lag,
    Points,
    Batches,
    VolumeSize,
    VolumeWritten,
    Journal,
    JournalCapacity,
    Spooled,
    Connected,
    FailedSyncs,
    JobsRunning,
    CleanupPending,
    DrillSuccess,
    DrillRto,
    DrillOverdue,
    Views,
    EventStreams,
}

impl Gauges {
    fn new() -> prometheus::Result<Self> {
        let gauge = |(name, help, labels): (&str, &str, &[&str])| {
            GaugeVec::new(Opts::new(name, help), labels)
        };
        let all = GAUGES.into_iter().map(gauge).collect::<Result<_, _>>()?;
        Ok(Self { all })
    }

    fn set(&self, slot: Slot, labels: &[&str], value: f64) {
        self.all[slot as usize].with_label_values(labels).set(value);
    }

    fn reset(&self) {
        self.all.iter().for_each(GaugeVec::reset);
    }
}

/// Whose state is shown.
pub(crate) struct StateParts {
    pub(crate) groups: Arc<Groups>,
    pub(crate) placements: Arc<Placements>,
    pub(crate) drills: Arc<Drills>,
    pub(crate) jobs: Arc<Jobs>,
    pub(crate) views: Arc<Views>,
    pub(crate) schedules: Arc<Schedules>,
    pub(crate) events: Arc<Events>,
    pub(crate) clock: RunClock,
}

/// Computes the state of all groups when it is asked.
pub(crate) struct StateCollector {
    parts: StateParts,
    gauges: Mutex<Gauges>,
}

impl StateCollector {
    /// A collector over these.
    ///
    /// # Errors
    /// When a gauge cannot be made, which its name decides.
    pub(crate) fn new(parts: StateParts) -> prometheus::Result<Self> {
        Ok(Self {
            parts,
            gauges: Mutex::new(Gauges::new()?),
        })
    }

    fn group(&self, gauges: &Gauges, group: &Group) {
        let name = group.record().name.as_str();
        let axis = self.parts.drills.axis(group.id());
        let cleanup_failed = axis.leftover.is_some();
        let now = clock::wall();
        let placement = self.parts.placements.state(group.id());
        let overdue = self
            .parts
            .schedules
            .overdue_since(group.id(), axis.last_passed, now);
        group.with_known(&self.parts.clock, cleanup_failed, |known, stored, link| {
            gauges.set(Slot::RpoKnown, &[name], flag(known.age.is_some()));
            if let Some(age) = known.age {
                gauges.set(Slot::Rpo, &[name], age.as_secs_f64());
            }
            let replication = known.replication();
            for state in ReplicationState::ALL {
                let labels = [name, "replication", state.name()];
                gauges.set(Slot::State, &labels, flag(state == replication.state));
            }
            let drill = drill_state(axis.state);
            for state in DRILL_STATES {
                gauges.set(Slot::State, &[name, "drill", state], flag(state == drill));
            }
            let health = known.health(&replication, placement).overdue(overdue).level;
            for level in HealthLevel::ALL {
                gauges.set(Slot::Health, &[name, level.name()], flag(level == health));
            }
            gauges.set(Slot::Points, &[name], stored.points as f64);
            gauges.set(Slot::Batches, &[name], stored.batches as f64);
            gauges.set(Slot::FailedSyncs, &[name], stored.failed_syncs as f64);
            gauges.set(
                Slot::Connected,
                &[name, "gateway"],
                flag(link.gateway.is_some()),
            );
            gauges.set(
                Slot::Connected,
                &[name, "capture"],
                flag(known.report.is_some()),
            );
            let sequenced = known.report.map(|report| report.sequenced);
            let settled = known.report.and_then(|report| report.settled);
            let published = stored.published.map(|point| point.id.0);
            for (from, to, ahead, behind) in [
                ("sequenced", "settled", sequenced, settled),
                ("settled", "durable", settled, stored.held),
                ("durable", "published", stored.held, published),
            ] {
                if let Some(lag) = lag(ahead, behind) {
                    gauges.set(Slot::Lag, &[name, from, to], lag);
                }
            }
            if let Some(told) = &link.capture {
                gauges.set(Slot::Spooled, &[name], told.spooled_bytes as f64);
            }
            if let Some(report) = known.report {
                gauges.set(Slot::Journal, &[name], report.journal_used_bytes as f64);
                let capacity = report.journal_capacity_bytes as f64;
                gauges.set(Slot::JournalCapacity, &[name], capacity);
                for volume in &report.volumes {
                    if let Some(volume_name) = group.volume_name(volume.id) {
                        let labels = [name, volume_name];
                        gauges.set(Slot::VolumeWritten, &labels, volume.written_bytes as f64);
                    }
                }
            }
        });
        for volume in &group.record().volumes {
            if let Some(size) = volume.size_bytes {
                gauges.set(Slot::VolumeSize, &[name, &volume.name], size as f64);
            }
        }
        if self.parts.schedules.get(group.id()).is_some() {
            gauges.set(Slot::DrillOverdue, &[name], flag(overdue.is_some()));
        }
        gauges.set(Slot::CleanupPending, &[name], flag(cleanup_failed));
        if let Some(passed) = axis.last_passed {
            gauges.set(Slot::DrillSuccess, &[name], passed.as_second() as f64);
        }
        if let Some(seconds) = axis.last_recovery_seconds {
            gauges.set(Slot::DrillRto, &[name], seconds);
        }
    }
}

impl Collector for StateCollector {
    fn desc(&self) -> Vec<&Desc> {
        // The registry wants references that outlive a lock, so they are made once and kept.
        static DESCRIPTIONS: std::sync::OnceLock<Vec<Desc>> = std::sync::OnceLock::new();
        let made = DESCRIPTIONS.get_or_init(|| {
            let gauges = self.gauges.lock().unwrap_or_else(PoisonError::into_inner);
            gauges
                .all
                .iter()
                .flat_map(|gauge| gauge.desc().into_iter().cloned())
                .collect()
        });
        made.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let gauges = self.gauges.lock().unwrap_or_else(PoisonError::into_inner);
        gauges.reset();
        for group in self.parts.groups.all() {
            self.group(&gauges, &group);
        }
        for kind in [JobKind::CreatePoint, JobKind::Drill, JobKind::Readiness] {
            gauges.set(
                Slot::JobsRunning,
                &[kind.name()],
                self.parts.jobs.running(kind) as f64,
            );
        }
        let views = self.parts.views.all();
        let failed = views.iter().filter(|view| view.failure.is_some()).count();
        gauges.set(Slot::Views, &["open"], (views.len() - failed) as f64);
        gauges.set(Slot::Views, &["failed"], failed as f64);
        gauges.set(
            Slot::EventStreams,
            &[],
            self.parts.events.followers() as f64,
        );
        gauges.all.iter().flat_map(Collector::collect).collect()
    }
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn drill_state(state: Option<DrillState>) -> &'static str {
    match state {
        Some(DrillState::Queued | DrillState::Preparing) => "preparing",
        Some(DrillState::Running) => "running",
        Some(DrillState::Cleaning) => "cleaning",
        Some(DrillState::CleanupFailed) => "cleanup_failed",
        _ => "none",
    }
}

/// Records between two positions; only positions of one incarnation can be subtracted.
fn lag(ahead: Option<Position>, behind: Option<Position>) -> Option<f64> {
    let (ahead, behind) = (ahead?, behind?);
    (ahead.ordinal == behind.ordinal)
        .then(|| ahead.sequence.0.saturating_sub(behind.sequence.0) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bcdr_format::{IncarnationOrdinal, Sequence};

    #[test]
    fn lag_is_known_within_one_incarnation_only() {
        let at = |ordinal, sequence| {
            Some(Position::new(
                IncarnationOrdinal(ordinal),
                Sequence(sequence),
            ))
        };
        assert_eq!(lag(at(1, 9), at(1, 4)), Some(5.0));
        assert_eq!(lag(at(1, 4), at(1, 9)), Some(0.0));
        assert_eq!(lag(at(2, 9), at(1, 4)), None);
        assert_eq!(lag(None, at(1, 4)), None);
    }

    #[test]
    fn every_slot_has_its_gauge() {
        let gauges = Gauges::new().unwrap();
        let last = Slot::EventStreams as usize;
        assert_eq!(last + 1, GAUGES.len());
        gauges.set(Slot::Views, &["open"], 1.0);
        gauges.set(Slot::EventStreams, &[], 1.0);
        gauges.set(Slot::Lag, &["g", "a", "b"], 1.0);
        gauges.set(Slot::DrillRto, &["g"], 1.0);
    }
}
