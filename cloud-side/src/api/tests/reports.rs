//! Reports of drills: made, signed, shown, verified offline, and made up for after a crash.

use super::replicated;
use crate::{
    catalog::{Catalog, Document},
    reports::ReportRecord,
    state_files::StateFiles,
    testing::site::Site,
};
use bcdr_disk::RealStorage;
use bcdr_report::{Finding, Given, PublicKey, Report, verify};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Runs a drill to its end and gives its id.
async fn drill(site: &Site) -> String {
    let body = json!({"group": "lab", "at": "latest"});
    let asked = site.post("/api/v1/drills", body).await;
    let id = asked.expect(202)["id"].as_str().unwrap().to_owned();
    let waited = format!("{}?wait_seconds=60", asked.location.unwrap());
    site.get(&waited).await.expect(200);
    id
}

fn evidence(site: &Site, drill: &str) -> PathBuf {
    site.config.evidence_directory().join(drill)
}

fn check(site: &Site, drills: &[String], key: &PublicKey) -> Vec<Finding> {
    let files: Vec<Given> = drills
        .iter()
        .map(|id| Given {
            name: id.clone(),
            bytes: std::fs::read(evidence(site, id).join("report.json")).unwrap(),
        })
        .collect();
    let mut read = |report: &Report, name: &str| {
        let path = evidence(site, &report.content.subject.id).join(name);
        std::fs::read(path).map_err(|error| error.to_string())
    };
    verify(&files, Some(key), None, Some(&mut read)).1
}

#[tokio::test]
async fn a_drill_has_a_signed_report_when_its_job_has_ended() {
    let site = Site::start().await;
    let (_source, _gateway) = replicated(&site).await;
    let drills = [drill(&site).await, drill(&site).await];
    let key = site.get("/api/v1/reports/key").await.expect(200);
    assert_eq!(key["head"]["number"], 2);
    let public = PublicKey::from_pem(key["pem"].as_str().unwrap()).unwrap();
    assert_eq!(check(&site, &drills, &public), []);
    let listed = site
        .get("/api/v1/reports?group=lab&limit=1")
        .await
        .expect(200);
    let row = &listed["items"][0];
    assert_eq!(
        (&row["subject"], &row["result"]),
        (&json!(drills[1]), &json!("passed"))
    );
    assert_eq!(row["digest"], key["head"]["digest"]);
    let cursor = listed["next_cursor"].as_str().unwrap();
    let rest = site
        .get(&format!("/api/v1/reports?cursor={cursor}"))
        .await
        .expect(200);
    assert_eq!(rest["items"][0]["subject"], drills[0]);

    let shown = site.get(&format!("/api/v1/reports/{}", drills[1])).await;
    let signed = shown.expect(200);
    assert_eq!(signed["report"]["id"], row["id"]);
    let content = &signed["report"]["content"];
    assert_eq!(content["result"], "passed");
    assert!(
        content["recovery_time"]["from_request_ms"].is_u64(),
        "{content}"
    );
    assert!(content["point"]["batch_mac"].is_string(), "{content}");
    assert!(content["images"][0]["digest"].is_string(), "{content}");
    assert_eq!(content["screenshot"], "screenshot.png");
    assert!(content["interruption"].is_null());
    let names: Vec<&str> = content["evidence"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|file| file["name"].as_str())
        .collect();
    for name in ["drill.json", "evidence.json", "screenshot.png"] {
        assert!(names.contains(&name), "{names:?}");
    }
    let kept = std::fs::read(evidence(&site, &drills[1]).join("report.json")).unwrap();
    assert!(
        kept == shown.body,
        "the file is not the report that is shown"
    );

    for (query, word) in [("?lang=zh", "容灾演练"), ("", "Verification ladder")] {
        let path = format!("/api/v1/reports/{}/html{query}", drills[1]);
        let page = String::from_utf8(site.get(&path).await.body).unwrap();
        assert!(page.contains(word) && page.contains("data:image"), "{page}");
    }
    let wrong = format!("/api/v1/reports/{}/html?lang=tlh", drills[1]);
    assert_eq!(site.get(&wrong).await.expect(422)["field"], "lang");
    site.get("/api/v1/reports/rep-1")
        .await
        .problem(404, "report_not_found");

    let trend = site
        .get("/api/v1/reports/trend?group=lab")
        .await
        .expect(200);
    let numbers: Vec<&Value> = trend["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["number"])
        .collect();
    assert_eq!(numbers, [1, 2]);
    let page = site.get("/api/v1/reports/trend/html?lang=en").await;
    assert!(String::from_utf8(page.body).unwrap().contains("<svg"));

    let runbook = site.get("/api/v1/groups/lab/runbook?lang=en").await;
    let runbook = String::from_utf8(runbook.body).unwrap();
    assert!(
        runbook.contains(&drills[1]) && runbook.contains("bcdr point list lab"),
        "{runbook}"
    );
    let printed =
        std::fs::read_to_string(evidence(&site, &drills[0]).join("runbook.html")).unwrap();
    assert!(printed.contains(&drills[0]), "{printed}");

    // What vouches for the evidence finds what is done to it.
    std::fs::write(evidence(&site, &drills[0]).join("screenshot.png"), "gnp").unwrap();
    let findings = check(&site, &drills, &public);
    assert!(
        matches!(&findings[..], [Finding::EvidenceChanged { name, .. }] if name == "screenshot.png"),
        "{findings:?}"
    );
    let path = format!("/api/v1/reports/{}/html", drills[0]);
    let page = String::from_utf8(site.get(&path).await.body).unwrap();
    assert!(!page.contains("data:image"), "{page}");
}

#[tokio::test]
async fn a_report_that_a_crash_kept_from_being_made_is_made_at_the_next_start() {
    let mut site = Site::start().await;
    let (_source, _gateway) = replicated(&site).await;
    let id = drill(&site).await;
    let made = site.get("/api/v1/reports").await.expect(200);
    site.stop().await;
    // As if the process had died after the drill's end and before its report.
    let path = StateFiles::new(&site.config.state_directory).catalog();
    {
        let catalog = Catalog::open(&RealStorage::new(), &path, 1 << 20).unwrap();
        let reports: Vec<ReportRecord> = catalog.documents(None, 10).unwrap();
        assert_eq!(reports.len(), 1);
        catalog
            .remove_document::<ReportRecord>(&reports[0].key())
            .unwrap();
    }
    for name in ["report.json", "report.html", "runbook.html"] {
        std::fs::remove_file(evidence(&site, &id).join(name)).unwrap();
    }
    site.resume().await;
    let listed = |page: &Value| page["items"][0]["subject"].is_string();
    let again = site.until("/api/v1/reports", listed).await;
    assert_eq!(again["items"][0]["subject"], id);
    assert_eq!(again["items"][0]["number"], made["items"][0]["number"]);
    let key = site.get("/api/v1/reports/key").await.expect(200);
    let public = PublicKey::from_pem(key["pem"].as_str().unwrap()).unwrap();
    let text = format!("/api/v1/drills/{id}/evidence/report.json");
    while site.get(&text).await.status != 200 {
        tokio::task::yield_now().await;
    }
    assert_eq!(check(&site, std::slice::from_ref(&id), &public), []);
    // As if it had died between the report and its files.
    site.stop().await;
    std::fs::remove_file(evidence(&site, &id).join("report.json")).unwrap();
    site.resume().await;
    while site.get(&text).await.status != 200 {
        tokio::task::yield_now().await;
    }
    assert_eq!(check(&site, &[id], &public), []);
    let listed = site.get("/api/v1/reports").await.expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
}
