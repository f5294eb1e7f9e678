//! A capture made of a recording: records encoded beforehand and fed to a real gateway.
//!
//! It speaks the feed's protocol as a capture does, for a group of its own, and has no disk and no
//! journal. So what is measured is the way from the gateway's intake to the receiver's disk.

use crate::{
    bare_quic::now,
    site::{BenchLab, fill_random},
};
use anyhow::{Context, anyhow, bail};
use bcdr_format::{
    GroupId, IncarnationId, IncarnationOrdinal, Opening, Position, Sequence, StreamId, SyncId,
    Timestamp, VolumeId, VolumeNumber,
    record::{FEED_SEED, Member, Record, RecordBody, VolumeRange},
    sync::{Heals, SyncEvent, SyncReason},
};
use bcdr_tests::end_to_end::stamped::Dice;
use bcdr_wire::{
    feed::{FEED_VERSION, FromCapture, Refusal, ToCapture},
    frame::{FrameError, FrameKind, FrameReader, decode_control, send_control, write_frame},
    identity::{Identity, IdentityPaths, Role},
    transport::{Protocol, client_endpoint, connect},
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use std::{
    fs,
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// Bytes of data in one record.
pub(crate) const RECORD_BYTES: usize = 64 << 10;
const RECORDS_IN_A_FRAME: usize = 16;
const VOLUME_BYTES: u64 = 64 << 30;
const LIFE: IncarnationOrdinal = IncarnationOrdinal::FIRST;
/// The longest anything may take; only a hang gets there.
const PATIENCE: Duration = Duration::from_secs(120);
const DIAL_AGAIN: Duration = Duration::from_millis(100);

/// What the records' data is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// About a third is left after compression.
    ThreeToOne,
    /// Random bytes.
    Incompressible,
}

/// Encoded records, ready to be fed.
#[derive(Debug, Clone)]
pub(crate) struct Recording {
    /// One frame's payload each.
    pub(crate) frames: Vec<Bytes>,
    /// The first record.
    pub(crate) first: Sequence,
    /// The last record.
    pub(crate) last: Sequence,
}

impl Recording {
    /// Bytes of the records' data up to and with the record at `sequence`.
    pub(crate) fn data_bytes_through(&self, sequence: Sequence) -> u64 {
        (sequence.0.min(self.last.0) + 1).saturating_sub(self.first.0) * RECORD_BYTES as u64
    }
}

/// Makes recordings that continue each other.
#[derive(Debug)]
pub(crate) struct Recorder {
    dice: Dice,
    next: Sequence,
    slot: u64,
}

impl Recorder {
    /// A recorder whose first record is `next`.
    pub(crate) fn new(next: Sequence) -> Self {
        Self {
            dice: Dice::new(4),
            next,
            slot: 0,
        }
    }

    /// Records `bytes` of writes at places that were not written before.
    pub(crate) fn record(&mut self, bytes: u64, content: Content, at: Timestamp) -> Recording {
        let first = self.next;
        let records = bytes / RECORD_BYTES as u64;
        let mut frames = Vec::new();
        let mut frame = Vec::new();
        for index in 1..=records {
            self.write(content, at).encode(FEED_SEED, &mut frame);
            if index % RECORDS_IN_A_FRAME as u64 == 0 || index == records {
                frames.push(Bytes::from(std::mem::take(&mut frame)));
            }
        }
        Recording {
            frames,
            first,
            last: Sequence(self.next.0 - 1),
        }
    }

    fn write(&mut self, content: Content, at: Timestamp) -> Record<Vec<u8>> {
        let slots = VOLUME_BYTES / RECORD_BYTES as u64;
        // An odd step visits each of the slots, whose number is a power of two, once.
        self.slot = (self.slot + 40_503) % slots;
        let mut payload = vec![0x5a; RECORD_BYTES];
        for block in payload.chunks_mut(4096) {
            let random = match content {
                Content::ThreeToOne => block.len() / 3,
                Content::Incompressible => block.len(),
            };
            fill_random(&mut self.dice, &mut block[..random]);
        }
        let range = VolumeRange {
            volume: VolumeNumber(0),
            offset: self.slot * RECORD_BYTES as u64,
            length: RECORD_BYTES as u32,
        };
        let sequence = self.next;
        self.next = Sequence(sequence.0 + 1);
        Record {
            sequence,
            captured_at: at,
            body: RecordBody::Data { range, payload },
        }
    }
}

/// A group as the cloud side minted it.
#[derive(Debug, Deserialize)]
struct Minted {
    id: GroupId,
    stream: StreamId,
    volumes: Vec<MintedVolume>,
}

#[derive(Debug, Deserialize)]
struct MintedVolume {
    id: VolumeId,
}

#[derive(Debug, Clone)]
enum Standing {
    Durable(Option<Position>),
    Ended(String),
}

/// A session with the gateway of a lab.
#[derive(Debug)]
pub(crate) struct Feed {
    stream: quinn::SendStream,
    standing: watch::Receiver<Standing>,
    recorder: Recorder,
    connection: quinn::Connection,
    // Sends its last packets as long as it lives.
    _endpoint: quinn::Endpoint,
}

impl Feed {
    /// Makes a group in the lab and begins to feed it, past an initial sync of nothing.
    ///
    /// # Errors
    /// When the lab does not let us.
    pub(crate) async fn begin(lab: &BenchLab) -> anyhow::Result<Self> {
        let body = json!({
            "name": "recorded",
            "volumes": [{ "name": "disk", "size_bytes": VOLUME_BYTES }],
        });
        let group: Minted = serde_json::from_value(lab.api().post("groups", &body)?)?;
        let volume = group
            .volumes
            .first()
            .context("the group was made without its volume")?
            .id;
        let opening = Opening {
            ordinal: LIFE,
            id: IncarnationId::from_u128(7),
            continues: None,
            first: Sequence::FIRST,
        };
        let mut feed = Self::dial(lab, &group, opening).await?;
        let sync = SyncId::from_u128(9);
        let member = Member {
            group: group.id,
            number: VolumeNumber(0),
            id: volume,
            size_bytes: VOLUME_BYTES,
        };
        let head = [
            RecordBody::Sync(SyncEvent::Begin {
                sync,
                reason: SyncReason::Initial,
            }),
            RecordBody::Member(member),
            RecordBody::Sync(SyncEvent::End {
                sync,
                heals: Heals::Nothing,
            }),
        ];
        let mut frame = Vec::new();
        let at = now()?;
        for body in head {
            let sequence = feed.recorder.next;
            feed.recorder.next = Sequence(sequence.0 + 1);
            Record::<Vec<u8>> {
                sequence,
                captured_at: at,
                body,
            }
            .encode(FEED_SEED, &mut frame);
        }
        send_control(&mut feed.stream, &FromCapture::Incarnation(opening)).await?;
        feed.send(&[Bytes::from(frame)]).await?;
        feed.durable(Sequence(feed.recorder.next.0 - 1)).await?;
        Ok(feed)
    }

    /// Dials until the gateway has reached the receiver for this group.
    async fn dial(lab: &BenchLab, group: &Minted, opening: Opening) -> anyhow::Result<Self> {
        let directory = lab.lab().directory();
        let identities = directory.join("identity");
        let identity = Identity::load_from(
            &IdentityPaths {
                ca: identities.join("ca.pem"),
                certificate: identities.join("capture.pem"),
                key: identities.join("capture.key"),
            },
            now()?,
        )?;
        let address = gateway_address(&directory.join("lab.json"))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let endpoint = client_endpoint(address)?;
            let (connection, _) =
                connect(&endpoint, address, &identity, Protocol::Feed, Role::Gateway).await?;
            let (mut stream, answers) = connection.open_bi().await?;
            let hello = FromCapture::Hello {
                version: FEED_VERSION,
                group: group.id,
                stream: group.stream,
                opening: Some(opening),
                now: now()?,
            };
            send_control(&mut stream, &hello).await?;
            let mut answers = FrameReader::new(answers);
            match decode_control(&answers.read_frame().await?)? {
                ToCapture::Welcome { held: None, .. } => {
                    let (tell, standing) = watch::channel(Standing::Durable(None));
                    tokio::spawn(listen(answers, tell));
                    let recorder = Recorder::new(opening.first);
                    return Ok(Self {
                        stream,
                        standing,
                        recorder,
                        connection,
                        _endpoint: endpoint,
                    });
                }
                ToCapture::Refused(Refusal::NotReady { .. }) if Instant::now() < deadline => {
                    tokio::time::sleep(DIAL_AGAIN).await;
                }
                other => bail!("the gateway does not welcome a new stream: {other:?}"),
            }
        }
    }

    /// Records what [`Self::send`] is to feed next.
    ///
    /// # Errors
    /// When the clock cannot be read.
    pub(crate) fn record(&mut self, bytes: u64, content: Content) -> anyhow::Result<Recording> {
        Ok(self.recorder.record(bytes, content, now()?))
    }

    /// Feeds frames.
    ///
    /// # Errors
    /// When the gateway does not take them.
    pub(crate) async fn send(&mut self, frames: &[Bytes]) -> anyhow::Result<()> {
        for frame in frames {
            let parts: [&[u8]; 1] = [frame];
            let sent = write_frame(&mut self.stream, FrameKind::Records, &parts);
            tokio::time::timeout(PATIENCE, sent)
                .await
                .context("the gateway takes nothing")??;
        }
        Ok(())
    }

    /// Waits until the record at `sequence` is durable cloud-side; returns the last that is.
    ///
    /// # Errors
    /// When it does not become durable.
    pub(crate) async fn durable(&mut self, sequence: Sequence) -> anyhow::Result<Sequence> {
        let reached = self.standing.wait_for(|standing| match standing {
            Standing::Durable(durable) => durable.is_some_and(|at| at.sequence >= sequence),
            Standing::Ended(_) => true,
        });
        let standing = tokio::time::timeout(PATIENCE, reached)
            .await
            .map_err(|_| anyhow!("record {sequence} does not become durable cloud-side"))?
            .context("the session's reader ended")?;
        match &*standing {
            Standing::Durable(Some(at)) => Ok(at.sequence),
            Standing::Durable(None) => bail!("nothing is durable cloud-side"),
            Standing::Ended(reason) => bail!("the gateway ended the session: {reason}"),
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.connection.close(0u32.into(), b"done");
    }
}

async fn listen(mut answers: FrameReader<quinn::RecvStream>, tell: watch::Sender<Standing>) {
    let reason = loop {
        let message: Result<ToCapture, FrameError> = match answers.read_frame().await {
            Ok(frame) => decode_control(&frame),
            Err(error) => Err(error),
        };
        match message {
            Ok(ToCapture::Acknowledged(acknowledged)) => {
                let _nobody_asks = tell.send(Standing::Durable(acknowledged.durable));
            }
            Ok(ToCapture::Refused(refusal)) => break refusal.to_string(),
            // A recording has no clock to carry and no place for markers.
            Ok(_) => {}
            Err(error) => break error.to_string(),
        }
    };
    let _nobody_asks = tell.send(Standing::Ended(reason));
}

fn gateway_address(state: &std::path::Path) -> anyhow::Result<SocketAddr> {
    #[derive(Deserialize)]
    struct State {
        feed: SocketAddr,
    }
    let text = fs::read(state).with_context(|| format!("cannot read {}", state.display()))?;
    let state: State = serde_json::from_slice(&text).context("the lab's state tells no address")?;
    Ok(state.feed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bcdr_format::record::{RECORD_HEADER_BYTES, assemble, decode_header};

    fn records(recording: &Recording) -> Vec<Record<Bytes>> {
        let mut records = Vec::new();
        for mut frame in recording.frames.clone() {
            while !frame.is_empty() {
                let header = decode_header(&frame, FEED_SEED).unwrap();
                let mut record = frame.split_to(RECORD_HEADER_BYTES + header.payload_length());
                records.push(assemble(&header, record.split_off(RECORD_HEADER_BYTES)).unwrap());
            }
        }
        records
    }

    #[test]
    fn recordings_continue_each_other_and_overwrite_nothing() {
        let mut recorder = Recorder::new(Sequence(4));
        let bytes = 40 * RECORD_BYTES as u64;
        let first = recorder.record(bytes, Content::Incompressible, Timestamp(5));
        let second = recorder.record(bytes, Content::ThreeToOne, Timestamp(6));
        assert_eq!((first.first, first.last), (Sequence(4), Sequence(43)));
        assert_eq!((second.first, second.last), (Sequence(44), Sequence(83)));
        assert_eq!(first.frames.len(), 3);
        let all: Vec<_> = [records(&first), records(&second)].concat();
        let sequences: Vec<_> = all.iter().map(|record| record.sequence.0).collect();
        assert!(sequences.into_iter().eq(4..84));
        let mut places: Vec<_> = all
            .iter()
            .filter_map(|record| record.body.range())
            .collect();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), 80);
        assert!(places.iter().all(|place| place.end() <= VOLUME_BYTES));
    }

    #[test]
    fn content_is_as_compressible_as_it_says() {
        let mut recorder = Recorder::new(Sequence(1));
        let mut filler = |content| {
            let record = recorder.write(content, Timestamp(0));
            let payload = record.body.payload().unwrap().clone();
            payload.iter().filter(|byte| **byte == 0x5a).count() * 100 / payload.len()
        };
        assert!((65..70).contains(&filler(Content::ThreeToOne)));
        assert!(filler(Content::Incompressible) < 2);
    }

    #[test]
    fn bytes_are_counted_up_to_a_record() {
        let recording = Recording {
            frames: Vec::new(),
            first: Sequence(10),
            last: Sequence(19),
        };
        let unit = RECORD_BYTES as u64;
        assert_eq!(recording.data_bytes_through(Sequence(9)), 0);
        assert_eq!(recording.data_bytes_through(Sequence(12)), 3 * unit);
        assert_eq!(recording.data_bytes_through(Sequence(99)), 10 * unit);
    }
}
