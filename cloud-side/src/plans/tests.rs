//! Plans over the API, against scripted gateways and a scripted target.

use super::{
    Errand, Facts, LeftBehind, OutsideFuture, OutsideHands, PlanParts, Plans, WantedRun,
    outside::OutsideAttempt,
};
use crate::{
    idempotency::Attempt,
    record_id::PlanRunId,
    testing::{gateway::Gateway, site::Site, source::Source},
};
use bcdr_format::{Generation, Timestamp};
use bcdr_plan::{
    DnsStep, Event, Failure, Kind, Mode, Operator, Plan, Run, RunState, Selection, Work,
};
use bcdr_wire::{
    order::{Duty, Serving},
    seal::InstallationKey,
};
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

mod outside;

/// A group with this many points, and the session that made them.
async fn replicated(
    site: &Site,
    name: &str,
    points: u8,
    key: &Arc<InstallationKey>,
) -> (Source, Gateway) {
    let mut source = site.group_named(name).await;
    source.key = Arc::clone(key);
    let mut gateway = Gateway::connect(site, &source).await;
    for point in 0..points {
        let batch = source.batch(u64::from(point), point + 1);
        gateway.ship(&batch).await;
    }
    gateway.durable(source.end()).await;
    gateway.report(&source).await;
    let connected = |group: &Value| group["capture"]["connected"] == true;
    site.until(&format!("/api/v1/groups/{name}"), connected)
        .await;
    (source, gateway)
}

/// The key that all sources of an installation share.
fn key() -> Arc<InstallationKey> {
    Arc::new(InstallationKey::generate().unwrap())
}

async fn lost(site: &Site, name: &str, gateway: Gateway) {
    drop(gateway);
    let gone = |group: &Value| group["gateway"]["connected"] == false;
    site.until(&format!("/api/v1/groups/{name}"), gone).await;
}

/// The database, then somebody says so, then the web.
fn shop() -> Value {
    json!({
        "name": "shop",
        "steps": [
            {"id": "db", "do": {"group": {"name": "db"}}},
            {"id": "go", "after": ["db"], "do": {"approval": {"message": "is the database well?"}}},
            {"id": "web", "after": ["go"], "priority": 2, "do": {"group": {"name": "web"}}},
        ],
    })
}

async fn put(site: &Site, plan: Value, headers: &[(&str, &str)]) -> crate::testing::site::Answer {
    let path = format!("/api/v1/plans/{}", plan["name"].as_str().unwrap());
    site.send("PUT", &path, Some(plan), headers).await
}

async fn start(site: &Site, body: Value) -> String {
    let run = site.post("/api/v1/plan-runs", body).await.expect(202);
    run["id"].as_str().unwrap().to_owned()
}

async fn until(site: &Site, id: &str, state: &str) -> Value {
    let path = format!("/api/v1/plan-runs/{id}");
    site.until(&path, |run| run["state"] == state).await
}

async fn act(site: &Site, id: &str, verb: &str, body: Value) -> crate::testing::site::Answer {
    site.post(&format!("/api/v1/plan-runs/{id}/actions/{verb}"), body)
        .await
}

fn step<'a>(run: &'a Value, id: &str) -> &'a Value {
    let steps = run["steps"].as_array().unwrap();
    steps.iter().find(|step| step["id"] == id).unwrap()
}

async fn drills(site: &Site) -> usize {
    let all = site.get("/api/v1/drills").await.expect(200);
    all["items"].as_array().unwrap().len()
}

