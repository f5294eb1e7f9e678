//! What was: the age of the points by the hour, points of a time, and the points of a branch.

use super::replicated;
use crate::{
    branch::BranchReason,
    branches::BaseImage,
    catalog::DocumentRow,
    rpo_history::hour::{Hour, Sample, between},
    testing::site::Site,
};
use bcdr_format::{GroupId, Timestamp};
use bytes::Bytes;
use serde_json::{Value, json};
use std::time::Duration;

const HOUR: i64 = 3600;

/// What was measured between these seconds since 1970, with this age at the end.
fn measured(group: GroupId, from: i64, to: i64, age_ms: u64) -> Vec<Hour> {
    let sample = |seconds: i64, age_ms| Sample {
        at: Timestamp(seconds * 1_000_000),
        age_ms,
    };
    let elapsed = Duration::from_secs((to - from).unsigned_abs());
    between(group, sample(from, 200), sample(to, age_ms), elapsed)
}

#[tokio::test]
async fn the_age_of_the_points_is_shown_by_the_hour_and_what_is_unknown_is_not_made_up() {
    let site = Site::start().await;
    let lab = site.group_named("lab").await.group;
    let service = site.service();
    // Hour 10: measured. Hour 11: nothing at all. Hour 12: nobody measured. Hour 13: measured again.
    let mut hours = Vec::new();
    for second in 0..10 {
        let at = 10 * HOUR + second;
        hours.extend(measured(lab, at, at + 1, 200));
    }
    hours.extend(measured(lab, 12 * HOUR, 13 * HOUR, 100));
    hours.extend(measured(lab, 13 * HOUR, 13 * HOUR + 2, 2200));
    let other = GroupId::from_u128(9);
    hours.extend(measured(other, 11 * HOUR, 11 * HOUR + 4, 9_000_000));
    for hour in hours {
        let key = Hour::key_of(hour.group, hour.hour);
        let mut merged: Hour = service
            .catalog
            .document(&key)
            .unwrap()
            .unwrap_or(hour.clone());
        if merged != hour {
            merged.merge(&hour);
        }
        service
            .catalog
            .put_documents(&[DocumentRow::of(&merged)])
            .unwrap();
    }
    let path = "/api/v1/groups/lab/samples?from=1970-01-01T10:30:00Z&to=1970-01-01T14:00:00Z";
    let shown = site.get(path).await.expect(200);
    assert_eq!(shown["step_seconds"], 3600);
    let items = shown["items"].as_array().unwrap();
    assert_eq!(items.len(), 4, "{shown}");
    assert_eq!(items[0]["from"], "1970-01-01T10:00:00Z");
    assert_eq!(items[0]["to"], items[1]["from"]);
    assert_eq!(items[0]["worst_seconds"], 1.2, "{shown}");
    assert_eq!(items[0]["measured_seconds"], 10.0);
    assert_eq!(items[0]["blind_seconds"], 0.0);
    for unknown in &items[1..3] {
        assert!(unknown["worst_seconds"].is_null(), "{shown}");
        assert!(unknown["p95_seconds"].is_null(), "{shown}");
        assert_eq!(unknown["measured_seconds"], 0.0);
    }
    assert_eq!(items[1]["blind_seconds"], 0.0);
    assert_eq!(items[2]["blind_seconds"], 3600.0);
    assert_eq!(items[3]["worst_seconds"], 2.2);
    assert_eq!(items[3]["measured_seconds"], 2.0);

    let long = site.get(&format!("{path}&step=7200")).await.expect(200);
    let items = long["items"].as_array().unwrap();
    assert_eq!(items.len(), 2, "{long}");
    assert_eq!(items[0]["worst_seconds"], 1.2);
    // Partly blind: the age is reckoned to have grown, and how long is said.
    assert_eq!(items[1]["measured_seconds"], 2.0);
    assert_eq!(items[1]["blind_seconds"], 3600.0);
    assert!(items[1]["worst_seconds"].as_f64().unwrap() > 3600.0);

    for (query, field) in [
        ("step=60", "step"),
        ("from=2000-01-01T00:00:00Z", "from"),
        ("to=2000-01-01T00:00:00Z&from=2001-01-01T00:00:00Z", "to"),
    ] {
        let refused = site
            .get(&format!("/api/v1/groups/lab/samples?{query}"))
            .await;
        assert_eq!(refused.expect(422)["field"], field, "{query}");
    }
    site.get("/api/v1/groups/nobody/samples")
        .await
        .problem(404, "group_not_found");
}

#[tokio::test]
async fn what_is_measured_now_is_in_the_last_sample() {
    let site = Site::start().await;
    let (_source, _gateway) = replicated(&site).await;
    let is_measured = |shown: &Value| {
        let items = shown["items"].as_array().unwrap();
        assert_eq!(items.len(), 24);
        // An hour may begin while this runs.
        let last = items.iter().rev().take(2);
        last.map(|item| item["measured_seconds"].as_f64().unwrap())
            .sum::<f64>()
            > 0.0
    };
    site.until("/api/v1/groups/lab/samples", is_measured).await;
}

