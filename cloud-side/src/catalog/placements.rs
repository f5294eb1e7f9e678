//! Placements of groups, and the records of the jobs that change them.
//!
//! Invariant: a placement and its job's record are written in one durable transaction, so a reader
//! never finds a job that its group does not know, or the other way round.

use super::{Catalog, CatalogError, Commit, DocumentRow};
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
        let mut rows = vec![DocumentRow::of(placement)];
        rows.extend(records.iter().map(|record| match record {
            PlacementJob::Failover(job) => DocumentRow::of(job.as_ref()),
            PlacementJob::Failback(job) => DocumentRow::of(job.as_ref()),
            PlacementJob::Restore(job) => DocumentRow::of(job.as_ref()),
        }));
        rows.extend_from_slice(with);
        let news = self.news(rows.iter().map(DocumentRow::changed));
        self.write("write a placement", Commit::Durable, |transaction| {
            rows.iter().try_for_each(|row| row.put(transaction))
        })?;
        self.tell(news);
        Ok(())
    }

    /// The placement of a group; none for one that never left its source.
    pub fn placement(&self, group: GroupId) -> Result<Option<Placement>, CatalogError> {
        self.document(&group.to_string())
    }
}
