//! Everything that the disks hold, found once and asked often.
//!
//! Owns the list of volumes and the ways in which Linux names one. Invariant: a name is resolved to a
//! volume only when exactly that volume has it.

use crate::{
    disk::{Budget, Disk, Window},
    file_system::{ExtTree, Recognised, Tree, recognise},
    partition::{self, Partition, Role, Scheme, Table},
    report::{CheckCode, Findings},
};
use std::{rc::Rc, sync::Arc};

/// A partition, or a whole disk without a table.
pub(crate) struct Volume {
    /// The disk, from 0 in boot order.
    pub(crate) disk: usize,
    /// None for a whole disk.
    pub(crate) partition: Option<Partition>,
    pub(crate) window: Window,
    pub(crate) holds: Option<Recognised>,
    /// Its files, when they can be read.
    pub(crate) tree: Option<Rc<dyn Tree>>,
}

impl Volume {
    /// How reports call it.
    pub(crate) fn name(&self) -> String {
        match &self.partition {
            Some(partition) => format!("disk {}, partition {}", self.disk, partition.number),
            None => format!("disk {}", self.disk),
        }
    }

    pub(crate) fn uuid(&self) -> Option<&str> {
        self.holds.as_ref()?.uuid.as_deref()
    }

    fn label(&self) -> Option<&str> {
        self.holds.as_ref()?.label.as_deref()
    }
}

/// How a configuration names a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum VolumeName {
    /// `UUID=` and its like: the same on every machine.
    Lasting { key: &'static str, value: String },
    /// `/dev/sda1`: depends on the machine.
    Device {
        family: &'static str,
        disk: usize,
        partition: Option<u32>,
    },
    /// `/dev/mapper/…`, `/dev/vg/lv`, `/dev/md0`: something built of volumes.
    Built(String),
    /// `/dev/disk/by-id/…` and `by-path`: names of the source's hardware.
    Hardware(String),
}

impl VolumeName {
    /// Reads a name as `/etc/fstab` and the kernel command line have it. None for what is no volume.
    pub(crate) fn read(text: &str) -> Option<Self> {
        const KEYS: [(&str, &str); 4] = [
            ("UUID", "/dev/disk/by-uuid/"),
            ("LABEL", "/dev/disk/by-label/"),
            ("PARTUUID", "/dev/disk/by-partuuid/"),
            ("PARTLABEL", "/dev/disk/by-partlabel/"),
        ];
        for (key, directory) in KEYS {
            let value = text
                .strip_prefix(directory)
                .or_else(|| text.strip_prefix(key)?.strip_prefix('='));
            if let Some(value) = value {
                let value = value.trim_matches('"').to_owned();
                return Some(Self::Lasting { key, value });
            }
        }
        let name = text.strip_prefix("/dev/")?;
        if name.starts_with("disk/by-") {
            return Some(Self::Hardware(text.to_owned()));
        }
        Some(device(name).unwrap_or_else(|| Self::Built(text.to_owned())))
    }
}

/// Reads `sda1`, `vdb`, `xvda2`, `nvme0n1p1`.
fn device(name: &str) -> Option<VolumeName> {
    if let Some(rest) = name.strip_prefix("nvme") {
        let (controller, rest) = rest.split_once('n')?;
        let (_, partition) = rest.split_once('p').unwrap_or((rest, ""));
        return Some(VolumeName::Device {
            family: "nvme",
            disk: controller.parse().ok()?,
            partition: number(partition)?,
        });
    }
    let family = ["xvd", "sd", "vd", "hd"]
        .into_iter()
        .find(|family| name.starts_with(family))?;
    let rest = &name[family.len()..];
    let letter = rest.bytes().next().filter(u8::is_ascii_lowercase)?;
    Some(VolumeName::Device {
        family,
        disk: usize::from(letter - b'a'),
        partition: number(&rest[1..])?,
    })
}

/// An optional number: the outer option is whether the text is one.
fn number(text: &str) -> Option<Option<u32>> {
    if text.is_empty() {
        Some(None)
    } else {
        text.parse().ok().map(Some)
    }
}

/// What the disks hold.
pub(crate) struct Survey {
    pub(crate) disks: Vec<(Window, Table)>,
    pub(crate) volumes: Vec<Volume>,
}

impl Survey {
    /// Looks at all disks.
    pub(crate) fn take(
        disks: &[Arc<dyn Disk>],
        budget: &Rc<Budget>,
        findings: &mut Findings,
    ) -> Self {
        let mut survey = Self {
            disks: Vec::new(),
            volumes: Vec::new(),
        };
        for (place, disk) in disks.iter().enumerate() {
            let window = Window::of(Arc::clone(disk), Rc::clone(budget));
            survey.add_disk(place, window, findings);
        }
        survey
    }

    fn add_disk(&mut self, place: usize, window: Window, findings: &mut Findings) {
        let mut unread = Findings::default();
        let table = partition::read(&window, place, &mut unread);
        // A boot sector of a file system ends with the same mark as a table.
        let whole = if table.scheme == Scheme::Gpt || place == 0 {
            None
        } else {
            recognise(&window)
        };
        if whole.is_some() || table.scheme == Scheme::None {
            if whole.is_none() {
                findings.extend(unread);
            }
            self.add_volume(place, None, window.clone(), whole, findings);
            self.disks.push((window, Table::NONE));
            return;
        }
        findings.extend(unread);
        for partition in &table.partitions {
            let part = window.part(partition.start, partition.length);
            let holds = recognise(&part);
            self.add_volume(place, Some(partition.clone()), part, holds, findings);
        }
        self.disks.push((window, table));
    }

