//! Frames over asynchronous streams, QUIC's or any other.
//!
//! Reading may be cancelled at any await and goes on where it was, so a reader can stand in a
//! `select!`. Writing may not: a dropped write leaves half a frame on the stream, so a stream's
//! writer belongs to one task that finishes each.

use super::{
    FrameError, FrameKind,
    codec::{Frame, FrameDecoder, Wanted, encode_header},
};
use bytes::BufMut;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

/// Reads frames from a stream.
#[derive(Debug)]
pub struct FrameReader<Stream> {
    stream: Stream,
    decoder: FrameDecoder,
}

impl<Stream: AsyncRead + Unpin> FrameReader<Stream> {
    /// A reader that stands between two frames.
    pub const fn new(stream: Stream) -> Self {
        Self {
            stream,
            decoder: FrameDecoder::new(),
        }
    }

    /// The next frame. Cancel safe: what was read of a frame stays in the reader.
    pub async fn read_frame(&mut self) -> Result<Frame, FrameError> {
        loop {
            if let Some(frame) = self.decoder.complete()? {
                return Ok(frame);
            }
            let received = match self.decoder.wanted() {
                Wanted::Header(room) => {
                    let received = self.stream.read(room).await.map_err(FrameError::Io)?;
                    self.decoder.header_received(received);
                    received
                }
                Wanted::Payload(payload, most) => self
                    .stream
                    .read_buf(&mut payload.limit(most))
                    .await
                    .map_err(FrameError::Io)?,
            };
            if received == 0 {
                return Err(self.decoder.finish());
            }
        }
    }

    /// The stream, without what was read of an unfinished frame.
    pub fn into_inner(self) -> Stream {
        self.stream
    }
}

/// Writes one frame whose payload is `parts`, one after the other, without copying them together.
/// Not cancel safe.
pub async fn write_frame<Stream: AsyncWrite + Unpin>(
    stream: &mut Stream,
    kind: FrameKind,
    parts: &[&[u8]],
) -> Result<(), FrameError> {
    let header = encode_header(kind, parts)?;
    stream.write_all(&header).await.map_err(FrameError::Io)?;
    for part in parts {
        stream.write_all(part).await.map_err(FrameError::Io)?;
    }
    Ok(())
}

/// Writes one control frame that holds `message`. Not cancel safe.
pub async fn send_control<Stream: AsyncWrite + Unpin, T: Serialize>(
    stream: &mut Stream,
    message: &T,
) -> Result<(), FrameError> {
    // A message may be the installation key, so its encoded form does not stay behind in memory.
    let payload = Zeroizing::new(postcard::to_stdvec(message).map_err(|error| {
        FrameError::from(super::Refused::Message {
            reason: error.to_string(),
        })
    })?);
    write_frame(stream, FrameKind::Control, &[&payload]).await
}
