//! A scripted capture: a journal of lives, a model of what its volumes hold, and feeds of it.

use crate::{
    image::{Image, Random},
    site::{Site, identity, in_time},
};
use bcdr_format::{
    IncarnationId, IncarnationOrdinal, MarkerId, Opening, Position, Sequence, SyncId, VolumeId,
    VolumeNumber,
    continuity::Held,
    record::{FEED_SEED, Marker, MarkerKind, Member, Record, RecordBody, VolumeRange},
    sync::{Heals, SyncEvent, SyncReason},
};
use bcdr_gateway::clock;
use bcdr_wire::{
    feed::{Acknowledged, FEED_VERSION, FromCapture, Refusal, ToCapture},
    frame::{FrameKind, FrameReader, decode_control, send_control, write_frame},
    identity::Role,
    order::SourceOrder,
    transport::{CloseCode, Protocol, client_endpoint, close, connect},
};
use std::time::Duration;

type Payload = Vec<u8>;

/// One life and its records.
struct Life {
    opening: Opening,
    records: Vec<Record<Payload>>,
}

/// A capture with its journal.
pub(crate) struct Capture {
    site_group: bcdr_format::GroupId,
    lives: Vec<Life>,
    next: Sequence,
    /// The name in its certificate.
    pub(crate) certificate: String,
    /// It stands by, and has nothing to feed.
    pub(crate) stands: bool,
    pub(crate) model: Image,
    pub(crate) random: Random,
}

impl Capture {
    /// A capture in its first life, which begins with an initial sync.
    pub(crate) fn new(site: &Site, seed: u64) -> Self {
        println!("seed {seed}");
        let mut capture = Self {
            site_group: site.group,
            lives: vec![],
            next: Sequence::FIRST,
            certificate: Role::Capture.to_string(),
            stands: false,
            model: Image::default(),
            random: Random(seed),
        };
        capture.open(1, None);
        capture.sync(SyncReason::Initial, Heals::Nothing);
        capture
    }

    /// Begins a life.
    pub(crate) fn open(&mut self, ordinal: u32, continues: Option<Position>) {
        let opening = Opening {
            ordinal: IncarnationOrdinal(ordinal),
            id: IncarnationId::from_u128(u128::from(self.random.next())),
            continues,
            first: self.next,
        };
        let records = vec![];
        self.lives.push(Life { opening, records });
        let member = Member {
            group: self.site_group,
            number: VolumeNumber(0),
            id: VolumeId::from_u128(9),
            size_bytes: 1 << 30,
        };
        self.record(RecordBody::Member(member));
    }

    pub(crate) fn opening(&self) -> Opening {
        self.lives.last().unwrap().opening
    }

    /// Forgets the last `count` records, as a power loss does. The model keeps what they wrote.
    pub(crate) fn lose_tail(&mut self, count: usize) {
        let life = self.lives.last_mut().unwrap();
        life.records.truncate(life.records.len() - count);
    }

    pub(crate) fn last(&self) -> Position {
        let life = self
            .lives
            .iter()
            .rev()
            .find(|life| !life.records.is_empty())
            .unwrap();
        Position::new(life.opening.ordinal, life.records.last().unwrap().sequence)
    }

    fn record(&mut self, body: RecordBody<Payload>) {
        let record = Record {
            sequence: self.next,
            captured_at: clock::wall(),
            body,
        };
        self.next = self.next.next();
        self.lives.last_mut().unwrap().records.push(record);
    }

    pub(crate) fn sync(&mut self, reason: SyncReason, heals: Heals) {
        let sync = SyncId::from_u128(u128::from(self.random.next()));
        self.record(RecordBody::Sync(SyncEvent::Begin { sync, reason }));
        self.write(0, 4096);
        self.record(RecordBody::Sync(SyncEvent::End { sync, heals }));
    }

    pub(crate) fn marker(&mut self, label: &str) {
        self.record(RecordBody::Marker(Marker {
            id: MarkerId::from_u128(5),
            kind: MarkerKind::Bookmark,
            label: label.to_owned(),
        }));
    }

    pub(crate) fn beat(&mut self, beat: bcdr_format::record::Beat) {
        self.record(RecordBody::Beat(beat));
    }

    pub(crate) fn write(&mut self, offset: u64, length: u32) {
        let payload = self.random.bytes(length as usize);
        let range = range(offset, length);
        self.model.write(range.volume, offset, &payload);
        self.record(RecordBody::Data { range, payload });
    }

    /// Random writes, zeroes and voids over a small volume, so that they overlap.
    pub(crate) fn work(&mut self, count: usize) {
        for _ in 0..count {
            let offset = self.random.below(512) * 512;
            let length = (self.random.below(64) + 1) as u32 * 512;
            let range = range(offset, length);
            match self.random.below(10) {
                0 => {
                    self.model.zero(range);
                    self.record(RecordBody::Zero { range, unmap: true });
                }
                1 => {
                    self.model.forget(range);
                    let voids = self.next.previous();
                    self.record(RecordBody::Void { voids, range });
                }
                _ => self.write(offset, length),
            }
        }
    }

    /// Connects, as soon as the gateway is ready.
    pub(crate) async fn connect(&self, site: &Site) -> Feed {
        let trying = async {
            let mut tick = tokio::time::interval(Duration::from_millis(20));
            loop {
                tick.tick().await;
                match self.try_connect(site).await {
                    Some(Ok(feed)) => return feed,
                    None | Some(Err(Refusal::NotReady { .. })) => {}
                    Some(Err(refusal)) => panic!("refused: {refusal}"),
                }
            }
        };
        in_time("the gateway to welcome the capture", trying).await
    }

