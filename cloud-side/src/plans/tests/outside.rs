//! Whole runs with steps that act outside, as the role carries them out: real programs, a real name
//! server, a real HTTP server.

use super::{act, key, lost, put, replicated, start, step, until};
use crate::{
    config::{DestinationsConfig, HeaderSecretConfig, OutsideConfig},
    target::qemu::ProcessIdentity,
    testing::site::Site,
};
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::StatusCode,
};
use bcdr_reach::dns::RecordKind;
use named::Named;
use serde_json::{Value, json};
use std::{
    fs,
    net::SocketAddr,
    os::unix::{
        fs::PermissionsExt,
        process::{CommandExt, ExitStatusExt},
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

#[path = "../../../reach/tests/name_server/named.rs"]
mod named;

const WEBHOOK_SECRET: &str = "webhook-secret-0123456789";
const HEADER_SECRET: &str = "Bearer header-secret-0123456789";
const SCRIPT_SECRET: &str = "script-secret-0123456789";

/// A request as it arrived.
#[derive(Clone, Debug)]
struct Seen {
    line: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Seen {
    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }
}

/// Answers requests to `/stuck` never, `/page` with a page, and all others with 202.
struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    unstuck: CancellationToken,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    async fn start() -> Self {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let unstuck = CancellationToken::new();
        let router = Router::new()
            .fallback(answer)
            .with_state((Arc::clone(&seen), unstuck.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            address,
            seen,
            unstuck,
            task,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    async fn until_seen(&self, path: &str, count: usize) -> Vec<Seen> {
        loop {
            let mut seen = self.seen();
            seen.retain(|seen| seen.line.ends_with(path));
            if seen.len() >= count {
                return seen;
            }
            tokio::task::yield_now().await;
        }
    }
}

async fn answer(
    State((seen, unstuck)): State<(Arc<Mutex<Vec<Seen>>>, CancellationToken)>,
    request: Request,
) -> (StatusCode, &'static str) {
    let (head, body) = request.into_parts();
    let body: Body = body;
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let headers = head.headers.iter();
    let path = head.uri.path().to_owned();
    seen.lock().unwrap().push(Seen {
        line: format!("{} {path}", head.method),
        headers: headers
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect(),
        body: String::from_utf8(body.to_vec()).unwrap(),
    });
    match path.as_str() {
        "/stuck" => {
            unstuck.cancelled().await;
            (StatusCode::OK, "")
        }
        "/page" => (StatusCode::OK, "the shop is open"),
        _ => (StatusCode::ACCEPTED, "noted"),
    }
}

/// A cloud side that may reach a name server and an HTTP server of this host.
struct World {
    site: Site,
    server: Server,
    named: Named,
    directory: tempfile::TempDir,
}

fn private(path: PathBuf, text: &str) -> PathBuf {
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

impl World {
    async fn start() -> Self {
        let mut site = Site::start().await;
        let (server, named) = (Server::start().await, Named::start());
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let programs = path.join("programs");
        fs::create_dir(&programs).unwrap();
        fs::set_permissions(&programs, fs::Permissions::from_mode(0o755)).unwrap();
        let dr_key = private(
            path.join("dr.key"),
            &fs::read_to_string(named.key_file()).unwrap(),
        );
        let file = |name: &str, text: &str| private(path.join(name), &format!("{text}\n"));
        site.config.outside = OutsideConfig {
            programs_directory: Some(programs),
            rung_programs_directory: None,
            certificate_authorities: None,
            destinations: Some(DestinationsConfig {
                networks: vec!["127.0.0.0/8".to_owned()],
            }),
            dns_keys: [("dr".to_owned(), dr_key)].into(),
            webhook_secrets: [("pager".to_owned(), file("pager", WEBHOOK_SECRET))].into(),
            header_secrets: [(
                "lb".to_owned(),
                HeaderSecretConfig {
                    file: file("lb", HEADER_SECRET),
                    hosts: vec!["127.0.0.1".to_owned()],
                },
            )]
            .into(),
            script_secrets: [("db".to_owned(), file("db", SCRIPT_SECRET))].into(),
        };
        site.stop().await;
        site.resume().await;
        Self {
            site,
            server,
            named,
            directory,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn program(&self, name: &str, text: &str) {
        let path = self.path("programs").join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    async fn begin(&self, steps: Value) -> String {
        let plan = json!({"name": "out", "steps": steps});
        put(&self.site, plan, &[]).await.expect(200);
        let wanted = json!({"plan": "out", "mode": "emergency", "confirm": "out"});
        start(&self.site, wanted).await
    }

    /// What is kept of the first attempt of the step `it`.
    fn evidence(&self, id: &str) -> PathBuf {
        let directory = self.site.config.evidence_directory();
        directory.join(id).join("it-1.json")
    }

    /// The process of that attempt, once it is noted durably.
    async fn noted_process(&self, id: &str) -> ProcessIdentity {
        let read = |text: String| {
            let kept: Value = serde_json::from_str(&text).ok()?;
            serde_json::from_value(kept["process"].clone()).ok()
        };
        loop {
            match fs::read_to_string(self.evidence(id)).ok().and_then(read) {
                Some(process) => return process,
                None => tokio::task::yield_now().await,
            }
        }
    }

    async fn restart(&mut self) {
        self.site.stop().await;
        self.site.resume().await;
    }

    /// What a name holds now.
    async fn holds(&self, name: &str) -> Vec<String> {
        let server = self.named.server("dr.test", self.named.key());
        let stop = CancellationToken::new();
        let read = server.read(name, RecordKind::A, &stop).await.unwrap();
        read.records.values
    }

    fn dns(&self, server: &str) -> Value {
        json!({"dns": {
            "server": server, "zone": "dr.test", "name": "shop.dr.test", "record": "A",
            "values": ["198.51.100.7"], "ttl_seconds": 30, "key": "dr",
        }})
    }

    /// Everything: the group, then what is to follow it outside.
    fn shop(&self) -> Value {
        let forward = json!([{"host_port": 8443, "machine_port": 443}]);
        let networks = json!([{"connection": {"host_nat": {"forward": forward}}}]);
        json!([
            {"id": "db", "do": {"group": {"name": "db", "networks": networks}}},
            {"id": "look", "after": ["db"], "do": {"probe": {
                "target": {"http": {"url": "http://shop.invalid/page", "contains": "is open",
                    "connect_to": self.server.address}},
                "within_seconds": 60}}},
            {"id": "mount", "after": ["look"], "do": {"script": {
                "program": "mount", "arguments": [self.path("seen")], "environment": {"SHOP": "a b"},
                "secrets": {"PASSWORD": "db"}, "timeout_seconds": 60}}},
            {"id": "name", "after": ["mount"], "do": self.dns(&self.named.address())},
            {"id": "tell", "after": ["name"], "do": {"webhook": {
                "url": self.server.url("/hook"), "secret": "pager", "message": "shop is switched",
                "within_seconds": 60}}},
            {"id": "balance", "after": ["tell"], "do": {"call": {
                "method": "PATCH", "url": self.server.url("/upstreams/shop"),
                "headers": {"content-type": "application/json"},
                "secret_headers": {"authorization": "lb"},
                "body": "{\"server\":\"${BCDR_GROUP_DB_PORT_443}\",\"run\":\"${BCDR_RUN}\",\"x\":\"${x}\"}",
                "expected": ["202"], "within_seconds": 60}}},
        ])
    }
}

fn environment(file: &Path) -> Vec<(String, String)> {
    let text = fs::read_to_string(file).unwrap();
    let split = |line: &str| {
        line.split_once('=')
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
    };
    text.lines().filter_map(split).collect()
}

const OUTSIDE: [&str; 5] = ["look", "mount", "name", "tell", "balance"];

#[tokio::test]
async fn a_drill_leaves_the_outside_alone_and_an_emergency_reaches_it() {
    let world = World::start().await;
    world.program(
        "mount",
        "env > \"$1\"; echo one; echo mounted; echo careful >&2",
    );
    let site = &world.site;
    let (_db, gateway) = replicated(site, "db", 2, &key()).await;
    let plan = json!({"name": "shop", "steps": world.shop()});
    put(site, plan, &[]).await.expect(200);

    let drill = start(site, json!({"plan": "shop", "mode": "drill"})).await;
    let drilled = until(site, &drill, "succeeded").await;
    for id in OUTSIDE {
        assert_eq!(step(&drilled, id)["state"], "not_run", "{drilled}");
    }
    assert!(world.server.seen().is_empty());
    assert_eq!(
        world.holds("shop.dr.test").await,
        ["192.0.2.10", "192.0.2.11"]
    );
    let looked = site.get("/api/v1/plans/shop/check").await.expect(200);
    let looked = looked["items"].as_array().unwrap();
    assert!(
        looked.iter().all(|item| item["check"] != "outside"),
        "{looked:?}"
    );

    lost(site, "db", gateway).await;
    let looked = site
        .get("/api/v1/plans/shop/check?mode=emergency")
        .await
        .expect(200);
    let items = looked["items"].as_array().unwrap().iter();
    let seen: Vec<_> = items.filter(|item| item["check"] == "outside").collect();
    assert_eq!(seen.len(), OUTSIDE.len(), "{looked}");
    assert!(
        seen.iter().all(|item| item["verdict"] == "passed"),
        "{seen:?}"
    );
    assert_eq!(
        seen[2]["detail"],
        "shop.dr.test is 192.0.2.10 192.0.2.11 for 120 s; others remember that for 120 s"
    );
    assert_eq!(seen[3]["detail"], "127.0.0.1 leads to 127.0.0.1");
    assert_eq!(looked["losses"].as_array().unwrap().len(), 1, "{looked}");
    // What an emergency would lose is told without asking anybody outside, and of what is started alone.
    let path = "/api/v1/plans/shop/check?mode=emergency";
    let (named, unnamed) = (
        format!("{path}&only=look,name"),
        format!("{path}&outside=false"),
    );
    let quick = site.get(&unnamed).await.expect(200);
    let quick_items = quick["items"].as_array().unwrap();
    assert!(
        quick_items.iter().all(|item| item["check"] != "outside"),
        "{quick}"
    );
    assert_eq!(quick["losses"], looked["losses"]);
    let part = site.get(&named).await.expect(200);
    let items = part["items"].as_array().unwrap().iter();
    let seen: Vec<_> = items
        .filter(|item| item["step"].is_string())
        .map(|item| &item["step"])
        .collect();
    assert_eq!(seen, ["look", "name"], "{part}");
    assert_eq!(
        (&part["losses"], &part["points"]),
        (&json!([]), &json!([])),
        "{part}"
    );
    site.get(&format!("{path}&only=nothing"))
        .await
        .problem(422, "plan_faults");

    let wanted = json!({"plan": "shop", "mode": "emergency", "confirm": "shop"});
    let id = start(site, wanted).await;
    let over = until(site, &id, "succeeded").await;
    for id in OUTSIDE {
        assert_eq!(step(&over, id)["state"], "done", "{over}");
    }
    let note = |step_id: &str| step(&over, step_id)["note"].as_str().unwrap().to_owned();
    assert!(
        note("look").starts_with("status 200, with \"is open\""),
        "{}",
        note("look")
    );
    assert!(
        note("mount").contains("said: one | mounted; errors: careful"),
        "{}",
        note("mount")
    );
    assert!(
        note("name").starts_with(
            "shop.dr.test was 192.0.2.10 192.0.2.11 for 120 s, and is 198.51.100.7 for 30 s; others may \
             remember the former for 120 s"
        ),
        "{}",
        note("name")
    );
    assert!(
        note("tell").starts_with("taken with status 202"),
        "{}",
        note("tell")
    );
    assert!(
        note("balance").starts_with("answered with status 202: noted"),
        "{}",
        note("balance")
    );
    assert_eq!(world.holds("shop.dr.test").await, ["198.51.100.7"]);

    // The script saw the facts, what it was given, and nothing of ours.
    let seen = environment(&world.path("seen"));
    let value = |name: &str| {
        let found = seen.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.as_str())
    };
    let point = step(&over, "db")["point"].as_str().unwrap();
    for (name, wanted) in [
        ("BCDR_PLAN", "shop"),
        ("BCDR_RUN", &id),
        ("BCDR_MODE", "emergency"),
        ("BCDR_STEP", "mount"),
        ("BCDR_GROUPS", "db"),
        ("BCDR_GROUP_DB_STATE", "done"),
        ("BCDR_GROUP_DB_POINT", point),
        ("BCDR_GROUP_DB_PORT_443", "127.0.0.1:8443"),
        ("SHOP", "a b"),
        ("PASSWORD", SCRIPT_SECRET),
    ] {
        assert_eq!(value(name), wanted, "{name} in {seen:?}");
    }
    let ours = ["PATH", "PWD", "SHLVL", "_", "OLDPWD", "SHOP", "PASSWORD"];
    let foreign = seen
        .iter()
        .find(|(name, _)| !name.starts_with("BCDR_") && !ours.contains(&name.as_str()));
    assert_eq!(foreign, None);

    // Who was told can tell that it was us, which errand it was, and what happened.
    let hook = &world.server.until_seen("/hook", 1).await[0];
    assert_eq!(hook.line, "POST /hook");
    assert_eq!(hook.header("bcdr-delivery"), format!("{id}-tell"));
    assert!(hook.header("bcdr-signature").starts_with("v1="), "{hook:?}");
    let told: Value = serde_json::from_str(&hook.body).unwrap();
    assert_eq!(
        (&told["message"], &told["mode"], &told["groups"][0]["point"]),
        (
            &json!("shop is switched"),
            &json!("emergency"),
            &json!(point)
        ),
        "{told}"
    );
    let call = &world.server.until_seen("/upstreams/shop", 1).await[0];
    assert_eq!(call.line, "PATCH /upstreams/shop");
    assert_eq!(call.header("authorization"), HEADER_SECRET);
    assert_eq!(call.header("idempotency-key"), format!("{id}-balance"));
    assert_eq!(
        call.body,
        format!("{{\"server\":\"127.0.0.1:8443\",\"run\":\"{id}\",\"x\":\"${{x}}\"}}")
    );

    // What was observed is kept, and no secret is anywhere.
    let evidence = site.config.evidence_directory().join(&id);
    let kept: Vec<_> = OUTSIDE
        .iter()
        .map(|id| fs::read_to_string(evidence.join(format!("{id}-1.json"))).unwrap())
        .collect();
    let name: Value = serde_json::from_str(&kept[2]).unwrap();
    assert_eq!(
        name["before"]["records"]["values"],
        json!(["192.0.2.10", "192.0.2.11"])
    );
    assert_eq!(name["after"]["values"], json!(["198.51.100.7"]));
    let shown = site.get("/api/v1/plans/shop").await.expect(200);
    let all = format!("{over}{shown}{}", kept.concat());
    for secret in [WEBHOOK_SECRET, HEADER_SECRET, SCRIPT_SECRET] {
        assert!(!all.contains(secret), "{secret}");
    }

    // What others go on with is part of how long it takes.
    let forecast = site
        .get("/api/v1/plans/shop/forecast?mode=emergency&only=name")
        .await;
    let forecast = forecast.expect(200);
    assert_eq!(forecast["is_complete"], true, "{forecast}");
    let name = &forecast["steps"][3];
    assert!(name["seconds"].as_f64().unwrap() >= 30.0, "{name}");
}

#[tokio::test]
async fn what_is_not_configured_is_refused_with_the_setting_that_is_missing() {
    let site = Site::start().await;
    let target = json!({"tcp": {"host": "127.0.0.1", "port": 1}});
    let dns = json!({"server": "ns1", "zone": "z.test", "name": "a.z.test", "record": "A",
        "values": ["192.0.2.7"], "ttl_seconds": 60, "key": "k"});
    let kinds = [
        (
            json!({"script": {"program": "x", "timeout_seconds": 1}}),
            "outside.programs_directory",
        ),
        (
            json!({"probe": {"target": target, "within_seconds": 1}}),
            "[outside.destinations]",
        ),
        (json!({"dns": dns}), "[outside.dns_keys]"),
        (
            json!({"webhook": {"url": "https://h/", "secret": "s", "within_seconds": 1}}),
            "[outside.webhook_secrets]",
        ),
        (
            json!({"call": {"method": "GET", "url": "https://h/", "within_seconds": 1}}),
            "[outside.destinations]",
        ),
    ];
    for (kind, setting) in kinds {
        let plan = json!({"name": "out", "steps": [{"id": "it", "do": kind}]});
        let refused = put(&site, plan, &[]).await.problem(422, "plan_faults");
        assert!(
            refused["detail"].as_str().unwrap().starts_with("step it: "),
            "{refused}"
        );
        assert!(refused.to_string().contains(setting), "{refused}");
    }
}

#[tokio::test]
async fn a_plan_reaches_nothing_that_was_not_allowed_and_a_check_says_so() {
    let mut world = World::start().await;
    world.program("fine", "true");
    let url = world.server.url("/").replace("127.0.0.1", "localhost");
    let call = |url: &str| {
        json!({"call": {"method": "GET", "url": url, "secret_headers": {"authorization": "lb"},
            "within_seconds": 60}})
    };
    for (kind, cause) in [
        (
            json!({"script": {"program": "other", "timeout_seconds": 1}}),
            "No such file",
        ),
        (
            json!({"script": {"program": "fine", "secrets": {"A": "lb"}, "timeout_seconds": 1}}),
            "there is no secret \"lb\" for scripts here",
        ),
        // A secret of a header goes to its hosts alone.
        (call(&url), "secret \"lb\" may not be sent to localhost"),
        (
            json!({"webhook": {"url": "http://10.0.0.1/", "secret": "pager", "within_seconds": 1}}),
            "10.0.0.1 is a private network",
        ),
        (
            json!({"probe": {"target": {"tcp": {"host": "169.254.169.254", "port": 80}}, "within_seconds": 1}}),
            "metadata service",
        ),
    ] {
        let plan = json!({"name": "out", "steps": [{"id": "it", "do": kind}]});
        let refused = put(&world.site, plan, &[])
            .await
            .problem(422, "plan_faults");
        assert!(
            refused["detail"].as_str().unwrap().contains(cause),
            "{refused}"
        );
    }
    let unlisted =
        json!([{"id": "it", "do": {"script": {"program": "fine", "timeout_seconds": 1}}}]);
    put(&world.site, json!({"name": "out", "steps": unlisted}), &[])
        .await
        .expect(200);
    // The host's operator takes back what the plan needs.
    world.site.config.outside.programs_directory = None;
    world.restart().await;
    let check = world
        .site
        .get("/api/v1/plans/out/check?mode=emergency")
        .await
        .expect(200);
    assert_eq!(check["verdict"], "failed");
    let item = &check["items"][0];
    assert_eq!(item["step"], "it", "{check}");
    assert!(
        item["remedy"]
            .as_str()
            .unwrap()
            .contains("outside.programs_directory"),
        "{check}"
    );
    let start = json!({"plan": "out", "mode": "emergency", "confirm": "out"});
    world
        .site
        .post("/api/v1/plan-runs", start)
        .await
        .problem(422, "plan_faults");
}

#[tokio::test]
async fn a_script_that_fails_says_how_and_one_that_a_restart_cut_short_is_ended_and_not_repeated() {
    let mut world = World::start().await;
    world.program("fail", "echo at the mount >&2; exit 3");
    let id = world
        .begin(json!([{"id": "it", "do": {"script": {"program": "fail", "timeout_seconds": 60}}}]))
        .await;
    let held = until(&world.site, &id, "paused").await;
    let failure = &step(&held, "it")["failure"];
    assert_eq!(failure["code"], "script_failed");
    assert_eq!(
        failure["cause"], "it ended with status 3; errors: at the mount",
        "{held}"
    );
    act(&world.site, &id, "cancel", json!({})).await.expect(200);
    until(&world.site, &id, "cancelled").await;

    world.program("stay", "echo $$ >> \"$1\"; exec sleep 600");
    let began = world.path("began");
    let script = json!({"program": "stay", "arguments": [began], "timeout_seconds": 600});
    let id = world
        .begin(json!([{"id": "it", "do": {"script": script}}]))
        .await;
    while !fs::read_to_string(&began).is_ok_and(|text| text.ends_with('\n')) {
        tokio::task::yield_now().await;
    }
    let process = fs::read_to_string(&began).unwrap();
    world.noted_process(&id).await;
    world.restart().await;
    let held = until(&world.site, &id, "paused").await;
    let failure = &step(&held, "it")["failure"];
    assert_eq!(failure["code"], "script_interrupted");
    assert!(
        failure["cause"]
            .as_str()
            .unwrap()
            .ends_with("it does not run any more"),
        "{failure}"
    );
    assert!(
        !Path::new("/proc").join(process.trim()).exists(),
        "it still runs"
    );
    assert_eq!(fs::read_to_string(&began).unwrap(), process);
    act(&world.site, &id, "cancel", json!({})).await.expect(200);
}

/// As after a SIGKILL of the cloud side: the script goes on, and what is kept of the attempt names it.
#[tokio::test]
async fn a_script_that_outlived_the_cloud_side_is_ended_before_anybody_may_retry_it() {
    let mut world = World::start().await;
    world.program("stay", "exec sleep 600");
    let script = json!({"program": "stay", "timeout_seconds": 600});
    let id = world
        .begin(json!([{"id": "it", "do": {"script": script}}]))
        .await;
    let told = world.noted_process(&id).await;
    assert!(told.lives(), "another process was kept");

    world.site.stop().await;
    assert!(!told.lives());
    let mut outlived = std::process::Command::new("/bin/sh")
        .args(["-c", "sleep 600"])
        .process_group(0)
        .spawn()
        .unwrap();
    let identity = ProcessIdentity::of(i32::try_from(outlived.id()).unwrap()).unwrap();
    let other = serde_json::to_string(&json!({"process": identity})).unwrap();
    fs::write(world.evidence(&id), other).unwrap();
    world.site.resume().await;
    let held = until(&world.site, &id, "paused").await;
    assert_eq!(outlived.wait().unwrap().signal(), Some(9));
    let failure = &step(&held, "it")["failure"];
    assert_eq!(failure["code"], "script_interrupted");
    assert!(
        failure["cause"]
            .as_str()
            .unwrap()
            .ends_with("it still ran, and was ended"),
        "{failure}"
    );
    act(&world.site, &id, "cancel", json!({})).await.expect(200);
}

#[tokio::test]
async fn after_a_restart_a_webhook_is_told_again_by_the_same_name_and_a_call_that_may_harm_is_not_made_again()
 {
    let mut world = World::start().await;
    let url = world.server.url("/stuck");
    let hook = json!({"url": url, "secret": "pager", "within_seconds": 600});
    let id = world
        .begin(json!([{"id": "it", "do": {"webhook": hook}}]))
        .await;
    world.server.until_seen("/stuck", 1).await;
    world.restart().await;
    let both = world.server.until_seen("/stuck", 2).await;
    assert_eq!(both[0].header("bcdr-delivery"), format!("{id}-it"));
    assert_eq!(
        both[0].header("bcdr-delivery"),
        both[1].header("bcdr-delivery")
    );
    assert_eq!(both[0].body, both[1].body);
    world.server.unstuck.cancel();
    let over = until(&world.site, &id, "succeeded").await;
    assert_eq!(step(&over, "it")["attempts"], 2);

    world.server = Server::start().await;
    let url = world.server.url("/stuck");
    let call = json!({"method": "POST", "url": url, "within_seconds": 600});
    let id = world
        .begin(json!([{"id": "it", "do": {"call": call}}]))
        .await;
    world.server.until_seen("/stuck", 1).await;
    world.restart().await;
    let held = until(&world.site, &id, "paused").await;
    assert_eq!(
        step(&held, "it")["failure"]["code"],
        "call_interrupted",
        "{held}"
    );
    assert_eq!(world.server.seen().len(), 1);
}

/// Leads to a name server, and withholds the answer of the second question, which is the change.
async fn withholding(server: String) -> (String, Arc<Mutex<usize>>, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let count = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&count);
    let task = tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut named = TcpStream::connect(&server).await.unwrap();
            *counted.lock().unwrap() += 1;
            if *counted.lock().unwrap() == 2 {
                tokio::spawn(async move {
                    let (mut from, mut back) = client.split();
                    let (mut answer, mut to) = named.split();
                    let mut nowhere = tokio::io::sink();
                    let _ = tokio::join!(
                        tokio::io::copy(&mut from, &mut to),
                        tokio::io::copy(&mut answer, &mut nowhere),
                        async {
                            let _open = &mut back;
                            std::future::pending::<()>().await
                        },
                    );
                });
            } else {
                tokio::spawn(async move {
                    let _ = copy_bidirectional(&mut client, &mut named).await;
                });
            }
        }
    });
    (address, count, task)
}

#[tokio::test]
async fn a_name_whose_change_a_restart_cut_short_is_settled_by_asking() {
    let mut world = World::start().await;
    let (address, count, proxy) = withholding(world.named.address()).await;
    let id = world
        .begin(json!([{"id": "it", "do": world.dns(&address)}]))
        .await;
    while world.holds("shop.dr.test").await != ["198.51.100.7"] {
        tokio::task::yield_now().await;
    }
    assert_eq!(*count.lock().unwrap(), 2);
    world.restart().await;
    let over = until(&world.site, &id, "succeeded").await;
    let it = step(&over, "it");
    assert_eq!(it["attempts"], 2, "{over}");
    let note = it["note"].as_str().unwrap();
    assert!(
        note.starts_with("shop.dr.test was 198.51.100.7 for 30 s already"),
        "{note}"
    );
    // What it held before is known from the attempt that was cut short.
    let kept = world
        .site
        .config
        .evidence_directory()
        .join(&id)
        .join("it-1.json");
    let kept: Value = serde_json::from_slice(&fs::read(kept).unwrap()).unwrap();
    assert_eq!(
        kept["before"]["records"]["values"],
        json!(["192.0.2.10", "192.0.2.11"])
    );
    assert_eq!(kept["after"], Value::Null);
    proxy.abort();
}

/// Leads to a name server for two questions: what a name holds, and the change.
async fn leaving_after_the_change(server: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        for _ in 0..2 {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut named = TcpStream::connect(&server).await.unwrap();
            let _ = copy_bidirectional(&mut client, &mut named).await;
        }
    });
    address
}

#[tokio::test]
async fn a_name_that_was_switched_and_cannot_be_read_is_told_as_one_in_doubt() {
    let world = World::start().await;
    let address = leaving_after_the_change(world.named.address()).await;
    let mut switch = world.dns(&address);
    // Time for another try, which reads nothing either.
    switch["dns"]["within_seconds"] = json!(3);
    let id = world.begin(json!([{"id": "it", "do": switch}])).await;
    let held = until(&world.site, &id, "paused").await;
    let failure = &step(&held, "it")["failure"];
    assert_eq!(failure["code"], "dns_unverified", "{held}");
    let cause = failure["cause"].as_str().unwrap();
    assert!(cause.ends_with("may have been made"), "{cause}");
    assert_eq!(world.holds("shop.dr.test").await, ["198.51.100.7"]);
    act(&world.site, &id, "cancel", json!({})).await.expect(200);
}

#[tokio::test]
async fn a_cancel_ends_what_is_waited_for() {
    let world = World::start().await;
    let target =
        json!({"tcp": {"host": "127.0.0.1", "port": world.server.address.port(), "says": "never"}});
    let id = world
        .begin(json!([{"id": "it", "do": {"probe": {"target": target, "within_seconds": 86400}}}]))
        .await;
    let path = format!("/api/v1/plan-runs/{id}");
    world
        .site
        .until(&path, |run| step(run, "it")["reference"].is_string())
        .await;
    act(&world.site, &id, "cancel", json!({})).await.expect(200);
    let over = until(&world.site, &id, "cancelled").await;
    assert_eq!(step(&over, "it")["failure"]["code"], "stopped", "{over}");
}
