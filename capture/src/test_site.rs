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
