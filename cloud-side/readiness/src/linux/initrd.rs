//! The initial RAM disk: which kernel modules are in it.
//!
//! It is one or more cpio archives in a row, the last of which is usually compressed. It is unpacked
//! as a stream: only names are kept, and no more than [`NAMES_MAX`] of them. Invariant: unpacking
//! ends at the budget's limit, however small the file was.

use crate::{
    boot::BootEntry,
    file_system::TreeError,
    report::{CheckCode, Findings},
    survey::Survey,
};
use std::{
    collections::BTreeSet,
    io::{self, BufRead, BufReader, Read},
};

/// Kernels have about 4000 modules.
const NAMES_MAX: usize = 32_768;
const NAME_BYTES_MAX: usize = 4096;
const LIST_BYTES_MAX: u64 = 1 << 20;
/// What the xz decoder may use; the largest preset needs 65 MiB.
const XZ_MEMORY: u64 = 160 << 20;
/// The largest window of a zstd stream, as a power of two: 128 MiB, which is what the kernel takes.
const ZSTD_WINDOW: u32 = 27;
const HEADER: usize = 110;
const REMEDY: &str = "write it anew at the source: update-initramfs -u -k all, or dracut --force --regenerate-all, and check that /boot is not full";

/// What an initial RAM disk has.
#[derive(Debug, Default, Clone)]
pub(crate) struct Contents {
    /// Names of modules as the kernel has them, without suffix, with `_` for `-`.
    pub(crate) modules: BTreeSet<String>,
    /// What its own list of built-in modules says, if it has one.
    pub(crate) built_in: BTreeSet<String>,
    entries: u64,
}

/// The name of a module out of the path of its file.
pub(crate) fn module_name(path: &str) -> Option<String> {
    let file = path.rsplit('/').next()?;
    let stem = file
        .split_once(".ko")
        .filter(|(_, rest)| matches!(*rest, "" | ".xz" | ".gz" | ".zst"))?
        .0;
    Some(stem.replace('-', "_"))
}

/// The names in a list of modules' files, one in a line.
pub(crate) fn module_names(list: &str) -> BTreeSet<String> {
    list.lines()
        .filter_map(|line| module_name(line.split(':').next()?.trim()))
        .take(NAMES_MAX)
        .collect()
}

/// Checks the entry's initial RAM disks and says what is in them together. None when it is not known.
pub(crate) fn check(
    survey: &Survey,
    entry: &BootEntry,
    findings: &mut Findings,
) -> Option<Contents> {
    let code = CheckCode::Initrd;
    if entry.initrds.is_empty() {
        findings.pass(code, "the boot loader's entry has no initial RAM disk");
        return Some(Contents::default());
    }
    let volume = &survey.volumes[entry.volume];
    let mut all = Contents::default();
    for path in &entry.initrds {
        let name = format!("{}: {path}", volume.name());
        let Some(tree) = &volume.tree else {
            findings.unknown(code, format!("{name}: the volume cannot be read"));
            return None;
        };
        let (size, reader) = match tree.open(path) {
            Ok((0, _)) => {
                findings.fail(code, format!("{name} is empty"), REMEDY);
                return None;
            }
            Ok(found) => found,
            Err(TreeError::NotFound) => {
                findings.fail(code, format!("{name} does not exist"), REMEDY);
                return None;
            }
            Err(error) => {
                findings.fail(code, format!("{name}: {error}"), REMEDY);
                return None;
            }
        };
        let limit = volume.window.budget().unpacked_bytes;
        let before = all.entries;
        match unpack(reader.take(size), limit, &mut all) {
            Ok(()) => findings.pass(
                code,
                format!("{name}: {size} bytes with {} files", all.entries - before),
            ),
            Err(Trouble::Unknown(reason)) => {
                findings.unknown(code, format!("{name}: {reason}"));
                return None;
            }
            Err(Trouble::Damaged(reason)) => {
                findings.fail(code, format!("{name} is damaged: {reason}"), REMEDY);
                return None;
            }
        }
    }
    Some(all)
}

#[derive(Debug)]
pub(super) enum Trouble {
    Unknown(String),
    Damaged(String),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(Exhausted) => Self::Unknown(Exhausted.to_string()),
            None => Self::Damaged(error.to_string()),
        }
    }
}

/// The limit of what is unpacked was reached.
#[derive(Debug, thiserror::Error)]
#[error("it unpacks to more than is read here")]
struct Exhausted;

/// Lets only so many bytes through.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| io::Error::other(Exhausted))?;
        Ok(count)
    }
}

