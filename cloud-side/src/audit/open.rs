//! Opening the log: what an earlier process left, told from what somebody did to it.
//!
//! An append that a power loss or a kill cut short was never answered for: its bytes are cut off, and
//! an entry says how many there were. Anything else that does not fit is damage: it stays as it is, is
//! named, and the log goes on in a new segment behind the newest entry that can be read.

use super::{
    AuditError, AuditParts, files,
    log::{Current, Log, Segment},
    system,
};
use crate::clock;
use bcdr_audit::{Chained, Draft, Entry, Line, Mark, Outcome, SignedCut};
use bcdr_disk::{Access, DiskErrorKind, replace_atomically};
use bcdr_format::Timestamp;
use bcdr_report::Digest;
use std::{collections::BTreeMap, sync::Arc};

/// Most actions that are told to have been cut off; more than the API has connections.
const UNENDED_MAX: usize = 512;

/// What a start has to say.
#[derive(Debug, Default)]
pub(super) struct OpenedLog {
    /// What is not as it was written.
    pub(super) damage: Vec<String>,
    /// The entries about all of it.
    pub(super) drafts: Vec<Draft>,
}

/// What is found in a segment.
#[derive(Debug)]
struct Scanned {
    /// The newest entry that can be read, or what the segment begins after.
    newest: Mark,
    newest_at: Option<jiff::Timestamp>,
    /// The newest entry that a head covers.
    signed: u64,
    /// Where the line after the newest entry or head begins.
    good: usize,
    damage: Vec<String>,
    /// Actions that began and have no end, by the number of their entry.
    unended: BTreeMap<u64, Entry>,
}

impl Log {
    /// Opens the log in a directory. Blocks.
    pub(super) fn open(parts: AuditParts, now: Timestamp) -> Result<(Self, OpenedLog), AuditError> {
        let storage = Arc::clone(&parts.storage);
        storage.create_directory_all(&parts.directory)?;
        let beginning = Mark::beginning(&parts.installation.to_string());
        let mut opened = OpenedLog::default();
        let mut log = Self {
            cut: read_cut(&parts, &mut opened)?,
            parts,
            closed: Arc::default(),
            current: None,
            newest: beginning,
            signed: 0,
        };
        let mut segments = log.find_segments(&mut opened)?;
        let mut cut_off = None;
        if let Some(mut last) = segments.pop() {
            let bytes = files::read(&*storage, &last.path, None)?;
            let mut scanned = scan(&bytes, last.after);
            if let Some(before) = segments.last() {
                // What began just before the newest segment was made.
                let bytes = files::read(&*storage, &before.path, None)?;
                let older = scan(&bytes, before.after).unended;
                let ended = ends(&bytes_of(&*storage, &last)?);
                let still = older
                    .into_iter()
                    .filter(|(began, _)| !ended.contains(began));
                scanned.unended.extend(still);
            }
            let is_sound = scanned.damage.is_empty() && last.after.is_some();
            opened.damage.append(&mut scanned.damage);
            let rest = &bytes[scanned.good..];
            if !rest.is_empty() {
                cut_off = Some((rest.len(), Digest::of(rest)));
                replace_atomically(&*storage, &last.path, &bytes[..scanned.good])?;
            }
            last.length = scanned.good as u64;
            last.newest_at = scanned.newest_at;
            log.newest = scanned.newest;
            log.signed = scanned.signed.min(scanned.newest.sequence);
            log.closed = Arc::new(segments);
            // What a killed process wrote and did not sync is made durable before it is believed.
            let file = storage.open(&last.path, Access::write())?;
            file.sync_all()?;
            log.current = Some(Current {
                segment: last,
                file: Some(file),
            });
            if !is_sound {
                log.close_segment();
            }
            opened.drafts.extend(unended(scanned.unended));
        }
        log.compare_with_the_anchor(&mut opened)?;
        log.say(cut_off, &mut opened, now);
        Ok((log, opened))
    }

