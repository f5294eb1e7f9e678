//! The handshake's decision table.

use super::*;
use crate::start::SyncStart;
use bcdr_format::{
    Opening, SyncId,
    sync::{Heals, SyncReason},
};

fn id(number: u32) -> IncarnationId {
    IncarnationId::from_u128(u128::from(number))
}

fn at(ordinal: u32, sequence: u64) -> Position {
    Position::new(IncarnationOrdinal(ordinal), Sequence(sequence))
}

fn start(
    ordinal: u32,
    continues: Option<Position>,
    first: u64,
    heals: Option<Heals>,
) -> IncarnationStart {
    let opening = Opening {
        ordinal: IncarnationOrdinal(ordinal),
        id: id(ordinal),
        continues,
        first: Sequence(first),
    };
    let sync = heals.map(|heals| SyncStart {
        sync: SyncId::from_u128(1),
        reason: SyncReason::Killed,
        heals,
    });
    IncarnationStart { opening, sync }
}

fn everything(ordinal: u32) -> Heals {
    Heals::Everything {
        opening: IncarnationOrdinal(ordinal),
    }
}

/// Life 1 (first copy) fed through 100 and killed at 120 at the latest; life 2 read again what was
/// in doubt and is fed through 150.
fn history() -> History {
    let mut history = History::default();
    history.opened(start(1, None, 1, Some(everything(1))));
    history.fed(Sequence(100));
    let through = Heals::Through {
        opening: IncarnationOrdinal(2),
        through: at(1, 120),
    };
    history.opened(start(2, Some(at(1, 100)), 121, Some(through)));
    history.fed(Sequence(150));
    history
}

fn peer(ordinal: u32, sequence: u64) -> PeerStanding {
    let held = Held {
        position: at(ordinal, sequence),
        id: id(ordinal),
    };
    PeerStanding {
        held: Some(held),
        highest: Some((held.position.ordinal, held.id)),
    }
}

const NOBODY: PeerStanding = PeerStanding {
    held: None,
    highest: None,
};

fn resume_after(ordinal: u32, sequence: u64) -> Handshake {
    Handshake::ResumeFrom(FeedStart::After(at(ordinal, sequence)))
}

fn resume_opening(ordinal: u32) -> Handshake {
    Handshake::ResumeFrom(FeedStart::Opening(IncarnationOrdinal(ordinal)))
}

fn opens_above(handshake: Handshake, ordinal: u32) -> bool {
    matches!(handshake, Handshake::OpenAbove { above, .. } if above == IncarnationOrdinal(ordinal))
}

#[test]
fn a_peer_within_what_was_fed_resumes_right_behind_it() {
    let history = history();
    for (ordinal, sequence) in [(2, 150), (2, 121), (1, 100), (1, 60)] {
        assert_eq!(
            history.handshake(&peer(ordinal, sequence)),
            resume_after(ordinal, sequence)
        );
    }
    assert_eq!(history.handshake(&NOBODY), resume_opening(1));
    assert_eq!(History::default().handshake(&NOBODY), Handshake::NotYet);
}

#[test]
fn a_fork_that_an_interval_will_close_resumes_at_the_opening() {
    let history = history();
    assert_eq!(history.handshake(&peer(1, 110)), resume_opening(2));
    assert_eq!(history.handshake(&peer(1, 120)), resume_opening(2));
    // Nobody can have been that far: whoever is, holds what no interval reads again.
    assert!(opens_above(history.handshake(&peer(1, 121)), 2));
}

#[test]
fn a_peer_beyond_us_or_from_elsewhere_needs_a_life_above_it() {
    let history = history();
    assert!(
        opens_above(history.handshake(&peer(2, 151)), 2),
        "further in the same life"
    );
    assert!(
        opens_above(history.handshake(&peer(5, 1)), 5),
        "a later life"
    );
    let stranger = Held {
        position: at(2, 130),
        id: id(77),
    };
    let standing = PeerStanding {
        held: Some(stranger),
        highest: None,
    };
    assert!(
        opens_above(history.handshake(&standing), 2),
        "another life of the same ordinal"
    );
    let old_stranger = Held {
        position: at(1, 50),
        id: id(77),
    };
    let standing = PeerStanding {
        held: Some(old_stranger),
        highest: None,
    };
    assert!(opens_above(history.handshake(&standing), 2));
    let heard = PeerStanding {
        highest: Some((IncarnationOrdinal(9), id(9))),
        ..peer(2, 130)
    };
    assert!(
        opens_above(history.handshake(&heard), 9),
        "it has heard of a later life"
    );
}

