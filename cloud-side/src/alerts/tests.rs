//! Alerts of a whole cloud side, told to real receivers over real sockets.

mod alone;
mod mail;
mod receiver;

use crate::{
    config::CloudConfig,
    init::create_token,
    testing::{
        gateway::Gateway,
        site::Site,
        source::{Extra, Source, VOLUME_BYTES},
    },
};
use bcdr_alert::{AlertCode, Severity};
use bcdr_format::{
    SyncId,
    sync::{SyncEvent, SyncReason},
};
use receiver::{Answer, Receiver, SECRET};
use serde_json::{Value, json};
use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::{
    channel::{robot::DingTalkConfig, webhook::WebhookConfig},
    config::{AlertsConfig, ChannelConfig, CodeConfig},
};

fn at_once(config: &mut AlertsConfig) {
    config.every_seconds = 1;
    let hold = CodeConfig {
        raise_after_seconds: Some(0),
        clear_after_seconds: Some(0),
    };
    config.codes.insert(AlertCode::Unprotected, hold);
}

/// A file beside the state directory that only its owner may read.
fn private(site: &Site, name: &str, text: &str) -> PathBuf {
    private_in(site.directory.path(), name, text)
}

fn private_in(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    path
}

fn channel(name: &str) -> ChannelConfig {
    ChannelConfig {
        name: name.to_owned(),
        minimum_severity: Severity::Warning,
        codes: [AlertCode::Unprotected, AlertCode::DeliveryFailed].into(),
        language: Default::default(),
        heartbeat_every_seconds: None,
        webhook: None,
        email: None,
        dingtalk: None,
        wecom: None,
    }
}

fn hook(site: &Site, name: &str, url: String) -> ChannelConfig {
    hook_in(site.directory.path(), name, url)
}

fn hook_in(directory: &Path, name: &str, url: String) -> ChannelConfig {
    ChannelConfig {
        webhook: Some(WebhookConfig {
            url,
            secret_file: private_in(directory, "hook.secret", &format!("{SECRET}\n")),
            allowed_networks: vec!["127.0.0.0/8".to_owned()],
            authorities_file: None,
        }),
        ..channel(name)
    }
}

/// Starts the role anew with these channels.
async fn with_channels(site: &mut Site, channels: Vec<ChannelConfig>) {
    site.stop().await;
    at_once(&mut site.config.alerts);
    site.config.alerts.channels = channels;
    site.resume().await;
}

async fn group(site: &Site, name: &str) {
    let wanted = json!({"name": name, "volumes": [{"name": "root", "size_bytes": 4096}]});
    site.post("/api/v1/groups", wanted).await.expect(201);
}

async fn the_alert(site: &Site, wanted: impl Fn(&Value) -> bool) -> Value {
    let path = "/api/v1/alerts?code=unprotected&object=lab";
    let page = site
        .until(path, |page| {
            page["items"].as_array().unwrap().iter().any(&wanted)
        })
        .await;
    let items = page["items"].as_array().unwrap();
    let id = items[0]["id"].as_str().unwrap();
    let path = format!("/api/v1/alerts/{id}");
    site.get(&path).await.expect(200)
}

