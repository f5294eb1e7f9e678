use super::super::{testing::*, *};
use bcdr_format::{Generation, Timestamp};

fn names(actions: &[Action]) -> Vec<String> {
    actions
        .iter()
        .map(|action| {
            let text = format!("{action:?}");
            text.split([' ', '{']).next().unwrap().to_owned()
        })
        .collect()
}

fn end(driver: &Driver) -> FailoverEnd {
    match driver.finished.last() {
        Some(PlacementJob::Failover(job)) => job.end.unwrap(),
        other => panic!("no failover ended: {other:?}"),
    }
}

#[test]
fn an_emergency_failover_fences_then_pins_and_ends_at_the_target() {
    let mut driver = Driver::new();
    driver.start(FailoverMode::Emergency, CommitPolicy::Manual);
    assert_eq!(driver.state(), PlacementState::FailingOver);
    driver.run();
    assert_eq!(driver.state(), PlacementState::TargetUncommitted);
    assert_eq!(
        names(&driver.carried_out),
        [
            "Precheck",
            "ProbeSource",
            "Fence",
            "PinPoint",
            "CreateBranch",
            "BootInstance",
            "ClimbRungs"
        ]
    );
    driver.tell(Event::Commit).unwrap();
    assert_eq!(driver.state(), PlacementState::TargetActive);
    assert_eq!(end(&driver), FailoverEnd::Committed);
    assert_eq!(driver.placement.authority().generation().0, 2);
    assert!(driver.placement.target().is_some());
}

#[test]
fn a_planned_failover_drains_and_takes_no_point_before_the_drained_end() {
    let mut driver = Driver::new();
    driver.start(FailoverMode::Planned, CommitPolicy::Manual);
    driver.run_to(Some(Step::PinPoint));
    let command = driver.placement.command().unwrap();
    assert!(matches!(
        command.action,
        Action::PinPoint { not_before: Some(drained), .. } if drained == position(9)
    ));
    let event = Event::StepDone {
        ticket: command.ticket,
        result: StepResult::Pinned {
            point: crate::receive::PointId(position(8)),
            time: NOW,
        },
    };
    driver.tell(event).unwrap();
    assert_eq!(driver.stage(), Some(Stage::Blocked));
    driver.tell(Event::Retry).unwrap();
    driver.run();
    assert_eq!(driver.state(), PlacementState::TargetUncommitted);
    assert_eq!(
        names(&driver.carried_out)[2..5],
        ["QuiesceSource", "DrainSource", "Fence"]
    );
}

#[test]
fn a_kill_at_every_step_repeats_that_step_and_changes_nothing_else() {
    for mode in [FailoverMode::Planned, FailoverMode::Emergency] {
        for undo in [false, true] {
            let mut calm = Driver::new();
            let mut killed = Driver::new();
            killed.kill_always = true;
            for driver in [&mut calm, &mut killed] {
                driver.start(mode, CommitPolicy::Manual);
                driver.run();
                let decision = if undo { Event::Rollback } else { Event::Commit };
                driver.tell(decision).unwrap();
                driver.run();
            }
            assert_eq!(calm.carried_out, killed.carried_out);
            assert_eq!(calm.placement, killed.placement);
        }
    }
}

#[test]
fn a_rollback_takes_a_new_generation_and_keeps_the_branch() {
    let mut driver = Driver::new();
    driver.start(FailoverMode::Emergency, CommitPolicy::Manual);
    driver.run();
    driver.carried_out.clear();
    driver.tell(Event::Rollback).unwrap();
    assert_eq!(driver.state(), PlacementState::RollingBack);
    assert!(driver.tell(Event::Commit).is_err());
    driver.run();
    assert_eq!(
        names(&driver.carried_out),
        ["StopInstance", "Fence", "SealBranch", "ReleaseSource"]
    );
    assert_eq!(driver.fences(), [(3, Site::Source)]);
    assert_eq!(driver.state(), PlacementState::SourceActive);
    assert_eq!(end(&driver), FailoverEnd::RolledBack);
    assert!(matches!(
        driver.placement.source_order(),
        SourceOrder::Serve(generation) if generation.0 == 3
    ));
}

