//! Brings what has to be told to the channels, several at once, each in its own time.

use super::{Alerts, Message, channel::Channel};
use crate::clock;
use bcdr_alert::Delivery;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

/// Deliveries that one channel is given at once.
const AT_ONCE: usize = 4;
/// How often is looked for what is due again.
const TICK: Duration = Duration::from_millis(500);

/// Tells until `shutdown`. What is on its way then is told again by the next process, under the same
/// id, unless it was marked.
pub(super) async fn run(alerts: Arc<Alerts>, shutdown: CancellationToken) {
    let mut on_their_way = JoinSet::new();
    let mut beats = Beats::new(&alerts);
    loop {
        let now = alerts.now();
        for channel in alerts.channels.values() {
            let due = alerts.state().outbox.take_due(&channel.name, AT_ONCE, now);
            for delivery in due {
                let (alerts, channel) = (Arc::clone(&alerts), Arc::clone(channel));
                on_their_way.spawn(async move { tell(&alerts, &channel, delivery).await });
            }
            if beats.is_due(channel) {
                let (alerts, channel) = (Arc::clone(&alerts), Arc::clone(channel));
                on_their_way.spawn(async move { beat(&alerts, &channel).await });
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = alerts.wake.notified() => {}
            () = tokio::time::sleep(TICK) => {}
        }
        while on_their_way.try_join_next().is_some() {}
    }
    on_their_way.shutdown().await;
}

async fn tell(alerts: &Alerts, channel: &Channel, delivery: Delivery) {
    let message = Message::Alert {
        installation: alerts.installation,
        delivery: Box::new(delivery.clone()),
    };
    let result = channel.send(&message).await;
    alerts.mark(delivery, result).await;
}

async fn beat(alerts: &Alerts, channel: &Channel) {
    let at = clock::wall();
    let message = Message::Heartbeat {
        id: format!("beat-{}-{}", channel.name, at.0),
        installation: alerts.installation,
        at,
        active: alerts.active(),
    };
    let result = channel.send(&message).await;
    if let Err(error) = &result {
        tracing::warn!(channel = %channel.name, %error, "a sign of life was not taken");
    }
    alerts.tried(&channel.name, &result, "heartbeat").await;
}

/// When each channel's next sign of life is due.
struct Beats(BTreeMap<String, Instant>);

impl Beats {
    /// The first is due at once: a start is a sign of life.
    fn new(alerts: &Alerts) -> Self {
        let now = Instant::now();
        let with_beat = alerts
            .channels
            .values()
            .filter(|channel| channel.heartbeat_every.is_some());
        Self(
            with_beat
                .map(|channel| (channel.name.clone(), now))
                .collect(),
        )
    }

    fn is_due(&mut self, channel: &Channel) -> bool {
        let (Some(due), Some(every)) = (self.0.get_mut(&channel.name), channel.heartbeat_every)
        else {
            return false;
        };
        let now = Instant::now();
        if now < *due {
            return false;
        }
        *due = now + every;
        true
    }
}
