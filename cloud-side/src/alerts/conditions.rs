//! What of the facts is a condition, and whether it holds. Pure, but for what was seen before.
//!
//! Invariant: every condition of every object is named at each look; what cannot be judged from the
//! facts is unknown, never well.

mod way;

use super::{
    config::AlertsConfig,
    facts::{Facts, GroupFacts},
};
use crate::{
    clock,
    groups::status::ReplicationState,
    recovery::{CommitPolicy, PlacementJob, Stage, Step},
};
use bcdr_alert::{
    AlertCode, ChannelRecord, Condition, Filling, Judged, Now, Object, ObjectKind, Sample, Severity,
};
use bcdr_format::{GroupId, Timestamp};
use bcdr_readiness::Readiness;
use bcdr_wire::feed::{CaptureReport, Tracking};
use std::{collections::HashMap, time::Duration};
use way::{Way, at_source};

const MINUTE: Duration = Duration::from_secs(60);
/// A journal that is full sooner than this is told of.
const FULL_SOON: Duration = Duration::from_secs(30 * 60);
/// And if sooner than this, as critical.
const FULL_VERY_SOON: Duration = Duration::from_secs(10 * 60);
/// Per cent of a journal in use, whatever the forecast says.
const JOURNAL_PERCENT: (u64, u64) = (85, 95);
/// An automatic decision that comes sooner than this is critical.
const DECISION_SOON: Duration = Duration::from_secs(15 * 60);
/// Clocks may differ by this, in microseconds.
const SKEW_MAX: i64 = 30_000_000;
/// A report that is older than this says nothing of the clock.
const REPORT_FRESH: Duration = Duration::from_secs(15);
const DAY_MICROSECONDS: i64 = 86_400_000_000;
/// Days before its end in which a certificate is told of, and as critical.
const CERTIFICATE_DAYS: (i64, i64) = (14, 3);
/// A channel that takes nothing for this long is told of.
const CHANNEL_FAILING: Duration = Duration::from_secs(15 * 60);

/// What was seen of one group's source before.
#[derive(Debug, Default)]
struct Seen {
    journal: Filling,
    /// The last report, by its own time, when it came, and how far it was from our clock then.
    clock: Option<(Timestamp, Duration, i64)>,
}

/// Judges conditions, and remembers what forecasts need.
#[derive(Debug, Default)]
pub(super) struct Observer {
    groups: HashMap<GroupId, Seen>,
}

fn is(detail: impl Into<String>) -> Judged {
    Judged::Is {
        severity: None,
        detail: detail.into(),
    }
}

fn is_this_bad(severity: Severity, detail: impl Into<String>) -> Judged {
    Judged::Is {
        severity: Some(severity),
        detail: detail.into(),
    }
}

fn unknown(why: impl Into<String>) -> Judged {
    Judged::Unknown { why: why.into() }
}

fn when(holds: bool, detail: impl FnOnce() -> String) -> Judged {
    if holds { is(detail()) } else { Judged::IsNot }
}

/// A time for people: whole minutes above two, seconds below.
fn span(time: Duration) -> String {
    if time >= 2 * MINUTE {
        format!("{} min", time.as_secs() / 60)
    } else {
        format!("{} s", time.as_secs())
    }
}

impl Observer {
    /// All conditions. `was` says whether an alert is active, for those that end later than they begin.
    pub(super) fn conditions(
        &mut self,
        facts: &Facts,
        config: &AlertsConfig,
        was: impl Fn(AlertCode, ObjectKind, &str) -> bool,
    ) -> Vec<Condition> {
        let mut all = Vec::new();
        for group in &facts.groups {
            let breached = was(
                AlertCode::RpoBreach,
                ObjectKind::Group,
                &group.id.to_string(),
            );
            let seen = self.groups.entry(group.id).or_default();
            seen.look(group, facts.now);
            let target = config.rpo_target(&group.name);
            let judged = [
                (
                    AlertCode::RpoBreach,
                    rpo(group, target, breached, facts.now),
                ),
                (AlertCode::Stalled, stalled(group)),
                (AlertCode::Disconnected, disconnected(group)),
                (AlertCode::Untracked, untracked(group)),
                (AlertCode::Unprotected, unprotected(group)),
                (AlertCode::JournalFilling, journal(group, &seen.journal)),
                (AlertCode::DrillOverdue, drill_overdue(group)),
                (AlertCode::CleanupPending, cleanup(group)),
                (AlertCode::CommitPending, commit_pending(group)),
                (AlertCode::SplitBrainSuspected, split_brain(group)),
                (AlertCode::PlacementBlocked, blocked(group)),
                (AlertCode::ReadinessFailed, readiness(group)),
                (AlertCode::ReplicaDamaged, damaged(group)),
                (AlertCode::ClockSkew, seen.skew(group, facts.now)),
                (AlertCode::ReportOwed, owed(facts, group.id)),
            ];
            let object = Object {
                kind: ObjectKind::Group,
                id: group.id.to_string(),
                name: group.name.clone(),
            };
            all.extend(judged.map(|(code, judged)| Condition {
                code,
                object: object.clone(),
                judged,
            }));
            all.extend(volumes(group));
        }
        let known: Vec<_> = facts.groups.iter().map(|group| group.id).collect();
        self.groups.retain(|id, _| known.contains(id));
        all.push(space(facts));
        all.extend(certificates(facts));
        let channels = facts.channels.iter();
        all.extend(channels.map(|channel| delivery(channel, facts.now)));
        all
    }
}

