//! The text form of server-sent events.
//!
//! Owns what the lines mean; does no I/O. Invariant: an event is given out only when its empty line has
//! come, so one whose connection broke in its middle is not taken for whole and comes again.

use std::{
    io::{self, BufRead, Read},
    time::Duration,
};

/// Longest line that is taken, in bytes.
const LINE_BYTES_MAX: u64 = 1 << 20;
/// Bounds of what a server may ask for before the next connection.
const RETRY_BOUNDS: (u64, u64) = (100, 60_000);

/// What came over a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// An event.
    Event {
        /// Where a stream goes on that breaks off after it.
        id: Option<String>,
        /// Its content.
        data: String,
    },
    /// How long to wait before the next connection.
    Retry(Duration),
    /// Nothing but that somebody is there.
    Alive,
}

/// The lines of one stream so far.
#[derive(Debug, Default)]
pub(super) struct Lines {
    id: Option<String>,
    data: Option<String>,
}

impl Lines {
    /// Takes a line without its end, and says what it means.
    pub(super) fn take(&mut self, line: &str) -> Heard {
        if line.is_empty() {
            return match self.data.take() {
                Some(data) => Heard::Event {
                    id: self.id.clone(),
                    data,
                },
                None => Heard::Alive,
            };
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.id = Some(value.to_owned()),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            "retry" => {
                if let Ok(milliseconds) = value.parse::<u64>() {
                    let (least, most) = RETRY_BOUNDS;
                    return Heard::Retry(Duration::from_millis(milliseconds.clamp(least, most)));
                }
            }
            // The kind is in the data too, and a comment says only that somebody is there.
            _ => {}
        }
        Heard::Alive
    }
}

/// Reads a line without its end; none at the end of the stream.
pub(super) fn read_line(from: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let count = from.take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
    if count == 0 {
        return Ok(None);
    }
    if line.pop() != Some(b'\n') {
        // Either it is too long or it was cut off: what it says is not known.
        let error = match count as u64 {
            LINE_BYTES_MAX => io::Error::other("a line is longer than 1 MiB"),
            _ => io::ErrorKind::UnexpectedEof.into(),
        };
        return Err(error);
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    String::from_utf8(line)
        .map(Some)
        .map_err(|_| io::Error::other("a line is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(text: &str) -> (Vec<Heard>, Option<io::ErrorKind>) {
        let mut from = text.as_bytes();
        let (mut lines, mut heard) = (Lines::default(), Vec::new());
        loop {
            match read_line(&mut from) {
                Ok(Some(line)) => heard.push(lines.take(&line)),
                Ok(None) => return (heard, None),
                Err(error) => return (heard, Some(error.kind())),
            }
        }
    }

    fn events(text: &str) -> Vec<(Option<String>, String)> {
        let is_event = |heard| match heard {
            Heard::Event { id, data } => Some((id, data)),
            _ => None,
        };
        hear(text).0.into_iter().filter_map(is_event).collect()
    }

    #[test]
    fn events_keep_their_place_and_comments_are_signs_of_life() {
        let text = "retry: 2000\n\nid: a-1\nevent: changed\ndata: {\"a\":1}\n\n: alive\n\nid:a-2\r\ndata:x\r\ndata: y\r\n\r\n";
        let heard = hear(text).0;
        assert_eq!(heard[0], Heard::Retry(Duration::from_secs(2)));
        assert_eq!(heard[1], Heard::Alive);
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            events(text),
            [
                (some("a-1"), "{\"a\":1}".to_owned()),
                (some("a-2"), "x\ny".to_owned())
            ]
        );
        // The id stays that of the last event that had one.
        assert_eq!(events("id: a\n\ndata: x\n\n")[0].0, some("a"));
        let retry = |text: &str| hear(text).0.remove(0);
        assert_eq!(
            retry("retry: 9999999\n"),
            Heard::Retry(Duration::from_secs(60))
        );
        assert_eq!(retry("retry: soon\n"), Heard::Alive);
    }

    #[test]
    fn an_event_whose_end_did_not_come_is_none() {
        assert!(events("id: a\ndata: {\"a\":1}\n").is_empty());
        let (heard, error) = hear("id: a\ndata: {\"a\"");
        assert_eq!(heard, [Heard::Alive]);
        assert_eq!(error, Some(io::ErrorKind::UnexpectedEof));
        let endless = "x".repeat(LINE_BYTES_MAX as usize + 1);
        assert_eq!(hear(&endless).1, Some(io::ErrorKind::Other));
    }
}
