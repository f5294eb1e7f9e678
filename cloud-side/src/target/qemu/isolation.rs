//! The isolation verdict of one running QEMU process.
//!
//! Two independent views must agree: the kernel's (which sockets and network devices the process
//! has open) and QEMU's own (what its network consists of). A socket that no table of the kernel
//! explains makes the verdict unknown, never isolated.
//!
//! A network that ends in one of our own probe stations is none that anything leaves by. Such a socket
//! is told by its path and its inode: the kernel must know exactly one socket of that path, and it must
//! be the one that the station holds.

use std::{collections::HashMap, fs, io};

use super::{process::ProcessIdentity, stations::StationEnd};
use crate::target::{IsolationSample, IsolationVerdict, SocketEvidence};

/// The kernel's socket tables: file, kind, column of the inode, and whether packets can leave by it.
const TABLES: [(&str, &str, usize, bool); 13] = [
    ("unix", "unix", 6, false),
    ("tcp", "tcp", 9, true),
    ("tcp6", "tcp6", 9, true),
    ("udp", "udp", 9, true),
    ("udp6", "udp6", 9, true),
    ("udplite", "udplite", 9, true),
    ("udplite6", "udplite6", 9, true),
    ("raw", "raw", 9, true),
    ("raw6", "raw6", 9, true),
    ("icmp", "icmp", 9, true),
    ("icmp6", "icmp6", 9, true),
    ("packet", "packet", 8, true),
    ("netlink", "netlink", 9, false),
];
/// Devices that carry packets.
const NETWORK_DEVICES: [&str; 5] = [
    "/dev/net/tun",
    "/dev/vhost-net",
    "/dev/vhost-vsock",
    "/dev/tap",
    "/dev/macvtap",
];
/// Network back ends of QEMU that reach nothing.
const HARMLESS_BACKENDS: [&str; 2] = ["nic", "hubport"];

/// What QEMU says of a back end that it began to connect.
pub(super) const CONNECTING: &str = "stream,connecting";

/// What a descriptor refers to: its number and the target of its link.
type Descriptor = (u32, String);
/// Kind, reach and line of each socket, by inode.
type Sockets = HashMap<u64, (&'static str, bool, String)>;

/// Looks at the process now. `network` is what QEMU says about its own network.
pub(super) fn sample(
    process: &ProcessIdentity,
    network: Result<String, String>,
    stations: &[StationEnd],
) -> IsolationSample {
    let observed = descriptors(process.pid).and_then(|open| Ok((open, sockets(process.pid)?)));
    match observed {
        Ok((open, sockets)) if process.lives() => judge(&open, &sockets, network, stations),
        Ok(_) => unknown(
            "the process ended while it was observed".to_owned(),
            network,
        ),
        Err(error) => unknown(
            format!("the process could not be observed: {error}"),
            network,
        ),
    }
}

fn unknown(reason: String, network: Result<String, String>) -> IsolationSample {
    let verdict = IsolationVerdict::Unknown;
    IsolationSample {
        verdict,
        reason,
        sockets: Vec::new(),
        network: network.ok(),
    }
}

fn descriptors(pid: i32) -> io::Result<Vec<Descriptor>> {
    let mut open = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        let entry = entry?;
        // One that is closed while we look is open no more.
        let Ok(target) = fs::read_link(entry.path()) else {
            continue;
        };
        let Ok(number) = entry.file_name().to_string_lossy().parse() else {
            continue;
        };
        open.push((number, target.to_string_lossy().into_owned()));
    }
    open.sort();
    Ok(open)
}

/// Reads the tables in the process's own network namespace.
fn sockets(pid: i32) -> io::Result<Sockets> {
    let mut sockets = Sockets::new();
    for (file, kind, column, reaches) in TABLES {
        let text = match fs::read_to_string(format!("/proc/{pid}/net/{file}")) {
            Ok(text) => text,
            // A kernel without this protocol has no such sockets.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for line in text.lines().skip(1) {
            let field = line.split_ascii_whitespace().nth(column);
            if let Some(inode) = field.and_then(|inode| inode.parse().ok()) {
                sockets.insert(inode, (kind, reaches, line.trim().to_owned()));
            }
        }
    }
    Ok(sockets)
}

