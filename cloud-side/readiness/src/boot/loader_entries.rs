//! Boot loader entries: one small file for each kernel, as systemd-boot and Fedora's GRUB have them.

use super::entry::BootEntry;
use crate::file_system::{Tree, TreeError};

const ENTRIES_MAX: usize = 256;
/// The most words that the options and initial RAM disks of an entry may have.
const WORDS_MAX: usize = 4096;

/// The entry of a directory that is started: the one that was saved, or else the last by name, which
/// is how both loaders sort them. `kernel_options` is what `$kernelopts` stands for.
pub(super) fn entry(
    tree: &dyn Tree,
    volume: usize,
    directory: &str,
    saved: Option<&str>,
    kernel_options: &str,
) -> Result<Option<BootEntry>, TreeError> {
    let mut names: Vec<_> = match tree.list(directory) {
        Ok(found) => found,
        Err(TreeError::Bound(bound)) => return Err(bound.into()),
        Err(_) => return Ok(None),
    }
    .into_iter()
    .filter(|entry| !entry.is_directory)
    .filter_map(|entry| Some(entry.name.strip_suffix(".conf")?.to_owned()))
    .collect();
    if names.len() > ENTRIES_MAX {
        let reason = format!("{directory} has more than {ENTRIES_MAX} entries");
        return Err(tree.budget().hit(reason).into());
    }
    // A rescue entry is last by name only because its version is no version.
    names.sort_by_key(|name| (!name.contains("rescue"), name.clone()));
    let Some(name) = saved
        .and_then(|saved| names.iter().find(|name| *name == saved))
        .or(names.last())
    else {
        return Ok(None);
    };
    match tree.text(&format!("{directory}/{name}.conf")) {
        Ok(text) => {
            let read = read(&text, name, volume, kernel_options);
            read.map_err(|TooLong| {
                let reason = format!("{directory}/{name}.conf has more than {WORDS_MAX} words");
                tree.budget().hit(reason).into()
            })
        }
        Err(TreeError::Bound(bound)) => Err(bound.into()),
        Err(_) => Ok(None),
    }
}

/// An entry has more words than are looked at.
struct TooLong;

fn read(
    text: &str,
    name: &str,
    volume: usize,
    kernel_options: &str,
) -> Result<Option<BootEntry>, TooLong> {
    let mut entry = BootEntry {
        title: name.to_owned(),
        volume,
        kernel: String::new(),
        initrds: Vec::new(),
        arguments: Vec::new(),
    };
    let mut count = 0;
    let mut more = |words: &mut Vec<String>, word: &str| {
        count += 1;
        words.push(word.to_owned());
        if count > WORDS_MAX {
            Err(TooLong)
        } else {
            Ok(())
        }
    };
    for line in text.lines() {
        let Some((key, value)) = line.trim().split_once([' ', '\t']) else {
            continue;
        };
        let words = value.split_whitespace();
        match key {
            "title" => entry.title = value.trim().to_owned(),
            "linux" => entry.kernel = value.trim().to_owned(),
            "initrd" => {
                for word in words.filter(|word| !word.starts_with('$')) {
                    more(&mut entry.initrds, word)?;
                }
            }
            "options" => {
                for word in words {
                    if word == "$kernelopts" {
                        for word in kernel_options.split_whitespace() {
                            more(&mut entry.arguments, word)?;
                        }
                    } else if !word.starts_with('$') {
                        more(&mut entry.arguments, word)?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok((!entry.kernel.is_empty()).then_some(entry))
}
