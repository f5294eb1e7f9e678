//! Recovery plans: how several groups are recovered together, step by step.
//!
//! [`Plan`] is the document that people write; [`Plan::check`] says what is wrong with one, by step,
//! cause and remedy. [`Run`] is the machine of one start of a plan: events and the time go in, what
//! is to be done follows from its durable form. [`forecast`] says how long a start would take, as far
//! as that is known.
//!
//! Invariants: no step begins before everything it comes after is settled; a run ends, or stands in a
//! state with a name and a way forward; what is unknown is said to be unknown. This crate does no
//! I/O and knows no group, drill or failover: whoever drives a run carries the steps out.

mod check;
mod document;
pub mod facts;
mod forecast;
mod free;
mod outside;
mod run;
mod selection;

pub use check::{Checked, Fault};
pub use document::{
    AT_ONCE_MAX, ApprovalStep, GroupStep, Kind, PRIORITY_MAX, Plan, STEPS_MAX, Step, StepId,
    WaitStep,
};
pub use forecast::{Basis, Forecast, KnownTimes, StepForecast, forecast, median};
pub use free::Free;
pub use outside::{
    CallMethod, CallStep, DnsStep, ProbeStep, ProbeTarget, RecordKind, ScriptStep, WebhookStep,
};
pub use run::{
    Allowed, Decision, Event, Failure, Handled, INTERRUPTIONS_MAX, Mode, Operator, PointTaken,
    Refused, Run, RunEnd, RunState, Start, StepRun, StepState, Verb, Work,
};
pub use selection::{NotRun, Selection};
