//! Looks at the service every few seconds, and lets what was seen into the book.

use super::{conditions::Observer, facts};
use crate::service::Service;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

const PRUNE_EVERY: Duration = Duration::from_secs(60 * 60);

/// Looks, and tells, until `shutdown`.
pub(crate) async fn run(service: Arc<Service>, shutdown: CancellationToken) {
    let alerts = Arc::clone(&service.alerts);
    let courier = super::courier::run(Arc::clone(&alerts), shutdown.clone());
    let look = async {
        let mut observer = Observer::default();
        let mut tick = tokio::time::interval(alerts.config.every());
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut prune_at = Instant::now();
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = shutdown.cancelled() => return,
            }
            let facts = facts::gather(&service).await;
            let conditions = observer.conditions(&facts, &alerts.config, |code, kind, id| {
                alerts.is_active(code, kind, id)
            });
            if let Err(error) = alerts.observe(conditions).await {
                tracing::error!(%error, "what was observed could not be entered into the book of alerts");
            }
            if Instant::now() >= prune_at {
                prune_at = Instant::now() + PRUNE_EVERY;
                if let Err(error) = alerts.prune().await {
                    tracing::warn!(%error, "old alerts stay");
                }
            }
        }
    };
    tokio::join!(look, courier);
}
