use super::*;

const PLAN: &str = r#"
name = "shop"
at_once = 1
[[steps]]
id = "a"
do.group = { name = "a" }
[[steps]]
id = "b"
do.group = { name = "b" }
[[steps]]
id = "rest"
after = ["a"]
do.wait = { seconds = 30 }
[[steps]]
id = "go"
after = ["rest", "b"]
do.approval = { message = "go?" }
"#;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn of(known: &[(&str, u64)], selection: &Selection) -> Forecast {
    let plan: Plan = toml::from_str(PLAN).unwrap();
    let checked = plan.check(|_| true).unwrap();
    let known: Vec<_> = known.to_vec();
    forecast(&plan, &checked, Mode::Drill, selection, |step| {
        let times = known.iter().filter(|(id, _)| *id == step.id.0);
        KnownTimes {
            runs: times.map(|&(_, time)| seconds(time)).collect(),
            remembered: None,
        }
    })
}

#[test]
fn places_and_dependencies_are_counted() {
    let known = [("a", 10), ("a", 20), ("a", 90), ("b", 40), ("go", 5)];
    let all = of(&known, &Selection::default());
    // One at a time: a to 20, b to 60; the wait ends at 50 meanwhile.
    let begins: Vec<_> = all
        .steps
        .iter()
        .map(|step| step.begins_after.unwrap())
        .collect();
    assert_eq!(begins, [0, 20, 20, 60].map(seconds));
    assert_eq!(all.at_least, seconds(65));
    assert!(all.is_complete);
    assert_eq!(all.steps[0].basis, Basis::Runs(3));
    assert_eq!(all.steps[2].basis, Basis::Stated);
}

#[test]
fn what_nobody_ran_is_unknown_and_the_whole_is_at_least() {
    let some = of(&[("a", 10)], &Selection::default());
    assert!(!some.is_complete);
    assert_eq!(some.at_least, seconds(40));
    assert_eq!(some.steps[1].basis, Basis::Unknown);
    assert_eq!(some.steps[1].takes, None);
}

#[test]
fn what_is_left_out_takes_no_time_and_nothing_waits_for_it() {
    let selection = Selection {
        priority: None,
        only: vec!["rest".into()],
        ..Selection::default()
    };
    let part = of(&[], &selection);
    assert!(part.is_complete);
    assert_eq!(part.at_least, seconds(30));
    assert_eq!(part.steps[2].begins_after, Some(Duration::ZERO));
    assert_eq!(part.steps[0].basis, Basis::NotRun(NotRun::NotSelected));
}

#[test]
fn a_median_is_in_the_middle() {
    assert_eq!(median(&[]), None);
    assert_eq!(
        median(&[seconds(9), seconds(1), seconds(5)]),
        Some(seconds(5))
    );
    assert_eq!(median(&[seconds(4), seconds(2)]), Some(seconds(3)));
}

#[test]
fn a_names_time_to_live_is_added_and_without_it_the_step_is_unknown() {
    let text = r#"
name = "shop"
[[steps]]
id = "switch"
[steps.do.dns]
server = "ns1"
zone = "example.org"
name = "www.example.org"
record = "A"
values = ["192.0.2.7"]
ttl_seconds = 60
key = "ns1.key"
"#;
    let plan: Plan = toml::from_str(text).unwrap();
    let checked = plan.check(|_| true).unwrap();
    let of = |mode, remembered| {
        forecast(&plan, &checked, mode, &Selection::default(), |_| {
            KnownTimes {
                runs: vec![seconds(2)],
                remembered,
            }
        })
    };
    let known = of(Mode::Emergency, Some(seconds(300)));
    assert_eq!((known.at_least, known.is_complete), (seconds(302), true));
    assert!(!of(Mode::Emergency, None).is_complete);
    let drill = of(Mode::Drill, None);
    assert_eq!(drill.steps[0].basis, Basis::NotRun(NotRun::Drill));
}
