//! Users, sessions, tokens and the table of roles, through the real listener.

use crate::testing::site::{Answer, Site};
use bcdr_http::{Permission, Role};
use serde_json::{Value, json};

pub(super) const PASSWORD: &str = "correct horse battery";
pub(super) const MARK: (&str, &str) = ("x-bcdr-request", "1");

pub(super) async fn set_up(site: &Site) {
    let body =
        json!({"secret": site.made.setup_secret.expose(), "name": "root", "password": PASSWORD});
    let made = site
        .send_with("POST", "/api/v1/setup", Some(body), &[])
        .await;
    assert_eq!(made.expect(201)["role"], "admin");
}

/// What anybody is told of whether there is an administrator yet.
async fn awaits_setup(site: &Site) -> bool {
    let answer = site.send_with("GET", "/api/v1/setup", None, &[]).await;
    answer.expect(200)["required"].as_bool().unwrap()
}

pub(super) async fn sign_in(site: &Site, name: &str, password: &str) -> Answer {
    let body = json!({"name": name, "password": password});
    site.send_with("POST", "/api/v1/session", Some(body), &[])
        .await
}

/// The cookie that an answer sets, as a browser sends it back.
pub(super) fn cookie(answer: &Answer) -> String {
    let set = answer.headers["set-cookie"].to_str().unwrap();
    for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Strict"] {
        assert!(set.split("; ").any(|part| part == attribute), "{set}");
    }
    set.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn the_first_administrator_is_made_once_signs_in_and_out() {
    let site = Site::start().await;
    let wrong = json!({"secret": "bcdr_0", "name": "root", "password": PASSWORD});
    let refused = site
        .send_with("POST", "/api/v1/setup", Some(wrong), &[])
        .await;
    refused.problem(403, "wrong_secret");
    assert!(awaits_setup(&site).await);
    set_up(&site).await;
    assert!(!awaits_setup(&site).await);
    let again =
        json!({"secret": site.made.setup_secret.expose(), "name": "two", "password": PASSWORD});
    let again = site
        .send_with("POST", "/api/v1/setup", Some(again), &[])
        .await;
    again.problem(409, "set_up_before");

    let answer = sign_in(&site, "root", PASSWORD).await;
    let session = answer.expect(200);
    assert_eq!(
        (&session["name"], &session["role"]),
        (&json!("root"), &json!("admin"))
    );
    let cookie = cookie(&answer);
    assert!(cookie.starts_with("__Host-bcdr-session=bcdr_"), "{cookie}");
    let with = [("cookie", cookie.as_str())];
    let shown = site
        .send_with("GET", "/api/v1/session", None, &with)
        .await
        .expect(200);
    assert_eq!(shown["id"], session["id"]);
    assert_eq!(
        shown["allowed_actions"].as_array().unwrap().len(),
        Permission::ALL.len()
    );
    let time = |name: &str| {
        shown[name]
            .as_str()
            .unwrap()
            .parse::<jiff::Timestamp>()
            .unwrap()
    };
    let lasts = time("expires_at").as_second() - time("idle_until").as_second();
    assert!((11 * 3600..12 * 3600).contains(&lasts), "{shown}");
    let token = site.get("/api/v1/session").await.expect(200);
    assert_eq!(
        (&token["kind"], &token["idle_until"]),
        (&json!("token"), &Value::Null)
    );
    let no_session = site.delete("/api/v1/session").await;
    no_session.problem(409, "no_session");

    let out = site
        .send_with("DELETE", "/api/v1/session", None, &[with[0], MARK])
        .await;
    assert_eq!(out.status, 204);
    assert!(
        out.headers["set-cookie"]
            .to_str()
            .unwrap()
            .contains("Max-Age=0")
    );
    let ended = site.send_with("GET", "/api/v1/session", None, &with).await;
    ended.problem(401, "session_ended");
}

