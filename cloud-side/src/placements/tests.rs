//! Failovers over the API, against a scripted gateway and a scripted target.

use crate::{
    drill::tests::scripted_target::ScriptedTarget,
    testing::{
        gateway::Gateway,
        site::{GOOD_BOOT, Site},
        source::Source,
    },
};
use bcdr_format::Generation;
use bcdr_nbd::client::{Client, ClientOptions};
use bcdr_report::{Given, Report, verify};
use bcdr_wire::{
    feed::Refusal,
    order::{Duty, OrderNumber, Serving, SourceOrder},
};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    sync::atomic::Ordering,
};

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

/// The capture is lost, and with it the gateway's session.
async fn lost(site: &Site, gateway: Gateway) {
    drop(gateway);
    let gone = |group: &Value| group["gateway"]["connected"] == false;
    site.until("/api/v1/groups/lab", gone).await;
}

fn emergency() -> Value {
    json!({"group": "lab", "confirm": "lab", "mode": "emergency"})
}

async fn start(site: &Site, body: Value) -> String {
    let started = site.post("/api/v1/failovers", body).await.expect(202);
    started["id"].as_str().unwrap().to_owned()
}

async fn settled(site: &Site, id: &str) -> Value {
    let stands = |failover: &Value| {
        failover["end"].is_string()
            || failover["stage"] == "blocked"
            || failover["step"] == "await_commit"
    };
    site.until(&format!("/api/v1/failovers/{id}"), stands).await
}

async fn decide(site: &Site, id: &str, verb: &str) -> Value {
    let path = format!("/api/v1/failovers/{id}/actions/{verb}");
    site.post(&path, json!({"confirm": "lab"}))
        .await
        .expect(200)
}

async fn ended(site: &Site, id: &str) -> Value {
    let path = format!("/api/v1/failovers/{id}");
    site.until(&path, |failover| failover["end"].is_string())
        .await
}

async fn placement(site: &Site) -> Value {
    site.get("/api/v1/groups/lab/placement").await.expect(200)
}

/// A capture reports again and again; a probe hears one that comes after it asked.
async fn probed(site: &Site, id: &str, gateway: &mut Gateway, source: &Source) {
    loop {
        gateway.report(source).await;
        let path = format!("/api/v1/failovers/{id}");
        let failover = site.get(&path).await.expect(200);
        let step = failover["step"].as_str().unwrap();
        if failover["end"].is_string() || !["precheck", "probe_source"].contains(&step) {
            return;
        }
    }
}

fn order(generation: u64, duty: Duty) -> (Generation, Duty) {
    (Generation(generation), duty)
}

fn said(order: SourceOrder) -> (Generation, Duty) {
    (order.generation, order.duty)
}

/// The first block of the branch's volume, and a way to write to it.
async fn disk(site: &Site, failover: &Value) -> Client {
    let branch = failover["branch"].as_str().unwrap();
    let socket: PathBuf = site.config.runtime_directory.join(format!("{branch}.sock"));
    let options = ClientOptions::default();
    Client::connect(&socket, "root", options).await.unwrap()
}

const RUNGS: usize = crate::drill::Rung::ALL.len();

/// The group's reports, newest first, once there are so many.
async fn reports(site: &Site, count: usize) -> Vec<Value> {
    let path = "/api/v1/reports?group=lab";
    let wanted = |list: &Value| list["items"].as_array().unwrap().len() >= count;
    let list = site.until(path, wanted).await;
    let items = list["items"].as_array().unwrap().clone();
    assert_eq!(items.len(), count, "{list}");
    items
}

/// The signed content of a report.
async fn content(site: &Site, report: &Value) -> Value {
    let path = format!("/api/v1/reports/{}", report["id"].as_str().unwrap());
    site.get(&path).await.expect(200)["report"]["content"].clone()
}

fn check<'a>(content: &'a Value, name: &str) -> &'a Value {
    let checks = content["checks"].as_array().unwrap();
    let found = checks.iter().find(|check| check["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {content}"))
}

