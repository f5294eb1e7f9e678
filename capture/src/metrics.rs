//! The capture's metrics: what each is, and where its value comes from.
//!
//! Values that the ring thread knows come from its status; only latencies are observed where they
//! happen. Labels are the configured groups and volumes, so their number is bounded.

use std::time::Duration;

use bcdr_format::VolumeNumber;
use bcdr_http::{Metrics, MetricsError};
use bcdr_nbd::CommandKind;
use prometheus::{Gauge, GaugeVec, Histogram, HistogramVec, IntCounter, IntCounterVec};

use crate::{group_thread::GroupStatus, tap::TapState};

/// Upper bounds of latencies, in seconds.
const LATENCY_SECONDS: [f64; 12] = [
    0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.05, 0.2, 1.0, 10.0,
];

/// All metrics of the process.
#[derive(Debug, Clone)]
pub struct CaptureMetrics {
    latency: HistogramVec,
    captured_bytes: IntCounterVec,
    captured_writes: IntCounterVec,
    size: GaugeVec,
    sync_remaining: GaugeVec,
    sync_read: IntCounterVec,
    journal_used: GaugeVec,
    journal_capacity: GaugeVec,
    untracked: GaugeVec,
    backlog: GaugeVec,
    unsettled: GaugeVec,
    clients: GaugeVec,
    sent: IntCounterVec,
    connected: GaugeVec,
}

impl CaptureMetrics {
    /// Registers all of them.
    ///
    /// # Errors
    /// If one is registered already.
    pub fn new(metrics: &Metrics) -> Result<Self, MetricsError> {
        let group = ["group"];
        let volume = ["group", "volume"];
        Ok(Self {
            latency: metrics.histogram_vec(
                "bcdr_capture_latency_seconds",
                "Time from a client's request to its reply.",
                &["group", "operation"],
                &LATENCY_SECONDS,
            )?,
            captured_bytes: metrics.counter_vec(
                "bcdr_volume_captured_bytes_total",
                "Bytes that clients wrote or zeroed.",
                &volume,
            )?,
            captured_writes: metrics.counter_vec(
                "bcdr_volume_captured_writes_total",
                "Writes, zeroings and trims that clients asked for.",
                &volume,
            )?,
            size: metrics.gauge_vec("bcdr_volume_size_bytes", "Size of a volume.", &volume)?,
            sync_remaining: metrics.gauge_vec(
                "bcdr_group_sync_remaining_bytes",
                "Bytes that the open sync interval has still to read.",
                &group,
            )?,
            sync_read: metrics.counter_vec(
                "bcdr_group_sync_read_bytes_total",
                "Bytes that sync intervals read and put into the stream.",
                &group,
            )?,
            journal_used: metrics.gauge_vec(
                "bcdr_journal_bytes",
                "Journal space that holds records still needed.",
                &group,
            )?,
            journal_capacity: metrics.gauge_vec(
                "bcdr_journal_capacity_bytes",
                "Journal space there may be.",
                &group,
            )?,
            untracked: metrics.gauge_vec(
                "bcdr_group_untracked",
                "1 while writes reach the disk without being journaled, else 0.",
                &group,
            )?,
            backlog: metrics.gauge_vec(
                "bcdr_group_backlog_bytes",
                "Bytes of records that are ready for the gateway and not sent.",
                &group,
            )?,
            unsettled: metrics.gauge_vec(
                "bcdr_group_unsettled_seconds",
                "How long the oldest unfinished write has been waiting for its disk.",
                &group,
            )?,
            clients: metrics.gauge_vec("bcdr_capture_clients", "NBD clients connected.", &group)?,
            sent: metrics.counter_vec(
                "bcdr_transport_sent_bytes_total",
                "Bytes of records sent to the gateway.",
                &["group", "stage"],
            )?,
            connected: metrics.gauge_vec(
                "bcdr_transport_connected",
                "1 while a gateway takes the group's records, else 0.",
                &group,
            )?,
        })
    }

