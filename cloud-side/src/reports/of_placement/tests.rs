//! The report of a failback, out of records of every end.

use super::*;
use crate::{
    receive::{BatchNumber, PointId},
    record_id::FailbackId,
    recovery::{
        BranchName, CommitPolicy, FailbackRequest, FormNumber, Seed, SeedMethod, Stage, Ticket,
    },
};
use bcdr_format::{Generation, GroupId, IncarnationOrdinal, Position, Sequence};

const SECOND: i64 = 1_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp(1_800_000_000 * SECOND + second * SECOND)
}

fn point() -> PointId {
    PointId(Position {
        ordinal: IncarnationOrdinal(1),
        sequence: Sequence(7),
    })
}

fn done(step: Step, began: i64, ended: i64) -> StepRecord {
    StepRecord {
        step,
        attempts: 1,
        began_at: at(began),
        last_began_at: Some(at(began)),
        ended_at: Some(at(ended)),
        outcome: Some(StepOutcome::Done),
    }
}

/// A failback that was cut over at the second attempt, and committed.
fn committed() -> FailbackRecord {
    let mut quiesce = done(Step::QuiesceTarget, 100, 310);
    quiesce.attempts = 2;
    quiesce.last_began_at = Some(at(300));
    FailbackRecord {
        form: FormNumber::CURRENT,
        id: FailbackId::generate(at(0)).unwrap(),
        group: GroupId::from_u128(5),
        request: FailbackRequest {
            request_id: "one".to_owned(),
            operator: "anna".to_owned(),
            seed: Seed::OriginalDisk,
            confirmed: Vec::new(),
            policy: CommitPolicy::Manual,
            round_every_seconds: 60,
        },
        requested_at: at(0),
        finished_at: Some(at(400)),
        end: Some(FailbackEnd::Committed),
        progress: Progress {
            step: Step::ResumeForward,
            stage: Stage::Ended,
            ticket: Ticket::default(),
            steps: vec![
                done(Step::KeepLeftBehind, 10, 20),
                done(Step::CopyRound, 20, 90),
                quiesce,
                done(Step::FinalDelta, 310, 320),
                done(Step::CompareDigests, 320, 330),
                done(Step::FenceHome, 330, 331),
                done(Step::BootHome, 331, 340),
                done(Step::ResumeForward, 350, 392),
            ],
            failure: None,
        },
        generation: Some(Generation(4)),
        fork: point(),
        branch: BranchName("brn-1".to_owned()),
        instance: None,
        inspected: Vec::new(),
        confirmed: Vec::new(),
        left_behind: Some(BranchName("brn-2".to_owned())),
        home_writes: None,
        method: Some(SeedMethod::ChangedRanges),
        seeded: true,
        proven_equal: true,
        sent_bytes: 5000,
        followed_at: None,
        remaining_bytes: Some(0),
        turned_back: None,
        countdown: None,
    }
}

fn report(record: &FailbackRecord, compared: Option<&ComparedHome>) -> Option<Content> {
    let rules = Rules::edition_2007().unwrap();
    let around = Around {
        group_name: "lab".to_owned(),
        proof: PointProof::default(),
        period: None,
        image: compared.map(|_| "blake3:1".to_owned()),
        target: "scripted".to_owned(),
        overdue: false,
        rules: &rules,
        attested: &[],
    };
    failback(record, compared, Some(4096), around)
}

fn check<'a>(content: &'a Content, name: &str) -> &'a Check {
    content
        .checks
        .iter()
        .find(|check| check.name == name)
        .unwrap()
}

#[test]
fn a_failback_tells_its_cutover_what_was_sent_and_what_is_proven() {
    let record = committed();
    let compared = ComparedHome {
        failback: record.id,
        branch: record.branch.clone(),
        batch: BatchNumber(3),
        point: point(),
        equal: true,
        detail: "every disk holds point 1-9".to_owned(),
        at: at(330),
    };
    let content = report(&record, Some(&compared)).unwrap();
    assert_eq!(content.subject.kind, SubjectKind::Failback);
    assert_eq!((content.result, &content.reason), (Outcome::Passed, &None));
    // From the last attempt to stop the machine to home serving its disks.
    assert_eq!(content.recovery_time.from_interruption_ms, Some(40_000));
    assert_eq!(content.recovery_time.from_request_ms, Some(340_000));
    assert_eq!(content.interruption.as_ref().unwrap().by, "anna");
    assert_eq!(content.recovery_point.this_point_ms, Some(0));
    let moved = content.moved.as_ref().unwrap();
    assert_eq!((moved.sent_bytes, moved.changed_bytes), (5000, 4096));
    let digests = check(&content, "digests_equal");
    assert_eq!(digests.verdict, Verdict::Passed);
    let forward = check(&content, "forward_protection");
    assert_eq!(forward.detail.as_deref(), Some("42.000 s"));
    let left_behind = check(&content, "left_behind");
    assert_eq!(left_behind.detail.as_deref(), Some("brn-2"));
    assert_eq!(check(&content, "home_writes").verdict, Verdict::NotRun);
    let change = &content.generations[0];
    assert_eq!(
        (change.generation, change.authority.as_str()),
        (4, "source")
    );
    let quiesce = content
        .phases
        .iter()
        .find(|phase| phase.name == "quiesce_target")
        .unwrap();
    assert_eq!((quiesce.began_ms, quiesce.duration_ms), (300_000, 10_000));
    assert_eq!(quiesce.detail.as_deref(), Some("attempt 2"));
    assert_eq!(content.images.len(), 1);
}

#[test]
fn a_failback_that_was_not_proven_claims_nothing() {
    let mut record = committed();
    record.progress.steps.truncate(2);
    record.end = Some(FailbackEnd::Cancelled);
    record.proven_equal = false;
    let content = report(&record, None).unwrap();
    assert_eq!(content.result, Outcome::Cancelled);
    assert_eq!(content.recovery_time.total_ms(), None);
    assert_eq!(content.recovery_point.this_point_ms, None);
    assert_eq!(content.interruption, None);
    assert!(content.generations.is_empty() && content.images.is_empty());
    for name in ["digests_equal", "forward_protection", "image_hashed"] {
        assert_eq!(check(&content, name).verdict, Verdict::NotRun, "{name}");
    }
    record.finished_at = None;
    assert!(report(&record, None).is_none());
}

#[test]
fn what_went_wrong_and_was_put_right_is_no_reason() {
    let mut record = committed();
    record.end = Some(FailbackEnd::RolledBack);
    record.progress.failure = Some(crate::recovery::Failure {
        step: Step::CopyRound,
        code: "home_silent".to_owned(),
        cause: "nothing was heard".to_owned(),
        remedy: "wait".to_owned(),
    });
    // The round was copied at the next attempt.
    let content = report(&record, None).unwrap();
    assert_eq!(
        (content.result, content.reason),
        (Outcome::RolledBack, None)
    );
    record.progress.steps[1].outcome = Some(StepOutcome::Failed);
    let content = report(&record, None).unwrap();
    assert_eq!(
        content.reason.as_deref(),
        Some("copy_round: nothing was heard")
    );
}