#[tokio::test]
async fn an_alert_is_raised_told_and_cleared_over_the_whole_way() {
    let receiver = Receiver::start(Answer::Status(200, "")).await;
    let mut site = Site::start().await;
    let hook = hook(&site, "ops", receiver.url("/hook"));
    with_channels(&mut site, vec![hook]).await;
    let mut source = site.group().await;
    let raised = receiver.next().await;
    assert_eq!(raised.body["event"], "alert.raised", "{raised:?}");
    assert!(raised.is_signed() && raised.head.starts_with("POST /hook "));
    let alert = &raised.body["alert"];
    assert_eq!(
        (&alert["code"], &alert["severity"], &alert["object"]["name"]),
        (&json!("unprotected"), &json!("critical"), &json!("lab"))
    );
    assert_eq!(
        raised.body["installation"],
        site.made.installation.to_string()
    );

    let mut gateway = Gateway::connect(&site, &source).await;
    let batch = source.batch(0, 1);
    gateway.ship(&batch).await;
    gateway.durable(source.end()).await;
    let cleared = receiver.next().await;
    assert_eq!(cleared.body["event"], "alert.cleared", "{cleared:?}");
    assert_eq!(cleared.body["alert"]["id"], alert["id"]);
    assert_ne!(cleared.delivery(), raised.delivery());

    let told = |alert: &Value| alert["state"] == "cleared";
    let shown = the_alert(&site, told).await;
    let id = shown["id"].as_str().unwrap().to_owned();
    let all_told = |alert: &Value| {
        let deliveries = alert["deliveries"].as_array().unwrap();
        deliveries.len() == 2 && deliveries.iter().all(|one| one["state"] == "delivered")
    };
    let shown = site.until(&format!("/api/v1/alerts/{id}"), all_told).await;
    assert_eq!(shown["deliveries"][0]["id"], raised.delivery());
    let events = shown["history"].as_array().unwrap().iter();
    let events: Vec<_> = events
        .map(|entry| entry["event"].as_str().unwrap())
        .collect();
    assert_eq!(events, ["raised", "told", "cleared", "told"]);
    let metrics = site.get("/metrics").await;
    let metrics = String::from_utf8(metrics.body).unwrap();
    let counted = "bcdr_alert_deliveries_total{channel=\"ops\",result=\"delivered\"} 2";
    assert!(metrics.contains(counted), "{metrics}");
    assert!(metrics.contains("bcdr_alerts_muted 0"), "{metrics}");
}

#[tokio::test]
async fn a_restart_in_the_middle_of_a_delivery_loses_and_repeats_nothing() {
    for first in [Answer::Status(500, ""), Answer::Hang] {
        let receiver = Receiver::start(first).await;
        let mut site = Site::start().await;
        let hook = hook(&site, "ops", receiver.url("/"));
        with_channels(&mut site, vec![hook]).await;
        group(&site, "lab").await;
        let tried = receiver.next().await;
        site.stop().await;
        receiver.answers(Answer::Status(204, ""));
        site.resume().await;
        let told = receiver.next().await;
        assert_eq!(
            (told.delivery(), &told.body),
            (tried.delivery(), &tried.body)
        );
        let is_told = |alert: &Value| alert["state"] == "raised";
        let id = the_alert(&site, is_told).await["id"].clone();
        let path = format!("/api/v1/alerts/{}", id.as_str().unwrap());
        site.until(&path, |alert| {
            alert["deliveries"][0]["state"] == "delivered"
        })
        .await;
        // Once it is marked no process tells it again: what comes next is something else.
        site.stop().await;
        site.resume().await;
        site.get(&path).await.expect(200);
        group(&site, "other").await;
        let next = receiver.next().await;
        assert_eq!(next.body["alert"]["object"]["name"], "other", "{next:?}");
        assert_eq!(next.body["event"], "alert.raised");
    }
}

