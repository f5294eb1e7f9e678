//! The machine against scripted hands: by example, and over random plans.

use super::*;
use crate::{ApprovalStep, GroupStep, Kind, WaitStep};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const NOW: Timestamp = Timestamp(1_000_000_000);

fn step(id: &str, after: &[&str], kind: Kind) -> Step {
    Step {
        id: id.into(),
        after: after.iter().map(|&id| id.into()).collect(),
        critical: true,
        priority: None,
        kind,
    }
}

fn group(name: &str) -> Kind {
    Kind::Group(GroupStep {
        name: name.to_owned(),
        launch_settings: None,
        networks: None,
    })
}

fn wait(seconds: u32) -> Kind {
    Kind::Wait(WaitStep { seconds })
}

fn approval(who: &[&str]) -> Kind {
    Kind::Approval(ApprovalStep {
        message: "go?".to_owned(),
        who: who.iter().map(|&name| name.to_owned()).collect(),
    })
}

fn ops() -> Operator {
    Operator("ops".to_owned())
}

fn start_with(steps: Vec<Step>, at_once: u8, selection: Selection) -> Run {
    let plan = Plan {
        name: "shop".to_owned(),
        description: String::new(),
        at_once,
        steps,
    };
    let checked = plan.check(|_| true).unwrap();
    let start = Start {
        plan,
        version: 1,
        mode: Mode::Drill,
        selection,
        by: ops(),
    };
    Run::start(start, &checked, NOW).unwrap()
}

fn start(steps: Vec<Step>) -> Run {
    start_with(steps, 4, Selection::default())
}

fn state(run: &Run, id: &str) -> StepState {
    run.step(&id.into()).unwrap().1.state
}

fn done(run: &Run, id: &str) -> Event {
    Event::Done {
        step: id.into(),
        attempt: run.step(&id.into()).unwrap().1.attempt,
        note: "passed".to_owned(),
        point: None,
    }
}

fn failed(run: &Run, id: &str) -> Event {
    Event::Failed {
        step: id.into(),
        attempt: run.step(&id.into()).unwrap().1.attempt,
        failure: Failure {
            code: "broken".to_owned(),
            cause: "it broke".to_owned(),
            remedy: "mend it".to_owned(),
        },
        point: None,
    }
}

fn approve(id: &str, by: &str) -> Event {
    Event::Approve {
        step: id.into(),
        by: Operator(by.to_owned()),
        reason: None,
    }
}

fn skip(id: &str) -> Event {
    Event::Skip {
        step: id.into(),
        by: ops(),
        reason: "it is by hand".to_owned(),
    }
}

fn retry(id: &str) -> Event {
    Event::Retry { step: id.into() }
}

fn cancel() -> Event {
    Event::Cancel {
        by: ops(),
        reason: None,
    }
}

fn names(run: &Run) -> Vec<String> {
    run.work().into_iter().map(|work| work.step.0).collect()
}

fn reload(run: &Run) -> Run {
    serde_json::from_slice(&serde_json::to_vec(run).unwrap()).unwrap()
}

#[test]
fn independent_steps_run_at_once_within_the_limit_and_the_urgent_first() {
    let mut steps = vec![
        step("a", &[], group("a")),
        step("b", &[], group("b")),
        step("c", &[], group("c")),
        step("d", &["a", "b", "c"], group("d")),
    ];
    steps[0].priority = Some(3);
    let mut run = start_with(steps, 2, Selection::default());
    assert_eq!(names(&run), ["b", "c"]);
    run.handle(&done(&run, "b"), NOW).unwrap();
    assert_eq!(names(&run), ["a", "c"]);
    run.handle(&done(&run, "a"), NOW).unwrap();
    assert_eq!(names(&run), ["c"]);
    run.handle(&done(&run, "c"), NOW).unwrap();
    assert_eq!(names(&run), ["d"]);
    run.handle(&done(&run, "d"), NOW).unwrap();
    assert_eq!(run.state(), RunState::Succeeded);
    assert_eq!(run.ended_at, Some(NOW));
}

