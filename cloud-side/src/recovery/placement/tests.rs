use super::super::{testing::*, *};
use crate::catalog::Catalog;
use bcdr_disk::RealStorage;
use bcdr_format::{Generation, GroupId};

#[test]
fn a_repeated_start_gets_the_first_ones_job_also_after_its_end() {
    let mut driver = Driver::new();
    let request = || failover_request("same", FailoverMode::Emergency, CommitPolicy::Manual);
    let start = |driver: &mut Driver, number| {
        driver
            .placement
            .start_failover(failover_id(number), request(), NOW)
    };
    assert!(matches!(start(&mut driver, 1), Ok(Started::New(_))));
    let repeated = Ok(Started::Repeated(JobRef::Failover(failover_id(1))));
    assert_eq!(start(&mut driver, 2), repeated);
    driver.run();
    driver.tell(Event::Rollback).unwrap();
    driver.run();
    driver.placement = reload(&driver.placement);
    assert_eq!(start(&mut driver, 3), repeated);
}

#[test]
fn a_group_has_one_placement_job() {
    let mut driver = Driver::new();
    driver.start(FailoverMode::Emergency, CommitPolicy::Manual);
    let other = failover_request("other", FailoverMode::Emergency, CommitPolicy::Manual);
    let refused = driver
        .placement
        .start_failover(failover_id(2), other, NOW)
        .unwrap_err();
    assert_eq!(refused.code, "placement_job_running");
    let back = failback_request("back", Seed::BlankDisk);
    let refused = driver
        .placement
        .start_failback(failback_id(2), back, NOW)
        .unwrap_err();
    assert_eq!(refused.code, "placement_job_running");
}

#[test]
fn a_planned_failover_takes_no_older_point() {
    let mut request = failover_request("r", FailoverMode::Planned, CommitPolicy::Manual);
    request.point = PointChoice::NotAfter(NOW);
    let mut driver = Driver::new();
    let refused = driver
        .placement
        .start_failover(failover_id(1), request, NOW)
        .unwrap_err();
    assert_eq!(refused.code, "planned_takes_the_latest");
}

#[test]
fn a_source_that_serves_after_the_fence_stops_everything_until_an_operator_decides() {
    let policy = CommitPolicy::AutoCommit { after_seconds: 10 };
    let mut driver = Driver::new();
    driver.start(FailoverMode::Emergency, policy);
    driver.run();
    driver.see_writable(1);
    assert_eq!(driver.state(), PlacementState::SplitBrainSuspected);
    driver.pass_seconds(60);
    assert_eq!(driver.state(), PlacementState::SplitBrainSuspected);
    for event in [Event::Commit, Event::Rollback] {
        assert_eq!(
            driver.tell(event).unwrap_err().code,
            "split_brain_suspected"
        );
    }
    let mut kept = Driver::new();
    kept.placement = reload(&driver.placement);
    kept.now = driver.now;

    driver.carried_out.clear();
    driver.tell(Event::Keep(Site::Target)).unwrap();
    driver.run();
    assert!(matches!(
        driver.carried_out.as_slice(),
        [
            Action::HoldSource { .. },
            Action::Fence { .. },
            Action::AdoptGeneration { .. }
        ]
    ));
    assert_eq!(driver.state(), PlacementState::TargetUncommitted);
    assert_eq!(driver.placement.authority().generation(), Generation(3));
    // The timer did not run meanwhile, and does now.
    driver.pass_seconds(9);
    assert_eq!(driver.state(), PlacementState::TargetUncommitted);
    driver.pass_seconds(1);
    assert_eq!(driver.state(), PlacementState::TargetActive);

    kept.tell(Event::Keep(Site::Source)).unwrap();
    kept.run();
    assert!(matches!(
        kept.carried_out.as_slice(),
        [
            Action::StopInstance { .. },
            Action::Fence { .. },
            Action::SealBranch,
            Action::ReleaseSource { .. }
        ]
    ));
    assert_eq!(kept.state(), PlacementState::SourceActive);
    assert_eq!(kept.placement.authority().holder(), Site::Source);
    let Some(PlacementJob::Failover(job)) = kept.finished.last() else {
        panic!("the failover did not end");
    };
    assert_eq!(job.end, Some(FailoverEnd::SourceKept));
}

