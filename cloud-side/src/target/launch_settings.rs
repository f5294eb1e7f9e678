//! Launch settings: how a recovered machine looks and how its boot is judged.
//!
//! Owns names, defaults and limits. The same structure is read from TOML and JSON; unknown fields
//! are refused.

use serde::{Deserialize, Serialize};

use super::{Probes, ProbesError, RungPatterns};
use crate::drill::{CompiledPatterns, PatternError};

/// Most memory a machine may ask for, in MiB (1 TiB).
pub(crate) const MEMORY_MIB_MAX: u32 = 1 << 20;
/// Least memory a PC firmware starts with, in MiB.
pub(crate) const MEMORY_MIB_MIN: u32 = 16;
/// Most processors of one machine.
pub(crate) const CPUS_MAX: u16 = 64;
/// Longest boot that is waited for, in seconds (one day).
pub(crate) const BOOT_TIMEOUT_SECONDS_MAX: u32 = 86_400;

/// Longest wait for a machine to shut itself down, in seconds (one hour).
pub(crate) const SHUT_DOWN_SECONDS_MAX: u32 = 3600;

/// The chipset of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Machine {
    /// The PCI Express chipset of 2009.
    #[default]
    Q35,
    /// The PCI chipset of 1996, for old systems.
    Pc,
}

/// What starts the boot loader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Firmware {
    /// SeaBIOS.
    #[default]
    Bios,
    /// OVMF, which must be installed on the host.
    Uefi,
}

/// The controller the disks hang on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DiskBus {
    /// One virtio-blk device per disk.
    #[default]
    Virtio,
    /// SATA disks on AHCI controllers.
    Ahci,
}

/// How a recovered machine looks and how its boot is judged.
///
/// Every field has a default. Machines run under emulation (TCG): a hypervisor device that can be
/// opened proves nothing about guests running in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LaunchSettings {
    /// Memory in MiB; default 1024.
    pub memory_mib: u32,
    /// Number of processors; default 2.
    pub cpus: u16,
    /// Chipset; default `q35`.
    pub machine: Machine,
    /// Firmware; default `bios`.
    pub firmware: Firmware,
    /// Disk controller; default `virtio`.
    pub disk_bus: DiskBus,
    /// Volume names in the order of the machine's disks; the first is booted from. Volumes that are
    /// not named follow in the group's order. Empty by default.
    pub disk_order: Vec<String>,
    /// Seconds from the start until the last rung; default 180, since emulation is slow.
    pub boot_timeout_seconds: u32,
    /// How much the machine may write, over all disks, in MiB; default 8192. The drill fails when
    /// it writes more.
    pub overlay_limit_mib: u32,
    /// Seconds that a machine in production gets to shut itself down before a cutover home; default
    /// 300.
    pub shut_down_seconds: u32,
    /// Whether its power is cut when it did not shut itself down by then, as for machines that do not
    /// hear the power button. What it had not flushed is lost then, as in a power failure. Without
    /// it the cutover is given up; default.
    pub power_off: bool,
    /// How the rungs of the verification ladder are recognised.
    pub rungs: RungPatterns,
    /// What is asked of the machine of a drill over its isolated network, after its login, and which
    /// scripts judge it, in a failover too. Nothing by default; then the cards of a drill's machine are
    /// connected to nothing at all.
    pub probes: Probes,
}

impl Default for LaunchSettings {
    fn default() -> Self {
        Self {
            memory_mib: 1024,
            cpus: 2,
            machine: Machine::default(),
            firmware: Firmware::default(),
            disk_bus: DiskBus::default(),
            disk_order: Vec::new(),
            boot_timeout_seconds: 180,
            overlay_limit_mib: 8192,
            shut_down_seconds: 300,
            power_off: false,
            rungs: RungPatterns::default(),
            probes: Probes::default(),
        }
    }
}