impl Seen {
    fn look(&mut self, group: &GroupFacts, now: Now) {
        let Some(report) = &group.report else {
            self.journal.forget();
            return;
        };
        self.journal.add(Sample {
            at: now.monotonic,
            used: report.journal_used_bytes,
            capacity: report.journal_capacity_bytes,
        });
        if self.clock.is_none_or(|(last, ..)| last != report.at) {
            let off = now.wall.0.saturating_sub(report.at.0);
            self.clock = Some((report.at, now.monotonic, off));
        }
    }

    fn skew(&self, group: &GroupFacts, now: Now) -> Judged {
        let fresh = self
            .clock
            .filter(|(_, came, _)| now.monotonic.saturating_sub(*came) < REPORT_FRESH);
        match (&group.report, fresh) {
            (Some(_), Some((_, _, off))) => when(off.abs() > SKEW_MAX, || {
                let way = if off > 0 { "behind" } else { "ahead of" };
                format!(
                    "the source's clock is {} s {way} ours",
                    off.abs() / 1_000_000
                )
            }),
            _ => unknown("no report came from the source just now"),
        }
    }
}

fn report(group: &GroupFacts) -> Result<&CaptureReport, Judged> {
    group
        .report
        .as_ref()
        .ok_or_else(|| unknown("the source's capture is not connected"))
}

fn rpo(group: &GroupFacts, target: Duration, breached: bool, now: Now) -> Judged {
    // What was late once is well again only when it is clearly so.
    let limit = if breached { target * 4 / 5 } else { target };
    match way::of(group.placement.as_ref()) {
        Err(judged) => judged,
        Ok(Way::Home(job)) => match way::home_age(job, now) {
            Err(judged) => judged,
            Ok(age) if age > limit => way::home_is_late(job, age, target),
            Ok(_) => Judged::IsNot,
        },
        Ok(Way::Here) => {
            let Some(age) = group.age else {
                return unknown("no point has been published yet, so its age is unknown");
            };
            when(age > limit, || {
                format!(
                    "the newest point is {} old; the target is {}",
                    span(age),
                    span(target)
                )
            })
        }
    }
}

fn stalled(group: &GroupFacts) -> Judged {
    if let Err(judged) = at_source(group.placement.as_ref()) {
        return judged;
    }
    group
        .obstacle
        .as_ref()
        .map_or(Judged::IsNot, |obstacle| is(obstacle.clone()))
}

fn disconnected(group: &GroupFacts) -> Judged {
    let way = match way::of(group.placement.as_ref()) {
        Ok(way) => way,
        Err(judged) => return judged,
    };
    match group.replication.state {
        ReplicationState::Stalled if group.obstacle.is_some() => {
            unknown("the store takes no data, so whoever delivers is sent away")
        }
        ReplicationState::Disconnected if group.gateway_connected && !group.capture_told => {
            unknown("the gateway has just connected and has not told yet how the source is")
        }
        ReplicationState::Disconnected => match way {
            Way::Here => is(words(group)),
            Way::Home(_) => is_this_bad(
                Severity::Warning,
                format!(
                    "home cannot follow production at the target: {}",
                    words(group)
                ),
            ),
        },
        _ => Judged::IsNot,
    }
}

fn words(group: &GroupFacts) -> String {
    let replication = &group.replication;
    let reason = replication.reason.clone().unwrap_or_default();
    match replication.since {
        Some(since) => format!("{reason}, since {since}"),
        None => reason,
    }
}

