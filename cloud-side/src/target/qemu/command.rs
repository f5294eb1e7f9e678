//! The command line of the emulator.
//!
//! Pure: settings and names in, arguments out. The invariant is that no argument can give the
//! machine of a drill a way out: a hub without an uplink or the socket of a probe station, no default
//! devices, no configuration files. The machine of a failover gets the connections of its cards, and nothing else.

use std::path::Path;

use serde_json::{Value, json};

use super::QemuInstance;
use crate::target::{
    DiskBus, DiskSource, InstancePurpose, LaunchRequest, LaunchSettings, Machine,
    NetworkConnection, StationPlan, TargetError,
};

/// Disks on one AHCI controller.
const AHCI_PORTS: usize = 6;
/// Seconds for the connection to a disk source.
const NBD_OPEN_SECONDS: u32 = 15;
/// Seconds for which a recovered machine waits for its disk before it sees an error: long enough
/// for an upgrade, or for an operator to be found.
const NBD_RECONNECT_SECONDS: u32 = 24 * 60 * 60;

/// The arguments for this request with its disks in the machine's order, and this record.
pub(super) fn arguments(
    request: &LaunchRequest,
    disks: &[&DiskSource],
    instance: &QemuInstance,
    uefi_code: Option<&Path>,
) -> Result<Vec<String>, TargetError> {
    let settings = &request.settings;
    let mut line = Line::default();
    line.flag("-nodefaults").flag("-no-user-config");
    line.pair("-name", &instance.marker);
    // `-S`: the first instruction waits until the isolation was observed.
    line.flag("-S");
    machine(&mut line, settings, instance, uefi_code);
    line.pair("-display", "none").pair("-vga", "std");
    console_and_control(&mut line, instance);
    match instance.purpose {
        InstancePurpose::Drill => {
            for (index, (disk, overlay)) in disks.iter().zip(&instance.overlays).enumerate() {
                line.pair("-blockdev", &source_node(index, disk)?.to_string());
                line.pair("-blockdev", &overlay_node(index, &overlay.path).to_string());
            }
        }
        InstancePurpose::Failover => {
            for (index, disk) in disks.iter().enumerate() {
                line.pair("-blockdev", &own_node(index, disk)?.to_string());
            }
        }
    }
    for argument in disk_devices(settings.disk_bus, disks.len()) {
        line.pair("-device", &argument);
    }
    networks(&mut line, request, instance);
    agent(&mut line, instance);
    line.pair("-boot", "strict=on");
    line.pair("-rtc", "base=utc");
    // A machine that ends stays there to be looked at. In a drill one that resets did not boot; in
    // a failover it may.
    line.pair(
        "-action",
        match instance.purpose {
            InstancePurpose::Drill => "reboot=shutdown,shutdown=pause,panic=pause",
            InstancePurpose::Failover => "reboot=reset,shutdown=pause,panic=pause",
        },
    );
    Ok(line.arguments)
}

/// The arguments that confine the emulator itself, for a QEMU that was built with them.
pub(super) fn sandbox_arguments() -> [String; 2] {
    let deny = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny";
    ["-sandbox".to_owned(), deny.to_owned()]
}

/// Checks that the arguments name no network but hub ports and these stations.
///
/// # Errors
/// Names the argument that could reach a network.
pub(super) fn only_isolated(arguments: &[String], stations: &[StationPlan]) -> Result<(), String> {
    let mut own: Vec<String> = stations
        .iter()
        .enumerate()
        .map(backend_of_station)
        .collect();
    for (index, argument) in arguments.iter().enumerate() {
        let value = arguments.get(index + 1).map_or("", String::as_str);
        let allowed = match argument.as_str() {
            "-netdev" if value.starts_with("hubport,") => !value.contains("netdev="),
            "-netdev" => match own.iter().position(|station| station == value) {
                // Each station serves one card.
                Some(found) => {
                    own.swap_remove(found);
                    true
                }
                None => false,
            },
            "-nic" | "-net" => false,
            _ => true,
        };
        if !allowed {
            return Err(format!(
                "the argument {argument} {value} is neither a port of an isolated hub nor a probe station"
            ));
        }
    }
    Ok(())
}

