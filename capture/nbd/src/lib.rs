//! The NBD protocol: a sans-I/O server session, its tokio shell for views and branches, and a client.
//!
//! The crate owns the bytes of the protocol (fixed newstyle negotiation, simple and structured
//! replies, `base:allocation`) and every validity check the protocol asks of a server. Its
//! invariant: whatever a client sends, in whatever pieces, a shell of [`ServerSession`] sees only
//! requests that are in bounds, aligned, permitted and negotiated; everything else has already been
//! answered. It does not own storage, ordering or durability, and it never opens a TLS session: on
//! [`Event::StartTls`] the shell does that.
//!
//! Compact headers only: extended headers are answered with "unsupported", which every known
//! client accepts.

pub mod client;
mod constants;
mod error;
mod export;
mod handshake;
mod option;
mod reply;
mod request;
pub mod server;
mod session;
mod socket;

pub use constants::{
    DEFAULT_MAXIMUM_PAYLOAD, MAXIMUM_BLOCK_STATUS_EXTENTS, MAXIMUM_NAME_LENGTH,
    MAXIMUM_OPTION_LENGTH, MAXIMUM_OPTIONS, NBD_DEFAULT_PORT,
};
pub use error::NbdError;
pub use export::{
    Allocation, BlockSizes, BlockSizesError, ExportDirectory, ExportInfo, Extent, Features,
};
pub use reply::{ReadPart, ReplyBatch};
pub use request::{Command, CommandKind, Request, Ticket};
pub use session::{Event, Payloads, ServerSession, SessionEnd, Stage, TlsMode, Wanted};
pub use socket::{BindError, PrivateSocket, connect_unix};
