//! What a killed cloud role left of its drills and failovers: emulators that run on, and their decrypted disks.
//!
//! A cloud role that starts again removes these itself, from its records. A lab that is taken down
//! has no role that would. Invariants: only processes that were named as an instance and use files
//! of this lab are signalled; only directories of instances are removed; evidence stays.

use super::{layout::Layout, process::Process};
use anyhow::{Context, bail};
use bcdr_cloud::{
    config::CloudConfig,
    target::{InstanceDetail, InstanceRecord, qemu::QemuInstance},
};
use bcdr_disk::{RealStorage, Storage};
use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs, io,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
    time::Duration,
};

/// What an emulator's name begins with.
const NAME_PREFIX: &str = "bcdr-instance-";
/// What an instance's directory begins with, in the runtime directory.
const DIRECTORY_PREFIX: &str = "instance-";
/// The record of an instance, among the evidence of its drill.
const RECORD_NAME: &str = "instance.json";
/// A directory for a control socket, in the temporary directory: this and 16 hexadecimal digits.
const SHORT_PREFIX: &str = "bcdr-";
const SHORT_DIGITS: usize = 16;

/// Where a lab's instances are.
struct Places {
    /// Where their throw-away files are.
    runtime: PathBuf,
    /// Directories whose files only instances of this lab use.
    roots: Vec<PathBuf>,
    /// What the drills' records say of them.
    records: Vec<QemuInstance>,
}

/// An emulator that runs.
struct Running {
    name: String,
    /// The directories of files it was given, as far as they are an instance's own.
    directories: Vec<PathBuf>,
}

/// Ends the lab's emulators and removes their disks. The cloud role has ended: nobody starts others.
///
/// # Errors
/// Names what is left.
pub(super) fn remove(layout: &Layout, patience: Duration) -> anyhow::Result<()> {
    let places = Places::of(layout)?;
    let running = places.running()?;
    let mut directories = places.directories()?;
    for (process, instance) in &running {
        let pid = process.pid;
        tracing::warn!(
            pid,
            instance = instance.name,
            "a machine of the lab is ended"
        );
        directories.extend(instance.directories.iter().cloned());
    }
    let processes: Vec<_> = running.iter().map(|(process, _)| *process).collect();
    Process::end_all(&processes, patience);
    for directory in directories {
        remove_directory(&directory).with_context(|| {
            format!(
                "cannot remove {}, which holds a machine's decrypted data: remove it by hand",
                directory.display()
            )
        })?;
    }
    let left: Vec<_> = places
        .running()?
        .iter()
        .map(|(process, instance)| format!("process {} ({})", process.pid, instance.name))
        .collect();
    if !left.is_empty() {
        bail!(
            "a machine of the lab does not end: {}; look for what it waits for, and end it as the user who runs it",
            left.join(", ")
        );
    }
    Ok(())
}

