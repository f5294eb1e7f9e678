//! The client's side of the negotiation.
//!
//! Asks for what the caller wants and takes what the server has: structured replies and the
//! allocation map are optional, `GO` falls back to `EXPORT_NAME` on servers that lack it.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{ClientOptions, RemoteExport};
use crate::constants::{
    BASE_ALLOCATION, EXPORT_NAME_PADDING, FLAG_FIXED_NEWSTYLE, FLAG_NO_ZEROES, NBD_MAGIC,
    OPTION_MAGIC, OPTION_REPLY_MAGIC, info_type, option_code, option_reply,
};
use crate::export::BlockSizes;

/// Longest data of an option reply that we take, in bytes: more than any string can be.
const MAXIMUM_REPLY: u32 = 64 * 1024;
/// Most replies to one option.
const MAXIMUM_REPLIES: u32 = 1024;

/// Why a negotiation failed.
#[derive(Debug, thiserror::Error)]
pub enum NegotiationError {
    /// The name is longer than the protocol allows.
    #[error("the name is longer than 4096 bytes")]
    NameTooLong,
    /// The stream broke.
    #[error("the server ended the negotiation: {0}; check its log and the export's name")]
    Io(#[from] io::Error),
    /// The other side does not speak (newstyle) NBD.
    #[error("the server does not speak newstyle NBD")]
    NotNbd,
    /// The export does not exist.
    #[error("the server has no such export")]
    Unknown,
    /// The server wants TLS.
    #[error("the server demands TLS")]
    TlsRequired,
    /// The server is going away.
    #[error("the server is shutting down; try again")]
    ShuttingDown,
    /// The server refused otherwise.
    #[error("the server refused with error {code:#x}: {message}")]
    Refused {
        /// The reply type.
        code: u32,
        /// The server's words.
        message: String,
    },
    /// The server broke the protocol.
    #[error("the server broke the protocol: {0}")]
    Protocol(&'static str),
}

use NegotiationError::Protocol;

/// A reply to an option.
struct OptionReply {
    kind: u32,
    data: Vec<u8>,
}

/// Negotiates up to the transmission phase.
pub(super) async fn negotiate<S>(
    stream: &mut S,
    name: &str,
    options: ClientOptions,
) -> Result<RemoteExport, NegotiationError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if stream.read_u64().await? != NBD_MAGIC || stream.read_u64().await? != OPTION_MAGIC {
        return Err(NegotiationError::NotNbd);
    }
    let offered = stream.read_u16().await?;
    let agreed = offered & (FLAG_FIXED_NEWSTYLE | FLAG_NO_ZEROES);
    stream.write_u32(u32::from(agreed)).await?;
    let zeroes = agreed & FLAG_NO_ZEROES == 0;
    if agreed & FLAG_FIXED_NEWSTYLE == 0 {
        return export_name(stream, name, zeroes, false).await;
    }
    let structured = options.structured && structured_reply(stream).await?;
    let context = if structured && options.block_status {
        select_allocation(stream, name).await?
    } else {
        None
    };
    let mut export = match go(stream, name).await? {
        Some(export) => export,
        None => export_name(stream, name, zeroes, structured).await?,
    };
    export.structured = structured;
    export.allocation_context = context;
    Ok(export)
}

async fn structured_reply<S>(stream: &mut S) -> Result<bool, NegotiationError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    send(stream, option_code::STRUCTURED_REPLY, &[]).await?;
    let reply = receive(stream, option_code::STRUCTURED_REPLY).await?;
    match reply.kind {
        option_reply::ACK => Ok(true),
        option_reply::ERR_TLS_REQD => Err(NegotiationError::TlsRequired),
        kind if kind & option_reply::ERROR_BIT != 0 => Ok(false),
        _ => Err(Protocol("wrong reply to STRUCTURED_REPLY")),
    }
}

/// Selects `base:allocation`; its id if the server has it. An error is no reason to give up: if the
/// export itself is the problem, `GO` will tell.
async fn select_allocation<S>(stream: &mut S, name: &str) -> Result<Option<u32>, NegotiationError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut data = sized(name);
    data.extend_from_slice(&1_u32.to_be_bytes());
    data.extend_from_slice(&sized(BASE_ALLOCATION));
    send(stream, option_code::SET_META_CONTEXT, &data).await?;
    let mut id = None;
    for _ in 0..MAXIMUM_REPLIES {
        let OptionReply { kind, data } = receive(stream, option_code::SET_META_CONTEXT).await?;
        match kind {
            option_reply::ACK => return Ok(id),
            option_reply::META_CONTEXT => match data.split_first_chunk() {
                Some((number, name)) if name == BASE_ALLOCATION.as_bytes() => {
                    id = Some(u32::from_be_bytes(*number));
                }
                _ => return Err(Protocol("a context that was not asked for")),
            },
            kind if kind & option_reply::ERROR_BIT != 0 => return Ok(None),
            _ => return Err(Protocol("wrong reply to SET_META_CONTEXT")),
        }
    }
    Err(Protocol("too many replies to SET_META_CONTEXT"))
}

