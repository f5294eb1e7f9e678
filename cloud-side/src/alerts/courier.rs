//! Brings what has to be told to the channels, several at once, each in its own time.

use super::{Alerts, Message, channel::Channel};
use crate::clock;
use bcdr_alert::{Delivery, Sign};
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
    tokio::join!(
        bring(Arc::clone(&alerts), shutdown.clone()),
        mark(alerts, shutdown)
    );
}

async fn bring(alerts: Arc<Alerts>, shutdown: CancellationToken) {
    let mut on_their_way = JoinSet::new();
    let mut beats = Beats::new(&alerts);
    loop {
        for errand in errands(&alerts, &mut beats) {
            let alerts = Arc::clone(&alerts);
            on_their_way.spawn(async move {
                match errand {
                    Errand::Tell(channel, delivery) => tell(&alerts, &channel, *delivery).await,
                    Errand::Beat(channel) => beat(&alerts, &channel).await,
                }
            });
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

/// Marks what was sent and could not be marked then, beside everything else: a catalog that cannot be
/// written keeps nobody from being told.
async fn mark(alerts: Arc<Alerts>, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(TICK) => {}
        }
        alerts.mark_again().await;
    }
}

/// Something to be brought to a channel.
#[derive(Debug)]
pub(super) enum Errand {
    Tell(Arc<Channel>, Box<Delivery>),
    Beat(Arc<Channel>),
}

/// What is to be brought now.
pub(super) fn errands(alerts: &Alerts, beats: &mut Beats) -> Vec<Errand> {
    let now = alerts.now();
    let is_watched = {
        let mut watch = alerts.watch();
        if let Some(silence) = watch.is_lost(now) {
            let seconds = silence.as_secs();
            tracing::error!(
                seconds,
                "nobody could look for what is wrong: signs of life are held back until somebody does"
            );
        }
        watch.is_kept(now)
    };
    let mut errands = Vec::new();
    for channel in alerts.channels.values() {
        let due = alerts.state().outbox.take_due(&channel.name, AT_ONCE, now);
        let tell = |delivery| Errand::Tell(Arc::clone(channel), Box::new(delivery));
        errands.extend(due.into_iter().map(tell));
        if is_watched && beats.is_due(channel) {
            errands.push(Errand::Beat(Arc::clone(channel)));
        }
    }
    errands
}

async fn tell(alerts: &Alerts, channel: &Channel, delivery: Delivery) {
    let message = Message::Alert {
        installation: alerts.installation,
        delivery: Box::new(delivery.clone()),
    };
    let sent = channel.send(&message).await;
    alerts.mark(delivery, sent).await;
}

async fn beat(alerts: &Arc<Alerts>, channel: &Channel) {
    let at = clock::wall();
    let message = Message::Heartbeat {
        id: format!("beat-{}-{}", channel.name, at.0),
        installation: alerts.installation,
        at,
        active: alerts.active(),
    };
    let sent = channel.send(&message).await;
    if let Err(error) = &sent {
        tracing::warn!(channel = %channel.name, %error, "a sign of life was not taken");
    }
    alerts.tried(&channel.name, &sent, Sign::Heartbeat).await;
}

/// When each channel's next sign of life is due.
pub(super) struct Beats(BTreeMap<String, Instant>);

impl Beats {
    /// The first is due at once: a start is a sign of life, as soon as somebody has looked.
    pub(super) fn new(alerts: &Alerts) -> Self {
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
