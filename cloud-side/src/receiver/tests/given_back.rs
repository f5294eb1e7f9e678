//! Connections that relay what a capture asks.

use super::*;
use crate::{
    replica::ChunkCache,
    returns::{Histories, Offer},
    views::KeyedOpener,
};
use bcdr_format::{GroupId, RestoreId, VolumeId};
use bcdr_wire::{
    frame::{FrameReader, write_frame},
    restore::{
        Answer, Content, PointName, RefusalKind, Request, ReturnHello, VolumeHasher, block_digest,
    },
};

const RESTORE: RestoreId = RestoreId::from_u128(3);

/// A capture behind a gateway that relays what it says.
struct Asker {
    send: quinn::SendStream,
    frames: FrameReader<quinn::RecvStream>,
    _connection: quinn::Connection,
    _endpoint: quinn::Endpoint,
}

impl Asker {
    /// Asks through the gateway that has the sessions of groups here.
    async fn hello(site: &Site, group: GroupId, stream: StreamId) -> Self {
        Self::hello_as(site, "gateway", group, stream).await
    }

    async fn hello_as(site: &Site, gateway: &str, group: GroupId, stream: StreamId) -> Self {
        let identity = site.identity(Role::Gateway, gateway);
        let address = site.ship_address();
        let endpoint = client_endpoint(address).unwrap();
        let connecting = connect(&endpoint, address, &identity, Protocol::Ship, Role::Cloud);
        let (connection, _) = connecting.await.unwrap();
        let (mut send, receive) = connection.open_bi().await.unwrap();
        let hello = ReturnHello { group, stream };
        write_frame(&mut send, FrameKind::Restore, &[&hello.encode()])
            .await
            .unwrap();
        Self {
            send,
            frames: FrameReader::new(receive),
            _connection: connection,
            _endpoint: endpoint,
        }
    }

    async fn ask(&mut self, request: &Request) {
        let bytes = request.encode().unwrap();
        write_frame(&mut self.send, FrameKind::Restore, &[&bytes])
            .await
            .unwrap();
    }

    async fn answer(&mut self) -> Answer {
        Answer::from_frame(&self.frames.read_frame().await.unwrap()).unwrap()
    }

    async fn refused(&mut self) -> RefusalKind {
        match self.answer().await {
            Answer::Refused(refusal) => refusal.kind,
            other => panic!("{other:?}"),
        }
    }
}

fn describe() -> Request {
    Request::Describe { restore: RESTORE }
}

