//! Converting a view into a qcow2 image with QEMU's own tool.

use super::{
    super::{failure::Failure, progress::Activity},
    target::{Target, Written},
};
use std::{ffi::OsStr, io, process::Stdio};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader},
    process::Command,
};

/// The tool, looked for in `PATH`.
pub(super) const TOOL: &str = "qemu-img";
/// Longest complaint of the tool that is kept, in bytes.
const COMPLAINT_BYTES_MAX: u64 = 8 << 10;
/// Requests the tool keeps in flight; its own most.
const REQUESTS: &str = "16";

/// Writes what the NBD URI shows to a qcow2 image.
pub(super) async fn convert(
    tool: &OsStr,
    target: Target,
    uri: &str,
    activity: &Activity,
) -> Result<Written, Failure> {
    // The file exists, private, before the tool opens it; its path is absolute, so that no part of
    // it is taken for a protocol.
    let mut target = target.create()?;
    let mut child = Command::new(tool)
        .args([
            "convert", "-p", "-m", REQUESTS, "-W", "-f", "raw", "-O", "qcow2", uri,
        ])
        .arg(target.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| cannot_start(tool, error))?;
    let told = follow(child.stdout.take(), activity);
    let complaint = complaint(child.stderr.take());
    let (status, (), complaint) = tokio::join!(child.wait(), told, complaint);
    let status =
        status.map_err(|error| Failure::error(format!("cannot wait for {TOOL}: {error}")))?;
    if !status.success() {
        return Err(
            Failure::error(format!("{TOOL} could not write the image: {status}"))
                .cause(complaint.trim())
                .remedy("see what it says; a raw export does without it"),
        );
    }
    activity.doing("writing the image to disk");
    tokio::task::spawn_blocking(move || {
        target
            .reopen()
            .map_err(|error| Failure::error("the export failed").cause(error))?;
        target.finish(None)
    })
    .await
    .map_err(|_| Failure::error("the export was interrupted"))?
}

fn cannot_start(tool: &OsStr, error: io::Error) -> Failure {
    let tool = tool.to_string_lossy();
    if error.kind() == io::ErrorKind::NotFound {
        return Failure::error(format!("{tool} is not installed"))
            .remedy("install it (package qemu-utils), or export with --format raw");
    }
    Failure::error(format!("cannot start {tool}")).cause(error)
}

/// Shows the tool's progress: `(12.34/100%)` and a carriage return, again and again.
async fn follow(from: Option<impl AsyncRead + Unpin>, activity: &Activity) {
    let Some(from) = from else { return };
    let mut parts = BufReader::new(from).split(b'\r');
    while let Ok(Some(part)) = parts.next_segment().await {
        let text = String::from_utf8_lossy(&part);
        let done = text.trim().trim_start_matches('(').split('/').next();
        if let Some(percent) = done.and_then(|done| done.trim().parse::<f32>().ok()) {
            activity.doing(format!("converting, {percent:.0} %"));
        }
    }
}

/// What the tool says on standard error. All of it is taken, so that the tool never waits for us.
async fn complaint(from: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut from) = from else {
        return String::new();
    };
    let mut kept = Vec::new();
    let read = (&mut from)
        .take(COMPLAINT_BYTES_MAX)
        .read_to_end(&mut kept)
        .await;
    if read.is_ok()
        && let Err(error) = tokio::io::copy(&mut from, &mut tokio::io::sink()).await
    {
        tracing::debug!(%error, "cannot read what the image tool says");
    }
    String::from_utf8_lossy(&kept).into_owned()
}
