//! The engine against a scripted target: every way a drill can end, and what it leaves.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use bcdr_disk::RealStorage;
use tokio::sync::mpsc;

use super::*;
use crate::target::{InstanceId, InstanceState, IsolationVerdict, LaunchSettings};
use scripted_target::ScriptedTarget;

pub(crate) mod scripted_target;
pub(crate) mod scripts;

const GOOD_BOOT: &str = "SeaBIOS\r\nLinux version 6\r\nEXT4-fs (vda1): mounted filesystem\r\n\
    CANARY sequence=5 time=2026-11-03T10:00:00Z\r\nhost login: ";

/// A drill in a directory of its own.
struct Bench {
    directory: tempfile::TempDir,
    request: DrillRequest,
    context: DrillContext,
    progress: mpsc::Receiver<DrillProgress>,
}

impl Bench {
    fn new(target: &ScriptedTarget) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = LaunchSettings {
            rungs: crate::target::RungPatterns {
                canary: r"CANARY sequence=(?<sequence>\d+) time=(?<time>\S+)".to_owned(),
                ..Default::default()
            },
            ..Default::default()
        };
        let request = DrillRequest {
            drill: InstanceId::new("drill-1").unwrap(),
            group: "lab".to_owned(),
            requested_at: jiff::Timestamp::now(),
            waited: std::time::Duration::ZERO,
            point: PointDescription {
                id: "7".to_owned(),
                label: None,
                time: "2026-11-03T10:00:02Z".parse().ok(),
            },
            disks: Vec::new(),
            settings,
            evidence_directory: directory.path().join("evidence"),
            runtime_directory: directory.path().to_owned(),
            hold_seconds: 0,
        };
        let (sender, progress) = mpsc::channel(1000);
        let context = DrillContext {
            storage: Arc::new(RealStorage::new()),
            progress: Some(sender),
            stop: target.stop.clone(),
            scripts: scripts::from(None),
            replica_digest: None,
        };
        Self {
            directory,
            request,
            context,
            progress,
        }
    }

    async fn run(&self, target: &ScriptedTarget) -> DrillReport {
        let report = run_drill(&self.request, target, &self.context).await;
        let kept = std::fs::read(self.request.evidence_directory.join("drill.json")).unwrap();
        assert_eq!(
            serde_json::from_slice::<DrillReport>(&kept).unwrap(),
            report
        );
        report
    }

    fn left_over(&self) -> bool {
        self.directory.path().join("drill-1").exists()
    }
}

#[tokio::test]
async fn the_times_of_a_drill_that_waited_count_from_its_request() {
    let target = ScriptedTarget::new(GOOD_BOOT);
    let mut bench = Bench::new(&target);
    bench.request.requested_at = "2026-11-03T10:00:00Z".parse().unwrap();
    bench.request.waited = std::time::Duration::from_secs(1000);
    let report = bench.run(&target).await;
    assert_eq!(report.result, DrillResult::Passed, "{report:?}");
    assert_eq!(report.requested_at, bench.request.requested_at);
    assert!(report.phases[0].began_seconds >= 1000.0, "{report:?}");
    let passed = report.rungs.iter().filter_map(|rung| rung.at_seconds);
    assert!(passed.into_iter().all(|at| at >= 1000.0), "{report:?}");
    assert!(report.recovery_times.login_seconds.unwrap() >= 1000.0);
}

