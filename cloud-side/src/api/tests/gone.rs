//! Clients that go away in the middle of a start, and ends that cannot be kept at once.

use super::replicated;
use crate::{
    catalog::Document,
    drills::DrillRecord,
    idempotency::{Attempt, FirstAttempt},
    jobs::{JobKind, JobRecord, select},
    plans::{PlanRunRecord, WantedRun},
    points::{Instant, resolve},
    target::LaunchSettings,
    testing::site::Site,
};
use bcdr_plan::{Mode, Plan, Selection};
use serde_json::{Value, json};
use std::{
    pin::pin,
    task::Poll::{Pending, Ready},
    time::Duration,
};

async fn first(site: &Site, key: &str) -> FirstAttempt {
    let idempotency = &site.service().idempotency;
    match idempotency.begin("test", Some(key), &key).await {
        Ok(Attempt::First(first)) => first,
        _ => panic!("the key was used before"),
    }
}

/// Lets `start` get on just so far that a document of its kind is durable, then drops it, as the
/// server does with a request whose client is gone.
async fn dropped_when_durable<Kind: Document>(
    site: &Site,
    start: impl Future,
    wanted: impl Fn(&Kind) -> bool,
) -> Kind {
    let service = site.service();
    let mut start = pin!(start);
    for _ in 0..1000 {
        std::future::poll_fn(|context| match start.as_mut().poll(context) {
            Ready(_) => panic!("it ended before it could be dropped"),
            Pending => Ready(()),
        })
        .await;
        // What it waits for ends meanwhile.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let mut found = select(&service.catalog, None, 1, &wanted).unwrap();
        if let Some(found) = found.pop() {
            return found;
        }
    }
    panic!("nothing became durable");
}

#[tokio::test]
async fn a_group_whose_client_goes_away_is_served_all_the_same() {
    let site = Site::start().await;
    let wanted = json!({"name": "left", "volumes": [{"name": "a", "size_bytes": 4096}]});
    let wanted = serde_json::from_value(wanted).unwrap();
    let service = axum::extract::State(site.service());
    {
        let mut making = pin!(crate::api::groups::make(&service, wanted));
        let waits =
            std::future::poll_fn(|context| Ready(making.as_mut().poll(context).is_pending()));
        assert!(waits.await, "it was made at once");
    }
    let lists = |groups: &Value| groups["items"][0]["name"] == "left";
    site.until("/api/v1/groups", lists).await;
}

#[tokio::test]
async fn a_drill_whose_client_goes_away_is_run_all_the_same() {
    let site = Site::start().await;
    let (source, _gateway) = replicated(&site).await;
    let service = site.service();
    let group = service.groups.get(source.group).unwrap();
    let row = resolve(&service.catalog, group.lineage(), &Instant::Latest).unwrap();
    let (row, settings) = (row.unwrap(), LaunchSettings::default());
    let start = service
        .drills
        .start(&group, &row, settings, 0, first(&site, "drill").await);
    let drill: DrillRecord = dropped_when_durable(&site, start, |_| true).await;
    let job = service.jobs.wait(drill.job, Duration::from_secs(60)).await;
    let job = job.unwrap().unwrap();
    assert!(job.state.is_final(), "nobody ran it: {job:?}");
    // The key is remembered, and is free to be asked for.
    let again = service.idempotency.begin("test", Some("drill"), &"drill");
    assert!(matches!(again.await, Ok(Attempt::Repeated(known)) if known == drill.job));
}

#[tokio::test]
async fn an_inspection_whose_client_goes_away_is_made_all_the_same() {
    let site = Site::start().await;
    let (source, _gateway) = replicated(&site).await;
    let service = site.service();
    let group = service.groups.get(source.group).unwrap();
    let row = resolve(&service.catalog, group.lineage(), &Instant::Latest).unwrap();
    let machine = service.inspections.usual_machine(group.id());
    let row = row.unwrap();
    // The one that is made without being asked comes first.
    site.until("/api/v1/groups/lab", |group| {
        !group["readiness"]["checked_at"].is_null()
    })
    .await;
    let start = service
        .inspections
        .start(&group, &row, machine, first(&site, "look").await);
    let is_one = |job: &JobRecord| job.kind == JobKind::Readiness;
    let job = dropped_when_durable(&site, start, is_one).await;
    let job = service.jobs.wait(job.id, Duration::from_secs(60)).await;
    let job = job.unwrap().unwrap();
    assert!(job.state.is_final(), "nobody made it: {job:?}");
}

#[tokio::test]
async fn a_run_of_a_plan_whose_client_goes_away_is_driven_all_the_same() {
    let site = Site::start().await;
    let service = site.service();
    let plan = json!({"name": "pause", "steps": [{"id": "stay", "do": {"wait": {"seconds": 1}}}]});
    let plan: Plan = serde_json::from_value(plan).unwrap();
    service
        .plans
        .apply(plan, |_| true, "ops".to_owned())
        .await
        .unwrap();
    let wanted = WantedRun {
        plan: "pause".to_owned(),
        mode: Mode::Drill,
        at: None,
        selection: Selection::default(),
        isolation_confirmed: false,
        interrupted_at: None,
        by: "ops".to_owned(),
    };
    let start = service.plans.start(wanted, first(&site, "run").await);
    let run: PlanRunRecord = dropped_when_durable(&site, start, |_| true).await;
    let path = format!("/api/v1/plan-runs/{}", run.id);
    let drive = site.until(&path, |run| run["state"] == "succeeded");
    tokio::time::timeout(Duration::from_secs(60), drive)
        .await
        .expect("nobody drove it");
}

#[tokio::test]
async fn the_end_of_a_drill_is_kept_as_soon_as_it_can_be() {
    let site = Site::start().await;
    let (_source, _gateway) = replicated(&site).await;
    let catalog = &site.service().catalog;
    for text in [r#""state":"passed""#, r#""state":"succeeded""#] {
        catalog.refuse_what_says(text, 2);
        let body = json!({"group": "lab", "at": "latest"});
        let asked = site.post("/api/v1/drills", body).await;
        let id = asked.expect(202)["id"].as_str().unwrap().to_owned();
        let waited = format!("{}?wait_seconds=60", asked.location.unwrap());
        let job = site.get(&waited).await.expect(200);
        assert_eq!(job["state"], "succeeded", "{text}: {job}");
        let drill = site.get(&format!("/api/v1/drills/{id}")).await.expect(200);
        assert_eq!(drill["state"], "passed", "{text}: {drill}");
    }
}
