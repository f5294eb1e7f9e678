//! ETags: changes on condition, answers that are known, and plans that are only looked at.

use crate::testing::site::{Answer, Site};
use serde_json::{Value, json};

fn tag(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.headers["etag"].to_str().unwrap().to_owned()
}

/// The version that a tag begins with.
fn version(tag: &str) -> &str {
    tag.trim_matches('"').split('-').next().unwrap()
}

async fn change(site: &Site, method: &str, path: &str, body: Value, tag: &str) -> Answer {
    let body = (method != "DELETE").then_some(body);
    site.send(method, path, body, &[("if-match", tag)]).await
}

/// What was read is known until it is changed.
async fn is_known(site: &Site, path: &str, tag: &str) -> bool {
    let known = [("if-none-match", tag)];
    let answer = site.send("GET", path, None, &known).await;
    match answer.status {
        304 => {
            assert_eq!(answer.headers["etag"], tag);
            assert_eq!(answer.body, b"");
            true
        }
        _ => {
            answer.expect(200);
            false
        }
    }
}

#[tokio::test]
async fn a_user_that_was_changed_meanwhile_is_not_changed_unseen() {
    let site = Site::start().await;
    let body = json!({"name": "ada", "role": "viewer", "password": "correct horse battery"});
    site.post("/api/v1/users", body).await.expect(201);
    let path = "/api/v1/users/ada";
    let read = tag(&site.get(path).await);
    assert!(is_known(&site, path, &read).await);
    let first = change(&site, "PATCH", path, json!({"role": "operator"}), &read).await;
    let second_tag = tag(&first);
    assert_ne!(second_tag, read);
    assert!(!is_known(&site, path, &read).await);
    assert!(is_known(&site, path, &second_tag).await);

    // Somebody who read it before does nothing of all this.
    let password = json!({"password": "another long password"});
    for (method, path, body) in [
        ("PATCH", path.to_owned(), json!({"disabled": true})),
        ("PUT", format!("{path}/password"), password.clone()),
        ("DELETE", path.to_owned(), Value::Null),
    ] {
        let refused = change(&site, method, &path, body, &read).await;
        let problem = refused.problem(412, "changed_meanwhile");
        assert!(problem["cause"].is_string(), "{problem}");
    }
    let shown = site.get(path).await;
    assert_eq!(tag(&shown), second_tag);
    assert_eq!(shown.expect(200)["role"], "operator");
    let odd = change(&site, "PATCH", path, json!({"disabled": true}), "7").await;
    assert_eq!(odd.expect(422)["field"], "If-Match");

    let set = format!("{path}/password");
    let third = tag(&change(&site, "PUT", &set, password, &second_tag).await);
    assert_ne!(third, second_tag);
    let gone = change(&site, "DELETE", path, Value::Null, &third).await;
    assert_eq!(gone.status, 204);
}

#[tokio::test]
async fn a_schedule_is_replaced_only_as_it_was_read_and_made_only_once() {
    let site = Site::start().await;
    let _source = site.group().await;
    let path = "/api/v1/groups/lab/drill-schedule";
    let daily = || json!({"every_seconds": 86_400});
    let hourly = || json!({"every_seconds": 3600});
    let missing = change(&site, "PUT", path, daily(), "\"1\"").await;
    missing.problem(412, "changed_meanwhile");
    let only_new = [("if-none-match", "*")];
    let made = site.send("PUT", path, Some(daily()), &only_new).await;
    let first = tag(&made);
    let again = site.send("PUT", path, Some(hourly()), &only_new).await;
    again.problem(412, "changed_meanwhile");
    assert_eq!(tag(&site.get(path).await), first);
    assert!(is_known(&site, path, &first).await);

    let second = tag(&change(&site, "PUT", path, hourly(), &first).await);
    assert_ne!(version(&second), version(&first));
    for (method, body) in [("PUT", daily()), ("DELETE", Value::Null)] {
        let refused = change(&site, method, path, body, &first).await;
        refused.problem(412, "changed_meanwhile");
    }
    assert_eq!(site.get(path).await.expect(200)["every_seconds"], 3600);
    // The version alone will do.
    let alone = format!("\"{}\"", version(&second));
    let gone = change(&site, "DELETE", path, Value::Null, &alone).await;
    assert_eq!(gone.status, 204);
    let missing = change(&site, "DELETE", path, Value::Null, &alone).await;
    missing.problem(404, "drill_schedule_not_found");
}

fn plan(steps: &Value) -> Value {
    json!({"name": "shop", "steps": steps})
}

