//! What carries a command out: one step of a placement, with all it may touch.
//!
//! Owns nothing but the dispatch and the checks before a failover. Each step ends in limited time,
//! finds what an earlier attempt of it did, and answers what its action asks for.

use super::{PlacementParts, machine::Machines, orders::SourceOrders};
use crate::{
    catalog::CatalogError,
    groups::Group,
    offload::offload,
    points,
    recovery::{
        Action, Event, FailoverMode, FailoverRecord, Placement, PlacementJob, PointChoice,
        StepResult, Ticket,
    },
};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Why a step did not do what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StepError {
    pub(super) code: &'static str,
    pub(super) cause: String,
    pub(super) remedy: String,
}

impl StepError {
    pub(super) fn new(
        code: &'static str,
        cause: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            code,
            cause: cause.into(),
            remedy: remedy.into(),
        }
    }

    /// Something else was to be done before it ended.
    pub(super) fn stopped() -> Self {
        Self::new("stopped", "the step was given up", "retry")
    }

    pub(super) fn into_event(self, ticket: Ticket) -> Event {
        Event::StepFailed {
            ticket,
            code: self.code.to_owned(),
            cause: self.cause,
            remedy: self.remedy,
        }
    }
}

impl From<CatalogError> for StepError {
    fn from(error: CatalogError) -> Self {
        Self::new(
            "catalog_failed",
            error.to_string(),
            "check the device that holds the catalog, then retry",
        )
    }
}

/// What a step works with.
pub(super) struct Hands {
    pub(super) parts: Arc<PlacementParts>,
    pub(super) machines: Arc<Machines>,
    pub(super) group: Arc<Group>,
    /// The placement when the step began.
    pub(super) placement: Placement,
    /// The source's orders, with what the step has done at home.
    pub(super) orders: Arc<SourceOrders>,
    /// Ends whatever only waits.
    pub(super) stop: CancellationToken,
}

impl Hands {
    /// Carries one command out.
    pub(super) async fn carry_out(&self, action: Action) -> Result<StepResult, StepError> {
        match action {
            Action::Precheck => self.precheck().await,
            Action::PrecheckRestore { choice } => self.precheck_restore(choice).await,
            Action::ProbeSource => self.probe_source().await,
            Action::QuiesceSource { .. } => self.quiesce_source().await,
            Action::DrainSource => self.drain_source().await,
            Action::PlaceBookmark { label, not_before } => {
                self.place_bookmark(label, not_before).await
            }
            Action::Fence { generation, .. } => self.fence(generation).await,
            Action::PinPoint { choice, not_before } => self.pin_point(choice, not_before).await,
            Action::CreateBranch { point } => self.create_branch(point).await,
            Action::BootInstance { branch, .. } => self.boot_failover(&branch).await,
            Action::ClimbRungs { instance } => self.climb(&instance).await,
            Action::StopInstance { .. } => self.stop_instance().await,
            Action::SealBranch => self.seal_branch().await,
            Action::ReleaseSource { generation } => self.release_source(generation).await,
            Action::BootHome { generation } => self.boot_home(generation).await,
            Action::HoldSource { generation }
            | Action::HoldHome { generation }
            | Action::StopHome { generation } => self.hold_source(generation).await,
            // The branch and its instance are served by this process alone, which follows the
            // placement; there is nobody else who would have to be told.
            Action::AdoptGeneration { .. } => Ok(StepResult::Done),
            Action::RestartTarget { branch, .. } => self.restart_target(&branch).await,
            Action::QuiesceTarget { .. } => self.quiesce_target().await,
            Action::InspectHome => match self.placement.job() {
                Some(PlacementJob::Restore(job)) => match job.drained {
                    Some(drained) => self.inspect_drained(drained).await,
                    None => Err(StepError::stopped()),
                },
                _ => self.inspect_home().await,
            },
            Action::KeepLeftBehind { point } => self.keep_left_behind(point).await,
            Action::PlanSeed { .. } => self.plan_seed(),
            Action::CopyRound { disks, .. } | Action::FinalDelta { disks, .. } => {
                self.copy_round(&disks).await
            }
            Action::RestoreDisks { point, disks, .. } => self.restore_disks(point, &disks).await,
            Action::CompareDigests { disks } => self.compare_digests(&disks).await,
            Action::ResumeForward { .. } => self.until_protected().await,
            Action::KeepHomeWrites => self.keep_home_writes().await,
        }
    }