    /// Finds the segments and what is known of each.
    fn find_segments(&self, opened: &mut OpenedLog) -> Result<Vec<Segment>, AuditError> {
        let (storage, directory) = (&*self.parts.storage, &self.parts.directory);
        let mut segments: Vec<Segment> = Vec::new();
        let numbers = files::numbers(storage, directory)?;
        for (at, number) in numbers.iter().enumerate() {
            let path = files::path(directory, *number);
            let opening = files::opening(storage, &path)?;
            let length = storage.open(&path, Access::read())?.length()?;
            let is_last = at + 1 == numbers.len();
            if opening.is_none() && is_last && holds_no_entry(&files::read(storage, &path, None)?) {
                // It was being made, and nothing was in it.
                storage.remove(&path)?;
                storage.sync_directory(directory)?;
                continue;
            }
            if opening.is_none() {
                let damage = format!("the first line of {} cannot be read", path.display());
                opened.damage.push(damage);
            }
            segments.push(Segment {
                number: *number,
                path,
                after: opening.map(|opening| opening.after),
                newest_at: None,
                length,
            });
        }
        // First, since of files whose removal a power loss cut short any may be there again.
        self.remove_what_was_cut(&mut segments)?;
        for pair in segments.windows(2) {
            if pair[0].number.checked_add(1) != Some(pair[1].number) {
                opened.damage.push(format!(
                    "segments are missing: there is nothing between {} and {}",
                    pair[0].number, pair[1].number
                ));
            }
        }
        let cut = self.cut.as_ref().map_or(0, |cut| cut.body.through.sequence);
        if let Some(after) = segments.first().and_then(|first| first.after)
            && after.sequence > cut
        {
            opened.damage.push(format!(
                "the log begins with entry {}, and nothing says that those before were removed in order",
                after.sequence + 1
            ));
        }
        // The newest one is read whole anyway.
        let closed = segments.len().saturating_sub(1);
        for segment in &mut segments[..closed] {
            segment.newest_at = newest_at(&files::tail(storage, &segment.path)?);
        }
        Ok(segments)
    }

    /// Removes what a retention that was cut short left.
    fn remove_what_was_cut(&self, segments: &mut Vec<Segment>) -> Result<(), AuditError> {
        let Some(cut) = &self.cut else { return Ok(()) };
        let through = cut.body.through.sequence;
        let is_covered =
            |pair: &&[Segment]| pair[1].after.is_some_and(|after| after.sequence <= through);
        let covered = segments.windows(2).take_while(is_covered).count();
        if covered > 0 {
            let covered: Vec<_> = segments.drain(..covered).collect();
            self.remove(&covered)?;
        }
        Ok(())
    }

    /// Finds out whether the newest entries are missing, or others stand in their place.
    fn compare_with_the_anchor(&self, opened: &mut OpenedLog) -> Result<(), AuditError> {
        let known = match self.parts.anchor.newest() {
            Ok(Some(head)) => head.body.newest,
            Ok(None) => return Ok(()),
            Err(error) => {
                tracing::error!(error, "how far the audit log reached cannot be read");
                return Ok(());
            }
        };
        if known.sequence > self.newest.sequence {
            opened.damage.push(format!(
                "the log ends with entry {}, and entry {} was signed: the newest entries were cut off, or this is an older copy",
                self.newest.sequence, known.sequence
            ));
            return Ok(());
        }
        let snapshot = self.snapshot();
        let holds = |segment: &&Segment| {
            let after = segment.after.map(|after| after.sequence);
            after.is_some_and(|after| after < known.sequence)
        };
        let Some(segment) = snapshot.segments().rev().find(holds) else {
            return Ok(());
        };
        let bytes = bytes_of(&*self.parts.storage, segment)?;
        let found = files::mark_at(&bytes, known.sequence);
        if found.is_some_and(|found| found.hash != known.hash) {
            opened.damage.push(format!(
                "entry {} is not the one that was signed: the log was written anew",
                known.sequence
            ));
        }
        Ok(())
    }

    fn say(&self, cut_off: Option<(usize, Digest)>, opened: &mut OpenedLog, now: Timestamp) {
        if let Some((bytes, digest)) = cut_off {
            let mut draft = Draft::new(
                system("audit log"),
                "audit_append_cut_short",
                Outcome::Unknown,
            );
            draft.detail = Some(format!(
                "{bytes} bytes behind entry {} (BLAKE3 {digest}) were cut off: they were being written when the process ended, and nothing was answered for them",
                self.newest.sequence
            ));
            opened.drafts.push(draft);
        }
        for damage in &opened.damage {
            let mut draft = Draft::new(system("audit log"), "audit_damage", Outcome::Failed);
            draft.detail = Some(damage.clone());
            opened.drafts.push(draft);
        }
        let mut draft = Draft::new(system("audit log"), "audit_opened", Outcome::Allowed);
        let at = clock::readable(now);
        draft.detail = Some(format!("continues entry {} at {at}", self.newest.sequence));
        opened.drafts.push(draft);
    }
}