#[tokio::test]
async fn a_cookie_alone_changes_nothing_and_a_bearer_wins() {
    let site = Site::start().await;
    set_up(&site).await;
    let cookie = cookie(&sign_in(&site, "root", PASSWORD).await);
    let path = "/api/v1/tokens";
    let body = || Some(json!({"name": "t", "role": "viewer"}));
    let with = [("cookie", cookie.as_str())];
    let bare = site.send_with("POST", path, body(), &with).await;
    bare.problem(403, "csrf");
    for extra in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        let refused = site
            .send_with("POST", path, body(), &[with[0], MARK, extra])
            .await;
        refused.problem(403, "csrf");
    }
    let page = [("origin", "https://evil.example")];
    let login = json!({"name": "root", "password": PASSWORD});
    let foreign = site
        .send_with("POST", "/api/v1/session", Some(login), &page)
        .await;
    foreign.problem(403, "csrf");
    let listed = site.get(path).await.expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{listed}");
    let own = [with[0], MARK, ("sec-fetch-site", "same-origin")];
    let made = site.send_with("POST", path, body(), &own).await.expect(201);

    // The bearer is a viewer, the cookie an administrator.
    let bearer = format!("Bearer {}", made["token"].as_str().unwrap());
    let both = [with[0], MARK, ("authorization", bearer.as_str())];
    let seen = site
        .send_with("GET", "/api/v1/session", None, &both)
        .await
        .expect(200);
    assert_eq!(seen["id"], made["id"]);
    let refused = site.send_with("POST", path, body(), &both).await;
    refused.problem(403, "forbidden");
}

#[tokio::test]
async fn brute_force_is_answered_later_and_later_and_says_nothing_of_names() {
    let site = Site::start().await;
    set_up(&site).await;
    let known = sign_in(&site, "root", "wrong password").await;
    let unknown = sign_in(&site, "nobody", "wrong password").await;
    let (known, unknown) = (
        known.problem(401, "wrong_password"),
        unknown.problem(401, "wrong_password"),
    );
    assert_eq!(known["detail"], unknown["detail"]);
    // Waits double, so before long an attempt falls into one, however slow this machine is.
    let mut throttled = None;
    for _ in 0..14 {
        let answer = sign_in(&site, "root", "wrong password").await;
        if answer.status == 429 {
            throttled = Some(answer);
            break;
        }
        answer.problem(401, "wrong_password");
    }
    let throttled = throttled.expect("guessing is never slowed down");
    let problem = throttled.problem(429, "too_many_failures");
    assert!(problem["retry_after_seconds"].as_u64().unwrap() >= 1);
    assert!(throttled.headers.contains_key("retry-after"));
    // A token still works from there.
    assert_eq!(site.get("/api/v1/users").await.status, 200);
}

#[tokio::test]
async fn users_and_tokens_are_made_listed_and_ended_and_a_session_outlives_a_restart() {
    let mut site = Site::start().await;
    set_up(&site).await;
    let ada = json!({"name": "Ada", "role": "drill_operator", "password": PASSWORD});
    let made = site.post("/api/v1/users", ada.clone()).await;
    let location = made.location.clone().unwrap();
    let user = made.expect(201);
    assert_eq!(site.get(&location).await.expect(200), user);
    assert!(!user.to_string().contains("argon2"), "{user}");
    site.post("/api/v1/users", ada)
        .await
        .problem(409, "user_exists");
    for (body, field) in [
        (
            json!({"name": "a b", "role": "viewer", "password": PASSWORD}),
            "name",
        ),
        (
            json!({"name": "b", "role": "viewer", "password": "short"}),
            "password",
        ),
        (
            json!({"name": "b", "role": "root", "password": PASSWORD}),
            "role",
        ),
        (
            json!({"name": "b", "role": "viewer", "password": PASSWORD, "admin": true}),
            "admin",
        ),
    ] {
        let refused = site.post("/api/v1/users", body).await;
        assert_eq!(refused.expect(422)["field"], field);
    }
    let page = site.get("/api/v1/users?limit=1").await.expect(200);
    assert_eq!(page["items"][0]["name"], "ada");
    let next = format!(
        "/api/v1/users?cursor={}",
        page["next_cursor"].as_str().unwrap()
    );
    assert_eq!(
        site.get(&next).await.expect(200)["items"][0]["name"],
        "root"
    );

    let cookie = cookie(&sign_in(&site, "ada", PASSWORD).await);
    let with = [("cookie", cookie.as_str())];
    site.stop().await;
    site.resume().await;
    let session = site
        .send_with("GET", "/api/v1/session", None, &with)
        .await
        .expect(200);
    assert_eq!(session["role"], "drill_operator");
    let patched = site
        .send(
            "PATCH",
            "/api/v1/users/ada",
            Some(json!({"role": "viewer"})),
            &[],
        )
        .await;
    assert_eq!(patched.expect(200)["role"], "viewer");
    let ended = site.send_with("GET", "/api/v1/session", None, &with).await;
    ended.problem(401, "session_ended");
    let last = site
        .send(
            "PATCH",
            "/api/v1/users/root",
            Some(json!({"disabled": true})),
            &[],
        )
        .await;
    last.problem(409, "last_admin");
    site.delete("/api/v1/users/root")
        .await
        .problem(409, "last_admin");
    assert_eq!(site.delete("/api/v1/users/ada").await.status, 204);

    let ends = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    let wanted = json!({"name": "wall", "role": "viewer", "expires_at": ends});
    let token = site.post("/api/v1/tokens", wanted).await.expect(201);
    let secret = token["token"].as_str().unwrap().to_owned();
    let bearer = format!("Bearer {secret}");
    let as_wall = [("authorization", bearer.as_str())];
    assert_eq!(
        site.send_with("GET", "/api/v1/groups", None, &as_wall)
            .await
            .status,
        200
    );
    let listed = site.get("/api/v1/tokens").await.expect(200);
    assert_eq!(listed["items"][1]["id"], token["id"]);
    assert!(!listed.to_string().contains(&secret));
    let path = format!("/api/v1/tokens/{}", token["id"].as_str().unwrap());
    assert_eq!(site.delete(&path).await.status, 204);
    let revoked = site
        .send_with("GET", "/api/v1/groups", None, &as_wall)
        .await;
    revoked.problem(401, "token_invalid");
}

