//! What the boot loader would start, whoever wrote its configuration.

use super::{
    grub::{self, NoEntry},
    loader_entries,
};
use crate::{
    file_system::{Tree, TreeError},
    report::{CheckCode, Findings},
    survey::Survey,
};
use std::rc::Rc;

/// The places of GRUB's configuration, on a root file system and on a boot file system.
const GRUB_PATHS: [&str; 4] = [
    "/boot/grub/grub.cfg",
    "/boot/grub2/grub.cfg",
    "/grub/grub.cfg",
    "/grub2/grub.cfg",
];

/// What the boot loader starts by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BootEntry {
    pub(crate) title: String,
    /// The volume that its paths are on.
    pub(crate) volume: usize,
    pub(crate) kernel: String,
    pub(crate) initrds: Vec<String>,
    /// The kernel's command line, in words.
    pub(crate) arguments: Vec<String>,
}

impl BootEntry {
    /// The value of the last argument `key=value`.
    pub(crate) fn argument(&self, key: &str) -> Option<&str> {
        self.arguments
            .iter()
            .rev()
            .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }
}

/// A boot loader's configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Configuration {
    pub(crate) volume: usize,
    pub(crate) path: String,
    pub(crate) entry: BootEntry,
}

/// Where a boot loader's configuration is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfigurationFile {
    /// The volume, by its place in the survey.
    pub(crate) volume: usize,
    /// Its path there.
    pub(crate) path: String,
}

/// Finds the configuration that decides, and the entry it starts: the one that the loader is known to
/// read, or else the first one where they usually are.
pub(crate) fn find(
    survey: &Survey,
    known: Option<ConfigurationFile>,
    findings: &mut Findings,
) -> Option<Configuration> {
    let code = CheckCode::BootConfiguration;
    let mut trouble = None;
    let usual = trees(survey).flat_map(|(volume, _)| {
        GRUB_PATHS.map(|path| ConfigurationFile {
            volume,
            path: path.to_owned(),
        })
    });
    let places: Vec<ConfigurationFile> = match known {
        Some(known) => vec![known],
        None => usual.collect(),
    };
    for ConfigurationFile { volume, path } in places {
        let Some(tree) = &survey.volumes[volume].tree else {
            continue;
        };
        let text = match tree.text(&path) {
            Ok(text) => text,
            Err(TreeError::NotFound) => continue,
            Err(TreeError::Bound(bound)) => {
                findings.unknown(code, format!("{path}: {bound}"));
                return None;
            }
            Err(error) => {
                trouble = Some(format!("{path}: {error}"));
                continue;
            }
        };
        match grub::entry(survey, volume, &path, &text) {
            Ok(entry) => return Some(found(survey, findings, volume, &path, entry)),
            Err(NoEntry::Bound(bound)) => {
                findings.unknown(code, format!("{path}: {bound}"));
                return None;
            }
            Err(NoEntry::Absent(reason)) => trouble = Some(format!("{path}: {reason}")),
        }
    }
    for (volume, tree) in trees(survey) {
        for directory in ["/loader/entries", "/boot/loader/entries"] {
            match loader_entries::entry(&*tree, volume, directory, None, "") {
                Ok(Some(entry)) => {
                    return Some(found(survey, findings, volume, directory, entry));
                }
                Ok(None) => {}
                Err(error) => {
                    findings.unknown(code, error.to_string());
                    return None;
                }
            }
        }
    }
    if let Some(trouble) = trouble {
        findings.fail(
            code,
            trouble,
            "write the boot loader's configuration anew at the source: update-grub, or grub2-mkconfig -o /boot/grub2/grub.cfg",
        );
    } else if let Some(hidden) = unread(survey) {
        findings.unknown(
            code,
            format!("no boot loader's configuration was found, and {hidden}"),
        );
    } else {
        findings.fail(
            code,
            "no boot loader's configuration was found (GRUB's grub.cfg, or boot loader entries)",
            "check that the disk with /boot is protected; install a boot loader's configuration at the source: update-grub, or grub2-mkconfig -o /boot/grub2/grub.cfg",
        );
    }
    None
}

fn trees(survey: &Survey) -> impl Iterator<Item = (usize, Rc<dyn Tree>)> {
    survey
        .volumes
        .iter()
        .enumerate()
        .filter_map(|(index, volume)| Some((index, Rc::clone(volume.tree.as_ref()?))))
}

fn found(
    survey: &Survey,
    findings: &mut Findings,
    volume: usize,
    path: &str,
    entry: BootEntry,
) -> Configuration {
    findings.pass(
        CheckCode::BootConfiguration,
        format!(
            "{}: {path} starts '{}': {} {}",
            survey.volumes[volume].name(),
            entry.title,
            entry.kernel,
            entry.arguments.join(" ")
        ),
    );
    Configuration {
        volume,
        path: path.to_owned(),
        entry,
    }
}

/// A volume that might hold it and cannot be read.
pub(crate) fn unread(survey: &Survey) -> Option<String> {
    use crate::file_system::Format;
    survey.hidden().or_else(|| {
        survey.volumes.iter().find_map(|volume| {
            let holds = volume.holds.as_ref()?;
            let never = matches!(
                holds.format,
                Format::Xfs | Format::Btrfs | Format::Ntfs | Format::BitLocker
            );
            let not_this = holds.ext.is_some() && volume.tree.is_none();
            (never || not_this).then(|| {
                format!(
                    "{} is {}, whose files are not read here",
                    volume.name(),
                    holds.format.name()
                )
            })
        })
    })
}
