//! Alerts: conditions that are noticed, kept track of and told, each once.
//!
//! [`AlertBook`] turns what is observed into alerts with a life: raised, acknowledged, cleared.
//! [`Outbox`] turns each change of such a life into deliveries, one for each channel, and says which
//! of them is to be sent now. [`AlertCode`] has the words for all of it; [`Filling`] says when
//! something will be full.
//!
//! Invariants: what cannot be judged is never taken for good; no change is told twice once its
//! delivery is marked, and none is lost before; the messages of one alert keep their order on each
//! channel. This crate does no I/O: the time is an argument, and whoever drives it makes what changed
//! durable before anything is sent.

mod book;
mod code;
mod condition;
mod filling;
mod id;
mod outbox;
mod text;
mod time;

pub use book::{
    Acknowledgement, Alert, AlertBook, AlertState, Changes, Entry, Event, Hold, Mute, MuteScope,
    Refused, Settings, Told, Transition, TransitionKind, Unjudged,
};
pub use code::{AlertCode, Severity, UnknownName};
pub use condition::{Condition, Judged, Object, ObjectKind};
pub use filling::{Filling, Sample};
pub use id::{AlertId, ParseAlertIdError};
pub use outbox::{
    ChannelRecord, Delivery, DeliveryState, GIVEN_UP_AFTER, LastFailure, Marked, Outbox, Sent,
    Sign, Taken, delivery_id,
};
pub use text::Language;
pub use time::{Now, Since};
