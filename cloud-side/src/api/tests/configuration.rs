//! The configuration as one document: what it holds, what an apply makes of it, and for whom.

use super::access::PASSWORD;
use crate::testing::site::{Answer, Site};
use serde_json::{Value, json};

const PATH: &str = "/api/v1/configuration";

fn apply_path(query: &str) -> String {
    format!("{PATH}/actions/apply?{query}")
}

async fn apply(site: &Site, document: &Value, query: &str) -> Answer {
    site.post(&apply_path(query), document.clone()).await
}

fn volumes() -> Value {
    json!([{"name": "root", "size_bytes": 65536}])
}

fn plan(groups: &[&str]) -> Value {
    let step = |name: &&str| json!({"id": name, "do": {"group": {"name": name}}});
    let steps: Vec<_> = groups.iter().map(step).collect();
    json!({"name": "shop", "steps": steps})
}

async fn user(site: &Site, name: &str, role: &str) {
    let body = json!({"name": name, "role": role, "password": PASSWORD});
    site.post("/api/v1/users", body).await.expect(201);
}

/// A token of a role, as a header.
async fn bearer(site: &Site, role: &str) -> String {
    let body = json!({"name": format!("a {role}"), "role": role});
    let token = site.post("/api/v1/tokens", body).await.expect(201);
    format!("Bearer {}", token["token"].as_str().unwrap())
}

/// Two groups, a schedule, a plan and two users, made in no particular order.
async fn configured(site: &Site) {
    for name in ["web", "db"] {
        let group = json!({"name": name, "volumes": volumes()});
        site.post("/api/v1/groups", group).await.expect(201);
    }
    user(site, "root", "admin").await;
    user(site, "ada", "viewer").await;
    let schedule = json!({
        "every_seconds": 86_400, "at": "02:00", "zone": "Asia/Shanghai",
        "point": {"age": {"seconds": 3600}}, "launch_settings": {"memory_mib": 512},
    });
    let path = "/api/v1/groups/db/drill-schedule";
    let set = site.send("PUT", path, Some(schedule), &[]).await;
    set.expect(200);
    let plan = Some(plan(&["web", "db"]));
    let applied = site.send("PUT", "/api/v1/plans/shop", plan, &[]).await;
    applied.expect(200);
}

/// What was done, as object, name, change and outcome.
fn told(applied: &Value) -> Vec<[&str; 4]> {
    let changes = applied["changes"].as_array().unwrap();
    changes
        .iter()
        .map(|change| {
            ["object", "name", "change", "outcome"].map(|of| change[of].as_str().unwrap())
        })
        .collect()
}

/// The entries of the audit log that change something, newest first: action, outcome and object.
async fn entered(site: &Site) -> Vec<[String; 3]> {
    let log = site.get("/api/v1/audit?limit=1000").await.expect(200);
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let one = |entry: &Value| {
        let object = &entry["object"];
        [
            text(&entry["action"]),
            text(&entry["outcome"]),
            text(object),
        ]
    };
    log["items"].as_array().unwrap().iter().map(one).collect()
}

