//! Tokens that are for some groups only: what they reach, and what of others they never see.

use super::*;
use crate::{
    api::bounds::{About, about},
    testing::site::Answer,
};
use bcdr_wire::seal::InstallationKey;
use std::collections::BTreeMap;

/// A token of this role for these groups, as its header.
async fn bound(site: &Site, role: &str, groups: &[&str]) -> String {
    let token = json!({"name": format!("{role} of {groups:?}"), "role": role, "groups": groups});
    let made = site.post("/api/v1/tokens", token).await.expect(201);
    format!("Bearer {}", made["token"].as_str().unwrap())
}

async fn ask(site: &Site, bearer: &str, method: &str, path: &str, body: Option<Value>) -> Answer {
    let headers = [("authorization", bearer)];
    site.send_with(method, path, body, &headers).await
}

/// Every operation of the document: its id, method, path and description.
fn operations() -> Vec<(String, String, String, Value)> {
    let document: Value = serde_json::from_str(&crate::api::openapi_json()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let mut all = Vec::new();
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap() {
            if operation["x-access"]["open"] != true {
                let id = operation["operationId"].as_str().unwrap().to_owned();
                let method = method.to_ascii_uppercase();
                all.push((id, method, path.clone(), operation.clone()));
            }
        }
    }
    all
}

#[test]
fn every_operation_says_what_it_is_about_and_has_the_field_that_names_it() {
    for (id, _, path, operation) in operations() {
        let about = about(&id).unwrap_or_else(|| panic!("{id} is about nothing known"));
        let has_query = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|parameter| parameter["in"] == "query" && parameter["name"] == "group");
        let in_path = path.contains("{group}");
        assert_eq!(in_path, about == About::Path, "{id}");
        assert_eq!(has_query, about == About::Query, "{id}");
        // What takes an id is about what has it, or refused.
        if path.contains('{') && !in_path {
            let of_nothing = [About::Nothing, About::Filtered, About::Query, About::Body];
            assert!(!of_nothing.contains(&about), "{id}");
        }
    }
}

/// A group of this name with one point, and the session that made it.
async fn replicated_as(site: &Site, name: &str, key: &Arc<InstallationKey>) -> (Source, Gateway) {
    let mut source = site.group_named(name).await;
    source.key = Arc::clone(key);
    let mut gateway = Gateway::connect(site, &source).await;
    let batch = source.batch(0, 1);
    gateway.ship(&batch).await;
    gateway.durable(source.end()).await;
    gateway.report(&source).await;
    let connected = |group: &Value| group["capture"]["connected"] == true;
    site.until(&format!("/api/v1/groups/{name}"), connected)
        .await;
    (source, gateway)
}

/// What a path of an operation is filled with: the objects of one group.
struct Objects {
    group: &'static str,
    ids: BTreeMap<&'static str, String>,
}

impl Objects {
    /// Makes one of each kind in a group that has a point, as far as that can be had at once.
    async fn made(site: &Site, group: &'static str) -> Self {
        let view = json!({"group": group, "at": "latest"});
        let view = site.post("/api/v1/views", view).await.expect(201);
        let drill = json!({"group": group, "at": "latest"});
        let drill = site.post("/api/v1/drills", drill).await.expect(202);
        let job = format!("/api/v1/jobs/{}", drill["job"].as_str().unwrap());
        site.until(&job, |job| job["finished_at"].is_string()).await;
        let reports = format!("/api/v1/reports?group={group}");
        let some = |page: &Value| page["items"][0].is_object();
        let reports = site.until(&reports, some).await;
        let volumes = format!("/api/v1/volumes?group={group}");
        let volumes = site.get(&volumes).await.expect(200);
        let failover = json!({"group": group, "confirm": group, "mode": "emergency"});
        let failover = site.post("/api/v1/failovers", failover).await.expect(202);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self {
            group,
            ids: [
                ("views", text(&view["id"])),
                ("drills", text(&drill["id"])),
                ("jobs", text(&drill["job"])),
                ("reports", text(&reports["items"][0]["id"])),
                ("volumes", text(&volumes["items"][0]["id"])),
                ("failovers", text(&failover["id"])),
            ]
            .into(),
        }
    }

    /// The path with what it names filled in; none when this has no such object.
    fn fill(&self, path: &str) -> Option<String> {
        let collection = path.split('/').nth(3).unwrap();
        let mut filled = path.replace("{group}", self.group);
        if filled.contains("{id}") {
            filled = filled.replace("{id}", self.ids.get(collection)?);
        }
        while let (Some(from), Some(to)) = (filled.find('{'), filled.find('}')) {
            filled.replace_range(from..=to, "guessed");
        }
        Some(filled)
    }
}

fn guessed(path: &str) -> String {
    let mut filled = path.to_owned();
    while let (Some(from), Some(to)) = (filled.find('{'), filled.find('}')) {
        filled.replace_range(from..=to, "guessed");
    }
    filled
}

