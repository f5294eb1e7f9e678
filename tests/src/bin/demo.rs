//! `make demo`: the main job, from a disk write to a machine booted from its replica; and
//! `make demo-failover`: production to the target and home again.

use std::{path::PathBuf, process::ExitCode};

fn main() -> ExitCode {
    let (mut disk, mut evidence) = (None, None);
    let (mut keep, mut failover) = (false, false);
    let mut arguments = std::env::args_os().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--disk") => disk = arguments.next().map(PathBuf::from),
            Some("--evidence") => evidence = arguments.next().map(PathBuf::from),
            Some("--keep") => keep = true,
            Some("--failover") => failover = true,
            _ => return usage(),
        }
    }
    let (Some(disk), Some(evidence)) = (disk, evidence) else {
        return usage();
    };
    let outcome = if failover {
        bcdr_tests::demo::failover::run(&disk)
    } else {
        bcdr_tests::demo::run(&disk, &evidence, keep)
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nthe demo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: demo --disk IMAGE --evidence DIRECTORY [--keep] [--failover]");
    ExitCode::from(2)
}
