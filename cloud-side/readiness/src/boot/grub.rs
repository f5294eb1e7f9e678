//! GRUB's configuration, read for what it starts by itself.
//!
//! It is a script; this follows its commands in order, without deciding its conditions. So that the
//! entry is the right one, the default is taken from where `grub-mkconfig` puts it.

use super::{entry::BootEntry, loader_entries, words};
use crate::{
    disk::{Bound, Budget},
    file_system::{LINE_BYTES_MAX, TreeError},
    survey::Survey,
};
use std::collections::BTreeMap;

/// More entries of a menu than this are not looked at, and the same of variables.
const ENTRIES_MAX: usize = 512;
/// The longest value of a variable that is remembered, in bytes.
const VALUE_MAX: usize = 4096;

/// Why there is no entry.
pub(super) enum NoEntry {
    /// There is none.
    Absent(String),
    /// It was not looked at whole.
    Bound(Bound),
}

impl From<Bound> for NoEntry {
    fn from(bound: Bound) -> Self {
        Self::Bound(bound)
    }
}

#[derive(Debug, Default)]
struct Menu {
    entries: Vec<Item>,
    variables: BTreeMap<String, String>,
    default: Option<String>,
    /// It takes its entries from files of their own.
    loader_entries: bool,
}

#[derive(Debug, Default, Clone)]
struct Item {
    title: String,
    id: String,
    /// Its place among the items of the outermost menu; entries of a submenu have that menu's.
    place: usize,
    root: Option<String>,
    kernel: String,
    initrds: Vec<String>,
    arguments: Vec<String>,
}

/// The entry that GRUB starts, or why there is none. The text is that of the file at the path.
pub(super) fn entry(
    survey: &Survey,
    volume: usize,
    path: &str,
    text: &str,
) -> Result<BootEntry, NoEntry> {
    let budget = survey.volumes[volume].window.budget();
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    let saved = environment(survey, volume, &format!("{directory}/grubenv"));
    let menu = read(text, &saved, budget)?;
    let root = |search: Option<&String>| {
        match search {
        None => Ok(volume),
        Some(uuid) => survey.by_uuid(uuid).ok_or_else(|| {
            NoEntry::Absent(format!("it looks for its files on a file system with the UUID {uuid}, which is on none of these disks"))
        }),
    }
    };
    if menu.loader_entries {
        let at = root(menu.variables.get("boot").or(menu.variables.get("root")))?;
        let options = menu
            .variables
            .get("kernelopts")
            .or(saved.get("kernelopts"))
            .map_or("", String::as_str);
        let wanted = saved.get("saved_entry").map(String::as_str);
        let tree = survey.volumes[at].tree.as_ref();
        for directory in ["/loader/entries", "/boot/loader/entries"] {
            let Some(tree) = tree else { break };
            match loader_entries::entry(&**tree, at, directory, wanted, options) {
                Ok(Some(found)) => return Ok(found),
                Err(TreeError::Bound(bound)) => return Err(bound.into()),
                Ok(None) | Err(_) => {}
            }
        }
        if menu.entries.is_empty() {
            return Err(NoEntry::Absent(
                "it takes its entries from loader/entries, where there is none".to_owned(),
            ));
        }
    }
    let item = chosen(&menu, &saved)
        .ok_or_else(|| NoEntry::Absent("it has no entry that starts a Linux kernel".to_owned()))?
        .clone();
    Ok(BootEntry {
        title: item.title,
        volume: root(item.root.as_ref())?,
        kernel: plain(&item.kernel),
        initrds: item.initrds.iter().map(|path| plain(path)).collect(),
        arguments: item.arguments,
    })
}

/// A path without the device before it.
fn plain(path: &str) -> String {
    match path.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
        Some((_, path)) => path.to_owned(),
        None => path.to_owned(),
    }
}

/// GRUB's environment block: `key=value` lines.
fn environment(survey: &Survey, volume: usize, path: &str) -> BTreeMap<String, String> {
    let text = survey.volumes[volume]
        .tree
        .as_ref()
        .and_then(|tree| tree.text(path).ok())
        .unwrap_or_default();
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

fn chosen<'a>(menu: &'a Menu, saved: &BTreeMap<String, String>) -> Option<&'a Item> {
    let wanted = match menu.default.as_deref() {
        Some("saved") | None => saved.get("saved_entry").map(String::as_str),
        other => other,
    };
    let entry = |wanted: &str| {
        // Of `menu>entry` the entry decides.
        let last = wanted.rsplit('>').next().unwrap_or(wanted);
        let named = |item: &&Item| item.id == last || item.title == last;
        let place = last.parse::<usize>().ok().filter(|_| !wanted.contains('>'));
        menu.entries
            .iter()
            .find(named)
            .or_else(|| menu.entries.iter().find(|item| Some(item.place) == place))
    };
    wanted.and_then(entry).or(menu.entries.first())
}