    /// The metrics of one group.
    #[must_use]
    pub fn group(&self, name: &str, volumes: Vec<(VolumeNumber, String, u64)>) -> GroupMetrics {
        let latency = |operation| self.latency.with_label_values(&[name, operation]);
        let gauge = |gauges: &GaugeVec| gauges.with_label_values(&[name]);
        let volume = |(number, volume, size): (VolumeNumber, String, u64)| {
            let labels = [name, volume.as_str()];
            self.size.with_label_values(&labels).set(size as f64);
            VolumeMetrics {
                number,
                bytes: self.captured_bytes.with_label_values(&labels),
                writes: self.captured_writes.with_label_values(&labels),
            }
        };
        GroupMetrics {
            read: latency("read"),
            write: latency("write"),
            flush: latency("flush"),
            volumes: volumes.into_iter().map(volume).collect(),
            sync_remaining: gauge(&self.sync_remaining),
            sync_read: SyncRead::new(self.sync_read.with_label_values(&[name])),
            journal_used: gauge(&self.journal_used),
            journal_capacity: gauge(&self.journal_capacity),
            untracked: gauge(&self.untracked),
            backlog: gauge(&self.backlog),
            unsettled: gauge(&self.unsettled),
            clients: gauge(&self.clients),
            sent: self.sent.with_label_values(&[name, "raw"]),
            connected: gauge(&self.connected),
        }
    }
}

#[derive(Debug, Clone)]
struct VolumeMetrics {
    number: VolumeNumber,
    bytes: IntCounter,
    writes: IntCounter,
}

/// The metrics of one group; clones share them.
#[derive(Debug, Clone)]
pub struct GroupMetrics {
    read: Histogram,
    write: Histogram,
    flush: Histogram,
    volumes: Vec<VolumeMetrics>,
    sync_remaining: Gauge,
    sync_read: SyncRead,
    journal_used: Gauge,
    journal_capacity: Gauge,
    untracked: Gauge,
    backlog: Gauge,
    unsettled: Gauge,
    clients: Gauge,
    sent: IntCounter,
    connected: Gauge,
}

impl GroupMetrics {
    /// A client was answered after this long.
    pub fn observe(&self, kind: CommandKind, took: Duration) {
        let histogram = match kind {
            CommandKind::Read => &self.read,
            CommandKind::Flush => &self.flush,
            _ => &self.write,
        };
        histogram.observe(took.as_secs_f64());
    }

    /// Shows a group's status.
    pub fn show(&self, status: &GroupStatus) {
        for volume in &self.volumes {
            if let Some(counters) = status.counters.get(&volume.number) {
                raise(&volume.writes, counters.writes);
            }
            let written = status
                .tap
                .volumes
                .iter()
                .find(|other| other.number == volume.number);
            if let Some(written) = written {
                raise(&volume.bytes, written.bytes_written);
            }
        }
        let remaining = match &status.tap.state {
            TapState::Syncing { progress, .. } => {
                progress.total_bytes.saturating_sub(progress.done_bytes)
            }
            _ => 0,
        };
        self.sync_remaining.set(remaining as f64);
        self.sync_read.show(status.tap.sync_read_bytes);
        self.journal_used.set(status.tap.journal.used_bytes as f64);
        self.journal_capacity
            .set(status.tap.journal.capacity_bytes as f64);
        let untracked = matches!(status.tap.state, TapState::Untracked { .. });
        self.untracked.set(f64::from(u8::from(untracked)));
        self.unsettled.set(status.tap.unsettled_for.as_secs_f64());
        self.clients.set(status.clients as f64);
    }

    /// Shows how far the feed is.
    pub fn show_feed(&self, connected: bool, backlog_bytes: u64) {
        self.connected.set(f64::from(u8::from(connected)));
        self.backlog.set(backlog_bytes as f64);
    }

    /// Bytes of records went to the gateway.
    pub fn sent(&self, bytes: u64) {
        self.sent.inc_by(bytes);
    }
}

/// A counter that goes on over the starts of a group within one process.
#[derive(Debug, Clone)]
struct SyncRead {
    counter: IntCounter,
    before: u64,
}

impl SyncRead {
    fn new(counter: IntCounter) -> Self {
        let before = counter.get();
        Self { counter, before }
    }

    /// So much since this start.
    fn show(&self, bytes: u64) {
        raise(&self.counter, self.before + bytes);
    }
}

/// Brings a counter up to a value that only grows.
fn raise(counter: &IntCounter, value: u64) {
    counter.inc_by(value.saturating_sub(counter.get()));
}
