//! Some entries, in either direction.
//!
//! Memory is bounded by one segment and one page; work by the bytes that are looked through, after
//! which a page ends early and says where to go on.

use super::{
    AuditError, files,
    log::{Segment, Snapshot},
};
use bcdr_audit::{Chained, Entry, Line, Outcome};
use bcdr_disk::Storage;

/// Bytes that are looked through for one page.
const LOOKED_THROUGH_MAX: u64 = 64 << 20;

/// Which entries.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    /// By the name or id of who did it.
    pub(crate) actor: Option<String>,
    /// By the operation.
    pub(crate) action: Option<String>,
    /// By the kind of what it was done to, or its id or name.
    pub(crate) object: Option<String>,
    /// By what came of it.
    pub(crate) outcome: Option<Outcome>,
    /// Not before this.
    pub(crate) from: Option<jiff::Timestamp>,
    /// Not after this.
    pub(crate) to: Option<jiff::Timestamp>,
    /// Oldest first, instead of newest first.
    pub(crate) forward: bool,
    /// Only those beyond this one, in the direction of the list.
    pub(crate) beyond: Option<u64>,
    /// At most so many.
    pub(crate) limit: usize,
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) entries: Vec<Chained>,
    /// Where the list goes on; none at its end.
    pub(crate) next: Option<u64>,
}

impl Filter {
    fn wants(&self, entry: &Entry) -> bool {
        let said = &entry.said;
        let is = |wanted: &Option<String>, found: &[Option<&str>]| {
            let wanted = wanted.as_deref();
            wanted.is_none_or(|wanted| found.contains(&Some(wanted)))
        };
        let object = said.object.as_ref();
        let beyond = self.beyond.is_none_or(|beyond| match self.forward {
            true => entry.sequence > beyond,
            false => entry.sequence < beyond,
        });
        beyond
            && is(
                &self.actor,
                &[Some(&said.actor.name), said.actor.id.as_deref()],
            )
            && is(&self.action, &[Some(&said.action)])
            && is(
                &self.object,
                &[
                    object.map(|object| object.kind.as_str()),
                    object.and_then(|object| object.id.as_deref()),
                ],
            )
            && self.outcome.is_none_or(|outcome| outcome == said.outcome)
            && self.from.is_none_or(|from| entry.at >= from)
            && self.to.is_none_or(|to| entry.at <= to)
    }
}

/// Reads entries. Blocks.
pub(super) fn list(
    storage: &dyn Storage,
    snapshot: &Snapshot,
    filter: &Filter,
) -> Result<Page, AuditError> {
    let segments: Vec<&Segment> = snapshot.segments().collect();
    let mut order: Vec<usize> = (0..segments.len()).collect();
    if !filter.forward {
        order.reverse();
    }
    let mut page = Page {
        entries: Vec::new(),
        next: None,
    };
    let mut looked_through = 0;
    let mut last = None;
    for at in order {
        let (segment, next) = (segments[at], segments.get(at + 1));
        if lies_before_the_cursor(segment, next.copied(), filter) {
            continue;
        }
        if looked_through > LOOKED_THROUGH_MAX {
            page.next = last;
            return Ok(page);
        }
        let bytes = files::read(storage, &segment.path, Some(segment.length))?;
        looked_through += segment.length;
        let mut entries: Vec<Chained> = files::lines(&bytes)
            .filter_map(|line| match Line::parse(line) {
                Ok(Line::Entry(entry)) => Some(entry),
                // What cannot be read was named at the start, and is for the verifier to say.
                _ => None,
            })
            .collect();
        if !filter.forward {
            entries.reverse();
        }
        for entry in entries {
            let sequence = entry.body.sequence;
            if filter.wants(&entry.body) {
                if page.entries.len() == filter.limit {
                    page.next = page.entries.last().map(|entry| entry.body.sequence);
                    return Ok(page);
                }
                page.entries.push(entry);
            }
            last = Some(sequence);
        }
    }
    Ok(page)
}

/// Whether all of a segment is on the side of the cursor that was seen already.
fn lies_before_the_cursor(segment: &Segment, next: Option<&Segment>, filter: &Filter) -> bool {
    let Some(beyond) = filter.beyond else {
        return false;
    };
    if filter.forward {
        let newest = next.and_then(|next| next.after);
        newest.is_some_and(|newest| newest.sequence <= beyond)
    } else {
        segment
            .after
            .is_some_and(|after| after.sequence + 1 >= beyond)
    }
}
