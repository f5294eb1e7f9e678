//! Starting the role, and the order in which it ends.

use super::{
    RoleError,
    background::{Background, Checks, Gauges, note_expiry},
    builder,
    certificates::Certificates,
};
use crate::{
    access::Access,
    alerts::{self, AlertMetrics, Alerts, channel::Channel},
    api,
    audit::{Audit, AuditMetrics, AuditParts, CatalogAnchor},
    branch::{BranchKeySource, BranchLimits, BranchSettings},
    branches::Branches,
    catalog::Catalog,
    clock::RunClock,
    config::CloudConfig,
    drills::{DrillParts, Drills},
    events::{self, Events},
    groups::Groups,
    idempotency::Idempotency,
    init::require_installation,
    jobs::{JobKind, Jobs},
    keys::Keys,
    metrics::{StateCollector, StateParts},
    offload::offload,
    outside::{Outside, OutsideParts},
    placements::{PlacementParts, Placements},
    plans::{PlanParts, Plans},
    points,
    readiness::{InspectionParts, Inspections},
    receive::Lineage,
    receiver::{self, Receiver, owner::OwnerSettings},
    replica::{ChunkCache, ChunkOpener},
    reports::{ReportParts, Reports, runbook::Places},
    returns::Returns,
    rpo_history::RpoHistory,
    schedules::{self, Schedules},
    screens::Screens,
    service::{self, Service},
    state_files::StateFiles,
    target::{Target, qemu::QemuTarget},
    views::{KeyedOpener, Views},
};
use bcdr_disk::{DirectoryLock, RealStorage, Storage};
use bcdr_http::{Health, Limits, Metrics, TlsConfig, serve_tls};
use bcdr_wire::transport::{Protocol, server_endpoint};
use prometheus::Registry;
use std::{
    net::SocketAddr,
    sync::{Arc, mpsc},
    thread,
};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

/// Memory for the catalog's pages, in bytes.
const CATALOG_CACHE_BYTES: usize = 64 << 20;
/// Plaintext that all branches together keep in memory, in bytes.
const BRANCH_CACHE_BYTES: usize = 64 << 20;
/// Upper bounds of phase times, in seconds.
const PHASE_SECONDS: [f64; 10] = [0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 180.0, 600.0];

/// A role that runs.
#[derive(Debug)]
pub struct Started {
    /// Where the API listens.
    pub api_address: SocketAddr,
    /// Where gateways are served.
    pub ship_address: SocketAddr,
    /// Ends when the role has ended.
    pub finished: JoinHandle<Result<(), RoleError>>,
    /// Its parts, for tests; it does not keep them alive.
    #[cfg(test)]
    pub(crate) service: std::sync::Weak<Service>,
}

/// Starts the role; it ends after `shutdown` is cancelled.
///
/// # Errors
/// When any part cannot start; what had started is ended again.
pub async fn start(config: CloudConfig, shutdown: CancellationToken) -> Result<Started, RoleError> {
    let storage: Arc<dyn Storage> = Arc::new(RealStorage::new());
    let target = QemuTarget::new(config.tools(), Arc::clone(&storage));
    start_on(config, storage, Arc::new(target), shutdown).await
}

