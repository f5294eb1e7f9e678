//! What the tests of this crate's shell share: a configured group on temporary files.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bcdr_disk::RealStorage;
use bcdr_format::{GroupId, InstallationId, StreamId, VolumeId};
use bcdr_http::Metrics;
use bcdr_nbd::client::{Client, ClientOptions};
use bcdr_wire::identity::{
    CertificateAuthority, Identity, IdentityPaths, IssueRequest, IssuedIdentity, Role,
};

use crate::{
    clock::{Clock, wall},
    config::{BudgetConfig, CaptureConfig, GroupConfig, JournalConfig, VolumeConfig},
    group::{self, GroupContext, RunningGroup},
    group_thread::{Closed, GroupCommand, GroupStatus},
    metrics::CaptureMetrics,
    ring::Engine,
    tap::TapState,
};

/// The size of each volume.
pub(crate) const VOLUME_BYTES: u64 = 8 << 20;

/// A directory with a configured group, whose volumes are empty files.
pub(crate) struct Site {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) config: CaptureConfig,
}

impl Site {
    pub(crate) fn new(engine: Engine, volumes: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: String| directory.path().join(name);
        let volume = |number: usize| {
            let path = at(format!("{number}.img"));
            File::create(&path).unwrap().set_len(VOLUME_BYTES).unwrap();
            VolumeConfig {
                id: VolumeId::from_u128(100 + number as u128),
                name: format!("volume{number}"),
                path,
                nbd_socket: at(format!("{number}.sock")),
            }
        };
        let config = CaptureConfig {
            state_directory: at("state".to_owned()),
            identity: IdentityPaths {
                ca: PathBuf::new(),
                certificate: PathBuf::new(),
                key: PathBuf::new(),
            },
            gateways: vec!["127.0.0.1:1".parse().unwrap()],
            local_api_socket: None,
            nbd_tcp_listen: None,
            engine,
            budget: BudgetConfig {
                write_milliseconds: 60_000,
                flush_milliseconds: 60_000,
            },
            groups: vec![GroupConfig {
                id: GroupId::from_u128(1),
                stream: StreamId::from_u128(2),
                name: "lab".to_owned(),
                journal: JournalConfig {
                    directory: None,
                    segment_bytes: 24 << 20,
                    segments: 16,
                },
                volumes: (0..volumes).map(volume).collect(),
            }],
        };
        config.check().unwrap();
        Self { directory, config }
    }

    pub(crate) fn start(&self) -> RunningGroup {
        let metrics = Metrics::new(prometheus::Registry::new(), "capture", "test").unwrap();
        let context = GroupContext {
            storage: Arc::new(RealStorage::new()),
            clock: Clock::start(),
            metrics: CaptureMetrics::new(&metrics).unwrap(),
            lock_patience: group::LOCK_PATIENCE,
        };
        group::start(&self.config, &self.config.groups[0], &context).unwrap()
    }

    pub(crate) fn socket(&self, volume: usize) -> &Path {
        &self.config.groups[0].volumes[volume].nbd_socket
    }

    pub(crate) async fn client(&self, volume: usize) -> Client {
        Client::connect(self.socket(volume), "", ClientOptions::default())
            .await
            .unwrap()
    }

    pub(crate) fn contents(&self, volume: usize) -> Vec<u8> {
        std::fs::read(&self.config.groups[0].volumes[volume].path).unwrap()
    }
}

pub(crate) async fn close(mut group: RunningGroup) -> Closed {
    assert!(group.handle.send(GroupCommand::Close));
    let (_, never) = tokio::sync::oneshot::channel();
    let closed = std::mem::replace(&mut group.ended, never)
        .await
        .unwrap()
        .unwrap();
    tokio::task::spawn_blocking(move || group.join())
        .await
        .unwrap();
    closed
}

pub(crate) async fn until(group: &mut RunningGroup, what: impl Fn(&GroupStatus) -> bool) {
    group
        .status
        .wait_for(|status| status.as_ref().is_some_and(&what))
        .await
        .unwrap();
}

pub(crate) fn is_continuous(status: &GroupStatus) -> bool {
    status.tap.state == TapState::Continuous
}

/// Identities of one installation, valid for the running test.
pub(crate) struct TestAuthority {
    authority: CertificateAuthority,
}

impl TestAuthority {
    pub(crate) fn new() -> Self {
        let installation = InstallationId::from_u128(77);
        let authority = CertificateAuthority::create(installation, wall());
        Self {
            authority: authority.unwrap(),
        }
    }

    /// Puts a new identity in a directory.
    pub(crate) fn write_identity(&self, role: Role, directory: &Path) -> IdentityPaths {
        let issued = self.issue(role);
        let write = |name: &str, text: &str| {
            let path = directory.join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        IdentityPaths {
            ca: write("ca.pem", self.authority.certificate_pem()),
            key: write("role.key", &issued.key_pem),
            certificate: write("role.pem", &issued.certificate_pem),
        }
    }

    pub(crate) fn identity(&self, role: Role) -> Identity {
        let issued = self.issue(role);
        Identity::load(
            self.authority.certificate_pem(),
            &issued.certificate_pem,
            &issued.key_pem,
            wall(),
        )
        .unwrap()
    }

    fn issue(&self, role: Role) -> IssuedIdentity {
        let request = IssueRequest {
            role,
            name: "test".to_owned(),
            alternative_names: Vec::new(),
            validity: Duration::from_secs(3600),
        };
        self.authority.issue(&request, wall()).unwrap()
    }
}

/// A session with simple replies, one request at a time.
pub(crate) struct RawSession {
    /// The export's transmission flags.
    pub(crate) flags: u16,
    stream: std::os::unix::net::UnixStream,
}

impl RawSession {
    pub(crate) fn enter(socket: &Path) -> Self {
        use std::io::{Read as _, Write as _};
        let mut stream = bcdr_nbd::connect_unix(socket).unwrap();
        stream.write_all(&3_u32.to_be_bytes()).unwrap();
        stream
            .write_all(&0x4948_4156_454f_5054_u64.to_be_bytes())
            .unwrap();
        stream.write_all(&[0, 0, 0, 1, 0, 0, 0, 0]).unwrap();
        // Greeting, then size and flags.
        let mut greeting = [0; 18 + 10];
        stream.read_exact(&mut greeting).unwrap();
        let flags = u16::from_be_bytes([greeting[26], greeting[27]]);
        Self { flags, stream }
    }

    pub(crate) fn ask(&mut self, command: u16, offset: u64, length: u32, payload: &[u8]) -> u32 {
        use std::io::{Read as _, Write as _};
        let mut request = 0x2560_9513_u32.to_be_bytes().to_vec();
        request.extend_from_slice(&[0, 0]);
        request.extend_from_slice(&command.to_be_bytes());
        request.extend_from_slice(&42_u64.to_be_bytes());
        request.extend_from_slice(&offset.to_be_bytes());
        request.extend_from_slice(&length.to_be_bytes());
        request.extend_from_slice(payload);
        self.stream.write_all(&request).unwrap();
        let mut reply = [0; 16];
        self.stream.read_exact(&mut reply).unwrap();
        assert_eq!(reply[..4], 0x6744_6698_u32.to_be_bytes());
        assert_eq!(reply[8..], 42_u64.to_be_bytes());
        u32::from_be_bytes([reply[4], reply[5], reply[6], reply[7]])
    }
}
