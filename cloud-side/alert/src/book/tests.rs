use super::*;
use crate::Object;
use proptest::prelude::*;

const MINUTE: u64 = 60;

fn at(seconds: u64) -> Now {
    Now {
        wall: Timestamp(1_800_000_000_000_000 + i64::try_from(seconds).unwrap() * 1_000_000),
        monotonic: Duration::from_secs(seconds),
    }
}

fn object() -> Object {
    Object {
        kind: ObjectKind::Group,
        id: "grp-1".into(),
        name: "shop".into(),
    }
}

fn condition(judged: Judged) -> Vec<Condition> {
    vec![Condition {
        code: AlertCode::JournalFilling,
        object: object(),
        judged,
    }]
}

fn is() -> Vec<Condition> {
    is_this(Severity::Warning)
}

fn is_this(severity: Severity) -> Vec<Condition> {
    condition(Judged::Is {
        severity: Some(severity),
        detail: "80 %".into(),
    })
}

fn is_not() -> Vec<Condition> {
    condition(Judged::IsNot)
}

fn unknown() -> Vec<Condition> {
    condition(Judged::Unknown {
        why: "the capture is not connected".into(),
    })
}

fn book() -> AlertBook {
    let mut settings = Settings::default();
    let hold = Hold {
        raise: Duration::from_secs(20),
        clear: Duration::from_secs(60),
    };
    settings.holds.insert(AlertCode::JournalFilling, hold);
    AlertBook::load(settings, Vec::new(), Vec::new(), at(0))
}

fn kinds(changes: &Changes) -> Vec<TransitionKind> {
    changes.transitions.iter().map(|told| told.0.kind).collect()
}

/// Looks every five seconds, and gives what was told.
fn look(
    book: &mut AlertBook,
    from: u64,
    to: u64,
    conditions: &[Condition],
) -> Vec<(u64, TransitionKind)> {
    let mut told = Vec::new();
    for second in (from..to).step_by(5) {
        let changes = book.observe(conditions, at(second), u128::from(second));
        told.extend(kinds(&changes).into_iter().map(|kind| (second, kind)));
    }
    told
}

#[test]
fn an_alert_is_raised_and_cleared_after_its_holds() {
    let mut book = book();
    assert_eq!(
        look(&mut book, 0, 60, &is()),
        [(20, TransitionKind::Raised)]
    );
    assert_eq!(
        look(&mut book, 60, 200, &is_not()),
        [(120, TransitionKind::Cleared)]
    );
    // It did not last: nobody hears of it.
    assert_eq!(look(&mut book, 2000, 2015, &is()), []);
    assert_eq!(look(&mut book, 2015, 2200, &is_not()), []);
}

#[test]
fn what_cannot_be_judged_stays_and_says_so() {
    let mut book = book();
    look(&mut book, 0, 60, &is());
    assert_eq!(look(&mut book, 60, 4000, &unknown()), []);
    let alert = book.active().next().unwrap();
    let unjudged = alert.unjudged.as_ref().unwrap();
    assert_eq!(
        (unjudged.since, unjudged.why.as_str()),
        (at(60).wall, "the capture is not connected")
    );
    look(&mut book, 4000, 4030, &is_not());
    assert!(book.active().next().unwrap().unjudged.is_none());
    // Nor does it raise one by itself.
    let mut other = self::book();
    assert_eq!(look(&mut other, 0, 4000, &unknown()), []);
    // What was begun is neither counted nor given up meanwhile: 15 s before it and 5 s after it.
    let mut begun = self::book();
    assert_eq!(look(&mut begun, 0, 20, &is()), []);
    assert_eq!(look(&mut begun, 20, 4000, &unknown()), []);
    assert_eq!(
        look(&mut begun, 4000, 4060, &is()),
        [(4005, TransitionKind::Raised)]
    );
    // The same of its end: 55 s before it and 5 s after it.
    assert_eq!(look(&mut begun, 4060, 4120, &is_not()), []);
    assert_eq!(look(&mut begun, 4120, 5000, &unknown()), []);
    assert_eq!(
        look(&mut begun, 5000, 5100, &is_not()),
        [(5005, TransitionKind::Cleared)]
    );
}

