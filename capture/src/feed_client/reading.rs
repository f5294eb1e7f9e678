//! Reading back from the journal what a peer that lags has not got, on a blocking thread.

use std::sync::Arc;

use bcdr_format::Position;
use tokio::task::JoinHandle;

use super::{FeedClient, JOURNAL_READ_BYTES, Link};
use crate::{
    feed::{FeedItem, FeedStart},
    journal::{JournalReader, ReadError},
};

/// A read under way.
pub(super) struct Reading {
    from: FeedStart,
    through: Position,
    second: bool,
    task: JoinHandle<Result<Vec<FeedItem>, ReadError>>,
}

impl FeedClient {
    pub(super) fn read_journal(&mut self, from: FeedStart, through: Position, second: bool) {
        let snapshot = self.journal.snapshot();
        let reader = JournalReader::new(Arc::clone(&self.storage), snapshot, self.direct);
        let task =
            tokio::task::spawn_blocking(move || reader.read(from, through, JOURNAL_READ_BYTES));
        self.reading = Some(Reading {
            from,
            through,
            second,
            task,
        });
        self.eager = false;
    }

    pub(super) fn journal_was_read(&mut self, result: Result<Vec<FeedItem>, ReadError>) {
        let Some(Reading {
            from,
            through,
            second,
            ..
        }) = self.reading.take()
        else {
            return;
        };
        match result {
            Ok(items) => {
                self.session.supply(items);
                self.eager = true;
            }
            // The segment may have been recycled under the reader.
            Err(error) if !second => {
                tracing::debug!(%error, "reading the journal again");
                self.read_journal(from, through, true);
            }
            Err(error) => {
                tracing::error!(group = self.description.name, %error, "the feed cannot be read");
                let standing = match &self.link {
                    Link::Up(peer) => peer.standing,
                    _ => return,
                };
                let handshake = self.session.cannot_read();
                if let Link::Up(peer) = &mut self.link {
                    peer.waiting = Some(standing);
                }
                self.follow(handshake);
            }
        }
    }
}

/// The end of a journal read; never, if there is none.
pub(super) async fn finished(reading: &mut Option<Reading>) -> Result<Vec<FeedItem>, ReadError> {
    match reading {
        Some(reading) => match (&mut reading.task).await {
            Ok(result) => result,
            Err(_) => Err(ReadError::Missing {
                after: reading.through,
            }),
        },
        None => std::future::pending().await,
    }
}