/// The same, on another target.
pub(crate) async fn start_on(
    config: CloudConfig,
    storage: Arc<dyn Storage>,
    target: Arc<dyn Target>,
    shutdown: CancellationToken,
) -> Result<Started, RoleError> {
    let files = StateFiles::new(&config.state_directory);
    let metrics = Metrics::new(Registry::new(), "cloud", env!("CARGO_PKG_VERSION"))?;
    let alerts = config.alerts.clone();
    let channels = offload(move || alerts.channels()).await?;
    let opened = {
        let (storage, files, config) = (Arc::clone(&storage), files.clone(), config.clone());
        offload(move || Opened::open(storage, &files, &config)).await?
    };
    let certificates = Arc::new(Certificates::new(storage, files, config.clone()));
    let loaded = {
        let certificates = Arc::clone(&certificates);
        offload(move || certificates.load()).await?
    };
    let tls = TlsConfig::from_certificate(loaded.chain, loaded.key)?;
    let roles = &receiver::ACCEPTED_ROLES;
    let (address, ship, reset) = (config.listen_ship, &loaded.ship, &loaded.reset);
    let endpoint = server_endpoint(address, ship, roles, Protocol::Ship, reset)?;
    let listen = |source| RoleError::Listen {
        address: config.listen_api,
        source,
    };
    let listener = TcpListener::bind(config.listen_api).await.map_err(listen)?;
    let api_address = listener.local_addr().map_err(listen)?;
    let ship_address = endpoint.local_addr().map_err(listen)?;
    let gauges = Gauges {
        available: metrics.gauge("bcdr_store_available_bytes", "Bytes free in the store.")?,
        floor: metrics.gauge(
            "bcdr_store_floor_bytes",
            "Bytes that stay free in the store.",
        )?,
        certificate_expiry: metrics.gauge_vec(
            "bcdr_certificate_expiry_timestamp_seconds",
            "When a certificate ends.",
            &["name"],
        )?,
    };
    note_expiry(&gauges.certificate_expiry, &loaded.ship);
    let audit = opened.audit(&config, &metrics).await?;
    let alerts = alerts_of(&opened, &config, channels, &metrics).await?;
    alerts.note_certificate("ship", loaded.ship.peer().not_after);
    let (service, parts) =
        opened.assemble(&config, target, &metrics, ship_address, audit, alerts)?;
    settle(&service).await?;
    let health = Health::new();
    let background = Background {
        service: Arc::clone(&service),
        certificates,
        endpoint: endpoint.clone(),
        tls: tls.clone(),
        gauges,
        checks: Checks::new(&health),
    };
    let router = api::router(Arc::clone(&service), health, &metrics, config.api.rate());
    let receiver = Arc::new(Receiver {
        installation: service.installation,
        groups: Arc::clone(&service.groups),
        keys: Arc::clone(&service.keys),
        clock: service.clock,
        returns: Arc::clone(&service.returns),
    });
    let mut tasks = JoinSet::new();
    tasks.spawn(receiver::run(endpoint, receiver, shutdown.clone()));
    tasks.spawn(background.run(shutdown.clone()));
    tasks.spawn(schedules::runner::run(
        Arc::clone(&service),
        shutdown.clone(),
    ));
    tasks.spawn(Arc::clone(&service.access).run(shutdown.clone()));
    tasks.spawn(alerts::run(Arc::clone(&service), shutdown.clone()));
    tasks.spawn(events::look::run(Arc::clone(&service), shutdown.clone()));
    let stop_api = shutdown.clone().cancelled_owned();
    tasks.spawn(async move {
        serve_tls(listener, tls, router, Limits::default(), stop_api).await;
    });
    tracing::info!(%api_address, %ship_address, "cloud side started");
    #[cfg(test)]
    let parts_for_tests = Arc::downgrade(&service);
    let running = Running {
        service,
        tasks,
        builder: parts.builder,
        give_up: parts.give_up,
        lock: parts.lock,
        shutdown,
    };
    Ok(Started {
        api_address,
        ship_address,
        finished: tokio::spawn(running.run()),
        #[cfg(test)]
        service: parts_for_tests,
    })
}

/// What is opened before anybody is let in.
struct Opened {
    lock: DirectoryLock,
    installation: bcdr_format::InstallationId,
    catalog: Arc<Catalog>,
    keys: Arc<Keys>,
    access: Arc<Access>,
    groups: Arc<Groups>,
    reports: Arc<Reports>,
    rpo: Arc<RpoHistory>,
    schedules: Arc<Schedules>,
    events: Arc<Events>,
    outside: Arc<Outside>,
    owner: OwnerSettings,
    builder: thread::JoinHandle<()>,
    give_up: watch::Receiver<Option<String>>,
}

/// What only the role itself needs.
struct Parts {
    lock: DirectoryLock,
    builder: thread::JoinHandle<()>,
    give_up: watch::Receiver<Option<String>>,
}

