use super::*;
use crate::{
    alerts::facts::VolumeFacts,
    groups::status::Replication,
    placements::Owed,
    recovery::{CommitPolicy, Placement, testing},
};
use bcdr_alert::Since;
use bcdr_disk::Space;
use bcdr_format::{Generation, IncarnationOrdinal, Position, Sequence};
use bcdr_wire::order::{OrderNumber, Serving, Standing};

const NOW: i64 = 1_800_000_000_000_000;

fn at(seconds: u64) -> Now {
    Now {
        wall: Timestamp(NOW + i64::try_from(seconds).unwrap() * 1_000_000),
        monotonic: Duration::from_secs(seconds),
    }
}

fn report_at(now: Now) -> CaptureReport {
    let end = Position::new(IncarnationOrdinal(1), Sequence(9));
    CaptureReport {
        at: now.wall,
        standing: Standing {
            generation: Generation(1),
            order: OrderNumber::ASSUMED,
            serving: Serving::Writable,
            task: None,
        },
        tracking: Tracking::Continuous,
        sequenced: end,
        settled: Some(end),
        journaled: Some(end),
        journal_used_bytes: 10,
        journal_capacity_bytes: 1000,
        volumes: Vec::new(),
    }
}

/// A group of which everything is well.
fn well(now: Now) -> GroupFacts {
    let id = GroupId::from_u128(1);
    GroupFacts {
        id,
        name: "shop".into(),
        received_anything: true,
        replication: Replication {
            state: ReplicationState::Continuous,
            reason: None,
            since: None,
            progress: None,
        },
        obstacle: None,
        gateway_connected: true,
        capture_told: true,
        report: Some(report_at(now)),
        age: Some(Duration::from_secs(2)),
        volumes: vec![VolumeFacts {
            id: "vol-1".into(),
            name: "root".into(),
            is_followed: true,
        }],
        unreadable: None,
        overdue_since: None,
        cleanup_failed: false,
        placement: Some(Placement::new(id, Generation(1))),
        readiness: Some(Readiness::Ready),
    }
}

fn facts(now: Now, group: GroupFacts) -> Facts {
    let space = Space {
        total_bytes: 1000,
        available_bytes: 900,
    };
    Facts {
        now,
        groups: vec![group],
        space: Ok((space, 100)),
        certificates: [("ship".to_owned(), Timestamp(NOW + 29 * DAY_MICROSECONDS))].into(),
        owed: Ok(Vec::new()),
        channels: Vec::new(),
    }
}

fn judged(facts: &Facts) -> HashMap<(AlertCode, ObjectKind), Judged> {
    let mut observer = Observer::default();
    let all = observer.conditions(facts, &AlertsConfig::default(), |_, _, _| false);
    all.into_iter()
        .map(|one| ((one.code, one.object.kind), one.judged))
        .collect()
}

/// What changes, of a group, when it is changed so.
fn of_group(change: impl FnOnce(&mut GroupFacts)) -> HashMap<AlertCode, Judged> {
    let mut group = well(at(0));
    change(&mut group);
    let all = judged(&facts(at(0), group));
    let own = all
        .into_iter()
        .filter(|((_, kind), judged)| *kind == ObjectKind::Group && *judged != Judged::IsNot);
    own.map(|((code, _), judged)| (code, judged)).collect()
}

fn holds(judged: Option<&Judged>, words: &str) -> bool {
    matches!(judged, Some(Judged::Is { detail, .. }) if detail.contains(words))
}

fn is_unknown(judged: Option<&Judged>) -> bool {
    matches!(judged, Some(Judged::Unknown { .. }))
}

#[test]
fn of_a_group_that_is_well_everything_is_judged_and_nothing_holds() {
    let all = judged(&facts(at(0), well(at(0))));
    // Everything but what a channel says, of which there is none here.
    let codes: std::collections::BTreeSet<_> = all.keys().map(|(code, _)| *code).collect();
    assert_eq!(codes.len(), AlertCode::ALL.len() - 1, "{codes:?}");
    for (key, judged) in all {
        assert_eq!(judged, Judged::IsNot, "{key:?}");
    }
}

