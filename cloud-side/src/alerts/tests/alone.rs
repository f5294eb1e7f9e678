//! Alerts with a catalog and channels, and nothing to look at.

use super::{receiver::Answer, *};
use crate::{
    alerts::{
        AlertMetrics, Alerts,
        courier::{self, Beats, Errand, errands},
    },
    catalog::Catalog,
    clock::RunClock,
    testing::leaving::{leave, one_after_the_other},
};
use bcdr_alert::{
    AlertId, AlertState, ChannelRecord, Condition, DeliveryState, Judged, Mute, Object, ObjectKind,
    Taken,
};
use bcdr_disk::RealStorage;
use bcdr_format::{InstallationId, Timestamp};
use prometheus::{Gauge, GaugeVec, IntCounterVec, Opts, core::Collector as _};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

struct Alone {
    _directory: tempfile::TempDir,
    alerts: Arc<Alerts>,
}

fn metrics() -> AlertMetrics {
    let opts = |name: &str| Opts::new(name, "In a test.");
    AlertMetrics {
        active: GaugeVec::new(opts("active"), &["code", "severity"]).unwrap(),
        muted: Gauge::new("muted", "In a test.").unwrap(),
        deliveries: IntCounterVec::new(opts("deliveries"), &["channel", "result"]).unwrap(),
    }
}

impl Alone {
    fn start(channels: impl FnOnce(&Path) -> Vec<ChannelConfig>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut config = AlertsConfig {
            channels: channels(directory.path()),
            ..AlertsConfig::default()
        };
        at_once(&mut config);
        let path = directory.path().join("catalog.redb");
        let catalog = Catalog::open_or_create(&RealStorage::new(), &path, 1 << 20).unwrap();
        let channels = config.channels().unwrap();
        let alerts = Alerts::load(
            Arc::new(catalog),
            InstallationId::from_u128(1),
            RunClock::start().unwrap(),
            config,
            channels,
            metrics(),
        );
        Self {
            _directory: directory,
            alerts: Arc::new(alerts.unwrap()),
        }
    }

    /// Sees these groups unprotected, and nothing else.
    async fn see(&self, groups: &[&str]) {
        let of = |name: &&str| Condition {
            code: AlertCode::Unprotected,
            object: Object {
                kind: ObjectKind::Group,
                id: (*name).to_owned(),
                name: (*name).to_owned(),
            },
            judged: Judged::Is {
                severity: None,
                detail: "in a test".to_owned(),
            },
        };
        let conditions = groups.iter().map(of).collect();
        self.alerts.observe(conditions).await.unwrap();
    }

    fn record(&self, channel: &str) -> ChannelRecord {
        self.alerts.state().outbox.channel(channel)
    }
}

#[test]
fn a_wish_that_is_being_written_is_kept_when_nobody_waits_for_it_any_more() {
    one_after_the_other(async {
        let alone = Alone::start(|_| Vec::new());
        alone.see(&["lab"]).await;
        let alerts = &alone.alerts;
        let id = alerts.state().book.active().next().unwrap().id;
        leave(alerts.acknowledge(id, "ann", None), || ()).await;
        let alert = alerts.get(id).await.unwrap().unwrap();
        assert_eq!(alert.state(), AlertState::Acknowledged);
        let again = alerts.acknowledge(id, "bob", None).await.unwrap_err();
        assert!(again.to_string().contains("ann"), "{again}");
    });
}

#[tokio::test]
async fn what_is_over_is_shown_as_none_and_not_as_missing() {
    let alone = Alone::start(|_| Vec::new());
    let shown = || {
        let active = alone.alerts.metrics.active.collect();
        let metrics = active[0].get_metric();
        let all = metrics.iter().map(|one| one.get_gauge().get_value());
        (metrics.len(), all.sum::<f64>())
    };
    let pairs = AlertCode::ALL.len() * Severity::ALL.len();
    alone.see(&["lab", "other"]).await;
    assert_eq!(shown(), (pairs, 2.0));
    alone.see(&["other"]).await;
    assert_eq!(shown(), (pairs, 1.0));
    alone.see(&[]).await;
    assert_eq!(shown(), (pairs, 0.0));
}

