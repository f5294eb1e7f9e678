//! `make demo`: the main job, from a disk write to a machine booted from its replica.

use std::{path::PathBuf, process::ExitCode};

fn main() -> ExitCode {
    let mut disk = None;
    let mut keep = false;
    let mut arguments = std::env::args_os().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--disk") => disk = arguments.next().map(PathBuf::from),
            Some("--keep") => keep = true,
            _ => {
                eprintln!("usage: demo --disk IMAGE [--keep]");
                return ExitCode::from(2);
            }
        }
    }
    let Some(disk) = disk else {
        eprintln!("usage: demo --disk IMAGE [--keep]");
        return ExitCode::from(2);
    };
    match bcdr_tests::demo::run(&disk, keep) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nthe demo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}
