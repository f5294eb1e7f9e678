//! Steps that start and end the instance of a failover on its branch.
//!
//! Invariant: what an instance is made of is in its durable record before any of it exists, and the
//! record goes only after it was proven that nothing of it is left.

use super::{
    RecoveredInstance,
    hands::{Hands, StepError},
};
use crate::{
    branch::{
        Branch, BranchId,
        exports::{ExportedVolume, ServedBranch, serve_branch, socket_path},
    },
    clock,
    drill::script,
    offload::offload,
    recovery::{Authority, BranchName, FormNumber, InstanceName, PlacementJob, Site, StepResult},
    target::{
        DiskSource, InstanceId, InstancePurpose, InstanceState, LaunchRequest, LaunchSettings,
        NetworkCard, TargetError,
    },
};
use std::{
    collections::{HashMap, hash_map::Entry},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// The branches that are served to instances now.
#[derive(Debug, Default)]
pub(crate) struct Machines(Mutex<HashMap<BranchId, ServedBranch>>);

impl Machines {
    fn served(&self) -> MutexGuard<'_, HashMap<BranchId, ServedBranch>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the serving of all branches; what was written is durable on return.
    pub(super) async fn stop_serving(&self) {
        let all = std::mem::take(&mut *self.served());
        for (branch, served) in all {
            if let Err(error) = served.stop().await {
                tracing::error!(%branch, %error, "a branch could not be flushed at the end");
            }
        }
    }
}

/// How an instance was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// It executes.
    Executes,
    /// It is there and does not execute: it was shut down from inside, or cannot go on.
    Stopped,
    /// There is no such process.
    Gone,
}

/// An instance that is to be launched.
struct Wanted<'a> {
    name: InstanceName,
    branch: &'a BranchName,
    settings: LaunchSettings,
    networks: Vec<NetworkCard>,
}

fn target_failed(error: &TargetError) -> StepError {
    StepError::new(
        "target_failed",
        error.to_string(),
        "repair the target, then retry, or roll back",
    )
}

impl Hands {
    pub(super) async fn boot_failover(&self, branch: &BranchName) -> Result<StepResult, StepError> {
        let job = self.failover()?;
        let wanted = Wanted {
            name: InstanceName(job.id.to_string()),
            branch,
            settings: job.request.launch.clone(),
            networks: job.request.networks.clone(),
        };
        self.boot(wanted).await
    }

    /// Starts the instance again after a cutover that was undone, as it was launched before.
    pub(super) async fn restart_target(
        &self,
        branch: &BranchName,
    ) -> Result<StepResult, StepError> {
        let before = self.instance().await?.ok_or_else(|| {
            StepError::new(
                "instance_unknown",
                "how the instance was launched is not known any more",
                "start a machine on the branch by hand, and report it with the cloud side's log",
            )
        })?;
        let wanted = Wanted {
            name: before.name,
            branch,
            settings: before.settings,
            networks: before.networks,
        };
        self.boot(wanted).await
    }

    async fn boot(&self, wanted: Wanted<'_>) -> Result<StepResult, StepError> {
        let branch = self.branch(wanted.branch)?;
        let sources = self.serve(&branch).await?;
        if let Some(found) = self.instance().await? {
            if found.name == wanted.name && self.adopt(&found).await? == Found::Executes {
                return Ok(StepResult::Booted {
                    instance: found.name,
                });
            }
            self.remove_remains(&found).await?;
        }
        let name = wanted.name.clone();
        self.launch(wanted, sources).await?;
        Ok(StepResult::Booted { instance: name })
    }

    async fn launch(&self, wanted: Wanted<'_>, disks: Vec<DiskSource>) -> Result<(), StepError> {
        let evidence_directory = self.evidence_of(&wanted.name);
        let (storage, made) = (Arc::clone(&self.parts.storage), evidence_directory.clone());
        let made = offload(move || storage.create_directory_all(&made)).await;
        made.map_err(|error| {
            StepError::new(
                "evidence_failed",
                error.to_string(),
                "make room or repair the device, then retry",
            )
        })?;
        let request = LaunchRequest {
            instance: InstanceId::new(wanted.name.0.clone())
                .map_err(|error| StepError::new("instance_name", error.to_string(), "report it"))?,
            purpose: InstancePurpose::Failover,
            settings: wanted.settings.clone(),
            networks: wanted.networks.clone(),
            disks,
            runtime_directory: self.parts.runtime_directory.clone(),
            evidence_directory,
        };
        let target = &self.parts.target;
        let failed = |error: TargetError| target_failed(&error);
        let record = target.plan(&request).map_err(failed)?;
        let mut instance = RecoveredInstance {
            form: FormNumber::CURRENT,
            group: self.group.id(),
            name: wanted.name,
            branch: wanted.branch.clone(),
            record,
            settings: wanted.settings,
            networks: wanted.networks,
            launched_at: None,
            rungs: Vec::new(),
        };
        self.keep_instance(&instance).await?;
        let record = &instance.record;
        target
            .prepare_disks(record, &request)
            .await
            .map_err(failed)?;
        target
            .prepare_network(record, &request)
            .await
            .map_err(failed)?;
        instance.record = target.launch(record, &request).await.map_err(failed)?;
        instance.launched_at = Some(clock::wall());
        // Before its first instruction: a machine that nobody could find again must not run.
        self.keep_instance(&instance).await?;
        target.release(&instance.record).await.map_err(failed)
    }

