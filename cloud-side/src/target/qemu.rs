//! The qemu target: instances are QEMU processes on this host, under emulation.
//!
//! Owns the life of one process per instance: its disks over NBD exports, its networks, a control
//! socket, a console log, and the removal of all of it. A drill gets throw-away overlays and a
//! network without any way out; the machine of a failover writes to its exports, has the networks
//! it is given, and outlives the process that started it.
//!
//! Invariants: no QEMU process is started whose marker is not already in a record; a process is
//! signalled only after its start time or its marker proved that it is ours; a guest is started halted
//! and executes its first instruction only when it is released, which in a drill takes an
//! observation that it is isolated.
//!
//! It never uses a hypervisor device: opening one proves nothing about guests running in it.

mod cleanup;
mod command;
mod files;
mod isolation;
mod launch;
mod overlay;
mod precheck;
mod process;
mod qmp;
mod record;
mod stations;
mod tools;

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bcdr_disk::Storage;

pub(crate) use process::GroupEnd;
pub use process::ProcessIdentity;
pub use qmp::{QmpClient, QmpError, QmpEvent};
pub use record::{Overlay, QemuInstance};
pub use tools::ToolPaths;

use super::{
    ConsoleChunk, ConsoleOffset, DiskSource, EvidenceText, InstanceDetail, InstanceId,
    InstancePurpose, InstanceRecord, InstanceState, IsolationSample, LaunchRequest, LaunchSettings,
    Observation, PrecheckReport, Proof, Target, TargetError, TargetFuture, WaysIn,
};
use launch::LiveInstance;

/// Longest wait for an answer on the control socket; QEMU answers within milliseconds unless its
/// disk hangs.
const CONTROL_DEADLINE: Duration = Duration::from_secs(5);
/// The longest picture that is shown, in bytes.
const SCREEN_BYTES_MAX: u64 = 16 << 20;
/// Its name among the instance's files, while it is read.
const SCREEN_NAME: &str = "screen.png";
/// Longest wait for a picture of the screen.
const SCREENSHOT_DEADLINE: Duration = Duration::from_secs(15);

/// Runs instances as QEMU processes on this host.
pub struct QemuTarget {
    tools: ToolPaths,
    storage: Arc<dyn Storage>,
    live: Mutex<HashMap<InstanceId, Arc<LiveInstance>>>,
}

impl QemuTarget {
    /// A target that uses these programs; whether they work is found out by the precheck.
    pub fn new(tools: ToolPaths, storage: Arc<dyn Storage>) -> Self {
        Self {
            tools,
            storage,
            live: Mutex::new(HashMap::new()),
        }
    }

    fn live(&self, record: &InstanceRecord) -> Result<Arc<LiveInstance>, TargetError> {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.get(&record.instance)
            .cloned()
            .ok_or_else(|| TargetError::NotRunning {
                instance: record.instance.to_string(),
            })
    }

    fn remember(&self, instance: &InstanceId, live: Arc<LiveInstance>) {
        let mut map = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        map.insert(instance.clone(), live);
    }

    fn forget(&self, instance: &InstanceId) -> Option<Arc<LiveInstance>> {
        self.live
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(instance)
    }

    async fn observe_instance(&self, record: &InstanceRecord) -> Result<Observation, TargetError> {
        let InstanceDetail::Qemu(instance) = &record.detail;
        let live = self.live(record)?;
        let state = match live.exited() {
            Some(reason) => InstanceState::Gone(reason),
            None => live.run_state().await?,
        };
        let overlay_bytes = instance
            .overlays
            .iter()
            .map(|one| files::occupied_bytes(&one.path));
        Ok(Observation {
            state,
            overlay_bytes: overlay_bytes.sum(),
            console_bytes: files::length_bytes(&instance.console_log),
        })
    }

    async fn sample_isolation(
        &self,
        record: &InstanceRecord,
    ) -> Result<IsolationSample, TargetError> {
        let InstanceDetail::Qemu(instance) = &record.detail;
        let live = self.live(record)?;
        let network = live
            .monitor("info network")
            .await
            .map_err(|error| error.to_string());
        let Some(process) = instance.process.clone() else {
            return Err(TargetError::NotRunning {
                instance: record.instance.to_string(),
            });
        };
        let stations = live.stations();
        off_thread("observing the isolation", move || {
            isolation::sample(&process, network, &stations)
        })
        .await
    }

