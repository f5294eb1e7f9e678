use super::*;
use crate::recovery::PlacementState;
use bcdr_format::{IncarnationOrdinal, Position, Sequence, SyncId};

fn report(tracking: Tracking) -> CaptureReport {
    CaptureReport {
        at: Timestamp(1),
        standing: bcdr_wire::order::Standing {
            generation: bcdr_format::Generation::default(),
            order: bcdr_wire::order::OrderNumber::ASSUMED,
            serving: bcdr_wire::order::Serving::Writable,
            task: None,
        },
        tracking,
        sequenced: Position::new(IncarnationOrdinal(1), Sequence(9)),
        settled: None,
        journaled: None,
        journal_used_bytes: 1,
        journal_capacity_bytes: 2,
        volumes: Vec::new(),
    }
}

fn connected<'a>(report: &'a CaptureReport) -> Known<'a> {
    Known {
        received_anything: true,
        gateway_since: Some(Timestamp(5)),
        gateway_gone_since: Timestamp(0),
        capture_told: true,
        capture_since: Some(Timestamp(6)),
        report: Some(report),
        open_syncs: &[],
        forks: &[],
        initial_sync_done: true,
        obstacle: None,
        age: Some(Duration::from_secs(1)),
        unreadable: None,
        cleanup_failed: false,
        unfollowed: &[],
    }
}

const AT_SOURCE: Option<PlacementState> = Some(PlacementState::SourceActive);

fn judge(known: &Known<'_>) -> (ReplicationState, HealthLevel) {
    let replication = known.replication();
    let health = known.health(&replication, AT_SOURCE);
    (replication.state, health.level)
}

#[test]
fn everything_known_and_good_is_ok() {
    let report = report(Tracking::Continuous);
    let known = connected(&report);
    assert_eq!(
        judge(&known),
        (ReplicationState::Continuous, HealthLevel::Ok)
    );
    assert_eq!(known.marker_obstacle(), None);
}

#[test]
fn unknown_is_never_ok() {
    let report = report(Tracking::Continuous);
    let no_point = Known {
        age: None,
        ..connected(&report)
    };
    assert_eq!(judge(&no_point).1, HealthLevel::Unknown);
    let untold = Known {
        capture_told: false,
        report: None,
        ..connected(&report)
    };
    assert_eq!(
        judge(&untold),
        (ReplicationState::Disconnected, HealthLevel::Unknown)
    );
}

#[test]
fn who_is_missing_is_named() {
    let report = report(Tracking::Continuous);
    let gateway_gone = Known {
        gateway_since: None,
        gateway_gone_since: Timestamp(7_000_000),
        ..connected(&report)
    };
    let shown = gateway_gone.replication();
    assert_eq!(shown.state, ReplicationState::Disconnected);
    assert_eq!(shown.since.unwrap().as_second(), 7);
    assert_eq!(
        gateway_gone.marker_obstacle(),
        Some(MarkerObstacle::NotConnected)
    );
    let never = Known {
        received_anything: false,
        ..gateway_gone
    };
    assert_eq!(
        judge(&never),
        (ReplicationState::Unprotected, HealthLevel::Critical)
    );
    let capture_gone = Known {
        report: None,
        ..connected(&report)
    };
    let shown = capture_gone.replication();
    assert_eq!(shown.state, ReplicationState::Disconnected);
    assert!(shown.reason.unwrap().contains("capture"));
    assert_eq!(
        capture_gone.marker_obstacle(),
        Some(MarkerObstacle::NotConnected)
    );
}

#[test]
fn copies_show_their_progress_and_hold_bookmarks_back() {
    let syncing = report(Tracking::Syncing {
        reason: SyncReason::Initial,
        done_bytes: 3,
        total_bytes: 10,
    });
    let initial = Known {
        initial_sync_done: false,
        age: None,
        ..connected(&syncing)
    };
    let shown = initial.replication();
    assert_eq!(shown.state, ReplicationState::InitialSync);
    assert_eq!(
        shown.progress,
        Some(SyncProgress {
            done_bytes: 3,
            total_bytes: 10
        })
    );
    assert_eq!(initial.marker_obstacle(), Some(MarkerObstacle::Syncing));
    let open = [OpenSync {
        sync: SyncId::from_u128(1),
        reason: SyncReason::Killed,
        begun_in: IncarnationOrdinal(2),
    }];
    let later = report(Tracking::Continuous);
    let rescan = Known {
        open_syncs: &open,
        ..connected(&later)
    };
    assert_eq!(
        judge(&rescan),
        (ReplicationState::CatchingUp, HealthLevel::Warning)
    );
    assert_eq!(rescan.marker_obstacle(), Some(MarkerObstacle::Syncing));
}

