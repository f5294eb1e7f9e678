//! Drills of the demo's Debian disk: one that boots to its login and answers what it is asked, one with
//! a port that nobody listens on, one that cannot boot, and one whose cloud side is killed in the middle.

use anyhow::{Context, ensure};
use bcdr_tests::end_to_end::{
    fixture::{export_all, image, same_bytes, seed, writer},
    lab::{Lab, wait_for},
    processes::{listing, naming},
    tool::{self, Ended},
};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

const DATA_BYTES: u64 = 16 << 20;

/// The exit code for a job that did not succeed.
const JOB_FAILED: i32 = 6;

/// The demo's disk holds no canary before its first boot, so none is asked for.
const LAUNCH: &str = r#"
memory_mib = 512
cpus = 1
boot_timeout_seconds = 300
disk_order = ["root"]

[rungs]
root_mounted = 'EXT4-fs \(vda1\): mounted filesystem'
login = 'bcdr-demo login: '
network_isolated = 'BCDR-NETWORK unreachable'
network_leak = 'BCDR-NETWORK reachable'

[probes]
ports = [{ port = 80 }]
http = [{ port = 80, path = "/health", contains = "fine" }]
guest_agent = true
timeout_seconds = 60
"#;

/// A disk controller for which the demo's kernel has no driver.
const NO_DRIVER: &str = "
memory_mib = 512
cpus = 1
boot_timeout_seconds = 300
disk_bus = \"ahci\"
disk_order = [\"root\"]
";

/// A lab that protects the demo's disk.
struct Site {
    // Dropped first: it lies in the directory.
    lab: Lab,
    work: tempfile::TempDir,
    root: PathBuf,
    root_uuid: String,
}

impl Site {
    fn up(launch: &str, more: &[(&str, &Path)]) -> anyhow::Result<Self> {
        let work = tempfile::tempdir()?;
        let (root, root_uuid) = demo_disk(work.path())?;
        let settings = work.path().join("launch.toml");
        fs::write(&settings, launch)?;
        let settings = settings.to_str().context("test paths are UTF-8")?;
        let mut volumes = vec![("root", root.as_path())];
        volumes.extend(more);
        let lab = Lab::up_with(&work.path().join("lab"), &volumes, &["--launch", settings])?;
        lab.wait_continuous()?;
        Ok(Self {
            work,
            root,
            lab,
            root_uuid,
        })
    }

    /// What lies in the directory of sockets and throw-away files.
    fn runtime(&self) -> anyhow::Result<Vec<String>> {
        let socket = self.lab.socket("root")?;
        listing(socket.parent().context("a socket lies in a directory")?)
    }

    fn drill(&self, id: &str) -> anyhow::Result<Value> {
        self.lab.json(&["drill", "show", id])
    }

    /// Stops a drill that is on its way, and sees it end so.
    fn stop(&self, id: &str) -> anyhow::Result<()> {
        let stopped = self.lab.try_command(&["drill", "stop", id])?;
        ensure!(stopped.code == 0, "the drill does not stop: {stopped:?}");
        wait_for("the drill to stop", || {
            Ok(self.drill(id)?["finished_at"].is_string())
        })?;
        let stopped = self.drill(id)?;
        ensure!(
            stopped["state"] == "cancelled",
            "the stopped drill is {stopped}"
        );
        Ok(())
    }

    /// Nothing of a drill may be left: no process, no throw-away file, no view.
    fn require_nothing_left(&self, id: &str, runtime_before: &[String]) -> anyhow::Result<()> {
        let processes = naming(id)?;
        ensure!(
            processes.is_empty(),
            "drill {id} left {}",
            processes.join(", ")
        );
        let runtime = self.runtime()?;
        ensure!(
            runtime == runtime_before,
            "before the drill {runtime_before:?}, after it {runtime:?}"
        );
        let views = self.lab.json(&["view", "list"])?;
        let views = views["items"]
            .as_array()
            .or(views.as_array())
            .context("a list of views")?;
        let of_drill: Vec<_> = views.iter().filter(|view| view["drill"] == id).collect();
        ensure!(of_drill.is_empty(), "drill {id} left {of_drill:?}");
        Ok(())
    }

    /// Every file of the evidence is there and is what the drill says it is.
    fn require_evidence(&self, drill: &Value) -> anyhow::Result<PathBuf> {
        let id = drill["id"].as_str().context("a drill has an id")?;
        let directory = self.lab.directory().join("cloud/evidence").join(id);
        let files = drill["evidence"]
            .as_array()
            .context("a drill has evidence")?;
        let mut names = Vec::new();
        for file in files {
            let name = file["name"].as_str().context("evidence has a name")?;
            let bytes = fs::read(directory.join(name)).with_context(|| name.to_owned())?;
            ensure!(
                file["bytes"] == bytes.len() as u64,
                "{name} is not whole: {file}"
            );
            let hash = blake3::hash(&bytes).to_hex().to_string();
            ensure!(
                file["blake3"] == hash.as_str(),
                "{name} is not what was hashed: {file}"
            );
            names.push(name);
        }
        for wanted in ["launch-settings.json", "precheck.json", "screenshot.png"] {
            ensure!(
                names.contains(&wanted),
                "the evidence lacks {wanted}: {names:?}"
            );
        }
        let picture = fs::read(directory.join("screenshot.png"))?;
        ensure!(
            picture.starts_with(b"\x89PNG\r\n\x1a\n"),
            "the screenshot is no PNG"
        );
        ensure!(picture.len() > 200, "the screenshot is empty");
        Ok(directory)
    }
}

/// A copy of the demo's disk, and the UUID of its root file system.
fn demo_disk(work: &Path) -> anyhow::Result<(PathBuf, String)> {
    let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo-disk/build.sh");
    let copy = work.join("root.raw");
    let printed = tool::run(
        build,
        ["--out", copy.to_str().context("test paths are UTF-8")?],
    )?;
    let described = Path::new(printed.trim()).with_file_name("disk.json");
    let described: Value = serde_json::from_slice(&fs::read(described)?)?;
    let uuid = described["root_uuid"]
        .as_str()
        .context("the disk's root UUID")?;
    Ok((copy, uuid.to_owned()))
}

fn verdict<'a>(drill: &'a Value, rung: &str) -> &'a str {
    let rungs = drill["report"]["rungs"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let found = rungs.iter().find(|result| result["rung"] == rung);
    found
        .and_then(|result| result["verdict"].as_str())
        .unwrap_or("absent")
}

