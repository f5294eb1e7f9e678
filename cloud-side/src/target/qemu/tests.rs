//! The qemu target against the real QEMU: a disk whose boot sector plays a whole boot on the serial
//! port, so that a full drill takes seconds.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::Arc,
    time::Duration,
};

use bcdr_disk::RealStorage;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    drill::{
        DrillContext, DrillReport, DrillRequest, DrillResult, PointDescription, RungVerdict,
        clean_up_leftover, instance_of, run_drill, tests::scripts,
    },
    target::{IsolationVerdict, NetworkCard, RungPatterns},
};

const DISK_BYTES: u64 = 1 << 20;
const BOOT_TEXT: &str = "Linux version 6\r\nEXT4-fs mounted filesystem\r\n\
    CANARY sequence=9 time=1793700000\r\nhost login: ";

/// A boot sector that prints `text` on the first serial port and halts.
fn boot_sector(text: &str) -> [u8; 512] {
    const CODE: [u8; 27] = [
        0xfa, // cli: SeaBIOS would print the rest of its own text from its timer
        0x31, 0xc0, // xor ax, ax
        0x8e, 0xd8, // mov ds, ax
        0xbe, 0x1b, 0x7c, // mov si, 0x7c1b: the text behind the code
        0xac, // next: lodsb
        0x84, 0xc0, // test al, al
        0x74, 0x0b, // jz stop
        0x88, 0xc4, // mov ah, al
        0xba, 0xf8, 0x03, // mov dx, 0x3f8
        0x88, 0xe0, // mov al, ah
        0xee, // out dx, al: QEMU's port is ready at once
        0xeb, 0xf1, // jmp next
        0x90, // fill
        0xf4, // stop: hlt
        0xeb, 0xfd, // jmp stop
    ];
    let mut sector = [0; 512];
    sector[..CODE.len()].copy_from_slice(&CODE);
    sector[CODE.len()..CODE.len() + text.len()].copy_from_slice(text.as_bytes());
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}

/// A disk served read-only over NBD by qemu-nbd until it is dropped.
struct ServedDisk {
    server: Child,
    source: DiskSource,
    image: PathBuf,
}

impl ServedDisk {
    fn new(directory: &Path, text: &str) -> Self {
        Self::serve(directory, text, true)
    }

    /// One that may be written.
    fn writable(directory: &Path, text: &str) -> Self {
        Self::serve(directory, text, false)
    }

    fn serve(directory: &Path, text: &str, read_only: bool) -> Self {
        let image = directory.join("disk.raw");
        let mut content = boot_sector(text).to_vec();
        content.resize(DISK_BYTES as usize, 0);
        std::fs::write(&image, content).unwrap();
        let socket = directory.join("nbd.sock");
        let server = Command::new("qemu-nbd")
            .args(read_only.then_some("--read-only"))
            .args([
                "--persistent",
                "--shared=0",
                "--format=raw",
                "--export-name=root",
            ])
            .arg(format!("--socket={}", socket.display()))
            .arg(&image)
            .spawn()
            .expect("qemu-nbd is needed; run tests/setup/packages.sh");
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            std::thread::yield_now();
        }
        let source = DiskSource {
            volume: "root".to_owned(),
            uri: format!("nbd+unix:///root?socket={}", socket.display()),
            size_bytes: DISK_BYTES,
        };
        Self {
            server,
            source,
            image,
        }
    }
}

impl Drop for ServedDisk {
    fn drop(&mut self) {
        let _already_gone = self.server.kill();
        let _reaped = self.server.wait();
    }
}

fn settings() -> LaunchSettings {
    LaunchSettings {
        memory_mib: 64,
        cpus: 1,
        rungs: RungPatterns {
            canary: r"CANARY sequence=(?<sequence>\d+) time=(?<time>\S+)".to_owned(),
            ..Default::default()
        },
        ..Default::default()
    }
}

fn request(directory: &Path, drill: &str, disk: &ServedDisk) -> DrillRequest {
    DrillRequest {
        drill: InstanceId::new(drill).unwrap(),
        group: "lab".to_owned(),
        requested_at: jiff::Timestamp::now(),
        waited: Duration::ZERO,
        point: PointDescription {
            id: "1".to_owned(),
            label: None,
            time: None,
        },
        disks: vec![disk.source.clone()],
        settings: settings(),
        evidence_directory: directory.join("evidence"),
        runtime_directory: directory.join("runtime"),
        hold_seconds: 0,
    }
}

