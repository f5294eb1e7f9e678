//! Whether what arrives continues what is held: the one rule by which gateway and receiver accept
//! records and batches.
//!
//! Owns no state; [`judge`] is a pure function of what is held and what arrives. Its invariant:
//! nothing is dropped as a duplicate unless the very same incarnation already delivered it, and
//! nothing is accepted behind a gap unless a later sync interval is bound to close it.

use crate::{
    IncarnationId, Opening, Position, Sequence, incarnation::IncarnationOrdinal, sync::Heals,
};
use serde::{Deserialize, Serialize};

/// What a peer holds of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The last position held.
    pub position: Position,
    /// The identity of that position's incarnation.
    pub id: IncarnationId,
}

/// What arrives: contiguous records of one incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arriving {
    /// Its incarnation.
    pub ordinal: IncarnationOrdinal,
    /// Its incarnation's identity.
    pub id: IncarnationId,
    /// How the incarnation began, when this is its first batch or it is told anew.
    pub opening: Option<Opening>,
    /// The first record.
    pub first: Sequence,
    /// The last record.
    pub last: Sequence,
}

/// A fork that a peer found: it was not where an incarnation said it continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fork {
    /// The incarnation at whose opening it was found.
    pub opening: IncarnationOrdinal,
    /// The position that incarnation continues.
    pub continues: Option<Position>,
    /// Where the peer was.
    pub peer: Option<Position>,
}

impl Fork {
    /// Whether a sync interval that heals `heals` closes this fork.
    ///
    /// A partial interval read again what was written between the continued position and its
    /// bound, so it helps only a peer that stands between the two; a peer that lacks history needs
    /// a full compare.
    pub fn closed_by(&self, heals: &Heals) -> bool {
        match *heals {
            Heals::Nothing => false,
            Heals::Through { opening, through } => {
                opening == self.opening
                    && self.peer > self.continues
                    && self.peer.is_some_and(|peer| peer <= through)
            }
            Heals::Everything { opening } => opening >= self.opening,
        }
    }
}

/// The verdict on what arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It continues what is held (it may repeat some of it: applying it again is exact).
    Continues,
    /// It begins a new incarnation elsewhere than where we are: accept it, and publish nothing
    /// until a sync-end closes the fork.
    Forks(Fork),
    /// All of it is held already.
    Duplicate,
    /// Records between what is held and what arrives are missing: send from `next` on.
    Gap {
        /// The first record that is missing.
        next: Sequence,
    },
    /// A new incarnation arrives without its opening records: send from its opening on.
    OpeningMissing,
    /// It belongs to a life of the stream that a later one, or another with the same ordinal, has
    /// superseded: the capture must open a new incarnation above `highest` with a full compare.
    Superseded {
        /// The highest ordinal held.
        highest: IncarnationOrdinal,
    },
}

/// Judges `arriving` against `held`.
pub fn judge(held: Option<&Held>, arriving: &Arriving) -> Verdict {
    if let Some(held) = held {
        let highest = held.position.ordinal;
        if arriving.ordinal < highest {
            return Verdict::Superseded { highest };
        }
        if arriving.ordinal == highest {
            return judge_same_ordinal(held, arriving);
        }
    }
    judge_opening(held, arriving)
}

fn judge_same_ordinal(held: &Held, arriving: &Arriving) -> Verdict {
    if arriving.id != held.id {
        return Verdict::Superseded {
            highest: held.position.ordinal,
        };
    }
    let next = held.position.sequence.next();
    if arriving.first > next {
        return Verdict::Gap { next };
    }
    if arriving.last < next {
        return Verdict::Duplicate;
    }
    Verdict::Continues
}

