//! The API over TLS with tokens, against a scripted gateway and a scripted target.

mod access;
mod audit;
mod bounds;
mod conditions;
mod configuration;
mod console;
mod events;
mod gone;
mod history;
mod limits;
mod many_drills;
mod reports;
mod schedules;

use crate::{
    drill::tests::scripted_target::ScriptedTarget,
    init::create_token,
    testing::{
        gateway::Gateway,
        site::{GOOD_BOOT, Site},
        source::{Extra, Source, VOLUME_BYTES, marker},
    },
};
use bcdr_nbd::client::{Client, ClientOptions};
use bcdr_wire::ship::ToGateway;
use serde_json::{Value, json};
use std::{path::PathBuf, sync::Arc, sync::atomic::Ordering};

/// A group with one point, and the session that made it.
async fn replicated(site: &Site) -> (Source, Gateway) {
    let mut source = site.group().await;
    let mut gateway = Gateway::connect(site, &source).await;
    let batch = source.batch(0, 1);
    gateway.ship(&batch).await;
    gateway.durable(source.end()).await;
    gateway.report(&source).await;
    let connected = |group: &Value| group["capture"]["connected"] == true;
    site.until("/api/v1/groups/lab", connected).await;
    (source, gateway)
}

#[test]
fn the_checked_in_document_is_the_generated_one() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let generated = super::openapi_json();
    if std::env::var_os("BCDR_UPDATE_OPENAPI").is_some_and(|value| value == "1") {
        std::fs::write(&path, &generated).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == generated,
        "openapi.json differs from the routes: run this test with BCDR_UPDATE_OPENAPI=1"
    );
}

