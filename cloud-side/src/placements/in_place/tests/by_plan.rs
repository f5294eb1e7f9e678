//! A plan that recovers a group whose source was just put back.

use super::{Home, path_of, start};
use crate::testing::site::Site;
use serde_json::{Value, json};

/// The point from which the plan's check says that it would recover the group.
async fn looked_up(site: &Site, query: &str) -> Value {
    let path = format!("/api/v1/plans/shop/check?mode=emergency{query}");
    let check = site.get(&path).await.expect(200);
    check["points"][0]["point"].clone()
}

#[tokio::test]
async fn a_group_that_was_just_put_back_is_recovered_from_where_it_was_put_back_to() {
    let site = Site::start().await;
    let (mut home, point) = Home::replicated(&site).await;
    let newest = site.get("/api/v1/groups/lab").await.expect(200);
    let newest = newest["latest_point"].clone();
    let step = json!({"id": "db", "do": {"group": {"name": "lab"}}});
    let plan = json!({"name": "shop", "steps": [step]});
    let path = "/api/v1/plans/shop";
    site.send("PUT", path, Some(plan), &[]).await.expect(200);
    assert_eq!(looked_up(&site, "").await, newest["id"]);

    // It is put back, and lost before anything newer than what it was restored away from is a point.
    home.compares = true;
    let id = start(&site, &point).await;
    let resumes = |restore: &Value| restore["step"] == "resume_forward";
    let restore = home.until(&site, &path_of(&id), resumes).await;
    let Home { gateway, .. } = home;
    drop(gateway);
    let gone = |group: &Value| group["gateway"]["connected"] == false;
    site.until("/api/v1/groups/lab", gone).await;
    assert_ne!(restore["undo_point"], newest["id"]);
    assert_eq!(looked_up(&site, "").await, point);
    assert_eq!(looked_up(&site, "&at=1971-01-01T00:00:00Z").await, point);
    // Who asks for a time before it was put back means what there was then.
    let then = format!("&at={}", newest["covers_until"].as_str().unwrap());
    assert_eq!(looked_up(&site, &then).await, newest["id"]);

    let wanted = json!({"plan": "shop", "mode": "emergency", "confirm": "shop"});
    let run = site.post("/api/v1/plan-runs", wanted).await.expect(202);
    let path = format!("/api/v1/plan-runs/{}", run["id"].as_str().unwrap());
    let rests = |run: &Value| run["state"] == "succeeded" || run["state"] == "paused";
    let run = site.until(&path, rests).await;
    assert_eq!(run["state"], "succeeded", "{run}");
    let failover = run["steps"][0]["reference"].as_str().unwrap();
    let path = format!("/api/v1/failovers/{failover}");
    let failover = site.get(&path).await.expect(200);
    assert_eq!(failover["point"], point, "{failover}");
}
