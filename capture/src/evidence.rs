//! What the outside of a group's backings tells: whether they are the same ones, and whether
//! anybody wrote to them since we looked.
//!
//! It only gathers and hashes; [`crate::start`] weighs it. A difference that means nothing costs a
//! full compare and never a wrong replica.

use std::{fs, io, path::Path};

use bcdr_format::Timestamp;

use crate::{
    clock,
    intent::{BackingActivity, BackingEvidence, BootId},
    ring::backing::Backing,
};

/// File systems whose change times are made by another machine: NFS, SMB (three numbers), FUSE,
/// 9P, Ceph, AFS.
const FOREIGN_CLOCKS: [u64; 8] = [
    0x6969,
    0x517b,
    0xff53_4d42,
    0xfe53_4d42,
    0x6573_5546,
    0x0102_1997,
    0x00c3_6400,
    0x5346_414f,
];

/// What was seen of the backings at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// What they are, exactly.
    pub evidence: BackingEvidence,
    /// What was done to them.
    pub activity: BackingActivity,
}

/// What identifies this boot of the machine.
///
/// # Errors
/// If the kernel does not tell.
pub fn boot_id() -> io::Result<BootId> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    u128::from_str_radix(&digits, 16)
        .map(BootId)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Looks at all backings of a group, in order. What they hold should have been synced.
///
/// # Errors
/// If the system does not tell.
pub fn gather<'a>(
    backings: impl IntoIterator<Item = &'a Backing>,
    boot: BootId,
) -> io::Result<Look> {
    let mut identity = Fingerprint::new();
    let mut change = Fingerprint::new();
    let mut activity = BackingActivity {
        changed_at: Timestamp(0),
        sectors_written: 0,
        boot_at: clock::boot_at(),
        own_clock: true,
        counted: true,
    };
    for backing in backings {
        let it = backing.identity();
        identity.add(it.device);
        identity.add(it.inode);
        identity.add(backing.size_bytes());
        if backing.is_block_device() {
            // The counters begin anew with each boot, so they are worth something within one.
            identity.add(1);
            change.add(boot.0 as u64);
            let counters = WriteCounters::read(it.device)?;
            counters.0.into_iter().for_each(|count| change.add(count));
            activity.sectors_written += counters.sectors();
            activity.counted &= counts_writes(it.device);
        } else {
            identity.add(0);
            let stat = rustix::fs::fstat(backing)?;
            change.add(stat.st_ctime.cast_unsigned());
            change.add(stat.st_ctime_nsec);
            change.add(stat.st_mtime.cast_unsigned());
            change.add(stat.st_mtime_nsec);
            let changed =
                (stat.st_ctime, stat.st_ctime_nsec).max((stat.st_mtime, stat.st_mtime_nsec));
            activity.changed_at = activity.changed_at.max(timestamp(changed));
            let kind = rustix::fs::fstatfs(backing)?.f_type as u64;
            activity.own_clock &= !FOREIGN_CLOCKS.contains(&(kind & 0xffff_ffff));
        }
    }
    let evidence = BackingEvidence {
        identity: identity.value,
        change: change.value,
    };
    Ok(Look { evidence, activity })
}

/// Rounded up, so that a change is never taken for an earlier one.
fn timestamp((seconds, nanoseconds): (i64, u64)) -> Timestamp {
    let micros = i64::try_from(nanoseconds.div_ceil(1000)).unwrap_or(i64::MAX);
    Timestamp(seconds.saturating_mul(1_000_000).saturating_add(micros))
}

/// Writes, sectors written, discards and sectors discarded of a block device since the machine's
/// start.
struct WriteCounters([u64; 4]);

impl WriteCounters {
    fn read(device: u64) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("{}/stat", sysfs(device)))?;
        // Writes: the 5th to 7th field; discards: the 12th to 14th, where the kernel has them.
        let fields: Vec<&str> = stat.split_whitespace().collect();
        let field = |index: usize| fields.get(index).and_then(|text| text.parse().ok());
        Ok(Self([4, 6, 11, 13].map(|index| field(index).unwrap_or(0))))
    }

    const fn sectors(&self) -> u64 {
        self.0[1] + self.0[3]
    }
}

/// Whether the kernel counts what is written to a device. A partition's whole disk says so.
fn counts_writes(device: u64) -> bool {
    let directory = sysfs(device);
    let read = |path: &str| fs::read_to_string(Path::new(&directory).join(path));
    read("queue/iostats")
        .or_else(|_| read("../queue/iostats"))
        .is_ok_and(|text| text.trim() == "1")
}

fn sysfs(device: u64) -> String {
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    format!("/sys/dev/block/{major}:{minor}")
}

/// FNV-1a: the same numbers give the same value in every version of the program.
struct Fingerprint {
    value: u64,
}

impl Fingerprint {
    const fn new() -> Self {
        Self {
            value: 0xcbf2_9ce4_8422_2325,
        }
    }

    fn add(&mut self, number: u64) {
        for byte in number.to_le_bytes() {
            self.value = (self.value ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    #[test]
    fn a_write_changes_the_change_and_another_file_the_identity() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        let file = fs::File::create(&path).unwrap();
        file.set_len(8192).unwrap();
        let boot = boot_id().unwrap();
        let look = || {
            gather([&Backing::open(&path).unwrap()], boot)
                .unwrap()
                .evidence
        };
        let first = look();
        assert_eq!(first, look());
        // Time stamps of files move in ticks, so write until one has passed.
        let changed = (0..1_000_000).any(|_| {
            file.write_all_at(b"x", 0).unwrap();
            look().change != first.change
        });
        assert!(changed);
        assert_eq!(look().identity, first.identity);
        drop(file);
        fs::rename(&path, directory.path().join("b")).unwrap();
        fs::File::create(&path).unwrap().set_len(8192).unwrap();
        assert_ne!(look().identity, first.identity);
    }
}
