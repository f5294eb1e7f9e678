use super::super::{testing::*, *};
use bcdr_format::{Generation, Timestamp};

fn restore(driver: &Driver) -> &RestoreRecord {
    match driver.placement.job() {
        Some(PlacementJob::Restore(job)) => job,
        other => panic!("no restore is on its way: {other:?}"),
    }
}

fn started() -> Driver {
    let mut driver = Driver::new();
    driver.start_restore();
    driver
}

fn ended(driver: &Driver) -> Vec<Option<RestoreEnd>> {
    let end = |job: &PlacementJob| match job {
        PlacementJob::Restore(job) => Some(job.end),
        _ => None,
    };
    driver.finished.iter().filter_map(end).collect()
}

fn at(driver: &mut Driver, step: Step) {
    driver.run_to(Some(step));
    assert_eq!(driver.step(), Some(step));
}

fn restored_points(driver: &Driver) -> Vec<u64> {
    let point = |action: &Action| match action {
        Action::RestoreDisks { point, .. } => Some(point.0.sequence.0),
        _ => None,
    };
    driver.carried_out.iter().filter_map(point).collect()
}

const FORWARDS: [Step; 10] = [
    Step::Precheck,
    Step::QuiesceSource,
    Step::DrainSource,
    Step::PlaceBookmark,
    Step::HoldHome,
    Step::InspectHome,
    Step::RestoreDisks,
    Step::FenceHome,
    Step::BootHome,
    Step::ResumeForward,
];

#[test]
fn it_bookmarks_before_it_writes_and_serves_under_a_newer_generation_than_it_held() {
    for kill_always in [false, true] {
        let mut driver = started();
        driver.kill_always = kill_always;
        driver.run();
        let Some(PlacementJob::Restore(job)) = driver.finished.first() else {
            panic!("it did not end");
        };
        assert_eq!(job.end, Some(RestoreEnd::Restored));
        let steps: Vec<Step> = job.progress.steps.iter().map(|step| step.step).collect();
        assert_eq!(steps, FORWARDS);
        assert_eq!((job.fetched_bytes, job.written_bytes), (4096, 8192));
        assert_eq!(job.undo.map(|point| point.0), Some(position(10)));
        assert_eq!(restored_points(&driver), [3]);
        assert_eq!(driver.fences(), [(3, Site::Source)]);
        let held = Action::HoldHome {
            generation: Generation(2),
        };
        assert!(driver.carried_out.contains(&held));
        let served = Action::BootHome {
            generation: Generation(3),
        };
        assert!(driver.carried_out.contains(&served));
        assert_eq!(driver.state(), PlacementState::SourceActive);
        assert_eq!(
            driver.placement.source_order(),
            SourceOrder::Serve(Generation(3))
        );
    }
}

#[test]
fn while_it_holds_the_source_nobody_starts_there_and_only_one_job_runs() {
    let mut driver = started();
    assert!(matches!(
        driver.placement.source_order(),
        SourceOrder::Serve(_)
    ));
    at(&mut driver, Step::RestoreDisks);
    assert_eq!(driver.state(), PlacementState::Restoring);
    assert!(matches!(
        driver.placement.source_order(),
        SourceOrder::StartReadOnly(_)
    ));
    let again = driver
        .placement
        .start_restore(restore_id(9), restore_request("other"), NOW);
    assert_eq!(again.unwrap_err().code, "placement_job_running");
    // The same request again is the same restore.
    let same = driver
        .placement
        .start_restore(restore_id(9), restore_request("i1"), NOW);
    assert_eq!(same, Ok(Started::Repeated(JobRef::Restore(restore_id(1)))));
    at(&mut driver, Step::ResumeForward);
    assert_eq!(driver.state(), PlacementState::SourceActive);
}

#[test]
fn before_anything_is_written_a_failure_or_a_cancel_leaves_the_source_serving_what_it_has() {
    for step in FORWARDS.iter().copied().take(6) {
        for cancels in [false, true] {
            let mut driver = started();
            driver.kill_always = true;
            at(&mut driver, step);
            match cancels {
                true => drop(driver.tell(Event::Cancel).unwrap()),
                false => driver.fail(),
            }
            driver.run();
            let end = match cancels {
                true => RestoreEnd::Cancelled,
                false => RestoreEnd::Failed,
            };
            assert_eq!(ended(&driver), [Some(end)], "{step:?}");
            assert!(restored_points(&driver).is_empty(), "{step:?}");
            assert_eq!(driver.state(), PlacementState::SourceActive);
            if step != Step::Precheck {
                // What told it to stop may arrive late; only a newer generation outlives it.
                assert_eq!(driver.fences(), [(3, Site::Source)], "{step:?}");
                let released = driver.carried_out.last();
                let generation = Generation(3);
                assert_eq!(released, Some(&Action::ReleaseSource { generation }));
            }
        }
    }
}

