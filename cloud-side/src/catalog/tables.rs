//! The tables: names, keys and how rows are read and written.
//!
//! Keys are bytes whose order is the order wanted: 128-bit ids and numbers big-endian, instants
//! with their sign flipped. Values are postcard for rows that the log can give again, JSON for the
//! rest, so that an operator's tool can read them.

use super::CatalogError;
use crate::receive::{BatchNumber, Lineage};
use bcdr_format::{Position, Timestamp};
use redb::{ReadTransaction, ReadableTable, TableDefinition, TableError, WriteTransaction};
use serde::{Serialize, de::DeserializeOwned};
use std::ops::RangeInclusive;

/// Every table has this shape.
pub(super) type Bytes = TableDefinition<'static, &'static [u8], &'static [u8]>;

const SCHEMA: TableDefinition<'static, &'static str, u32> = TableDefinition::new("schema");
pub(super) const GROUPS: Bytes = TableDefinition::new("groups");
pub(super) const GROUP_NAMES: Bytes = TableDefinition::new("group_names");
pub(super) const GENERATIONS: Bytes = TableDefinition::new("generations");
pub(super) const LABELS: Bytes = TableDefinition::new("labels");
pub(super) const CHECKPOINTS: Bytes = TableDefinition::new("checkpoints");
pub(super) const BATCHES: Bytes = TableDefinition::new("batches");
pub(super) const POINTS_BY_TIME: Bytes = TableDefinition::new("points_by_time");
pub(super) const POINTS_BY_POSITION: Bytes = TableDefinition::new("points_by_position");
pub(super) const POINTS: Bytes = TableDefinition::new("points");
pub(super) const NAMED_POINTS: Bytes = TableDefinition::new("named_points");
pub(super) const MEMBERS: Bytes = TableDefinition::new("members");
pub(super) const UNKNOWN_RANGES: Bytes = TableDefinition::new("unknown_ranges");
pub(super) const WRAPPED_KEYS: Bytes = TableDefinition::new("wrapped_keys");
pub(super) const RECEIVER_RUNS: Bytes = TableDefinition::new("receiver_runs");
pub(super) const DOCUMENTS: Bytes = TableDefinition::new("documents");

const ALL: [Bytes; 15] = [
    GROUPS,
    GROUP_NAMES,
    GENERATIONS,
    LABELS,
    CHECKPOINTS,
    BATCHES,
    POINTS_BY_TIME,
    POINTS_BY_POSITION,
    POINTS,
    NAMED_POINTS,
    MEMBERS,
    UNKNOWN_RANGES,
    WRAPPED_KEYS,
    RECEIVER_RUNS,
    DOCUMENTS,
];

/// The tables whose keys begin with a lineage.
pub(super) const OF_LINEAGES: [Bytes; 8] = [
    CHECKPOINTS,
    BATCHES,
    POINTS_BY_TIME,
    POINTS_BY_POSITION,
    POINTS,
    NAMED_POINTS,
    MEMBERS,
    UNKNOWN_RANGES,
];

/// A row's key and value.
pub(super) type Row = (Vec<u8>, Vec<u8>);

pub(super) fn schema(transaction: &ReadTransaction) -> Result<Option<u32>, redb::Error> {
    let table = match transaction.open_table(SCHEMA) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(table.get("catalog")?.map(|row| row.value()))
}

pub(super) fn create_all(transaction: &WriteTransaction, version: u32) -> Result<(), redb::Error> {
    for table in ALL {
        transaction.open_table(table)?;
    }
    transaction.open_table(SCHEMA)?.insert("catalog", version)?;
    Ok(())
}

#[cfg(test)]
pub(super) fn set_schema(transaction: &WriteTransaction, version: u32) -> Result<(), redb::Error> {
    transaction.open_table(SCHEMA)?.insert("catalog", version)?;
    Ok(())
}

pub(super) fn get(
    transaction: &ReadTransaction,
    table: Bytes,
    key: &[u8],
) -> Result<Option<Vec<u8>>, redb::Error> {
    let table = transaction.open_table(table)?;
    Ok(table.get(key)?.map(|row| row.value().to_vec()))
}

pub(super) fn get_in_write(
    transaction: &WriteTransaction,
    table: Bytes,
    key: &[u8],
) -> Result<Option<Vec<u8>>, redb::Error> {
    let table = transaction.open_table(table)?;
    let row = table.get(key)?;
    Ok(row.map(|row| row.value().to_vec()))
}

pub(super) fn put(
    transaction: &WriteTransaction,
    table: Bytes,
    key: &[u8],
    value: &[u8],
) -> Result<(), redb::Error> {
    transaction.open_table(table)?.insert(key, value)?;
    Ok(())
}

pub(super) fn remove(
    transaction: &WriteTransaction,
    table: Bytes,
    key: &[u8],
) -> Result<bool, redb::Error> {
    let mut table = transaction.open_table(table)?;
    let removed = table.remove(key)?.is_some();
    Ok(removed)
}

