//! Bounds on what clients ask for.

use crate::testing::site::Site;
use serde_json::{Value, json};

#[tokio::test]
async fn who_asks_too_often_waits_and_what_brings_production_back_never_does() {
    let mut site = Site::start().await;
    let body = json!({"name": "wall", "role": "viewer"});
    let token = site.post("/api/v1/tokens", body).await.expect(201);
    let bearer = format!("Bearer {}", token["token"].as_str().unwrap());
    site.stop().await;
    // So slow that no test can be slow enough for it.
    site.config.api.requests_per_second = 1;
    site.config.api.request_burst = 2;
    site.resume().await;
    let mut refused = None;
    for _ in 0..1000 {
        let answer = site.get("/api/v1/groups").await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
        answer.expect(200);
    }
    let refused = refused.expect("nothing bounds the requests of a token");
    let problem = refused.problem(429, "too_many_requests");
    assert_eq!(problem["retry_after_seconds"], 1, "{problem}");
    assert_eq!(refused.headers["retry-after"], "1");

    // Without a group there is nothing to bring back, and that is what is said, every time.
    let failover = json!({"group": "lab", "confirm": "lab", "mode": "emergency"});
    let run = json!({"plan": "shop", "mode": "emergency", "confirm": "shop"});
    for _ in 0..10 {
        for (path, body) in [
            ("/api/v1/failovers", &failover),
            (
                "/api/v1/failovers/fov-1/actions/commit",
                &json!({"confirm": "lab"}),
            ),
            (
                "/api/v1/failovers/fov-1/actions/rollback",
                &json!({"confirm": "lab"}),
            ),
            (
                "/api/v1/groups/lab/placement/actions/keep_target",
                &json!({"confirm": "lab"}),
            ),
            ("/api/v1/plan-runs", &run),
        ] {
            let answer = site.post(path, body.clone()).await;
            assert_eq!(answer.status, 404, "{path}: {answer:?}");
        }
    }
    // Others have a count of their own.
    let headers = [("authorization", bearer.as_str())];
    let other = site
        .send_with("GET", "/api/v1/groups", None, &headers)
        .await;
    other.expect(200);

    // Before anybody is known the address counts, but not for signing in.
    let mut statuses = Vec::new();
    for _ in 0..1000 {
        let answer = site.send_with("GET", "/api/v1/setup", None, &[]).await;
        statuses.push(answer.status);
        if answer.status == 429 {
            answer.problem(429, "too_many_requests");
            break;
        }
    }
    assert_eq!(statuses.last(), Some(&429));
    let login = json!({"name": "root", "password": "wrong password"});
    let login = site
        .send_with("POST", "/api/v1/session", Some(login), &[])
        .await;
    login.problem(401, "wrong_password");
    assert_eq!(site.send_with("GET", "/livez", None, &[]).await.status, 200);
}

#[test]
fn every_list_is_given_in_pages() {
    let document: Value = serde_json::from_str(&super::super::openapi_json()).unwrap();
    let mut lists = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let operation = &item["get"];
        let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"];
        let name = schema["$ref"].as_str().unwrap_or_default();
        let name = name.rsplit('/').next().unwrap();
        let shape = &document["components"]["schemas"][name]["properties"];
        if !shape["next_cursor"].is_object() {
            continue;
        }
        let parameters = operation["parameters"].as_array().unwrap();
        for wanted in ["limit", "cursor"] {
            let named = parameters.iter().any(|one| one["name"] == wanted);
            assert!(named, "{path} has no {wanted}");
        }
        lists += 1;
    }
    assert!(lists >= 15, "only {lists} lists");
}