/// The roles that the document says an operation is for; none for one that is open.
fn documented(operation: &Value) -> Option<Vec<Role>> {
    let access = &operation["x-access"];
    if access["open"] == true {
        return None;
    }
    let roles: Vec<Role> = serde_json::from_value(access["roles"].clone())
        .unwrap_or_else(|error| panic!("{}: {error}", operation["operationId"]));
    let permission: Permission = serde_json::from_value(access["permission"].clone()).unwrap();
    let table: Vec<Role> = Role::ALL
        .into_iter()
        .filter(|role| role.allows(permission))
        .collect();
    assert_eq!(roles, table, "{}", operation["operationId"]);
    Some(roles)
}

#[tokio::test]
async fn every_role_is_let_through_where_the_table_says_so_and_nowhere_else() {
    let site = Site::start().await;
    let mut bearers = Vec::new();
    for role in Role::ALL {
        let token = json!({"name": format!("a {role}"), "role": role});
        let token = site.post("/api/v1/tokens", token).await.expect(201);
        bearers.push((role, format!("Bearer {}", token["token"].as_str().unwrap())));
    }
    let document: Value = serde_json::from_str(&super::super::openapi_json()).unwrap();
    let (mut checked, mut open) = (0, Vec::new());
    for (path, item) in document["paths"].as_object().unwrap() {
        // Guessed ids: whoever may not do it hears no more of them than of others.
        let mut concrete = path.clone();
        while let (Some(from), Some(to)) = (concrete.find('{'), concrete.find('}')) {
            concrete.replace_range(from..=to, "guessed");
        }
        for (method, operation) in item.as_object().unwrap() {
            let method = method.to_ascii_uppercase();
            let body = (method != "GET" && method != "DELETE").then(|| json!({}));
            let anonymous = site.send_with(&method, &concrete, body.clone(), &[]).await;
            let Some(allowed) = documented(operation) else {
                assert_ne!(anonymous.status, 403, "{method} {path}");
                open.push(operation["operationId"].as_str().unwrap().to_owned());
                continue;
            };
            anonymous.problem(401, "token_missing");
            for (role, bearer) in &bearers {
                let headers = [("authorization", bearer.as_str())];
                let answer = site
                    .send_with(&method, &concrete, body.clone(), &headers)
                    .await;
                let what = format!("{role}: {method} {path}: {answer:?}");
                if allowed.contains(role) {
                    assert!(![401, 403].contains(&answer.status), "{what}");
                } else {
                    assert_eq!(answer.status, 403, "{what}");
                    answer.problem(403, "forbidden");
                }
                checked += 1;
            }
        }
    }
    open.sort();
    assert_eq!(open, ["set_up", "show_setup", "sign_in"]);
    assert!(checked > 500, "only {checked} combinations");
}

#[tokio::test]
async fn a_drill_operator_runs_plans_as_drills_only() {
    let site = Site::start().await;
    let token = json!({"name": "drills", "role": "drill_operator"});
    let token = site.post("/api/v1/tokens", token).await.expect(201);
    let bearer = format!("Bearer {}", token["token"].as_str().unwrap());
    let headers = [("authorization", bearer.as_str())];
    let run = async |mode: &str| {
        let body = json!({"plan": "shop", "mode": mode, "confirm": "shop"});
        site.send_with("POST", "/api/v1/plan-runs", Some(body), &headers)
            .await
    };
    for mode in ["planned", "emergency"] {
        run(mode).await.problem(403, "forbidden");
    }
    assert_eq!(run("drill").await.status, 404);
}
