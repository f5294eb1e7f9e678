//! Whether the network's configuration fits other cards than the source's.
//!
//! Nothing here keeps a machine from starting, so the worst answer is a warning.

use super::root::Root;
use crate::{
    boot::BootEntry,
    report::{CheckCode, Findings},
};

/// Where older systems keep the names that they gave to cards.
pub(crate) const PERSISTENT_NAMES: &str = "/etc/udev/rules.d/70-persistent-net.rules";
const NETPLAN: &str = "/etc/netplan";
const FILES_MAX: usize = 128;

/// A directory of configuration files, the ends of their names, and the keys that bind them to a card
/// by its address and by its name.
struct Place {
    directory: &'static str,
    suffixes: &'static [&'static str],
    address: &'static [&'static str],
    name: &'static [&'static str],
}

const PLACES: [Place; 8] = [
    place(NETPLAN, &[".yaml", ".yml"], &["macaddress:"], &[]),
    place(
        "/etc/systemd/network",
        &[".network", ".link"],
        &["MACAddress=", "PermanentMACAddress="],
        &["Name="],
    ),
    place(
        "/etc/NetworkManager/system-connections",
        &[""],
        &["mac-address="],
        &["interface-name="],
    ),
    place(
        "/etc/sysconfig/network-scripts",
        &[""],
        &["HWADDR="],
        &["DEVICE="],
    ),
    place("/etc/sysconfig/network", &[""], &["LLADDR="], &[]),
    place(
        "/etc/network",
        &["interfaces"],
        &["hwaddress "],
        &["iface "],
    ),
    place(
        "/etc/network/interfaces.d",
        &[""],
        &["hwaddress "],
        &["iface "],
    ),
    place(
        "/etc/udev/rules.d",
        &["net.rules", "net-names.rules"],
        &["ATTR{address}==", "ATTRS{address}=="],
        &[],
    ),
];

const fn place(
    directory: &'static str,
    suffixes: &'static [&'static str],
    address: &'static [&'static str],
    name: &'static [&'static str],
) -> Place {
    Place {
        directory,
        suffixes,
        address,
        name,
    }
}

/// Checks the files that configure the network.
pub(crate) fn check(
    root: &Root,
    entry: Option<&BootEntry>,
    network_cards: u32,
    findings: &mut Findings,
) {
    let code = CheckCode::NetworkConfiguration;
    if network_cards == 0 {
        findings.pass(code, "the target has no network card");
        return;
    }
    let old_names = entry.is_some_and(|entry| {
        entry.argument("net.ifnames") == Some("0") || entry.argument("biosdevname") == Some("0")
    });
    let (mut files, mut troubled) = (0, false);
    for place in &PLACES {
        let found = root.tree.list(place.directory).unwrap_or_default();
        if found.len() > FILES_MAX {
            let directory = place.directory;
            let reason = format!("{directory} has more than the {FILES_MAX} files that are read");
            root.tree.budget().hit(reason);
        }
        for file in found.iter().take(FILES_MAX) {
            let fits = place
                .suffixes
                .iter()
                .any(|suffix| file.name.ends_with(suffix));
            if file.is_directory || !fits {
                continue;
            }
            let path = format!("{}/{}", place.directory, file.name);
            let Ok(text) = root.tree.text(&path) else {
                continue;
            };
            let before = files;
            files += usize::from(active(&text).next().is_some());
            if files > before && warn(place, &path, &text, old_names, findings) {
                troubled = true;
            }
        }
    }
    let dynamic = ["/etc/cloud", "/usr/lib/cloud-init"]
        .into_iter()
        .any(|path| root.tree.list(path).is_ok());
    if files == 0 && !dynamic {
        findings.warn(
            code,
            "no configuration of the network was found: the machine will have no address",
            "configure the network at the source with one of netplan, systemd-networkd, NetworkManager or /etc/network/interfaces",
        );
    } else if !troubled {
        findings.pass(
            code,
            format!("{files} files configure the network, none bound to a card of the source"),
        );
    }
}

/// Lines that say something.
fn active(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with(['#', ';']))
}

fn warn(place: &Place, path: &str, text: &str, old_names: bool, findings: &mut Findings) -> bool {
    let code = CheckCode::NetworkConfiguration;
    let values = |keys: &'static [&'static str]| {
        active(text).filter_map(move |line| {
            let (_, value) = keys.iter().find_map(|key| line.split_once(*key))?;
            Some((line, value))
        })
    };
    if let Some((line, _)) = values(place.address).next() {
        findings.warn(
            code,
            format!("{path}: bound to a card's hardware address: {line}"),
            "the target's card has another address; bind the configuration to no address at the source, or give the target's card the source's in its launch settings",
        );
        return true;
    }
    let first_word = |text: &str| {
        let word = text.split_whitespace().next().unwrap_or_default();
        word.trim_matches(['"', '\'']).to_owned()
    };
    let named = values(place.name).map(|(_, value)| first_word(value));
    // The target's cards are virtio cards, which have names of their own by their place on the bus.
    let Some(name) = named.chain(netplan_names(place, text)).find(|name| {
        let any = name.is_empty() || name.contains('*') || *name == "lo";
        let kept = old_names && name.starts_with("eth");
        !any && !kept
    }) else {
        return false;
    };
    findings.warn(
        code,
        format!("{path}: configures the card {name}, and the target's card may have another name"),
        "at the source let the configuration fit any card (match by driver or by en*), or start with net.ifnames=0 and call the card eth0",
    );
    true
}

/// The cards that a netplan names: the keys below `ethernets` that have no `match` below them.
fn netplan_names(place: &Place, text: &str) -> Vec<String> {
    if place.directory != NETPLAN {
        return Vec::new();
    }
    let indent = |line: &str| line.len() - line.trim_start().len();
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
        .collect();
    let Some(at) = lines.iter().position(|line| line.trim() == "ethernets:") else {
        return Vec::new();
    };
    let outer = indent(lines[at]);
    let below: Vec<&str> = lines[at + 1..]
        .iter()
        .copied()
        .take_while(|line| indent(line) > outer)
        .collect();
    let Some(inner) = below.first().map(|line| indent(line)) else {
        return Vec::new();
    };
    let mut names: Vec<String> = Vec::new();
    for line in below {
        let word = line.trim();
        if indent(line) == inner {
            names.push(word.trim_end_matches(':').trim_matches('"').to_owned());
        } else if word.starts_with("match:") {
            // It is a name of the netplan's own.
            names.pop();
        }
    }
    names
}
