use super::*;
use crate::{
    AlertBook, AlertCode, Condition, Hold, Judged, Object, ObjectKind, Settings, TransitionKind,
};
use proptest::prelude::*;

fn at(seconds: u64) -> Now {
    Now {
        wall: Timestamp(1_800_000_000_000_000 + i64::try_from(seconds).unwrap() * 1_000_000),
        monotonic: Duration::from_secs(seconds),
    }
}

fn names() -> Vec<String> {
    vec!["mail".into(), "hook".into()]
}

fn conditions(bits: u8) -> Vec<Condition> {
    let condition = |number: u8| Condition {
        code: AlertCode::Disconnected,
        object: Object {
            kind: ObjectKind::Group,
            id: format!("grp-{number}"),
            name: format!("group {number}"),
        },
        judged: if bits & (1 << number) == 0 {
            Judged::IsNot
        } else {
            Judged::Is {
                severity: None,
                detail: "gone".into(),
            }
        },
    };
    (0..3).map(condition).collect()
}

fn settings() -> Settings {
    let hold = Hold {
        raise: Duration::ZERO,
        clear: Duration::ZERO,
    };
    Settings {
        quiet: Duration::from_secs(60),
        remind_after: Duration::from_secs(300),
        holds: [(AlertCode::Disconnected, hold)].into(),
    }
}

/// What is durable.
#[derive(Default)]
struct Disk {
    alerts: BTreeMap<String, Alert>,
    deliveries: BTreeMap<String, Delivery>,
    channels: BTreeMap<String, ChannelRecord>,
}

impl Disk {
    fn keep(&mut self, marked: &Marked) {
        let Marked { delivery, channel } = marked.clone();
        self.deliveries.insert(delivery.key(), delivery);
        self.channels.insert(channel.name.clone(), channel);
    }

    fn open(&self, now: Now) -> Process {
        let alerts = self.alerts.values().cloned().collect();
        let deliveries = self.deliveries.values().cloned().collect();
        let channels = self.channels.values().cloned().collect();
        (
            AlertBook::load(settings(), alerts, Vec::new(), now),
            Outbox::load(names(), channels, deliveries, now),
            BTreeSet::new(),
        )
    }
}

/// What a process knows, and the deliveries that it brought.
type Process = (AlertBook, Outbox, BTreeSet<String>);

/// Where a process is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kill {
    No,
    BeforeTheBookIsDurable,
    AfterTheBookIsDurable,
    AfterItWasSent,
    AfterItWasMarked,
    /// It is not; but no mark can be made durable.
    NothingIsKept,
}

fn kills() -> impl Strategy<Value = Kill> {
    prop_oneof![
        8 => Just(Kill::No),
        1 => Just(Kill::BeforeTheBookIsDurable),
        1 => Just(Kill::AfterTheBookIsDurable),
        1 => Just(Kill::AfterItWasSent),
        1 => Just(Kill::AfterItWasMarked),
        3 => Just(Kill::NothingIsKept),
    ]
}

/// What a channel's receiver saw, and which of it is marked.
#[derive(Default)]
struct Seen {
    sent: Vec<(String, AlertId, u32)>,
    marked: BTreeSet<String>,
    transitions: BTreeSet<(AlertId, u32)>,
}