fn read(text: &str, saved: &BTreeMap<String, String>, budget: &Budget) -> Result<Menu, Bound> {
    let mut menu = Menu::default();
    let mut item: Option<Item> = None;
    // Commands outside of any entry, as in a configuration without a menu.
    let mut bare = Item {
        title: "the commands outside of the menu".to_owned(),
        ..Item::default()
    };
    let mut blocks: Vec<bool> = Vec::new();
    let mut places = 0;
    for line in joined(text, budget)? {
        let line = words::split(&line, &menu.variables, budget)?;
        let Some(command) = line.first() else {
            continue;
        };
        let opens = line.last().is_some_and(|word| word == "{");
        match command.as_str() {
            "menuentry" if opens => {
                item = Some(header(&line, places, bare.root.clone()));
                blocks.push(true);
                if blocks.len() == 1 {
                    places += 1;
                }
                continue;
            }
            "}" => {
                // A submenu counts as one place of the menu it is in.
                match blocks.pop() {
                    Some(true) => {
                        let item = item.take().filter(|item| !item.kernel.is_empty());
                        menu.entries.extend(item);
                    }
                    Some(false) if blocks.is_empty() && places_of(&menu, places) => places += 1,
                    _ => {}
                }
                continue;
            }
            _ if opens => {
                blocks.push(false);
                continue;
            }
            "blscfg" => menu.loader_entries = true,
            "set" => set(&mut menu, &line, saved, budget)?,
            _ => {}
        }
        follow(item.as_mut().unwrap_or(&mut bare), &line);
        if command == "search" && item.is_none() {
            remember_search(&mut menu, &line);
        }
        if menu.entries.len() > ENTRIES_MAX {
            let reason = format!("the boot loader's menu has more than {ENTRIES_MAX} entries");
            return Err(budget.hit(reason));
        }
    }
    if !bare.kernel.is_empty() {
        menu.entries.push(bare);
    }
    Ok(menu)
}

/// Whether entries of a submenu were just closed that have this place.
fn places_of(menu: &Menu, place: usize) -> bool {
    menu.entries.last().is_some_and(|item| item.place == place)
}

fn header(line: &[String], place: usize, root: Option<String>) -> Item {
    let mut id = String::new();
    // `--id X`, or `$menuentry_id_option X`, which is nothing here: then X stands alone at the end.
    let mut words = line.iter().skip(2).peekable();
    while let Some(word) = words.next() {
        match word.as_str() {
            "{" => break,
            "--id" => id = words.next().cloned().unwrap_or_default(),
            "--class" | "--users" | "--hotkey" => {
                words.next();
            }
            other if !other.starts_with("--") => id = other.to_owned(),
            _ => {}
        }
    }
    Item {
        title: line.get(1).cloned().unwrap_or_default(),
        id,
        place,
        root,
        ..Item::default()
    }
}

fn set(
    menu: &mut Menu,
    line: &[String],
    saved: &BTreeMap<String, String>,
    budget: &Budget,
) -> Result<(), Bound> {
    let Some((key, value)) = line.get(1).and_then(|word| word.split_once('=')) else {
        return Ok(());
    };
    if key.len() + value.len() > VALUE_MAX || menu.variables.len() > ENTRIES_MAX {
        let reason = "the boot loader's configuration sets too many variables, or too long ones";
        return Err(budget.hit(reason));
    }
    if key == "default" {
        // `set default="${saved_entry}"` is empty here: the environment decides then.
        let value = if value.is_empty() && saved.contains_key("saved_entry") {
            "saved"
        } else {
            value
        };
        if !value.is_empty() {
            menu.default = Some(value.to_owned());
        }
    } else if key != "root" && key != "boot" {
        menu.variables.insert(key.to_owned(), value.to_owned());
    }
    Ok(())
}

/// `search` outside of an entry sets what later paths are on.
fn remember_search(menu: &mut Menu, line: &[String]) {
    let variable = line
        .iter()
        .find_map(|word| word.strip_prefix("--set="))
        .unwrap_or("root");
    if let Some(uuid) = searched(line) {
        menu.variables.insert(variable.to_owned(), uuid);
    }
}

