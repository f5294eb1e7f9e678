//! One time for all groups of a plan: each group's greatest point that is not after it, and how far
//! these are apart.

use super::{PlansError, record::ChosenPoint};
use crate::{
    catalog::{BatchRow, Catalog, CatalogError},
    clock,
    groups::{Group, Groups},
    placements::Placements,
    points::{Instant, resolve},
};
use bcdr_format::Timestamp;
use bcdr_plan::{Checked, Mode, Plan, Selection, StepId};
use std::{sync::Arc, time::Duration};

/// How far the earliest of these instants is before the latest; none for fewer than two.
pub(crate) fn skew(times: impl Iterator<Item = Timestamp> + Clone) -> Option<Duration> {
    let (first, last) = (times.clone().min()?, times.clone().max()?);
    let apart = u64::try_from(last.0.saturating_sub(first.0)).unwrap_or(0);
    (times.count() > 1).then(|| Duration::from_micros(apart))
}

/// The step of a group, the group, and its point if it has one.
pub(super) struct Candidate {
    pub(super) step: StepId,
    pub(super) group: Arc<Group>,
    pub(super) point: Option<ChosenPoint>,
    /// The same, with all that is known of it.
    pub(super) row: Option<BatchRow>,
}

/// Where the points are looked for.
pub(super) struct Sought {
    pub(super) catalog: Arc<Catalog>,
    pub(super) groups: Arc<Groups>,
    pub(super) placements: Arc<Placements>,
    /// The one time of all groups; none for the newest of each.
    pub(super) at: Option<Timestamp>,
}

/// The point that a group is recovered from.
pub(super) struct FoundPoint {
    pub(super) row: BatchRow,
    /// Whether the group's source was just put back: then a failover is told this very point.
    pub(super) is_put_back: bool,
}

impl Sought {
    pub(super) fn of(parts: &super::PlanParts, at: Option<Timestamp>) -> Self {
        Self {
            catalog: Arc::clone(&parts.catalog),
            groups: Arc::clone(&parts.groups),
            placements: Arc::clone(&parts.placements),
            at,
        }
    }

    /// A group's point. One whose source was just put back in place is as it was put back, as far as
    /// nobody asks for a time before that: what is newer is what it was restored away from. Blocks.
    pub(super) fn point_of(&self, group: &Group) -> Result<Option<FoundPoint>, CatalogError> {
        let placement = self.placements.placement(group.id());
        let put_back = placement.and_then(|placement| placement.put_back_to());
        let instant = match (put_back, self.at) {
            // At the bookmark's own instant, it is the bookmark that is asked for.
            (Some((point, since)), at) if at.is_none_or(|at| at > since) => Instant::Id(point),
            (_, Some(at)) => Instant::At(clock::readable(at)),
            (_, None) => Instant::Latest,
        };
        let is_put_back = put_back.is_some();
        let found = resolve(&self.catalog, group.lineage(), &instant)?;
        Ok(found.map(|row| FoundPoint { row, is_put_back }))
    }
}

/// The point of each group that is run. Blocks.
pub(super) fn candidates(
    sought: &Sought,
    plan: &Plan,
    wanted: impl Fn(&StepId) -> bool,
) -> Result<Vec<Candidate>, CatalogError> {
    let mut found = Vec::new();
    for (step, wanted_group) in plan.groups().filter(|(step, _)| wanted(step)) {
        // A name that leads nowhere is told by the plan's own check.
        let Some(group) = sought.groups.find(&wanted_group.name) else {
            continue;
        };
        let row = sought.point_of(&group)?.map(|found| found.row);
        let point = row.as_ref().map(|row| ChosenPoint {
            step: step.clone(),
            group: group.id(),
            group_name: group.record().name.clone(),
            point: row.point_id(),
            time: row.time,
        });
        found.push(Candidate {
            step: step.clone(),
            group,
            point,
            row,
        });
    }
    Ok(found)
}

/// The same, where every group has to have one. Blocks.
pub(super) fn choose(
    sought: &Sought,
    plan: &Plan,
    checked: &Checked,
    mode: Mode,
    selection: &Selection,
) -> Result<Vec<ChosenPoint>, PlansError> {
    let is_run = |id: &StepId| {
        let place = plan.steps.iter().position(|step| step.id == *id);
        place.is_some_and(|at| selection.leaves_out(plan, checked, mode, at).is_none())
    };
    let mut chosen = Vec::new();
    for candidate in candidates(sought, plan, is_run)? {
        let point = candidate.point.ok_or_else(|| PlansError::NoPoint {
            step: candidate.step.clone(),
            group: candidate.group.record().name.clone(),
            at: sought.at.map(clock::readable),
        })?;
        chosen.push(point);
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_skew_is_from_the_earliest_to_the_latest() {
        let of = |times: &[i64]| skew(times.iter().map(|&time| Timestamp(time)));
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[7]), None);
        assert_eq!(of(&[9, 4, 6]), Some(Duration::from_micros(5)));
        assert_eq!(of(&[4, 4]), Some(Duration::ZERO));
    }
}