fn read_cut(parts: &AuditParts, opened: &mut OpenedLog) -> Result<Option<SignedCut>, AuditError> {
    let path = parts.directory.join(files::CUT);
    match files::read(&*parts.storage, &path, None) {
        Ok(bytes) => match Line::parse(&bytes) {
            Ok(Line::Cut(cut)) if cut.verifies() => Ok(Some(cut)),
            _ => {
                let damage = format!("{} is not what was signed", path.display());
                opened.damage.push(damage);
                Ok(None)
            }
        },
        Err(error) if error.kind() == DiskErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn bytes_of(storage: &dyn bcdr_disk::Storage, segment: &Segment) -> Result<Vec<u8>, AuditError> {
    Ok(files::read(storage, &segment.path, Some(segment.length))?)
}

fn holds_no_entry(bytes: &[u8]) -> bool {
    !files::lines(bytes).any(|line| matches!(Line::parse(line), Ok(Line::Entry(_))))
}

fn newest_at(bytes: &[u8]) -> Option<jiff::Timestamp> {
    files::lines(bytes)
        .rev()
        .find_map(|line| match Line::parse(line) {
            Ok(Line::Entry(entry)) => Some(entry.body.at),
            _ => None,
        })
}

/// The numbers of the entries whose actions ended in this text.
fn ends(bytes: &[u8]) -> Vec<u64> {
    files::lines(bytes)
        .filter_map(|line| match Line::parse(line) {
            Ok(Line::Entry(entry)) => entry.body.said.began,
            _ => None,
        })
        .collect()
}

/// Reads a segment, and tells an append that was cut short from damage.
fn scan(bytes: &[u8], after: Option<Mark>) -> Scanned {
    let unknown = Mark {
        sequence: 0,
        hash: Digest::of(b""),
    };
    let mut scanned = Scanned {
        newest: after.unwrap_or(unknown),
        newest_at: None,
        signed: 0,
        good: 0,
        damage: Vec::new(),
        unended: BTreeMap::new(),
    };
    let (mut end, mut unread) = (0, None);
    for (number, line) in files::lines(bytes).enumerate() {
        end += line.len();
        match Line::parse(line) {
            Ok(Line::Entry(entry)) => {
                let fits = is_next(&scanned, &entry);
                // What was written in the same go as what cannot be read may have been cut short
                // with it; what was written later shows that it was durable.
                let same_go = entry.body.append <= scanned.newest.sequence + 1;
                if !fits && (unread.is_some() && same_go) {
                    continue;
                }
                if fits {
                    scanned.note_unread(&mut unread);
                } else {
                    let at: usize = unread.take().unwrap_or(number + 1);
                    scanned.damage.push(format!(
                        "entry {} does not follow entry {}: line {at} of its segment was edited, or something is missing",
                        entry.body.sequence, scanned.newest.sequence
                    ));
                }
                scanned.take(entry);
                scanned.good = end;
            }
            Ok(Line::Head(head)) if head.body.newest == scanned.newest => {
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

fn is_next(scanned: &Scanned, entry: &Chained) -> bool {
    entry.body.sequence == scanned.newest.sequence + 1 && entry.fits(&scanned.newest.hash)
}

impl Scanned {
    /// What stands before something that was durable later was durable too.
    fn note_unread(&mut self, unread: &mut Option<usize>) {
        if let Some(at) = unread.take() {
            let damage = format!(
                "line {at} of the segment of entry {} cannot be read",
                self.newest.sequence
            );
            self.damage.push(damage);
        }
    }

    fn take(&mut self, entry: Chained) {
        self.newest = entry.mark();
        self.newest_at = Some(entry.body.at);
        let said = &entry.body.said;
        if let Some(began) = said.began {
            self.unended.remove(&began);
        }
        if said.outcome == Outcome::Begun && self.unended.len() < UNENDED_MAX {
            self.unended.insert(entry.body.sequence, entry.body);
        }
    }
}

/// The ends of actions that the process did not live to see.
fn unended(unended: BTreeMap<u64, Entry>) -> impl Iterator<Item = Draft> {
    unended.into_iter().map(|(began, entry)| {
        let mut draft = entry.said;
        draft.outcome = Outcome::Unknown;
        draft.began = Some(began);
        draft.detail = Some("the process ended before it was known".to_owned());
        draft
    })
}
