//! The log itself: appends to the newest segment, signs heads, closes segments, removes old ones.
//!
//! Invariant: [`Log::append`] returns numbers only after the entries are durable, and after a failure
//! the segment is brought back to what was durable before anything else is written to it. A segment
//! that was closed is never written to again. It decides nothing about when; [`super::owner`] does.

use super::{
    AuditError, AuditParts, files,
    open::{Trust, settle},
    system,
};
use crate::clock;
use bcdr_audit::{
    AUDIT_VERSION, Chained, Cut, Draft, Entry, Head, LINE_BYTES_MAX, Line, Mark, Opening, Outcome,
    SignedCut, SignedHead,
};
use bcdr_disk::{CreateOptions, DiskError, DiskErrorKind, File, replace_atomically};
use bcdr_format::Timestamp;
use std::{path::PathBuf, sync::Arc};

/// What is known of a segment.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    /// The place that its first entry follows; none if its first line cannot be read.
    pub(super) after: Option<Mark>,
    /// When its newest entry was written.
    pub(super) newest_at: Option<jiff::Timestamp>,
    /// Its bytes, as far as they are durable.
    pub(super) length: u64,
}

/// The log as readers see it: durable entries only.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    pub(super) closed: Arc<Vec<Segment>>,
    /// The one that is written to; none before the first entry.
    pub(super) current: Option<Segment>,
    pub(super) newest: Mark,
    pub(super) cut: Option<SignedCut>,
    pub(super) installation: String,
}

impl Snapshot {
    /// All segments, in order.
    pub(super) fn segments(&self) -> impl DoubleEndedIterator<Item = &Segment> {
        self.closed.iter().chain(&self.current)
    }
}

/// The segment that is written to.
#[derive(Debug)]
pub(super) struct Current {
    pub(super) segment: Segment,
    /// Open, and as long as what is durable; none after a failure, until that is so again.
    pub(super) file: Option<Arc<dyn File>>,
}

/// The log.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) parts: AuditParts,
    pub(super) closed: Arc<Vec<Segment>>,
    pub(super) current: Option<Current>,
    pub(super) newest: Mark,
    /// The newest entry that a head in the files covers.
    pub(super) signed: u64,
    pub(super) cut: Option<SignedCut>,
}

