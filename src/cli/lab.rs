//! `bcdr lab`: a complete installation on this machine.

use super::{Failure, arguments::UpArguments, document::Document, global::GlobalArguments, table};
use crate::lab::{self, layout::Layout, up::UpRequest};
use clap::Subcommand;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Start a complete installation for raw images or block devices, or resume one
    #[command(
        long_about = "Start a complete installation for raw images or block devices, or resume one.\n\n\
            Makes certificates and a token, starts the cloud side, the gateway and the capture as \
            processes of their own, and prints an NBD URI per volume. Use the volumes through these \
            URIs only: what is written past them is not seen. Repeating it is harmless.",
        after_help = "Examples:\n  bcdr lab up --dir ./lab --volume root=disk.raw --volume data=/dev/vg0/data\n  \
            bcdr lab up --dir ./lab"
    )]
    Up(UpArguments),
    /// Show a lab's addresses and processes
    #[command(after_help = "Example:\n  bcdr lab status --dir ./lab")]
    Status(DirectoryArgument),
    /// Stop a lab's processes; its data stays, and lab up resumes it
    #[command(after_help = "Example:\n  bcdr lab down --dir ./lab")]
    Down(DirectoryArgument),
    /// Keep a lab's roles running
    #[command(hide = true)]
    Supervise(DirectoryArgument),
}

#[derive(Debug, clap::Args)]
pub(super) struct DirectoryArgument {
    /// The lab's directory
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

impl From<UpArguments> for UpRequest {
    fn from(arguments: UpArguments) -> Self {
        let UpArguments {
            dir,
            volumes,
            group,
            launch,
        } = arguments;
        let volumes = volumes
            .into_iter()
            .map(|volume| (volume.name, volume.path))
            .collect();
        Self {
            directory: dir,
            volumes,
            group,
            launch,
        }
    }
}

impl Command {
    /// Whether this becomes the supervisor of roles.
    pub(super) fn is_role(&self) -> bool {
        matches!(self, Self::Supervise(_))
    }

    pub(super) fn run(self, global: &GlobalArguments) -> Result<(), Failure> {
        let report = match self {
            Self::Up(arguments) => lab::up::run(&arguments.into())?,
            Self::Status(DirectoryArgument { dir }) => lab::status::run(&dir)?,
            Self::Down(DirectoryArgument { dir }) => lab::down::run(&dir)?,
            Self::Supervise(DirectoryArgument { dir }) => {
                return Ok(lab::supervise::run(&Layout::existing(&dir)?)?);
            }
        };
        global
            .output()
            .show(&Document::of(&report)?, table::lab::show)
    }
}
