//! Console bytes as plain lines.
//!
//! Takes the byte stream of a serial console in pieces of any size and gives lines of text without
//! escape sequences and control characters. The last line may be unfinished (a login prompt is);
//! it only grows until it is complete. Memory is bounded whatever the machine prints.

/// Longest line in bytes; longer ones are cut into several.
const LINE_BYTES_MAX: usize = 4096;
/// Longest UTF-8 sequence.
const UTF8_BYTES_MAX: usize = 4;

const ESCAPE: u8 = 0x1b;
const BELL: u8 = 0x07;

/// Where in an escape sequence the stream is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sequence {
    #[default]
    None,
    /// Behind the escape character.
    Started,
    /// Behind `ESC [`, until a final byte.
    Control,
    /// Behind `ESC ]` or a similar string, until a bell or `ESC \`.
    Text,
    /// Behind a character that takes exactly one more, such as `ESC (`.
    OneMore,
}

/// The state between two pieces.
#[derive(Debug, Default)]
pub(super) struct ConsoleText {
    line: String,
    last_complete: String,
    unfinished_character: Vec<u8>,
    sequence: Sequence,
}

impl ConsoleText {
    /// Takes one byte; returns the line it completes. Empty lines are not returned.
    pub(super) fn push(&mut self, byte: u8) -> Option<String> {
        if self.sequence != Sequence::None {
            return self.continue_sequence(byte);
        }
        if byte >= 0x80 {
            self.continue_character(byte);
        } else {
            self.give_up_character();
            match byte {
                ESCAPE => self.sequence = Sequence::Started,
                b'\n' => return self.take_line(),
                b'\t' => self.line.push(' '),
                _ if byte.is_ascii_control() => {}
                _ => self.line.push(char::from(byte)),
            }
        }
        if self.line.len() >= LINE_BYTES_MAX {
            self.take_line()
        } else {
            None
        }
    }

    /// The line that is not complete yet.
    pub(super) fn unfinished(&self) -> &str {
        &self.line
    }

    /// The last text there is: the unfinished line, or else the last complete one.
    pub(super) fn last_words(&self) -> &str {
        if self.line.trim().is_empty() {
            &self.last_complete
        } else {
            &self.line
        }
    }

    fn take_line(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.line);
        if line.trim().is_empty() {
            return None;
        }
        self.last_complete.clone_from(&line);
        Some(line)
    }

    fn continue_sequence(&mut self, byte: u8) -> Option<String> {
        let (next, moves_cursor) = match (self.sequence, byte) {
            (Sequence::Text, BELL) => (Sequence::None, false),
            (Sequence::Text, ESCAPE) => (Sequence::Started, false),
            (Sequence::Text, _) => (Sequence::Text, false),
            (Sequence::Started, b'[') => (Sequence::Control, false),
            (Sequence::Started, b']' | b'P' | b'^' | b'_') => (Sequence::Text, false),
            (Sequence::Started, b'(' | b')' | b'*' | b'+' | b'#' | b'%') => {
                (Sequence::OneMore, false)
            }
            (Sequence::Control, 0x20..=0x3f) => (Sequence::Control, false),
            // Firmware places its lines on the screen instead of ending them.
            (Sequence::Control, b'H' | b'f' | b'J') => (Sequence::None, true),
            _ => (Sequence::None, false),
        };
        self.sequence = next;
        if moves_cursor { self.take_line() } else { None }
    }

    fn continue_character(&mut self, byte: u8) {
        self.unfinished_character.push(byte);
        match std::str::from_utf8(&self.unfinished_character) {
            Ok(character) => {
                self.line.push_str(character);
                self.unfinished_character.clear();
            }
            Err(error) => {
                let hopeless = error.error_len().is_some();
                if hopeless || self.unfinished_character.len() >= UTF8_BYTES_MAX {
                    self.give_up_character();
                }
            }
        }
    }

    fn give_up_character(&mut self) {
        if !self.unfinished_character.is_empty() {
            self.line.push(char::REPLACEMENT_CHARACTER);
            self.unfinished_character.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> (Vec<String>, String) {
        let mut text = ConsoleText::default();
        let lines = bytes.iter().filter_map(|byte| text.push(*byte)).collect();
        (lines, text.unfinished().to_owned())
    }

    #[test]
    fn escape_sequences_and_control_characters_vanish() {
        let (lines, rest) = read(
            b"\x1bc\x1b[?7l\x1b[2J\x1b[0mSeaBIOS (version 1)\r\n\x1b[1;32mOK\x1b(B\x1b[0m\r\n\
              \x1b]0;title\x07a\tb\x1b]0;other\x1b\\c\r\n\x00login: ",
        );
        assert_eq!(lines, ["SeaBIOS (version 1)", "OK", "a bc"]);
        assert_eq!(rest, "login: ");
    }

    #[test]
    fn placing_the_cursor_ends_a_line() {
        let (lines, rest) = read(b"first\x1b[2;1Hsecond\x1b[3;1H\x1b[4;1Hthird");
        assert_eq!(
            (lines, rest.as_str()),
            (vec!["first".into(), "second".into()], "third")
        );
    }

    #[test]
    fn characters_may_be_broken_and_bytes_may_be_none() {
        let (lines, _) = read("grüß 登录\n".as_bytes());
        assert_eq!(lines, ["grüß 登录"]);
        let (lines, _) = read(b"a\xffb\xe7\x99c\xf0\x9f\n");
        assert_eq!(lines, ["a\u{fffd}b\u{fffd}c\u{fffd}"]);
    }

    #[test]
    fn an_endless_line_is_cut() {
        let (lines, rest) = read(&[b'x'; LINE_BYTES_MAX * 2 + 5]);
        assert_eq!((lines.len(), rest.len()), (2, 5));
    }
}
