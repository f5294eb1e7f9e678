//! A gateway that says what it is told.

use super::{site::Site, source::Source};
use bcdr_format::Timestamp;
use bcdr_format::{Generation, Position, batch::MAC_BYTES, continuity::Held};
use bcdr_wire::{
    feed::{CaptureReport, Refusal, Tracking},
    frame::{FrameKind, FrameReader, decode_control, send_control, write_frame},
    identity::Role,
    order::{OrderNumber, Serving, SourceOrder, Standing, TaskReport},
    ship::{FromGateway, SHIP_VERSION, ToGateway},
    transport::{Protocol, client_endpoint, connect},
};

/// A session with the receiver.
pub(crate) struct Gateway {
    pub(crate) connection: quinn::Connection,
    pub(crate) to_receiver: quinn::SendStream,
    frames: FrameReader<quinn::RecvStream>,
    pub(crate) welcome: Option<Welcome>,
    reports: i64,
    /// The number of the order that the capture says it remembers.
    pub(crate) remembers: OrderNumber,
    _endpoint: quinn::Endpoint,
}

/// What the receiver said to the hello.
#[derive(Debug, Clone)]
pub(crate) struct Welcome {
    pub(crate) order: SourceOrder,
    pub(crate) held: Option<Held>,
    pub(crate) chain: [u8; MAC_BYTES],
    pub(crate) key_missing: bool,
}

impl Gateway {
    /// Connects and says hello; the answer may be a refusal.
    pub(crate) async fn hello(site: &Site, source: &Source) -> (Self, Option<Refusal>) {
        let hello = FromGateway::Hello {
            version: SHIP_VERSION,
            installation: site.made.installation,
            group: source.group,
            stream: source.stream,
            now: crate::clock::wall(),
        };
        Self::hello_with(site, hello).await
    }

    pub(crate) async fn hello_with(site: &Site, hello: FromGateway) -> (Self, Option<Refusal>) {
        let identity = site.identity(Role::Gateway, "gateway");
        let address = site.ship_address();
        let endpoint = client_endpoint(address).unwrap();
        let (connection, _) = connect(&endpoint, address, &identity, Protocol::Ship, Role::Cloud)
            .await
            .unwrap();
        let (mut to_receiver, from_receiver) = connection.open_bi().await.unwrap();
        send_control(&mut to_receiver, &hello).await.unwrap();
        let mut gateway = Self {
            connection,
            to_receiver,
            frames: FrameReader::new(from_receiver),
            welcome: None,
            remembers: OrderNumber::ASSUMED,
            reports: 0,
            _endpoint: endpoint,
        };
        match gateway.hear().await.unwrap() {
            ToGateway::Welcome {
                order,
                held,
                chain,
                installation_key_missing,
                ..
            } => {
                gateway.welcome = Some(Welcome {
                    order,
                    held,
                    chain,
                    key_missing: installation_key_missing,
                });
                (gateway, None)
            }
            ToGateway::Refused(refusal) => (gateway, Some(refusal)),
            other => panic!("a hello was answered with {other:?}"),
        }
    }

    /// A session that is up, with all keys told.
    pub(crate) async fn connect(site: &Site, source: &Source) -> Self {
        let (mut gateway, refusal) = Self::hello(site, source).await;
        assert_eq!(refusal, None);
        if gateway.welcome.as_ref().unwrap().key_missing {
            let key = FromGateway::InstallationKey(source.key.to_bytes());
            gateway.say(&key).await;
        }
        gateway.tell_key(source).await;
        gateway
    }

    pub(crate) async fn tell_key(&mut self, source: &Source) {
        let wrapped = source.data_key.wrap(&source.key).unwrap();
        let id = source.data_key.id();
        self.say(&FromGateway::DataKey { id, wrapped }).await;
    }

    pub(crate) async fn say(&mut self, message: &FromGateway) {
        send_control(&mut self.to_receiver, message).await.unwrap();
    }

    pub(crate) async fn ship(&mut self, batch: &[u8]) {
        write_frame(&mut self.to_receiver, FrameKind::Batch, &[batch])
            .await
            .unwrap();
    }

    /// Says that a capture is connected and everything is continuous.
    pub(crate) async fn report(&mut self, source: &Source) {
        let generation = source.generation;
        self.stand(source, generation, Serving::Writable).await;
    }

    /// The same, of a capture that knows this generation and serves so.
    pub(crate) async fn stand(
        &mut self,
        source: &Source,
        generation: Generation,
        serving: Serving,
    ) {
        self.stand_with(source, generation, serving, None).await;
    }

    /// The same, of one that was given a task.
    pub(crate) async fn stand_with(
        &mut self,
        source: &Source,
        generation: Generation,
        serving: Serving,
        task: Option<TaskReport>,
    ) {
        self.reports += 1;
        let report = CaptureReport {
            at: Timestamp(self.reports),
            standing: Standing {
                generation,
                order: self.remembers,
                serving,
                task,
            },
            tracking: Tracking::Continuous,
            sequenced: source.end(),
            settled: Some(source.end()),
            journaled: Some(source.end()),
            journal_used_bytes: 10,
            journal_capacity_bytes: 100,
            volumes: Vec::new(),
        };
        self.say(&FromGateway::Capture {
            report: Some(Box::new(report)),
            since: Timestamp(1),
            spooled_bytes: 0,
        })
        .await;
    }

    /// The next message; none when the session ended.
    pub(crate) async fn hear(&mut self) -> Option<ToGateway> {
        let frame = self.frames.read_frame().await.ok()?;
        Some(decode_control(&frame).unwrap())
    }

    /// A message that is there already, if there is one.
    pub(crate) async fn heard(&mut self) -> Option<ToGateway> {
        tokio::select! {
            biased;
            message = self.hear() => message,
            () = std::future::ready(()) => None,
        }
    }

    /// The next order to the source.
    pub(crate) async fn order(&mut self) -> SourceOrder {
        loop {
            match self.hear().await.expect("the session is up") {
                ToGateway::Order(order) => return order,
                ToGateway::Refused(refusal) => panic!("refused: {refusal}"),
                _ => {}
            }
        }
    }

    /// The refusal that ends the session.
    pub(crate) async fn refusal(&mut self) -> Refusal {
        loop {
            match self.hear().await {
                Some(ToGateway::Refused(refusal)) => return refusal,
                Some(_) => {}
                None => panic!("the session ended without a word"),
            }
        }
    }

    /// Waits until this position is acknowledged as durable; says what is published then.
    pub(crate) async fn durable(&mut self, position: Position) -> Option<Position> {
        loop {
            match self.hear().await.expect("the session is up") {
                ToGateway::Acknowledged(acknowledged) if acknowledged.durable == Some(position) => {
                    return acknowledged.published;
                }
                ToGateway::Refused(refusal) => panic!("refused: {refusal}"),
                _ => {}
            }
        }
    }
}