/// Runs one drill on a target of its own.
async fn drill(request: &DrillRequest) -> DrillReport {
    let storage: Arc<dyn Storage> = Arc::new(RealStorage::new());
    let target = QemuTarget::new(ToolPaths::default(), storage.clone());
    let stop = CancellationToken::new();
    let context = DrillContext {
        storage,
        progress: None,
        stop,
        scripts: scripts::from(None),
        replica_digest: None,
    };
    run_drill(request, &target, &context).await
}

/// A drill id no other test run uses, since processes are searched for by it.
fn unique(name: &str) -> String {
    format!("{name}-{}", std::process::id())
}

#[tokio::test]
async fn a_drill_on_the_real_emulator_passes_and_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let disk = ServedDisk::new(directory.path(), BOOT_TEXT);
    let before = std::fs::read(&disk.image).unwrap();
    let request = request(directory.path(), &unique("good"), &disk);
    let report = drill(&request).await;
    assert_eq!(report.result, DrillResult::Passed, "{:?}", report.reason);
    assert!(
        report
            .rungs
            .iter()
            .filter(|rung| !rung.rung.is_probed())
            .all(|rung| rung.verdict == RungVerdict::Passed)
    );
    assert_eq!(report.canary.unwrap().sequence, 9);
    assert_eq!(report.isolation.verdict, IsolationVerdict::Isolated);
    let sample = report.isolation.decisive.unwrap();
    assert!(
        sample.sockets.iter().any(|one| one.kind == "unix"),
        "{sample:?}"
    );
    assert!(
        report.cleanup.items.len() >= 5,
        "{:?}",
        report.cleanup.items
    );
    assert_eq!(std::fs::read(&disk.image).unwrap(), before);
    assert_eq!(
        std::fs::read_dir(&request.runtime_directory)
            .unwrap()
            .count(),
        0
    );
    let kept = |name: &str| std::fs::read(request.evidence_directory.join(name)).unwrap();
    assert!(kept("screenshot.png").starts_with(b"\x89PNG"));
    assert!(String::from_utf8_lossy(&kept("serial.log")).contains("host login:"));
    assert!(String::from_utf8_lossy(&kept("qemu-command.txt")).contains("hubport"));
    assert!(String::from_utf8_lossy(&kept("qemu-monitor.txt")).contains("type=nic"));
}

#[tokio::test]
async fn the_screen_of_a_machine_is_shown_while_it_runs_and_leaves_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let disk = ServedDisk::new(directory.path(), BOOT_TEXT);
    let mut request = request(directory.path(), &unique("screen"), &disk);
    request.hold_seconds = 3600;
    let storage: Arc<dyn Storage> = Arc::new(RealStorage::new());
    let target = QemuTarget::new(ToolPaths::default(), storage.clone());
    let (progress, mut seen) = tokio::sync::mpsc::channel(1000);
    let context = DrillContext {
        storage: storage.clone(),
        progress: Some(progress),
        stop: CancellationToken::new(),
        scripts: scripts::from(None),
        replica_digest: None,
    };
    let look = async {
        while let Some(step) = seen.recv().await {
            if step.phase == crate::drill::Phase::Hold {
                break;
            }
        }
        let record = instance_of(storage.clone(), &request.evidence_directory).await;
        let record = record.unwrap().expect("it runs");
        let pictures = tokio::join!(target.screen(&record), target.screen(&record));
        for picture in [pictures.0.unwrap(), pictures.1.unwrap()] {
            assert!(picture.starts_with(b"\x89PNG") && picture.len() > 200);
        }
        let InstanceDetail::Qemu(instance) = &record.detail;
        assert!(!instance.directory.join(SCREEN_NAME).exists());
        context.stop.cancel();
        record
    };
    let (report, record) = tokio::join!(run_drill(&request, &target, &context), look);
    assert_eq!(report.result, DrillResult::Passed, "{:?}", report.reason);
    let gone = target.screen(&record).await.unwrap_err();
    assert!(matches!(gone, TargetError::NotRunning { .. }), "{gone}");
}

