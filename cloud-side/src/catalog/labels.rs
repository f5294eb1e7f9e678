//! Labels of points: unique in a group, taken when a marker is asked for.
//!
//! A label is reserved for a marker before the marker is placed, so that two requests cannot both
//! get it. When the marker's batch is published the label names that point; if it arrives while an
//! interval is open it will never be a point and the label is free again.

use super::{BatchRow, Catalog, CatalogError, Commit, DocumentRow, tables};
use crate::receive::{BatchNumber, Lineage};
use bcdr_format::{GroupId, MarkerId, record::LABEL_BYTES_MAX};
use redb::WriteTransaction;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a label could not be reserved.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReserveLabelError {
    /// It names a point of the group, or is promised to one.
    #[error("the label {label:?} is taken in this group: choose another")]
    Taken {
        /// The label.
        label: String,
    },
    /// It cannot be a label.
    #[error(
        "{label:?} cannot be a label: use 1 to {LABEL_BYTES_MAX} bytes without control characters, and not the form of a point id or an instant"
    )]
    Invalid {
        /// The label.
        label: String,
    },
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct LabelRow {
    marker: MarkerId,
    lineage: Option<Lineage>,
    batch: Option<BatchNumber>,
}

impl Catalog {
    /// Reserves a label for a marker about to be placed; durable on return. Asking again for the
    /// same marker is harmless.
    pub fn reserve_label(
        &self,
        group: GroupId,
        label: &str,
        marker: MarkerId,
    ) -> Result<(), ReserveLabelError> {
        self.reserve_label_with(group, label, marker, &[])
    }

    /// The same, and writes documents in the same transaction: all of it is durable on return, or
    /// none of it is there.
    pub fn reserve_label_with(
        &self,
        group: GroupId,
        label: &str,
        marker: MarkerId,
        documents: &[DocumentRow],
    ) -> Result<(), ReserveLabelError> {
        if !usable(label) {
            return Err(ReserveLabelError::Invalid {
                label: label.chars().take(LABEL_BYTES_MAX).collect(),
            });
        }
        let key = label_key(group, label);
        let reserved = self.write("reserve a label", Commit::Durable, |transaction| {
            if let Some(row) = tables::get_in_write(transaction, tables::LABELS, &key)? {
                let same = tables::from_json::<LabelRow>("labels", &key, &row)
                    .is_ok_and(|row| row.marker == marker);
                if same {
                    documents.iter().try_for_each(|row| row.put(transaction))?;
                }
                return Ok(same);
            }
            documents.iter().try_for_each(|row| row.put(transaction))?;
            let row = LabelRow {
                marker,
                lineage: None,
                batch: None,
            };
            tables::put(transaction, tables::LABELS, &key, &tables::to_json(&row))?;
            Ok(true)
        })?;
        if reserved {
            Ok(())
        } else {
            Err(ReserveLabelError::Taken {
                label: label.to_owned(),
            })
        }
    }

    /// Gives a label back whose marker was never placed. A label that names a point stays.
    pub fn release_label(
        &self,
        group: GroupId,
        label: &str,
        marker: MarkerId,
    ) -> Result<(), CatalogError> {
        self.write("release a label", Commit::Durable, |transaction| {
            release(transaction, group, label, marker)
        })
    }

    /// Whether a label is free in a group.
    pub fn label_is_free(&self, group: GroupId, label: &str) -> Result<bool, CatalogError> {
        let key = label_key(group, label);
        let row = self.read("look a label up", |transaction| {
            tables::get(transaction, tables::LABELS, &key)
        })?;
        Ok(row.is_none())
    }

    /// The published point that a label names.
    pub fn point_by_label(
        &self,
        group: GroupId,
        label: &str,
    ) -> Result<Option<BatchRow>, CatalogError> {
        let key = label_key(group, label);
        let row = self.read("look a label up", |transaction| {
            tables::get(transaction, tables::LABELS, &key)
        })?;
        let Some(row) = row else { return Ok(None) };
        let row: LabelRow = tables::from_json("labels", &key, &row)?;
        match (row.lineage, row.batch) {
            (Some(lineage), Some(batch)) => self.batch(lineage, batch),
            _ => Ok(None),
        }
    }
}

/// Takes in a batch that carried a marker: its label names the batch's point, or is free again.
pub(super) fn settle(
    transaction: &WriteTransaction,
    lineage: Lineage,
    row: &BatchRow,
) -> Result<(), redb::Error> {
    let Some(marker) = &row.marker else {
        return Ok(());
    };
    if marker.label.is_empty() {
        return Ok(());
    }
    let key = label_key(lineage.group, &marker.label);
    let known = tables::get_in_write(transaction, tables::LABELS, &key)?
        .and_then(|known| tables::from_json::<LabelRow>("labels", &key, &known).ok());
    if known.is_some_and(|known| known.marker != marker.id) {
        // Another marker has the label: this point keeps it as a caption and is found by its id.
        return Ok(());
    }
    if !row.published {
        return release(transaction, lineage.group, &marker.label, marker.id);
    }
    let settled = LabelRow {
        marker: marker.id,
        lineage: Some(lineage),
        batch: Some(row.number),
    };
    tables::put(
        transaction,
        tables::LABELS,
        &key,
        &tables::to_json(&settled),
    )
}

fn release(
    transaction: &WriteTransaction,
    group: GroupId,
    label: &str,
    marker: MarkerId,
) -> Result<(), redb::Error> {
    let key = label_key(group, label);
    let releasable = tables::get_in_write(transaction, tables::LABELS, &key)?
        .and_then(|row| tables::from_json::<LabelRow>("labels", &key, &row).ok())
        .is_some_and(|row| row.marker == marker && row.batch.is_none());
    if releasable {
        tables::remove(transaction, tables::LABELS, &key)?;
    }
    Ok(())
}

fn label_key(group: GroupId, label: &str) -> Vec<u8> {
    let mut key = group.to_u128().to_be_bytes().to_vec();
    key.extend_from_slice(label.as_bytes());
    key
}

/// A label must not read as a point id or an instant, or `--at` would be ambiguous.
fn usable(label: &str) -> bool {
    !label.is_empty()
        && label != "latest"
        && label.len() <= LABEL_BYTES_MAX
        && label.trim() == label
        && !label.chars().any(char::is_control)
        && label.parse::<crate::receive::PointId>().is_err()
        && label.parse::<jiff::Timestamp>().is_err()
}