#[tokio::test]
async fn a_good_drill_passes_every_phase_and_leaves_only_evidence() {
    let target = ScriptedTarget::new(GOOD_BOOT);
    let mut bench = Bench::new(&target);
    bench.context.replica_digest = Some(Arc::new(|| Box::pin(async { Ok("same".to_owned()) })));
    let report = bench.run(&target).await;
    assert_eq!(
        (report.result, report.reason.as_deref()),
        (DrillResult::Passed, None)
    );
    use Phase::*;
    let phases: Vec<Phase> = report.phases.iter().map(|phase| phase.phase).collect();
    let expected = [
        Precheck,
        PinPoint,
        CreateOverlays,
        IsolatedNetwork,
        Boot,
        Probe,
        Evidence,
        Destroy,
        VerifyDestroyed,
        Report,
    ];
    assert_eq!(phases, expected);
    assert!(
        report
            .phases
            .iter()
            .all(|phase| phase.outcome == PhaseOutcome::Done)
    );
    assert!(
        report
            .rungs
            .iter()
            .filter(|rung| !rung.rung.is_probed())
            .all(|rung| rung.verdict == RungVerdict::Passed)
    );
    assert_eq!(
        report.canary.as_ref().unwrap().behind_point_seconds,
        Some(2.0)
    );
    assert!(report.recovery_times.login_seconds.is_some());
    assert_eq!(report.isolation.verdict, IsolationVerdict::Isolated);
    assert!(report.replica.unwrap().unchanged);
    assert!(report.cleanup.complete && !bench.left_over());
    let names: Vec<&str> = report
        .evidence
        .iter()
        .map(|file| file.name.as_str())
        .collect();
    for name in [
        "command.txt",
        "instance.json",
        "isolation.json",
        "screenshot.png",
        "evidence.json",
    ] {
        assert!(names.contains(&name), "{name} is missing in {names:?}");
    }
    bench.progress.close();
    let mut seen = Vec::new();
    while let Some(step) = bench.progress.recv().await {
        seen.push(step.phase);
    }
    seen.dedup();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_failure_in_any_phase_is_cleaned_up_and_named() {
    for fails_at in [
        "precheck",
        "plan",
        "prepare_disks",
        "prepare_network",
        "launch",
        "console",
    ] {
        let target = ScriptedTarget {
            fails_at,
            ..ScriptedTarget::new(GOOD_BOOT)
        };
        let bench = Bench::new(&target);
        let report = bench.run(&target).await;
        assert_eq!(report.result, DrillResult::Failed, "{fails_at}");
        let reason = report.reason.unwrap();
        assert!(
            reason.contains(&format!("{fails_at} was told to fail")),
            "{fails_at}: {reason}"
        );
        assert!(report.cleanup.complete && !bench.left_over(), "{fails_at}");
    }
}

#[tokio::test]
async fn a_stop_in_any_phase_is_cleaned_up_and_proven() {
    for stops_at in [
        "precheck",
        "prepare_disks",
        "prepare_network",
        "launch",
        "console",
    ] {
        let target = ScriptedTarget {
            stops_at,
            ..ScriptedTarget::new("SeaBIOS\r\n")
        };
        let bench = Bench::new(&target);
        let report = bench.run(&target).await;
        assert_eq!(
            report.result,
            DrillResult::Cancelled,
            "{stops_at}: {:?}",
            report.reason
        );
        assert!(report.cleanup.complete && !bench.left_over(), "{stops_at}");
        let stopped = report
            .phases
            .iter()
            .any(|one| one.outcome == PhaseOutcome::Stopped);
        // A stop in a phase that cannot be cut short is noticed between two phases.
        assert!(stopped || stops_at != "console", "{stops_at}");
    }
}

#[tokio::test]
async fn a_stop_before_the_start_creates_nothing() {
    let target = ScriptedTarget::new(GOOD_BOOT);
    let bench = Bench::new(&target);
    target.stop.cancel();
    let report = run_drill(&bench.request, &target, &bench.context).await;
    assert_eq!(report.result, DrillResult::Cancelled);
    assert!(target.calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_unproven_clean_up_is_never_a_success() {
    let target = ScriptedTarget::new(GOOD_BOOT);
    target.keeps_file.store(true, Ordering::SeqCst);
    let bench = Bench::new(&target);
    let report = bench.run(&target).await;
    assert_eq!(report.result, DrillResult::CleanupFailed);
    assert!(!report.cleanup.complete && bench.left_over());
    assert!(report.reason.unwrap().contains("file: looked for"));
    // Everything else went well, and a later attempt repairs it.
    target.keeps_file.store(false, Ordering::SeqCst);
    let evidence = &bench.request.evidence_directory;
    let storage = bench.context.storage.clone();
    let report = clean_up_leftover(&target, storage, evidence)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(report.result, DrillResult::Failed);
    assert!(report.cleanup.complete && !bench.left_over());
}

#[tokio::test]
async fn a_failed_destroy_or_proof_is_a_failed_clean_up() {
    for fails_at in ["destroy", "prove_destroyed"] {
        let target = ScriptedTarget {
            fails_at,
            ..ScriptedTarget::new(GOOD_BOOT)
        };
        let bench = Bench::new(&target);
        let report = bench.run(&target).await;
        assert_eq!(report.result, DrillResult::CleanupFailed, "{fails_at}");
        let attempts = target.destroyed.load(Ordering::SeqCst);
        assert_eq!(attempts, if fails_at == "destroy" { 2 } else { 1 });
    }
}

#[tokio::test]
async fn missing_evidence_is_noted_and_fails_nothing() {
    for fails_at in ["screenshot", "describe"] {
        let target = ScriptedTarget {
            fails_at,
            ..ScriptedTarget::new(GOOD_BOOT)
        };
        let report = Bench::new(&target).run(&target).await;
        assert_eq!(report.result, DrillResult::Passed, "{fails_at}");
        let phase = report
            .phases
            .iter()
            .find(|one| one.phase == Phase::Evidence)
            .unwrap();
        assert!(phase.detail.contains(fails_at), "{}", phase.detail);
    }
}

#[tokio::test]
async fn a_machine_that_stops_or_leaks_or_writes_too_much_fails() {
    let stopped = ScriptedTarget {
        state: InstanceState::Stopped("it shut down".to_owned()),
        ..ScriptedTarget::new("SeaBIOS\r\n")
    };
    let report = Bench::new(&stopped).run(&stopped).await;
    assert!(report.reason.unwrap().contains("it shut down"));

    let leaking = ScriptedTarget {
        verdict: IsolationVerdict::NotIsolated,
        ..ScriptedTarget::new(GOOD_BOOT)
    };
    let report = Bench::new(&leaking).run(&leaking).await;
    assert_eq!(report.result, DrillResult::Failed);
    assert_eq!(report.isolation.verdict, IsolationVerdict::NotIsolated);

    let writing = ScriptedTarget::new("SeaBIOS\r\n");
    let mut bench = Bench::new(&writing);
    bench.request.settings.overlay_limit_mib = 1;
    let report = bench.run(&writing).await;
    assert!(report.reason.unwrap().contains("overlay_limit_mib"));
    assert_eq!(report.overlay_bytes, 3 << 20);
}

#[tokio::test]
async fn a_machine_is_released_only_when_it_was_seen_to_be_isolated() {
    use IsolationVerdict::{Isolated, NotIsolated, Unknown};
    for verdict in [Unknown, NotIsolated] {
        let target = ScriptedTarget {
            verdict,
            ..ScriptedTarget::new(GOOD_BOOT)
        };
        let bench = Bench::new(&target);
        let report = bench.run(&target).await;
        assert_eq!(report.result, DrillResult::Failed);
        assert!(!target.calls.lock().unwrap().contains(&"release"));
        assert_eq!(report.isolation.verdict, verdict);
        let reason = report.reason.unwrap();
        assert!(reason.contains("not started: as scripted"), "{reason}");
        assert!(report.cleanup.complete && !bench.left_over());
    }
    let target = ScriptedTarget {
        first_verdicts: &[Unknown, Unknown],
        ..ScriptedTarget::new(GOOD_BOOT)
    };
    let report = Bench::new(&target).run(&target).await;
    assert_eq!(report.result, DrillResult::Passed, "{:?}", report.reason);
    assert_eq!(report.isolation.verdict, Isolated);
    let calls = target.calls.lock().unwrap();
    let released = calls.iter().position(|call| *call == "release").unwrap();
    let looks = calls[..released]
        .iter()
        .filter(|call| **call == "isolation");
    assert_eq!(looks.count(), 3);
}

#[tokio::test]
async fn a_doubt_about_the_isolation_is_no_pass_and_a_leak_is_a_failure() {
    use IsolationVerdict::{Isolated, NotIsolated, Unknown};
    let doubtful = ScriptedTarget {
        first_verdicts: &[Isolated, Isolated],
        verdict: Unknown,
        ..ScriptedTarget::new(GOOD_BOOT)
    };
    let report = Bench::new(&doubtful).run(&doubtful).await;
    assert_eq!(report.result, DrillResult::Failed);
    assert!(report.reason.unwrap().contains("is not known: as scripted"));
    let ended = ScriptedTarget {
        first_verdicts: &[Isolated, Isolated],
        verdict: Unknown,
        ends: true,
        ..ScriptedTarget::new(GOOD_BOOT)
    };
    let report = Bench::new(&ended).run(&ended).await;
    assert_eq!(report.result, DrillResult::Passed, "{:?}", report.reason);
    // Stopped half-way, and then seen to leak.
    let leaking = ScriptedTarget {
        first_verdicts: &[Isolated, Isolated],
        verdict: NotIsolated,
        stops_at: "console",
        ..ScriptedTarget::new("SeaBIOS\r\n")
    };
    let report = Bench::new(&leaking).run(&leaking).await;
    assert_eq!(report.result, DrillResult::Failed);
    let reason = report.reason.unwrap();
    assert!(
        reason.contains("not isolated") && reason.contains("a stop was asked for"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_replica_that_changes_fails_the_drill() {
    let target = ScriptedTarget::new(GOOD_BOOT);
    let mut bench = Bench::new(&target);
    let count = Arc::new(AtomicU32::new(0));
    bench.context.replica_digest = Some(Arc::new(move || {
        let digest = count.fetch_add(1, Ordering::SeqCst).to_string();
        Box::pin(async move { Ok(digest) })
    }));
    let report = bench.run(&target).await;
    assert_eq!(report.result, DrillResult::Failed);
    assert!(report.reason.unwrap().contains("replica changed"));
    assert!(!report.replica.unwrap().unchanged);
}

#[tokio::test]
async fn wrong_settings_fail_before_anything_is_created() {
    let target = ScriptedTarget::new(GOOD_BOOT);
    let mut bench = Bench::new(&target);
    bench.request.settings.memory_mib = 0;
    let report = bench.run(&target).await;
    assert_eq!(report.result, DrillResult::Failed);
    assert!(report.reason.unwrap().contains("memory_mib"));
    assert!(target.calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_stop_during_the_hold_ends_a_passed_drill() {
    let target = ScriptedTarget::new(GOOD_BOOT);
    let mut bench = Bench::new(&target);
    bench.request.hold_seconds = 3600;
    let stop = target.stop.clone();
    let (request, context) = (bench.request.clone(), bench.context.clone());
    let drill = tokio::spawn(async move { run_drill(&request, &target, &context).await });
    while let Some(step) = bench.progress.recv().await {
        if step.phase == Phase::Hold {
            stop.cancel();
            break;
        }
    }
    let report = drill.await.unwrap();
    assert_eq!(report.result, DrillResult::Passed, "{:?}", report.reason);
    let hold = report
        .phases
        .iter()
        .find(|phase| phase.phase == Phase::Hold)
        .unwrap();
    assert_eq!(hold.detail, "ended by a stop");
}

#[tokio::test]
async fn an_evidence_directory_that_cannot_be_made_fails_with_a_report() {
    let target = ScriptedTarget::new(GOOD_BOOT);
    let mut bench = Bench::new(&target);
    let file = bench.directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    bench.request.evidence_directory = file.join("evidence");
    let report = run_drill(&bench.request, &target, &bench.context).await;
    assert_eq!(report.result, DrillResult::Failed);
    assert!(report.reason.unwrap().contains("file"));
}

#[tokio::test]
async fn a_drill_whose_process_died_is_cleaned_up_by_the_next_one() {
    let target = ScriptedTarget::new("");
    let bench = Bench::new(&target);
    let evidence = bench.request.evidence_directory.clone();
    let storage = bench.context.storage.clone();
    let nothing = clean_up_leftover(&target, storage.clone(), &evidence)
        .await
        .unwrap();
    assert_eq!(nothing, None);
    {
        let drill = run_drill(&bench.request, &target, &bench.context);
        tokio::pin!(drill);
        while !target.calls.lock().unwrap().contains(&"observe") {
            tokio::select! {
                _ = &mut drill => panic!("the drill ended"),
                () = tokio::task::yield_now() => {}
            }
        }
        // Dropped here, as if the process had been killed.
    }
    assert!(bench.left_over());
    let report = clean_up_leftover(&target, storage.clone(), &evidence)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(report.result, DrillResult::Failed);
    assert!(report.cleanup.complete && !bench.left_over());
    let again = clean_up_leftover(&target, storage, &evidence)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(again, report, "a repeated clean-up changed the report");
}
