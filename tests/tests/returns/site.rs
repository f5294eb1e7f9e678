//! A receiver that has a store, a gateway, and a home with two disks; all speak QUIC.

use crate::store::{GROUP, INSTALLATION, Images, STREAM, Store, members};
use bcdr_capture::{
    config::VolumeConfig,
    home_task::{self, HomeTaskParts, LockedDisks, RunningTask, path::QuicPath},
    restore::{FencedVolume, PlanLimits, RestoreSettings, StampBook},
};
use bcdr_cloud::returns::{Offer, Returns};
use bcdr_disk::{RealStorage, Storage};
use bcdr_format::{
    Generation, IncarnationId, IncarnationOrdinal, Opening, RestoreId, Sequence, Timestamp,
};
use bcdr_gateway::{
    config::{BatchConfig, GatewayConfig, SpoolConfig},
    role,
};
use bcdr_wire::{
    feed::{FEED_VERSION, FromCapture, ToCapture},
    frame::{FrameKind, FrameReader, decode_control, send_control},
    identity::{CertificateAuthority, Identity, IdentityPaths, IssueRequest, Role, VALIDITY_MAX},
    order::{ConfirmedVolume, Duty, HomeTask, HomeWork, OrderNumber, SourceOrder, TaskState},
    restore::ReturnHello,
    ship::{SHIP_VERSION, ToGateway},
    transport::{Protocol, ResetKey, accept, client_endpoint, connect, server_endpoint},
};
use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, SystemTime},
};
use tokio::{io::AsyncWrite, runtime::Handle, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub(crate) const TASK: RestoreId = RestoreId::from_u128(5);

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Timestamp(since.unwrap().as_micros() as i64)
}

fn free_port() -> SocketAddr {
    let [_, a, b, c] = std::process::id().to_be_bytes();
    let own = Ipv4Addr::new(127, a | 1, b, c.clamp(1, 254));
    UdpSocket::bind((own, 0)).unwrap().local_addr().unwrap()
}

fn issue(authority: &CertificateAuthority, role: Role, name: &str) -> (String, String) {
    let request = IssueRequest {
        role,
        name: name.to_owned(),
        alternative_names: vec![],
        validity: VALIDITY_MAX,
    };
    let issued = authority.issue(&request, now()).unwrap();
    (issued.certificate_pem, issued.key_pem.to_string())
}

pub(crate) struct Site {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) store: Arc<Store>,
    pub(crate) returns: Arc<Returns>,
    /// Bytes of answers after which the receiver's connection breaks, once.
    pub(crate) cut_after: Arc<AtomicU64>,
    /// How often it broke.
    pub(crate) cuts: Arc<AtomicU64>,
    authority: CertificateAuthority,
    gateway_address: SocketAddr,
    stop: CancellationToken,
    gateway: JoinHandle<()>,
    // The capture's feed stays up beside everything else.
    feed: (quinn::Connection, quinn::Endpoint),
}

impl Site {
    pub(crate) async fn start(seed: u64) -> Self {
        println!("seed {seed}");
        let directory = tempfile::tempdir().unwrap();
        let store_directory = directory.path().join("cloud");
        std::fs::create_dir(&store_directory).unwrap();
        let store = tokio::task::spawn_blocking(move || Store::new(&store_directory, seed, 40));
        let store = Arc::new(store.await.unwrap());
        let returns = Arc::new(Returns::new(Arc::clone(&store.catalog)));
        let an_hour_ago = Timestamp(now().0 - 3_600_000_000);
        let authority = CertificateAuthority::create(INSTALLATION, an_hour_ago).unwrap();
        let identity = |role, name: &str| identity(&authority, role, name);
        let receiver_address = free_port();
        let roles = [Role::Gateway];
        let cloud = identity(Role::Cloud, "cloud");
        let reset = ResetKey::of(b"the receiver's secret");
        let serving = server_endpoint(receiver_address, &cloud, &roles, Protocol::Ship, &reset);
        let endpoint = serving.unwrap();
        let cut_after = Arc::new(AtomicU64::new(u64::MAX));
        let cuts = Arc::new(AtomicU64::new(0));
        tokio::spawn(receive(
            endpoint,
            Arc::clone(&returns),
            Arc::clone(&cut_after),
            Arc::clone(&cuts),
        ));
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let (certificate, key) = issue(&authority, Role::Gateway, "gateway");
        let gateway_address = free_port();
        let config = GatewayConfig {
            state_directory: directory.path().join("gateway"),
            identity: IdentityPaths {
                ca: write("ca.pem", authority.certificate_pem()),
                certificate: write("gateway.pem", &certificate),
                key: write("gateway.key", &key),
            },
            listen: gateway_address,
            receivers: vec![receiver_address],
            local_api_socket: None,
            spool: SpoolConfig {
                free_floor_bytes: 0,
                ..SpoolConfig::default()
            },
            batch: BatchConfig::default(),
        };
        let stop = CancellationToken::new();
        let stopping = stop.clone();
        let gateway = tokio::spawn(async move { role::run(config, stopping).await.unwrap() });
        let feed = feed(gateway_address, &identity(Role::Capture, "capture")).await;
        let site = Self {
            directory,
            store,
            returns,
            cut_after,
            cuts,
            authority,
            gateway_address,
            stop,
            gateway,
            feed,
        };
        for number in 0..2 {
            let path = site.disk(number);
            std::fs::write(path, vec![0; crate::store::SIZE as usize]).unwrap();
        }
        site
    }