#[test]
fn every_reference_in_the_document_leads_somewhere() {
    let document: Value = serde_json::from_str(&super::openapi_json()).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let mut open = vec![&document];
    let mut references = 0;
    while let Some(value) = open.pop() {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(
                document.pointer(pointer).is_some(),
                "{reference} leads nowhere"
            );
            references += 1;
        }
        match value {
            Value::Object(fields) => open.extend(fields.values()),
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    assert!(references > 20, "only {references} references were found");
}

#[tokio::test]
async fn a_token_is_needed_and_a_viewer_changes_nothing() {
    let mut site = Site::start().await;
    for path in ["/api/v1/system", "/api/v1/groups", "/metrics"] {
        let answer = site.send_with("GET", path, None, &[]).await;
        assert_eq!(answer.status, 401, "{path}");
    }
    for path in ["/openapi.json", "/livez"] {
        assert_eq!(
            site.send_with("GET", path, None, &[]).await.status,
            200,
            "{path}"
        );
    }
    site.stop().await;
    let state = &site.config.state_directory;
    let viewer = create_token(state, "wall", bcdr_http::Role::Viewer).unwrap();
    site.resume().await;
    let bearer = format!("Bearer {}", viewer.expose());
    let headers = [("authorization", bearer.as_str())];
    let seen = site
        .send_with("GET", "/api/v1/system", None, &headers)
        .await
        .expect(200);
    assert_eq!(seen["installation"], site.made.installation.to_string());
    assert_eq!(seen["installation_key"], "missing");
    let wanted = json!({"name": "g", "volumes": [{"name": "v", "size_bytes": 512}]});
    let refused = site
        .send_with("POST", "/api/v1/groups", Some(wanted), &headers)
        .await;
    refused.problem(403, "forbidden");
}

#[tokio::test]
async fn groups_are_made_found_and_refused() {
    let site = Site::start().await;
    let volumes = json!([{"name": "a", "size_bytes": 1024}, {"name": "b", "size_bytes": 512}]);
    let wanted = json!({"name": "pair", "volumes": volumes});
    let made = site.post("/api/v1/groups", wanted.clone()).await;
    let group = made.expect(201);
    let id = group["id"].as_str().unwrap();
    assert_eq!(
        made.location.as_deref(),
        Some(format!("/api/v1/groups/{id}").as_str())
    );
    assert_eq!(group["replication"]["state"], "unprotected");
    assert_eq!(group["health"]["level"], "critical");
    assert_eq!(group["rpo_known"], false);
    assert!(group["latest_point"].is_null());
    assert_eq!(
        site.get(&format!("/api/v1/groups/{id}")).await.expect(200)["name"],
        "pair"
    );
    assert_eq!(site.get("/api/v1/groups/pair").await.expect(200)["id"], id);
    site.post("/api/v1/groups", wanted)
        .await
        .problem(409, "group_exists");
    for (body, field) in [
        (json!({"name": "no names", "volumes": volumes}), "name"),
        (json!({"name": "x", "volumes": []}), "volumes"),
        (
            json!({"name": "x", "volumes": [{"name": "v", "size_bytes": 513}]}),
            "volumes.0.size_bytes",
        ),
        (
            json!({"name": "x", "volumes": volumes, "colour": 1}),
            "colour",
        ),
    ] {
        let refused = site.post("/api/v1/groups", body).await;
        assert!((400..500).contains(&refused.status), "{refused:?}");
        assert_eq!(refused.json()["field"], field);
    }
    site.get("/api/v1/groups/nobody")
        .await
        .problem(404, "group_not_found");
    let listed = site
        .get("/api/v1/volumes?group=pair&limit=1")
        .await
        .expect(200);
    assert_eq!(listed["items"][0]["name"], "a");
    let cursor = listed["next_cursor"].as_str().unwrap();
    let rest = site
        .get(&format!("/api/v1/volumes?group=pair&cursor={cursor}"))
        .await
        .expect(200);
    assert_eq!(rest["items"][0]["name"], "b");
    assert!(rest["next_cursor"].is_null());
    let volume = rest["items"][0]["id"].as_str().unwrap();
    let shown = site
        .get(&format!("/api/v1/volumes/{volume}"))
        .await
        .expect(200);
    assert_eq!(shown["size_bytes"], 512);
}

#[tokio::test]
async fn points_are_listed_and_found_by_every_name() {
    let site = Site::start().await;
    let (mut source, mut gateway) = replicated(&site).await;
    let first = source.end();
    let batch = source.batch(1, 2);
    gateway.ship(&batch).await;
    gateway.durable(source.end()).await;
    let page = site
        .get("/api/v1/groups/lab/points?limit=1")
        .await
        .expect(200);
    assert_eq!(page["items"][0]["id"], source.end().to_string());
    assert_eq!(page["items"][0]["kind"], "crash_consistent");
    let cursor = page["next_cursor"].as_str().unwrap();
    let older = site
        .get(&format!("/api/v1/groups/lab/points?cursor={cursor}"))
        .await
        .expect(200);
    assert_eq!(older["items"][0]["id"], first.to_string());
    assert!(older["next_cursor"].is_null());
    let time = older["items"][0]["time"].as_str().unwrap();
    for name in [first.to_string(), time.to_owned()] {
        let found = site
            .get(&format!("/api/v1/groups/lab/points/{name}"))
            .await
            .expect(200);
        assert_eq!(found["id"], first.to_string(), "{name}");
    }
    let latest = site
        .get("/api/v1/groups/lab/points/latest")
        .await
        .expect(200);
    assert_eq!(latest["id"], source.end().to_string());
    let nearest = format!("/api/v1/groups/lab/points:nearest?at={time}");
    assert_eq!(
        site.get(&nearest).await.expect(200)["id"],
        first.to_string()
    );
    let early = site
        .get("/api/v1/groups/lab/points:nearest?at=1969-01-01T00:00:00Z")
        .await;
    early.problem(404, "point_not_found");
    site.get("/api/v1/groups/lab/points/1-999")
        .await
        .problem(404, "point_not_found");
    let bookmarks = site
        .get("/api/v1/groups/lab/points?kind=bookmark")
        .await
        .expect(200);
    assert_eq!(bookmarks["items"], json!([]));
    let group = site.get("/api/v1/groups/lab").await.expect(200);
    assert_eq!(group["replication"]["state"], "continuous", "{group}");
    assert_eq!(group["positions"]["published"], source.end().to_string());
    assert_eq!(group["capture"]["journal_capacity_bytes"], 100);
}

#[tokio::test]
async fn a_bookmark_is_a_job_that_ends_with_its_point() {
    let site = Site::start().await;
    let (mut source, mut gateway) = replicated(&site).await;
    let body = json!({"label": "before upgrade"});
    let path = "/api/v1/groups/lab/points";
    let headers = [("idempotency-key", "k1")];
    let asked = site.send("POST", path, Some(body.clone()), &headers).await;
    let job = asked.expect(202);
    assert_eq!(job["state"], "running");
    let again = site
        .send("POST", path, Some(body.clone()), &headers)
        .await
        .expect(202);
    assert_eq!(again["id"], job["id"]);
    let other = site
        .send("POST", path, Some(json!({"label": "other"})), &headers)
        .await;
    other.problem(422, "idempotency_mismatch");
    site.post(path, body).await.problem(409, "label_taken");
    let placed = loop {
        if let Some(ToGateway::PlaceMarker(placed)) = gateway.hear().await {
            break placed;
        }
    };
    assert_eq!(placed.label, "before upgrade");
    let extra = Extra {
        marker: Some(marker(placed.id, &placed.label)),
        ..Extra::default()
    };
    let batch = source.batch_with(Some((2, 3)), extra);
    gateway.ship(&batch).await;
    let waited = format!("{}?wait_seconds=60", asked.location.unwrap());
    let ended = site.get(&waited).await.expect(200);
    assert_eq!(ended["state"], "succeeded", "{ended}");
    let point = &ended["result"]["point"];
    assert_eq!(point["id"], source.end().to_string());
    assert_eq!(point["kind"], "bookmark");
    let found = site
        .get("/api/v1/groups/lab/points/before%20upgrade")
        .await
        .expect(200);
    assert_eq!(found["id"], point["id"]);
    let bookmarks = site
        .get("/api/v1/groups/lab/points?kind=bookmark")
        .await
        .expect(200);
    assert_eq!(bookmarks["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn bookmarks_without_a_source_or_a_usable_label_are_refused() {
    let mut site = Site::start().await;
    let source = site.group().await;
    let path = "/api/v1/groups/lab/points";
    site.post(path, json!({"label": "x"}))
        .await
        .problem(409, "capture_not_connected");
    drop(source);
    site.stop().await;
    let site = Site::start().await;
    let (_source, _gateway) = replicated(&site).await;
    for label in ["", "latest", "2-5", "2026-11-22T00:00:00Z"] {
        let refused = site.post(path, json!({"label": label})).await;
        assert_eq!(refused.expect(422)["field"], "label", "{label:?}");
    }
}

#[tokio::test]
async fn a_bookmark_job_of_a_dead_process_is_followed_on() {
    let mut site = Site::start().await;
    let (mut source, mut gateway) = replicated(&site).await;
    let path = "/api/v1/groups/lab/points";
    let job = site.post(path, json!({"label": "late"})).await.expect(202);
    let placed = loop {
        if let Some(ToGateway::PlaceMarker(placed)) = gateway.hear().await {
            break placed;
        }
    };
    let shown = format!("/api/v1/jobs/{}", job["id"].as_str().unwrap());
    site.stop().await;
    site.resume().await;
    assert_eq!(site.get(&shown).await.expect(200)["state"], "running");
    let mut gateway = Gateway::connect(&site, &source).await;
    let extra = Extra {
        marker: Some(marker(placed.id, &placed.label)),
        ..Extra::default()
    };
    let batch = source.batch_with(Some((2, 3)), extra);
    gateway.ship(&batch).await;
    let found = site.get(&format!("{shown}?wait_seconds=60")).await;
    let found = found.expect(200);
    assert_eq!(found["state"], "succeeded", "{found}");
    assert_eq!(found["result"]["point"]["id"], source.end().to_string());
}

async fn read_root(uri: &str) -> Vec<u8> {
    let socket = uri.strip_prefix("nbd+unix:///root?socket=").unwrap();
    let options = ClientOptions::default();
    let client = Client::connect(&PathBuf::from(socket), "root", options)
        .await
        .unwrap();
    let bytes = client.read(0, VOLUME_BYTES as u32).await.unwrap();
    client.disconnect().await.unwrap();
    bytes.to_vec()
}

#[tokio::test]
async fn a_view_shows_its_point_also_after_a_restart_until_it_is_closed() {
    let mut site = Site::start().await;
    let (mut source, mut gateway) = replicated(&site).await;
    let then = source.image.clone();
    let opened = site
        .post("/api/v1/views", json!({"group": "lab", "at": "latest"}))
        .await;
    let view = opened.expect(201);
    let uri = view["volumes"][0]["nbd"].as_str().unwrap().to_owned();
    assert!(read_root(&uri).await == then, "the view is not the point");
    let batch = source.batch(0, 9);
    gateway.ship(&batch).await;
    gateway.durable(source.end()).await;
    assert!(read_root(&uri).await == then, "the view moved on");
    site.stop().await;
    site.resume().await;
    let shown = opened.location.unwrap();
    assert_eq!(site.get(&shown).await.expect(200)["state"], "open");
    assert!(
        read_root(&uri).await == then,
        "the view came back as another"
    );
    let listed = site.get("/api/v1/views?group=lab").await.expect(200);
    assert_eq!(listed["items"][0]["id"], view["id"]);
    assert_eq!(site.delete(&shown).await.status, 204);
    site.get(&shown).await.problem(404, "view_not_found");
    let socket = uri.split_once("socket=").unwrap().1;
    assert!(!PathBuf::from(socket).exists(), "the socket stayed");
    let refused = site
        .post("/api/v1/views", json!({"group": "lab", "at": "nothing"}))
        .await;
    refused.problem(404, "point_not_found");
    let lease = json!({"group": "lab", "at": "latest", "lease_seconds": 0});
    assert_eq!(
        site.post("/api/v1/views", lease).await.expect(422)["field"],
        "lease_seconds"
    );
}

#[tokio::test]
async fn a_drill_boots_its_view_and_reports() {
    let site = Site::start().await;
    let (_source, _gateway) = replicated(&site).await;
    let body = json!({"group": "lab", "at": "latest"});
    let headers = [("idempotency-key", "once")];
    let asked = site
        .send("POST", "/api/v1/drills", Some(body.clone()), &headers)
        .await;
    let drill = asked.expect(202);
    let repeated = site
        .send("POST", "/api/v1/drills", Some(body), &headers)
        .await
        .expect(202);
    assert_eq!(repeated["id"], drill["id"]);
    let waited = format!("{}?wait_seconds=60", asked.location.unwrap());
    let job = site.get(&waited).await.expect(200);
    assert_eq!(job["state"], "succeeded", "{job}");
    assert_eq!(job["result"]["drill"], drill["id"]);
    let id = drill["id"].as_str().unwrap();
    let ended = site.get(&format!("/api/v1/drills/{id}")).await.expect(200);
    assert_eq!(ended["state"], "passed", "{ended}");
    assert_eq!(ended["report"]["replica"]["unchanged"], true);
    assert_eq!(ended["report"]["cleanup"]["complete"], true);
    assert!(ended["view"].is_null());
    assert_eq!(
        site.get("/api/v1/views").await.expect(200)["items"],
        json!([])
    );
    let evidence = format!("/api/v1/drills/{id}/evidence");
    let report = site
        .get(&format!("{evidence}/drill.json"))
        .await
        .expect(200);
    assert_eq!(report["drill"], id);
    for file in ["..%2F..%2Fkek", "%2Fetc%2Fpasswd", "nothing.txt", ".."] {
        let refused = site.get(&format!("{evidence}/{file}")).await;
        assert_eq!(refused.status, 404, "{file}: {refused:?}");
    }
    let stop = site
        .post(&format!("/api/v1/drills/{id}/actions/stop"), json!({}))
        .await;
    stop.problem(409, "drill_ended");
    let metrics = site.get("/metrics").await;
    let text = String::from_utf8(metrics.body).unwrap();
    for wanted in [
        r#"bcdr_jobs_total{result="succeeded",type="drill"} 1"#,
        r#"bcdr_group_state{axis="replication",group="lab",state="continuous"} 1"#,
        r#"bcdr_points_retained{group="lab"} 1"#,
        r#"bcdr_group_rpo_known{group="lab"} 1"#,
        "bcdr_group_last_drill_success_timestamp_seconds",
    ] {
        assert!(text.contains(wanted), "{wanted} is not in\n{text}");
    }
}

#[tokio::test]
async fn a_drill_compares_what_is_on_the_disk_not_what_is_in_memory() {
    let site = Site::start().await;
    let mut source = site.group().await;
    let mut gateway = Gateway::connect(&site, &source).await;
    let batch = source.batch(0, 1);
    gateway.ship(&batch).await;
    gateway.durable(source.end()).await;
    let body = json!({"group": "lab", "at": "latest"});
    let view = site.post("/api/v1/views", body.clone()).await.expect(201);
    let uri = view["volumes"][0]["nbd"].as_str().unwrap();
    assert!(read_root(uri).await == source.image);
    let _repair = site.damage(&source, &batch);
    // The chunk is in memory still.
    assert!(read_root(uri).await == source.image);
    let started = site.post("/api/v1/drills", body).await;
    let waited = format!("{}?wait_seconds=60", started.location.unwrap());
    let ended = site.get(&waited).await.expect(200);
    assert_eq!(ended["state"], "failed", "{ended}");
    let told = ended["error"]["detail"].to_string();
    assert!(told.contains("no replica digest"), "{told}");
}

#[tokio::test]
async fn a_failed_boot_is_a_failed_job_and_a_running_drill_can_be_stopped() {
    let target = Arc::new(ScriptedTarget::new(
        "SeaBIOS\r\nKernel panic - not syncing: x\r\n",
    ));
    let site = Site::start_on(target).await;
    let (_source, _gateway) = replicated(&site).await;
    let body = json!({"group": "lab", "at": "latest"});
    let asked = site.post("/api/v1/drills", body).await;
    let drill = asked.expect(202);
    let job = site
        .get(&format!("{}?wait_seconds=60", asked.location.unwrap()))
        .await
        .expect(200);
    assert_eq!(job["state"], "failed");
    assert_eq!(job["error"]["code"], "drill_failed", "{job}");
    let shown = format!("/api/v1/drills/{}", drill["id"].as_str().unwrap());
    let ended = site.get(&shown).await.expect(200);
    assert_eq!(ended["state"], "failed");
    let settings = json!({"group": "lab", "at": "latest", "launch_settings": {"cpus": 0}});
    let refused = site.post("/api/v1/drills", settings).await;
    assert_eq!(refused.expect(422)["field"], "launch_settings");

    let target = Arc::new(ScriptedTarget::new(GOOD_BOOT));
    let site = Site::start_on(target).await;
    let (_source, _gateway) = replicated(&site).await;
    let held = json!({"group": "lab", "at": "latest", "hold_seconds": 3600});
    let asked = site.post("/api/v1/drills", held.clone()).await;
    let shown = format!(
        "/api/v1/drills/{}",
        asked.expect(202)["id"].as_str().unwrap()
    );
    site.until(&shown, |drill| drill["progress"]["phase"] == "hold")
        .await;
    let screen = format!("{shown}/screen");
    let entered = || async {
        let log = site
            .get("/api/v1/audit?action=show_drill_screen")
            .await
            .expect(200);
        log["items"].as_array().unwrap().len()
    };
    for _ in 0..3 {
        let picture = site.get(&screen).await;
        assert_eq!(
            (
                picture.status,
                picture.headers["cache-control"].to_str().unwrap()
            ),
            (200, "no-store")
        );
        assert!(picture.body.windows(3).any(|part| part == b"PNG"));
    }
    assert_eq!(entered().await, 1, "each look is entered");
    let group = site.get("/api/v1/groups/lab").await.expect(200);
    assert_eq!(group["drill"]["state"], "running");
    assert_eq!(group["drill"]["running"], 1);
    let view = site.get("/api/v1/views").await.expect(200)["items"][0].clone();
    assert_eq!(view["drill"], group["drill"]["drill"]);
    let close = format!("/api/v1/views/{}", view["id"].as_str().unwrap());
    site.delete(&close).await.problem(409, "view_in_use");
    site.post(&format!("{shown}/actions/stop"), json!({}))
        .await
        .expect(202);
    let job = site
        .get(&format!("{}?wait_seconds=60", asked.location.unwrap()))
        .await
        .expect(200);
    assert!(
        job["state"] == "succeeded" || job["state"] == "cancelled",
        "{job}"
    );
    let ended = site.get(&shown).await.expect(200);
    assert_eq!(ended["report"]["cleanup"]["complete"], true);
    let gone = site.get(&screen).await.problem(409, "machine_not_running");
    assert!(
        gone["remedy"].as_str().unwrap().contains("screenshot.png"),
        "{gone}"
    );
    site.get("/api/v1/drills/drl-00000000000000000000000000/screen")
        .await
        .expect(404);
}

#[tokio::test]
async fn an_unproven_cleanup_blocks_the_next_drill_until_it_is_proven() {
    let target = Arc::new(ScriptedTarget::new(GOOD_BOOT));
    target.keeps_file.store(true, Ordering::SeqCst);
    let site = Site::start_on(Arc::clone(&target)).await;
    let (_source, _gateway) = replicated(&site).await;
    let body = json!({"group": "lab", "at": "latest"});
    let asked = site.post("/api/v1/drills", body.clone()).await;
    asked.expect(202);
    let job = site
        .get(&format!("{}?wait_seconds=60", asked.location.unwrap()))
        .await
        .expect(200);
    assert_eq!(job["error"]["code"], "cleanup_failed", "{job}");
    let group = site.get("/api/v1/groups/lab").await.expect(200);
    assert_eq!(group["drill"]["state"], "cleanup_failed");
    assert_eq!(
        group["health"]["reasons"][0]["code"], "cleanup_failed",
        "{group}"
    );
    site.post("/api/v1/drills", body.clone())
        .await
        .problem(409, "cleanup_failed");
    target.keeps_file.store(false, Ordering::SeqCst);
    let asked = site.post("/api/v1/drills", body).await;
    asked.expect(202);
    let job = site
        .get(&format!("{}?wait_seconds=60", asked.location.unwrap()))
        .await
        .expect(200);
    assert_eq!(job["state"], "succeeded", "{job}");
}

#[tokio::test]
async fn jobs_are_listed_and_unknown_ones_refused() {
    let site = Site::start().await;
    let (_source, _gateway) = replicated(&site).await;
    let body = json!({"group": "lab", "at": "latest"});
    let asked = site.post("/api/v1/drills", body).await;
    let location = asked.location.unwrap();
    site.get(&format!("{location}?wait_seconds=60"))
        .await
        .expect(200);
    let listed = site.get("/api/v1/jobs?group=lab").await.expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    assert_eq!(listed["items"][0]["kind"], "drill");
    for id in ["job-1", "job-01hv3c9wn2m5k8r7e6t4x0y1za"] {
        site.get(&format!("/api/v1/jobs/{id}"))
            .await
            .problem(404, "job_not_found");
    }
    while site.get("/readyz").await.status != 200 {
        tokio::task::yield_now().await;
    }
}

/// Inspects a point now, and waits for the end of its job.
async fn inspected(site: &Site, body: Value) -> Value {
    let path = "/api/v1/groups/lab/points/latest/readiness";
    let asked = site.post(path, body).await;
    let job = asked.expect(202);
    assert_eq!(job["kind"], "readiness", "{job}");
    let location = asked.location.unwrap();
    let ended = |job: &Value| job["finished_at"].is_string();
    site.until(&location, ended).await;
    site.get(&location).await.expect(200)
}

#[tokio::test]
async fn a_point_is_inspected_when_asked_and_the_report_outlives_the_process() {
    let mut site = Site::start().await;
    let (_source, gateway) = replicated(&site).await;
    let path = "/api/v1/groups/lab/points/latest/readiness";
    site.get(path).await.problem(404, "inspection_not_found");
    let group = site.get("/api/v1/groups/lab").await.expect(200);
    assert_eq!(group["readiness"]["state"], "unknown", "{group}");

    let job = inspected(&site, json!({"firmware": "uefi"})).await;
    assert_eq!(job["state"], "succeeded", "{job}");
    let shown = site.get(path).await.expect(200);
    assert_eq!(shown["point"], job["result"]["point"]["id"]);
    // A disk with a bit of data and nothing to boot from.
    assert_eq!(shown["report"]["readiness"], "not_ready", "{shown}");
    assert_eq!(shown["report"]["target"]["firmware"], "uefi");
    let checks = shown["report"]["checks"].as_array().unwrap();
    let failed = checks
        .iter()
        .find(|check| check["code"] == "partition_table");
    assert_eq!(failed.unwrap()["verdict"], "fail", "{shown}");
    assert!(failed.unwrap()["remedy"].is_string());

    // What is not said is as the last time.
    inspected(&site, json!({"disk_bus": "ahci"})).await;
    let again = site.get(path).await.expect(200);
    assert_eq!(again["report"]["target"]["firmware"], "uefi", "{again}");
    assert_eq!(again["report"]["target"]["disk_bus"], "ahci");
    let refused = site.post(path, json!({"network_cards": 9})).await;
    assert_eq!(refused.json()["field"], "network_cards");

    drop(gateway);
    site.stop().await;
    site.resume().await;
    let group = site.get("/api/v1/groups/lab").await.expect(200);
    assert_eq!(group["readiness"]["state"], "not_ready", "{group}");
    assert_eq!(group["readiness"]["point"], again["point"]);
    assert_eq!(site.get(path).await.expect(200), again);
}

#[tokio::test]
async fn the_first_point_of_a_group_is_inspected_without_being_asked() {
    let site = Site::start().await;
    let (_source, _gateway) = replicated(&site).await;
    let inspected = |group: &Value| group["readiness"]["checked_at"].is_string();
    site.until("/api/v1/groups/lab", inspected).await;
    let group = site.get("/api/v1/groups/lab").await.expect(200);
    assert_eq!(group["readiness"]["point"], group["latest_point"]["id"]);
    assert_eq!(group["readiness"]["state"], "not_ready");
}

#[tokio::test]
async fn readiness_is_about_the_machine_of_the_launch_settings_or_unknown() {
    let site = Site::start().await;
    let (_source, _gateway) = replicated(&site).await;
    inspected(&site, json!({})).await;
    let group = site.get("/api/v1/groups/lab").await.expect(200);
    let axis = &group["readiness"];
    assert_eq!(
        (&axis["state"], &axis["reason"]),
        (&json!("not_ready"), &Value::Null)
    );
    assert_eq!(axis["target"]["firmware"], "bios");
    assert_eq!(axis["is_newest_point"], true);

    // The settings change: what was said of another machine is not shown for this one.
    let schedule = json!({
        "every_seconds": 86_400,
        "launch_settings": {"firmware": "uefi", "disk_order": ["root"]},
    });
    let path = "/api/v1/groups/lab/drill-schedule";
    site.send("PUT", path, Some(schedule), &[])
        .await
        .expect(200);
    let group = site.get("/api/v1/groups/lab").await.expect(200);
    let axis = &group["readiness"];
    if axis["target"]["firmware"] == "bios" {
        assert_eq!(axis["state"], "unknown", "{group}");
        let reason = axis["reason"].as_str().unwrap();
        assert!(reason.contains("firmware, disk order"), "{reason}");
    }
    // And it is inspected for it long before the day is over.
    let anew = |group: &Value| group["readiness"]["target"]["firmware"] == "uefi";
    let group = site.until("/api/v1/groups/lab", anew).await;
    let axis = &group["readiness"];
    assert_eq!(
        (&axis["state"], &axis["reason"]),
        (&json!("not_ready"), &Value::Null)
    );
    assert_eq!(axis["disk_order"], json!(["root"]));

    // One asked for another machine says nothing about this one, and is followed by one that does.
    let path = "/api/v1/groups/lab/points/latest/readiness";
    let job = loop {
        let asked = site.post(path, json!({"firmware": "bios"})).await;
        if asked.status != 409 {
            break asked.expect(202);
        }
    };
    let job = format!("/api/v1/jobs/{}", job["id"].as_str().unwrap());
    let ended = |job: &Value| job["finished_at"].is_string();
    assert_eq!(site.until(&job, ended).await["state"], "succeeded");
    let again = |group: &Value| {
        let axis = &group["readiness"];
        axis["target"]["firmware"] == "uefi" && axis["reason"].is_null()
    };
    site.until("/api/v1/groups/lab", again).await;
}