/// What the machine's cards are plugged into.
pub(super) fn networks_of(arguments: &[String]) -> Vec<&str> {
    let pairs = arguments.windows(2).filter(|pair| pair[0] == "-netdev");
    pairs.map(|pair| pair[1].as_str()).collect()
}

/// The command as a person could type it.
pub(super) fn printable(program: &Path, arguments: &[String]) -> String {
    let plain =
        |character: char| character.is_ascii_alphanumeric() || "-_=,./:+".contains(character);
    let mut text = program.display().to_string();
    for argument in arguments {
        text.push_str(if argument.starts_with('-') {
            " \\\n  "
        } else {
            " "
        });
        if !argument.is_empty() && argument.chars().all(plain) {
            text.push_str(argument);
        } else {
            text.push_str(&format!("'{}'", argument.replace('\'', r"'\''")));
        }
    }
    text.push('\n');
    text
}

fn machine(
    line: &mut Line,
    settings: &LaunchSettings,
    instance: &QemuInstance,
    uefi_code: Option<&Path>,
) {
    let chipset = match settings.machine {
        Machine::Q35 => "q35",
        Machine::Pc => "pc",
    };
    // `graphics=off` sends the firmware's text to the serial port too; the screen stays.
    let mut machine = format!("{chipset},graphics=off,usb=off");
    if let (Some(code), Some(variables)) = (uefi_code, &instance.uefi_variables) {
        line.pair("-blockdev", &flash_node("uefi0", code, true).to_string());
        line.pair(
            "-blockdev",
            &flash_node("uefi1", variables, false).to_string(),
        );
        machine.push_str(",pflash0=uefi0,pflash1=uefi1");
    }
    line.pair("-machine", &machine);
    line.pair("-accel", "tcg").pair("-cpu", "max");
    line.pair("-smp", &settings.cpus.to_string());
    line.pair("-m", &format!("{}M", settings.memory_mib));
}

fn console_and_control(line: &mut Line, instance: &QemuInstance) {
    let console = escaped(&instance.console_log);
    line.pair(
        "-chardev",
        &format!("file,id=console,append=on,path={console}"),
    );
    line.pair("-serial", "chardev:console");
    let socket = escaped(&instance.control_socket);
    line.pair(
        "-chardev",
        &format!("socket,id=control,server=on,wait=off,path={socket}"),
    );
    line.pair("-mon", "chardev=control,mode=control");
}

/// The channel of the guest agent. It comes behind all other devices, so that these have the places on
/// the bus that they have in a failover.
fn agent(line: &mut Line, instance: &QemuInstance) {
    let Some(socket) = &instance.agent_socket else {
        return;
    };
    let socket = escaped(socket);
    line.pair(
        "-chardev",
        &format!("socket,id=agent,server=on,wait=off,path={socket}"),
    );
    line.pair("-device", "virtio-serial-pci");
    line.pair(
        "-device",
        "virtserialport,chardev=agent,name=org.qemu.guest_agent.0",
    );
}

/// The read-only export.
fn source_node(index: usize, disk: &DiskSource) -> Result<Value, TargetError> {
    let address = disk.address()?;
    Ok(json!({
        "driver": "raw",
        "node-name": format!("source{index}"),
        "read-only": true,
        "file": {
            "driver": "nbd",
            "read-only": true,
            "server": { "type": "unix", "path": address.socket },
            "export": address.export,
            "open-timeout": NBD_OPEN_SECONDS,
        },
    }))
}

/// The machine's own disk: what it writes goes to the export, and a flush reaches it. While the
/// export is away the machine waits.
fn own_node(index: usize, disk: &DiskSource) -> Result<Value, TargetError> {
    let address = disk.address()?;
    Ok(json!({
        "driver": "raw",
        "node-name": format!("disk{index}"),
        "discard": "unmap",
        "file": {
            "driver": "nbd",
            "server": { "type": "unix", "path": address.socket },
            "export": address.export,
            "open-timeout": NBD_OPEN_SECONDS,
            "reconnect-delay": NBD_RECONNECT_SECONDS,
        },
    }))
}