fn observed<'a>(drill: &'a Value, rung: &str) -> &'a str {
    let rungs = drill["report"]["rungs"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let found = rungs.iter().find(|result| result["rung"] == rung);
    found
        .and_then(|result| result["observed"].as_str())
        .unwrap_or_default()
}

/// The drill that a command printed.
fn printed(ended: &Ended) -> anyhow::Result<Value> {
    serde_json::from_str(&ended.output).with_context(|| format!("no drill was printed: {ended:?}"))
}

#[test]
fn a_point_boots_to_its_login_and_a_killed_drill_leaves_nothing() -> anyhow::Result<()> {
    let data_directory = tempfile::tempdir()?;
    let data = image(data_directory.path(), "data.raw", DATA_BYTES)?;
    let site = Site::up(LAUNCH, &[("data", &data)])?;
    boots_to_its_login_while_production_writes(&site, &data)?;
    a_closed_port_fails_with_the_reason(&site)?;
    killed_in_the_middle(&site)?;
    site.lab.down()
}

fn boots_to_its_login_while_production_writes(site: &Site, data: &Path) -> anyhow::Result<()> {
    let lab = &site.lab;
    let seed = seed();
    let mut writer = writer(lab, seed, &["data"], DATA_BYTES)?;
    (0..50).try_for_each(|_| writer.write())?;
    lab.bookmark("before-drill")?;
    let runtime = site.runtime()?;

    // Production goes on writing while the clone boots.
    let done = AtomicBool::new(false);
    let ended = std::thread::scope(|scope| {
        let drill = scope.spawn(|| {
            let ended = lab.try_command(&["drill", "start", "lab", "--at", "latest", "--wait"]);
            done.store(true, Ordering::Relaxed);
            ended
        });
        while !done.load(Ordering::Relaxed) {
            writer.write()?;
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        drill
            .join()
            .map_err(|_| anyhow::anyhow!("the drill panicked"))?
    })?;
    ensure!(ended.code == 0, "the drill ended with {ended:?}");
    let id = printed(&ended)?["id"]
        .as_str()
        .context("a drill has an id")?
        .to_owned();
    let drill = site.drill(&id)?;
    ensure!(drill["state"] == "passed", "the drill is {drill}");
    for rung in [
        "instance_running",
        "firmware",
        "kernel",
        "root_mounted",
        "login",
        "network_address",
        "ports",
        "http",
        "guest_agent",
        "isolation",
    ] {
        ensure!(
            verdict(&drill, rung) == "passed",
            "rung {rung} is {}: {drill}",
            verdict(&drill, rung)
        );
    }
    ensure!(
        verdict(&drill, "canary") == "not_run",
        "a canary was seen on a pristine disk"
    );

    for (rung, seen) in [
        // The machine has an address of its own, and no lease.
        ("network_address", "10.0.2.15"),
        ("ports", "port:80"),
        ("http", "status 200"),
        ("guest_agent", "Debian GNU/Linux"),
    ] {
        let observed = observed(&drill, rung);
        ensure!(observed.contains(seen), "rung {rung} saw {observed:?}");
    }

    let report = &drill["report"];
    ensure!(
        report["result"] == "passed" && report["drill"] == id.as_str(),
        "the report is {report}"
    );
    ensure!(
        report["isolation"]["verdict"] == "isolated",
        "the clone was not isolated: {report}"
    );
    ensure!(
        report["replica"]["unchanged"] == true,
        "the drill changed the replica: {report}"
    );
    ensure!(
        report["cleanup"]["complete"] == true,
        "the drill left something: {report}"
    );
    let times = &report["recovery_times"];
    let seconds = |name: &str| {
        times[name]
            .as_f64()
            .with_context(|| format!("{name}: {times}"))
    };
    let climbed = [
        seconds("instance_running_seconds")?,
        seconds("kernel_seconds")?,
        seconds("root_mounted_seconds")?,
        seconds("login_seconds")?,
    ];
    ensure!(
        climbed.is_sorted(),
        "the rungs were climbed out of order: {times}"
    );
    let evidence = site.require_evidence(&drill)?;
    let console = listing(&evidence)?;
    ensure!(
        console.iter().any(|name| {
            fs::read(evidence.join(name))
                .is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains("bcdr-demo login:"))
        }),
        "no evidence shows the login: {console:?}"
    );
    site.require_nothing_left(&id, &runtime)?;

    writer.flush()?;
    lab.bookmark("after-drill")?;
    writer.disconnect();
    let images = export_all(lab, "after-drill", &["data"], site.work.path())?;
    let present = writer
        .check_prefix(&images)
        .with_context(|| format!("seed {seed}"))?;
    ensure!(
        present == writer.writes() as u64,
        "{present} of {} writes arrived",
        writer.writes()
    );
    same_bytes(&images[0], data)
}

