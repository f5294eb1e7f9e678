//! The log as one text, piece by piece.
//!
//! A period is taken from the first entry at or after its beginning to the first one after its end,
//! and on to the next signed head, so that a signature covers all of it. Lines are copied as they are
//! in the files: what is damaged there is damaged here, for the verifier to name.

use super::{
    AuditError, files,
    log::{Segment, Snapshot},
};
use crate::offload::offload;
use bcdr_audit::{AUDIT_VERSION, Line, Mark, Opening, SignedHead};
use bcdr_disk::Storage;
use bytes::Bytes;
use std::{collections::VecDeque, sync::Arc};

/// An export that is on its way.
#[derive(Debug)]
pub(crate) struct Export {
    storage: Arc<dyn Storage>,
    snapshot: Arc<Snapshot>,
    segments: VecDeque<Segment>,
    /// The head that was signed for it.
    head: Option<SignedHead>,
    from: Option<jiff::Timestamp>,
    to: Option<jiff::Timestamp>,
    /// The place before the next entry.
    at: Mark,
    stage: Stage,
    /// The newest entry that a head in the export covers.
    signed: Option<Mark>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The period has not begun.
    Before,
    /// It is copied.
    Within,
    /// It is over, and the next head is awaited.
    After,
    /// All is said.
    Done,
}

impl Export {
    pub(super) fn new(
        storage: Arc<dyn Storage>,
        snapshot: Arc<Snapshot>,
        head: Option<SignedHead>,
        from: Option<jiff::Timestamp>,
        to: Option<jiff::Timestamp>,
    ) -> Self {
        let segments: VecDeque<Segment> = snapshot.segments().cloned().collect();
        let first = segments.front().and_then(|segment| segment.after);
        let beginning = Mark::beginning(&snapshot.installation);
        Self {
            at: first.unwrap_or(beginning),
            storage,
            segments,
            snapshot,
            head,
            from,
            to,
            stage: Stage::Before,
            signed: None,
        }
    }

    /// The next piece; none at the end.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(crate) async fn next(mut self) -> (Result<Option<Bytes>, AuditError>, Self) {
        offload(move || {
            let piece = self.piece();
            (piece, self)
        })
        .await
    }

    fn piece(&mut self) -> Result<Option<Bytes>, AuditError> {
        while self.stage != Stage::Done {
            let mut out = String::new();
            if self.stage == Stage::Before && self.from.is_none() {
                self.begin(&mut out);
            }
            match self.segments.pop_front() {
                Some(segment) => {
                    let bytes = files::read(&*self.storage, &segment.path, Some(segment.length))?;
                    self.copy(&bytes, &mut out);
                }
                None => self.end(&mut out),
            }
            if !out.is_empty() {
                return Ok(Some(Bytes::from(out)));
            }
        }
        Ok(None)
    }

    fn begin(&mut self, out: &mut String) {
        let opening = Opening {
            audit_version: AUDIT_VERSION,
            installation: self.snapshot.installation.clone(),
            segment: None,
            after: self.at,
        };
        out.push_str(&Line::Opening(opening).to_text());
        if let Some(cut) = &self.snapshot.cut {
            out.push_str(&Line::Cut(cut.clone()).to_text());
        }
        self.stage = Stage::Within;
    }

    fn copy(&mut self, bytes: &[u8], out: &mut String) {
        for line in files::lines(bytes) {
            let parsed = Line::parse(line);
            match &parsed {
                Ok(Line::Opening(_)) => continue,
                Ok(Line::Entry(entry)) => {
                    if self.is_beyond_the_head(entry.body.sequence) {
                        self.end(out);
                        return;
                    }
                    let at = entry.body.at;
                    if self.stage == Stage::Before && self.from.is_some_and(|from| at >= from) {
                        self.begin(out);
                    }
                    if self.stage == Stage::Within && self.to.is_some_and(|to| at > to) {
                        self.stage = Stage::After;
                    }
                    self.at = entry.mark();
                }
                _ => {}
            }
            if self.stage == Stage::Before {
                continue;
            }
            out.push_str(&String::from_utf8_lossy(line));
            if let Ok(Line::Head(head)) = parsed {
                self.signed = Some(head.body.newest);
                if self.stage == Stage::After {
                    self.stage = Stage::Done;
                    return;
                }
            }
        }
    }

    /// What was written after the head was signed is for the next export.
    fn is_beyond_the_head(&self, sequence: u64) -> bool {
        let head = self.head.as_ref();
        head.is_some_and(|head| sequence > head.body.newest.sequence)
    }

    fn end(&mut self, out: &mut String) {
        if self.stage == Stage::Before {
            self.begin(out);
        }
        // While the disk is full a head is signed without being kept.
        if let Some(head) = self.head.take()
            && head.body.newest == self.at
            && self.signed != Some(self.at)
        {
            out.push_str(&Line::Head(head).to_text());
        }
        self.stage = Stage::Done;
    }
}
