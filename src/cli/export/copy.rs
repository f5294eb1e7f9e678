//! Copying an export to a file: many reads in flight, one writer, zeros left out.

use super::{
    super::{failure::Failure, progress::Activity},
    areas::Areas,
    reading,
};
use bcdr_disk::{DiskError, File};
use bcdr_nbd::client::{Client, ClientError};
use bytes::Bytes;
use std::{collections::VecDeque, sync::Arc};
use tokio::{sync::mpsc, task::JoinHandle};

/// Bytes per read, if the server takes so many.
const READ_BYTES: u32 = 1 << 20;
/// Reads in flight.
const READS: usize = 16;
/// Pieces on their way, with the areas of zeros between the reads.
const PENDING: usize = 256;
/// Pieces that wait for the writer.
const QUEUE: usize = 8;
/// The unit in which zeros are left out: what a file system allocates.
const BLOCK: usize = 4096;
/// What an area of zeros is hashed from.
static ZEROS: [u8; 1 << 20] = [0; 1 << 20];

/// What the writer is given, in the order of the volume.
enum Piece {
    Data { offset: u64, bytes: Bytes },
    Zeros { length: u64 },
}

/// Copies the whole export into an empty file, which gets the export's length, and returns the
/// digest of the content if it is wanted. Nothing is durable yet.
pub(super) async fn copy(
    client: &Client,
    file: Arc<dyn File>,
    digest: bool,
    activity: &Activity,
) -> Result<Option<String>, Failure> {
    let size = client.export().size;
    let (pieces, queue) = mpsc::channel(QUEUE);
    let writer = tokio::task::spawn_blocking(move || write(&*file, size, digest, queue));
    let read = read(client, &pieces, activity).await;
    drop(pieces);
    let written = writer
        .await
        .map_err(|_| Failure::error("the export was interrupted"))?;
    // The writer's failure is why the reader could not go on.
    let digest = written.map_err(|error| Failure::error("the export failed").cause(error))?;
    read.map_err(reading)?;
    Ok(digest)
}

/// Reads everything and passes it on in order; ends early when the writer is gone.
async fn read(
    client: &Client,
    pieces: &mpsc::Sender<Piece>,
    activity: &Activity,
) -> Result<(), ClientError> {
    let mut line = Line {
        pending: VecDeque::new(),
        reads: 0,
        pieces,
        activity,
    };
    let most = u64::from(
        client
            .export()
            .block_sizes
            .maximum_payload()
            .min(READ_BYTES),
    );
    let mut areas = Areas::new(client);
    while let Some(area) = areas.next().await? {
        if area.zero {
            if !line.make_room().await? {
                return Ok(());
            }
            line.pending.push_back(Pending::Zeros {
                length: area.length,
            });
            continue;
        }
        let end = area.offset + area.length;
        let mut offset = area.offset;
        while offset < end {
            if !line.make_room().await? {
                return Ok(());
            }
            let length = (end - offset).min(most);
            // It fits in 32 bits, because `most` does.
            line.begin(client.clone(), offset, length as u32);
            offset += length;
        }
    }
    while !line.pending.is_empty() && line.finish_first().await? {}
    Ok(())
}

/// A piece on its way.
enum Pending {
    Read {
        offset: u64,
        reading: JoinHandle<Result<Bytes, ClientError>>,
    },
    Zeros {
        length: u64,
    },
}

/// The pieces on their way, in the order of the volume.
struct Line<'a> {
    pending: VecDeque<Pending>,
    reads: usize,
    pieces: &'a mpsc::Sender<Piece>,
    activity: &'a Activity,
}

impl Line<'_> {
    fn begin(&mut self, client: Client, offset: u64, length: u32) {
        let reading = tokio::spawn(async move { client.read(offset, length).await });
        self.pending.push_back(Pending::Read { offset, reading });
        self.reads += 1;
    }

    /// Waits until one more piece may be on its way; false when nobody takes them any more.
    async fn make_room(&mut self) -> Result<bool, ClientError> {
        while self.reads >= READS || self.pending.len() >= PENDING {
            if !self.finish_first().await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Passes the first piece on; false when nobody takes it.
    async fn finish_first(&mut self) -> Result<bool, ClientError> {
        let piece = match self.pending.pop_front() {
            None => return Ok(true),
            Some(Pending::Zeros { length }) => Piece::Zeros { length },
            Some(Pending::Read { offset, reading }) => {
                self.reads -= 1;
                let interrupted = |_| ClientError::Lost("the read was interrupted".to_owned());
                let bytes = reading.await.map_err(interrupted)??;
                self.activity.advance(bytes.len() as u64);
                Piece::Data { offset, bytes }
            }
        };
        Ok(self.pieces.send(piece).await.is_ok())
    }
}

/// Writes what comes, until nothing comes any more.
fn write(
    file: &dyn File,
    size: u64,
    digest: bool,
    mut queue: mpsc::Receiver<Piece>,
) -> Result<Option<String>, DiskError> {
    file.set_length(size)?;
    let mut hasher = digest.then(blake3::Hasher::new);
    while let Some(piece) = queue.blocking_recv() {
        match piece {
            Piece::Data { offset, bytes } => {
                write_without_zeros(file, offset, &bytes)?;
                if let Some(hasher) = &mut hasher {
                    hasher.update(&bytes);
                }
            }
            Piece::Zeros { length } => {
                if let Some(hasher) = &mut hasher {
                    hash_zeros(hasher, length);
                }
            }
        }
    }
    Ok(hasher.map(|hasher| hasher.finalize().to_hex().to_string()))
}

fn hash_zeros(hasher: &mut blake3::Hasher, length: u64) {
    let mut left = length;
    while left > 0 {
        let part = left.min(ZEROS.len() as u64);
        hasher.update(&ZEROS[..part as usize]);
        left -= part;
    }
}

/// Writes runs of blocks that hold something; the file is zeros elsewhere.
fn write_without_zeros(file: &dyn File, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
    let mut begin = 0;
    while begin < bytes.len() {
        let run = &bytes[begin..];
        let skipped = run.chunks(BLOCK).take_while(|block| is_zero(block)).count() * BLOCK;
        begin = (begin + skipped).min(bytes.len());
        let run = &bytes[begin..];
        let filled = run
            .chunks(BLOCK)
            .take_while(|block| !is_zero(block))
            .count()
            * BLOCK;
        let end = (begin + filled).min(bytes.len());
        if begin < end {
            file.write_all_at(&bytes[begin..end], offset + begin as u64)?;
        }
        begin = end;
    }
    Ok(())
}

fn is_zero(block: &[u8]) -> bool {
    // In groups, which the compiler turns into wide instructions.
    block
        .chunks(64)
        .all(|group| group.iter().fold(0, |all, byte| all | byte) == 0)
}