/// The boot sector knows no network, so its machine shows no address.
#[tokio::test]
async fn a_machine_without_an_address_fails_its_probe_in_a_network_that_is_isolated_nevertheless() {
    let directory = tempfile::tempdir().unwrap();
    let disk = ServedDisk::new(directory.path(), BOOT_TEXT);
    let mut request = request(directory.path(), &unique("probed"), &disk);
    request.settings.probes.network_address = true;
    request.settings.probes.guest_agent = true;
    request.settings.probes.timeout_seconds = 2;
    let report = drill(&request).await;
    assert_eq!(report.result, DrillResult::Failed);
    let reason = report.reason.unwrap();
    assert!(
        reason.contains("network_address: not seen within") && reason.contains("DHCP"),
        "{reason}"
    );
    assert_eq!(report.isolation.verdict, IsolationVerdict::Isolated);
    let sample = report.isolation.decisive.unwrap();
    assert!(sample.reason.contains("probe station"), "{}", sample.reason);
    assert!(sample.network.unwrap().contains("type=stream,unix:"));
    assert!(report.cleanup.complete, "{:?}", report.cleanup);
    let looked_for: Vec<_> = report
        .cleanup
        .items
        .iter()
        .map(|item| &item.what[..])
        .collect();
    assert!(
        looked_for.contains(&"network socket of card 52:54:00:12:34:56"),
        "{looked_for:?}"
    );
    assert!(
        looked_for.contains(&"guest agent's socket"),
        "{looked_for:?}"
    );
}

#[tokio::test]
async fn a_network_besides_the_station_is_no_drill() {
    let directory = tempfile::tempdir().unwrap();
    let disk = ServedDisk::new(directory.path(), BOOT_TEXT);
    let mut request = request(directory.path(), &unique("leaking"), &disk);
    request.settings.probes.network_address = true;
    let storage: Arc<dyn Storage> = Arc::new(RealStorage::new());
    let target = QemuTarget::new(ToolPaths::default(), storage.clone());
    let launch = LaunchRequest {
        instance: request.drill.clone(),
        purpose: InstancePurpose::Drill,
        settings: request.settings.clone(),
        networks: vec![NetworkCard::default()],
        disks: request.disks.clone(),
        runtime_directory: request.runtime_directory.clone(),
        evidence_directory: request.evidence_directory.clone(),
    };
    storage
        .create_directory_all(&request.evidence_directory)
        .unwrap();
    let mut record = target.plan(&launch).unwrap();
    target.prepare_disks(&record, &launch).await.unwrap();
    let InstanceDetail::Qemu(instance) = &mut record.detail;
    instance
        .arguments
        .extend(["-netdev".to_owned(), "user,id=out".to_owned()]);
    let refused = target.prepare_network(&record, &launch).await.unwrap_err();
    assert!(refused.to_string().contains("user,id=out"), "{refused}");
    let refused = target.launch(&record, &launch).await.unwrap_err();
    assert!(
        matches!(refused, TargetError::NotIsolated { .. }),
        "{refused}"
    );
    // One that slips past the arguments is seen in the running machine.
    let InstanceDetail::Qemu(instance) = &mut record.detail;
    instance.arguments.truncate(instance.arguments.len() - 2);
    let running = target.launch(&record, &launch).await.unwrap();
    let sample = target.isolation(&running).await.unwrap();
    assert_eq!(
        sample.verdict,
        IsolationVerdict::Isolated,
        "{}",
        sample.reason
    );
    let live = target.live(&running).unwrap();
    live.monitor("netdev_add user,id=out").await.unwrap();
    let sample = target.isolation(&running).await.unwrap();
    assert_eq!(sample.verdict, IsolationVerdict::NotIsolated);
    assert!(sample.reason.contains("type=user"), "{}", sample.reason);
    target.destroy(&running).await.unwrap();
    assert!(target.prove_destroyed(&running).await.unwrap().holds());
}

#[tokio::test]
async fn a_runtime_directory_too_deep_for_a_socket_works() {
    let directory = tempfile::tempdir().unwrap();
    let disk = ServedDisk::new(directory.path(), BOOT_TEXT);
    let mut request = request(directory.path(), &unique("deep"), &disk);
    request.runtime_directory = directory.path().join("d".repeat(60)).join("e".repeat(60));
    let report = drill(&request).await;
    assert_eq!(report.result, DrillResult::Passed, "{:?}", report.reason);
    let item = report
        .cleanup
        .items
        .iter()
        .find(|item| item.what == "socket directory")
        .unwrap();
    assert!(item.proven, "{item:?}");
}

