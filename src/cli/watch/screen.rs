//! A screen that is drawn anew.
//!
//! Makes the text that does so, and writes nothing itself. Lines that do not fit are cut by the
//! terminal, and those below its end are counted. Invariant: after each drawing the terminal wraps lines
//! again, so nothing has to be put right at the end.

use jiff::Timestamp;
use rustix::termios::tcgetwinsize;
use std::io;

/// Lines of a terminal that does not say how many it has.
const ROWS_DEFAULT: usize = 24;

const HOME: &str = "\x1b[H";
const CLEAR: &str = "\x1b[2J";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";
const CUT: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";

/// What is on the screen.
pub(super) struct Screen {
    text: String,
    seen: Option<Timestamp>,
}

impl Screen {
    pub(super) fn new() -> Self {
        Self {
            text: String::new(),
            seen: None,
        }
    }

    /// Draws what was seen now.
    pub(super) fn draw(&mut self, text: String, now: Timestamp) -> String {
        let is_first = self.seen.replace(now).is_none();
        self.text = text;
        let drawn = drawn(&self.head(), &self.text, rows());
        match is_first {
            true => format!("{CLEAR}{drawn}"),
            false => drawn,
        }
    }

    /// Draws the same with what is wrong with it.
    pub(super) fn mark(&self, trouble: &str) -> String {
        let head = format!("NOT CURRENT, {}", self.head());
        drawn(&format!("{head}\n! {trouble}"), &self.text, rows())
    }

    fn head(&self) -> String {
        let seen = self.seen.map(|seen| format!("{seen:.0}"));
        let seen = seen.unwrap_or_default();
        format!("seen at {seen}, Ctrl-C to end")
    }
}

/// How many lines the terminal has now.
fn rows() -> usize {
    let size = tcgetwinsize(io::stdout()).map_or(0, |size| size.ws_row);
    match size {
        0 => ROWS_DEFAULT,
        rows => rows.into(),
    }
}

fn drawn(head: &str, text: &str, rows: usize) -> String {
    let mut screen = format!("{HOME}{CUT}");
    let mut lines: Vec<String> = head.lines().map(str::to_owned).collect();
    lines.push(String::new());
    lines.extend(text.lines().map(str::to_owned));
    // The last line of the terminal is left for the cursor.
    let room = rows.saturating_sub(1).max(1);
    let missing = (lines.len() + 1).saturating_sub(room);
    if lines.len() > room {
        lines.truncate(room.saturating_sub(1));
        lines.push(format!("({missing} more lines)"));
    }
    for line in lines {
        screen.push_str(&line);
        screen.push_str(CLEAR_LINE);
        screen.push('\n');
    }
    screen.push_str(CLEAR_BELOW);
    screen.push_str(WRAP);
    screen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawing_covers_the_one_before_and_what_does_not_fit_is_counted() {
        assert_eq!(
            drawn("head", "a\nb\n", 10),
            format!(
                "{HOME}{CUT}head{CLEAR_LINE}\n{CLEAR_LINE}\na{CLEAR_LINE}\nb{CLEAR_LINE}\n{CLEAR_BELOW}{WRAP}"
            )
        );
        let full = drawn("head", "a\nb\n", 5);
        assert!(full.contains("b\x1b[K"), "{full:?}");
        let short = drawn("head", "a\nb\nc\nd\n", 5);
        assert!(short.contains("a\x1b[K"), "{short:?}");
        assert!(!short.contains("b\x1b[K"), "{short:?}");
        assert!(short.contains("(3 more lines)"), "{short:?}");
        assert_eq!(short.matches("\n").count(), 4);
        assert!(drawn("head", "a\n", 0).contains("more lines"));
    }

    #[test]
    fn what_is_old_says_so_and_stays() {
        let mut screen = Screen::new();
        let now = "2026-11-03T10:00:00.5Z".parse().unwrap();
        let first = screen.draw("rows\n".to_owned(), now);
        assert!(first.starts_with(CLEAR), "{first:?}");
        assert!(first.contains("seen at 2026-11-03T10:00:00Z"), "{first:?}");
        let marked = screen.mark("nothing listens");
        for words in ["NOT CURRENT", "10:00:00Z", "! nothing listens", "rows"] {
            assert!(marked.contains(words), "{marked:?}");
        }
        assert!(
            !screen
                .draw("rows\n".to_owned(), now)
                .contains("NOT CURRENT")
        );
    }
}
