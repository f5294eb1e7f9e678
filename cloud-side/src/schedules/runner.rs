//! Starts the drills that are due.

use super::{PointChoice, Schedule, cadence::Decision};
use crate::{
    audit::{self, Deed},
    clock,
    idempotency::Attempt,
    offload::offload,
    points::{Instant, resolve},
    record_id::DrillId,
    service::Service,
};
use bcdr_format::Timestamp;
use std::{sync::Arc, time::Duration};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often the calendar is looked at.
const TICK: Duration = Duration::from_secs(1);
/// How often what was measured is written, and missing reports are tried again, in looks.
const WRITE_EVERY: u64 = 60;
/// The first looks of a process, at each of which missing reports are tried: the stores open
/// meanwhile.
const FIRST_LOOKS: u64 = 10;

/// Measures recovery points, starts the drills that are due and makes up for reports that are
/// missing, until `shutdown`.
pub(crate) async fn run(service: Arc<Service>, shutdown: CancellationToken) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ticks: u64 = 0;
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = shutdown.cancelled() => break,
        }
        let now = clock::wall();
        let sampled = service.rpo.sample(&service.groups, &service.clock, now);
        if let Err(error) = sampled.await {
            tracing::warn!(%error, "the age of the points could not be entered");
        }
        look(&service, now).await;
        let write = ticks.is_multiple_of(WRITE_EVERY);
        if write && let Err(error) = service.rpo.write().await {
            tracing::warn!(%error, "the history of the recovery points could not be written");
        }
        if write || ticks < FIRST_LOOKS {
            service.drills.make_up_reports(&service.groups).await;
        }
        ticks = ticks.saturating_add(1);
    }
    if let Err(error) = service.rpo.write().await {
        tracing::warn!(%error, "the history of the recovery points could not be written");
    }
}

/// Looks at the calendar once.
pub(crate) async fn look(service: &Service, now: Timestamp) {
    for (schedule, decision) in service.schedules.due(now) {
        // Starting the ones before took time, in which it may have been removed or set anew.
        let held = service.schedules.get(schedule.group);
        if held.is_none_or(|held| held.set_at != schedule.set_at) {
            continue;
        }
        let done = match decision {
            Decision::Wait { .. } => continue,
            Decision::Forget { decided } => {
                tracing::warn!(group = %schedule.group, "the clock came back: the drill calendar counts from now");
                service.schedules.decided(&schedule, decided, None).await
            }
            Decision::Start { occurrence } => {
                match start(service, &schedule, occurrence, now).await {
                    Ok(drill) => {
                        service
                            .schedules
                            .decided(&schedule, occurrence, drill)
                            .await
                    }
                    Err(trouble) => {
                        tracing::warn!(group = %schedule.group, trouble, "a scheduled drill could not be started; it is tried again");
                        service.schedules.failed(&schedule, now, trouble);
                        continue;
                    }
                }
            }
        };
        if let Err(error) = done {
            tracing::error!(group = %schedule.group, %error, "what the drill calendar decided could not be kept");
            service.schedules.failed(&schedule, now, error.to_string());
        }
    }
}

/// Starts the drill of an occurrence. None: it was started before, by a process that was killed
/// before it noted that.
async fn start(
    service: &Service,
    schedule: &Schedule,
    occurrence: Timestamp,
    now: Timestamp,
) -> Result<Option<DrillId>, String> {
    let group = service
        .groups
        .get(schedule.group)
        .ok_or("the group is not served")?;
    let instant = match schedule.point {
        PointChoice::Latest => Instant::Latest,
        PointChoice::Age { seconds } => {
            let age = i64::try_from(seconds)
                .unwrap_or(i64::MAX)
                .saturating_mul(1_000_000);
            Instant::At(clock::readable(Timestamp(now.0.saturating_sub(age))))
        }
    };
    let key = format!("{}/{}/{}", schedule.group, schedule.set_at.0, occurrence.0);
    let begun = service
        .idempotency
        .begin("drill_schedule", Some(&key), &schedule.group);
    let first = match begun.await.map_err(|error| error.to_string())? {
        Attempt::First(first) => first,
        Attempt::Repeated(job) => {
            let job = service.jobs.get(job).await;
            return Ok(job
                .map_err(|error| error.to_string())?
                .and_then(|job| job.drill));
        }
    };
    let (catalog, lineage) = (Arc::clone(&service.catalog), group.lineage());
    let row = offload(move || resolve(&catalog, lineage, &instant))
        .await
        .map_err(|error| error.to_string())?
        .ok_or("the group has no such recovery point yet")?;
    let settings = schedule.settings.clone().unwrap_or_default();
    let deed = Deed {
        by: "drill calendar",
        action: "start_drill",
        object: audit::object("group", &group.record().name),
        detail: format!("due since {}", clock::readable(occurrence)),
    };
    let began = service.audit.system_begins(&deed).await;
    let started = service
        .drills
        .start(&group, &row, settings, schedule.hold_seconds, first);
    let started = started.await.map_err(|error| error.to_string());
    let failure = started.as_ref().err().cloned();
    service.audit.system_ended(&deed, began, failure).await;
    let (record, _) = started?;
    tracing::info!(group = %group.record().name, drill = %record.id, "a scheduled drill was started");
    Ok(Some(record.id))
}
