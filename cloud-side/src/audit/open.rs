//! Opening the log: what an earlier process left, told from what somebody did to it.
//!
//! An append that a power loss or a kill cut short was never answered for: its bytes are cut off, and
//! an entry says how many there were. Anything else that does not fit is damage: it stays as it is, is
//! named, and the log goes on in a new segment behind the newest entry that can be read. Bytes that a
//! head in the file or the one in the catalog shows to have been durable are never cut off.

use super::{
    AuditError, AuditParts, files,
    gap::KeptGap,
    log::{Current, Log, Segment},
    scan::{self, Durable, Scanned, Unended, scan},
    system,
};
use crate::clock;
use bcdr_audit::{Draft, Line, Mark, Outcome, SignedCut};
use bcdr_disk::{Access, DiskErrorKind, File, Storage, replace_atomically};
use bcdr_format::Timestamp;
use std::{path::Path, sync::Arc};

/// What a start has to say.
#[derive(Debug, Default)]
pub(super) struct OpenedLog {
    /// What is not as it was written.
    pub(super) damage: Vec<String>,
    /// The entries about all of it.
    pub(super) drafts: Vec<Draft>,
    /// When the newest entry of an earlier process was written.
    pub(super) earlier: Option<jiff::Timestamp>,
    /// What was cut off behind which entry.
    cut_off: Option<String>,
}

/// Whether a file can be believed that says that it was synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// It can.
    Synced,
    /// A sync may have failed in this process: only what is written to a new file is durable.
    Nothing,
}

impl Log {
    /// Opens the log in a directory. Blocks.
    pub(super) fn open(
        parts: AuditParts,
        now: Timestamp,
        trust: Trust,
    ) -> Result<(Self, OpenedLog), AuditError> {
        parts.storage.create_directory_all(&parts.directory)?;
        let beginning = Mark::beginning(&parts.installation.to_string());
        let mut opened = OpenedLog::default();
        let known = parts.anchor.newest();
        let known = known.map(|head| head.map(|head| head.body.newest));
        if let Err(error) = &known {
            tracing::error!(error, "how far the audit log reached cannot be read");
        }
        let mut log = Self {
            cut: read_cut(&parts, &mut opened)?,
            parts,
            closed: Arc::default(),
            current: None,
            newest: beginning,
            signed: 0,
        };
        let segments = log.find_segments(&mut opened)?;
        log.take_up(segments, &known, trust, &mut opened)?;
        if let Ok(Some(known)) = known {
            log.compare_with_the_anchor(known, &mut opened);
        }
        log.say(&mut opened, now);
        Ok((log, opened))
    }

    /// Takes the newest segment up where it ends, or closes it.
    fn take_up(
        &mut self,
        mut segments: Vec<Segment>,
        known: &Result<Option<Mark>, String>,
        trust: Trust,
        opened: &mut OpenedLog,
    ) -> Result<(), AuditError> {
        let Some(mut last) = segments.pop() else {
            return Ok(());
        };
        let storage = Arc::clone(&self.parts.storage);
        let bytes = bytes_of(&*storage, &last)?;
        let (base, began) = self.before_the_newest(&segments, opened);
        let mut scanned = scan(&bytes, last.after, began.clone(), Durable::AllButLast);
        if let Some(proof) = shows_durable(&bytes, &scanned, known) {
            scanned = scan(&bytes, last.after, began, Durable::All);
            scanned.damage.push(proof);
        }
        let is_whole = last.length < files::SEGMENT_READ_MAX;
        let is_sound = scanned.damage.is_empty() && last.after.is_some() && is_whole;
        opened.damage.append(&mut scanned.damage);
        opened.earlier = scanned
            .newest_at
            .or_else(|| segments.iter().rev().find_map(|one| one.newest_at));
        self.newest = scanned.newest.unwrap_or(base);
        self.signed = scanned.signed.min(self.newest.sequence);
        self.closed = Arc::new(segments);
        last.newest_at = scanned.newest_at;
        // What a killed process wrote and did not sync is made durable before it is believed.
        let file = if is_sound {
            let rest = &bytes[scanned.good..];
            opened.cut_off = (!rest.is_empty()).then(|| scan::cut_off(rest));
            last.length = scanned.good as u64;
            let kept = || Ok(bytes[..scanned.good].to_vec());
            settle(&*storage, &last.path, last.length, trust, kept)?
        } else {
            let file = storage.open(&last.path, Access::write())?;
            file.sync_all()?;
            file
        };
        self.current = Some(Current {
            segment: last,
            file: Some(file),
        });
        if !is_sound {
            self.close_segment();
        }
        opened.drafts.extend(scan::unended(scanned.unended));
        Ok(())
    }

