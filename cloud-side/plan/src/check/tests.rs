use super::*;
use crate::Mode;

fn plan(text: &str) -> Plan {
    toml::from_str(text).unwrap()
}

fn faults(text: &str) -> Vec<Fault> {
    plan(text)
        .check(|group| matches!(group, "db" | "web"))
        .unwrap_err()
}

const GOOD: &str = r#"
name = "shop"
description = "the whole shop"
at_once = 2

[[steps]]
id = "db"
priority = 2
do.group = { name = "db", launch_settings = { memory_mib = 2048, rungs = { login = "ready>" } } }

[[steps]]
id = "settle"
after = ["db"]
do.wait = { seconds = 30 }

[[steps]]
id = "go"
after = ["settle"]
critical = false
do.approval = { message = "is the network switched?", who = ["alice"] }

[[steps]]
id = "web"
after = ["go"]
priority = 7
do.group = { name = "web" }
"#;

#[test]
fn a_good_plan_is_read_from_both_forms_and_priorities_follow_what_is_needed() {
    let shop = plan(GOOD);
    let checked = shop.check(|_| true).unwrap();
    assert_eq!(checked.order, [0, 1, 2, 3]);
    assert_eq!(checked.priorities, [2, 2, 2, 7]);
    assert!(shop.steps[0].critical && !shop.steps[2].critical);
    let json = serde_json::to_string(&shop).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), shop);
}

#[test]
fn unknown_members_and_kinds_are_refused() {
    for (from, to) in [
        ("seconds = 30", "minutes = 30"),
        ("do.wait", "do.wiat"),
        ("at_once", "atonce"),
        ("critical", "critcal"),
    ] {
        let text = GOOD.replace(from, to);
        assert!(toml::from_str::<Plan>(&text).is_err(), "{to}");
    }
}

#[test]
fn a_cycle_is_named_by_its_path() {
    let text = GOOD.replace("id = \"db\"", "id = \"db\"\nafter = [\"go\"]");
    let found = faults(&text);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].code, "cycle");
    assert!(
        found[0]
            .cause
            .ends_with("db after go after settle after db"),
        "{}",
        found[0].cause
    );
}

#[test]
fn every_fault_is_told_at_once_with_its_step_and_a_remedy() {
    let text = r#"
name = "Shop!"
at_once = 0
[[steps]]
id = "a"
after = ["nothing", "b", "b"]
priority = 0
do.group = { name = "unheard" }
[[steps]]
id = "b"
do.wait = { seconds = 0 }
[[steps]]
id = "b"
do.approval = { message = " ", who = [""] }
[[steps]]
id = "c"
do.group = { name = "db" }
[[steps]]
id = "d"
do.group = { name = "db" }
"#;
    let found = faults(text);
    let codes: Vec<_> = found
        .iter()
        .map(|fault| (fault.step.as_ref().map_or("", |step| &step.0), fault.code))
        .collect();
    assert_eq!(
        codes,
        [
            ("", "name"),
            ("", "at_once"),
            ("b", "duplicate_step"),
            ("a", "unknown_step"),
            ("a", "duplicate_after"),
            ("a", "priority"),
            ("b", "wait"),
            ("b", "message"),
            ("b", "approvers"),
            ("a", "unknown_group"),
            ("d", "duplicate_group"),
        ]
    );
    assert!(found.iter().all(|fault| !fault.remedy.is_empty()));
    assert_eq!(
        found[9].to_string(),
        "step a: there is no group \"unheard\"; name a group that `bcdr group list` shows"
    );
}

#[test]
fn a_step_is_not_more_urgent_than_what_it_needs() {
    let found = faults(&GOOD.replace("priority = 7", "priority = 1"));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].code, "priority");
    assert!(
        found[0].cause.contains("comes after step go, which has 2"),
        "{}",
        found[0].cause
    );
}

#[test]
fn a_plan_without_steps_and_one_with_too_many_are_refused() {
    let mut shop = plan(GOOD);
    let one = shop.steps[1].clone();
    shop.steps = (0..=STEPS_MAX)
        .map(|number| Step {
            id: StepId(format!("s{number}")),
            after: Vec::new(),
            ..one.clone()
        })
        .collect();
    assert_eq!(shop.check(|_| true).unwrap_err()[0].code, "steps");
    shop.steps.pop();
    assert!(shop.check(|_| true).is_ok());
    shop.steps.clear();
    assert_eq!(shop.check(|_| true).unwrap_err()[0].code, "steps");
}

#[test]
fn a_selection_names_steps_that_exist_and_leaves_something() {
    use crate::{NotRun, Selection};
    let shop = plan(GOOD);
    let checked = shop.check(|_| true).unwrap();
    let wanted = |priority, only: &[&str]| Selection {
        priority,
        only: only.iter().map(|&id| id.into()).collect(),
        ..Selection::default()
    };
    let urgent = wanted(Some(2), &[]);
    urgent.check(&shop, &checked, Mode::Drill).unwrap();
    let left_out = |selection: &Selection| -> Vec<_> {
        (0..4)
            .map(|at| selection.leaves_out(&shop, &checked, Mode::Drill, at))
            .collect()
    };
    assert_eq!(
        left_out(&urgent),
        [None, None, None, Some(NotRun::LessUrgent)]
    );
    let named = wanted(None, &["web"]);
    assert_eq!(left_out(&named)[0], Some(NotRun::NotSelected));
    assert_eq!(left_out(&named)[3], None);
    let none = wanted(Some(1), &[])
        .check(&shop, &checked, Mode::Drill)
        .unwrap_err();
    assert_eq!(none.code, "nothing_selected");
    let unknown = wanted(None, &["w"])
        .check(&shop, &checked, Mode::Drill)
        .unwrap_err();
    assert_eq!(unknown.code, "unknown_step");
}

#[test]
fn what_reaches_outside_names_programs_and_secrets_without_paths() {
    let text = r#"
name = "shop"
[[steps]]
id = "call"
do.script = { program = "../sh", timeout_seconds = 0 }
[[steps]]
id = "look"
do.probe = { target = { http = { url = "ftp://x" } }, within_seconds = 5 }
[[steps]]
id = "switch"
do.dns = { server = "ns1", zone = "z", name = "n.z", record = "A", values = [], ttl_seconds = 60, key = ".k" }
[[steps]]
id = "tell"
do.webhook = { url = "https://h/", secret = "a/b", within_seconds = 5 }
"#;
    let found = faults(text);
    let codes: Vec<_> = found.iter().map(|fault| fault.code).collect();
    assert_eq!(
        codes,
        [
            "program",
            "timeout_seconds",
            "url",
            "key",
            "values",
            "secret"
        ]
    );
}

#[test]
fn what_reaches_outside_is_left_out_of_drills_unless_it_is_wanted_there() {
    use crate::{NotRun, Selection};
    let text = r#"
name = "shop"
[[steps]]
id = "call"
do.script = { program = "switch", timeout_seconds = 5 }
[[steps]]
id = "look"
do.probe = { target = { tcp = { host = "h", port = 22 } }, within_seconds = 5, in_drill = true }
"#;
    let shop = plan(text);
    let checked = shop.check(|_| true).unwrap();
    let all = Selection::default();
    let left_out = |mode, at| all.leaves_out(&shop, &checked, mode, at);
    assert_eq!(left_out(Mode::Drill, 0), Some(NotRun::Drill));
    assert_eq!(left_out(Mode::Drill, 1), None);
    assert_eq!(left_out(Mode::Emergency, 0), None);
}
