//! Disks with a system on them.

use super::{MemoryDisk, Packing, RELEASE, archive, efi_grub, kernel, microcode, pack};
use crate::{Disk, Limits, ReadinessReport, TargetMachine, inspect};
use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

pub(crate) const ROOT_UUID: &str = "0b5d4f2e-7a51-4c1c-9d0e-3f6a4f1d2c3b";
const MEBIBYTE: usize = 1 << 20;
const DISK_BYTES: usize = 64 * MEBIBYTE;
const CORE_PREFIX: &str = "(hd0,msdos1)/boot/grub";

/// What the disk's first partition is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// An MBR table, GRUB's core before the first partition.
    Mbr,
    /// A GUID table, GRUB's core in a partition of its own.
    GptBios,
    /// A GUID table with an EFI system partition.
    GptUefi,
}

/// Files of the EFI system partition.
pub(crate) type EspFiles = BTreeMap<&'static str, Vec<u8>>;

/// A machine to be put on a disk.
pub(crate) struct Machine {
    pub(crate) layout: Layout,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) esp: EspFiles,
    pub(crate) boot_loader: bool,
}

/// Runs a tool and says what it said.
pub(crate) fn run(tool: &str, arguments: &[&str], input: &str) -> String {
    let path = format!(
        "{}:/usr/sbin:/sbin",
        std::env::var("PATH").unwrap_or_default()
    );
    let mut child = Command::new(tool)
        .args(arguments)
        .env("PATH", path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{tool}: {error}; tests/setup/packages.sh installs it"));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{tool} {arguments:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

impl Machine {
    /// A machine that boots.
    pub(crate) fn good(layout: Layout) -> Self {
        let mut machine = Self {
            layout,
            files: BTreeMap::new(),
            esp: BTreeMap::from([("EFI/BOOT/BOOTX64.EFI", efi_grub("(,gpt2)/boot/grub", None))]),
            boot_loader: true,
        };
        machine.initrd(
            &["virtio_pci", "virtio_blk", "virtio-net", "ext4"],
            Packing::Zstd,
        );
        let modules = format!("lib/modules/{RELEASE}");
        machine
            .file("etc/os-release", "PRETTY_NAME=\"Test Linux 1\"\n")
            .file("etc/fstab", &format!("# /etc/fstab: what is mounted where, one line for each of the file systems.\n# <file system> <mount point> <type> <options> <dump> <pass>\nUUID={ROOT_UUID} / ext4 errors=remount-ro 0 1\n"))
            .file("etc/network/interfaces", "auto lo\niface lo inet loopback\n")
            .file("usr/bin/true", "true")
            .file(&format!("{modules}/modules.builtin"), "kernel/lib/crc.ko\n")
            .file(&format!("{modules}/modules.dep"), "kernel/net/virtio_net.ko: \n")
            .file("boot/grub/grub.cfg", &grub(&format!("root=UUID={ROOT_UUID} ro console=ttyS0")));
        machine
            .files
            .insert(format!("boot/vmlinuz-{RELEASE}"), kernel());
        machine
    }

    pub(crate) fn file(&mut self, path: &str, text: &str) -> &mut Self {
        self.files.insert(path.to_owned(), text.into());
        self
    }

    pub(crate) fn without(&mut self, path: &str) -> &mut Self {
        assert!(self.files.remove(path).is_some(), "{path}");
        self
    }

    /// Gives the machine an initial RAM disk, with microcode before it.
    pub(crate) fn initrd(&mut self, modules: &[&str], packing: Packing) -> &mut Self {
        let main = archive(modules, "kernel/lib/crc.ko\n");
        let mut bytes = microcode();
        bytes.extend(pack(&main, packing));
        self.files
            .insert(format!("boot/initrd.img-{RELEASE}"), bytes);
        self
    }

    pub(crate) fn command_line(&mut self, arguments: &str) -> &mut Self {
        self.file("boot/grub/grub.cfg", &grub(arguments))
    }

    /// Puts it on a disk.
    pub(crate) fn build(&self) -> Image {
        let work = tempfile::tempdir().unwrap();
        let disk = work.path().join("disk");
        fs::File::create(&disk)
            .unwrap()
            .set_len(DISK_BYTES as u64)
            .unwrap();
        let table = match self.layout {
            Layout::Mbr => {
                "label: dos\nlabel-id: 0x12345678\nstart=2048, type=83, bootable\n".to_owned()
            }
            Layout::GptBios => {
                gpt("start=2048, size=2048, type=21686148-6449-6E6F-744E-656564454649")
            }
            Layout::GptUefi => {
                gpt("start=2048, size=32768, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B")
            }
        };
        run("sfdisk", &["--quiet", disk.to_str().unwrap()], &table);
        let mut bytes = fs::read(&disk).unwrap();
        let root = match self.layout {
            Layout::Mbr => MEBIBYTE,
            Layout::GptBios => 2 * MEBIBYTE,
            Layout::GptUefi => 17 * MEBIBYTE,
        };
        let end = DISK_BYTES - MEBIBYTE;
        put(&mut bytes, root, &self.root(work.path(), end - root));
        match self.layout {
            Layout::Mbr => self.install(work.path(), &mut bytes, 1),
            Layout::GptBios => self.install(work.path(), &mut bytes, 2048),
            Layout::GptUefi => put(&mut bytes, MEBIBYTE, &self.esp(work.path())),
        }
        Image { bytes, root }
    }

    fn root(&self, work: &Path, size: usize) -> Vec<u8> {
        let (tree, image) = (work.join("tree"), work.join("root"));
        fs::create_dir_all(&tree).unwrap();
        for (path, contents) in &self.files {
            let path = tree.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, contents).unwrap();
        }
        let (tree, size) = (tree.to_str().unwrap(), format!("{}k", size / 1024));
        let arguments = [
            "-q", "-F", "-t", "ext4", "-b", "4096", "-U", ROOT_UUID, "-d", tree,
        ];
        let arguments = [&arguments[..], &[image.to_str().unwrap(), &size]].concat();
        run("mke2fs", &arguments, "");
        fs::read(image).unwrap()
    }

    fn esp(&self, work: &Path) -> Vec<u8> {
        let image = work.join("esp");
        fs::File::create(&image)
            .unwrap()
            .set_len(16 * MEBIBYTE as u64)
            .unwrap();
        let image = image.to_str().unwrap();
        run("mkfs.vfat", &["-n", "ESP", image], "");
        for (path, contents) in &self.esp {
            let file = work.join("file");
            fs::write(&file, contents).unwrap();
            let mut directory = String::from("::");
            for part in Path::new(path).parent().unwrap().iter() {
                directory = format!("{directory}/{}", part.to_str().unwrap());
                // It may be there already.
                let _ = Command::new("mmd")
                    .args(["-i", image, &directory])
                    .stderr(Stdio::null())
                    .stdin(Stdio::null())
                    .status();
            }
            run(
                "mcopy",
                &["-i", image, file.to_str().unwrap(), &format!("::/{path}")],
                "",
            );
        }
        fs::read(image).unwrap()
    }

    /// Does what grub-install does.
    fn install(&self, work: &Path, bytes: &mut [u8], sector: u64) {
        if !self.boot_loader {
            return;
        }
        let core = work.join("core");
        let modules = [
            "biosdisk",
            "part_msdos",
            "part_gpt",
            "ext2",
            "normal",
            "linux",
        ];
        let arguments = [
            "-O",
            "i386-pc",
            "-p",
            CORE_PREFIX,
            "-o",
            core.to_str().unwrap(),
        ];
        run("grub-mkimage", &[&arguments[..], &modules].concat(), "");
        let mut core = fs::read(core).unwrap();
        let mut code = fs::read("/usr/lib/grub/i386-pc/boot.img").unwrap();
        code[0x5c..0x64].copy_from_slice(&sector.to_le_bytes());
        core[500..508].copy_from_slice(&(sector + 1).to_le_bytes());
        put(bytes, 0, &code[..440]);
        put(bytes, usize::try_from(sector).unwrap() * 512, &core);
    }
}

fn gpt(first: &str) -> String {
    format!("label: gpt\n{first}\ntype=0FC63DAF-8483-4772-8E79-3D69D8477DE4, name=root, size=+\n")
}

fn put(bytes: &mut [u8], at: usize, part: &[u8]) {
    bytes[at..at + part.len()].copy_from_slice(part);
}

/// A configuration like the one that update-grub writes.
fn grub(arguments: &str) -> String {
    format!(
        "#\n# DO NOT EDIT THIS FILE\n#\n# It is automatically generated by grub-mkconfig using templates\n# from /etc/grub.d and settings from /etc/default/grub\n#\nset default=\"0\"\nmenuentry 'Test Linux' --class test $menuentry_id_option 'gnulinux-simple' {{\n\tsearch --no-floppy --fs-uuid --set=root {ROOT_UUID}\n\tlinux\t/boot/vmlinuz-{RELEASE} {arguments}\n\tinitrd\t/boot/initrd.img-{RELEASE}\n}}\n"
    )
}

/// A disk as it was built.
#[derive(Clone)]
pub(crate) struct Image {
    pub(crate) bytes: Vec<u8>,
    /// The first byte of the root file system.
    pub(crate) root: usize,
}

impl Image {
    pub(crate) fn inspect(self, target: TargetMachine) -> ReadinessReport {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(self.bytes));
        inspect(&[disk], target, Limits::default())
    }

    /// Lets a tool work on the root file system, and says what it said.
    pub(crate) fn with_root(&mut self, tool: &str, arguments: &[&str]) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        let end = self.bytes.len() - MEBIBYTE;
        fs::write(file.path(), &self.bytes[self.root..end]).unwrap();
        let said = run(
            tool,
            &[arguments, &[file.path().to_str().unwrap()]].concat(),
            "",
        );
        let changed = fs::read(file.path()).unwrap();
        put(&mut self.bytes, self.root, &changed);
        said
    }
}
