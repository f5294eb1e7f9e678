//! FAT12, FAT16 and FAT32, read-only.
//!
//! Written here because the crates at hand write to the disk, or follow a chain of clusters for as
//! long as it leads in a circle. Invariant: a chain is followed for no more clusters than exist.

use super::{Entry, Tree, TreeError};
use crate::disk::{Budget, Window, field};
use std::io::{self, Read};

const DIRECTORY_BYTES_MAX: usize = 1 << 20;
const DIRECTORY: u8 = 0x10;
const VOLUME_LABEL: u8 = 0x08;
const LONG_NAME: u8 = 0x0f;
/// A long name has 255 characters; 20 entries hold it.
const LONG_NAME_MAX: usize = 260;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    Twelve,
    Sixteen,
    ThirtyTwo,
}

/// A FAT file system.
#[derive(Debug, Clone)]
pub(crate) struct FatTree {
    window: Window,
    width: Width,
    table: u64,
    table_bytes: u64,
    root: Start,
    data: u64,
    cluster_bytes: u64,
    clusters: u32,
    /// As `blkid` writes it: `ABCD-1234`.
    pub(crate) serial: String,
    pub(crate) label: String,
    /// Bytes that it was made for.
    pub(crate) size: u64,
}

#[derive(Debug, Clone, Copy)]
enum Start {
    /// The fixed root directory of the older widths.
    Fixed {
        offset: u64,
        bytes: u64,
    },
    Cluster(u32),
}

struct Found {
    name: String,
    is_directory: bool,
    start: u32,
    size: u64,
}

impl FatTree {
    /// Reads the boot sector. None when it is not one of this format.
    pub(crate) fn open(window: &Window) -> Option<Self> {
        let boot = window.bytes::<512>(0).ok()?;
        let sector = u64::from(field::le16(&boot, 11));
        let per_cluster = u64::from(boot[13]);
        let reserved = u64::from(field::le16(&boot, 14));
        let tables = u64::from(boot[16]);
        let root_entries = u64::from(field::le16(&boot, 17));
        let usual = boot[510..] == [0x55, 0xaa]
            && matches!(boot[0], 0xeb | 0xe9)
            && matches!(sector, 512 | 1024 | 2048 | 4096)
            && per_cluster.is_power_of_two()
            && reserved > 0
            && matches!(tables, 1 | 2);
        if !usual {
            return None;
        }
        let either = |short: u16, long: u32| {
            if short == 0 {
                u64::from(long)
            } else {
                u64::from(short)
            }
        };
        let sectors = either(field::le16(&boot, 19), field::le32(&boot, 32));
        let table_sectors = either(field::le16(&boot, 22), field::le32(&boot, 36));
        let root_sectors = (root_entries * 32).div_ceil(sector);
        let before = reserved + tables * table_sectors + root_sectors;
        let clusters = u32::try_from(sectors.checked_sub(before)? / per_cluster).ok()?;
        if table_sectors == 0 || clusters == 0 {
            return None;
        }
        let width = match clusters {
            0..4085 => Width::Twelve,
            4085..65_525 => Width::Sixteen,
            _ => Width::ThirtyTwo,
        };
        if (width == Width::ThirtyTwo) != (root_entries == 0) {
            return None;
        }
        let (serial, label, root) = if width == Width::ThirtyTwo {
            (67, 71, Start::Cluster(field::le32(&boot, 44)))
        } else {
            let offset = (reserved + tables * table_sectors) * sector;
            let bytes = root_entries * 32;
            (39, 43, Start::Fixed { offset, bytes })
        };
        let serial = field::le32(&boot, serial);
        Some(Self {
            window: window.clone(),
            width,
            table: reserved * sector,
            table_bytes: table_sectors * sector,
            root,
            data: before * sector,
            cluster_bytes: per_cluster * sector,
            clusters,
            serial: format!("{:04X}-{:04X}", serial >> 16, serial & 0xffff),
            label: field::text(&boot[label..label + 11]),
            size: sectors * sector,
        })
    }

    /// What comes after a cluster; none at the end of a chain, or where it leaves the disk.
    fn next(&self, cluster: u32) -> io::Result<Option<u32>> {
        let at = match self.width {
            Width::Twelve => u64::from(cluster) * 3 / 2,
            Width::Sixteen => u64::from(cluster) * 2,
            Width::ThirtyTwo => u64::from(cluster) * 4,
        };
        let width = if self.width == Width::ThirtyTwo { 4 } else { 2 };
        if at + width > self.table_bytes {
            return Ok(None);
        }
        let next = match self.width {
            Width::Twelve => {
                let pair = u16::from_le_bytes(self.window.bytes(self.table + at)?);
                u32::from(if cluster.is_multiple_of(2) {
                    pair & 0xfff
                } else {
                    pair >> 4
                })
            }
            Width::Sixteen => u32::from(u16::from_le_bytes(self.window.bytes(self.table + at)?)),
            Width::ThirtyTwo => {
                u32::from_le_bytes(self.window.bytes(self.table + at)?) & 0x0fff_ffff
            }
        };
        Ok(self.is_cluster(next).then_some(next))
    }

    fn is_cluster(&self, number: u32) -> bool {
        number >= 2 && number - 2 < self.clusters
    }

    fn cluster(&self, number: u32, buffer: &mut Vec<u8>) -> io::Result<()> {
        buffer.resize(usize::try_from(self.cluster_bytes).unwrap_or_default(), 0);
        self.window.read(
            self.data + u64::from(number - 2) * self.cluster_bytes,
            buffer,
        )
    }

