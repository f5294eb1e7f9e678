//! ext2, ext3 and ext4.
//!
//! The state is read from the superblock by ourselves, because it decides whether the rest is looked
//! at; files are read by the crate `ext4-view`, which replays the journal in memory. It is given only
//! superblocks whose numbers fit the partition, so that its tables stay in proportion to the disk,
//! and paths whose links were followed here: it takes a link's target into memory whatever its size.

use super::{Entry, Format, Tree, TreeError};
use crate::disk::{Budget, Window, field};
use ext4_view::{Ext4, Ext4Error, Ext4Read, File};
use std::{
    cell::Cell,
    error::Error,
    io::{self, Read},
    rc::Rc,
};

/// Where the superblock begins.
const SUPERBLOCK: u64 = 1024;
const MAGIC: u16 = 0xef53;
const DIRECTORY_ENTRIES_MAX: usize = 65_536;
/// What the reader keeps of each block group, in bytes, generously.
const GROUP_BYTES: u64 = 64;
/// What may be read to open a file system: its descriptors, and what its journal holds. A part of it
/// is kept.
const OPENING_BYTES_MAX: u64 = 256 << 20;
/// As the kernel has them.
const LINKS_MAX: usize = 40;
const PATH_BYTES_MAX: u64 = 4096;

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

/// Reads for the file system's reader, and no more than so much while it is being opened.
struct Source {
    reader: Box<dyn Ext4Read>,
    /// What may still be read; none once it is open.
    opening: Rc<Cell<Option<u64>>>,
}

impl Ext4Read for Source {
    fn read(
        &mut self,
        start_byte: u64,
        buffer: &mut [u8],
    ) -> Result<(), Box<dyn Error + Send + Sync + 'static>> {
        if let Some(left) = self.opening.get() {
            let left = left.saturating_sub(buffer.len() as u64);
            self.opening.set(Some(left));
            if left == 0 {
                return Err("it takes too much to open it".into());
            }
        }
        self.reader.read(start_byte, buffer)
    }
}

struct Plain(Window);

impl Ext4Read for Plain {
    fn read(
        &mut self,
        start_byte: u64,
        buffer: &mut [u8],
    ) -> Result<(), Box<dyn Error + Send + Sync + 'static>> {
        Ok(self.0.read(start_byte, buffer)?)
    }
}

/// The files of such a file system.
pub(crate) struct ExtTree {
    files: Ext4,
    budget: Rc<Budget>,
}

impl ExtTree {
    /// Opens it. The state must be that of the window.
    pub(crate) fn open(window: &Window, state: &ExtState) -> Result<Self, TreeError> {
        Self::through(Box::new(Plain(window.clone())), window, state)
    }

    /// Opens it through a reader of the caller's.
    pub(crate) fn through(
        reader: Box<dyn Ext4Read>,
        window: &Window,
        state: &ExtState,
    ) -> Result<Self, TreeError> {
        if state.size > window.length() {
            return Err(TreeError::Unreadable(format!(
                "the file system says it has {} bytes, its partition has {}",
                state.size,
                window.length()
            )));
        }
        if u64::from(state.blocks_per_group) < state.block_size / 8 {
            return Err(TreeError::Unreadable(format!(
                "its block groups of {} blocks are unusually small",
                state.blocks_per_group
            )));
        }
        let budget = Rc::clone(window.budget());
        let group_bytes = u64::from(state.blocks_per_group).saturating_mul(state.block_size);
        let groups = state.size.div_ceil(group_bytes.max(1));
        budget.keep(groups.saturating_mul(GROUP_BYTES))?;
        let opening = Rc::new(Cell::new(Some(OPENING_BYTES_MAX)));
        let source = Source {
            reader,
            opening: Rc::clone(&opening),
        };
        let opened = Ext4::load(Box::new(source));
        if opening.replace(None) == Some(0) {
            let reason = format!(
                "to open a file system, more than {OPENING_BYTES_MAX} bytes of descriptors and journal would have to be read"
            );
            return Err(budget.hit(reason).into());
        }
        let files = opened.map_err(error)?;
        Ok(Self { files, budget })
    }

    /// A path without links in it, so that the reader follows none.
    fn resolve(&self, path: &str) -> Result<String, TreeError> {
        let mut done = String::new();
        let mut ahead: Vec<String> = parts(path);
        let mut links = 0;
        while let Some(part) = ahead.pop() {
            if part == ".." {
                done.truncate(done.rfind('/').unwrap_or(0));
                continue;
            }
            let next = format!("{done}/{part}");
            if next.len() as u64 > PATH_BYTES_MAX {
                return Err(TreeError::Unreadable("its path is too long".to_owned()));
            }
            let metadata = self.files.symlink_metadata(next.as_str()).map_err(error)?;
            if !metadata.is_symlink() {
                done = next;
                continue;
            }
            links += 1;
            if links > LINKS_MAX || metadata.len() > PATH_BYTES_MAX {
                return Err(TreeError::Unreadable(format!(
                    "{next} is a link of a chain of too many, or one of {} bytes",
                    metadata.len()
                )));
            }
            let target = self.files.read_link(next.as_str()).map_err(error)?;
            let target = target.to_str().map_err(|_| TreeError::NotText)?;
            if target.starts_with('/') {
                done.clear();
            }
            ahead.extend(parts(target));
        }
        if done.is_empty() {
            done.push('/');
        }
        Ok(done)
    }
}

/// The parts of a path, the last one first.
fn parts(path: &str) -> Vec<String> {
    path.split('/')
        .rev()
        .filter(|part| !part.is_empty() && *part != ".")
        .map(str::to_owned)
        .collect()
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
    fn budget(&self) -> &Budget {
        &self.budget
    }

    fn open(&self, path: &str) -> Result<(u64, Box<dyn Read>), TreeError> {
        let path = self.resolve(path)?;
        let file = self.files.open(path.as_str()).map_err(error)?;
        Ok((file.metadata().len(), Box::new(Contents(file))))
    }

    fn list(&self, path: &str) -> Result<Vec<Entry>, TreeError> {
        let path = self.resolve(path)?;
        let mut entries = Vec::new();
        for entry in self.files.read_dir(path.as_str()).map_err(error)? {
            if entries.len() == DIRECTORY_ENTRIES_MAX {
                let reason = format!(
                    "{path} has more than the {DIRECTORY_ENTRIES_MAX} entries that are read"
                );
                return Err(self.budget.hit(reason).into());
            }
            let entry = entry.map_err(error)?;
            let Ok(name) = entry.file_name().as_str().map(str::to_owned) else {
                continue;
            };
            if name == "." || name == ".." {
                continue;
            }
            self.budget.keep(name.len() as u64 + 32)?;
            entries.push(Entry {
                is_directory: entry.file_type().map_err(error)?.is_dir(),
                name,
            });
        }
        entries.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(entries)
    }
}
