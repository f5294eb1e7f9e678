//! The codecs against generated values, damage, hostile writers and files of earlier releases.

#[path = "format/damage.rs"]
mod damage;
#[path = "format/golden.rs"]
mod golden;
#[path = "format/hostile.rs"]
mod hostile;
#[path = "format/round_trip.rs"]
mod round_trip;
#[path = "format/strategies.rs"]
mod strategies;
