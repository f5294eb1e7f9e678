//! Ctrl-C as news among other news: a command that goes on until somebody ends it ends well.

use super::{Failure, exit};
use std::{process, sync::mpsc::SyncSender, thread};
use tokio::signal::unix::{SignalKind, signal};

/// Sends `news` at the first Ctrl-C. At the second the process ends at once, for when nobody takes the
/// news because what is printed is not read.
///
/// # Errors
/// When the system does not tell of signals.
pub(super) fn tell<T: Send + 'static>(to: SyncSender<T>, news: T) -> Result<(), Failure> {
    let cannot = |error| Failure::error(format!("cannot watch for signals: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(cannot)?;
    let mut interrupt = {
        let _inside = runtime.enter();
        signal(SignalKind::interrupt()).map_err(cannot)?
    };
    thread::spawn(move || {
        runtime.block_on(interrupt.recv());
        // Who does not listen any more has ended.
        let _told = to.send(news);
        runtime.block_on(interrupt.recv());
        process::exit(exit::ERROR.into());
    });
    Ok(())
}
