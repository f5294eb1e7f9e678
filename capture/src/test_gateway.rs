//! A gateway in the hands of a test: real QUIC, scripted answers, and what it was fed.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
};

use bcdr_format::{
    GroupId, Opening, Position, Sequence, StreamId,
    continuity::Held,
    position::Generation,
    record::{FEED_SEED, Marker, RECORD_HEADER_BYTES, Record, RecordBody, assemble, decode_header},
};
use bcdr_wire::{
    feed::{CaptureReport, FEED_VERSION, FromCapture, ToCapture},
    frame::{FrameError, FrameKind, FrameReader, decode_control, send_control},
    identity::Role,
    order::{Duty, OrderNumber, SourceOrder},
    transport::{self, Protocol},
};
use quinn::{Connection, Endpoint, RecvStream, SendStream};

use crate::{
    clock,
    test_site::{TestAuthority, VOLUME_BYTES},
};

/// An order to do this.
pub(crate) fn order(generation: u64, duty: Duty) -> SourceOrder {
    SourceOrder {
        generation: Generation(generation),
        number: OrderNumber::ASSUMED,
        duty,
    }
}

/// A gateway in the hands of a test.
pub(crate) struct Gateway {
    endpoint: Endpoint,
}

/// One session of a capture with it.
pub(crate) struct Session {
    /// The life it said hello with; none if it stands.
    pub(crate) hello: Option<Opening>,
    send: SendStream,
    reader: FrameReader<RecvStream>,
    pub(crate) opening: Option<Opening>,
    pub(crate) next: Option<Sequence>,
    pub(crate) connection: Connection,
}

/// What a gateway received.
#[allow(
    clippy::large_enum_variant,
    reason = "a test holds one of them at a time"
)]
pub(crate) enum Heard {
    Opening(Opening),
    Records(Vec<Record<Vec<u8>>>),
    Report(CaptureReport),
}

impl Gateway {
    pub(crate) fn new(authority: &TestAuthority) -> (Self, SocketAddr) {
        let identity = authority.identity(Role::Gateway);
        let address = (Ipv4Addr::LOCALHOST, 0).into();
        let accepted = [Role::Capture];
        let reset = transport::ResetKey::of(b"secret");
        let serving =
            transport::server_endpoint(address, &identity, &accepted, Protocol::Feed, &reset);
        let endpoint = serving.unwrap();
        let address = endpoint.local_addr().unwrap();
        (Self { endpoint }, address)
    }

    /// The next capture's hello.
    pub(crate) async fn called(&self) -> Session {
        let incoming = self.endpoint.accept().await.unwrap();
        let (connection, _) = transport::accept(incoming).await.unwrap();
        let (send, receive) = connection.accept_bi().await.unwrap();
        let mut reader = FrameReader::new(receive);
        let frame = reader.read_frame().await.unwrap();
        let FromCapture::Hello {
            version,
            group,
            stream,
            opening,
            ..
        } = decode_control(&frame).unwrap()
        else {
            panic!("no hello")
        };
        assert_eq!((version, group), (FEED_VERSION, GroupId::from_u128(1)));
        assert_eq!(stream, StreamId::from_u128(2));
        Session {
            hello: opening,
            send,
            reader,
            opening: None,
            next: None,
            connection,
        }
    }
}

impl Session {
    pub(crate) async fn say(&mut self, message: ToCapture) {
        send_control(&mut self.send, &message).await.unwrap();
    }

    /// Welcomes a capture that is to serve.
    pub(crate) async fn welcome(&mut self, held: Option<Held>) {
        self.welcome_under(order(1, Duty::Serve), held).await;
    }

    /// Welcomes a capture under an order.
    pub(crate) async fn welcome_under(&mut self, order: SourceOrder, held: Option<Held>) {
        let (version, now) = (FEED_VERSION, clock::wall());
        self.say(ToCapture::Welcome {
            version,
            held,
            fork: None,
            order,
            now,
        })
        .await;
        // The next record follows what is held, unless another life begins.
        self.next = held.map(|held| held.position.sequence.next());
    }

    /// The next message, after checking that records follow one another.
    pub(crate) async fn hear(&mut self) -> Heard {
        self.try_hear().await.unwrap()
    }

    /// The next message, or the end of the session.
    pub(crate) async fn try_hear(&mut self) -> Result<Heard, FrameError> {
        let frame = self.reader.read_frame().await?;
        if frame.kind == FrameKind::Control {
            return Ok(match decode_control(&frame).unwrap() {
                FromCapture::Incarnation(opening) => {
                    if self.opening.is_some() || self.next.is_none() {
                        self.next = Some(opening.first);
                    }
                    self.opening = Some(opening);
                    Heard::Opening(opening)
                }
                FromCapture::Report(report) => Heard::Report(report),
                FromCapture::Hello { .. } => panic!("a second hello"),
            });
        }
        assert_eq!(frame.kind, FrameKind::Records);
        assert!(self.opening.is_some(), "records of an unknown life");
        let records = decode(&frame.payload);
        for record in &records {
            let next = self.next.replace(record.sequence.next());
            assert_eq!(next, Some(record.sequence), "a gap or a repetition");
        }
        Ok(Heard::Records(records))
    }

    pub(crate) fn position(&self) -> Option<Held> {
        let (opening, next) = (self.opening?, self.next?);
        let position = Position::new(opening.ordinal, next.previous());
        Some(Held {
            position,
            id: opening.id,
        })
    }
}

fn decode(mut bytes: &[u8]) -> Vec<Record<Vec<u8>>> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let header = decode_header(bytes, FEED_SEED).unwrap();
        let end = RECORD_HEADER_BYTES + header.payload_length();
        let payload = bytes[RECORD_HEADER_BYTES..end].to_vec();
        records.push(assemble(&header, payload).unwrap());
        bytes = &bytes[end..];
    }
    records
}

/// Volumes as the records describe them.
#[derive(Default)]
pub(crate) struct Replica {
    pub(crate) volumes: BTreeMap<u16, Vec<u8>>,
    pub(crate) markers: Vec<Marker>,
    pub(crate) syncing: bool,
}

impl Replica {
    pub(crate) fn apply(&mut self, records: Vec<Record<Vec<u8>>>) {
        for record in records {
            match &record.body {
                RecordBody::Marker(marker) => self.markers.push(marker.clone()),
                RecordBody::Sync(event) => {
                    self.syncing = matches!(event, bcdr_format::sync::SyncEvent::Begin { .. });
                }
                _ => {}
            }
            let Some(range) = record.body.range() else {
                continue;
            };
            let volume = self
                .volumes
                .entry(range.volume.0)
                .or_insert_with(|| vec![0xee; VOLUME_BYTES as usize]);
            let target = &mut volume[range.offset as usize..range.end() as usize];
            match record.body.payload() {
                Some(payload) => target.copy_from_slice(payload),
                None => target.fill(0),
            }
        }
    }

    /// Hears until the volume looks like this and no interval is open.
    pub(crate) async fn catch_up(&mut self, session: &mut Session, volume: u16, disk: &[u8]) {
        loop {
            if !self.syncing && self.volumes.get(&volume).is_some_and(|found| found == disk) {
                return;
            }
            if let Heard::Records(records) = session.hear().await {
                self.apply(records);
            }
        }
    }
}
