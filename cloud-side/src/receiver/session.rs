//! One session: a gateway's frames on their way to the lineage's owner.

use super::{
    Receiver, back,
    fault::{HELLO_DEADLINE, SessionError, not_allowed},
    owner::{Offer, OwnerGone},
    slot::SessionNumber,
    writer::{self, Outlet},
};
use crate::{
    clock,
    groups::{CaptureTold, Group},
    keys::KeysError,
    offload::offload,
};
use bcdr_format::batch::BatchLayout;
use bcdr_wire::{
    feed::Refusal,
    frame::{Frame, FrameKind, FrameReader, decode_control},
    identity::PeerIdentity,
    ship::{FromGateway, SHIP_VERSION, ToGateway},
};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

type Frames = FrameReader<quinn::RecvStream>;

/// Serves one connection until it ends.
pub(super) async fn run(
    connection: &quinn::Connection,
    peer: &PeerIdentity,
    receiver: &Receiver,
    shutdown: &CancellationToken,
) -> Result<(), SessionError> {
    let (mut to_gateway, mut frames, first) = tokio::select! {
        first = first_frame(connection) => first?,
        () = shutdown.cancelled() => return Err(SessionError::Stopping),
    };
    if first.kind == FrameKind::Restore {
        return tokio::select! {
            ended = back::serve(receiver, peer, &mut to_gateway, &mut frames, &first) => ended,
            () = shutdown.cancelled() => Err(SessionError::Stopping),
        };
    }
    let hello = hello_of(&first)?;
    let group = match admit(receiver, peer, &hello) {
        Ok(group) => group,
        Err(refusal) => {
            writer::refuse(&mut to_gateway, &refusal).await?;
            return Err(SessionError::Refused(refusal));
        }
    };
    let (outlet, outbox) = writer::outlet();
    let number = group.slot.take(outlet.clone());
    let session = Session {
        receiver,
        group: Arc::clone(&group),
        peer,
        outlet: outlet.clone(),
        number,
    };
    let begun = group.owner.begin(number, outlet.clone(), peer.to_string());
    let ended = match begun.await.unwrap_or_else(|gone| Err(gone.into())) {
        Err(refusal) => {
            writer::refuse(&mut to_gateway, &refusal).await?;
            Err(SessionError::Refused(refusal))
        }
        Ok(begun) => {
            let mut orders = group.order.subscribe();
            let welcome = ToGateway::Welcome {
                version: SHIP_VERSION,
                order: orders.borrow_and_update().clone(),
                held: begun.held,
                fork: begun.fork,
                chain: begun.chain,
                installation_key_missing: receiver.keys.installation_key().is_none(),
                now: clock::wall(),
            };
            session.connected();
            let speaking = async {
                writer::send(&mut to_gateway, &welcome).await?;
                let refused = writer::run(&mut to_gateway, outbox, orders, receiver.clock).await?;
                Err(refused.map_or(SessionError::Stopping, SessionError::Refused))
            };
            tokio::select! {
                // The reader first: what it refuses goes out through the writer.
                ended = speaking => ended,
                ended = session.read(&mut frames) => ended,
                () = outlet.cut() => Err(SessionError::Refused(Refusal::Replaced)),
                () = shutdown.cancelled() => Err(SessionError::Stopping),
            }
        }
    };
    session.gone();
    ended
}

/// What a gateway said first.
struct Hello {
    version: u16,
    installation: bcdr_format::InstallationId,
    group: bcdr_format::GroupId,
    stream: bcdr_format::StreamId,
}

async fn first_frame(
    connection: &quinn::Connection,
) -> Result<(quinn::SendStream, Frames, Frame), SessionError> {
    let first = async {
        let (to_gateway, from_gateway) = connection.accept_bi().await?;
        let mut frames = FrameReader::new(from_gateway);
        let frame = frames.read_frame().await?;
        Ok((to_gateway, frames, frame))
    };
    tokio::time::timeout(HELLO_DEADLINE, first)
        .await
        .map_err(|_| SessionError::Silent)?
}

fn hello_of(first: &Frame) -> Result<Hello, SessionError> {
    let FromGateway::Hello {
        version,
        installation,
        group,
        stream,
        ..
    } = decode_control(first)?
    else {
        return Err(SessionError::NoHello);
    };
    Ok(Hello {
        version,
        installation,
        group,
        stream,
    })
}

