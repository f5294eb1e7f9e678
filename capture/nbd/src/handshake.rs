//! The decisions of the negotiation phase: what each option is answered.
//!
//! Owns what the client has negotiated so far. Knows nothing of framing: whole options come in,
//! replies are appended to a byte vector. Invariant: without TLS on a connection that demands it,
//! nothing about any export is revealed.

use std::sync::Arc;

use crate::constants::{
    BASE_ALLOCATION, BASE_ALLOCATION_ID, EXPORT_NAME_PADDING, FLAG_FIXED_NEWSTYLE, FLAG_NO_ZEROES,
    MAXIMUM_OPTION_LENGTH, MAXIMUM_OPTIONS, NBD_MAGIC, OPTION_MAGIC, option_code, option_reply,
};
use crate::export::{ExportDirectory, ExportInfo};
use crate::option::{self, ContextQuery, ExportQuery};
use crate::request::Negotiated;
use crate::session::{SessionEnd, TlsMode};

/// What follows an option.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// More options.
    Continue,
    /// The client may start TLS now.
    StartTls,
    /// The client entered the transmission phase.
    Selected(ExportInfo),
}

/// The state of one negotiation.
pub(crate) struct Negotiation {
    directory: Arc<dyn ExportDirectory>,
    tls: TlsMode,
    encrypted: bool,
    no_zeroes: bool,
    structured: bool,
    /// The export name of the last `SET_META_CONTEXT`, if that selected `base:allocation`.
    allocation_context_for: Option<String>,
    options_seen: u32,
    shutting_down: bool,
}

impl Negotiation {
    pub(crate) fn new(directory: Arc<dyn ExportDirectory>, tls: TlsMode) -> Self {
        Self {
            directory,
            tls,
            encrypted: false,
            no_zeroes: false,
            structured: false,
            allocation_context_for: None,
            options_seen: 0,
            shutting_down: false,
        }
    }

    /// The first bytes a server sends.
    pub(crate) fn greet(out: &mut Vec<u8>) {
        out.extend_from_slice(&NBD_MAGIC.to_be_bytes());
        out.extend_from_slice(&OPTION_MAGIC.to_be_bytes());
        out.extend_from_slice(&(FLAG_FIXED_NEWSTYLE | FLAG_NO_ZEROES).to_be_bytes());
    }

    /// The client's answer to the greeting.
    pub(crate) fn client_flags(&mut self, flags: u32) -> Result<(), SessionEnd> {
        let known = u32::from(FLAG_FIXED_NEWSTYLE | FLAG_NO_ZEROES);
        if flags & !known != 0 {
            return Err(SessionEnd::UnknownClientFlags(flags));
        }
        self.no_zeroes = flags & u32::from(FLAG_NO_ZEROES) != 0;
        Ok(())
    }

    /// Judges the header of an option before any of its data is stored.
    pub(crate) fn admit(
        &mut self,
        code: u32,
        length: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), SessionEnd> {
        self.options_seen += 1;
        if self.options_seen > MAXIMUM_OPTIONS {
            return Err(SessionEnd::TooManyOptions);
        }
        if usize::try_from(length).is_ok_and(|length| length <= MAXIMUM_OPTION_LENGTH) {
            return Ok(());
        }
        if code != option_code::EXPORT_NAME {
            option::put_error(out, code, option_reply::ERR_TOO_BIG, "option data too long");
        }
        Err(SessionEnd::OptionTooLong {
            option: code,
            length,
        })
    }

    /// From now on new work is refused.
    pub(crate) fn begin_shutdown(&mut self) {
        self.shutting_down = true;
    }

    /// TLS is up: everything negotiated in the clear is forgotten.
    pub(crate) fn tls_established(&mut self) {
        self.encrypted = true;
        self.structured = false;
        self.allocation_context_for = None;
    }

    /// What was negotiated for an export that was entered by this name.
    fn negotiated(&self, name: &str) -> Negotiated {
        Negotiated {
            structured: self.structured,
            allocation_context: self.allocation_context_for.as_deref() == Some(name),
        }
    }