    fn evidence_of(&self, instance: &InstanceName) -> PathBuf {
        self.parts.evidence_directory.join(&instance.0)
    }

    /// Serves a branch, unless it is, and says where its volumes are.
    async fn serve(&self, branch: &Arc<Branch>) -> Result<Vec<DiskSource>, StepError> {
        let volumes: Vec<ExportedVolume> = branch
            .volumes()
            .iter()
            .map(|member| ExportedVolume {
                number: member.number,
                name: self
                    .group
                    .volume_name(member.id)
                    .map_or_else(|| member.id.to_string(), str::to_owned),
            })
            .collect();
        let socket = socket_path(&self.parts.runtime_directory, branch.id());
        let mut all = self.machines.served();
        let served = match all.entry(branch.id()) {
            Entry::Occupied(held) => held.into_mut(),
            Entry::Vacant(free) => {
                let served = serve_branch(branch, &socket, &volumes).map_err(|error| {
                    StepError::new(
                        "branch_not_served",
                        error.to_string(),
                        "free the socket or shorten runtime_directory, then retry",
                    )
                })?;
                free.insert(served)
            }
        };
        let sources = branch.volumes().iter().zip(&volumes);
        Ok(sources
            .map(|(member, volume)| DiskSource {
                volume: volume.name.clone(),
                uri: served.uri(&volume.name),
                size_bytes: member.size_bytes,
            })
            .collect())
    }

    async fn stop_serving(&self, branch: &BranchName) -> Result<(), StepError> {
        let id: Option<BranchId> = branch.0.parse().ok();
        let served = id.and_then(|id| self.machines.served().remove(&id));
        let Some(served) = served else { return Ok(()) };
        served.stop().await.map_err(|error| {
            StepError::new(
                "branch_not_flushed",
                error.to_string(),
                "repair the store, then retry",
            )
        })
    }

    /// Takes charge of an instance that an earlier process launched. Says how it is.
    async fn adopt(&self, instance: &RecoveredInstance) -> Result<Found, StepError> {
        if instance.launched_at.is_none() {
            return Ok(Found::Gone);
        }
        let target = &self.parts.target;
        let failed = |error: TargetError| target_failed(&error);
        if !target.adopt(&instance.record).await.map_err(failed)? {
            return Ok(Found::Gone);
        }
        let observed = target.observe(&instance.record).await.map_err(failed)?;
        match observed.state {
            InstanceState::Running => Ok(Found::Executes),
            InstanceState::Stopped(reason) => {
                tracing::warn!(
                    instance = instance.name.0,
                    reason,
                    "an instance does not execute"
                );
                Ok(Found::Stopped)
            }
            InstanceState::Gone(reason) => {
                tracing::warn!(instance = instance.name.0, reason, "an instance is gone");
                Ok(Found::Gone)
            }
        }
    }

    /// Removes whatever there is of an instance, with proof; its record goes with it.
    async fn remove_remains(&self, instance: &RecoveredInstance) -> Result<(), StepError> {
        let target = &self.parts.target;
        let failed = |error: TargetError| target_failed(&error);
        target.destroy(&instance.record).await.map_err(failed)?;
        let proof = target
            .prove_destroyed(&instance.record)
            .await
            .map_err(failed)?;
        if let Some(gaps) = proof.gaps() {
            return Err(StepError::new(
                "instance_not_gone",
                format!("it is not proven that nothing of the instance is left: {gaps}"),
                "remove what is named, then retry",
            ));
        }
        Ok(())
    }

    /// Ends what an earlier process left of the scripts that judged the instance. Where that cannot be
    /// proven it is said, and nothing waits for it: no script holds production up on its way.
    pub(super) async fn end_scripts(&self, instance: &RecoveredInstance) {
        let storage = Arc::clone(&self.parts.storage);
        let proof = script::end_left_in(storage, self.evidence_of(&instance.name)).await;
        if let Some(gaps) = proof.gaps() {
            let instance = &instance.name.0;
            tracing::error!(
                instance,
                gaps,
                "a script that judged the machine may still run"
            );
        }
    }

