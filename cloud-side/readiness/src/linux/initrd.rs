//! The initial RAM disk: what the kernel starts from it, and which kernel modules are in it.
//!
//! It is one or more cpio archives in a row, the last of which is usually compressed. It is unpacked
//! as a stream: only names are kept, and no more than [`NAMES_MAX`] of them. Invariant: everything
//! that comes out of it is charged to the inspection's budget, however small the file was.

use crate::{
    boot::BootEntry,
    disk::{Bound, Budget},
    file_system::{LINE_BYTES_MAX, TreeError},
    report::{CheckCode, Findings},
    survey::Survey,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, BufRead, BufReader, Read},
};

/// Kernels have about 4000 modules.
const NAMES_MAX: usize = 32_768;
/// The kernel's own bound is 56.
const MODULE_NAME_MAX: usize = 64;
const NAME_BYTES_MAX: usize = 4096;
const LIST_BYTES_MAX: u64 = 1 << 20;
/// An entry has two at most usually: microcode, and the main one.
const INITRDS_MAX: usize = 16;
/// Kernels that modules in it may be for.
const RELEASES_MAX: usize = 16;
/// What the xz decoder may use; the largest preset needs 65 MiB.
const XZ_MEMORY: u64 = 160 << 20;
/// The largest window of a zstd stream, as a power of two: 128 MiB, which is what the kernel takes.
const ZSTD_WINDOW: u32 = 27;
const HEADER: usize = 110;
const KIND: u64 = 0o170_000;
const LINK: u64 = 0o120_000;
const REMEDY: &str = "write it anew at the source: update-initramfs -u -k all, or dracut --force --regenerate-all, and check that /boot is not full";

/// What an initial RAM disk has of one kernel.
#[derive(Debug, Default, Clone)]
pub(crate) struct OfKernel {
    /// Names of modules as the kernel has them, without suffix, with `_` for `-`.
    pub(crate) modules: BTreeSet<String>,
    /// What its own list of built-in modules says, if it has one.
    pub(crate) built_in: BTreeSet<String>,
}

/// What an initial RAM disk has.
#[derive(Debug, Default, Clone)]
pub(crate) struct Contents {
    /// Modules by the release of the kernel that they are for.
    kernels: BTreeMap<String, OfKernel>,
    /// Files that might be started, as [`plain`] names them.
    files: BTreeSet<String>,
    /// Where `/init` leads, if it is a link.
    init_link: Option<String>,
    entries: u64,
    /// Entries of microcode and tables, which the kernel takes before there are files.
    early: u64,
    /// Whether the kernel starts something from it.
    starts: bool,
}

impl Contents {
    /// Whether the kernel starts something from it.
    pub(crate) fn starts(&self) -> bool {
        self.starts
    }

    /// What it has for this kernel.
    pub(crate) fn of(&self, release: &str) -> Option<&OfKernel> {
        self.kernels.get(release)
    }

    /// The kernels that modules in it are for.
    pub(crate) fn releases(&self) -> Vec<&str> {
        let with_modules = self.kernels.iter().filter(|(_, of)| !of.modules.is_empty());
        with_modules.map(|(release, _)| release.as_str()).collect()
    }

    fn of_mut(&mut self, release: &str, budget: &Budget) -> Result<&mut OfKernel, Bound> {
        if !self.kernels.contains_key(release) && self.kernels.len() == RELEASES_MAX {
            let reason = "an initial RAM disk has modules of too many kernels";
            return Err(budget.hit(reason));
        }
        Ok(self.kernels.entry(release.to_owned()).or_default())
    }

    fn names(&self) -> usize {
        let of_kernels = self.kernels.values();
        let modules: usize = of_kernels
            .map(|of| of.modules.len() + of.built_in.len())
            .sum();
        modules + self.files.len()
    }

    /// What the kernel starts from it, or why it starts nothing. `wanted` is what `rdinit=` names.
    fn starter(&self, wanted: Option<&str>) -> Result<String, String> {
        let wanted = wanted.unwrap_or("/init");
        if !self.files.contains(&plain(wanted)) {
            let systemd = "lib/systemd/systemd";
            let though = if self.files.contains(systemd) {
                "; systemd is there, and nothing leads to it"
            } else {
                ""
            };
            return Err(format!(
                "it has no {wanted} that the kernel could start{though}"
            ));
        }
        match self
            .init_link
            .as_deref()
            .filter(|_| plain(wanted) == "init")
        {
            Some(target) if !self.files.contains(&plain(target)) => Err(format!(
                "its {wanted} is a link to {target}, which is not there"
            )),
            Some(target) => Ok(target.to_owned()),
            None => Ok(wanted.to_owned()),
        }
    }
}