fn judge(
    open: &[Descriptor],
    sockets: &Sockets,
    network: Result<String, String>,
    stations: &[StationEnd],
) -> IsolationSample {
    let mut evidence = Vec::new();
    let mut leaks = Vec::new();
    let mut gaps = Vec::new();
    for station in stations {
        judge_station(station, sockets, &mut leaks, &mut gaps);
    }
    for (descriptor, target) in open {
        let (kind, reaches, detail) = match socket_inode(target) {
            Some(inode) => match sockets.get(&inode) {
                Some((kind, reaches, line)) => (*kind, *reaches, line.clone()),
                None => {
                    gaps.push(format!("socket {inode} is in no table of the kernel"));
                    ("unknown", false, target.clone())
                }
            },
            None if is_network_device(target) => ("device", true, target.clone()),
            None => continue,
        };
        if reaches {
            leaks.push(format!("descriptor {descriptor} is a {kind}: {detail}"));
        }
        let (descriptor, kind) = (*descriptor, kind.to_owned());
        evidence.push(SocketEvidence {
            descriptor,
            kind,
            detail,
        });
    }
    match &network {
        Ok(text) => judge_backends(text, stations, &mut leaks, &mut gaps),
        Err(error) => gaps.push(format!("QEMU did not describe its network: {error}")),
    }
    let (verdict, reason) = if !leaks.is_empty() {
        (IsolationVerdict::NotIsolated, leaks.join("; "))
    } else if !gaps.is_empty() {
        (IsolationVerdict::Unknown, gaps.join("; "))
    } else {
        let sockets = evidence.len();
        let only = if stations.is_empty() {
            "a hub without an uplink"
        } else {
            "a socket to the probe station of this process, which forwards nothing"
        };
        let reason = format!(
            "the process has {sockets} sockets, none to a network, and its only network is {only}"
        );
        (IsolationVerdict::Isolated, reason)
    };
    IsolationSample {
        verdict,
        reason,
        sockets: evidence,
        network: network.ok(),
    }
}

fn socket_inode(target: &str) -> Option<u64> {
    target
        .strip_prefix("socket:[")?
        .strip_suffix(']')?
        .parse()
        .ok()
}

fn is_network_device(target: &str) -> bool {
    NETWORK_DEVICES
        .iter()
        .any(|device| target.starts_with(device))
}

/// Judges each line of `info network` that names anything but a card, a hub port or one of our stations.
fn judge_backends(
    text: &str,
    stations: &[StationEnd],
    leaks: &mut Vec<String>,
    gaps: &mut Vec<String>,
) {
    let mut own: Vec<String> = stations
        .iter()
        .map(|station| format!("stream,unix:{}", station.path.display()))
        .collect();
    for line in text.lines().map(str::trim) {
        let Some((_, behind)) = line.split_once("type=") else {
            continue;
        };
        let kind = behind.split(',').next().unwrap_or_default();
        // Each station is the other end of one back end.
        if let Some(found) = own.iter().position(|station| station == behind) {
            own.swap_remove(found);
        } else if behind == CONNECTING {
            gaps.push(format!("QEMU is still connecting a network: {line}"));
        } else if !HARMLESS_BACKENDS.contains(&kind) {
            leaks.push(format!("QEMU has a network back end: {line}"));
        }
    }
}

/// Whether the station is the only one that holds a socket of its path.
fn judge_station(
    station: &StationEnd,
    sockets: &Sockets,
    leaks: &mut Vec<String>,
    gaps: &mut Vec<String>,
) {
    let path = station.path.display().to_string();
    let on_path = |line: &str| socket_path(line).is_some_and(|own| own == path);
    let others = sockets
        .iter()
        .filter(|(inode, (kind, _, line))| {
            *kind == "unix" && **inode != station.inode && on_path(line)
        })
        .map(|(inode, _)| format!("socket {inode} is on the path of the probe station, {path}"));
    leaks.extend(others);
    let is_held = sockets
        .get(&station.inode)
        .is_some_and(|(kind, _, line)| *kind == "unix" && on_path(line));
    if !is_held {
        gaps.push(format!("the probe station does not hold {path} any more"));
    }
}