/// Reads all archives of a file.
pub(super) fn unpack(file: impl Read, limit: u64, contents: &mut Contents) -> Result<(), Trouble> {
    let mut file = BufReader::with_capacity(64 * 1024, file);
    archives(&mut file, contents)?;
    let head = file.fill_buf()?;
    let head = head[..head.len().min(6)].to_vec();
    let inner: Box<dyn Read + '_> = match head.as_slice() {
        [] => return Ok(()),
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(&mut file)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(&mut file)?;
            decoder.window_log_max(ZSTD_WINDOW)?;
            Box::new(decoder)
        }
        [0xfd, b'7', b'z', b'X', b'Z', 0] | [0x5d, 0, 0, ..] => {
            let stream =
                liblzma::stream::Stream::new_auto_decoder(XZ_MEMORY, liblzma::stream::CONCATENATED)
                    .map_err(|error| Trouble::Unknown(error.to_string()))?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(&mut file, stream))
        }
        [0x02, 0x21, 0x4c, 0x18, ..] | [0x04, 0x22, 0x4d, 0x18, ..] => {
            Box::new(lz4_flex::frame::FrameDecoder::new(&mut file))
        }
        [b'B', b'Z', b'h', ..] => {
            return Err(Trouble::Unknown(
                "it is compressed by bzip2, which is not read here".to_owned(),
            ));
        }
        [0x89, b'L', b'Z', b'O', ..] => {
            return Err(Trouble::Unknown(
                "it is compressed by lzo, which is not read here".to_owned(),
            ));
        }
        other => {
            return Err(Trouble::Damaged(format!(
                "what begins with the bytes {other:02x?} is neither an archive nor compressed"
            )));
        }
    };
    let before = contents.entries;
    let mut inner = BufReader::with_capacity(64 * 1024, Bounded { inner, left: limit });
    archives(&mut inner, contents)?;
    if contents.entries == before {
        return Err(Trouble::Damaged(
            "its compressed part holds no archive".to_owned(),
        ));
    }
    Ok(())
}

/// Reads archives in a row, with the zeros between them, up to something else or the end.
fn archives(file: &mut impl BufRead, contents: &mut Contents) -> Result<(), Trouble> {
    loop {
        let ahead = file.fill_buf()?;
        match ahead.first() {
            None => return Ok(()),
            Some(0) => {
                let zeros = ahead.iter().take_while(|byte| **byte == 0).count();
                file.consume(zeros);
            }
            Some(b'0') => archive(file, contents)?,
            Some(_) => return Ok(()),
        }
    }
}

fn number(header: &[u8; HEADER], field: usize) -> Result<u64, Trouble> {
    let text = &header[6 + field * 8..14 + field * 8];
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| u32::from_str_radix(text, 16).ok())
        .map(u64::from)
        .ok_or_else(|| Trouble::Damaged("a header of its archive is broken".to_owned()))
}

/// Reads one archive to its trailer.
fn archive(file: &mut impl BufRead, contents: &mut Contents) -> Result<(), Trouble> {
    loop {
        let mut header = [0; HEADER];
        file.read_exact(&mut header)?;
        if !matches!(&header[..6], b"070701" | b"070702") {
            return Err(Trouble::Damaged(
                "an archive in it is not of the kind 'newc'".to_owned(),
            ));
        }
        let (size, name_size) = (number(&header, 6)?, number(&header, 11)?);
        let name_bytes = usize::try_from(name_size).unwrap_or(usize::MAX);
        if name_bytes == 0 || name_bytes > NAME_BYTES_MAX {
            return Err(Trouble::Damaged(format!(
                "a name in it has {name_size} bytes"
            )));
        }
        let mut name = vec![0; name_bytes];
        file.read_exact(&mut name)?;
        skip(file, padding(HEADER as u64 + name_size))?;
        let name = String::from_utf8_lossy(&name[..name_bytes - 1]).into_owned();
        if name == "TRAILER!!!" {
            return Ok(());
        }
        contents.entries += 1;
        if name.ends_with("/modules.builtin") && size <= LIST_BYTES_MAX {
            let mut list = String::new();
            let read = file.by_ref().take(size).read_to_string(&mut list)?;
            contents.built_in.extend(module_names(&list));
            skip(file, size - read as u64)?;
        } else {
            skip(file, size)?;
        }
        skip(file, padding(size))?;
        if contents.modules.len() < NAMES_MAX
            && size > 0
            && let Some(module) = module_name(&name)
        {
            contents.modules.insert(module);
        }
    }
}

const fn padding(length: u64) -> u64 {
    (4 - length % 4) % 4
}

fn skip(file: &mut impl BufRead, bytes: u64) -> io::Result<()> {
    let skipped = io::copy(&mut file.by_ref().take(bytes), &mut io::sink())?;
    if skipped < bytes {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "it ends in the middle of a file",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_named_as_the_kernel_names_them() {
        let name = |path| module_name(path);
        assert_eq!(
            name("usr/lib/modules/6/kernel/virtio-pci.ko.zst").as_deref(),
            Some("virtio_pci")
        );
        assert_eq!(name("a/ext4.ko").as_deref(), Some("ext4"));
        assert_eq!(name("a/ext4.ko.txt"), None);
        let list = module_names("kernel/fs/ext4/ext4.ko\nkernel/a-b.ko: kernel/c.ko\n");
        assert_eq!(list.into_iter().collect::<Vec<_>>(), ["a_b", "ext4"]);
    }
}
