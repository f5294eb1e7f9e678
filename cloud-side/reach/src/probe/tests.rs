use super::*;
use crate::testing::{self, Server};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn http(url: String) -> HttpProbe {
    HttpProbe {
        url,
        expected: StatusSet::default(),
        body_contains: None,
        redirects: Redirects::None,
        trust: Trust::System,
        connect_to: None,
    }
}

fn loopback() -> Networks {
    Networks::allowing(vec!["127.0.0.0/8".parse().unwrap()])
}

async fn once(probe: Probe) -> ProbeReport {
    let cancel = CancellationToken::new();
    run(&probe, &loopback(), &Retry::once(SECOND * 30), &cancel)
        .await
        .unwrap()
}

fn last(report: &ProbeReport) -> &str {
    &report.last_tries.last().unwrap().observed
}

#[tokio::test]
async fn a_port_that_takes_connections_passes_and_a_closed_one_does_not() {
    let server = Server::http(|_, _| testing::status(200, "")).await;
    let tcp = |port, says: Option<&str>| {
        Probe::Tcp(TcpProbe {
            host: "127.0.0.1".into(),
            port,
            says: says.map(str::to_owned),
        })
    };
    let open = once(tcp(server.port(), None)).await;
    assert_eq!(open.outcome, Outcome::Passed, "{open:?}");
    let closed = testing::closed_port().await;
    let refused = once(tcp(closed, None)).await;
    assert_eq!(refused.outcome, Outcome::Failed);
    assert!(last(&refused).contains("refused"), "{refused:?}");

    let greeting = Server::saying("SSH-2.0-OpenSSH_9.2\r\n").await;
    let said = once(tcp(greeting.port(), Some("SSH-2.0"))).await;
    assert_eq!(said.outcome, Outcome::Passed, "{said:?}");
    let other = once(tcp(greeting.port(), Some("220 "))).await;
    assert_eq!(other.outcome, Outcome::Failed);
    assert!(last(&other).contains("OpenSSH"), "{other:?}");
}