    /// The failover that the step belongs to.
    pub(super) fn failover(&self) -> Result<&FailoverRecord, StepError> {
        match self.placement.job() {
            Some(PlacementJob::Failover(job)) => Ok(job),
            _ => Err(StepError::new(
                "no_failover",
                "the step belongs to a failover, and there is none",
                "report it with the cloud side's log",
            )),
        }
    }

    async fn fence(&self, generation: bcdr_format::Generation) -> Result<StepResult, StepError> {
        let fenced = self.group.owner.fence(generation).await;
        let generation = fenced.map_err(|error| {
            StepError::new(
                "fence_failed",
                error.to_string(),
                "check the device that holds the replica and the catalog, then retry",
            )
        })?;
        Ok(StepResult::Fenced { generation })
    }

    /// Everything that can be found out before anything is changed.
    async fn precheck(&self) -> Result<StepResult, StepError> {
        let job = self.failover()?;
        if self.parts.keys.installation_key().is_none() {
            return Err(StepError::new(
                "no_installation_key",
                "the installation key is not here, so neither can points be read nor branches written",
                "connect a gateway once, or import the key, then start the failover again",
            ));
        }
        self.resolve(job.request.point).await?;
        let settings = &job.request.launch;
        let report = self.parts.target.precheck(settings, &[]).await;
        let report = report.map_err(|error| {
            StepError::new(
                "target_failed",
                error.to_string(),
                "repair the target, then start the failover again",
            )
        })?;
        // Disks come into being later; what they need is checked against the group's volumes.
        let volumes: Vec<&str> = self.volume_names();
        let arranged = settings.arrange(&volumes, |name| name);
        let failed = report
            .items
            .iter()
            .filter(|item| item.name != "launch settings")
            .find(|item| item.verdict == crate::target::PrecheckVerdict::Failed);
        // What judges the machine holds no emergency up: its rung fails then, and somebody decides.
        if job.request.mode == FailoverMode::Planned {
            for script in &settings.probes.scripts {
                self.parts.scripts.look(script).map_err(|trouble| {
                    StepError::new("script_not_ready", trouble.cause, trouble.remedy)
                })?;
            }
        }
        match (arranged.err(), failed) {
            (Some(error), _) => Err(StepError::new(
                "launch_settings_wrong",
                error.to_string(),
                "correct the launch settings, then start the failover again",
            )),
            (None, Some(item)) => Err(StepError::new(
                "target_not_ready",
                format!("{}: {}", item.name, item.detail),
                item.remedy
                    .clone()
                    .unwrap_or_else(|| "repair the target".to_owned()),
            )),
            (None, None) => Ok(StepResult::Done),
        }
    }

    fn volume_names(&self) -> Vec<&str> {
        let volumes = self.group.record().volumes.iter();
        volumes.map(|volume| volume.name.as_str()).collect()
    }

    /// The published point that a choice means now.
    pub(super) async fn resolve(
        &self,
        choice: PointChoice,
    ) -> Result<crate::catalog::BatchRow, StepError> {
        let instant = match choice {
            PointChoice::Latest => points::Instant::Latest,
            PointChoice::NotAfter(time) => points::Instant::At(crate::clock::readable(time)),
            PointChoice::Point(id) => points::Instant::Id(id),
        };
        let (catalog, lineage) = (Arc::clone(&self.parts.catalog), self.group.lineage());
        let found = offload(move || points::resolve(&catalog, lineage, &instant)).await?;
        found.ok_or_else(|| {
            StepError::new(
                "no_such_point",
                "the group has no recovery point like the one that was asked for",
                "choose a point that is listed, or the latest one",
            )
        })
    }
}
