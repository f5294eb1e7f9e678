//! Starts of a part of a plan.

use super::*;
use serde_json::json;

/// An approval of some, then one of alice, then a wait; another wait without either.
fn plan() -> (Plan, Checked) {
    let plan: Plan = serde_json::from_value(json!({
        "name": "p",
        "steps": [
            {"id": "all", "do": {"approval": {"message": "go?"}}},
            {"id": "alice", "after": ["all"], "do": {"approval": {"message": "go?", "who": ["alice"]}}},
            {"id": "between", "after": ["alice"], "do": {"wait": {"seconds": 1}}},
            {"id": "end", "after": ["between"], "do": {"wait": {"seconds": 1}}},
            {"id": "free", "do": {"wait": {"seconds": 1}}},
        ],
    }))
    .unwrap();
    let checked = plan.check(|_| true).unwrap();
    (plan, checked)
}

fn run(selection: &Selection) -> Vec<String> {
    let (plan, checked) = plan();
    let is_run = |at: &usize| {
        let why = selection.leaves_out(&plan, &checked, Mode::Emergency, *at);
        why.is_none()
    };
    let places = (0..plan.steps.len()).filter(is_run);
    places.map(|at| plan.steps[at].id.0.clone()).collect()
}

fn only(ids: &[&str]) -> Selection {
    Selection {
        only: ids.iter().map(|&id| id.into()).collect(),
        ..Selection::default()
    }
}

#[test]
fn a_start_of_some_steps_is_no_way_around_the_approvals_before_them() {
    // Also over steps that are left out.
    assert_eq!(run(&only(&["end"])), ["all", "alice", "end"]);
    assert_eq!(run(&only(&["free"])), ["free"]);
    let without = Selection {
        without_approvals: true,
        ..only(&["end"])
    };
    assert_eq!(run(&without), ["end"]);
}

#[test]
fn only_who_could_give_an_approval_leaves_it_out() {
    let (plan, checked) = plan();
    let judge = |selection: &Selection, by: &str| {
        let by = Operator(by.to_owned());
        selection.judge_starter(&plan, &checked, Mode::Emergency, &by)
    };
    let without = Selection {
        without_approvals: true,
        ..only(&["end"])
    };
    let refused = judge(&without, "bob").unwrap_err();
    assert_eq!(refused.code, "not_an_approver");
    assert!(refused.cause.contains("alice"), "{refused}");
    judge(&without, "alice").unwrap();
    // Who leaves none out needs no right for that.
    judge(&only(&["end"]), "bob").unwrap();
    let free = Selection {
        without_approvals: true,
        ..only(&["free"])
    };
    judge(&free, "bob").unwrap();
}

#[test]
fn no_more_steps_are_named_than_a_plan_may_have() {
    let (plan, checked) = plan();
    let many = Selection {
        only: vec!["free".into(); STEPS_MAX + 1],
        ..Selection::default()
    };
    let fault = many.check(&plan, &checked, Mode::Drill).unwrap_err();
    assert_eq!(fault.code, "too_many_steps");
}