#[tokio::test]
async fn alerts_are_acknowledged_muted_and_listed() {
    let mut site = Site::start().await;
    with_channels(&mut site, Vec::new()).await;
    group(&site, "lab").await;
    let alert = the_alert(&site, |alert| alert["state"] == "raised").await;
    let id = alert["id"].as_str().unwrap();
    assert_eq!(alert["deliveries"], json!([]));
    assert!(alert["remedy"].as_str().unwrap().contains("capture"));
    let act = |verb: &str| format!("/api/v1/alerts/{id}/actions/{verb}");

    let done = site
        .post(&act("acknowledge"), json!({"note": "on it"}))
        .await;
    let done = done.expect(200);
    assert_eq!(done["acknowledged"]["note"], "on it");
    assert_eq!(done["allowed_actions"][0]["allowed"], false);
    let again = site.post(&act("acknowledge"), json!({})).await;
    again.problem(409, "alert_acknowledged");
    site.post(&act("unmute"), json!({}))
        .await
        .problem(409, "alert_not_muted");
    for (until, field) in [("2001-01-01T00:00:00Z", "until"), ("soon", "until")] {
        let wrong = json!({"until": until, "reason": "x"});
        let refused = site.post(&act("mute"), wrong).await;
        assert!([400, 422].contains(&refused.status), "{refused:?}");
        assert_eq!(refused.json()["field"], field, "{refused:?}");
    }
    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    let wanted = json!({"until": until.to_string(), "reason": "moving", "scope": "object"});
    let muted = site.post(&act("mute"), wanted).await.expect(200);
    assert_eq!(muted["muted"]["scope"], "object");
    // The wish outlives the process.
    site.stop().await;
    site.resume().await;
    let path = format!("/api/v1/alerts/{id}");
    let kept = site.get(&path).await.expect(200);
    assert_eq!(kept["muted"]["reason"], "moving");
    assert_eq!(kept["state"], "acknowledged");
    site.post(&act("unmute"), json!({})).await.expect(200);

    // One of another group, that nobody took on.
    group(&site, "other").await;
    let raised = "/api/v1/alerts?code=unprotected&object=other";
    let is_there = |page: &Value| page["items"].as_array().unwrap().len() == 1;
    site.until(raised, is_there).await;
    let lab = alert["object"]["id"].as_str().unwrap();
    for (filter, count) in [
        ("", 2),
        ("&state=active", 2),
        ("&state=acknowledged", 1),
        ("&state=raised", 1),
        ("&state=cleared", 0),
        ("&severity=critical", 2),
        ("&severity=warning", 0),
        ("&object=lab", 1),
        (&format!("&object={lab}"), 1),
        ("&object=la", 0),
        ("&object=nothing", 0),
        ("&object=lab&state=raised", 0),
    ] {
        let page = site
            .get(&format!("/api/v1/alerts?code=unprotected{filter}"))
            .await
            .expect(200);
        let found = page["items"].as_array().unwrap().len();
        assert_eq!(found, count, "{filter}: {page}");
    }
    let none = site.get("/api/v1/alerts?code=stalled").await.expect(200);
    assert_eq!(none["items"], json!([]));
    site.get("/api/v1/alerts?code=on_fire")
        .await
        .problem(422, "invalid_request");
    site.get("/api/v1/alerts/alr-1")
        .await
        .problem(404, "alert_not_found");
}

/// A group `name` of the volumes `root` and `data`, of which its source has told the first alone: what
/// begins its history says nothing of the other, and no point may follow that.
async fn half_served(site: &Site, name: &str) -> Gateway {
    let volume = |name: &str| json!({"name": name, "size_bytes": VOLUME_BYTES});
    let wanted = json!({"name": name, "volumes": [volume("root"), volume("data")]});
    let group = site.post("/api/v1/groups", wanted).await.expect(201);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut source = Source::new(
        site.made.installation,
        text(&group["id"]).parse().unwrap(),
        text(&group["stream"]).parse().unwrap(),
        text(&group["volumes"][0]["id"]).parse().unwrap(),
    );
    let mut gateway = Gateway::connect(site, &source).await;
    let begin = SyncEvent::Begin {
        sync: SyncId::from_u128(5),
        reason: SyncReason::Initial,
    };
    let extra = Extra {
        sync_events: vec![begin],
        ..Extra::default()
    };
    let batch = source.batch_with(None, extra);
    gateway.ship(&batch).await;
    gateway.durable(source.end()).await;
    gateway.report(&source).await;
    gateway
}

