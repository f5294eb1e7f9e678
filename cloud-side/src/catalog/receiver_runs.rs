//! The lives of the receiver process, by which a beat of an earlier one is still understood.

use super::{Catalog, CatalogError, Commit, tables};
use crate::receive::ReceiverRun;
use bcdr_format::ReceiverRunId;

impl Catalog {
    /// Logs a run at its start; durable on return. Beats may quote it only after that.
    pub fn begin_receiver_run(&self, run: &ReceiverRun) -> Result<(), CatalogError> {
        self.put_receiver_run(run, Commit::Durable)
    }

    /// Notes how far a run's monotonic clock has come; call it every few seconds. It becomes
    /// durable with the next durable write.
    pub fn note_receiver_run(&self, run: &ReceiverRun) -> Result<(), CatalogError> {
        self.put_receiver_run(run, Commit::Lazy)
    }

    /// A run by its id.
    pub fn receiver_run(&self, id: ReceiverRunId) -> Result<Option<ReceiverRun>, CatalogError> {
        let key = id.to_u128().to_be_bytes();
        let row = self.read("read a receiver run", |transaction| {
            tables::get(transaction, tables::RECEIVER_RUNS, &key)
        })?;
        row.map(|row| tables::unpack("receiver runs", &key, &row))
            .transpose()
    }

    fn put_receiver_run(&self, run: &ReceiverRun, commit: Commit) -> Result<(), CatalogError> {
        let key = run.id.to_u128().to_be_bytes();
        self.write("log a receiver run", commit, |transaction| {
            tables::put(transaction, tables::RECEIVER_RUNS, &key, &tables::pack(run))
        })
    }
}
