//! What lies in a partition, and how files are read out of it.
//!
//! Many formats are recognised; ext2/3/4 and FAT can be read. Invariant: a file is never taken into
//! memory before its size was compared with what the caller wants at most.

mod ext;
mod fat;
mod recognise;

pub(crate) use ext::{ExtState, ExtTree};
pub(crate) use fat::FatTree;
pub(crate) use recognise::{Recognised, recognise};

use crate::disk::{Bound, Budget};
use std::io::Read;

/// The longest line of a text file, in bytes. The kernel's own command line has 4096 at most.
pub(crate) const LINE_BYTES_MAX: usize = 64 * 1024;

/// What a partition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Ext2,
    Ext3,
    Ext4,
    Fat,
    Xfs,
    Btrfs,
    Ntfs,
    ExFat,
    Swap,
    LvmPhysicalVolume,
    Luks,
    RaidMember,
    BitLocker,
    Iso9660,
}

impl Format {
    /// As `/etc/fstab` and people call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ext2 => "ext2",
            Self::Ext3 => "ext3",
            Self::Ext4 => "ext4",
            Self::Fat => "vfat",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
            Self::Ntfs => "ntfs",
            Self::ExFat => "exfat",
            Self::Swap => "swap",
            Self::LvmPhysicalVolume => "LVM physical volume",
            Self::Luks => "LUKS encrypted volume",
            Self::RaidMember => "member of a Linux RAID",
            Self::BitLocker => "BitLocker encrypted volume",
            Self::Iso9660 => "iso9660",
        }
    }

    /// Whether something to mount may be inside that is not seen here.
    pub(crate) const fn hides_volumes(self) -> bool {
        matches!(
            self,
            Self::LvmPhysicalVolume | Self::Luks | Self::RaidMember
        )
    }

    /// Whether it is of a Linux and of nothing else.
    pub(crate) const fn is_linux(self) -> bool {
        matches!(self, Self::Xfs | Self::Btrfs | Self::Swap)
    }

    /// Whether `/etc/fstab` may call it so.
    pub(crate) fn is_called(self, name: &str) -> bool {
        match self {
            Self::Ext2 | Self::Ext3 | Self::Ext4 => name.starts_with("ext"),
            Self::Fat => matches!(name, "vfat" | "msdos" | "fat"),
            Self::Ntfs => name.starts_with("ntfs"),
            _ => name == self.name(),
        }
    }
}

/// Why something was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TreeError {
    #[error("it does not exist")]
    NotFound,
    #[error(transparent)]
    Bound(#[from] Bound),
    #[error("it is not a plain file")]
    NotAFile,
    #[error("it is not text")]
    NotText,
    #[error("it cannot be read here: {0}")]
    Unsupported(String),
    #[error("{0}")]
    Unreadable(String),
}

impl TreeError {
    /// Whether it says nothing about the file: a bound of the inspection, or a form not known here.
    pub(crate) fn is_unknown(&self) -> bool {
        matches!(self, Self::Bound(_) | Self::Unsupported(_))
    }
}

/// What a directory holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) is_directory: bool,
}

/// A file system whose files can be read. Paths begin with `/`; links are followed inside of it.
pub(crate) trait Tree {
    /// A file's size and contents.
    fn open(&self, path: &str) -> Result<(u64, Box<dyn Read>), TreeError>;

    /// What is in a directory, by name.
    fn list(&self, path: &str) -> Result<Vec<Entry>, TreeError>;

    /// What all work on it is charged to.
    fn budget(&self) -> &Budget;

    /// All of a file that has at most so many bytes.
    fn read(&self, path: &str, most: u64) -> Result<Vec<u8>, TreeError> {
        let (size, reader) = self.open(path)?;
        if size > most {
            let reason = format!("{path} has {size} bytes, more than the {most} that are read");
            return Err(self.budget().hit(reason).into());
        }
        self.budget().keep(size)?;
        let mut bytes = Vec::new();
        reader
            .take(size)
            .read_to_end(&mut bytes)
            .map_err(|error| TreeError::Unreadable(error.to_string()))?;
        Ok(bytes)
    }

    /// All of a text file of at most so many bytes, with lines of a usual length.
    fn text_of(&self, path: &str, most: u64) -> Result<String, TreeError> {
        let text = String::from_utf8(self.read(path, most)?).map_err(|_| TreeError::NotText)?;
        if text.lines().any(|line| line.len() > LINE_BYTES_MAX) {
            let reason = format!("{path} has a line of more than {LINE_BYTES_MAX} bytes");
            return Err(self.budget().hit(reason).into());
        }
        Ok(text)
    }

    /// All of a text file of a usual size.
    fn text(&self, path: &str) -> Result<String, TreeError> {
        const MOST: u64 = 1 << 20;
        self.text_of(path, MOST)
    }
}