/// Waits for a file; the text of a report is written last.
async fn written(path: &Path) -> Vec<u8> {
    loop {
        match std::fs::read(path) {
            Ok(bytes) => return bytes,
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

/// Checks the files of a failover's reports as an auditor does, from its directory alone.
async fn verify_files(site: &Site, id: &str, names: &[&str]) {
    let directory = site.config.evidence_directory().join(id);
    // A report is listed before its files are written.
    for name in names {
        written(&directory.join(name)).await;
    }
    let given = |name: &&str| Given {
        name: (*name).to_owned(),
        bytes: std::fs::read(directory.join(name)).unwrap(),
    };
    let files: Vec<Given> = names.iter().map(given).collect();
    let reports = &site.service().reports;
    let key = reports.key().await.unwrap().public();
    let head = reports.head().await.unwrap().unwrap();
    let mut read = |_: &Report, name: &str| {
        std::fs::read(directory.join(name)).map_err(|error| error.to_string())
    };
    let (verified, findings) = verify(&files, Some(&key), Some(&head.digest), Some(&mut read));
    assert_eq!(findings, []);
    assert_eq!(verified.len(), names.len());
    for name in names {
        let page = directory.join(name.replace(".json", ".html"));
        assert!(page.exists(), "{page:?}");
    }
}

#[tokio::test]
async fn a_failover_is_reported_when_its_ladder_was_climbed_and_when_it_is_over() {
    let site = Site::start().await;
    let (_source, gateway) = replicated(&site).await;
    lost(&site, gateway).await;
    let mut wanted = emergency();
    wanted["interrupted_at"] = "2026-01-01T00:00:00Z".into();
    let id = start(&site, wanted).await;
    settled(&site, &id).await;

    let at_boot = reports(&site, 1).await.remove(0);
    assert_eq!(
        (&at_boot["kind"], &at_boot["interim"], &at_boot["result"]),
        (&json!("failover"), &json!(true), &json!("passed"))
    );
    let said = content(&site, &at_boot).await;
    assert_eq!(said["interruption"]["at"], "2026-01-01T00:00:00Z");
    let times = &said["recovery_time"];
    let (from_request, from_interruption) = (
        times["from_request_ms"].as_u64().unwrap(),
        times["from_interruption_ms"].as_u64().unwrap(),
    );
    assert!(from_interruption > from_request, "{times}");
    assert_eq!(said["generations"][0]["generation"], 2);
    assert_eq!(said["generations"][0]["authority"], "target");
    assert_eq!(said["rungs"].as_array().unwrap().len(), RUNGS);
    assert_eq!(said["images"].as_array().unwrap().len(), 1);
    assert!(said["point"]["batch_mac"].is_string(), "{said}");
    assert_eq!(said["screenshot"], "screenshot.png");
    let lines = said["serial"]["lines"].as_array().unwrap();
    assert!(lines.iter().any(|line| line == "host login: "), "{said}");
    let phases = said["phases"].as_array().unwrap();
    let names: Vec<&str> = phases
        .iter()
        .map(|phase| phase["name"].as_str().unwrap())
        .collect();
    let expected = [
        "precheck",
        "probe_source",
        "fence",
        "pin_point",
        "create_branch",
        "boot_instance",
        "climb_rungs",
    ];
    assert_eq!(names, expected);
    let timeline = said["timeline"].as_array().unwrap();
    assert_eq!(timeline[0]["what"], "interrupted", "{said}");
    assert!(check(&said, "loss_seconds")["detail"].is_string());

    decide(&site, &id, "commit").await;
    ended(&site, &id).await;
    let both = reports(&site, 2).await;
    assert_eq!(
        (&both[0]["interim"], &both[0]["result"], &both[0]["subject"]),
        (&json!(false), &json!("passed"), &json!(id))
    );
    let last = content(&site, &both[0]).await;
    let timeline = last["timeline"].as_array().unwrap();
    assert_eq!(timeline.last().unwrap()["what"], "finished");
    assert_eq!(last["rungs"], said["rungs"]);
    verify_files(&site, &id, &["report-at-boot.json", "report.json"]).await;
    for language in ["en", "zh"] {
        let path = format!("/api/v1/reports/{id}/html?lang={language}");
        let page = site.get(&path).await;
        assert_eq!(page.status, 200);
        let page = String::from_utf8(page.body).unwrap();
        let word = if language == "en" {
            "start the machine"
        } else {
            "启动机器"
        };
        assert!(page.contains(word), "{page}");
    }
    // The trend stays one of drills.
    let trend = site.get("/api/v1/reports/trend").await.expect(200);
    assert_eq!(trend["rows"], json!([]));
}

#[tokio::test]
async fn a_report_is_owed_until_its_files_are_there_and_made_once() {
    let mut site = Site::start().await;
    let (_source, gateway) = replicated(&site).await;
    lost(&site, gateway).await;
    let id = start(&site, emergency()).await;
    settled(&site, &id).await;
    reports(&site, 1).await;
    // The process ends when the decision is durable, whatever of its report was made by then.
    decide(&site, &id, "rollback").await;
    ended(&site, &id).await;
    site.stop().await;
    site.resume().await;
    let before = reports(&site, 2).await;
    assert_eq!(before[0]["result"], "rolled_back");
    let said = content(&site, &before[0]).await;
    let generations = said["generations"].as_array().unwrap();
    let held: Vec<(&Value, &Value)> = generations
        .iter()
        .map(|one| (&one["generation"], &one["authority"]))
        .collect();
    let expected = [(json!(2), json!("target")), (json!(3), json!("source"))];
    let expected: Vec<(&Value, &Value)> = expected.iter().map(|(g, a)| (g, a)).collect();
    assert_eq!(held, expected);
    // The machine is gone; what was seen of it is not.
    assert_eq!(said["rungs"].as_array().unwrap().len(), RUNGS);
    assert!(said["panel"]["level"].is_null(), "{said}");

    // It ended after the publication and before the mark was gone, and the files were lost.
    let owed = super::kept::OwedReport {
        group: site.service().groups.all()[0].id(),
        job: super::kept::OwedJob::Failover(id.parse().unwrap()),
        stage: crate::reports::ReportStage::Final,
        since: crate::clock::wall(),
    };
    let catalog = Arc::clone(&site.service().catalog);
    catalog.put_document(&owed).unwrap();
    drop(catalog);
    let file = site
        .config
        .evidence_directory()
        .join(&id)
        .join("report.json");
    let before_loss = written(&file).await;
    std::fs::remove_file(&file).unwrap();
    site.stop().await;
    site.resume().await;
    assert_eq!(written(&file).await, before_loss);
    assert_eq!(reports(&site, 2).await, before);
    verify_files(&site, &id, &["report-at-boot.json", "report.json"]).await;
}

#[tokio::test]
async fn an_emergency_failover_fences_boots_and_is_committed() {
    let mut site = Site::start().await;
    let (mut source, gateway) = replicated(&site).await;
    lost(&site, gateway).await;
    let id = start(&site, emergency()).await;
    let failover = settled(&site, &id).await;
    assert_eq!(failover["step"], "await_commit", "{failover}");
    assert_eq!(failover["ladder"]["passed"], true, "{failover}");
    assert_eq!(failover["generation"], 2);
    assert_eq!(placement(&site).await["state"], "target_uncommitted");

    // The machine's disk is the point, and takes writes.
    let machine = disk(&site, &failover).await;
    assert_eq!(machine.read(0, 4096).await.unwrap(), vec![1; 4096]);
    machine
        .write(4096, vec![9; 4096].into(), false)
        .await
        .unwrap();
    machine.flush().await.unwrap();

    // What the source sends under the old generation, or under any other, is refused.
    let (mut gateway, refused) = Gateway::hello(&site, &source).await;
    assert_eq!(refused, None);
    let welcome = gateway.welcome.clone().unwrap();
    assert_eq!(said(welcome.order), order(2, Duty::StandBy));
    gateway.tell_key(&source).await;
    let batch = source.batch(1, 7);
    gateway.ship(&batch).await;
    assert!(matches!(gateway.refusal().await, Refusal::NotReady { .. }));

    decide(&site, &id, "commit").await;
    assert_eq!(ended(&site, &id).await["end"], "committed");
    let now = placement(&site).await;
    assert_eq!(now["state"], "target_active");
    assert_eq!(now["authority"], "target");
    let group = site.get("/api/v1/groups/lab").await.expect(200);
    assert_eq!(group["placement"], "target_active");
    assert_eq!(group["generation"], 2);
    let job = failover["job"].as_str().unwrap();
    let job = site.get(&format!("/api/v1/jobs/{job}")).await.expect(200);
    assert_eq!(
        (&job["kind"], &job["state"]),
        (&json!("failover"), &json!("succeeded"))
    );

    // It outlives the process: the same machine, the same disk.
    drop(machine);
    let launched = |site: &Site| {
        let calls = site.target.calls.lock().unwrap();
        calls.iter().filter(|call| **call == "launch").count()
    };
    assert_eq!(launched(&site), 1);
    site.stop().await;
    site.resume().await;
    assert_eq!(placement(&site).await["state"], "target_active");
    let machine = disk(&site, &failover).await;
    assert_eq!(machine.read(4096, 4096).await.unwrap(), vec![9; 4096]);
    assert_eq!(
        launched(&site),
        1,
        "an adopted machine is not launched again"
    );
    let decided = site
        .post(
            &format!("/api/v1/failovers/{id}/actions/rollback"),
            json!({"confirm": "lab"}),
        )
        .await;
    decided.problem(409, "failover_ended");
}

#[tokio::test]
async fn a_rollback_gives_the_source_its_authority_back_under_a_newer_generation() {
    let site = Site::start().await;
    let (mut source, gateway) = replicated(&site).await;
    lost(&site, gateway).await;
    let id = start(&site, emergency()).await;
    let failover = settled(&site, &id).await;
    assert_eq!(failover["step"], "await_commit", "{failover}");
    decide(&site, &id, "rollback").await;
    let over = ended(&site, &id).await;
    assert_eq!(over["end"], "rolled_back", "{over}");
    let now = placement(&site).await;
    assert_eq!(now["state"], "source_active");
    assert_eq!(
        now["source_order"],
        json!({"generation": 3, "duty": "serve"})
    );
    assert!(site.target.destroyed.load(Ordering::SeqCst) >= 1);
    // The machine's disk is kept, and not served any more.
    let branch = over["branch"].as_str().unwrap();
    let socket = site.config.runtime_directory.join(format!("{branch}.sock"));
    assert!(!socket.exists());

    // The source goes on where it was, under the new generation; the old one stays refused.
    let chain = source.chain;
    let mut stale = Gateway::connect(&site, &source).await;
    let batch = source.batch(1, 7);
    stale.ship(&batch).await;
    assert!(matches!(stale.refusal().await, Refusal::Fenced { .. }));
    source.generation = Generation(3);
    source.chain = chain;
    source.next = bcdr_format::Sequence(source.next.0 - 3);
    let mut gateway = Gateway::connect(&site, &source).await;
    let batch = source.batch(1, 7);
    gateway.ship(&batch).await;
    let published = gateway.durable(source.end()).await;
    assert_eq!(published, Some(source.end()));
}

#[tokio::test]
async fn a_planned_failover_stops_the_source_first_and_loses_nothing() {
    let site = Site::start().await;
    let (mut source, mut gateway) = replicated(&site).await;
    let planned = json!({"group": "lab", "confirm": "lab", "mode": "planned"});
    let id = start(&site, planned).await;
    probed(&site, &id, &mut gateway, &source).await;
    // It writes under the generation it has until it is drained.
    assert_eq!(said(gateway.order().await), order(1, Duty::Quiesce));
    let last = source.batch(2, 5);
    gateway
        .stand(&source, Generation(1), Serving::ReadOnly)
        .await;
    let path = format!("/api/v1/failovers/{id}");
    site.until(&path, |failover| failover["step"] == "drain_source")
        .await;
    gateway.ship(&last).await;
    assert_eq!(said(gateway.order().await), order(2, Duty::StandBy));
    let failover = settled(&site, &id).await;
    assert_eq!(failover["step"], "await_commit", "{failover}");
    assert_eq!(failover["point"], source.end().to_string());
    let machine = disk(&site, &failover).await;
    assert_eq!(machine.read(8192, 4096).await.unwrap(), vec![5; 4096]);
    // The way back lets it serve again.
    decide(&site, &id, "rollback").await;
    while said(gateway.order().await) != order(3, Duty::Serve) {}
    gateway
        .stand(&source, Generation(3), Serving::Writable)
        .await;
    assert_eq!(ended(&site, &id).await["end"], "rolled_back");
}

#[tokio::test]
async fn a_source_that_serves_is_not_overruled_without_an_operators_word() {
    let site = Site::start().await;
    let (source, mut gateway) = replicated(&site).await;
    let id = start(&site, emergency()).await;
    probed(&site, &id, &mut gateway, &source).await;
    let failover = ended(&site, &id).await;
    assert_eq!(failover["end"], "failed");
    assert_eq!(failover["failure"]["code"], "source_still_serving");
    assert_eq!(placement(&site).await["generation"], 1);

    // With that word two sites may be writable, which is a state of its own.
    let mut vouched = emergency();
    vouched["isolation_confirmed"] = true.into();
    let id = start(&site, vouched).await;
    let shown = loop {
        gateway.report(&source).await;
        let shown = placement(&site).await;
        if shown["state"] == "split_brain_suspected" {
            break shown;
        }
    };
    assert_eq!(shown["split_brain"]["reason"], "both_writable");
    let refused = site
        .post(
            &format!("/api/v1/failovers/{id}/actions/commit"),
            json!({"confirm": "lab"}),
        )
        .await;
    refused.problem(409, "split_brain_suspected");
    let keep = "/api/v1/groups/lab/placement/actions/keep_target";
    site.post(keep, json!({"confirm": "la"}))
        .await
        .problem(422, "not_confirmed");
    site.post(keep, json!({"confirm": "lab"})).await.expect(200);
    loop {
        let told = gateway.order().await;
        if matches!(told.duty, Duty::Hold { .. }) {
            assert!(told.generation > Generation(2));
            gateway
                .stand(&source, told.generation, Serving::ReadOnly)
                .await;
            break;
        }
    }
    let over = |placement: &Value| placement["state"] == "target_uncommitted";
    site.until("/api/v1/groups/lab/placement", over).await;
}

#[tokio::test]
async fn a_start_is_confirmed_repeated_and_refused_while_another_is_on_its_way() {
    let site = Site::start().await;
    let (_source, gateway) = replicated(&site).await;
    lost(&site, gateway).await;
    let mut unconfirmed = emergency();
    unconfirmed["confirm"] = "yes".into();
    site.post("/api/v1/failovers", unconfirmed)
        .await
        .problem(422, "not_confirmed");
    let key = [("idempotency-key", "one")];
    let first = site
        .send("POST", "/api/v1/failovers", Some(emergency()), &key)
        .await
        .expect(202);
    let again = site
        .send("POST", "/api/v1/failovers", Some(emergency()), &key)
        .await
        .expect(202);
    assert_eq!(first["id"], again["id"]);
    let mut other = emergency();
    other["mode"] = "planned".into();
    site.send("POST", "/api/v1/failovers", Some(other), &key)
        .await
        .problem(422, "idempotency_mismatch");
    site.post("/api/v1/failovers", emergency())
        .await
        .problem(409, "placement_job_running");
    let preview = site
        .get("/api/v1/groups/lab/failover-preview?interrupted_at=2026-11-03T10:00:00Z")
        .await
        .expect(200);
    assert!(
        preview["summary"].as_str().unwrap().contains("seconds"),
        "{preview}"
    );
    let list = site.get("/api/v1/failovers?group=lab").await.expect(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_target_that_fails_leaves_a_way_forward_and_a_way_back() {
    let mut target = ScriptedTarget::new(GOOD_BOOT);
    target.fails_at = "launch";
    let site = Site::start_on(Arc::new(target)).await;
    let (_source, gateway) = replicated(&site).await;
    lost(&site, gateway).await;
    let id = start(&site, emergency()).await;
    let blocked = settled(&site, &id).await;
    assert_eq!(
        (&blocked["step"], &blocked["stage"]),
        (&json!("boot_instance"), &json!("blocked"))
    );
    assert_eq!(blocked["failure"]["code"], "target_failed");
    let path = format!("/api/v1/failovers/{id}/actions/retry");
    site.post(&path, json!({})).await.expect(200);
    let twice = |failover: &Value| {
        failover["stage"] == "blocked"
            && failover["steps"]
                .as_array()
                .unwrap()
                .iter()
                .any(|step| step["attempts"] == 2)
    };
    site.until(&format!("/api/v1/failovers/{id}"), twice).await;
    decide(&site, &id, "rollback").await;
    assert_eq!(ended(&site, &id).await["end"], "rolled_back");
    assert_eq!(placement(&site).await["state"], "source_active");
}

#[tokio::test]
async fn a_machine_that_does_not_come_up_is_told_and_never_committed_by_a_timer() {
    let mut target = ScriptedTarget::new("SeaBIOS\r\nKernel panic - not syncing: no root\r\n");
    target.ends = true;
    let site = Site::start_on(Arc::new(target)).await;
    let (_source, gateway) = replicated(&site).await;
    lost(&site, gateway).await;
    let mut wanted = emergency();
    wanted["commit_policy"] = json!({"auto_commit": {"after_seconds": 60}});
    let id = start(&site, wanted).await;
    let failover = settled(&site, &id).await;
    assert_eq!(failover["step"], "await_commit");
    assert_eq!(failover["ladder"]["passed"], false);
    assert_eq!(failover["decides_in_seconds"], Value::Null);
    assert!(
        failover["ladder"]["detail"]
            .as_str()
            .unwrap()
            .contains("panic"),
        "{failover}"
    );
    // A failed one shows no level of the standard.
    let report = reports(&site, 1).await.remove(0);
    assert_eq!(
        (&report["result"], &report["level"]),
        (&json!("failed"), &Value::Null)
    );
    let said = content(&site, &report).await;
    let lowered = said["panel"]["lowered"].as_array().unwrap();
    assert!(lowered.contains(&json!("not_passed")), "{said}");
    assert!(said["reason"].as_str().unwrap().contains("panic"));
}

#[tokio::test]
async fn a_script_judges_the_machine_of_a_failover_and_none_that_is_missing_holds_an_emergency_up()
{
    use crate::drill::tests::scripts::program;
    let mut site = Site::start().await;
    let programs = site.directory.path().join("programs");
    program(
        &programs,
        "check",
        "echo $BCDR_MODE $BCDR_GROUP $BCDR_GUEST_PORT_443; exit 0",
    );
    site.config.outside.rung_programs_directory = Some(programs.clone());
    site.stop().await;
    site.resume().await;
    let (_source, gateway) = replicated(&site).await;
    let missing = json!({"probes": {"scripts": [{"program": "missing"}]}});
    let mut planned = emergency();
    planned["mode"] = json!("planned");
    planned["launch_settings"] = missing.clone();
    let id = start(&site, planned).await;
    let refused = settled(&site, &id).await;
    assert_eq!(refused["end"], "failed", "{refused}");
    assert_eq!(refused["failure"]["code"], "script_not_ready", "{refused}");
    lost(&site, gateway).await;
    let mut wanted = emergency();
    wanted["launch_settings"] = missing;
    let id = start(&site, wanted).await;
    let failover = settled(&site, &id).await;
    assert_eq!(failover["step"], "await_commit", "{failover}");
    assert_eq!(failover["ladder"]["passed"], false);
    let detail = failover["ladder"]["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("rung script failed: script:missing: "),
        "{detail}"
    );
    decide(&site, &id, "rollback").await;
    ended(&site, &id).await;
    let mut wanted = emergency();
    wanted["launch_settings"] = json!({"probes": {"scripts": [{"program": "check"}]}});
    let forward = json!([{"host_address": "127.0.0.9", "host_port": 8443, "machine_port": 443}]);
    wanted["networks"] = json!([{"connection": {"host_nat": {"forward": forward}}}]);
    let id = start(&site, wanted).await;
    let failover = settled(&site, &id).await;
    assert_eq!(failover["ladder"]["passed"], true, "{failover}");
    let rungs = failover["ladder"]["rungs"].as_array().unwrap();
    let rung = rungs.iter().find(|rung| rung["rung"] == "script").unwrap();
    let seen = rung["observed"].as_str().unwrap();
    assert!(
        seen.contains("said: emergency lab 127.0.0.9:8443"),
        "{seen}"
    );
    // What it did is hashed into the report that is made at the end of the ladder.
    let of_it = |report: &Value| report["subject"] == id.as_str();
    let listed = |list: &Value| list["items"].as_array().unwrap().iter().any(of_it);
    let list = site.until("/api/v1/reports?group=lab", listed).await;
    let report = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|report| of_it(report));
    let said = content(&site, report.unwrap()).await;
    let files = said["evidence"].as_array().unwrap();
    assert!(
        files.iter().any(|file| file["name"] == "script-check.json"),
        "{said}"
    );
    // Its screen is shown while it runs, and not afterwards.
    let screen = format!("/api/v1/failovers/{id}/screen");
    let shown = site.get(&screen).await;
    assert_eq!(shown.status, 200);
    assert_eq!(shown.headers["content-type"], "image/png");
    decide(&site, &id, "rollback").await;
    ended(&site, &id).await;
    site.get(&screen).await.problem(409, "machine_not_running");
}

#[tokio::test]
async fn a_branch_is_listed_read_at_its_own_instants_and_removed_when_nobody_needs_it() {
    let site = Site::start().await;
    let (_source, gateway) = replicated(&site).await;
    lost(&site, gateway).await;
    let id = start(&site, emergency()).await;
    let failover = settled(&site, &id).await;
    let machine = disk(&site, &failover).await;
    let written = bytes::Bytes::from(vec![9; 4096]);
    machine.write(4096, written.clone(), false).await.unwrap();
    machine.flush().await.unwrap();

    let listed = site.get("/api/v1/branches?group=lab").await.expect(200);
    let [branch] = listed["items"].as_array().unwrap().as_slice() else {
        panic!("{listed}");
    };
    assert_eq!(
        (&branch["state"], &branch["reason"]),
        (&json!("ready"), &json!("failover"))
    );
    assert_eq!(branch["made_for"], id);
    let branch = branch["id"].as_str().unwrap();
    let remove = format!("/api/v1/branches/{branch}/actions/remove");
    site.post(&remove, json!({"confirm": "lab"}))
        .await
        .problem(409, "branch_in_use");

    let asked = json!({"group": "lab", "at": "latest", "branch": branch});
    let view = site.post("/api/v1/views", asked).await.expect(201);
    assert_eq!(view["branch"], branch);
    let socket = site
        .config
        .runtime_directory
        .join(format!("{}.sock", view["id"].as_str().unwrap()));
    let reader = Client::connect(&socket, "root", ClientOptions::default())
        .await
        .unwrap();
    assert_eq!(reader.read(4096, 4096).await.unwrap(), written);
    assert!(reader.write(0, written.clone(), false).await.is_err());
    let labelled = json!({"group": "lab", "at": "a label", "branch": branch});
    site.post("/api/v1/views", labelled)
        .await
        .problem(422, "invalid_request");

    decide(&site, &id, "rollback").await;
    ended(&site, &id).await;
    let path = format!("/api/v1/branches/{branch}");
    assert_eq!(site.get(&path).await.expect(200)["state"], "sealed");
    site.post(&remove, json!({"confirm": "lab"}))
        .await
        .problem(409, "branch_in_use");
    let view = format!("/api/v1/views/{}", view["id"].as_str().unwrap());
    assert_eq!(site.send("DELETE", &view, None, &[]).await.status, 204);
    site.post(&remove, json!({"confirm": "la"}))
        .await
        .problem(422, "not_confirmed");
    let removed = site.post(&remove, json!({"confirm": "lab"})).await;
    assert_eq!(removed.status, 204);
    site.get(&path).await.problem(404, "branch_not_found");
}

#[tokio::test]
async fn a_decision_about_a_split_brain_that_fails_is_told_and_can_be_tried_again() {
    let site = Site::start().await;
    let (source, mut gateway) = replicated(&site).await;
    let retry = "/api/v1/groups/lab/placement/actions/retry";
    site.post(retry, json!({}))
        .await
        .problem(409, "nothing_failed");
    lost(&site, gateway).await;
    let id = start(&site, emergency()).await;
    settled(&site, &id).await;
    decide(&site, &id, "commit").await;
    ended(&site, &id).await;
    // The source comes back and serves what it served.
    gateway = Gateway::hello(&site, &source).await.0;
    while placement(&site).await["state"] != "split_brain_suspected" {
        gateway
            .stand(&source, Generation(2), Serving::Writable)
            .await;
    }
    site.target.keeps_file.store(true, Ordering::SeqCst);
    let keep = "/api/v1/groups/lab/placement/actions/keep_source";
    site.post(keep, json!({"confirm": "lab"})).await.expect(200);
    let path = "/api/v1/groups/lab/placement";
    let blocked = |placement: &Value| placement["split_brain"]["keeping"]["stage"] == "blocked";
    let shown = site.until(path, blocked).await;
    let keeping = &shown["split_brain"]["keeping"];
    assert_eq!(
        (&keeping["site"], &keeping["step"]),
        (&json!("source"), &json!("stop_instance"))
    );
    assert!(keeping["failure"]["remedy"].is_string(), "{keeping}");
    site.target.keeps_file.store(false, Ordering::SeqCst);
    site.post(retry, json!({})).await.expect(200);
    loop {
        let order = gateway.order().await;
        if order.duty == Duty::Serve {
            gateway
                .stand(&source, order.generation, Serving::Writable)
                .await;
            break;
        }
    }
    let over = |placement: &Value| placement["state"] == "source_active";
    let shown = site.until(path, over).await;
    assert_eq!(shown["split_brain"], Value::Null);
    assert_eq!(shown["target"], Value::Null);
}

#[tokio::test]
async fn orders_are_numbered_over_restarts_and_above_what_the_source_remembers() {
    let mut site = Site::start().await;
    let (source, gateway) = replicated(&site).await;
    let first = gateway.welcome.clone().unwrap().order;
    lost(&site, gateway).await;
    let id = start(&site, emergency()).await;
    settled(&site, &id).await;
    let (gateway, _) = Gateway::hello(&site, &source).await;
    let second = gateway.welcome.clone().unwrap().order;
    assert!(
        first.is_older_than(&second) && first.number < second.number,
        "{first:?} {second:?}"
    );
    lost(&site, gateway).await;

    // The next process tells what was told, and not as something new.
    site.stop().await;
    site.resume().await;
    let (mut gateway, _) = Gateway::hello(&site, &source).await;
    assert_eq!(gateway.welcome.clone().unwrap().order, second);

    // The catalog was put back to an older copy: the source would take its orders for earlier ones.
    gateway.remembers = OrderNumber(1000);
    gateway
        .stand(&source, second.generation, Serving::ReadOnly)
        .await;
    let third = gateway.order().await;
    assert!(third.number > OrderNumber(1000), "{third:?}");
    assert_eq!(said(third), said(second));
}

/// The catalog was put back to an older copy, and the next number was given before, to another order.
#[tokio::test]
async fn an_order_is_told_under_a_higher_number_than_one_that_the_source_may_know_otherwise() {
    let mut site = Site::start().await;
    let (source, gateway) = replicated(&site).await;
    lost(&site, gateway).await;
    site.stop().await;
    site.resume().await;
    // Orders are given while nothing is heard of the source.
    let id = start(&site, emergency()).await;
    settled(&site, &id).await;
    // A restart does not make it known either.
    site.stop().await;
    site.resume().await;
    let (mut gateway, _) = Gateway::hello(&site, &source).await;
    let given = gateway.welcome.clone().unwrap().order;
    gateway.remembers = given.number;
    gateway
        .stand(&source, given.generation, Serving::ReadOnly)
        .await;
    let again = tokio::time::timeout(std::time::Duration::from_secs(60), gateway.order());
    let again = again.await.expect("it was not told again");
    assert!(again.number > given.number, "{again:?}");
    assert_eq!(said(again.clone()), said(given));

    // The source was heard when this one was given: the next process takes it for granted.
    lost(&site, gateway).await;
    site.stop().await;
    site.resume().await;
    let (mut gateway, _) = Gateway::hello(&site, &source).await;
    assert_eq!(gateway.welcome.clone().unwrap().order, again);
    gateway.remembers = again.number;
    for _ in 0..2 {
        gateway
            .stand(&source, again.generation, Serving::ReadOnly)
            .await;
    }
    lost(&site, gateway).await;
    let (gateway, _) = Gateway::hello(&site, &source).await;
    assert_eq!(gateway.welcome.clone().unwrap().order, again);
}

/// The process ends wherever the failover is, and the next one goes on; both ways.
#[tokio::test]
async fn a_failover_goes_on_in_the_next_process_wherever_it_was() {
    for rolls_back in [false, true] {
        let mut site = Site::start().await;
        let (_source, gateway) = replicated(&site).await;
        lost(&site, gateway).await;
        let id = start(&site, emergency()).await;
        let path = format!("/api/v1/failovers/{id}");
        let mut seen = Vec::new();
        loop {
            let failover = site.get(&path).await.expect(200);
            let step = failover["step"].as_str().unwrap().to_owned();
            if failover["end"].is_string() {
                break;
            }
            if step == "await_commit" {
                let verb = if rolls_back { "rollback" } else { "commit" };
                decide(&site, &id, verb).await;
            }
            if seen.last() != Some(&step) {
                seen.push(step);
                site.stop().await;
                site.resume().await;
            }
        }
        let failover = site.get(&path).await.expect(200);
        let end = if rolls_back {
            "rolled_back"
        } else {
            "committed"
        };
        assert_eq!(failover["end"], end, "{seen:?}: {failover}");
        let state = if rolls_back {
            "source_active"
        } else {
            "target_active"
        };
        assert_eq!(placement(&site).await["state"], state);
        let job = failover["job"].as_str().unwrap();
        // The job follows what it is about.
        let over = |job: &Value| job["state"] != "running";
        let job = site.until(&format!("/api/v1/jobs/{job}"), over).await;
        let state = if rolls_back { "cancelled" } else { "succeeded" };
        assert_eq!(job["state"], state);
        // However often it was interrupted: one at the end of the ladder, and one at the end.
        let made = reports(&site, 2).await;
        assert_eq!(
            (&made[0]["interim"], &made[1]["interim"]),
            (&json!(false), &json!(true))
        );
    }
}
