//! The script rung with real programs: what passes it, what it leaves, and that nothing of it stays.

use super::*;
use crate::{
    drill::script::{RungScripts, ScriptFuture, ScriptRun, ScriptTrouble},
    outside::{Outside, OutsideConfig, OutsideParts},
    target::{
        AddressOrigin, CardAddress, GuestStream, ScriptProbe, WayFuture, WaysIn,
        qemu::ProcessIdentity,
    },
};
use bcdr_reach::script::{End, ScriptResult};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::{
        fs::PermissionsExt,
        process::{CommandExt, ExitStatusExt},
    },
    path::{Path, PathBuf},
    sync::Mutex,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    net::UnixStream,
};

/// Who runs the programs of a directory; nobody without one.
pub(crate) fn from(directory: Option<PathBuf>) -> Arc<dyn RungScripts> {
    let outside = Outside::new(OutsideParts {
        config: OutsideConfig {
            rung_programs_directory: directory,
            ..OutsideConfig::default()
        },
        storage: Arc::new(RealStorage::new()),
        evidence_directory: PathBuf::from("/nowhere"),
    });
    Arc::new(outside.unwrap())
}

/// A program of that name in the directory, which is made.
pub(crate) fn program(directory: &Path, name: &str, text: &str) {
    fs::create_dir_all(directory).unwrap();
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
    let path = directory.join(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn asked(program: &str) -> ScriptProbe {
    ScriptProbe {
        program: program.to_owned(),
        arguments: vec!["a b".to_owned()],
        ports: Vec::new(),
        timeout_seconds: 60,
    }
}

/// A bench whose drill runs this program.
fn bench(target: &ScriptedTarget, text: &str) -> Bench {
    let mut bench = Bench::new(target);
    let programs = bench.directory.path().join("programs");
    program(&programs, "check", text);
    bench.context.scripts = from(Some(programs));
    bench.request.settings.probes.scripts = vec![asked("check")];
    bench
}

fn rung(report: &DrillReport) -> &RungResult {
    &report.rungs[Rung::Script as usize]
}

fn kept(bench: &Bench) -> serde_json::Value {
    let path = bench.request.evidence_directory.join("script-check.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[tokio::test]
async fn a_script_that_is_content_passes_its_rung_and_what_it_said_is_evidence() {
    let target = ScriptedTarget::new(GOOD_BOOT);
    let text = r#"echo "$BCDR_MODE $BCDR_DRILL $BCDR_GROUP $BCDR_POINT $BCDR_POINT_TIME $1""#;
    let bench = bench(&target, text);
    let report = bench.run(&target).await;
    assert_eq!(report.result, DrillResult::Passed, "{:?}", report.reason);
    let rung = rung(&report);
    assert_eq!(rung.verdict, RungVerdict::Passed);
    assert_eq!(rung.probes[0].name, "script:check");
    let observed = rung.probes[0].observed.as_deref().unwrap();
    assert!(observed.starts_with("ended with status 0"), "{observed}");
    assert!(
        observed.ends_with("kept as script-check.json"),
        "{observed}"
    );
    let kept = kept(&bench);
    let said = "drill drill-1 lab 7 2026-11-03T10:00:02Z a b\n";
    assert_eq!(kept["result"]["stdout"]["head"], said);
    assert_eq!(kept["process"], serde_json::Value::Null);
    let listed = report
        .evidence
        .iter()
        .find(|file| file.name == "script-check.json");
    let bytes = fs::read(bench.request.evidence_directory.join("script-check.json")).unwrap();
    let hash = blake3::hash(&bytes).to_hex().to_string();
    assert_eq!(listed.unwrap().blake3, hash);
    let looked = &report.precheck.as_ref().unwrap().items;
    let item = looked
        .iter()
        .find(|item| item.name == "script check")
        .unwrap();
    assert!(
        item.detail.ends_with("/programs/check may be run"),
        "{item:?}"
    );
}

#[tokio::test]
async fn a_script_that_is_not_content_fails_the_drill_with_what_it_said() {
    for (text, part) in [
        (
            "echo 3 orders are missing >&2; exit 3",
            "it ended with status 3; errors: 3 orders are missing",
        ),
        ("kill -9 $$", "it was ended by signal 9"),
    ] {
        let target = ScriptedTarget::new(GOOD_BOOT);
        let bench = bench(&target, text);
        let report = bench.run(&target).await;
        assert_eq!(report.result, DrillResult::Failed);
        assert_eq!(rung(&report).verdict, RungVerdict::Failed);
        let reason = report.reason.as_deref().unwrap();
        assert!(
            reason.starts_with(&format!("script: script:check: {part}")),
            "{reason}"
        );
        assert!(
            report.cleanup.complete && !bench.left_over(),
            "{:?}",
            report.cleanup
        );
        // Not isolated is not what it says: nobody looked any more.
        let isolation = &report.rungs[Rung::Isolation as usize];
        assert_eq!(
            isolation.reason.as_deref(),
            Some("the climb ended at script")
        );
    }
}

#[tokio::test]
async fn a_script_that_takes_too_long_is_ended_with_all_that_it_started() {
    let target = ScriptedTarget::new(GOOD_BOOT);
    let mut bench = bench(&target, "sleep 1000 & echo $!; wait");
    bench.request.settings.probes.scripts[0].timeout_seconds = 1;
    let report = bench.run(&target).await;
    let reason = report.reason.as_deref().unwrap();
    assert!(
        reason.contains("it ran longer than 1 s, and was ended"),
        "{reason}"
    );
    let said = kept(&bench)["result"]["stdout"]["head"]
        .as_str()
        .unwrap()
        .to_owned();
    let child: i32 = said.trim().parse().unwrap();
    assert!(
        ProcessIdentity::of(child).is_none(),
        "process {child} lives"
    );
}

#[tokio::test]
async fn a_script_that_cannot_be_run_is_said_before_anything_is_created() {
    let target = ScriptedTarget::new(GOOD_BOOT);
    let mut bench = bench(&target, "exit 0");
    bench.request.settings.probes.scripts = vec![asked("missing")];
    let report = bench.run(&target).await;
    assert_eq!(report.result, DrillResult::Failed);
    let reason = report.reason.unwrap();
    assert!(
        reason.contains("script missing: ") && reason.contains("check the path"),
        "{reason}"
    );
    bench.context.scripts = from(None);
    let report = bench.run(&target).await;
    let reason = report.reason.unwrap();
    assert!(
        reason.contains("no program may be run by rungs here; set outside.rung_programs_directory"),
        "{reason}"
    );
    assert_eq!(*target.calls.lock().unwrap(), ["precheck", "precheck"]);
    bench.request.settings.probes.scripts.clear();
    let report = bench.run(&target).await;
    assert_eq!(rung(&report).verdict, RungVerdict::NotRun);
    assert_eq!(
        rung(&report).reason.as_deref(),
        Some("no script is asked for")
    );
}

/// A machine that says on every connection which port was reached, and echoes.
struct Echo {
    sockets: PathBuf,
}

impl WaysIn for Echo {
    fn addresses(&self) -> Vec<Option<CardAddress>> {
        vec![Some(CardAddress {
            address: [10, 0, 0, 7].into(),
            origin: AddressOrigin::Leased,
            has_answered: true,
        })]
    }

    fn connect(&self, port: u16) -> WayFuture {
        Box::pin(async move {
            if port == 81 {
                return Err("the machine refused the connection".to_owned());
            }
            let (ours, mut theirs) = duplex(1024);
            tokio::spawn(async move {
                let banner = format!("port {port}\n");
                theirs.write_all(banner.as_bytes()).await.unwrap();
                let (mut from, mut to) = tokio::io::split(theirs);
                let _ = tokio::io::copy(&mut from, &mut to).await;
                let _ = to.shutdown().await;
            });
            Ok(Box::new(ours) as Box<dyn GuestStream>)
        })
    }

    fn sockets(&self) -> PathBuf {
        self.sockets.clone()
    }

    fn agent(&self) -> WayFuture {
        Box::pin(async { Err("there is no agent".to_owned()) })
    }
}

/// A script that talks to the machine by the sockets that its environment names.
#[derive(Default)]
struct Talker(Mutex<Vec<(PathBuf, u32, String)>>);

impl RungScripts for Talker {
    fn look(&self, _script: &ScriptProbe) -> Result<String, ScriptTrouble> {
        Ok(String::new())
    }

    fn run<'a>(
        &'a self,
        script: &'a ScriptProbe,
        environment: BTreeMap<String, String>,
        _began: Box<dyn FnOnce(i32) + Send + 'a>,
    ) -> ScriptFuture<'a> {
        Box::pin(async move {
            // Seen from this host, the machine's own address is production's.
            let told: Vec<_> = environment.values().collect();
            assert!(
                !told.iter().any(|value| value.contains("10.0.0.7")),
                "{told:?}"
            );
            for port in &script.ports {
                let socket = PathBuf::from(&environment[&format!("BCDR_GUEST_SOCKET_{port}")]);
                let mode = fs::metadata(&socket).unwrap().permissions().mode() & 0o777;
                let mut stream = UnixStream::connect(&socket).await.unwrap();
                let _ = stream.write_all(b"hello").await;
                let _ = stream.shutdown().await;
                let mut heard = String::new();
                let _ = stream.read_to_string(&mut heard).await;
                self.0.lock().unwrap().push((socket, mode, heard));
            }
            Ok(ScriptRun {
                verdict: Ok("content".to_owned()),
                result: ScriptResult {
                    end: End::Exited(0),
                    took_ms: 0,
                    stdout: Default::default(),
                    stderr: Default::default(),
                },
            })
        })
    }
}

#[tokio::test]
async fn a_script_reaches_ports_of_the_machine_by_sockets_that_end_with_it() {
    let mut target = ScriptedTarget::new(GOOD_BOOT);
    let sockets = tempfile::tempdir().unwrap();
    target.ways = Some(Arc::new(Echo {
        sockets: sockets.path().to_owned(),
    }));
    let mut bench = Bench::new(&target);
    let talker = Arc::new(Talker::default());
    bench.context.scripts = Arc::clone(&talker) as _;
    bench.request.settings.probes.scripts = vec![ScriptProbe {
        ports: vec![80, 81, 65535],
        ..asked("talk")
    }];
    let report = bench.run(&target).await;
    assert_eq!(report.result, DrillResult::Passed, "{:?}", report.reason);
    let address = &report.rungs[Rung::NetworkAddress as usize];
    assert_eq!(
        address.verdict,
        RungVerdict::Passed,
        "a way needs an address"
    );
    let talked = talker.0.lock().unwrap();
    let heard: Vec<_> = talked.iter().map(|(_, _, heard)| heard.as_str()).collect();
    assert_eq!(heard, ["port 80\nhello", "", "port 65535\nhello"]);
    assert!(
        talked.iter().all(|(_, mode, _)| *mode == 0o600),
        "{talked:?}"
    );
    assert_eq!(
        fs::read_dir(sockets.path()).unwrap().count(),
        0,
        "sockets are left"
    );
}

#[tokio::test]
async fn a_stopped_drill_ends_its_script_and_says_so() {
    let target = ScriptedTarget::new(GOOD_BOOT);
    let bench = bench(&target, "echo $$ > \"$0.pid\"; exec sleep 1000");
    let pid = bench.directory.path().join("programs/check.pid");
    let stop = target.stop.clone();
    let began = async {
        loop {
            // Written and noted: what is not known cannot be shown to be gone.
            if let Ok(text) = fs::read_to_string(&pid)
                && let Ok(leader) = text.trim().parse()
                && bench
                    .request
                    .evidence_directory
                    .join("script-check.json")
                    .exists()
            {
                stop.cancel();
                return ProcessIdentity::of(leader).unwrap();
            }
            tokio::task::yield_now().await;
        }
    };
    let (report, leader) = tokio::join!(bench.run(&target), began);
    assert_eq!(report.result, DrillResult::Cancelled, "{:?}", report.reason);
    assert!(!leader.lives());
    let name = format!("process {} of script-check.json", leader.pid);
    let item = report.cleanup.items.iter().find(|item| item.what == name);
    assert!(item.is_some_and(|item| item.proven), "{:?}", report.cleanup);
}

#[tokio::test]
async fn a_script_that_outlived_its_process_is_ended_by_the_next_one() {
    let target = ScriptedTarget::new(GOOD_BOOT);
    let bench = bench(&target, "exit 0");
    bench.run(&target).await;
    // As if it had been killed while the script ran.
    let mut left = std::process::Command::new("sleep");
    let mut left = left.arg("1000").process_group(0).spawn().unwrap();
    let process = ProcessIdentity::of(i32::try_from(left.id()).unwrap()).unwrap();
    let evidence = bench.request.evidence_directory.clone();
    let mut unfinished = kept(&bench);
    unfinished["process"] = serde_json::to_value(&process).unwrap();
    unfinished["result"] = serde_json::Value::Null;
    fs::write(evidence.join("script-check.json"), unfinished.to_string()).unwrap();
    fs::remove_file(evidence.join("drill.json")).unwrap();
    let storage = bench.context.storage.clone();
    let report = clean_up_leftover(&target, storage, &evidence).await;
    let report = report.unwrap().unwrap();
    assert!(report.cleanup.complete, "{:?}", report.cleanup);
    let told = |item: &crate::target::ProofItem| {
        item.what.ends_with("of script-check.json") && item.detail == "it was ended"
    };
    assert!(
        report.cleanup.items.iter().any(told),
        "{:?}",
        report.cleanup
    );
    assert_eq!(left.wait().unwrap().signal(), Some(9));
}