fn untracked(group: &GroupFacts) -> Judged {
    if let Err(judged) = at_source(group.placement.as_ref()) {
        return judged;
    }
    match report(group) {
        Ok(report) => match &report.tracking {
            Tracking::Untracked { since, reason } => {
                is(format!("{reason}, since {}", clock::readable(*since)))
            }
            _ => Judged::IsNot,
        },
        Err(judged) => judged,
    }
}

fn unprotected(group: &GroupFacts) -> Judged {
    if let Some(judged) = way::is_followed_by_nothing(group.placement.as_ref()) {
        return judged;
    }
    when(
        group.replication.state == ReplicationState::Unprotected,
        || words(group),
    )
}

fn volumes(group: &GroupFacts) -> impl Iterator<Item = Condition> + '_ {
    group.volumes.iter().map(|volume| Condition {
        code: AlertCode::Unprotected,
        object: Object {
            kind: ObjectKind::Volume,
            id: volume.id.clone(),
            name: format!("{}/{}", group.name, volume.name),
        },
        judged: if group.received_anything {
            when(!volume.is_followed, || {
                "the capture of its group does not serve it; add it to the capture's configuration"
                    .to_owned()
            })
        } else {
            unknown("nothing was ever received for its group")
        },
    })
}

fn journal(group: &GroupFacts, filling: &Filling) -> Judged {
    let report = match report(group) {
        Ok(report) if report.journal_capacity_bytes > 0 => report,
        Ok(_) => return unknown("the capture did not say how large its journal is"),
        Err(judged) => return judged,
    };
    let (used, capacity) = (report.journal_used_bytes, report.journal_capacity_bytes);
    let percent = u64::try_from(u128::from(used) * 100 / u128::from(capacity)).unwrap_or(100);
    let full_in = filling.full_in();
    let sooner = |than: Duration| full_in.is_some_and(|full_in| full_in < than);
    if percent < JOURNAL_PERCENT.0 && !sooner(FULL_SOON) {
        return Judged::IsNot;
    }
    let severity = if percent >= JOURNAL_PERCENT.1 || sooner(FULL_VERY_SOON) {
        Severity::Critical
    } else {
        Severity::Warning
    };
    let forecast = full_in.map_or(String::new(), |full_in| {
        format!("; it is full in {} if it goes on like this", span(full_in))
    });
    let detail =
        format!("{used} of {capacity} bytes ({percent} %) of the journal are in use{forecast}");
    is_this_bad(severity, detail)
}

fn drill_overdue(group: &GroupFacts) -> Judged {
    let Some(since) = group.overdue_since else {
        return Judged::IsNot;
    };
    is(format!("overdue since {}", clock::readable(since)))
}

fn cleanup(group: &GroupFacts) -> Judged {
    when(group.cleanup_failed, || {
        "that an earlier drill left nothing behind is not proven".to_owned()
    })
}

fn commit_pending(group: &GroupFacts) -> Judged {
    let Some(placement) = &group.placement else {
        return unknown("where production runs is being looked up");
    };
    let Some(job) = placement.job() else {
        return Judged::IsNot;
    };
    let progress = job.progress();
    if progress.step != Step::AwaitCommit || progress.stage != Stage::Waiting {
        return Judged::IsNot;
    }
    let (what, policy, countdown) = match job {
        PlacementJob::Failover(job) => ("failover", job.request.policy, job.countdown),
        PlacementJob::Failback(job) => ("failback", job.request.policy, job.countdown),
        PlacementJob::Restore(_) => return Judged::IsNot,
    };
    let by_itself = match policy {
        CommitPolicy::Manual => None,
        CommitPolicy::AutoCommit { .. } => Some("committed"),
        CommitPolicy::AutoRollback { .. } => Some("rolled back"),
    };
    match (by_itself, countdown) {
        (Some(end), Some(countdown)) => {
            let left = countdown.remaining();
            let severity = if left < DECISION_SOON {
                Severity::Critical
            } else {
                Severity::Warning
            };
            let left = span(left);
            let detail =
                format!("the {what} awaits its decision, and is {end} by itself in {left}");
            is_this_bad(severity, detail)
        }
        _ => is(format!(
            "the {what} awaits its decision; nothing happens by itself"
        )),
    }
}

