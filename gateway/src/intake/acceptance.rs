//! Whether a capture's records continue what this gateway has taken.
//!
//! Owns the position of the last record taken. Its invariant: the batcher sees each record of an
//! incarnation exactly once and in order, whatever sessions come and go; a session that cannot be
//! explained is refused and told where to resume.

use bcdr_format::{
    Opening, Position, Sequence,
    continuity::{Arriving, Held, Verdict, judge},
    incarnation::IncarnationOrdinal,
};

/// What to do with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceptance {
    /// Take it.
    Take,
    /// It was taken before.
    Skip,
}

/// Why a session cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Discontinuous {
    /// Records are missing.
    #[error("record {arrived} arrived where {expected} is next")]
    Missing {
        /// The next record.
        expected: Sequence,
        /// The one that arrived.
        arrived: Sequence,
    },
    /// Records arrived before their incarnation was told.
    #[error("records arrived before their incarnation was told")]
    IncarnationUntold,
    /// A new incarnation does not begin with its first record.
    #[error("incarnation {ordinal} begins with record {first}, record {arrived} arrived")]
    NotItsFirst {
        /// The incarnation.
        ordinal: IncarnationOrdinal,
        /// Its first record.
        first: Sequence,
        /// The one that arrived.
        arrived: Sequence,
    },
    /// A later life of the stream was taken already.
    #[error("incarnation {highest} of this stream was taken already")]
    Superseded {
        /// The highest ordinal taken.
        highest: IncarnationOrdinal,
    },
}

/// What this gateway has taken of one stream.
#[derive(Debug, Default)]
pub struct Taken {
    held: Option<Held>,
    opening: Option<Opening>,
}

impl Taken {
    /// Starts from what is held between the spool and the receiver. `None` when nothing is known:
    /// whatever the capture sends first is then taken, and the receiver judges it.
    pub fn new(held: Option<Held>) -> Self {
        Self {
            held,
            opening: None,
        }
    }

    /// The last record taken.
    pub fn held(&self) -> Option<Held> {
        self.held
    }

    /// A new session begins: its incarnation has yet to be told.
    pub fn begin_session(&mut self) {
        self.opening = None;
    }

    /// The records that follow belong to `opening`. Returns whether the incarnation is a new one.
    pub fn incarnation(&mut self, opening: Opening) -> Result<(), Discontinuous> {
        if let Some(held) = &self.held {
            let highest = held.position.ordinal;
            let foreign = opening.ordinal == highest && opening.id != held.id;
            if opening.ordinal < highest || foreign {
                return Err(Discontinuous::Superseded { highest });
            }
        }
        self.opening = Some(opening);
        Ok(())
    }

    /// Judges the next record.
    pub fn record(&mut self, sequence: Sequence) -> Result<Acceptance, Discontinuous> {
        let opening = self.opening.ok_or(Discontinuous::IncarnationUntold)?;
        let arriving = Arriving {
            ordinal: opening.ordinal,
            id: opening.id,
            opening: (opening.first == sequence).then_some(opening),
            first: sequence,
            last: sequence,
        };
        if self.held.is_some() {
            match judge(self.held.as_ref(), &arriving) {
                Verdict::Continues | Verdict::Forks(_) => {}
                Verdict::Duplicate => return Ok(Acceptance::Skip),
                Verdict::Gap { next } => {
                    return Err(Discontinuous::Missing {
                        expected: next,
                        arrived: sequence,
                    });
                }
                Verdict::OpeningMissing => {
                    return Err(Discontinuous::NotItsFirst {
                        ordinal: opening.ordinal,
                        first: opening.first,
                        arrived: sequence,
                    });
                }
                Verdict::Superseded { highest } => {
                    return Err(Discontinuous::Superseded { highest });
                }
            }
        }
        let position = Position::new(opening.ordinal, sequence);
        self.held = Some(Held {
            position,
            id: opening.id,
        });
        Ok(Acceptance::Take)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bcdr_format::IncarnationId;

    fn opening(ordinal: u32, first: u64, continues: Option<(u32, u64)>) -> Opening {
        Opening {
            ordinal: IncarnationOrdinal(ordinal),
            id: IncarnationId::from_u128(u128::from(ordinal)),
            continues: continues
                .map(|(ordinal, last)| Position::new(IncarnationOrdinal(ordinal), Sequence(last))),
            first: Sequence(first),
        }
    }

    fn taken_to(last: u64) -> Taken {
        let mut taken = Taken::new(None);
        taken.incarnation(opening(1, 1, None)).unwrap();
        for sequence in 1..=last {
            assert_eq!(taken.record(Sequence(sequence)), Ok(Acceptance::Take));
        }
        taken
    }

    #[test]
    fn a_new_session_repeats_and_nothing_is_taken_twice() {
        let mut taken = taken_to(5);
        taken.begin_session();
        assert_eq!(
            taken.record(Sequence(4)),
            Err(Discontinuous::IncarnationUntold)
        );
        taken.incarnation(opening(1, 1, None)).unwrap();
        assert_eq!(taken.record(Sequence(4)), Ok(Acceptance::Skip));
        assert_eq!(taken.record(Sequence(6)), Ok(Acceptance::Take));
    }

    #[test]
    fn a_gap_is_refused() {
        let missing = Discontinuous::Missing {
            expected: Sequence(6),
            arrived: Sequence(7),
        };
        assert_eq!(taken_to(5).record(Sequence(7)), Err(missing));
    }

    #[test]
    fn a_lower_sequence_in_a_later_life_is_new() {
        let mut taken = taken_to(9);
        taken.incarnation(opening(2, 6, Some((1, 5)))).unwrap();
        assert_eq!(taken.record(Sequence(6)), Ok(Acceptance::Take));
        let end = Position::new(IncarnationOrdinal(2), Sequence(6));
        assert_eq!(taken.held().unwrap().position, end);
    }

    #[test]
    fn an_earlier_or_foreign_life_is_refused() {
        let mut taken = taken_to(9);
        let mut foreign = opening(1, 1, None);
        foreign.id = IncarnationId::from_u128(77);
        let superseded = Discontinuous::Superseded {
            highest: IncarnationOrdinal(1),
        };
        assert_eq!(taken.incarnation(foreign), Err(superseded));
    }

    #[test]
    fn a_new_life_that_lacks_its_first_record_is_refused() {
        let mut taken = taken_to(9);
        taken.incarnation(opening(2, 10, Some((1, 9)))).unwrap();
        assert!(matches!(
            taken.record(Sequence(11)),
            Err(Discontinuous::NotItsFirst {
                arrived: Sequence(11),
                ..
            })
        ));
    }

    #[test]
    fn without_knowledge_the_capture_decides_where_to_begin() {
        let mut taken = Taken::new(None);
        taken.incarnation(opening(3, 10, Some((2, 9)))).unwrap();
        assert_eq!(taken.record(Sequence(40)), Ok(Acceptance::Take));
        let next = Discontinuous::Missing {
            expected: Sequence(41),
            arrived: Sequence(42),
        };
        assert_eq!(taken.record(Sequence(42)), Err(next));
    }
}