/// What is wrong with launch settings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchSettingsError {
    /// A number is outside its limits.
    #[error("launch settings: {field} is {value}, and must be between {least} and {most}")]
    OutOfRange {
        /// The field.
        field: &'static str,
        /// Its value.
        value: u64,
        /// The least allowed value.
        least: u64,
        /// The greatest allowed value.
        most: u64,
    },
    /// A volume is named twice in the disk order.
    #[error("launch settings: disk_order names volume {volume:?} twice; name each volume once")]
    VolumeTwice {
        /// The volume.
        volume: String,
    },
    /// The disk order names a volume the group does not have.
    #[error(
        "launch settings: disk_order names volume {volume:?}, which the group does not have; \
         it has {present}"
    )]
    VolumeUnknown {
        /// The volume.
        volume: String,
        /// The group's volumes.
        present: String,
    },
    /// There is no disk at all.
    #[error("a machine without a disk cannot be launched; the group has no volume")]
    NoDisk,
    /// A pattern is wrong.
    #[error("launch settings: {0}")]
    Pattern(#[from] PatternError),
    /// A probe is wrong.
    #[error("launch settings: {0}")]
    Probes(#[from] ProbesError),
}

impl LaunchSettings {
    /// Checks limits and patterns.
    ///
    /// # Errors
    /// Names the first field that is wrong.
    pub fn check(&self) -> Result<(), LaunchSettingsError> {
        let memory = u64::from(self.memory_mib);
        within(
            "memory_mib",
            memory,
            MEMORY_MIB_MIN.into(),
            MEMORY_MIB_MAX.into(),
        )?;
        within("cpus", self.cpus.into(), 1, CPUS_MAX.into())?;
        let timeout = u64::from(self.boot_timeout_seconds);
        within(
            "boot_timeout_seconds",
            timeout,
            1,
            BOOT_TIMEOUT_SECONDS_MAX.into(),
        )?;
        within(
            "shut_down_seconds",
            self.shut_down_seconds.into(),
            1,
            SHUT_DOWN_SECONDS_MAX.into(),
        )?;
        within(
            "overlay_limit_mib",
            self.overlay_limit_mib.into(),
            1,
            u32::MAX.into(),
        )?;
        for (index, volume) in self.disk_order.iter().enumerate() {
            if self.disk_order[..index].contains(volume) {
                return Err(LaunchSettingsError::VolumeTwice {
                    volume: volume.clone(),
                });
            }
        }
        CompiledPatterns::compile(&self.rungs)?;
        self.probes.check()?;
        Ok(())
    }

    /// Puts items into the machine's disk order, found by their volume names.
    ///
    /// # Errors
    /// When there is no item, or the order names a volume that is not among them.
    pub(crate) fn arrange<'a, T>(
        &self,
        items: &'a [T],
        name: impl Fn(&T) -> &str,
    ) -> Result<Vec<&'a T>, LaunchSettingsError> {
        if items.is_empty() {
            return Err(LaunchSettingsError::NoDisk);
        }
        let mut arranged = Vec::with_capacity(items.len());
        for volume in &self.disk_order {
            let Some(item) = items.iter().find(|item| name(item) == volume) else {
                let present: Vec<&str> = items.iter().map(&name).collect();
                let (volume, present) = (volume.clone(), present.join(", "));
                return Err(LaunchSettingsError::VolumeUnknown { volume, present });
            };
            arranged.push(item);
        }
        let rest = items
            .iter()
            .filter(|item| !self.disk_order.iter().any(|v| v == name(item)));
        arranged.extend(rest);
        Ok(arranged)
    }
}

fn within(
    field: &'static str,
    value: u64,
    least: u64,
    most: u64,
) -> Result<(), LaunchSettingsError> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(LaunchSettingsError::OutOfRange {
        field,
        value,
        least,
        most,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_survive_both_notations() {
        let settings = LaunchSettings::default();
        settings.check().unwrap();
        let toml = toml::to_string(&settings).unwrap();
        assert_eq!(toml::from_str::<LaunchSettings>(&toml).unwrap(), settings);
        let json = serde_json::to_string(&settings).unwrap();
        assert_eq!(
            serde_json::from_str::<LaunchSettings>(&json).unwrap(),
            settings
        );
        assert_eq!(toml::from_str::<LaunchSettings>("").unwrap(), settings);
    }

    #[test]
    fn unknown_fields_and_values_are_refused() {
        for text in [
            "memory = 1",
            "disk_bus = \"scsi\"",
            "[rungs]\nlogon = \"x\"",
        ] {
            assert!(
                toml::from_str::<LaunchSettings>(text).is_err(),
                "{text} was accepted"
            );
        }
    }

    #[test]
    fn values_outside_their_limits_are_refused_by_name() {
        for (text, field) in [
            ("memory_mib = 0", "memory_mib"),
            ("cpus = 0", "cpus"),
            ("cpus = 65", "cpus"),
            ("boot_timeout_seconds = 0", "boot_timeout_seconds"),
            ("overlay_limit_mib = 0", "overlay_limit_mib"),
            ("shut_down_seconds = 0", "shut_down_seconds"),
            ("disk_order = [\"a\", \"a\"]", "disk_order"),
            ("[rungs]\nlogin = \"(\"", "login"),
            ("[rungs]\nfailure = [\"ok\", \"[\"]", "failure"),
            ("[rungs]\ncanary = \"no groups\"", "canary"),
        ] {
            let settings: LaunchSettings = toml::from_str(text).unwrap();
            let error = settings.check().unwrap_err().to_string();
            assert!(error.contains(field), "{text}: {error}");
        }
    }

    #[test]
    fn disks_are_arranged_by_name_and_the_rest_follows() {
        let settings = LaunchSettings {
            disk_order: vec!["c".into()],
            ..Default::default()
        };
        let arranged = settings.arrange(&["a", "b", "c"], |name| name).unwrap();
        assert_eq!(arranged, [&"c", &"a", &"b"]);
        let error = settings
            .arrange(&["a"], |name| name)
            .unwrap_err()
            .to_string();
        assert!(error.contains("\"c\""), "{error}");
        assert!(settings.arrange(&[] as &[&str], |name| name).is_err());
    }
}
