//! The reader: the feed's items from disk, when they are no longer in memory.
//!
//! Invariant: it yields exactly what the tap handed to the feed, in the same order: failed records
//! with what stands in for them, nothing of a life beyond where the next one continues. It checks
//! every checksum, so a segment recycled under it is an error, never wrong data.

use super::{
    append::{AppendError, FoundAppend, extent, read_append},
    index::{JournalSnapshot, Replacement, SegmentEntry},
    window::SegmentWindow,
};
use crate::{
    StreamBody, StreamRecord,
    feed::{FeedItem, FeedStart, Life},
};
use bcdr_disk::{Access, DiskError, File, Storage};
use bcdr_format::{DecodeError, Position, Sequence, record::RecordBody};
use std::{path::PathBuf, sync::Arc};

/// Why the feed cannot be read from the journal.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A segment cannot be read.
    #[error("cannot read the journal: {0}")]
    Disk(#[from] DiskError),
    /// A segment is damaged, or was recycled: take a new snapshot once, then treat it as damage.
    #[error(
        "journal segment {} does not check at byte {offset}: {source}; what it held must be read \
         again from the volumes",
        path.display()
    )]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// What is wrong.
        #[source]
        source: DecodeError,
    },
    /// The records are not there.
    #[error("the journal no longer holds the record after {after}; a full compare is due")]
    Missing {
        /// The last position before what is missing.
        after: Position,
    },
}

/// Reads the feed from segments.
#[derive(Debug)]
pub struct JournalReader {
    storage: Arc<dyn Storage>,
    snapshot: JournalSnapshot,
    direct: bool,
}

/// What one call gathers.
struct Gathered {
    items: Vec<FeedItem>,
    bytes: usize,
    bytes_max: usize,
}

impl Gathered {
    fn push(&mut self, item: FeedItem) {
        self.bytes += item.bytes();
        self.items.push(item);
    }

    fn is_full(&self) -> bool {
        self.bytes >= self.bytes_max
    }
}

impl JournalReader {
    /// A reader over what `snapshot` describes; `direct` as in the journal's settings.
    #[must_use]
    pub fn new(storage: Arc<dyn Storage>, snapshot: JournalSnapshot, direct: bool) -> Self {
        Self {
            storage,
            snapshot,
            direct,
        }
    }

    /// Reads items from `from` on, none beyond `through`, until they have `bytes_max` bytes or a
    /// little more; at least one if there is one.
    ///
    /// # Errors
    /// When the records are gone, damaged, or cannot be read.
    pub fn read(
        &self,
        from: FeedStart,
        through: Position,
        bytes_max: usize,
    ) -> Result<Vec<FeedItem>, ReadError> {
        let history = self.snapshot.history(Some(through));
        let mut gathered = Gathered {
            items: Vec::new(),
            bytes: 0,
            bytes_max,
        };
        for life in history.lives() {
            let opening = life.start.opening;
            if opening.ordinal > through.ordinal || gathered.is_full() {
                break;
            }
            let next = match from {
                FeedStart::After(position) if opening.ordinal < position.ordinal => continue,
                FeedStart::Opening(ordinal) if opening.ordinal < ordinal => continue,
                FeedStart::After(position) if opening.ordinal == position.ordinal => {
                    position.sequence.next()
                }
                _ => {
                    gathered.push(FeedItem::Opening(life.start));
                    opening.first
                }
            };
            if next <= life.fed_through {
                self.read_life(life, next, &mut gathered)?;
            }
        }
        Ok(gathered.items)
    }

