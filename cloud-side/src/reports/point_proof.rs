//! What a report says of a point besides its id: its batch, and that batch's MAC.

use crate::{
    catalog::{BatchRow, Catalog, CatalogError},
    clock,
    points::{Instant, resolve},
    receive::{Lineage, PointId},
    replica::LineageReader,
};
use bcdr_report::Point;

/// What is known of a point.
#[derive(Debug, Default)]
pub(crate) struct PointProof {
    /// The batch it ends with; none if the catalog no longer has it.
    pub(crate) row: Option<BatchRow>,
    /// Its MAC, in hexadecimal; none if the log could not be read.
    pub(crate) batch_mac: Option<String>,
}

impl PointProof {
    /// Looks a point up. Blocks.
    pub(crate) fn read(
        catalog: &Catalog,
        lineage: Lineage,
        point: PointId,
        reader: Option<&LineageReader>,
    ) -> Result<Self, CatalogError> {
        let row = resolve(catalog, lineage, &Instant::Id(point))?;
        let mac = match (&row, reader) {
            (Some(row), Some(reader)) => reader.batch_mac(&row.place).ok(),
            _ => None,
        };
        let batch_mac = mac.map(|mac| mac.iter().map(|byte| format!("{byte:02x}")).collect());
        Ok(Self { row, batch_mac })
    }

    /// The point in the words of a report.
    pub(crate) fn point(&self, id: String) -> Point {
        let row = self.row.as_ref();
        Point {
            id,
            label: row
                .and_then(|row| row.marker.as_ref())
                .map(|marker| marker.label.clone())
                .filter(|label| !label.is_empty()),
            time: row.map(|row| clock::readable(row.time)),
            covers_until: row.map(|row| clock::readable(row.covers_until)),
            batch_mac: self.batch_mac.clone(),
        }
    }
}
