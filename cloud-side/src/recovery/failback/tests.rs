use super::super::{testing::*, *};

fn end(driver: &Driver) -> FailbackEnd {
    match driver.finished.last() {
        Some(PlacementJob::Failback(job)) => job.end.unwrap(),
        other => panic!("no failback ended: {other:?}"),
    }
}

fn overwrites(driver: &Driver) -> bool {
    driver
        .carried_out
        .iter()
        .any(|action| matches!(action, Action::CopyRound { .. } | Action::FinalDelta { .. }))
}

#[test]
fn nothing_is_overwritten_before_the_very_disks_are_confirmed() {
    let mut driver = Driver::at_target();
    driver.start_back(Seed::OriginalDisk);
    driver.run();
    assert_eq!(driver.step(), Some(Step::AwaitSeed));
    let mut wrong = disks();
    wrong[0].serial = "S2".to_owned();
    let mut twice = disks();
    twice.extend(disks());
    for disks in [Vec::new(), wrong, twice] {
        let refused = driver.tell(Event::ConfirmSeed { disks }).unwrap_err();
        assert_eq!(refused.code, "seed_not_confirmed");
    }
    driver.pass_seconds(100);
    assert!(!overwrites(&driver));
    driver.tell(Event::ConfirmSeed { disks: disks() }).unwrap();
    driver.run_to(Some(Step::CopyRound));
    assert!(matches!(
        driver.carried_out.as_slice(),
        [
            ..,
            Action::HoldHome { .. },
            Action::KeepLeftBehind { .. },
            Action::PlanSeed { .. }
        ]
    ));
}

#[test]
fn disks_confirmed_at_the_start_are_taken_only_if_they_are_the_ones_found() {
    for (serial, step) in [("S1", Step::BetweenRounds), ("S2", Step::AwaitSeed)] {
        let mut driver = Driver::at_target();
        let mut request = failback_request("b", Seed::OriginalDisk);
        request.confirmed = disks();
        request.confirmed[0].serial = serial.to_owned();
        driver
            .placement
            .start_failback(failback_id(1), request, NOW)
            .unwrap();
        driver.run();
        assert_eq!(driver.step(), Some(step));
    }
}

#[test]
fn a_disk_with_data_is_not_taken_for_a_blank_one() {
    let mut driver = Driver::at_target();
    driver.start_back(Seed::BlankDisk);
    driver.run();
    let refused = driver
        .tell(Event::ConfirmSeed { disks: disks() })
        .unwrap_err();
    assert_eq!(refused.code, "disk_not_blank");
}

#[test]
fn only_the_original_disk_leaves_something_behind() {
    let mut driver = Driver::at_target();
    driver.start_back(Seed::UnmodifiedImage);
    driver.run();
    driver.tell(Event::ConfirmSeed { disks: disks() }).unwrap();
    driver.run();
    let keeps = |action: &Action| matches!(action, Action::KeepLeftBehind { .. });
    assert!(!driver.carried_out.iter().any(keeps));
}

#[test]
fn home_is_as_old_as_the_beginning_of_the_last_copy_that_was_complete() {
    let followed_at = |driver: &Driver| match driver.placement.job() {
        Some(PlacementJob::Failback(job)) => job.followed_at,
        other => panic!("{other:?}"),
    };
    let mut driver = Driver::at_target();
    driver.start_back(Seed::OriginalDisk);
    driver.run();
    driver.tell(Event::ConfirmSeed { disks: disks() }).unwrap();
    driver.run_to(Some(Step::CopyRound));
    assert_eq!(followed_at(&driver), None);
    let began = driver.now;
    driver.pass_seconds(500);
    driver.run();
    assert_eq!(followed_at(&driver), Some(began));
    driver.pass_seconds(30);
    assert_eq!(driver.step(), Some(Step::CopyRound));
    driver.fail();
    assert_eq!(followed_at(&driver), Some(began));
    driver.pass_seconds(60);
    let began = driver.now;
    driver.pass_seconds(10);
    driver.run();
    assert_eq!(followed_at(&driver), Some(began));
}

