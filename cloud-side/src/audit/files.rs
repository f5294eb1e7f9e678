//! The log's files: their names, and reading them line by line.
//!
//! A segment is `NUMBER.jsonl`; `cut.jsonl` holds the one line that says what was removed in order.

use bcdr_audit::{LINE_BYTES_MAX, Line, Mark, Opening};
use bcdr_disk::{Access, DiskError, Storage};
use std::path::{Path, PathBuf};

/// The file with the cut.
pub(super) const CUT: &str = "cut.jsonl";
const SUFFIX: &str = ".jsonl";
/// The longest segment that is read, in bytes: the greatest size at which one is closed, and the
/// longest append.
pub(super) const SEGMENT_READ_MAX: u64 = (64 << 20) + (32 << 20);

/// More bytes than the first line of a segment has.
pub(super) const OPENING_MAX: u64 = 512;

/// The path of a segment.
pub(super) fn path(directory: &Path, number: u64) -> PathBuf {
    // As wide as the greatest number, so that names sort like numbers.
    directory.join(format!("{number:020}{SUFFIX}"))
}

/// The numbers of the segments that are there, in order.
pub(super) fn numbers(storage: &dyn Storage, directory: &Path) -> Result<Vec<u64>, DiskError> {
    let names = storage.list(directory)?;
    let mut numbers: Vec<u64> = names
        .iter()
        .filter_map(|name| name.strip_suffix(SUFFIX)?.parse().ok())
        .collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// The first `length` bytes of a segment.
pub(super) fn read(
    storage: &dyn Storage,
    path: &Path,
    length: Option<u64>,
) -> Result<Vec<u8>, DiskError> {
    let file = storage.open(path, Access::read())?;
    let length = match length {
        Some(length) => length,
        None => file.length()?,
    };
    if length > SEGMENT_READ_MAX {
        return Err(DiskError::TooLarge {
            path: path.to_owned(),
            length,
            limit: SEGMENT_READ_MAX,
        });
    }
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// The first line of a segment; none if it cannot be read as one.
pub(super) fn opening(storage: &dyn Storage, path: &Path) -> Result<Option<Opening>, DiskError> {
    let file = storage.open(path, Access::read())?;
    let length = file.length()?.min(LINE_BYTES_MAX as u64);
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(LINE_BYTES_MAX)];
    file.read_exact_at(&mut bytes, 0)?;
    let first = lines(&bytes).next().map(Line::parse);
    Ok(match first {
        Some(Ok(Line::Opening(opening))) => Some(opening),
        _ => None,
    })
}

/// The end of a segment, long enough for a few lines; its first is most often a part of one.
pub(super) fn tail(storage: &dyn Storage, path: &Path) -> Result<Vec<u8>, DiskError> {
    let file = storage.open(path, Access::read())?;
    let (length, most) = (file.length()?, 4 * LINE_BYTES_MAX as u64);
    let from = length.saturating_sub(most);
    let mut bytes = vec![0; usize::try_from(length - from).unwrap_or(0)];
    file.read_exact_at(&mut bytes, from)?;
    Ok(bytes)
}

/// The lines in these bytes, each with its end; the last may have none.
pub(super) fn lines(bytes: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n')
}

/// The entry with this number in a segment's text, as a place of the chain.
pub(super) fn mark_at(bytes: &[u8], sequence: u64) -> Option<Mark> {
    lines(bytes).find_map(|line| match Line::parse(line) {
        Ok(Line::Entry(entry)) if entry.body.sequence == sequence => Some(entry.mark()),
        Ok(Line::Opening(opening)) if opening.after.sequence == sequence => Some(opening.after),
        _ => None,
    })
}
