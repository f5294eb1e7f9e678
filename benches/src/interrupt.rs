//! Stopping early without leaving anything behind.
//!
//! A signal only sets a flag; the run looks at it between its steps and ends as with any error, so
//! that labs are taken down and files removed.

use anyhow::{Context, bail};
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::signal::unix::{SignalKind, signal};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Begins to listen for SIGINT and SIGTERM.
///
/// # Errors
/// When the system does not let us.
pub(crate) fn watch() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (mut interrupt, mut terminate) = {
        let _entered = runtime.enter();
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        )
    };
    let listener = move || {
        runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                INTERRUPTED.store(true, Ordering::Relaxed);
                eprintln!("\nbench: stopping; what was made is being removed");
            }
        });
    };
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(listener)
        .context("cannot start the thread that listens for signals")?;
    Ok(())
}

/// Ends the run if it was told to stop.
///
/// # Errors
/// When a signal has come.
pub(crate) fn check() -> anyhow::Result<()> {
    if INTERRUPTED.load(Ordering::Relaxed) {
        bail!("stopped by a signal");
    }
    Ok(())
}