/// Probes of the command line come on top of those of the launch settings.
fn a_closed_port_fails_with_the_reason(site: &Site) -> anyhow::Result<()> {
    let runtime = site.runtime()?;
    let start = ["drill", "start", "lab", "--at", "latest", "--wait"];
    let asked = ["--probe", "port:23"];
    let ended = site.lab.try_command(&[&start[..], &asked].concat())?;
    ensure!(ended.code == JOB_FAILED, "the drill ended with {ended:?}");
    let id = printed(&ended)?["id"]
        .as_str()
        .context("a drill has an id")?
        .to_owned();
    let drill = site.drill(&id)?;
    let reason = drill["report"]["reason"]
        .as_str()
        .context("a failed drill has a reason")?;
    ensure!(
        reason.contains("port:23") && reason.contains("refused"),
        "the reason is {reason}"
    );
    let probes = drill["report"]["rungs"]
        .as_array()
        .and_then(|rungs| rungs.iter().find(|result| result["rung"] == "ports"))
        .context("the rung of the ports")?["probes"]
        .clone();
    ensure!(
        probes[0]["verdict"] == "passed" && probes[1]["verdict"] == "failed",
        "the probes are {probes}"
    );
    ensure!(
        verdict(&drill, "http") == "not_run",
        "a rung above was climbed: {drill}"
    );
    ensure!(
        drill["report"]["isolation"]["verdict"] == "isolated",
        "the clone was not isolated: {drill}"
    );
    site.require_nothing_left(&id, &runtime)
}