#[test]
fn each_failure_ends_in_its_named_state() {
    use PlacementState::{FailingOver, SourceActive, TargetUncommitted};
    let table = [
        (FailoverMode::Planned, Step::Precheck, SourceActive, None),
        (FailoverMode::Planned, Step::ProbeSource, SourceActive, None),
        (
            FailoverMode::Planned,
            Step::QuiesceSource,
            SourceActive,
            None,
        ),
        (FailoverMode::Planned, Step::DrainSource, SourceActive, None),
        (
            FailoverMode::Emergency,
            Step::Fence,
            FailingOver,
            Some(Stage::Blocked),
        ),
        (
            FailoverMode::Emergency,
            Step::PinPoint,
            FailingOver,
            Some(Stage::Blocked),
        ),
        (
            FailoverMode::Emergency,
            Step::CreateBranch,
            FailingOver,
            Some(Stage::Blocked),
        ),
        (
            FailoverMode::Emergency,
            Step::BootInstance,
            FailingOver,
            Some(Stage::Blocked),
        ),
        (
            FailoverMode::Emergency,
            Step::ClimbRungs,
            TargetUncommitted,
            Some(Stage::Waiting),
        ),
    ];
    for (mode, step, state, stage) in table {
        let mut driver = Driver::new();
        driver.start(mode, CommitPolicy::Manual);
        driver.run_to(Some(step));
        driver.fail();
        driver.run();
        assert_eq!((driver.state(), driver.stage()), (state, stage), "{step:?}");
        let Some(stage) = stage else {
            assert_eq!(end(&driver), FailoverEnd::Failed, "{step:?}");
            continue;
        };
        let progress = driver.placement.job().unwrap().progress();
        assert_eq!(progress.failure.as_ref().unwrap().step, step);
        if stage == Stage::Blocked {
            // One way forward is to try again …
            let mut again = Driver::new();
            again.placement = reload(&driver.placement);
            again.tell(Event::Retry).unwrap();
            again.run();
            assert_eq!(again.state(), TargetUncommitted, "{step:?}");
        }
        // … and the other is to go back.
        driver.tell(Event::Rollback).unwrap();
        driver.run();
        assert_eq!(driver.state(), SourceActive, "{step:?}");
        assert_eq!(driver.placement.authority().holder(), Site::Source);
    }
}

#[test]
fn a_way_back_that_is_blocked_is_retried_or_gone_without_proof() {
    for step in [Step::StopInstance, Step::SealBranch, Step::ReleaseSource] {
        let mut driver = Driver::new();
        driver.start(FailoverMode::Emergency, CommitPolicy::Manual);
        driver.run();
        driver.tell(Event::Rollback).unwrap();
        driver.run_to(Some(step));
        driver.fail();
        driver.run();
        assert_eq!(driver.stage(), Some(Stage::Blocked), "{step:?}");
        assert_eq!(driver.state(), PlacementState::RollingBack);
        driver.tell(Event::Keep(Site::Source)).unwrap();
        driver.run();
        assert_eq!(driver.state(), PlacementState::SourceActive, "{step:?}");
        assert_eq!(driver.fences().last(), Some(&(3, Site::Source)));
    }
}

#[test]
fn what_the_probe_finds_decides() {
    let probe = |generation: u64, serving| {
        StepResult::Probed(Probe::Seen {
            generation: Generation(generation),
            serving,
        })
    };
    let unreachable = StepResult::Probed(Probe::Unreachable);
    let writable = || probe(1, Serving::Writable);
    let table = [
        (FailoverMode::Planned, unreachable, "source_unreachable"),
        (FailoverMode::Emergency, writable(), "source_still_serving"),
        (
            FailoverMode::Planned,
            probe(9, Serving::Writable),
            "newer_generation_known",
        ),
    ];
    for (mode, result, code) in table {
        let mut driver = Driver::new();
        driver.start(mode, CommitPolicy::Manual);
        driver.run_to(Some(Step::ProbeSource));
        let ticket = driver.placement.ticket().unwrap();
        driver.tell(Event::StepDone { ticket, result }).unwrap();
        let Some(PlacementJob::Failover(job)) = driver.finished.last() else {
            panic!("{code}: it went on");
        };
        assert_eq!(job.progress.failure.as_ref().unwrap().code, code);
        assert_eq!(driver.placement.authority().holder(), Site::Source);
        let is_split = driver.placement.split_brain().is_some();
        assert_eq!(is_split, code == "newer_generation_known");
    }
    let mut request = failover_request("r", FailoverMode::Emergency, CommitPolicy::Manual);
    request.isolation_confirmed = true;
    let mut driver = Driver::new();
    driver
        .placement
        .start_failover(failover_id(1), request, NOW)
        .unwrap();
    driver.run_to(Some(Step::ProbeSource));
    let ticket = driver.placement.ticket().unwrap();
    driver
        .tell(Event::StepDone {
            ticket,
            result: writable(),
        })
        .unwrap();
    assert_eq!(driver.step(), Some(Step::Fence));
}

#[test]
fn a_fence_that_something_newer_outran_is_raised_above_it() {
    let mut driver = Driver::new();
    driver.start(FailoverMode::Emergency, CommitPolicy::Manual);
    driver.run_to(Some(Step::Fence));
    let ticket = driver.placement.ticket().unwrap();
    let result = StepResult::Fenced {
        generation: Generation(7),
    };
    driver.tell(Event::StepDone { ticket, result }).unwrap();
    assert_eq!(driver.step(), Some(Step::Fence));
    assert_eq!(driver.placement.authority().holder(), Site::Source);
    driver.run();
    assert_eq!(driver.fences(), [(8, Site::Target)]);
    assert_eq!(driver.placement.authority().generation(), Generation(8));
}

