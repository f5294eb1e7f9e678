//! `make screenshots`: a picture of every page of the console, from a lab in which there was a
//! drill, a plan, a restore, a failover and a way home.

use bcdr_tests::end_to_end::browser::BrowserSite;
use std::{path::PathBuf, process::ExitCode};

fn main() -> ExitCode {
    let Some(pictures) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: screenshots DIRECTORY");
        return ExitCode::from(2);
    };
    match taken(&pictures) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nno pictures: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn taken(pictures: &PathBuf) -> anyhow::Result<()> {
    std::fs::create_dir_all(pictures)?;
    let pictures = pictures.canonicalize()?;
    println!("bringing a lab up");
    let site = BrowserSite::up()?;
    println!("living through a day in a browser; this takes a few minutes");
    print!("{}", site.story(&pictures)?);
    println!("taking a picture of every page; this takes some minutes more");
    print!("{}", site.screenshots(&pictures)?);
    site.down()?;
    println!("the pictures are in {}", pictures.display());
    Ok(())
}