#[tokio::test]
async fn plans_have_versions_and_faults_are_told_with_their_remedies() {
    let mut site = Site::start().await;
    site.group_named("db").await;
    let faulty = put(&site, shop(), &[]).await.problem(422, "plan_faults");
    assert_eq!(
        faulty["detail"],
        "step web: there is no group \"web\"; name a group that `bcdr group list` shows"
    );
    site.group_named("web").await;
    let first = put(&site, shop(), &[("if-match", "\"0\"")])
        .await
        .expect(200);
    assert_eq!(first["version"], 1);
    assert_eq!(first["document"]["at_once"], 4);
    // The same again changes nothing; another is another version.
    assert_eq!(put(&site, shop(), &[]).await.expect(200)["version"], 1);
    let mut other = shop();
    other["description"] = "the shop".into();
    put(&site, other.clone(), &[("if-match", "\"7\"")])
        .await
        .problem(412, "changed_meanwhile");
    let second = put(&site, other, &[("if-match", "\"1\"")])
        .await
        .expect(200);
    assert_eq!(second["version"], 2);
    let mut wrong = shop();
    wrong["steps"][0]["do"]["group"]["launch_settings"] = json!({"memory_mib": 1});
    let wrong = put(&site, wrong, &[]).await.problem(422, "plan_faults");
    assert!(
        wrong["cause"].as_str().unwrap().contains("memory_mib is 1"),
        "{wrong}"
    );

    site.stop().await;
    site.resume().await;
    let old = site.get("/api/v1/plans/shop?version=1").await.expect(200);
    assert_eq!(old["document"]["description"], "");
    let all = site.get("/api/v1/plans").await.expect(200);
    assert_eq!(all["items"].as_array().unwrap().len(), 1);
    assert_eq!(site.delete("/api/v1/plans/shop").await.status, 204);
    site.get("/api/v1/plans/shop")
        .await
        .problem(404, "plan_not_found");
    // Numbers are not given twice.
    assert_eq!(put(&site, shop(), &[]).await.expect(200)["version"], 3);
}

/// A plan of which this can be said is what stands in the catalog, and what cannot be read.
#[derive(serde::Serialize, serde::Deserialize)]
struct Unreadable;

impl crate::catalog::Document for Unreadable {
    const COLLECTION: &'static str = super::PlanRecord::COLLECTION;

    fn key(&self) -> String {
        "shop".to_owned()
    }
}

#[tokio::test]
async fn a_plan_that_cannot_be_read_is_not_taken_for_one_that_was_removed() {
    let site = Site::start().await;
    site.group_named("db").await;
    site.group_named("web").await;
    put(&site, shop(), &[]).await.expect(200);
    let version = "/api/v1/plans/shop?version=1";
    let allowed = |plan: &Value| plan["allowed_actions"][0]["reason"].clone();
    let shown = site.get(version).await.expect(200);
    assert_ne!(allowed(&shown), "the plan was removed", "{shown}");
    site.service().catalog.put_document(&Unreadable).unwrap();
    for path in [version, "/api/v1/plans/shop"] {
        site.get(path).await.problem(500, "internal_error");
    }
}

#[tokio::test]
async fn a_plan_is_drilled_in_order_held_up_by_a_failure_and_goes_on() {
    let shared = key();
    let site = Site::start().await;
    let _db = replicated(&site, "db", 2, &shared).await;
    let _web = replicated(&site, "web", 1, &shared).await;
    put(&site, shop(), &[]).await.expect(200);
    let wanted = json!({"plan": "shop", "mode": "drill"});
    let key = [("idempotency-key", "one")];
    let first = site
        .send("POST", "/api/v1/plan-runs", Some(wanted.clone()), &key)
        .await;
    let run = first.expect(202);
    let id = run["id"].as_str().unwrap();
    assert_eq!(first.location.unwrap(), format!("/api/v1/plan-runs/{id}"));
    let again = site
        .send("POST", "/api/v1/plan-runs", Some(wanted.clone()), &key)
        .await;
    assert_eq!(again.expect(202)["id"], run["id"]);
    site.post("/api/v1/plan-runs", wanted)
        .await
        .problem(409, "plan_run_running");
    // Three positions, a second each, are between the groups' newest points.
    assert_eq!(run["skew_seconds"], 3.0);

    let waits = until(&site, id, "awaiting_approval").await;
    assert_eq!(step(&waits, "db")["state"], "done", "{waits}");
    assert_eq!(step(&waits, "web")["state"], "waiting");
    assert_eq!(drills(&site).await, 1);
    assert!(site.target.destroyed.load(Ordering::SeqCst) >= 1);
    act(&site, id, "retry-step", json!({"step": "db"}))
        .await
        .problem(409, "step_does_not_hold_up");

    site.target.keeps_file.store(true, Ordering::SeqCst);
    act(&site, id, "approve", json!({"step": "go"}))
        .await
        .expect(200);
    let second = act(&site, id, "approve", json!({"step": "go"})).await;
    let second = second.problem(409, "step_awaits_no_approval");
    assert_eq!(
        second["detail"],
        "first administrator released step go already"
    );
    let held = until(&site, id, "paused").await;
    assert_eq!(
        step(&held, "web")["failure"]["code"],
        "cleanup_failed",
        "{held}"
    );
    let may = step(&held, "web")["allowed_actions"].as_array().unwrap();
    let allowed: Vec<_> = may
        .iter()
        .filter(|action| action["allowed"] == true)
        .map(|action| action["name"].as_str().unwrap())
        .collect();
    assert_eq!(allowed, ["retry-step", "skip-step"]);

    site.target.keeps_file.store(false, Ordering::SeqCst);
    act(&site, id, "retry-step", json!({"step": "web"}))
        .await
        .expect(200);
    let over = until(&site, id, "succeeded").await;
    let web = step(&over, "web");
    assert_eq!(
        (&web["state"], &web["attempts"]),
        (&json!("done"), &json!(2))
    );
    assert_eq!(over["taken_skew_seconds"], 3.0);
    act(&site, id, "cancel", json!({}))
        .await
        .problem(409, "run_ended");
    assert_eq!(drills(&site).await, 3);
}

