use super::*;
use crate::testing::{self, Server};
use aws_lc_rs::hmac;
use std::{
    net::Ipv4Addr,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

const SECOND: Duration = Duration::from_secs(1);
const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

fn loopback() -> Networks {
    Networks::allowing(vec!["127.0.0.0/8".parse().unwrap()])
}

fn webhook(url: &str, networks: Networks) -> Webhook {
    Webhook::new(url, Secret::new(SECRET).unwrap(), &Trust::System, networks)
        .unwrap()
        .with_clock(Arc::new(|| UNIX_EPOCH + Duration::from_secs(1_800_000_000)))
}

fn delivery() -> Delivery {
    Delivery {
        id: "dlv-01".into(),
        body: r#"{"event":"failover.committed"}"#.into(),
    }
}

fn quick(tries: u32) -> Retry {
    Retry {
        per_try: SECOND * 30,
        pause: Duration::from_millis(2),
        longest_pause: Duration::from_millis(8),
        deadline: SECOND * 60,
        tries: Some(tries),
    }
}

async fn delivered(webhook: &Webhook, tries: u32) -> DeliveryReport {
    deliver(
        webhook,
        &delivery(),
        &quick(tries),
        &CancellationToken::new(),
    )
    .await
    .unwrap()
}

/// What a receiver does, by the description of the scheme.
fn is_genuine(request: &str) -> bool {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let header = |name: &str| {
        head.lines()
            .find_map(|line| line.strip_prefix(&format!("{name}: ")))
            .unwrap_or_else(|| panic!("{name} is missing in {head}"))
    };
    let signed = format!(
        "v1.{}.{}.{body}",
        header("bcdr-timestamp"),
        header("bcdr-delivery")
    );
    let digits = header("bcdr-signature").strip_prefix("v1=").unwrap();
    let mac: Vec<u8> = (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect();
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
    hmac::verify(&key, signed.as_bytes(), &mac).is_ok()
}

#[tokio::test]
async fn a_delivery_is_signed_and_tried_again_until_it_is_taken() {
    let server =
        Server::http(|count, _| testing::status(if count < 3 { 503 } else { 202 }, "noted")).await;
    let report = delivered(&webhook(&server.url("/hook?to=ops"), loopback()), 5).await;
    assert_eq!(report.outcome, Outcome::Delivered, "{report:?}");
    assert_eq!(
        (report.tries, report.status, report.answer.as_str()),
        (3, Some(202), "noted")
    );
    let requests = server.requests();
    for request in &requests {
        assert!(
            request.starts_with("POST /hook?to=ops HTTP/1.1\r\n"),
            "{request}"
        );
        assert!(
            request.contains("content-type: application/json\r\n"),
            "{request}"
        );
        assert!(request.contains("bcdr-delivery: dlv-01\r\n"), "{request}");
        assert!(is_genuine(request), "{request}");
        assert!(!is_genuine(&request.replace("committed", "cancelled")));
    }
}

#[tokio::test]
async fn what_the_receiver_refuses_is_not_told_again() {
    for (answer, why) in [
        (testing::status(401, "who are you?"), "status 401"),
        (testing::redirect("http://127.0.0.1:1/"), "not followed"),
    ] {
        let server = Server::http(move |_, _| answer.clone()).await;
        let report = delivered(&webhook(&server.url("/"), loopback()), 5).await;
        let Outcome::Refused(cause) = &report.outcome else {
            panic!("{report:?}");
        };
        assert!(cause.contains(why), "{cause}");
        assert_eq!((report.tries, server.requests().len()), (1, 1));
    }
}

#[tokio::test]
async fn it_is_given_up_after_the_last_try() {
    let closed = testing::closed_port().await;
    let hook = webhook(&format!("http://127.0.0.1:{closed}/"), loopback());
    let report = delivered(&hook, 3).await;
    assert!(matches!(report.outcome, Outcome::GivenUp(_)), "{report:?}");
    assert_eq!(report.tries, 3);
}

#[tokio::test]
async fn our_own_network_is_not_called_unless_listed() {
    let server = Server::http(|_, _| testing::status(200, "")).await;
    for url in [
        server.url("/"),
        format!("http://localhost:{}/", server.port()),
        // Other ways to write the same address.
        format!("http://2130706433:{}/", server.port()),
        format!("http://[::ffff:127.0.0.1]:{}/", server.port()),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
    ] {
        let report = delivered(&webhook(&url, Networks::default()), 5).await;
        assert!(
            matches!(report.outcome, Outcome::Refused(_)),
            "{url}: {report:?}"
        );
        assert_eq!((report.tries, report.address), (1, None), "{url}");
    }
    assert!(server.requests().is_empty(), "nothing was connected to");
}

#[tokio::test]
async fn the_name_is_resolved_once_and_the_checked_address_is_kept() {
    let server =
        Server::http(|count, _| testing::status(if count < 3 { 500 } else { 200 }, "")).await;
    let port = server.port();
    let hook = webhook(&format!("http://rebinding.example:{port}/"), loopback());
    let asked = AtomicUsize::new(0);
    // The second answer would lead elsewhere, as that of a hostile name server does.
    let resolve = async |_: String, port: u16| {
        let first = asked.fetch_add(1, Ordering::Relaxed) == 0;
        let last = if first { 1 } else { 2 };
        Ok(vec![SocketAddr::from((
            Ipv4Addr::new(127, 0, 0, last),
            port,
        ))])
    };
    let cancel = CancellationToken::new();
    let report = deliver_by(&hook, &delivery(), &quick(5), &cancel, resolve)
        .await
        .unwrap();
    assert_eq!(report.outcome, Outcome::Delivered, "{report:?}");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    assert_eq!(report.address, Some(([127, 0, 0, 1], port).into()));
    assert!(server.requests()[0].contains(&format!("host: rebinding.example:{port}\r\n")));
}

#[tokio::test]
async fn one_address_that_may_not_be_called_is_enough_to_refuse_the_name() {
    let hook = webhook("https://mixed.example/", Networks::default());
    let resolve = async |_: String, port: u16| {
        Ok(vec![
            SocketAddr::from(([93, 184, 215, 14], port)),
            SocketAddr::from(([10, 0, 0, 1], port)),
        ])
    };
    let cancel = CancellationToken::new();
    let report = deliver_by(&hook, &delivery(), &quick(5), &cancel, resolve)
        .await
        .unwrap();
    let Outcome::Refused(cause) = report.outcome else {
        panic!("{report:?}");
    };
    assert!(cause.contains("10.0.0.1 is a private network"), "{cause}");
}

#[tokio::test]
async fn a_receiver_with_a_wrong_certificate_is_told_nothing() {
    let (server, authority) = Server::https("hook.example", |_, _| testing::status(200, "")).await;
    let url = format!("https://hook.example:{}/", server.port());
    let secret = || Secret::new(SECRET).unwrap();
    let resolve =
        async |_: String, port: u16| Ok(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))]);
    let cancel = CancellationToken::new();
    let system = Webhook::new(&url, secret(), &Trust::System, loopback()).unwrap();
    let report = deliver_by(&system, &delivery(), &quick(5), &cancel, resolve)
        .await
        .unwrap();
    assert!(matches!(report.outcome, Outcome::Refused(_)), "{report:?}");
    assert!(server.requests().is_empty());

    let trust = Trust::Authorities(authority);
    let known = Webhook::new(&url, secret(), &trust, loopback()).unwrap();
    let report = deliver_by(&known, &delivery(), &quick(5), &cancel, resolve)
        .await
        .unwrap();
    assert_eq!(report.outcome, Outcome::Delivered, "{report:?}");
    assert!(report.receiver_verified);
}

