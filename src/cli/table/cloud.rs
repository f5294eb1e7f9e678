//! What `bcdr cloud` makes, for people: names with values.

use super::Fields;
use serde_json::{Map, Value};

/// One made thing.
pub(crate) fn made(made: &Map<String, Value>) -> String {
    let mut fields = Fields::new();
    for (name, value) in made {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        fields.field(&name.replace('_', " "), text);
    }
    fields.to_string()
}