/// The cards, and what they are plugged into.
fn networks(line: &mut Line, request: &LaunchRequest, instance: &QemuInstance) {
    let model = match request.settings.disk_bus {
        DiskBus::Virtio => "virtio-net-pci",
        DiskBus::Ahci => "e1000",
    };
    for (index, card) in request.networks.iter().enumerate() {
        let station = instance.stations.get(index);
        let backend = match (request.purpose, &card.connection, station) {
            (InstancePurpose::Drill, _, Some(station)) => backend_of_station((index, station)),
            // A hub to which nothing but the machine's own card is plugged.
            (InstancePurpose::Drill, _, None) | (_, NetworkConnection::Isolated, _) => {
                format!("hubport,id=net{index},hubid={index}")
            }
            (InstancePurpose::Failover, NetworkConnection::HostNat { forward }, _) => {
                let mut backend = format!("user,id=net{index}");
                for one in forward {
                    backend.push_str(&format!(
                        ",hostfwd=tcp:{}:{}-:{}",
                        one.host_address, one.host_port, one.machine_port
                    ));
                }
                backend
            }
        };
        line.pair("-netdev", &backend);
        let address = station
            .map(|station| &station.card)
            .or(card.address.as_ref())
            .map(|address| format!(",mac={address}"))
            .unwrap_or_default();
        line.pair(
            "-device",
            &format!("{model},netdev=net{index},romfile={address}"),
        );
    }
}

/// QEMU connects to the station, which listens already and takes one connection.
fn backend_of_station((index, station): (usize, &StationPlan)) -> String {
    format!(
        "stream,id=net{index},server=off,addr.type=unix,addr.path={}",
        escaped(&station.socket)
    )
}

/// An overlay whose backing is named here, whatever the file's own header says.
fn overlay_node(index: usize, overlay: &Path) -> Value {
    json!({
        "driver": "qcow2",
        "node-name": format!("disk{index}"),
        // The disk is thrown away: its flushes need not reach the host's disk.
        "cache": { "direct": false, "no-flush": true },
        "file": { "driver": "file", "filename": overlay },
        "backing": format!("source{index}"),
    })
}

fn flash_node(name: &str, path: &Path, read_only: bool) -> Value {
    let file = json!({ "driver": "file", "filename": path, "read-only": read_only });
    json!({ "driver": "raw", "node-name": name, "read-only": read_only, "file": file })
}

fn disk_devices(bus: DiskBus, count: usize) -> Vec<String> {
    let disk = |index: usize| format!("drive=disk{index},bootindex={index}");
    match bus {
        DiskBus::Virtio => (0..count)
            .map(|i| format!("virtio-blk-pci,{}", disk(i)))
            .collect(),
        DiskBus::Ahci => {
            let controllers = (0..count.div_ceil(AHCI_PORTS)).map(|c| format!("ahci,id=ahci{c}"));
            let disks = (0..count).map(|index| {
                let (controller, port) = (index / AHCI_PORTS, index % AHCI_PORTS);
                format!("ide-hd,bus=ahci{controller}.{port},{}", disk(index))
            });
            controllers.chain(disks).collect()
        }
    }
}

