//! The way to the target and home again, on a booted machine: the demo's own story, which checks
//! every claim it prints.

use bcdr_tests::{demo::failover, end_to_end::tool};
use std::{path::PathBuf, process::Command};

#[test]
fn production_goes_to_the_target_and_comes_home_with_what_it_wrote() -> anyhow::Result<()> {
    tool::bcdr()?;
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("demo-disk/build.sh");
    let built = Command::new(script).output()?;
    anyhow::ensure!(
        built.status.success(),
        "the demo's disk cannot be built: {}",
        String::from_utf8_lossy(&built.stderr)
    );
    let disk = String::from_utf8(built.stdout)?;
    failover::run(disk.trim().as_ref())
}
