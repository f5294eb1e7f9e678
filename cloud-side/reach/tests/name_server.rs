//! DNS updates against a real name server: BIND's `named`, started by each test on a free port of the
//! loopback, with a key and a zone of its own. Without `named` these tests fail.

#![allow(
    clippy::unwrap_used,
    reason = "a helper of a test fails the test by panicking"
)]

use bcdr_reach::dns::{
    Change, DnsError, NameServer, Reading, RecordKind, RecordSet, Refusal, Transport,
    TsigAlgorithm, TsigKey,
};
use named::Named;
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

#[path = "name_server/named.rs"]
mod named;

fn addresses(name: &str, ttl_seconds: u32, values: &[&str]) -> RecordSet {
    RecordSet {
        name: name.into(),
        kind: RecordKind::A,
        ttl_seconds,
        values: values.iter().map(|value| (*value).to_owned()).collect(),
    }
}

async fn read(server: &NameServer, name: &str, kind: RecordKind) -> Result<Reading, DnsError> {
    server.read(name, kind, &CancellationToken::new()).await
}

async fn replace(
    server: &NameServer,
    seen: &RecordSet,
    wanted: &RecordSet,
) -> Result<Change, DnsError> {
    server
        .replace(seen, wanted, &CancellationToken::new())
        .await
        .map(|replaced| {
            assert_eq!(replaced.verified.values, wanted.values);
            replaced.change
        })
}