    /// The newest entry before the newest segment, and what began there and did not end.
    fn before_the_newest(&self, segments: &[Segment], opened: &mut OpenedLog) -> (Mark, Unended) {
        let mut began = None;
        for segment in segments.iter().rev() {
            let bytes = match bytes_of(&*self.parts.storage, segment) {
                Ok(bytes) => bytes,
                Err(error) => {
                    opened.damage.push(unreadable(&segment.path, &error));
                    continue;
                }
            };
            let scanned = scan(&bytes, segment.after, Unended::new(), Durable::All);
            let began = began.get_or_insert(scanned.unended);
            if let Some(newest) = scanned.newest {
                return (newest, std::mem::take(began));
            }
        }
        (self.newest, began.unwrap_or_default())
    }

    /// Whether the log tells of these already: the catalog was not told before the process ended.
    pub(super) fn tells_of(&self, gap: &KeptGap) -> bool {
        let Some(behind) = gap.behind else {
            return false;
        };
        let snapshot = self.snapshot();
        let holds =
            |segment: &&Segment| segment.after.is_some_and(|after| after.sequence <= behind);
        let Some(segment) = snapshot.segments().rev().find(holds) else {
            return false;
        };
        let bytes = bytes_of(&*self.parts.storage, segment).unwrap_or_default();
        files::lines(&bytes).any(|line| match Line::parse(line) {
            Ok(Line::Entry(entry)) => {
                entry.body.sequence == behind + 1 && entry.body.said.action == "audit_gap"
            }
            _ => false,
        })
    }