#[test]
fn an_old_point_an_obstacle_and_untracked_writes_are_not_continuous() {
    let fine = report(Tracking::Continuous);
    let old = Known {
        age: Some(Duration::from_secs(60)),
        ..connected(&fine)
    };
    assert_eq!(
        judge(&old),
        (ReplicationState::CatchingUp, HealthLevel::Warning)
    );
    let full = Known {
        obstacle: Some("no space"),
        ..connected(&fine)
    };
    assert_eq!(
        judge(&full),
        (ReplicationState::Stalled, HealthLevel::Critical)
    );
    let untracked = report(Tracking::Untracked {
        since: Timestamp(3_000_000),
        reason: "the journal is full".to_owned(),
    });
    let known = connected(&untracked);
    let shown = known.replication();
    assert_eq!(shown.state, ReplicationState::Stalled);
    assert_eq!(shown.since.unwrap().as_second(), 3);
    assert_eq!(known.health(&shown, AT_SOURCE).level, HealthLevel::Critical);
    assert_eq!(known.marker_obstacle(), Some(MarkerObstacle::Syncing));
}

#[test]
fn a_replica_that_cannot_be_read_is_critical_though_it_goes_on_growing() {
    let report = report(Tracking::Continuous);
    let damaged = Known {
        unreadable: Some("the chunk at byte 7 of log segment 1 is damaged"),
        ..connected(&report)
    };
    let (state, level) = judge(&damaged);
    assert_eq!(
        (state, level),
        (ReplicationState::Continuous, HealthLevel::Critical)
    );
    let health = damaged.health(&damaged.replication(), AT_SOURCE);
    assert_eq!(health.reasons[0].code, "replica_damaged");
    assert!(health.reasons[0].detail.contains("byte 7"));
}

#[test]
fn a_volume_that_is_not_followed_is_named_while_all_else_is_well() {
    let report = report(Tracking::Continuous);
    let partly = Known {
        unfollowed: &["data", "log"],
        ..connected(&report)
    };
    assert_eq!(
        judge(&partly),
        (ReplicationState::Continuous, HealthLevel::Warning)
    );
    let health = partly.health(&partly.replication(), AT_SOURCE);
    assert_eq!(health.reasons.len(), 1);
    assert_eq!(health.reasons[0].code, "volume_not_followed");
    let detail = &health.reasons[0].detail;
    assert!(
        detail.contains("volumes data, log: unprotected"),
        "{detail}"
    );
}

#[test]
fn what_the_source_does_says_nothing_of_production_elsewhere() {
    let report = report(Tracking::Continuous);
    let late = Known {
        age: Some(Duration::from_secs(600)),
        ..connected(&report)
    };
    let gone = Known {
        gateway_since: None,
        ..connected(&report)
    };
    let codes = |known: &Known<'_>, state| {
        let health = known.health(&known.replication(), state);
        let codes: Vec<_> = health.reasons.iter().map(|one| one.code.clone()).collect();
        (health.level, codes.join(" "))
    };
    let (warning, critical) = (HealthLevel::Warning, HealthLevel::Critical);
    let at_target = (warning, "production_at_target".to_owned());
    for (state, of_late, of_gone) in [
        (
            PlacementState::SourceActive,
            (warning, "catching_up"),
            (critical, "disconnected"),
        ),
        (
            PlacementState::FailingOver,
            (warning, "catching_up production_being_moved"),
            (critical, "disconnected production_being_moved"),
        ),
        (
            PlacementState::SourceUncommitted,
            (warning, "catching_up"),
            (critical, "disconnected"),
        ),
        (
            PlacementState::FailingBack,
            (warning, "production_being_moved"),
            (warning, "production_being_moved"),
        ),
        (
            PlacementState::RollingBack,
            (warning, "production_being_moved"),
            (warning, "production_being_moved"),
        ),
        (
            PlacementState::SplitBrainSuspected,
            (critical, "split_brain_suspected"),
            (critical, "split_brain_suspected"),
        ),
    ] {
        let words = |(level, code): (HealthLevel, &str)| (level, code.to_owned());
        assert_eq!(codes(&late, Some(state)), words(of_late), "{state:?}");
        assert_eq!(codes(&gone, Some(state)), words(of_gone), "{state:?}");
    }
    for state in [
        PlacementState::TargetUncommitted,
        PlacementState::TargetActive,
    ] {
        assert_eq!(codes(&late, Some(state)), at_target, "{state:?}");
        assert_eq!(codes(&gone, Some(state)), at_target, "{state:?}");
        let health = late.health(&late.replication(), Some(state));
        let detail = &health.reasons[0].detail;
        assert!(detail.contains("unprotected until"), "{detail}");
    }
    // Home is where the writes go then, and it has to be there.
    for state in [PlacementState::Reversing, PlacementState::ReverseProtected] {
        assert_eq!(codes(&late, Some(state)), at_target, "{state:?}");
        let both = (warning, "production_at_target disconnected".to_owned());
        assert_eq!(codes(&gone, Some(state)), both, "{state:?}");
        let just_back = Known {
            capture_told: false,
            report: None,
            ..connected(&report)
        };
        assert_eq!(codes(&just_back, Some(state)), at_target, "{state:?}");
    }
    let unknown = (HealthLevel::Unknown, "placement_unknown".to_owned());
    assert_eq!(codes(&connected(&report), None), unknown);
}