#[tokio::test]
async fn a_disk_that_does_not_boot_fails_with_the_firmwares_words() {
    let directory = tempfile::tempdir().unwrap();
    let disk = ServedDisk::new(directory.path(), BOOT_TEXT);
    let mut request = request(directory.path(), &unique("blank"), &disk);
    // The announced disk is fine, the bootable one is not among its sectors.
    let mut content = std::fs::read(&disk.image).unwrap();
    content[510] = 0;
    std::fs::write(&disk.image, content).unwrap();
    request.settings.disk_bus = crate::target::DiskBus::Ahci;
    let report = drill(&request).await;
    assert_eq!(report.result, DrillResult::Failed);
    let reason = report.reason.unwrap();
    assert!(reason.contains("No bootable device"), "{reason}");
    assert!(report.cleanup.complete);
}

#[tokio::test]
async fn a_source_that_is_gone_or_of_another_size_fails_the_precheck() {
    let directory = tempfile::tempdir().unwrap();
    let disk = ServedDisk::new(directory.path(), BOOT_TEXT);
    let mut request = request(directory.path(), &unique("gone"), &disk);
    request.disks[0].size_bytes += 512;
    let report = drill(&request).await;
    assert!(report.reason.unwrap().contains("were announced"));
    request.disks[0] = disk.source.clone();
    drop(disk);
    let report = drill(&request).await;
    assert_eq!(report.result, DrillResult::Failed);
    let reason = report.reason.unwrap();
    assert!(
        reason.contains("disk root") && reason.contains("view"),
        "{reason}"
    );
}

#[tokio::test]
async fn an_instance_of_a_dead_process_is_found_and_destroyed() {
    let directory = tempfile::tempdir().unwrap();
    let disk = ServedDisk::new(directory.path(), "Linux version 6\r\n");
    let request = request(directory.path(), &unique("orphan"), &disk);
    let storage: Arc<dyn Storage> = Arc::new(RealStorage::new());
    let (record, evidence) = launch_for_another_process(&request, &storage).await;
    let InstanceDetail::Qemu(instance) = &record.detail;
    let marker = instance.marker.clone();
    assert_eq!(process::find_by_marker(&marker).unwrap().len(), 1);
    // A new target knows nothing but the record.
    let target = QemuTarget::new(ToolPaths::default(), storage.clone());
    assert!(!target.prove_destroyed(&record).await.unwrap().holds());
    let report = clean_up_leftover(&target, storage, &evidence)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(report.result, DrillResult::Failed);
    assert!(report.cleanup.complete, "{:?}", report.cleanup);
    assert!(process::find_by_marker(&marker).unwrap().is_empty());
}

/// Starts an instance and keeps its record as the engine does before the process is known.
async fn launch_for_another_process(
    request: &DrillRequest,
    storage: &Arc<dyn Storage>,
) -> (InstanceRecord, PathBuf) {
    let target = Arc::new(QemuTarget::new(ToolPaths::default(), storage.clone()));
    let launch = LaunchRequest {
        instance: request.drill.clone(),
        purpose: InstancePurpose::Drill,
        settings: request.settings.clone(),
        networks: vec![NetworkCard::default()],
        disks: request.disks.clone(),
        runtime_directory: request.runtime_directory.clone(),
        evidence_directory: request.evidence_directory.clone(),
    };
    storage
        .create_directory_all(&request.evidence_directory)
        .unwrap();
    let record = target.plan(&launch).unwrap();
    let kept = serde_json::json!({
        "drill": request.drill,
        "group": request.group,
        "point": request.point,
        "requested_at": jiff::Timestamp::now(),
        "instance": record,
    });
    let path = request.evidence_directory.join("instance.json");
    std::fs::write(path, kept.to_string()).unwrap();
    target.prepare_disks(&record, &launch).await.unwrap();
    target.launch(&record, &launch).await.unwrap();
    // The child's owner lives on in this test process and reaps it, as init would.
    std::mem::forget(target);
    (record, request.evidence_directory.clone())
}

