//! Following a peer through memory and journal.

use super::*;
use crate::{
    StreamBody, StreamRecord,
    start::{IncarnationStart, SyncStart},
};
use bcdr_format::{
    IncarnationId, Opening, ReceiverRunId, Sequence, SyncId, Timestamp,
    continuity::Held,
    record::Beat,
    sync::{Heals, SyncReason},
};
use std::sync::Arc;

const ORDINAL: IncarnationOrdinal = IncarnationOrdinal(1);

fn at(sequence: u64) -> Position {
    Position::new(ORDINAL, Sequence(sequence))
}

fn opening() -> FeedItem {
    let opening = Opening {
        ordinal: ORDINAL,
        id: IncarnationId::from_u128(1),
        continues: None,
        first: Sequence(1),
    };
    FeedItem::Opening(IncarnationStart {
        opening,
        sync: None,
    })
}

fn item(sequence: u64) -> FeedItem {
    let body = StreamBody::Beat(Beat {
        run: ReceiverRunId::from_u128(1),
        receiver_nanoseconds: 1,
    });
    let record = StreamRecord {
        sequence: Sequence(sequence),
        captured_at: Timestamp(0),
        body,
    };
    FeedItem::Record {
        ordinal: ORDINAL,
        record: Arc::new(record),
    }
}

fn peer(sequence: Option<u64>) -> PeerStanding {
    let held = sequence.map(|sequence| Held {
        position: at(sequence),
        id: IncarnationId::from_u128(1),
    });
    PeerStanding {
        held,
        highest: None,
    }
}

/// A session fed with `count` records, of which the tail keeps about ten.
fn session(count: u64) -> FeedSession {
    let mut session = FeedSession::new(History::default(), 10 * item(1).bytes());
    session.push(opening());
    (1..=count).for_each(|sequence| session.push(item(sequence)));
    session
}

fn sequences(step: FeedStep) -> Vec<u64> {
    let FeedStep::Items(items) = step else {
        panic!("{step:?}")
    };
    items
        .iter()
        .filter_map(FeedItem::position)
        .map(|position| position.sequence.0)
        .collect()
}

#[test]
fn a_peer_that_keeps_up_is_served_from_memory() {
    let mut session = session(5);
    assert_eq!(session.next(1000), FeedStep::Idle, "nobody is connected");
    session.connected(&peer(None));
    let FeedStep::Items(items) = session.next(10_000) else {
        panic!()
    };
    assert_eq!(items[0], opening());
    assert_eq!(items.len(), 6);
    assert_eq!(session.next(1000), FeedStep::Idle);
    session.push(item(6));
    assert_eq!(sequences(session.next(1000)), [6]);
    assert_eq!(session.sent(), Some(at(6)));
}

#[test]
fn a_peer_that_lags_is_served_from_the_journal_until_memory_covers_it() {
    let mut session = session(50);
    session.connected(&peer(Some(20)));
    let FeedStep::ReadJournal { from, through, .. } = session.next(1000) else {
        panic!()
    };
    assert_eq!((from, through), (FeedStart::After(at(20)), at(50)));
    assert_eq!(session.next(1000), FeedStep::Idle, "one read at a time");
    session.supply((21..=45).map(item).collect());
    assert_eq!(sequences(session.next(1000)), (21..=45).collect::<Vec<_>>());
    assert_eq!(
        sequences(session.next(10_000)),
        (46..=50).collect::<Vec<_>>()
    );
}

#[test]
fn what_was_read_for_a_peer_that_is_gone_is_not_sent_to_the_next() {
    let mut session = session(50);
    session.connected(&peer(Some(20)));
    assert!(matches!(session.next(1000), FeedStep::ReadJournal { .. }));
    session.connected(&peer(Some(48)));
    session.supply((21..=45).map(item).collect());
    assert_eq!(sequences(session.next(10_000)), [49, 50]);
}

#[test]
fn only_what_was_fed_and_is_durable_far_away_frees_anything() {
    let mut session = session(5);
    session.connected(&peer(None));
    assert_eq!(session.acknowledged(at(9)), None, "never fed");
    assert_eq!(session.acknowledged(at(3)), Some(at(3)));
    assert_eq!(session.acknowledged(at(3)), None);
    assert_eq!(session.acknowledged(at(2)), None);
    let stranger = Held {
        position: at(4),
        id: IncarnationId::from_u128(9),
    };
    session.connected(&PeerStanding {
        held: Some(stranger),
        highest: None,
    });
    assert_eq!(
        session.acknowledged(at(4)),
        None,
        "it acknowledges another stream's life"
    );
}

#[test]
fn the_backlog_is_what_is_not_durable_far_away() {
    let mut session = session(20_000);
    session.connected(&peer(None));
    let all = session.backlog_bytes();
    assert!(all >= 20_000 * item(1).bytes() as u64);
    session.acknowledged(at(20_000));
    assert!(session.backlog_bytes() <= MEASURE_BYTES);
}

#[test]
fn a_peer_with_a_foreign_past_frees_the_journal_once_it_holds_this_captures_life() {
    let mut session = FeedSession::new(History::default(), 1 << 20);
    let life = IncarnationOrdinal(10);
    let opening = Opening {
        ordinal: life,
        id: IncarnationId::from_u128(10),
        continues: None,
        first: Sequence(1),
    };
    let sync = SyncStart {
        sync: SyncId::from_u128(1),
        reason: SyncReason::Fork,
        heals: Heals::Everything { opening: life },
    };
    session.push(FeedItem::Opening(IncarnationStart {
        opening,
        sync: Some(sync),
    }));
    for sequence in 1..=5 {
        let FeedItem::Record { record, .. } = item(sequence) else {
            unreachable!()
        };
        session.push(FeedItem::Record {
            ordinal: life,
            record,
        });
    }
    let foreign = Position::new(IncarnationOrdinal(9), Sequence(4000));
    let held = Some(Held {
        position: foreign,
        id: IncarnationId::from_u128(77),
    });
    let handshake = session.connected(&PeerStanding {
        held,
        highest: None,
    });
    assert_eq!(handshake, Handshake::ResumeFrom(FeedStart::Opening(life)));
    assert_eq!(
        session.acknowledged(foreign),
        None,
        "it says nothing of this capture's records"
    );
    let ours = Position::new(life, Sequence(3));
    assert_eq!(session.acknowledged(ours), Some(ours));
}

/// A peer that stands in damage must not be sent into it again by each new life.
#[test]
fn after_damage_only_a_life_that_reads_everything_helps() {
    let mut session = session(30);
    let resumed = session.connected(&peer(Some(5)));
    assert_eq!(resumed, Handshake::ResumeFrom(FeedStart::After(at(5))));
    assert!(matches!(session.next(1000), FeedStep::ReadJournal { .. }));
    let Handshake::OpenAbove { above, .. } = session.cannot_read() else {
        panic!("nothing is said of the damage")
    };
    assert_eq!(above, ORDINAL);
    let next = IncarnationOrdinal(2);
    let opening = Opening {
        ordinal: next,
        id: IncarnationId::from_u128(2),
        continues: Some(at(30)),
        first: Sequence(31),
    };
    let sync = SyncStart {
        sync: SyncId::from_u128(1),
        reason: SyncReason::Initial,
        heals: Heals::Everything { opening: next },
    };
    session.push(FeedItem::Opening(IncarnationStart {
        opening,
        sync: Some(sync),
    }));
    let resumed = session.connected(&peer(Some(5)));
    assert_eq!(resumed, Handshake::ResumeFrom(FeedStart::Opening(next)));
}
