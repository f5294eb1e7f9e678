//! The console in a browser, as somebody meets it who has just installed the product: the first use
//! with the one-time secret, a calm day, a drill, a plan, a restore and its undo, a failover and the
//! way home. The steps are in `cloud-side/console/scripts/story.mjs`; it is served by the program.

use anyhow::{Context, ensure};
use bcdr_tests::end_to_end::{
    boot_sector,
    fixture::image,
    lab::Lab,
    tool::{self, qemu_io},
};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const ROOT_BYTES: u64 = 64 << 20;

#[test]
fn in_a_browser_production_is_protected_drilled_restored_failed_over_and_brought_home()
-> anyhow::Result<()> {
    let work = tempfile::tempdir()?;
    let root = image(work.path(), "root.raw", ROOT_BYTES)?;
    boot_sector::install(&root)?;
    let launch = work.path().join("launch.toml");
    fs::write(&launch, boot_sector::LAUNCH)?;
    let launch = launch.to_str().context("test paths are UTF-8")?;
    let lab = Lab::up_with(
        &work.path().join("lab"),
        &[("root", &root)],
        &["--launch", launch],
    )?;
    lab.wait_continuous()?;
    qemu_io(&lab.uri("root")?, &["write -P 7 1M 1M", "flush"])?;
    // What the machine needs to boot is known from a drill on.
    lab.json(&["drill", "start", "lab", "--wait"])?;

    let pictures = work.path().join("pictures");
    let story = scripts().join("story.mjs");
    let settings: Value = toml::from_str(boot_sector::LAUNCH)?;
    let of_lab = |field: &str| -> anyhow::Result<String> {
        let value = lab.report().pointer(field).and_then(Value::as_str);
        Ok(value
            .with_context(|| format!("the lab reports no {field}"))?
            .to_owned())
    };
    let told = Command::new("node")
        .arg(&story)
        .current_dir(scripts().parent().context("the console's directory")?)
        .env("BCDR_API", of_lab("/api/url")?)
        .env("BCDR_CA", of_lab("/api/ca")?)
        .env("BCDR_SETUP_SECRET", of_lab("/setup_secret")?)
        .env("BCDR_LAUNCH", settings.to_string())
        .env("BCDR_PICTURES", &pictures)
        .output()
        .context("cannot run node: install Node 20.19 or newer")?;
    let said = [told.stdout, told.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    if !told.status.success() {
        let kept = keep(&pictures)?;
        anyhow::bail!(
            "the story ended with {}; its pictures are in {}:\n{}",
            told.status,
            kept.display(),
            said.concat()
        );
    }
    // A story that was cut short says less.
    ensure!(
        said[0].contains("the way home was made in the other language"),
        "the story only said:\n{}",
        said.concat()
    );
    lab.down()
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../cloud-side/console/scripts")
}

/// Pictures of a failed story outlive its directory.
fn keep(pictures: &Path) -> anyhow::Result<PathBuf> {
    let program = tool::bcdr()?;
    let kept = program
        .parent()
        .context("a program lies in a directory")?
        .join("console-story");
    fs::create_dir_all(&kept)?;
    for picture in fs::read_dir(pictures).into_iter().flatten() {
        let picture = picture?;
        fs::copy(picture.path(), kept.join(picture.file_name()))?;
    }
    Ok(kept)
}