    fn read_life(
        &self,
        life: &Life,
        first: Sequence,
        gathered: &mut Gathered,
    ) -> Result<(), ReadError> {
        let ordinal = life.start.opening.ordinal;
        let mut next = first;
        if first < life.available_from {
            return Err(ReadError::Missing {
                after: Position::new(ordinal, first.previous()),
            });
        }
        let segments = self.snapshot.segments.iter();
        for segment in segments.filter(|one| one.ordinal() == ordinal && one.last >= first) {
            if gathered.is_full() || next > life.fed_through {
                return Ok(());
            }
            if segment.first > next {
                break;
            }
            next = self.read_segment(segment, next, life.fed_through, gathered)?;
        }
        if next <= life.fed_through && !gathered.is_full() {
            return Err(ReadError::Missing {
                after: Position::new(ordinal, next.previous()),
            });
        }
        Ok(())
    }

    /// Reads a segment from `next` on; returns the first sequence not read.
    fn read_segment(
        &self,
        segment: &SegmentEntry,
        mut next: Sequence,
        through: Sequence,
        gathered: &mut Gathered,
    ) -> Result<Sequence, ReadError> {
        let file = self.open(segment)?;
        let mut window = SegmentWindow::ahead(&*file, segment.end);
        let mut offset = segment.offset_for(next);
        while offset < segment.end && next <= through && !gathered.is_full() {
            let append = append_at(&mut window, segment, offset)?;
            for (index, found) in append.records.iter().enumerate() {
                let sequence = found.header.sequence();
                if sequence < next {
                    continue;
                }
                if sequence > next || sequence > through {
                    break;
                }
                let record = self.record(&mut window, segment, &append, index)?;
                let ordinal = segment.ordinal();
                gathered.push(FeedItem::Record {
                    ordinal,
                    record: Arc::new(record),
                });
                next = next.next();
            }
            offset = extent(&append).end;
        }
        Ok(next)
    }

    /// A record, or what stands in for it.
    fn record(
        &self,
        window: &mut SegmentWindow<'_>,
        segment: &SegmentEntry,
        append: &FoundAppend,
        index: usize,
    ) -> Result<StreamRecord, ReadError> {
        let found = &append.records[index];
        let sequence = found.header.sequence();
        let position = Position::new(segment.ordinal(), sequence);
        let Some(replacement) = self.snapshot.replaced.get(&position) else {
            return found
                .fetch(window)
                .map_err(|error| located(segment, append.offset, error));
        };
        let captured_at = found.header.captured_at();
        let body = self.replacement(*replacement, position)?;
        Ok(StreamRecord {
            sequence,
            captured_at,
            body,
        })
    }

    fn replacement(&self, at: Replacement, failed: Position) -> Result<StreamBody, ReadError> {
        let missing = ReadError::Missing { after: failed };
        let mut segments = self.snapshot.segments.iter();
        let Some(segment) = segments.find(|one| one.use_number == at.use_number) else {
            return Err(missing);
        };
        let file = self.open(segment)?;
        let mut window = SegmentWindow::exact(&*file);
        let append = append_at(&mut window, segment, at.append)?;
        let Some(found) = append.records.get(at.index) else {
            return Err(missing);
        };
        let record = found
            .fetch(&mut window)
            .map_err(|error| located(segment, at.append, error))?;
        Ok(match record.body {
            RecordBody::Amendment { range, payload, .. } => RecordBody::Data { range, payload },
            other => other,
        })
    }

    fn open(&self, segment: &SegmentEntry) -> Result<Arc<dyn File>, DiskError> {
        self.storage.open(
            &segment.path,
            Access {
                write: false,
                direct: self.direct,
            },
        )
    }
}

fn append_at(
    window: &mut SegmentWindow<'_>,
    segment: &SegmentEntry,
    offset: u64,
) -> Result<FoundAppend, ReadError> {
    read_append(window, offset, segment.end, segment.use_number)
        .map_err(|error| located(segment, offset, error))
}

fn located(segment: &SegmentEntry, offset: u64, error: AppendError) -> ReadError {
    match error {
        AppendError::Disk(error) => ReadError::Disk(error),
        AppendError::Invalid(source) => ReadError::Damaged {
            path: segment.path.clone(),
            offset,
            source,
        },
    }
}
