//! Exports that are being written: how a killed one is told from one that goes on.
//!
//! Invariant: a file is removed only if its name is one that an export gives, it is ours, and nobody
//! holds its lock; whoever writes an export holds that from before its first byte. On network file
//! systems such a lock would also stand in the way of the image tool, so there is none, and what a
//! killed export leaves there stays.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

const PREFIX: &str = ".bcdr-export-";
const SUFFIX: &str = ".incomplete";
const DIGITS: usize = 16;
/// Network file systems, as the kernel numbers them: NFS, SMB, SMB 2 and CIFS.
const NETWORK: [u32; 4] = [0x6969, 0x517b, 0xfe53_4d42, 0xff53_4d42];

/// Another process's look at the file that an export has just begun.
#[derive(Debug)]
pub(super) enum Claim {
    /// It is ours while this is held; nothing to hold where there are no such locks.
    Ours(Option<File>),
    /// It was taken for a leftover before we had its lock: begin another.
    Lost,
}

/// A name for a file that is being written.
pub(super) fn name(random: u64) -> String {
    format!("{PREFIX}{random:016x}{SUFFIX}")
}

fn is_name(name: &str) -> bool {
    name.strip_prefix(PREFIX)
        .and_then(|rest| rest.strip_suffix(SUFFIX))
        .is_some_and(|digits| {
            digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
}

/// Makes a file that was just created known as one that is being written.
pub(super) fn claim(path: &Path) -> io::Result<Claim> {
    if !has_locks(path)? {
        return Ok(Claim::Ours(None));
    }
    Ok(match lock(path)? {
        Some(lock) => Claim::Ours(Some(lock)),
        None => Claim::Lost,
    })
}

/// Removes what killed exports left in a directory, and says what that was.
pub(super) fn remove(directory: &Path) -> io::Result<Vec<PathBuf>> {
    if !has_locks(directory)? {
        return Ok(Vec::new());
    }
    let mut removed = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if !is_name(&entry.file_name().to_string_lossy()) || !is_ours(&entry)? {
            continue;
        }
        let path = entry.path();
        let Some(_lock) = lock(&path)? else {
            continue;
        };
        fs::remove_file(&path)?;
        removed.push(path);
    }
    Ok(removed)
}

/// Whether an entry of a directory is a regular file of this user.
fn is_ours(entry: &fs::DirEntry) -> io::Result<bool> {
    match entry.metadata() {
        Ok(metadata) => {
            Ok(metadata.is_file() && metadata.uid() == rustix::process::geteuid().as_raw())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The lock of the file that has this name, unless another process holds it or the file is gone.
fn lock(path: &Path) -> io::Result<Option<File>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // It may have lost its name meanwhile, to an export that is complete or to whoever removed it.
    let locked = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(named) if (named.dev(), named.ino()) == (locked.dev(), locked.ino()) => Ok(Some(file)),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(None),
    }
}

fn has_locks(path: &Path) -> io::Result<bool> {
    let kind = rustix::fs::statfs(path)?.f_type;
    // The kernel's numbers have 32 bits, whatever the field's width and sign are.
    Ok(!NETWORK.contains(&(kind as u32)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_being_written_stays_and_what_nobody_writes_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| {
            let path = directory.path().join(name);
            fs::write(&path, "decrypted").unwrap();
            path
        };
        let (written, left) = (at(&name(1)), at(&name(2)));
        let claim_written = claim(&written).unwrap();
        assert!(matches!(claim_written, Claim::Ours(Some(_))));
        let others = [
            ".bcdr-export-1.incomplete",
            ".bcdr-export-000000000000000g.incomplete",
            "root.raw",
        ];
        let others = others.map(at);
        let link = directory.path().join(name(3));
        std::os::unix::fs::symlink(&others[2], &link).unwrap();
        assert_eq!(remove(directory.path()).unwrap(), [left]);
        assert!(written.exists() && others.iter().all(|path| path.exists()));
        assert!(link.is_symlink());
        drop(claim_written);
        assert_eq!(remove(directory.path()).unwrap(), [written]);
    }

    #[test]
    fn a_file_that_was_taken_for_a_leftover_is_given_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name(1));
        fs::write(&path, "").unwrap();
        let remover = lock(&path).unwrap().unwrap();
        assert!(matches!(claim(&path).unwrap(), Claim::Lost));
        fs::remove_file(&path).unwrap();
        drop(remover);
        assert!(lock(&path).unwrap().is_none());
    }
}
