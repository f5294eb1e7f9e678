//! The machine a run was made on: without it a figure says nothing.

use anyhow::Context;
use serde_json::{Value, json};
use std::{fs, path::Path};

const MIB: u64 = 1 << 20;

/// What was found.
#[derive(Debug)]
pub(crate) struct Machine {
    processor: String,
    cores: usize,
    memory_bytes: u64,
    kernel: String,
    file_system: String,
}

/// Looks at the machine; `directory` is where the run's files are.
///
/// # Errors
/// When the kernel does not tell.
pub(crate) fn facts(directory: &Path) -> anyhow::Result<Machine> {
    let cpuinfo = read("/proc/cpuinfo")?;
    let meminfo = read("/proc/meminfo")?;
    let kilobytes = field(&meminfo, "MemTotal")
        .and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        .context("/proc/meminfo tells no MemTotal")?;
    Ok(Machine {
        processor: field(&cpuinfo, "model name")
            .unwrap_or("unknown")
            .to_owned(),
        cores: std::thread::available_parallelism()?.get(),
        memory_bytes: kilobytes * 1024,
        kernel: read("/proc/sys/kernel/osrelease")?.trim().to_owned(),
        file_system: file_system_of(directory)?,
    })
}

/// The type of the file system that an absolute path is on.
///
/// # Errors
/// When the kernel does not tell.
pub(crate) fn file_system_of(directory: &Path) -> anyhow::Result<String> {
    Ok(file_system(&read("/proc/self/mountinfo")?, directory))
}

impl Machine {
    /// The header of the table.
    pub(crate) fn text(&self) -> String {
        format!(
            "{} cores ({}), {} MiB of memory, kernel {}, files on {}",
            self.cores,
            self.processor,
            self.memory_bytes / MIB,
            self.kernel,
            self.file_system
        )
    }

    /// The same for machines.
    pub(crate) fn json(&self) -> Value {
        json!({
            "processor": self.processor,
            "cores": self.cores,
            "memory_bytes": self.memory_bytes,
            "kernel": self.kernel,
            "file_system": self.file_system,
        })
    }
}

fn read(path: &str) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {path}"))
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == name)
        .map(|(_, value)| value.trim())
}

/// The type of the file system that `directory` is on: that of the mount with the longest path
/// leading to it, the last one where several are on top of each other.
fn file_system(mountinfo: &str, directory: &Path) -> String {
    mountinfo
        .lines()
        .filter_map(|line| {
            let (mount, source) = line.split_once(" - ")?;
            let point = mount.split(' ').nth(4)?;
            let kind = source.split(' ').next()?;
            directory.starts_with(point).then_some((point.len(), kind))
        })
        .max_by_key(|(length, _)| *length)
        .map_or_else(
            || "an unknown file system".to_owned(),
            |(_, kind)| kind.to_owned(),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_mount_tells_the_file_system() {
        let mountinfo = "21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
            30 21 0:25 / /tmp rw shared:9 - tmpfs tmpfs rw\n\
            31 21 0:26 / /srv/data rw - xfs /dev/vdb rw\n";
        let on = |path: &str| file_system(mountinfo, Path::new(path));
        assert_eq!(on("/home/somebody"), "ext4");
        assert_eq!(on("/tmp/bench"), "tmpfs");
        assert_eq!(on("/srv/data/deep/down"), "xfs");
        assert_eq!(on("/srv/database"), "ext4");
    }

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let text = "MemTotalish: 3\nMemTotal:       24 kB\n";
        assert_eq!(field(text, "MemTotal"), Some("24 kB"));
        assert_eq!(field(text, "Mem"), None);
    }
}