fn admit(receiver: &Receiver, peer: &PeerIdentity, hello: &Hello) -> Result<Arc<Group>, Refusal> {
    if hello.version != SHIP_VERSION {
        return Err(Refusal::Version {
            offered: hello.version,
            supported: SHIP_VERSION,
        });
    }
    if hello.installation != receiver.installation || peer.installation != receiver.installation {
        let reason = format!(
            "this receiver serves installation {}",
            receiver.installation
        );
        return Err(not_allowed(peer, reason));
    }
    receiver
        .groups
        .get(hello.group)
        .filter(|group| group.record().stream == hello.stream)
        .ok_or(Refusal::UnknownStream {
            group: hello.group,
            stream: hello.stream,
        })
}

struct Session<'a> {
    receiver: &'a Receiver,
    group: Arc<Group>,
    peer: &'a PeerIdentity,
    outlet: Outlet,
    number: SessionNumber,
}

impl Session<'_> {
    fn connected(&self) {
        tracing::info!(group = %self.group.id(), peer = %self.peer, "gateway connected");
        let peer = self.peer.to_string();
        self.note(|link| {
            link.gateway = Some(peer);
            link.gateway_since = clock::wall();
            link.capture = None;
            link.received = None;
        });
    }

    fn gone(&self) {
        if self.group.slot.leave(self.number) {
            self.group.link.send_modify(|link| {
                link.gateway = None;
                link.gateway_since = clock::wall();
                link.capture = None;
            });
        }
    }

    /// Changes what is shown of the link, unless a newer session has taken over.
    fn note(&self, change: impl FnOnce(&mut crate::groups::Link)) {
        if self.group.slot.is_current(self.number) {
            self.group.link.send_modify(change);
        }
    }

    async fn read(&self, frames: &mut Frames) -> Result<(), SessionError> {
        loop {
            let frame = frames.read_frame().await?;
            let taken = match frame.kind {
                FrameKind::Batch => self.batch(frame).await,
                FrameKind::Control => self.message(decode_control(&frame)?).await?,
                FrameKind::Records | FrameKind::Restore => {
                    return Err(SessionError::UnexpectedFrame);
                }
            };
            if let Err(refusal) = taken {
                self.outlet.refuse(refusal);
                // The writer ends the session once the gateway was told.
                std::future::pending::<()>().await;
            }
        }
    }

    async fn message(&self, message: FromGateway) -> Result<Result<(), Refusal>, SessionError> {
        match message {
            FromGateway::Hello { .. } => Err(SessionError::SecondHello),
            FromGateway::InstallationKey(bytes) => {
                let keys = Arc::clone(&self.receiver.keys);
                let accepted = offload(move || keys.accept(&bytes)).await;
                Ok(accepted.map(drop).map_err(|error| self.key_refused(&error)))
            }
            FromGateway::DataKey { id, wrapped } => {
                let learnt = self.receiver.keys.learn_data_key(id, &wrapped);
                Ok(match learnt {
                    Ok(()) => self
                        .group
                        .owner
                        .key(self.number, id, wrapped)
                        .map_err(Refusal::from),
                    Err(error) => Err(self.key_refused(&error)),
                })
            }
            FromGateway::Capture {
                report,
                since,
                spooled_bytes,
            } => {
                self.note(|link| {
                    link.capture = Some(CaptureTold {
                        report: report.map(|report| *report),
                        since,
                        spooled_bytes,
                    });
                });
                Ok(Ok(()))
            }
        }
    }

    fn key_refused(&self, error: &KeysError) -> Refusal {
        tracing::warn!(peer = %self.peer, %error, "a key was refused");
        let reason = error.to_string();
        match error {
            KeysError::AnotherKey { .. } | KeysError::DataKey { .. } => {
                not_allowed(self.peer, reason)
            }
            KeysError::Missing => Refusal::Discontinuous { reason },
            _ => Refusal::NotReady { reason },
        }
    }

    async fn batch(&self, frame: Frame) -> Result<(), Refusal> {
        let bytes = frame.payload;
        let room = self.group.owner.room(bytes.len()).await?;
        let parsed = {
            let bytes = bytes.clone();
            offload(move || BatchLayout::parse(&bytes)).await
        };
        let layout = parsed.map_err(|error| Refusal::Discontinuous {
            reason: error.to_string(),
        })?;
        if !layout.extents.is_empty() {
            self.outlet.data_arrived();
        }
        let end = layout.header.end();
        self.group.owner.offer(Offer {
            session: self.number,
            outlet: self.outlet.clone(),
            bytes,
            layout,
            receipt: clock::wall(),
            room,
        })?;
        self.note(|link| link.received = Some(end));
        Ok(())
    }
}

impl From<OwnerGone> for Refusal {
    fn from(gone: OwnerGone) -> Self {
        Self::NotReady {
            reason: gone.to_string(),
        }
    }
}
