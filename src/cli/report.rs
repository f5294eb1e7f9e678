//! `bcdr report`: what drills and recoveries showed, signed.

mod verify;

use super::{
    Failure,
    client::{Client, Path},
    global::{GlobalArguments, Session},
    table,
    watch::WatchArgument,
};
use clap::{Args, Subcommand, ValueEnum};
use std::{fs, path::PathBuf};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List reports, the newest first
    #[command(after_help = "Example:\n  bcdr report list --group lab")]
    List {
        /// Only those of this group (name or id)
        #[arg(long, value_name = "GROUP")]
        group: Option<String>,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
        limit: u64,
        #[command(flatten)]
        watch: WatchArgument,
    },
    /// Show one report; as JSON it is the signed document
    #[command(
        after_help = "Examples:\n  bcdr report show drl-01hv3c9wn2m5k8r7e6t4x0y1za\n  \
            bcdr report show rep-01hv3c9wn2m5k8r7e6t4x0y1za --html report.html --lang zh\n  \
            bcdr report show rep-01hv3c9wn2m5k8r7e6t4x0y1za -o json > report.json"
    )]
    Show {
        /// The report's id, or that of its drill, failover, failback or restore
        id: String,
        #[command(flatten)]
        page: PageArguments,
    },
    /// Check report files offline: signature, evidence, and that several are one chain
    #[command(
        long_about = "Check report files offline: signature, evidence, and that several are one chain.\n\n\
            Several files are given in the order of their numbers. Needs no server and no context. \
            Exit code 1 when anything was edited, exchanged, cut, left out or put in another order.",
        after_help = "Examples:\n  bcdr report verify report.json --key installation.pub --evidence ./drl-01hv3c9wn2\n  \
            bcdr report verify 1.json 2.json 3.json --key installation.pub --end DIGEST"
    )]
    Verify(verify::Arguments),
    /// Print the key that reports are signed with (PEM), and where their chain ends
    #[command(after_help = "Example:\n  bcdr report key > installation.pub")]
    Key,
    /// Show results, recovery times and recovery points over time
    #[command(after_help = "Example:\n  bcdr report trend --group lab --html trend.html")]
    Trend {
        /// Only those of this group (name or id)
        #[arg(long, value_name = "GROUP")]
        group: Option<String>,
        /// The newest so many
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1000))]
        limit: u64,
        #[command(flatten)]
        page: PageArguments,
    },
    /// Write what to do to fail a group over, for paper
    #[command(after_help = "Example:\n  bcdr report runbook lab --html lab.html --lang zh")]
    Runbook {
        /// The group's name or id
        group: String,
        /// The file to write
        #[arg(long, value_name = "FILE")]
        html: PathBuf,
        /// The page's language; by default what the cloud side's configuration says
        #[arg(long, value_enum)]
        lang: Option<PageLanguage>,
    },
}

/// Whether a page is written, and in which language.
#[derive(Debug, Args)]
pub(super) struct PageArguments {
    /// Also write it as one HTML file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// The page's language; by default what the cloud side's configuration says
    #[arg(long, value_enum, requires = "html")]
    lang: Option<PageLanguage>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum PageLanguage {
    /// English
    En,
    /// Chinese
    Zh,
}

impl PageLanguage {
    fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Zh => "zh",
        }
    }
}

impl Command {
    pub(super) fn run(self, global: &GlobalArguments) -> Result<(), Failure> {
        if let Self::Verify(arguments) = self {
            return arguments.run(global.output());
        }
        self.ask(&global.session()?)
    }

    fn ask(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::Verify(arguments) => arguments.run(session.output),
            Self::List {
                group,
                limit,
                watch,
            } => {
                let path = Path::new("reports").query_if("group", group.as_deref());
                let look = move |client: &Client| client.list(&path, Some(limit));
                watch.show(session, look, table::report::list)
            }
            Self::Show { id, page } => {
                let path = Path::new("reports").item(&id);
                let report = session.client.get(&path)?;
                page.write(session, path.item("html"))?;
                session.output.show(&report, table::report::show)
            }
            Self::Key => {
                let key = session.client.get(&Path::new("reports").item("key"))?;
                session.output.show(&key, table::report::key)
            }
            Self::Trend { group, limit, page } => {
                let of = |path: Path| {
                    path.query_if("group", group.as_deref())
                        .query("limit", &limit.to_string())
                };
                let path = Path::new("reports").item("trend");
                let trend = session.client.get(&of(path.clone()))?;
                page.write(session, of(path.item("html")))?;
                session.output.show(&trend, table::report::trend)
            }
            Self::Runbook { group, html, lang } => {
                let path = Path::new("groups").item(&group).item("runbook");
                let html = Some(html);
                PageArguments { html, lang }.write(session, path)
            }
        }
    }
}

impl PageArguments {
    fn write(&self, session: &Session, path: Path) -> Result<(), Failure> {
        let Some(file) = &self.html else {
            return Ok(());
        };
        let path = path.query_if("lang", self.lang.map(PageLanguage::tag));
        let page = session.client.page(&path)?;
        fs::write(file, page).map_err(|error| {
            Failure::error(format!("cannot write {}", file.display()))
                .cause(error)
                .remedy("name a file in a directory that you may write to")
        })?;
        let told = format!("{} is written", file.display());
        session.progress.event(&table::line(&told));
        Ok(())
    }
}
