//! `/etc/fstab`: whether everything that must be mounted can be.
//!
//! An entry whose device does not appear stops the start for 90 seconds and then ends it in an
//! emergency shell, unless it says `nofail` or `noauto`.

use super::root::Root;
use crate::{
    file_system::TreeError,
    report::{CheckCode, Findings},
    survey::{Survey, VolumeName},
    target::TargetMachine,
};

const PATH: &str = "/etc/fstab";
const LINES_MAX: usize = 1024;
const NETWORK: [&str; 9] = [
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "ceph",
    "glusterfs",
    "9p",
    "fuse.sshfs",
];

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) device: String,
    pub(crate) place: String,
    pub(crate) format: String,
    pub(crate) options: Vec<String>,
}

impl Entry {
    fn read(line: &str) -> Option<Self> {
        let line = line.trim();
        let mut words = line.split_whitespace();
        let device = words.next().filter(|word| !word.starts_with('#'))?;
        Some(Self {
            device: device.to_owned(),
            place: words.next()?.to_owned(),
            format: words.next()?.to_owned(),
            options: words
                .next()
                .unwrap_or("defaults")
                .split(',')
                .map(str::to_owned)
                .collect(),
        })
    }

    fn says(&self, option: &str) -> bool {
        self.options.iter().any(|word| word == option)
    }

    fn may_be_absent(&self) -> bool {
        self.says("nofail") || self.says("noauto")
    }
}

/// A line that needs an edit to let the machine start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Counted from 0.
    pub(crate) number: usize,
    /// The word to replace, and by what; none when nothing of these disks is meant, so that the
    /// entry can only be left out.
    pub(crate) device: String,
    pub(crate) lasting: Option<String>,
}

/// The table, as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Fstab {
    pub(crate) path: &'static str,
    pub(crate) text: String,
    /// Lines that failed.
    pub(crate) failed: Vec<Line>,
}

/// Checks the table of the root.
pub(crate) fn check(
    survey: &Survey,
    root: &Root,
    target: TargetMachine,
    findings: &mut Findings,
) -> Option<Fstab> {
    let code = CheckCode::Fstab;
    let text = match root.tree.text(PATH) {
        Ok(text) => text,
        Err(TreeError::NotFound) => {
            findings.pass(
                code,
                format!("there is no {PATH}: only the root is mounted"),
            );
            return None;
        }
        Err(error) => {
            findings.unknown(code, format!("{PATH}: {error}"));
            return None;
        }
    };
    let mut failed = Vec::new();
    let (mut entries, mut troubled) = (0, false);
    for (number, line) in text.lines().enumerate() {
        if number == LINES_MAX {
            let reason = format!("{PATH} has more than the {LINES_MAX} lines that are read");
            root.tree.budget().hit(reason);
            break;
        }
        let Some(entry) = Entry::read(line) else {
            continue;
        };
        entries += 1;
        let Some(trouble) = judge(survey, root, &entry, target) else {
            continue;
        };
        troubled = true;
        let evidence = format!("{PATH}, line {}: {}", number + 1, trouble.reason);
        if trouble.unknown {
            findings.unknown(code, evidence);
        } else if trouble.survivable {
            findings.warn(code, evidence, trouble.remedy);
        } else {
            findings.fail(code, evidence, trouble.remedy);
            failed.push(Line {
                number,
                device: entry.device.clone(),
                lasting: lasting(survey, root, &entry),
            });
        }
    }
    if !troubled {
        findings.pass(
            code,
            format!("all {entries} entries of {PATH} can be mounted"),
        );
    }
    Some(Fstab {
        path: PATH,
        text,
        failed,
    })
}

struct Trouble {
    reason: String,
    remedy: &'static str,
    survivable: bool,
    unknown: bool,
}

const BY_UUID: &str = "name it by its UUID at the source (blkid says it), or add nofail if the system can do without it";
const ABSENT: &str = "protect the disk that it is on, remove the entry, or add nofail at the source if the system can do without it";

