//! A target that plays a script.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use tokio_util::sync::CancellationToken;

use crate::target::{
    ConsoleChunk, ConsoleOffset, DiskSource, EvidenceText, InstanceDetail, InstancePurpose,
    InstanceRecord, InstanceState, IsolationSample, IsolationVerdict, LaunchRequest,
    LaunchSettings, Observation, PrecheckReport, Proof, Target, TargetError, TargetFuture, WaysIn,
    qemu::QemuInstance,
};

/// A target that creates one file, shows a fixed console and fails where it is told to.
pub(crate) struct ScriptedTarget {
    pub(crate) console: &'static str,
    pub(crate) state: InstanceState,
    pub(crate) verdict: IsolationVerdict,
    /// What the first looks at the isolation say, before `verdict`.
    pub(crate) first_verdicts: &'static [IsolationVerdict],
    /// Whether it is gone after the first look at its state.
    pub(crate) ends: bool,
    pub(crate) fails_at: &'static str,
    /// Asks the drill to stop during this call.
    pub(crate) stops_at: &'static str,
    pub(crate) stop: CancellationToken,
    pub(crate) keeps_file: AtomicBool,
    pub(crate) destroyed: AtomicU32,
    pub(crate) calls: Mutex<Vec<&'static str>>,
    pub(crate) ways: Option<Arc<dyn WaysIn>>,
}

impl ScriptedTarget {
    pub(crate) fn new(console: &'static str) -> Self {
        Self {
            console,
            state: InstanceState::Running,
            verdict: IsolationVerdict::Isolated,
            first_verdicts: &[],
            ends: false,
            fails_at: "",
            stops_at: "",
            stop: CancellationToken::new(),
            keeps_file: AtomicBool::new(false),
            destroyed: AtomicU32::new(0),
            calls: Mutex::new(Vec::new()),
            ways: None,
        }
    }

    fn call(&self, name: &'static str) -> Result<(), TargetError> {
        self.calls.lock().unwrap().push(name);
        if self.stops_at == name {
            self.stop.cancel();
        }
        if self.fails_at == name {
            return Err(TargetError::NotIsolated {
                reason: format!("{name} was told to fail"),
            });
        }
        Ok(())
    }

    fn file(record: &InstanceRecord) -> &Path {
        let InstanceDetail::Qemu(instance) = &record.detail;
        &instance.directory
    }
}

