//! The lives a feed can still offer, and the decision where to resume towards a peer.
//!
//! [`History::handshake`] is a pure function. Invariant: a peer resumes only from where nothing it
//! lacks is missing, or at an opening whose fork is bound to be closed by an interval that is still
//! to be fed; otherwise a new life with a full compare is due.

use super::FeedStart;
use crate::start::IncarnationStart;
use bcdr_format::{
    IncarnationId, Position, Sequence,
    continuity::{Fork, Held},
    incarnation::IncarnationOrdinal,
};

/// One life, as far as its records are still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// How it began.
    pub start: IncarnationStart,
    /// The first of its records that is still in the journal.
    pub available_from: Sequence,
    /// The last of its records that was fed, or ever will be if a later life has begun; the one
    /// before its first if none.
    pub fed_through: Sequence,
}

impl Life {
    fn ordinal(&self) -> IncarnationOrdinal {
        self.start.opening.ordinal
    }

    fn is_whole(&self) -> bool {
        self.available_from <= self.start.opening.first
    }
}

/// Where a peer says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerStanding {
    /// What it holds.
    pub held: Option<Held>,
    /// The highest life it knows of, whether it holds records of it or not.
    pub highest: Option<(IncarnationOrdinal, IncarnationId)>,
}

/// How to go on with a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshake {
    /// Send from here.
    ResumeFrom(FeedStart),
    /// Begin a life above this ordinal, with a full compare, and ask again when it is there.
    OpenAbove {
        /// The highest ordinal either side knows.
        above: IncarnationOrdinal,
        /// Why, for people.
        reason: &'static str,
    },
    /// No life has begun yet: ask again when one has.
    NotYet,
}

/// The lives, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    lives: Vec<Life>,
    /// The end of the history that the first life goes on from, known to be what the peer must hold
    /// there, though no record of it is here.
    beneath: Option<Held>,
}

impl History {
    /// The lives found in a journal, the newest fed through `settled`.
    pub(crate) fn recovered(lives: Vec<Life>, settled: Option<Position>) -> Self {
        let mut history = Self {
            lives,
            beneath: None,
        };
        for index in 1..history.lives.len() {
            let continues = history.lives[index].start.opening.continues;
            history.close(index - 1, continues);
        }
        if let Some(newest) = history.lives.len().checked_sub(1) {
            history.close(newest, settled);
        }
        history
    }

    /// The first life will go on from `held`, of which nothing is here.
    pub(crate) fn goes_on_from(&mut self, held: Held) {
        self.beneath = Some(held);
    }

    /// Takes back what is offered of lives whose records, which end at `ends`, do not reach to
    /// where they were fed.
    pub(crate) fn withdraw_cut_lives(&mut self, ends: &[Sequence]) {
        for (life, end) in self.lives.iter_mut().zip(ends) {
            if *end < life.fed_through {
                life.available_from = life.fed_through.next();
            }
        }
    }

    /// Takes back everything that was fed: it cannot be read any more. A peer that lacks some of it
    /// needs a later life with a full compare.
    pub(crate) fn withdraw_all(&mut self) {
        for life in &mut self.lives {
            life.available_from = life.fed_through.next();
        }
    }

    /// The lives, oldest first.
    #[must_use]
    pub fn lives(&self) -> &[Life] {
        &self.lives
    }

    /// A life begins.
    pub fn opened(&mut self, start: IncarnationStart) {
        if let Some(newest) = self.lives.len().checked_sub(1) {
            self.close(newest, start.opening.continues);
        }
        let first = start.opening.first;
        self.lives.push(Life {
            start,
            available_from: first,
            fed_through: first.previous(),
        });
    }

    /// A record of the newest life was fed.
    pub fn fed(&mut self, sequence: Sequence) {
        if let Some(newest) = self.lives.last_mut() {
            newest.fed_through = newest.fed_through.max(sequence);
        }
    }

    /// The journal freed everything up to here.
    pub fn trimmed(&mut self, through: Position) {
        self.lives.retain(|life| life.ordinal() >= through.ordinal);
        if let Some(life) = self
            .lives
            .first_mut()
            .filter(|one| one.ordinal() == through.ordinal)
        {
            life.available_from = life.available_from.max(through.sequence.next());
        }
    }

    /// The last position fed.
    #[must_use]
    pub fn fed_position(&self) -> Option<Position> {
        let fed = self
            .lives
            .iter()
            .rev()
            .find(|one| one.fed_through >= one.start.opening.first)?;
        Some(Position::new(fed.ordinal(), fed.fed_through))
    }

    /// Whether what a peer holds ends in a life written by this capture, as far as is still known.
    pub(super) fn wrote(&self, held: &Held) -> bool {
        let life = self
            .lives
            .iter()
            .find(|life| life.ordinal() == held.position.ordinal);
        life.is_some_and(|life| life.start.opening.id == held.id)
    }

