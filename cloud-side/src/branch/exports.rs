//! The volumes of a branch as writable NBD exports on a private socket.
//!
//! Clients may write at any byte; a branch takes whole sectors. A write that ends inside a sector
//! reads that sector first, alone, so that no other write to it is lost. A client's flush is the
//! branch's. Whoever recovers a machine decides when a branch is served.

use super::{Branch, BranchError, BranchId};
use crate::{
    replica::{Status, StatusKind},
    views::percent_encode,
};
use bcdr_format::{SECTOR_BYTES, VolumeNumber};
use bcdr_nbd::{
    Allocation, BindError, Extent, NbdError, PrivateSocket,
    server::{Limits, ReadExport, ServedExport, ViewExports, WriteExport, serve},
};
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock, PoisonError, RwLock},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Bytes whose allocation is looked up at once.
const STATUS_BYTES: u64 = 256 << 20;

/// Where a branch is served: the same path after every restart.
pub fn socket_path(runtime_directory: &Path, branch: BranchId) -> PathBuf {
    runtime_directory.join(format!("{branch}.sock"))
}

/// A volume of a branch and the name it is exported under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedVolume {
    /// The volume's number.
    pub number: VolumeNumber,
    /// The export's name.
    pub name: String,
}

/// A branch that is served.
#[derive(Debug)]
pub struct ServedBranch {
    branch: Arc<Branch>,
    socket: PathBuf,
    stop: CancellationToken,
    server: JoinHandle<()>,
}

impl ServedBranch {
    /// The address of an export: `nbd+unix:///NAME?socket=PATH`.
    pub fn uri(&self, name: &str) -> String {
        let socket = percent_encode(&self.socket.to_string_lossy());
        format!("nbd+unix:///{name}?socket={socket}")
    }

    /// Ends serving: requests that were begun are finished, and what was answered is made durable.
    ///
    /// # Errors
    /// When the branch's store failed.
    pub async fn stop(self) -> Result<(), BranchError> {
        self.stop.cancel();
        if let Err(error) = self.server.await {
            tracing::error!(branch = %self.branch.id(), %error, "a branch's server broke");
        }
        let branch = self.branch;
        crate::offload::offload(move || branch.flush()).await
    }
}