#[tokio::test]
async fn an_endless_answer_is_cut_and_a_silent_receiver_is_left() {
    let server = Server::http(|_, _| testing::status(200, &"x".repeat(1 << 20))).await;
    let report = delivered(&webhook(&server.url("/"), loopback()), 1).await;
    assert_eq!(report.outcome, Outcome::Delivered);
    assert_eq!(report.answer.len(), ANSWER_MAX);

    let silent = Server::silent().await;
    let hook = webhook(&silent.url("/"), loopback());
    let cancel = CancellationToken::new();
    let slow = Retry::steady(SECOND * 1000, SECOND, SECOND * 1000);
    let told = delivery();
    let (report, ()) = tokio::join!(deliver(&hook, &told, &slow, &cancel), async {
        silent.connected().await;
        cancel.cancel();
    });
    assert_eq!(report.unwrap().outcome, Outcome::Cancelled);
}

#[tokio::test]
async fn what_is_not_fit_to_be_sent_is_refused() {
    let hook = webhook("https://hook.example/", Networks::default());
    let cancel = CancellationToken::new();
    let long = format!("\"{}\"", "x".repeat(BODY_MAX));
    for (id, body) in [
        ("", "{}"),
        ("a\r\nb", "{}"),
        ("a", "{"),
        ("a", long.as_str()),
    ] {
        let delivery = Delivery {
            id: id.into(),
            body: body.into(),
        };
        let refused = deliver(&hook, &delivery, &quick(1), &cancel).await;
        assert!(
            matches!(refused, Err(WebhookError::Delivery { .. })),
            "{id:?}"
        );
    }
    for url in [
        "hook.example",
        "ftp://hook.example/",
        "https://me:pw@hook.example/?t=secret",
    ] {
        let refused = Webhook::new(
            url,
            Secret::new(SECRET).unwrap(),
            &Trust::System,
            loopback(),
        );
        let text = refused.err().unwrap().to_string();
        assert!(!text.contains("secret") && !text.contains("pw"), "{text}");
    }
}
