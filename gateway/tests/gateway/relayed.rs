//! What a capture asks of a point that is given back goes through the gateway, and who is let through.

use crate::{
    capture::Capture,
    receiver::{Receiver, Store},
    site::{Site, identity, in_time},
};
use bcdr_format::GroupId;
use bcdr_wire::{
    frame::{FrameError, FrameKind, FrameReader, write_frame},
    identity::Role,
    restore::{Answer, READ_BYTES_MAX, RefusalKind, ReturnHello},
    transport::{Protocol, client_endpoint, connect},
};

/// A capture's stream to a point.
struct Asker {
    send: quinn::SendStream,
    frames: FrameReader<quinn::RecvStream>,
    _connection: quinn::Connection,
    _endpoint: quinn::Endpoint,
}

impl Asker {
    async fn hello(site: &Site, name: &str, hello: ReturnHello) -> Self {
        let address = site.gateway_address;
        let endpoint = client_endpoint(address).unwrap();
        let identity = identity(&site.authority, Role::Capture, name);
        let connecting = connect(&endpoint, address, &identity, Protocol::Feed, Role::Gateway);
        let (connection, _) = in_time("the gateway", connecting).await.unwrap();
        let (send, receive) = connection.open_bi().await.unwrap();
        let mut asker = Self {
            send,
            frames: FrameReader::new(receive),
            _connection: connection,
            _endpoint: endpoint,
        };
        asker.say(&hello.encode()).await;
        asker
    }

    async fn say(&mut self, payload: &[u8]) {
        let said = write_frame(&mut self.send, FrameKind::Restore, &[payload]).await;
        said.unwrap();
    }

    async fn hear(&mut self) -> Result<Vec<u8>, FrameError> {
        let frame = in_time("a frame", self.frames.read_frame()).await?;
        assert_eq!(frame.kind, FrameKind::Restore);
        Ok(frame.payload.to_vec())
    }

    async fn refused(&mut self) -> RefusalKind {
        let bytes = self.hear().await.unwrap();
        match Answer::decode(&bytes.into()).unwrap() {
            Answer::Refused(refusal) => refusal.kind,
            other => panic!("{other:?}"),
        }
    }
}

fn hello(site: &Site) -> ReturnHello {
    ReturnHello {
        group: site.group,
        stream: site.stream,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_go_both_ways_for_the_capture_of_the_stream_and_nobody_else() {
    let site = Site::new();
    let store = Store::new(&site);
    let receiver = Receiver::start(&site, &store).await;
    let gateway = site.start_gateway().await;
    // Nobody has fed the stream yet, so nobody is its capture.
    let mut early = Asker::hello(&site, "capture", hello(&site)).await;
    assert_eq!(early.refused().await, RefusalKind::NotReady);
    let mut capture = Capture::new(&site, 81);
    let mut feed = capture.connect(&site).await;
    let mut clone = Asker::hello(&site, "clone", hello(&site)).await;
    assert_eq!(clone.refused().await, RefusalKind::NotAllowed);
    let other = ReturnHello {
        group: GroupId::from_u128(99),
        ..hello(&site)
    };
    let mut of_another_group = Asker::hello(&site, "capture", other).await;
    assert_eq!(of_another_group.refused().await, RefusalKind::NotReady);
    assert!(store.state().relayed.is_empty());

    let mut asker = Asker::hello(&site, "capture", hello(&site)).await;
    for length in [0, 1, 70_000, READ_BYTES_MAX as usize] {
        let payload = vec![length as u8; length];
        asker.say(&payload).await;
        assert!(asker.hear().await.unwrap() == payload, "{length} bytes");
    }
    // After the last question the answers still come, and then the end.
    asker.say(b"last").await;
    asker.send.finish().unwrap();
    assert_eq!(asker.hear().await.unwrap(), b"last");
    assert!(matches!(asker.hear().await, Err(FrameError::Closed)));
    assert_eq!(store.state().relayed, [hello(&site)]);

    // The end of the receiver is the end of the stream.
    let mut asker = Asker::hello(&site, "capture", hello(&site)).await;
    asker.say(b"before").await;
    assert_eq!(asker.hear().await.unwrap(), b"before");
    receiver.stop().await;
    assert!(asker.hear().await.is_err());
    let receiver = Receiver::start(&site, &store).await;
    capture.work(10);
    feed.send_all(&capture).await;
    feed.until_durable(&capture).await;
    gateway.stop().await;
    receiver.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_nobody_reads_holds_up_no_feed() {
    let site = Site::new();
    let store = Store::new(&site);
    store.state().ignore_relayed = true;
    let receiver = Receiver::start(&site, &store).await;
    let gateway = site.start_gateway().await;
    let mut capture = Capture::new(&site, 82);
    let mut feed = capture.connect(&site).await;
    let mut asker = Asker::hello(&site, "capture", hello(&site)).await;
    // Far more than all windows on the way hold, so this never ends.
    let flood = tokio::spawn(async move {
        for _ in 0..1024 {
            asker.say(&vec![7; READ_BYTES_MAX as usize]).await;
        }
    });
    store
        .until("the relayed stream", |state| !state.relayed.is_empty())
        .await;
    for _ in 0..20 {
        capture.work(20);
        feed.send_all(&capture).await;
        feed.until_durable(&capture).await;
    }
    assert!(store.state().image == capture.model);
    assert!(!flood.is_finished(), "a gigabyte is held on the way");
    flood.abort();
    feed.hang_up();
    gateway.stop().await;
    receiver.stop().await;
}
