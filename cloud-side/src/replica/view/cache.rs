//! Opened chunks, the most recently used ones, in bounded memory. It holds plaintext: it is never
//! written anywhere.

use crate::receive::Lineage;
use lru::LruCache;
use std::sync::{Arc, Mutex, PoisonError};

/// Where a chunk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct CacheKey {
    pub(super) lineage: Lineage,
    pub(super) segment: u32,
    pub(super) chunk_offset: u32,
}

struct Inner {
    chunks: LruCache<CacheKey, Arc<[u8]>>,
    bytes: usize,
}

/// Opened chunks, shared by as many views as wanted.
pub struct ChunkCache {
    limit_bytes: usize,
    inner: Mutex<Inner>,
}

impl std::fmt::Debug for ChunkCache {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Its contents are plaintext and stay out of every log.
        formatter
            .debug_struct("ChunkCache")
            .field("limit_bytes", &self.limit_bytes)
            .finish_non_exhaustive()
    }
}

impl ChunkCache {
    /// A cache of at most `limit_bytes` of plaintext; 16 MiB serves one view well.
    pub fn new(limit_bytes: usize) -> Self {
        Self {
            limit_bytes,
            inner: Mutex::new(Inner {
                chunks: LruCache::unbounded(),
                bytes: 0,
            }),
        }
    }

    pub(super) fn get(&self, key: &CacheKey) -> Option<Arc<[u8]>> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.chunks.get(key).cloned()
    }

    pub(super) fn put(&self, key: CacheKey, plain: Arc<[u8]>) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.bytes += plain.len();
        if let Some(before) = inner.chunks.put(key, plain) {
            inner.bytes -= before.len();
        }
        while inner.bytes > self.limit_bytes
            && let Some((_, oldest)) = inner.chunks.pop_lru()
        {
            inner.bytes -= oldest.len();
        }
    }

    /// Bytes of plaintext held now.
    pub fn bytes(&self) -> usize {
        self.inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .bytes
    }
}