/// A path inside a comma-separated argument: QEMU takes two commas for one.
fn escaped(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

#[derive(Default)]
struct Line {
    arguments: Vec<String>,
}

impl Line {
    fn flag(&mut self, flag: &str) -> &mut Self {
        self.arguments.push(flag.to_owned());
        self
    }

    fn pair(&mut self, flag: &str, value: &str) -> &mut Self {
        self.flag(flag).flag(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::{InstanceId, NetworkCard, PortForward, qemu::record};

    fn planned(settings: LaunchSettings, volumes: &[&str]) -> Vec<String> {
        let networks = vec![NetworkCard::default()];
        planned_for(InstancePurpose::Drill, settings, networks, volumes)
    }

    fn planned_for(
        purpose: InstancePurpose,
        settings: LaunchSettings,
        networks: Vec<NetworkCard>,
        volumes: &[&str],
    ) -> Vec<String> {
        let disk = |name: &&str| DiskSource {
            volume: (*name).to_owned(),
            uri: format!("nbd+unix:///{name}?socket=/run/view.sock"),
            size_bytes: 1 << 20,
        };
        let request = LaunchRequest {
            instance: InstanceId::new("test").unwrap(),
            purpose,
            settings,
            networks,
            disks: volumes.iter().map(disk).collect(),
            runtime_directory: "/run/with,comma".into(),
            evidence_directory: "/var/evidence".into(),
        };
        record::plan(&request).unwrap().arguments
    }

    fn values<'a>(arguments: &'a [String], flag: &str) -> Vec<&'a str> {
        let pairs = arguments.windows(2).filter(|pair| pair[0] == flag);
        pairs.map(|pair| pair[1].as_str()).collect()
    }

    #[test]
    fn disks_follow_the_disk_order_and_the_first_is_booted() {
        let settings = LaunchSettings {
            disk_order: vec!["root".into()],
            ..Default::default()
        };
        let arguments = planned(settings, &["data", "root"]);
        let nodes = values(&arguments, "-blockdev");
        assert_eq!(nodes.len(), 4);
        let source: Value = serde_json::from_str(nodes[0]).unwrap();
        assert_eq!(source["file"]["export"], "root");
        assert_eq!(
            (&source["read-only"], &source["file"]["read-only"]),
            (&json!(true), &json!(true))
        );
        let first: Value = serde_json::from_str(nodes[1]).unwrap();
        assert_eq!(
            (&first["node-name"], &first["backing"]),
            (&json!("disk0"), &json!("source0"))
        );
        assert_eq!(
            first["file"]["filename"],
            "/run/with,comma/instance-test/disk-0.qcow2"
        );
        let devices = values(&arguments, "-device");
        assert!(
            devices.contains(&"virtio-blk-pci,drive=disk0,bootindex=0"),
            "{devices:?}"
        );
    }

    #[test]
    fn seven_ahci_disks_need_two_controllers() {
        let settings = LaunchSettings {
            disk_bus: DiskBus::Ahci,
            ..Default::default()
        };
        let arguments = planned(settings, &["a", "b", "c", "d", "e", "f", "g"]);
        let devices = values(&arguments, "-device");
        assert!(devices.contains(&"ahci,id=ahci1"), "{devices:?}");
        assert!(
            devices.contains(&"ide-hd,bus=ahci1.0,drive=disk6,bootindex=6"),
            "{devices:?}"
        );
    }

    #[test]
    fn a_comma_in_a_path_stays_in_the_path() {
        let arguments = planned(LaunchSettings::default(), &["a"]);
        let control = values(&arguments, "-chardev")[1];
        assert!(
            control.ends_with("path=/run/with,,comma/instance-test/control.sock"),
            "{control}"
        );
    }

    #[test]
    fn the_planned_command_is_isolated_and_any_other_network_is_noticed() {
        let mut arguments = planned(LaunchSettings::default(), &["a"]);
        only_isolated(&arguments, &[]).unwrap();
        for extra in [
            ["-netdev", "user,id=u"],
            ["-netdev", "hubport,id=h,hubid=0,netdev=u"],
            ["-nic", "tap"],
            [
                "-netdev",
                "stream,id=s,server=off,addr.type=unix,addr.path=/run/other.sock",
            ],
            ["-net", "user"],
        ] {
            arguments.extend(extra.map(str::to_owned));
            assert!(
                only_isolated(&arguments, &[]).is_err(),
                "{extra:?} was accepted"
            );
            arguments.truncate(arguments.len() - 2);
        }
    }

    /// Cards of which one would be connected in a failover.
    fn connected() -> Vec<NetworkCard> {
        let forward = PortForward {
            host_address: std::net::Ipv4Addr::LOCALHOST,
            host_port: 8022,
            machine_port: 22,
        };
        vec![
            NetworkCard {
                address: Some("52:54:00:12:34:56".into()),
                connection: NetworkConnection::HostNat {
                    forward: vec![forward],
                },
            },
            NetworkCard {
                address: None,
                connection: NetworkConnection::Isolated,
            },
        ]
    }

    #[test]
    fn a_drill_with_probes_ends_every_card_in_a_station_of_its_own() {
        let mut settings = LaunchSettings::default();
        settings.probes.network_address = true;
        settings.probes.guest_agent = true;
        let plan = |purpose| planned_for(purpose, settings.clone(), connected(), &["a"]);
        let arguments = plan(InstancePurpose::Drill);
        let last = values(&arguments, "-device").pop();
        assert_eq!(
            last,
            Some("virtserialport,chardev=agent,name=org.qemu.guest_agent.0")
        );
        let station = |number: usize, card: &str| StationPlan {
            socket: format!("/run/with,comma/instance-test/net-{number}.sock").into(),
            card: card.to_owned(),
            network: None,
        };
        let own = [
            station(0, "52:54:00:12:34:56"),
            station(1, "52:54:00:12:34:57"),
        ];
        only_isolated(&arguments, &own).unwrap();
        assert!(only_isolated(&arguments, &own[..1]).is_err());
        let mut twice = arguments.clone();
        let backend = values(&arguments, "-netdev")[0].to_owned();
        assert!(backend.ends_with("/run/with,,comma/instance-test/net-0.sock"));
        twice.extend(["-netdev".to_owned(), backend]);
        assert!(only_isolated(&twice, &own).is_err());
        // In a failover nobody asks.
        let arguments = plan(InstancePurpose::Failover);
        assert!(!arguments.iter().any(|one| one.contains("guest_agent")));
        assert!(
            !values(&arguments, "-netdev")
                .iter()
                .any(|one| one.starts_with("stream"))
        );
    }

    #[test]
    fn a_drill_is_isolated_whatever_its_cards_say() {
        let settings = LaunchSettings::default();
        let arguments = planned_for(InstancePurpose::Drill, settings, connected(), &["a"]);
        only_isolated(&arguments, &[]).unwrap();
        let devices = values(&arguments, "-device");
        let card = "virtio-net-pci,netdev=net0,romfile=,mac=52:54:00:12:34:56";
        assert!(devices.contains(&card), "{devices:?}");
    }

    #[test]
    fn every_write_of_a_drill_goes_to_an_overlay() {
        let arguments = planned(LaunchSettings::default(), &["a", "b"]);
        let nodes: Vec<Value> = values(&arguments, "-blockdev")
            .iter()
            .map(|node| serde_json::from_str(node).unwrap())
            .collect();
        let named = |name: String| nodes.iter().find(|node| node["node-name"] == name);
        for index in 0..2 {
            let disk = named(format!("disk{index}")).unwrap();
            assert_eq!(disk["driver"], "qcow2", "{disk}");
            assert_eq!(disk["file"]["driver"], "file", "{disk}");
            assert_eq!(disk["backing"], format!("source{index}"), "{disk}");
            let source = named(format!("source{index}")).unwrap();
            assert_eq!(source["read-only"], true, "{source}");
        }
        assert_eq!(nodes.len(), 4, "{nodes:?}");
    }

    #[test]
    fn a_failover_writes_to_its_sources_and_has_its_networks() {
        let arguments = planned_for(
            InstancePurpose::Failover,
            LaunchSettings::default(),
            connected(),
            &["a", "b"],
        );
        let backends = values(&arguments, "-netdev");
        assert_eq!(
            backends,
            [
                "user,id=net0,hostfwd=tcp:127.0.0.1:8022-:22",
                "hubport,id=net1,hubid=1"
            ]
        );
        let nodes = values(&arguments, "-blockdev");
        assert_eq!(nodes.len(), 2, "no overlay: {nodes:?}");
        for (index, node) in nodes.iter().enumerate() {
            let node: Value = serde_json::from_str(node).unwrap();
            assert_eq!(node["node-name"], format!("disk{index}"));
            assert_eq!(node["read-only"], Value::Null);
            assert_eq!(node["cache"], Value::Null, "flushes must reach the export");
        }
        assert!(values(&arguments, "-action")[0].starts_with("reboot=reset"));
    }

    #[test]
    fn the_printed_command_is_quoted_for_a_shell() {
        let arguments = ["-name".to_owned(), "it's {\"a\"}".to_owned()];
        let text = printable(Path::new("/usr/bin/qemu"), &arguments);
        assert_eq!(text, "/usr/bin/qemu \\\n  -name 'it'\\''s {\"a\"}'\n");
    }
}