impl Opened {
    /// Blocks.
    fn open(
        storage: Arc<dyn Storage>,
        files: &StateFiles,
        config: &CloudConfig,
    ) -> Result<Self, RoleError> {
        let installation = require_installation(&*storage, files)?;
        let lock = DirectoryLock::acquire(files.root())?;
        for directory in [
            files.replicas(),
            config.runtime_directory.clone(),
            config.evidence_directory(),
        ] {
            storage.create_directory_all(&directory)?;
        }
        // A wrong setting is told before anything is opened that has to be closed again.
        let outside = Outside::new(OutsideParts {
            config: config.outside.clone(),
            storage: Arc::clone(&storage),
            evidence_directory: config.evidence_directory(),
        })?;
        let catalog = Catalog::open(&*storage, &files.catalog(), CATALOG_CACHE_BYTES)?;
        let catalog = Arc::new(catalog);
        let clock = RunClock::start()?;
        catalog.begin_receiver_run(&clock.run())?;
        let keys = Arc::new(Keys::load(Arc::clone(&storage), files, installation)?);
        let access = Arc::new(Access::load(Arc::clone(&catalog))?);
        let reports = Reports::new(ReportParts {
            catalog: Arc::clone(&catalog),
            storage: Arc::clone(&storage),
            installation,
            key: files.report_signing_key(),
            config: config.reports.clone(),
        });
        let reports = reports.map_err(|error| RoleError::Reports(error.to_string()))?;
        let rpo = Arc::new(RpoHistory::new(Arc::clone(&catalog)));
        let schedules = Arc::new(Schedules::load(Arc::clone(&catalog))?);
        let events = Arc::new(Events::new(config.api.event_streams.into())?);
        catalog.watch_documents(Arc::<Events>::clone(&events));
        let (committed, due) = mpsc::channel();
        let builder = thread::Builder::new()
            .name("run builder".to_owned())
            .spawn(move || builder::run(&due))
            .map_err(RoleError::Thread)?;
        let (sender, give_up) = watch::channel(None);
        let owner = OwnerSettings {
            storage,
            replicas: files.replicas(),
            catalog: Arc::clone(&catalog),
            options: config.store.options(),
            keys: Arc::clone(&keys),
            clock,
            committed,
            give_up: sender,
        };
        let groups = Arc::new(Groups::default());
        for record in catalog.groups()? {
            groups.insert(service::start(owner.clone(), record)?);
        }
        Ok(Self {
            lock,
            installation,
            catalog,
            keys,
            access,
            groups,
            reports: Arc::new(reports),
            rpo,
            schedules,
            events,
            outside: Arc::new(outside),
            owner,
            builder,
            give_up,
        })
    }

    /// Opens the audit log. Without the key that signs it, it is written all the same.
    async fn audit(
        &self,
        config: &CloudConfig,
        metrics: &Metrics,
    ) -> Result<Arc<Audit>, RoleError> {
        let key = self.reports.key().await;
        if let Err(error) = &key {
            tracing::error!(%error, "the audit log is not signed");
        }
        let parts = AuditParts {
            storage: Arc::clone(&self.owner.storage),
            directory: StateFiles::new(&config.state_directory).audit(),
            installation: self.installation,
            key: key.ok(),
            anchor: Arc::new(CatalogAnchor(Arc::clone(&self.catalog))),
            config: config.audit,
            floor: config.store.space_floor(),
        };
        let metrics = AuditMetrics::new(metrics)?;
        let audit = offload(move || Audit::start(parts, metrics)).await;
        Ok(Arc::new(
            audit.map_err(|error| RoleError::Audit(error.to_string()))?,
        ))
    }