#[tokio::test]
async fn an_export_has_the_same_bytes_each_time_and_applying_it_changes_nothing() {
    let site = Site::start().await;
    configured(&site).await;
    let exported = site.get(PATH).await;
    let document = exported.expect(200);
    assert_eq!(document["version"], 1);
    let names = |part: &str, name: &str| -> Vec<String> {
        let entries = document[part].as_array().unwrap().iter();
        entries
            .map(|entry| entry[name].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names("groups", "name"), ["db", "web"]);
    assert_eq!(names("drill_schedules", "group"), ["db"]);
    assert_eq!(names("plans", "name"), ["shop"]);
    assert_eq!(names("users", "name"), ["ada", "root"]);
    assert_eq!(document["groups"][0]["volumes"], volumes());
    let user = json!({"name": "ada", "role": "viewer", "disabled": false});
    assert_eq!(document["users"][0], user);
    let text = String::from_utf8(exported.body.clone()).unwrap();
    let group = site.get("/api/v1/groups/db").await.expect(200);
    let id = group["id"].as_str().unwrap();
    for other in ["argon2", PASSWORD, site.made.token.expose(), id] {
        assert!(!text.contains(other), "{other} is in {text}");
    }

    let schedule = "/api/v1/groups/db/drill-schedule";
    let before = site.get(schedule).await.expect(200);
    let version = site.get("/api/v1/plans/shop").await.expect(200)["version"].clone();
    for query in ["", "prune=true", "prune=true&dry_run=true"] {
        let applied = apply(&site, &document, query).await.expect(200);
        assert_eq!(applied["complete"], true);
        assert_eq!(applied["changes"].as_array().unwrap().len(), 6);
        for [_, _, change, outcome] in told(&applied) {
            assert_eq!((change, outcome), ("unchanged", "nothing"), "{applied}");
        }
        let again = site.get(PATH).await;
        assert_eq!(again.body, exported.body);
        assert_eq!(again.headers["etag"], exported.headers["etag"]);
    }
    // Not even set anew: the drill that is due stays due.
    assert_eq!(site.get(schedule).await.expect(200), before);
    let plan = site.get("/api/v1/plans/shop").await.expect(200);
    assert_eq!(plan["version"], version);
    let known = [("if-none-match", exported.headers["etag"].to_str().unwrap())];
    assert_eq!(site.send("GET", PATH, None, &known).await.status, 304);
    // A drill, a session or a token is no configuration.
    bearer(&site, "viewer").await;
    assert_eq!(site.send("GET", PATH, None, &known).await.status, 304);
}

#[tokio::test]
async fn another_installation_becomes_what_the_document_says() {
    let site = Site::start().await;
    configured(&site).await;
    let exported = site.get(PATH).await;
    let document = exported.expect(200);
    let other = Site::start().await;
    // Passwords are not in it, so the users have to be there.
    let refused = apply(&other, &document, "").await;
    let problem = refused.problem(422, "configuration_faults");
    let parts: Vec<_> = problem["faults"].as_array().unwrap().iter().collect();
    assert_eq!(parts.len(), 2, "{problem}");
    assert_eq!(
        (&parts[0]["part"], &parts[0]["code"]),
        (&json!("users/root"), &json!("unknown_user"))
    );
    assert!(
        parts[0]["remedy"]
            .to_string()
            .contains("bcdr user create root --role admin")
    );
    let groups = other.get("/api/v1/groups").await.expect(200);
    assert_eq!(groups["items"], json!([]), "something was applied");
    user(&other, "root", "viewer").await;
    user(&other, "ada", "admin").await;

    let planned = apply(&other, &document, "dry_run=true").await.expect(200);
    assert_eq!(planned["dry_run"], true);
    let expected = |outcome: &'static str| {
        [
            ["group", "db", "create", outcome],
            ["group", "web", "create", outcome],
            ["drill_schedule", "db", "create", outcome],
            ["plan", "shop", "create", outcome],
            // First the one who will administer.
            ["user", "root", "update", outcome],
            ["user", "ada", "update", outcome],
        ]
    };
    assert_eq!(told(&planned), expected("planned"));
    let role = json!([{"name": "role", "before": "viewer", "after": "admin"}]);
    assert_eq!(planned["changes"][4]["fields"], role);
    let groups = other.get("/api/v1/groups").await.expect(200);
    assert_eq!(groups["items"], json!([]), "a dry run made something");
    assert!(
        !entered(&other)
            .await
            .iter()
            .any(|[action, ..]| action == "create_group")
    );

    let applied = apply(&other, &document, "").await.expect(200);
    assert_eq!(told(&applied), expected("applied"));
    let now = other.get(PATH).await;
    assert_eq!(now.body, exported.body);
    let tag = now.headers["etag"].to_str().unwrap();
    let known = applied["etag"].as_str().unwrap().trim_matches('"');
    assert!(tag.starts_with(&format!("\"{known}-")), "{tag} and {known}");
    let by = &other.get("/api/v1/plans/shop").await.expect(200)["applied_by"];
    assert_eq!(*by, "first administrator");

    // Each change is entered like a request of its own, within the one that asked for all.
    let log = entered(&other).await;
    let since = log
        .iter()
        .skip_while(|[action, ..]| action != "apply_configuration");
    let mut ended: Vec<_> = since
        .take(14)
        .map(|[action, outcome, _]| [action.as_str(), outcome.as_str()])
        .collect();
    ended.reverse();
    let mut wanted = vec![["apply_configuration", "begun"]];
    for action in [
        "create_group",
        "create_group",
        "set_drill_schedule",
        "apply_plan",
        "change_user",
        "change_user",
    ] {
        wanted.extend([[action, "begun"], [action, "allowed"]]);
    }
    wanted.push(["apply_configuration", "allowed"]);
    assert_eq!(ended, wanted);
    let changed = other
        .get("/api/v1/audit?action=change_user")
        .await
        .expect(200);
    let last = &changed["items"][0];
    assert_eq!(last["object"], "ada");
    assert_eq!(last["changes"], json!({"role": "viewer"}));
    assert_eq!(last["actor"]["name"], "first administrator");
    assert_eq!(last["status"], 200);
    let whole = other
        .get("/api/v1/audit?action=apply_configuration")
        .await
        .expect(200);
    assert_eq!(last["request"], whole["items"][0]["request"]);
}

