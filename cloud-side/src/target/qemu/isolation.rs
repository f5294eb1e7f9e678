//! The isolation verdict of one running QEMU process.
//!
//! Two independent views must agree: the kernel's (which sockets and network devices the process
//! has open) and QEMU's own (what its network consists of). A socket that no table of the kernel
//! explains makes the verdict unknown, never isolated.

use std::{collections::HashMap, fs, io};

use super::process::ProcessIdentity;
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

/// What a descriptor refers to: its number and the target of its link.
type Descriptor = (u32, String);
/// Kind, reach and line of each socket, by inode.
type Sockets = HashMap<u64, (&'static str, bool, String)>;

/// Looks at the process now. `network` is what QEMU says about its own network.
pub(super) fn sample(
    process: &ProcessIdentity,
    network: Result<String, String>,
) -> IsolationSample {
    let observed = descriptors(process.pid).and_then(|open| Ok((open, sockets(process.pid)?)));
    match observed {
        Ok((open, sockets)) if process.lives() => judge(&open, &sockets, network),
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
) -> IsolationSample {
    let mut evidence = Vec::new();
    let mut leaks = Vec::new();
    let mut gaps = Vec::new();
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
        Ok(text) => leaks.extend(
            outward_backends(text).map(|line| format!("QEMU has a network back end: {line}")),
        ),
        Err(error) => gaps.push(format!("QEMU did not describe its network: {error}")),
    }
    let (verdict, reason) = if !leaks.is_empty() {
        (IsolationVerdict::NotIsolated, leaks.join("; "))
    } else if !gaps.is_empty() {
        (IsolationVerdict::Unknown, gaps.join("; "))
    } else {
        let sockets = evidence.len();
        let reason = format!(
            "the process has {sockets} sockets, none to a network, and its only network is a hub \
             without an uplink"
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

/// The lines of `info network` that name anything but a card or a hub port.
fn outward_backends(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| {
        let Some((_, behind)) = line.split_once("type=") else {
            return false;
        };
        let kind = behind.split(',').next().unwrap_or_default();
        !HARMLESS_BACKENDS.contains(&kind)
    })
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
        judge(&open, &sockets(myself().pid).unwrap(), Ok(HUB.to_owned())).verdict
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
        let sample = judge(&open, &Sockets::new(), Ok(HUB.to_owned()));
        assert_eq!(sample.verdict, IsolationVerdict::NotIsolated);
        assert!(sample.reason.contains("/dev/net/tun"), "{}", sample.reason);
    }

    #[test]
    fn an_unexplained_socket_is_unknown_not_isolated() {
        let open = [(9, "socket:[77]".to_owned())];
        let sample = judge(&open, &Sockets::new(), Ok(HUB.to_owned()));
        assert_eq!(sample.verdict, IsolationVerdict::Unknown);
        assert_eq!(sample.sockets[0].kind, "unknown");
    }

    #[test]
    fn a_back_end_of_qemu_is_a_leak_and_silence_is_unknown() {
        let user = format!("{HUB} \\ u0: index=0,type=user,net=10.0.2.0\r\n");
        let sample = judge(&[], &Sockets::new(), Ok(user));
        assert_eq!(sample.verdict, IsolationVerdict::NotIsolated);
        let sample = judge(&[], &Sockets::new(), Err("gone".to_owned()));
        assert_eq!(sample.verdict, IsolationVerdict::Unknown);
        let sample = judge(&[], &Sockets::new(), Ok(HUB.to_owned()));
        assert_eq!(sample.verdict, IsolationVerdict::Isolated);
    }

    #[test]
    fn a_process_that_is_gone_is_unknown() {
        let process = ProcessIdentity {
            pid: i32::MAX,
            start_ticks: 1,
        };
        let sample = sample(&process, Ok(HUB.to_owned()));
        assert_eq!(sample.verdict, IsolationVerdict::Unknown);
    }
}