#[tokio::test]
async fn a_bound_token_reaches_its_own_group_and_hears_of_a_foreign_one_what_it_hears_of_none() {
    let site = Site::start().await;
    let key = Arc::new(InstallationKey::generate().unwrap());
    let (_own_source, _own_gateway) = replicated_as(&site, "own", &key).await;
    let (_foreign_source, _foreign_gateway) = replicated_as(&site, "foreign", &key).await;
    let own = Objects::made(&site, "own").await;
    let foreign = Objects::made(&site, "foreign").await;
    let admin = bound(&site, "admin", &["own"]).await;

    let mut seen = BTreeMap::new();
    for (id, method, path, _) in operations() {
        let about = about(&id).unwrap();
        *seen.entry(format!("{about:?}")).or_insert(0) += 1;
        let body = |group: &str| match (method.as_str(), about) {
            ("GET" | "DELETE", _) => None,
            (_, About::Body) => Some(json!({"group": group})),
            _ => Some(json!({})),
        };
        match about {
            About::Nothing | About::Filtered => {}
            About::Installation => {
                let answer = ask(&site, &admin, &method, &guessed(&path), body("own")).await;
                answer.problem(403, "forbidden");
            }
            About::Query => {
                let with = |group: &str| format!("{path}?group={group}");
                let answer = ask(&site, &admin, &method, &path, None).await;
                assert_eq!(answer.problem(403, "forbidden")["field"], "group", "{id}");
                let both = format!("{path}?group=own&group=foreign");
                assert_ne!(ask(&site, &admin, &method, &both, None).await.status, 200);
                let hidden = ask(&site, &admin, &method, &with("foreign"), None).await;
                hidden.problem(404, "group_not_found");
                let answer = ask(&site, &admin, &method, &with("own"), None).await;
                assert_eq!(answer.status, 200, "{id}");
                let text = String::from_utf8_lossy(&answer.body).into_owned();
                assert!(!text.contains("foreign"), "{id}: {text}");
            }
            About::Body => {
                let hidden = ask(&site, &admin, &method, &path, body("foreign")).await;
                hidden.problem(404, "group_not_found");
                // A list is read as a structure too, in the order of its fields.
                for odd in [json!(["own"]), json!({"group": ["own"]}), json!({})] {
                    let answer = ask(&site, &admin, &method, &path, Some(odd)).await;
                    assert_eq!(
                        answer.problem(422, "invalid_request")["field"],
                        "group",
                        "{id}"
                    );
                }
                // It reaches its handler, which misses the other fields or starts it.
                let reached = ask(&site, &admin, &method, &path, body("own")).await;
                assert!(![403, 404].contains(&reached.status), "{id}: {reached:?}");
            }
            _ => {
                let Some(theirs) = foreign.fill(&path) else {
                    let none = ask(&site, &admin, &method, &guessed(&path), body("own")).await;
                    assert_eq!(none.status, 404, "{id}");
                    continue;
                };
                let hidden = ask(&site, &admin, &method, &theirs, body("foreign")).await;
                let hidden = hidden.expect(404);
                let none = ask(&site, &admin, &method, &guessed(&path), body("own")).await;
                let none = none.expect(404);
                assert_eq!(hidden["code"], none["code"], "{id}");
                assert_eq!(hidden["remedy"], none["remedy"], "{id}");
                if method == "GET" {
                    let mine = own.fill(&path).unwrap();
                    let wanted = ask(&site, &admin, "GET", &mine, None).await;
                    let unbound = site.get(&mine).await;
                    assert_eq!(wanted.status, unbound.status, "{id}");
                }
            }
        }
    }
    for kind in [
        "Path",
        "Query",
        "Body",
        "Drill",
        "View",
        "Report",
        "Job",
        "Installation",
    ] {
        assert!(seen.contains_key(kind), "{kind}: {seen:?}");
    }
    let groups = ask(&site, &admin, "GET", "/api/v1/groups", None).await;
    let groups = groups.expect(200);
    assert_eq!(groups["items"].as_array().unwrap().len(), 1);
    assert_eq!(groups["items"][0]["name"], "own");
    let metrics = ask(&site, &admin, "GET", "/metrics", None).await;
    assert_eq!(metrics.status, 403);
}

#[tokio::test]
async fn bounds_are_kept_shown_entered_and_refused_when_they_hold_nothing() {
    let mut site = Site::start().await;
    let _lab = site.group().await;
    for (groups, field) in [(json!([]), "groups"), (json!(["lab", "nope"]), "groups.1")] {
        let token = json!({"name": "odd", "role": "viewer", "groups": groups});
        let refused = site.post("/api/v1/tokens", token).await;
        assert_eq!(refused.problem(422, "invalid_request")["field"], field);
    }
    let bearer = bound(&site, "drill_operator", &["lab"]).await;
    site.stop().await;
    site.resume().await;
    let listed = site.get("/api/v1/tokens").await.expect(200);
    assert_eq!(listed["items"][1]["groups"], json!(["lab"]));
    assert_eq!(listed["items"][0]["groups"], Value::Null);
    let session = ask(&site, &bearer, "GET", "/api/v1/session", None).await;
    let group = site.get("/api/v1/groups/lab").await.expect(200);
    assert_eq!(session.expect(200)["groups"], json!([group["id"]]));

    site.post(
        "/api/v1/groups",
        json!({"name": "vault", "volumes": [{"name": "a", "size_bytes": 4096}]}),
    )
    .await
    .expect(201);
    let hidden = ask(&site, &bearer, "GET", "/api/v1/groups/vault", None).await;
    hidden.problem(404, "group_not_found");
    let audit = site
        .get("/api/v1/audit?action=create_token")
        .await
        .expect(200);
    assert_eq!(audit["items"][0]["changes"]["groups"], "lab");
    let audit = site
        .get("/api/v1/audit?action=show_group")
        .await
        .expect(200);
    assert_eq!(audit["items"][0]["outcome"], "refused");
    assert_eq!(audit["items"][0]["object"], "vault");
}
