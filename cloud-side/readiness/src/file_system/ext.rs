//! ext2, ext3 and ext4.
//!
//! The state is read from the superblock by ourselves, because it decides whether the rest is looked
//! at; files are read by the crate `ext4-view`, which replays the journal in memory. It is given only
//! superblocks whose numbers fit the partition, so that its tables stay in proportion to the disk.

use super::{Entry, Format, Tree, TreeError};
use crate::disk::{Window, field};
use ext4_view::{Ext4, Ext4Error, Ext4Read, File};
use std::{
    error::Error,
    io::{self, Read},
};

/// Where the superblock begins.
const SUPERBLOCK: u64 = 1024;
const MAGIC: u16 = 0xef53;
const DIRECTORY_ENTRIES_MAX: usize = 65_536;

const COMPAT_JOURNAL: u32 = 0x4;
const INCOMPAT_RECOVER: u32 = 0x4;
const INCOMPAT_JOURNAL_DEVICE: u32 = 0x8;
const INCOMPAT_EXTENTS: u32 = 0x40;
const INCOMPAT_64BIT: u32 = 0x80;
const INCOMPAT_INLINE_DATA: u32 = 0x8000;
const RO_COMPAT_BIGALLOC: u32 = 0x200;
const RO_COMPAT_SHARED_BLOCKS: u32 = 0x4000;
const RO_COMPAT_VERITY: u32 = 0x8000;

/// What the superblock says.
#[derive(Debug, Clone)]
pub(crate) struct ExtState {
    pub(crate) format: Format,
    pub(crate) uuid: String,
    pub(crate) label: String,
    /// Bytes that it was made for.
    pub(crate) size: u64,
    pub(crate) block_size: u64,
    /// It was unmounted, or is in order after a replay of its journal.
    pub(crate) clean: bool,
    /// It has met errors that nobody has repaired.
    pub(crate) errors: bool,
    /// Its journal holds changes that are not in place yet.
    pub(crate) needs_recovery: bool,
    incompat: u32,
    ro_compat: u32,
    blocks_per_group: u32,
}

impl ExtState {
    /// Reads the superblock. None when there is none.
    pub(crate) fn read(window: &Window) -> Option<Self> {
        let bytes = window.bytes::<1024>(SUPERBLOCK).ok()?;
        let scale = field::le32(&bytes, 0x18);
        if field::le16(&bytes, 0x38) != MAGIC || scale > 6 {
            return None;
        }
        let compat = field::le32(&bytes, 0x5c);
        let incompat = field::le32(&bytes, 0x60);
        let state = field::le16(&bytes, 0x3a);
        let journal = compat & COMPAT_JOURNAL != 0 || incompat & INCOMPAT_JOURNAL_DEVICE != 0;
        let high = if incompat & INCOMPAT_64BIT == 0 {
            0
        } else {
            field::le32(&bytes, 0x150)
        };
        let blocks = u64::from(high) << 32 | u64::from(field::le32(&bytes, 4));
        let block_size = 1024 << scale;
        Some(Self {
            format: match (journal, incompat & INCOMPAT_EXTENTS != 0) {
                (_, true) => Format::Ext4,
                (true, false) => Format::Ext3,
                (false, false) => Format::Ext2,
            },
            uuid: field::uuid(&bytes[0x68..0x78]),
            label: field::text(&bytes[0x78..0x88]),
            size: blocks.saturating_mul(block_size),
            block_size,
            clean: state & 1 != 0 || journal,
            errors: state & 2 != 0,
            needs_recovery: incompat & INCOMPAT_RECOVER != 0,
            incompat,
            ro_compat: field::le32(&bytes, 0x64),
            blocks_per_group: field::le32(&bytes, 0x20),
        })
    }

    /// Why an edit of equal length in a file's block might not be what the file then says. None when
    /// it is sure to be: file data has no checksum in this format, and lies in one place only.
    pub(crate) fn reason_against_edits(&self) -> Option<&'static str> {
        if self.needs_recovery {
            return Some("its journal is replayed at the next mount, and might replace the edit");
        }
        if self.errors {
            return Some("it remembers errors");
        }
        let special = self.incompat & INCOMPAT_INLINE_DATA != 0
            || self.ro_compat & (RO_COMPAT_BIGALLOC | RO_COMPAT_SHARED_BLOCKS | RO_COMPAT_VERITY)
                != 0;
        special.then_some("it may keep a file's data inside of metadata, shared or sealed")
    }
}

struct Source(Window);

impl Ext4Read for Source {
    fn read(
        &mut self,
        start_byte: u64,
        buffer: &mut [u8],
    ) -> Result<(), Box<dyn Error + Send + Sync + 'static>> {
        Ok(self.0.read(start_byte, buffer)?)
    }
}

/// The files of such a file system.
pub(crate) struct ExtTree(Ext4);

impl ExtTree {
    /// Opens it. The state must be that of the window.
    pub(crate) fn open(window: &Window, state: &ExtState) -> Result<Self, TreeError> {
        Self::through(Box::new(Source(window.clone())), window.length(), state)
    }

    /// Opens it through a reader of the caller's.
    pub(crate) fn through(
        reader: Box<dyn Ext4Read>,
        length: u64,
        state: &ExtState,
    ) -> Result<Self, TreeError> {
        if state.size > length {
            return Err(TreeError::Unreadable(format!(
                "the file system says it has {} bytes, its partition has {length}",
                state.size
            )));
        }
        if u64::from(state.blocks_per_group) < state.block_size / 8 {
            return Err(TreeError::Unreadable(format!(
                "its block groups of {} blocks are unusually small",
                state.blocks_per_group
            )));
        }
        Ext4::load(reader).map(Self).map_err(error)
    }
}

fn error(error: Ext4Error) -> TreeError {
    match error {
        Ext4Error::NotFound | Ext4Error::NotADirectory => TreeError::NotFound,
        Ext4Error::IsADirectory | Ext4Error::IsASpecialFile => TreeError::NotAFile,
        Ext4Error::Incompatible(reason) => TreeError::Unsupported(reason.to_string()),
        Ext4Error::Encrypted => TreeError::Unsupported("it is encrypted".to_owned()),
        other => TreeError::Unreadable(other.to_string()),
    }
}

struct Contents(File);

impl Read for Contents {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_bytes(buffer).map_err(io::Error::other)
    }
}

impl Tree for ExtTree {
    fn open(&self, path: &str) -> Result<(u64, Box<dyn Read>), TreeError> {
        let file = self.0.open(path).map_err(error)?;
        Ok((file.metadata().len(), Box::new(Contents(file))))
    }

    fn list(&self, path: &str) -> Result<Vec<Entry>, TreeError> {
        let mut entries = Vec::new();
        for entry in self
            .0
            .read_dir(path)
            .map_err(error)?
            .take(DIRECTORY_ENTRIES_MAX)
        {
            let entry = entry.map_err(error)?;
            let Ok(name) = entry.file_name().as_str().map(str::to_owned) else {
                continue;
            };
            if name == "." || name == ".." {
                continue;
            }
            entries.push(Entry {
                is_directory: entry.file_type().map_err(error)?.is_dir(),
                name,
            });
        }
        entries.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(entries)
    }
}
