//! `lab up`: makes a lab, or brings an existing one up again.
//!
//! Each step leaves something durable, so that an interrupted `up` is taken up where it stopped:
//! the directories and the cloud side's state, the lab's state file, the supervisor with the cloud
//! role, the group with its minted ids, the other roles' identities and configurations.

use super::{
    identity,
    layout::Layout,
    process::Process,
    report::LabReport,
    state::{LabGroup, LabState, LabVolume, load_roles},
    supervise,
};
use crate::cli::{client::Client, context::Context as ApiContext};
use anyhow::{Context, bail, ensure};
use bcdr_capture::config::{CaptureConfig, GroupConfig, VolumeConfig};
use bcdr_cloud::{
    config::CloudConfig,
    init::{InitOptions, ca_certificate, create_token, initialise, is_initialised},
    target::LaunchSettings,
};
use bcdr_disk::{RealStorage, replace_atomically};
use bcdr_format::SECTOR_BYTES;
use bcdr_gateway::config::GatewayConfig;
use bcdr_http::Token;
use bcdr_wire::identity::Role;
use std::{
    fs::{self, File, OpenOptions},
    io::{Seek, SeekFrom},
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    os::unix::{fs::FileTypeExt, net::UnixStream, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const NAME_BYTES_MAX: usize = 32;
const READY_DEADLINE: Duration = Duration::from_secs(60);
/// How long the cloud side may take to hear of the source.
const SOURCE_PATIENCE: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// A role that ended so often while it was waited for will not come.
const ENDS_MAX: u64 = 4;

/// What `lab up` was asked for.
#[derive(Debug, Clone)]
pub(crate) struct UpRequest {
    /// The lab's directory.
    pub(crate) directory: PathBuf,
    /// The volumes: name and path. Empty: those of an existing lab.
    pub(crate) volumes: Vec<(String, PathBuf)>,
    /// The group's name. None: the existing lab's, or `lab`.
    pub(crate) group: Option<String>,
    /// Launch settings for drills.
    pub(crate) launch: Option<PathBuf>,
}

/// Brings the lab up and returns once every volume is served and the API answers.
pub(crate) fn run(request: &UpRequest) -> anyhow::Result<LabReport> {
    let launch = request
        .launch
        .as_deref()
        .map(read_launch_settings)
        .transpose()?;
    let wanted = volumes(&request.volumes)?;
    let layout = Layout::create(&request.directory)?;
    layout.create_directories()?;
    let mut state = match LabState::load(&layout)? {
        Some(state) => {
            same_lab(&layout, &state, request.group.as_deref(), &wanted)?;
            state
        }
        None => begin(&layout, request.group.as_deref().unwrap_or("lab"), wanted)?,
    };
    if let Some(text) = launch {
        replace_atomically(&RealStorage::new(), &layout.launch_file(), text.as_bytes())?;
    }
    write_cloud_configuration(&layout, &state)?;
    write_context(&layout, &state)?;
    let supervisor = Supervisor::ensure(&layout)?;
    let api = Client::open(&ApiContext::load(&layout.context_file())?)?;
    supervisor.wait("cloud", "the API to answer", || Ok(api.is_live()))?;
    if state.group.is_none() {
        create_group(&api, &mut state)?;
        state.store(&layout)?;
    }
    write_gateway_configuration(&layout, &state)?;
    write_capture_configuration(&layout, &state)?;
    for volume in &state.volumes {
        let socket = layout.volume_socket(&volume.name);
        let what = format!("volume {} to be served", volume.name);
        supervisor.wait(
            "capture",
            &what,
            || Ok(UnixStream::connect(&socket).is_ok()),
        )?;
    }
    wait_for_the_source(&api, &state);
    LabReport::new(&layout, &state)
}

/// Waits a while until the cloud side hears of the source, so that the next command finds it there.
/// A lab whose replication does not come up is up all the same: its status says why.
fn wait_for_the_source(api: &Client, state: &LabState) {
    let deadline = Instant::now() + SOURCE_PATIENCE;
    while Instant::now() < deadline {
        match api.group(&state.group_name) {
            Ok(Some(group)) if unheard_of(&group.replication.state) => {}
            Ok(Some(_)) => return,
            Ok(None) | Err(_) => {}
        }
        std::thread::sleep(LOOK_EVERY);
    }
    eprintln!("lab up: the source is not connected yet; see bcdr status");
}

/// Whether a group in this state of replication has not heard of its source.
fn unheard_of(state: &str) -> bool {
    matches!(state, "unprotected" | "disconnected")
}

fn read_launch_settings(path: &Path) -> anyhow::Result<String> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("cannot read the launch settings {}", path.display()))?;
    let _checked: LaunchSettings = toml::from_str(&text)
        .with_context(|| format!("cannot use the launch settings {}", path.display()))?;
    Ok(text)
}