fn one_round(
    disk: &mut Disk,
    seen: &mut Seen,
    process: &mut Process,
    second: u64,
    (bits, kill, works): (u8, Kill, bool),
) -> Result<(), TestCaseError> {
    let now = at(second);
    let changes = process
        .0
        .observe(&conditions(bits), now, u128::from(second) << 8);
    if kill == Kill::BeforeTheBookIsDurable {
        *process = disk.open(now);
        return Ok(());
    }
    let mut made = Vec::new();
    for (transition, alert) in &changes.transitions {
        made.extend(Outbox::deliveries(transition, alert, names(), now));
        let new = seen
            .transitions
            .insert((transition.alert, transition.number));
        prop_assert!(new, "a transition was made twice");
    }
    for alert in changes.alerts {
        disk.alerts.insert(alert.id.newest_first_key(), alert);
    }
    for delivery in &made {
        disk.deliveries.insert(delivery.key(), delivery.clone());
    }
    if kill == Kill::AfterTheBookIsDurable {
        *process = disk.open(now);
        return Ok(());
    }
    made.into_iter()
        .for_each(|delivery| process.1.add(delivery));
    for marked in process.1.marks_due(now) {
        if kill == Kill::NothingIsKept {
            process.1.mark_later(marked, now);
            continue;
        }
        seen.marked.insert(marked.delivery.key());
        disk.keep(&marked);
        process.1.mark(marked, now);
    }
    for channel in names() {
        for delivery in process.1.take_due(&channel, 2, now) {
            prop_assert!(
                !seen.marked.contains(&delivery.key()),
                "it was marked before"
            );
            let result = if works {
                let new = process.2.insert(delivery.key());
                prop_assert!(new, "this process told it before");
                Ok(Taken::default())
            } else {
                Err("500".to_owned())
            };
            if works {
                let key = (
                    delivery.key(),
                    delivery.transition.alert,
                    delivery.transition.number,
                );
                seen.sent.push(key);
            }
            if kill == Kill::AfterItWasSent {
                *process = disk.open(now);
                return Ok(());
            }
            let marked = process.1.judge(&delivery, result, now);
            if kill == Kill::NothingIsKept {
                process.1.mark_later(marked, now);
                continue;
            }
            disk.keep(&marked);
            if marked.delivery.state != DeliveryState::Pending {
                seen.marked.insert(marked.delivery.key());
            }
            if kill == Kill::AfterItWasMarked {
                *process = disk.open(now);
                return Ok(());
            }
            process.1.mark(marked, now);
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn every_change_arrives_and_nothing_is_sent_after_its_mark(
        rounds in prop::collection::vec((0u8..8, kills(), prop::bool::weighted(0.7)), 1..150),
    ) {
        let mut disk = Disk::default();
        let mut seen = Seen::default();
        let mut process = disk.open(at(0));
        let mut second = 0;
        for round in rounds {
            second += 7;
            one_round(&mut disk, &mut seen, &mut process, second, round)?;
        }
        // Everything works again, and nothing happens any more.
        for _ in 0..300 {
            second += 7;
            one_round(&mut disk, &mut seen, &mut process, second, (0, Kill::No, true))?;
        }
        for channel in names() {
            prop_assert_eq!(process.1.pending(&channel), 0);
            let suffix = format!("/{channel}");
            let here: Vec<_> = seen.sent.iter().filter(|sent| sent.0.ends_with(&suffix)).collect();
            for (alert, number) in &seen.transitions {
                let arrived = here.iter().any(|sent| (sent.1, sent.2) == (*alert, *number));
                prop_assert!(arrived, "{} {} never came to {}", alert, number, channel);
            }
            let mut last: BTreeMap<AlertId, u32> = BTreeMap::new();
            for (_, alert, number) in here {
                let last = last.entry(*alert).or_default();
                prop_assert!(*number >= *last, "{} came after {}", number, last);
                *last = *number;
            }
        }
    }
}

fn one() -> (Outbox, Delivery) {
    let mut book = AlertBook::load(settings(), Vec::new(), Vec::new(), at(0));
    let changes = book.observe(&conditions(1), at(0), 1);
    let (transition, alert) = &changes.transitions[0];
    assert_eq!(transition.kind, TransitionKind::Raised);
    let mut outbox = Outbox::load(names(), Vec::new(), Vec::new(), at(0));
    let made = Outbox::deliveries(transition, alert, ["hook".to_owned()], at(0));
    outbox.add(made[0].clone());
    (outbox, made[0].clone())
}

#[test]
fn pauses_grow_up_to_ten_minutes_and_after_a_day_it_is_given_up() {
    let (mut outbox, delivery) = one();
    assert!(outbox.take_due("mail", 4, at(0)).is_empty());
    let (mut second, mut tries) = (0, Vec::new());
    while outbox.pending("hook") > 0 {
        for due in outbox.take_due("hook", 4, at(second)) {
            tries.push(second);
            let marked = outbox.judge(&due, Err("no answer".into()), at(second));
            outbox.mark(marked, at(second));
        }
        second += 1;
    }
    let pauses: Vec<_> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses[0] <= 5 && pauses[1] > 5, "{pauses:?}");
    assert!(pauses.iter().all(|pause| *pause <= 600), "{pauses:?}");
    assert!(pauses[10..].iter().all(|pause| *pause >= 450), "{pauses:?}");
    assert!((86_400..87_100).contains(tries.last().unwrap()));
    let channel = outbox.channel("hook");
    assert_eq!((channel.given_up, channel.last_success), (1, None));
    assert_eq!(channel.last_failure.unwrap().error, "no answer");
    assert_eq!(
        channel.failing.unwrap().elapsed(at(100)),
        Duration::from_secs(100)
    );
    // A test that somebody makes afterwards, and that is taken, ends the trouble.
    let taken = Ok(Taken::default());
    outbox.note(outbox.tried("hook", Sign::Test, &taken, at(90_000)));
    let channel = outbox.channel("hook");
    assert_eq!((channel.given_up, channel.failing), (0, None));
    assert_eq!(
        delivery.id(),
        format!("{}-1-hook", delivery.transition.alert)
    );
}

#[test]
fn what_was_taken_is_not_sent_again_when_its_mark_cannot_be_kept() {
    let (mut outbox, delivery) = one();
    let due = outbox.take_due("hook", 4, at(0));
    assert!(
        outbox.take_due("hook", 4, at(100)).is_empty(),
        "it is in flight"
    );
    let marked = outbox.judge(&due[0], Ok(Taken::default()), at(100));
    outbox.mark_later(marked, at(100));
    assert_eq!(outbox.channel("hook").last_success, Some(at(100).wall));
    // Only the mark is tried again, each time later.
    let mut tries = Vec::new();
    for second in 100..10_000 {
        assert_eq!(outbox.take_due("hook", 4, at(second)), [], "{second}");
        for marked in outbox.marks_due(at(second)) {
            tries.push(second);
            outbox.mark_later(marked, at(second));
        }
    }
    let pauses: Vec<_> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!((100..=105).contains(&tries[0]), "{tries:?}");
    assert!(pauses[0] > 5 && pauses[1] > pauses[0], "{pauses:?}");
    assert!(pauses.iter().all(|pause| *pause <= 600), "{pauses:?}");
    assert!(pauses[10..].iter().all(|pause| *pause >= 450), "{pauses:?}");
    // The next process does not know of it, and sends it once more.
    let mut next = Outbox::load(names(), Vec::new(), vec![delivery], at(10_000));
    assert_eq!(next.take_due("hook", 4, at(10_000)).len(), 1);
    // Once the mark is kept it is over for both.
    let marked = outbox.marks_due(at(20_000)).remove(0);
    let kept = marked.delivery.clone();
    assert_eq!(kept.state, DeliveryState::Delivered { at: at(100).wall });
    outbox.mark(marked, at(20_000));
    assert_eq!(outbox.pending("hook"), 0);
    assert_eq!(outbox.marks_due(at(90_000)), []);
    let next = Outbox::load(names(), Vec::new(), vec![kept], at(20_000));
    assert_eq!(next.pending("hook"), 0);
}

#[test]
fn a_try_that_could_not_be_kept_ends_no_pause() {
    let (mut outbox, _) = one();
    let mut tries = Vec::new();
    for second in 0..1000 {
        for due in outbox.take_due("hook", 4, at(second)) {
            tries.push(second);
            let marked = outbox.judge(&due, Err("500".into()), at(second));
            outbox.mark_later(marked, at(second));
        }
    }
    assert_eq!(outbox.marks_due(at(1000)), []);
    let pauses: Vec<_> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses.len() < 9 && pauses[3] > 25, "{pauses:?}");
}

