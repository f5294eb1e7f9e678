//! What earlier inspections say of the point and the machine that a plan would take.
//!
//! Invariant: an inspection counts for the machine that it was made for, and for points close to the
//! one that it read; of anything else it says nothing.

use crate::{
    catalog::{Catalog, CatalogError},
    groups::Group,
    readiness::{InspectedMachine, InspectionRecord, NewestInspection},
    receive::PointId,
    target::LaunchSettings,
};
use bcdr_format::Timestamp;
use bcdr_plan::Mode;
use bcdr_readiness::Readiness;

/// How far an inspected point may be from the one that is taken, in microseconds.
const CLOSE_MICROSECONDS: u64 = 24 * 60 * 60 * 1_000_000;

/// An inspection.
#[derive(Debug, Clone)]
pub(super) struct Inspected {
    pub(super) point: PointId,
    /// None for a point that is gone.
    pub(super) time: Option<Timestamp>,
    pub(super) readiness: Readiness,
    pub(super) machine: InspectedMachine,
}

/// The inspection of the point that is taken, or else the newest of its group. Blocks.
pub(super) fn of(
    catalog: &Catalog,
    group: &Group,
    chosen: Option<PointId>,
) -> Result<Option<Inspected>, CatalogError> {
    let id = group.id();
    if let Some(point) = chosen {
        let exact: Option<InspectionRecord> =
            catalog.document(&InspectionRecord::key_of(id, point))?;
        if let Some(exact) = exact {
            return read(catalog, group, &NewestInspection::of(&exact)).map(Some);
        }
    }
    let newest: Option<NewestInspection> = catalog.document(&id.to_string())?;
    newest
        .map(|newest| read(catalog, group, &newest))
        .transpose()
}

fn read(
    catalog: &Catalog,
    group: &Group,
    newest: &NewestInspection,
) -> Result<Inspected, CatalogError> {
    let row = catalog.point_by_id(group.lineage(), newest.point)?;
    Ok(Inspected {
        point: newest.point,
        time: row.map(|row| row.time),
        readiness: newest.readiness,
        machine: newest.machine(),
    })
}

/// What it says of a machine with these settings at a point of this time.
///
/// # Errors
/// Why it says nothing of it.
pub(super) fn says(
    inspected: &Inspected,
    settings: &LaunchSettings,
    cards: usize,
    mode: Mode,
    chosen: Timestamp,
) -> Result<Readiness, String> {
    let point = inspected.point;
    let cards = match mode {
        // A drill has a card of its own.
        Mode::Drill => inspected.machine.target.network_cards,
        Mode::Planned | Mode::Emergency => u32::try_from(cards).unwrap_or(u32::MAX),
    };
    let wanted = InspectedMachine::of(settings, cards);
    if let Some(other) = inspected.machine.difference(&wanted) {
        return Err(format!(
            "point {point} was inspected for another machine: {other}"
        ));
    }
    let is_close = inspected
        .time
        .is_some_and(|time| time.0.abs_diff(chosen.0) <= CLOSE_MICROSECONDS);
    if !is_close {
        return Err(format!(
            "point {point}, which was inspected, is more than a day from it"
        ));
    }
    Ok(inspected.readiness)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::{DiskBus, Firmware};

    #[test]
    fn an_inspection_counts_for_its_machine_and_for_points_close_to_its_own() {
        let settings = LaunchSettings::default();
        let time = Timestamp(10 * 24 * 60 * 60 * 1_000_000);
        let inspected = Inspected {
            point: "1-7".parse().unwrap(),
            time: Some(time),
            readiness: Readiness::Ready,
            machine: InspectedMachine::of(&settings, 1),
        };
        let day = i64::try_from(CLOSE_MICROSECONDS).unwrap();
        let asked = |settings: &LaunchSettings, cards, mode, chosen| {
            says(&inspected, settings, cards, mode, Timestamp(chosen))
        };
        let emergency = Mode::Emergency;
        assert_eq!(asked(&settings, 1, emergency, time.0), Ok(Readiness::Ready));
        for chosen in [time.0 - day, time.0 + day] {
            assert_eq!(asked(&settings, 1, emergency, chosen), Ok(Readiness::Ready));
        }
        for chosen in [time.0 - day - 1, time.0 + day + 1] {
            let why = asked(&settings, 1, emergency, chosen).unwrap_err();
            assert!(why.contains("more than a day"), "{why}");
        }
        let other = LaunchSettings {
            firmware: Firmware::Uefi,
            disk_bus: DiskBus::Ahci,
            ..settings.clone()
        };
        let why = asked(&other, 1, emergency, time.0).unwrap_err();
        assert!(why.ends_with("firmware, disk bus"), "{why}");
        assert!(asked(&settings, 2, emergency, time.0).is_err());
        assert!(asked(&settings, 2, Mode::Drill, time.0).is_ok());
        let gone = Inspected {
            time: None,
            ..inspected.clone()
        };
        assert!(says(&gone, &settings, 1, emergency, time).is_err());
    }
}