#[tokio::test]
async fn a_mute_is_ended_by_an_alert_that_was_cleared_long_ago_too() {
    let alone = Alone::start(|_| Vec::new());
    alone.see(&["lab"]).await;
    let alerts = &alone.alerts;
    let active = alerts.state().book.active().next().unwrap().clone();
    let mut old = active.clone();
    old.id = AlertId::from_parts(Timestamp(1), 1);
    old.cleared = Some(bcdr_alert::Since::now(alerts.now()));
    alerts.catalog.put_document(&old).unwrap();
    let now = crate::clock::wall();
    let mute = Mute {
        scope: bcdr_alert::MuteScope::Code { code: active.code },
        until: Timestamp(now.0 + 60_000_000),
        by: "ann".to_owned(),
        why: "in a test".to_owned(),
        at: now,
    };
    alerts.mute(active.id, mute).await.unwrap();
    assert!(alerts.mute_of(&old).is_some());
    alerts.unmute(old.id, "bob").await.unwrap();
    assert_eq!(alerts.mute_of(&active), None);
    let noted = alerts.get(old.id).await.unwrap().unwrap();
    assert_eq!(noted.history.last().unwrap().event.name(), "unmuted");
    for id in [old.id, active.id] {
        let again = alerts.unmute(id, "bob").await.unwrap_err();
        assert!(again.to_string().contains("no mute"), "{again}");
    }
    let unknown = AlertId::from_parts(Timestamp(1), 2);
    let unknown = alerts.unmute(unknown, "bob").await.unwrap_err();
    assert!(unknown.to_string().contains("not there"), "{unknown}");
}

#[tokio::test]
async fn a_catalog_that_keeps_no_mark_makes_nobody_hear_a_thing_twice() {
    let receiver = Receiver::start(Answer::Status(200, "")).await;
    let alone = Alone::start(|directory| vec![hook_in(directory, "ops", receiver.url("/"))]);
    let alerts = &alone.alerts;
    // What says that a delivery was taken.
    alerts.catalog.refuse_what_says("\"delivered\":{", 1);
    alone.see(&["lab"]).await;
    let shutdown = CancellationToken::new();
    let courier = tokio::spawn(courier::run(Arc::clone(alerts), shutdown.clone()));
    let told = receiver.next().await;
    assert_eq!(told.body["alert"]["object"]["name"], "lab");
    let id = alerts.state().book.active().next().unwrap().id;
    loop {
        let deliveries = alerts.deliveries_of(id).await.unwrap();
        if matches!(deliveries[0].state, DeliveryState::Delivered { .. }) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    alone.see(&["lab", "other"]).await;
    let next = receiver.next().await;
    assert_eq!(next.body["alert"]["object"]["name"], "other", "{next:?}");
    shutdown.cancel();
    courier.await.unwrap();
}

#[tokio::test]
async fn there_is_no_sign_of_life_before_somebody_looked() {
    let alone = Alone::start(|directory| {
        vec![ChannelConfig {
            heartbeat_every_seconds: Some(3600),
            ..hook_in(directory, "watch", "http://127.0.0.1:9/".to_owned())
        }]
    });
    let alerts = &alone.alerts;
    let mut beats = Beats::new(alerts);
    let mut beat_now = || {
        let errands = errands(alerts, &mut beats);
        errands.iter().any(|one| matches!(one, Errand::Beat(_)))
    };
    assert!(!beat_now());
    // A look of which nothing can be kept is none.
    alerts.catalog.refuse_what_says("unprotected", 1);
    let conditions = vec![Condition {
        code: AlertCode::Unprotected,
        object: Object {
            kind: ObjectKind::Group,
            id: "lab".to_owned(),
            name: "lab".to_owned(),
        },
        judged: Judged::Is {
            severity: None,
            detail: "in a test".to_owned(),
        },
    }];
    alerts.observe(conditions).await.unwrap_err();
    assert!(!beat_now());
    alone.see(&["lab"]).await;
    assert!(beat_now());
    assert!(!beat_now(), "the next one is due in an hour");
}

#[tokio::test]
async fn a_receiver_that_takes_signs_of_life_and_refuses_alerts_does_not_pass_for_one_that_works() {
    let alone =
        Alone::start(|directory| vec![hook_in(directory, "ops", "http://127.0.0.1:9/".to_owned())]);
    let alerts = &alone.alerts;
    alone.see(&["lab"]).await;
    let due = alerts.state().outbox.take_due("ops", 1, alerts.now());
    alerts.mark(due[0].clone(), Err("403".to_owned())).await;
    assert!(alone.record("ops").failing.is_some());
    let taken = Ok(Taken::default());
    for sign in [bcdr_alert::Sign::Heartbeat, bcdr_alert::Sign::Test] {
        alerts.tried("ops", &taken, sign).await;
        assert!(alone.record("ops").failing.is_some(), "{sign:?}");
    }
}
