//! What requests leave in the audit log.

use super::*;
use crate::api::audited::EMERGENCY;
use bcdr_audit::{Verifier, verify::Expected};
use bcdr_report::PublicKey;

/// The entries with this query, oldest first.
async fn entries(site: &Site, query: &str) -> Vec<Value> {
    let path = format!("/api/v1/audit?order=oldest_first&limit=1000&{query}");
    let page = site.get(&path).await.expect(200);
    page["items"].as_array().unwrap().clone()
}

fn told(entries: &[Value]) -> Vec<(String, String, u64)> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let one = |entry: &Value| {
        let status = entry["status"].as_u64().unwrap_or(0);
        (text(&entry["outcome"]), text(&entry["code"]), status)
    };
    entries.iter().map(one).collect()
}

#[tokio::test]
async fn an_action_and_a_refusal_are_entered_once() {
    let site = Site::start().await;
    let wanted = json!({"name": "pair", "volumes": [{"name": "a", "size_bytes": 1024}]});
    let key = [("idempotency-key", "secret-key-1")];
    let made = site
        .send("POST", "/api/v1/groups", Some(wanted.clone()), &key)
        .await
        .expect(201);
    site.post("/api/v1/groups", wanted)
        .await
        .problem(409, "group_exists");
    site.get("/api/v1/groups/pair").await.expect(200);
    let found = entries(&site, "action=create_group").await;
    let owned = |outcome: &str, code: &str, status| (outcome.to_owned(), code.to_owned(), status);
    assert_eq!(
        told(&found),
        [
            owned("begun", "-", 0),
            owned("allowed", "-", 201),
            owned("begun", "-", 0),
            owned("refused", "group_exists", 409),
        ]
    );
    assert_eq!(found[1]["began"], found[0]["sequence"]);
    assert_eq!(found[1]["request"], found[0]["request"]);
    assert_eq!(found[1]["actor"]["name"], "first administrator");
    assert_eq!(found[1]["object"], made["id"]);
    assert_eq!(found[0]["changes"], json!({"name": "pair"}));
    assert_eq!(found[0]["source"], "127.0.0.1");
    assert!(found[0]["idempotency"].is_string());
    let all = entries(&site, "").await;
    let text = Value::from(all.clone()).to_string();
    assert!(!text.contains("secret-key-1") && !text.contains(site.made.token.expose()));
    // A plain read is none; one of the log is, and so is a refused read.
    assert!(!all.iter().any(|entry| entry["action"] == "show_group"));
    let refused = site.get("/api/v1/audit?limit=0").await.expect(422);
    assert_eq!(refused["code"], "invalid_request");
    let found = entries(&site, "action=list_audit&outcome=refused").await;
    assert_eq!(told(&found), [owned("refused", "invalid_request", 422)]);
    assert!(
        !entries(&site, "action=list_audit&outcome=allowed")
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn whom_the_authentication_refuses_is_entered_or_counted() {
    let mut site = Site::start().await;
    site.stop().await;
    let viewer = create_token(
        &site.config.state_directory,
        "wall",
        bcdr_http::Role::Viewer,
    )
    .unwrap();
    site.resume().await;
    let bearer = format!("Bearer {}", viewer.expose());
    let headers = [("authorization", bearer.as_str())];
    let wanted = json!({"name": "g", "volumes": [{"name": "v", "size_bytes": 512}]});
    site.send_with("POST", "/api/v1/groups", Some(wanted), &headers)
        .await
        .problem(403, "forbidden");
    site.send_with("GET", "/api/v1/audit", None, &headers)
        .await
        .problem(403, "forbidden");
    for path in ["/api/v1/audit/head", "/api/v1/audit/export"] {
        site.send_with("GET", path, None, &headers)
            .await
            .problem(403, "forbidden");
    }
    let found = entries(&site, "actor=wall").await;
    let actions: Vec<_> = found
        .iter()
        .map(|entry| entry["action"].as_str().unwrap())
        .collect();
    assert_eq!(
        actions,
        [
            "create_group",
            "list_audit",
            "show_audit_head",
            "export_audit"
        ]
    );
    assert!(
        found
            .iter()
            .all(|entry| entry["outcome"] == "refused" && entry["status"] == 403)
    );
    // Strangers are one entry, which a stop in order does not lose.
    for _ in 0..30 {
        let answer = site.send_with("GET", "/api/v1/groups", None, &[]).await;
        assert_eq!(answer.status, 401);
    }
    assert_eq!(entries(&site, "action=authenticate").await.len(), 0);
    site.stop().await;
    site.resume().await;
    let strangers = entries(&site, "action=authenticate").await;
    assert_eq!(strangers.len(), 1, "{strangers:?}");
    assert_eq!(strangers[0]["count"], 30);
    assert_eq!(strangers[0]["source"], "127.0.0.1");
    assert_eq!(strangers[0]["changes"], json!({"token_missing": "30"}));
}

#[tokio::test]
async fn an_export_verifies_and_a_tampered_file_of_the_store_does_not() {
    let mut site = Site::start().await;
    site.group().await;
    let key: PublicKey = {
        let told = site.get("/api/v1/reports/key").await.expect(200);
        told["key"].as_str().unwrap().parse().unwrap()
    };
    let head = site.get("/api/v1/audit/head").await.expect(200);
    assert_eq!(head["damage"], json!([]));
    assert!(head["trouble"].is_null());
    let known = bcdr_audit::Mark {
        sequence: head["sequence"].as_u64().unwrap(),
        hash: head["hash"].as_str().unwrap().parse().unwrap(),
    };
    let verify = |text: &[u8]| {
        let mut verifier = Verifier::new(Expected {
            key: Some(key),
            known: Some(known),
            partial: false,
        });
        verifier.file("log", &mut &text[..]).unwrap();
        verifier.finish()
    };
    let export = site.get("/api/v1/audit/export").await;
    assert_eq!(export.status, 200);
    let verdict = verify(&export.body);
    assert!(verdict.is_valid(), "{:?}", verdict.findings);
    assert!(verdict.entries >= known.sequence);
    site.stop().await;
    let directory = site.config.state_directory.join("audit");
    let file = directory.join("00000000000000000001.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(verify(text.as_bytes()).is_valid());
    let edited = text.replace("first administrator", "nobody at all");
    assert_ne!(edited, text);
    assert!(!verify(edited.as_bytes()).is_valid());
    // The next start names it, and the log says so itself.
    std::fs::write(&file, edited).unwrap();
    site.resume().await;
    let head = site.get("/api/v1/audit/head").await.expect(200);
    assert!(!head["damage"].as_array().unwrap().is_empty(), "{head}");
    assert!(!entries(&site, "action=audit_damage").await.is_empty());
}

#[tokio::test]
async fn without_the_log_nothing_is_changed_but_an_emergency_goes_on() {
    let site = Site::start().await;
    site.group().await;
    let failovers = EMERGENCY
        .iter()
        .filter(|action| action.ends_with("failover"))
        .count();
    assert_eq!(failovers, 4);
    let service = site.service();
    service.audit.break_for_a_while(true);
    let wanted = json!({"name": "other", "volumes": [{"name": "a", "size_bytes": 1024}]});
    site.post("/api/v1/groups", wanted.clone())
        .await
        .problem(503, "audit_unavailable");
    site.get("/api/v1/groups/other")
        .await
        .problem(404, "group_not_found");
    // Refused for a reason of its own, so it was looked at.
    let failover = json!({"group": "lab", "confirm": "lab", "mode": "emergency"});
    let answer = site.post("/api/v1/failovers", failover).await;
    assert_ne!(answer.json()["code"], "audit_unavailable", "{answer:?}");
    let head = site.get("/api/v1/audit/head").await.expect(200);
    assert!(head["trouble"].is_string(), "{head}");
    service.audit.break_for_a_while(false);
    site.post("/api/v1/groups", wanted).await.expect(201);
    let gaps = entries(&site, "action=audit_gap").await;
    let counted: u64 = gaps.iter().map(|gap| gap["count"].as_u64().unwrap()).sum();
    // The group's two, and the failover's two.
    assert_eq!(counted, 4, "{gaps:?}");
}

#[tokio::test]
async fn a_log_that_cannot_be_opened_does_not_keep_the_role_from_starting() {
    let mut site = Site::start().await;
    let _source = site.group().await;
    site.stop().await;
    let directory = site.config.state_directory.join("audit");
    let (file, aside) = (
        directory.join("00000000000000000001.jsonl"),
        directory.join("aside"),
    );
    std::fs::rename(&file, &aside).unwrap();
    std::fs::create_dir(&file).unwrap();
    site.resume().await;
    let wanted = json!({"name": "other", "volumes": [{"name": "a", "size_bytes": 1024}]});
    site.post("/api/v1/groups", wanted.clone())
        .await
        .problem(503, "audit_unavailable");
    site.get("/api/v1/groups/lab").await.expect(200);
    let failover = json!({"group": "lab", "confirm": "lab", "mode": "emergency"});
    let answer = site.post("/api/v1/failovers", failover).await;
    assert_ne!(answer.json()["code"], "audit_unavailable", "{answer:?}");
    let head = site.get("/api/v1/audit/head").await.expect(200);
    assert!(head["trouble"].is_string(), "{head}");
    assert!(!head["damage"].as_array().unwrap().is_empty(), "{head}");
    assert!(head["sequence"].as_u64().unwrap() > 1, "{head}");
    site.get("/api/v1/audit")
        .await
        .problem(503, "audit_unavailable");
    std::fs::remove_dir(&file).unwrap();
    std::fs::rename(&aside, &file).unwrap();
    while site.post("/api/v1/groups", wanted.clone()).await.status == 503 {
        tokio::task::yield_now().await;
    }
    assert_eq!(entries(&site, "action=audit_opened_late").await.len(), 1);
    assert!(!entries(&site, "action=audit_gap").await.is_empty());
}

#[tokio::test]
async fn the_first_administrator_is_made_between_two_entries_or_not_at_all() {
    let mut site = Site::start().await;
    let setup = json!({
        "secret": site.made.setup_secret.expose(),
        "name": "root",
        "password": "correct horse battery",
    });
    let ask = || site.send_with("POST", "/api/v1/setup", Some(setup.clone()), &[]);
    let service = site.service();
    service.audit.break_for_a_while(true);
    ask().await.problem(503, "audit_unavailable");
    service.audit.break_for_a_while(false);
    // The role does not end while somebody holds its parts.
    drop(service);
    let state = site.send_with("GET", "/api/v1/setup", None, &[]).await;
    assert_eq!(state.expect(200)["required"], true);
    ask().await.expect(201);
    // Whether the refused attempt is entered too depends on when the log was whole again.
    let is_done = |entry: &Value| entry["outcome"] != "refused";
    let mut found = entries(&site, "action=set_up").await;
    found.retain(is_done);
    let outcomes: Vec<_> = told(&found).into_iter().map(|told| told.0).collect();
    assert_eq!(outcomes, ["begun", "allowed"]);
    assert_eq!(found[1]["began"], found[0]["sequence"]);
    assert_eq!(found[1]["actor"]["name"], "setup");
    assert_eq!(found[1]["changes"], json!({"name": "root"}));
    // From then on it is counted, however often it is tried.
    for _ in 0..40 {
        let status = ask().await.status;
        assert!(matches!(status, 409 | 429), "{status}");
    }
    let mut found = entries(&site, "action=set_up").await;
    found.retain(is_done);
    assert_eq!(found.len(), 2);
    // The next process knows it too, whatever is wrong with what is asked.
    site.stop().await;
    site.resume().await;
    let nameless = json!({"secret": "x", "name": "-", "password": "correct horse battery"});
    let refused = site.send_with("POST", "/api/v1/setup", Some(nameless), &[]);
    assert_eq!(refused.await.status, 422);
    assert_eq!(entries(&site, "action=set_up&outcome=begun").await.len(), 1);
}

#[tokio::test]
async fn an_entry_names_what_was_made_also_where_the_answer_leads_to_a_job() {
    let site = Site::start().await;
    let (_source, _gateway) = super::replicated(&site).await;
    let viewer = json!({"name": "wall", "role": "viewer"});
    let token = site.post("/api/v1/tokens", viewer).await.expect(201);
    let made = entries(&site, "action=create_token&outcome=allowed").await;
    assert_eq!(made[0]["object"], token["id"]);
    let failover = json!({"group": "lab", "confirm": "lab", "mode": "emergency"});
    let answer = site.post("/api/v1/failovers", failover).await;
    let started = entries(&site, "action=start_failover").await;
    assert_eq!(started[1]["object"], answer.expect(202)["id"]);
}

#[tokio::test]
async fn who_signs_in_is_entered_as_the_answer_says_and_who_fails_by_account() {
    let mut site = Site::start().await;
    let password = "correct horse battery";
    let ada = json!({"name": "ada", "role": "operator", "password": password});
    site.post("/api/v1/users", ada).await.expect(201);
    let made = entries(&site, "action=create_user").await;
    assert_eq!(
        made[0]["changes"],
        json!({"name": "ada", "role": "operator"})
    );
    let token = site.get("/api/v1/session").await.expect(200);
    assert_eq!(made[0]["session"], token["id"]);
    let sign_in = |name: &str, password: &str| {
        let body = json!({"name": name, "password": password});
        site.send_with("POST", "/api/v1/session", Some(body), &[])
    };
    let answer = sign_in("ADA", password).await;
    let session = answer.expect(200);
    let cookie = answer.headers["set-cookie"].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap();
    let with = [("cookie", cookie), ("x-bcdr-request", "1")];
    let out = site
        .send_with("DELETE", "/api/v1/session", None, &with)
        .await;
    assert_eq!(out.status, 204);
    let signed_in = &entries(&site, "action=sign_in").await[0];
    assert_eq!(signed_in["actor"]["name"], "ada");
    assert_eq!(signed_in["actor"]["id"], session["id"]);
    let signed_out = &entries(&site, "action=sign_out").await[0];
    assert!(signed_in["session"].as_str().unwrap().starts_with("ses-"));
    assert_eq!(signed_out["session"], signed_in["session"]);
    for (name, times) in [("Ada", 2), ("correct horse battery", 1)] {
        for _ in 0..times {
            assert_eq!(sign_in(name, "no such password").await.status, 401);
        }
    }
    site.stop().await;
    site.resume().await;
    let failed = entries(&site, "action=sign_in&outcome=refused").await;
    let failed: Vec<_> = failed
        .iter()
        .map(|entry| (entry["object"].as_str(), entry["count"].as_u64()))
        .collect();
    assert_eq!(failed, [(None, Some(1)), (Some("ada"), Some(2))]);
    let text = Value::from(entries(&site, "").await).to_string();
    assert!(!text.contains(password));
}

#[tokio::test]
async fn the_entry_is_durable_before_the_handler_runs() {
    let mut site = Site::start().await;
    let source = site.group().await;
    drop(source);
    // What a process had begun when it was killed: an entry without an end, in the files.
    let service = site.service();
    let actor = bcdr_audit::Actor {
        kind: bcdr_audit::ActorKind::Token,
        id: None,
        name: "killed".to_owned(),
    };
    let draft = bcdr_audit::Draft::new(actor, "start_drill", bcdr_audit::Outcome::Begun);
    let began = service.audit.record(draft).await.unwrap();
    drop(service);
    site.stop().await;
    site.resume().await;
    let found = entries(&site, "actor=killed").await;
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(found[1]["outcome"], "unknown");
    assert_eq!(found[1]["began"], began);
}

#[tokio::test]
async fn what_the_product_does_by_itself_is_entered() {
    let site = Site::start().await;
    let _replicated = replicated(&site).await;
    let view = json!({"group": "lab", "at": "latest", "lease_seconds": 1});
    let answer = site.post("/api/v1/views", view).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    let service = site.service();
    let later = bcdr_format::Timestamp(crate::clock::wall().0 + 3_600_000_000);
    service.views.close_expired(later, &service.audit).await;
    let found = entries(&site, "action=close_view").await;
    let outcomes: Vec<_> = told(&found).into_iter().map(|told| told.0).collect();
    assert_eq!(outcomes, ["begun", "allowed"]);
    assert_eq!(found[0]["actor"]["kind"], "system");
    assert_eq!(found[0]["object"], id);
}