#[test]
fn one_that_flaps_is_the_same_and_is_told_once_in_a_quiet_time() {
    let mut book = book();
    let mut told = Vec::new();
    for round in 0..12 {
        let begin = round * 5 * MINUTE;
        told.extend(look(&mut book, begin, begin + 120, &is()));
        told.extend(look(&mut book, begin + 120, begin + 300, &is_not()));
    }
    let alert = book.alerts.values().next().unwrap();
    assert_eq!(alert.occurrences, 12);
    let expected = [
        (20, TransitionKind::Raised),
        (180, TransitionKind::Cleared),
        (1220, TransitionKind::Reopened),
        (1380, TransitionKind::Cleared),
        (2420, TransitionKind::Reopened),
        (2580, TransitionKind::Cleared),
    ];
    assert_eq!(told, expected);
}

#[test]
fn one_that_came_back_and_stays_is_told_after_the_quiet_time() {
    let mut book = book();
    look(&mut book, 0, 60, &is());
    look(&mut book, 60, 130, &is_not());
    let told = look(&mut book, 130, 2000, &is());
    assert_eq!(told, [(1020, TransitionKind::Reopened)]);
}

#[test]
fn one_that_comes_back_much_later_is_another_one() {
    let mut book = book();
    look(&mut book, 0, 60, &is());
    let first = book.active().next().unwrap().id;
    look(&mut book, 60, 1100, &is_not());
    let told = look(&mut book, 1100, 1200, &is());
    assert_eq!(told, [(1120, TransitionKind::Raised)]);
    assert_ne!(book.active().next().unwrap().id, first);
}

#[test]
fn a_worse_one_is_told_once_and_ends_the_acknowledgement() {
    let mut book = book();
    look(&mut book, 0, 60, &is());
    let id = book.active().next().unwrap().id;
    book.acknowledge(id, "ann", None, at(60)).unwrap();
    let again = book.acknowledge(id, "bob", None, at(61)).unwrap_err();
    assert!(again.to_string().contains("ann"));
    let worse = look(&mut book, 65, 100, &is_this(Severity::Critical));
    assert_eq!(worse, [(65, TransitionKind::Escalated)]);
    assert_eq!(book.get(id).unwrap().state(), AlertState::Raised);
    // Up and down again says nothing new.
    assert_eq!(look(&mut book, 100, 200, &is()), []);
    assert_eq!(look(&mut book, 200, 300, &is_this(Severity::Critical)), []);
}

#[test]
fn one_that_nobody_acknowledges_is_told_once_more() {
    let mut book = book();
    let hour = 60 * MINUTE;
    let told = look(&mut book, 0, 20 * hour, &is());
    assert_eq!(
        told,
        [
            (20, TransitionKind::Raised),
            (20 + 4 * hour, TransitionKind::Reminder)
        ]
    );
    let mut taken = self::book();
    look(&mut taken, 0, 60, &is());
    let id = taken.active().next().unwrap().id;
    let note = Some("on it".to_owned());
    taken.acknowledge(id, "ann", note, at(60)).unwrap();
    assert_eq!(look(&mut taken, 60, 20 * hour, &is()), []);
}

fn mute(until: u64, scope: MuteScope) -> Mute {
    Mute {
        scope,
        until: at(until).wall,
        by: "ann".into(),
        why: "maintenance".into(),
        at: at(60).wall,
    }
}

#[test]
fn what_is_muted_is_told_when_the_mute_ends_if_it_still_matters() {
    let scope = || MuteScope::Code {
        code: AlertCode::JournalFilling,
    };
    let mut book = book();
    look(&mut book, 0, 60, &is());
    let id = book.active().next().unwrap().id;
    let unknown = AlertId::from_parts(Timestamp(0), 1);
    assert_eq!(
        book.mute(unknown, mute(600, scope()), at(60)),
        Err(Refused::NotActive(unknown))
    );
    assert_eq!(
        book.mute(id, mute(60, scope()), at(60)),
        Err(Refused::MuteEnd)
    );
    book.mute(id, mute(600, scope()), at(60)).unwrap();
    // Its end is told late, not lost.
    let told = look(&mut book, 60, 700, &is_not());
    assert_eq!(told, [(600, TransitionKind::Cleared)]);

    // One that comes and goes under a mute is never told.
    let mut quiet = self::book();
    look(&mut quiet, 0, 60, &is());
    let id = quiet.active().next().unwrap().id;
    quiet.mute(id, mute(9000, scope()), at(60)).unwrap();
    look(&mut quiet, 60, 300, &is_not());
    assert_eq!(look(&mut quiet, 3000, 3060, &is()), []);
    assert_eq!(quiet.active().count(), 1);
    let muted = quiet.get(id).unwrap().clone();
    let changes = quiet.unmute(&muted, "bob", at(3060)).unwrap();
    assert!(changes.mutes);
    assert_eq!(
        quiet.unmute(&muted, "bob", at(3060)),
        Err(Refused::NotMuted(id))
    );
    // As far as people know it was there all the time.
    assert_eq!(look(&mut quiet, 3060, 3100, &is()), []);
    assert_eq!(quiet.get(id).unwrap().occurrences, 2);
}