fn judge(survey: &Survey, root: &Root, entry: &Entry, target: TargetMachine) -> Option<Trouble> {
    // A swap that is not there delays a start and does not end it.
    let survivable = entry.may_be_absent() || entry.format == "swap";
    let trouble = |reason: String, remedy| {
        Some(Trouble {
            reason,
            remedy,
            survivable,
            unknown: false,
        })
    };
    let Entry { device, place, .. } = entry;
    if NETWORK.contains(&entry.format.as_str()) || entry.says("_netdev") {
        return (!entry.may_be_absent()).then(|| Trouble {
            reason: format!("{place} is mounted from the network ({device}), which a drill's network does not reach"),
            remedy: "add nofail at the source, so that a start does not depend on another machine",
            survivable: true,
            unknown: false,
        });
    }
    if entry.says("noauto") || entry.says("bind") || entry.says("rbind") {
        return None;
    }
    let name = VolumeName::read(device)?;
    let found = survey.named(&name);
    match &name {
        VolumeName::Built(_) => {
            if is_no_volume(device) {
                return None;
            }
            let Some(hidden) = survey.hidden() else {
                return absent(survey, entry, survivable);
            };
            Some(Trouble {
                reason: format!("{place} is on {device}, which is not looked into here ({hidden})"),
                remedy: ABSENT,
                survivable: false,
                unknown: true,
            })
            .filter(|_| !survivable)
        }
        VolumeName::Hardware(_) => trouble(
            format!("{place} is on {device}, a name of the source's hardware"),
            BY_UUID,
        ),
        VolumeName::Device { family, disk, .. } => {
            let expected = target.disk_bus.device(*disk);
            if is_medium(entry) {
                None
            } else if !expected.starts_with(family) || found.is_empty() {
                trouble(
                    format!(
                        "{place} is on {device}, a device name of the source; the target's disks are /dev/{} and so on",
                        target.disk_bus.device(0)
                    ),
                    BY_UUID,
                )
            } else {
                Some(Trouble {
                    reason: format!(
                        "{place} is on {device}, which is right as long as the disks keep their order"
                    ),
                    remedy: BY_UUID,
                    survivable: true,
                    unknown: false,
                })
            }
        }
        VolumeName::Lasting { .. } => match found.first() {
            None => absent(survey, entry, survivable),
            Some(index) => {
                let holds = survey.volumes[*index].holds.as_ref()?.format;
                let fits = entry.format == "auto" || holds.is_called(&entry.format);
                if place == "/" && *index != root.volume {
                    return trouble(
                        format!("the root is {device}, and that is not the one that starts"),
                        BY_UUID,
                    );
                }
                if fits {
                    None
                } else {
                    trouble(
                        format!("{place} is to be {} and is {}", entry.format, holds.name()),
                        "correct the type at the source",
                    )
                }
            }
        },
    }
}

fn absent(survey: &Survey, entry: &Entry, survivable: bool) -> Option<Trouble> {
    let hidden = survey.hidden();
    let Entry { device, place, .. } = entry;
    let mut reason = format!("{place} is on {device}, which is on none of these disks");
    if let Some(hidden) = &hidden {
        reason = format!("{reason}, and {hidden}");
    }
    Some(Trouble {
        reason,
        remedy: ABSENT,
        survivable,
        unknown: hidden.is_some() && !survivable,
    })
}

/// Devices that no disk of the machine is needed for.
fn is_no_volume(device: &str) -> bool {
    ["sr", "cdrom", "dvd", "fd", "loop", "zram", "shm", "ram"]
        .iter()
        .any(|name| device.starts_with(&format!("/dev/{name}")))
}

/// A floppy or a disc in a drive.
fn is_medium(entry: &Entry) -> bool {
    matches!(entry.format.as_str(), "iso9660" | "udf" | "udf,iso9660")
}

/// The lasting name of the volume that a device name of the source meant, when there is no doubt.
fn lasting(survey: &Survey, root: &Root, entry: &Entry) -> Option<String> {
    let uuid = |index: usize| {
        let uuid = survey.volumes[index].uuid()?;
        Some(format!("UUID={uuid}"))
    };
    if entry.place == "/" {
        return uuid(root.volume);
    }
    let name = VolumeName::read(&entry.device)?;
    // With one disk there is no order to be wrong about.
    if !matches!(name, VolumeName::Device { .. }) || survey.disks.len() != 1 {
        return None;
    }
    let index = *survey.named(&name).first()?;
    let format = survey.volumes[index].holds.as_ref()?.format;
    (entry.format == "auto" || format.is_called(&entry.format))
        .then(|| uuid(index))
        .flatten()
}