/// The process ends wherever the run is, and the next one goes on; nothing is drilled twice that
/// came to its end.
#[tokio::test]
async fn a_run_goes_on_in_the_next_process_wherever_it_was() {
    let shared = key();
    let mut site = Site::start().await;
    drop(replicated(&site, "db", 1, &shared).await);
    drop(replicated(&site, "web", 1, &shared).await);
    put(&site, shop(), &[]).await.expect(200);
    let id = start(&site, json!({"plan": "shop", "mode": "drill"})).await;
    let path = format!("/api/v1/plan-runs/{id}");
    let mut seen = Vec::new();
    loop {
        let run = site.get(&path).await.expect(200);
        if run["state"] == "succeeded" {
            break;
        }
        assert!(run["ended_at"].is_null(), "{run}");
        let states: Vec<_> = run["steps"]
            .as_array()
            .unwrap()
            .iter()
            .map(|step| step["state"].as_str().unwrap().to_owned())
            .collect();
        if !seen.contains(&states) {
            seen.push(states);
            site.stop().await;
            site.resume().await;
        } else if run["state"] == "awaiting_approval" {
            act(&site, &id, "approve", json!({"step": "go"}))
                .await
                .expect(200);
        }
    }
    assert!(seen.len() >= 3, "{seen:?}");
    let run = site.get(&path).await.expect(200);
    let all = site.get("/api/v1/drills").await.expect(200);
    let all = all["items"].as_array().unwrap();
    let of = |group: &str, state: &str| {
        let fits = |drill: &&Value| drill["group_name"] == group && drill["state"] == state;
        all.iter().filter(fits).count()
    };
    for group in ["db", "web"] {
        assert_eq!(of(group, "passed"), 1, "{all:?}");
        // What a stop cut short was begun again, and nothing else was.
        let cut = of(group, "cancelled") + of(group, "failed");
        assert_eq!(step(&run, group)["attempts"], cut + 1, "{run}");
    }
}

#[tokio::test]
async fn an_emergency_fails_over_in_order_to_one_time_and_survives_a_restart() {
    let shared = key();
    let mut site = Site::start().await;
    let (db, db_gateway) = replicated(&site, "db", 3, &shared).await;
    let (_web, web_gateway) = replicated(&site, "web", 1, &shared).await;
    lost(&site, "db", db_gateway).await;
    lost(&site, "web", web_gateway).await;
    put(&site, shop(), &[]).await.expect(200);
    // After the database's second point and before its third.
    let at = crate::clock::readable(Timestamp(5_500_000)).to_string();
    let mut wanted = json!({"plan": "shop", "mode": "emergency", "at": at, "confirm": "sho"});
    site.post("/api/v1/plan-runs", wanted.clone())
        .await
        .problem(422, "not_confirmed");
    wanted["confirm"] = "shop".into();
    let mut planned = wanted.clone();
    planned["mode"] = "planned".into();
    site.post("/api/v1/plan-runs", planned)
        .await
        .problem(422, "invalid_request");
    let id = start(&site, wanted).await;
    let waits = until(&site, &id, "awaiting_approval").await;
    let failed_over = step(&waits, "db");
    assert_eq!(failed_over["state"], "done", "{waits}");
    let reference = failed_over["reference"].as_str().unwrap().to_owned();
    let failover = site
        .get(&format!("/api/v1/failovers/{reference}"))
        .await
        .expect(200);
    assert_eq!(failover["step"], "await_commit");
    assert_eq!(failover["point"], "1-6");
    assert_ne!(failover["point"], db.end().to_string());
    let web = site.get("/api/v1/groups/web").await.expect(200);
    assert_eq!(web["placement"], "source_active");

    site.stop().await;
    site.resume().await;
    act(
        &site,
        &id,
        "approve",
        json!({"step": "go", "reason": "looks well"}),
    )
    .await
    .expect(200);
    let over = until(&site, &id, "succeeded").await;
    assert_eq!(over["taken_skew_seconds"], 3.0);
    assert_eq!(step(&over, "go")["decided"]["reason"], "looks well");
    assert_eq!(step(&over, "db")["reference"], reference);
    let all = site.get("/api/v1/failovers").await.expect(200);
    assert_eq!(all["items"].as_array().unwrap().len(), 2);
    for group in ["db", "web"] {
        let group = site
            .get(&format!("/api/v1/groups/{group}"))
            .await
            .expect(200);
        assert_eq!(group["placement"], "target_uncommitted");
    }
}