fn judge_opening(held: Option<&Held>, arriving: &Arriving) -> Verdict {
    let Some(opening) = arriving.opening.filter(|opening| {
        opening.ordinal == arriving.ordinal
            && opening.id == arriving.id
            && opening.first == arriving.first
    }) else {
        return Verdict::OpeningMissing;
    };
    let position = held.map(|held| held.position);
    if position == opening.continues {
        return Verdict::Continues;
    }
    Verdict::Forks(Fork {
        opening: opening.ordinal,
        continues: opening.continues,
        peer: position,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: IncarnationOrdinal = IncarnationOrdinal(1);
    const SECOND: IncarnationOrdinal = IncarnationOrdinal(2);

    fn id(number: u128) -> IncarnationId {
        IncarnationId::from_u128(number)
    }

    fn held(ordinal: IncarnationOrdinal, sequence: u64, number: u128) -> Held {
        Held {
            position: Position::new(ordinal, Sequence(sequence)),
            id: id(number),
        }
    }

    fn arriving(ordinal: IncarnationOrdinal, number: u128, first: u64, last: u64) -> Arriving {
        Arriving {
            ordinal,
            id: id(number),
            opening: None,
            first: Sequence(first),
            last: Sequence(last),
        }
    }

    fn opened(continues: Option<u64>, first: u64, last: u64) -> Arriving {
        let opening = Opening {
            ordinal: SECOND,
            id: id(2),
            continues: continues.map(|sequence| Position::new(FIRST, Sequence(sequence))),
            first: Sequence(first),
        };
        Arriving {
            opening: Some(opening),
            ..arriving(SECOND, 2, first, last)
        }
    }

    #[test]
    fn the_same_incarnation_continues_repeats_or_leaves_a_gap() {
        let at_ten = held(FIRST, 10, 1);
        let verdict = |first, last| judge(Some(&at_ten), &arriving(FIRST, 1, first, last));
        assert_eq!(verdict(11, 12), Verdict::Continues);
        assert_eq!(verdict(5, 11), Verdict::Continues);
        assert_eq!(verdict(5, 10), Verdict::Duplicate);
        assert_eq!(verdict(12, 13), Verdict::Gap { next: Sequence(11) });
    }

    #[test]
    fn another_life_with_the_same_ordinal_is_never_a_duplicate() {
        let verdict = judge(Some(&held(FIRST, 900, 1)), &arriving(FIRST, 7, 401, 500));
        assert_eq!(verdict, Verdict::Superseded { highest: FIRST });
    }

    #[test]
    fn an_older_life_is_refused_for_ever() {
        let verdict = judge(Some(&held(SECOND, 10, 2)), &arriving(FIRST, 1, 11, 12));
        assert_eq!(verdict, Verdict::Superseded { highest: SECOND });
    }

    #[test]
    fn a_new_life_needs_its_opening() {
        let verdict = judge(Some(&held(FIRST, 100, 1)), &arriving(SECOND, 2, 101, 102));
        assert_eq!(verdict, Verdict::OpeningMissing);
        let mut late = opened(Some(100), 101, 102);
        late.first = Sequence(102);
        assert_eq!(
            judge(Some(&held(FIRST, 100, 1)), &late),
            Verdict::OpeningMissing
        );
    }

    #[test]
    fn a_peer_beyond_the_continued_position_has_found_a_fork() {
        let peer = held(FIRST, 110, 1);
        let Verdict::Forks(fork) = judge(Some(&peer), &opened(Some(100), 101, 105)) else {
            panic!("records 101 to 105 of a new life were taken for known ones");
        };
        let through = |sequence| Heals::Through {
            opening: SECOND,
            through: Position::new(FIRST, Sequence(sequence)),
        };
        assert!(!fork.closed_by(&Heals::Nothing));
        assert!(!fork.closed_by(&through(109)));
        assert!(fork.closed_by(&through(110)));
        assert!(!fork.closed_by(&Heals::Everything { opening: FIRST }));
        assert!(fork.closed_by(&Heals::Everything { opening: SECOND }));
    }

    #[test]
    fn a_peer_that_lacks_history_needs_a_full_compare() {
        for peer in [None, Some(held(FIRST, 90, 1))] {
            let Verdict::Forks(fork) = judge(peer.as_ref(), &opened(Some(100), 101, 105)) else {
                panic!("missing records went unnoticed");
            };
            let far = Position::new(FIRST, Sequence(1_000));
            assert!(!fork.closed_by(&Heals::Through {
                opening: SECOND,
                through: far
            }));
            assert!(fork.closed_by(&Heals::Everything { opening: SECOND }));
        }
    }

    #[test]
    fn a_peer_exactly_at_the_continued_position_sees_no_fork() {
        let peer = held(FIRST, 100, 1);
        assert_eq!(
            judge(Some(&peer), &opened(Some(100), 113, 113)),
            Verdict::Continues
        );
        assert_eq!(judge(None, &opened(None, 1, 3)), Verdict::Continues);
    }
}