    fn assemble(
        self,
        config: &CloudConfig,
        target: Arc<dyn Target>,
        metrics: &Metrics,
        ship_address: SocketAddr,
        audit: Arc<Audit>,
        alerts: Arc<Alerts>,
    ) -> Result<(Arc<Service>, Parts), RoleError> {
        let ended =
            metrics.counter_vec("bcdr_jobs_total", "Jobs that ended.", &["type", "result"])?;
        let phases = metrics.histogram_vec(
            "bcdr_job_phase_duration_seconds",
            "How long each phase of a job took.",
            &["type", "phase"],
            &PHASE_SECONDS,
        )?;
        let catalog = self.catalog;
        let jobs = Arc::new(Jobs::new(Arc::clone(&catalog), ended));
        let opener = KeyedOpener::new(Arc::clone(&self.keys), Arc::clone(&catalog));
        let runtime = &config.runtime_directory;
        let opener: Arc<dyn ChunkOpener> = Arc::new(opener);
        let branches = branch_settings(&self.owner, Arc::clone(&opener));
        let branches = Arc::new(Branches::new(branches));
        let views = Arc::new(Views::new(
            Arc::clone(&catalog),
            Arc::clone(&opener),
            Arc::clone(&branches),
            runtime,
        ));
        let inspections = Arc::new(Inspections::new(InspectionParts {
            catalog: Arc::clone(&catalog),
            jobs: Arc::clone(&jobs),
            opener,
            schedules: Arc::clone(&self.schedules),
            every: config.readiness_every(),
        }));
        let (rpo, schedules) = (self.rpo, self.schedules);
        let drills = Arc::new(Drills::new(DrillParts {
            catalog: Arc::clone(&catalog),
            storage: Arc::clone(&self.owner.storage),
            target: Arc::clone(&target),
            jobs: Arc::clone(&jobs),
            views: Arc::clone(&views),
            runtime_directory: runtime.clone(),
            evidence_directory: config.evidence_directory(),
            reports: Arc::clone(&self.reports),
            rpo: Arc::clone(&rpo),
            schedules: Arc::clone(&schedules),
            places: Places::of(config, self.installation),
            scripts: Arc::<Outside>::clone(&self.outside),
            machines: Arc::new(Semaphore::new(config.drills_at_once.get().into())),
            drills_per_group: config.drills_per_group,
            phases,
        }));
        let screens = Arc::new(Screens::new(Arc::clone(&target)));
        let returns = Arc::new(Returns::new(Arc::clone(&catalog)));
        let placements = Arc::new(Placements::new(PlacementParts {
            catalog: Arc::clone(&catalog),
            storage: Arc::clone(&self.owner.storage),
            keys: Arc::clone(&self.keys),
            branches: Arc::clone(&branches),
            target,
            jobs: Arc::clone(&jobs),
            returns: Arc::clone(&returns),
            views: Arc::clone(&views),
            reports: Arc::clone(&self.reports),
            rpo: Arc::clone(&rpo),
            schedules: Arc::clone(&schedules),
            runtime_directory: runtime.clone(),
            evidence_directory: config.evidence_directory(),
            audit: Arc::clone(&audit),
            scripts: Arc::<Outside>::clone(&self.outside),
        }));
        let idempotency = Arc::new(Idempotency::new(Arc::clone(&catalog)));
        let plans = Arc::new(Plans::new(PlanParts {
            catalog: Arc::clone(&catalog),
            groups: Arc::clone(&self.groups),
            jobs: Arc::clone(&jobs),
            drills: Arc::clone(&drills),
            placements: Arc::clone(&placements),
            idempotency: Arc::clone(&idempotency),
            audit: Arc::clone(&audit),
            outside: self.outside,
        }));
        metrics.collector(Box::new(StateCollector::new(StateParts {
            groups: Arc::clone(&self.groups),
            placements: Arc::clone(&placements),
            drills: Arc::clone(&drills),
            jobs: Arc::clone(&jobs),
            views: Arc::clone(&views),
            schedules: Arc::clone(&schedules),
            events: Arc::clone(&self.events),
            clock: self.owner.clock,
        })?))?;
        let service = Arc::new(Service {
            installation: self.installation,
            ship_address,
            clock: self.owner.clock,
            idempotency,
            returns,
            catalog,
            keys: self.keys,
            access: self.access,
            groups: self.groups,
            owner: self.owner,
            views,
            branches,
            jobs,
            drills,
            screens,
            placements,
            plans,
            inspections,
            reports: self.reports,
            rpo,
            schedules,
            audit,
            alerts,
            events: self.events,
            applying: Arc::default(),
        });
        let parts = Parts {
            lock: self.lock,
            builder: self.builder,
            give_up: self.give_up,
        };
        Ok((service, parts))
    }
}