#[test]
fn signs_of_life_that_are_taken_do_not_hide_that_alerts_are_refused() {
    let (mut outbox, _) = one();
    let taken = Ok(Taken::default());
    let sign = |outbox: &mut Outbox, sign, sent: &Sent, second| {
        outbox.note(outbox.tried("hook", sign, sent, at(second)));
        outbox.channel("hook")
    };
    let mut second = 0;
    while outbox.pending("hook") > 0 {
        for due in outbox.take_due("hook", 4, at(second)) {
            let marked = outbox.judge(&due, Err("403".into()), at(second));
            outbox.mark(marked, at(second));
        }
        for kind in [Sign::Heartbeat, Sign::Test] {
            if outbox.pending("hook") > 0 {
                let channel = sign(&mut outbox, kind, &taken, second);
                let failing = channel.failing.unwrap();
                assert_eq!(failing.elapsed(at(second)), Duration::from_secs(second));
                assert_eq!(channel.last_success, Some(at(second).wall));
            }
        }
        second += 60;
    }
    // It was given up, and stays so until a delivery is taken or somebody tries.
    let channel = sign(&mut outbox, Sign::Heartbeat, &taken, second);
    assert!(channel.given_up == 1 && channel.failing.is_some());
    let (_, delivery) = one();
    outbox.add(delivery);
    let due = outbox.take_due("hook", 4, at(second)).remove(0);
    outbox.mark(outbox.judge(&due, taken.clone(), at(second)), at(second));
    let channel = outbox.channel("hook");
    assert!(channel.given_up == 0 && channel.failing.is_none());

    // Signs of life that fail are a trouble of their own, which they end.
    let channel = sign(&mut outbox, Sign::Heartbeat, &Err("502".into()), second);
    assert!(channel.failing.is_some());
    let channel = sign(&mut outbox, Sign::Heartbeat, &taken, second);
    assert!(channel.failing.is_none());
}

#[test]
fn what_is_for_a_channel_that_was_removed_is_not_kept_waiting() {
    let (_, delivery) = one();
    let outbox = Outbox::load(["mail".to_owned()], Vec::new(), vec![delivery], at(0));
    assert_eq!(outbox.pending("hook") + outbox.pending("mail"), 0);
}