#[test]
fn once_something_is_written_a_failure_blocks_and_both_ways_lead_on() {
    for cancels in [false, true] {
        let mut driver = started();
        at(&mut driver, Step::RestoreDisks);
        driver.fail();
        assert_eq!(driver.stage(), Some(Stage::Blocked));
        assert!(driver.placement.command().is_none());
        driver.placement = reload(&driver.placement);
        let wish = if cancels { Event::Cancel } else { Event::Retry };
        driver.tell(wish).unwrap();
        driver.kill_always = true;
        driver.run();
        let (end, points) = match cancels {
            true => (RestoreEnd::PutBack, [10]),
            false => (RestoreEnd::Restored, [3]),
        };
        assert_eq!(ended(&driver), [Some(end)]);
        assert_eq!(restored_points(&driver), points);
        assert_eq!(driver.state(), PlacementState::SourceActive);
    }
}

#[test]
fn a_disk_that_took_the_place_of_another_is_written_after_it_was_confirmed() {
    let disk = |volume, serial: &str| ConfirmedDisk {
        volume: bcdr_format::VolumeId::from_u128(volume),
        serial: serial.to_owned(),
    };
    let confirm = |disks: Vec<ConfirmedDisk>| Event::ConfirmSeed { disks };
    for cancels in [false, true] {
        let mut driver = started();
        at(&mut driver, Step::RestoreDisks);
        // One that is not in trouble takes no other disk.
        let early = driver.tell(confirm(vec![disk(7, "S2")])).unwrap_err();
        assert_eq!(early.code, "nothing_failed");
        driver.fail();
        if cancels {
            driver.tell(Event::Cancel).unwrap();
            driver.fail();
        }
        for wrong in [
            vec![],
            vec![disk(8, "S2")],
            vec![disk(7, "S2"), disk(7, "S3")],
        ] {
            let refused = driver.tell(confirm(wrong)).unwrap_err();
            assert_eq!(refused.code, "disks_not_confirmed");
        }
        driver.tell(confirm(vec![disk(7, "S2")])).unwrap();
        driver.placement = reload(&driver.placement);
        driver.kill_always = true;
        driver.run();
        let end = match cancels {
            true => RestoreEnd::PutBack,
            false => RestoreEnd::Restored,
        };
        assert_eq!(ended(&driver), [Some(end)]);
        let mut written = driver.carried_out.iter().filter_map(|action| match action {
            Action::RestoreDisks { disks, .. } => Some(disks[0].serial.clone()),
            _ => None,
        });
        assert_eq!(written.next_back().as_deref(), Some("S2"));
    }
}

#[test]
fn a_late_answer_of_the_given_up_task_does_not_end_the_way_back() {
    let mut driver = started();
    at(&mut driver, Step::RestoreDisks);
    let late = done(&driver.placement.command().unwrap());
    driver.tell(Event::Cancel).unwrap();
    driver.tell(late).unwrap();
    assert_eq!(driver.step(), Some(Step::PutBackDisks));
}

#[test]
fn what_serves_again_is_undone_and_not_cancelled() {
    for step in [Step::FenceHome, Step::BootHome, Step::ResumeForward] {
        let mut driver = started();
        at(&mut driver, step);
        let refused = driver.tell(Event::Cancel).unwrap_err();
        assert_eq!(refused.code, "already_restored", "{step:?}");
        driver.fail();
        assert_eq!(driver.stage(), Some(Stage::Blocked), "{step:?}");
        driver.tell(Event::Retry).unwrap();
        driver.run();
        assert_eq!(ended(&driver), [Some(RestoreEnd::Restored)]);
    }
}

#[test]
fn a_bookmark_that_does_not_hold_everything_ends_it_before_a_write() {
    let mut driver = started();
    at(&mut driver, Step::PlaceBookmark);
    let ticket = driver.placement.ticket().unwrap();
    let result = StepResult::Pinned {
        point: crate::receive::PointId(position(8)),
        time: NOW,
    };
    driver.tell(Event::StepDone { ticket, result }).unwrap();
    driver.run();
    assert_eq!(ended(&driver), [Some(RestoreEnd::Failed)]);
    assert!(restored_points(&driver).is_empty());
}

