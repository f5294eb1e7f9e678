//! One installation on loopback: certificates, addresses, and a gateway that can be restarted.

use bcdr_format::{GroupId, InstallationId, StreamId, Timestamp};
use bcdr_gateway::{
    clock,
    config::{BatchConfig, GatewayConfig, SpoolConfig},
    role::{self, GatewayError},
};
use bcdr_wire::identity::{
    CertificateAuthority, Identity, IdentityPaths, IssueRequest, Role, VALIDITY_MAX,
};
use serde_json::Value;
use std::{
    future::Future,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::Path,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

/// How long anything may take before its test fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// `work`, or a failed test that says what it waited for.
pub(crate) async fn in_time<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, work).await {
        Ok(done) => done,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

/// An installation.
pub(crate) struct Site {
    pub(crate) directory: TempDir,
    pub(crate) authority: CertificateAuthority,
    pub(crate) installation: InstallationId,
    pub(crate) group: GroupId,
    pub(crate) stream: StreamId,
    pub(crate) gateway_address: SocketAddr,
    pub(crate) receiver_address: SocketAddr,
    pub(crate) config: GatewayConfig,
}

/// A port nobody has. The loopback address is this process's own, so that tests side by side do
/// not take each other's.
fn free_port() -> SocketAddr {
    let [_, a, b, c] = std::process::id().to_be_bytes();
    let own = Ipv4Addr::new(127, a | 1, b, c.clamp(1, 254));
    let socket = UdpSocket::bind((own, 0)).unwrap();
    socket.local_addr().unwrap()
}

fn issue(authority: &CertificateAuthority, role: Role, name: &str) -> (String, String) {
    let request = IssueRequest {
        role,
        name: name.to_owned(),
        alternative_names: vec![],
        validity: VALIDITY_MAX,
    };
    let issued = authority.issue(&request, clock::wall()).unwrap();
    (issued.certificate_pem, issued.key_pem.to_string())
}

/// An identity of any installation in any role.
pub(crate) fn identity(authority: &CertificateAuthority, role: Role, name: &str) -> Identity {
    let (certificate, key) = issue(authority, role, name);
    Identity::load(
        authority.certificate_pem(),
        &certificate,
        &key,
        clock::wall(),
    )
    .unwrap()
}

/// The authority of an installation.
pub(crate) fn authority(installation: InstallationId) -> CertificateAuthority {
    let an_hour_ago = Timestamp(clock::wall().0 - 3_600_000_000);
    CertificateAuthority::create(installation, an_hour_ago).unwrap()
}

impl Site {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let installation = InstallationId::from_u128(77);
        let authority = authority(installation);
        let (certificate, key) = issue(&authority, Role::Gateway, "gateway");
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let identity = IdentityPaths {
            ca: write("ca.pem", authority.certificate_pem()),
            certificate: write("gateway.pem", &certificate),
            key: write("gateway.key", &key),
        };
        let (gateway_address, receiver_address) = (free_port(), free_port());
        let config = GatewayConfig {
            state_directory: directory.path().join("state"),
            identity,
            listen: gateway_address,
            receivers: vec![receiver_address],
            local_api_socket: Some(directory.path().join("api.sock")),
            spool: SpoolConfig {
                free_floor_bytes: 0,
                ..SpoolConfig::default()
            },
            batch: BatchConfig {
                age_milliseconds: 20,
                spool_after_milliseconds: 100,
                ..BatchConfig::default()
            },
        };
        Self {
            directory,
            authority,
            installation,
            group: GroupId::from_u128(1),
            stream: StreamId::from_u128(2),
            gateway_address,
            receiver_address,
            config,
        }
    }

    /// Puts a new certificate and key in the place of the gateway's.
    pub(crate) fn renew_gateway(&self, name: &str) {
        let (certificate, key) = issue(&self.authority, Role::Gateway, name);
        std::fs::write(&self.config.identity.key, key).unwrap();
        std::fs::write(&self.config.identity.certificate, certificate).unwrap();
    }

    pub(crate) fn identity(&self, role: Role) -> Identity {
        identity(&self.authority, role, &role.to_string())
    }

    /// Starts the gateway without waiting for it.
    pub(crate) fn spawn_gateway(&self) -> Gateway {
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(role::run(self.config.clone(), shutdown.clone()));
        Gateway {
            shutdown,
            running,
            socket: self.config.local_api_socket.clone(),
        }
    }

    /// Starts the gateway and waits until it serves.
    pub(crate) async fn start_gateway(&self) -> Gateway {
        let gateway = self.spawn_gateway();
        let serving = async {
            let mut tick = tokio::time::interval(Duration::from_millis(5));
            let socket = self.config.local_api_socket.as_deref().unwrap();
            while get(socket, "/livez").await.is_none() {
                tick.tick().await;
                assert!(!gateway.running.is_finished(), "the gateway did not start");
            }
        };
        in_time("the gateway to serve", serving).await;
        gateway
    }

    /// Where the gateway keeps what it knows of the stream.
    pub(crate) fn stream_directory(&self) -> std::path::PathBuf {
        let streams = self.config.state_directory.join("streams");
        streams.join(self.stream.to_string())
    }

    /// Waits until the gateway's local API answers so.
    pub(crate) async fn until_answer(&self, path: &str, holds: impl Fn(&str) -> bool) {
        let socket = self.config.local_api_socket.as_deref().unwrap();
        let polling = async {
            let mut tick = tokio::time::interval(Duration::from_millis(20));
            loop {
                tick.tick().await;
                if get(socket, path).await.is_some_and(|answer| holds(&answer)) {
                    return;
                }
            }
        };
        in_time(path, polling).await;
    }

    /// The bytes of the files of the stream's spool.
    pub(crate) fn spool_bytes(&self) -> u64 {
        let spool = self.stream_directory().join("spool");
        let lengths = std::fs::read_dir(spool).into_iter().flatten();
        lengths
            .flatten()
            .map(|entry| entry.metadata().map_or(0, |data| data.len()))
            .sum()
    }
}

/// A running gateway.
pub(crate) struct Gateway {
    shutdown: CancellationToken,
    running: JoinHandle<Result<(), GatewayError>>,
    socket: Option<std::path::PathBuf>,
}

impl Gateway {
    /// Stops it, in time.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.ended().await.unwrap();
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(self) -> Result<(), GatewayError> {
        in_time("the gateway to end", self.running).await.unwrap()
    }

    /// The stream's status, or null while the local API does not answer or knows no stream.
    pub(crate) async fn status(&self) -> Value {
        let socket = self.socket.as_deref().unwrap();
        let status: Value = get(socket, "/status")
            .await
            .and_then(|body| serde_json::from_str(&body).ok())
            .unwrap_or_default();
        status["streams"][0].clone()
    }

    /// Waits until the status is as it should be.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let polling = async {
            let mut tick = tokio::time::interval(Duration::from_millis(20));
            loop {
                tick.tick().await;
                let status = self.status().await;
                if holds(&status) {
                    return status;
                }
                assert!(
                    !self.running.is_finished(),
                    "the gateway ended while {what} was due"
                );
            }
        };
        in_time(what, polling).await
    }
}

/// The body that a local API answers with.
pub(crate) async fn get(socket: &Path, path: &str) -> Option<String> {
    let mut stream = UnixStream::connect(socket).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    Some(body.to_owned())
}
