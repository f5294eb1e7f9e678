//! Capture: the NBD tap, ordered journal, scan and feed.
//!
//! The heart is a set of state machines that do no I/O of their own, and the journal, which does
//! durable I/O through [`bcdr_disk::Storage`] only:
//!
//! * [`tap`]: requests in, backing I/O and ordered records out; who may overtake whom, what is
//!   settled, what a flush waits for, when to give up journaling, and how the scan keeps its place;
//! * [`journal`]: the ordered records on disk, in recycled segments;
//! * [`intent`]: which writes were in flight, in memory that survives a kill;
//! * [`start`]: what a new life of the stream must read again, given what the old one left;
//! * [`feed`]: where to resume towards a peer, and what to send next;
//! * [`standing`]: what a source that was given an order does about it;
//! * [`restore`]: a volume is put back to a point, while it is not served; [`home_task`]: that and
//!   other work on disks that are not served, with a point over the network.
//!
//! Around them is the shell, which executes the actions in the order they come out:
//!
//! * [`role`]: the whole capture, from configuration to an orderly end; [`group`]: one group of it;
//! * [`group_thread`]: the ring thread of a group with its clients, over [`ring`] (backing I/O and
//!   readiness) and [`backing_queue`]; [`journal_thread`]: everything that waits for the journal;
//! * [`feed_client`]: the way to the gateway; [`nbd_tls`]: clients over TCP;
//! * [`local_api`], [`status`], [`metrics`]: what it shows of itself.

pub mod backing_queue;
pub mod clock;
pub mod config;
pub mod evidence;
pub mod feed;
pub mod feed_client;
pub mod group;
pub mod group_thread;
pub mod home_task;
pub mod initial;
pub mod intent;
pub mod journal;
pub mod journal_thread;
pub mod local_api;
pub mod metrics;
pub mod moment;
pub mod nbd_tls;
pub mod payload;
pub mod restore;
pub mod ring;
pub mod role;
pub mod standing;
pub mod start;
pub mod status;
pub mod tap;
pub mod volume;

#[cfg(test)]
mod test_gateway;
#[cfg(test)]
mod test_site;

pub use moment::Moment;
pub use payload::Payload;

/// A record with its payload in shared memory: queue, journal and feed hold the same bytes.
pub type StreamRecord = bcdr_format::record::Record<Payload>;

/// The body of a [`StreamRecord`].
pub type StreamBody = bcdr_format::record::RecordBody<Payload>;
