//! Side-by-side benchmarks: what a peer does and what we do, in one run, with the ratio.
//!
//! `make bench` runs it. A time is never a reason to fail: the program fails only when something
//! does not work. What each case measures is said in its module; how to read the table is in
//! `docs/operate/benchmarks.md`.

mod api;
mod bare_quic;
mod cases;
mod figures;
mod fio;
mod interrupt;
mod machine;
mod peer;
mod plan;
mod recorded_feed;
mod samples;
mod site;
mod tools;

use anyhow::ensure;
use clap::{Parser, ValueEnum};
use plan::Plan;
use site::Site;
use std::{path::PathBuf, process::ExitCode, time::Instant};

/// Measures this build beside its peers and prints both figures and the ratio.
#[derive(Debug, Parser)]
#[command(name = "bcdr-benches", version)]
struct Arguments {
    /// Smaller loads and one round instead of three: a look, not a result
    #[arg(long)]
    quick: bool,
    /// Only these parts, separated by commas
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PARTS")]
    only: Vec<Part>,
    /// Where the disks and the labs are made, in a directory of the run's own that is removed at
    /// its end. It must be on a real disk
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    directory: PathBuf,
    /// The form of the result
    #[arg(short, long, value_enum, default_value_t = Form::Table)]
    output: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Table,
    Json,
}

/// A part of the run that can be asked for alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Reads and writes through the capture, beside qemu-nbd
    Volume,
    /// From the source to durable cloud-side, beside bare QUIC
    Delivery,
    /// The recovery point objective at half of the sustainable load
    Rpo,
    /// Opening views
    View,
    /// Booting at the target, coming home
    Recovery,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nbench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let started = Instant::now();
    tools::check()?;
    interrupt::watch()?;
    let plan = Plan::new(arguments.quick);
    let site = Site::new(&arguments.directory, plan)?;
    let machine = machine::facts(site.work())?;
    if arguments.output == Form::Table {
        println!("{}", machine.text());
    }
    let wanted = |part| arguments.only.is_empty() || arguments.only.contains(&part);
    let mut figures = Vec::new();
    if wanted(Part::Volume) || wanted(Part::Delivery) || wanted(Part::Rpo) {
        figures.extend(cases::disk(&site, wanted)?);
    }
    if wanted(Part::View) {
        figures.extend(cases::view::run(&site)?);
    }
    if wanted(Part::Recovery) {
        figures.extend(cases::recovery::run(&site)?);
    }
    ensure!(!figures.is_empty(), "nothing was measured");
    site.remove()?;
    let seconds = started.elapsed().as_secs();
    match arguments.output {
        Form::Table => {
            print!("{}", figures::table(&figures));
            println!("\n{}; {seconds} s", plan.text());
        }
        Form::Json => println!("{:#}", figures::json(&machine, plan, seconds, &figures)),
    }
    Ok(())
}