/// The UUID that a `search --fs-uuid` looks for.
fn searched(line: &[String]) -> Option<String> {
    let by_uuid = line
        .iter()
        .any(|word| matches!(word.as_str(), "--fs-uuid" | "-u") || word.starts_with("--fs-uuid"));
    line.iter()
        .skip(1)
        .rfind(|word| !word.starts_with('-'))
        .filter(|_| by_uuid)
        .cloned()
}

fn follow(item: &mut Item, line: &[String]) {
    let path = line.get(1).cloned();
    match line[0].as_str() {
        "search" => item.root = searched(line).or(item.root.take()),
        "linux" | "linux16" | "linuxefi" => {
            item.kernel = path.unwrap_or_default();
            item.arguments = line.iter().skip(2).cloned().collect();
        }
        "initrd" | "initrd16" | "initrdefi" => {
            item.initrds = line.iter().skip(1).cloned().collect();
        }
        _ => {}
    }
}

/// Lines, with those that end in a backslash put together.
fn joined(text: &str, budget: &Budget) -> Result<Vec<String>, Bound> {
    let mut lines: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        budget.keep((line.len() + size_of::<String>()) as u64)?;
        let goes_on = line.ends_with('\\');
        let part = line.strip_suffix('\\').unwrap_or(line);
        match lines.last_mut().filter(|_| open) {
            Some(last) => last.push_str(part),
            None => lines.push(part.to_owned()),
        }
        if lines.last().is_some_and(|line| line.len() > LINE_BYTES_MAX) {
            let reason = format!(
                "the boot loader's configuration has a line of more than {LINE_BYTES_MAX} bytes"
            );
            return Err(budget.hit(reason));
        }
        open = goes_on;
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBIAN: &str = r#"
set default="0"
if [ x"${feature_menuentry_id}" = xy ]; then
  menuentry_id_option="--id"
fi
function savedefault {
  save_env saved_entry
}
search --no-floppy --fs-uuid --set=root aaaa
menuentry 'Debian' --class debian $menuentry_id_option 'gnulinux-simple-aaaa' {
	search --no-floppy --fs-uuid --set=root --hint-bios=hd0,msdos1 bbbb
	linux	/boot/vmlinuz-6 root=UUID=bbbb ro  quiet
	initrd	/boot/initrd.img-6
}
submenu 'Advanced' $menuentry_id_option 'advanced' {
	menuentry 'Debian, with Linux 5' --class debian $menuentry_id_option 'gnulinux-5' {
		linux	/boot/vmlinuz-5 root=UUID=bbbb ro single
	}
	menuentry 'Debian, with Linux 4' $menuentry_id_option 'gnulinux-4' {
		linux	($root)/boot/vmlinuz-4
	}
}
menuentry 'Memory test' {
	linux16 /boot/memtest
}
"#;

    fn start(text: &str, saved: &[(&str, &str)]) -> Item {
        let saved = saved
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let budget = Budget::new(crate::Limits::default());
        let menu = read(text, &saved, &budget).unwrap();
        chosen(&menu, &saved).unwrap().clone()
    }

    #[test]
    fn the_default_entry_is_found() {
        let item = start(DEBIAN, &[]);
        assert_eq!(item.kernel, "/boot/vmlinuz-6");
        assert_eq!(item.root.as_deref(), Some("bbbb"));
        assert_eq!(item.arguments, ["root=UUID=bbbb", "ro", "quiet"]);
        assert_eq!(item.initrds, ["/boot/initrd.img-6"]);
        assert_eq!(item.id, "gnulinux-simple-aaaa");
    }

    #[test]
    fn other_defaults_are_followed() {
        let with =
            |default: &str| DEBIAN.replace("default=\"0\"", &format!("default=\"{default}\""));
        assert_eq!(start(&with("2"), &[]).kernel, "/boot/memtest");
        assert_eq!(
            start(&with("advanced>gnulinux-5"), &[]).kernel,
            "/boot/vmlinuz-5"
        );
        assert_eq!(start(&with("1"), &[]).kernel, "/boot/vmlinuz-5");
        let saved = [("saved_entry", "gnulinux-4")];
        assert_eq!(
            plain(&start(&with("${saved_entry}"), &saved).kernel),
            "/boot/vmlinuz-4"
        );
        // Taken from outside of the entry.
        assert_eq!(
            start(&with("gnulinux-4"), &[]).root.as_deref(),
            Some("aaaa")
        );
    }
}