#[test]
fn a_mute_is_ended_by_any_alert_that_it_covers_and_by_no_other() {
    let scope = MuteScope::Code {
        code: AlertCode::JournalFilling,
    };
    let mut book = book();
    look(&mut book, 0, 60, &is());
    let alert = book.active().next().unwrap().clone();
    book.mute(alert.id, mute(600, scope.clone()), at(60))
        .unwrap();
    // One that has ended mutes nothing, though it is still held.
    assert_eq!(
        book.unmute(&alert, "bob", at(600)),
        Err(Refused::NotMuted(alert.id))
    );
    look(&mut book, 60, 2000, &is_not());
    assert!(book.get(alert.id).is_none(), "the book has let it go");

    let cleared = alert;
    look(&mut book, 2000, 2060, &is());
    let id = book.active().next().unwrap().id;
    assert_ne!(id, cleared.id);
    book.mute(id, mute(9000, scope), at(2060)).unwrap();
    let mut other = cleared.clone();
    other.code = AlertCode::Stalled;
    assert_eq!(
        book.unmute(&other, "bob", at(2060)),
        Err(Refused::NotMuted(other.id))
    );
    let changes = book.unmute(&cleared, "bob", at(2060)).unwrap();
    assert_eq!(book.mutes(at(2060).wall), []);
    // It is on the record of the alert that was named.
    let [noted] = &changes.alerts[..] else {
        panic!("{changes:?}");
    };
    assert_eq!(noted.id, cleared.id);
    let last = noted.history.last().unwrap();
    assert_eq!(
        (last.event, last.by.as_deref()),
        (Event::Unmuted, Some("bob"))
    );
}

#[test]
fn mutes_cover_what_they_say() {
    let mut book = book();
    look(&mut book, 0, 60, &is());
    let alert = book.active().next().unwrap().clone();
    let kind = ObjectKind::Group;
    let one = |code, object: &str| MuteScope::Alert {
        code,
        kind,
        object: object.into(),
    };
    for (scope, covers) in [
        (one(AlertCode::JournalFilling, "grp-1"), true),
        (one(AlertCode::Stalled, "grp-1"), false),
        (one(AlertCode::JournalFilling, "grp-2"), false),
        (
            MuteScope::Code {
                code: AlertCode::Stalled,
            },
            false,
        ),
        (
            MuteScope::Object {
                kind,
                object: "grp-1".into(),
            },
            true,
        ),
        (
            MuteScope::Object {
                kind: ObjectKind::Volume,
                object: "grp-1".into(),
            },
            false,
        ),
    ] {
        assert_eq!(scope.covers(&alert), covers, "{scope:?}");
    }
}

#[test]
fn what_is_not_there_any_more_is_cleared() {
    let mut book = book();
    look(&mut book, 0, 60, &is());
    let changes = book.observe(&[], at(60), 1);
    assert_eq!(kinds(&changes), [TransitionKind::Cleared]);
}

#[test]
fn time_in_which_nobody_looked_raises_and_clears_nothing() {
    let mut settings = Settings::default();
    let hold = Hold {
        raise: Duration::from_secs(90),
        clear: Duration::from_secs(90),
    };
    settings.holds.insert(AlertCode::JournalFilling, hold);
    let mut book = AlertBook::load(settings, Vec::new(), Vec::new(), at(0));
    book.observe(&is(), at(0), 1);
    // The machine was suspended for an hour between two looks, which count for a minute.
    assert!(book.observe(&is(), at(3600), 1).is_empty());
    assert!(book.observe(&is(), at(3625), 1).is_empty());
    assert_eq!(
        kinds(&book.observe(&is(), at(3630), 1)),
        [TransitionKind::Raised]
    );
    // The same before it is over.
    book.observe(&is_not(), at(3635), 1);
    assert!(book.observe(&is_not(), at(7200), 1).is_empty());
    assert!(book.observe(&is_not(), at(7225), 1).is_empty());
    assert_eq!(
        kinds(&book.observe(&is_not(), at(7230), 1)),
        [TransitionKind::Cleared]
    );
}

