//! A cloud side in a directory of its own and a scripted gateway, for tests.

pub(crate) mod following;
pub(crate) mod gateway;
pub(crate) mod leaving;
pub(crate) mod site;
pub(crate) mod source;
