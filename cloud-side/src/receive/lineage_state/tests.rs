use super::*;
use crate::receive::sample::{self, Change, Extra, Kind, Source, begin, end, initial_sync};
use bcdr_format::record::Member;

const LATE: Timestamp = Timestamp(i64::MAX);

fn state(source: &Source) -> LineageState {
    LineageState::new(source.lineage, Generation::FIRST, Timestamp(0))
}

fn write(sector: u64) -> Vec<Change> {
    vec![Change {
        volume: 0,
        sector,
        sectors: 1,
        kind: Kind::Data(sector),
    }]
}

fn events(events: Vec<SyncEvent>) -> Extra {
    Extra {
        events,
        ..Extra::default()
    }
}

/// Offers a batch, which must be accepted, and applies it.
fn take(
    state: &mut LineageState,
    source: &mut Source,
    changes: &[Change],
    extra: &Extra,
) -> Outcome {
    let bytes = source.batch(changes, extra);
    take_bytes(state, &bytes, LATE)
}

fn take_bytes(state: &mut LineageState, bytes: &[u8], receipt: Timestamp) -> Outcome {
    let layout = sample::parse(bytes);
    let decision = state.offer(&layout);
    assert!(matches!(decision, Decision::Append { .. }), "{decision:?}");
    state.applied(&layout, layout.prefix.mac_of(bytes), receipt)
}

fn refusal(state: &LineageState, bytes: &[u8]) -> Refusal {
    match state.offer(&sample::parse(bytes)) {
        Decision::Refuse(refusal) => refusal,
        other => panic!("it was not refused: {other:?}"),
    }
}

fn ready() -> (LineageState, Source) {
    let mut source = Source::new();
    let mut state = state(&source);
    let outcome = take(&mut state, &mut source, &write(0), &initial_sync());
    assert!(outcome.published.is_some());
    (state, source)
}

#[test]
fn nothing_is_published_before_the_initial_sync_ended() {
    let mut source = Source::new();
    let mut state = state(&source);
    let first = events(vec![begin(1, SyncReason::Initial)]);
    assert_eq!(
        take(&mut state, &mut source, &write(0), &first).published,
        None
    );
    assert_eq!(
        take(&mut state, &mut source, &write(1), &Extra::default()).published,
        None
    );
    assert!(!state.rpo_basis().published);
    let last = events(vec![end(1, Heals::Nothing)]);
    let outcome = take(&mut state, &mut source, &write(2), &last);
    let point = outcome.published.unwrap();
    assert_eq!(point.id.0, source.end());
    assert_eq!(point.batch, BatchNumber(2));
    assert!(state.rpo_basis().published);
}

#[test]
fn a_stream_that_skips_its_initial_sync_publishes_nothing() {
    let mut source = Source::new();
    let mut state = state(&source);
    for sector in 0..3 {
        let outcome = take(&mut state, &mut source, &write(sector), &Extra::default());
        assert_eq!(outcome.published, None);
    }
}

#[test]
fn no_point_lies_inside_an_open_interval() {
    let (mut state, mut source) = ready();
    let opened = events(vec![
        begin(2, SyncReason::Killed),
        begin(3, SyncReason::Untracked),
    ]);
    assert_eq!(
        take(&mut state, &mut source, &write(1), &opened).published,
        None
    );
    let marked = Extra {
        label: Some("inside".into()),
        ..Extra::default()
    };
    let outcome = take(&mut state, &mut source, &[], &marked);
    assert_eq!(outcome.published, None);
    assert_eq!(outcome.marker.unwrap().point, None);
    let one = events(vec![end(2, Heals::Nothing)]);
    assert_eq!(
        take(&mut state, &mut source, &write(2), &one).published,
        None
    );
    let other = events(vec![end(3, Heals::Nothing)]);
    assert!(
        take(&mut state, &mut source, &write(3), &other)
            .published
            .is_some()
    );
}

#[test]
fn an_interval_that_an_earlier_life_left_open_is_closed_only_by_a_later_full_compare() {
    let (mut state, mut source) = ready();
    take(
        &mut state,
        &mut source,
        &write(1),
        &events(vec![begin(2, SyncReason::Killed)]),
    );
    source.open(Some(source.end()));
    let other = events(vec![begin(3, SyncReason::Killed), end(3, Heals::Nothing)]);
    assert_eq!(
        take(&mut state, &mut source, &write(2), &other).published,
        None
    );
    let opening = source.ordinal;
    let full = events(vec![
        begin(4, SyncReason::PowerLoss),
        end(4, Heals::Everything { opening }),
    ]);
    assert!(
        take(&mut state, &mut source, &write(3), &full)
            .published
            .is_some()
    );
}