/// The same, giving the row that was there.
pub(super) fn take(
    transaction: &WriteTransaction,
    table: Bytes,
    key: &[u8],
) -> Result<Option<Vec<u8>>, redb::Error> {
    let mut table = transaction.open_table(table)?;
    let taken = table.remove(key)?.map(|row| row.value().to_vec());
    Ok(taken)
}

/// Removes every row of a key range.
pub(super) fn remove_range(
    transaction: &WriteTransaction,
    table: Bytes,
    range: RangeInclusive<Vec<u8>>,
) -> Result<(), redb::Error> {
    let mut table = transaction.open_table(table)?;
    let range = range.start().as_slice()..=range.end().as_slice();
    table.retain_in::<&[u8], _>(range, |_, _| false)?;
    Ok(())
}

/// The greatest row in a key range.
pub(super) fn last_in(
    transaction: &ReadTransaction,
    table: Bytes,
    range: RangeInclusive<Vec<u8>>,
) -> Result<Option<Row>, redb::Error> {
    let table = transaction.open_table(table)?;
    let row = table
        .range::<&[u8]>(range.start().as_slice()..=range.end().as_slice())?
        .next_back();
    match row {
        None => Ok(None),
        Some(row) => {
            let (key, value) = row?;
            Ok(Some((key.value().to_vec(), value.value().to_vec())))
        }
    }
}

/// At most `limit` rows of a key range, from its front or its back.
pub(super) fn some_in(
    transaction: &ReadTransaction,
    table: Bytes,
    range: RangeInclusive<Vec<u8>>,
    backwards: bool,
    limit: usize,
) -> Result<Vec<Row>, redb::Error> {
    if range.is_empty() {
        return Ok(Vec::new());
    }
    let table = transaction.open_table(table)?;
    let mut rows = table.range::<&[u8]>(range.start().as_slice()..=range.end().as_slice())?;
    let mut found = Vec::new();
    while found.len() < limit {
        let row = if backwards {
            rows.next_back()
        } else {
            rows.next()
        };
        let Some(row) = row else { break };
        let (key, value) = row?;
        found.push((key.value().to_vec(), value.value().to_vec()));
    }
    Ok(found)
}

pub(super) fn batch_key(lineage: Lineage, number: BatchNumber) -> Vec<u8> {
    let mut key = lineage.to_bytes().to_vec();
    key.extend_from_slice(&number.0.to_be_bytes());
    key
}

/// The keys of a lineage's batches `first..=last`.
pub(super) fn batch_range(
    lineage: Lineage,
    first: BatchNumber,
    last: BatchNumber,
) -> RangeInclusive<Vec<u8>> {
    batch_key(lineage, first)..=batch_key(lineage, last)
}

pub(super) fn number_of(key: &[u8]) -> BatchNumber {
    let mut number = [0; 8];
    number.copy_from_slice(&key[key.len() - 8..]);
    BatchNumber(u64::from_be_bytes(number))
}

pub(super) fn time_key(lineage: Lineage, time: Timestamp, number: BatchNumber) -> Vec<u8> {
    let mut key = lineage.to_bytes().to_vec();
    // Flipping the sign makes instants before 1970 sort before those after.
    key.extend_from_slice(&((time.0 as u64) ^ (1 << 63)).to_be_bytes());
    key.extend_from_slice(&number.0.to_be_bytes());
    key
}

pub(super) fn position_key(lineage: Lineage, position: Position) -> Vec<u8> {
    let mut key = lineage.to_bytes().to_vec();
    key.extend_from_slice(&position.ordinal.0.to_be_bytes());
    key.extend_from_slice(&position.sequence.0.to_be_bytes());
    key
}

/// Encodes a row that the log can give again.
pub(super) fn pack<Value: Serialize>(row: &Value) -> Vec<u8> {
    postcard::to_stdvec(row).expect("rows are plain data, which always encodes into memory")
}

pub(super) fn unpack<Value: DeserializeOwned>(
    table: &'static str,
    key: &[u8],
    bytes: &[u8],
) -> Result<Value, CatalogError> {
    postcard::from_bytes(bytes).map_err(|error| unreadable(table, key, &error))
}

/// Encodes a row that only the catalog holds.
pub(super) fn to_json<Value: Serialize>(row: &Value) -> Vec<u8> {
    serde_json::to_vec(row).expect("rows have text keys only, which always encodes into memory")
}

pub(super) fn from_json<Value: DeserializeOwned>(
    table: &'static str,
    key: &[u8],
    bytes: &[u8],
) -> Result<Value, CatalogError> {
    serde_json::from_slice(bytes).map_err(|error| unreadable(table, key, &error))
}

fn unreadable(table: &'static str, key: &[u8], error: &dyn std::error::Error) -> CatalogError {
    let readable = std::str::from_utf8(key)
        .ok()
        .filter(|text| text.chars().all(|letter| !letter.is_control()));
    CatalogError::Row {
        table,
        key: readable.map_or_else(
            || key.iter().map(|byte| format!("{byte:02x}")).collect(),
            str::to_owned,
        ),
        reason: error.to_string(),
    }
}