/// Enters the export. `None` if the server does not know how.
async fn go<S>(stream: &mut S, name: &str) -> Result<Option<RemoteExport>, NegotiationError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut data = sized(name);
    data.extend_from_slice(&1_u16.to_be_bytes());
    data.extend_from_slice(&info_type::BLOCK_SIZE.to_be_bytes());
    send(stream, option_code::GO, &data).await?;
    let mut export: Option<(u64, u16)> = None;
    let mut block_sizes = BlockSizes::DEFAULT;
    for _ in 0..MAXIMUM_REPLIES {
        let OptionReply { kind, data } = receive(stream, option_code::GO).await?;
        match kind {
            option_reply::ACK => {
                let (size, flags) = export.ok_or(Protocol("GO without a size"))?;
                return Ok(Some(remote(size, flags, block_sizes)));
            }
            option_reply::INFO => {
                let (info, rest) = data
                    .split_first_chunk()
                    .ok_or(Protocol("empty information"))?;
                match u16::from_be_bytes(*info) {
                    info_type::EXPORT => export = Some(parse_export(rest)?),
                    info_type::BLOCK_SIZE => block_sizes = parse_block_sizes(rest)?,
                    _ => {}
                }
            }
            option_reply::ERR_UNSUP => return Ok(None),
            option_reply::ERR_UNKNOWN => return Err(NegotiationError::Unknown),
            option_reply::ERR_TLS_REQD => return Err(NegotiationError::TlsRequired),
            option_reply::ERR_SHUTDOWN => return Err(NegotiationError::ShuttingDown),
            kind if kind & option_reply::ERROR_BIT != 0 => {
                let message = String::from_utf8_lossy(&data).into_owned();
                return Err(NegotiationError::Refused {
                    code: kind,
                    message,
                });
            }
            _ => return Err(Protocol("wrong reply to GO")),
        }
    }
    Err(Protocol("too many replies to GO"))
}

async fn export_name<S>(
    stream: &mut S,
    name: &str,
    zeroes: bool,
    structured: bool,
) -> Result<RemoteExport, NegotiationError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    send(stream, option_code::EXPORT_NAME, name.as_bytes()).await?;
    let size = stream.read_u64().await?;
    let flags = stream.read_u16().await?;
    if zeroes {
        stream.read_exact(&mut [0; EXPORT_NAME_PADDING]).await?;
    }
    let mut export = remote(size, flags, BlockSizes::DEFAULT);
    export.structured = structured;
    Ok(export)
}

fn remote(size: u64, flags: u16, block_sizes: BlockSizes) -> RemoteExport {
    RemoteExport {
        size,
        block_sizes,
        flags,
        structured: false,
        allocation_context: None,
    }
}

fn parse_export(data: &[u8]) -> Result<(u64, u16), NegotiationError> {
    let wrong = Protocol("wrong length of export information");
    let Some((size, flags)) = data.split_first_chunk() else {
        return Err(wrong);
    };
    let Ok(flags) = flags.try_into() else {
        return Err(wrong);
    };
    Ok((u64::from_be_bytes(*size), u16::from_be_bytes(flags)))
}

/// The server's block sizes. Its maximum payload is lowered to what we are willing to use.
fn parse_block_sizes(data: &[u8]) -> Result<BlockSizes, NegotiationError> {
    let Ok([a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3]) = <[u8; 12]>::try_from(data) else {
        return Err(Protocol("wrong length of block sizes"));
    };
    let minimum = u32::from_be_bytes([a0, a1, a2, a3]);
    let preferred = u32::from_be_bytes([b0, b1, b2, b3]);
    let maximum = u32::from_be_bytes([c0, c1, c2, c3]);
    if !minimum.is_power_of_two() {
        return Err(Protocol("block sizes that the protocol forbids"));
    }
    let maximum = maximum.min(BlockSizes::DEFAULT.maximum_payload());
    let maximum = maximum - maximum % minimum;
    let preferred = preferred.min(maximum);
    BlockSizes::new(minimum, preferred, maximum)
        .map_err(|_| Protocol("block sizes that the protocol forbids"))
}

/// A string with its length in front.
fn sized(text: &str) -> Vec<u8> {
    let mut data = length_of(text.as_bytes()).to_be_bytes().to_vec();
    data.extend_from_slice(text.as_bytes());
    data
}

fn length_of(data: &[u8]) -> u32 {
    u32::try_from(data.len()).expect("names are at most 4096 bytes long")
}

async fn send<S>(stream: &mut S, option: u32, data: &[u8]) -> Result<(), NegotiationError>
where
    S: AsyncWrite + Unpin,
{
    let mut message = Vec::with_capacity(16 + data.len());
    message.extend_from_slice(&OPTION_MAGIC.to_be_bytes());
    message.extend_from_slice(&option.to_be_bytes());
    message.extend_from_slice(&length_of(data).to_be_bytes());
    message.extend_from_slice(data);
    stream.write_all(&message).await?;
    Ok(stream.flush().await?)
}

async fn receive<S>(stream: &mut S, option: u32) -> Result<OptionReply, NegotiationError>
where
    S: AsyncRead + Unpin,
{
    if stream.read_u64().await? != OPTION_REPLY_MAGIC {
        return Err(Protocol("option reply with the wrong magic"));
    }
    if stream.read_u32().await? != option {
        return Err(Protocol("reply to another option"));
    }
    let kind = stream.read_u32().await?;
    let length = stream.read_u32().await?;
    if length > MAXIMUM_REPLY {
        return Err(Protocol("option reply that is too long"));
    }
    let mut data = vec![0; length as usize];
    stream.read_exact(&mut data).await?;
    Ok(OptionReply { kind, data })
}