#[test]
fn an_active_alert_survives_a_restart_after_the_clock_was_set_back() {
    let mut book = book();
    let mut kept = Vec::new();
    let mut keep = |changes: Changes| kept.extend(changes.alerts);
    let back = |second: u64| Now {
        wall: at(second - 2000).wall,
        ..at(second)
    };
    (0..60)
        .step_by(5)
        .for_each(|second| keep(book.observe(&is(), at(second), 1)));
    (60..2500)
        .step_by(5)
        .for_each(|second| keep(book.observe(&is_not(), at(second), 2)));
    (2500..2600)
        .step_by(5)
        .for_each(|second| keep(book.observe(&is(), back(second), 3)));
    let id = book.active().next().unwrap().id;
    let kept: BTreeMap<_, _> = kept.into_iter().map(|alert| (alert.id, alert)).collect();
    assert_eq!(kept.len(), 2);
    let alerts = kept.into_values().collect();
    let again = AlertBook::load(book.settings.clone(), alerts, Vec::new(), back(2600));
    assert_eq!(again.active().next().unwrap().id, id);
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Is(Severity),
    IsNot,
    Unknown,
    Gone,
    Restart,
    JumpWall(i64),
}

fn steps() -> impl Strategy<Value = Vec<(Step, u64)>> {
    let step = prop_oneof![
        4 => Just(Step::Is(Severity::Warning)),
        2 => Just(Step::Is(Severity::Critical)),
        4 => Just(Step::IsNot),
        2 => Just(Step::Unknown),
        1 => Just(Step::Gone),
        1 => Just(Step::Restart),
        1 => (-100_000i64..100_000).prop_map(Step::JumpWall),
    ];
    prop::collection::vec((step, 1u64..400), 1..120)
}

proptest! {
    /// What was told always becomes what is, and messages alternate as a reader expects.
    #[test]
    fn what_is_told_follows_what_is(steps in steps()) {
        let mut book = book();
        let (mut wall, mut seconds) = (0i64, 0u64);
        let mut durable: BTreeMap<AlertId, Alert> = BTreeMap::new();
        let mut told: BTreeMap<AlertId, Vec<TransitionKind>> = BTreeMap::new();
        let now = |wall: i64, seconds: u64| Now {
            wall: Timestamp(at(seconds).wall.0 + wall * 1_000_000),
            monotonic: Duration::from_secs(seconds),
        };
        let mut last = is_not();
        for (number, (step, length)) in steps.into_iter().enumerate() {
            match step {
                Step::Is(severity) => last = is_this(severity),
                Step::IsNot => last = is_not(),
                Step::Unknown => last = unknown(),
                Step::Gone => last = Vec::new(),
                Step::JumpWall(by) => wall += by,
                Step::Restart => {
                    let kept = durable.values().cloned().collect();
                    let settings = book.settings.clone();
                    book = AlertBook::load(settings, kept, Vec::new(), now(wall, seconds));
                }
            }
            let end = seconds + length;
            while seconds < end {
                seconds += 5;
                let random = u128::from(seconds) + (number as u128) * 1_000_000;
                let changes = book.observe(&last, now(wall, seconds), random);
                prop_assert!(book.active().count() <= 1);
                for (transition, alert) in &changes.transitions {
                    let told = told.entry(transition.alert).or_default();
                    told.push(transition.kind);
                    prop_assert_eq!(transition.number as usize, told.len());
                    prop_assert_eq!(alert.id, transition.alert);
                }
                for alert in changes.alerts {
                    durable.insert(alert.id, alert);
                }
            }
        }
        for told in told.values() {
            prop_assert_eq!(told[0], TransitionKind::Raised);
            let mut active = true;
            for kind in &told[1..] {
                match kind {
                    TransitionKind::Raised => prop_assert!(false, "raised twice: {:?}", told),
                    TransitionKind::Reopened => prop_assert!(!std::mem::replace(&mut active, true)),
                    TransitionKind::Cleared => prop_assert!(std::mem::replace(&mut active, false)),
                    TransitionKind::Escalated | TransitionKind::Reminder => prop_assert!(active),
                }
            }
        }
        // Once all is well for long enough, people know.
        for _ in 0..400 {
            seconds += 5;
            let changes = book.observe(&is_not(), now(wall, seconds), u128::from(seconds));
            for (transition, _) in &changes.transitions {
                told.entry(transition.alert).or_default().push(transition.kind);
            }
        }
        prop_assert_eq!(book.active().count(), 0);
        for told in told.values() {
            prop_assert_eq!(told.last(), Some(&TransitionKind::Cleared));
        }
    }
}