fn refusal(error: DnsError) -> Refusal {
    match error {
        DnsError::Refused { refusal, .. } => refusal,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_name_is_switched_and_put_back() {
    let named = Named::start();
    for transport in [Transport::Tcp, Transport::Udp] {
        let server = named.server("dr.test", named.key()).over(transport);
        let home = read(&server, "Shop.dr.test", RecordKind::A).await.unwrap();
        assert_eq!(
            home.records,
            addresses("shop.dr.test.", 120, &["192.0.2.10", "192.0.2.11"])
        );
        assert_eq!(home.remembered_seconds, 120);

        let away = addresses("shop.dr.test.", 30, &["198.51.100.7"]);
        assert_eq!(
            replace(&server, &home.records, &away).await.unwrap(),
            Change::Made
        );
        let now = read(&server, "shop.dr.test", RecordKind::A).await.unwrap();
        assert_eq!(now.records, away);
        // A step that is repeated after a crash has the same reading as before.
        assert_eq!(
            replace(&server, &home.records, &away).await.unwrap(),
            Change::WasThere
        );
        assert_eq!(
            replace(&server, &away, &home.records).await.unwrap(),
            Change::Made
        );
        let again = read(&server, "shop.dr.test", RecordKind::A).await.unwrap();
        assert_eq!(again, home);
    }
}

#[tokio::test]
async fn names_of_every_kind_come_and_go() {
    let named = Named::start();
    let server = named.server("dr.test", named.key());
    for (kind, value) in [
        (RecordKind::A, "192.0.2.1"),
        (RecordKind::Aaaa, "2001:db8::1"),
        (RecordKind::Cname, "elsewhere.example."),
    ] {
        let name = format!("new-{kind}.dr.test.").to_lowercase();
        let none = read(&server, &name, kind).await.unwrap();
        assert!(none.records.values.is_empty());
        assert_eq!(
            none.remembered_seconds, 45,
            "as the zone says about what is not there"
        );
        let set = RecordSet {
            name: name.clone(),
            kind,
            ttl_seconds: 60,
            values: vec![value.to_owned()],
        };
        assert_eq!(
            replace(&server, &none.records, &set).await.unwrap(),
            Change::Made
        );
        assert_eq!(read(&server, &name, kind).await.unwrap().records, set);
        assert_eq!(
            replace(&server, &set, &none.records).await.unwrap(),
            Change::Made
        );
        let gone = read(&server, &name, kind).await.unwrap();
        assert!(gone.records.values.is_empty(), "{gone:?}");
    }
}

#[tokio::test]
async fn a_change_by_somebody_else_is_noticed_and_left() {
    let named = Named::start();
    let server = named.server("dr.test", named.key());
    let seen = read(&server, "shop.dr.test", RecordKind::A)
        .await
        .unwrap()
        .records;
    let theirs = addresses("shop.dr.test.", 120, &["192.0.2.99"]);
    replace(&server, &seen, &theirs).await.unwrap();
    let ours = addresses("shop.dr.test.", 30, &["198.51.100.7"]);
    let error = replace(&server, &seen, &ours).await.unwrap_err();
    assert!(
        matches!(error, DnsError::ChangedMeanwhile { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("192.0.2.99"), "{error}");
    let left = read(&server, "shop.dr.test", RecordKind::A).await.unwrap();
    assert_eq!(left.records, theirs);
}

#[tokio::test]
async fn an_alias_in_the_way_is_named() {
    let named = Named::start();
    let server = named.server("dr.test", named.key());
    let error = read(&server, "www.dr.test", RecordKind::A)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("alias for shop.dr.test."),
        "{error}"
    );
    // The server takes an alias beside addresses without a word, and without effect.
    let none = read(&server, "shop.dr.test", RecordKind::Cname)
        .await
        .unwrap();
    let alias = RecordSet {
        name: "shop.dr.test.".into(),
        kind: RecordKind::Cname,
        ttl_seconds: 30,
        values: vec!["dr.example.".into()],
    };
    let error = replace(&server, &none.records, &alias).await.unwrap_err();
    assert!(matches!(error, DnsError::WithoutEffect { .. }), "{error}");
}

#[tokio::test]
async fn who_may_not_is_told_why() {
    let named = Named::start();
    let secret = "YW5vdGhlciBzZWNyZXQgb2YgMzIgYnl0ZXMgbGVuZ3Ro";
    let cases = [
        (
            TsigKey::new("nobody", TsigAlgorithm::HmacSha256, secret),
            Refusal::BadKey,
            "by this name",
        ),
        (
            TsigKey::new("dr-key", TsigAlgorithm::HmacSha256, secret),
            Refusal::BadSig,
            "secret",
        ),
    ];
    for (key, expected, remedy) in cases {
        let server = named.server("dr.test", key.unwrap());
        let error = read(&server, "shop.dr.test", RecordKind::A)
            .await
            .unwrap_err();
        assert!(error.to_string().contains(remedy), "{error}");
        assert_eq!(refusal(error), expected);
    }
    let seen = addresses("shop.fixed.test.", 120, &["192.0.2.10"]);
    let wanted = addresses("shop.fixed.test.", 120, &["192.0.2.11"]);
    let fixed = named.server("fixed.test", named.key());
    let error = replace(&fixed, &seen, &wanted).await.unwrap_err();
    assert!(error.to_string().contains("allow-update"), "{error}");
    assert_eq!(refusal(error), Refusal::Refused);
    let elsewhere = named.server("example.org", named.key());
    let seen = addresses("a.example.org.", 120, &["192.0.2.10"]);
    let wanted = addresses("a.example.org.", 120, &["192.0.2.11"]);
    let error = replace(&elsewhere, &seen, &wanted).await.unwrap_err();
    assert_eq!(refusal(error), Refusal::NotAuth);
    let outside = named.server("dr.test", named.key());
    let error = read(&outside, "shop.example", RecordKind::A)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("not in zone"), "{error}");
}

#[tokio::test]
async fn clocks_that_are_apart_are_named_with_the_difference() {
    let named = Named::start();
    let late = SystemTime::now() - Duration::from_secs(7200);
    let server = named
        .server("dr.test", named.key())
        .with_clock(Arc::new(move || late));
    let error = read(&server, "shop.dr.test", RecordKind::A)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("NTP"), "{error}");
    let Refusal::BadTime {
        server_ahead_seconds: Some(ahead),
    } = refusal(error)
    else {
        panic!("the server tells its time");
    };
    assert!((7200..7300).contains(&ahead), "{ahead}");
}

#[tokio::test]
async fn a_server_that_is_not_there_or_silent_is_named() {
    let named = Named::start();
    let key = named.key();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let server = NameServer::new(&address, "dr.test", key.clone())
        .unwrap()
        .waiting(Duration::from_millis(200));
    let seen = addresses("shop.dr.test.", 120, &["192.0.2.10"]);
    let wanted = addresses("shop.dr.test.", 120, &["192.0.2.11"]);
    let error = read(&server, "shop.dr.test", RecordKind::A)
        .await
        .unwrap_err();
    assert!(matches!(error, DnsError::NoAnswer { .. }), "{error}");
    // It may have taken the change all the same.
    let error = replace(&server, &seen, &wanted).await.unwrap_err();
    assert!(matches!(error, DnsError::Unverified { .. }), "{error}");
    assert!(
        error.to_string().contains("may have been made") && error.may_pass(),
        "{error}"
    );

    let cancel = CancellationToken::new();
    cancel.cancel();
    let error = server
        .read("shop.dr.test", RecordKind::A, &cancel)
        .await
        .unwrap_err();
    assert!(matches!(error, DnsError::Cancelled { .. }), "{error}");

    drop(silent);
    let server = NameServer::new(&address, "dr.test", key).unwrap();
    let error = read(&server, "shop.dr.test", RecordKind::A)
        .await
        .unwrap_err();
    assert!(matches!(error, DnsError::Unreachable { .. }), "{error}");
    // Of this one nothing was sent.
    let error = replace(&server, &seen, &wanted).await.unwrap_err();
    assert!(matches!(error, DnsError::Unreachable { .. }), "{error}");
}

/// Passes everything on to the server, except that the first question is lost, before or after the
/// server got it.
async fn losing_the_first(named: &Named, after_the_server_got_it: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = named.address();
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        if after_the_server_got_it {
            let mut upstream = TcpStream::connect(&server).await.unwrap();
            let length = client.read_u16().await.unwrap();
            let mut question = vec![0; length.into()];
            client.read_exact(&mut question).await.unwrap();
            upstream.write_u16(length).await.unwrap();
            upstream.write_all(&question).await.unwrap();
            // The answer has begun, so the server has decided.
            upstream.read_u16().await.unwrap();
        }
        drop(client);
        while let Ok((mut client, _)) = listener.accept().await {
            let mut upstream = TcpStream::connect(&server).await.unwrap();
            let _ = copy_bidirectional(&mut client, &mut upstream).await;
        }
    });
    address
}

