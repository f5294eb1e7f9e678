//! Random histories, and everything that somebody may ask of them.

use super::*;
use bcdr_http::Role;
use proptest::prelude::*;

const ALL: Wanted = Wanted {
    group: None,
    object: None,
    kind: None,
    role: Role::Admin,
};

fn news(number: u64) -> News {
    let is_user = number.is_multiple_of(3);
    News {
        kind: EventKind::Changed,
        object: if is_user {
            EventObject::User
        } else {
            EventObject::Job
        },
        object_id: number.to_string(),
        group: None,
        summary: String::new(),
    }
}

fn log_of(count: u64, kept_max: usize) -> EventLog {
    let mut log = EventLog::new(Timestamp(5_000), 7, kept_max);
    for number in 1..=count {
        let told = log.push(news(number), Timestamp(number.cast_signed()));
        assert_eq!(told, number);
    }
    log
}

fn numbers(events: &[Event]) -> Vec<u64> {
    events.iter().map(|event| event.id.number).collect()
}

#[test]
fn ids_sort_as_text_and_read_back() {
    let log = EventLog::new(Timestamp(1_700_000_000_000_000), 3, 4);
    let later = EventLog::new(Timestamp(1_700_000_000_001_000), 2, 4);
    let ids = [log.id(0), log.id(15), log.id(16), later.id(0)];
    let texts = ids.map(|id| id.to_string());
    assert!(texts.is_sorted(), "{texts:?}");
    for (id, text) in ids.iter().zip(&texts) {
        assert_eq!(text.parse(), Ok(*id));
    }
    for odd in ["", "evt-", "evt-1-2", "evt-+000000000000001-000000000002"] {
        assert_eq!(odd.parse::<EventId>(), Err(ParseEventIdError), "{odd}");
    }
    // Two processes of one millisecond.
    let twin = EventLog::new(Timestamp(1_700_000_000_000_000), 4, 4);
    assert_ne!(twin.id(1), log.id(1));
}

#[test]
fn a_list_begins_with_what_is_not_known() {
    let log = log_of(5, 3);
    let oldest = log.page(Order::OldestFirst, None, 10, &ALL);
    assert_eq!(numbers(&oldest), [2, 3, 4, 5]);
    assert_eq!(oldest[0].kind, EventKind::Reset);
    assert!(oldest[0].summary.contains("not kept"), "{:?}", oldest[0]);
    let newest = log.page(Order::NewestFirst, None, 10, &ALL);
    assert_eq!(numbers(&newest), [5, 4, 3, 2]);
    assert_eq!(newest[3], oldest[0]);
    // Nothing is before the beginning, and nothing after the end.
    let beginning = Some(newest[3].id);
    assert_eq!(log.page(Order::NewestFirst, beginning, 10, &ALL), []);
    assert_eq!(
        log.page(Order::OldestFirst, Some(newest[0].id), 10, &ALL),
        []
    );
    // An event that is not kept, or of another process.
    let other = EventLog::new(Timestamp(9_000_000), 7, 3);
    for lost in [log.id(1), log.id(6), other.id(4)] {
        assert_eq!(log.page(Order::OldestFirst, Some(lost), 10, &ALL), oldest);
        assert_eq!(
            log.page(Order::NewestFirst, Some(lost), 10, &ALL),
            oldest[..1]
        );
        let Followed::Reset(reset) = log.follow(lost, 10, &ALL) else {
            panic!("a gap is silent");
        };
        assert_eq!((reset.kind, reset.id), (EventKind::Reset, log.id(5)));
    }
}

#[test]
fn a_filter_hides_events_but_no_reset() {
    let log = log_of(6, 10);
    let viewer = Wanted {
        role: Role::Viewer,
        ..ALL
    };
    assert_eq!(
        numbers(&log.page(Order::OldestFirst, None, 10, &viewer)),
        [0, 1, 2, 4, 5]
    );
    let users = Wanted {
        object: Some(EventObject::User),
        ..ALL
    };
    assert_eq!(
        numbers(&log.page(Order::NewestFirst, None, 10, &users)),
        [6, 3, 0]
    );
    let removed = Wanted {
        kind: Some(EventKind::Removed),
        ..ALL
    };
    assert_eq!(
        log.follow(log.id(0), 10, &removed),
        Followed::On(Vec::new(), log.id(6))
    );
}

proptest! {
    /// Pages put together are the whole, in both directions, and so is what a follower gets.
    #[test]
    fn pages_and_pieces_leave_nothing_out(
        count in 0_u64..60, kept in 1_usize..40, limit in 1_usize..9, viewer: bool,
    ) {
        let log = log_of(count, kept);
        let wanted = Wanted { role: if viewer { Role::Viewer } else { Role::Admin }, ..ALL };
        let dropped = count.saturating_sub(kept as u64);
        let mut whole = vec![dropped];
        whole.extend((dropped + 1..=count).filter(|number| !viewer || number % 3 != 0));
        for order in [Order::OldestFirst, Order::NewestFirst] {
            let (mut seen, mut beyond) = (Vec::new(), None);
            loop {
                let page = log.page(order, beyond, limit, &wanted);
                prop_assert!(page.len() <= limit);
                let Some(last) = page.last() else { break };
                beyond = Some(last.id);
                seen.extend(numbers(&page));
            }
            if order == Order::NewestFirst {
                seen.reverse();
            }
            prop_assert_eq!(&seen, &whole);
        }
        let (mut seen, mut after) = (vec![dropped], log.id(dropped));
        while after != log.id(count) {
            let Followed::On(events, to) = log.follow(after, limit, &wanted) else {
                panic!("a reset without a gap");
            };
            prop_assert!(events.len() <= limit && to > after);
            seen.extend(numbers(&events));
            after = to;
        }
        prop_assert_eq!(&seen, &whole);
    }
}