#[test]
fn a_fence_that_is_not_durable_does_not_move_authority() {
    let mut driver = Driver::new();
    driver.start(FailoverMode::Emergency, CommitPolicy::Manual);
    driver.run_to(Some(Step::Fence));
    let ticket = driver.placement.ticket().unwrap();
    let result = StepResult::Fenced {
        generation: Generation(1),
    };
    driver.tell(Event::StepDone { ticket, result }).unwrap();
    assert_eq!(driver.stage(), Some(Stage::Blocked));
    assert_eq!(driver.placement.authority().holder(), Site::Source);
    assert!(driver.placement.command().is_none());
}

#[test]
fn late_and_repeated_answers_change_nothing() {
    let mut driver = Driver::new();
    driver.start(FailoverMode::Emergency, CommitPolicy::Manual);
    let first = driver.placement.command().unwrap();
    driver.tell(done(&first)).unwrap();
    let before = driver.placement.clone();
    for event in [done(&first), failed(&first)] {
        let handled = driver.tell(event).unwrap();
        assert_eq!(handled, Handled::default());
        assert_eq!(driver.placement, before);
    }
}

#[test]
fn the_policy_decides_when_its_time_is_over_and_not_before() {
    let table = [
        (
            CommitPolicy::AutoCommit { after_seconds: 90 },
            PlacementState::TargetActive,
        ),
        (
            CommitPolicy::AutoRollback { after_seconds: 90 },
            PlacementState::SourceActive,
        ),
        (CommitPolicy::Manual, PlacementState::TargetUncommitted),
    ];
    for (policy, state) in table {
        let mut driver = Driver::new();
        driver.start(FailoverMode::Emergency, policy);
        driver.run();
        driver.pass_seconds(89);
        assert_eq!(driver.state(), PlacementState::TargetUncommitted);
        driver.placement = reload(&driver.placement);
        driver.pass_seconds(1);
        driver.run();
        assert_eq!(driver.state(), state, "{policy:?}");
    }
}

#[test]
fn a_clock_jump_decides_nothing() {
    let mut driver = Driver::new();
    driver.start(
        FailoverMode::Emergency,
        CommitPolicy::AutoRollback { after_seconds: 600 },
    );
    driver.run();
    driver.now = Timestamp(driver.now.0 + 10 * 365 * 86_400 * 1_000_000);
    driver.tell(Event::Tick).unwrap();
    assert_eq!(driver.state(), PlacementState::TargetUncommitted);
}

#[test]
fn an_instance_that_is_not_proven_to_run_is_never_committed_by_a_timer() {
    let mut driver = Driver::new();
    driver.start(
        FailoverMode::Emergency,
        CommitPolicy::AutoCommit { after_seconds: 5 },
    );
    driver.run_to(Some(Step::ClimbRungs));
    driver.fail();
    driver.pass_seconds(20);
    assert_eq!(driver.state(), PlacementState::TargetUncommitted);
    driver.tell(Event::Commit).unwrap();
    assert_eq!(driver.state(), PlacementState::TargetActive);
}

#[test]
fn ticks_within_a_minute_are_not_persisted_and_each_step_is() {
    let mut driver = Driver::new();
    driver.start(
        FailoverMode::Emergency,
        CommitPolicy::AutoCommit { after_seconds: 150 },
    );
    driver.run();
    driver.pass_seconds(1);
    driver.now = Timestamp(driver.now.0 + 1_000_000);
    assert!(!driver.tell(Event::Tick).unwrap().persist);
    driver.now = Timestamp(driver.now.0 + 40_000_000);
    assert!(driver.tell(Event::Tick).unwrap().persist);
    let mut driver = Driver::new();
    driver.start(FailoverMode::Emergency, CommitPolicy::Manual);
    let command = driver.placement.command().unwrap();
    let handled = driver.tell(done(&command)).unwrap();
    assert!(handled.persist && !handled.records.is_empty() && handled.command.is_some());
}

#[test]
fn cancel_is_for_before_the_fence_and_rollback_for_after() {
    let mut driver = Driver::new();
    driver.start(FailoverMode::Planned, CommitPolicy::Manual);
    assert_eq!(
        driver.tell(Event::Rollback).unwrap_err().code,
        "nothing_to_roll_back"
    );
    driver.run_to(Some(Step::DrainSource));
    driver.carried_out.clear();
    driver.tell(Event::Cancel).unwrap();
    driver.run();
    // The source was told to stop, so it is let go under a newer generation.
    assert_eq!(names(&driver.carried_out), ["Fence", "ReleaseSource"]);
    assert_eq!(driver.fences(), [(3, Site::Source)]);
    assert_eq!(end(&driver), FailoverEnd::Cancelled);
    let mut driver = Driver::new();
    driver.start(FailoverMode::Emergency, CommitPolicy::Manual);
    driver.run_to(Some(Step::PinPoint));
    assert_eq!(
        driver.tell(Event::Cancel).unwrap_err().code,
        "authority_moved"
    );
}