/// A path inside of it, without what different tools put before it: `/usr` is a place of its own in
/// some, and a link in others.
fn plain(path: &str) -> String {
    let path = path.trim_start_matches("./").trim_start_matches('/');
    path.strip_prefix("usr/").unwrap_or(path).to_owned()
}

/// The release that a file of modules is for, and what comes behind it.
fn of_release(plain: &str) -> Option<(&str, &str)> {
    plain.strip_prefix("lib/modules/")?.split_once('/')
}

/// The name of a module out of the path of its file.
pub(crate) fn module_name(path: &str) -> Option<String> {
    let file = path.rsplit('/').next()?;
    let stem = file
        .split_once(".ko")
        .filter(|(_, rest)| matches!(*rest, "" | ".xz" | ".gz" | ".zst"))?
        .0;
    (stem.len() <= MODULE_NAME_MAX).then(|| stem.replace('-', "_"))
}

/// The names in a list of modules' files, one in a line.
pub(crate) fn module_names(list: &str) -> BTreeSet<String> {
    list.lines()
        .filter_map(|line| module_name(line.split(':').next()?.trim()))
        .take(NAMES_MAX)
        .collect()
}

/// Checks the entry's initial RAM disks and says what is in them together. None when it is not known.
/// `release` is the kernel's, if it is known.
pub(crate) fn check(
    survey: &Survey,
    entry: &BootEntry,
    release: Option<&str>,
    findings: &mut Findings,
) -> Option<Contents> {
    let code = CheckCode::Initrd;
    if entry.initrds.is_empty() {
        findings.pass(code, "the boot loader's entry has no initial RAM disk");
        return Some(Contents::default());
    }
    let volume = &survey.volumes[entry.volume];
    if entry.initrds.len() > INITRDS_MAX {
        let count = entry.initrds.len();
        let reason = format!(
            "the boot loader's entry has {count} initial RAM disks, {INITRDS_MAX} are read"
        );
        findings.unknown(code, volume.window.budget().hit(reason).to_string());
        return None;
    }
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
            Err(error) if error.is_unknown() => {
                findings.unknown(code, format!("{name}: {error}"));
                return None;
            }
            Err(error) => {
                findings.fail(code, format!("{name}: {error}"), REMEDY);
                return None;
            }
        };
        let before = all.entries;
        match unpack(reader.take(size), volume.window.budget(), &mut all) {
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
    check_start(&mut all, entry, findings)?;
    check_release(&all, release, findings);
    Some(all)
}

/// Without something to start, the kernel goes on as if there were no initial RAM disk. None when that
/// is a defect.
fn check_start(all: &mut Contents, entry: &BootEntry, findings: &mut Findings) -> Option<()> {
    let code = CheckCode::Initrd;
    if all.early == all.entries {
        findings.pass(
            code,
            "the initial RAM disks hold nothing but microcode and tables: the kernel starts by itself",
        );
        return Some(());
    }
    match all.starter(entry.argument("rdinit")) {
        Ok(starter) => {
            all.starts = true;
            findings.pass(code, format!("the kernel starts {starter} from it"));
            Some(())
        }
        Err(reason) => {
            findings.fail(code, reason, REMEDY);
            None
        }
    }
}

/// A kernel takes no modules of another one.
fn check_release(all: &Contents, release: Option<&str>, findings: &mut Findings) {
    let releases = all.releases();
    let (Some(release), false) = (release, releases.is_empty()) else {
        return;
    };
    if !releases.contains(&release) {
        findings.warn(
            CheckCode::Initrd,
            format!(
                "its modules are for kernel {}, and the kernel that starts is {release}, which takes none of them",
                releases.join(", ")
            ),
            REMEDY,
        );
    }
}

#[derive(Debug)]
pub(super) enum Trouble {
    Unknown(String),
    Damaged(String),
}

impl From<Bound> for Trouble {
    fn from(bound: Bound) -> Self {
        Self::Unknown(bound.to_string())
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(bound @ Bound { .. }) => bound.clone().into(),
            None => Self::Damaged(error.to_string()),
        }
    }
}

/// Charges what comes through to the budget.
struct Charged<'a, R> {
    inner: R,
    budget: &'a Budget,
}

impl<R: Read> Read for Charged<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let charged = self.budget.unpack(count as u64);
        charged.map_err(io::Error::other)?;
        Ok(count)
    }
}

/// Reads all archives of a file.
pub(super) fn unpack(
    file: impl Read,
    budget: &Budget,
    contents: &mut Contents,
) -> Result<(), Trouble> {
    // A file may have holes, which no read of the disk is needed for: it is charged as it is, too.
    let charged = Charged {
        inner: file,
        budget,
    };
    let mut file = BufReader::with_capacity(64 * 1024, charged);
    archives(&mut file, budget, contents)?;
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
    let charged = Charged { inner, budget };
    let mut inner = BufReader::with_capacity(64 * 1024, charged);
    archives(&mut inner, budget, contents)?;
    if contents.entries == before {
        return Err(Trouble::Damaged(
            "its compressed part holds no archive".to_owned(),
        ));
    }
    Ok(())
}