#[test]
fn a_fence_that_was_outrun_is_raised_and_one_that_is_not_durable_blocks() {
    let mut driver = started();
    at(&mut driver, Step::FenceHome);
    let fenced = |driver: &mut Driver, generation| {
        let ticket = driver.placement.ticket().unwrap();
        let result = StepResult::Fenced {
            generation: Generation(generation),
        };
        driver.tell(Event::StepDone { ticket, result }).unwrap();
    };
    fenced(&mut driver, 7);
    assert_eq!(driver.step(), Some(Step::FenceHome));
    fenced(&mut driver, 2);
    assert_eq!(driver.stage(), Some(Stage::Blocked));
    driver.tell(Event::Retry).unwrap();
    driver.run();
    assert_eq!(driver.placement.authority().generation(), Generation(8));
}

/// The source is lost in mid-restore, and production goes on at the target.
fn failed_over_at(step: Step) -> Driver {
    let mut driver = started();
    at(&mut driver, step);
    driver.start(FailoverMode::Emergency, CommitPolicy::Manual);
    driver
}

#[test]
fn an_emergency_failover_sets_it_aside_and_its_commit_ends_it() {
    for step in [Step::HoldHome, Step::RestoreDisks, Step::BootHome] {
        let mut driver = failed_over_at(step);
        assert!(driver.placement.set_aside().is_some());
        assert!(matches!(
            driver.placement.source_order(),
            SourceOrder::StartReadOnly(_)
        ));
        driver.kill_always = true;
        driver.run();
        driver.tell(Event::Commit).unwrap();
        assert_eq!(ended(&driver), [Some(RestoreEnd::FailedOver)], "{step:?}");
        assert_eq!(driver.state(), PlacementState::TargetActive);
        assert!(driver.placement.set_aside().is_none());
        let overwritten = driver.placement.target().unwrap().home_overwritten;
        assert_eq!(overwritten, step != Step::HoldHome, "{step:?}");
    }
}

#[test]
fn a_failover_that_is_undone_gives_the_source_back_to_the_restore_and_not_to_clients() {
    for step in [Step::RestoreDisks, Step::FenceHome, Step::BootHome] {
        let mut driver = failed_over_at(step);
        driver.run();
        driver.tell(Event::Rollback).unwrap();
        driver.carried_out.clear();
        for _ in 0..20 {
            let Some(command) = driver.placement.command() else {
                break;
            };
            if !matches!(driver.placement.job(), Some(PlacementJob::Failover(_))) {
                break;
            }
            let releases = matches!(command.action, Action::ReleaseSource { .. });
            assert!(!releases, "{step:?}");
            driver.tell(done(&command)).unwrap();
        }
        if step == Step::RestoreDisks {
            assert_eq!(driver.stage(), Some(Stage::Blocked));
            let failure = restore(&driver).progress.failure.as_ref();
            assert_eq!(failure.unwrap().code, "set_aside");
            driver.tell(Event::Retry).unwrap();
        }
        let fenced = driver.placement.authority().generation();
        driver.run();
        assert_eq!(ended(&driver), [Some(RestoreEnd::Restored)], "{step:?}");
        assert!(driver.placement.authority().generation() > fenced);
        assert_eq!(driver.state(), PlacementState::SourceActive);
    }
}

#[test]
fn a_failover_that_fails_at_once_leaves_an_unwritten_source_serving() {
    let mut driver = failed_over_at(Step::HoldHome);
    driver.fail();
    driver.run();
    assert_eq!(ended(&driver), [Some(RestoreEnd::Cancelled)]);
    assert_eq!(driver.state(), PlacementState::SourceActive);
    let released = driver.carried_out.last();
    assert!(matches!(released, Some(Action::ReleaseSource { .. })));
}

