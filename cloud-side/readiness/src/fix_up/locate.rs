//! Where on the disk the blocks of a file lie.
//!
//! The reader of the file system does not say, so it is watched: the file is read through a reader
//! that remembers every block it was asked for. A file's block must be among them. Invariant: a block
//! is taken for the file's only when it alone, of all that were read, holds what the file holds
//! there; so a mistake is impossible, and doubt is a refusal.

use crate::{
    disk::Window,
    file_system::{ExtState, ExtTree, Tree},
    report::Edit,
};
use ext4_view::Ext4Read;
use std::{cell::RefCell, collections::BTreeMap, error::Error, rc::Rc};

/// Configuration files that are edited are small.
const FILE_BYTES_MAX: u64 = 256 * 1024;
/// So many bytes of blocks are remembered.
const TRACE_BYTES_MAX: usize = 64 << 20;

#[derive(Default)]
struct Trace {
    /// Blocks by their first byte in the window.
    blocks: BTreeMap<u64, Vec<u8>>,
    bytes: usize,
    overflowed: bool,
}

struct Watched {
    window: Window,
    block_size: u64,
    trace: Rc<RefCell<Trace>>,
}

impl Ext4Read for Watched {
    fn read(
        &mut self,
        start_byte: u64,
        buffer: &mut [u8],
    ) -> Result<(), Box<dyn Error + Send + Sync + 'static>> {
        self.window.read(start_byte, buffer)?;
        let block = usize::try_from(self.block_size)?;
        // Contents of files are read in whole blocks; what is not is no file's.
        if start_byte.is_multiple_of(self.block_size) {
            let mut trace = self.trace.borrow_mut();
            for (bytes, index) in buffer.chunks_exact(block).zip(0_u64..) {
                trace.bytes += block;
                if trace.bytes > TRACE_BYTES_MAX {
                    trace.overflowed = true;
                    break;
                }
                let at = start_byte + index * self.block_size;
                trace.blocks.insert(at, bytes.to_vec());
            }
        }
        Ok(())
    }
}

/// A text file and the places of its blocks.
pub(super) struct Located {
    disk: usize,
    text: String,
    block_size: usize,
    /// The first byte of each block, from the start of the disk.
    blocks: Vec<u64>,
}

/// Finds the blocks of an ASCII text file. None when there is any doubt.
pub(super) fn locate(
    window: &Window,
    disk: usize,
    state: &ExtState,
    path: &str,
) -> Option<Located> {
    if state.reason_against_edits().is_some() {
        return None;
    }
    let trace = Rc::new(RefCell::new(Trace::default()));
    let reader = Watched {
        window: window.clone(),
        block_size: state.block_size,
        trace: Rc::clone(&trace),
    };
    let tree = ExtTree::through(Box::new(reader), window, state).ok()?;
    let bytes = tree.read(path, FILE_BYTES_MAX).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let plain = |byte: u8| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\t' | b'\n');
    if text.is_empty() || !text.bytes().all(plain) {
        return None;
    }
    let trace = trace.borrow();
    if trace.overflowed {
        return None;
    }
    let block_size = usize::try_from(state.block_size).ok()?;
    let mut blocks = Vec::new();
    for piece in text.as_bytes().chunks(block_size) {
        let mut fitting = trace
            .blocks
            .iter()
            .filter(|(_, bytes)| bytes.starts_with(piece));
        let (at, _) = fitting.next()?;
        if fitting.next().is_some() {
            return None;
        }
        blocks.push(window.start() + at);
    }
    Some(Located {
        disk,
        text,
        block_size,
        blocks,
    })
}

impl Located {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The edits that make the file's text another one of the same length. None when it is the same.
    pub(super) fn edits(&self, wanted: &str) -> Option<Vec<Edit>> {
        if wanted.len() != self.text.len() || !wanted.is_ascii() {
            return None;
        }
        let pieces = |text: &str| {
            text.as_bytes()
                .chunks(self.block_size)
                .map(<[u8]>::to_vec)
                .collect::<Vec<_>>()
        };
        let edits: Vec<_> = self
            .blocks
            .iter()
            .zip(pieces(&self.text).iter().zip(pieces(wanted)))
            .filter_map(|(at, (before, after))| self.edit(*at, before, &after))
            .collect();
        (!edits.is_empty()).then_some(edits)
    }

    /// The bytes of a block from the first to the last that differ.
    fn edit(&self, at: u64, before: &[u8], after: &[u8]) -> Option<Edit> {
        let differs = |index: &usize| before[*index] != after[*index];
        let first = (0..before.len()).find(differs)?;
        let last = (0..before.len()).rfind(differs)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(&bytes[first..=last]).into_owned();
        Some(Edit {
            disk: self.disk,
            offset: at + first as u64,
            before: text(before),
            after: text(after),
        })
    }
}
