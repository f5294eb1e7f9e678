//! The batch index: where each batch is, and which batch ends are points.
//!
//! Derived from the log, so a lost tail of it is replayed. Rows are never in memory all at once:
//! every question is one range lookup.

use super::{Catalog, CatalogError, tables};
use crate::receive::{BatchNumber, Lineage, PointId, UnknownRange};
use bcdr_format::{
    MarkerId, Position, Timestamp,
    record::{MarkerKind, Member},
};
use redb::ReadTransaction;
use serde::{Deserialize, Serialize};

/// Rows that are read in one step when many are added up.
const ROWS_AT_A_TIME: usize = 4096;

/// Where a batch's bytes are in its lineage's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchPlace {
    /// The segment's number.
    pub segment: u32,
    /// Where the batch's first byte is in the segment file.
    pub offset: u64,
    /// Bytes of header, tables and MAC.
    pub head_bytes: u32,
    /// Bytes of the whole batch.
    pub total_bytes: u32,
}

/// The marker a batch ends with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkerRow {
    /// Its identity.
    pub id: MarkerId,
    /// What it names.
    pub kind: MarkerKind,
    /// Its label.
    pub label: String,
}

/// One batch of a lineage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchRow {
    /// Its number.
    pub number: BatchNumber,
    /// The position it ends at.
    pub end: Position,
    /// Its time: captured, never after receipt, monotone in the lineage.
    pub time: Timestamp,
    /// The instant up to which its state is known to have been the current one.
    pub covers_until: Timestamp,
    /// Whether its end is a published point.
    pub published: bool,
    /// Where its bytes are.
    pub place: BatchPlace,
    /// The marker it ends with.
    pub marker: Option<MarkerRow>,
    /// Bytes that were written in it before newer ones replaced older ones.
    pub written_bytes: u64,
}

impl BatchRow {
    /// The id of its point.
    pub fn point_id(&self) -> PointId {
        PointId(self.end)
    }
}

/// Which end of a list comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PageOrder {
    /// The newest point first.
    #[default]
    NewestFirst,
    /// The oldest point first.
    OldestFirst,
}

/// Which points to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PointPage {
    /// The order.
    pub order: PageOrder,
    /// Go on after this batch; from the end of the list if none.
    pub after: Option<BatchNumber>,
    /// At most this many.
    pub limit: usize,
    /// Only points that a marker named.
    pub named_only: bool,
}

impl Catalog {
    /// One batch.
    pub fn batch(
        &self,
        lineage: Lineage,
        number: BatchNumber,
    ) -> Result<Option<BatchRow>, CatalogError> {
        let key = tables::batch_key(lineage, number);
        let row = self.read("read a batch's row", |transaction| {
            tables::get(transaction, tables::BATCHES, &key)
        })?;
        row.map(|row| tables::unpack("batches", &key, &row))
            .transpose()
    }

    /// Bytes that were written in all batches after this one, before newer ones replaced older ones.
    ///
    /// # Errors
    /// When the catalog fails.
    pub fn written_after(
        &self,
        lineage: Lineage,
        number: BatchNumber,
    ) -> Result<u64, CatalogError> {
        let last = tables::batch_key(lineage, BatchNumber(u64::MAX));
        let (mut written, mut after) = (0_u64, number);
        loop {
            let Some(next) = after.0.checked_add(1) else {
                return Ok(written);
            };
            let range = tables::batch_key(lineage, BatchNumber(next))..=last.clone();
            let rows = self.read("add up what was written", |transaction| {
                tables::some_in(transaction, tables::BATCHES, range, false, ROWS_AT_A_TIME)
            })?;
            for (key, row) in &rows {
                let row: BatchRow = tables::unpack("batches", key, row)?;
                written = written.saturating_add(row.written_bytes);
                after = row.number;
            }
            if rows.len() < ROWS_AT_A_TIME {
                return Ok(written);
            }
        }
    }

    /// How many batches a lineage has.
    pub fn batch_count(&self, lineage: Lineage) -> Result<u64, CatalogError> {
        let last = self.read("count the batches", |transaction| {
            tables::last_in(transaction, tables::BATCHES, whole(lineage))
        })?;
        Ok(last.map_or(0, |(key, _)| tables::number_of(&key).0 + 1))
    }

    /// The newest published point.
    pub fn latest_point(&self, lineage: Lineage) -> Result<Option<BatchRow>, CatalogError> {
        self.find_point(lineage, |transaction| {
            let last = tables::last_in(transaction, tables::POINTS, whole(lineage))?;
            Ok(last.map(|(key, _)| tables::number_of(&key)))
        })
    }