#[test]
fn rounds_cutover_and_commit_bring_production_home() {
    let mut driver = Driver::following();
    driver.pass_seconds(30);
    assert_eq!(driver.step(), Some(Step::CopyRound));
    assert!(driver.tell(Event::Cutover).is_err());
    driver.run();
    driver.carried_out.clear();
    driver.tell(Event::Cutover).unwrap();
    assert_eq!(driver.state(), PlacementState::FailingBack);
    driver.run();
    assert_eq!(driver.state(), PlacementState::SourceUncommitted);
    assert_eq!(driver.fences(), [(3, Site::Source)]);
    driver.tell(Event::Commit).unwrap();
    driver.run();
    assert_eq!(driver.state(), PlacementState::SourceActive);
    assert_eq!(end(&driver), FailbackEnd::Committed);
    assert!(driver.placement.target().is_none());
    // What is here is let go of only when home is protected.
    let [.., resumed, stopped, sealed] = driver.carried_out.as_slice() else {
        panic!("{:?}", driver.carried_out);
    };
    assert!(matches!(resumed, Action::ResumeForward { generation } if generation.0 == 3));
    assert!(matches!(stopped, Action::StopInstance { generation } if generation.0 == 3));
    assert_eq!(*sealed, Action::SealBranch);
}

#[test]
fn home_that_is_lost_before_it_is_protected_again_gives_production_back_to_the_target() {
    let mut driver = Driver::following();
    driver.tell(Event::Cutover).unwrap();
    driver.run();
    driver.tell(Event::Commit).unwrap();
    driver.run_to(Some(Step::ResumeForward));
    let refused = driver.tell(Event::Cancel).unwrap_err();
    assert_eq!(refused.code, "already_committed");
    driver.carried_out.clear();
    driver.tell(Event::Rollback).unwrap();
    // Its host does not answer, so nothing is known of it, and the operator goes on without it.
    for step in [Step::StopHome, Step::KeepHomeWrites] {
        assert_eq!(driver.step(), Some(step));
        driver.fail();
        driver.tell(Event::Keep(Site::Target)).unwrap();
    }
    driver.run();
    assert_eq!(driver.state(), PlacementState::TargetActive);
    assert_eq!(end(&driver), FailbackEnd::RolledBack);
    assert_eq!(driver.placement.authority().holder(), Site::Target);
    let seals = |action: &Action| *action == Action::SealBranch;
    assert!(!driver.carried_out.iter().any(seals), "the branch is lost");
    // Once home is protected there is nothing to go back to.
    let mut driver = Driver::following();
    driver.tell(Event::Cutover).unwrap();
    driver.run();
    driver.tell(Event::Commit).unwrap();
    driver.run_to(Some(Step::SealBranch));
    let refused = driver.tell(Event::Rollback).unwrap_err();
    assert_eq!(refused.code, "already_committed");
}

#[test]
fn a_kill_at_every_step_repeats_that_step_and_changes_nothing_else() {
    for undo in [false, true] {
        let mut calm = Driver::at_target();
        let mut killed = Driver::at_target();
        killed.kill_always = true;
        for driver in [&mut calm, &mut killed] {
            driver.start_back(Seed::OriginalDisk);
            driver.run();
            driver.tell(Event::ConfirmSeed { disks: disks() }).unwrap();
            driver.run();
            driver.tell(Event::Cutover).unwrap();
            driver.run();
            let decision = if undo { Event::Rollback } else { Event::Commit };
            driver.tell(decision).unwrap();
            driver.run();
            assert!(driver.placement.job().is_none());
        }
        assert_eq!(calm.carried_out, killed.carried_out);
        assert_eq!(calm.placement, killed.placement);
    }
}

#[test]
fn a_rollback_after_the_cutover_keeps_what_home_wrote_and_returns_to_the_target() {
    let mut driver = Driver::following();
    driver.tell(Event::Cutover).unwrap();
    driver.run();
    driver.carried_out.clear();
    driver.tell(Event::Rollback).unwrap();
    assert_eq!(driver.state(), PlacementState::RollingBack);
    driver.run();
    assert!(matches!(
        driver.carried_out.as_slice(),
        [
            Action::StopHome { .. },
            Action::KeepHomeWrites,
            Action::Fence { .. },
            Action::RestartTarget { .. }
        ]
    ));
    assert_eq!(driver.fences(), [(4, Site::Target)]);
    assert_eq!(driver.state(), PlacementState::TargetActive);
    assert_eq!(end(&driver), FailbackEnd::RolledBack);
    assert!(!driver.placement.target().unwrap().home_overwritten);
}

#[test]
fn a_cutover_that_fails_before_its_fence_goes_back_to_the_rounds() {
    for step in [Step::QuiesceTarget, Step::FinalDelta, Step::CompareDigests] {
        let mut driver = Driver::following();
        driver.tell(Event::Cutover).unwrap();
        driver.run_to(Some(step));
        driver.carried_out.clear();
        driver.fail();
        assert_eq!(driver.state(), PlacementState::RollingBack, "{step:?}");
        driver.run();
        assert_eq!(driver.state(), PlacementState::ReverseProtected, "{step:?}");
        assert_eq!(driver.fences(), [(4, Site::Target)]);
        // And it can be tried again.
        driver.tell(Event::Cutover).unwrap();
        driver.run();
        assert_eq!(
            driver.state(),
            PlacementState::SourceUncommitted,
            "{step:?}"
        );
    }
}

