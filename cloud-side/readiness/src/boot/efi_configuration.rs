//! From the program that firmware starts to the configuration that it reads.
//!
//! Follows a loader the way it was built: a shim to its second stage, GRUB from its prefix and the
//! commands in it to its configuration, and from a configuration that only leads elsewhere to that
//! one. Invariant: what is not followed to a file that is there is unknown or failed, never passed.

use super::{
    ConfigurationFile,
    efi_program::{self, Grub, Kind},
    loader_entries, words,
};
use crate::{
    disk::Bound,
    file_system::{Tree, TreeError},
    report::{CheckCode, Findings},
    survey::Survey,
};
use std::collections::BTreeMap;

/// Configurations that lead on to others, at most.
const STEPS_MAX: usize = 4;
/// Shims and their second stages, one after the other.
const STAGES_MAX: usize = 4;
const REMEDY_GRUB: &str = "install the loader again at the source, so that it knows its place: grub-install --target=x86_64-efi --removable, then update-grub (grub2-mkconfig)";
const REMEDY_SHIM: &str = "copy the whole directory of the vendor's loader to /EFI/BOOT at the source: dpkg-reconfigure grub-efi-amd64 with force_efi_extra_removable, or reinstall shim and grub2-efi";
const REMEDY_SYSTEMD: &str =
    "write its entries anew at the source: kernel-install add-all, or bootctl update";