    /// Decides where to resume towards a peer.
    #[must_use]
    pub fn handshake(&self, peer: &PeerStanding) -> Handshake {
        let Some(newest) = self.lives.last() else {
            return Handshake::NotYet;
        };
        let (newest_ordinal, newest_id) = (newest.ordinal(), newest.start.opening.id);
        let of_held = peer.held.map(|held| (held.position.ordinal, held.id));
        for (ordinal, id) in peer.highest.into_iter().chain(of_held) {
            let reason = "the peer knows a later life of the stream than this capture";
            if ordinal > newest_ordinal || (ordinal == newest_ordinal && id != newest_id) {
                return Handshake::OpenAbove {
                    above: ordinal,
                    reason,
                };
            }
        }
        let open = |reason| Handshake::OpenAbove {
            above: newest_ordinal,
            reason,
        };
        let Some(held) = peer.held else {
            return self.start_for_nobody(open);
        };
        let position = held.position;
        let Some(index) = self
            .lives
            .iter()
            .position(|life| life.ordinal() == position.ordinal)
        else {
            return self.start_above(&held, open);
        };
        let life = &self.lives[index];
        if life.start.opening.id != held.id {
            // Another life with that ordinal: nothing up to it is common ground.
            return self.start_with_full_compare(Some(position), open);
        }
        let next = position.sequence.next();
        if position.sequence <= life.fed_through {
            let available = position.sequence == life.fed_through || next >= life.available_from;
            if available && self.lives[index + 1..].iter().all(Life::is_whole) {
                return Handshake::ResumeFrom(FeedStart::After(position));
            }
            return self.start_with_full_compare(Some(position), open);
        }
        self.start_behind_fork(index, position, open)
    }

    /// The peer holds records of a known life that this capture no longer vouches for.
    fn start_behind_fork(
        &self,
        index: usize,
        position: Position,
        open: impl Fn(&'static str) -> Handshake,
    ) -> Handshake {
        let later = &self.lives[index + 1..];
        let Some(next) = later.first() else {
            return open("the peer is further on than this capture ever was");
        };
        let fork = Fork {
            opening: next.ordinal(),
            continues: next.start.opening.continues,
            peer: Some(position),
        };
        let healed = later.iter().any(|life| {
            life.start
                .sync
                .is_some_and(|sync| fork.closed_by(&sync.heals))
        });
        if healed && later.iter().all(Life::is_whole) {
            return Handshake::ResumeFrom(FeedStart::Opening(next.ordinal()));
        }
        self.start_with_full_compare(Some(position), open)
    }

    /// The peer is in a life of which nothing is here: it may be exactly where the first one goes on.
    fn start_above(&self, held: &Held, open: impl Fn(&'static str) -> Handshake) -> Handshake {
        let oldest = self.lives.first().map(|life| life.start.opening);
        if let Some(opening) = oldest
            && self.beneath == Some(*held)
            && opening.continues == Some(held.position)
            && self.lives.iter().all(Life::is_whole)
        {
            return Handshake::ResumeFrom(FeedStart::Opening(opening.ordinal));
        }
        self.start_with_full_compare(Some(held.position), open)
    }

    /// The peer holds nothing.
    fn start_for_nobody(&self, open: impl Fn(&'static str) -> Handshake) -> Handshake {
        let from_the_start = self.lives.iter().all(Life::is_whole)
            && self.lives[0].start.opening.continues.is_none();
        if from_the_start {
            return Handshake::ResumeFrom(FeedStart::Opening(self.lives[0].ordinal()));
        }
        self.start_with_full_compare(None, open)
    }

    /// The peer lacks records that are gone: it needs a life that reads everything, later than what
    /// it holds, whole in the journal.
    fn start_with_full_compare(
        &self,
        position: Option<Position>,
        open: impl Fn(&'static str) -> Handshake,
    ) -> Handshake {
        let mut whole = self.lives.iter().rev().take_while(|life| life.is_whole());
        let compares = |life: &&Life| {
            life.start.reads_everything()
                && position.is_none_or(|held| life.ordinal() > held.ordinal)
        };
        match whole.find(compares) {
            Some(life) => Handshake::ResumeFrom(FeedStart::Opening(life.ordinal())),
            None => open("the peer lacks records that were freed, or that were never journaled"),
        }
    }

    fn close(&mut self, index: usize, continues: Option<Position>) {
        let life = &mut self.lives[index];
        let nothing = life.start.opening.first.previous();
        life.fed_through = match continues {
            Some(position) if position.ordinal == life.ordinal() => position.sequence.max(nothing),
            _ => nothing,
        };
    }
}

#[cfg(test)]
mod tests;