#[test]
fn a_peer_behind_what_was_freed_needs_a_full_compare() {
    let mut history = history();
    history.trimmed(at(1, 80));
    assert_eq!(history.handshake(&peer(1, 80)), resume_after(1, 80));
    assert!(opens_above(history.handshake(&peer(1, 79)), 2));
    assert!(opens_above(history.handshake(&NOBODY), 2));
    history.trimmed(at(2, 130));
    assert!(
        opens_above(history.handshake(&peer(1, 100)), 2),
        "life 2 is not whole"
    );
    assert_eq!(history.handshake(&peer(2, 130)), resume_after(2, 130));
}

#[test]
fn a_full_compare_under_way_serves_whoever_lacks_history() {
    let mut history = history();
    history.trimmed(at(2, 130));
    history.opened(start(3, Some(at(2, 150)), 160, Some(everything(3))));
    for lacking in [NOBODY, peer(1, 50), peer(2, 100)] {
        assert_eq!(history.handshake(&lacking), resume_opening(3));
    }
    assert_eq!(history.handshake(&peer(2, 140)), resume_after(2, 140));
    // Within that life there is no second opening to go back to.
    history.fed(Sequence(170));
    history.trimmed(at(3, 165));
    assert!(opens_above(history.handshake(&peer(3, 161)), 3));
}

#[test]
fn a_peer_in_another_life_of_a_known_ordinal_is_served_by_one_full_compare() {
    let mut history = history();
    let position = at(1, 90);
    let foreign = PeerStanding {
        held: Some(Held {
            position,
            id: id(77),
        }),
        highest: None,
    };
    assert!(opens_above(history.handshake(&foreign), 2));
    history.opened(start(3, Some(at(2, 150)), 151, Some(everything(3))));
    assert_eq!(
        history.handshake(&foreign),
        resume_opening(3),
        "no further life is needed"
    );
}

#[test]
fn disks_that_were_put_back_go_on_only_towards_a_peer_at_that_very_place_and_life() {
    let begun = || {
        let mut history = History::default();
        history.goes_on_from(Held {
            position: at(3, 70),
            id: id(3),
        });
        history.opened(start(5, Some(at(3, 70)), 71, Some(Heals::Nothing)));
        history.fed(Sequence(90));
        history
    };
    assert_eq!(begun().handshake(&peer(3, 70)), resume_opening(5));
    for elsewhere in [peer(3, 69), peer(3, 71), peer(2, 70), peer(4, 70), NOBODY] {
        let told = begun().handshake(&elsewhere);
        assert!(
            matches!(told, Handshake::OpenAbove { .. }),
            "{elsewhere:?}: {told:?}"
        );
    }
    let mut other_life = peer(3, 70);
    other_life.held = other_life.held.map(|held| Held { id: id(9), ..held });
    let told = begun().handshake(&other_life);
    assert!(matches!(told, Handshake::OpenAbove { .. }), "{told:?}");
    // A peer that knows of a later life, or of another with this one's number.
    let mut knows_more = peer(3, 70);
    knows_more.highest = Some((IncarnationOrdinal(6), id(6)));
    let told = begun().handshake(&knows_more);
    assert!(
        matches!(told, Handshake::OpenAbove { above, .. } if above.0 == 6),
        "{told:?}"
    );
    // Its first records are gone: it cannot be begun any more.
    let mut cut = begun();
    cut.trimmed(at(5, 80));
    let told = cut.handshake(&peer(3, 70));
    assert!(matches!(told, Handshake::OpenAbove { .. }), "{told:?}");
    // Without the word of who put the disks back, the position alone proves nothing.
    let mut unproven = History::default();
    unproven.opened(start(5, Some(at(3, 70)), 71, Some(Heals::Nothing)));
    let told = unproven.handshake(&peer(3, 70));
    assert!(matches!(told, Handshake::OpenAbove { .. }), "{told:?}");
}
