//! Values that several commands take: durations, instants, volumes.

use clap::Args;
use std::{path::PathBuf, str::FromStr, time::Duration};

/// Where a role's configuration is.
#[derive(Debug, Args)]
pub(super) struct ConfigArguments {
    /// The role's configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    pub(super) config: PathBuf,
}

/// Which point of a group.
#[derive(Debug, Args)]
pub(super) struct AtArgument {
    /// The point: its id, its label, an RFC 3339 time (the newest point not after it), or `latest`
    #[arg(long, value_name = "POINT|TIME|latest", default_value = "latest", value_parser = instant)]
    pub(super) at: String,
}

/// What `bcdr lab up` is told.
#[derive(Debug, Args)]
pub(super) struct UpArguments {
    /// The directory that holds everything of the lab; made if it is missing
    #[arg(long, value_name = "DIR")]
    pub(super) dir: PathBuf,
    /// A raw image or block device to protect, with a name for it. Several form one group. Not
    /// needed for a lab that exists
    #[arg(long = "volume", value_name = "NAME=PATH")]
    pub(super) volumes: Vec<VolumeArgument>,
    /// The group's name; `lab` by default
    #[arg(long, value_name = "NAME")]
    pub(super) group: Option<String>,
    /// Launch settings for drills (TOML): memory, firmware, disk order, what a good boot says
    #[arg(long, value_name = "FILE")]
    pub(super) launch: Option<PathBuf>,
}

/// A volume with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct VolumeArgument {
    /// The name.
    pub(super) name: String,
    /// The raw image or block device.
    pub(super) path: PathBuf,
}

impl FromStr for VolumeArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, path)) if !name.is_empty() && !path.is_empty() => Ok(Self {
                name: name.to_owned(),
                path: path.into(),
            }),
            _ => Err("write NAME=PATH, such as root=/dev/vg0/root".to_owned()),
        }
    }
}

/// Reads a duration such as `90s`, `5m` or `1h 30m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write a number with a unit, such as 90s, 5m or 24h"))
}

/// Takes what can name an instant; the API knows which of them exist.
pub(super) fn instant(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("name a point by its id or label, a time, or latest".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_a_name_and_a_path_that_may_hold_anything() {
        let read = |text: &str| text.parse::<VolumeArgument>();
        let volume = read("root=/images/a=b.raw").unwrap();
        assert_eq!(
            volume,
            VolumeArgument {
                name: "root".into(),
                path: "/images/a=b.raw".into()
            }
        );
        for wrong in ["", "root", "=path", "root="] {
            assert!(read(wrong).unwrap_err().contains("NAME=PATH"), "{wrong}");
        }
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("90s").unwrap(), Duration::from_secs(90));
        assert_eq!(duration("1h 30m").unwrap(), Duration::from_secs(5400));
        assert!(duration("90").unwrap_err().contains("such as 90s"));
    }

    #[test]
    fn an_empty_instant_is_refused() {
        assert_eq!(instant(" 2-48211 ").unwrap(), "2-48211");
        assert!(instant("  ").is_err());
    }
}
