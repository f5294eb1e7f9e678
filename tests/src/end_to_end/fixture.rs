//! What a test begins with: a seed, empty images, a writer to a lab's volumes, exports to look at.

use super::{lab::Lab, stamped::StampedWriter};
use anyhow::ensure;
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

/// The test's seed: `BCDR_SEED`, or the clock. It is printed, so that a failure can be repeated.
pub fn seed() -> u64 {
    seed_or(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(1, |since| since.as_nanos() as u64),
    )
}

/// The test's seed: `BCDR_SEED`, or this one. It is printed too.
pub fn seed_or(other: u64) -> u64 {
    let given = std::env::var("BCDR_SEED")
        .ok()
        .and_then(|text| text.parse().ok());
    let seed = given.unwrap_or(other);
    eprintln!("seed {seed}: run again with BCDR_SEED={seed}");
    seed
}

/// A new raw image of zeros.
///
/// # Errors
/// When it cannot be made.
pub fn image(directory: &Path, name: &str, bytes: u64) -> anyhow::Result<PathBuf> {
    let path = directory.join(name);
    File::create_new(&path)?.set_len(bytes)?;
    Ok(path)
}

/// A writer to these volumes of a lab, all of the same size.
///
/// # Errors
/// When the lab has no such volume.
pub fn writer(lab: &Lab, seed: u64, volumes: &[&str], bytes: u64) -> anyhow::Result<StampedWriter> {
    let targets = volumes
        .iter()
        .map(|name| Ok((lab.socket(name)?, (*name).to_owned(), bytes)))
        .collect::<anyhow::Result<Vec<_>>>()?;
    Ok(StampedWriter::new(seed, targets))
}

/// Exports these volumes at one instant into `to`; the files are `INSTANT-VOLUME.raw`.
///
/// # Errors
/// When an export fails.
pub fn export_all(
    lab: &Lab,
    at: &str,
    volumes: &[&str],
    to: &Path,
) -> anyhow::Result<Vec<PathBuf>> {
    volumes
        .iter()
        .map(|name| {
            let file = to.join(format!("{at}-{name}.raw"));
            lab.export(name, at, &file)?;
            Ok(file)
        })
        .collect()
}

/// Checks that two images hold the same bytes.
///
/// # Errors
/// Names the first byte that differs.
pub fn same_bytes(one: &Path, other: &Path) -> anyhow::Result<()> {
    let both = format!("{} and {}", one.display(), other.display());
    let (mut left, mut right) = (File::open(one)?, File::open(other)?);
    let (length, other_length) = (left.metadata()?.len(), right.metadata()?.len());
    ensure!(
        length == other_length,
        "{both} differ in length: {length} and {other_length} bytes"
    );
    let mut at = 0;
    let mut blocks = (vec![0; COMPARED_AT_A_TIME], vec![0; COMPARED_AT_A_TIME]);
    while at < length {
        let count = (length - at).min(COMPARED_AT_A_TIME as u64) as usize;
        left.read_exact(&mut blocks.0[..count])?;
        right.read_exact(&mut blocks.1[..count])?;
        let differing = || {
            blocks
                .0
                .iter()
                .zip(&blocks.1)
                .position(|(a, b)| a != b)
                .unwrap_or(0)
        };
        ensure!(
            blocks.0[..count] == blocks.1[..count],
            "{both} differ first at byte {}",
            at + differing() as u64
        );
        at += count as u64;
    }
    Ok(())
}

const COMPARED_AT_A_TIME: usize = 1 << 20;
