//! A stream on which a point is asked for.
//!
//! Requests are read as long as there is room for their answers, worked on side by side and answered
//! in their order; [`Request::Settle`] waits for everything before it, and what comes later for it.
//! Ends with the stream, and lets go then of whatever is not answered yet.

use super::{Offered, Returns, answer::answer, refusal};
use bcdr_format::{GroupId, RestoreId};
use bcdr_wire::{
    frame::{FrameError, FrameKind, FrameReader, Refused, write_frame},
    restore::{Answer, RefusalKind, Request},
};
use std::sync::Arc;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{RwLock, mpsc},
};
use tokio_util::task::AbortOnDropHandle;

/// Requests of one stream that are worked on, or whose answers wait; each is a megabyte at most.
const UNDER_WAY: usize = 8;

/// Why a stream ended before its asker ended it.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// It broke, or what came is no frame.
    #[error("the stream broke: {0}")]
    Frame(#[from] FrameError),
    /// What came is no request.
    #[error("what came is no request: {0}")]
    Request(#[from] Refused),
}

type Answers = mpsc::Sender<AbortOnDropHandle<Answer>>;

/// Uses an offer as long as it lives.
struct Using(Arc<Offered>);

impl Using {
    fn new(offered: Arc<Offered>) -> Self {
        offered.counters.stream_begins();
        Self(offered)
    }
}

impl Drop for Using {
    fn drop(&mut self) {
        self.0.counters.stream_ends();
    }
}

impl Returns {
    /// Answers what a capture of `group` asks, until it ends the stream. Its hello was read and
    /// accepted before.
    ///
    /// # Errors
    /// If the stream breaks, or what comes makes no sense.
    pub async fn serve<Reading, Writing>(
        &self,
        group: GroupId,
        frames: &mut FrameReader<Reading>,
        to_asker: &mut Writing,
    ) -> Result<(), ServeError>
    where
        Reading: AsyncRead + Unpin,
        Writing: AsyncWrite + Unpin,
    {
        let (queue, mut answers) = mpsc::channel::<AbortOnDropHandle<Answer>>(UNDER_WAY);
        let reading = self.read(group, frames, queue);
        let writing = async {
            while let Some(work) = answers.recv().await {
                let answered = work.await.unwrap_or_else(|_| {
                    let reason = "the request could not be worked on".to_owned();
                    Answer::Refused(refusal(RefusalKind::NotReady, reason))
                });
                send(to_asker, &answered).await?;
            }
            Ok::<(), ServeError>(())
        };
        tokio::pin!(reading, writing);
        tokio::select! {
            ended = &mut writing => ended,
            ended = &mut reading => {
                // What was asked for before the end is still answered.
                writing.await?;
                ended
            }
        }
    }

    /// Reads requests and has them worked on. Owns the queue, so that its end ends the answers.
    async fn read<Reading: AsyncRead + Unpin>(
        &self,
        group: GroupId,
        frames: &mut FrameReader<Reading>,
        queue: Answers,
    ) -> Result<(), ServeError> {
        let order = Arc::new(RwLock::new(()));
        let mut using: Option<(RestoreId, Using)> = None;
        loop {
            let frame = match frames.read_frame().await {
                Ok(frame) => frame,
                Err(FrameError::Closed) => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            let request = match Request::from_frame(&frame) {
                Ok(request) => request,
                Err(error) => {
                    let refused = refusal(RefusalKind::Version, error.to_string());
                    let said = tokio::spawn(async { Answer::Refused(refused) });
                    let _gone = queue.send(AbortOnDropHandle::new(said)).await;
                    return Err(error.into());
                }
            };
            let offered = self.offer_for(group, &request, &mut using);
            let workers = Arc::clone(&self.workers);
            let order = Arc::clone(&order);
            // Taken here, so that turns come in the order of the requests.
            let turn: Box<dyn Send> = match request {
                Request::Settle => Box::new(order.write_owned().await),
                _ => Box::new(order.read_owned().await),
            };
            let work = tokio::spawn(async move {
                let answered = match offered {
                    Ok((id, offered)) => answer(id, offered, request, workers).await,
                    Err(refused) => Answer::Refused(refused),
                };
                drop(turn);
                answered
            });
            if queue.send(AbortOnDropHandle::new(work)).await.is_err() {
                return Ok(());
            }
        }
    }

    /// The offer that a request is about: the one that was described last.
    fn offer_for(
        &self,
        group: GroupId,
        request: &Request,
        using: &mut Option<(RestoreId, Using)>,
    ) -> Result<(RestoreId, Arc<Offered>), bcdr_wire::restore::Refusal> {
        if let Request::Describe { restore } = request {
            *using = None;
            let offered = self.find(*restore, group)?;
            *using = Some((*restore, Using::new(offered)));
        }
        match using {
            Some((id, using)) => Ok((*id, Arc::clone(&using.0))),
            None => {
                let reason = "no restore was named on this stream before".to_owned();
                Err(refusal(RefusalKind::UnknownRestore, reason))
            }
        }
    }
}

/// Sends one answer.
pub(crate) async fn send<Writing: AsyncWrite + Unpin>(
    to_asker: &mut Writing,
    answer: &Answer,
) -> Result<(), ServeError> {
    let bytes = answer
        .encode()
        .unwrap_or_else(|error| over_a_limit(&error.to_string()));
    write_frame(to_asker, FrameKind::Restore, &[&bytes]).await?;
    Ok(())
}

/// The bytes of a refusal in the place of an answer that cannot be said.
fn over_a_limit(reason: &str) -> Vec<u8> {
    let answer = Answer::Refused(refusal(RefusalKind::OutOfRange, reason.to_owned()));
    answer.encode().expect("its words are few enough")
}
