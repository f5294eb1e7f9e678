//! `bcdr status`: the installation and its groups at a glance.

use super::{
    Failure,
    client::{Client, Items, Path},
    document::Document,
    exit,
    global::GlobalArguments,
    table,
    watch::WatchArgument,
};
use clap::Args;
use serde::Serialize;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bcdr status\n  bcdr status --watch\n  bcdr status --check || page-somebody"
)]
pub(super) struct Arguments {
    /// End with exit code 8 unless everything is known to be well
    #[arg(long, conflicts_with = "watch")]
    check: bool,
    #[command(flatten)]
    watch: WatchArgument,
}

/// What `bcdr status` prints: the API's own documents side by side.
#[derive(Serialize)]
struct Status {
    system: Document,
    groups: Vec<Document>,
}

impl Arguments {
    pub(super) fn run(self, global: &GlobalArguments) -> Result<(), Failure> {
        let session = global.session()?;
        if !self.check {
            return self.watch.show(&session, look, table::status::show);
        }
        let document = look(&session.client)?;
        session.output.show(&document, table::status::show)?;
        check(&document.read()?)
    }
}

fn look(client: &Client) -> Result<Document, Failure> {
    let system = client.get(&Path::new("system"))?;
    let groups: Items<Document> = client.list(&Path::new("groups"), None)?.read()?;
    Document::of(&Status {
        system,
        groups: groups.items,
    })
}

fn check(status: &table::status::Status) -> Result<(), Failure> {
    let troubles = status.troubles();
    if troubles.is_empty() {
        return Ok(());
    }
    Err(Failure::new(exit::DEGRADED, troubles.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::super::table::{group, status};
    use super::*;

    fn status(group: &str) -> status::Status {
        let text = format!(
            r#"{{"system":{},"groups":[{group}]}}"#,
            status::tests::SYSTEM
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn only_what_is_known_to_be_well_passes_the_check() {
        let warning = group::tests::GROUP;
        let failure = check(&status(warning)).unwrap_err();
        assert_eq!(failure.code(), exit::DEGRADED);
        assert!(
            failure.to_string().contains("group lab is warning"),
            "{failure}"
        );
        let level =
            |level| warning.replace(r#""level":"warning""#, &format!(r#""level":"{level}""#));
        assert_eq!(
            check(&status(&level("unknown"))).unwrap_err().code(),
            exit::DEGRADED
        );
        check(&status(&level("ok"))).unwrap();
    }
}