#[tokio::test]
async fn everything_that_is_wrong_is_told_and_nothing_is_applied() {
    let site = Site::start().await;
    configured(&site).await;
    let before = site.get(PATH).await;
    let hourly = |group: &str| json!({"group": group, "every_seconds": 3600});
    let document = json!({
        "version": 1,
        "groups": [
            {"name": "db", "volumes": [{"name": "root", "size_bytes": 512}]},
            {"name": "new", "volumes": volumes()},
            {"name": "no names", "volumes": volumes()},
            {"name": "odd", "volumes": [{"name": "root", "size_bytes": 513}]},
        ],
        "drill_schedules": [hourly("new"), hourly("nowhere"), {"group": "web", "every_seconds": 60}],
        "plans": [plan(&["db", "new"]), plan(&["gone"])],
        "users": [
            {"name": "ada", "role": "operator"},
            {"name": "bob", "role": "viewer"},
            {"name": "root", "role": "admin", "disabled": true},
        ],
    });
    for query in ["dry_run=true", ""] {
        let refused = apply(&site, &document, query).await;
        let problem = refused.problem(422, "configuration_faults");
        let faults = problem["faults"].as_array().unwrap();
        let mut found: Vec<_> = faults
            .iter()
            .map(|fault| {
                assert!(fault["cause"].is_string() && fault["remedy"].is_string());
                let text = |of: &str| fault[of].as_str().unwrap();
                format!("{} {}", text("part"), text("code"))
            })
            .collect();
        found.sort();
        assert_eq!(
            found,
            [
                "drill_schedules/nowhere unknown_group",
                "drill_schedules/web invalid_request",
                "groups/db group_differs",
                "groups/no names invalid_request",
                "groups/odd invalid_request",
                "plans/shop named_twice",
                "plans/shop/gone unknown_group",
                "users last_admin",
                "users/bob unknown_user",
            ],
            "{problem}"
        );
        assert_eq!(site.get(PATH).await.body, before.body);
    }
    // What is wrong with its form is told as everywhere.
    for (document, field) in [
        (json!({"plans": []}), "version"),
        (json!({"version": 1, "tokens": []}), "tokens"),
        (json!({"version": "1"}), "version"),
        (
            json!({"version": 1, "users": [{"name": "ada", "role": "viewer", "password": "x"}]}),
            "users.0.password",
        ),
        (
            json!({"version": 1, "drill_schedules": [{"group": "db", "every_seconds": 3600, "when": 1}]}),
            "drill_schedules.0.when",
        ),
    ] {
        let refused = apply(&site, &document, "").await.expect(422);
        assert_eq!(refused["code"], "invalid_request", "{refused}");
        let named = refused["field"].as_str().unwrap_or_default();
        let cause = refused["cause"].to_string();
        assert!(
            named == field || cause.contains(field),
            "{field}: {refused}"
        );
    }
    let newer = json!({"version": 2, "sites": []});
    let refused = apply(&site, &newer, "").await;
    let problem = refused.problem(422, "unknown_configuration_version");
    assert!(
        problem["detail"].to_string().contains("version 2"),
        "{problem}"
    );
}

#[tokio::test]
async fn pruning_removes_what_a_part_does_not_name_and_leaves_other_parts_alone() {
    let site = Site::start().await;
    configured(&site).await;
    let other =
        json!({"name": "archive", "steps": [{"id": "db", "do": {"group": {"name": "db"}}}]});
    let path = "/api/v1/plans/archive";
    site.send("PUT", path, Some(other), &[]).await.expect(200);
    let read = site.get(PATH).await;
    let tag = read.headers["etag"].to_str().unwrap().to_owned();
    let document =
        json!({"version": 1, "groups": [], "drill_schedules": [], "plans": [plan(&["db"])]});

    // Without it what is not named stays.
    let planned = apply(&site, &document, "dry_run=true").await.expect(200);
    assert_eq!(told(&planned), [["plan", "shop", "update", "planned"]]);
    let steps = json!([{"name": "steps", "before": ["web", "db"], "after": ["db"]}]);
    assert_eq!(planned["changes"][0]["fields"], steps);
    let expected = |outcome: &'static str| {
        [
            ["drill_schedule", "db", "remove", outcome],
            ["plan", "shop", "update", outcome],
            ["plan", "archive", "remove", outcome],
        ]
    };
    let planned = apply(&site, &document, "dry_run=true&prune=true")
        .await
        .expect(200);
    assert_eq!(told(&planned), expected("planned"));
    assert_eq!(
        planned["etag"].as_str().map(|tag| tag.trim_matches('"')),
        tag.trim_matches('"').split('-').next()
    );
    assert_eq!(site.get(PATH).await.body, read.body);

    let send = async |tag: &str| {
        let headers = [("if-match", tag)];
        let path = apply_path("prune=true");
        site.send("POST", &path, Some(document.clone()), &headers)
            .await
    };
    send("\"0123456789abcdef\"")
        .await
        .problem(412, "changed_meanwhile");
    assert_eq!(site.get(PATH).await.body, read.body);
    let applied = send(&tag).await.expect(200);
    assert_eq!(told(&applied), expected("applied"));
    send(&tag).await.problem(412, "changed_meanwhile");
    let again = apply(&site, &document, "prune=true").await.expect(200);
    assert_eq!(told(&again), [["plan", "shop", "unchanged", "nothing"]]);
    let now = site.get(PATH).await.expect(200);
    let before = read.expect(200);
    assert_eq!(now["groups"], before["groups"], "groups are not removed");
    assert_eq!(
        now["users"], before["users"],
        "a part that is left out is left alone"
    );
    assert_eq!(now["drill_schedules"], json!([]));
    assert_eq!(now["plans"].as_array().unwrap().len(), 1);
    site.get(path).await.problem(404, "plan_not_found");

    let nobody = json!({"version": 1, "users": []});
    let refused = apply(&site, &nobody, "prune=true").await;
    let problem = refused.problem(422, "configuration_faults");
    assert_eq!(problem["faults"][0]["code"], "last_admin", "{problem}");
    let one = json!({"version": 1, "users": [{"name": "root", "role": "admin"}]});
    let applied = apply(&site, &one, "prune=true").await.expect(200);
    let gone = ["user", "ada", "remove", "applied"];
    assert_eq!(
        told(&applied),
        [["user", "root", "unchanged", "nothing"], gone]
    );
    site.get("/api/v1/users/ada")
        .await
        .problem(404, "user_not_found");
}

