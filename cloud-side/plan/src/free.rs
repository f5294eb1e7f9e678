//! Values whose meaning belongs to somebody else, such as how a machine looks.
//!
//! They are carried as they were written, from TOML or JSON, and judged by whoever uses them.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A value of a plan that this crate does not interpret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Free {
    /// Yes or no.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A text.
    Text(String),
    /// Several values.
    List(Vec<Self>),
    /// Values with names.
    Table(BTreeMap<String, Self>),
}