/// Serves volumes of a branch on a socket of mode 0600 at `socket`. The first one is the default
/// export, as it is the first disk; numbers that are none of the branch's volumes are left out.
///
/// # Errors
/// When the socket cannot be made.
pub fn serve_branch(
    branch: &Arc<Branch>,
    socket: &Path,
    volumes: &[ExportedVolume],
) -> Result<ServedBranch, BindError> {
    let listener = PrivateSocket::bind(socket)?;
    let exports = volumes.iter().filter_map(|volume| {
        let mut members = branch.volumes().iter();
        let member = members.find(|member| member.number == volume.number)?;
        let export = Volume {
            branch: Arc::clone(branch),
            number: member.number,
            size: member.size_bytes,
            sectors: RwLock::new(()),
            complained: OnceLock::new(),
        };
        let export = ServedExport::Writable(Arc::new(export));
        Some((volume.name.clone(), export))
    });
    let exports = Exports {
        first: volumes.first().map(|volume| volume.name.clone()),
        exports: exports.collect(),
    };
    let stop = CancellationToken::new();
    let stopped = stop.clone().cancelled_owned();
    let path = socket.to_owned();
    let server = tokio::spawn(async move {
        let served = serve(listener, Arc::new(exports), Limits::default(), stopped).await;
        if let Err(error) = served {
            tracing::error!(socket = %path.display(), %error, "a branch cannot be served");
        }
    });
    Ok(ServedBranch {
        branch: Arc::clone(branch),
        socket: socket.to_owned(),
        stop,
        server,
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
    branch: Arc<Branch>,
    number: VolumeNumber,
    size: u64,
    /// Writes of whole sectors share it; one that must read a sector first has it alone.
    sectors: RwLock<()>,
    complained: OnceLock<()>,
}

impl Volume {
    /// What a client sees of an error, since NBD has only a number for it.
    fn told(&self, error: &BranchError) -> NbdError {
        match error {
            BranchError::OutsideVolume { .. } | BranchError::Unaligned { .. } => NbdError::Invalid,
            BranchError::NoSpace(_) => NbdError::NoSpace,
            BranchError::Closed { .. } => NbdError::Shutdown,
            _ => {
                if self.complained.set(()).is_ok() {
                    tracing::error!(branch = %self.branch.id(), %error, "a client of a branch gets an error");
                }
                NbdError::Io
            }
        }
    }

    fn status(&self, offset: u64, length: u64) -> Result<Vec<Status>, NbdError> {
        self.branch
            .block_status(self.number, offset, length)
            .map_err(|error| self.told(&error))
    }

    fn sector(&self, offset: u64) -> Result<Vec<u8>, BranchError> {
        self.branch.read(self.number, offset, SECTOR_BYTES as usize)
    }

    /// Writes bytes that begin or end inside a sector.
    fn write_inside(&self, offset: u64, data: &[u8]) -> Result<(), BranchError> {
        let end = offset + data.len() as u64;
        let first = offset - offset % SECTOR_BYTES;
        let last = end.next_multiple_of(SECTOR_BYTES) - SECTOR_BYTES;
        let mut bytes = self.sector(first)?;
        if last > first {
            bytes.resize((last - first) as usize, 0);
            bytes.extend(self.sector(last)?);
        }
        bytes[(offset - first) as usize..(end - first) as usize].copy_from_slice(data);
        self.branch.write(self.number, first, bytes.into())
    }

    fn zero_inside(&self, offset: u64, length: u64) -> Result<(), BranchError> {
        let end = offset + length;
        let inner = offset.next_multiple_of(SECTOR_BYTES);
        let inner_end = end - end % SECTOR_BYTES;
        if inner >= inner_end {
            return self.write_inside(offset, &vec![0; length as usize]);
        }
        if offset < inner {
            self.write_inside(offset, &vec![0; (inner - offset) as usize])?;
        }
        self.branch
            .write_zeroes(self.number, inner, inner_end - inner)?;
        if inner_end < end {
            self.write_inside(inner_end, &vec![0; (end - inner_end) as usize])?;
        }
        Ok(())
    }
}

fn whole_sectors(offset: u64, length: u64) -> bool {
    offset.is_multiple_of(SECTOR_BYTES) && length.is_multiple_of(SECTOR_BYTES)
}

impl ReadExport for Volume {
    fn size(&self) -> u64 {
        self.size
    }

    fn description(&self) -> String {
        format!("branch {}", self.branch.id())
    }

    fn read(&self, offset: u64, length: u32) -> Result<Bytes, NbdError> {
        self.branch
            .read(self.number, offset, length as usize)
            .map(Bytes::from)
            .map_err(|error| self.told(&error))
    }

    fn block_status(
        &self,
        offset: u64,
        length: u32,
        limit: usize,
    ) -> Result<Vec<Extent>, NbdError> {
        let status = self.status(offset, u64::from(length).min(STATUS_BYTES))?;
        let extent = |status: Status| Extent {
            length: status.length,
            allocation: match status.kind {
                StatusKind::Zero => Allocation::HOLE,
                StatusKind::Data | StatusKind::Unknown => Allocation::DATA,
            },
        };
        Ok(status.into_iter().take(limit).map(extent).collect())
    }
}

impl WriteExport for Volume {
    fn write(&self, offset: u64, data: Bytes) -> Result<(), NbdError> {
        let written = if whole_sectors(offset, data.len() as u64) {
            let _shared = self.sectors.read().unwrap_or_else(PoisonError::into_inner);
            self.branch.write(self.number, offset, data)
        } else {
            let _alone = self.sectors.write().unwrap_or_else(PoisonError::into_inner);
            self.write_inside(offset, &data)
        };
        written.map_err(|error| self.told(&error))
    }

    fn write_zeroes(&self, offset: u64, length: u64, _may_unmap: bool) -> Result<(), NbdError> {
        // Zeroes take no space either way.
        let written = if whole_sectors(offset, length) {
            let _shared = self.sectors.read().unwrap_or_else(PoisonError::into_inner);
            self.branch.write_zeroes(self.number, offset, length)
        } else {
            let _alone = self.sectors.write().unwrap_or_else(PoisonError::into_inner);
            self.zero_inside(offset, length)
        };
        written.map_err(|error| self.told(&error))
    }

    fn flush(&self) -> Result<(), NbdError> {
        self.branch.flush().map_err(|error| self.told(&error))
    }
}