#[tokio::test]
async fn a_volume_that_is_not_followed_is_told_under_its_group_which_is_not_well_either() {
    let mut site = Site::start().await;
    with_channels(&mut site, Vec::new()).await;
    let _gateway = half_served(&site, "lab").await;
    group(&site, "lab-data").await;
    let path = "/api/v1/alerts?code=unprotected&state=active&object=lab";
    let is_told = |page: &Value| {
        let items = page["items"].as_array().unwrap();
        items.len() == 1 && items[0]["object"]["kind"] == "volume"
    };
    let page = site.until(path, is_told).await;
    assert_eq!(page["items"][0]["object"]["name"], "lab/data", "{page}");
    for other in ["data", "lab/root"] {
        let path = format!("/api/v1/alerts?code=unprotected&object={other}");
        let page = site.get(&path).await.expect(200);
        assert_eq!(page["items"], json!([]), "{other}");
    }

    let connected = |group: &Value| group["capture"]["connected"] == true;
    let group = site.until("/api/v1/groups/lab", connected).await;
    assert_eq!(group["health"]["level"], "warning", "{group}");
    let reasons = group["health"]["reasons"].as_array().unwrap();
    let of_volume = reasons
        .iter()
        .find(|reason| reason["code"] == "volume_not_followed");
    let detail = of_volume.unwrap()["detail"].as_str().unwrap();
    assert!(detail.starts_with("volume data: unprotected"), "{detail}");
    let metrics = site.get("/metrics").await;
    let metrics = String::from_utf8(metrics.body).unwrap();
    let line = r#"bcdr_group_health{group="lab",level="ok"} 0"#;
    assert!(metrics.contains(line), "{metrics}");
}

#[tokio::test]
async fn a_viewer_acknowledges_nothing() {
    let mut site = Site::start().await;
    with_channels(&mut site, Vec::new()).await;
    group(&site, "lab").await;
    let alert = the_alert(&site, |alert| alert["state"] == "raised").await;
    site.stop().await;
    let state = &site.config.state_directory;
    let viewer = create_token(state, "wall", bcdr_http::Role::Viewer).unwrap();
    site.resume().await;
    let bearer = format!("Bearer {}", viewer.expose());
    let path = format!(
        "/api/v1/alerts/{}/actions/acknowledge",
        alert["id"].as_str().unwrap()
    );
    let headers = [("authorization", bearer.as_str())];
    let refused = site
        .send_with("POST", &path, Some(json!({})), &headers)
        .await;
    refused.problem(403, "forbidden");
}

#[tokio::test]
async fn the_test_button_says_what_happened() {
    let receiver = Receiver::start(Answer::Status(200, "")).await;
    let mut site = Site::start().await;
    let good = hook(&site, "good", receiver.url("/"));
    let closed = Receiver::start(Answer::Hang).await.url("/");
    let bad = hook(&site, "bad", closed);
    with_channels(&mut site, vec![good, bad]).await;
    let test = |name: &str| format!("/api/v1/alert-channels/{name}/actions/test");
    let done = site.post(&test("good"), json!({})).await.expect(200);
    assert_eq!(
        (&done["delivered"], &done["error"]),
        (&json!(true), &Value::Null)
    );
    assert_eq!(receiver.next().await.body["event"], "test");
    let done = site.post(&test("bad"), json!({})).await.expect(200);
    assert_eq!(done["delivered"], false);
    assert!(
        done["error"].as_str().unwrap().contains("connect"),
        "{done}"
    );
    site.post(&test("none"), json!({}))
        .await
        .problem(404, "alert_channel_not_found");

    let channels = site.get("/api/v1/alert-channels").await.expect(200);
    let (bad, good) = (&channels["items"][0], &channels["items"][1]);
    assert_eq!(
        (&bad["name"], &good["kind"]),
        (&json!("bad"), &json!("webhook"))
    );
    assert!(bad["failing_since"].is_string() && bad["last_success_at"].is_null());
    assert!(good["last_success_at"].is_string() && good["last_failure"].is_null());
    let text = channels.to_string();
    assert!(!text.contains(SECRET), "{text}");
}

#[tokio::test]
async fn silence_is_noticed_since_there_are_signs_of_life() {
    let receiver = Receiver::start(Answer::Status(200, "")).await;
    let mut site = Site::start().await;
    let hook = ChannelConfig {
        heartbeat_every_seconds: Some(5),
        codes: [AlertCode::SplitBrainSuspected].into(),
        ..hook(&site, "watch", receiver.url("/"))
    };
    with_channels(&mut site, vec![hook]).await;
    let beat = receiver.next().await;
    assert_eq!(beat.body["event"], "heartbeat", "{beat:?}");
    assert!(beat.is_signed() && beat.body["active"]["critical"].is_u64());
    group(&site, "lab").await;
    the_alert(&site, |alert| alert["state"] == "raised").await;
    let next = receiver.next().await;
    assert_eq!(next.body["event"], "heartbeat");
    assert_ne!(next.delivery(), beat.delivery());
    assert!(
        next.body["active"]["critical"].as_u64() >= Some(1),
        "{next:?}"
    );
}