    fn directory(&self, start: Start) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        match start {
            Start::Fixed { offset, bytes: all } => {
                bytes.resize(usize::try_from(all).unwrap_or_default(), 0);
                self.window.read(offset, &mut bytes)?;
            }
            Start::Cluster(first) => {
                let mut chain = self.is_cluster(first).then_some(first);
                let mut buffer = Vec::new();
                while let Some(cluster) = chain {
                    if bytes.len() >= DIRECTORY_BYTES_MAX {
                        let reason = format!(
                            "a directory has more than the {DIRECTORY_BYTES_MAX} bytes that are read, or leads in a circle"
                        );
                        self.window.budget().hit(reason);
                        break;
                    }
                    self.cluster(cluster, &mut buffer)?;
                    bytes.extend_from_slice(&buffer);
                    chain = self.next(cluster)?;
                }
            }
        }
        Ok(bytes)
    }

    fn entries(&self, start: Start) -> Result<Vec<Found>, TreeError> {
        let bytes = self
            .directory(start)
            .map_err(|error| TreeError::Unreadable(error.to_string()))?;
        self.window.budget().keep(bytes.len() as u64)?;
        let mut found = Vec::new();
        let mut long: Vec<u16> = Vec::new();
        for entry in bytes.chunks_exact(32) {
            match entry[0] {
                0 => break,
                0xe5 => {
                    long.clear();
                    continue;
                }
                _ => {}
            }
            if entry[11] & 0x3f == LONG_NAME {
                let mut part = long_part(entry);
                // What is longer than a name can be is none; it must not grow with each entry.
                if part.len() + long.len() <= LONG_NAME_MAX {
                    part.append(&mut long);
                }
                long = part;
                continue;
            }
            let name = if long.is_empty() {
                short_name(entry)
            } else {
                let name = String::from_utf16_lossy(&long);
                long.clear();
                name
            };
            if entry[11] & VOLUME_LABEL != 0 || name == "." || name == ".." {
                continue;
            }
            found.push(Found {
                name,
                is_directory: entry[11] & DIRECTORY != 0,
                start: u32::from(field::le16(entry, 20)) << 16 | u32::from(field::le16(entry, 26)),
                size: u64::from(field::le32(entry, 28)),
            });
        }
        Ok(found)
    }

    /// Follows a path, whatever the case of its letters. None for the root.
    fn find(&self, path: &str) -> Result<Option<Found>, TreeError> {
        let mut at: Option<Found> = None;
        for part in path.split('/').filter(|part| !part.is_empty()) {
            let start = match &at {
                None => self.root,
                Some(found) if found.is_directory => Start::Cluster(found.start),
                Some(_) => return Err(TreeError::NotFound),
            };
            let found = self
                .entries(start)?
                .into_iter()
                .find(|entry| entry.name.eq_ignore_ascii_case(part));
            at = Some(found.ok_or(TreeError::NotFound)?);
        }
        Ok(at)
    }
}

/// The characters of one entry of a long name.
fn long_part(entry: &[u8]) -> Vec<u16> {
    [1..11, 14..26, 28..32]
        .into_iter()
        .flat_map(|range| entry[range].chunks_exact(2))
        .map(|unit| field::le16(unit, 0))
        .take_while(|unit| *unit != 0 && *unit != 0xffff)
        .collect()
}

/// The short name, in the case that two bits ask for.
fn short_name(entry: &[u8]) -> String {
    let part = |range: std::ops::Range<usize>, lower: u8| {
        let text = field::text(&entry[range]);
        if entry[12] & lower == 0 {
            text
        } else {
            text.to_ascii_lowercase()
        }
    };
    let (base, extension) = (part(0..8, 0x08), part(8..11, 0x10));
    if extension.is_empty() {
        base
    } else {
        format!("{base}.{extension}")
    }
}

struct Contents {
    tree: FatTree,
    chain: Option<u32>,
    buffer: Vec<u8>,
    used: usize,
    left: u64,
    clusters_left: u32,
}

impl Read for Contents {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Ok(0);
        }
        if self.used == self.buffer.len() {
            let (Some(cluster), Some(clusters_left)) =
                (self.chain, self.clusters_left.checked_sub(1))
            else {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the file's chain of clusters ends before the file",
                ));
            };
            self.tree.cluster(cluster, &mut self.buffer)?;
            self.chain = self.tree.next(cluster)?;
            self.clusters_left = clusters_left;
            self.used = 0;
        }
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let rest = &self.buffer[self.used..];
        let count = rest.len().min(target.len()).min(left);
        target[..count].copy_from_slice(&rest[..count]);
        self.used += count;
        self.left -= count as u64;
        Ok(count)
    }
}

impl Tree for FatTree {
    fn budget(&self) -> &Budget {
        self.window.budget()
    }

    fn open(&self, path: &str) -> Result<(u64, Box<dyn Read>), TreeError> {
        let found = self
            .find(path)?
            .filter(|found| !found.is_directory)
            .ok_or(TreeError::NotAFile)?;
        let contents = Contents {
            tree: self.clone(),
            chain: self.is_cluster(found.start).then_some(found.start),
            buffer: Vec::new(),
            used: 0,
            left: found.size,
            clusters_left: self.clusters,
        };
        Ok((found.size, Box::new(contents)))
    }

    fn list(&self, path: &str) -> Result<Vec<Entry>, TreeError> {
        let start = match self.find(path)? {
            None => self.root,
            Some(found) if found.is_directory => Start::Cluster(found.start),
            Some(_) => return Err(TreeError::NotFound),
        };
        let mut entries: Vec<_> = self
            .entries(start)?
            .into_iter()
            .map(|found| Entry {
                name: found.name,
                is_directory: found.is_directory,
            })
            .collect();
        entries.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(entries)
    }
}