    async fn take_screenshot(
        &self,
        record: &InstanceRecord,
        path: &Path,
    ) -> Result<(), TargetError> {
        let live = self.live(record)?;
        // Created here, so that the picture of a decrypted machine is readable by its owner only.
        files::create_private(&*self.storage, path)?;
        let arguments = serde_json::json!({ "filename": path, "format": "png" });
        live.control("screendump", Some(arguments), SCREENSHOT_DEADLINE)
            .await?;
        if files::length_bytes(path) == 0 {
            return Err(TargetError::Tool {
                tool: "qemu-system-x86_64".to_owned(),
                reason: "it wrote an empty picture".to_owned(),
                remedy: "use a QEMU built with PNG support".to_owned(),
            });
        }
        Ok(())
    }

    /// The picture goes by way of the instance's own directory, which its clean-up removes and proves gone.
    async fn take_screen(&self, record: &InstanceRecord) -> Result<Vec<u8>, TargetError> {
        let InstanceDetail::Qemu(instance) = &record.detail;
        let live = self.live(record)?;
        let _taking = live.taking().await;
        if live.exited().is_some() {
            return Err(TargetError::NotRunning {
                instance: record.instance.to_string(),
            });
        }
        let path = instance.directory.join(SCREEN_NAME);
        let taken = self.take_screenshot(record, &path).await;
        let storage = Arc::clone(&self.storage);
        off_thread("reading a picture of the screen", move || {
            let png = taken.and_then(|()| {
                bcdr_disk::read_whole(&*storage, &path, SCREEN_BYTES_MAX)
                    .map_err(|error| TargetError::files("read", &path)(error.into()))
            });
            match storage.remove(&path) {
                Err(error) if error.kind() != bcdr_disk::DiskErrorKind::NotFound => {
                    Err(TargetError::files("remove", &path)(error.into()))
                }
                _ => png,
            }
        })
        .await?
    }

    async fn describe_instance(&self, record: &InstanceRecord) -> Vec<EvidenceText> {
        let InstanceDetail::Qemu(instance) = &record.detail;
        let mut texts = vec![EvidenceText {
            name: "qemu-command.txt",
            text: command::printable(&self.tools.system_emulator, &instance.arguments),
        }];
        let Ok(live) = self.live(record) else {
            return texts;
        };
        let mut control = String::new();
        for line in ["info version", "info status", "info network", "info block"] {
            let answer = match live.monitor(line).await {
                Ok(answer) => answer.replace('\r', ""),
                Err(error) => format!("not available: {error}\n"),
            };
            control.push_str(&format!("# {line}\n{answer}\n"));
        }
        for event in live.events().await {
            control.push_str(&format!("# event {} {}\n", event.name, event.data));
        }
        texts.push(EvidenceText {
            name: "qemu-monitor.txt",
            text: control,
        });
        texts
    }
}

