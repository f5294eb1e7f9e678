//! The operator's command line: what `bcdr` can be told, and the way from there to the roles, the
//! lab and the API.
//!
//! Invariants: data goes to standard output and everything else to standard error; what is printed
//! as JSON or YAML is the API's own document; every failure ends with one of the codes in [`exit`];
//! no secret is printed but those that a command makes (a new token, a setup secret, a lab's). This module
//! only speaks the public API: it knows nothing of a role's insides.

mod alert;
mod arguments;
mod audit;
mod branch;
mod capture;
pub(crate) mod client;
mod cloud;
mod completions;
mod configuration;
mod confirm;
pub(crate) mod context;
mod document;
mod drill;
mod event;
pub(crate) mod exit;
mod export;
mod failback;
mod failover;
mod failure;
mod global;
mod group;
mod interrupt;
mod job;
mod lab;
mod manual;
mod output;
mod password;
mod placement;
mod plan;
mod point;
mod progress;
mod readiness;
mod report;
mod restore;
mod screen;
mod settle;
mod status;
mod table;
mod token;
mod units;
mod user;
mod view;
mod volume;
mod wait;
mod watch;

pub(crate) use failure::Failure;

use crate::role;
use arguments::ConfigArguments;
use clap::{CommandFactory, Parser, Subcommand};
use global::GlobalArguments;

/// What the program is called.
const NAME: &str = "bcdr";

const ABOUT: &str = "Block-level continuous replication and disaster recovery";

const LONG_ABOUT: &str = "\
Block-level continuous replication and disaster recovery.

A capture serves a protected volume and journals every write to it, a gateway ships the journal, \
and the cloud side keeps it with its history: any point of it can be viewed, exported, or booted \
in an isolated drill, while the source keeps running.";

const AFTER_HELP: &str = "\
Begin on one machine:
  bcdr lab up --dir ./lab --volume root=disk.raw
  export BCDR_CONTEXT=./lab
  bcdr status
  bcdr drill start lab --at latest --wait

Exit codes: 0 done, 1 error, 2 wrong usage, 3 not found, 4 the state does not allow it,
5 not authenticated or not allowed, 6 the job failed, 7 waited too long, 8 degraded.";

/// Everything that can stand on the command line.
#[derive(Debug, Parser)]
#[command(
    name = NAME,
    version,
    about = ABOUT,
    long_about = LONG_ABOUT,
    after_help = AFTER_HELP,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: GlobalArguments,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show how the installation and its groups are
    Status(status::Arguments),
    /// Show protection groups
    #[command(subcommand)]
    Group(group::Command),
    /// Show protected volumes
    #[command(subcommand)]
    Volume(volume::Command),
    /// Make, show and export recovery points
    #[command(subcommand)]
    Point(point::Command),
    /// Read a point's volumes through NBD
    #[command(subcommand)]
    View(view::Command),
    /// Show and remove what was written beside a group's own history
    #[command(subcommand)]
    Branch(branch::Command),
    /// Boot a point in isolation, and prove that it boots
    #[command(subcommand)]
    Drill(drill::Command),
    /// Bring production here, and decide whether it stays
    #[command(subcommand)]
    Failover(failover::Command),
    /// Bring production home again
    #[command(subcommand)]
    Failback(failback::Command),
    /// Put the source's own disks back to an earlier point, and undo that
    #[command(subcommand)]
    Restore(restore::Command),
    /// Show where production runs, and settle a split brain
    #[command(subcommand)]
    Placement(placement::Command),
    /// Recover several groups together, in order
    #[command(subcommand)]
    Plan(plan::Command),
    /// Show, print and verify signed reports of drills and recoveries
    #[command(subcommand)]
    Report(report::Command),
    /// Show what is wrong, take it on, and try whether people hear of it
    #[command(subcommand)]
    Alert(alert::Command),
    /// Show, export and verify who did what
    #[command(subcommand)]
    Audit(audit::Command),
    /// Show what changed, and tell what changes
    #[command(subcommand)]
    Event(event::Command),
    /// Keep what is set over the API as a file, and make it so again
    #[command(subcommand)]
    Configuration(configuration::Command),
    /// Show and await jobs
    #[command(subcommand)]
    Job(job::Command),
    /// Say who signs in, and with which role
    #[command(subcommand)]
    User(user::Command),
    /// Make and revoke tokens for programs
    #[command(subcommand)]
    Token(token::Command),
    /// Choose among several installations
    #[command(subcommand)]
    Context(context::command::Command),
    /// Print a script that completes commands and options in a shell
    Completions(completions::Arguments),
    /// Print or write the manual pages
    Man(manual::Arguments),
    /// Run a complete installation on this machine
    #[command(subcommand)]
    Lab(lab::Command),
    /// Run the cloud side, and make what it needs
    #[command(subcommand)]
    Cloud(cloud::Command),
    /// Run the gateway role
    #[command(after_help = "Example:\n  bcdr gateway --config /etc/bcdr/gateway.toml")]
    Gateway(ConfigArguments),
    /// Run the capture role
    #[command(
        after_help = "Example:\n  bcdr capture --config /etc/bcdr/capture.toml",
        args_conflicts_with_subcommands = true,
        subcommand_negates_reqs = true
    )]
    Capture(capture::Arguments),
}

impl Cli {
    /// Whether this process becomes a role (or the supervisor of some), which logs what it does.
    pub(crate) fn is_role(&self) -> bool {
        match &self.command {
            Command::Capture(arguments) => arguments.is_role(),
            Command::Gateway(_) => true,
            Command::Cloud(command) => command.is_role(),
            Command::Lab(command) => command.is_role(),
            _ => false,
        }
    }

    /// Does what was asked for.
    ///
    /// # Errors
    /// Says why not, with the exit code.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let global = self.global;
        match self.command {
            Command::Capture(arguments) => arguments.run(&global),
            Command::Gateway(arguments) => role::gateway(&arguments.config),
            Command::Cloud(command) => command.run(&global),
            Command::Lab(command) => command.run(&global),
            Command::Status(arguments) => arguments.run(&global),
            Command::Group(command) => command.run(&global),
            Command::Volume(command) => command.run(&global),
            Command::Point(command) => command.run(&global),
            Command::View(command) => command.run(&global),
            Command::Branch(command) => command.run(&global),
            Command::Drill(command) => command.run(&global),
            Command::Failover(command) => command.run(&global),
            Command::Failback(command) => command.run(&global),
            Command::Restore(command) => command.run(&global),
            Command::Placement(command) => command.run(&global),
            Command::Plan(command) => command.run(&global),
            Command::Report(command) => command.run(&global),
            Command::Alert(command) => command.run(&global),
            Command::Audit(command) => command.run(&global),
            Command::Completions(arguments) => arguments.run(&global, Self::command()),
            Command::Man(arguments) => arguments.run(&global, Self::command()),
            Command::Context(command) => command.run(&global),
            Command::Event(command) => command.run(&global),
            Command::Configuration(command) => command.run(&global),
            Command::Job(command) => command.run(&global),
            Command::User(command) => command.run(&global),
            Command::Token(command) => command.run(&global),
        }
    }
}

#[cfg(test)]
mod tests;
