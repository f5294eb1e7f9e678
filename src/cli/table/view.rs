//! Views for people.

use super::{Fields, Grid, or_none, point::Point};
use crate::cli::{client::Items, units};
use serde::Deserialize;

/// A view, as far as people are shown it and exports use it.
#[derive(Debug, Deserialize)]
pub(crate) struct View {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) group_name: Option<String>,
    #[serde(default)]
    pub(crate) branch: Option<String>,
    pub(crate) point: Point,
    pub(crate) volumes: Vec<ViewVolume>,
    #[serde(default)]
    pub(crate) lease_expires: Option<String>,
    pub(crate) state: String,
    #[serde(default)]
    pub(crate) reason: Option<String>,
    #[serde(default)]
    pub(crate) drill: Option<String>,
}

/// A volume of a view.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ViewVolume {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) size_bytes: u64,
    pub(crate) nbd: String,
}

impl View {
    fn lease(&self) -> String {
        match (&self.lease_expires, &self.drill) {
            (Some(expires), _) => expires.clone(),
            (None, Some(drill)) => format!("that of {drill}"),
            (None, None) => super::NONE.to_owned(),
        }
    }
}

/// `bcdr view list`
pub(crate) fn list(views: &Items<View>) -> Grid {
    let mut grid = Grid::new(
        &["ID", "GROUP", "POINT", "TIME", "STATE", "LEASE ENDS"],
        &[],
    )
    .wide(&["BRANCH", "VOLUMES", "REASON"]);
    for view in &views.items {
        let row = [
            view.id.clone(),
            super::or_unknown(view.group_name.clone()),
            view.point.id.clone(),
            super::or_unknown(view.point.time.clone()),
            view.state.clone(),
            view.lease(),
        ];
        let volumes: Vec<_> = view.volumes.iter().map(|one| one.name.as_str()).collect();
        let behind = [
            or_none(view.branch.as_deref()),
            volumes.join(", "),
            or_none(view.reason.as_deref()),
        ];
        grid.row_wide(row, behind);
    }
    grid
}

/// One view.
pub(crate) fn show(view: &View) -> String {
    let mut fields = Fields::new();
    fields.field("view", &view.id);
    fields.field("group", or_none(view.group_name.as_deref()));
    fields.field_if("branch", view.branch.as_deref());
    fields.field("point", view.point.line());
    fields.field("state", &view.state);
    fields.field_if("reason", view.reason.as_deref());
    fields.field("lease ends", view.lease());
    let mut grid = Grid::new(&["VOLUME", "SIZE", "NBD"], &[1]);
    for volume in &view.volumes {
        grid.row([
            volume.name.clone(),
            units::bytes(volume.size_bytes),
            volume.nbd.clone(),
        ]);
    }
    format!("{fields}\n{grid}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_shows_where_to_read() {
        let text = r#"{"id":"viw-1","group":"grp-1","group_name":"lab","point":{"id":"2-7","kind":"bookmark","label":"a",
            "time":"2026-11-03T10:00:00.000000Z"},"volumes":[{"id":"vol-1","name":"root","size_bytes":1073741824,
            "nbd":"nbd+unix:///root?socket=/run/v/viw-1.sock"}],"opened_at":"2026-11-03T10:00:00.000000Z",
            "lease_expires":null,"state":"open","reason":null,"drill":"drl-1"}"#;
        assert_eq!(
            show(&serde_json::from_str(text).unwrap()),
            "view        viw-1\n\
             group       lab\n\
             point       2-7  2026-11-03T10:00:00.000000Z  \"a\"\n\
             state       open\n\
             lease ends  that of drl-1\n\
             \n\
             VOLUME   SIZE  NBD\n\
             root    1 GiB  nbd+unix:///root?socket=/run/v/viw-1.sock\n"
        );
    }
}
