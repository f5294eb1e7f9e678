//! Machines that boot and machines that do not, each with the check that says so.

mod bounds;
mod defects;
mod fix_ups;
mod hostile;
mod whole;
