//! Exports against a real NBD server in this process.

use super::*;
use bcdr_disk::{FaultPlan, SimulatedDisk, Storage};
use bcdr_nbd::{
    Allocation, Extent, NbdError, PrivateSocket,
    server::{Limits, ReadExport, ServedExport, ViewExports, serve},
};
use bytes::Bytes;
use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Mutex};
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};

const SIZE: u64 = 9 * (1 << 20) + 4096;
const MIB: u64 = 1 << 20;

/// Data in the first, fourth and last MiB; a known hole elsewhere, and zeros inside the data.
fn content() -> Vec<u8> {
    let mut bytes = vec![0; SIZE as usize];
    for (place, byte) in bytes.iter_mut().enumerate() {
        let at = place as u64;
        if is_data(at) && !(at / 4096).is_multiple_of(3) {
            *byte = (at * 7 / 3) as u8 | 1;
        }
    }
    bytes
}

fn is_data(at: u64) -> bool {
    at < MIB || (3 * MIB..4 * MIB).contains(&at) || at >= 9 * MIB
}

struct Volume {
    content: Vec<u8>,
    /// Reads at or after this place fail.
    broken_from: u64,
    reads: Mutex<Vec<u64>>,
}

impl ReadExport for Volume {
    fn size(&self) -> u64 {
        self.content.len() as u64
    }

    fn read(&self, offset: u64, length: u32) -> Result<Bytes, NbdError> {
        self.reads.lock().unwrap().push(offset);
        if offset + u64::from(length) > self.broken_from {
            return Err(NbdError::Io);
        }
        let begin = offset as usize;
        Ok(Bytes::copy_from_slice(
            &self.content[begin..begin + length as usize],
        ))
    }

    fn block_status(&self, offset: u64, _: u32, limit: usize) -> Result<Vec<Extent>, NbdError> {
        let mut extents = Vec::new();
        let mut begin = offset;
        // Fewer than there are, so that the client must ask again.
        while begin < self.size() && extents.len() < limit.min(2) {
            let end = ((begin / MIB + 1) * MIB).min(self.size());
            let allocation = if is_data(begin) {
                Allocation::DATA
            } else {
                Allocation::HOLE
            };
            extents.push(Extent {
                length: end - begin,
                allocation,
            });
            begin = end;
        }
        Ok(extents)
    }
}

struct OneVolume(Arc<Volume>);

impl ViewExports for OneVolume {
    fn names(&self) -> Vec<String> {
        vec!["root".to_owned()]
    }

    fn find(&self, name: &str) -> Option<(String, ServedExport)> {
        let volume: Arc<dyn ReadExport> = Arc::<Volume>::clone(&self.0);
        (name == "root").then(|| ("root".to_owned(), ServedExport::ReadOnly(volume)))
    }
}

/// A served view, and a directory for exports of it.
struct Site {
    directory: TempDir,
    volume: Arc<Volume>,
    view: ViewVolume,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<std::io::Result<()>>,
}

