//! What the role does every now and then: clocks, space, leases, certificates.

use super::certificates::Certificates;
use crate::{clock, offload::offload, receiver, service::Service};
use bcdr_http::{Check, Health, TlsConfig};
use bcdr_wire::transport::{Protocol, set_server_identity};
use prometheus::{Gauge, GaugeVec};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

const TICK: Duration = Duration::from_secs(1);
/// How often the run's clock is noted, for a successor that judges its beats.
const NOTE_EVERY: Duration = Duration::from_secs(5);
const LEASES_EVERY: Duration = Duration::from_secs(10);
/// How often is looked for points that are due to be inspected.
const READINESS_EVERY: Duration = Duration::from_secs(10);
/// How often damaged chunks are tried again.
const DAMAGE_EVERY: Duration = Duration::from_secs(60);
const PRUNE_EVERY: Duration = Duration::from_secs(60 * 60);
/// How often certificates are renewed; they last 30 days.
const RENEW_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// How soon a failed renewal is tried again.
const RENEW_AGAIN: Duration = Duration::from_secs(10 * 60);
/// A loop that did not come around for this long is dead.
const ALIVE_FOR: Duration = Duration::from_secs(60);

/// What the loop works with.
pub(super) struct Background {
    pub(super) service: Arc<Service>,
    pub(super) certificates: Arc<Certificates>,
    pub(super) endpoint: quinn::Endpoint,
    pub(super) tls: TlsConfig,
    pub(super) gauges: Gauges,
    pub(super) checks: Checks,
}

/// What the loop measures.
pub(super) struct Gauges {
    pub(super) available: Gauge,
    pub(super) floor: Gauge,
    pub(super) certificate_expiry: GaugeVec,
}

/// What the loop reports.
pub(super) struct Checks {
    alive: Check,
    space: Check,
    catalog: Check,
    certificates: Check,
}

impl Checks {
    pub(super) fn new(health: &Health) -> Self {
        let checks = Self {
            alive: health.live_check("background", ALIVE_FOR),
            space: health.ready_check_fresh("space", ALIVE_FOR),
            catalog: health.ready_check_fresh("catalog", ALIVE_FOR),
            certificates: health.ready_check("certificates"),
        };
        // They were loaded, or there would be no loop.
        checks.certificates.pass();
        checks
    }
}

/// When each duty is due.
struct Due {
    note: Instant,
    leases: Instant,
    damage: Instant,
    readiness: Instant,
    prune: Instant,
    renew: Instant,
}

impl Background {
    /// Runs until `shutdown`.
    pub(super) async fn run(self, shutdown: CancellationToken) {
        let now = Instant::now();
        let mut due = Due {
            note: now,
            leases: now,
            damage: now,
            readiness: now + READINESS_EVERY,
            prune: now,
            renew: now + RENEW_EVERY,
        };
        let mut below_floor = false;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = shutdown.cancelled() => return,
            }
            self.checks.alive.pass();
            below_floor = self.look_at_space(below_floor).await;
            let service = &self.service;
            service.views.retry_waiting(&service.groups).await;
            self.what_is_due(&mut due, Instant::now()).await;
        }
    }

    async fn what_is_due(&self, due: &mut Due, now: Instant) {
        if now >= due.note {
            due.note = now + NOTE_EVERY;
            self.note_run().await;
        }
        if now >= due.leases {
            due.leases = now + LEASES_EVERY;
            let service = &self.service;
            let (now, audit) = (clock::wall(), &service.audit);
            service.views.close_expired(now, audit).await;
        }
        if now >= due.damage {
            due.damage = now + DAMAGE_EVERY;
            self.look_at_damage().await;
        }
        if now >= due.readiness {
            due.readiness = now + READINESS_EVERY;
            let service = &self.service;
            service.inspections.run_due(&service.groups, now).await;
        }
        if now >= due.prune {
            due.prune = now + PRUNE_EVERY;
            if let Err(error) = self.service.plans.prune_keys().await {
                tracing::warn!(%error, "old idempotency keys stay");
            }
        }
        if now >= due.renew {
            let renewed = self.renew().await;
            due.renew = now + if renewed { RENEW_EVERY } else { RENEW_AGAIN };
        }
    }

    /// Looks whether damaged chunks can be opened again, such as after a disk was repaired.
    async fn look_at_damage(&self) {
        for group in self.service.groups.all() {
            let chunks = group.damage.chunks();
            let Some(reader) = group.reader().filter(|_| !chunks.is_empty()) else {
                continue;
            };
            let opener = self.service.views.opener();
            offload(move || {
                for chunk in chunks {
                    let (segment, offset) = (chunk.segment, chunk.chunk_offset);
                    if reader.open_chunk(segment, offset, &*opener).is_ok() {
                        tracing::info!(group = %group.record().name, segment, offset, "a damaged chunk can be read again");
                        group.damage.readable_again(&chunk);
                    }
                }
            })
            .await;
        }
    }

    async fn note_run(&self) {
        let (catalog, run) = (Arc::clone(&self.service.catalog), self.service.clock.run());
        let noted = offload(move || catalog.note_receiver_run(&run)).await;
        if let Err(error) = &noted {
            tracing::error!(%error, "the catalog does not take a note");
        }
        self.checks.catalog.report(&noted);
    }

    /// Measures the space; the alarm is raised once, and taken back once.
    async fn look_at_space(&self, was_below: bool) -> bool {
        let space = match self.service.space().await {
            Ok(space) => space,
            Err(error) => {
                self.checks.space.fail(error.to_string());
                return was_below;
            }
        };
        let floor = self.service.space_floor();
        self.gauges.available.set(space.available_bytes as f64);
        self.gauges
            .floor
            .set(floor.floor_bytes(space.total_bytes) as f64);
        let admission = floor.admission(space);
        self.checks.space.report(&admission);
        match &admission {
            Err(reached) if !was_below => tracing::error!(%reached, "new data is refused"),
            Ok(()) if was_below => tracing::info!("there is space again; new data is taken"),
            _ => {}
        }
        admission.is_err()
    }

    /// Renews the certificates. Says whether that worked.
    async fn renew(&self) -> bool {
        let certificates = Arc::clone(&self.certificates);
        let renewed = offload(move || certificates.load())
            .await
            .and_then(|loaded| {
                let roles = &receiver::ACCEPTED_ROLES;
                set_server_identity(&self.endpoint, &loaded.ship, roles, Protocol::Ship)?;
                self.tls.replace_certificate(loaded.chain, loaded.key)?;
                note_expiry(&self.gauges.certificate_expiry, &loaded.ship);
                let ends = loaded.ship.peer().not_after;
                self.service.alerts.note_certificate("ship", ends);
                Ok(())
            });
        if let Err(error) = &renewed {
            tracing::error!(%error, "the certificates could not be renewed");
        }
        self.checks.certificates.report(&renewed);
        renewed.is_ok()
    }
}

/// Shows when the identity towards gateways ends.
pub(super) fn note_expiry(gauge: &GaugeVec, ship: &bcdr_wire::identity::Identity) {
    let seconds = ship.peer().not_after.0 as f64 / 1e6;
    gauge.with_label_values(&["ship"]).set(seconds.trunc());
}