    /// Ends the instance at once. Its branch keeps what was flushed, and is not served any more.
    pub(super) async fn stop_instance(&self) -> Result<StepResult, StepError> {
        if let Some(instance) = self.instance().await? {
            self.remove_remains(&instance).await?;
            self.end_scripts(&instance).await;
            self.stop_serving(&instance.branch).await?;
            self.forget_instance().await?;
        }
        Ok(StepResult::Done)
    }

    /// Ends the instance in order, so that its file systems are complete. How it was launched stays
    /// known: an undone cutover launches it again.
    pub(super) async fn quiesce_target(&self) -> Result<StepResult, StepError> {
        let Some(instance) = self.instance().await? else {
            return Ok(StepResult::Done);
        };
        // A process that was started anew serves the disks first: a machine without them cannot flush.
        let branch = self.branch(&instance.branch)?;
        self.serve(&branch).await?;
        if self.adopt(&instance).await? == Found::Executes {
            let target = &self.parts.target;
            let settings = &instance.settings;
            let patience = Duration::from_secs(settings.shut_down_seconds.into());
            let down = target.shut_down(&instance.record, patience).await;
            match down.map_err(|error| target_failed(&error))? {
                true => {}
                false if settings.power_off => {
                    let name = &instance.name.0;
                    tracing::warn!(
                        instance = name,
                        "it did not shut itself down; its power is cut"
                    );
                }
                false => {
                    return Err(StepError::new(
                        "instance_runs_on",
                        format!(
                            "the machine was not seen shutting itself down in order within {} s",
                            patience.as_secs()
                        ),
                        "shut it down from inside, then cut over again; or start the failover with power_off = true in its launch settings",
                    ));
                }
            }
        }
        self.remove_remains(&instance).await?;
        self.stop_serving(&instance.branch).await?;
        Ok(StepResult::Done)
    }

    /// Sees to it that the instance is there that is to run production here: its disks are served, and
    /// a machine that is gone, as after a restart of this host, is started again. One that was shut
    /// down from inside stays so. Says whether it has to be tried again.
    pub(super) async fn keep_instance_up(&self) -> bool {
        if !runs_here(&self.placement) {
            return false;
        }
        let kept_up = async {
            let Some(instance) = self.instance().await? else {
                return Ok(None);
            };
            let branch = self.branch(&instance.branch)?;
            let disks = self.serve(&branch).await?;
            if self.adopt(&instance).await? != Found::Gone {
                return Ok(None);
            }
            self.remove_remains(&instance).await?;
            let wanted = Wanted {
                name: instance.name.clone(),
                branch: &instance.branch,
                settings: instance.settings.clone(),
                networks: instance.networks.clone(),
            };
            self.launch(wanted, disks).await?;
            Ok::<_, StepError>(Some(instance.name))
        };
        match kept_up.await {
            Ok(None) => false,
            Ok(Some(instance)) => {
                tracing::warn!(group = %self.group.id(), instance = instance.0, "the machine that runs production here was gone and is started again");
                false
            }
            Err(error) => {
                tracing::error!(group = %self.group.id(), ?error, "production here cannot be taken up; it is tried again");
                true
            }
        }
    }

    /// The group's instance, if there is anything of one.
    pub(super) async fn instance(&self) -> Result<Option<RecoveredInstance>, StepError> {
        let catalog = Arc::clone(&self.parts.catalog);
        let key = self.group.id().to_string();
        Ok(offload(move || catalog.document(&key)).await?)
    }

    pub(super) async fn keep_instance(
        &self,
        instance: &RecoveredInstance,
    ) -> Result<(), StepError> {
        let (catalog, instance) = (Arc::clone(&self.parts.catalog), instance.clone());
        Ok(offload(move || catalog.put_document(&instance)).await?)
    }

    async fn forget_instance(&self) -> Result<(), StepError> {
        let catalog = Arc::clone(&self.parts.catalog);
        let key = self.group.id().to_string();
        offload(move || catalog.remove_document::<RecoveredInstance>(&key)).await?;
        Ok(())
    }
}

/// Whether production is to run here: the authority is here, and no step is about to change that.
fn runs_here(placement: &crate::recovery::Placement) -> bool {
    let authority: &Authority = placement.authority();
    let keeps_source = placement
        .split_brain()
        .and_then(|split| split.keeping.as_ref())
        .is_some_and(|keeping| keeping.site == Site::Source);
    let turned_back = match placement.job() {
        Some(PlacementJob::Failover(job)) => job.turned_back.is_some(),
        Some(PlacementJob::Failback(job)) => job.is_target_ended(),
        // It goes on at the source alone.
        Some(PlacementJob::Restore(_)) | None => false,
    };
    authority.holder() == Site::Target && !turned_back && !keeps_source
}