#[test]
fn without_the_source_its_state_is_unknown_and_not_well() {
    let all = of_group(|group| {
        group.report = None;
        group.replication.state = ReplicationState::Disconnected;
        group.replication.reason = Some("no gateway is connected".into());
        group.gateway_connected = false;
        group.capture_told = false;
    });
    assert!(holds(all.get(&AlertCode::Disconnected), "no gateway"));
    for code in [
        AlertCode::Untracked,
        AlertCode::JournalFilling,
        AlertCode::ClockSkew,
    ] {
        assert!(is_unknown(all.get(&code)), "{code}: {all:?}");
    }
    assert_eq!(all.len(), 4, "{all:?}");
    let just = of_group(|group| {
        group.report = None;
        group.replication.state = ReplicationState::Disconnected;
        group.capture_told = false;
    });
    assert!(is_unknown(just.get(&AlertCode::Disconnected)), "{just:?}");
}

#[test]
fn each_trouble_of_a_group_is_its_own_condition() {
    let all = of_group(|group| group.obstacle = Some("the disk is full".into()));
    assert!(holds(all.get(&AlertCode::Stalled), "the disk is full"));
    let all = of_group(|group| {
        let mut report = report_at(at(0));
        report.tracking = Tracking::Untracked {
            since: at(0).wall,
            reason: "the journal is full".into(),
        };
        group.report = Some(report);
    });
    assert!(holds(all.get(&AlertCode::Untracked), "journal is full"));
    let all = of_group(|group| group.overdue_since = Some(at(0).wall));
    assert!(holds(all.get(&AlertCode::DrillOverdue), "overdue since"));
    let all = of_group(|group| group.cleanup_failed = true);
    assert!(holds(all.get(&AlertCode::CleanupPending), "not proven"));
    let all = of_group(|group| group.readiness = Some(Readiness::NotReady));
    assert!(holds(
        all.get(&AlertCode::ReadinessFailed),
        "would not boot"
    ));
    let all = of_group(|group| group.readiness = None);
    assert!(is_unknown(all.get(&AlertCode::ReadinessFailed)));
    let all = of_group(|group| group.unreadable = Some("segment 3".into()));
    assert!(holds(all.get(&AlertCode::ReplicaDamaged), "segment 3"));
    let all = of_group(|group| {
        group.replication.state = ReplicationState::Unprotected;
        group.replication.reason = Some("nothing was delivered".into());
    });
    assert!(holds(all.get(&AlertCode::Unprotected), "nothing was"));
    let all = of_group(|group| group.placement = None);
    for code in [AlertCode::CommitPending, AlertCode::RpoBreach] {
        assert!(is_unknown(all.get(&code)), "{all:?}");
    }
}

/// What is judged of a group with this placement, `seconds` after a time.
fn placed(
    placement: &Placement,
    (at, seconds): (Timestamp, u64),
    change: impl FnOnce(&mut GroupFacts),
) -> HashMap<AlertCode, Judged> {
    let now = Now {
        wall: Timestamp(at.0 + i64::try_from(seconds).unwrap() * 1_000_000),
        monotonic: Duration::from_secs(seconds),
    };
    let mut group = well(now);
    group.placement = Some(placement.clone());
    change(&mut group);
    let all = judged(&facts(now, group));
    let own = all.into_iter();
    own.filter(|((_, kind), _)| *kind == ObjectKind::Group)
        .map(|((code, _), judged)| (code, judged))
        .collect()
}

/// The severity and the words of a condition that holds.
fn said(judged: &Judged) -> (Option<Severity>, &str) {
    match judged {
        Judged::Is { severity, detail } => (*severity, detail),
        other => panic!("it does not hold: {other:?}"),
    }
}

#[test]
fn a_decision_that_is_awaited_is_told_and_the_nearer_it_comes_by_itself_the_louder() {
    let then = (Timestamp(1_000_000_000), 60);
    let judge =
        |placement: &Placement| placed(placement, then, |_| ())[&AlertCode::CommitPending].clone();
    let (none, critical) = (None, Some(Severity::Critical));
    let warning = Some(Severity::Warning);
    for (policy, severity, words) in [
        (CommitPolicy::Manual, none, "nothing happens by itself"),
        (
            CommitPolicy::AutoCommit { after_seconds: 900 },
            warning,
            "is committed by itself in 15 min",
        ),
        (
            CommitPolicy::AutoCommit { after_seconds: 899 },
            critical,
            "is committed by itself in 14 min",
        ),
        (
            CommitPolicy::AutoRollback { after_seconds: 60 },
            critical,
            "is rolled back by itself in 60 s",
        ),
    ] {
        let judged = judge(&testing::awaiting_commit(policy));
        let (told_as, detail) = said(&judged);
        assert_eq!(told_as, severity, "{policy:?}: {detail}");
        assert!(
            detail.starts_with("the failover awaits its decision") && detail.contains(words),
            "{policy:?}: {detail}"
        );
    }
    let [on_its_way, _] = testing::blocked();
    for placement in [
        testing::at_target(),
        testing::following(false).0,
        on_its_way,
    ] {
        assert_eq!(judge(&placement), Judged::IsNot);
    }
}