#[tokio::test]
async fn a_plan_is_looked_at_without_being_applied() {
    let site = Site::start().await;
    site.group_named("db").await;
    let path = "/api/v1/plans/shop";
    let dry = "/api/v1/plans/shop?dry_run=true";
    let steps = json!([{"id": "db", "do": {"group": {"name": "db"}}}]);
    let good = plan(&steps);
    let would_be = site.send("PUT", dry, Some(good.clone()), &[]).await;
    assert!(!would_be.headers.contains_key("etag"));
    let would_be = would_be.expect(200);
    assert_eq!(would_be["version"], 1);
    assert_eq!(would_be["document"]["at_once"], 4, "{would_be}");
    site.get(path).await.problem(404, "plan_not_found");
    let events = site.get("/api/v1/events?object=plan").await.expect(200);
    assert_eq!(events["items"].as_array().unwrap().len(), 1, "{events}");
    // The log of what was done says that it was none.
    let log = site
        .get("/api/v1/audit?action=apply_plan")
        .await
        .expect(200);
    assert_eq!(log["items"][0]["changes"]["dry_run"], "true", "{log}");

    // Everything that is wrong is listed, and nothing of it is kept.
    let steps = json!([
        {"id": "db", "do": {"group": {"name": "db"}}},
        {"id": "web", "after": ["gone"], "do": {"group": {"name": "web"}}},
    ]);
    for path in [dry, path] {
        let refused = site.send("PUT", path, Some(plan(&steps)), &[]).await;
        let problem = refused.problem(422, "plan_faults");
        let faults = problem["faults"].as_array().unwrap();
        let codes: Vec<_> = faults.iter().map(|fault| &fault["code"]).collect();
        assert!(codes.contains(&&json!("unknown_group")), "{problem}");
        assert!(faults.len() > 1, "{problem}");
        for fault in faults {
            assert_eq!(fault["part"], "web", "{problem}");
            assert!(fault["cause"].is_string() && fault["remedy"].is_string());
        }
    }
    site.get(path).await.problem(404, "plan_not_found");

    let applied = site.send("PUT", path, Some(good.clone()), &[]).await;
    let first = tag(&applied);
    assert_eq!(version(&first), "1");
    assert!(is_known(&site, path, &first).await);
    let mut other = good.clone();
    other["description"] = "the shop".into();
    let late = change(&site, "PUT", dry, other.clone(), "\"7\"").await;
    late.problem(412, "changed_meanwhile");
    let would_be = change(&site, "PUT", dry, other.clone(), &first).await;
    assert_eq!(would_be.expect(200)["version"], 2);
    assert_eq!(site.get(path).await.expect(200)["version"], 1);
    // What would be the same has the version that there is.
    let same = site.send("PUT", dry, Some(good), &[]).await.expect(200);
    assert_eq!(same["version"], 1);
    let only_new = [("if-none-match", "*")];
    let again = site.send("PUT", path, Some(other.clone()), &only_new).await;
    again.problem(412, "changed_meanwhile");
    let second = tag(&change(&site, "PUT", path, other, &first).await);
    let late = change(&site, "DELETE", path, Value::Null, &first).await;
    late.problem(412, "changed_meanwhile");
    let gone = change(&site, "DELETE", path, Value::Null, &second).await;
    assert_eq!(gone.status, 204);
    let removed = site
        .get("/api/v1/events?object=plan&kind=removed")
        .await
        .expect(200);
    assert_eq!(removed["items"][0]["object_id"], "shop", "{removed}");
}

#[tokio::test]
async fn a_plan_says_what_may_be_done_with_it() {
    let site = Site::start().await;
    let (_source, _gateway) = super::replicated(&site).await;
    site.group_named("web").await;
    let allowed = |plan: &Value, name: &str| {
        let actions = plan["allowed_actions"].as_array().unwrap().clone();
        let found = actions.into_iter().find(|action| action["name"] == name);
        found.unwrap_or_else(|| panic!("no {name} in {plan}"))
    };
    let put = async |groups: &[&str]| {
        let step = |name: &&str| json!({"id": name, "do": {"group": {"name": name}}});
        let mut steps: Vec<_> = groups.iter().map(step).collect();
        steps.push(json!({"id": "go", "do": {"approval": {"message": "well?"}}}));
        let plan = plan(&json!(steps));
        let path = "/api/v1/plans/shop";
        site.send("PUT", path, Some(plan), &[]).await.expect(200)
    };
    let pointless = put(&["lab", "web"]).await;
    let run = allowed(&pointless, "run");
    assert_eq!(run["allowed"], false, "{run}");
    assert!(run["reason"].to_string().contains("group web"), "{run}");
    assert!(run["remedy"].is_string());
    let good = put(&["lab"]).await;
    assert_eq!(allowed(&good, "run")["allowed"], true, "{good}");
    assert_eq!(allowed(&good, "remove")["allowed"], true);

    let wanted = json!({"plan": "shop", "mode": "drill"});
    let run = site.post("/api/v1/plan-runs", wanted).await.expect(202);
    let id = run["id"].as_str().unwrap();
    let listed = site.get("/api/v1/plans").await.expect(200);
    for verb in ["run", "remove"] {
        let action = allowed(&listed["items"][0], verb);
        assert_eq!(action["allowed"], false, "{action}");
        assert!(action["reason"].to_string().contains(id), "{action}");
    }
    let refused = site.delete("/api/v1/plans/shop").await;
    refused.problem(409, "plan_run_running");
    let cancel = format!("/api/v1/plan-runs/{id}/actions/cancel");
    site.post(&cancel, json!({})).await.expect(200);
    let over = |run: &Value| run["ended_at"].is_string();
    site.until(&format!("/api/v1/plan-runs/{id}"), over).await;
    assert_eq!(site.delete("/api/v1/plans/shop").await.status, 204);
    let old = site.get("/api/v1/plans/shop?version=1").await.expect(200);
    assert_eq!(allowed(&old, "run")["reason"], "the plan was removed");
}