impl Target for QemuTarget {
    fn name(&self) -> &'static str {
        "qemu"
    }

    fn precheck<'a>(
        &'a self,
        settings: &'a LaunchSettings,
        disks: &'a [DiskSource],
    ) -> TargetFuture<'a, PrecheckReport> {
        Box::pin(async move { Ok(precheck::precheck(&self.tools, settings, disks).await) })
    }

    fn plan(&self, request: &LaunchRequest) -> Result<InstanceRecord, TargetError> {
        let instance = record::plan(request)?;
        Ok(InstanceRecord {
            instance: request.instance.clone(),
            detail: InstanceDetail::Qemu(instance),
        })
    }

    fn prepare_disks<'a>(
        &'a self,
        record: &'a InstanceRecord,
        request: &'a LaunchRequest,
    ) -> TargetFuture<'a, ()> {
        let InstanceDetail::Qemu(instance) = &record.detail;
        Box::pin(overlay::prepare(
            &self.tools,
            &self.storage,
            instance,
            request,
        ))
    }

    fn prepare_network<'a>(
        &'a self,
        record: &'a InstanceRecord,
        _request: &'a LaunchRequest,
    ) -> TargetFuture<'a, String> {
        let InstanceDetail::Qemu(instance) = &record.detail;
        Box::pin(async move {
            if instance.purpose == InstancePurpose::Failover {
                let networks = command::networks_of(&instance.arguments).join("; ");
                return Ok(format!("as its cards say: {networks}"));
            }
            command::only_isolated(&instance.arguments, &instance.stations)
                .map_err(|reason| TargetError::NotIsolated { reason })?;
            Ok(if instance.stations.is_empty() {
                "a virtual hub inside the QEMU process for each card, with the card as its only port"
                    .to_owned()
            } else {
                "a probe station of this process for each card, as the only other station of its \
                 network"
                    .to_owned()
            })
        })
    }

    fn launch<'a>(
        &'a self,
        record: &'a InstanceRecord,
        request: &'a LaunchRequest,
    ) -> TargetFuture<'a, InstanceRecord> {
        let InstanceDetail::Qemu(instance) = &record.detail;
        Box::pin(async move {
            let (live, instance) = launch::start(&self.tools, &self.storage, instance).await?;
            let live = Arc::new(live);
            self.remember(&request.instance, live);
            Ok(InstanceRecord {
                instance: request.instance.clone(),
                detail: InstanceDetail::Qemu(instance),
            })
        })
    }

    fn release<'a>(&'a self, record: &'a InstanceRecord) -> TargetFuture<'a, ()> {
        Box::pin(async move {
            let live = self.live(record)?;
            live.control("cont", None, CONTROL_DEADLINE).await.map(drop)
        })
    }

    fn adopt<'a>(&'a self, record: &'a InstanceRecord) -> TargetFuture<'a, bool> {
        let InstanceDetail::Qemu(instance) = &record.detail;
        Box::pin(async move {
            if self.live(record).is_ok() {
                return Ok(true);
            }
            let Some(live) = launch::adopt(instance).await? else {
                return Ok(false);
            };
            self.remember(&record.instance, Arc::new(live));
            Ok(true)
        })
    }

    fn shut_down<'a>(
        &'a self,
        record: &'a InstanceRecord,
        limit: Duration,
    ) -> TargetFuture<'a, bool> {
        Box::pin(async move {
            let live = self.live(record)?;
            live.shut_down(limit).await
        })
    }

    fn observe<'a>(&'a self, record: &'a InstanceRecord) -> TargetFuture<'a, Observation> {
        Box::pin(self.observe_instance(record))
    }

    fn console<'a>(
        &'a self,
        record: &'a InstanceRecord,
        offset: ConsoleOffset,
    ) -> TargetFuture<'a, ConsoleChunk> {
        let InstanceDetail::Qemu(instance) = &record.detail;
        Box::pin(async move { files::read_console(&instance.console_log, offset) })
    }

    fn isolation<'a>(&'a self, record: &'a InstanceRecord) -> TargetFuture<'a, IsolationSample> {
        Box::pin(self.sample_isolation(record))
    }

    fn ways_in(&self, record: &InstanceRecord) -> Option<Arc<dyn WaysIn>> {
        self.live(record).ok()?.ways_in()
    }

    fn screenshot<'a>(
        &'a self,
        record: &'a InstanceRecord,
        path: &'a Path,
    ) -> TargetFuture<'a, ()> {
        Box::pin(self.take_screenshot(record, path))
    }

    fn screen<'a>(&'a self, record: &'a InstanceRecord) -> TargetFuture<'a, Vec<u8>> {
        Box::pin(self.take_screen(record))
    }

    fn describe<'a>(&'a self, record: &'a InstanceRecord) -> TargetFuture<'a, Vec<EvidenceText>> {
        Box::pin(async move { Ok(self.describe_instance(record).await) })
    }

    fn destroy<'a>(&'a self, record: &'a InstanceRecord) -> TargetFuture<'a, ()> {
        let InstanceDetail::Qemu(instance) = &record.detail;
        Box::pin(async move {
            let live = self.forget(&record.instance);
            cleanup::destroy(&self.storage, instance, live).await
        })
    }

    fn prove_destroyed<'a>(&'a self, record: &'a InstanceRecord) -> TargetFuture<'a, Proof> {
        let InstanceDetail::Qemu(instance) = &record.detail;
        let instance = instance.clone();
        Box::pin(off_thread("proving the clean-up", move || {
            cleanup::prove(&instance)
        }))
    }
}

/// Runs something that blocks for a moment away from the threads that serve everyone.
async fn off_thread<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, TargetError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| TargetError::Interrupted { what })
}