#[tokio::test]
async fn a_failover_that_is_blocked_is_tried_again_by_the_plans_retry_and_not_begun_anew() {
    let shared = key();
    let mut target =
        crate::drill::tests::scripted_target::ScriptedTarget::new(crate::testing::site::GOOD_BOOT);
    target.fails_at = "launch";
    let site = Site::start_on(Arc::new(target)).await;
    let (_db, gateway) = replicated(&site, "db", 1, &shared).await;
    lost(&site, "db", gateway).await;
    let (_web, gateway) = replicated(&site, "web", 1, &shared).await;
    lost(&site, "web", gateway).await;
    put(&site, shop(), &[]).await.expect(200);
    let wanted = json!({"plan": "shop", "mode": "emergency", "confirm": "shop", "only": ["db"]});
    let id = start(&site, wanted).await;
    let held = until(&site, &id, "paused").await;
    let db = step(&held, "db");
    assert_eq!(db["failure"]["code"], "target_failed", "{held}");
    let reference = db["reference"].as_str().unwrap().to_owned();
    act(&site, &id, "retry-step", json!({"step": "db"}))
        .await
        .expect(200);
    let path = format!("/api/v1/plan-runs/{id}");
    let twice = |run: &Value| run["state"] == "paused" && step(run, "db")["attempts"] == 2;
    let held = site.until(&path, twice).await;
    assert_eq!(step(&held, "db")["reference"], reference);
    let failover = site
        .get(&format!("/api/v1/failovers/{reference}"))
        .await
        .expect(200);
    let boot = failover["steps"].as_array().unwrap().iter();
    let boot: Vec<_> = boot
        .filter(|step| step["step"] == "boot_instance")
        .collect();
    assert_eq!(boot[0]["attempts"], 2, "{failover}");
    act(
        &site,
        &id,
        "skip-step",
        json!({"step": "db", "reason": "by hand"}),
    )
    .await
    .expect(200);
    let over = until(&site, &id, "succeeded_in_part").await;
    assert_eq!(step(&over, "db")["reason"], "by hand");
    assert_eq!(step(&over, "web")["state"], "not_run");
}

#[tokio::test]
async fn a_step_whose_group_may_be_written_to_at_both_sites_is_not_done() {
    let shared = key();
    let site = Site::start().await;
    let (db, gateway) = replicated(&site, "db", 1, &shared).await;
    lost(&site, "db", gateway).await;
    let (_web, gateway) = replicated(&site, "web", 1, &shared).await;
    lost(&site, "web", gateway).await;
    put(&site, shop(), &[]).await.expect(200);
    let wanted = json!({"plan": "shop", "mode": "emergency", "confirm": "shop"});
    let id = start(&site, wanted).await;
    let waits = until(&site, &id, "awaiting_approval").await;
    assert_eq!(step(&waits, "db")["state"], "done");
    let reference = step(&waits, "db")["reference"].clone();

    // The source comes back, and knows a generation that was not given here.
    let mut gateway = Gateway::hello(&site, &db).await.0;
    gateway.stand(&db, Generation(9), Serving::Writable).await;
    let held = until(&site, &id, "paused").await;
    let failed = step(&held, "db");
    assert_eq!(failed["state"], "failed", "{held}");
    assert_eq!(failed["failure"]["code"], "split_brain_suspected");
    let remedy = failed["failure"]["remedy"].as_str().unwrap();
    assert!(remedy.contains("bcdr placement show db"), "{remedy}");
    // A retry changes nothing before somebody decided.
    act(&site, &id, "retry-step", json!({"step": "db"}))
        .await
        .expect(200);
    let path = format!("/api/v1/plan-runs/{id}");
    let twice = |run: &Value| run["state"] == "paused" && step(run, "db")["attempts"] == 2;
    let held = site.until(&path, twice).await;
    assert_eq!(
        step(&held, "db")["failure"]["code"],
        "split_brain_suspected"
    );

    let keep = "/api/v1/groups/db/placement/actions/keep_target";
    site.post(keep, json!({"confirm": "db"})).await.expect(200);
    loop {
        let told = gateway.order().await;
        if matches!(told.duty, Duty::Hold { .. }) {
            gateway.stand(&db, told.generation, Serving::ReadOnly).await;
            break;
        }
    }
    let over = |placement: &Value| placement["state"] == "target_uncommitted";
    site.until("/api/v1/groups/db/placement", over).await;
    act(&site, &id, "retry-step", json!({"step": "db"}))
        .await
        .expect(200);
    let waits = until(&site, &id, "awaiting_approval").await;
    assert_eq!(step(&waits, "db")["state"], "done");
    assert_eq!(step(&waits, "db")["reference"], reference);
    // An attempt that found the machine running says nothing of how long it takes.
    let forecast = site
        .get("/api/v1/plans/shop/forecast?mode=emergency")
        .await
        .expect(200);
    assert_eq!(forecast["steps"][0]["runs"], 1, "{forecast}");
}

