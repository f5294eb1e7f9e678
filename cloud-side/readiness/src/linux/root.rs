//! Where the operating system's root is.

use crate::{
    boot::{self, Configuration},
    file_system::Tree,
    report::{CheckCode, Findings},
    survey::{Survey, VolumeName},
};
use std::rc::Rc;

/// A root file system that can be read.
pub(crate) struct Root {
    pub(crate) volume: usize,
    pub(crate) tree: Rc<dyn Tree>,
    /// What the system calls itself.
    pub(crate) system: Option<String>,
}

/// Finds the root: the one that the command line names, or else the only one there is.
pub(crate) fn find(
    survey: &Survey,
    configuration: Option<&Configuration>,
    findings: &mut Findings,
) -> Option<Root> {
    let code = CheckCode::RootFileSystem;
    let roots: Vec<usize> = (0..survey.volumes.len())
        .filter(|index| is_root(survey, *index))
        .collect();
    let named: Vec<usize> = configuration
        .and_then(|configuration| configuration.entry.argument("root"))
        .and_then(VolumeName::read)
        .map(|name| survey.named(&name))
        .unwrap_or_default();
    let chosen = named
        .iter()
        .find(|index| roots.contains(index))
        .or(roots.first().filter(|_| named.is_empty()));
    let Some(volume) = chosen.copied() else {
        missing(survey, &named, findings);
        return None;
    };
    let tree = Rc::clone(survey.volumes[volume].tree.as_ref()?);
    let system = system(&*tree);
    let name = survey.volumes[volume].name();
    findings.pass(
        code,
        format!(
            "{name}: the root of {}",
            system
                .as_deref()
                .unwrap_or("a system without /etc/os-release")
        ),
    );
    Some(Root {
        volume,
        tree,
        system,
    })
}

fn missing(survey: &Survey, named: &[usize], findings: &mut Findings) {
    let code = CheckCode::RootFileSystem;
    if let Some(volume) = named.first().map(|index| &survey.volumes[*index])
        && volume.tree.is_none()
        && let Some(holds) = &volume.holds
    {
        findings.unknown(
            code,
            format!(
                "the root is on {}, which is {}; its files are not read here",
                volume.name(),
                holds.format.name()
            ),
        );
    } else if let Some(unread) = boot::unread(survey) {
        findings.unknown(
            code,
            format!("no root was found among what can be read, and {unread}"),
        );
    } else {
        findings.fail(
            code,
            "no file system on these disks has an operating system (/etc and /usr)",
            "check that every disk of the source is a volume of its group, the system's disk first",
        );
    }
}

fn is_root(survey: &Survey, index: usize) -> bool {
    let Some(tree) = &survey.volumes[index].tree else {
        return false;
    };
    let Ok(entries) = tree.list("/") else {
        return false;
    };
    let has = |name: &str| {
        entries
            .iter()
            .any(|entry| entry.name == name && entry.is_directory)
    };
    has("etc") && has("usr")
}

fn system(tree: &dyn Tree) -> Option<String> {
    let text = tree
        .text("/etc/os-release")
        .or_else(|_| tree.text("/usr/lib/os-release"))
        .ok()?;
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))?
        .trim_matches(['"', '\'']);
    Some(name.chars().take(128).collect())
}