/// Offers the newest point of the group.
fn offer(site: &Site, source: &Source) {
    let service = site.service();
    let group = service.groups.get(source.group).unwrap();
    let reader = group.reader().unwrap();
    let point = service.catalog.latest_point(reader.lineage());
    let row = point.unwrap().unwrap();
    let opener = KeyedOpener::new(Arc::clone(&service.keys), Arc::clone(&service.catalog));
    let cache = Arc::new(ChunkCache::new(1 << 20));
    let view = reader.open_view(row.number, Arc::new(opener), cache);
    let view = view.unwrap();
    let offer = Offer {
        point: PointName {
            stream: source.stream,
            position: row.end,
        },
        generation: Generation::FIRST,
        volumes: view.volumes().to_vec(),
        image: Arc::new(view),
        histories: Histories::new(reader, Arc::clone(&service.branches)),
        sink: None,
        end: None,
    };
    let returns = &service.returns;
    returns.offer(RESTORE, source.group, offer).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offered_point_is_given_back_beside_a_shipment() {
    let site = Site::start().await;
    let mut source = site.group().await;
    let mut gateway = Gateway::connect(&site, &source).await;
    for block in 0..3 {
        let batch = source.batch(block, 7);
        gateway.ship(&batch).await;
        gateway.durable(source.end()).await;
    }
    let mut asker = Asker::hello(&site, source.group, source.stream).await;
    asker.ask(&describe()).await;
    assert_eq!(asker.refused().await, RefusalKind::UnknownRestore);
    offer(&site, &source);

    // All at once; the answers come in this order.
    let volume = source.member.id;
    let read = |volume, offset, length| Request::Read {
        volume,
        offset,
        length,
    };
    let mut hasher = VolumeHasher::new(VOLUME_BYTES);
    let blocks = source.image.chunks(65_536).map(block_digest);
    blocks.for_each(|block| hasher.push(block));
    let digest = hasher.finish();
    for request in [
        describe(),
        Request::Done { volume, digest },
        read(volume, 0, 16_384),
        read(volume, VOLUME_BYTES - 512, 1024),
        read(VolumeId::from_u128(1), 0, 512),
        Request::Settle,
        read(volume, 1 << 19, 512),
    ] {
        asker.ask(&request).await;
    }
    assert!(matches!(asker.answer().await, Answer::Description(_)));
    assert_eq!(asker.answer().await, Answer::Done { digest });
    let Answer::Data { offset: 0, content } = asker.answer().await else {
        panic!("no data");
    };
    let mut bytes = vec![0; 16_384];
    content.unpack(&mut bytes).unwrap();
    assert!(bytes == source.image[..16_384]);
    assert_eq!(asker.refused().await, RefusalKind::OutOfRange);
    assert_eq!(asker.refused().await, RefusalKind::UnknownVolume);
    assert_eq!(asker.refused().await, RefusalKind::NotAllowed);
    let Answer::Data { content, .. } = asker.answer().await else {
        panic!("no data");
    };
    assert_eq!(content, Content::Zero { length: 512 });

    // The shipment goes on, and an offer that is withdrawn is no more.
    let batch = source.batch(9, 9);
    gateway.ship(&batch).await;
    gateway.durable(source.end()).await;
    assert!(site.service().returns.withdraw(RESTORE));
    asker.ask(&read(volume, 0, 512)).await;
    assert_eq!(asker.refused().await, RefusalKind::UnknownRestore);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_gateway_that_has_a_groups_session_may_ask_for_it() {
    let site = Site::start().await;
    let mut source = site.group().await;
    let mut gateway = Gateway::connect(&site, &source).await;
    let batch = source.batch(0, 7);
    gateway.ship(&batch).await;
    gateway.durable(source.end()).await;
    offer(&site, &source);
    let nobody = GroupId::from_u128(1);
    let mut asker = Asker::hello(&site, nobody, source.stream).await;
    assert_eq!(asker.refused().await, RefusalKind::NotAllowed);
    let mut asker = Asker::hello(&site, source.group, StreamId::from_u128(1)).await;
    assert_eq!(asker.refused().await, RefusalKind::NotAllowed);
    let volumes = [serde_json::json!({"name": "root", "size_bytes": 4096})];
    let wanted = serde_json::json!({"name": "other", "volumes": volumes});
    let other = site.post("/api/v1/groups", wanted).await.expect(201);
    let text = |name: &str| other[name].as_str().unwrap().to_owned();
    let (group, stream) = (text("id"), text("stream"));
    // Its group has no session, so nobody has checked whose capture this is.
    let (group, stream) = (group.parse().unwrap(), stream.parse().unwrap());
    let mut asker = Asker::hello(&site, group, stream).await;
    assert_eq!(asker.refused().await, RefusalKind::NotReady);
    let mut asker = Asker::hello_as(&site, "another", source.group, source.stream).await;
    assert_eq!(asker.refused().await, RefusalKind::NotReady);
    // A request before any description is about nothing.
    let mut asker = Asker::hello(&site, source.group, source.stream).await;
    asker.ask(&Request::Settle).await;
    assert_eq!(asker.refused().await, RefusalKind::UnknownRestore);
    asker.ask(&describe()).await;
    assert!(matches!(asker.answer().await, Answer::Description(_)));
}
