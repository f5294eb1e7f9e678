//! The workers that pack, compress and seal closed batches, in order of their results.

use crate::{
    keys::Keys,
    reduce::{
        batcher::ClosedBatch,
        pack::{PackError, SealChunk, pack},
    },
};
use bcdr_format::{
    DataKeyId,
    batch::{BatchLayout, SealedChunk},
    continuity::Arriving,
    position::Generation,
};
use bcdr_wire::seal::{ChunkSealer, SealError};
use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesOrdered};
use std::sync::{Arc, Mutex};
use tokio::task::JoinHandle;

impl SealChunk for ChunkSealer {
    type Error = SealError;

    fn seal(&mut self, plain: &[u8]) -> Result<SealedChunk, SealError> {
        Self::seal(self, plain)
    }
}

/// A batch ready to be shipped, its MAC still empty.
#[derive(Debug)]
pub(super) struct PackedBatch {
    pub(super) arriving: Arriving,
    pub(super) bytes: Bytes,
    pub(super) keys: Vec<DataKeyId>,
    /// Bytes its records wrote before newer ones replaced older ones.
    pub(super) written_bytes: u64,
    /// Bytes of memory it was charged with while it was packed.
    retained_bytes: u64,
}

type Job = JoinHandle<Result<PackedBatch, PackError<SealError>>>;

/// Packs batches on blocking threads and yields them in the order they were given.
#[derive(Debug)]
pub(super) struct Packers {
    idle: Arc<Mutex<Vec<ChunkSealer>>>,
    keys: Keys,
    jobs: FuturesOrdered<Job>,
    retained_bytes: u64,
}

impl Packers {
    pub(super) fn new(keys: Keys) -> Self {
        Self {
            idle: Arc::new(Mutex::new(Vec::new())),
            keys,
            jobs: FuturesOrdered::new(),
            retained_bytes: 0,
        }
    }

    /// Bytes of memory that batches being packed keep.
    pub(super) fn retained_bytes(&self) -> u64 {
        self.retained_bytes
    }

    /// Whether nothing is being packed.
    pub(super) fn is_idle(&self) -> bool {
        self.jobs.is_empty()
    }

    pub(super) fn start(&mut self, closed: ClosedBatch, generation: Generation) {
        let retained_bytes = closed.retained_bytes;
        self.retained_bytes += retained_bytes;
        let (idle, keys) = (Arc::clone(&self.idle), self.keys.clone());
        self.jobs.push_back(tokio::task::spawn_blocking(move || {
            let taken = idle
                .lock()
                .expect("sealers are only taken and put back")
                .pop();
            let mut sealer = match taken {
                Some(sealer) => sealer,
                None => ChunkSealer::new(Arc::clone(&keys.data)).map_err(PackError::Seal)?,
            };
            let written_bytes = closed.header.written_bytes;
            let packed = pack(closed, generation, &mut sealer);
            idle.lock()
                .expect("sealers are only taken and put back")
                .push(sealer);
            let bytes = packed?;
            let layout = BatchLayout::parse_head(&bytes).map_err(PackError::Encode)?;
            Ok(PackedBatch {
                arriving: layout.header.arriving(),
                keys: layout.data_keys(),
                bytes: Bytes::from(bytes),
                written_bytes,
                retained_bytes,
            })
        }));
    }

    /// The next batch; pending while none is being packed. Cancel safe.
    pub(super) async fn next(&mut self) -> Result<PackedBatch, PackError<SealError>> {
        let Some(done) = self.jobs.next().await else {
            return std::future::pending().await;
        };
        let packed = done.expect("packing does not panic and is not cancelled");
        if let Ok(packed) = &packed {
            self.retained_bytes -= packed.retained_bytes;
        }
        packed
    }

    /// Gives up what is being packed.
    pub(super) fn abandon(&mut self) {
        self.jobs.clear();
        self.retained_bytes = 0;
    }
}