impl Log {
    pub(super) fn installation(&self) -> String {
        self.parts.installation.to_string()
    }

    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::new(Snapshot {
            closed: Arc::clone(&self.closed),
            current: self.current.as_ref().map(|current| current.segment.clone()),
            newest: self.newest,
            cut: self.cut.clone(),
            installation: self.installation(),
        })
    }

    /// The bytes of all segments.
    pub(super) fn bytes(&self) -> u64 {
        let current = self.current.as_ref().map(|current| &current.segment);
        let segments = self.closed.iter().chain(current);
        segments.map(|segment| segment.length).sum()
    }

    /// How many entries no head covers.
    pub(super) fn unsigned(&self) -> u64 {
        self.newest.sequence.saturating_sub(self.signed)
    }

    /// Writes entries in one go; durable on return. Gives the number of the first.
    pub(super) fn append(&mut self, drafts: Vec<Draft>, now: Timestamp) -> Result<u64, AuditError> {
        let at = clock::readable(now);
        let first = self.newest.sequence + 1;
        let (mut newest, mut text) = (self.newest, String::new());
        for draft in drafts {
            let entry = Entry {
                sequence: newest.sequence + 1,
                append: first,
                at,
                said: draft.bounded(),
            };
            let chained = Chained::after(&newest, entry);
            newest = chained.mark();
            text.push_str(&Line::Entry(chained).to_text());
        }
        self.make_room(text.len() as u64)?;
        self.write(&text)?;
        self.newest = newest;
        if let Some(current) = &mut self.current {
            current.segment.newest_at = Some(at);
        }
        Ok(first)
    }

    /// Signs how far the log reaches and writes that too. None without a key.
    pub(super) fn head(&mut self, now: Timestamp) -> Result<Option<SignedHead>, AuditError> {
        let Some(head) = self.signed_head(now) else {
            return Ok(None);
        };
        if self.unsigned() > 0 {
            self.write(&Line::Head(head.clone()).to_text())?;
            self.signed = self.newest.sequence;
            if let Err(error) = self.parts.anchor.keep(&head) {
                tracing::error!(
                    error,
                    "the catalog does not keep how far the audit log reaches"
                );
            }
        }
        Ok(Some(head))
    }

    /// The head without writing it, which a full disk does not prevent.
    pub(super) fn signed_head(&self, now: Timestamp) -> Option<SignedHead> {
        let key = self.parts.key.as_ref()?;
        let removed = self.cut.as_ref().map_or(0, |cut| cut.body.through.sequence);
        let head = Head {
            installation: self.installation(),
            newest: self.newest,
            kept: self.newest.sequence.saturating_sub(removed),
            at: clock::readable(now),
        };
        Some(SignedHead::sign(head, key))
    }

    /// Makes the current segment one that so many bytes may be written to.
    fn make_room(&mut self, bytes: u64) -> Result<(), AuditError> {
        self.repair()?;
        // A closed segment ends with a head where that can be had.
        let most = bytes + LINE_BYTES_MAX as u64;
        let is_full = self.current.as_ref().is_some_and(|current| {
            current.segment.length.saturating_add(most) > self.parts.config.segment_bytes
        });
        if is_full {
            self.head(clock::wall())?;
            self.close_segment();
        }
        if self.current.is_none() {
            self.begin_segment()?;
        }
        Ok(())
    }

    /// Makes the current segment a closed one.
    pub(super) fn close_segment(&mut self) {
        if let Some(current) = self.current.take() {
            Arc::make_mut(&mut self.closed).push(current.segment);
        }
    }

    fn begin_segment(&mut self) -> Result<(), AuditError> {
        let number = self.closed.last().map_or(1, |last| last.number + 1);
        let path = files::path(&self.parts.directory, number);
        let opening = Opening {
            audit_version: AUDIT_VERSION,
            installation: self.installation(),
            segment: Some(number),
            after: self.newest,
        };
        let text = Line::Opening(opening).to_text();
        let storage = &*self.parts.storage;
        // What an attempt left that failed before anything could be in it.
        match storage.remove(&path) {
            Err(error) if error.kind() != DiskErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let file = storage.create(&path, CreateOptions::default())?;
        file.write_all_at(text.as_bytes(), 0)?;
        file.sync_all()?;
        storage.sync_directory(&self.parts.directory)?;
        self.current = Some(Current {
            segment: Segment {
                number,
                path,
                after: Some(self.newest),
                newest_at: None,
                length: text.len() as u64,
            },
            file: Some(file),
        });
        Ok(())
    }

    fn write(&mut self, text: &str) -> Result<(), AuditError> {
        self.repair()?;
        if self.current.is_none() {
            self.begin_segment()?;
        }
        let Some(current) = &mut self.current else {
            return Err(AuditError::Closed);
        };
        let Some(file) = current.file.take() else {
            return Err(AuditError::Closed);
        };
        file.write_all_at(text.as_bytes(), current.segment.length)?;
        file.sync_data()?;
        current.segment.length += text.len() as u64;
        current.file = Some(file);
        Ok(())
    }

    /// After a failure: makes the file as long as what is durable, so that nothing that nobody was
    /// told of stays behind it.
    fn repair(&mut self) -> Result<(), AuditError> {
        let Some(current) = &mut self.current else {
            return Ok(());
        };
        if current.file.is_some() {
            return Ok(());
        }
        let storage = &*self.parts.storage;
        let (path, length) = (&current.segment.path, current.segment.length);
        let kept = || files::read(storage, path, Some(length)).map_err(AuditError::from);
        current.file = Some(settle(storage, path, length, Trust::Synced, kept)?);
        Ok(())
    }

    /// How many segments are older than what is kept, and the place behind them.
    pub(super) fn too_old(&self, now: Timestamp) -> Option<(usize, Mark)> {
        let kept = self.parts.config.kept()?;
        let oldest_kept = clock::readable(Timestamp(now.0.saturating_sub(kept)));
        let is_old = |segment: &&Segment| segment.newest_at.is_some_and(|at| at < oldest_kept);
        let old = self.closed.iter().take_while(is_old).count();
        let next = self.closed.get(old).or_else(|| {
            let current = self.current.as_ref()?;
            Some(&current.segment)
        });
        let through = next.and_then(|next| next.after);
        through.filter(|_| old > 0).map(|through| (old, through))
    }

    /// Removes segments whose newest entry is older than what is kept. The log says so before.
    pub(super) fn retain(&mut self, now: Timestamp) -> Result<(), AuditError> {
        let Some(((old, through), key)) = self.too_old(now).zip(self.parts.key.clone()) else {
            return Ok(());
        };
        let mut draft = Draft::new(system("audit log"), "audit_retention", Outcome::Begun);
        let detail = format!("entries up to {} are removed", through.sequence);
        draft.detail = Some(detail);
        let began = self.append(vec![draft.clone()], now)?;
        let cut = SignedCut::sign(
            Cut {
                installation: self.installation(),
                through,
                at: clock::readable(now),
            },
            &key,
        );
        let path = self.parts.directory.join(files::CUT);
        let text = Line::Cut(cut.clone()).to_text();
        replace_atomically(&*self.parts.storage, &path, text.as_bytes())?;
        self.cut = Some(cut);
        let removed: Vec<_> = Arc::make_mut(&mut self.closed).drain(..old).collect();
        self.remove(&removed)?;
        draft.outcome = Outcome::Allowed;
        draft.began = Some(began);
        self.append(vec![draft], now)?;
        Ok(())
    }

    /// Removes files that the cut covers.
    pub(super) fn remove(&self, segments: &[Segment]) -> Result<(), DiskError> {
        for segment in segments {
            self.parts.storage.remove(&segment.path)?;
        }
        self.parts.storage.sync_directory(&self.parts.directory)
    }
}
