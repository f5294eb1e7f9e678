//! What the outside of a group's backings tells: whether they are the same ones, and whether
//! anybody wrote to them since we looked.
//!
//! It only gathers and hashes; [`crate::start`] weighs it. A difference that means nothing costs a
//! full compare and never a wrong replica.

use std::{fs, io};

use crate::{
    intent::{BackingEvidence, BootId},
    ring::backing::Backing,
};

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
) -> io::Result<BackingEvidence> {
    let mut identity = Fingerprint::new();
    let mut change = Fingerprint::new();
    for backing in backings {
        let it = backing.identity();
        identity.add(it.device);
        identity.add(it.inode);
        identity.add(backing.size_bytes());
        if backing.is_block_device() {
            // The counters begin anew with each boot, so they are worth something within one.
            identity.add(1);
            change.add(boot.0 as u64);
            let (major, minor) = (rustix::fs::major(it.device), rustix::fs::minor(it.device));
            let stat = fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/stat"))?;
            // Writes: the 5th to 7th field; discards: the 12th to 14th, where the kernel has them.
            let fields: Vec<&str> = stat.split_whitespace().collect();
            for index in [4, 6, 11, 13] {
                change.add(
                    fields
                        .get(index)
                        .and_then(|text| text.parse().ok())
                        .unwrap_or(0),
                );
            }
        } else {
            identity.add(0);
            let stat = rustix::fs::fstat(backing)?;
            change.add(stat.st_ctime.cast_unsigned());
            change.add(stat.st_ctime_nsec);
            change.add(stat.st_mtime.cast_unsigned());
            change.add(stat.st_mtime_nsec);
        }
    }
    Ok(BackingEvidence {
        identity: identity.value,
        change: change.value,
    })
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
        let look = || gather([&Backing::open(&path).unwrap()], boot).unwrap();
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