#[test]
fn a_critical_failure_pauses_the_run_until_somebody_decides() {
    let mut run = start_with(
        vec![
            step("a", &[], group("a")),
            step("b", &[], group("b")),
            step("c", &["a"], group("c")),
            step("d", &["b"], group("d")),
        ],
        4,
        Selection::default(),
    );
    run.handle(&failed(&run, "a"), NOW).unwrap();
    assert_eq!(run.state(), RunState::Paused);
    // What runs goes on to its end; nothing begins, not even elsewhere.
    run.handle(&done(&run, "b"), NOW).unwrap();
    assert!(names(&run).is_empty());
    assert_eq!(state(&run, "d"), StepState::Waiting);
    let allowed: Vec<_> = run
        .allowed()
        .into_iter()
        .filter(|allowed| allowed.refused.is_none())
        .map(|allowed| (allowed.verb, allowed.step.map_or(String::new(), |id| id.0)))
        .collect();
    assert_eq!(
        allowed,
        [
            (Verb::Cancel, String::new()),
            (Verb::RetryStep, "a".to_owned()),
            (Verb::SkipStep, "a".to_owned())
        ]
    );
    let mut retried = run.clone();
    retried.handle(&retry("a"), NOW).unwrap();
    assert_eq!(names(&retried), ["a", "d"]);
    assert_eq!(retried.work()[0].attempt, 2);
    let twice = retried.handle(&retry("a"), NOW).unwrap_err();
    assert_eq!(twice.code, "step_does_not_hold_up");
    run.handle(&skip("a"), NOW).unwrap();
    assert_eq!(names(&run), ["c", "d"]);
    run.handle(&done(&run, "c"), NOW).unwrap();
    run.handle(&done(&run, "d"), NOW).unwrap();
    assert_eq!(run.state(), RunState::SucceededInPart);
    let (_, skipped) = run.step(&"a".into()).unwrap();
    assert_eq!(
        skipped.decided.as_ref().unwrap().reason.as_deref(),
        Some("it is by hand")
    );
    assert_eq!(skipped.failure.as_ref().unwrap().cause, "it broke");
}

#[test]
fn an_optional_failure_is_noted_and_the_run_goes_on() {
    let mut steps = vec![step("a", &[], group("a")), step("b", &["a"], group("b"))];
    steps[0].critical = false;
    let mut run = start(steps);
    run.handle(&failed(&run, "a"), NOW).unwrap();
    assert_eq!(run.state(), RunState::Running);
    assert_eq!(names(&run), ["b"]);
    assert!(run.handle(&retry("a"), NOW).is_err());
    run.handle(&done(&run, "b"), NOW).unwrap();
    assert_eq!(run.state(), RunState::SucceededInPart);
}

#[test]
fn an_approval_is_given_once_and_by_those_who_may() {
    let mut run = start(vec![
        step("go", &[], approval(&["alice", "bob"])),
        step("a", &["go"], group("a")),
    ]);
    assert_eq!(run.state(), RunState::AwaitingApproval);
    let stranger = run.handle(&approve("go", "mallory"), NOW).unwrap_err();
    assert_eq!(stranger.code, "not_an_approver");
    assert_eq!(state(&run, "go"), StepState::AwaitingApproval);
    run.handle(&approve("go", "alice"), NOW).unwrap();
    assert_eq!(names(&run), ["a"]);
    let second = run.handle(&approve("go", "bob"), NOW).unwrap_err();
    assert_eq!(second.cause, "alice released step go already");
    assert!(run.handle(&approve("a", "alice"), NOW).is_err());
    assert!(run.handle(&skip("go"), NOW).is_err());
}

#[test]
fn a_wait_ends_with_its_time_or_when_somebody_cuts_it_short() {
    let mut run = start(vec![
        step("rest", &[], wait(25)),
        step("a", &["rest"], group("a")),
    ]);
    assert!(run.counts_time());
    let at = |seconds: i64| Timestamp(NOW.0 + seconds * 1_000_000);
    assert!(!run.handle(&Event::Tick, at(4)).unwrap().persist);
    assert!(run.handle(&Event::Tick, at(10)).unwrap().persist);
    let mut cut = run.clone();
    run.handle(&Event::Tick, at(24)).unwrap();
    assert!(names(&run).is_empty());
    run.handle(&Event::Tick, at(25)).unwrap();
    assert_eq!(names(&run), ["a"]);
    assert!(!run.counts_time());
    cut.handle(&skip("rest"), at(11)).unwrap();
    assert_eq!(names(&cut), ["a"]);
    assert_eq!(state(&cut, "rest"), StepState::Skipped);
}

#[test]
fn a_cancelled_run_ends_what_runs_and_begins_nothing() {
    let mut run = start(vec![
        step("a", &[], group("a")),
        step("rest", &[], wait(60)),
        step("go", &[], approval(&[])),
        step("b", &["a"], group("b")),
    ]);
    run.handle(&cancel(), NOW).unwrap();
    assert_eq!(run.state(), RunState::Cancelling);
    let work = run.work();
    assert!(work.len() == 1 && work[0].stop, "{work:?}");
    assert!(run.handle(&cancel(), NOW).is_err());
    assert!(run.handle(&approve("go", "ops"), NOW).is_err());
    run.handle(&failed(&run, "a"), NOW).unwrap();
    assert_eq!(run.state(), RunState::Cancelled);
    assert_eq!(state(&run, "b"), StepState::NotRun(NotRun::Cancelled));
    assert_eq!(state(&run, "go"), StepState::NotRun(NotRun::Cancelled));
    assert_eq!(run.handle(&cancel(), NOW).unwrap_err().code, "run_ended");
}

