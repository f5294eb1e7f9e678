//! The writing end of a connection to a gateway: one task, because a half-written frame ends the
//! stream.

use bcdr_format::{Opening, incarnation::IncarnationOrdinal, record::FEED_SEED};
use bcdr_wire::{
    feed::{CaptureReport, FromCapture},
    frame::{FrameError, FrameKind, send_control, write_frame},
};
use quinn::SendStream;
use tokio::sync::mpsc;

use crate::{StreamRecord, feed::FeedItem};
use std::sync::Arc;

/// A payload of at least this many bytes is sent from where it is; shorter ones are copied together
/// with their headers.
const COPY_BELOW: usize = 16 * 1024;

/// Something to send.
pub(crate) enum Outgoing {
    /// How the capture is.
    Report(Box<CaptureReport>),
    /// Items in feed order, and the opening of the life that the first one belongs to.
    Items {
        opening: Option<Opening>,
        items: Vec<FeedItem>,
    },
}

/// Writes until the connection ends or nobody has anything to send.
pub(super) async fn write(mut stream: SendStream, mut outgoing: mpsc::Receiver<Outgoing>) {
    let mut announced = None;
    while let Some(message) = outgoing.recv().await {
        let written = match message {
            Outgoing::Report(report) => {
                send_control(&mut stream, &FromCapture::Report(*report)).await
            }
            Outgoing::Items { opening, items } => {
                send_items(&mut stream, &mut announced, opening, items).await
            }
        };
        if let Err(error) = written {
            tracing::debug!(%error, "the stream to the gateway ended");
            return;
        }
    }
}

async fn send_items(
    stream: &mut SendStream,
    announced: &mut Option<IncarnationOrdinal>,
    opening: Option<Opening>,
    items: Vec<FeedItem>,
) -> Result<(), FrameError> {
    if let Some(opening) = opening
        && *announced != Some(opening.ordinal)
    {
        announce(stream, announced, opening).await?;
    }
    let mut records: Vec<Arc<StreamRecord>> = Vec::with_capacity(items.len());
    for item in items {
        match item {
            FeedItem::Record { record, .. } => records.push(record),
            FeedItem::Opening(start) => {
                send_records(stream, &records).await?;
                records.clear();
                if *announced != Some(start.opening.ordinal) {
                    announce(stream, announced, start.opening).await?;
                }
            }
        }
    }
    send_records(stream, &records).await
}

async fn announce(
    stream: &mut SendStream,
    announced: &mut Option<IncarnationOrdinal>,
    opening: Opening,
) -> Result<(), FrameError> {
    *announced = Some(opening.ordinal);
    send_control(stream, &FromCapture::Incarnation(opening)).await
}

/// A part of a frame: bytes gathered from small records, or a record's payload in its place.
enum Part {
    Gathered(std::ops::Range<usize>),
    InPlace(usize),
}

/// Sends records as one frame.
async fn send_records(
    stream: &mut SendStream,
    records: &[Arc<StreamRecord>],
) -> Result<(), FrameError> {
    if records.is_empty() {
        return Ok(());
    }
    let mut gathered = Vec::new();
    let mut parts: Vec<Part> = Vec::new();
    let mut begin = 0;
    for (index, record) in records.iter().enumerate() {
        match record.body.payload() {
            Some(payload) if payload.len() >= COPY_BELOW => {
                let (header, _) = record.encode_header(FEED_SEED);
                gathered.extend_from_slice(&header);
                parts.push(Part::Gathered(begin..gathered.len()));
                begin = gathered.len();
                parts.push(Part::InPlace(index));
            }
            _ => record.encode(FEED_SEED, &mut gathered),
        }
    }
    if begin < gathered.len() {
        parts.push(Part::Gathered(begin..gathered.len()));
    }
    let slices: Vec<&[u8]> = parts
        .iter()
        .map(|part| match part {
            Part::Gathered(range) => &gathered[range.clone()],
            Part::InPlace(index) => records[*index]
                .body
                .payload()
                .map_or(&[][..], |payload| payload),
        })
        .collect();
    write_frame(stream, FrameKind::Records, &slices).await
}
