//! One time for all groups of a plan: each group's greatest point that is not after it, and how far
//! these are apart.

use super::{PlansError, record::ChosenPoint};
use crate::{
    catalog::{Catalog, CatalogError},
    clock,
    groups::{Group, Groups},
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
}

/// The point of each group that is run. Blocks.
pub(super) fn candidates(
    catalog: &Catalog,
    groups: &Groups,
    plan: &Plan,
    wanted: impl Fn(&StepId) -> bool,
    at: Option<Timestamp>,
) -> Result<Vec<Candidate>, CatalogError> {
    let instant = at.map_or(Instant::Latest, |at| Instant::At(clock::readable(at)));
    let mut found = Vec::new();
    for (step, wanted_group) in plan.groups().filter(|(step, _)| wanted(step)) {
        // A name that leads nowhere is told by the plan's own check.
        let Some(group) = groups.find(&wanted_group.name) else {
            continue;
        };
        let row = resolve(catalog, group.lineage(), &instant)?;
        let point = row.map(|row| ChosenPoint {
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
        });
    }
    Ok(found)
}

/// The same, where every group has to have one. Blocks.
pub(super) fn choose(
    catalog: &Catalog,
    groups: &Groups,
    plan: &Plan,
    checked: &Checked,
    mode: Mode,
    selection: &Selection,
    at: Option<Timestamp>,
) -> Result<Vec<ChosenPoint>, PlansError> {
    let is_run = |id: &StepId| {
        let place = plan.steps.iter().position(|step| step.id == *id);
        place.is_some_and(|at| selection.leaves_out(plan, checked, mode, at).is_none())
    };
    let mut chosen = Vec::new();
    for candidate in candidates(catalog, groups, plan, is_run, at)? {
        let point = candidate.point.ok_or_else(|| PlansError::NoPoint {
            step: candidate.step.clone(),
            group: candidate.group.record().name.clone(),
            at: at.map(clock::readable),
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