/// Checks the volumes asked for.
fn volumes(asked: &[(String, PathBuf)]) -> anyhow::Result<Vec<LabVolume>> {
    let mut volumes: Vec<LabVolume> = Vec::with_capacity(asked.len());
    for (name, path) in asked {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        ensure!(
            !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(plain),
            "{name:?} cannot name a volume: use 1 to {NAME_BYTES_MAX} letters, digits, - and _"
        );
        let absolute = path
            .canonicalize()
            .with_context(|| format!("cannot find volume {name}: {}", path.display()))?;
        ensure!(
            !volumes.iter().any(|other| other.name == *name),
            "volume {name} is named twice: give each volume a name of its own"
        );
        if let Some(other) = volumes.iter().find(|other| other.path == absolute) {
            bail!(
                "volumes {} and {name} are the same {}",
                other.name,
                absolute.display()
            );
        }
        let size_bytes = size_of(&absolute)
            .with_context(|| format!("cannot use volume {name}: {}", absolute.display()))?;
        volumes.push(LabVolume {
            name: name.clone(),
            path: absolute,
            size_bytes,
            id: None,
        });
    }
    Ok(volumes)
}

fn size_of(path: &Path) -> anyhow::Result<u64> {
    let kind = fs::metadata(path)?.file_type();
    ensure!(
        kind.is_file() || kind.is_block_device(),
        "it is neither a raw image nor a block device"
    );
    let mut file = File::open(path)?;
    let size = file.seek(SeekFrom::End(0))?;
    ensure!(size > 0, "it is empty");
    ensure!(
        size.is_multiple_of(SECTOR_BYTES),
        "its size, {size} bytes, is not a multiple of {SECTOR_BYTES}: is it a raw image? extend it with truncate --size=%{SECTOR_BYTES}"
    );
    Ok(size)
}

fn same_lab(
    layout: &Layout,
    state: &LabState,
    group: Option<&str>,
    wanted: &[LabVolume],
) -> anyhow::Result<()> {
    if let Some(group) = group
        && group != state.group_name
    {
        bail!(
            "the lab in {} has the group {}, not {group}: use another directory",
            layout.directory.display(),
            state.group_name
        );
    }
    let key = |volume: &LabVolume| (volume.name.clone(), volume.path.clone());
    let same = wanted.iter().map(key).eq(state.volumes.iter().map(key));
    if !wanted.is_empty() && !same {
        let known: Vec<_> = state
            .volumes
            .iter()
            .map(|volume| format!("{}={}", volume.name, volume.path.display()))
            .collect();
        bail!(
            "the lab in {} protects {}: use another directory for other volumes",
            layout.directory.display(),
            known.join(" ")
        );
    }
    Ok(())
}

fn begin(layout: &Layout, group: &str, volumes: Vec<LabVolume>) -> anyhow::Result<LabState> {
    ensure!(
        !volumes.is_empty(),
        "there is nothing to protect: name volumes with --volume NAME=PATH"
    );
    let cloud = layout.role_state("cloud");
    if !is_initialised(&cloud)? {
        let options = InitOptions {
            state_directory: cloud.clone(),
            api_names: Vec::new(),
        };
        let made = initialise(&options)?;
        // First, since the presence of the other says that all was kept.
        store_secret(&layout.setup_secret_file(), &made.setup_secret)?;
        store_secret(&layout.token_file(), &made.token)?;
    }
    if !layout.token_file().exists() {
        // An interrupted `up` made the cloud side's state and a token that nobody has seen.
        let token = create_token(&cloud, "lab", bcdr_http::Role::Admin)?;
        store_secret(&layout.token_file(), &token)?;
    }
    let state = LabState::new(group, volumes, free_addresses()?);
    state.store(layout)?;
    Ok(state)
}

fn store_secret(path: &Path, secret: &Token) -> anyhow::Result<()> {
    let text = secret.expose();
    Ok(replace_atomically(
        &RealStorage::new(),
        path,
        text.as_bytes(),
    )?)
}

/// Addresses on the loopback interface that are free now. The lab keeps them; a role that finds
/// its address taken later says so.
fn free_addresses() -> anyhow::Result<[SocketAddr; 3]> {
    let any = (Ipv4Addr::LOCALHOST, 0);
    let api = TcpListener::bind(any).context("cannot find a free TCP port")?;
    let ship = UdpSocket::bind(any).context("cannot find a free UDP port")?;
    let feed = UdpSocket::bind(any).context("cannot find a free UDP port")?;
    Ok([api.local_addr()?, ship.local_addr()?, feed.local_addr()?])
}