/// Why it is not known what a loader reads.
enum Lost {
    Failed(String, &'static str),
    Unknown(String),
}

impl From<Bound> for Lost {
    fn from(bound: Bound) -> Self {
        Self::Unknown(bound.to_string())
    }
}

/// Checks that a program finds its configuration. Says which file it is, where it is GRUB's.
pub(super) fn check(
    survey: &Survey,
    esp: usize,
    path: &str,
    kind: &Kind,
    findings: &mut Findings,
) -> Option<ConfigurationFile> {
    let code = CheckCode::EfiConfiguration;
    match follow(survey, esp, path, kind) {
        Ok(found) => {
            let volume = survey.volumes[found.volume].name();
            findings.pass(code, format!("{path} reads {volume}: {}", found.path));
            Some(found).filter(|found| found.path.ends_with(".cfg"))
        }
        Err(Lost::Failed(reason, remedy)) => {
            findings.fail(code, format!("{path}: {reason}"), remedy);
            None
        }
        Err(Lost::Unknown(reason)) => {
            findings.unknown(code, format!("{path}: {reason}"));
            None
        }
    }
}

fn follow(survey: &Survey, esp: usize, path: &str, kind: &Kind) -> Result<ConfigurationFile, Lost> {
    let (mut path, mut kind) = (path.to_owned(), kind.clone());
    for _ in 0..STAGES_MAX {
        match kind {
            Kind::Shim => (path, kind) = second_stage(survey, esp, &path)?,
            Kind::Grub(grub) => return of_grub(survey, esp, &path, &grub),
            Kind::SystemdBoot => return of_systemd(survey, esp),
            Kind::UnifiedKernel => {
                return Err(Lost::Unknown(
                    "it is a kernel with its initial RAM disk and command line, which is not looked into; a drill shows whether it boots".to_owned(),
                ));
            }
            Kind::Other => {
                return Err(Lost::Unknown(
                    "it is a loader that is not known here, so neither is what it reads; a drill shows whether it boots".to_owned(),
                ));
            }
        }
    }
    Err(Lost::Unknown(
        "its shims lead on and on, which is not followed further".to_owned(),
    ))
}

fn tree_of(survey: &Survey, volume: usize) -> Result<&dyn Tree, Lost> {
    let tree = survey.volumes[volume].tree.as_deref();
    tree.ok_or_else(|| {
        let name = survey.volumes[volume].name();
        Lost::Unknown(format!("{name}, where it goes on, cannot be read here"))
    })
}

/// What a shim starts: GRUB beside it, or by way of its fallback what a vendor's directory names.
fn second_stage(survey: &Survey, esp: usize, path: &str) -> Result<(String, Kind), Lost> {
    let tree = tree_of(survey, esp)?;
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    let has = |path: &str| tree.open(path).is_ok();
    let is_fallback = directory.eq_ignore_ascii_case("/EFI/BOOT");
    if is_fallback && has(&format!("{directory}/fbx64.efi")) {
        let vendors = tree.list("/EFI").unwrap_or_default();
        for vendor in vendors.iter().filter(|entry| entry.is_directory) {
            let vendor = format!("/EFI/{}", vendor.name);
            if let Ok(list) = tree.read(&format!("{vendor}/BOOTX64.CSV"), 64 << 10)
                && let Some(named) = first_named(&list)
            {
                return stage(tree, &format!("{vendor}/{named}"));
            }
        }
    }
    stage(tree, &format!("{directory}/grubx64.efi"))
}

/// The program that the first line of a vendor's list names. The list is UTF-16.
fn first_named(list: &[u8]) -> Option<String> {
    let units: Vec<u16> = list
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    let text = String::from_utf16_lossy(&units);
    let line = text.trim_start_matches('\u{feff}').lines().next()?;
    let name = line.split(',').next()?.trim();
    (!name.is_empty() && !name.contains(['/', '\\'])).then(|| name.to_owned())
}

fn stage(tree: &dyn Tree, path: &str) -> Result<(String, Kind), Lost> {
    match efi_program::read(tree, path) {
        Ok(program) => Ok((path.to_owned(), program.kind)),
        Err(error) if error.is_unknown() => Err(Lost::Unknown(format!("{path}: {error}"))),
        Err(error) => Err(Lost::Failed(
            format!("it starts {path}, and that cannot be started: {error}"),
            REMEDY_SHIM,
        )),
    }
}

fn of_systemd(survey: &Survey, esp: usize) -> Result<ConfigurationFile, Lost> {
    // Its entries are on its own partition, or on one beside it for larger kernels.
    let others = (0..survey.volumes.len()).filter(|volume| *volume != esp);
    for volume in std::iter::once(esp).chain(others) {
        let Some(tree) = &survey.volumes[volume].tree else {
            continue;
        };
        const DIRECTORY: &str = "/loader/entries";
        match loader_entries::entry(&**tree, volume, DIRECTORY, None, "") {
            Ok(Some(_)) => {
                return Ok(ConfigurationFile {
                    volume,
                    path: DIRECTORY.to_owned(),
                });
            }
            Ok(None) => {}
            Err(error) => return Err(Lost::Unknown(error.to_string())),
        }
    }
    let unified = tree_of(survey, esp)?.list("/EFI/Linux").unwrap_or_default();
    if unified.iter().any(|entry| entry.name.ends_with(".efi")) {
        return Err(Lost::Unknown(
            "it starts unified kernel images in /EFI/Linux, which are not looked into; a drill shows whether they boot".to_owned(),
        ));
    }
    Err(Lost::Failed(
        "it is systemd-boot, and there is neither an entry in /loader/entries nor an image in /EFI/Linux".to_owned(),
        REMEDY_SYSTEMD,
    ))
}

/// What Debian and Ubuntu build into their GRUB. The script there goes on with the first of some files.
const DEBIAN: &str = "normal (memdisk)/grub.cfg";

fn of_grub(
    survey: &Survey,
    esp: usize,
    path: &str,
    grub: &Grub,
) -> Result<ConfigurationFile, Lost> {
    let commands = grub.commands.as_deref().map(str::trim);
    if grub.has_files && commands != Some(DEBIAN) {
        return Err(Lost::Unknown(
            "this GRUB brings its configuration in a file system of its own, which is not looked into; a drill shows whether it boots".to_owned(),
        ));
    }
    let mut state = State {
        survey,
        esp,
        variables: BTreeMap::new(),
        at: esp,
    };
    state.set("prefix", grub.prefix.as_deref().unwrap_or_default());
    let mut next = match commands {
        Some(DEBIAN) if grub.has_files => of_debian(tree_of(survey, esp)?, path, grub),
        Some(commands) => state.run(commands)?,
        None => None,
    };
    for _ in 0..STEPS_MAX {
        let wanted = next.unwrap_or_else(|| {
            let prefix = state.variables.get("prefix").map_or("", String::as_str);
            format!("{prefix}/grub.cfg")
        });
        let file = state.place(&wanted)?;
        let text = match tree_of(survey, file.volume)?.text(&file.path) {
            Ok(text) => text,
            Err(error) if error.is_unknown() => {
                return Err(Lost::Unknown(format!("{}: {error}", file.path)));
            }
            Err(error) => {
                let volume = survey.volumes[file.volume].name();
                let why = if matches!(error, TreeError::NotFound) {
                    "which does not exist".to_owned()
                } else {
                    error.to_string()
                };
                return Err(Lost::Failed(
                    format!("this GRUB reads {} of {volume}, {why}", file.path),
                    REMEDY_GRUB,
                ));
            }
        };
        if leads_nowhere(&text) {
            return Ok(file);
        }
        next = state.run(&text)?;
        if next.is_none() {
            return Ok(file);
        }
    }
    Err(Lost::Unknown(
        "its configurations lead on and on, which is not followed further".to_owned(),
    ))
}

/// The file that Debian's script goes on with: none where it is the usual one.
fn of_debian(tree: &dyn Tree, path: &str, grub: &Grub) -> Option<String> {
    let prefix = grub.prefix.as_deref().unwrap_or_default();
    let beside = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    [
        format!("{prefix}/x86_64-efi/grub.cfg"),
        format!("{prefix}/grub.cfg"),
        format!("{beside}/grub.cfg"),
    ]
    .into_iter()
    .find(|file| tree.open(file).is_ok())
}

/// Whether a configuration has entries of its own. One that has may name others for special cases.
fn leads_nowhere(text: &str) -> bool {
    text.lines().any(|line| {
        let word = line.split_whitespace().next();
        matches!(word, Some("menuentry" | "blscfg" | "submenu"))
    })
}

/// What GRUB knows while it follows its first commands.
struct State<'a> {
    survey: &'a Survey,
    esp: usize,
    variables: BTreeMap<String, String>,
    /// The volume of paths without a device.
    at: usize,
}