impl Site {
    fn new(broken_from: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let volume = Arc::new(Volume {
            content: content(),
            broken_from,
            reads: Mutex::default(),
        });
        let path = directory.path().join("view.sock");
        let socket = PrivateSocket::bind(&path).unwrap();
        let exports = Arc::new(OneVolume(Arc::clone(&volume)));
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(serve(socket, exports, Limits::default(), async {
            let _ = stopped.await;
        }));
        let view = ViewVolume {
            id: "vol-1".to_owned(),
            name: "root".to_owned(),
            size_bytes: SIZE,
            nbd: format!("nbd+unix:///root?socket={}", path.display()),
        };
        Self {
            directory,
            volume,
            view,
            stop: Some(stop),
            server,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn target(&self, name: &str) -> Target {
        Target::choose(Arc::new(RealStorage::new()), &self.file(name), false).unwrap()
    }

    async fn export(&self, format: Form, name: &str) -> Result<target::Written, Failure> {
        write(
            format,
            self.target(name),
            &self.view,
            true,
            &Progress::new(false),
        )
        .await
    }

    /// What is in the directory besides the socket.
    fn names(&self) -> Vec<String> {
        let mut names = RealStorage::new().list(self.directory.path()).unwrap();
        names.retain(|name| name != "view.sock");
        names
    }

    async fn close(mut self) {
        drop(self.stop.take());
        self.server.await.unwrap().unwrap();
    }
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_raw_export_is_the_volume_and_leaves_zeros_out() {
    let site = Site::new(u64::MAX);
    let written = site.export(Form::Raw, "root.raw").await.unwrap();
    let path = site.file("root.raw");
    assert_eq!(read(&path), site.volume.content);
    let digest = blake3::hash(&site.volume.content).to_hex().to_string();
    assert_eq!(written.blake3, Some(digest));
    assert_eq!(written.file, path.canonicalize().unwrap());
    // Two of three blocks in the data areas hold something; file systems may round up.
    assert!(
        written.stored_bytes < 3 * MIB,
        "{} bytes",
        written.stored_bytes
    );
    assert!(
        site.volume
            .reads
            .lock()
            .unwrap()
            .iter()
            .all(|at| is_data(*at)),
        "read a hole"
    );
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(site.names(), ["root.raw"]);
    site.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_read_leaves_no_file_that_looks_whole() {
    let site = Site::new(SIZE - 4096);
    let failure = site.export(Form::Raw, "root.raw").await.unwrap_err();
    assert_eq!(failure.code(), exit::ERROR);
    assert!(
        failure.to_string().contains("the view cannot be read"),
        "{failure}"
    );
    assert_eq!(site.names(), Vec::<String>::new());
    site.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_qcow2_export_holds_the_same_content() {
    let site = Site::new(u64::MAX);
    site.export(Form::Qcow2, "root.qcow2").await.unwrap();
    let (image, back) = (site.file("root.qcow2"), site.file("back.raw"));
    let run = std::process::Command::new(qcow2::TOOL)
        .args(["convert", "-f", "qcow2", "-O", "raw"])
        .args([&image, &back])
        .status()
        .unwrap();
    assert!(run.success());
    assert_eq!(read(&back), site.volume.content);
    assert_eq!(
        fs::metadata(&image).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(site.names(), ["back.raw", "root.qcow2"]);
    site.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversion_that_fails_or_cannot_start_says_why_and_leaves_nothing() {
    let site = Site::new(u64::MAX);
    let silent = Activity::silent();
    let uri = site.view.nbd.replace("root?", "nothing?");
    let failed = qcow2::convert(qcow2::TOOL.as_ref(), site.target("a"), &uri, &silent)
        .await
        .unwrap_err();
    assert!(
        failed.to_string().contains("nothing"),
        "the tool's words are missing: {failed}"
    );
    let missing = qcow2::convert(
        "no-such-tool".as_ref(),
        site.target("a"),
        &site.view.nbd,
        &silent,
    );
    let missing = missing.await.unwrap_err();
    assert!(missing.to_string().contains("install it"), "{missing}");
    assert_eq!(site.names(), Vec::<String>::new());
    site.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_on_another_machine_is_named_as_such() {
    let site = Site::new(u64::MAX);
    let mut elsewhere = site.view.clone();
    elsewhere.nbd = "nbd+unix:///root?socket=/no/such/view.sock".to_owned();
    let progress = Progress::new(false);
    let failure = write(Form::Raw, site.target("a"), &elsewhere, false, &progress).await;
    let failure = failure.unwrap_err();
    assert!(
        failure.to_string().contains("cloud side's machine"),
        "{failure}"
    );
    let mut other_size = site.view.clone();
    other_size.size_bytes += 512;
    let failure = write(Form::Raw, site.target("a"), &other_size, false, &progress).await;
    assert!(
        failure.unwrap_err().to_string().contains("does not show"),
        "size not checked"
    );
    site.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fails_fails_the_export() {
    let site = Site::new(u64::MAX);
    let client = connect(&site.view).await.unwrap();
    let disk = SimulatedDisk::new(
        7,
        FaultPlan {
            sync_error_per_mille: 1000,
            ..FaultPlan::none()
        },
    );
    let storage: Arc<dyn Storage> = Arc::new(disk);
    let file = storage
        .create(Path::new("/file"), bcdr_disk::CreateOptions::default())
        .unwrap();
    copy::copy(&client, Arc::clone(&file), false, &Activity::silent())
        .await
        .unwrap();
    assert!(file.sync_all().is_err());
    let failure = copy::copy(&client, file, false, &Activity::silent())
        .await
        .unwrap_err();
    assert!(
        failure.to_string().contains("the export failed"),
        "{failure}"
    );
    site.close().await;
}

#[test]
fn only_a_free_name_or_a_replaceable_file_is_a_target() {
    let directory = tempfile::tempdir().unwrap();
    let there = directory.path().join("there");
    fs::write(&there, "old").unwrap();
    std::os::unix::fs::symlink(&there, directory.path().join("link")).unwrap();
    let choose = |name: &str, replace| {
        Target::choose(
            Arc::new(RealStorage::new()),
            &directory.path().join(name),
            replace,
        )
    };
    let code = |name, replace| choose(name, replace).err().unwrap().code();
    assert_eq!(code("there", false), exit::CONFLICT);
    assert_eq!(code("link", true), exit::USAGE);
    assert_eq!(code(".", true), exit::USAGE);
    assert_eq!(code("none/file", false), exit::ERROR);
    assert_eq!(code("..", false), exit::USAGE);
    let device = Target::choose(Arc::new(RealStorage::new()), Path::new("/dev/null"), true);
    assert_eq!(device.err().unwrap().code(), exit::USAGE);
    // Somebody else takes the name meanwhile.
    let unfinished = choose("late", false).unwrap().create().unwrap();
    fs::write(directory.path().join("late"), "theirs").unwrap();
    assert_eq!(unfinished.finish(None).unwrap_err().code(), exit::CONFLICT);
    assert_eq!(fs::read(directory.path().join("late")).unwrap(), b"theirs");
    // A replacement is whole or not there at all.
    drop(choose("there", true).unwrap().create().unwrap());
    assert_eq!(fs::read(&there).unwrap(), b"old");
    choose("there", true)
        .unwrap()
        .create()
        .unwrap()
        .finish(None)
        .unwrap();
    assert_eq!(fs::read(&there).unwrap(), b"");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 3);
}

#[test]
fn what_does_not_fit_is_refused_before_it_is_begun() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a");
    let target = Target::choose(Arc::new(RealStorage::new()), &path, false).unwrap();
    target.require_space(0).unwrap();
    let failure = target.require_space(u64::MAX).unwrap_err();
    assert!(failure.to_string().contains("does not fit"), "{failure}");
}

#[test]
fn a_volume_is_chosen_by_name_or_id_or_because_it_is_the_only_one() {
    let volume = |id: &str, name: &str| GroupVolume {
        id: id.to_owned(),
        name: name.to_owned(),
        size_bytes: Some(1),
    };
    let one = Group {
        name: "lab".to_owned(),
        volumes: vec![volume("vol-1", "root")],
    };
    let two = Group {
        name: "lab".to_owned(),
        volumes: vec![volume("vol-1", "root"), volume("vol-2", "data")],
    };
    let chosen = |group, wanted| choose_volume(group, wanted).map(|volume| volume.id.clone());
    assert_eq!(chosen(&one, None).unwrap(), "vol-1");
    assert_eq!(chosen(&two, Some("data")).unwrap(), "vol-2");
    assert_eq!(chosen(&two, Some("vol-1")).unwrap(), "vol-1");
    let ambiguous = chosen(&two, None).unwrap_err();
    assert_eq!(ambiguous.code(), exit::USAGE);
    assert!(ambiguous.to_string().contains("root, data"), "{ambiguous}");
    assert_eq!(
        chosen(&two, Some("swap")).unwrap_err().code(),
        exit::NOT_FOUND
    );
}

#[test]
fn leases_grow_with_the_volume_and_have_an_end() {
    assert_eq!(lease_seconds(0), 3600);
    assert_eq!(lease_seconds(1 << 40), 3600 + 65_536);
    assert_eq!(lease_seconds(u64::MAX), LEASE_SECONDS_MAX);
}