impl Places {
    /// Where they are by the cloud role's own configuration: it may have been written when the
    /// temporary directory was another.
    fn of(layout: &Layout) -> anyhow::Result<Self> {
        let path = layout.role_configuration("cloud");
        let (runtime, evidence) = match fs::read_to_string(&path) {
            Ok(text) => {
                let config = CloudConfig::from_toml(&text)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                let evidence = config.evidence_directory();
                (config.runtime_directory, evidence)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let evidence = layout.role_state("cloud").join("evidence");
                (layout.runtime.clone(), evidence)
            }
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        Ok(Self {
            roots: vec![layout.directory.clone(), runtime.clone(), evidence.clone()],
            records: records(&evidence)?,
            runtime,
        })
    }

    /// The emulators of this lab that run.
    fn running(&self) -> anyhow::Result<Vec<(Process, Running)>> {
        Process::find(|arguments| self.instance(arguments))
            .context("cannot look for the lab's machines in /proc")
    }

    /// The instance that a process with these arguments is, if it is one of this lab.
    fn instance(&self, arguments: &[&[u8]]) -> Option<Running> {
        let name = arguments
            .windows(2)
            .filter(|pair| pair[0] == b"-name")
            .find_map(|pair| std::str::from_utf8(pair[1]).ok())?;
        let files: Vec<PathBuf> = arguments
            .iter()
            .flat_map(|argument| files(argument))
            .collect();
        let recorded = self.records.iter().any(|record| record.marker == name);
        let inside = |file: &PathBuf| self.roots.iter().any(|root| file.starts_with(root));
        let ours = name.starts_with(NAME_PREFIX) && files.iter().any(inside);
        (recorded || ours).then(|| Running {
            name: name.to_owned(),
            directories: files
                .iter()
                .filter_map(|file| file.parent())
                .filter(|directory| self.is_an_instances(directory))
                .map(Path::to_owned)
                .collect(),
        })
    }

    /// Whether a directory holds nothing but what an instance leaves.
    fn is_an_instances(&self, directory: &Path) -> bool {
        let name = directory.file_name().unwrap_or_default().to_string_lossy();
        if directory.parent() == Some(&self.runtime) {
            return name.starts_with(DIRECTORY_PREFIX);
        }
        let short = name.strip_prefix(SHORT_PREFIX).is_some_and(|digits| {
            digits.len() == SHORT_DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        });
        // A lab may be called so itself.
        short && !self.roots.iter().any(|root| root.starts_with(directory))
    }

    /// The directories that are there or were recorded.
    fn directories(&self) -> anyhow::Result<BTreeSet<PathBuf>> {
        let recorded = self.records.iter().flat_map(|record| {
            [Some(&record.directory), record.short_directory.as_ref()]
                .into_iter()
                .flatten()
        });
        let mut directories: BTreeSet<_> = recorded.cloned().collect();
        directories.extend(entries(&self.runtime)?);
        directories.retain(|directory| self.is_an_instances(directory));
        Ok(directories)
    }
}

/// What drills recorded of their instances.
fn records(evidence: &Path) -> anyhow::Result<Vec<QemuInstance>> {
    let mut records = Vec::new();
    for drill in entries(evidence)? {
        let path = drill.join(RECORD_NAME);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        match instance_in(&bytes).map(|record| record.detail) {
            Ok(InstanceDetail::Qemu(instance)) => records.push(instance),
            Ok(_) => {}
            // Its process and directory are found without it.
            Err(error) => tracing::warn!(path = %path.display(), %error, "no record of a machine"),
        }
    }
    Ok(records)
}

/// The record of an instance: a drill keeps it among what it needs besides, a failover as it is.
fn instance_in(bytes: &[u8]) -> serde_json::Result<InstanceRecord> {
    let kept: serde_json::Value = serde_json::from_slice(bytes)?;
    let of_drill = kept.get("instance").filter(|inner| inner.is_object());
    serde_json::from_value(of_drill.cloned().unwrap_or(kept))
}

/// What is in a directory; nothing if it is not there.
fn entries(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let listed = fs::read_dir(directory)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    match listed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other.with_context(|| format!("cannot list {}", directory.display())),
    }
}

/// The files that an argument of an emulator names: as `path=…` among its options, or in JSON.
fn files(argument: &[u8]) -> Vec<PathBuf> {
    if argument.first() == Some(&b'{') {
        let mut files = Vec::new();
        if let Ok(value) = serde_json::from_slice(argument) {
            files_in_json(&value, &mut files);
        }
        return files;
    }
    options(argument)
        .iter()
        .filter_map(|option| option.strip_prefix(b"path="))
        .map(|path| PathBuf::from(OsStr::from_bytes(path)))
        .collect()
}

fn files_in_json(value: &serde_json::Value, files: &mut Vec<PathBuf>) {
    let Some(fields) = value.as_object() else {
        return;
    };
    for (name, value) in fields {
        match value.as_str() {
            Some(path) if matches!(name.as_str(), "filename" | "path") => files.push(path.into()),
            _ => files_in_json(value, files),
        }
    }
}

/// The options between commas; two commas stand for one in an option.
fn options(argument: &[u8]) -> Vec<Vec<u8>> {
    let mut options = vec![Vec::new()];
    let mut bytes = argument.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte == b',' && bytes.next_if_eq(&b',').is_none() {
            options.push(Vec::new());
        } else if let Some(option) = options.last_mut() {
            option.push(byte);
        }
    }
    options
}

