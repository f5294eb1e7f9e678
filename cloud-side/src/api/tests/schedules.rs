//! The drill calendar, and how many machines run at once.

use super::replicated;
use crate::{
    catalog::Catalog,
    clock,
    schedules::{Schedule, cadence::Cadence},
    state_files::StateFiles,
    testing::{
        gateway::Gateway,
        site::Site,
        source::{Source, VOLUME_BYTES},
    },
};
use bcdr_disk::RealStorage;
use bcdr_format::Timestamp;
use serde_json::{Value, json};
use std::num::NonZeroU16;

const PATH: &str = "/api/v1/groups/lab/drill-schedule";

async fn put(site: &Site, body: Value) -> crate::testing::site::Answer {
    site.send("PUT", PATH, Some(body), &[]).await
}

#[tokio::test]
async fn a_schedule_is_set_shown_and_removed() {
    let mut site = Site::start().await;
    let _source = site.group().await;
    site.get(PATH)
        .await
        .problem(404, "drill_schedule_not_found");
    site.delete(PATH)
        .await
        .problem(404, "drill_schedule_not_found");
    let body = json!({
        "every_seconds": 604_800, "at": "02:00", "zone": "UTC",
        "point": {"age": {"seconds": 86_400}}, "hold_seconds": 60,
        "launch_settings": {"memory_mib": 512},
    });
    let set = put(&site, body).await.expect(200);
    let next: jiff::Timestamp = set["next_at"].as_str().unwrap().parse().unwrap();
    let away = next.as_second() - jiff::Timestamp::now().as_second();
    assert!((0..=86_400).contains(&away), "{set}");
    assert_eq!(next.strftime("%H:%M:%S").to_string(), "02:00:00");
    assert!(set["overdue_since"].is_null());
    for (body, field) in [
        (json!({"every_seconds": 60}), "every_seconds"),
        (json!({"every_seconds": 5400, "at": "02:00"}), "at"),
        (
            json!({"every_seconds": 86_400, "zone": "Nowhere/Land"}),
            "zone",
        ),
        (
            json!({"every_seconds": 86_400, "hold_seconds": 86_401}),
            "hold_seconds",
        ),
        (
            json!({"every_seconds": 86_400, "launch_settings": {"cpus": 0}}),
            "launch_settings",
        ),
        (
            json!({"every_seconds": 86_400, "point": {"age": {"seconds": u64::MAX}}}),
            "point",
        ),
        (json!({"every_seconds": 86_400, "when": "now"}), "when"),
    ] {
        let refused = put(&site, body).await;
        assert!((400..500).contains(&refused.status), "{refused:?}");
        assert_eq!(refused.json()["field"], field, "{refused:?}");
    }
    site.stop().await;
    site.resume().await;
    assert_eq!(site.get(PATH).await.expect(200), set);
    assert_eq!(site.delete(PATH).await.status, 204);
    site.get(PATH)
        .await
        .problem(404, "drill_schedule_not_found");
}

