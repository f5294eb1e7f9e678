//! Initial RAM disks.

use super::RELEASE;
use std::io::Write;

/// How the archive is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    None,
    Gzip,
    Xz,
    Zstd,
    Lz4,
}

pub(crate) const PACKINGS: [Packing; 5] = [
    Packing::None,
    Packing::Gzip,
    Packing::Xz,
    Packing::Zstd,
    Packing::Lz4,
];

fn newc(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let trailer = ("TRAILER!!!".to_owned(), Vec::new());
    for (name, contents) in files.iter().chain([&trailer]) {
        let fields = [
            0,
            0o100_644,
            0,
            0,
            1,
            0,
            contents.len(),
            0,
            0,
            0,
            0,
            name.len() + 1,
            0,
        ];
        bytes.extend(b"070701");
        for field in fields {
            bytes.extend(format!("{field:08X}").bytes());
        }
        bytes.extend(name.bytes().chain([0]));
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend(contents);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

/// An archive with these modules, and with the kernel's list of built-in ones.
pub(crate) fn archive(modules: &[&str], built_in: &str) -> Vec<u8> {
    archive_of(RELEASE, Some("init"), modules, built_in)
}

/// The same for any kernel, and with any file for it to start, or none.
pub(crate) fn archive_of(
    release: &str,
    starts: Option<&str>,
    modules: &[&str],
    built_in: &str,
) -> Vec<u8> {
    let directory = format!("usr/lib/modules/{release}");
    let mut files = vec![(format!("{directory}/modules.builtin"), built_in.into())];
    if let Some(starts) = starts {
        files.push((starts.to_owned(), b"#!/bin/sh\n".to_vec()));
    }
    for module in modules {
        let path = format!("{directory}/kernel/drivers/{module}.ko");
        files.push((path, vec![0x7f; 1001]));
    }
    newc(&files)
}

/// An archive with small files of these names.
pub(crate) fn small_archive(names: &[&str]) -> Vec<u8> {
    let file = |name: &&str| ((*name).to_owned(), vec![1]);
    newc(&names.iter().map(file).collect::<Vec<_>>())
}

/// An archive with nothing to start in it, which holds this.
pub(crate) fn holding(name: &str, contents: &[u8]) -> Vec<u8> {
    newc(&[(name.to_owned(), contents.to_vec())])
}

/// An archive as distributions put it before the compressed one.
pub(crate) fn microcode() -> Vec<u8> {
    let path = "kernel/x86/microcode/GenuineIntel.bin".to_owned();
    newc(&[(path, vec![1; 5000])])
}

pub(crate) fn pack(bytes: &[u8], packing: Packing) -> Vec<u8> {
    match packing {
        Packing::None => bytes.to_vec(),
        Packing::Gzip => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Packing::Xz => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Packing::Zstd => zstd::encode_all(bytes, 1).unwrap(),
        Packing::Lz4 => {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
    }
}
