//! A stranger with the API's own description in hand: schemathesis asks the real program for everything that the
//! document offers and for everything that it rules out, as each role, and follows what it is given. Nothing may be
//! answered other than the document says, and the program stays up whatever it is asked for.
//!
//! `BCDR_API_SECONDS` says how long each role asks, `BCDR_SEED` what it asks for.

use anyhow::{Context, ensure};
use bcdr_tests::end_to_end::{
    fixture::{image, seed, seed_or},
    lab::Lab,
    tool::qemu_io,
};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const VOLUME_BYTES: u64 = 16 << 20;
/// What each role is given in `make test`.
const SECONDS: u64 = 15;
/// What is asked for then: the same each time, so that it is a change of the program that is found. Who has longer
/// asks for something else each time.
const SEED: u64 = 5;
/// Those who change the most come last.
const ROLES: [&str; 6] = [
    "viewer",
    "auditor",
    "approver",
    "drill_operator",
    "operator",
    "admin",
];
/// The endless one.
const LEFT_OUT: u64 = 1;

#[test]
fn nothing_that_the_document_allows_or_rules_out_is_answered_otherwise() -> anyhow::Result<()> {
    let seed = match std::env::var_os("BCDR_API_SECONDS") {
        Some(_) => seed(),
        None => seed_or(SEED),
    };
    let programs = environment()?;
    let work = tempfile::tempdir()?;
    let disk = image(work.path(), "disk.raw", VOLUME_BYTES)?;
    let lab = Lab::up(&work.path().join("lab"), &[("disk", &disk)])?;
    // A stranger in a hurry is to be answered here, and not told to wait.
    lab.reconfigure("cloud", |configuration| {
        configuration.replace("requests_per_second = 200", "requests_per_second = 0")
    })?;
    lab.wait_continuous()?;
    qemu_io(&lab.uri("disk")?, &["write -P 7 1M 1M", "flush"])?;
    lab.bookmark("before the strangers")?;
    let stranger = Stranger {
        programs: &programs,
        lab: &lab,
        work: work.path(),
        cloud: lab.pid("cloud")?,
        own: tokens(&lab)?.swap_remove(0),
    };
    let mut failures = Vec::new();
    for role in ROLES {
        // What one role is answered wrongly is no reason not to hear what the others are.
        if let Err(error) = stranger.ask(role, seed) {
            failures.push(format!("as {role}: {error:#}"));
        }
    }
    ensure!(failures.is_empty(), "{}", failures.join("\n\n"));
    lab.down()
}

/// The environment that schemathesis runs in, made where it is not there yet.
fn environment() -> anyhow::Result<PathBuf> {
    let script = here().join("setup.sh");
    let made = Command::new(&script)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {}", script.display()))?;
    ensure!(
        made.status.success(),
        "schemathesis is not to be had, see above: run make setup"
    );
    let directory = String::from_utf8(made.stdout)?;
    Ok(Path::new(directory.trim()).join("bin"))
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schemathesis")
}

/// The ids of the tokens that there are, the oldest first.
fn tokens(lab: &Lab) -> anyhow::Result<Vec<String>> {
    let listed = lab.json(&["token", "list"])?;
    let listed = listed["items"].as_array().or(listed.as_array());
    let ids = listed.context("no list of tokens")?.iter();
    Ok(ids
        .filter_map(|token| token["id"].as_str().map(str::to_owned))
        .collect())
}

struct Stranger<'a> {
    programs: &'a Path,
    lab: &'a Lab,
    work: &'a Path,
    /// The process that is to outlive it all.
    cloud: i32,
    /// The token that the lab itself is driven with.
    own: String,
}

impl Stranger<'_> {
    /// Asks as a role, and looks at the program afterwards.
    fn ask(&self, role: &str, seed: u64) -> anyhow::Result<()> {
        let made = ["token", "create", "--name", role, "--role", role];
        let token = self.lab.json(&made)?;
        let text = |field: &str| {
            let value = token[field].as_str();
            value.with_context(|| format!("the token has no {field}"))
        };
        let (id, secret) = (text("id")?, text("token")?);
        let report = self.run(role, seed, id, secret)?;
        check_all_was_asked(&report)?;
        ensure!(
            tokens(self.lab)?.iter().any(|known| known == id),
            "its own token was revoked, so it asked for nothing any more"
        );
        ensure!(
            self.lab.pid("cloud")? == self.cloud,
            "the cloud side was started again"
        );
        let log = self.lab.log("cloud")?;
        let wrong = log.lines().find(|line| line.contains("internal error"));
        ensure!(
            wrong.is_none(),
            "the cloud side said {}",
            wrong.unwrap_or_default()
        );
        Ok(())
    }

    /// Runs schemathesis to its end; returns its report when it found nothing.
    fn run(&self, role: &str, seed: u64, id: &str, secret: &str) -> anyhow::Result<Value> {
        let seconds = std::env::var("BCDR_API_SECONDS").unwrap_or_else(|_| SECONDS.to_string());
        let of_lab = |field: &str| {
            let value = self.lab.report().pointer(field).and_then(Value::as_str);
            value.with_context(|| format!("the lab reports no {field}"))
        };
        let report = self.work.join(format!("{role}.json"));
        // Its seeds have 32 bits.
        let seed = (seed % (1 << 32)).to_string();
        let asked = Command::new(self.programs.join("schemathesis"))
            .arg("--config-file")
            .arg(here().join("schemathesis.toml"))
            .args(["run", "--no-color", "--seed", &seed, "--max-time", &seconds])
            .args(["--report", "json", "--report-json-path"])
            .arg(&report)
            .arg(format!("{}/openapi.json", of_lab("/api/url")?))
            .current_dir(self.work)
            .env("PYTHONPATH", here())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("BCDR_API", of_lab("/api/url")?)
            .env("BCDR_CA", of_lab("/api/ca")?)
            .env("BCDR_TOKEN", secret)
            .env("BCDR_GROUP", of_lab("/group/name")?)
            .env("BCDR_KEPT_TOKENS", format!("{},{id}", self.own))
            .output()
            .context("cannot run schemathesis")?;
        let said = [asked.stdout, asked.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        ensure!(
            asked.status.success(),
            "schemathesis ended with {}, seed {seed}:\n{said}",
            asked.status
        );
        eprintln!("as {role}:\n{said}");
        Ok(serde_json::from_str(&fs::read_to_string(report)?)?)
    }
}

/// A run that asked for next to nothing finds nothing either. Which phases its time was enough for is the machine's
/// business.
fn check_all_was_asked(report: &Value) -> anyhow::Result<()> {
    let number = |path: &str| {
        let value = report.pointer(path).and_then(Value::as_u64);
        value.with_context(|| format!("the report has no {path}: {report}"))
    };
    let (total, selected) = (
        number("/operations/total")?,
        number("/operations/selected")?,
    );
    ensure!(
        selected + LEFT_OUT == total && number("/operations/tested")? > 0,
        "{selected} of {total} operations were to be asked for: {report}"
    );
    let was_short = report["stop_reason"] == "max_time";
    for phase in ["coverage", "fuzzing", "stateful"] {
        let status = &report["phases"][phase]["status"];
        ensure!(
            *status == "success" || *status == "skip" && was_short && phase != "coverage",
            "the phase {phase} is {status}: {report}"
        );
    }
    Ok(())
}