#[tokio::test]
async fn a_drill_missed_while_the_process_was_down_runs_once_and_ends_what_is_overdue() {
    let mut site = Site::start().await;
    let (_source, _gateway) = replicated(&site).await;
    put(&site, json!({"every_seconds": 3600})).await.expect(200);
    let metric = async |site: &Site| {
        let text = String::from_utf8(site.get("/metrics").await.body).unwrap();
        let line = text
            .lines()
            .find(|line| line.starts_with("bcdr_drill_overdue"));
        line.map(str::to_owned)
    };
    assert_eq!(
        metric(&site).await.unwrap(),
        r#"bcdr_drill_overdue{group="lab"} 0"#
    );
    site.stop().await;
    // As if it had been set two days ago, and nobody was there since.
    let path = StateFiles::new(&site.config.state_directory).catalog();
    {
        let catalog = Catalog::open(&RealStorage::new(), &path, 1 << 20).unwrap();
        let mut schedules: Vec<Schedule> = catalog.documents(None, 10).unwrap();
        let mut schedule = schedules.pop().unwrap();
        let then = Timestamp(clock::wall().0 - 2 * 86_400 * 1_000_000);
        schedule.cadence = Cadence::new(3600, None, "UTC", then).unwrap();
        (schedule.set_at, schedule.decided) = (then, then);
        catalog.put_document(&schedule).unwrap();
    }
    site.resume().await;
    let ran = |page: &Value| page["items"][0]["state"] == "passed";
    let drills = site.until("/api/v1/drills", ran).await;
    assert_eq!(drills["items"].as_array().unwrap().len(), 1);
    let kept = |schedule: &Value| schedule["last_drill"].is_string();
    let schedule = site.until(PATH, kept).await;
    assert_eq!(schedule["last_drill"], drills["items"][0]["id"]);
    let fine = |group: &Value| group["drill"]["overdue_since"].is_null();
    site.until("/api/v1/groups/lab", fine).await;
    assert_eq!(
        metric(&site).await.unwrap(),
        r#"bcdr_drill_overdue{group="lab"} 0"#
    );
    // Nothing is decided twice: another start finds nothing due.
    site.stop().await;
    site.resume().await;
    site.until(PATH, |schedule| {
        let next: jiff::Timestamp = schedule["next_at"].as_str().unwrap().parse().unwrap();
        next > jiff::Timestamp::now()
    })
    .await;
    let drills = site.get("/api/v1/drills").await.expect(200);
    assert_eq!(drills["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_group_whose_drill_cannot_start_is_overdue_and_says_why() {
    let mut site = Site::start().await;
    // A group without any point.
    let _source = site.group().await;
    put(&site, json!({"every_seconds": 3600})).await.expect(200);
    site.stop().await;
    let path = StateFiles::new(&site.config.state_directory).catalog();
    {
        let catalog = Catalog::open(&RealStorage::new(), &path, 1 << 20).unwrap();
        let mut schedule: Schedule = catalog.documents(None, 10).unwrap().pop().unwrap();
        let then = Timestamp(clock::wall().0 - 2 * 86_400 * 1_000_000);
        schedule.cadence = Cadence::new(3600, None, "UTC", then).unwrap();
        (schedule.set_at, schedule.decided) = (then, then);
        catalog.put_document(&schedule).unwrap();
    }
    site.resume().await;
    let schedule = site
        .until(PATH, |schedule| schedule["trouble"].is_string())
        .await;
    assert!(
        schedule["trouble"]
            .as_str()
            .unwrap()
            .contains("recovery point"),
        "{schedule}"
    );
    let group = site.get("/api/v1/groups/lab").await.expect(200);
    assert_eq!(group["drill"]["overdue_since"], schedule["overdue_since"]);
    assert!(schedule["overdue_since"].is_string(), "{schedule}");
    let reasons = group["health"]["reasons"].as_array().unwrap();
    assert!(
        reasons
            .iter()
            .any(|reason| reason["code"] == "drill_overdue"),
        "{group}"
    );
    let text = String::from_utf8(site.get("/metrics").await.body).unwrap();
    assert!(
        text.contains(r#"bcdr_drill_overdue{group="lab"} 1"#),
        "{text}"
    );
}

#[tokio::test]
async fn no_more_machines_run_at_once_than_configured() {
    let mut site = Site::start().await;
    site.stop().await;
    site.config.drills_at_once = NonZeroU16::MIN;
    site.resume().await;
    let (first, _gateway) = replicated(&site).await;
    let volumes = json!([{"name": "root", "size_bytes": VOLUME_BYTES}]);
    let group = site
        .post("/api/v1/groups", json!({"name": "two", "volumes": volumes}))
        .await
        .expect(201);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut second = Source::new(
        site.made.installation,
        text(&group["id"]).parse().unwrap(),
        text(&group["stream"]).parse().unwrap(),
        text(&group["volumes"][0]["id"]).parse().unwrap(),
    );
    second.key = first.key.clone();
    let mut gateway = Gateway::connect(&site, &second).await;
    let batch = second.batch(0, 1);
    gateway.ship(&batch).await;
    gateway.durable(second.end()).await;
    let held = json!({"group": "lab", "at": "latest", "hold_seconds": 3600});
    let held = site.post("/api/v1/drills", held).await.expect(202);
    let held = format!("/api/v1/drills/{}", held["id"].as_str().unwrap());
    site.until(&held, |drill| drill["progress"]["phase"] == "hold")
        .await;
    let waiting = site
        .post("/api/v1/drills", json!({"group": "two", "at": "latest"}))
        .await;
    let waiting = format!(
        "/api/v1/drills/{}",
        waiting.expect(202)["id"].as_str().unwrap()
    );
    let drill = site.get(&waiting).await.expect(200);
    assert_eq!(
        (&drill["state"], &drill["progress"]),
        (&json!("queued"), &Value::Null)
    );
    let launches = || {
        let calls = site.target.calls.lock().unwrap();
        calls.iter().filter(|call| **call == "launch").count()
    };
    assert_eq!(launches(), 1);
    site.post(&format!("{held}/actions/stop"), json!({}))
        .await
        .expect(202);
    site.until(&waiting, |drill| drill["state"] == "passed")
        .await;
    assert_eq!(launches(), 2);
}