#[test]
fn unequal_digests_never_make_home_the_authority_and_everything_is_compared_next() {
    let mut driver = Driver::following();
    driver.tell(Event::Cutover).unwrap();
    driver.run_to(Some(Step::CompareDigests));
    let ticket = driver.placement.ticket().unwrap();
    let result = StepResult::Compared {
        equal: false,
        detail: "volume data at 4096".to_owned(),
    };
    driver.tell(Event::StepDone { ticket, result }).unwrap();
    driver.run();
    assert_eq!(driver.placement.authority().holder(), Site::Target);
    driver.pass_seconds(30);
    let command = driver.placement.command().unwrap();
    let Action::CopyRound { method, .. } = command.action else {
        panic!("no round follows: {command:?}");
    };
    assert_eq!(method, SeedMethod::HashCompare);
}

#[test]
fn each_failure_ends_in_its_named_state() {
    use PlacementState::{FailingBack, Reversing, SourceActive};
    let table = [
        (Step::HoldHome, Reversing),
        (Step::KeepLeftBehind, Reversing),
        (Step::PlanSeed, Reversing),
        (Step::FenceHome, FailingBack),
        (Step::BootHome, FailingBack),
        (Step::ResumeForward, SourceActive),
        (Step::StopInstance, SourceActive),
        (Step::SealBranch, SourceActive),
    ];
    for (step, state) in table {
        let mut driver = Driver::at_target();
        driver.start_back(Seed::OriginalDisk);
        driver.run();
        driver.tell(Event::ConfirmSeed { disks: disks() }).unwrap();
        driver.run_to(Some(step));
        if driver.step() != Some(step) {
            driver.tell(Event::Cutover).unwrap();
            driver.run_to(Some(step));
        }
        if driver.step() != Some(step) {
            driver.tell(Event::Commit).unwrap();
            driver.run_to(Some(step));
        }
        driver.fail();
        assert_eq!(
            (driver.state(), driver.stage()),
            (state, Some(Stage::Blocked)),
            "{step:?}"
        );
        let mut back = Driver::new();
        back.placement = reload(&driver.placement);
        let way_back = match state {
            Reversing => Some(Event::Cancel),
            FailingBack => Some(Event::Rollback),
            _ => None,
        };
        if let Some(way_back) = way_back {
            back.tell(way_back).unwrap();
            back.run();
            assert_eq!(back.state(), PlacementState::TargetActive, "{step:?}");
            assert!(!back.placement.target().unwrap().home_overwritten);
        }
        driver.tell(Event::Retry).unwrap();
        driver.run();
        assert_ne!(driver.stage(), Some(Stage::Blocked), "{step:?}");
    }
}

#[test]
fn an_inspection_that_fails_ends_the_job_and_a_round_that_fails_is_repeated() {
    let mut driver = Driver::at_target();
    driver.start_back(Seed::OriginalDisk);
    driver.fail();
    assert_eq!(end(&driver), FailbackEnd::Failed);
    assert_eq!(driver.state(), PlacementState::TargetActive);
    driver.start_back(Seed::OriginalDisk);
    driver.run();
    driver.tell(Event::ConfirmSeed { disks: disks() }).unwrap();
    driver.run_to(Some(Step::CopyRound));
    driver.fail();
    assert_eq!(driver.state(), PlacementState::Reversing);
    assert_eq!(
        driver.tell(Event::Cutover).unwrap_err().code,
        "home_not_following"
    );
    driver.pass_seconds(60);
    driver.run();
    assert_eq!(driver.state(), PlacementState::ReverseProtected);
}

#[test]
fn a_copy_that_was_given_up_leaves_home_unfit_to_be_kept() {
    let mut driver = Driver::following();
    driver.tell(Event::Cancel).unwrap();
    assert_eq!(end(&driver), FailbackEnd::Cancelled);
    assert!(driver.placement.target().unwrap().home_overwritten);
    driver.see_writable(1);
    assert_eq!(driver.state(), PlacementState::SplitBrainSuspected);
    let refused = driver.tell(Event::Keep(Site::Source)).unwrap_err();
    assert_eq!(refused.code, "home_overwritten");
    driver.tell(Event::Keep(Site::Target)).unwrap();
    driver.run();
    assert_eq!(driver.state(), PlacementState::TargetActive);
}