fn write_cloud_configuration(layout: &Layout, state: &LabState) -> anyhow::Result<()> {
    let mut config = CloudConfig::new(
        layout.role_state("cloud"),
        layout.runtime.clone(),
        state.ship,
        state.api,
    );
    // The lab shares its file system with whatever else is on this machine: a share of all of it
    // may be more than is free, and says nothing about the lab.
    config.store.space_floor_percent = 0;
    write_configuration(layout, "cloud", &config.to_toml()?)
}

fn write_context(layout: &Layout, state: &LabState) -> anyhow::Result<()> {
    let launch = layout.launch_file();
    let context = ApiContext {
        url: format!("https://{}", state.api),
        token_file: layout.token_file(),
        ca: ca_certificate(&layout.role_state("cloud")),
        launch: launch.exists().then_some(launch),
    };
    let text = toml::to_string(&context)?;
    Ok(replace_atomically(
        &RealStorage::new(),
        &layout.context_file(),
        text.as_bytes(),
    )?)
}

fn create_group(api: &Client, state: &mut LabState) -> anyhow::Result<()> {
    let group = match api.group(&state.group_name)? {
        // An interrupted `up` made it before it could be remembered.
        Some(group) => group,
        None => {
            let volumes: Vec<_> = state
                .volumes
                .iter()
                .map(|volume| (volume.name.as_str(), volume.size_bytes))
                .collect();
            api.create_group(&state.group_name, &volumes)?
        }
    };
    for volume in &mut state.volumes {
        let minted = group
            .volumes
            .iter()
            .find(|minted| minted.name == volume.name);
        let minted = minted.with_context(|| {
            format!(
                "the cloud side's group {} has no volume {}",
                state.group_name, volume.name
            )
        })?;
        volume.id = Some(minted.id);
    }
    state.group = Some(LabGroup {
        id: group.id,
        stream: group.stream,
    });
    Ok(())
}

fn write_gateway_configuration(layout: &Layout, state: &LabState) -> anyhow::Result<()> {
    let config = GatewayConfig {
        state_directory: layout.role_state("gateway"),
        identity: identity::ensure(layout, Role::Gateway, identity::wall())?,
        listen: state.feed,
        receivers: vec![state.ship],
        local_api_socket: Some(layout.runtime.join("gateway-api.sock")),
        spool: Default::default(),
        batch: Default::default(),
    };
    write_configuration(layout, "gateway", &toml::to_string(&config)?)
}

