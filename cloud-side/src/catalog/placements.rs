//! Placements of groups, and the records of the jobs that change them.
//!
//! Invariant: a placement and its job's record are written in one durable transaction, so a reader
//! never finds a job that its group does not know, or the other way round.

use super::{Catalog, CatalogError, Commit, Document, DocumentRow, documents::full_key, tables};
use crate::recovery::{Placement, PlacementJob};
use bcdr_format::GroupId;

impl Catalog {
    /// Writes a placement, with the records of its jobs that changed; durable on return.
    pub fn put_placement(
        &self,
        placement: &Placement,
        records: &[PlacementJob],
        with: &[DocumentRow],
    ) -> Result<(), CatalogError> {
        let mut rows = vec![(
            full_key::<Placement>(&placement.key()),
            tables::to_json(placement),
        )];
        rows.extend(records.iter().map(|record| match record {
            PlacementJob::Failover(job) => row(job.as_ref()),
            PlacementJob::Failback(job) => row(job.as_ref()),
            PlacementJob::Restore(job) => row(job.as_ref()),
        }));
        self.write("write a placement", Commit::Durable, |transaction| {
            for (key, value) in &rows {
                tables::put(transaction, tables::DOCUMENTS, key, value)?;
            }
            with.iter().try_for_each(|row| row.put(transaction))
        })
    }

    /// The placement of a group; none for one that never left its source.
    pub fn placement(&self, group: GroupId) -> Result<Option<Placement>, CatalogError> {
        self.document(&group.to_string())
    }
}

fn row<Kind: Document>(document: &Kind) -> (Vec<u8>, Vec<u8>) {
    (full_key::<Kind>(&document.key()), tables::to_json(document))
}