fn killed_in_the_middle(site: &Site) -> anyhow::Result<()> {
    let lab = &site.lab;
    let view = lab.json(&["view", "open", "lab", "--at", "before-drill"])?;
    let view_id = view["id"].as_str().context("a view has an id")?;
    let copy = |name: &str| -> anyhow::Result<PathBuf> {
        let shown = lab.json(&["view", "show", view_id])?;
        ensure!(
            shown["volumes"] == view["volumes"],
            "the view moved from {view} to {shown}"
        );
        let volumes = shown["volumes"].as_array().context("a view has volumes")?;
        let data = volumes
            .iter()
            .find(|volume| volume["name"] == "data")
            .context("data")?;
        let file = site.work.path().join(name);
        let to = file.to_str().context("test paths are UTF-8")?;
        tool::run("nbdcopy", [data["nbd"].as_str().context("a URI")?, to])?;
        Ok(file)
    };
    let before = copy("view-before.raw")?;
    let runtime = site.runtime()?;

    let started = lab.json(&["drill", "start", "lab", "--at", "before-drill"])?;
    let id = started["id"].as_str().context("a drill has an id")?;
    wait_for("the clone to boot", || {
        let kernel = |drill: &Value| {
            let rungs = drill["progress"]["rungs"]
                .as_array()
                .map_or(&[][..], Vec::as_slice);
            rungs
                .iter()
                .any(|rung| rung["rung"] == "firmware" && rung["verdict"] == "passed")
        };
        Ok(kernel(&site.drill(id)?))
    })?;
    let clone = naming(id)?;
    ensure!(!clone.is_empty(), "the clone of drill {id} has no process");
    lab.kill("cloud")?;
    wait_for("the API", || Ok(lab.group().is_ok()))?;

    wait_for("the drill to be settled", || {
        Ok(site
            .drill(id)
            .is_ok_and(|drill| drill["finished_at"].is_string()))
    })?;
    let drill = site.drill(id)?;
    ensure!(
        drill["state"] == "failed",
        "the interrupted drill is {drill}"
    );
    let job = lab.json(&[
        "job",
        "show",
        drill["job"].as_str().context("a drill has a job")?,
    ])?;
    ensure!(
        job["state"] == "interrupted",
        "the interrupted drill's job is {job}"
    );
    ensure!(
        job["error"]["remedy"].is_string(),
        "the job says no remedy: {job}"
    );
    site.require_nothing_left(id, &runtime)?;
    same_bytes(&copy("view-after.raw")?, &before).context("the view after the restart")?;
    ensure!(
        lab.try_command(&["view", "close", view_id])?.code == 0,
        "the view does not close"
    );

    // The group is free for other drills, two at once; stopping one is no failure to clean up, and the
    // other one notices nothing of it.
    lab.wait_continuous()?;
    let runtime = site.runtime()?;
    let start = || -> anyhow::Result<String> {
        let drill = lab.json(&["drill", "start", "lab", "--at", "latest"])?;
        let id = drill["id"].as_str().context("a drill has an id")?;
        Ok(id.to_owned())
    };
    let (one, other) = (start()?, start()?);
    site.stop(&one)?;
    let still = site.drill(&other)?;
    ensure!(
        still["finished_at"].is_null(),
        "the drill beside the stopped one is {still}"
    );
    site.stop(&other)?;
    site.require_nothing_left(&one, &runtime)?;
    site.require_nothing_left(&other, &runtime)
}

#[test]
fn a_disk_that_cannot_boot_is_reported_with_the_reason() -> anyhow::Result<()> {
    let site = Site::up(NO_DRIVER, &[])?;
    let runtime = site.runtime()?;
    let ended = site
        .lab
        .try_command(&["drill", "start", "lab", "--at", "latest", "--wait"])?;
    ensure!(ended.code == JOB_FAILED, "the drill ended with {ended:?}");
    let id = printed(&ended)?["id"]
        .as_str()
        .context("a drill has an id")?
        .to_owned();
    let drill = site.drill(&id)?;
    ensure!(drill["state"] == "failed", "the drill is {drill}");
    ensure!(
        verdict(&drill, "kernel") == "passed",
        "the kernel did not start: {drill}"
    );
    ensure!(
        verdict(&drill, "root_mounted") == "failed",
        "the root was mounted: {drill}"
    );
    ensure!(
        verdict(&drill, "login") == "not_run",
        "there was a login: {drill}"
    );
    let reason = drill["report"]["reason"]
        .as_str()
        .context("a failed drill has a reason")?;
    let names_root = reason.contains(&site.root_uuid) || reason.contains("root file system");
    ensure!(
        names_root,
        "the reason does not name the root device: {reason}"
    );
    ensure!(
        ended.error.contains(reason),
        "the command did not say why: {}",
        ended.error
    );
    ensure!(
        drill["report"]["cleanup"]["complete"] == true,
        "something is left: {drill}"
    );
    ensure!(
        drill["report"]["replica"]["unchanged"] == true,
        "the replica changed: {drill}"
    );
    site.require_evidence(&drill)?;
    site.require_nothing_left(&id, &runtime)?;

    // A failed drill says nothing against the replica: it is still the source.
    let exported = export_all(&site.lab, "latest", &["root"], site.work.path())?;
    same_bytes(&exported[0], &site.root)?;
    site.lab.down()
}
