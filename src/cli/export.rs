//! `bcdr point export`: a volume as it was at a point, as a file.
//!
//! Reads through a view that it opens and closes; knows nothing of the replica store. Invariants:
//! the file has its name only when it is whole and on disk; the view is closed however the export
//! ends, and if even that fails, its lease ends it.

mod areas;
mod copy;
mod leftovers;
mod qcow2;
mod target;

use super::{
    Failure, arguments,
    client::{Client, Path as ApiPath},
    document::Document,
    exit,
    global::Session,
    progress::{Activity, Progress},
    table::{
        self,
        view::{View, ViewVolume},
    },
    units,
};
use anyhow::Context as _;
use bcdr_cloud::target::DiskSource;
use bcdr_disk::RealStorage;
use bcdr_nbd::client::{Client as NbdClient, ClientError, ClientOptions};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use std::{future::Future, path::PathBuf, sync::Arc};
use target::Target;
use tokio::signal::unix::{SignalKind, signal};

/// A lease is this long, and longer by a second for every [`LEASE_BYTES`] of the volume.
const LEASE_SECONDS: u64 = 3600;
const LEASE_BYTES: u64 = 16 << 20;
/// The longest lease the API gives, in seconds.
const LEASE_SECONDS_MAX: u64 = 30 * 24 * 3600;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The group's name or id
    group: String,
    /// The volume's name or id; not needed when the group has only one
    #[arg(long, value_name = "VOLUME")]
    volume: Option<String>,
    #[command(flatten)]
    at: arguments::AtArgument,
    /// A branch of the group: an instant of its own history, and not of the group's
    #[arg(long, value_name = "BRANCH")]
    branch: Option<String>,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// The file's form
    #[arg(long, value_name = "FORM", value_enum, default_value_t = Form::Raw)]
    format: Form,
    /// Replace a file that is there, once the new one is whole
    #[arg(long)]
    force: bool,
    /// Also compute the BLAKE3 digest of the whole volume (raw only)
    #[arg(long)]
    digest: bool,
}

/// The form of an exported file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
enum Form {
    /// The volume byte by byte; zeros take no space
    Raw,
    /// QEMU's image format; needs qemu-img
    Qcow2,
}

/// What was exported.
#[derive(Debug, Serialize)]
struct Report {
    file: PathBuf,
    format: Form,
    group: String,
    volume: String,
    point: Document,
    /// The volume's size.
    bytes: u64,
    /// What the file occupies.
    stored_bytes: u64,
    /// Of the volume's whole content; null unless it was asked for.
    blake3: Option<String>,
}

/// The report as the table needs it.
#[derive(Debug, Deserialize)]
struct Shown {
    file: String,
    point: table::point::Point,
    volume: String,
    bytes: u64,
    stored_bytes: u64,
    blake3: Option<String>,
}

#[derive(Deserialize)]
struct Group {
    name: String,
    volumes: Vec<GroupVolume>,
}

#[derive(Deserialize)]
struct GroupVolume {
    id: String,
    name: String,
    size_bytes: Option<u64>,
}

/// The part of a view that is passed on as it came.
#[derive(Deserialize)]
struct WithPoint {
    point: Document,
}

/// The part of a view that says why it cannot be read.
#[derive(Deserialize)]
struct WithReason {
    reason: Option<String>,
}

impl Arguments {
    pub(super) fn run(self, session: &Session) -> Result<(), Failure> {
        if self.digest && self.format != Form::Raw {
            return Err(Failure::usage("--digest is for raw exports")
                .remedy("leave it out, or export with --format raw"));
        }
        let target = Target::choose(Arc::new(RealStorage::new()), &self.to, self.force)?;
        let group = ApiPath::new("groups").item(&self.group);
        let group: Group = session.client.get(&group)?.read()?;
        let wanted = choose_volume(&group, self.volume.as_deref())?;
        let body = serde_json::json!({
            "group": self.group,
            "at": self.at.at,
            "branch": self.branch,
            "lease_seconds": lease_seconds(wanted.size_bytes.unwrap_or_default()),
        });
        let document = session.client.post(&ApiPath::new("views"), &body)?;
        let view: View = document.read()?;
        // From here on the view is closed whatever happens.
        let view_guard = OpenView {
            client: &session.client,
            id: &view.id,
        };
        let point = document.read::<WithPoint>()?.point;
        let volume = view
            .volumes
            .iter()
            .find(|volume| volume.id == wanted.id)
            .ok_or_else(|| no_such_volume(&self.group, &wanted.name, &group.volumes))?;
        let written = self.write(target, volume, &session.progress);
        let written = written.map_err(|failure| explained(failure, &session.client, &view.id));
        drop(view_guard);
        let written = written?;
        let report = Report {
            file: written.file,
            format: self.format,
            group: group.name,
            volume: volume.name.clone(),
            point,
            bytes: volume.size_bytes,
            stored_bytes: written.stored_bytes,
            blake3: written.blake3,
        };
        session.output.show(&Document::of(&report)?, show)
    }

    fn write(
        &self,
        target: Target,
        volume: &ViewVolume,
        progress: &Progress,
    ) -> Result<target::Written, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .context("cannot start the runtime")?;
        runtime.block_on(unless_interrupted(write(
            self.format,
            target,
            volume,
            self.digest,
            progress,
        )))
    }
}

