//! The patterns that recognise each rung of the verification ladder in console output.
//!
//! Owns their defaults for Linux machines with a serial console. Compiling and matching is the
//! ladder's business ([`crate::drill`]).

use serde::{Deserialize, Serialize};

/// Regular expressions, each matched against one console line at a time.
///
/// An empty pattern switches its rung off: the rung is then reported as "not run".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RungPatterns {
    /// The firmware or the boot loader speaks.
    pub firmware: String,
    /// The kernel's banner. A machine booted with `quiet` prints none on its console: take `quiet`
    /// off, or empty this pattern.
    pub kernel: String,
    /// The root file system is mounted.
    pub root_mounted: String,
    /// The machine asks for a login.
    pub login: String,
    /// The line by which the machine shows the last canary it finds on its disk, with the named
    /// groups `time` (RFC 3339, or seconds since 1970) and `sequence`. Empty by default.
    pub canary: String,
    /// A line by which the machine confirms that its canaries are complete. When it is set, the
    /// canary rung needs this line too. Empty by default.
    pub canary_check: String,
    /// A line by which the machine confirms that it reaches no network. When it is set, the
    /// isolation rung needs this line too. Empty by default.
    pub network_isolated: String,
    /// A line by which the machine says that it reached a network. It fails the drill at once.
    /// Empty by default.
    pub network_leak: String,
    /// Lines after which waiting is pointless; any match fails the drill at once. The default knows
    /// what Linux, its boot loaders and the firmware say; setting this replaces it.
    pub failure: Vec<String>,
    /// Further such lines, beside `failure`. Empty by default.
    pub more_failure: Vec<String>,
}

impl Default for RungPatterns {
    fn default() -> Self {
        Self {
            firmware:
                r"SeaBIOS|GRUB|UEFI firmware|BdsDxe|Booting from|ISOLINUX|SYSLINUX|systemd-boot"
                    .to_owned(),
            kernel: r"Linux version \d".to_owned(),
            root_mounted: concat!(
                r"EXT[234]-fs.*mounted filesystem",
                r"|XFS.*(Ending clean mount|Mounting V\d)",
                r"|BTRFS.*(mounting|first mount of) filesystem",
                r"|VFS: Mounted root",
                r"|Mounted .*sysroot",
                r"|Switch(ing)? [Rr]oot",
            )
            .to_owned(),
            // The kernel may go on printing right behind the prompt.
            login: r"\blogin:(\s|$)".to_owned(),
            canary: String::new(),
            canary_check: String::new(),
            network_isolated: String::new(),
            network_leak: String::new(),
            failure: DEFAULT_FAILURES
                .iter()
                .map(|pattern| (*pattern).to_owned())
                .collect(),
            more_failure: Vec::new(),
        }
    }
}

/// What Linux machines, their boot loaders and the firmware say when they give up for good.
const DEFAULT_FAILURES: [&str; 16] = [
    r"Kernel panic - not syncing",
    r"Gave up waiting for root",
    r"ALERT!\s+\S+\s+does not exist",
    r"VFS: Unable to mount root fs",
    r"You are in (emergency|rescue) mode",
    r"Entering emergency mode",
    r"Give root password for maintenance",
    r"Press Enter for maintenance",
    r"Warning: Could not boot",
    r"Failed to mount .*sysroot",
    r"No bootable device",
    r"No bootable option or device was found",
    r"UEFI Interactive Shell",
    r"Entering rescue mode",
    r"grub rescue>",
    r"error: unknown filesystem",
];