impl Target for ScriptedTarget {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn precheck<'a>(
        &'a self,
        _settings: &'a LaunchSettings,
        _disks: &'a [DiskSource],
    ) -> TargetFuture<'a, PrecheckReport> {
        Box::pin(async move {
            let mut report = PrecheckReport::default();
            match self.call("precheck") {
                Ok(()) => report.pass("everything", "fine"),
                Err(error) => report.fail("everything", error.to_string(), "do not ask for it"),
            }
            Ok(report)
        })
    }

    fn plan(&self, request: &LaunchRequest) -> Result<InstanceRecord, TargetError> {
        self.call("plan")?;
        let detail = InstanceDetail::Qemu(QemuInstance {
            purpose: request.purpose,
            marker: String::new(),
            directory: request.runtime_directory.join(request.instance.as_str()),
            short_directory: None,
            control_socket: "/nonexistent".into(),
            stations: Vec::new(),
            agent_socket: None,
            overlays: Vec::new(),
            uefi_variables: None,
            console_log: "/nonexistent".into(),
            error_log: "/nonexistent".into(),
            arguments: Vec::new(),
            process: None,
        });
        Ok(InstanceRecord {
            instance: request.instance.clone(),
            detail,
        })
    }

    fn prepare_disks<'a>(
        &'a self,
        record: &'a InstanceRecord,
        request: &'a LaunchRequest,
    ) -> TargetFuture<'a, ()> {
        Box::pin(async move {
            let kept = request.evidence_directory.join("instance.json");
            // A failover keeps its record in the catalog.
            let is_drill = request.purpose == InstancePurpose::Drill;
            assert!(
                !is_drill || kept.exists(),
                "created before the record was durable"
            );
            std::fs::write(Self::file(record), "decrypted").unwrap();
            self.call("prepare_disks")
        })
    }

    fn prepare_network<'a>(
        &'a self,
        _record: &'a InstanceRecord,
        _request: &'a LaunchRequest,
    ) -> TargetFuture<'a, String> {
        Box::pin(async move { self.call("prepare_network").map(|()| "none".to_owned()) })
    }

    fn launch<'a>(
        &'a self,
        record: &'a InstanceRecord,
        _request: &'a LaunchRequest,
    ) -> TargetFuture<'a, InstanceRecord> {
        Box::pin(async move { self.call("launch").map(|()| record.clone()) })
    }

    fn release<'a>(&'a self, _record: &'a InstanceRecord) -> TargetFuture<'a, ()> {
        Box::pin(async move { self.call("release") })
    }

    fn adopt<'a>(&'a self, record: &'a InstanceRecord) -> TargetFuture<'a, bool> {
        Box::pin(async move { self.call("adopt").map(|()| Self::file(record).exists()) })
    }

    fn shut_down<'a>(
        &'a self,
        _record: &'a InstanceRecord,
        _limit: std::time::Duration,
    ) -> TargetFuture<'a, bool> {
        Box::pin(async move { self.call("shut_down").map(|()| true) })
    }

    fn observe<'a>(&'a self, _record: &'a InstanceRecord) -> TargetFuture<'a, Observation> {
        Box::pin(async move {
            self.call("observe")?;
            let calls = self.calls.lock().unwrap();
            let looks = calls.iter().filter(|call| **call == "observe").count();
            let state = match self.ends && looks > 1 {
                true => InstanceState::Gone("it ended".to_owned()),
                false => self.state.clone(),
            };
            Ok(Observation {
                state,
                overlay_bytes: 3 << 20,
                console_bytes: 0,
            })
        })
    }

    fn console<'a>(
        &'a self,
        _record: &'a InstanceRecord,
        offset: ConsoleOffset,
    ) -> TargetFuture<'a, ConsoleChunk> {
        Box::pin(async move {
            self.call("console")?;
            // Nothing before the state was seen, as with a machine that has just been started.
            let observed = self.calls.lock().unwrap().contains(&"observe");
            let text = if observed { self.console } else { "" };
            let bytes = text.as_bytes()[offset.0 as usize..].to_vec();
            let next = ConsoleOffset(text.len() as u64);
            Ok(ConsoleChunk { bytes, next })
        })
    }

    fn isolation<'a>(&'a self, _record: &'a InstanceRecord) -> TargetFuture<'a, IsolationSample> {
        Box::pin(async move {
            self.call("isolation")?;
            let calls = self.calls.lock().unwrap();
            let looks = calls.iter().filter(|call| **call == "isolation").count();
            let first = self.first_verdicts.get(looks - 1).copied();
            Ok(IsolationSample {
                verdict: first.unwrap_or(self.verdict),
                reason: "as scripted".to_owned(),
                sockets: Vec::new(),
                network: None,
            })
        })
    }

    fn ways_in(&self, _record: &InstanceRecord) -> Option<Arc<dyn WaysIn>> {
        self.ways.clone()
    }

    fn screenshot<'a>(
        &'a self,
        _record: &'a InstanceRecord,
        path: &'a Path,
    ) -> TargetFuture<'a, ()> {
        Box::pin(async move {
            self.call("screenshot")?;
            std::fs::write(path, "png").unwrap();
            Ok(())
        })
    }

    fn screen<'a>(&'a self, record: &'a InstanceRecord) -> TargetFuture<'a, Vec<u8>> {
        Box::pin(async move {
            self.call("screen")?;
            if !Self::file(record).exists() {
                return Err(TargetError::NotRunning {
                    instance: record.instance.to_string(),
                });
            }
            let calls = self.calls.lock().unwrap();
            let looks = calls.iter().filter(|call| **call == "screen").count();
            Ok(format!("\u{89}PNG {looks}").into_bytes())
        })
    }

    fn describe<'a>(&'a self, _record: &'a InstanceRecord) -> TargetFuture<'a, Vec<EvidenceText>> {
        Box::pin(async move {
            self.call("describe")?;
            Ok(vec![EvidenceText {
                name: "command.txt",
                text: "run".to_owned(),
            }])
        })
    }

    fn destroy<'a>(&'a self, record: &'a InstanceRecord) -> TargetFuture<'a, ()> {
        Box::pin(async move {
            self.destroyed.fetch_add(1, Ordering::SeqCst);
            self.call("destroy")?;
            if !self.keeps_file.load(Ordering::SeqCst) {
                match std::fs::remove_file(Self::file(record)) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{error}"),
                    _ => {}
                }
            }
            Ok(())
        })
    }

    fn prove_destroyed<'a>(&'a self, record: &'a InstanceRecord) -> TargetFuture<'a, Proof> {
        Box::pin(async move {
            self.call("prove_destroyed")?;
            let mut proof = Proof::default();
            proof.note("file", !Self::file(record).exists(), "looked for");
            Ok(proof)
        })
    }
}
