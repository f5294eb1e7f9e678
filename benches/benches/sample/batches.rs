//! Batches made as the gateway makes them, for the benchmarks that need some.

use bcdr_format::{
    GroupId, IncarnationId, IncarnationOrdinal, Opening, Sequence, StreamId, Timestamp,
    batch::SealedChunk,
    record::{Record, RecordBody},
};
use bcdr_gateway::reduce::{
    batcher::{BatchLimits, Batcher, ClosedBatch},
    pack::SealChunk,
};
use bcdr_wire::seal::{ChunkSealer, SealError};
use bytes::Bytes;
use std::time::Instant;

/// The wire crate's sealer as the gateway uses it.
pub(crate) struct Sealer(pub(crate) ChunkSealer);

impl SealChunk for Sealer {
    type Error = SealError;

    fn seal(&mut self, plain: &[u8]) -> Result<SealedChunk, SealError> {
        self.0.seal(plain)
    }
}

/// Makes the batches of one stream's first life.
pub(crate) struct Batches {
    batcher: Batcher,
    next: Sequence,
}

impl Batches {
    pub(crate) fn new(group: GroupId, stream: StreamId) -> Self {
        let mut batcher = Batcher::new(group, stream, BatchLimits::default());
        batcher.incarnation(Opening {
            ordinal: IncarnationOrdinal::FIRST,
            id: IncarnationId::from_u128(3),
            continues: None,
            first: Sequence::FIRST,
        });
        Self {
            batcher,
            next: Sequence::FIRST,
        }
    }

    /// One batch of records that say this.
    pub(crate) fn close(
        &mut self,
        bodies: impl IntoIterator<Item = RecordBody<Bytes>>,
    ) -> ClosedBatch {
        let now = Instant::now();
        let mut closed = Vec::new();
        for body in bodies {
            let sequence = self.next;
            self.next = Sequence(sequence.0 + 1);
            let record = Record {
                sequence,
                captured_at: Timestamp(0),
                body,
            };
            closed.extend(self.batcher.push(record, now));
        }
        closed.extend(self.batcher.poll(now + BatchLimits::default().age));
        assert_eq!(closed.len(), 1, "the records are meant to fit in one batch");
        closed.remove(0)
    }
}