#[test]
fn a_planned_failover_waits_for_it_until_the_source_serves() {
    let planned = |driver: &mut Driver| {
        let request = failover_request("p", FailoverMode::Planned, CommitPolicy::Manual);
        driver
            .placement
            .start_failover(failover_id(1), request, NOW)
    };
    let mut driver = started();
    at(&mut driver, Step::RestoreDisks);
    let refused = planned(&mut driver).unwrap_err();
    assert_eq!(refused.code, "restore_on_its_way");
    // It serves now, but the newest point is what it was restored away from.
    at(&mut driver, Step::ResumeForward);
    let refused = planned(&mut driver).unwrap_err();
    assert_eq!(refused.code, "newest_point_was_taken_back");
    let mut named = failover_request("e", FailoverMode::Emergency, CommitPolicy::Manual);
    named.point = PointChoice::Point(restore(&driver).point.unwrap());
    let started = driver.placement.start_failover(failover_id(1), named, NOW);
    let Ok(Started::New(handled)) = started else {
        panic!("a named point is meant: {started:?}");
    };
    let over = handled.records.iter().find_map(|job| match job {
        PlacementJob::Restore(job) => Some(job.end),
        _ => None,
    });
    assert_eq!(over, Some(Some(RestoreEnd::Unprotected)));
    assert!(driver.placement.set_aside().is_none());
}

#[test]
fn keeping_the_source_of_an_old_catalog_does_not_serve_a_mixture() {
    for step in [Step::DrainSource, Step::RestoreDisks, Step::BootHome] {
        let mut driver = started();
        at(&mut driver, step);
        driver
            .tell(Event::SourceSeen {
                generation: Generation(40),
                serving: Serving::No,
            })
            .unwrap();
        assert_eq!(driver.state(), PlacementState::SplitBrainSuspected);
        driver.tell(Event::Keep(Site::Source)).unwrap();
        driver.carried_out.clear();
        driver.run();
        if step == Step::RestoreDisks {
            // The source may have served since that copy was made: nobody writes to it unasked.
            assert_eq!(driver.stage(), Some(Stage::Blocked));
            let failure = restore(&driver).progress.failure.as_ref();
            assert_eq!(failure.unwrap().code, "set_aside");
            driver.tell(Event::Retry).unwrap();
            driver.run();
        }
        let end = match step {
            Step::DrainSource => RestoreEnd::Cancelled,
            _ => RestoreEnd::Restored,
        };
        assert_eq!(ended(&driver), [Some(end)], "{step:?}");
        // It was let go once, by the restore itself, and under the newest generation.
        let serves = |action: &&Action| {
            matches!(
                action,
                Action::ReleaseSource { .. } | Action::BootHome { .. }
            )
        };
        assert_eq!(driver.carried_out.iter().filter(serves).count(), 1);
        assert!(driver.placement.authority().generation() > Generation(40));
    }
}

#[test]
fn until_it_is_protected_again_the_point_it_was_put_back_to_stands_for_the_group() {
    let planned = |driver: &Driver| {
        let placement = &driver.placement;
        placement.failover_obstacle(FailoverMode::Planned, PointChoice::Latest, Timestamp(1))
    };
    let emergency = |driver: &Driver, choice| {
        let placement = &driver.placement;
        placement.failover_obstacle(FailoverMode::Emergency, choice, Timestamp(1))
    };
    let mut driver = started();
    at(&mut driver, Step::RestoreDisks);
    assert_eq!(driver.placement.put_back_to(), None);
    assert_eq!(planned(&driver).unwrap().code, "restore_on_its_way");
    at(&mut driver, Step::ResumeForward);
    let (point, since) = driver.placement.put_back_to().unwrap();
    let bookmarked_at = restore(&driver).undo_time.unwrap();
    assert!(bookmarked_at > restore(&driver).requested_at);
    assert_eq!((point.0, since), (position(3), bookmarked_at));
    assert_eq!(
        planned(&driver).unwrap().code,
        "newest_point_was_taken_back"
    );
    assert!(emergency(&driver, PointChoice::Latest).is_some());
    assert_eq!(emergency(&driver, PointChoice::Point(point)), None);
    driver.run();
    assert_eq!(driver.placement.put_back_to(), None);
    assert_eq!(planned(&driver), None);

    // One that was given up holds its bookmark, and that is the newest point.
    let mut driver = started();
    at(&mut driver, Step::RestoreDisks);
    driver.fail();
    driver.tell(Event::Cancel).unwrap();
    at(&mut driver, Step::ResumeForward);
    assert_eq!(driver.placement.put_back_to(), None);
    assert_eq!(emergency(&driver, PointChoice::Latest), None);
}

#[test]
fn it_starts_only_where_production_is_at_the_source() {
    let mut driver = Driver::at_target();
    let refused = driver
        .placement
        .start_restore(restore_id(1), restore_request("i"), NOW);
    assert_eq!(refused.unwrap_err().code, "production_at_target");
}