fn split_brain(group: &GroupFacts) -> Judged {
    let Some(placement) = &group.placement else {
        return unknown("where production runs is being looked up");
    };
    let Some(split) = placement.split_brain() else {
        return Judged::IsNot;
    };
    is(format!(
        "suspected since {}: {}",
        clock::readable(split.since),
        match split.reason {
            crate::recovery::SplitReason::BothWritable =>
                "the source takes writes while the target is the authority",
            crate::recovery::SplitReason::NewerGeneration =>
                "the source knows a generation that was not given here",
        }
    ))
}

fn blocked(group: &GroupFacts) -> Judged {
    let Some(placement) = &group.placement else {
        return unknown("where production runs is being looked up");
    };
    let Some(job) = placement.job() else {
        return Judged::IsNot;
    };
    let progress = job.progress();
    if progress.stage != Stage::Blocked {
        return Judged::IsNot;
    }
    let step = progress.step.name();
    is(match &progress.failure {
        Some(failure) => format!("{step}: {}; {}", failure.cause, failure.remedy),
        None => format!("it is blocked in {step}"),
    })
}

fn readiness(group: &GroupFacts) -> Judged {
    match group.readiness {
        Some(Readiness::NotReady) => is("the newest point that was inspected would not boot"),
        Some(Readiness::Ready) => Judged::IsNot,
        Some(Readiness::Unknown) => unknown("the inspection could not say"),
        None => unknown("no inspection of a point is up to date"),
    }
}

fn damaged(group: &GroupFacts) -> Judged {
    group
        .unreadable
        .as_ref()
        .map_or(Judged::IsNot, |unreadable| is(unreadable.clone()))
}

fn owed(facts: &Facts, group: GroupId) -> Judged {
    match &facts.owed {
        Err(error) => unknown(error.clone()),
        Ok(owed) => {
            let first = owed.iter().filter(|owed| owed.group == group);
            first
                .min_by_key(|owed| owed.since)
                .map_or(Judged::IsNot, |owed| {
                    let since = clock::readable(owed.since);
                    is(format!("the report of {} is due since {since}", owed.job))
                })
        }
    }
}

fn space(facts: &Facts) -> Condition {
    let judged = match &facts.space {
        Err(error) => unknown(format!("the free space is not known: {error}")),
        Ok((space, floor)) => {
            let available = space.available_bytes;
            let detail = format!("{available} bytes are free, and {floor} are kept free");
            if available < *floor {
                is_this_bad(Severity::Critical, format!("new data is refused: {detail}"))
            } else {
                when(available < floor.saturating_add(floor / 2), || detail)
            }
        }
    };
    Condition {
        code: AlertCode::ReplicaSpaceLow,
        object: Object {
            kind: ObjectKind::Installation,
            id: "store".to_owned(),
            name: "store".to_owned(),
        },
        judged,
    }
}

fn certificates(facts: &Facts) -> impl Iterator<Item = Condition> + '_ {
    facts.certificates.iter().map(|(name, ends)| {
        let left = ends.0.saturating_sub(facts.now.wall.0);
        let severity = if left < CERTIFICATE_DAYS.1 * DAY_MICROSECONDS {
            Severity::Critical
        } else {
            Severity::Warning
        };
        let judged = if left < CERTIFICATE_DAYS.0 * DAY_MICROSECONDS {
            is_this_bad(severity, format!("it ends at {}", clock::readable(*ends)))
        } else {
            Judged::IsNot
        };
        Condition {
            code: AlertCode::CertificateExpiring,
            object: Object {
                kind: ObjectKind::Certificate,
                id: name.clone(),
                name: name.clone(),
            },
            judged,
        }
    })
}

fn delivery(channel: &ChannelRecord, now: Now) -> Condition {
    let cause = channel
        .last_failure
        .as_ref()
        .map_or("", |failure| failure.error.as_str());
    let failing = channel.failing.map(|since| since.elapsed(now));
    let judged = if channel.given_up > 0 {
        let count = channel.given_up;
        let detail = format!("{count} deliveries were given up after a day: {cause}");
        is_this_bad(Severity::Critical, detail)
    } else if failing.is_some_and(|failing| failing >= CHANNEL_FAILING) {
        let detail = format!("something that is sent is not taken for a while: {cause}");
        is_this_bad(Severity::Warning, detail)
    } else {
        Judged::IsNot
    };
    Condition {
        code: AlertCode::DeliveryFailed,
        object: Object {
            kind: ObjectKind::Channel,
            id: channel.name.clone(),
            name: channel.name.clone(),
        },
        judged,
    }
}

#[cfg(test)]
mod tests;
