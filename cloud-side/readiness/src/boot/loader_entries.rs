//! Boot loader entries: one small file for each kernel, as systemd-boot and Fedora's GRUB have them.

use super::entry::BootEntry;
use crate::file_system::Tree;

const ENTRIES_MAX: usize = 256;

/// The entry of a directory that is started: the one that was saved, or else the last by name, which
/// is how both loaders sort them. `kernel_options` is what `$kernelopts` stands for.
pub(super) fn entry(
    tree: &dyn Tree,
    volume: usize,
    directory: &str,
    saved: Option<&str>,
    kernel_options: &str,
) -> Option<BootEntry> {
    let mut names: Vec<_> = tree
        .list(directory)
        .ok()?
        .into_iter()
        .filter(|entry| !entry.is_directory)
        .filter_map(|entry| Some(entry.name.strip_suffix(".conf")?.to_owned()))
        .take(ENTRIES_MAX)
        .collect();
    // A rescue entry is last by name only because its version is no version.
    names.sort_by_key(|name| (!name.contains("rescue"), name.clone()));
    let name = saved
        .and_then(|saved| names.iter().find(|name| *name == saved))
        .or(names.last())?;
    read(
        &tree.text(&format!("{directory}/{name}.conf")).ok()?,
        name,
        volume,
        kernel_options,
    )
}

fn read(text: &str, name: &str, volume: usize, kernel_options: &str) -> Option<BootEntry> {
    let mut entry = BootEntry {
        title: name.to_owned(),
        volume,
        kernel: String::new(),
        initrds: Vec::new(),
        arguments: Vec::new(),
    };
    for line in text.lines() {
        let Some((key, value)) = line.trim().split_once([' ', '\t']) else {
            continue;
        };
        let words = value.split_whitespace();
        match key {
            "title" => entry.title = value.trim().to_owned(),
            "linux" => entry.kernel = value.trim().to_owned(),
            "initrd" => entry.initrds.extend(
                words
                    .filter(|word| !word.starts_with('$'))
                    .map(str::to_owned),
            ),
            "options" => {
                for word in words {
                    if word == "$kernelopts" {
                        entry
                            .arguments
                            .extend(kernel_options.split_whitespace().map(str::to_owned));
                    } else if !word.starts_with('$') {
                        entry.arguments.push(word.to_owned());
                    }
                }
            }
            _ => {}
        }
    }
    (!entry.kernel.is_empty()).then_some(entry)
}
