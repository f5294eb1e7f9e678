//! Merging runs: newer wins, ranges split where they must, adjacent ones join.
//!
//! A merge reads each child once, front to back, and holds one entry of each: memory does not grow
//! with the runs. It is associative: merging in steps gives what one merge gives.

use super::{EntryCursor, RunError};
use bcdr_format::{
    VolumeNumber,
    run::{RunContent, RunEntry},
};

/// What happens to entries that say "zeroes".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZeroRule {
    /// They stay: something older may lie beneath.
    Keep,
    /// They go: the merge reaches the first batch of a lineage without a base, beneath which all is
    /// zero.
    Drop,
}

struct Child<Cursor> {
    cursor: Cursor,
    head: Option<RunEntry>,
}

/// A merge in progress.
pub struct Merge<Cursor> {
    // Newest first, so that a lower place wins.
    children: Vec<Child<Cursor>>,
    zeroes: ZeroRule,
    joined: Option<RunEntry>,
}

impl<Cursor: EntryCursor> Merge<Cursor> {
    /// A merge of `cursors`, newest first.
    pub fn new(cursors: Vec<Cursor>, zeroes: ZeroRule) -> Result<Self, RunError> {
        let mut children = Vec::with_capacity(cursors.len());
        for mut cursor in cursors {
            let head = cursor.next()?;
            children.push(Child { cursor, head });
        }
        Ok(Self {
            children,
            zeroes,
            joined: None,
        })
    }

    /// The next entry of the merged run.
    pub fn next_entry(&mut self) -> Result<Option<RunEntry>, RunError> {
        loop {
            let Some(piece) = self.next_piece()? else {
                return Ok(self.joined.take());
            };
            if self.zeroes == ZeroRule::Drop && piece.content == RunContent::Zero {
                continue;
            }
            let Some(before) = self.joined else {
                self.joined = Some(piece);
                continue;
            };
            match before.joined(&piece) {
                Some(joined) => self.joined = Some(joined),
                None => {
                    self.joined = Some(piece);
                    return Ok(Some(before));
                }
            }
        }
    }

    fn next_piece(&mut self) -> Result<Option<RunEntry>, RunError> {
        let heads = || {
            self.children
                .iter()
                .enumerate()
                .filter_map(|(place, child)| child.head.map(|head| (place, head)))
        };
        // The lowest start wins; among equals the newest.
        let Some((winner, entry)) = heads().min_by_key(|(place, head)| (head.key(), *place)) else {
            return Ok(None);
        };
        let cut = heads()
            .filter(|(place, head)| {
                *place < winner
                    && head.volume == entry.volume
                    && (entry.offset..entry.end()).contains(&head.offset)
            })
            .map(|(_, head)| head.offset)
            .min()
            .unwrap_or(entry.end());
        let piece = entry.until(cut);
        for child in &mut self.children {
            child.skip(piece.volume, piece.end())?;
        }
        Ok(Some(piece))
    }
}

impl<Cursor: EntryCursor> Child<Cursor> {
    /// Drops what the child says about the volume before byte `end`: it is told already.
    fn skip(&mut self, volume: VolumeNumber, end: u64) -> Result<(), RunError> {
        while let Some(head) = self.head {
            if head.volume != volume || head.offset >= end {
                return Ok(());
            }
            if head.end() > end {
                self.head = Some(head.from_offset(end));
                return Ok(());
            }
            self.head = self.cursor.next()?;
        }
        Ok(())
    }
}
