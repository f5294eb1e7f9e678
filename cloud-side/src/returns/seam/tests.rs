//! Which ends of a history something can be joined at.

use super::*;
use crate::receive::{
    Lineage,
    lineage_state::{LineageState, OpenSync},
};
use bcdr_format::{
    Generation, GroupId, IncarnationId, IncarnationOrdinal, Position, Sequence, StreamId, SyncId,
    Timestamp, continuity::Fork, sync::SyncReason,
};

fn stored() -> Stored {
    let lineage = Lineage {
        group: GroupId::from_u128(1),
        stream: StreamId::from_u128(2),
    };
    let state = LineageState::new(lineage, Generation(3), Timestamp(0));
    Stored {
        held: Some(Position::new(IncarnationOrdinal(4), Sequence(70))),
        held_in: Some(IncarnationId::from_u128(5)),
        initial_sync_done: true,
        batches: 12,
        ..Stored::of(&state)
    }
}

#[test]
fn an_end_is_told_with_its_life_and_its_batch() {
    let end = end_of(&stored()).unwrap();
    assert_eq!(end.held.position.sequence, Sequence(70));
    assert_eq!(end.held.id, IncarnationId::from_u128(5));
    assert_eq!(end.batch, BatchNumber(11));
}

#[test]
fn nothing_is_joined_where_something_is_open_or_nothing_is_held() {
    let sync = OpenSync {
        sync: SyncId::from_u128(1),
        reason: SyncReason::Killed,
        begun_in: IncarnationOrdinal(4),
    };
    let fork = Fork {
        opening: IncarnationOrdinal(4),
        continues: None,
        peer: None,
    };
    let refused: [&dyn Fn(&mut Stored); 7] = [
        &|stored| stored.held = None,
        &|stored| stored.held_in = None,
        &|stored| stored.batches = 0,
        &|stored| stored.initial_sync_done = false,
        &|stored| stored.open_syncs.push(sync),
        &|stored| stored.forks.push(fork),
        &|stored| stored.obstacle = Some("the log is damaged".to_owned()),
    ];
    for (index, change) in refused.iter().enumerate() {
        let mut stored = stored();
        change(&mut stored);
        assert!(end_of(&stored).is_err(), "{index}");
    }
}
