//! Marks of inspections over the ends of processes, in a catalog.

use super::*;
use bcdr_disk::RealStorage;
use bcdr_format::{IncarnationOrdinal, Position, Sequence};
use bcdr_readiness::{CheckCode, Readiness};
use std::panic::{AssertUnwindSafe, catch_unwind};

fn catalog(directory: &tempfile::TempDir) -> Catalog {
    let path = directory.path().join("catalog.redb");
    Catalog::open_or_create(&RealStorage::new(), &path, 1 << 20).unwrap()
}

fn inspection(
    catalog: &Catalog,
    work: impl FnOnce() -> Result<ReadinessReport, InspectError>,
) -> Result<ReadinessReport, InspectError> {
    let point = PointId(Position {
        ordinal: IncarnationOrdinal(1),
        sequence: Sequence(9),
    });
    marked(catalog, GroupId::from_u128(1), point, DEFAULT_TARGET, work)
}

fn nothing() -> ReadinessReport {
    inspect(&[], DEFAULT_TARGET, Limits::default())
}

#[test]
fn an_inspection_that_ends_the_process_is_made_twice_and_not_a_third_time() {
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let catalog = catalog(&directory);
        // What is in the middle of it stays in the catalog when the process ends there.
        let died = catch_unwind(AssertUnwindSafe(|| {
            inspection(&catalog, || panic!("the end"))
        }));
        assert!(died.is_err());
    }
    let catalog = catalog(&directory);
    let report = inspection(&catalog, || panic!("it was tried a third time")).unwrap();
    assert_eq!(report.readiness, Readiness::Unknown);
    assert_eq!(report.checks[0].code, CheckCode::InspectionCompleted);
    assert!(report.checks[0].evidence.contains("2 times"), "{report:?}");
}

#[test]
fn an_inspection_that_ends_leaves_no_mark_whatever_came_out() {
    let directory = tempfile::tempdir().unwrap();
    let catalog = catalog(&directory);
    for _ in 0..5 {
        assert_eq!(inspection(&catalog, || Ok(nothing())).unwrap(), nothing());
        let failed = inspection(&catalog, || Err(InspectError::NoStore));
        assert!(matches!(failed, Err(InspectError::NoStore)));
    }
    let left: Vec<BegunInspection> = catalog.documents(None, 9).unwrap();
    assert_eq!(left, []);
}