async fn alerts_of(
    opened: &Opened,
    config: &CloudConfig,
    channels: Vec<Channel>,
    metrics: &Metrics,
) -> Result<Arc<Alerts>, RoleError> {
    let shown = AlertMetrics {
        active: metrics.gauge_vec(
            "bcdr_alerts_active",
            "Alerts that are not cleared.",
            &["code", "severity"],
        )?,
        muted: metrics.gauge("bcdr_alerts_muted", "Of them, those that are muted.")?,
        deliveries: metrics.counter_vec(
            "bcdr_alert_deliveries_total",
            "Messages to channels, by what came of them.",
            &["channel", "result"],
        )?,
    };
    let (catalog, clock) = (Arc::clone(&opened.catalog), opened.owner.clock);
    let (installation, config) = (opened.installation, config.alerts.clone());
    let load = move || Alerts::load(catalog, installation, clock, config, channels, shown);
    Ok(Arc::new(offload(load).await?))
}

fn branch_settings(owner: &OwnerSettings, opener: Arc<dyn ChunkOpener>) -> BranchSettings {
    let keys: Arc<dyn BranchKeySource> = Arc::<Keys>::clone(&owner.keys);
    BranchSettings {
        storage: Arc::clone(&owner.storage),
        replicas: owner.replicas.clone(),
        catalog: Arc::clone(&owner.catalog),
        store: owner.options,
        keys,
        opener,
        cache: Arc::new(ChunkCache::new(BRANCH_CACHE_BYTES)),
        limits: BranchLimits::default(),
        committed: owner.committed.clone(),
    }
}

/// Settles what an earlier process left, before new requests come.
async fn settle(service: &Service) -> Result<(), RoleError> {
    let (branches, groups) = (Arc::clone(&service.branches), Arc::clone(&service.groups));
    let replica = move |lineage: Lineage| {
        let group = groups.get(lineage.group)?;
        (group.lineage() == lineage).then(|| group.reader())?
    };
    offload(move || branches.open_all(replica)).await?;
    let dead = service.drills.settle_left_over(&service.groups).await?;
    service
        .views
        .reopen(&service.groups, |view| !dead.contains(&view))
        .await?;
    service.inspections.load().await?;
    for job in service.jobs.left_over().await? {
        match job.kind {
            JobKind::CreatePoint => {
                let (catalog, jobs) = (&service.catalog, &service.jobs);
                points::settle_left_over(catalog, jobs, &service.groups, job).await?;
            }
            // Its drill was settled above, and the job with it; placements settle theirs.
            JobKind::Drill | JobKind::Failover | JobKind::Failback | JobKind::Restore => {}
            JobKind::Readiness => service.inspections.settle_left_over(job).await?,
        }
    }
    service.placements.open_all(&service.groups).await?;
    // Last: what their steps began is settled, or driven, by now.
    service.plans.resume().await?;
    Ok(())
}

struct Running {
    service: Arc<Service>,
    tasks: JoinSet<()>,
    builder: thread::JoinHandle<()>,
    give_up: watch::Receiver<Option<String>>,
    lock: DirectoryLock,
    shutdown: CancellationToken,
}

impl Running {
    async fn run(mut self) -> Result<(), RoleError> {
        let given_up = tokio::select! {
            () = self.shutdown.cancelled() => None,
            reason = self.give_up.wait_for(Option::is_some) => {
                reason.ok().and_then(|reason| reason.clone())
            }
        };
        self.shutdown.cancel();
        // Gateways and clients first, then what they used.
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a part of the role broke");
            }
        }
        // Before what their steps began, whose end by the stop is no end of a step.
        self.service.plans.stop().await;
        self.service.inspections.stop();
        self.service.drills.stop_all().await;
        self.service.placements.stop().await;
        self.service.jobs.stop().await;
        self.service.views.stop().await;
        let branches = Arc::clone(&self.service.branches);
        offload(move || branches.close()).await;
        for group in self.service.groups.all() {
            group.owner.stop().await;
        }
        // Last of what records: what the others did at their end is in it.
        let audit = Arc::clone(&self.service.audit);
        offload(move || audit.close()).await;
        // The builder ends when nobody can give it work any more.
        drop(self.service);
        let builder = self.builder;
        offload(move || {
            if builder.join().is_err() {
                tracing::error!("the run builder broke");
            }
        })
        .await;
        drop(self.lock);
        tracing::info!("cloud side stopped");
        given_up.map_or(Ok(()), |reason| Err(RoleError::GivenUp(reason)))
    }
}

#[cfg(test)]
mod tests;
