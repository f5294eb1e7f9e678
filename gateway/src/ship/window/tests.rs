//! The window against scripted events.

use super::*;
use bcdr_format::{IncarnationId, IncarnationOrdinal, Sequence};

fn arriving(first: u64, last: u64) -> Arriving {
    Arriving {
        ordinal: IncarnationOrdinal(1),
        id: IncarnationId::from_u128(1),
        opening: None,
        first: Sequence(first),
        last: Sequence(last),
    }
}

fn at(sequence: u64) -> Position {
    Position::new(IncarnationOrdinal(1), Sequence(sequence))
}

fn held(sequence: u64) -> Option<Held> {
    Some(Held {
        position: at(sequence),
        id: IncarnationId::from_u128(1),
    })
}

fn window() -> Window {
    Window::new(WindowLimits {
        in_flight_bytes: 100,
        ..WindowLimits::default()
    })
}

#[test]
fn sends_in_order_within_its_window_and_goes_on_as_it_opens() {
    let (mut window, now) = (window(), Instant::now());
    let ids: Vec<_> = (0..3)
        .map(|n| window.push(arriving(n * 10 + 1, n * 10 + 10), 60, now))
        .collect();
    assert!(
        window.poll(now).unwrap().is_empty(),
        "nothing is sent without a session"
    );
    assert_eq!(window.connect(held(0)), Ok(vec![]));
    assert_eq!(window.poll(now), Ok(vec![ShipAction::Send(ids[0])]));
    assert_eq!(
        window.acknowledged(at(10)),
        vec![ShipAction::Forget(ids[0])]
    );
    assert_eq!(window.poll(now), Ok(vec![ShipAction::Send(ids[1])]));
    assert_eq!(window.durable(), Some(at(10)));
}

#[test]
fn a_batch_larger_than_the_window_is_sent_alone() {
    let (mut window, now) = (window(), Instant::now());
    let id = window.push(arriving(1, 1), 1_000, now);
    window.connect(held(0)).unwrap();
    assert_eq!(window.poll(now), Ok(vec![ShipAction::Send(id)]));
}

#[test]
fn what_was_in_flight_is_sent_again_and_what_is_held_is_not() {
    let (mut window, now) = (window(), Instant::now());
    let first = window.push(arriving(1, 10), 10, now);
    let second = window.push(arriving(11, 20), 10, now);
    window.connect(held(0)).unwrap();
    assert_eq!(window.poll(now).unwrap().len(), 2);
    window.disconnect();
    assert_eq!(
        window.connect(held(10)),
        Ok(vec![ShipAction::Forget(first)])
    );
    assert_eq!(window.poll(now), Ok(vec![ShipAction::Send(second)]));
}

#[test]
fn a_destination_that_lacks_what_the_queue_continues_is_a_discontinuity() {
    let (mut window, now) = (window(), Instant::now());
    window.push(arriving(11, 20), 10, now);
    let verdict = window.connect(held(5)).unwrap_err().verdict;
    assert_eq!(verdict, Verdict::Gap { next: Sequence(6) });
    assert!(window.poll(now).unwrap().is_empty());
}

#[test]
fn late_batches_are_spooled_and_only_then_count_as_durable_here() {
    let (mut window, now) = (window(), Instant::now());
    let first = window.push(arriving(1, 10), 10, now);
    let second = window.push(arriving(11, 20), 10, now);
    let late = now + window.limits.spool_after;
    assert!(
        window
            .poll(late - Duration::from_nanos(1))
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        window.poll(late),
        Ok(vec![ShipAction::Spool(first), ShipAction::Spool(second)])
    );
    assert!(
        window.poll(late).unwrap().is_empty(),
        "a batch is spooled once"
    );
    window.spooled(second);
    assert_eq!(
        window.gateway_durable(),
        None,
        "the first is not durable yet"
    );
    window.spooled(first);
    assert_eq!(window.gateway_durable(), Some(at(20)));
    assert_eq!(window.memory_bytes(), 0);
}

#[test]
fn a_batch_that_the_spool_refused_is_tried_again() {
    let (mut window, now) = (window(), Instant::now());
    let id = window.push(arriving(1, 10), 10, now);
    let late = now + window.limits.spool_after;
    window.poll(late).unwrap();
    window.not_spooled(id, late + Duration::from_secs(1));
    assert_eq!(window.gateway_durable(), None);
    assert_eq!(window.due(), Some(late + Duration::from_secs(1)));
    assert_eq!(
        window.poll(late + Duration::from_secs(1)),
        Ok(vec![ShipAction::Spool(id)])
    );
}