#[test]
fn a_move_that_is_blocked_says_in_which_step_and_why() {
    let then = (Timestamp(1_000_000_000), 60);
    let judge = |placement: &Placement| {
        placed(placement, then, |_| ())[&AlertCode::PlacementBlocked].clone()
    };
    let [before, blocked] = testing::blocked();
    assert_eq!(judge(&before), Judged::IsNot);
    let judged = judge(&blocked);
    assert_eq!(said(&judged).1, "boot_instance: it broke; mend it");
    // One that failed and is tried again by itself is not blocked.
    assert_eq!(judge(&testing::following(true).0), Judged::IsNot);
}

#[test]
fn two_sites_that_may_take_writes_are_told_with_the_reason() {
    let then = (Timestamp(1_000_000_000), 60);
    for (generation, words) in [
        (
            1,
            "the source takes writes while the target is the authority",
        ),
        (1000, "a generation that was not given here"),
    ] {
        let all = placed(&testing::split(generation), then, |_| ());
        let judged = &all[&AlertCode::SplitBrainSuspected];
        let (_, detail) = said(judged);
        assert!(
            detail.contains(words) && detail.starts_with("suspected since 1970-01-01T00:16:40Z"),
            "{detail}"
        );
        // Which way it is protected is then no question.
        for code in [AlertCode::RpoBreach, AlertCode::Disconnected] {
            assert!(is_unknown(all.get(&code)), "{code}: {all:?}");
        }
    }
    let all = placed(&testing::at_target(), then, |_| ());
    assert_eq!(all[&AlertCode::SplitBrainSuspected], Judged::IsNot);
}

#[test]
fn where_production_runs_has_to_be_known_to_judge_its_moves() {
    let all = of_group(|group| group.placement = None);
    for code in [
        AlertCode::CommitPending,
        AlertCode::PlacementBlocked,
        AlertCode::SplitBrainSuspected,
    ] {
        assert!(is_unknown(all.get(&code)), "{code}: {all:?}");
    }
}

#[test]
fn a_volume_that_is_not_followed_is_told_once_anything_was_received() {
    let of_volumes = |received: bool| {
        let mut group = well(at(0));
        group.received_anything = received;
        group.volumes.push(VolumeFacts {
            id: "vol-2".into(),
            name: "data".into(),
            is_followed: false,
        });
        let facts = facts(at(0), group);
        let mut observer = Observer::default();
        let all = observer.conditions(&facts, &AlertsConfig::default(), |_, _, _| false);
        let of_volume = |one: &Condition| one.object.kind == ObjectKind::Volume;
        all.into_iter().filter(of_volume).collect::<Vec<_>>()
    };
    let [root, data] = &of_volumes(true)[..] else {
        panic!("there are two volumes");
    };
    assert_eq!(
        (root.code, &root.judged),
        (AlertCode::Unprotected, &Judged::IsNot)
    );
    assert_eq!(
        (
            data.code,
            data.object.id.as_str(),
            data.object.name.as_str()
        ),
        (AlertCode::Unprotected, "vol-2", "shop/data")
    );
    let (severity, detail) = said(&data.judged);
    assert_eq!(severity, None);
    assert!(detail.contains("does not serve it"), "{detail}");
    for condition in of_volumes(false) {
        assert!(is_unknown(Some(&condition.judged)), "{condition:?}");
    }
}

/// The source does not answer any more.
fn is_dead(group: &mut GroupFacts) {
    group.report = None;
    group.age = Some(Duration::from_secs(90_000));
    group.replication.state = ReplicationState::Disconnected;
    group.replication.reason = Some("no gateway is connected".into());
    group.gateway_connected = false;
    group.capture_told = false;
}

#[test]
fn that_production_left_its_source_says_nothing_good_of_the_source() {
    let then = (Timestamp(1_000_000_000), 60);
    for placement in [testing::at_target(), testing::failing_back()] {
        let all = placed(&placement, then, is_dead);
        for code in [
            AlertCode::RpoBreach,
            AlertCode::Stalled,
            AlertCode::Disconnected,
            AlertCode::Untracked,
        ] {
            assert!(is_unknown(all.get(&code)), "{code}: {all:?}");
        }
    }
    let (following, _) = testing::following(false);
    let all = placed(&following, then, |_| ());
    for code in [AlertCode::Stalled, AlertCode::Untracked] {
        assert!(is_unknown(all.get(&code)), "{code}: {all:?}");
    }
}