#[test]
fn a_fork_is_accepted_and_closes_only_by_what_heals_it() {
    let (mut state, mut source) = ready();
    let continued = source.end();
    for sector in 1..4 {
        take(&mut state, &mut source, &write(sector), &Extra::default());
    }
    let peer = state.held().unwrap().position;
    let published = state.published().unwrap();
    source.open(Some(continued));
    let outcome = take(&mut state, &mut source, &write(9), &Extra::default());
    assert_eq!(outcome.forked.unwrap().peer, Some(peer));
    assert_eq!(outcome.published, None);
    let opening = source.ordinal;
    let healing = |through, number| {
        events(vec![
            begin(number, SyncReason::Fork),
            end(number, Heals::Through { opening, through }),
        ])
    };
    let before = Position::new(peer.ordinal, peer.sequence.previous());
    let outcome = take(&mut state, &mut source, &write(9), &healing(before, 7));
    assert_eq!((outcome.published, outcome.healed.len()), (None, 0));
    assert_eq!(state.published(), Some(published));
    let outcome = take(&mut state, &mut source, &write(9), &healing(peer, 8));
    assert!(outcome.published.is_some());
    assert_eq!(outcome.healed.len(), 1);
    assert!(state.open_forks().is_empty());
}

#[test]
fn a_fork_is_never_taken_for_a_duplicate_nor_a_duplicate_for_a_fork() {
    let (mut state, mut source) = ready();
    let reverted = source.clone();
    let bytes = source.batch(&write(1), &Extra::default());
    take_bytes(&mut state, &bytes, LATE);
    assert_eq!(state.offer(&sample::parse(&bytes)), Decision::Duplicate);
    // A snapshot reverted: same ordinal and sequences, another life.
    let mut other = reverted;
    other.incarnation += 1;
    let bytes = other.batch(&write(2), &Extra::default());
    assert!(matches!(
        refusal(&state, &bytes),
        Refusal::Superseded { .. }
    ));
    // A later life that starts at known sequences is no duplicate.
    other.ordinal = other.ordinal.next();
    other.open(None);
    other.next = 1;
    other.open(None);
    let bytes = other.batch(&write(2), &Extra::default());
    assert!(matches!(
        state.offer(&sample::parse(&bytes)),
        Decision::Append { fork: Some(_) }
    ));
}

#[test]
fn gaps_missing_openings_and_foreign_batches_are_refused() {
    let (state, mut source) = ready();
    let mut far = source.clone();
    far.next += 5;
    let bytes = far.batch(&write(1), &Extra::default());
    assert!(matches!(refusal(&state, &bytes), Refusal::Gap { next } if next.0 == 3));
    let mut late = source.clone();
    late.open(Some(late.end()));
    late.batch(&write(1), &Extra::default());
    let bytes = late.batch(&write(1), &Extra::default());
    assert_eq!(refusal(&state, &bytes), Refusal::OpeningMissing);
    let mut foreign = source.clone();
    foreign.lineage.group = bcdr_format::GroupId::from_u128(99);
    let bytes = foreign.batch(&write(1), &Extra::default());
    assert!(matches!(
        refusal(&state, &bytes),
        Refusal::WrongLineage { .. }
    ));
    source.generation = Generation(0);
    let bytes = source.clone().batch(&write(1), &Extra::default());
    assert!(matches!(refusal(&state, &bytes), Refusal::Fenced { .. }));
    source.generation = Generation(2);
    let bytes = source.batch(&write(1), &Extra::default());
    assert!(matches!(
        refusal(&state, &bytes),
        Refusal::GenerationAhead { .. }
    ));
}

#[test]
fn a_fence_refuses_older_generations_for_ever() {
    let (mut state, mut source) = ready();
    state.fenced(Generation(5));
    state.fenced(Generation(4));
    let bytes = source.batch(&write(1), &Extra::default());
    assert!(matches!(
        refusal(&state, &bytes),
        Refusal::Fenced {
            held: Generation(5),
            ..
        }
    ));
}

