//! A plan reaches the world outside of a real installation: a program, a name server, an HTTP server.

use anyhow::{Context, ensure};
use bcdr_reach::dns::RecordKind;
use bcdr_tests::end_to_end::{
    fixture::image,
    lab::{Lab, wait_for},
    tool::Ended,
};
use named::Named;
use serde_json::Value;
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread,
};
use tokio_util::sync::CancellationToken;

#[path = "../../cloud-side/reach/tests/name_server/named.rs"]
mod named;

const VOLUME_BYTES: u64 = 16 << 20;

/// Exit codes that scripts depend on.
const USAGE: i32 = 2;
const FAILED: i32 = 6;
const STANDS_IN_THE_WAY: i32 = 8;

/// Takes every request with 204, and remembers it.
struct Receiver {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let remembered = Arc::clone(&seen);
        // It ends with the test's process.
        thread::spawn(move || -> anyhow::Result<()> {
            for stream in listener.incoming() {
                let mut stream = stream?;
                let mut reader = BufReader::new(stream.try_clone()?);
                let mut request = String::new();
                let mut length = 0;
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line)?;
                    let lower = line.to_ascii_lowercase();
                    if let Some(given) = lower.strip_prefix("content-length:") {
                        length = given.trim().parse()?;
                    }
                    request.push_str(&line);
                    if line.trim().is_empty() {
                        break;
                    }
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body)?;
                request.push_str(&String::from_utf8_lossy(&body));
                if let Ok(mut seen) = remembered.lock() {
                    seen.push(request);
                }
                stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")?;
            }
            Ok(())
        });
        Ok(Self { address, seen })
    }

    fn seen(&self) -> Vec<String> {
        self.seen
            .lock()
            .map(|seen| seen.clone())
            .unwrap_or_default()
    }
}

fn with_mode(path: PathBuf, text: &str, mode: u32) -> anyhow::Result<PathBuf> {
    fs::write(&path, text)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
    Ok(path)
}

fn plan(work: &Path, named: &Named, receiver: &Receiver) -> String {
    format!(
        r#"
name = "switch"

[[steps]]
id = "settle"
do.wait = {{ seconds = 1 }}

[[steps]]
id = "mount"
after = ["settle"]
do.script = {{ program = "mount", arguments = ["{work}"], timeout_seconds = 600 }}

[[steps]]
id = "name"
after = ["mount"]
do.dns = {{ server = "{server}", zone = "dr.test", name = "shop.dr.test", record = "A", values = ["198.51.100.7"], ttl_seconds = 30, key = "dr" }}

[[steps]]
id = "tell"
after = ["name"]
do.webhook = {{ url = "http://{receiver}/hook", secret = "pager", message = "it is switched", within_seconds = 60 }}
"#,
        work = work.display(),
        server = named.address(),
        receiver = receiver.address,
    )
}

fn settings(programs: &Path, key: &Path, secret: &Path) -> String {
    format!(
        r#"
[outside]
programs_directory = "{}"

[outside.destinations]
networks = ["127.0.0.1"]

[outside.dns_keys]
dr = "{}"

[outside.webhook_secrets]
pager = "{}"
"#,
        programs.display(),
        key.display(),
        secret.display(),
    )
}

fn holds(named: &Named) -> anyhow::Result<Vec<String>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let server = named.server("dr.test", named.key());
    let stop = CancellationToken::new();
    let read = runtime.block_on(server.read("shop.dr.test", RecordKind::A, &stop))?;
    Ok(read.records.values)
}

fn step<'a>(run: &'a Value, id: &str) -> anyhow::Result<&'a Value> {
    let steps = run["steps"].as_array().context("no steps")?;
    steps
        .iter()
        .find(|step| step["id"] == id)
        .with_context(|| format!("no step {id} in {run}"))
}

fn emergency(lab: &Lab) -> anyhow::Result<Ended> {
    lab.try_command(&[
        "plan",
        "start",
        "switch",
        "--mode",
        "emergency",
        "--confirm",
        "switch",
        "--wait",
    ])
}

/// The run that was begun last.
fn newest(lab: &Lab) -> anyhow::Result<Value> {
    let runs = lab.json(&["plan", "run", "list", "--plan", "switch"])?;
    let runs = runs["items"]
        .as_array()
        .or(runs.as_array())
        .context("no runs")?;
    let id = runs[0]["id"].as_str().context("no id")?;
    lab.json(&["plan", "run", "show", id])
}