    /// Ends it. The feed was never disturbed.
    pub(crate) async fn end(self) {
        assert!(self.feed.0.close_reason().is_none(), "the feed broke");
        self.stop.cancel();
        self.gateway.await.unwrap();
        let branches = Arc::clone(&self.store.branches);
        tokio::task::spawn_blocking(move || branches.close())
            .await
            .unwrap();
    }

    pub(crate) fn disk(&self, number: usize) -> PathBuf {
        self.directory.path().join(format!("disk{number}"))
    }

    pub(crate) fn disks(&self) -> Images {
        [0, 1].map(|number| std::fs::read(self.disk(number)).unwrap())
    }

    pub(crate) fn put_disks(&self, images: &Images) {
        for (number, image) in images.iter().enumerate() {
            std::fs::write(self.disk(number), image).unwrap();
        }
    }

    pub(crate) fn volumes(&self) -> Vec<VolumeConfig> {
        let config = |(number, member): (usize, &bcdr_format::record::Member)| VolumeConfig {
            id: member.id,
            name: format!("volume{number}"),
            path: self.disk(number),
            nbd_socket: self.directory.path().join(format!("{number}.sock")),
        };
        members().iter().enumerate().map(config).collect()
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.directory.path().join("capture")
    }

    /// What an operator types who looked at the disks.
    pub(crate) fn confirmed(&self) -> Vec<ConfirmedVolume> {
        let storage = RealStorage::new();
        let volumes = self.volumes();
        let typed = volumes.iter().map(|volume| {
            let fenced = FencedVolume::take(volume, Duration::from_secs(5), &storage).unwrap();
            ConfirmedVolume {
                volume: volume.id,
                identity: fenced.identity(),
            }
        });
        typed.collect()
    }

    /// Offers the end of a batch of the group's own history.
    pub(crate) fn offer(&self, batch: usize) -> Offer {
        Offer {
            point: self.store.point(batch),
            generation: Generation::FIRST,
            volumes: members(),
            image: self.store.view(batch),
            histories: self.store.histories(),
            sink: None,
            end: None,
        }
    }

    pub(crate) fn task(&self, work: HomeWork) -> HomeTask {
        HomeTask {
            id: TASK,
            work,
            confirmed: match work {
                HomeWork::Restore => self.confirmed(),
                _ => Vec::new(),
            },
        }
    }

    pub(crate) fn begin(&self, task: HomeTask) -> RunningTask {
        self.begin_as(task, "capture")
    }

    pub(crate) fn begin_as(&self, task: HomeTask, name: &str) -> RunningTask {
        let storage: Arc<dyn Storage> = Arc::new(RealStorage::new());
        std::fs::create_dir_all(self.state()).unwrap();
        home_task::start(HomeTaskParts {
            task,
            volumes: self.volumes(),
            disks: Box::new(LockedDisks {
                storage: Arc::clone(&storage),
                patience: Duration::from_secs(5),
            }),
            stamps: StampBook::of_group(storage, &self.state()),
            path: Box::new(QuicPath {
                identity: identity(&self.authority, Role::Capture, name).into(),
                gateways: vec![self.gateway_address],
                group: GROUP,
                stream: STREAM,
                runtime: Handle::current(),
            }),
            settings: RestoreSettings {
                limits: PlanLimits {
                    requests: 4,
                    read_bytes: 2 * 65_536,
                    compare_blocks: 5,
                    ranges: 3,
                },
                sync_bytes: 96 << 10,
                cursor_bytes: 256 << 10,
            },
            pause: Duration::from_millis(10),
        })
        .unwrap()
    }

    /// Waits until no stream uses the offer.
    pub(crate) async fn until_unused(&self) {
        while self.returns.progress(TASK).unwrap().streams > 0 {
            tokio::task::yield_now().await;
        }
    }

    /// Runs a task to its end.
    pub(crate) async fn run(&self, task: HomeTask) -> TaskState {
        let running = self.begin(task);
        end_of(running).await
    }