impl State<'_> {
    fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// Runs commands. Says which configuration they go on with; none for that of the prefix.
    fn run(&mut self, commands: &str) -> Result<Option<String>, Lost> {
        const VARIABLES_MAX: usize = 64;
        for line in commands.lines() {
            let budget = self.survey.volumes[self.esp].window.budget();
            let line = words::split(line, &self.variables, budget)?;
            let Some(command) = line.first() else {
                continue;
            };
            match command.as_str() {
                "search" | "search.fs_uuid" | "search.file" | "search.fs_label" => {
                    self.search(&line)?;
                }
                "set" if self.variables.len() < VARIABLES_MAX => {
                    if let Some((name, value)) = line.get(1).and_then(|word| word.split_once('=')) {
                        let value = value.to_owned();
                        if name == "root" {
                            self.at = self.device(&value)?;
                        }
                        self.set(name, &value);
                    }
                }
                "configfile" | "normal" if line.len() > 1 => return Ok(line.get(1).cloned()),
                _ => {}
            }
        }
        Ok(None)
    }

    fn search(&mut self, line: &[String]) -> Result<(), Lost> {
        let by_uuid = line[0] == "search.fs_uuid"
            || line
                .iter()
                .any(|word| word == "-u" || word.starts_with("--fs-uuid"));
        let mut plain = line[1..].iter().filter(|word| !word.starts_with('-'));
        // Of `search` the name comes last; of `search.fs_uuid` first.
        let wanted = if line[0] == "search" {
            plain.next_back()
        } else {
            plain.next()
        };
        let Some(wanted) = wanted.filter(|_| by_uuid) else {
            return Err(Lost::Unknown(
                "it searches for its files otherwise than by UUID, which is not followed"
                    .to_owned(),
            ));
        };
        let found = self.survey.by_uuid(wanted).ok_or_else(|| {
            Lost::Failed(
                format!("it looks for its files on a file system with the UUID {wanted}, which is on none of these disks"),
                REMEDY_GRUB,
            )
        })?;
        self.at = found;
        // As a device that a path can begin with.
        self.set("root", &format!("volume{found}"));
        Ok(())
    }

    /// The volume that a device's name means.
    fn device(&self, name: &str) -> Result<usize, Lost> {
        let unknown = || {
            Lost::Unknown(format!(
                "it looks for its files on the device ({name}), which is not known here"
            ))
        };
        if let Some(number) = name.strip_prefix("volume") {
            let volume = number.parse().ok();
            return volume
                .filter(|volume| *volume < self.survey.volumes.len())
                .ok_or_else(unknown);
        }
        // `,gpt2` is a partition of the disk that it was started from; `hd0` is that disk, too.
        let (disk, partition) = name.split_once(',').ok_or_else(unknown)?;
        if !matches!(disk, "" | "hd0") {
            return Err(unknown());
        }
        let digits = partition.trim_start_matches(|letter: char| letter.is_ascii_alphabetic());
        let number: u32 = digits.parse().map_err(|_| unknown())?;
        let own = self.survey.volumes[self.esp].disk;
        let found = self.survey.volumes.iter().position(|volume| {
            let partition = volume.partition.as_ref();
            volume.disk == own && partition.is_some_and(|partition| partition.number == number)
        });
        found.ok_or_else(|| {
            Lost::Failed(
                format!(
                    "it looks for its files on partition {number} of its disk, which there is not"
                ),
                REMEDY_GRUB,
            )
        })
    }

    /// The file that a path means.
    fn place(&self, path: &str) -> Result<ConfigurationFile, Lost> {
        let (volume, path) = match path.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
            Some((device, path)) => (self.device(device)?, path),
            None => (self.at, path),
        };
        Ok(ConfigurationFile {
            volume,
            path: path.to_owned(),
        })
    }
}