#[tokio::test]
async fn the_control_client_talks_to_a_real_emulator_and_notices_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("qmp");
    let mut emulator = Command::new("qemu-system-x86_64")
        .args([
            "-M",
            "none",
            "-S",
            "-nodefaults",
            "-display",
            "none",
            "-qmp",
        ])
        .arg(format!("unix:{},server=on,wait=off", socket.display()))
        .spawn()
        .expect("qemu-system-x86_64 is needed; run tests/setup/packages.sh");
    let limit = Duration::from_secs(30);
    let mut client = loop {
        match QmpClient::connect(&socket, limit).await {
            Ok(client) => break client,
            Err(QmpError::Connect { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    let status = client.execute("query-status", None, limit).await.unwrap();
    assert_eq!(status["running"], false);
    let error = client
        .execute("no-such-command", None, limit)
        .await
        .unwrap_err();
    assert!(matches!(&error, QmpError::Refused { class, .. } if class == "CommandNotFound"));
    emulator.kill().unwrap();
    emulator.wait().unwrap();
    let error = client
        .execute("query-status", None, limit)
        .await
        .unwrap_err();
    assert!(matches!(error, QmpError::Closed), "{error}");
}

#[tokio::test]
async fn an_emulator_that_refuses_to_start_is_quoted() {
    let directory = tempfile::tempdir().unwrap();
    let disk = ServedDisk::new(directory.path(), BOOT_TEXT);
    let request = request(directory.path(), &unique("refused"), &disk);
    let storage: Arc<dyn Storage> = Arc::new(RealStorage::new());
    let target = QemuTarget::new(ToolPaths::default(), storage.clone());
    let launch = LaunchRequest {
        instance: request.drill.clone(),
        purpose: InstancePurpose::Drill,
        settings: request.settings.clone(),
        networks: vec![NetworkCard::default()],
        disks: request.disks.clone(),
        runtime_directory: request.runtime_directory.clone(),
        evidence_directory: request.evidence_directory.clone(),
    };
    storage
        .create_directory_all(&request.evidence_directory)
        .unwrap();
    let mut record = target.plan(&launch).unwrap();
    let InstanceDetail::Qemu(instance) = &mut record.detail;
    instance
        .arguments
        .extend(["-device".to_owned(), "no-such-device".to_owned()]);
    target.prepare_disks(&record, &launch).await.unwrap();
    let error = target.launch(&record, &launch).await.unwrap_err();
    assert!(error.to_string().contains("no-such-device"), "{error}");
    target.destroy(&record).await.unwrap();
    assert!(target.prove_destroyed(&record).await.unwrap().holds());
}

/// The machine of a failover is production: it must not end with the process that started it.
#[tokio::test]
async fn a_recovered_machine_outlives_its_target_and_is_adopted() {
    let directory = tempfile::tempdir().unwrap();
    let disk = ServedDisk::writable(directory.path(), BOOT_TEXT);
    let request = request(directory.path(), &unique("recovered"), &disk);
    let storage: Arc<dyn Storage> = Arc::new(RealStorage::new());
    let launch = LaunchRequest {
        instance: request.drill.clone(),
        purpose: InstancePurpose::Failover,
        settings: request.settings.clone(),
        networks: vec![NetworkCard::default()],
        disks: request.disks.clone(),
        runtime_directory: request.runtime_directory.clone(),
        evidence_directory: request.evidence_directory.clone(),
    };
    storage
        .create_directory_all(&request.evidence_directory)
        .unwrap();
    let first = QemuTarget::new(ToolPaths::default(), storage.clone());
    let record = first.plan(&launch).unwrap();
    first.prepare_disks(&record, &launch).await.unwrap();
    let network = first.prepare_network(&record, &launch).await.unwrap();
    assert!(network.contains("user,id=net0"), "{network}");
    let record = first.launch(&record, &launch).await.unwrap();
    first.release(&record).await.unwrap();
    let InstanceDetail::Qemu(instance) = &record.detail;
    let process = instance.process.clone().unwrap();
    drop(first);
    // Whatever the drop set off has had its turn before the control socket answers.
    let second = QemuTarget::new(ToolPaths::default(), storage.clone());
    assert!(second.adopt(&record).await.unwrap());
    assert!(second.adopt(&record).await.unwrap(), "adopted already");
    let seen = second.observe(&record).await.unwrap();
    assert_eq!(seen.state, InstanceState::Running);
    assert!(process.lives());
    // The boot sector knows no power button.
    let patience = Duration::from_millis(300);
    assert!(!second.shut_down(&record, patience).await.unwrap());
    second.destroy(&record).await.unwrap();
    assert!(second.prove_destroyed(&record).await.unwrap().holds());
    assert!(!process.lives());
    let third = QemuTarget::new(ToolPaths::default(), storage);
    assert!(!third.adopt(&record).await.unwrap(), "nothing is left");
}
