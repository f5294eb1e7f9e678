//! From records to sealed batches: close, coalesce, find zeroes, compress, seal.
//!
//! The steps are in the order the data takes: [`batcher`] decides which records make a batch,
//! [`overlay`] lets newer records replace older ones, [`pack`] cuts what remains into chunks and
//! seals them. Dedup is not there yet.

pub mod batcher;
pub mod overlay;
pub mod pack;