    /// Handles one whole option.
    pub(crate) fn option(
        &mut self,
        code: u32,
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(Outcome, Negotiated), SessionEnd> {
        let nothing = Negotiated {
            structured: false,
            allocation_context: false,
        };
        match code {
            option_code::ABORT => {
                option::put_reply(out, code, option_reply::ACK, &[]);
                return Err(SessionEnd::Aborted);
            }
            option_code::EXPORT_NAME => return self.export_name(data, out),
            _ => {}
        }
        if self.shutting_down {
            option::put_error(
                out,
                code,
                option_reply::ERR_SHUTDOWN,
                "server is shutting down",
            );
            return Ok((Outcome::Continue, nothing));
        }
        if self.tls == TlsMode::Forced && !self.encrypted && code != option_code::STARTTLS {
            option::put_error(out, code, option_reply::ERR_TLS_REQD, "start TLS first");
            return Ok((Outcome::Continue, nothing));
        }
        match code {
            option_code::STARTTLS => Ok((self.start_tls(data, out), nothing)),
            option_code::INFO | option_code::GO => Ok(self.info_or_go(code, data, out)),
            option_code::LIST => {
                self.list(data, out);
                Ok((Outcome::Continue, nothing))
            }
            option_code::STRUCTURED_REPLY => {
                if no_data(code, data, out) {
                    self.structured = true;
                    option::put_reply(out, code, option_reply::ACK, &[]);
                }
                Ok((Outcome::Continue, nothing))
            }
            option_code::LIST_META_CONTEXT => {
                self.list_contexts(data, out);
                Ok((Outcome::Continue, nothing))
            }
            option_code::SET_META_CONTEXT => {
                self.set_context(data, out);
                Ok((Outcome::Continue, nothing))
            }
            _ => {
                option::put_error(out, code, option_reply::ERR_UNSUP, "option not supported");
                Ok((Outcome::Continue, nothing))
            }
        }
    }

    /// `EXPORT_NAME` has no error reply: whatever is wrong ends the session.
    fn export_name(
        &self,
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(Outcome, Negotiated), SessionEnd> {
        if self.tls == TlsMode::Forced && !self.encrypted {
            return Err(SessionEnd::TlsRequired);
        }
        if self.shutting_down {
            return Err(SessionEnd::ShuttingDown);
        }
        let name = option::parse_name(data).map_err(|_| SessionEnd::BadExportName)?;
        let export = self
            .directory
            .find(name)
            .ok_or_else(|| SessionEnd::UnknownExport {
                name: name.to_owned(),
            })?;
        out.extend_from_slice(&export.size.to_be_bytes());
        let flags = export.features.transmission_flags(self.structured);
        out.extend_from_slice(&flags.to_be_bytes());
        if !self.no_zeroes {
            out.extend_from_slice(&[0; EXPORT_NAME_PADDING]);
        }
        Ok((Outcome::Selected(export), self.negotiated(name)))
    }

    fn start_tls(&self, data: &[u8], out: &mut Vec<u8>) -> Outcome {
        let code = option_code::STARTTLS;
        if !no_data(code, data, out) {
            return Outcome::Continue;
        }
        if self.encrypted {
            option::put_error(out, code, option_reply::ERR_INVALID, "TLS is already up");
            return Outcome::Continue;
        }
        match self.tls {
            TlsMode::NotOffered => {
                option::put_error(
                    out,
                    code,
                    option_reply::ERR_UNSUP,
                    "TLS is not offered here",
                );
                Outcome::Continue
            }
            TlsMode::Forced => {
                option::put_reply(out, code, option_reply::ACK, &[]);
                Outcome::StartTls
            }
        }
    }

    fn list(&self, data: &[u8], out: &mut Vec<u8>) {
        let code = option_code::LIST;
        if no_data(code, data, out) {
            for name in self.directory.names() {
                option::put_listed(out, code, &name);
            }
            option::put_reply(out, code, option_reply::ACK, &[]);
        }
    }

    fn info_or_go(&self, code: u32, data: &[u8], out: &mut Vec<u8>) -> (Outcome, Negotiated) {
        let Ok(query) = ExportQuery::parse(data) else {
            put_inconsistent(code, out);
            return (Outcome::Continue, self.negotiated(""));
        };
        let negotiated = self.negotiated(query.name);
        let Some(export) = self.find(code, query.name, out) else {
            return (Outcome::Continue, negotiated);
        };
        let flags = export.features.transmission_flags(self.structured);
        option::put_export_info(out, code, &query, &export, flags);
        option::put_reply(out, code, option_reply::ACK, &[]);
        if code == option_code::GO {
            (Outcome::Selected(export), negotiated)
        } else {
            (Outcome::Continue, negotiated)
        }
    }

    fn list_contexts(&self, data: &[u8], out: &mut Vec<u8>) {
        let code = option_code::LIST_META_CONTEXT;
        let Ok(query) = ContextQuery::parse(data) else {
            return put_inconsistent(code, out);
        };
        let Some(export) = self.find(code, query.name, out) else {
            return;
        };
        let asked = query.queries.is_empty()
            || query
                .queries
                .iter()
                .any(|&query| query == BASE_ALLOCATION.as_bytes() || query == b"base:");
        if asked && export.features.block_status {
            // Ids mean nothing in a list.
            option::put_context(out, code, 0, BASE_ALLOCATION);
        }
        option::put_reply(out, code, option_reply::ACK, &[]);
    }

    fn set_context(&mut self, data: &[u8], out: &mut Vec<u8>) {
        let code = option_code::SET_META_CONTEXT;
        // Even a failing SET replaces the earlier selection.
        self.allocation_context_for = None;
        if !self.structured {
            let message = "structured replies must be negotiated first";
            return option::put_error(out, code, option_reply::ERR_INVALID, message);
        }
        let Ok(query) = ContextQuery::parse(data) else {
            return put_inconsistent(code, out);
        };
        let Some(export) = self.find(code, query.name, out) else {
            return;
        };
        let asked = query.queries.contains(&BASE_ALLOCATION.as_bytes());
        if asked && export.features.block_status {
            option::put_context(out, code, BASE_ALLOCATION_ID, BASE_ALLOCATION);
            self.allocation_context_for = Some(query.name.to_owned());
        }
        option::put_reply(out, code, option_reply::ACK, &[]);
    }

    /// The named export, or an error reply.
    fn find(&self, code: u32, name: &str, out: &mut Vec<u8>) -> Option<ExportInfo> {
        let export = self.directory.find(name);
        if export.is_none() {
            option::put_error(out, code, option_reply::ERR_UNKNOWN, "no such export");
        }
        export
    }
}

/// Whether an option that must be empty is; if not, says so.
fn no_data(code: u32, data: &[u8], out: &mut Vec<u8>) -> bool {
    if !data.is_empty() {
        option::put_error(
            out,
            code,
            option_reply::ERR_INVALID,
            "this option carries no data",
        );
    }
    data.is_empty()
}

fn put_inconsistent(code: u32, out: &mut Vec<u8>) {
    option::put_error(
        out,
        code,
        option_reply::ERR_INVALID,
        "the lengths in the data are wrong",
    );
}
