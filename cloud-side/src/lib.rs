//! Cloud side: receiver, replica store, recovery, targets, catalog, API.
//!
//! [`role`] puts everything together; [`init`] makes what it works on. Batches come in through the
//! receiver, are judged by [`receive`], kept by [`replica`] and indexed by [`catalog`]; points of
//! that history are read through views and booted by [`drill`] on a [`target`]; [`recovery`] decides
//! which site is a group's authority and leads it over and back; plans recover several groups in order;
//! [`returns`] gives points back to the
//! disks they came from. The REST API ([`api`]) shows and
//! starts all of it.

pub mod access;
mod alerts;
pub mod api;
mod audit;
pub mod branch;
pub mod branches;
pub mod catalog;
mod clock;
pub mod config;
pub mod drill;
mod drills;
mod events;
mod groups;
mod idempotency;
pub mod init;
mod jobs;
mod keys;
mod metrics;
mod offload;
mod outside;
mod placements;
mod plans;
mod points;
mod readiness;
pub mod receive;
mod receiver;
mod record_id;
pub mod recovery;
pub mod replica;
mod reports;
pub mod returns;
pub mod role;
mod rpo_history;
mod schedules;
mod screens;
mod service;
mod state_files;
pub mod target;
#[cfg(test)]
mod testing;
mod views;