#[tokio::test]
async fn an_answer_that_was_lost_is_not_guessed_at() {
    let named = Named::start();
    let direct = named.server("dr.test", named.key());
    let home = read(&direct, "shop.dr.test", RecordKind::A)
        .await
        .unwrap()
        .records;
    let away = addresses("shop.dr.test.", 30, &["198.51.100.7"]);

    let never_arrives = losing_the_first(&named, false).await;
    let server = NameServer::new(&never_arrives, "dr.test", named.key()).unwrap();
    let error = replace(&server, &home, &away).await.unwrap_err();
    assert!(matches!(error, DnsError::Unreachable { .. }), "{error}");
    assert_eq!(
        read(&direct, "shop.dr.test", RecordKind::A)
            .await
            .unwrap()
            .records,
        home
    );

    let arrives = losing_the_first(&named, true).await;
    let server = NameServer::new(&arrives, "dr.test", named.key()).unwrap();
    assert_eq!(replace(&server, &home, &away).await.unwrap(), Change::Made);
    assert_eq!(
        read(&direct, "shop.dr.test", RecordKind::A)
            .await
            .unwrap()
            .records,
        away
    );
}

/// Passes one question and its answer on to the server, and is gone then.
async fn for_one_question(named: &Named) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = named.address();
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        drop(listener);
        let mut upstream = TcpStream::connect(&server).await.unwrap();
        let _ = copy_bidirectional(&mut client, &mut upstream).await;
    });
    address
}

#[tokio::test]
async fn a_change_that_was_made_and_cannot_be_verified_is_no_server_that_did_not_answer() {
    let named = Named::start();
    let direct = named.server("dr.test", named.key());
    let home = read(&direct, "shop.dr.test", RecordKind::A)
        .await
        .unwrap()
        .records;
    let away = addresses("shop.dr.test.", 30, &["198.51.100.7"]);
    let address = for_one_question(&named).await;
    let server = NameServer::new(&address, "dr.test", named.key()).unwrap();
    let error = replace(&server, &home, &away).await.unwrap_err();
    assert!(
        matches!(&error, DnsError::Unverified { source, .. } if source.may_pass()),
        "{error}"
    );
    let now = read(&direct, "shop.dr.test", RecordKind::A).await.unwrap();
    assert_eq!(now.records, away);
}
