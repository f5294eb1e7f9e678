//! Volumes served read-only, straight from their disks: no ring, no journal, no intents.
//!
//! Invariants: nothing is written to a disk here; while its volume is served its exclusive lock is
//! held, so nobody of ours writes to it meanwhile; a disk that a restore has not finished is not
//! served. Clients come by the same sockets as ever; over TLS a standing group is not served.

use std::{io, sync::Arc, time::Duration};

use bcdr_disk::AlignedBuffer;
use bcdr_format::VolumeId;
use bcdr_nbd::{
    Allocation, Extent, NbdError,
    server::{Limits, ReadExport, ServedExport, ViewExports, serve},
};
use bytes::Bytes;
use rustix::{
    fs::{SeekFrom, seek},
    io::Errno,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    config::{CaptureConfig, GroupConfig},
    group::{self, GroupContext, GroupError},
    group_thread::Export,
    restore::{ServeError, StampBook},
    ring::backing::Backing,
    status::GroupDescription,
};

/// Volumes that are ready to be served.
pub(crate) struct Ready {
    pub(crate) description: GroupDescription,
    exports: Vec<Export>,
}

/// Locks a group's volumes and binds their sockets. Blocks.
///
/// # Errors
/// If a volume cannot be had, is not to be served, or its socket is taken.
pub(crate) fn prepare(
    config: &CaptureConfig,
    group: &GroupConfig,
    context: &GroupContext,
    patience: Duration,
) -> Result<Ready, GroupError> {
    let opened = group::open_volumes(group, patience)?;
    let directory = config.group_directory(group);
    let stamps = StampBook::of_group(Arc::clone(&context.storage), &directory);
    let ids: Vec<VolumeId> = group.volumes.iter().map(|volume| volume.id).collect();
    match stamps.restored(&ids) {
        // Reading changes nothing, so a clean stamp stays true.
        Ok(_) => {}
        Err(error @ ServeError::Disk(_)) => {
            tracing::error!(group = group.name, %error, "the volumes are served all the same");
        }
        Err(source) => {
            return Err(GroupError::Restore {
                group: group.name.clone(),
                source: Box::new(source),
            });
        }
    }
    Ok(Ready {
        description: group::describe(group, &opened),
        exports: group::bind_sockets(group, &opened)?,
    })
}

/// Volumes that are served.
pub(crate) struct Exports {
    stop: CancellationToken,
    serving: JoinSet<()>,
}

impl Exports {
    /// Begins to serve. Needs a runtime.
    pub(crate) fn begin(ready: Ready) -> Self {
        let stop = CancellationToken::new();
        let mut serving = JoinSet::new();
        for export in ready.exports {
            let volume = Arc::new(StandingVolume {
                name: export.info.name.clone(),
                description: export.info.description.clone(),
                backing: export.backing,
            });
            let stopped = stop.clone().cancelled_owned();
            serving.spawn(async move {
                let name = volume.name.clone();
                let only = Arc::new(Only(volume));
                if let Err(error) = serve(export.socket, only, Limits::default(), stopped).await {
                    tracing::error!(volume = name, %error, "the volume cannot be served");
                }
            });
        }
        Self { stop, serving }
    }

    /// Ends the clients' connections, removes the sockets and lets the locks go.
    pub(crate) async fn close(mut self) {
        self.stop.cancel();
        while self.serving.join_next().await.is_some() {}
    }
}

/// One volume; its lock is held as long as this lives.
struct StandingVolume {
    name: String,
    description: String,
    backing: Arc<Backing>,
}

impl ReadExport for StandingVolume {
    fn size(&self) -> u64 {
        self.backing.size_bytes()
    }

    fn description(&self) -> String {
        format!("{}, read-only: production is elsewhere", self.description)
    }

    fn unit(&self) -> u32 {
        self.backing.unit()
    }

    fn read(&self, offset: u64, length: u32) -> Result<Bytes, NbdError> {
        let mut buffer = AlignedBuffer::zeroed(length as usize);
        read_exact(&self.backing, &mut buffer, offset).map_err(|error| {
            tracing::warn!(volume = self.name, offset, length, %error, "a read failed");
            NbdError::from(&error)
        })?;
        Ok(Bytes::from_owner(buffer))
    }

    fn block_status(
        &self,
        offset: u64,
        length: u32,
        limit: usize,
    ) -> Result<Vec<Extent>, NbdError> {
        let end = offset + u64::from(length);
        let mut extents = Vec::new();
        let mut at = offset;
        while at < end && extents.len() < limit {
            let (allocation, until) = self.allocation(at, end);
            let extent_end = until.clamp(at + 1, end);
            extents.push(Extent {
                length: extent_end - at,
                allocation,
            });
            at = extent_end;
        }
        Ok(extents)
    }
}

impl StandingVolume {
    /// How what is at `at` is stored, and up to where. What cannot be told counts as data.
    fn allocation(&self, at: u64, end: u64) -> (Allocation, u64) {
        if self.backing.is_block_device() {
            return (Allocation::DATA, end);
        }
        match seek(&*self.backing, SeekFrom::Data(at)) {
            Ok(data) if data > at => (Allocation::HOLE, data),
            Ok(_) => {
                let hole = seek(&*self.backing, SeekFrom::Hole(at)).unwrap_or(end);
                (Allocation::DATA, hole)
            }
            // No data from here to the end.
            Err(Errno::NXIO) => (Allocation::HOLE, end),
            Err(_) => (Allocation::DATA, end),
        }
    }
}

fn read_exact(backing: &Backing, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while done < buffer.len() {
        match rustix::io::pread(backing, &mut buffer[done..], offset + done as u64) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => done += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The one export of a volume's socket, which is also the default one.
struct Only(Arc<StandingVolume>);

impl ViewExports for Only {
    fn names(&self) -> Vec<String> {
        vec![self.0.name.clone()]
    }

    fn find(&self, name: &str) -> Option<(String, ServedExport)> {
        let known = name.is_empty() || name == self.0.name;
        let export = ServedExport::ReadOnly(Arc::clone(&self.0) as Arc<dyn ReadExport>);
        known.then(|| (self.0.name.clone(), export))
    }
}