#[test]
fn extents_must_lie_inside_known_volumes() {
    let source = Source::new();
    let mut state = state(&source);
    let tiny = Member {
        size_bytes: 512,
        ..sample::members(source.lineage.group)[0]
    };
    let bytes = source.clone().batch(&write(1), &initial_sync());
    let mut layout = sample::parse(&bytes);
    layout.header.members = vec![tiny];
    assert!(matches!(
        state.offer(&layout),
        Decision::Refuse(Refusal::OutsideVolume {
            end: 1024,
            size: 512,
            ..
        })
    ));
    layout.header.members.clear();
    assert!(matches!(
        state.offer(&layout),
        Decision::Refuse(Refusal::UnknownVolume { .. })
    ));
    take_bytes(&mut state, &bytes, LATE);
}

#[test]
fn heartbeats_extend_and_are_not_numbered() {
    let (mut state, mut source) = ready();
    let beat = |at| Extra {
        beat: Some(at),
        ..Extra::default()
    };
    let before = state.next_batch();
    let outcome = take(&mut state, &mut source, &[], &beat(40));
    assert_eq!(
        outcome.applied,
        Applied::Heartbeat {
            extends: BatchNumber(0)
        }
    );
    assert_eq!(state.next_batch(), before);
    assert_eq!(state.rpo_basis().beat.unwrap().receiver_nanoseconds, 40);
    assert_eq!(state.held().unwrap().position, source.end());
    // Inside an interval a heartbeat proves nothing about the last point.
    take(
        &mut state,
        &mut source,
        &write(1),
        &events(vec![begin(2, SyncReason::Killed)]),
    );
    take(&mut state, &mut source, &[], &beat(50));
    assert_eq!(state.rpo_basis().beat.unwrap().receiver_nanoseconds, 40);
    take(
        &mut state,
        &mut source,
        &write(2),
        &events(vec![end(2, Heals::Nothing)]),
    );
    assert_eq!(state.rpo_basis().beat.unwrap().receiver_nanoseconds, 50);
}

#[test]
fn point_times_never_go_back_and_never_lie_after_receipt() {
    let (mut state, mut source) = ready();
    let mut last = state.published().unwrap().time;
    source.clock += 10 * 365 * 86_400_000_000;
    for (receipt, expected) in [(last.0 + 50, last.0 + 50), (last.0 - 70, last.0 + 50)] {
        let bytes = source.batch(&write(1), &Extra::default());
        let outcome = take_bytes(&mut state, &bytes, Timestamp(receipt));
        assert_eq!(outcome.published.unwrap().time, Timestamp(expected));
        assert!(outcome.time >= last);
        last = outcome.time;
    }
}

#[test]
fn an_overlapping_batch_ends_in_the_same_intervals() {
    let (mut state, mut source) = ready();
    take(
        &mut state,
        &mut source,
        &write(1),
        &events(vec![begin(2, SyncReason::Killed)]),
    );
    take(
        &mut state,
        &mut source,
        &write(2),
        &events(vec![end(2, Heals::Nothing)]),
    );
    let repeated = Extra {
        events: vec![begin(2, SyncReason::Killed), end(2, Heals::Nothing)],
        repeats: 2,
        ..Extra::default()
    };
    assert!(
        take(&mut state, &mut source, &write(3), &repeated)
            .published
            .is_some()
    );
    assert_eq!(state.open_syncs().count(), 0);
}

#[test]
fn a_new_life_tells_its_volumes_anew() {
    let (mut state, mut source) = ready();
    let known: Vec<Member> = state.members().copied().collect();
    assert_eq!(known.len(), 2);
    let data = Member {
        number: known[0].number,
        ..known[1]
    };
    source.open(Some(source.end()));
    source.members = vec![data];
    // Number 1 belongs to the earlier life only.
    let stale = [Change {
        volume: known[1].number.0,
        ..write(0)[0]
    }];
    let bytes = source.clone().batch(&stale, &Extra::default());
    let volume = known[1].number;
    assert_eq!(refusal(&state, &bytes), Refusal::UnknownVolume { volume });
    let outcome = take(&mut state, &mut source, &write(1), &Extra::default());
    assert!(outcome.members_changed);
    assert_eq!(state.members().copied().collect::<Vec<_>>(), [data]);
    source.members = known[..1].to_vec();
    // Without an opening nothing is forgotten.
    source.members[0].number = VolumeNumber(5);
    take(&mut state, &mut source, &write(1), &Extra::default());
    assert_eq!(state.members().count(), 2);
}
