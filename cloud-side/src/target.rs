//! Targets: where a recovered machine runs.
//!
//! Owns the [`Target`] trait and the types that cross it. A target is given disk sources and launch
//! settings; it starts an instance, lets it be observed, and removes everything again. For a drill
//! that is an isolated throw-away over read-only sources; for a failover it is production itself,
//! which writes to its sources and outlives the process that started it.
//!
//! Invariant: whatever a target creates is named in the [`InstanceRecord`] that [`Target::plan`]
//! returned *before* the first thing was created. Whoever holds the record (this process, or the
//! one that comes after a crash) can destroy the instance and prove that nothing is left.
//!
//! It does not decide whether a machine booted (see [`crate::drill`]) and does not open views. Only
//! the machine of a failover ever writes to a disk source.

mod disk_source;
mod error;
mod instance;
mod isolation;
mod launch_settings;
mod network;
mod precheck;
mod probes;
mod proof;
pub mod qemu;
mod rung_patterns;
mod station;
mod ways_in;

use std::{future::Future, path::Path, pin::Pin, sync::Arc};

pub use disk_source::{DiskSource, DiskSourceError, NbdAddress};
pub use error::TargetError;
pub use instance::{
    ConsoleChunk, ConsoleOffset, EvidenceText, InstanceDetail, InstanceId, InstanceIdError,
    InstancePurpose, InstanceRecord, InstanceState, LaunchRequest, Observation,
};
pub use isolation::{IsolationSample, IsolationVerdict, SocketEvidence};
/// What launch settings may say.
pub(crate) mod limits {
    pub(crate) use super::{
        launch_settings::{
            BOOT_TIMEOUT_SECONDS_MAX, CPUS_MAX, MEMORY_MIB_MAX, MEMORY_MIB_MIN,
            SHUT_DOWN_SECONDS_MAX,
        },
        network::{CARDS_MAX, FORWARDS_MAX},
        probes::{
            SCRIPT_PORTS_MAX, SCRIPT_SECONDS_MAX, SCRIPTS_MAX,
            TIMEOUT_SECONDS_MAX as PROBE_SECONDS_MAX,
        },
    };
}
pub use launch_settings::{DiskBus, Firmware, LaunchSettings, LaunchSettingsError, Machine};
pub(crate) use network::check as check_networks;
pub use network::{NetworkCard, NetworkConnection, PortForward};
pub use precheck::{PrecheckItem, PrecheckReport, PrecheckVerdict};
pub use probes::{PageProbe, PortProbe, ProbeKind, Probes, ProbesError, ScriptProbe};
pub use proof::{Proof, ProofItem};
pub use rung_patterns::RungPatterns;
pub use station::{AddressOrigin, CardAddress, GuestNetwork, GuestNetworkError, StationPlan};
pub use ways_in::{GuestStream, WayFuture, WaysIn};

/// What every method of a [`Target`] returns.
pub type TargetFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, TargetError>> + Send + 'a>>;

/// A place where recovered machines run.
///
/// The order of calls is: `precheck`, `plan`, `prepare_disks`, `prepare_network`, `launch`, in a
/// drill `isolation` until it says isolated, `release`, then any number of `observe`, `console`,
/// `isolation`, `screenshot`, `screen` and `describe`, then `destroy` and `prove_destroyed`. The last two are
/// allowed at any time after `plan`, by any process, any number of times; `adopt` takes the place of
/// everything up to `release` in a process that comes later. Every method ends by a deadline of its
/// own.
pub trait Target: Send + Sync {
    /// The name users know this target by, such as `qemu`.
    fn name(&self) -> &'static str;

    /// Checks, without creating anything, whether these disks can be launched with these settings.
    fn precheck<'a>(
        &'a self,
        settings: &'a LaunchSettings,
        disks: &'a [DiskSource],
    ) -> TargetFuture<'a, PrecheckReport>;

    /// Names everything that the instance will consist of, and creates nothing.
    ///
    /// # Errors
    /// When the request cannot be planned, such as a path that is too long for every remedy.
    fn plan(&self, request: &LaunchRequest) -> Result<InstanceRecord, TargetError>;

    /// Makes the throw-away disks over the sources.
    fn prepare_disks<'a>(
        &'a self,
        record: &'a InstanceRecord,
        request: &'a LaunchRequest,
    ) -> TargetFuture<'a, ()>;

    /// Makes the isolated network and returns a sentence about it.
    fn prepare_network<'a>(
        &'a self,
        record: &'a InstanceRecord,
        request: &'a LaunchRequest,
    ) -> TargetFuture<'a, String>;

    /// Starts the instance, halted before its first instruction, and returns the record completed by
    /// what became known, such as a process.
    fn launch<'a>(
        &'a self,
        record: &'a InstanceRecord,
        request: &'a LaunchRequest,
    ) -> TargetFuture<'a, InstanceRecord>;

    /// Lets the instance execute. For a drill it is allowed only after [`Target::isolation`] said that
    /// this very instance is isolated.
    fn release<'a>(&'a self, record: &'a InstanceRecord) -> TargetFuture<'a, ()>;

    /// Takes charge of an instance that an earlier process launched and that still runs. Returns
    /// whether it was found; one that is there already is fine. Only instances of a failover
    /// outlive their process.
    fn adopt<'a>(&'a self, record: &'a InstanceRecord) -> TargetFuture<'a, bool>;

    /// Asks the machine to shut itself down, and waits for it at most `limit`. Returns whether it
    /// did; one that is gone already did.
    fn shut_down<'a>(
        &'a self,
        record: &'a InstanceRecord,
        limit: std::time::Duration,
    ) -> TargetFuture<'a, bool>;

    /// Says whether the instance runs and how much its throw-away disks hold.
    fn observe<'a>(&'a self, record: &'a InstanceRecord) -> TargetFuture<'a, Observation>;

    /// Reads the instance's console output from `offset`; empty when there is nothing new.
    fn console<'a>(
        &'a self,
        record: &'a InstanceRecord,
        offset: ConsoleOffset,
    ) -> TargetFuture<'a, ConsoleChunk>;

    /// Observes, in this very instance, whether it can reach any network.
    fn isolation<'a>(&'a self, record: &'a InstanceRecord) -> TargetFuture<'a, IsolationSample>;

    /// The ways into an isolated instance that was launched with some; none for any other.
    fn ways_in(&self, record: &InstanceRecord) -> Option<Arc<dyn WaysIn>>;

    /// Writes a PNG picture of the instance's screen to `path`.
    fn screenshot<'a>(&'a self, record: &'a InstanceRecord, path: &'a Path)
    -> TargetFuture<'a, ()>;

    /// A PNG picture of the instance's screen as it is now, of a bounded size.
    fn screen<'a>(&'a self, record: &'a InstanceRecord) -> TargetFuture<'a, Vec<u8>>;

    /// Texts worth keeping as evidence, such as the command that started the instance.
    fn describe<'a>(&'a self, record: &'a InstanceRecord) -> TargetFuture<'a, Vec<EvidenceText>>;

    /// Ends the instance at once and removes everything that the record names, except evidence.
    fn destroy<'a>(&'a self, record: &'a InstanceRecord) -> TargetFuture<'a, ()>;

    /// Looks, item by item, whether anything of the instance is left.
    fn prove_destroyed<'a>(&'a self, record: &'a InstanceRecord) -> TargetFuture<'a, Proof>;
}
