//! The precheck of the qemu target: everything that can be found out before anything is created.

use serde::Deserialize;

use super::tools::{self, ToolPaths};
use crate::target::{DiskSource, Firmware, LaunchSettings, PrecheckReport};

/// Memory the emulator itself needs beside the machine's, in MiB.
const EMULATOR_MEMORY_MIB: u64 = 192;

/// The first version of QEMU that has `-netdev stream`.
const STATION_VERSION: (u32, u32) = (7, 2);

/// Looks at programs, firmware, memory, settings and every disk source.
pub(super) async fn precheck(
    tools: &ToolPaths,
    settings: &LaunchSettings,
    disks: &[DiskSource],
) -> PrecheckReport {
    let mut report = PrecheckReport::default();
    check_settings(&mut report, settings, disks);
    check_programs(&mut report, tools, settings).await;
    check_firmware(&mut report, settings);
    check_memory(
        &mut report,
        settings,
        std::fs::read_to_string("/proc/meminfo").ok().as_deref(),
    );
    for disk in disks {
        check_disk(&mut report, tools, disk).await;
    }
    report
}

fn check_settings(report: &mut PrecheckReport, settings: &LaunchSettings, disks: &[DiskSource]) {
    let arranged = settings
        .check()
        .and_then(|()| settings.arrange(disks, |disk: &DiskSource| &disk.volume));
    match arranged {
        Ok(order) => {
            let names: Vec<&str> = order.iter().map(|disk| disk.volume.as_str()).collect();
            report.pass(
                "launch settings",
                format!("disks in order: {}", names.join(", ")),
            );
        }
        Err(error) => report.fail("launch settings", error.to_string(), "correct the settings"),
    }
}

async fn check_programs(report: &mut PrecheckReport, tools: &ToolPaths, settings: &LaunchSettings) {
    match tools::probe_emulator(tools).await {
        Ok(emulator) => {
            let sandbox = if emulator.sandbox {
                "with its sandbox"
            } else {
                "without a sandbox"
            };
            report.pass("emulator", format!("{}, {sandbox}", emulator.version));
            if settings.probes.need_network() {
                check_stations(report, &emulator.version);
            }
        }
        Err(error) => report.fail("emulator", error.to_string(), "repair the installation"),
    }
    match tools::run(&tools.image_tool, &["--version"]).await {
        Ok(text) => report.pass("image tool", text.lines().next().unwrap_or_default()),
        Err(error) => report.fail("image tool", error.to_string(), "repair the installation"),
    }
    report.pass(
        "accelerator",
        "tcg: machines run under emulation on this target",
    );
}

/// Whether the emulator can end a card in the socket of a probe station.
fn check_stations(report: &mut PrecheckReport, version: &str) {
    let name = "network for probes";
    match numbers(version) {
        Some(have) if have >= STATION_VERSION => {
            report.pass(name, "a probe station for each card");
        }
        Some((major, minor)) => report.fail(
            name,
            format!("QEMU {major}.{minor} has no network over a Unix socket"),
            "install QEMU 7.2 or newer, or take the probes off",
        ),
        None => report.unknown(name, format!("{version:?} says no version of QEMU")),
    }
}

/// Major and minor number in the first line of `-version`.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let (_, behind) = version.split_once("version ")?;
    let mut parts = behind.split(|character: char| !character.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn check_firmware(report: &mut PrecheckReport, settings: &LaunchSettings) {
    match settings.firmware {
        Firmware::Bios => report.pass("firmware", "SeaBIOS, part of QEMU"),
        Firmware::Uefi => match tools::find_uefi() {
            Some(files) => report.pass("firmware", files.code.display().to_string()),
            None => report.fail(
                "firmware",
                "no OVMF files were found",
                "install OVMF (on Debian and Ubuntu: package ovmf), or set firmware = \"bios\"",
            ),
        },
    }
}

fn check_memory(report: &mut PrecheckReport, settings: &LaunchSettings, meminfo: Option<&str>) {
    let available = meminfo.and_then(available_mib);
    let needed = u64::from(settings.memory_mib) + EMULATOR_MEMORY_MIB;
    match available {
        Some(mib) if mib >= needed => {
            report.pass(
                "memory",
                format!("{mib} MiB available, {needed} MiB needed"),
            );
        }
        Some(mib) => report.fail(
            "memory",
            format!("{mib} MiB available, {needed} MiB needed"),
            "free memory on this host or lower memory_mib",
        ),
        None => report.unknown(
            "memory",
            "/proc/meminfo says nothing about available memory",
        ),
    }
}

fn available_mib(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024)
}

async fn check_disk(report: &mut PrecheckReport, tools: &ToolPaths, disk: &DiskSource) {
    let name = format!("disk {}", disk.volume);
    if let Err(error) = disk.address() {
        report.fail(name, error.to_string(), "open the view again");
        return;
    }
    let info = ["info", "--output", "json", "-f", "raw", &disk.uri];
    match tools::run(&tools.image_tool, &info)
        .await
        .map(|text| virtual_size(&text))
    {
        Ok(Some(size)) if size == disk.size_bytes => {
            report.pass(name, format!("answers, {size} bytes"));
        }
        Ok(Some(size)) => report.fail(
            name,
            format!(
                "the export has {size} bytes, {} were announced",
                disk.size_bytes
            ),
            "open the view again",
        ),
        Ok(None) => report.unknown(name, "qemu-img did not say the export's size"),
        Err(error) => report.fail(name, error.to_string(), "check that the view is still open"),
    }
}

/// The size `qemu-img info` reports, in bytes.
fn virtual_size(json: &str) -> Option<u64> {
    #[derive(Deserialize)]
    struct Info {
        #[serde(rename = "virtual-size")]
        virtual_size: u64,
    }
    serde_json::from_str::<Info>(json)
        .ok()
        .map(|info| info.virtual_size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_compared_with_what_the_host_has_available() {
        let meminfo = "MemTotal: 4000000 kB\nMemAvailable:    1310720 kB\n";
        assert_eq!(available_mib(meminfo), Some(1280));
        let mut report = PrecheckReport::default();
        check_memory(&mut report, &LaunchSettings::default(), Some(meminfo));
        assert!(report.passed());
        let greedy = LaunchSettings {
            memory_mib: 2048,
            ..Default::default()
        };
        check_memory(&mut report, &greedy, Some(meminfo));
        assert!(report.obstacles().unwrap().contains("memory_mib"));
    }

    #[test]
    fn an_emulator_without_sockets_for_networks_is_an_obstacle_to_probes() {
        let verdict = |version: &str| {
            let mut report = PrecheckReport::default();
            check_stations(&mut report, version);
            report.items[0].verdict
        };
        use crate::target::PrecheckVerdict::{Failed, Passed, Unknown};
        for (version, expected) in [
            ("QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds)", Passed),
            ("QEMU emulator version 7.2.0", Passed),
            ("QEMU emulator version 7.1.9", Failed),
            ("QEMU emulator version 6.2.0 (Debian)", Failed),
            ("something else", Unknown),
        ] {
            assert_eq!(verdict(version), expected, "{version}");
        }
    }

    #[test]
    fn unknown_memory_is_called_unknown_and_does_not_fail() {
        let mut report = PrecheckReport::default();
        check_memory(&mut report, &LaunchSettings::default(), None);
        assert!(report.passed());
        assert_eq!(
            report.items[0].verdict,
            crate::target::PrecheckVerdict::Unknown
        );
    }
}
