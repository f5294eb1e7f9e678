//! How far a return is, as the cloud side sees it.

use bcdr_format::VolumeId;
use std::{
    collections::BTreeSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// What was asked for and taken since the point was offered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReturnProgress {
    /// Streams that use the offer now.
    pub streams: u64,
    /// Bytes whose digests were asked for.
    pub compared_bytes: u64,
    /// Bytes that were read.
    pub read_bytes: u64,
    /// Bytes that were sent and kept.
    pub kept_bytes: u64,
    /// The volumes whose disks were told to hold exactly what is offered, and do.
    pub equal: BTreeSet<VolumeId>,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    streams: AtomicU64,
    compared: AtomicU64,
    read: AtomicU64,
    kept: AtomicU64,
    equal: Mutex<BTreeSet<VolumeId>>,
}

impl Counters {
    pub(super) fn compared(&self, bytes: u64) {
        self.compared.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn read(&self, bytes: u64) {
        self.read.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn kept(&self, bytes: u64) {
        self.kept.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn told(&self, volume: VolumeId, equal: bool) {
        let mut all = self.equal.lock().unwrap_or_else(PoisonError::into_inner);
        if equal {
            all.insert(volume);
        } else {
            all.remove(&volume);
        }
    }

    pub(super) fn stream_begins(&self) {
        self.streams.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn stream_ends(&self) {
        self.streams.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn progress(&self) -> ReturnProgress {
        let equal = self.equal.lock().unwrap_or_else(PoisonError::into_inner);
        ReturnProgress {
            streams: self.streams.load(Ordering::Relaxed),
            compared_bytes: self.compared.load(Ordering::Relaxed),
            read_bytes: self.read.load(Ordering::Relaxed),
            kept_bytes: self.kept.load(Ordering::Relaxed),
            equal: equal.clone(),
        }
    }
}
