//! Volumes for people.

use super::{Grid, bytes_or_unknown, or_unknown};
use crate::cli::client::Items;
use serde::Deserialize;

/// A volume, as far as people are shown it.
#[derive(Debug, Deserialize)]
pub(crate) struct Volume {
    pub(crate) id: String,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) group_name: Option<String>,
    #[serde(default)]
    pub(crate) size_bytes: Option<u64>,
    #[serde(default)]
    pub(crate) written_bytes: Option<u64>,
    #[serde(default)]
    pub(crate) writes: Option<u64>,
}

/// `bcdr volume list`
pub(crate) fn list(volumes: &Items<Volume>) -> Grid {
    let headers = ["GROUP", "NAME", "ID", "SIZE", "WRITTEN", "WRITES"];
    let mut grid = Grid::new(&headers, &[3, 4, 5]);
    for volume in &volumes.items {
        grid.row([
            or_unknown(volume.group_name.clone()),
            volume.name.clone(),
            volume.id.clone(),
            bytes_or_unknown(volume.size_bytes),
            bytes_or_unknown(volume.written_bytes),
            or_unknown(volume.writes.map(|writes| writes.to_string())),
        ]);
    }
    grid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_is_unknown_and_not_nothing() {
        let text = r#"{"items":[{"id":"vol-1","group":"grp-1","group_name":"lab","name":"root","number":0,
            "size_bytes":1073741824,"written_bytes":null,"writes":null},
            {"id":"vol-2","group":"grp-1","group_name":"lab","name":"data","number":1,
            "size_bytes":512,"written_bytes":0,"writes":12}],"next_cursor":null}"#;
        assert_eq!(
            list(&serde_json::from_str(text).unwrap()).to_string(),
            "GROUP  NAME  ID      SIZE  WRITTEN   WRITES\n\
             lab    root  vol-1  1 GiB  unknown  unknown\n\
             lab    data  vol-2  512 B      0 B       12\n"
        );
    }
}