    /// Finds the segments and what is known of each.
    fn find_segments(&self, opened: &mut OpenedLog) -> Result<Vec<Segment>, AuditError> {
        let (storage, directory) = (&*self.parts.storage, &self.parts.directory);
        let mut segments: Vec<Segment> = Vec::new();
        let numbers = files::numbers(storage, directory)?;
        for (at, number) in numbers.iter().enumerate() {
            let path = files::path(directory, *number);
            let mut length = storage.open(&path, Access::read())?.length()?;
            let is_last = at + 1 == numbers.len();
            let opening = match files::opening(storage, &path) {
                // Where the log goes on hangs on the newest one only.
                Err(error) if !is_last => {
                    opened.damage.push(unreadable(&path, &error));
                    None
                }
                opening => {
                    let opening = opening?;
                    if opening.is_none() && is_last && length <= files::OPENING_MAX {
                        // It was being made: nothing is written to it before its first line is durable.
                        storage.remove(&path)?;
                        storage.sync_directory(directory)?;
                        continue;
                    }
                    if opening.is_none() {
                        let damage = format!("the first line of {} cannot be read", path.display());
                        opened.damage.push(damage);
                    }
                    opening
                }
            };
            if length > files::SEGMENT_READ_MAX {
                opened.damage.push(format!(
                    "{} has {length} bytes, more than were ever written: those beyond {} are not read",
                    path.display(),
                    files::SEGMENT_READ_MAX
                ));
                length = files::SEGMENT_READ_MAX;
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
            // Of one that cannot be read nobody knows how old it is, so it stays.
            let tail = files::tail(storage, &segment.path);
            segment.newest_at = tail.ok().and_then(|bytes| newest_at(&bytes));
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
    fn compare_with_the_anchor(&self, known: Mark, opened: &mut OpenedLog) {
        if known.sequence > self.newest.sequence {
            opened.damage.push(format!(
                "the log ends with entry {}, and entry {} was signed: the newest entries were cut off, or this is an older copy",
                self.newest.sequence, known.sequence
            ));
            return;
        }
        let snapshot = self.snapshot();
        let holds = |segment: &&Segment| {
            let after = segment.after.map(|after| after.sequence);
            after.is_some_and(|after| after < known.sequence)
        };
        let Some(segment) = snapshot.segments().rev().find(holds) else {
            return;
        };
        let found = match bytes_of(&*self.parts.storage, segment) {
            Ok(bytes) => files::mark_at(&bytes, known.sequence),
            Err(error) => {
                opened.damage.push(unreadable(&segment.path, &error));
                return;
            }
        };
        if found.is_some_and(|found| found.hash != known.hash) {
            opened.damage.push(format!(
                "entry {} is not the one that was signed: the log was written anew",
                known.sequence
            ));
        }
    }

    fn say(&self, opened: &mut OpenedLog, now: Timestamp) {
        if let Some(cut_off) = opened.cut_off.take() {
            let mut draft = Draft::new(
                system("audit log"),
                "audit_append_cut_short",
                Outcome::Unknown,
            );
            draft.detail = Some(format!(
                "{cut_off} behind entry {} were cut off: they were being written when the process ended, and nothing was answered for them",
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

fn unreadable(path: &Path, error: &dyn std::error::Error) -> String {
    format!("{} cannot be read: {error}", path.display())
}

fn bytes_of(storage: &dyn Storage, segment: &Segment) -> Result<Vec<u8>, AuditError> {
    Ok(files::read(storage, &segment.path, Some(segment.length))?)
}

fn newest_at(bytes: &[u8]) -> Option<jiff::Timestamp> {
    files::lines(bytes)
        .rev()
        .find_map(|line| match Line::parse(line) {
            Ok(Line::Entry(entry)) => Some(entry.body.at),
            _ => None,
        })
}

/// What shows that the rest of a segment, which cannot be read as entries, was durable once.
fn shows_durable(
    bytes: &[u8],
    scanned: &Scanned,
    known: &Result<Option<Mark>, String>,
) -> Option<String> {
    let rest = &bytes[scanned.good..];
    if rest.is_empty() {
        return None;
    }
    let newest = scanned.sequence();
    let because = match (scan::head_in(rest), known) {
        (Some(head), _) => format!("a head for entry {head} stands behind them"),
        (None, Ok(Some(known))) if known.sequence > newest => {
            format!("entry {} was signed", known.sequence)
        }
        (None, Err(error)) => {
            format!("how far the log was signed cannot be read, so they are kept: {error}")
        }
        _ => return None,
    };
    Some(format!(
        "{} behind entry {newest} do not follow it, and were durable: {because}",
        scan::cut_off(rest)
    ))
}

/// Makes a file as long as what is believed of it, durably, and opens it. It needs no room; only where
/// a sync failed, after which nothing else is known to be durable, it is written anew.
pub(super) fn settle(
    storage: &dyn Storage,
    path: &Path,
    length: u64,
    trust: Trust,
    kept: impl FnOnce() -> Result<Vec<u8>, AuditError>,
) -> Result<Arc<dyn File>, AuditError> {
    if trust == Trust::Synced {
        let file = storage.open(path, Access::write())?;
        match file.set_length(length).and_then(|()| file.sync_all()) {
            Ok(()) => return Ok(file),
            Err(error) => tracing::warn!(%error, "a segment of the audit log is written anew"),
        }
    }
    replace_atomically(storage, path, &kept()?)?;
    Ok(storage.open(path, Access::write())?)
}
