//! Which parts of an export hold data and which are known to be zeros.

use bcdr_nbd::client::{Client, ClientError};
use std::collections::VecDeque;

/// Bytes whose map is asked for at once.
const WINDOW: u64 = 1 << 30;

/// A part of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Area {
    /// Its first byte.
    pub(super) offset: u64,
    /// Its length in bytes.
    pub(super) length: u64,
    /// Whether it is known to read as zeros.
    pub(super) zero: bool,
}

/// The areas of an export, in order and without a gap. Without a map everything is data.
pub(super) struct Areas<'a> {
    client: &'a Client,
    offset: u64,
    known: VecDeque<Area>,
}

impl<'a> Areas<'a> {
    pub(super) fn new(client: &'a Client) -> Self {
        Self {
            client,
            offset: 0,
            known: VecDeque::new(),
        }
    }

    /// The next area; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Area>, ClientError> {
        if self.known.is_empty() {
            self.look().await?;
        }
        Ok(self.known.pop_front())
    }

    async fn look(&mut self) -> Result<(), ClientError> {
        let size = self.client.export().size;
        let length = (size - self.offset).min(WINDOW);
        if length == 0 {
            return Ok(());
        }
        if !self.client.export().has_block_status() {
            self.note(length, false);
            return Ok(());
        }
        // The window fits in 32 bits.
        let extents = self.client.block_status(self.offset, length as u32).await?;
        for extent in extents {
            let length = extent.length.min(size - self.offset);
            if length > 0 {
                self.note(length, extent.allocation.zero);
            }
        }
        if self.known.is_empty() {
            return Err(ClientError::Lost(
                "it sent a map without an extent".to_owned(),
            ));
        }
        Ok(())
    }

    fn note(&mut self, length: u64, zero: bool) {
        self.known.push_back(Area {
            offset: self.offset,
            length,
            zero,
        });
        self.offset += length;
    }
}

/// How many bytes are not known to be zeros.
pub(super) async fn data_bytes(client: &Client) -> Result<u64, ClientError> {
    let mut areas = Areas::new(client);
    let mut bytes = 0;
    while let Some(area) = areas.next().await? {
        if !area.zero {
            bytes += area.length;
        }
    }
    Ok(bytes)
}