    /// Offers a point in the place of what was offered before, and brings the disks to it.
    pub(crate) async fn restore(&self, offer: Offer) -> TaskState {
        self.returns.withdraw(TASK);
        self.returns.offer(TASK, GROUP, offer).unwrap();
        self.run(self.task(HomeWork::Restore)).await
    }
}

/// How a task ends.
pub(crate) async fn end_of(running: RunningTask) -> TaskState {
    let joined = tokio::task::spawn_blocking(move || running.join());
    let joined = tokio::time::timeout(Duration::from_secs(60), joined);
    joined.await.expect("the task ends").unwrap()
}

fn identity(authority: &CertificateAuthority, role: Role, name: &str) -> Identity {
    let (certificate, key) = issue(authority, role, name);
    Identity::load(authority.certificate_pem(), &certificate, &key, now()).unwrap()
}

/// Says hello as a capture does, until it is let in; from then on the stream is its own.
async fn feed(address: SocketAddr, identity: &Identity) -> (quinn::Connection, quinn::Endpoint) {
    loop {
        let endpoint = client_endpoint(address).unwrap();
        let connecting = connect(&endpoint, address, identity, Protocol::Feed, Role::Gateway);
        let connected = tokio::time::timeout(Duration::from_millis(500), connecting).await;
        let Ok(Ok((connection, _))) = connected else {
            continue;
        };
        let (mut send, receive) = connection.open_bi().await.unwrap();
        let hello = FromCapture::Hello {
            version: FEED_VERSION,
            group: GROUP,
            stream: STREAM,
            opening: Some(Opening {
                ordinal: IncarnationOrdinal::FIRST,
                id: IncarnationId::from_u128(9),
                continues: None,
                first: Sequence::FIRST,
            }),
            now: now(),
        };
        send_control(&mut send, &hello).await.unwrap();
        let mut frames = FrameReader::new(receive);
        let Ok(answer) = frames.read_frame().await else {
            continue;
        };
        if let ToCapture::Welcome { .. } = decode_control(&answer).unwrap() {
            tokio::spawn(async move {
                let _open = send;
                while frames.read_frame().await.is_ok() {}
            });
            return (connection, endpoint);
        }
    }
}

/// The receiver: welcomes who ships, and serves who relays.
async fn receive(
    endpoint: quinn::Endpoint,
    returns: Arc<Returns>,
    cut_after: Arc<AtomicU64>,
    cuts: Arc<AtomicU64>,
) {
    while let Some(incoming) = endpoint.accept().await {
        let (returns, cut_after) = (Arc::clone(&returns), Arc::clone(&cut_after));
        let cuts = Arc::clone(&cuts);
        tokio::spawn(async move {
            let Ok((connection, _)) = accept(incoming).await else {
                return;
            };
            let Ok((mut send, receive)) = connection.accept_bi().await else {
                return;
            };
            let mut frames = FrameReader::new(receive);
            let first = frames.read_frame().await.unwrap();
            if first.kind == FrameKind::Restore {
                let hello = ReturnHello::from_frame(&first).unwrap();
                assert_eq!((hello.group, hello.stream), (GROUP, STREAM));
                let left = cut_after.swap(u64::MAX, Ordering::Relaxed);
                let mut to_asker = Cutting {
                    stream: send,
                    left,
                    cuts,
                };
                let _ended = returns.serve(GROUP, &mut frames, &mut to_asker).await;
                if to_asker.stream.finish().is_ok() {
                    let _read = to_asker.stream.stopped().await;
                }
                return;
            }
            let welcome = ToGateway::Welcome {
                version: SHIP_VERSION,
                order: SourceOrder {
                    generation: Generation::FIRST,
                    number: OrderNumber::ASSUMED,
                    duty: Duty::Serve,
                },
                held: None,
                fork: None,
                chain: [0; _],
                installation_key_missing: false,
                now: now(),
            };
            send_control(&mut send, &welcome).await.unwrap();
            while frames.read_frame().await.is_ok() {}
        });
    }
}

/// A stream that breaks after so many bytes.
struct Cutting {
    stream: quinn::SendStream,
    left: u64,
    cuts: Arc<AtomicU64>,
}

impl AsyncWrite for Cutting {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        if self.left == 0 {
            if self.stream.reset(1u32.into()).is_ok() {
                self.cuts.fetch_add(1, Ordering::Relaxed);
            }
            return Poll::Ready(Err(std::io::Error::other("cut")));
        }
        let most = bytes
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let written = AsyncWrite::poll_write(Pin::new(&mut self.stream), context, &bytes[..most]);
        if let Poll::Ready(Ok(count)) = &written {
            self.left -= *count as u64;
        }
        written
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
