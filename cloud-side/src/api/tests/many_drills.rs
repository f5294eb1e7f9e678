//! Several drills of one group at once.

use super::{GOOD_BOOT, ScriptedTarget, replicated};
use crate::testing::site::Site;
use serde_json::{Value, json};
use std::{collections::BTreeSet, sync::Arc};

#[tokio::test]
async fn ten_drills_of_a_group_run_or_wait_and_the_next_is_refused() {
    let site = Site::start_on(Arc::new(ScriptedTarget::new(GOOD_BOOT))).await;
    let (_source, _gateway) = replicated(&site).await;
    let body = json!({"group": "lab", "at": "latest", "hold_seconds": 3600});
    let mut drills = Vec::new();
    for _ in 0..10 {
        let asked = site.post("/api/v1/drills", body.clone()).await;
        drills.push((asked.location.clone().unwrap(), asked.expect(202)));
    }
    site.post("/api/v1/drills", body)
        .await
        .problem(409, "too_many_drills");
    let group = site.get("/api/v1/groups/lab").await.expect(200);
    assert_eq!(group["drill"]["running"], 10, "{}", group["drill"]);
    let start = group["allowed_actions"].as_array().unwrap();
    let start = start.iter().find(|action| action["name"] == "start_drill");
    assert_eq!(start.unwrap()["allowed"], false);

    // Two machines may run at once; each has a view of its own, which shows its drill.
    let path = |drill: &Value| format!("/api/v1/drills/{}", drill["id"].as_str().unwrap());
    for (_, drill) in &drills[..2] {
        site.until(&path(drill), |drill| drill["progress"]["phase"] == "hold")
            .await;
    }
    let views = site.get("/api/v1/views").await.expect(200);
    let shown: BTreeSet<&str> = views["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|view| view["drill"].as_str().unwrap())
        .collect();
    let held = drills[..2].iter().map(|(_, drill)| drill["id"].as_str());
    assert_eq!(shown, held.flatten().collect());

    for (location, drill) in &drills {
        site.post(&format!("{}/actions/stop", path(drill)), json!({}))
            .await
            .expect(202);
        let job = site.get(&format!("{location}?wait_seconds=60")).await;
        // A drill that was held has climbed its ladder; it may end before it hears that it is to stop.
        let state = job.expect(200)["state"].clone();
        assert!(
            ["cancelled", "succeeded"].contains(&state.as_str().unwrap()),
            "{state}"
        );
    }
    let none = |group: &Value| group["drill"]["running"] == 0;
    let group = site.until("/api/v1/groups/lab", none).await;
    assert_eq!(group["drill"]["state"], "none");
}
