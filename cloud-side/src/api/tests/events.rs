//! Events, as a list and as a stream, through the real listener.

use super::access::{MARK, cookie, set_up, sign_in};
use crate::{
    events::{EventKind, EventObject, News},
    testing::{following::Told, site::Site},
};
use bcdr_format::GroupId;
use serde_json::{Value, json};

const STREAM: &str = "/api/v1/events/stream";

async fn list(site: &Site, query: &str) -> Vec<Value> {
    let path = format!("/api/v1/events?limit=1000{query}");
    let page = site.get(&path).await.expect(200);
    assert!(page["next_cursor"].is_null(), "{page}");
    page["items"].as_array().unwrap().clone()
}

fn about<'a>(events: &'a [Value], object: &str) -> Vec<&'a Value> {
    events
        .iter()
        .filter(|event| event["object"] == object)
        .collect()
}

async fn token(site: &Site, role: &str) -> (String, String) {
    let body = json!({"name": format!("a {role}"), "role": role});
    let made = site.post("/api/v1/tokens", body).await.expect(201);
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (text("id"), format!("Bearer {}", text("token")))
}

#[tokio::test]
async fn what_changed_is_listed_in_both_directions_and_by_what_it_is_about() {
    let site = Site::start().await;
    let lab = site.group_named("lab").await;
    site.group_named("shop").await;
    let (id, viewer) = token(&site, "viewer").await;
    let removed = site.delete(&format!("/api/v1/tokens/{id}")).await;
    assert_eq!(removed.status, 204);
    let (_, viewer_two) = token(&site, "viewer").await;
    drop(viewer);

    let oldest = list(&site, "&order=oldest_first").await;
    assert_eq!(oldest[0]["kind"], "reset", "{oldest:?}");
    let ids: Vec<_> = oldest.iter().map(|event| event["id"].as_str()).collect();
    assert!(ids.is_sorted(), "{ids:?}");
    let groups = about(&oldest, "group");
    assert_eq!(groups[0]["object_id"], lab.group.to_string());
    assert_eq!(groups[0]["group_name"], "lab");
    assert_eq!(groups[0]["kind"], "changed");
    let tokens = about(&oldest, "token");
    let kinds: Vec<_> = tokens.iter().map(|event| &event["kind"]).collect();
    assert_eq!(kinds, ["changed", "removed", "changed"]);
    assert_eq!(tokens[1]["object_id"], id);

    let mut newest = list(&site, "").await;
    newest.retain(|event| ids.contains(&event["id"].as_str()));
    newest.reverse();
    assert_eq!(newest, oldest);

    let of_shop = list(&site, "&group=shop&order=oldest_first").await;
    assert_eq!(of_shop[0]["kind"], "reset");
    let others = |event: &&Value| event["group_name"] != "shop";
    assert_eq!(of_shop[1..].iter().find(others), None);
    assert!(of_shop.len() > 1);
    let gone = list(&site, "&object=token&kind=removed").await;
    assert_eq!(gone.len(), 2, "{gone:?}");

    // Page by page it is the same, and goes on from any event.
    let first = site
        .get("/api/v1/events?order=oldest_first&limit=2")
        .await
        .expect(200);
    assert_eq!(first["items"].as_array().unwrap()[..], oldest[..2]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = list(&site, &format!("&order=oldest_first&cursor={cursor}")).await;
    assert_eq!(rest[..oldest.len() - 2], oldest[2..]);
    let odd = site.get("/api/v1/events?cursor=1").await;
    assert_eq!(odd.expect(422)["field"], "cursor");

    // Who may not see tokens hears nothing of them.
    let headers = [("authorization", viewer_two.as_str())];
    let seen = site
        .send_with("GET", "/api/v1/events?limit=1000", None, &headers)
        .await
        .expect(200);
    let seen = seen["items"].as_array().unwrap();
    assert!(!about(seen, "group").is_empty());
    assert_eq!(about(seen, "token"), Vec::<&Value>::new());
}

#[tokio::test]
async fn a_stream_goes_on_where_it_broke_off_and_says_when_it_cannot() {
    let mut site = Site::start().await;
    let mut stream = site.follow_as_admin(STREAM).await;
    let begin = stream.next().await.unwrap();
    assert_eq!(
        (begin.kind.as_str(), &begin.event["kind"]),
        ("reset", &json!("reset"))
    );
    let lab = site.group_named("lab").await;
    let is_lab = |told: &Told| told.event["object"] == "group";
    let made = stream.until(is_lab).await;
    assert_eq!(made.kind, "changed");
    assert_eq!(made.event["object_id"], lab.group.to_string());
    assert_eq!(made.id, made.event["id"]);
    drop(stream);

    // What happens while nobody listens is told to who names the last event, and nothing twice.
    let (id, _) = token(&site, "viewer").await;
    for way in ["header", "query"] {
        let bearer = format!("Bearer {}", site.made.token.expose());
        let mut headers = vec![("authorization", bearer.as_str())];
        let mut path = STREAM.to_owned();
        if way == "header" {
            headers.push(("last-event-id", made.id.as_str()));
            path.push_str("?after=evt-0000000000000001-000000000001");
        } else {
            path.push_str(&format!("?after={}", made.id));
        }
        let mut again = site.follow(&path, &headers).await.unwrap();
        let mut missed = again.next().await.unwrap();
        while missed.event["object"] != "token" {
            assert!(missed.kind != "reset" && missed.id > made.id, "{missed:?}");
            missed = again.next().await.unwrap();
        }
        assert_eq!(missed.event["object_id"], id);
    }
    let only = format!("{STREAM}?object=token&after={}", made.id);
    let mut only = site.follow_as_admin(&only).await;
    assert_eq!(only.next().await.unwrap().event["object_id"], id);
    let odd = site
        .send("GET", STREAM, None, &[("last-event-id", "7")])
        .await;
    assert_eq!(odd.expect(422)["field"], "Last-Event-ID");

    // The end of the process ends the stream in order, and is a gap.
    site.stop().await;
    only.rest().await;
    site.resume().await;
    let mut after = site
        .follow_as_admin(&format!("{STREAM}?after={}", made.id))
        .await;
    let reset = after.next().await.unwrap();
    assert_eq!(reset.kind, "reset", "{reset:?}");
    assert!(reset.id > made.id);
    site.group_named("shop").await;
    let shop = after.until(is_lab).await;
    assert_eq!(shop.event["group_name"], "shop");
    let lost = list(&site, &format!("&order=oldest_first&cursor={}", made.id)).await;
    assert_eq!(lost[0]["kind"], "reset");
}

#[tokio::test]
async fn a_stream_ends_with_its_session_or_token() {
    let site = Site::start().await;
    set_up(&site).await;
    let cookie = cookie(&sign_in(&site, "root", super::access::PASSWORD).await);
    let with = [("cookie", cookie.as_str())];
    let mut of_session = site.follow(STREAM, &with).await.unwrap();
    let (id, bearer) = token(&site, "viewer").await;
    let mut of_token = site
        .follow(STREAM, &[("authorization", bearer.as_str())])
        .await
        .unwrap();
    assert_eq!(of_session.next().await.unwrap().kind, "reset");
    assert_eq!(of_token.next().await.unwrap().kind, "reset");
    let out = site
        .send_with("DELETE", "/api/v1/session", None, &[with[0], MARK])
        .await;
    assert_eq!(out.status, 204);
    of_session.rest().await;
    let again = site.follow(STREAM, &with).await.err().unwrap();
    again.problem(401, "session_ended");
    let revoked = site.delete(&format!("/api/v1/tokens/{id}")).await;
    assert_eq!(revoked.status, 204);
    for told in of_token.rest().await {
        assert_ne!(told.event["object"], "token", "{told:?}");
    }
}

#[tokio::test]
async fn there_are_so_many_streams_and_one_has_half() {
    let mut site = Site::start().await;
    site.stop().await;
    site.config.api.event_streams = 2;
    site.resume().await;
    let (_, bearer) = token(&site, "viewer").await;
    let headers = [("authorization", bearer.as_str())];
    let mut first = site.follow_as_admin(STREAM).await;
    assert_eq!(first.next().await.unwrap().kind, "reset");
    let second = site.get(STREAM).await;
    second.problem(429, "too_many_streams");
    assert!(second.headers.contains_key("retry-after"));
    let mut viewer = site.follow(STREAM, &headers).await.unwrap();
    assert_eq!(viewer.next().await.unwrap().kind, "reset");
    let metrics = site.get("/metrics").await;
    let metrics = String::from_utf8(metrics.body).unwrap();
    assert!(metrics.contains("bcdr_event_streams 2"), "{metrics}");
    // A client that goes away leaves its place.
    drop(first);
    loop {
        if site.get(STREAM).await.status == 200 {
            break;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn who_reads_slowly_is_sent_away_and_holds_up_nobody() {
    let site = Site::start().await;
    let mut slow = site.follow_as_admin(STREAM).await;
    assert_eq!(slow.next().await.unwrap().kind, "reset");
    // Far more than all buffers between the two and the list itself hold. Nobody reads meanwhile, and
    // every one is told at once.
    let count = 150_000;
    let service = site.service();
    tokio::task::spawn_blocking(move || {
        for number in 0..count {
            service.events.tell(News {
                kind: EventKind::Changed,
                object: EventObject::Job,
                object_id: number.to_string(),
                group: Some(GroupId::from_u128(1)),
                summary: "x".repeat(400),
            });
        }
    })
    .await
    .unwrap();
    let told = slow.rest().await;
    let (last, before) = told.split_last().unwrap();
    assert_eq!(last.kind, "reset", "{last:?}");
    assert!(before.iter().all(|told| told.kind == "changed"));
    let jobs = before.iter().filter(|told| told.event["object"] == "job");
    for (place, told) in jobs.enumerate() {
        // Nothing is left out before the gap that is told of.
        assert_eq!(told.event["object_id"], place.to_string());
        assert_eq!(told.event["summary"].as_str().unwrap().len(), 300);
    }
    // It comes again, and goes on after the reset.
    let path = format!("{STREAM}?after={}", last.id);
    let mut again = site.follow_as_admin(&path).await;
    site.group_named("lab").await;
    let next = again.until(|told| told.event["object"] == "group").await;
    assert_eq!(next.event["group_name"], "lab");
}
