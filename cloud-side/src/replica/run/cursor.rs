//! Reading a run from front to back.

use super::{BatchTable, RunError, RunFile};
use bcdr_format::run::{RUN_PAGE_BYTES, RunEntry};
use std::{collections::VecDeque, sync::Arc};

/// How many pages a cursor reads at once.
const PAGES_AT_ONCE: u32 = 16;

/// Gives a run's entries in order.
pub trait EntryCursor {
    /// The next entry.
    fn next(&mut self) -> Result<Option<RunEntry>, RunError>;
}

/// Goes through a batch's table.
#[derive(Debug)]
pub(super) struct TableCursor {
    table: Arc<BatchTable>,
    place: usize,
}

impl TableCursor {
    pub(super) fn new(table: Arc<BatchTable>) -> Self {
        Self { table, place: 0 }
    }
}

impl EntryCursor for TableCursor {
    fn next(&mut self) -> Result<Option<RunEntry>, RunError> {
        let entry = self.table.entries().get(self.place).copied();
        self.place += 1;
        Ok(entry)
    }
}

/// Goes through a run file, a few pages in memory.
#[derive(Debug)]
pub struct FileCursor {
    file: Arc<RunFile>,
    next_page: u32,
    entries: VecDeque<RunEntry>,
}

impl FileCursor {
    /// A cursor at the run's front.
    pub fn new(file: Arc<RunFile>) -> Self {
        Self {
            file,
            next_page: 0,
            entries: VecDeque::new(),
        }
    }
}

impl EntryCursor for FileCursor {
    fn next(&mut self) -> Result<Option<RunEntry>, RunError> {
        if self.entries.is_empty() {
            let count = PAGES_AT_ONCE.min(self.file.footer().entry_pages - self.next_page);
            let bytes = self.file.read_pages(self.next_page, count)?;
            for page in bytes.chunks_exact(RUN_PAGE_BYTES) {
                self.entries
                    .extend(self.file.decode_page(self.next_page, page)?);
                self.next_page += 1;
            }
        }
        Ok(self.entries.pop_front())
    }
}

impl EntryCursor for Box<dyn EntryCursor> {
    fn next(&mut self) -> Result<Option<RunEntry>, RunError> {
        (**self).next()
    }
}
