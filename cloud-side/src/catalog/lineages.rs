//! How far the catalog follows a lineage's log, and the rows of what it followed.

use super::{BatchRow, Catalog, CatalogError, Commit, labels, tables};
use crate::receive::{BatchNumber, Lineage, LineageState, UnknownRange};
use bcdr_format::{DataKeyId, Timestamp, record::Member};
use redb::{ReadableTable, WriteTransaction};
use serde::{Deserialize, Serialize};

/// A place in a lineage's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LogPosition {
    /// The segment's number.
    pub segment: u32,
    /// The byte in the segment file.
    pub offset: u64,
}

/// What the catalog knows of a lineage up to a place in its log; a restart reads on from there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Everything before this place is taken in.
    pub position: LogPosition,
    /// The state there.
    pub state: LineageState,
}

/// Rows that follow the log, written with the checkpoint in one transaction.
#[derive(Debug, Default)]
pub(crate) struct IndexUpdate {
    pub(crate) batches: Vec<BatchRow>,
    /// The newest covers-until of a batch indexed earlier.
    pub(crate) extended: Option<(BatchNumber, Timestamp)>,
    pub(crate) members: Vec<(BatchNumber, Vec<Member>)>,
    pub(crate) unknown: Vec<(BatchNumber, Vec<UnknownRange>)>,
    pub(crate) keys: Vec<(DataKeyId, Vec<u8>)>,
}

impl Catalog {
    /// The last checkpoint of a lineage.
    pub fn checkpoint(&self, lineage: Lineage) -> Result<Option<Checkpoint>, CatalogError> {
        let key = lineage.to_bytes();
        let row = self.read("read a checkpoint", |transaction| {
            tables::get(transaction, tables::CHECKPOINTS, &key)
        })?;
        row.map(|row| tables::unpack("checkpoints", &key, &row))
            .transpose()
    }

    /// The lineages that have a checkpoint.
    pub fn lineages(&self) -> Result<Vec<Lineage>, CatalogError> {
        let rows = self.read("list the lineages", |transaction| {
            let all = vec![]..=vec![0xff; 33];
            tables::some_in(transaction, tables::CHECKPOINTS, all, false, usize::MAX)
        })?;
        rows.iter()
            .map(|(key, row)| {
                let checkpoint: Checkpoint = tables::unpack("checkpoints", key, row)?;
                Ok(checkpoint.state.lineage())
            })
            .collect()
    }

    /// A data key in its wrapped form, as the log holds it.
    pub fn wrapped_key(&self, key: DataKeyId) -> Result<Option<Vec<u8>>, CatalogError> {
        self.read("read a wrapped key", |transaction| {
            let id = key.to_u128().to_be_bytes();
            tables::get(transaction, tables::WRAPPED_KEYS, &id)
        })
    }

    /// Forgets all rows that follow a lineage's log; durable on return. For a lineage whose files are
    /// gone. Wrapped data keys stay: other lineages may hold chunks under them.
    pub(crate) fn forget_lineage(&self, lineage: Lineage) -> Result<(), CatalogError> {
        // A prefix of every key of the lineage; the longest key is 16 bytes longer.
        let first = lineage.to_bytes().to_vec();
        let mut last = first.clone();
        last.extend_from_slice(&[0xff; 17]);
        self.write("forget a lineage", Commit::Durable, |transaction| {
            for table in tables::OF_LINEAGES {
                tables::remove_range(transaction, table, first.clone()..=last.clone())?;
            }
            Ok(())
        })
    }

    /// Takes in what the log gained, up to `checkpoint`. The log was synced up to there.
    pub(crate) fn follow_log(
        &self,
        checkpoint: &Checkpoint,
        update: &IndexUpdate,
        commit: Commit,
    ) -> Result<(), CatalogError> {
        let lineage = checkpoint.state.lineage();
        self.write("follow the log", commit, |transaction| {
            for (key, wrapped) in &update.keys {
                let id = key.to_u128().to_be_bytes();
                tables::put(transaction, tables::WRAPPED_KEYS, &id, wrapped)?;
            }
            put_batches(transaction, lineage, &update.batches)?;
            if let Some((number, covers_until)) = update.extended {
                extend(transaction, lineage, number, covers_until)?;
            }
            for (number, members) in &update.members {
                let key = tables::batch_key(lineage, *number);
                tables::put(transaction, tables::MEMBERS, &key, &tables::pack(members))?;
            }
            for (number, ranges) in &update.unknown {
                let key = tables::batch_key(lineage, *number);
                tables::put(
                    transaction,
                    tables::UNKNOWN_RANGES,
                    &key,
                    &tables::pack(ranges),
                )?;
            }
            let row = tables::pack(checkpoint);
            tables::put(transaction, tables::CHECKPOINTS, &lineage.to_bytes(), &row)
        })
    }
}

fn put_batches(
    transaction: &WriteTransaction,
    lineage: Lineage,
    rows: &[BatchRow],
) -> Result<(), redb::Error> {
    let mut batches = transaction.open_table(tables::BATCHES)?;
    for row in rows {
        let key = tables::batch_key(lineage, row.number);
        batches.insert(key.as_slice(), tables::pack(row).as_slice())?;
    }
    drop(batches);
    for row in rows {
        if row.published {
            put_point(transaction, lineage, row)?;
        }
        labels::settle(transaction, lineage, row)?;
    }
    Ok(())
}

fn put_point(
    transaction: &WriteTransaction,
    lineage: Lineage,
    row: &BatchRow,
) -> Result<(), redb::Error> {
    let key = tables::batch_key(lineage, row.number);
    let mut points = transaction.open_table(tables::POINTS)?;
    let first = tables::batch_key(lineage, BatchNumber(0));
    // Each point's row holds how many points there are up to it.
    let before = points
        .range::<&[u8]>(first.as_slice()..key.as_slice())?
        .next_back()
        .transpose()?
        .and_then(|(_, count)| <[u8; 8]>::try_from(count.value()).ok())
        .map_or(0, u64::from_be_bytes);
    points.insert(key.as_slice(), (before + 1).to_be_bytes().as_slice())?;
    drop(points);
    let by_time = tables::time_key(lineage, row.time, row.number);
    tables::put(transaction, tables::POINTS_BY_TIME, &by_time, &[])?;
    let number = row.number.0.to_be_bytes();
    let by_position = tables::position_key(lineage, row.end);
    tables::put(
        transaction,
        tables::POINTS_BY_POSITION,
        &by_position,
        &number,
    )?;
    if row.marker.is_some() {
        tables::put(transaction, tables::NAMED_POINTS, &key, &[])?;
    }
    Ok(())
}

fn extend(
    transaction: &WriteTransaction,
    lineage: Lineage,
    number: BatchNumber,
    covers_until: Timestamp,
) -> Result<(), redb::Error> {
    let key = tables::batch_key(lineage, number);
    let Some(row) = tables::get_in_write(transaction, tables::BATCHES, &key)? else {
        return Ok(());
    };
    let Ok(mut row) = tables::unpack::<BatchRow>("batches", &key, &row) else {
        // The row is unreadable; whoever asks for it is told so.
        return Ok(());
    };
    row.covers_until = covers_until;
    tables::put(transaction, tables::BATCHES, &key, &tables::pack(&row))
}
