//! A client of the stream of events, which reads when it is asked to.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read};

pub(crate) struct Following(Option<BufReader<Box<dyn Read + Send>>>);

/// What a stream says.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) event: Value,
}

impl Following {
    pub(super) fn of(reader: impl Read + Send + 'static) -> Self {
        Self(Some(BufReader::new(Box::new(reader))))
    }

    /// The next event; none when the stream was ended in order.
    pub(crate) async fn next(&mut self) -> Option<Told> {
        let mut reader = self.0.take()?;
        let (told, reader) = tokio::task::spawn_blocking(move || {
            let told = next(&mut reader);
            (told, reader)
        })
        .await
        .unwrap();
        self.0 = Some(reader);
        told
    }

    /// The next event of which this holds.
    pub(crate) async fn until(&mut self, wanted: impl Fn(&Told) -> bool) -> Told {
        loop {
            let told = self.next().await.expect("the stream ended");
            if wanted(&told) {
                return told;
            }
        }
    }

    /// Reads on to the end.
    pub(crate) async fn rest(&mut self) -> Vec<Told> {
        let mut all = Vec::new();
        while let Some(told) = self.next().await {
            all.push(told);
        }
        all
    }
}

/// Reads up to the next event. Panics when the connection is broken off.
fn next(reader: &mut impl BufRead) -> Option<Told> {
    let (mut id, mut kind, mut data) = (None, None, None);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap() == 0 {
            return None;
        }
        let line = line.trim_end();
        match line.split_once(": ") {
            Some(("id", text)) => id = Some(text.to_owned()),
            Some(("event", text)) => kind = Some(text.to_owned()),
            Some(("data", text)) => data = Some(text.to_owned()),
            // A comment, or when to come again.
            Some(("" | "retry", _)) => {}
            None if line.is_empty() => {
                if let (Some(id), Some(kind), Some(data)) = (id.take(), kind.take(), data.take()) {
                    let event = serde_json::from_str(&data).unwrap();
                    return Some(Told { id, kind, event });
                }
            }
            _ => panic!("{line:?} is no line of a stream of events"),
        }
    }
}