#[tokio::test]
async fn a_start_of_some_steps_asks_for_the_approvals_before_them() {
    let shared = key();
    let site = Site::start().await;
    let _db = replicated(&site, "db", 1, &shared).await;
    let _web = replicated(&site, "web", 1, &shared).await;
    let mut plan = shop();
    plan["steps"][1]["do"]["approval"]["who"] = json!(["nobody"]);
    put(&site, plan, &[]).await.expect(200);
    let around =
        json!({"plan": "shop", "mode": "drill", "only": ["web"], "without_approvals": true});
    site.post("/api/v1/plan-runs", around.clone())
        .await
        .problem(409, "not_an_approver");
    let part = json!({"plan": "shop", "mode": "drill", "only": ["web"]});
    let id = start(&site, part).await;
    let waits = until(&site, &id, "awaiting_approval").await;
    assert_eq!(step(&waits, "go")["state"], "awaiting_approval");
    assert_eq!(step(&waits, "web")["state"], "waiting");
    assert_eq!(step(&waits, "db")["state"], "not_run");
    act(&site, &id, "cancel", json!({})).await.expect(200);
    until(&site, &id, "cancelled").await;
    // Who could give it may leave it out.
    put(&site, shop(), &[]).await.expect(200);
    let operator = json!({"name": "night shift", "role": "operator"});
    let operator = site.post("/api/v1/tokens", operator).await.expect(201);
    let bearer = format!("Bearer {}", operator["token"].as_str().unwrap());
    site.send_with(
        "POST",
        "/api/v1/plan-runs",
        Some(around.clone()),
        &[("authorization", &bearer)],
    )
    .await
    .problem(403, "forbidden");
    let id = start(&site, around).await;
    let over = until(&site, &id, "succeeded").await;
    assert_eq!(step(&over, "go")["state"], "not_run");
}

#[tokio::test]
async fn a_cancelled_drill_of_a_plan_leaves_nothing_behind() {
    let shared = key();
    let site = Site::start().await;
    let _db = replicated(&site, "db", 1, &shared).await;
    let _web = replicated(&site, "web", 1, &shared).await;
    let mut slow = shop();
    // Its machine never says this, so it runs until it is stopped.
    slow["steps"][0]["do"]["group"]["launch_settings"] = json!({"rungs": {"login": "never>"}});
    put(&site, slow, &[]).await.expect(200);
    let id = start(&site, json!({"plan": "shop", "mode": "drill"})).await;
    let path = format!("/api/v1/plan-runs/{id}");
    site.until(&path, |run| step(run, "db")["reference"].is_string())
        .await;
    act(&site, &id, "cancel", json!({"reason": "enough"}))
        .await
        .expect(200);
    let over = until(&site, &id, "cancelled").await;
    assert_eq!(over["cancelled"]["reason"], "enough");
    assert_eq!(step(&over, "db")["failure"]["code"], "stopped", "{over}");
    assert_eq!(step(&over, "web")["state"], "not_run");
    let drill = step(&over, "db")["reference"].as_str().unwrap();
    let drill = site
        .get(&format!("/api/v1/drills/{drill}"))
        .await
        .expect(200);
    assert_eq!(drill["state"], "cancelled");
    assert_eq!(site.delete("/api/v1/plans/shop").await.status, 204);
}

