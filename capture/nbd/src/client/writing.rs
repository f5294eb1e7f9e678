//! The requests of a client that change an export, and the flush that makes them last.
//!
//! A request that the server has not offered, or that cannot succeed, is not sent.

use bytes::Bytes;

use super::driver::{Expected, Submission};
use super::{Client, ClientError, impossible};
use crate::constants::{command_code, command_flag};

impl Client {
    /// Writes at most the maximum payload; with `fua` the data is durable when this returns.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn write(&self, offset: u64, data: Bytes, fua: bool) -> Result<(), ClientError> {
        let request = "write";
        let Ok(length) = u32::try_from(data.len()) else {
            return Err(impossible(request, offset, u32::MAX, "it is too long"));
        };
        self.check_payload(request, offset, length)?;
        self.check_change(request, offset, length, fua)?;
        let flags = if fua { command_flag::FUA } else { 0 };
        self.order(request, command_code::WRITE, flags, (offset, length), data)
            .await
    }

    /// Makes a range read as zeroes, of any length; with `fua` that is durable when this returns.
    /// `may_unmap`: its space may be given back.
    ///
    /// # Errors
    /// See [`ClientError`]; impossible if the server does not offer it.
    pub async fn write_zeroes(
        &self,
        offset: u64,
        length: u32,
        may_unmap: bool,
        fua: bool,
    ) -> Result<(), ClientError> {
        let request = "write of zeroes";
        self.check_range(request, offset, length)?;
        self.check_change(request, offset, length, fua)?;
        if !self.export.can_write_zeroes() {
            let reason = "the server does not offer it; write data instead";
            return Err(impossible(request, offset, length, reason));
        }
        let fua = if fua { command_flag::FUA } else { 0 };
        let no_hole = if may_unmap { 0 } else { command_flag::NO_HOLE };
        let (code, flags) = (command_code::WRITE_ZEROES, fua | no_hole);
        self.order(request, code, flags, (offset, length), Bytes::new())
            .await
    }

    /// Says that a range of any length is no longer needed; what it then holds is the server's
    /// affair. With `fua` that is durable when this returns.
    ///
    /// # Errors
    /// See [`ClientError`]; impossible if the server does not offer it.
    pub async fn trim(&self, offset: u64, length: u32, fua: bool) -> Result<(), ClientError> {
        let request = "trim";
        self.check_range(request, offset, length)?;
        self.check_change(request, offset, length, fua)?;
        if !self.export.can_trim() {
            let reason = "the server does not offer it; it has no effect that is needed";
            return Err(impossible(request, offset, length, reason));
        }
        let flags = if fua { command_flag::FUA } else { 0 };
        let range = (offset, length);
        self.order(request, command_code::TRIM, flags, range, Bytes::new())
            .await
    }

    /// Makes everything written before durable. A server that does not offer it has nothing to
    /// flush.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn flush(&self) -> Result<(), ClientError> {
        if !self.export.can_flush() {
            return Ok(());
        }
        self.order("flush", command_code::FLUSH, 0, (0, 0), Bytes::new())
            .await
    }

    fn check_change(
        &self,
        request: &'static str,
        offset: u64,
        length: u32,
        fua: bool,
    ) -> Result<(), ClientError> {
        if self.export.is_read_only() {
            let reason = "the export is read-only";
            return Err(impossible(request, offset, length, reason));
        }
        if fua && !self.export.can_fua() {
            let reason = "the server does not offer force-unit-access; flush instead";
            return Err(impossible(request, offset, length, reason));
        }
        Ok(())
    }

    /// Sends a request that is answered without data, and waits for its answer. The range is offset
    /// and length in bytes.
    async fn order(
        &self,
        request: &'static str,
        code: u16,
        flags: u16,
        (offset, length): (u64, u32),
        data: Bytes,
    ) -> Result<(), ClientError> {
        let submission = Submission::new(code, flags, offset, length, data, Expected::Nothing);
        let reply = self.submit(submission).await?;
        self.wait(request, reply).await.map(drop)
    }
}
