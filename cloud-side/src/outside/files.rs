//! Files that decide what is run and who we are to others: used only if nobody else can have written
//! or read them.

use rustix::process::geteuid;
use std::{
    fs::{self, File, Metadata},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// Longest secret, in bytes.
const SECRET_MAX: u64 = 64 * 1024;
/// Longest file of authorities' certificates, in bytes.
const TEXT_MAX: u64 = 4 << 20;
/// Others than the owner may write.
const WRITABLE: u32 = 0o022;
/// Others than the owner may read, write or enter.
const OPEN: u32 = 0o077;
/// Only who owns a file may rename it, as in `/tmp`.
const STICKY: u32 = 0o1000;
/// Somebody may run it.
const EXECUTABLE: u32 = 0o111;

/// What is wrong with a file, and what to do.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) cause: String,
    pub(super) remedy: String,
}

impl Wrong {
    pub(super) fn new(cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            cause: cause.into(),
            remedy: remedy.into(),
        }
    }
}

/// A secret, as it lies in its file.
pub(super) fn secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, Wrong> {
    let (mut file, metadata) = open(path)?;
    let shown = path.display();
    if !is_ours(&metadata) {
        let cause = format!("{shown} belongs to somebody else");
        return Err(Wrong::new(
            cause,
            "give it to the cloud side's user, or to root",
        ));
    }
    if metadata.mode() & OPEN != 0 {
        let cause = format!("others may read {shown}");
        return Err(Wrong::new(cause, format!("run `chmod 600 {shown}`")));
    }
    bounded(&mut file, path, SECRET_MAX)
}

/// A text that is no secret.
pub(super) fn text(path: &Path) -> Result<String, Wrong> {
    let (mut file, _) = open(path)?;
    let bytes = bounded(&mut file, path, TEXT_MAX)?;
    String::from_utf8(bytes.to_vec()).map_err(|_| {
        Wrong::new(
            format!("{} is no text", path.display()),
            "name another file",
        )
    })
}

/// The directory of programs, with no links in its path.
pub(super) fn programs_directory(path: &Path) -> Result<PathBuf, Wrong> {
    let found = real(path)?;
    let metadata = fs::metadata(&found).map_err(|error| unreadable(path, &error))?;
    if !metadata.is_dir() {
        let cause = format!("{} is no directory", path.display());
        return Err(Wrong::new(
            cause,
            "name the directory that holds the programs",
        ));
    }
    check_ours(&found, &metadata)?;
    check_above(&found)?;
    Ok(found)
}

/// A program of that directory, with no links in its path.
pub(super) fn program(directory: &Path, name: &str) -> Result<PathBuf, Wrong> {
    let path = directory.join(name);
    let found = real(&path)?;
    let metadata = fs::metadata(&found).map_err(|error| unreadable(&path, &error))?;
    let shown = path.display();
    if !metadata.is_file() {
        let cause = format!("{shown} is no file");
        return Err(Wrong::new(cause, "put the program there"));
    }
    check_ours(&found, &metadata)?;
    check_above(&found)?;
    if metadata.mode() & EXECUTABLE == 0 {
        let cause = format!("{shown} may not be run");
        return Err(Wrong::new(cause, format!("run `chmod 755 {shown}`")));
    }
    Ok(found)
}

fn open(path: &Path) -> Result<(File, Metadata), Wrong> {
    check_absolute(path)?;
    // What is looked at is what is read, whatever happens to the path.
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let metadata = file.metadata().map_err(|error| unreadable(path, &error))?;
    if !metadata.is_file() {
        let cause = format!("{} is no file", path.display());
        return Err(Wrong::new(cause, "name a file"));
    }
    Ok((file, metadata))
}

fn bounded(file: &mut File, path: &Path, most: u64) -> Result<Zeroizing<Vec<u8>>, Wrong> {
    // Never grown, so that no copy of a secret is left behind.
    let room = usize::try_from(most + 1).unwrap_or(usize::MAX);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    let read = file.take(most + 1).read_to_end(&mut bytes);
    read.map_err(|error| unreadable(path, &error))?;
    if bytes.len() as u64 > most {
        let cause = format!("{} has more than {most} bytes", path.display());
        return Err(Wrong::new(cause, "name the right file"));
    }
    Ok(bytes)
}

fn real(path: &Path) -> Result<PathBuf, Wrong> {
    check_absolute(path)?;
    fs::canonicalize(path).map_err(|error| unreadable(path, &error))
}

fn check_absolute(path: &Path) -> Result<(), Wrong> {
    if path.is_absolute() {
        return Ok(());
    }
    let cause = format!("{} is no absolute path", path.display());
    Err(Wrong::new(cause, "write the path from / on"))
}

/// Whoever may rename a directory above decides what lies below.
fn check_above(path: &Path) -> Result<(), Wrong> {
    for above in path.ancestors().skip(1) {
        let metadata = fs::metadata(above).map_err(|error| unreadable(above, &error))?;
        if metadata.mode() & STICKY == 0 || !is_ours(&metadata) {
            check_ours(above, &metadata)?;
        }
    }
    Ok(())
}

fn check_ours(path: &Path, metadata: &Metadata) -> Result<(), Wrong> {
    let shown = path.display();
    if !is_ours(metadata) {
        let cause = format!("{shown} belongs to somebody else");
        return Err(Wrong::new(
            cause,
            "give it to root, or to the cloud side's user",
        ));
    }
    if metadata.mode() & WRITABLE != 0 {
        let cause = format!("others may write to {shown}");
        return Err(Wrong::new(cause, format!("run `chmod go-w {shown}`")));
    }
    Ok(())
}

fn is_ours(metadata: &Metadata) -> bool {
    metadata.uid() == 0 || metadata.uid() == geteuid().as_raw()
}

fn unreadable(path: &Path, error: &io::Error) -> Wrong {
    let cause = format!("{} cannot be read: {error}", path.display());
    Wrong::new(
        cause,
        "check the path, and that the cloud side's user may read it",
    )
}