/// Reads archives in a row, with the zeros between them, up to something else or the end.
fn archives(
    file: &mut impl BufRead,
    budget: &Budget,
    contents: &mut Contents,
) -> Result<(), Trouble> {
    loop {
        let ahead = file.fill_buf()?;
        match ahead.first() {
            None => return Ok(()),
            Some(0) => {
                let zeros = ahead.iter().take_while(|byte| **byte == 0).count();
                file.consume(zeros);
            }
            Some(b'0') => archive(file, budget, contents)?,
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
fn archive(
    file: &mut impl BufRead,
    budget: &Budget,
    contents: &mut Contents,
) -> Result<(), Trouble> {
    loop {
        let mut header = [0; HEADER];
        file.read_exact(&mut header)?;
        if !matches!(&header[..6], b"070701" | b"070702") {
            return Err(Trouble::Damaged(
                "an archive in it is not of the kind 'newc'".to_owned(),
            ));
        }
        let (mode, size) = (number(&header, 1)?, number(&header, 6)?);
        let name_size = number(&header, 11)?;
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
        let name = plain(&name);
        let is_link = mode & KIND == LINK;
        let is_list = of_release(&name).is_some_and(|(_, file)| file == "modules.builtin");
        let text = if is_link && size <= NAME_BYTES_MAX as u64 || is_list {
            text(file, size, budget)?
        } else {
            skip(file, size)?;
            String::new()
        };
        skip(file, padding(size))?;
        enter(contents, &name, &text, (size, is_link), budget)?;
    }
}

/// The text of a file in an archive.
fn text(file: &mut impl BufRead, size: u64, budget: &Budget) -> Result<String, Trouble> {
    if size > LIST_BYTES_MAX {
        let reason = format!(
            "a list of modules in an initial RAM disk has {size} bytes, more than the {LIST_BYTES_MAX} that are read"
        );
        return Err(budget.hit(reason).into());
    }
    budget.keep(size)?;
    let mut bytes = Vec::new();
    let read = file.by_ref().take(size).read_to_end(&mut bytes)? as u64;
    skip(file, size - read)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    if text.lines().any(|line| line.len() > LINE_BYTES_MAX) {
        let reason = "a list of modules in an initial RAM disk has a line that is too long";
        return Err(budget.hit(reason).into());
    }
    Ok(text)
}

/// Takes in a file of an archive. `text` is what a link leads to, or a list's.
fn enter(
    contents: &mut Contents,
    name: &str,
    text: &str,
    (size, is_link): (u64, bool),
    budget: &Budget,
) -> Result<(), Trouble> {
    if contents.names() > NAMES_MAX {
        let reason = format!("an initial RAM disk has more than {NAMES_MAX} names");
        return Err(budget.hit(reason).into());
    }
    if let Some((release, file)) = of_release(name) {
        if file == "modules.builtin" {
            let names = module_names(text);
            contents.of_mut(release, budget)?.built_in.extend(names);
        } else if size > 0
            && let Some(module) = module_name(file)
        {
            contents.of_mut(release, budget)?.modules.insert(module);
        }
        return Ok(());
    }
    if name == "." || name.is_empty() || name == "kernel" || name.starts_with("kernel/") {
        contents.early += 1;
    } else if size > 0 && !name.starts_with("lib/firmware/") {
        budget.keep(name.len() as u64)?;
        contents.files.insert(name.to_owned());
        if is_link && name == "init" {
            contents.init_link = Some(text.to_owned());
        }
    }
    Ok(())
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
        assert_eq!(name(&format!("{}.ko", "a".repeat(65))), None);
    }

    #[test]
    fn what_the_kernel_starts_is_found_behind_a_link_and_missed_where_it_is_not() {
        let mut contents = Contents::default();
        assert!(contents.starter(None).is_err());
        contents.files.insert(plain("/usr/lib/systemd/systemd"));
        assert!(contents.starter(None).unwrap_err().contains("systemd"));
        contents.files.insert("init".to_owned());
        contents.init_link = Some("/lib/systemd/systemd".to_owned());
        assert_eq!(
            contents.starter(None).as_deref(),
            Ok("/lib/systemd/systemd")
        );
        contents.init_link = Some("sbin/init".to_owned());
        assert!(contents.starter(None).unwrap_err().contains("sbin/init"));
        let other = contents.starter(Some("/lib/systemd/systemd"));
        assert_eq!(other.as_deref(), Ok("/lib/systemd/systemd"));
    }
}
