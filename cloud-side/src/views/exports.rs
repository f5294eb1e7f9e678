//! The volumes of a view as NBD exports.

use super::ViewVolume;
use crate::replica::{Status, StatusKind, ViewError, ViewReader};
use bcdr_format::VolumeNumber;
use bcdr_nbd::{
    Allocation, Extent, NbdError, PrivateSocket, ReadPart,
    server::{Limits, ReadExport, ServedExport, ViewExports, serve},
};
use bytes::Bytes;
use std::{collections::BTreeMap, sync::Arc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Reads from this length on are looked up for holes first.
const SPARSE_READ_BYTES: u32 = 64 << 10;
/// Bytes whose allocation is looked up at once.
const STATUS_BYTES: u64 = 256 << 20;
/// Bytes read at once for a digest.
const DIGEST_STEP_BYTES: u64 = 4 << 20;

/// Is told why a reader of a view gets an error, since NBD has only a number for it.
pub(crate) type Complaint = Arc<dyn Fn(&ViewError) + Send + Sync>;

/// Serves the volumes on `socket` until `stop`.
pub(crate) fn serve_volumes(
    socket: PrivateSocket,
    volumes: &[ViewVolume],
    reader: &Arc<ViewReader>,
    complaint: &Complaint,
    stop: CancellationToken,
) -> JoinHandle<()> {
    let exports = volumes
        .iter()
        .map(|volume| {
            let export = ServedExport::ReadOnly(Arc::new(Volume {
                reader: Arc::clone(reader),
                number: volume.member.number,
                size: volume.member.size_bytes,
                complaint: Arc::clone(complaint),
            }));
            (volume.name.clone(), export)
        })
        .collect();
    // The first volume is the default export, as it is the first disk.
    let exports = Exports {
        first: volumes.first().map(|volume| volume.name.clone()),
        exports,
    };
    let path = socket.path().to_owned();
    tokio::spawn(async move {
        let stopped = async move { stop.cancelled().await };
        let served = serve(socket, Arc::new(exports), Limits::default(), stopped).await;
        if let Err(error) = served {
            tracing::error!(socket = %path.display(), %error, "a view cannot be served");
        }
    })
}

struct Exports {
    first: Option<String>,
    exports: BTreeMap<String, ServedExport>,
}

impl ViewExports for Exports {
    fn names(&self) -> Vec<String> {
        self.exports.keys().cloned().collect()
    }

    fn find(&self, name: &str) -> Option<(String, ServedExport)> {
        let name = if name.is_empty() {
            self.first.as_deref()?
        } else {
            name
        };
        let export = self.exports.get(name)?;
        Some((name.to_owned(), export.clone()))
    }
}

struct Volume {
    reader: Arc<ViewReader>,
    number: VolumeNumber,
    size: u64,
    complaint: Complaint,
}

impl Volume {
    fn status(&self, offset: u64, length: u64) -> Result<Vec<Status>, NbdError> {
        self.reader
            .block_status(self.number, offset, length)
            .map_err(|error| self.told(&error))
    }

    /// Passes on why a client gets an error.
    fn told(&self, error: &ViewError) -> NbdError {
        if let ViewError::OutsideVolume { .. } = error {
            return NbdError::Invalid;
        }
        (self.complaint)(error);
        NbdError::Io
    }
}

impl ReadExport for Volume {
    fn size(&self) -> u64 {
        self.size
    }

    fn description(&self) -> String {
        format!("point {}, read only", self.reader.point())
    }

    fn read(&self, offset: u64, length: u32) -> Result<Bytes, NbdError> {
        self.reader
            .read(self.number, offset, length as usize)
            .map(Bytes::from)
            .map_err(|error| self.told(&error))
    }

    fn read_parts(&self, offset: u64, length: u32) -> Result<Vec<ReadPart<Bytes>>, NbdError> {
        if length < SPARSE_READ_BYTES {
            let buffer = self.read(offset, length)?;
            return Ok(vec![ReadPart::Data { buffer, length }]);
        }
        let mut parts = Vec::new();
        let mut at = offset;
        for status in self.status(offset, u64::from(length))? {
            let piece = u32::try_from(status.length).map_err(|_| NbdError::Overflow)?;
            parts.push(match status.kind {
                StatusKind::Zero => ReadPart::Hole { length: piece },
                StatusKind::Data | StatusKind::Unknown => ReadPart::Data {
                    buffer: self.read(at, piece)?,
                    length: piece,
                },
            });
            at += status.length;
        }
        Ok(parts)
    }

    fn block_status(
        &self,
        offset: u64,
        length: u32,
        limit: usize,
    ) -> Result<Vec<Extent>, NbdError> {
        let extent = |status: Status| Extent {
            length: status.length,
            allocation: match status.kind {
                StatusKind::Zero => Allocation::HOLE,
                StatusKind::Data | StatusKind::Unknown => Allocation::DATA,
            },
        };
        let status = self.status(offset, u64::from(length).min(STATUS_BYTES))?;
        Ok(status.into_iter().take(limit).map(extent).collect())
    }
}

/// Bytes that a view's volumes hold besides zeroes. Blocks.
pub(crate) fn written_bytes(reader: &ViewReader) -> Result<u64, ViewError> {
    let mut bytes = 0;
    for_written(reader, |_, range| {
        bytes += range.end - range.start;
        Ok(())
    })?;
    Ok(bytes)
}

/// A digest of everything written in a view, with its places. Blocks.
pub(crate) fn digest(reader: &ViewReader) -> Result<String, ViewError> {
    let mut hasher = blake3::Hasher::new();
    for member in reader.volumes() {
        hasher.update(&member.id.to_u128().to_le_bytes());
        hasher.update(&member.size_bytes.to_le_bytes());
    }
    let mut buffer = Vec::new();
    for_written(reader, |volume, range| {
        hasher.update(&volume.0.to_le_bytes());
        hash_range(reader, volume, range, &mut buffer, &mut hasher)
    })?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// Visits every range that holds data, in order.
fn for_written(
    reader: &ViewReader,
    mut visit: impl FnMut(VolumeNumber, std::ops::Range<u64>) -> Result<(), ViewError>,
) -> Result<(), ViewError> {
    for member in reader.volumes() {
        let mut offset = 0;
        while offset < member.size_bytes {
            let window = (member.size_bytes - offset).min(STATUS_BYTES);
            for status in reader.block_status(member.number, offset, window)? {
                let end = offset + status.length;
                if status.kind == StatusKind::Data {
                    visit(member.number, offset..end)?;
                }
                offset = end;
            }
        }
    }
    Ok(())
}

fn hash_range(
    reader: &ViewReader,
    volume: VolumeNumber,
    range: std::ops::Range<u64>,
    buffer: &mut Vec<u8>,
    hasher: &mut blake3::Hasher,
) -> Result<(), ViewError> {
    let mut offset = range.start;
    while offset < range.end {
        let length = (range.end - offset).min(DIGEST_STEP_BYTES);
        // At most `DIGEST_STEP_BYTES`, so it fits whatever a usize is.
        buffer.resize(length as usize, 0);
        reader.read_into(volume, offset, buffer)?;
        // With its place, so that equal bytes elsewhere are not the same.
        hasher.update(&offset.to_le_bytes());
        hasher.update(buffer);
        offset += length;
    }
    Ok(())
}