#[test]
fn an_unreachable_site_does_not_hold_a_decision_up() {
    for (site, step, state) in [
        (Site::Target, Step::HoldSource, PlacementState::TargetActive),
        (
            Site::Source,
            Step::StopInstance,
            PlacementState::SourceActive,
        ),
    ] {
        let mut driver = Driver::at_target();
        driver.see_writable(1);
        driver.tell(Event::Keep(site)).unwrap();
        assert_eq!(driver.step(), Some(step));
        driver.fail();
        assert!(driver.placement.command().is_none());
        driver.tell(Event::Keep(site)).unwrap();
        driver.run();
        assert_eq!(driver.state(), state);
        assert_eq!(driver.placement.target().is_some(), site == Site::Target);
    }
}

#[test]
fn a_step_answered_during_the_suspicion_is_not_lost_and_the_next_one_waits() {
    let mut driver = Driver::new();
    driver.start(FailoverMode::Emergency, CommitPolicy::Manual);
    driver.run_to(Some(Step::PinPoint));
    let pin = driver.placement.command().unwrap();
    driver.see_writable(1);
    assert!(driver.placement.command().is_none());
    driver.tell(done(&pin)).unwrap();
    assert!(driver.placement.command().is_none());
    driver.tell(Event::Keep(Site::Target)).unwrap();
    driver.run();
    assert_eq!(driver.state(), PlacementState::TargetUncommitted);
    let pins = |action: &&Action| matches!(action, Action::PinPoint { .. });
    assert_eq!(driver.carried_out.iter().filter(pins).count(), 0);
}

#[test]
fn a_source_that_knows_a_newer_generation_shows_that_this_catalog_is_old() {
    let mut driver = Driver::new();
    driver
        .tell(Event::SourceSeen {
            generation: Generation(8),
            serving: Serving::ReadOnly,
        })
        .unwrap();
    assert_eq!(driver.state(), PlacementState::SplitBrainSuspected);
    assert!(matches!(
        driver.placement.source_order(),
        SourceOrder::StartReadOnly(_)
    ));
    let request = failover_request("r", FailoverMode::Emergency, CommitPolicy::Manual);
    assert!(
        driver
            .placement
            .start_failover(failover_id(1), request, NOW)
            .is_err()
    );
    assert_eq!(
        driver.tell(Event::Keep(Site::Target)).unwrap_err().code,
        "target_not_active"
    );
    driver.tell(Event::Keep(Site::Source)).unwrap();
    driver.run();
    assert_eq!(driver.fences(), [(9, Site::Source)]);
    assert_eq!(
        driver.placement.source_order(),
        SourceOrder::Serve(Generation(9))
    );
}

#[test]
fn a_source_that_returns_is_told_to_start_read_only_while_it_is_not_the_authority() {
    let mut driver = Driver::new();
    assert_eq!(
        driver.placement.source_order(),
        SourceOrder::Serve(Generation(1))
    );
    driver.start(FailoverMode::Planned, CommitPolicy::Manual);
    driver.run_to(Some(Step::DrainSource));
    assert!(matches!(
        driver.placement.source_order(),
        SourceOrder::StartReadOnly(_)
    ));
    driver.run();
    let held = SourceOrder::StartReadOnly(Generation(2));
    assert_eq!(driver.placement.source_order(), held);
    // One that did start read-only is no reason for suspicion.
    driver
        .tell(Event::SourceSeen {
            generation: Generation(2),
            serving: Serving::ReadOnly,
        })
        .unwrap();
    assert_eq!(driver.state(), PlacementState::TargetUncommitted);
}

#[test]
fn placement_and_record_are_written_together_and_an_unknown_form_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("catalog.redb");
    let catalog = Catalog::open_or_create(&RealStorage::new(), &path, 1 << 20).unwrap();
    let group = GroupId::from_u128(3);
    assert_eq!(catalog.placement(group).unwrap(), None);
    let mut driver = Driver::new();
    driver.start(FailoverMode::Emergency, CommitPolicy::Manual);
    driver.run();
    let handled = driver.tell(Event::Commit).unwrap();
    catalog
        .put_placement(&driver.placement, &handled.records, &[])
        .unwrap();
    assert_eq!(
        catalog.placement(group).unwrap(),
        Some(driver.placement.clone())
    );
    let records: Vec<FailoverRecord> = catalog.documents(None, 10).unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].end, Some(FailoverEnd::Committed));

    let mut json = serde_json::to_value(&driver.placement).unwrap();
    json["form"] = 2.into();
    let refused = serde_json::from_value::<Placement>(json)
        .unwrap_err()
        .to_string();
    assert!(refused.contains("form 2"), "{refused}");
}