#[test]
fn an_interrupted_attempt_is_begun_again_but_not_for_ever() {
    let mut run = start(vec![step("a", &[], group("a"))]);
    for attempt in 1..=INTERRUPTIONS_MAX + 1 {
        let began = Event::Began {
            step: "a".into(),
            attempt,
            reference: format!("drl-{attempt}"),
        };
        run.handle(&began, NOW).unwrap();
        assert_eq!(run.work()[0].reference, Some(format!("drl-{attempt}")));
        let cut = Event::Interrupted {
            step: "a".into(),
            attempt,
        };
        run.handle(&cut, NOW).unwrap();
        // An answer that comes twice counts once.
        assert!(!run.handle(&cut, NOW).unwrap().persist);
    }
    assert_eq!(run.state(), RunState::Paused);
    assert_eq!(
        run.step(&"a".into())
            .unwrap()
            .1
            .failure
            .as_ref()
            .unwrap()
            .code,
        "interrupted"
    );
    run.handle(&retry("a"), NOW).unwrap();
    let work = run.work();
    assert_eq!((work[0].attempt, &work[0].reference), (5, &None));
    assert_eq!(work[0].previous.as_deref(), Some("drl-4"));
}

#[test]
fn an_answer_to_an_attempt_that_is_over_changes_nothing() {
    let mut run = start(vec![step("a", &[], group("a"))]);
    let late = done(&run, "a");
    run.handle(&failed(&run, "a"), NOW).unwrap();
    run.handle(&retry("a"), NOW).unwrap();
    let before = run.clone();
    assert!(!run.handle(&late, NOW).unwrap().persist);
    assert_eq!(run, before);
}

#[test]
fn steps_that_were_not_selected_count_as_settled() {
    let selection = Selection {
        priority: None,
        only: vec!["b".into()],
        ..Selection::default()
    };
    let steps = vec![step("a", &[], group("a")), step("b", &["a"], group("b"))];
    let mut run = start_with(steps, 4, selection);
    assert_eq!(state(&run, "a"), StepState::NotRun(NotRun::NotSelected));
    assert_eq!(names(&run), ["b"]);
    run.handle(&done(&run, "b"), NOW).unwrap();
    assert_eq!(run.state(), RunState::Succeeded);
}

/// What a random plan's world does.
#[derive(Debug, Clone)]
struct Script {
    steps: Vec<Step>,
    at_once: u8,
    /// How often each step fails before it is done.
    fails: Vec<u8>,
    /// What the operator does about each: skip instead of retry.
    skips: Vec<bool>,
    cancel_after: Option<usize>,
}

fn script() -> impl Strategy<Value = Script> {
    (1_usize..9).prop_flat_map(|count| {
        let edges = proptest::collection::vec(any::<u16>(), count);
        let kinds = proptest::collection::vec((0_u8..4, any::<bool>()), count);
        let fails = proptest::collection::vec(0_u8..3, count);
        let skips = proptest::collection::vec(any::<bool>(), count);
        let cancel = proptest::option::of(0_usize..20);
        (edges, kinds, fails, skips, 1_u8..4, cancel).prop_map(
            move |(edges, kinds, fails, skips, at_once, cancel_after)| {
                let steps = (0..count).map(|at| {
                    let before: Vec<_> = (0..at)
                        .filter(|one| edges[at] >> one & 1 == 1)
                        .map(|one| StepId(format!("s{one}")))
                        .collect();
                    let kind = match kinds[at].0 {
                        0 => wait(u32::try_from(at).unwrap() + 1),
                        1 => approval(&[]),
                        _ => group(&format!("g{at}")),
                    };
                    Step {
                        id: StepId(format!("s{at}")),
                        after: before,
                        critical: kinds[at].1,
                        priority: None,
                        kind,
                    }
                });
                Script {
                    steps: steps.collect(),
                    at_once,
                    fails,
                    skips,
                    cancel_after,
                }
            },
        )
    })
}

/// Everything outside of the run: what was begun under which name stays begun.
#[derive(Debug, Default, Clone)]
struct World {
    begun: BTreeMap<(StepId, u32), String>,
}