#[test]
fn the_next_group_is_spooled_only_when_the_one_before_is_settled() {
    let (mut window, now) = (window(), Instant::now());
    let first = window.push(arriving(1, 10), 10, now);
    let late = now + window.limits.spool_after;
    assert_eq!(window.poll(late), Ok(vec![ShipAction::Spool(first)]));
    let second = window.push(arriving(11, 20), 10, now);
    assert_eq!(
        window.poll(late),
        Ok(vec![]),
        "the spool would hold them out of order"
    );
    assert_eq!(window.due(), None);
    let retry = late + Duration::from_secs(2);
    window.not_spooled(first, retry);
    assert_eq!(window.poll(late), Ok(vec![]));
    assert_eq!(window.due(), Some(retry));
    let both = vec![ShipAction::Spool(first), ShipAction::Spool(second)];
    assert_eq!(window.poll(retry), Ok(both));
    window.spooled(first);
    window.spooled(second);
    assert_eq!((window.memory_bytes(), window.waiting_bytes()), (0, 20));
    assert_eq!(window.gateway_durable(), Some(at(20)));
}

#[test]
fn an_answer_for_a_batch_that_left_does_not_block_the_spool() {
    let (mut window, now) = (window(), Instant::now());
    let first = window.push(arriving(1, 10), 10, now);
    let late = now + window.limits.spool_after;
    window.poll(late).unwrap();
    window.clear();
    window.spooled(first);
    let second = window.push(arriving(11, 20), 10, now);
    assert_eq!(window.poll(late), Ok(vec![ShipAction::Spool(second)]));
}

#[test]
fn what_the_destination_has_already_is_not_sent_but_leaves_the_queue() {
    let (mut window, now) = (window(), Instant::now());
    window.connect(held(20)).unwrap();
    let repeated = window.push(arriving(11, 20), 10, now);
    let overlapping = window.push(arriving(15, 30), 10, now);
    assert_eq!(window.poll(now), Ok(vec![ShipAction::Send(overlapping)]));
    assert_eq!(
        window.acknowledged(at(30)),
        vec![
            ShipAction::Forget(repeated),
            ShipAction::Forget(overlapping)
        ]
    );
    assert_eq!((window.in_flight_bytes, window.passed), (0, 0));
}

#[test]
fn a_batch_that_the_destination_would_refuse_is_a_discontinuity_before_it_is_sent() {
    let (mut window, now) = (window(), Instant::now());
    window.connect(held(20)).unwrap();
    window.push(arriving(31, 40), 10, now);
    let verdict = Verdict::Gap { next: Sequence(21) };
    assert_eq!(window.poll(now), Err(Discontinuity { verdict }));
}

#[test]
fn a_superseded_life_is_passed_over_when_a_later_one_is_queued() {
    let (mut window, now) = (window(), Instant::now());
    let second_life = |ordinal: u32| bcdr_format::Opening {
        ordinal: IncarnationOrdinal(ordinal),
        id: IncarnationId::from_u128(u128::from(ordinal)),
        continues: None,
        first: Sequence(5),
    };
    let life = |ordinal: u32| Arriving {
        ordinal: IncarnationOrdinal(ordinal),
        id: IncarnationId::from_u128(u128::from(ordinal)),
        opening: Some(second_life(ordinal)),
        first: Sequence(5),
        last: Sequence(9),
    };
    let old = window.push(life(1), 10, now);
    let new = window.push(life(3), 10, now);
    let other = Held {
        position: Position::new(IncarnationOrdinal(2), Sequence(4)),
        id: IncarnationId::from_u128(2),
    };
    assert_eq!(
        window.connect(Some(other)),
        Ok(vec![ShipAction::Forget(old)])
    );
    assert_eq!(window.poll(now), Ok(vec![ShipAction::Send(new)]));
    window.clear();
    window.push(life(1), 10, now);
    let highest = IncarnationOrdinal(2);
    let verdict = Verdict::Superseded { highest };
    assert_eq!(window.connect(Some(other)), Err(Discontinuity { verdict }));
}
