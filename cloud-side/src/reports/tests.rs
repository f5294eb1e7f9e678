//! The chain of reports in a catalog, over crashes.

use super::*;
use bcdr_disk::RealStorage;
use bcdr_report::{
    Given, Group, Outcome, Point, RecoveryPoint, RecoveryTime, Subject, SubjectKind, verify,
};

struct Place {
    directory: tempfile::TempDir,
    catalog: Arc<Catalog>,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("catalog.redb");
        let catalog = Catalog::open_or_create(&RealStorage::new(), &path, 1 << 20).unwrap();
        Self {
            directory,
            catalog: Arc::new(catalog),
        }
    }

    /// The reports of a process that starts now.
    fn reports(&self) -> Reports {
        Reports::new(ReportParts {
            catalog: Arc::clone(&self.catalog),
            storage: Arc::new(RealStorage::new()),
            installation: InstallationId::from_u128(1),
            key: self.directory.path().join("report-signing.key"),
            config: ReportsConfig::default(),
        })
        .unwrap()
    }

    fn evidence(&self, subject: &str) -> PathBuf {
        self.directory.path().join("evidence").join(subject)
    }
}

fn content(subject: &str, result: Outcome) -> Content {
    let at: jiff::Timestamp = "2026-11-03T10:00:00Z".parse().unwrap();
    let point = Point {
        id: "1-9".to_owned(),
        label: None,
        time: Some(at),
        covers_until: None,
        batch_mac: None,
    };
    Content {
        subject: Subject {
            kind: SubjectKind::Failover,
            id: subject.to_owned(),
            target: None,
        },
        group: Group {
            id: "grp-1".to_owned(),
            name: "lab".to_owned(),
        },
        recovery_time: RecoveryTime::until("login", None, at, None),
        recovery_point: RecoveryPoint::of(&point, None, at, None),
        point,
        result,
        reason: None,
        interruption: None,
        requested_at: at,
        finished_at: at,
        timeline: Vec::new(),
        phases: Vec::new(),
        rungs: Vec::new(),
        canary: None,
        checks: Vec::new(),
        generations: Vec::new(),
        moved: None,
        images: Vec::new(),
        evidence: Vec::new(),
        screenshot: None,
        serial: None,
        panel: None,
    }
}

async fn publish(reports: &Reports, place: &Place, subject: &str, result: Outcome) -> ReportRecord {
    let group = GroupId::from_u128(5);
    let directory = place.evidence(subject);
    reports
        .publish(group, content(subject, result), directory)
        .await
        .unwrap()
}

#[tokio::test]
async fn reports_of_several_processes_are_one_chain_that_verifies_from_the_files() {
    let place = Place::new();
    for subject in ["fov-1", "fov-2", "fov-3"] {
        publish(&place.reports(), &place, subject, Outcome::Passed).await;
    }
    let reports = place.reports();
    let files: Vec<Given> = ["fov-1", "fov-2", "fov-3"]
        .into_iter()
        .map(|subject| Given {
            name: subject.to_owned(),
            bytes: std::fs::read(place.evidence(subject).join(REPORT_JSON)).unwrap(),
        })
        .collect();
    let key = reports.key().await.unwrap().public();
    let head = reports.head().await.unwrap().unwrap();
    assert_eq!(head.number, 3);
    assert_eq!(verify(&files, Some(&key), Some(&head.digest), None).1, []);
    assert!(
        !verify(&files[1..2], Some(&key), Some(&head.digest), None)
            .1
            .is_empty()
    );
    let numbers: Vec<u64> = reports
        .list(None, Some(3), 10)
        .await
        .unwrap()
        .iter()
        .map(|report| report.number)
        .collect();
    assert_eq!(numbers, [2, 1]);
    let page = std::fs::read_to_string(place.evidence("fov-3").join(REPORT_HTML)).unwrap();
    assert!(page.contains(&head.digest.to_string()), "{page}");
}

#[tokio::test]
async fn a_report_is_made_once_and_its_lost_files_are_written_again() {
    let place = Place::new();
    let reports = place.reports();
    let first = publish(&reports, &place, "fov-1", Outcome::CleanupFailed).await;
    let path = place.evidence("fov-1").join(REPORT_JSON);
    let written = std::fs::read(&path).unwrap();
    std::fs::remove_dir_all(place.evidence("fov-1")).unwrap();
    // As after a crash between the catalog's commit and the files.
    let again = publish(&place.reports(), &place, "fov-1", Outcome::CleanupFailed).await;
    assert_eq!(again, first);
    assert_eq!(std::fs::read(&path).unwrap(), written);
    // Another end of the same work is another report.
    let later = publish(&reports, &place, "fov-1", Outcome::Failed).await;
    assert_eq!(later.number, 2);
    assert_eq!(reports.get("fov-1").await.unwrap().unwrap(), later);
    assert_eq!(
        reports.get(&first.id.to_string()).await.unwrap().unwrap(),
        first
    );
    assert!(reports.get("fov-9").await.unwrap().is_none());
}

#[tokio::test]
async fn without_the_key_nothing_is_signed_with_another() {
    let place = Place::new();
    let reports = place.reports();
    let made = publish(&reports, &place, "fov-1", Outcome::Passed).await;
    std::fs::remove_file(place.directory.path().join("report-signing.key")).unwrap();
    let later = place.reports();
    let refused = later
        .publish(
            GroupId::from_u128(5),
            content("fov-2", Outcome::Passed),
            place.evidence("fov-2"),
        )
        .await;
    assert!(
        matches!(refused, Err(ReportsError::KeyMissing { .. })),
        "{refused:?}"
    );
    assert_eq!(later.head().await.unwrap().unwrap(), made.head());
}

#[tokio::test]
async fn a_text_that_was_edited_in_the_catalog_is_not_shown() {
    let place = Place::new();
    let reports = place.reports();
    let made = publish(&reports, &place, "fov-1", Outcome::Failed).await;
    let key = made.id.to_string();
    let mut text: ReportText = place.catalog.document(&key).unwrap().unwrap();
    text.json = text.json.replace("\"failed\"", "\"passed\"");
    place.catalog.put_document(&text).unwrap();
    let shown = reports.sealed(&made).await;
    assert!(matches!(shown, Err(ReportsError::Damaged(_))), "{shown:?}");
}