/// What happens next, as it follows from the run and the world alone.
fn next(run: &Run, world: &mut World, script: &Script, events: usize) -> Option<Event> {
    if run.end.is_some() {
        return None;
    }
    if script.cancel_after.is_some_and(|after| events >= after) && run.cancelled.is_none() {
        return Some(cancel());
    }
    let place = |id: &StepId| {
        run.plan
            .steps
            .iter()
            .position(|step| step.id == *id)
            .unwrap()
    };
    if let Some(work) = run.work().into_iter().next() {
        let at = place(&work.step);
        let key = (work.step.clone(), work.attempt);
        let name = world
            .begun
            .entry(key)
            .or_insert_with(|| format!("job-{at}-{}", work.attempt));
        if work.reference.is_none() {
            return Some(Event::Began {
                step: work.step,
                attempt: work.attempt,
                reference: name.clone(),
            });
        }
        assert_eq!(
            work.reference.as_ref(),
            Some(&*name),
            "a second job was begun"
        );
        let id = work.step.0.as_str();
        let fails = work.attempt <= u32::from(script.fails[at]) || work.stop;
        return Some(if fails {
            failed(run, id)
        } else {
            done(run, id)
        });
    }
    let awaiting = run
        .steps()
        .find(|(_, step)| step.state == StepState::AwaitingApproval);
    if let Some((step, _)) = awaiting {
        return Some(approve(&step.id.0, "ops"));
    }
    let stuck = run
        .steps()
        .find(|(step, state)| step.critical && state.state == StepState::Failed);
    if let Some((step, _)) = stuck {
        assert_eq!(run.state(), RunState::Paused);
        let id = &step.id;
        return Some(if script.skips[place(id)] {
            skip(&id.0)
        } else {
            retry(&id.0)
        });
    }
    assert!(
        run.counts_time(),
        "a run stands still without a name: {run:?}"
    );
    Some(Event::Tick)
}

/// Leads a run to its end; `kill_at` reloads it before that event is taken in, `journal` gets all.
fn lead(script: &Script, kill_at: Option<usize>, journal: &mut Vec<(Event, Timestamp)>) -> Run {
    let mut run = start_with(script.steps.clone(), script.at_once, Selection::default());
    let mut world = World::default();
    let mut now = NOW;
    loop {
        assert!(journal.len() < 2000, "the run does not end");
        let Some(event) = next(&run, &mut world, script, journal.len()) else {
            return run;
        };
        if kill_at == Some(journal.len()) {
            // The event was about to be kept and is lost; the world's part of it is not.
            run = reload(&run);
            let again = next(&run, &mut world, script, journal.len()).unwrap();
            assert_eq!(again, event, "the next process goes another way");
        }
        now = Timestamp(now.0 + 1_000_000);
        run.handle(&event, now).unwrap();
        journal.push((event, now));
        check_order(&run);
    }
}

/// No step that was begun has anything before it that is not settled.
fn check_order(run: &Run) {
    let settled: BTreeSet<_> = run
        .steps()
        .filter(|(step, state)| match state.state {
            StepState::Done | StepState::Skipped | StepState::NotRun(_) => true,
            StepState::Failed => !step.critical,
            _ => false,
        })
        .map(|(step, _)| &step.id)
        .collect();
    for (step, state) in run.steps() {
        if state.began_at.is_some() {
            let missing: Vec<_> = step
                .after
                .iter()
                .filter(|id| !settled.contains(id))
                .collect();
            assert!(missing.is_empty(), "{} began before {missing:?}", step.id);
        }
    }
    assert!(run.work().len() <= usize::from(run.plan.at_once));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_run_ends_in_order_and_a_kill_anywhere_changes_nothing(script in script()) {
        let mut journal = Vec::new();
        let run = lead(&script, None, &mut journal);
        let is_cancelled = run.end == Some(RunEnd::Cancelled);
        prop_assert_eq!(is_cancelled, run.cancelled.is_some());
        let begun = run.steps().filter(|(_, step)| step.attempt > 0);
        prop_assert!(is_cancelled || begun.count() == run.steps().len());
        for kill_at in 0..journal.len() {
            let mut same = Vec::new();
            prop_assert_eq!(&lead(&script, Some(kill_at), &mut same), &run);
            prop_assert_eq!(&same, &journal);
        }
    }

    #[test]
    fn the_journal_of_events_says_it_all(script in script()) {
        let mut journal = Vec::new();
        let run = lead(&script, None, &mut journal);
        let mut again = start_with(script.steps.clone(), script.at_once, Selection::default());
        for (event, at) in &journal {
            again = reload(&again);
            again.handle(event, *at).unwrap();
        }
        prop_assert_eq!(again, run);
    }
}
