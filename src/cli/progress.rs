//! Progress on standard error: lines for events, and on a terminal a spinner or a bar.
//!
//! Nothing here reaches standard output, and off a terminal nothing moves.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    io::{self, IsTerminal, Write as _},
    time::Duration,
};

const TICK: Duration = Duration::from_millis(120);

/// What is told about progress.
pub(super) struct Progress {
    events: bool,
    terminal: bool,
}

impl Progress {
    /// Tells everything that fits the place standard error goes to, or nothing.
    pub(super) fn new(wanted: bool) -> Self {
        Self {
            events: wanted,
            terminal: wanted && io::stderr().is_terminal(),
        }
    }

    /// A spinner, for work without a measure.
    pub(super) fn spinner(&self, doing: &str) -> Activity {
        let bar = self.bar(ProgressBar::new_spinner(), "{spinner} {msg} ({elapsed})");
        bar.set_message(doing.to_owned());
        Activity {
            bar,
            events: self.events,
        }
    }

    /// A bar over bytes.
    pub(super) fn bytes(&self, doing: &str, total: u64) -> Activity {
        let form =
            "{msg} [{bar:30}] {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}";
        let bar = self.bar(ProgressBar::new(total), form);
        bar.set_message(doing.to_owned());
        Activity {
            bar,
            events: self.events,
        }
    }

    /// A line that stays.
    pub(super) fn event(&self, line: &str) {
        if self.events {
            // Nobody may be left who reads it.
            let _ = writeln!(io::stderr(), "{line}");
        }
    }

    fn bar(&self, bar: ProgressBar, form: &str) -> ProgressBar {
        if !self.terminal {
            bar.set_draw_target(ProgressDrawTarget::hidden());
            return bar;
        }
        // The form has no colour, so there is nothing for NO_COLOR to take away.
        if let Ok(style) = ProgressStyle::with_template(form) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.enable_steady_tick(TICK);
        bar
    }
}

/// Something going on; gone from the screen when it is dropped.
pub(super) struct Activity {
    bar: ProgressBar,
    events: bool,
}

impl Activity {
    /// An activity that nobody is told of.
    #[cfg(test)]
    pub(super) fn silent() -> Self {
        Self {
            bar: ProgressBar::hidden(),
            events: false,
        }
    }

    /// Says what is being done now.
    pub(super) fn doing(&self, what: impl Into<String>) {
        self.bar.set_message(what.into());
    }

    /// A line that stays.
    pub(super) fn event(&self, line: &str) {
        if self.events {
            self.bar.suspend(|| eprintln!("{line}"));
        }
    }

    /// So many more bytes are done.
    pub(super) fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
    }
}

impl Drop for Activity {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