    /// One attempt: a feed, a refusal, or nobody there.
    pub(crate) async fn try_connect(&self, site: &Site) -> Option<Result<Feed, Refusal>> {
        let address = site.gateway_address;
        let endpoint = client_endpoint(address).unwrap();
        let identity = identity(&site.authority, Role::Capture, &self.certificate);
        let connecting = connect(&endpoint, address, &identity, Protocol::Feed, Role::Gateway);
        // A gateway that was not there yet is found by the next attempt, not by QUIC's patience.
        let attempt = tokio::time::timeout(Duration::from_millis(500), connecting);
        let (connection, _) = attempt.await.ok()?.ok()?;
        let (mut send, receive) = connection.open_bi().await.ok()?;
        let hello = FromCapture::Hello {
            version: FEED_VERSION,
            group: site.group,
            stream: site.stream,
            opening: (!self.stands).then(|| self.opening()),
            now: clock::wall(),
        };
        send_control(&mut send, &hello).await.ok()?;
        let mut frames = FrameReader::new(receive);
        let answer = frames.read_frame().await.ok()?;
        match decode_control(&answer).unwrap() {
            ToCapture::Welcome {
                held, fork, order, ..
            } => Some(Ok(Feed {
                order,
                connection,
                sender: FeedSender {
                    send,
                    sent: held,
                    told: None,
                },
                frames,
                held,
                fork,
                acknowledged: Acknowledged::default(),
                heard: vec![],
            })),
            ToCapture::Refused(refusal) => Some(Err(refusal)),
            other => panic!("a hello was answered with {other:?}"),
        }
    }
}

fn range(offset: u64, length: u32) -> VolumeRange {
    VolumeRange {
        volume: VolumeNumber(0),
        offset,
        length,
    }
}

/// The sending half of a feed.
pub(crate) struct FeedSender {
    pub(crate) send: quinn::SendStream,
    sent: Option<Held>,
    told: Option<IncarnationId>,
}

impl FeedSender {
    /// Sends everything after what was sent, in frames of at most 1 MiB.
    pub(crate) async fn send_all(
        &mut self,
        capture: &Capture,
    ) -> Result<(), bcdr_wire::frame::FrameError> {
        for life in &capture.lives {
            let ordinal = life.opening.ordinal;
            let sent = self.sent.map(|held| held.position);
            if sent.is_some_and(|sent| sent.ordinal > ordinal) {
                continue;
            }
            let after = sent
                .filter(|sent| sent.ordinal == ordinal)
                .map(|sent| sent.sequence);
            let due = life
                .records
                .iter()
                .filter(|record| Some(record.sequence) > after);
            let mut frame = Vec::new();
            for record in due {
                self.tell(life.opening).await?;
                record.encode(FEED_SEED, &mut frame);
                self.sent = Some(Held {
                    position: Position::new(ordinal, record.sequence),
                    id: life.opening.id,
                });
                if frame.len() > 1 << 20 {
                    write_frame(&mut self.send, FrameKind::Records, &[&frame]).await?;
                    frame.clear();
                }
            }
            if !frame.is_empty() {
                write_frame(&mut self.send, FrameKind::Records, &[&frame]).await?;
            }
        }
        Ok(())
    }

    async fn tell(&mut self, opening: Opening) -> Result<(), bcdr_wire::frame::FrameError> {
        if self.told != Some(opening.id) {
            self.told = Some(opening.id);
            send_control(&mut self.send, &FromCapture::Incarnation(opening)).await?;
        }
        Ok(())
    }

    /// Sends again from the very first record.
    pub(crate) fn rewind(&mut self) {
        (self.sent, self.told) = (None, None);
    }
}

/// A session with the gateway.
pub(crate) struct Feed {
    pub(crate) connection: quinn::Connection,
    pub(crate) sender: FeedSender,
    pub(crate) frames: FrameReader<quinn::RecvStream>,
    /// What the welcome said.
    pub(crate) order: SourceOrder,
    pub(crate) held: Option<Held>,
    pub(crate) fork: Option<bcdr_format::continuity::Fork>,
    pub(crate) acknowledged: Acknowledged,
    /// All else that the gateway said.
    pub(crate) heard: Vec<ToCapture>,
}

impl Feed {
    pub(crate) async fn send_all(&mut self, capture: &Capture) {
        in_time("the gateway to take records", self.sender.send_all(capture))
            .await
            .unwrap();
    }

    /// Reads what the gateway says until this holds.
    pub(crate) async fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let reading = async {
            while !holds(self) {
                let frame = self.frames.read_frame().await.unwrap();
                match decode_control(&frame).unwrap() {
                    ToCapture::Acknowledged(acknowledged) => self.acknowledged = acknowledged,
                    other => self.heard.push(other),
                }
            }
        };
        in_time(what, reading).await;
    }

    /// Reads until the gateway refuses.
    pub(crate) async fn refusal(&mut self) -> Refusal {
        let refused = |message: &ToCapture| matches!(message, ToCapture::Refused(_));
        self.until("a refusal", |feed| feed.heard.iter().any(refused))
            .await;
        match self.heard.pop() {
            Some(ToCapture::Refused(refusal)) => refusal,
            other => panic!("{other:?} after a refusal"),
        }
    }

    /// Waits until all of the capture's records are durable cloud-side.
    pub(crate) async fn until_durable(&mut self, capture: &Capture) {
        let last = Some(capture.last());
        self.until("L3", |feed| feed.acknowledged.durable >= last)
            .await;
    }

    pub(crate) fn hang_up(self) {
        close(&self.connection, CloseCode::Done, "over");
    }
}
