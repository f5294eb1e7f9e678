//! Running one role in this process until it is told to stop.

use crate::cli::Failure;
use anyhow::Context;
use bcdr_capture::config::CaptureConfig;
use std::{fs, future::Future, path::Path};
use tokio_util::sync::CancellationToken;

/// Runs the capture role from its configuration file.
pub(crate) fn capture(config: &Path) -> Result<(), Failure> {
    let config = capture_configuration(config)?;
    run("capture", |shutdown| {
        bcdr_capture::role::run(config, shutdown)
    })
}

/// Reads a capture's configuration file.
pub(crate) fn capture_configuration(path: &Path) -> anyhow::Result<CaptureConfig> {
    let config: CaptureConfig = toml::from_str(&read(path)?)
        .with_context(|| format!("cannot use the capture configuration {}", path.display()))?;
    Ok(config)
}

/// Runs the gateway role from its configuration file.
pub(crate) fn gateway(config: &Path) -> Result<(), Failure> {
    let config = toml::from_str(&read(config)?)
        .with_context(|| format!("cannot use the gateway configuration {}", config.display()))?;
    run("gateway", |shutdown| {
        bcdr_gateway::role::run(config, shutdown)
    })
}

/// Runs the cloud role from its configuration file.
pub(crate) fn cloud(config: &Path) -> Result<(), Failure> {
    let config = toml::from_str(&read(config)?)
        .with_context(|| format!("cannot use the cloud configuration {}", config.display()))?;
    run("cloud", |shutdown| {
        bcdr_cloud::role::run(config, shutdown.cancelled_owned())
    })
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path)
        .with_context(|| format!("cannot read the configuration {}", path.display()))
}

fn run<E, F>(name: &str, start: impl FnOnce(CancellationToken) -> F) -> Result<(), Failure>
where
    E: std::error::Error + Send + Sync + 'static,
    F: Future<Output = Result<(), E>>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let shutdown = CancellationToken::new();
    let ended = runtime.block_on(async {
        tokio::spawn(stop_on_signal(shutdown.clone()));
        start(shutdown).await
    });
    ended.with_context(|| format!("the {name} role cannot go on"))?;
    Ok(())
}

async fn stop_on_signal(shutdown: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        tracing::error!("signals cannot be received: stop this process with SIGKILL");
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    shutdown.cancel();
}