#[tokio::test]
async fn a_plan_that_runs_is_not_pruned() {
    let site = Site::start().await;
    let (_source, _gateway) = super::replicated(&site).await;
    let steps = json!([
        {"id": "go", "do": {"approval": {"message": "well?"}}},
        {"id": "lab", "after": ["go"], "do": {"group": {"name": "lab"}}},
    ]);
    let shop = Some(json!({"name": "shop", "steps": steps}));
    site.send("PUT", "/api/v1/plans/shop", shop, &[])
        .await
        .expect(200);
    let wanted = json!({"plan": "shop", "mode": "drill"});
    let run = site.post("/api/v1/plan-runs", wanted).await.expect(202);
    let none = json!({"version": 1, "plans": []});
    let refused = apply(&site, &none, "prune=true&dry_run=true").await;
    let problem = refused.problem(422, "configuration_faults");
    assert_eq!(problem["faults"][0]["code"], "plan_run_running");
    let id = run["id"].as_str().unwrap();
    assert!(problem["faults"][0]["cause"].to_string().contains(id));
    let applied = apply(&site, &none, "").await.expect(200);
    assert_eq!(applied["changes"], json!([]));
    let cancel = format!("/api/v1/plan-runs/{id}/actions/cancel");
    site.post(&cancel, json!({})).await.expect(200);
    let over = |run: &Value| run["ended_at"].is_string();
    site.until(&format!("/api/v1/plan-runs/{id}"), over).await;
    let applied = apply(&site, &none, "prune=true").await.expect(200);
    assert_eq!(told(&applied), [["plan", "shop", "remove", "applied"]]);
}

#[tokio::test]
async fn each_part_needs_what_its_own_route_needs() {
    let site = Site::start().await;
    configured(&site).await;
    let whole = site.get(PATH).await.expect(200);
    let with = |part: &str| json!({"version": 1, part: whole[part]});
    let parts = ["groups", "drill_schedules", "plans", "users"];
    for (role, allowed) in [
        ("operator", &parts[..3]),
        ("drill_operator", &parts[1..2]),
        ("admin", &parts[..]),
        ("auditor", &[]),
        ("viewer", &[]),
    ] {
        let bearer = bearer(&site, role).await;
        let mut headers = vec![("authorization", bearer.as_str())];
        let exported = site.send_with("GET", PATH, None, &headers).await;
        match role {
            "admin" | "auditor" => assert_eq!(exported.expect(200), whole),
            _ => drop(exported.problem(403, "forbidden")),
        }
        let path = apply_path("dry_run=true");
        for part in parts {
            let document = Some(with(part));
            let answer = site.send_with("POST", &path, document, &headers).await;
            if !allowed.contains(&part) {
                answer.problem(403, "forbidden");
                continue;
            }
            // A digest of what may not be seen is not told either.
            assert_eq!(
                answer.expect(200)["etag"].is_string(),
                role == "admin",
                "{role}"
            );
        }
        headers.push(("if-match", "*"));
        let document = Some(with("drill_schedules"));
        let answer = site.send_with("POST", &path, document, &headers).await;
        assert_eq!(
            answer.status,
            if role == "admin" { 200 } else { 403 },
            "{role}"
        );
    }
}