/// Removes a directory of ours with all that is in it; one that is not there is fine.
fn remove_directory(directory: &Path) -> anyhow::Result<()> {
    let metadata = match fs::symlink_metadata(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    // In the temporary directory the name alone does not say whose it is.
    if !metadata.is_dir() || metadata.uid() != rustix::process::geteuid().as_raw() {
        bail!("it is not a directory of ours");
    }
    fs::remove_dir_all(directory)?;
    // Without this, a power cut could bring decrypted data back.
    let parent = directory.parent().unwrap_or(Path::new("/"));
    Ok(RealStorage::new().sync_directory(parent)?)
}

#[cfg(test)]
mod tests {
    use super::{super::process::tests::Posing, *};
    use serde_json::json;

    /// Long enough for a process that ends at once, short for one that will not.
    const PATIENCE: Duration = Duration::from_millis(200);

    fn layout(directory: &Path) -> Layout {
        let layout = Layout::create(directory).unwrap();
        layout.create_directories().unwrap();
        layout
    }

    /// Something with the arguments of an emulator, its files in `directory`.
    fn emulator(place: &Path, script: &str, name: &str, directory: &Path) -> Posing {
        fs::create_dir_all(directory).unwrap();
        let overlay = directory.join("disk-0.qcow2");
        fs::write(&overlay, "decrypted").unwrap();
        let node = json!({ "driver": "qcow2", "file": { "driver": "file", "filename": overlay } });
        let socket = directory.join("control.sock").display().to_string();
        let arguments = [
            "-name".to_owned(),
            name.to_owned(),
            "-blockdev".to_owned(),
            node.to_string(),
            "-chardev".to_owned(),
            format!(
                "socket,id=control,server=on,path={}",
                socket.replace(',', ",,")
            ),
        ];
        Posing::new(script, place, "qemu-system-x86_64", &arguments)
    }

    #[test]
    fn a_killed_cloud_roles_machines_end_and_their_disks_are_removed() {
        let place = tempfile::tempdir().unwrap();
        let lab = layout(&place.path().join("lab"));
        let other = layout(&place.path().join("lab2"));
        let one = lab.runtime.join("instance-one");
        let stubborn = lab.runtime.join("instance-stubborn");
        let theirs = other.runtime.join("instance-theirs");
        let mut machines = [
            emulator(place.path(), "", "bcdr-instance-one", &one),
            emulator(
                place.path(),
                "trap '' TERM",
                "bcdr-instance-stubborn",
                &stubborn,
            ),
        ];
        let mut foreign = [
            emulator(place.path(), "", "bcdr-instance-theirs", &theirs),
            // Somebody's own machine that looks at a lab's file.
            emulator(place.path(), "", "mine", &lab.runtime.join("instance-mine")),
        ];
        let volume = lab.volume_socket("root");
        fs::write(&volume, "").unwrap();
        remove(&lab, PATIENCE).unwrap();
        assert!(machines.iter_mut().all(|machine| !machine.runs()));
        assert!(foreign.iter_mut().all(Posing::runs));
        assert!(!one.exists() && !stubborn.exists());
        assert!(theirs.exists() && volume.exists());
        // Nothing is left to do.
        remove(&lab, PATIENCE).unwrap();
    }

    #[test]
    fn a_recorded_socket_directory_is_removed_and_evidence_stays() {
        let place = tempfile::tempdir().unwrap();
        let lab = layout(&place.path().join("lab"));
        let evidence = lab.role_state("cloud").join("evidence").join("drl-1");
        let short = place.path().join("bcdr-0123456789abcdef");
        let kept = place.path().join("bcdr-mine");
        for directory in [&evidence, &short, &kept] {
            fs::create_dir_all(directory).unwrap();
        }
        let record = |short: &Path| {
            json!({ "instance": "one", "detail": {
                "target": "qemu", "marker": "bcdr-instance-one", "directory": lab.runtime.join("instance-one"),
                "short_directory": short, "control_socket": short.join("control.sock"), "overlays": [],
                "uefi_variables": null, "console_log": evidence.join("serial.log"),
                "error_log": evidence.join("qemu.log"), "arguments": [], "process": null,
            }})
        };
        let path = evidence.join(RECORD_NAME);
        for directory in [&short, &kept] {
            fs::write(&path, record(directory).to_string()).unwrap();
            remove(&lab, PATIENCE).unwrap();
        }
        assert!(!short.exists());
        assert!(kept.exists() && path.exists());
    }

    #[test]
    fn files_are_found_whatever_their_directory_is_called() {
        let found = |argument: &str| files(argument.as_bytes());
        assert_eq!(
            found("socket,id=a,path=/run/with,,comma/s.sock,server=on"),
            [PathBuf::from("/run/with,comma/s.sock")]
        );
        assert_eq!(
            found(r#"{"file":{"filename":"/run/a\"b/disk"}}"#),
            [PathBuf::from("/run/a\"b/disk")]
        );
        assert_eq!(found("-nodefaults"), Vec::<PathBuf>::new());
        assert_eq!(found("{not json"), Vec::<PathBuf>::new());
    }
}