#[test]
fn a_plan_switches_what_is_outside_as_far_as_the_host_allows_and_never_in_a_drill()
-> anyhow::Result<()> {
    let work = tempfile::tempdir()?;
    let (named, receiver) = (Named::start(), Receiver::start()?);
    let source = image(work.path(), "disk.raw", VOLUME_BYTES)?;
    let lab = Lab::up(&work.path().join("lab"), &[("disk", &source)])?;
    let programs = work.path().join("programs");
    fs::create_dir(&programs)?;
    fs::set_permissions(&programs, fs::Permissions::from_mode(0o755))?;
    // It says how often it ran, and stays as long as there is a file that holds it.
    let text = "#!/bin/sh\necho \"$BCDR_MODE $BCDR_RUN\" >> \"$1/ran\"\n\
                while [ -e \"$1/hold\" ]; do sleep 0.1; done\necho mounted\n";
    with_mode(programs.join("mount"), text, 0o755)?;
    let key = fs::read_to_string(named.key_file())?;
    let key = with_mode(work.path().join("dr.key"), &key, 0o600)?;
    let secret = with_mode(
        work.path().join("pager"),
        "webhook-secret-0123456789",
        0o600,
    )?;
    let file = work.path().join("switch.toml");
    fs::write(&file, plan(work.path(), &named, &receiver))?;
    let file = file.to_str().context("test paths are UTF-8")?;

    // What the host does not allow cannot be planned.
    let refused = lab.try_command(&["plan", "apply", file])?;
    ensure!(refused.code == USAGE, "{} {}", refused.code, refused.error);
    for setting in [
        "outside.programs_directory",
        "outside.dns_keys",
        "outside.webhook_secrets",
    ] {
        ensure!(
            refused.error.contains(setting),
            "{setting} in {}",
            refused.error
        );
    }
    lab.reconfigure("cloud", |text| text + &settings(&programs, &key, &secret))?;
    wait_for("the API to be back", || Ok(lab.group().is_ok()))?;
    lab.json(&["plan", "apply", file])?;

    let drill = lab.json(&["plan", "start", "switch", "--mode", "drill", "--wait"])?;
    ensure!(drill["state"] == "succeeded", "{drill}");
    ensure!(step(&drill, "mount")?["state"] == "not_run", "{drill}");
    ensure!(holds(&named)? == ["192.0.2.10", "192.0.2.11"] && receiver.seen().is_empty());
    let ran = work.path().join("ran");
    ensure!(!ran.exists(), "the script ran in a drill");

    let over = emergency(&lab)?;
    ensure!(over.code == 0, "{} {}", over.code, over.error);
    let over = newest(&lab)?;
    for id in ["mount", "name", "tell"] {
        ensure!(step(&over, id)?["state"] == "done", "{over}");
    }
    ensure!(holds(&named)? == ["198.51.100.7"]);
    let id = over["id"].as_str().context("no id")?;
    ensure!(fs::read_to_string(&ran)? == format!("emergency {id}\n"));
    let told = receiver.seen();
    ensure!(
        told.len() == 1 && told[0].contains(&format!("bcdr-delivery: {id}-tell")),
        "{told:?}"
    );

    // A cloud side that is killed while the program runs does not run it again.
    let hold = work.path().join("hold");
    fs::write(&hold, "")?;
    let begun = lab.json(&[
        "plan",
        "start",
        "switch",
        "--mode",
        "emergency",
        "--confirm",
        "switch",
    ])?;
    let id = begun["id"].as_str().context("no id")?;
    wait_for("the program to run", || {
        Ok(fs::read_to_string(&ran)?.contains(id))
    })?;
    lab.kill("cloud")?;
    wait_for("the run to be held up", || {
        let run = lab.try_command(&["plan", "run", "show", id])?;
        Ok(run.code == 0 && serde_json::from_str::<Value>(&run.output)?["state"] == "paused")
    })?;
    // What outlived the process was ended: it would still be held.
    fs::remove_file(&hold)?;
    let held = lab.json(&["plan", "run", "show", id])?;
    ensure!(
        step(&held, "mount")?["failure"]["code"] == "script_interrupted",
        "{held}"
    );
    let cause = step(&held, "mount")?["failure"]["cause"].as_str();
    ensure!(
        cause.is_some_and(|cause| cause.ends_with("it still ran, and was ended")),
        "{held}"
    );
    ensure!(
        fs::read_to_string(&ran)?.matches(id).count() == 1,
        "it ran twice"
    );
    lab.json(&["plan", "skip", id, "mount", "--reason", "it was mounted"])?;
    wait_for("the run to end", || {
        Ok(lab.json(&["plan", "run", "show", id])?["state"] == "succeeded_in_part")
    })?;
    let over = lab.json(&["plan", "run", "show", id])?;
    let note = step(&over, "name")?["note"].as_str().context("no note")?;
    ensure!(note.contains("was 198.51.100.7 for 30 s already"), "{note}");

    // A check looks at what the steps would find.
    drop(named);
    let check = lab.try_command(&["plan", "check", "switch", "--mode", "emergency"])?;
    ensure!(
        check.code == STANDS_IN_THE_WAY,
        "{} {}",
        check.code,
        check.output
    );
    ensure!(
        check.output.contains("cannot ask name server"),
        "{}",
        check.output
    );
    fs::remove_file(programs.join("mount"))?;
    let failed = emergency(&lab)?;
    ensure!(
        failed.code != 0 && failed.code != FAILED,
        "{} {}",
        failed.code,
        failed.error
    );
    ensure!(failed.error.contains("programs/mount"), "{}", failed.error);
    lab.down()
}