#[tokio::test]
async fn a_robot_took_it_only_when_it_says_so() {
    let receiver =
        Receiver::start(Answer::Status(200, r#"{"errcode":310000,"errmsg":"sign"}"#)).await;
    let mut site = Site::start().await;
    let url = receiver.url("/robot/send?access_token=abc");
    let robot = ChannelConfig {
        dingtalk: Some(DingTalkConfig {
            url_file: private(&site, "robot.url", &url),
            secret_file: Some(private(&site, "robot.secret", "SEC0123")),
            allowed_networks: vec!["127.0.0.0/8".to_owned()],
            authorities_file: None,
        }),
        language: bcdr_alert::Language::Zh,
        ..channel("robot")
    };
    with_channels(&mut site, vec![robot]).await;
    let test = "/api/v1/alert-channels/robot/actions/test";
    let done = site.post(test, json!({})).await.expect(200);
    assert!(done["error"].as_str().unwrap().contains("310000"), "{done}");
    let told = receiver.next().await;
    let target = told.head.lines().next().unwrap();
    assert!(
        target.starts_with("POST /robot/send?access_token=abc&timestamp=1"),
        "{target}"
    );
    assert!(target.contains("&sign="), "{target}");
    assert_eq!(told.body["msgtype"], "markdown");
    let title = told.body["markdown"]["title"].as_str().unwrap();
    assert!(title.contains("测试"), "{title}");
    receiver.answers(Answer::Status(200, r#"{"errcode":0,"errmsg":"ok"}"#));
    let done = site.post(test, json!({})).await.expect(200);
    assert_eq!(done["delivered"], true, "{done}");
}

#[tokio::test]
async fn what_cannot_work_is_refused_at_the_start_by_name() {
    let mut site = Site::start().await;
    let good = hook(&site, "ops", "https://ops.example.com/hook".to_owned());
    let open = site.directory.path().join("open.secret");
    std::fs::write(&open, SECRET).unwrap();
    std::fs::set_permissions(&open, PermissionsExt::from_mode(0o644)).unwrap();
    let with = |change: &dyn Fn(&mut ChannelConfig)| {
        let mut channel = good.clone();
        change(&mut channel);
        vec![channel]
    };
    let webhook = |channel: &mut ChannelConfig, change: &dyn Fn(&mut WebhookConfig)| {
        change(channel.webhook.as_mut().unwrap());
    };
    site.stop().await;
    for (channels, named) in [
        (with(&|one| one.webhook = None), "exactly one of webhook"),
        (with(&|one| one.name = "Ops Team".into()), "\"Ops Team\""),
        (vec![good.clone(), good.clone()], "two alert channels"),
        (
            with(&|one| webhook(one, &|hook| hook.secret_file = "/none/such".into())),
            "/none/such",
        ),
        (
            with(&|one| webhook(one, &|hook| hook.secret_file = open.clone())),
            "chmod 600",
        ),
        (
            with(&|one| webhook(one, &|hook| hook.url = "ftp://x/".into())),
            "\"ftp\" is not called",
        ),
        (
            with(&|one| webhook(one, &|hook| hook.allowed_networks = vec!["10.1/8".into()])),
            "allowed_networks",
        ),
        (
            with(&|one| one.heartbeat_every_seconds = Some(1)),
            "heartbeat_every_seconds is 1",
        ),
    ] {
        let mut config: CloudConfig = site.config.clone();
        config.alerts.channels = channels;
        let refused = crate::role::start(config, tokio_util::sync::CancellationToken::new());
        let error = refused.await.unwrap_err().to_string();
        assert!(error.contains(named), "{named}: {error}");
    }
    site.resume().await;
}
