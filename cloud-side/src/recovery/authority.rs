//! Which site a group's data belongs to, under which generation.
//!
//! Owns the numbers that are handed out once: generations and tickets. Invariant: every generation
//! taken is higher than all that were ever taken, fenced or met, and authority moves only with one
//! that is durable. It does not decide when authority moves.

use bcdr_format::Generation;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One of the two sites of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Site {
    /// Where production runs in peace: the capture's side.
    Source,
    /// Where the replica is and recovered instances run.
    Target,
}

/// The number of a step's attempt; an answer with another number is a late one and changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Ticket(pub u64);

/// What an answer to a fence means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FenceAnswer {
    /// The fence stands, and authority moved with it.
    Stands,
    /// Something newer is durable already: a higher generation has to be fenced.
    Outrun,
    /// What is durable is older than what was asked for.
    NotDurable,
}

/// The authority over a group's data.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Authority {
    holder: Site,
    generation: Generation,
    highest: Generation,
    tickets: u64,
}

impl Authority {
    /// The source has it, under the generation the catalog holds.
    pub(super) fn of_source(generation: Generation) -> Self {
        Self {
            holder: Site::Source,
            generation,
            highest: generation,
            tickets: 0,
        }
    }

    /// The site that has it.
    pub fn holder(&self) -> Site {
        self.holder
    }

    /// The generation under which it has it: the newest whose fence is known to be durable.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// The highest generation ever taken or met.
    pub fn highest(&self) -> Generation {
        self.highest
    }

    /// Somebody else knows this generation: nothing taken from now on is at or below it.
    pub(super) fn meet(&mut self, generation: Generation) {
        self.highest = self.highest.max(generation);
    }

    /// A new generation, higher than every one before.
    pub(super) fn take(&mut self) -> Generation {
        self.highest = Generation(self.highest.0.saturating_add(1));
        self.highest
    }

    /// A fence of `asked` in favour of `holder` was answered with `held` as what is durable.
    pub(super) fn fence_answered(
        &mut self,
        asked: Generation,
        held: Generation,
        holder: Site,
    ) -> FenceAnswer {
        self.meet(held);
        match held.cmp(&asked) {
            std::cmp::Ordering::Less => FenceAnswer::NotDurable,
            std::cmp::Ordering::Greater => FenceAnswer::Outrun,
            std::cmp::Ordering::Equal => {
                self.generation = asked;
                self.holder = holder;
                FenceAnswer::Stands
            }
        }
    }

    /// A ticket that no attempt had before.
    pub(super) fn ticket(&mut self) -> Ticket {
        self.tickets = self.tickets.saturating_add(1);
        Ticket(self.tickets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_only_rise_and_authority_moves_only_with_a_durable_fence() {
        let mut authority = Authority::of_source(Generation(4));
        let first = authority.take();
        assert_eq!(first, Generation(5));
        let answer = authority.fence_answered(first, Generation(4), Site::Target);
        assert_eq!(answer, FenceAnswer::NotDurable);
        assert_eq!(authority.holder(), Site::Source);
        let answer = authority.fence_answered(first, Generation(9), Site::Target);
        assert_eq!(answer, FenceAnswer::Outrun);
        assert_eq!(authority.holder(), Site::Source);
        let second = authority.take();
        assert_eq!(second, Generation(10));
        let answer = authority.fence_answered(second, second, Site::Target);
        assert_eq!(answer, FenceAnswer::Stands);
        assert_eq!(authority.holder(), Site::Target);
        assert_eq!(authority.generation(), second);
        authority.meet(Generation(3));
        assert_eq!(authority.highest(), second);
    }
}