fn ids(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["id"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn points_of_a_time_are_listed_with_both_ends() {
    let site = Site::start().await;
    let (mut source, mut gateway) = replicated(&site).await;
    for number in 1..6 {
        // Each a moment later than the one before it.
        tokio::time::sleep(Duration::from_millis(2)).await;
        let batch = source.batch(u64::from(number), number + 1);
        gateway.ship(&batch).await;
        gateway.durable(source.end()).await;
    }
    let path = "/api/v1/groups/lab/points";
    let all = site.get(path).await.expect(200);
    let whole = ids(&all);
    assert_eq!(whole.len(), 6, "{all}");
    let time = |place: usize| all["items"][place]["time"].as_str().unwrap();
    let list = async |query: String| site.get(&format!("{path}?{query}")).await.expect(200);
    let (newer, older) = (time(1), time(4));
    assert!(newer > older, "{all}");
    let between = list(format!("from={older}&to={newer}")).await;
    assert_eq!(ids(&between), whole[1..5]);
    assert_eq!(ids(&list(format!("from={newer}")).await), whole[..2]);
    assert_eq!(ids(&list(format!("to={older}")).await), whole[4..]);
    // Over pages as well.
    let first = list(format!("from={older}&to={newer}&limit=3")).await;
    assert_eq!(ids(&first), whole[1..4]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = list(format!("from={older}&to={newer}&limit=3&cursor={cursor}")).await;
    assert_eq!(ids(&rest), whole[4..5]);
    assert!(rest["next_cursor"].is_null(), "{rest}");
    let none = list("to=1969-01-01T00:00:00Z".to_owned()).await;
    assert_eq!(none["items"], json!([]));
    let refused = site.get(&format!("{path}?from={newer}&to={older}")).await;
    assert_eq!(refused.expect(422)["field"], "to");
}

fn action(object: &Value, name: &str) -> Value {
    let actions = object["allowed_actions"].as_array().unwrap();
    let found = actions.iter().find(|action| action["name"] == name);
    found
        .unwrap_or_else(|| panic!("no {name} in {object}"))
        .clone()
}

#[tokio::test]
async fn a_branch_lists_its_own_points_and_says_what_may_be_done_with_it() {
    let site = Site::start().await;
    let (source, _gateway) = replicated(&site).await;
    let service = site.service();
    let group = service.groups.get(source.group).unwrap();
    let row = service.catalog.latest_point(group.lineage()).unwrap();
    let (row, reader) = (row.unwrap(), group.reader().unwrap());
    let branches = std::sync::Arc::clone(&service.branches);
    let (lower, upper) = tokio::task::spawn_blocking(move || {
        let base = BaseImage::Replica(reader);
        let lower = branches.create(base, row.number, BranchReason::Copy);
        let lower = lower.unwrap();
        let volume = lower.volumes()[0].number;
        lower.write(volume, 0, Bytes::from(vec![1; 4096])).unwrap();
        lower.flush().unwrap();
        let newest = branches_newest(&branches, lower.id());
        let upper = branches.create(BaseImage::Branch(lower.id()), newest, BranchReason::Copy);
        (lower.id(), upper.unwrap().id())
    })
    .await
    .unwrap();
    let of = |id| format!("/api/v1/branches/{id}");
    let shown = site.get(&of(lower)).await.expect(200);
    let points = site.get(&format!("{}/points", of(lower))).await.expect(200);
    assert_eq!(points["items"][0]["id"], shown["latest_point"]["id"]);
    let groups_own = site.get("/api/v1/groups/lab/points").await.expect(200);
    assert_ne!(ids(&points), ids(&groups_own));
    let later = "from=2999-01-01T00:00:00Z";
    let none = format!("{}/points?{later}", of(lower));
    assert_eq!(site.get(&none).await.expect(200)["items"], json!([]));
    site.get("/api/v1/branches/nothing/points")
        .await
        .problem(404, "branch_not_found");

    // What is shown as not allowed is refused for just that reason.
    assert_eq!(action(&shown, "open_view")["allowed"], true, "{shown}");
    let remove = async |id| {
        let path = format!("{}/actions/remove", of(id));
        site.post(&path, json!({"confirm": "lab"})).await
    };
    let is_refused = async |because: &str| {
        let shown = site.get(&of(lower)).await.expect(200);
        let action = action(&shown, "remove");
        assert_eq!(action["allowed"], false, "{shown}");
        assert!(action["reason"].to_string().contains(because), "{action}");
        let problem = remove(lower).await.problem(409, "branch_in_use");
        assert_eq!(problem["detail"], action["reason"]);
        assert_eq!(problem["remedy"], action["remedy"]);
    };
    is_refused(&format!("branch {upper} lies above")).await;
    assert_eq!(remove(upper).await.status, 204);
    let wanted = json!({"group": "lab", "at": "latest", "branch": lower.to_string()});
    let view = site.post("/api/v1/views", wanted).await.expect(201);
    assert_eq!(action(&view, "close")["allowed"], true, "{view}");
    is_refused(view["id"].as_str().unwrap()).await;
    let close = format!("/api/v1/views/{}", view["id"].as_str().unwrap());
    assert_eq!(site.delete(&close).await.status, 204);
    let shown = site.get(&of(lower)).await.expect(200);
    assert_eq!(action(&shown, "remove")["allowed"], true, "{shown}");
    assert_eq!(remove(lower).await.status, 204);
    let events = site
        .get("/api/v1/events?kind=removed&group=lab")
        .await
        .expect(200);
    let gone: Vec<_> = events["items"].as_array().unwrap().iter().collect();
    let objects: Vec<_> = gone.iter().map(|event| &event["object"]).collect();
    assert_eq!(objects[..3], ["branch", "view", "branch"], "{events}");
}

fn branches_newest(
    branches: &crate::branches::Branches,
    id: crate::branch::BranchId,
) -> crate::receive::BatchNumber {
    branches.get(id).unwrap().head_point().batch
}
