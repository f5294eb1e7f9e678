//! How the demo speaks: headings, notes, numbers with units.

use std::{io::Write as _, time::SystemTime};

/// A step begins.
pub(super) fn heading(text: &str) {
    println!("\n== {text}");
}

/// Something that was seen.
pub(super) fn note(text: &str) {
    println!("   {text}");
}

/// Progress on one line, where there is a terminal; nothing elsewhere.
pub(super) fn progress(text: &str) {
    if rustix::termios::isatty(std::io::stdout()) {
        print!("\r   {text:<70}");
        let _only_a_display = std::io::stdout().flush();
    }
}

/// Ends a progress line.
pub(super) fn progress_done() {
    if rustix::termios::isatty(std::io::stdout()) {
        println!();
    }
}

/// Bytes with a binary unit.
pub(super) fn bytes(count: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{count} B")
    } else {
        format!("{value:.1} {}", units[unit])
    }
}

/// Now, as RFC 3339 in UTC with microseconds.
pub(super) fn now() -> String {
    let now = jiff::Timestamp::try_from(SystemTime::now()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{now:.6}")
}
