//! A group that takes no more writes: what was begun is finished, journaled and fed; reads go on.
//!
//! Invariant: once [`GroupStatus::serving`] says read-only, no write is in flight and every one that
//! was answered is settled, so that what is fed by then is all there will be. Clients that are there
//! are told that the server is going away; those that come are told that the volume is read-only.

use bcdr_disk::AlignedBuffer;
use bcdr_nbd::{Command, ExportInfo, Features};
use bcdr_wire::order::Serving;

use super::{GroupStatus, GroupThread};

impl GroupThread {
    pub(super) fn quiesce(&mut self) {
        if self.quiesced {
            return;
        }
        self.quiesced = true;
        for listener in &mut self.listeners {
            make_read_only(&mut listener.info);
        }
        tracing::info!("no more writes are taken");
        self.publish_status();
    }
}

impl GroupStatus {
    /// What clients can do.
    #[must_use]
    pub fn serving(&self) -> Serving {
        let quiet = self.tap.writes == 0 && self.tap.settled == self.tap.sequenced;
        if self.quiesced && quiet {
            Serving::ReadOnly
        } else {
            Serving::Writable
        }
    }
}

/// Makes an export one that takes no writes, to those who enter it from now on.
pub(crate) fn make_read_only(info: &mut ExportInfo) {
    info.features = Features {
        read_only: true,
        ..info.features
    };
}

/// Whether a request changes the volume.
pub(super) const fn modifies(command: &Command<AlignedBuffer>) -> bool {
    matches!(
        command,
        Command::Write { .. } | Command::Trim { .. } | Command::WriteZeroes { .. }
    )
}
