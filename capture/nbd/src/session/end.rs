//! The reasons why a session is over.
//!
//! Words only; what a shell does about them is its own affair.

/// Why a session is over. Replies that are still queued should be sent before the connection is
/// closed, within a deadline.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionEnd {
    /// The client asked for it. The only end which is not the client's fault or ours.
    #[error("the client ended the negotiation")]
    Aborted,
    /// The client set handshake flags that were not offered.
    #[error("unknown client flags {0:#x}; the client is not a fixed newstyle NBD client")]
    UnknownClientFlags(u32),
    /// An option does not begin as options do.
    #[error("option with magic {0:#x}; the client is not speaking NBD")]
    BadOptionMagic(u64),
    /// The client sent more options than any real client needs.
    #[error("too many options in one negotiation")]
    TooManyOptions,
    /// The data of an option is longer than any real client needs.
    #[error("option {option} with {length} bytes of data is too long")]
    OptionTooLong {
        /// Number of the option.
        option: u32,
        /// Its announced length in bytes.
        length: u32,
    },
    /// The old way of entering an export without TLS, where TLS is demanded.
    #[error("the client tried to enter an export without TLS; configure it to use TLS")]
    TlsRequired,
    /// The old way of entering an export, with something which is no name.
    #[error("the client asked for an export by something which is no name")]
    BadExportName,
    /// The old way of entering an export, with a name nobody has.
    #[error("the client asked for export {name:?}, which does not exist")]
    UnknownExport {
        /// The name.
        name: String,
    },
    /// The old way of entering an export, while the server is going away.
    #[error("the client tried to enter an export while the server is shutting down")]
    ShuttingDown,
    /// Somebody put bytes between `STARTTLS` and the TLS handshake.
    #[error("plaintext after STARTTLS; somebody may be tampering with the connection")]
    PlaintextAfterStartTls,
    /// A request does not begin as requests do.
    #[error("request with magic {0:#x}; the client lost its place or is not speaking NBD")]
    BadRequestMagic(u32),
}
