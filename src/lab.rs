//! `bcdr lab`: a complete one-machine installation for raw images and block devices.
//!
//! Owns a directory: [`layout`] says what is where in it, [`state`] what it remembers, [`up`] makes
//! it, [`supervise`] keeps the roles alive, [`down`] ends them. The roles are ordinary `bcdr`
//! processes with ordinary configuration files; nothing in them knows that it is in a lab.

pub(crate) mod down;
mod identity;
mod instances;
pub(crate) mod layout;
pub(crate) mod process;
pub(crate) mod report;
pub(crate) mod state;
pub(crate) mod status;
pub(crate) mod supervise;
pub(crate) mod up;