#[test]
fn production_at_the_target_is_unprotected_until_home_follows() {
    let then = (Timestamp(1_000_000_000), 60);
    for (placement, words) in [
        (testing::at_target(), Some("begin a failback")),
        (testing::reversing(), Some("awaits the confirmation")),
        (testing::following(false).0, None),
    ] {
        let all = placed(&placement, then, |_| ());
        let judged = &all[&AlertCode::Unprotected];
        match words {
            Some(words) => {
                assert!(holds(Some(judged), words), "{judged:?}");
                let is_warning = matches!(judged, Judged::Is { severity, .. } if *severity == Some(Severity::Warning));
                assert!(is_warning, "{judged:?}");
            }
            None => assert_eq!(*judged, Judged::IsNot),
        }
    }
}

#[test]
fn home_is_watched_while_it_follows_production_at_the_target() {
    let (placement, followed) = testing::following(false);
    let rpo =
        |seconds| placed(&placement, (followed, seconds), |_| ())[&AlertCode::RpoBreach].clone();
    assert_eq!(rpo(900), Judged::IsNot);
    assert!(
        holds(Some(&rpo(961)), "home is 16 min behind"),
        "{:?}",
        rpo(961)
    );
    // A clock that was set back says nothing of how old home is, least of all that it is new.
    let before = Timestamp(followed.0 - 2_000_000);
    let early = placed(&placement, (before, 1), |_| ());
    assert!(is_unknown(early.get(&AlertCode::RpoBreach)), "{early:?}");
    // What the source's own points say does not count.
    let late = placed(&placement, (followed, 60), |group| {
        group.age = Some(Duration::from_secs(90_000));
    });
    assert_eq!(late[&AlertCode::RpoBreach], Judged::IsNot);

    let (failing, followed) = testing::following(true);
    let all = placed(&failing, (followed, 1000), |_| ());
    assert!(
        holds(
            all.get(&AlertCode::RpoBreach),
            "round failed: it broke; mend it"
        ),
        "{all:?}"
    );
    let all = placed(&failing, (followed, 60), is_dead);
    let gone = &all[&AlertCode::Disconnected];
    assert!(
        matches!(gone, Judged::Is { severity, detail } if *severity == Some(Severity::Warning)
            && detail.contains("home cannot follow") && detail.contains("no gateway")),
        "{gone:?}"
    );
    let all = placed(&testing::reversing(), (followed, 60), is_dead);
    assert!(holds(
        all.get(&AlertCode::Disconnected),
        "home cannot follow"
    ));
    assert!(is_unknown(all.get(&AlertCode::RpoBreach)), "{all:?}");
}

#[test]
fn a_late_point_is_well_again_only_below_four_fifths_of_the_target() {
    let mut observer = Observer::default();
    let mut look = |age: u64, was: bool| {
        let mut group = well(at(0));
        group.age = Some(Duration::from_secs(age));
        let facts = facts(at(0), group);
        let all = observer.conditions(&facts, &AlertsConfig::default(), |_, _, _| was);
        let rpo = all.into_iter().find(|one| one.code == AlertCode::RpoBreach);
        matches!(rpo.unwrap().judged, Judged::Is { .. })
    };
    assert!(!look(900, false) && look(901, false));
    assert!(look(800, true) && !look(720, true));
    assert!(!look(800, false));
}

#[test]
fn a_journal_that_fills_is_told_before_it_is_full() {
    let mut observer = Observer::default();
    let mut look = |second: u64, used: u64| {
        let mut group = well(at(second));
        let mut report = report_at(at(second));
        (report.journal_used_bytes, report.journal_capacity_bytes) = (used, 100_000);
        group.report = Some(report);
        let facts = facts(at(second), group);
        let all = observer.conditions(&facts, &AlertsConfig::default(), |_, _, _| false);
        let journal = all
            .into_iter()
            .find(|one| one.code == AlertCode::JournalFilling);
        journal.unwrap().judged
    };
    // Full in about 1000 s from 60 s on.
    let mut last = Judged::IsNot;
    for second in (0..=60).step_by(5) {
        last = look(second, 10_000 + 85 * second);
    }
    let Judged::Is { severity, detail } = last else {
        panic!("{last:?}");
    };
    assert_eq!(severity, Some(Severity::Warning));
    assert!(
        detail.contains("15 %") && detail.contains("it is full in 16 min"),
        "{detail}"
    );
    let nearly = look(1000, 96_000);
    assert!(
        matches!(&nearly, Judged::Is { severity, .. } if *severity == Some(Severity::Critical)),
        "{nearly:?}"
    );
    assert_eq!(look(2000, 40_000), Judged::IsNot);
}

