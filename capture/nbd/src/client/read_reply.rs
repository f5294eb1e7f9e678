//! The payloads of structured replies, checked piece by piece.
//!
//! A read reply is good only if its chunks lie inside the request, do not overlap and cover it
//! wholly. Nothing longer than what was asked for is ever read into memory.

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::driver::ReadError;
use crate::constants::{MAXIMUM_BLOCK_STATUS_EXTENTS, MAXIMUM_NAME_LENGTH, chunk};
use crate::error::NbdError;
use crate::export::{Allocation, Extent};

/// A read whose reply is arriving.
pub(super) struct ReadReply {
    offset: u64,
    length: u32,
    /// Allocated when the first content arrives.
    buffer: Vec<u8>,
    /// What has arrived: sorted, disjoint (begin, end) within the buffer.
    covered: Vec<(usize, usize)>,
}

impl ReadReply {
    pub(super) fn new(offset: u64, length: u32) -> Self {
        Self {
            offset,
            length,
            buffer: Vec::new(),
            covered: Vec::new(),
        }
    }

    /// The data of a simple reply.
    pub(super) async fn read_all(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
    ) -> Result<(), ReadError> {
        let place = self.claim(self.offset, self.length)?;
        stream
            .read_exact(&mut self.buffer[place.0..place.1])
            .await?;
        Ok(())
    }

    /// A chunk of data.
    pub(super) async fn data_chunk(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        length: u32,
    ) -> Result<(), ReadError> {
        let Some(length) = length.checked_sub(8) else {
            return Err(ReadError::Protocol("data chunk without an offset"));
        };
        let offset = stream.read_u64().await?;
        let (begin, end) = self.claim(offset, length)?;
        stream.read_exact(&mut self.buffer[begin..end]).await?;
        Ok(())
    }

    /// A chunk that stands for zeroes.
    pub(super) async fn hole_chunk(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        length: u32,
    ) -> Result<(), ReadError> {
        if length != 12 {
            return Err(ReadError::Protocol("hole chunk of the wrong length"));
        }
        let offset = stream.read_u64().await?;
        let size = stream.read_u32().await?;
        // The buffer began as zeroes and nobody else writes there.
        self.claim(offset, size).map(drop)
    }

    /// Reserves the place of a piece in the buffer.
    fn claim(&mut self, offset: u64, length: u32) -> Result<(usize, usize), ReadError> {
        let outside = ReadError::Protocol("content outside of the request");
        let begin = offset
            .checked_sub(self.offset)
            .and_then(|begin| u32::try_from(begin).ok());
        let room = begin.and_then(|begin| self.length.checked_sub(begin));
        let (Some(begin), Some(room)) = (begin, room) else {
            return Err(outside);
        };
        if length == 0 || length > room {
            return Err(outside);
        }
        let begin = begin as usize;
        let end = begin + length as usize;
        let index = self
            .covered
            .partition_point(|&(_, other_end)| other_end <= begin);
        if self
            .covered
            .get(index)
            .is_some_and(|&(other_begin, _)| other_begin < end)
        {
            return Err(ReadError::Protocol("overlapping content"));
        }
        match index
            .checked_sub(1)
            .and_then(|before| self.covered.get_mut(before))
        {
            // The usual case: content in order keeps this list at one entry.
            Some(before) if before.1 == begin => before.1 = end,
            _ => self.covered.insert(index, (begin, end)),
        }
        if self.buffer.is_empty() {
            self.buffer = vec![0; self.length as usize];
        }
        Ok((begin, end))
    }

    /// The data, if all of it has arrived.
    pub(super) fn finish(self) -> Result<Bytes, ReadError> {
        let total: usize = self.covered.iter().map(|(begin, end)| end - begin).sum();
        if total == self.length as usize {
            Ok(self.buffer.into())
        } else {
            Err(ReadError::Protocol("read reply with gaps"))
        }
    }
}

/// The extents of a block status chunk.
pub(super) async fn read_extents(
    stream: &mut (impl AsyncRead + Unpin),
    length: u32,
    context: Option<u32>,
) -> Result<Vec<Extent>, ReadError> {
    let wrong = ReadError::Protocol("map of the wrong length");
    let Some(size) = length.checked_sub(4) else {
        return Err(wrong);
    };
    let count = (size / 8) as usize;
    if !size.is_multiple_of(8) || count == 0 || count > MAXIMUM_BLOCK_STATUS_EXTENTS {
        return Err(wrong);
    }
    if Some(stream.read_u32().await?) != context {
        return Err(ReadError::Protocol(
            "map of a context that was not selected",
        ));
    }
    let mut extents = Vec::new();
    for _ in 0..count {
        let length = u64::from(stream.read_u32().await?);
        let allocation = Allocation::from_wire(stream.read_u32().await?);
        if length == 0 {
            return Err(ReadError::Protocol("empty extent"));
        }
        extents.push(Extent { length, allocation });
    }
    Ok(extents)
}

/// The error in an error chunk of any kind. Its words go to the log.
pub(super) async fn read_error_chunk(
    stream: &mut (impl AsyncRead + Unpin),
    kind: u16,
    length: u32,
) -> Result<NbdError, ReadError> {
    let tail = if kind == chunk::ERROR_OFFSET { 8 } else { 0 };
    let longest = 6 + MAXIMUM_NAME_LENGTH + tail;
    let length = length as usize;
    if length < 6 + tail || length > longest {
        return Err(ReadError::Protocol("error chunk of the wrong length"));
    }
    let number = stream.read_u32().await?;
    let words = usize::from(stream.read_u16().await?);
    if words > length - 6 - tail {
        return Err(ReadError::Protocol("error chunk whose message is too long"));
    }
    let mut rest = vec![0; length - 6];
    stream.read_exact(&mut rest).await?;
    let message = String::from_utf8_lossy(&rest[..words]);
    tracing::debug!(error = number, %message, "the NBD server refused a request");
    Ok(NbdError::from_wire(number))
}
