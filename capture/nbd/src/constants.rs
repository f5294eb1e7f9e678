//! The numbers of the protocol and the limits we put on a peer.
//!
//! Only values: no parsing. All integers on the wire are big-endian.

/// First eight bytes a newstyle server sends: "NBDMAGIC".
pub(crate) const NBD_MAGIC: u64 = 0x4e42_444d_4147_4943;
/// Second eight bytes of the greeting and the magic of every option: "IHAVEOPT".
pub(crate) const OPTION_MAGIC: u64 = 0x4948_4156_454f_5054;
/// Magic of every option reply.
pub(crate) const OPTION_REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;
/// Magic of a compact request.
pub(crate) const REQUEST_MAGIC: u32 = 0x2560_9513;
/// Magic of a simple reply.
pub(crate) const SIMPLE_REPLY_MAGIC: u32 = 0x6744_6698;
/// Magic of a structured reply chunk.
pub(crate) const STRUCTURED_REPLY_MAGIC: u32 = 0x668e_33ef;

/// Handshake flag, both directions: fixed newstyle.
pub(crate) const FLAG_FIXED_NEWSTYLE: u16 = 1;
/// Handshake flag, both directions: no 124 zeroes after `EXPORT_NAME`.
pub(crate) const FLAG_NO_ZEROES: u16 = 2;

/// Padding after the reply to `EXPORT_NAME` unless both sides agreed on no zeroes.
pub(crate) const EXPORT_NAME_PADDING: usize = 124;

/// Option numbers.
pub(crate) mod option_code {
    pub(crate) const EXPORT_NAME: u32 = 1;
    pub(crate) const ABORT: u32 = 2;
    pub(crate) const LIST: u32 = 3;
    pub(crate) const STARTTLS: u32 = 5;
    pub(crate) const INFO: u32 = 6;
    pub(crate) const GO: u32 = 7;
    pub(crate) const STRUCTURED_REPLY: u32 = 8;
    pub(crate) const LIST_META_CONTEXT: u32 = 9;
    pub(crate) const SET_META_CONTEXT: u32 = 10;
}

/// Option reply types.
pub(crate) mod option_reply {
    pub(crate) const ACK: u32 = 1;
    pub(crate) const SERVER: u32 = 2;
    pub(crate) const INFO: u32 = 3;
    pub(crate) const META_CONTEXT: u32 = 4;
    /// Set in every error reply type.
    pub(crate) const ERROR_BIT: u32 = 1 << 31;
    pub(crate) const ERR_UNSUP: u32 = ERROR_BIT | 1;
    pub(crate) const ERR_INVALID: u32 = ERROR_BIT | 3;
    pub(crate) const ERR_TLS_REQD: u32 = ERROR_BIT | 5;
    pub(crate) const ERR_UNKNOWN: u32 = ERROR_BIT | 6;
    pub(crate) const ERR_SHUTDOWN: u32 = ERROR_BIT | 7;
    pub(crate) const ERR_TOO_BIG: u32 = ERROR_BIT | 9;
}

/// Information types of `INFO` and `GO`.
pub(crate) mod info_type {
    pub(crate) const EXPORT: u16 = 0;
    pub(crate) const NAME: u16 = 1;
    pub(crate) const DESCRIPTION: u16 = 2;
    pub(crate) const BLOCK_SIZE: u16 = 3;
}

/// Transmission flags.
pub(crate) mod transmission_flag {
    pub(crate) const HAS_FLAGS: u16 = 1;
    pub(crate) const READ_ONLY: u16 = 1 << 1;
    pub(crate) const FLUSH: u16 = 1 << 2;
    pub(crate) const FUA: u16 = 1 << 3;
    pub(crate) const ROTATIONAL: u16 = 1 << 4;
    pub(crate) const TRIM: u16 = 1 << 5;
    pub(crate) const WRITE_ZEROES: u16 = 1 << 6;
    pub(crate) const DF: u16 = 1 << 7;
    pub(crate) const CAN_MULTI_CONN: u16 = 1 << 8;
    pub(crate) const CACHE: u16 = 1 << 10;
    pub(crate) const FAST_ZERO: u16 = 1 << 11;
}

/// Command types.
pub(crate) mod command_code {
    pub(crate) const READ: u16 = 0;
    pub(crate) const WRITE: u16 = 1;
    pub(crate) const DISC: u16 = 2;
    pub(crate) const FLUSH: u16 = 3;
    pub(crate) const TRIM: u16 = 4;
    pub(crate) const CACHE: u16 = 5;
    pub(crate) const WRITE_ZEROES: u16 = 6;
    pub(crate) const BLOCK_STATUS: u16 = 7;
}

/// Command flags.
pub(crate) mod command_flag {
    pub(crate) const FUA: u16 = 1;
    pub(crate) const NO_HOLE: u16 = 1 << 1;
    pub(crate) const DF: u16 = 1 << 2;
    pub(crate) const REQ_ONE: u16 = 1 << 3;
    pub(crate) const FAST_ZERO: u16 = 1 << 4;
}

/// Structured reply chunk types and flags.
pub(crate) mod chunk {
    /// Set in the flags of the last chunk of a reply.
    pub(crate) const FLAG_DONE: u16 = 1;
    pub(crate) const NONE: u16 = 0;
    pub(crate) const OFFSET_DATA: u16 = 1;
    pub(crate) const OFFSET_HOLE: u16 = 2;
    pub(crate) const BLOCK_STATUS: u16 = 5;
    /// Set in the type of every error chunk.
    pub(crate) const ERROR_BIT: u16 = 1 << 15;
    pub(crate) const ERROR: u16 = ERROR_BIT | 1;
    pub(crate) const ERROR_OFFSET: u16 = ERROR_BIT | 2;
}

/// State bits of the `base:allocation` context.
pub(crate) mod allocation_flag {
    pub(crate) const HOLE: u32 = 1;
    pub(crate) const ZERO: u32 = 2;
}

/// The one metadata context we know.
pub(crate) const BASE_ALLOCATION: &str = "base:allocation";
/// The id we give to `base:allocation` in a selection.
pub(crate) const BASE_ALLOCATION_ID: u32 = 1;

/// Bytes of a compact request header.
pub(crate) const REQUEST_LENGTH: usize = 28;
/// Bytes of an option header: magic, option, length.
pub(crate) const OPTION_HEADER_LENGTH: usize = 16;

/// The TCP port registered for NBD.
pub const NBD_DEFAULT_PORT: u16 = 10809;
/// Longest export name, description or context name, in bytes; from the specification.
pub const MAXIMUM_NAME_LENGTH: usize = 4096;
/// Longest data of one option that a server session accepts, in bytes.
pub const MAXIMUM_OPTION_LENGTH: usize = 64 * 1024;
/// Most options a client may send in one session, on both sides of `STARTTLS` together.
pub const MAXIMUM_OPTIONS: u32 = 64;
/// The maximum payload that clients assume when a server names none, and that we use, in bytes.
pub const DEFAULT_MAXIMUM_PAYLOAD: u32 = 32 * 1024 * 1024;
/// Most extents in one block status reply, from the specification.
pub const MAXIMUM_BLOCK_STATUS_EXTENTS: usize = 1 << 20;