fn write_capture_configuration(layout: &Layout, state: &LabState) -> anyhow::Result<()> {
    let group = state.group.context("the group was made above")?;
    let volumes = state
        .volumes
        .iter()
        .map(|volume| {
            Ok(VolumeConfig {
                id: volume.id.context("its id was minted above")?,
                name: volume.name.clone(),
                path: volume.path.clone(),
                nbd_socket: layout.volume_socket(&volume.name),
            })
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let config = CaptureConfig {
        state_directory: layout.role_state("capture"),
        identity: identity::ensure(layout, Role::Capture, identity::wall())?,
        gateways: vec![state.feed],
        local_api_socket: Some(layout.runtime.join("capture-api.sock")),
        nbd_tcp_listen: None,
        engine: Default::default(),
        budget: Default::default(),
        groups: vec![GroupConfig {
            id: group.id,
            stream: group.stream,
            name: state.group_name.clone(),
            journal: Default::default(),
            volumes,
        }],
    };
    if !layout.role_configuration("capture").exists() {
        // Nobody else could have served these volumes from a lab that is just made.
        bcdr_capture::initial::prepare(&RealStorage::new(), &config)?;
    }
    write_configuration(layout, "capture", &toml::to_string(&config)?)
}

/// Writes a role's configuration; one that is the same is left alone.
fn write_configuration(layout: &Layout, role: &str, text: &str) -> anyhow::Result<()> {
    let path = layout.role_configuration(role);
    if fs::read_to_string(&path).is_ok_and(|present| present == text) {
        return Ok(());
    }
    Ok(replace_atomically(
        &RealStorage::new(),
        &path,
        text.as_bytes(),
    )?)
}

/// The supervisor and its roles, watched while the lab comes up.
struct Supervisor<'a> {
    layout: &'a Layout,
    process: Process,
    deadline: Instant,
    /// How often each role had been started again when `up` began.
    restarts: Vec<(String, u64)>,
}

impl<'a> Supervisor<'a> {
    /// Finds the lab's supervisor or starts one.
    fn ensure(layout: &'a Layout) -> anyhow::Result<Self> {
        let deadline = Instant::now() + READY_DEADLINE;
        let mut started = match supervise::process(layout) {
            Some(_) => None,
            None => Some(start_supervisor(layout)?),
        };
        loop {
            if let Some(process) = supervise::process(layout) {
                let restarts = load_roles(layout)?
                    .into_iter()
                    .map(|role| (role.name, role.restarts))
                    .collect();
                return Ok(Self {
                    layout,
                    process,
                    deadline,
                    restarts,
                });
            }
            let ended = started.as_mut().map(Child::try_wait).transpose()?.flatten();
            let why = match ended {
                Some(status) => format!("it ended with {status}"),
                None if Instant::now() >= deadline => "it took too long".to_owned(),
                None => {
                    std::thread::sleep(LOOK_EVERY);
                    continue;
                }
            };
            bail!(
                "the supervisor does not start, {why}:\n{}",
                last_words(layout)
            );
        }
    }

    /// Waits for `done`, which is the work of `role`. Gives up at the deadline, when the supervisor
    /// ends, or when the role ends again and again.
    fn wait(
        &self,
        role: &str,
        what: &str,
        done: impl Fn() -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        while !done()? {
            let why = if !self.process.is_alive() {
                "the supervisor ended".to_owned()
            } else if let Some(error) = self.hopeless(role)? {
                bail!(
                    "waited for {what}, but the {role} role ends each time it is started: {error}"
                );
            } else if Instant::now() >= self.deadline {
                "it took too long".to_owned()
            } else {
                std::thread::sleep(LOOK_EVERY);
                continue;
            };
            bail!("waited for {what}, but {why}:\n{}", last_words(self.layout));
        }
        Ok(())
    }

    /// What a role says that ended so often since `up` began that waiting is pointless.
    fn hopeless(&self, name: &str) -> anyhow::Result<Option<String>> {
        let before = self
            .restarts
            .iter()
            .find(|(role, _)| role == name)
            .map_or(0, |(_, n)| *n);
        let roles = load_roles(self.layout)?;
        let ends = roles
            .iter()
            .find(|role| role.name == name)
            .map_or(0, |role| role.restarts);
        if ends < before + ENDS_MAX {
            return Ok(None);
        }
        let path = self.layout.logs().join(format!("{name}.log"));
        let said = fs::read_to_string(&path).unwrap_or_default();
        let error = said
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix("error: "));
        Ok(Some(error.map_or_else(
            || format!("see {}", path.display()),
            str::to_owned,
        )))
    }
}

fn start_supervisor(layout: &Layout) -> anyhow::Result<Child> {
    let log_path = layout.logs().join("supervisor.log");
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&log_path)
        .with_context(|| format!("cannot write the log {}", log_path.display()))?;
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    Command::new(program)
        .args(["lab", "supervise", "--dir"])
        .arg(&layout.directory)
        .stdin(Stdio::null())
        .stdout(Stdio::from(log.try_clone()?))
        .stderr(Stdio::from(log))
        .process_group(0)
        .spawn()
        .context("cannot start the supervisor")
}

/// The last line of each log, for an error that would otherwise only say that time passed.
fn last_words(layout: &Layout) -> String {
    let words: Vec<_> = ["supervisor"]
        .into_iter()
        .chain(supervise::ROLES)
        .filter_map(|name| {
            let path = layout.logs().join(format!("{name}.log"));
            let text = fs::read_to_string(&path).ok()?;
            let last = text.lines().rfind(|line| !line.trim().is_empty())?;
            Some(format!("  {}: {last}", path.display()))
        })
        .collect();
    if words.is_empty() {
        format!("  no logs in {}", layout.logs().display())
    } else {
        words.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_up_that_was_interrupted_before_it_kept_the_token_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::create(&directory.path().join("lab")).unwrap();
        layout.create_directories().unwrap();
        let volume = LabVolume {
            name: "root".to_owned(),
            path: directory.path().join("disk"),
            size_bytes: 512,
            id: None,
        };
        let made = initialise(&InitOptions {
            state_directory: layout.role_state("cloud"),
            api_names: Vec::new(),
        })
        .unwrap();
        let state = begin(&layout, "lab", vec![volume.clone()]).unwrap();
        let token = fs::read_to_string(layout.token_file()).unwrap();
        assert!(!token.is_empty() && token != made.token.expose());
        assert_eq!(LabState::load(&layout).unwrap(), Some(state));
        // The token stays when the next step was the interrupted one.
        fs::remove_file(layout.state_file()).unwrap();
        begin(&layout, "lab", vec![volume]).unwrap();
        assert_eq!(fs::read_to_string(layout.token_file()).unwrap(), token);
    }
}
