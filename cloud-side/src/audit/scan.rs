//! Reading a segment: what is in it, and where what an append left begins.
//!
//! It opens no file. What stands behind the newest entry is taken for an append that was cut short
//! only while nothing shows that it was durable; [`Durable::All`] is for when something does.

use bcdr_audit::{Chained, Draft, Entry, Line, Mark, Outcome};
use bcdr_report::Digest;
use std::collections::BTreeMap;

use super::files;

/// Most actions that are told to have been cut off; more than the API has connections.
const UNENDED_MAX: usize = 512;

/// Actions that began and have no end, by the number of their entry.
pub(super) type Unended = BTreeMap<u64, Entry>;

/// What is taken for granted of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durable {
    /// That its last append may have been cut short, anywhere in it.
    AllButLast,
    /// That all of it was as it was written once.
    All,
}

/// What is found in a segment.
#[derive(Debug)]
pub(super) struct Scanned {
    /// The newest entry that can be read, or what the segment begins after; none of both without a
    /// first line.
    pub(super) newest: Option<Mark>,
    pub(super) newest_at: Option<jiff::Timestamp>,
    /// The newest entry that a head covers.
    pub(super) signed: u64,
    /// Where the line after the newest entry or head begins.
    pub(super) good: usize,
    pub(super) damage: Vec<String>,
    pub(super) unended: Unended,
    durable: Durable,
}

/// Reads a segment. `unended` is what began in the segment before.
pub(super) fn scan(
    bytes: &[u8],
    after: Option<Mark>,
    unended: Unended,
    durable: Durable,
) -> Scanned {
    let mut scanned = Scanned {
        newest: after,
        newest_at: None,
        signed: 0,
        good: 0,
        damage: Vec::new(),
        unended,
        durable,
    };
    let (mut end, mut unread) = (0, None);
    for (number, line) in files::lines(bytes).enumerate() {
        end += line.len();
        match Line::parse(line) {
            Ok(Line::Entry(entry)) => {
                let fits = scanned.is_next(&entry);
                if !fits && unread.is_some() && scanned.may_be_of_the_last_append(&entry) {
                    continue;
                }
                if fits {
                    scanned.note_unread(&mut unread);
                } else {
                    let at: usize = unread.take().unwrap_or(number + 1);
                    scanned.damage.push(format!(
                        "entry {} does not follow entry {}: line {at} of its segment was edited, or something is missing",
                        entry.body.sequence,
                        scanned.sequence()
                    ));
                }
                scanned.take(entry);
                scanned.good = end;
            }
            Ok(Line::Head(head)) if Some(head.body.newest) == scanned.newest => {
                scanned.note_unread(&mut unread);
                scanned.signed = head.body.newest.sequence;
                scanned.good = end;
            }
            Ok(Line::Opening(_)) if number == 0 => scanned.good = end,
            _ => unread = unread.or(Some(number + 1)),
        }
    }
    scanned
}

impl Scanned {
    /// The number of the newest entry that can be read.
    pub(super) fn sequence(&self) -> u64 {
        self.newest.map_or(0, |newest| newest.sequence)
    }

    fn is_next(&self, entry: &Chained) -> bool {
        match self.newest {
            Some(newest) => entry.body.sequence == newest.sequence + 1 && entry.fits(&newest.hash),
            // That the first line cannot be read is damage of its own.
            None => true,
        }
    }

    /// What was written in the same go as what cannot be read may have been cut short with it; what
    /// was written later shows that it was durable.
    fn may_be_of_the_last_append(&self, entry: &Chained) -> bool {
        self.durable == Durable::AllButLast && entry.body.append <= self.sequence() + 1
    }

    /// What stands before something that was durable later was durable too.
    fn note_unread(&mut self, unread: &mut Option<usize>) {
        if let Some(at) = unread.take() {
            let damage = format!(
                "line {at} of the segment of entry {} cannot be read",
                self.sequence()
            );
            self.damage.push(damage);
        }
    }

    fn take(&mut self, entry: Chained) {
        self.newest = Some(entry.mark());
        self.newest_at = Some(entry.body.at);
        let said = &entry.body.said;
        if let Some(began) = said.began {
            self.unended.remove(&began);
        } else if said.outcome != Outcome::Begun {
            self.unended.retain(|_, begun| !ends(said, &begun.said));
        }
        if said.outcome == Outcome::Begun && self.unended.len() < UNENDED_MAX {
            self.unended.insert(entry.body.sequence, entry.body);
        }
    }
}

/// Whether an entry that does not say with which it began ends this one all the same. Whoever gave up
/// waiting for the entry of the beginning never learned its number.
fn ends(end: &Draft, begun: &Draft) -> bool {
    end.actor == begun.actor
        && end.action == begun.action
        && end.request == begun.request
        // Without a request it is the product itself, which does one thing to one object at a time.
        && (end.request.is_some() || end.object == begun.object)
}

/// What in the rest of a segment shows that it was durable, and so no append that was cut short: a
/// head is written after all that it covers was synced.
pub(super) fn head_in(rest: &[u8]) -> Option<u64> {
    files::lines(rest).find_map(|line| match Line::parse(line) {
        Ok(Line::Head(head)) => Some(head.body.newest.sequence),
        _ => None,
    })
}

/// The ends of actions that the process did not live to see.
pub(super) fn unended(unended: Unended) -> impl Iterator<Item = Draft> {
    unended.into_iter().map(|(began, entry)| {
        let mut draft = entry.said;
        draft.outcome = Outcome::Unknown;
        draft.began = Some(began);
        draft.detail = Some("the process ended before it was known".to_owned());
        draft
    })
}

/// What a start says of bytes that it cut off.
pub(super) fn cut_off(rest: &[u8]) -> String {
    format!("{} bytes (BLAKE3 {})", rest.len(), Digest::of(rest))
}
