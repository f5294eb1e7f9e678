//! What the gateway tells Prometheus, read from its streams' status when asked.

use crate::stream::Streams;
use prometheus::{
    IntCounterVec, IntGaugeVec, Opts,
    core::{Collector, Desc},
    proto::MetricFamily,
};
use std::sync::Arc;

/// Collects the metrics of every stream.
#[derive(Debug)]
pub struct StreamCollector {
    streams: Arc<Streams>,
    bytes: IntCounterVec,
    waiting: IntGaugeVec,
    connected: IntGaugeVec,
}

impl StreamCollector {
    /// A collector over `streams`.
    pub fn new(streams: Arc<Streams>) -> Result<Self, prometheus::Error> {
        let gauge = |name: &str, help: &str, label: &str| {
            IntGaugeVec::new(Opts::new(name, help), &["stream", label])
        };
        Ok(Self {
            streams,
            bytes: IntCounterVec::new(
                Opts::new(
                    "bcdr_transport_bytes_total",
                    "bytes by stage: written by captures, encoded into batches",
                ),
                &["stream", "stage"],
            )?,
            waiting: gauge(
                "bcdr_gateway_waiting_bytes",
                "bytes that wait for the receiver, by where they are",
                "place",
            )?,
            connected: gauge(
                "bcdr_transport_connected",
                "whether a session with the peer is up",
                "peer",
            )?,
        })
    }
}

impl Collector for StreamCollector {
    fn desc(&self) -> Vec<&Desc> {
        let mut all = self.bytes.desc();
        all.extend(self.waiting.desc());
        all.extend(self.connected.desc());
        all
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.bytes.reset();
        for (stream, status) in self.streams.status() {
            let stream = stream.to_string();
            let count = |stage: &str, value: u64| {
                self.bytes
                    .with_label_values(&[stream.as_str(), stage])
                    .inc_by(value);
            };
            count("written", status.written_bytes);
            count("encoded", status.encoded_bytes);
            let set = |gauge: &IntGaugeVec, label: &str, value: u64| {
                let value = i64::try_from(value).unwrap_or(i64::MAX);
                gauge
                    .with_label_values(&[stream.as_str(), label])
                    .set(value);
            };
            set(&self.waiting, "memory", status.memory_bytes);
            set(&self.waiting, "spool", status.spool_bytes);
            set(&self.waiting, "all", status.waiting_bytes);
            set(
                &self.connected,
                "capture",
                u64::from(status.capture.is_some()),
            );
            set(
                &self.connected,
                "receiver",
                u64::from(status.receiver_connected),
            );
        }
        let mut all = self.bytes.collect();
        all.extend(self.waiting.collect());
        all.extend(self.connected.collect());
        all
    }
}