#[tokio::test]
async fn a_check_says_what_stands_in_the_way_and_a_forecast_what_is_known() {
    let shared = key();
    let site = Site::start().await;
    let _db = replicated(&site, "db", 1, &shared).await;
    site.group_named("web").await;
    let mut plan = shop();
    plan["steps"][1]["do"]["approval"]["who"] = json!(["nobody"]);
    put(&site, plan, &[]).await.expect(200);
    let check = site.get("/api/v1/plans/shop/check").await.expect(200);
    assert_eq!(check["verdict"], "failed");
    let failed: Vec<_> = check["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|item| item["verdict"] == "failed")
        .map(|item| {
            (
                item["step"].as_str().unwrap(),
                item["check"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(failed, [("web", "point"), ("go", "approval")], "{check}");
    assert_eq!(check["losses"], json!([]));
    let emergency = "/api/v1/plans/shop/check?mode=emergency&interrupted_at=2100-01-01T00:00:00Z";
    let check = site.get(emergency).await.expect(200);
    let loss = &check["losses"][0];
    assert_eq!(loss["group_name"], "db", "{check}");
    assert!(
        loss["loss"]["seconds"]["exactly"].as_u64().unwrap() > 0,
        "{loss}"
    );
    assert_eq!(loss["loss"]["bytes"]["exactly"], 0);
    let items = check["items"].as_array().unwrap();
    let said = items.iter().find(|item| item["check"] == "loss").unwrap();
    assert_eq!(said["detail"], loss["summary"]);
    site.post(
        "/api/v1/plan-runs",
        json!({"plan": "shop", "mode": "drill"}),
    )
    .await
    .problem(409, "no_point");

    let unknown = site.get("/api/v1/plans/shop/forecast").await.expect(200);
    assert_eq!(unknown["is_complete"], false);
    assert_eq!(unknown["steps"][0]["seconds"], Value::Null);
    // A part of it is run, and known from then on.
    let part = json!({"plan": "shop", "mode": "drill", "only": ["db"]});
    let id = start(&site, part).await;
    until(&site, &id, "succeeded").await;
    let known = "/api/v1/plans/shop/forecast?only=db";
    let known = site.get(known).await.expect(200);
    assert_eq!(known["is_complete"], true, "{known}");
    assert_eq!(known["steps"][0]["runs"], 1);
    assert!(known["steps"][0]["seconds"].as_f64().unwrap() > 0.0);
    let other = site
        .get("/api/v1/plans/shop/forecast?only=db&mode=emergency")
        .await
        .expect(200);
    assert_eq!(
        other["is_complete"], false,
        "times of drills say nothing of failovers"
    );
}

/// Who acts outside, by a script: a program named `stuck` runs until it is stopped.
#[derive(Default)]
struct ScriptedHands {
    done: Mutex<Vec<String>>,
}

impl OutsideHands for ScriptedHands {
    fn refuses(&self, kind: &Kind) -> Option<Failure> {
        (kind.subject() == "missing").then(|| failure("no_program"))
    }

    fn carry_out<'a>(
        &'a self,
        errand: &'a Errand,
        stop: &'a CancellationToken,
    ) -> OutsideFuture<'a, Result<String, Failure>> {
        Box::pin(async move {
            let subject = errand.kind.subject().to_owned();
            self.done.lock().unwrap().push(errand.name.clone());
            match subject.as_str() {
                "stuck" => {
                    stop.cancelled().await;
                    Err(failure("stopped"))
                }
                _ => Ok(format!("{subject} was done")),
            }
        })
    }

    fn end_left<'a>(&'a self, _errand: &'a Errand) -> OutsideFuture<'a, LeftBehind> {
        Box::pin(async { LeftBehind::Unknown })
    }

    fn look<'a>(&'a self, kind: &'a Kind) -> OutsideFuture<'a, Result<String, Failure>> {
        Box::pin(async move { Ok(format!("{} is there", kind.subject())) })
    }

    fn remembered<'a>(&'a self, _dns: &'a DnsStep) -> OutsideFuture<'a, Option<Duration>> {
        Box::pin(async { Some(Duration::from_secs(300)) })
    }
}

fn failure(code: &str) -> Failure {
    Failure {
        code: code.to_owned(),
        cause: "as scripted".to_owned(),
        remedy: "write another script".to_owned(),
    }
}

/// The plans of a site with somebody who acts outside.
fn plans_with(site: &Site, hands: &Arc<ScriptedHands>) -> Arc<Plans> {
    let service = site.service();
    let outside: Arc<dyn OutsideHands> = hands.clone();
    Arc::new(Plans::new(PlanParts {
        catalog: Arc::clone(&service.catalog),
        groups: Arc::clone(&service.groups),
        jobs: Arc::clone(&service.jobs),
        drills: Arc::clone(&service.drills),
        placements: Arc::clone(&service.placements),
        idempotency: Arc::clone(&service.idempotency),
        audit: Arc::clone(&service.audit),
        outside,
    }))
}

async fn begin(plans: &Arc<Plans>, site: &Site, plan: Value) -> PlanRunId {
    let plan: Plan = serde_json::from_value(plan).unwrap();
    let name = plan.name.clone();
    plans.apply(plan, |_| true, "ops".to_owned()).await.unwrap();
    let service = site.service();
    let Ok(Attempt::First(first)) = service.idempotency.begin("test", None, &()).await else {
        panic!("a request without a key is the first of its kind");
    };
    let wanted = WantedRun {
        plan: name,
        mode: Mode::Emergency,
        at: None,
        selection: Selection::default(),
        isolation_confirmed: false,
        interrupted_at: None,
        by: "ops".to_owned(),
    };
    plans.start(wanted, first).await.unwrap().id
}

async fn reaches(plans: &Plans, id: PlanRunId, wanted: impl Fn(&Run) -> bool) -> Run {
    loop {
        let record = plans.run(id).await.unwrap().unwrap();
        if wanted(&record.run) {
            return record.run;
        }
        tokio::task::yield_now().await;
    }
}

fn errands() -> Value {
    json!({
        "name": "outside",
        "steps": [
            {"id": "call", "do": {"script": {"program": "switch", "timeout_seconds": 5}}},
            {"id": "stay", "after": ["call"], "do": {"script": {"program": "stuck", "timeout_seconds": 5}}},
            {"id": "look", "after": ["stay"], "do": {"probe": {"target": {"tcp": {"host": "h", "port": 1}}, "within_seconds": 5}}},
        ],
    })
}

#[tokio::test]
async fn a_script_that_a_restart_cut_short_is_not_run_again_by_itself() {
    let site = Site::start().await;
    let hands = Arc::new(ScriptedHands::default());
    let first = plans_with(&site, &hands);
    let id = begin(&first, &site, errands()).await;
    let began = |run: &Run| {
        let (_, stay) = run.step(&"stay".into()).unwrap();
        stay.reference.is_some()
    };
    reaches(&first, id, began).await;
    first.stop().await;

    let second = plans_with(&site, &hands);
    second.resume().await.unwrap();
    let held = reaches(&second, id, |run| run.state() == RunState::Paused).await;
    let (_, stay) = held.step(&"stay".into()).unwrap();
    let failure = stay.failure.as_ref().unwrap();
    assert_eq!(failure.code, "script_interrupted");
    // Nobody knows whether it still runs, and how to find out is said.
    assert!(
        failure.remedy.contains(&format!("BCDR_ERRAND={id}-stay")),
        "{failure:?}"
    );
    assert_eq!(
        held.step(&"call".into()).unwrap().1.note.as_deref(),
        Some("switch was done")
    );
    let skip = Event::Skip {
        step: "stay".into(),
        by: Operator("ops".to_owned()),
        reason: "it had ended".to_owned(),
    };
    second.wish(id, skip).await.unwrap();
    let over = reaches(&second, id, |run| run.end.is_some()).await;
    assert_eq!(over.state(), RunState::SucceededInPart);
    assert_eq!(
        over.step(&"look".into()).unwrap().1.note.as_deref(),
        Some("h was done")
    );
    // The name of an errand says the run and the step, so that a repetition is recognised.
    let done = hands.done.lock().unwrap().clone();
    assert_eq!(done[0], format!("{id}-call"));
    assert_eq!(
        done.iter().filter(|name| name.ends_with("-call")).count(),
        1
    );
}

#[tokio::test]
async fn steps_that_nobody_can_carry_out_are_refused_and_a_cancel_stops_those_that_run() {
    let site = Site::start().await;
    let hands = Arc::new(ScriptedHands::default());
    let plans = plans_with(&site, &hands);
    let mut missing = errands();
    missing["steps"][0]["do"]["script"]["program"] = "missing".into();
    let missing: Plan = serde_json::from_value(missing).unwrap();
    let refused = plans
        .apply(missing, |_| true, "ops".to_owned())
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("step call: as scripted"),
        "{refused}"
    );
    let id = begin(&plans, &site, errands()).await;
    let runs = |run: &Run| run.step(&"stay".into()).unwrap().1.reference.is_some();
    reaches(&plans, id, runs).await;
    let cancel = Event::Cancel {
        by: Operator("ops".to_owned()),
        reason: None,
    };
    plans.wish(id, cancel).await.unwrap();
    let over = reaches(&plans, id, |run| run.end.is_some()).await;
    assert_eq!(over.state(), RunState::Cancelled);
    assert_eq!(
        over.step(&"stay".into())
            .unwrap()
            .1
            .failure
            .as_ref()
            .unwrap()
            .code,
        "stopped"
    );
}

#[tokio::test]
async fn what_was_cancelled_before_it_began_is_not_begun() {
    let site = Site::start().await;
    let hands = Arc::new(ScriptedHands::default());
    let plans = plans_with(&site, &hands);
    let id = begin(&plans, &site, errands()).await;
    reaches(&plans, id, |run| {
        run.step(&"stay".into()).unwrap().1.reference.is_some()
    })
    .await;
    let record = plans.run(id).await.unwrap().unwrap();
    let (stay, _) = record.run.step(&"stay".into()).unwrap();
    let begun_before = hands.done.lock().unwrap().len();
    let (answer, mut answers) = tokio::sync::mpsc::channel(4);
    let (show, shown) = tokio::sync::watch::channel(record.clone());
    let stop = CancellationToken::new();
    let attempt = |stop: &CancellationToken| OutsideAttempt {
        errand: Errand {
            name: "twice".to_owned(),
            facts: Facts::of(&record, &stay.id, 2),
            kind: stay.kind.clone(),
        },
        work: Work {
            step: stay.id.clone(),
            attempt: 2,
            reference: None,
            previous: None,
            stop: false,
        },
        answer: answer.clone(),
        shown: shown.clone(),
        stop: stop.clone(),
    };
    let stopped = |event: Event| {
        matches!(event, Event::Failed { failure, attempt: 2, .. } if failure.code == "stopped"
            && failure.cause.contains("nothing of it was done"))
    };

    // While it is being made durable that it begins.
    let carried: Arc<dyn OutsideHands> = hands.clone();
    let first = tokio::spawn(attempt(&stop).carry_out(Arc::clone(&carried)));
    let began = answers.recv().await.unwrap();
    assert!(matches!(began, Event::Began { .. }), "{began:?}");
    stop.cancel();
    let mut noted = record.clone();
    let retried = [
        Event::Failed {
            step: stay.id.clone(),
            attempt: 1,
            failure: failure("x"),
            point: None,
        },
        Event::Retry {
            step: stay.id.clone(),
        },
        began,
    ];
    for event in retried {
        noted.run.handle(&event, Timestamp(1)).unwrap();
    }
    show.send_replace(noted);
    assert!(stopped(answers.recv().await.unwrap()));
    first.await.unwrap();

    // Before that.
    attempt(&stop).carry_out(carried).await;
    assert!(stopped(answers.recv().await.unwrap()));
    assert_eq!(hands.done.lock().unwrap().len(), begun_before);
}

#[tokio::test]
async fn a_names_time_to_live_is_part_of_the_forecast() {
    let site = Site::start().await;
    let hands = Arc::new(ScriptedHands::default());
    let plans = plans_with(&site, &hands);
    let switch = json!({
        "name": "switch",
        "steps": [{"id": "www", "do": {"dns": {
            "server": "ns1", "zone": "example.org", "name": "www.example.org", "record": "A",
            "values": ["192.0.2.7"], "ttl_seconds": 60, "key": "ns1.key",
        }}}],
    });
    let id = begin(&plans, &site, switch).await;
    reaches(&plans, id, |run| run.end.is_some()).await;
    let record = plans.get("switch").await.unwrap();
    let told = plans
        .forecast(&record, Mode::Emergency, &Selection::default())
        .await;
    let told = told.unwrap();
    assert!(
        told.is_complete && told.at_least >= Duration::from_secs(300),
        "{told:?}"
    );
}
