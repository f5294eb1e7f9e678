//! What one request asks of an export, on a blocking thread from beginning to end.
//!
//! Its invariant: an answer of "done" to a request with force-unit-access comes after a flush that
//! was begun after the work was done. It knows neither sessions nor sockets, so a connection that
//! dies does not stop it half way.

use bytes::Bytes;

use super::{ReadExport, ServedExport, WriteExport};
use crate::constants::MAXIMUM_BLOCK_STATUS_EXTENTS;
use crate::error::NbdError;
use crate::export::Extent;
use crate::reply::ReadPart;
use crate::request::Command;

/// What a request that succeeded is answered with.
pub(super) enum Answer {
    Done,
    Read(Vec<ReadPart<Bytes>>),
    Status(Vec<Extent>),
}

/// Carries out one request. Blocks.
pub(super) fn carry_out(
    export: &ServedExport,
    command: Command<Vec<u8>>,
) -> Result<Answer, NbdError> {
    match (command, export) {
        (Command::Read { offset, length }, _) => {
            read(export.reading(), offset, length).map(Answer::Read)
        }
        (
            Command::BlockStatus {
                offset,
                length,
                request_one,
            },
            _,
        ) => {
            let limit = if request_one {
                1
            } else {
                MAXIMUM_BLOCK_STATUS_EXTENTS
            };
            block_status(export.reading(), offset, length, limit).map(Answer::Status)
        }
        (command, ServedExport::Writable(export)) => {
            modify(&**export, command).map(|()| Answer::Done)
        }
        // Nothing is ever written here, so everything is durable.
        (Command::Flush | Command::Cache { .. }, ServedExport::ReadOnly(_)) => Ok(Answer::Done),
        (
            Command::Write { .. } | Command::Trim { .. } | Command::WriteZeroes { .. },
            ServedExport::ReadOnly(_),
        ) => Err(NbdError::Perm),
    }
}

/// The commands that only writable exports know.
fn modify(export: &dyn WriteExport, command: Command<Vec<u8>>) -> Result<(), NbdError> {
    let fua = match command {
        Command::Write {
            offset,
            length,
            fua,
            mut payload,
        } => {
            payload.truncate(length as usize);
            export.write(offset, payload.into())?;
            fua
        }
        // A trim might also do nothing, but then the same range would read differently here and
        // where a replay of the recorded writes is read. So it is a write of zeroes.
        Command::Trim {
            offset,
            length,
            fua,
        } => {
            export.write_zeroes(offset, length.into(), true)?;
            fua
        }
        Command::WriteZeroes {
            offset,
            length,
            fua,
            no_hole,
            fast_zero: _,
        } => {
            export.write_zeroes(offset, length.into(), !no_hole)?;
            fua
        }
        Command::Flush => true,
        Command::Cache { .. } | Command::Read { .. } | Command::BlockStatus { .. } => false,
    };
    if fua { export.flush() } else { Ok(()) }
}

/// The range rounded out to the export's unit: its begin and length. Inside the export.
fn widen(export: &dyn ReadExport, offset: u64, length: u32) -> Option<(u64, u32)> {
    let unit = u64::from(export.unit().max(1));
    let begin = offset - offset % unit;
    let end = (offset + u64::from(length))
        .next_multiple_of(unit)
        .min(export.size());
    Some((begin, u32::try_from(end - begin).ok()?))
}

fn read(
    export: &dyn ReadExport,
    offset: u64,
    length: u32,
) -> Result<Vec<ReadPart<Bytes>>, NbdError> {
    let (begin, wide) = widen(export, offset, length).ok_or(NbdError::Overflow)?;
    if (begin, wide) == (offset, length) {
        return export.read_parts(offset, length);
    }
    let data = export.read(begin, wide)?;
    let skip = usize::try_from(offset - begin).map_err(|_| NbdError::Io)?;
    if data.len() < skip + length as usize {
        return Err(NbdError::Io);
    }
    Ok(vec![ReadPart::Data {
        buffer: data.slice(skip..skip + length as usize),
        length,
    }])
}

fn block_status(
    export: &dyn ReadExport,
    offset: u64,
    length: u32,
    limit: usize,
) -> Result<Vec<Extent>, NbdError> {
    // A range of nearly 4 GiB may have no room to be widened; it needs no answer to its very end.
    let (begin, wide) = widen(export, offset, length).unwrap_or_else(|| {
        let unit = u64::from(export.unit().max(1));
        let begin = offset - offset % unit;
        (begin, u32::MAX - (u32::MAX % export.unit().max(1)))
    });
    let mut extents = export.block_status(begin, wide, limit)?;
    // Cut off what lies before the range that was asked for.
    let mut skip = offset - begin;
    for extent in &mut extents {
        let cut = skip.min(extent.length);
        extent.length -= cut;
        skip -= cut;
    }
    extents.retain(|extent| extent.length > 0);
    Ok(extents)
}
