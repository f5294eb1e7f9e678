//! A browser in front of a lab whose machine boots in seconds: the steps are scripts of the console,
//! which the program serves itself.

use super::{boot_sector, fixture::image, lab::Lab, tool::qemu_io};
use anyhow::{Context, ensure};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const ROOT_BYTES: u64 = 64 << 20;
/// Who the story makes at the first use; what follows it signs in as.
const NAME: &str = "first-administrator";
const PASSWORD: &str = "only for this very lab";

/// A lab that nobody has signed in to yet, and whose group was drilled once.
pub struct BrowserSite {
    lab: Lab,
    _work: tempfile::TempDir,
}

impl BrowserSite {
    /// Brings it up.
    ///
    /// # Errors
    /// When anything of it cannot be made.
    pub fn up() -> anyhow::Result<Self> {
        let work = tempfile::tempdir()?;
        let root = image(work.path(), "root.raw", ROOT_BYTES)?;
        boot_sector::install(&root)?;
        let launch = work.path().join("launch.toml");
        fs::write(&launch, boot_sector::LAUNCH)?;
        let launch = launch.to_str().context("temporary paths are UTF-8")?;
        let lab = Lab::up_with(
            &work.path().join("lab"),
            &[("root", &root)],
            &["--launch", launch],
        )?;
        lab.wait_continuous()?;
        qemu_io(&lab.uri("root")?, &["write -P 7 1M 1M", "flush"])?;
        // What the machine needs to boot is known from a drill on.
        lab.json(&["drill", "start", "lab", "--wait"])?;
        Ok(Self { lab, _work: work })
    }

    /// Runs the story, from the first use on; returns what it said.
    ///
    /// # Errors
    /// When a step of it is not as it should be, with what it said.
    pub fn story(&self, pictures: &Path) -> anyhow::Result<String> {
        let secret = self.of_lab("/setup_secret")?;
        self.run("story.mjs", pictures, &[("BCDR_SETUP_SECRET", &secret)])
    }

    /// Takes a picture of every page, after the story.
    ///
    /// # Errors
    /// When a page is not as it should be, with what the script said.
    pub fn screenshots(&self, pictures: &Path) -> anyhow::Result<String> {
        self.run("screenshots.mjs", pictures, &[])
    }

    /// Takes it down, and checks that nothing is left running.
    ///
    /// # Errors
    /// When something is.
    pub fn down(&self) -> anyhow::Result<()> {
        self.lab.down()
    }

    fn run(&self, script: &str, pictures: &Path, more: &[(&str, &str)]) -> anyhow::Result<String> {
        let console = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cloud-side/console");
        let launch: Value = toml::from_str(boot_sector::LAUNCH)?;
        let told = Command::new("node")
            .arg(PathBuf::from("scripts").join(script))
            .current_dir(console)
            .env("BCDR_API", self.of_lab("/api/url")?)
            .env("BCDR_CA", self.of_lab("/api/ca")?)
            .env("BCDR_NAME", NAME)
            .env("BCDR_PASSWORD", PASSWORD)
            .env("BCDR_LAUNCH", launch.to_string())
            .env("BCDR_PICTURES", pictures)
            .envs(more.iter().copied())
            .output()
            .context("cannot run node: install Node 20.19 or newer")?;
        let said = [told.stdout, told.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        ensure!(
            told.status.success(),
            "{script} ended with {}; its pictures are in {}:\n{said}",
            told.status,
            pictures.display()
        );
        Ok(said)
    }

    fn of_lab(&self, field: &str) -> anyhow::Result<String> {
        let value = self.lab.report().pointer(field).and_then(Value::as_str);
        let value = value.with_context(|| format!("the lab reports no {field}"))?;
        Ok(value.to_owned())
    }
}
