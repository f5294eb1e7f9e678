//! What booting a point would lose, from what the source last told.

use crate::{
    catalog::{BatchRow, Catalog, CatalogError},
    groups::Group,
    offload::offload,
    recovery::{LossWindow, PointKnown, SourceKnown, loss_window},
};
use bcdr_format::Timestamp;
use std::sync::Arc;

/// What would be lost with this point of a group; `interrupted_at` is when production stopped, if an
/// operator told it.
pub(crate) async fn loss_of(
    catalog: &Arc<Catalog>,
    group: &Group,
    row: &BatchRow,
    interrupted_at: Option<Timestamp>,
) -> Result<LossWindow, CatalogError> {
    let (catalog, lineage, number) = (Arc::clone(catalog), group.lineage(), row.number);
    let after = offload(move || catalog.written_after(lineage, number)).await?;
    let held = group.stored.borrow().held;
    let link = group.link.borrow();
    let report = link.capture.as_ref().and_then(|told| told.report.as_ref());
    let source = report.map(|report| SourceKnown {
        position: held.map_or(report.sequenced, |held| held.max(report.sequenced)),
        told_at: report.at,
        written_bytes: Some(after),
        // What it wrote and did not send yet was not counted here.
        answers: held.is_some_and(|held| held >= report.sequenced),
    });
    let point = PointKnown {
        id: row.point_id(),
        time: row.covers_until,
        written_bytes: Some(0),
    };
    Ok(loss_window(source.as_ref(), &point, interrupted_at))
}