/// The path in a line of the kernel's table of Unix sockets: everything behind the seventh column.
fn socket_path(line: &str) -> Option<&str> {
    let mut rest = line;
    for _ in 0..7 {
        rest = rest.trim_start().split_once(' ')?.1;
    }
    Some(rest.trim_start())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};
    use std::os::unix::net::UnixListener;

    use super::*;

    const HUB: &str =
        "hub 0\r\n \\ net0: virtio-net-pci.0: index=0,type=nic,model=virtio-net-pci\r\n";

    fn myself() -> ProcessIdentity {
        ProcessIdentity::of(i32::try_from(std::process::id()).unwrap()).unwrap()
    }

    /// The kernel's verdict on this very test process, restricted to one descriptor.
    fn verdict_on(descriptor: &impl std::os::fd::AsRawFd) -> IsolationVerdict {
        let number = u32::try_from(descriptor.as_raw_fd()).unwrap();
        let mut open = descriptors(myself().pid).unwrap();
        open.retain(|(candidate, _)| *candidate == number);
        assert_eq!(open.len(), 1);
        judge(
            &open,
            &sockets(myself().pid).unwrap(),
            Ok(HUB.to_owned()),
            &[],
        )
        .verdict
    }

    #[test]
    fn real_sockets_are_told_apart_by_the_kernels_tables() {
        let directory = tempfile::tempdir().unwrap();
        let local = UnixListener::bind(directory.path().join("s")).unwrap();
        assert_eq!(verdict_on(&local), IsolationVerdict::Isolated);
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(verdict_on(&tcp), IsolationVerdict::NotIsolated);
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(verdict_on(&udp), IsolationVerdict::NotIsolated);
    }

    #[test]
    fn a_network_device_is_a_leak() {
        let open = [(9, "/dev/net/tun".to_owned())];
        let sample = judge(&open, &Sockets::new(), Ok(HUB.to_owned()), &[]);
        assert_eq!(sample.verdict, IsolationVerdict::NotIsolated);
        assert!(sample.reason.contains("/dev/net/tun"), "{}", sample.reason);
    }

    #[test]
    fn an_unexplained_socket_is_unknown_not_isolated() {
        let open = [(9, "socket:[77]".to_owned())];
        let sample = judge(&open, &Sockets::new(), Ok(HUB.to_owned()), &[]);
        assert_eq!(sample.verdict, IsolationVerdict::Unknown);
        assert_eq!(sample.sockets[0].kind, "unknown");
    }

    #[test]
    fn a_back_end_of_qemu_is_a_leak_and_silence_is_unknown() {
        let user = format!("{HUB} \\ u0: index=0,type=user,net=10.0.2.0\r\n");
        let sample = judge(&[], &Sockets::new(), Ok(user), &[]);
        assert_eq!(sample.verdict, IsolationVerdict::NotIsolated);
        let sample = judge(&[], &Sockets::new(), Err("gone".to_owned()), &[]);
        assert_eq!(sample.verdict, IsolationVerdict::Unknown);
        let sample = judge(&[], &Sockets::new(), Ok(HUB.to_owned()), &[]);
        assert_eq!(sample.verdict, IsolationVerdict::Isolated);
    }

    /// A station with a listener's accepted socket, as it is in a drill.
    fn station(directory: &std::path::Path) -> (StationEnd, [std::os::unix::net::UnixStream; 2]) {
        use std::os::unix::fs::MetadataExt;
        let path = directory.join("a net.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let theirs = std::os::unix::net::UnixStream::connect(&path).unwrap();
        let (ours, _) = listener.accept().unwrap();
        let file = fs::File::from(std::os::fd::OwnedFd::from(ours.try_clone().unwrap()));
        let inode = file.metadata().unwrap().ino();
        (StationEnd { path, inode }, [ours, theirs])
    }

    #[test]
    fn our_station_is_no_leak_and_anybody_else_on_its_socket_is() {
        let directory = tempfile::tempdir().unwrap();
        let (end, held) = station(directory.path());
        let ends = [end.clone()];
        let stream = format!(
            "v: index=0,type=nic,model=v\r\n \\ net0: index=0,type=stream,unix:{}\r\n",
            end.path.display()
        );
        let look = |text: &str| {
            let sockets = sockets(myself().pid).unwrap();
            judge(&[], &sockets, Ok(text.to_owned()), &ends)
        };
        let seen = look(&stream);
        assert_eq!(seen.verdict, IsolationVerdict::Isolated, "{}", seen.reason);
        // A second back end on it, another path, and the same network without a station.
        let twice = format!("{stream}{stream}");
        assert_eq!(look(&twice).verdict, IsolationVerdict::NotIsolated);
        let other = stream.replace("net.sock", "other.sock");
        assert_eq!(look(&other).verdict, IsolationVerdict::NotIsolated);
        let alone = judge(&[], &Sockets::new(), Ok(stream.clone()), &[]);
        assert_eq!(alone.verdict, IsolationVerdict::NotIsolated);
        // Where it will lead is not known yet.
        let connecting = "net0: index=0,type=stream,connecting";
        assert_eq!(look(connecting).verdict, IsolationVerdict::Unknown);
        // Somebody else takes connections on the same path.
        fs::remove_file(&end.path).unwrap();
        let listener = UnixListener::bind(&end.path).unwrap();
        let seen = look(&stream);
        assert_eq!(seen.verdict, IsolationVerdict::NotIsolated);
        assert!(seen.reason.contains("a net.sock"), "{}", seen.reason);
        drop(listener);
        assert_eq!(look(&stream).verdict, IsolationVerdict::Isolated);
        // The station is gone: what the machine is connected to then is not known.
        drop(held);
        assert_eq!(look(&stream).verdict, IsolationVerdict::Unknown);
    }

    #[test]
    fn a_process_that_is_gone_is_unknown() {
        let process = ProcessIdentity {
            pid: i32::MAX,
            start_ticks: 1,
        };
        let sample = sample(&process, Ok(HUB.to_owned()), &[]);
        assert_eq!(sample.verdict, IsolationVerdict::Unknown);
    }
}
