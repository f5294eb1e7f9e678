//! What a world is made of: everything that a seed decides before time begins.

use super::stamp::SECTOR;
use bcdr_capture::{journal::JournalSettings, tap::TapSettings};
use bcdr_cloud::replica::{SpaceFloor, StoreOptions};
use bcdr_disk::SeededRandom;
use bcdr_gateway::{reduce::batcher::BatchLimits, ship::window::WindowLimits, spool::SpoolLimits};
use std::time::Duration;

/// One volume.
#[derive(Debug, Clone, Copy)]
pub(crate) struct VolumeSettings {
    pub(crate) sectors: u32,
    /// Bytes in which its backing reads and writes.
    pub(crate) io_unit: u32,
    /// Whether a trim is said to read back as zeroes.
    pub(crate) trims: bool,
    /// Whether the backing has a zeroing operation.
    pub(crate) zeroes: bool,
}

/// Everything decided beforehand.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) volumes: Vec<VolumeSettings>,
    pub(crate) clients: usize,
    /// Microseconds a client pauses at most between two operations.
    pub(crate) pause: u64,
    pub(crate) tap: TapSettings,
    pub(crate) journal: JournalSettings,
    /// Bytes of the feed kept in memory.
    pub(crate) tail_bytes: usize,
    pub(crate) batch: BatchLimits,
    pub(crate) window: WindowLimits,
    pub(crate) spool: SpoolLimits,
    pub(crate) gateway_memory: u64,
    pub(crate) store: StoreOptions,
}

fn milliseconds(random: &mut SeededRandom, low: u64, high: u64) -> Duration {
    Duration::from_millis(random.between(low, high))
}

impl Settings {
    /// Random settings.
    pub(crate) fn random(random: &mut SeededRandom) -> Self {
        let volumes = (0..random.between(1, 4))
            .map(|_| VolumeSettings {
                sectors: [256, 512, 1024][random.index(3)],
                io_unit: [512, 4096, 4096][random.index(3)],
                trims: random.below(3) > 0,
                zeroes: random.below(3) > 0,
            })
            .collect();
        let record_bytes_max = [8, 16, 32][random.index(3)] << 10;
        Self {
            volumes,
            clients: random.between(2, 7) as usize,
            pause: random.between(1_000, 8_000),
            tap: TapSettings {
                record_bytes_max,
                window_records: [32, 64, 256][random.index(3)],
                window_bytes: random.between(128, 1024) as usize * 1024,
                journal_queue_bytes: random.between(64, 512) as usize * 1024,
                latency_budget: milliseconds(random, 40, 300),
                backing_budget: Duration::from_millis(400),
                flush_budget: milliseconds(random, 100, 600),
                journal_sync_interval: milliseconds(random, 5, 60),
                resume_delay: milliseconds(random, 10, 60),
                resume_delay_max: Duration::from_millis(400),
                scan_chunk_bytes: [4096, 8192, 16384, 65536][random.index(4)],
                scan_reads: random.between(1, 4) as usize,
                scan_backlog_bytes: random.between(256, 4096) * 1024,
                scan_retry: Duration::from_millis(10),
                zero_fill_bytes: [4096, 8192][random.index(2)],
            },
            journal: JournalSettings {
                segment_bytes: [128, 192, 256][random.index(3)] << 10,
                segments_max: random.between(5, 24) as u32,
                direct: false,
                append_bytes_max: [64, 256][random.index(2)] << 10,
            },
            tail_bytes: [16, 64, 1024][random.index(3)] << 10,
            batch: BatchLimits {
                age: milliseconds(random, 5, 40),
                data_bytes: random.between(64, 512) * 1024,
                pieces: random.between(16, 512) as usize,
                retained_bytes: random.between(256, 1024) * 1024,
            },
            window: WindowLimits {
                in_flight_bytes: random.between(64, 1024) * 1024,
                in_flight_batches: random.between(2, 64) as usize,
                spool_after: milliseconds(random, 10, 80),
            },
            spool: SpoolLimits {
                capacity_bytes: random.between(1, 16) << 20,
                segment_bytes: random.between(64, 512) * 1024,
                free_floor_bytes: 0,
            },
            gateway_memory: random.between(512, 4096) * 1024,
            store: StoreOptions {
                segment_bytes: random.between(64, 1024) * 1024,
                checkpoint_commits: random.between(1, 40) as u32,
                checkpoint_microseconds: random.between(50_000, 2_000_000) as i64,
                space_floor: SpaceFloor {
                    percent: 0,
                    bytes: 0,
                },
                run_cache_bytes: 256 << 10,
            },
        }
    }

    #[cfg(test)]
    /// A small, plain world for scripted scenarios: one volume of 128 KiB, no randomness.
    pub(crate) fn plain() -> Self {
        let mut settings = Self::random(&mut SeededRandom::new(0));
        settings.volumes = vec![VolumeSettings {
            sectors: 256,
            io_unit: 4096,
            trims: true,
            zeroes: true,
        }];
        settings.clients = 0;
        settings.tap = TapSettings {
            record_bytes_max: 32 << 10,
            window_records: 64,
            latency_budget: Duration::from_millis(300),
            backing_budget: Duration::from_millis(300),
            flush_budget: Duration::from_millis(600),
            journal_sync_interval: Duration::from_millis(20),
            resume_delay: Duration::from_millis(20),
            scan_chunk_bytes: 8192,
            scan_reads: 2,
            scan_retry: Duration::from_millis(10),
            ..TapSettings::default()
        };
        settings.journal = JournalSettings {
            segment_bytes: 128 << 10,
            segments_max: 16,
            direct: false,
            append_bytes_max: 64 << 10,
        };
        settings.tail_bytes = 1 << 20;
        settings.batch.age = Duration::from_millis(10);
        settings.batch.data_bytes = 256 << 10;
        settings.batch.pieces = 512;
        settings.batch.retained_bytes = 1 << 20;
        settings.window.spool_after = Duration::from_millis(50);
        settings.spool.capacity_bytes = 16 << 20;
        settings.gateway_memory = 4 << 20;
        settings
    }

    /// Sectors of each volume.
    pub(crate) fn sectors(&self) -> Vec<u32> {
        self.volumes.iter().map(|volume| volume.sectors).collect()
    }

    /// Sectors that one record covers at most.
    pub(crate) fn record_sectors(&self) -> u32 {
        self.tap.record_bytes_max / SECTOR as u32
    }
}