#[tokio::test]
async fn what_comes_up_late_is_tried_until_it_is_there() {
    let server =
        Server::http(|count, _| testing::status(if count < 3 { 503 } else { 200 }, "ready")).await;
    let mut probe = http(server.url("/health?full=1"));
    probe.body_contains = Some("ready".into());
    let retry = Retry::steady(SECOND * 30, Duration::from_millis(5), SECOND * 60);
    let report = run(
        &Probe::Http(probe),
        &loopback(),
        &retry,
        &CancellationToken::new(),
    )
    .await
    .unwrap();
    assert_eq!(
        (report.outcome, report.tries),
        (Outcome::Passed, 3),
        "{report:?}"
    );
    assert_eq!(report.identity, Identity::Plain);
    assert!(report.last_tries[0].observed.contains("503"));
    assert!(
        report.last_tries[2].began_ms >= 10,
        "two pauses passed: {report:?}"
    );
    assert!(server.requests()[0].starts_with("GET /health?full=1 HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_probe_that_is_cancelled_ends_though_nobody_answers() {
    let silent = Server::silent().await;
    let probe = Probe::Http(http(silent.url("/")));
    let retry = Retry::steady(SECOND * 1000, SECOND, SECOND * 1000);
    let cancel = CancellationToken::new();
    let networks = loopback();
    let (report, ()) = tokio::join!(run(&probe, &networks, &retry, &cancel), async {
        silent.connected().await;
        cancel.cancel();
    });
    assert_eq!(report.unwrap().outcome, Outcome::Cancelled);
}

#[tokio::test]
async fn a_try_ends_in_time_and_says_what_it_waited_for() {
    let silent = Server::silent().await;
    let probe = Probe::Http(http(silent.url("/")));
    let retry = Retry::once(Duration::from_millis(100));
    let report = run(&probe, &loopback(), &retry, &CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(report.outcome, Outcome::Failed);
    assert!(
        last(&report).contains("waiting for the answer"),
        "{report:?}"
    );
}

#[tokio::test]
async fn redirections_are_followed_only_when_asked_for() {
    let server = Server::http(|_, request| {
        if request.starts_with("GET /there") {
            testing::status(200, "arrived")
        } else {
            testing::redirect("/there")
        }
    })
    .await;
    let mut probe = http(server.url("/"));
    let stays = once(Probe::Http(probe.clone())).await;
    assert!(last(&stays).contains("status 302"), "{stays:?}");
    probe.redirects = Redirects::SameHost(1);
    probe.body_contains = Some("arrived".into());
    assert_eq!(once(Probe::Http(probe)).await.outcome, Outcome::Passed);
}

#[tokio::test]
async fn tls_is_verified_unless_the_probe_says_otherwise_and_the_report_tells() {
    let (server, authority) = Server::https("shop.example", |_, _| testing::status(200, "")).await;
    let mut probe = http(format!("https://shop.example:{}/", server.port()));
    probe.connect_to = Some(([127, 0, 0, 1], server.port()).into());

    let unknown = once(Probe::Http(probe.clone())).await;
    assert_eq!(unknown.outcome, Outcome::Failed);
    assert!(last(&unknown).contains("UnknownIssuer"), "{unknown:?}");

    probe.trust = Trust::Authorities(authority);
    let known = once(Probe::Http(probe.clone())).await;
    assert_eq!(known.outcome, Outcome::Passed, "{known:?}");
    assert_eq!(known.identity, Identity::VerifiedByGivenAuthority);

    let named = probe.url.clone();
    probe.url = named.replace("shop", "bank");
    let other = once(Probe::Http(probe.clone())).await;
    assert_eq!(
        other.outcome,
        Outcome::Failed,
        "the certificate names another host"
    );

    probe.trust = Trust::Insecure;
    let anybody = once(Probe::Http(probe)).await;
    assert_eq!(anybody.outcome, Outcome::Passed);
    assert_eq!(anybody.identity, Identity::NotVerified);
}

#[test]
fn what_cannot_be_probed_is_refused_before_anybody_is_asked() {
    for (url, why) in [
        ("shop.example", "relative URL"),
        ("ftp://shop.example/", "\"ftp\""),
        ("http://me:secret@shop.example/", "password"),
    ] {
        let error = Probe::Http(http(url.into()))
            .check()
            .unwrap_err()
            .to_string();
        assert!(error.contains(why), "{error}");
    }
    let mut probe = http("https://shop.example/".into());
    probe.trust = Trust::Authorities("no certificate".into());
    let error = Probe::Http(probe).check().unwrap_err().to_string();
    assert!(error.contains("PEM"), "{error}");
}

#[test]
fn a_probe_is_written_with_few_words() {
    let text = r#"{"http": {"url": "http://shop.example/", "expected": ["200-299", "401"]}}"#;
    let Probe::Http(probe) = serde_json::from_str(text).unwrap() else {
        panic!("it is an HTTP probe");
    };
    assert!(probe.expected.contains(401) && probe.trust == Trust::System);
    assert!(serde_json::from_str::<Probe>(r#"{"tcp": {"host": "a", "port": 1, "x": 2}}"#).is_err());
}

#[tokio::test]
async fn an_address_that_is_not_listed_is_not_probed_nor_one_that_a_page_leads_to() {
    let inner = Server::http(|_, _| testing::status(200, "secret")).await;
    let cancel = CancellationToken::new();
    let tcp = Probe::Tcp(TcpProbe {
        host: "localhost".into(),
        port: inner.port(),
        says: None,
    });
    let page = Probe::Http(http(inner.url("/")));
    let to = format!("127.0.0.1:{}", inner.port()).parse().unwrap();
    let led = Probe::Http(HttpProbe {
        connect_to: Some(to),
        ..http("http://example.org/".to_owned())
    });
    for probe in [tcp, page, led] {
        let retry = Retry::once(SECOND * 30);
        let report = run(&probe, &Networks::default(), &retry, &cancel)
            .await
            .unwrap();
        assert_eq!(report.outcome, Outcome::Failed);
        assert!(last(&report).contains("may not be called"), "{report:?}");
    }
    assert_eq!(inner.requests().len(), 0);
}