    fn add_volume(
        &mut self,
        disk: usize,
        partition: Option<Partition>,
        window: Window,
        holds: Option<Recognised>,
        findings: &mut Findings,
    ) {
        let mut volume = Volume {
            disk,
            partition,
            window,
            holds,
            tree: None,
        };
        check(&mut volume, findings);
        self.volumes.push(volume);
    }

    /// The volumes that a name can mean.
    pub(crate) fn named(&self, name: &VolumeName) -> Vec<usize> {
        let fits = |volume: &Volume| match name {
            VolumeName::Lasting { key, value } => {
                let partition = volume.partition.as_ref();
                let found = match *key {
                    "UUID" => volume.uuid(),
                    "LABEL" => volume.label(),
                    "PARTUUID" => partition.map(|partition| partition.uuid.as_str()),
                    _ => partition.and_then(|partition| partition.label.as_deref()),
                };
                found.is_some_and(|found| match *key {
                    "UUID" | "PARTUUID" => found.eq_ignore_ascii_case(value),
                    _ => found == value,
                })
            }
            VolumeName::Device {
                disk, partition, ..
            } => {
                volume.disk == *disk
                    && volume.partition.as_ref().map(|partition| partition.number) == *partition
            }
            VolumeName::Built(_) | VolumeName::Hardware(_) => false,
        };
        (0..self.volumes.len())
            .filter(|index| fits(&self.volumes[*index]))
            .collect()
    }

    /// The volume with this UUID.
    pub(crate) fn by_uuid(&self, uuid: &str) -> Option<usize> {
        let name = VolumeName::Lasting {
            key: "UUID",
            value: uuid.to_owned(),
        };
        self.named(&name).first().copied()
    }

    /// Whether something is there inside of which volumes may be that are not seen.
    pub(crate) fn hidden(&self) -> Option<String> {
        self.volumes.iter().find_map(|volume| {
            let format = volume.holds.as_ref()?.format;
            format
                .hides_volumes()
                .then(|| format!("{} is an {}", volume.name(), format.name()))
        })
    }

    /// The EFI system partition of the first disk that has one, by its place among the volumes.
    pub(crate) fn efi_system(&self) -> Option<usize> {
        self.volumes.iter().position(|volume| {
            volume
                .partition
                .as_ref()
                .is_some_and(|partition| partition.role == Role::EfiSystem)
        })
    }
}

/// Says what a volume holds, and opens it when it can be read.
fn check(volume: &mut Volume, findings: &mut Findings) {
    let name = volume.name();
    let Some(holds) = &volume.holds else {
        let boot = volume
            .partition
            .as_ref()
            .is_some_and(|partition| partition.role == Role::BiosBoot);
        if !boot {
            findings.pass(
                CheckCode::FileSystem,
                format!("{name}: nothing that is known here"),
            );
        }
        return;
    };
    let format = holds.format.name();
    if let Some(size) = holds.size
        && size > volume.window.length()
    {
        findings.fail(
            CheckCode::FileSystemSize,
            format!(
                "{name}: the {format} was made for {size} bytes and has {}",
                volume.window.length()
            ),
            "the partition or the disk was made smaller than what it holds; make it as large as before at the source",
        );
        return;
    }
    if let Some(fat) = &holds.fat {
        volume.tree = Some(Rc::new(fat.clone()));
    }
    if let Some(state) = &holds.ext {
        if state.errors {
            findings.fail(
                CheckCode::FileSystemErrors,
                format!("{name}: the {format} remembers errors that nobody has repaired"),
                "the start would stop for a repair; at the source, unmount it and run e2fsck -f, or have it checked at the next start (tune2fs -C 1 -c 1)",
            );
        }
        match ExtTree::open(&volume.window, state) {
            Ok(tree) => volume.tree = Some(Rc::new(tree)),
            Err(error) if error.is_unknown() => findings.unknown(
                CheckCode::FileSystem,
                format!("{name}: this {format} is not looked into: {error}"),
            ),
            Err(error) => findings.fail(
                CheckCode::FileSystem,
                format!("{name}: the {format} cannot be opened: {error}"),
                "check it at the source with e2fsck -n; if it is in order there, protect the whole disk and synchronise again",
            ),
        }
        if volume.tree.is_none() {
            return;
        }
        let clean = match (state.needs_recovery, state.clean) {
            (true, _) => "in use when the point was taken; its journal is replayed at the start",
            (false, true) => "clean",
            (false, false) => "not unmounted, and without a journal",
        };
        let evidence = format!("{name}: {format}, {clean}, UUID {}", state.uuid);
        if state.clean {
            findings.pass(CheckCode::FileSystem, evidence);
        } else {
            findings.warn(
                CheckCode::FileSystem,
                evidence,
                "each start after a failover checks all of it; give it a journal at the source (tune2fs -j)",
            );
        }
        return;
    }
    let uuid = holds.uuid.as_deref().unwrap_or("none");
    findings.pass(
        CheckCode::FileSystem,
        format!("{name}: {format}, UUID {uuid}"),
    );
}