#[test]
fn clocks_that_differ_are_told_while_reports_come() {
    let mut observer = Observer::default();
    let mut look = |second: u64, clock: Now| {
        let mut group = well(at(second));
        group.report = Some(report_at(clock));
        let facts = facts(at(second), group);
        let all = observer.conditions(&facts, &AlertsConfig::default(), |_, _, _| false);
        let skew = all.into_iter().find(|one| one.code == AlertCode::ClockSkew);
        skew.unwrap().judged
    };
    assert_eq!(look(100, at(75)), Judged::IsNot);
    let behind = look(200, at(160));
    assert!(holds(Some(&behind), "40 s behind"), "{behind:?}");
    assert!(holds(Some(&look(300, at(400))), "100 s ahead of"));
    // The same report again says nothing new, and after a while nothing at all.
    assert!(holds(Some(&look(310, at(400))), "100 s ahead of"));
    assert!(is_unknown(Some(&look(320, at(400)))));
}

#[test]
fn the_installation_itself_is_judged() {
    let judge = |change: &dyn Fn(&mut Facts)| {
        let mut facts = facts(at(0), well(at(0)));
        change(&mut facts);
        judged(&facts)
    };
    let space = |available_bytes| {
        move |facts: &mut Facts| {
            let total_bytes = 1000;
            let space = Space {
                total_bytes,
                available_bytes,
            };
            facts.space = Ok((space, 100));
        }
    };
    let of_store = (AlertCode::ReplicaSpaceLow, ObjectKind::Installation);
    let severity = |judged: &Judged| match judged {
        Judged::Is { severity, .. } => Some(severity.unwrap_or(Severity::Warning)),
        _ => None,
    };
    assert_eq!(severity(&judge(&space(150))[&of_store]), None);
    assert_eq!(
        severity(&judge(&space(149))[&of_store]),
        Some(Severity::Warning)
    );
    assert_eq!(
        severity(&judge(&space(99))[&of_store]),
        Some(Severity::Critical)
    );
    let broken = judge(&|facts| facts.space = Err("EIO".into()));
    assert!(is_unknown(broken.get(&of_store)));

    let of_ship = (AlertCode::CertificateExpiring, ObjectKind::Certificate);
    let ends = |days: i64| {
        move |facts: &mut Facts| {
            let ends = Timestamp(NOW + days * DAY_MICROSECONDS);
            facts.certificates.insert("ship".into(), ends);
        }
    };
    assert_eq!(severity(&judge(&ends(14))[&of_ship]), None);
    assert_eq!(
        severity(&judge(&ends(13))[&of_ship]),
        Some(Severity::Warning)
    );
    assert_eq!(
        severity(&judge(&ends(2))[&of_ship]),
        Some(Severity::Critical)
    );

    let of_group = (AlertCode::ReportOwed, ObjectKind::Group);
    let owed = judge(&|facts| {
        facts.owed = Ok(vec![Owed {
            group: GroupId::from_u128(1),
            job: "fov-1".into(),
            since: at(0).wall,
        }]);
    });
    assert!(holds(owed.get(&of_group), "fov-1"));
    assert!(is_unknown(
        judge(&|facts| facts.owed = Err("x".into())).get(&of_group)
    ));
}

#[test]
fn a_channel_that_fails_for_long_or_gave_up_is_told_of() {
    let record = |given_up, failing: Option<u64>| ChannelRecord {
        name: "ops".into(),
        last_success: None,
        last_failure: None,
        given_up,
        failing: failing.map(|second| Since::now(at(second))),
        refusing: None,
    };
    let judge = |record| delivery(&record, at(1000)).judged;
    assert_eq!(judge(record(0, None)), Judged::IsNot);
    assert_eq!(judge(record(0, Some(200))), Judged::IsNot);
    assert!(holds(Some(&judge(record(0, Some(100)))), "is not taken"));
    let given_up = judge(record(2, Some(100)));
    assert!(holds(Some(&given_up), "2 deliveries were given up"));
}
