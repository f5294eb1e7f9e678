use super::super::{testing::*, *};

const ALL_WELL: Surroundings = Surroundings {
    has_point: true,
    drill_cleanup_failed: false,
};

fn allowed(driver: &Driver) -> Vec<Verb> {
    allowed_actions(&driver.placement, ALL_WELL)
        .into_iter()
        .filter(|action| action.refused.is_none())
        .map(|action| action.verb)
        .collect()
}

#[test]
fn the_table_of_allowed_actions() {
    use Verb::*;
    let mut driver = Driver::new();
    assert_eq!(allowed(&driver), [Drill, FailoverStart, RestoreStart]);
    driver.start(FailoverMode::Emergency, CommitPolicy::Manual);
    assert_eq!(allowed(&driver), [Drill, FailoverCancel]);
    driver.run_to(Some(Step::BootInstance));
    assert_eq!(allowed(&driver), [Drill, FailoverRollback]);
    driver.fail();
    assert_eq!(allowed(&driver), [Drill, FailoverRollback, Retry]);
    driver.tell(Event::Retry).unwrap();
    driver.run();
    assert_eq!(allowed(&driver), [Drill, FailoverCommit, FailoverRollback]);
    driver.see_writable(1);
    assert_eq!(allowed(&driver), [Drill, KeepSource, KeepTarget]);
    driver.tell(Event::Keep(Site::Target)).unwrap();
    assert_eq!(allowed(&driver), [Drill, KeepSource]);
    driver.fail();
    assert_eq!(allowed(&driver), [Drill, Retry, KeepSource, KeepTarget]);
    driver.tell(Event::Retry).unwrap();
    driver.run();
    driver.tell(Event::Commit).unwrap();
    assert_eq!(allowed(&driver), [Drill, FailbackStart]);
    driver.start_back(Seed::OriginalDisk);
    assert_eq!(allowed(&driver), [Drill, FailbackCancel]);
    driver.run();
    assert_eq!(allowed(&driver), [Drill, FailbackConfirm, FailbackCancel]);
    driver.tell(Event::ConfirmSeed { disks: disks() }).unwrap();
    driver.run();
    assert_eq!(allowed(&driver), [Drill, FailbackCutover, FailbackCancel]);
    driver.tell(Event::Cutover).unwrap();
    assert_eq!(allowed(&driver), [Drill, FailbackRollback]);
    driver.run();
    assert_eq!(allowed(&driver), [Drill, FailbackCommit, FailbackRollback]);
    driver.tell(Event::Commit).unwrap();
    assert_eq!(allowed(&driver), [Drill, FailbackRollback]);
    driver.run();
    assert_eq!(allowed(&driver), [Drill, FailoverStart, RestoreStart]);
    driver.start_restore();
    driver.run_to(Some(Step::RestoreDisks));
    assert_eq!(allowed(&driver), [Drill, FailoverStart, RestoreCancel]);
    driver.fail();
    assert_eq!(
        allowed(&driver),
        [Drill, FailoverStart, RestoreCancel, Retry]
    );
    driver.tell(Event::Cancel).unwrap();
    assert_eq!(allowed(&driver), [Drill, FailoverStart]);
    driver.run();
    assert_eq!(allowed(&driver), [Drill, FailoverStart, RestoreStart]);
}

#[test]
fn a_blocked_way_back_can_be_retried_or_gone_without_proof() {
    let mut driver = Driver::new();
    driver.start(FailoverMode::Emergency, CommitPolicy::Manual);
    driver.run();
    driver.tell(Event::Rollback).unwrap();
    assert_eq!(allowed(&driver), [Verb::Drill]);
    driver.fail();
    assert_eq!(
        allowed(&driver),
        [Verb::Drill, Verb::Retry, Verb::KeepSource]
    );
}

#[test]
fn every_refusal_has_a_code_a_cause_and_a_remedy() {
    let mut driver = Driver::new();
    driver.start(FailoverMode::Emergency, CommitPolicy::Manual);
    for action in allowed_actions(&driver.placement, ALL_WELL) {
        let Some(refused) = action.refused else {
            continue;
        };
        assert!(!refused.code.is_empty() && !refused.code.contains(' '));
        assert!(!refused.cause.is_empty() && !refused.remedy.is_empty());
    }
}

#[test]
fn without_a_point_there_is_nothing_to_boot() {
    let surroundings = Surroundings {
        has_point: false,
        drill_cleanup_failed: true,
    };
    let driver = Driver::new();
    for action in allowed_actions(&driver.placement, surroundings) {
        if matches!(action.verb, Verb::Drill | Verb::FailoverStart) {
            assert_eq!(action.refused.unwrap().code, "no_point");
        }
    }
}
