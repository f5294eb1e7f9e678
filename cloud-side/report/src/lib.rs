//! Reports: what a drill, a failover, a failback or a restore showed, in a form that an auditor can
//! check without us.
//!
//! A report is a document ([`Report`]) with one canonical form. Each holds the hash of the report
//! before it and is signed with the installation's key ([`seal`]), so that an edit, a swap, a
//! missing file or another order is found and named by [`verify`], offline. People read it as one
//! HTML file ([`html`]). Plain data and pure functions: nothing here opens a file, asks for the time
//! or knows a drill engine.

mod canonical;
mod chain;
mod content;
mod digest;
pub mod html;
mod language;
mod panel;
mod runbook;
mod signing;
mod trend;
mod verify;

pub use chain::{ChainHead, Report, SealError, Sealed, seal};
pub use content::{
    Canary, Check, Content, Event, Evidence, GenerationChange, Group, Image, Interruption, Moved,
    Outcome, Phase, Point, RecoveryPoint, RecoveryTime, RpoPeriod, Rung, Serial, Subject,
    SubjectKind, Verdict,
};
pub use digest::{Digest, ParseDigestError};
pub use language::{Language, UnknownLanguage};
pub use panel::{Attested, Element, Indicators, Lowering, Panel, Rules, RulesError};
pub use runbook::{LastProof, Runbook, RunbookVolume};
pub use signing::{KeyError, PublicKey, Signature, SigningKey};
pub use trend::{Trend, TrendRow};
pub use verify::{Finding, Given, ReadEvidence, Verified, verify};

/// The version of the document's form that this release writes and reads.
pub const REPORT_VERSION: u32 = 1;