    /// The newest published point whose time is at or before `time`.
    pub fn point_at(
        &self,
        lineage: Lineage,
        time: Timestamp,
    ) -> Result<Option<BatchRow>, CatalogError> {
        let first = tables::time_key(lineage, Timestamp(i64::MIN), BatchNumber(0));
        let last = tables::time_key(lineage, time, BatchNumber(u64::MAX));
        self.find_point(lineage, |transaction| {
            let found = tables::last_in(transaction, tables::POINTS_BY_TIME, first..=last)?;
            Ok(found.map(|(key, _)| tables::number_of(&key)))
        })
    }

    /// The published point with this id.
    pub fn point_by_id(
        &self,
        lineage: Lineage,
        id: PointId,
    ) -> Result<Option<BatchRow>, CatalogError> {
        let key = tables::position_key(lineage, id.0);
        self.find_point(lineage, |transaction| {
            let found = tables::get(transaction, tables::POINTS_BY_POSITION, &key)?;
            Ok(found.map(|number| tables::number_of(&number)))
        })
    }

    /// A page of published points.
    pub fn points(
        &self,
        lineage: Lineage,
        page: &PointPage,
    ) -> Result<Vec<BatchRow>, CatalogError> {
        let backwards = page.order == PageOrder::NewestFirst;
        let bounds = match (backwards, page.after) {
            (_, None) => Some((0, u64::MAX)),
            (true, Some(after)) => after.0.checked_sub(1).map(|last| (0, last)),
            (false, Some(after)) => after.0.checked_add(1).map(|first| (first, u64::MAX)),
        };
        let Some((first, last)) = bounds else {
            return Ok(Vec::new());
        };
        let table = if page.named_only {
            tables::NAMED_POINTS
        } else {
            tables::POINTS
        };
        let range = tables::batch_range(lineage, BatchNumber(first), BatchNumber(last));
        let rows = self.read("list the points", |transaction| {
            let keys = tables::some_in(transaction, table, range, backwards, page.limit)?;
            keys.into_iter()
                .map(|(key, _)| {
                    let row = tables::get(transaction, tables::BATCHES, &key)?;
                    Ok((key, row.unwrap_or_default()))
                })
                .collect::<Result<Vec<_>, redb::Error>>()
        })?;
        rows.iter()
            .map(|(key, row)| tables::unpack("batches", key, row))
            .collect()
    }

    /// How many points a lineage has.
    pub fn point_count(&self, lineage: Lineage) -> Result<u64, CatalogError> {
        self.read("count the points", |transaction| {
            // Points are counted when they are written: their row holds the count so far.
            let last = tables::last_in(transaction, tables::POINTS, whole(lineage))?;
            Ok(last
                .and_then(|(_, row)| <[u8; 8]>::try_from(row).ok())
                .map_or(0, u64::from_be_bytes))
        })
    }

    /// The volumes as of batch `number`.
    pub fn members_at(
        &self,
        lineage: Lineage,
        number: BatchNumber,
    ) -> Result<Vec<Member>, CatalogError> {
        self.as_of("members", tables::MEMBERS, lineage, number)
    }

    /// The ranges whose contents are unknown as of batch `number`.
    pub fn unknown_at(
        &self,
        lineage: Lineage,
        number: BatchNumber,
    ) -> Result<Vec<UnknownRange>, CatalogError> {
        self.as_of("unknown ranges", tables::UNKNOWN_RANGES, lineage, number)
    }

    fn as_of<Item: serde::de::DeserializeOwned>(
        &self,
        name: &'static str,
        table: tables::Bytes,
        lineage: Lineage,
        number: BatchNumber,
    ) -> Result<Vec<Item>, CatalogError> {
        let range = tables::batch_range(lineage, BatchNumber(0), number);
        let row = self.read("read a batch's row", |transaction| {
            tables::last_in(transaction, table, range)
        })?;
        row.map_or(Ok(Vec::new()), |(key, row)| {
            tables::unpack(name, &key, &row)
        })
    }

    fn find_point(
        &self,
        lineage: Lineage,
        find: impl FnOnce(&ReadTransaction) -> Result<Option<BatchNumber>, redb::Error>,
    ) -> Result<Option<BatchRow>, CatalogError> {
        let row = self.read("find a point", |transaction| {
            let Some(number) = find(transaction)? else {
                return Ok(None);
            };
            let key = tables::batch_key(lineage, number);
            Ok(tables::get(transaction, tables::BATCHES, &key)?.map(|row| (key, row)))
        })?;
        row.map(|(key, row)| tables::unpack("batches", &key, &row))
            .transpose()
    }
}

fn whole(lineage: Lineage) -> std::ops::RangeInclusive<Vec<u8>> {
    tables::batch_range(lineage, BatchNumber(0), BatchNumber(u64::MAX))
}