/// Writes a view's volume to a file.
async fn write(
    format: Form,
    target: Target,
    volume: &ViewVolume,
    digest: bool,
    progress: &Progress,
) -> Result<target::Written, Failure> {
    let client = connect(volume).await?;
    let size = client.export().size;
    if size != volume.size_bytes {
        return Err(Failure::error(format!(
            "the view of {} has {size} bytes, and its volume {}",
            volume.name, volume.size_bytes
        ))
        .remedy("report this: the view does not show what it should"));
    }
    let looking = progress.spinner(&format!("measuring {}", volume.name));
    let data_bytes = areas::data_bytes(&client).await.map_err(reading)?;
    drop(looking);
    target.require_space(data_bytes)?;
    let written = match format {
        Form::Raw => {
            let activity = progress.bytes(&volume.name, data_bytes);
            raw(&client, target, digest, &activity).await
        }
        Form::Qcow2 => {
            let activity = progress.spinner(&format!("converting {}", volume.name));
            qcow2::convert(qcow2::TOOL.as_ref(), target, &volume.nbd, &activity).await
        }
    };
    // The view is closed next; a server that misses our goodbye loses nothing.
    if let Err(error) = client.disconnect().await {
        tracing::debug!(%error, "no goodbye from the NBD server");
    }
    written
}

/// Copies everything to a raw file.
async fn raw(
    client: &NbdClient,
    target: Target,
    digest: bool,
    activity: &Activity,
) -> Result<target::Written, Failure> {
    let target = target.create()?;
    let blake3 = copy::copy(client, target.file(), digest, activity).await?;
    activity.doing("writing to disk");
    tokio::task::spawn_blocking(move || target.finish(blake3))
        .await
        .map_err(|_| Failure::error("the export was interrupted"))?
}

async fn connect(volume: &ViewVolume) -> Result<NbdClient, Failure> {
    let source = DiskSource {
        volume: volume.name.clone(),
        uri: volume.nbd.clone(),
        size_bytes: volume.size_bytes,
    };
    let address = source
        .address()
        .map_err(|error| Failure::error("the view cannot be read").cause(error))?;
    let options = ClientOptions::default();
    NbdClient::connect(&address.socket, &address.export, options)
        .await
        .map_err(|error| {
            let gone = matches!(&error, ClientError::Connect { source, .. }
            if source.kind() == std::io::ErrorKind::NotFound);
            match gone {
                true => Failure::error("the view's socket is not on this machine")
                    .cause(error)
                    .remedy("run the export on the cloud side's machine"),
                false => reading(error),
            }
        })
}

fn reading(error: ClientError) -> Failure {
    Failure::error("the view cannot be read").cause(error)
}

/// A failure with the view's own reason as its cause, if it has one: NBD only says that a read
/// failed.
fn explained(failure: Failure, client: &Client, view: &str) -> Failure {
    let shown = client.get(&ApiPath::new("views").item(view));
    let reason = shown.and_then(|document| document.read::<WithReason>());
    match reason {
        Ok(WithReason {
            reason: Some(reason),
        }) => failure.cause(table::plain(&reason)),
        _ => failure,
    }
}

/// Runs to the end, or until somebody wants us to end.
async fn unless_interrupted<T>(
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let cannot = |error| Failure::error(format!("cannot watch for signals: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
    let stopped = || Err(Failure::error("the export was interrupted"));
    tokio::select! {
        done = work => done,
        _ = interrupt.recv() => stopped(),
        _ = terminate.recv() => stopped(),
    }
}

/// A view that is closed when this is dropped.
struct OpenView<'a> {
    client: &'a Client,
    id: &'a str,
}

impl Drop for OpenView<'_> {
    fn drop(&mut self) {
        if let Err(failure) = self.client.delete(&ApiPath::new("views").item(self.id)) {
            tracing::warn!(view = self.id, %failure, "cannot close the view; its lease will end it");
        }
    }
}

fn choose_volume<'a>(group: &'a Group, wanted: Option<&str>) -> Result<&'a GroupVolume, Failure> {
    match (wanted, group.volumes.as_slice()) {
        (None, [only]) => Ok(only),
        (None, volumes) => Err(Failure::usage(format!(
            "group {} has {} volumes, and none was named",
            group.name,
            volumes.len()
        ))
        .remedy(format!("name one with --volume: {}", names(volumes)))),
        (Some(wanted), volumes) => volumes
            .iter()
            .find(|volume| volume.name == wanted || volume.id == wanted)
            .ok_or_else(|| no_such_volume(&group.name, wanted, volumes)),
    }
}

fn no_such_volume(group: &str, wanted: &str, volumes: &[GroupVolume]) -> Failure {
    Failure::new(
        exit::NOT_FOUND,
        format!("group {group} has no volume {wanted}"),
    )
    .remedy(format!("it has {}", names(volumes)))
}

fn names(volumes: &[GroupVolume]) -> String {
    volumes
        .iter()
        .map(|volume| volume.name.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

fn lease_seconds(volume_bytes: u64) -> u64 {
    (LEASE_SECONDS + volume_bytes / LEASE_BYTES).min(LEASE_SECONDS_MAX)
}

fn show(report: &Shown) -> String {
    let mut fields = table::Fields::new();
    fields.field("file", &report.file);
    fields.field("volume", &report.volume);
    fields.field("point", report.point.line());
    fields.field("size", units::bytes(report.bytes));
    fields.field("on disk", units::bytes(report.stored_bytes));
    fields.field_if("BLAKE3", report.blake3.as_deref());
    fields.to_string()
}

#[cfg(test)]
mod tests;
