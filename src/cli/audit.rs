//! `bcdr audit`: who did what, and whether that record is whole.

mod verify;

use super::{
    Failure,
    client::Path,
    global::{GlobalArguments, Session},
    table,
};
use clap::{Args, Subcommand};
use std::{fs::File, io::Write, path::PathBuf};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List entries, the newest first
    #[command(
        after_help = "Examples:\n  bcdr audit list --outcome refused --limit 20\n  \
            bcdr audit list --object lab --from 2026-11-01T00:00:00Z --oldest-first"
    )]
    List(ListArguments),
    /// Print how far the log reaches, signed now: to be kept elsewhere
    #[command(
        after_help = "Examples:\n  bcdr audit head\n  bcdr audit head -o json > head-$(date +%F).json"
    )]
    Head,
    /// Write the log, or a period of it, to a file that can be verified
    #[command(after_help = "Examples:\n  bcdr audit export --to audit.jsonl\n  \
            bcdr audit export --to october.jsonl --from 2026-10-01T00:00:00Z --until 2026-11-01T00:00:00Z")]
    Export {
        /// The file to write
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        /// From the first entry at or after this time (RFC 3339)
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// To the first entry after this time (RFC 3339), and on to the next signed head
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
    },
    /// Check an export, or the files of a cloud side, offline
    #[command(
        long_about = "Check an export, or the files of a cloud side, offline.\n\n\
            Finds and names entries that were edited, deleted, put in another order, cut off or exchanged. \
            That the newest are missing, or that all of it is an older copy, shows by comparison with a head \
            that was kept elsewhere (--head). Needs no server and no context. Exit code 1 when anything is wrong.",
        after_help = "Examples:\n  bcdr audit verify audit.jsonl --key installation.pub --head 152:9f3a…\n  \
            bcdr audit verify /var/lib/bcdr/cloud/audit --key installation.pub"
    )]
    Verify(verify::Arguments),
}

#[derive(Debug, Args)]
pub(super) struct ListArguments {
    /// Only those of this actor (name or id)
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// Only those of this operation, such as start_failover
    #[arg(long, value_name = "OPERATION")]
    action: Option<String>,
    /// Only those about this object (kind, name or id)
    #[arg(long, value_name = "NAME")]
    object: Option<String>,
    /// Only those with this outcome: begun, allowed, refused, failed or unknown
    #[arg(long, value_name = "OUTCOME")]
    outcome: Option<String>,
    /// Not before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Not after this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// The oldest first
    #[arg(long)]
    oldest_first: bool,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
}

impl Command {
    pub(super) fn run(self, global: &GlobalArguments) -> Result<(), Failure> {
        match self {
            Self::Verify(arguments) => arguments.run(global.output()),
            Self::List(arguments) => arguments.run(&global.session()?),
            Self::Head => {
                let session = global.session()?;
                let head = session.client.get(&Path::new("audit").item("head"))?;
                session.output.show(&head, table::audit::head)
            }
            Self::Export { to, from, until } => {
                let path = Path::new("audit")
                    .item("export")
                    .query_if("from", from.as_deref())
                    .query_if("to", until.as_deref());
                export(&global.session()?, &path, &to)
            }
        }
    }
}

impl ListArguments {
    fn run(self, session: &Session) -> Result<(), Failure> {
        let order = self.oldest_first.then_some("oldest_first");
        let path = Path::new("audit")
            .query_if("actor", self.actor.as_deref())
            .query_if("action", self.action.as_deref())
            .query_if("object", self.object.as_deref())
            .query_if("outcome", self.outcome.as_deref())
            .query_if("from", self.from.as_deref())
            .query_if("to", self.to.as_deref())
            .query_if("order", order);
        let entries = session.client.list(&path, Some(self.limit))?;
        session.output.show(&entries, table::audit::list)
    }
}

fn export(session: &Session, path: &Path, to: &PathBuf) -> Result<(), Failure> {
    let cannot = |error: std::io::Error| {
        Failure::error(format!("cannot write {}", to.display()))
            .cause(error)
            .remedy("name a file in a directory that you may write to and that has room")
    };
    // An earlier export is what this one is compared with: it stays until this one is whole. What is
    // no file, such as a pipe, cannot be put in place of anything.
    let part = match to.metadata() {
        Ok(known) if !known.is_file() => to.clone(),
        _ => to.with_added_extension("part"),
    };
    let mut file = File::create(&part).map_err(cannot)?;
    session.client.download(path, &mut file)?;
    file.flush()
        .and_then(|()| file.sync_all())
        .map_err(cannot)?;
    if part != *to {
        let directory = to.parent().filter(|parent| !parent.as_os_str().is_empty());
        std::fs::rename(&part, to)
            .and_then(|()| File::open(directory.unwrap_or(".".as_ref()))?.sync_all())
            .map_err(cannot)?;
    }
    let told = format!(
        "{} is written; check it with bcdr audit verify",
        to.display()
    );
    session.progress.event(&table::line(&told));
    Ok(())
}
