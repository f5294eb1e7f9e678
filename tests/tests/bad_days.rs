//! Bad input and bad days: whatever goes wrong is said with its remedy or recovered from, and the
//! source goes on.

use anyhow::{Context, bail, ensure};
use bcdr_cloud::config::CloudConfig;
use bcdr_tests::end_to_end::{
    fixture::{export_all, image, same_bytes, seed, writer},
    lab::{Lab, wait_for},
    processes::naming,
    tool::{self, Ended, qemu_io},
};
use serde_json::Value;
use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

const VOLUME_BYTES: u64 = 16 << 20;

/// Exit codes that scripts depend on.
const DEGRADED: i32 = 8;

fn path(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("test paths are UTF-8")
}

/// A refusal must end the command, and name the thing and the remedy.
fn require_refusal(what: &str, ended: &Ended, names: &[&str]) -> anyhow::Result<()> {
    ensure!(ended.code > 0, "{what} ended with {ended:?}");
    ensure!(ended.output.is_empty(), "{what} printed data: {ended:?}");
    for name in names {
        ensure!(
            ended.error.contains(name),
            "{what} does not say {name:?}: {}",
            ended.error
        );
    }
    Ok(())
}

#[test]
fn volumes_that_cannot_be_protected_are_refused_before_anything_starts() -> anyhow::Result<()> {
    let work = tempfile::tempdir()?;
    let good = image(work.path(), "good.raw", VOLUME_BYTES)?;
    let other = image(work.path(), "other.raw", VOLUME_BYTES)?;
    let missing = work.path().join("nowhere/disk.raw");
    let empty = image(work.path(), "empty.raw", 0)?;
    let odd = image(work.path(), "odd.raw", VOLUME_BYTES + 100)?;
    let link = work.path().join("link.raw");
    std::os::unix::fs::symlink(&good, &link)?;
    let launch = work.path().join("launch.toml");
    fs::write(&launch, "memory_mib = 1024\ndisk_bus = \"scsi\"\n")?;
    let launch = path(&launch)?;
    let long = "n".repeat(200);

    type Volumes<'a> = Vec<(&'a str, &'a Path)>;
    let cases: Vec<(&str, Volumes<'_>, Vec<&str>, Vec<&str>)> = vec![
        (
            "a path that is not there",
            vec![("disk", &missing)],
            vec![],
            vec![path(&missing)?, "disk"],
        ),
        (
            "a directory",
            vec![("disk", work.path())],
            vec![],
            vec![path(work.path())?, "neither"],
        ),
        (
            "an empty file",
            vec![("disk", &empty)],
            vec![],
            vec![path(&empty)?, "empty"],
        ),
        (
            "an odd size",
            vec![("disk", &odd)],
            vec![],
            vec![path(&odd)?, "512", "truncate"],
        ),
        (
            "one file twice",
            vec![("a", &good), ("b", &good)],
            vec![],
            vec!["a", "b", path(&good)?],
        ),
        (
            "one file by two names",
            vec![("a", &good), ("b", &link)],
            vec![],
            vec![path(&good)?],
        ),
        (
            "one name twice",
            vec![("a", &good), ("a", &other)],
            vec![],
            vec!["a", "name"],
        ),
        (
            "a name with a slash",
            vec![("a/b", &good)],
            vec![],
            vec!["a/b", "letters"],
        ),
        (
            "a name that is too long",
            vec![(&long, &good)],
            vec![],
            vec!["letters"],
        ),
        ("no volume at all", vec![], vec![], vec!["--volume"]),
        (
            "wrong launch settings",
            vec![("a", &good)],
            vec!["--launch", launch],
            vec![launch, "scsi"],
        ),
        (
            "no launch settings",
            vec![("a", &good)],
            vec!["--launch", "/no/file"],
            vec!["/no/file"],
        ),
    ];
    for (index, (what, volumes, more, names)) in cases.iter().enumerate() {
        let directory = work.path().join(format!("lab-{index}"));
        let ended = Lab::try_up(&directory, volumes, more)?;
        require_refusal(what, &ended, names)?;
        let running = naming(path(&directory)?)?;
        ensure!(running.is_empty(), "{what} left {running:?}");
    }
    // The same directory serves once the mistake is put right.
    let lab = Lab::up(&work.path().join("lab-0"), &[("disk", &good)])?;
    lab.wait_continuous()?;
    lab.down()
}

#[test]
fn a_lab_is_harmless_to_repeat_and_careful_with_what_it_has() -> anyhow::Result<()> {
    let work = tempfile::tempdir()?;
    let source = image(work.path(), "disk.raw", VOLUME_BYTES)?;
    let other = image(work.path(), "other.raw", VOLUME_BYTES)?;
    // Sockets have short paths, whatever the directory's.
    let directory = work.path().join("d".repeat(100)).join("e".repeat(100));
    let mut lab = Lab::up(&directory, &[("disk", &source)])?;
    let report = lab.report().clone();
    reported(&report, &directory)?;
    // What the output says comes next works at once.
    let bookmark = ["point", "create", "lab", "--label", "at once", "--wait"];
    let first = lab.try_command(&bookmark)?;
    ensure!(
        first.code == 0,
        "the first bookmark ended with {}: {}",
        first.code,
        first.error
    );
    lab.wait_continuous()?;
    let uri = lab.uri("disk")?;
    qemu_io(&uri, &["write -P 0x2a 0 1M", "flush"])?;

    ensure!(
        lab.up_again()? == report,
        "a second up printed {} after {report}",
        lab.report()
    );
    let same = Lab::try_up(&directory, &[("disk", &source)], &[])?;
    ensure!(
        same.code == 0,
        "up with the same volumes ended with {same:?}"
    );
    ensure!(
        serde_json::from_str::<Value>(&same.output)? == report,
        "it printed {}",
        same.output
    );

    let shown = path(&directory)?;
    for (what, volumes, more, names) in [
        (
            "another volume",
            vec![("disk", other.as_path())],
            vec![],
            vec![shown, "other"],
        ),
        (
            "one volume more",
            vec![("disk", &source), ("more", &other)],
            vec![],
            vec![shown, "other"],
        ),
        (
            "another name",
            vec![("disc", &source)],
            vec![],
            vec![shown, "disk"],
        ),
        (
            "another group",
            vec![("disk", &source)],
            vec!["--group", "mine"],
            vec![shown, "lab", "mine"],
        ),
    ] {
        let ended = Lab::try_up(&directory, &volumes, &more)?;
        require_refusal(what, &ended, &names)?;
    }
    ensure!(
        lab.status()? == report,
        "refusals changed the lab to {}",
        lab.status()?
    );

    lab.down()?;
    let down_again = lab.status()?;
    ensure!(
        down_again["roles"]
            .as_array()
            .is_some_and(|roles| roles.iter().all(|r| r["pid"].is_null())),
        "a lab that is down shows {down_again}"
    );
    ensure!(
        naming(shown)?.is_empty(),
        "the lab left {:?}",
        naming(shown)?
    );
    let (api, busy) = occupy(&report)?;
    let ended = lab.try_up_again()?;
    require_refusal("a busy port", &ended, &[&api.to_string()])?;
    drop(busy);
    lab.up_again()?;
    lab.wait_continuous()?;
    qemu_io(&uri, &["read -P 0x2a 0 1M"])?;
    lab.bookmark("after-all")?;
    let images = export_all(&lab, "after-all", &["disk"], work.path())?;
    same_bytes(&images[0], &source)?;
    lab.down()?;
    let running = naming(shown)?;
    ensure!(running.is_empty(), "the lab left {running:?}");
    Ok(())
}

/// The JSON that scripts depend on.
fn reported(report: &Value, directory: &Path) -> anyhow::Result<()> {
    ensure!(
        report["dir"] == path(directory)?,
        "dir is {}",
        report["dir"]
    );
    for field in [
        "/context",
        "/api/url",
        "/api/token",
        "/api/ca",
        "/group/id",
        "/group/name",
    ] {
        ensure!(
            report.pointer(field).is_some_and(Value::is_string),
            "{field} is missing: {report}"
        );
    }
    ensure!(
        report["group"]["name"] == "lab",
        "the group is {}",
        report["group"]
    );
    let volume = &report["volumes"][0];
    ensure!(
        volume["name"] == "disk" && volume["id"].is_string(),
        "the volume is {volume}"
    );
    let roles = report["roles"].as_array().context("roles")?;
    ensure!(roles.len() == 3, "the roles are {roles:?}");
    for role in roles {
        ensure!(
            role["state"] == "running" && role["pid"].is_number(),
            "a role is {role}"
        );
    }
    Ok(())
}

/// Takes the port of a lab that is down.
fn occupy(report: &Value) -> anyhow::Result<(SocketAddr, TcpListener)> {
    let url = report["api"]["url"].as_str().context("the API's address")?;
    let address: SocketAddr = url.trim_start_matches("https://").parse()?;
    Ok((address, TcpListener::bind(address)?))
}

#[test]
fn the_source_goes_on_while_gateway_and_cloud_side_are_away() -> anyhow::Result<()> {
    let seed = seed();
    let work = tempfile::tempdir()?;
    let source = image(work.path(), "disk.raw", VOLUME_BYTES)?;
    let lab = Lab::up(&work.path().join("lab"), &[("disk", &source)])?;
    lab.wait_continuous()?;
    let mut writer = writer(&lab, seed, &["disk"], VOLUME_BYTES)?;
    let mut write = |count: u64, when: &str| -> anyhow::Result<u64> {
        for _ in 0..count {
            writer.write().with_context(|| when.to_owned())?;
        }
        writer.flush().with_context(|| when.to_owned())?;
        let (writes, acknowledged) = (writer.writes() as u64, writer.acknowledged());
        ensure!(
            writes == acknowledged,
            "{when}, write {writes} was not acknowledged"
        );
        Ok(writes)
    };
    write(100, "with everything up")?;
    lab.bookmark("up")?;
    lab.hold_down("cloud")?;
    write(100, "without the cloud side")?;
    lab.hold_down("gateway")?;
    write(100, "without gateway and cloud side")?;
    // It comes back to a site that is half there.
    lab.let_up("cloud")?;
    wait_for("the API", || Ok(lab.group().is_ok()))?;
    let blind = lab.wait_group("the missing gateway to be shown", |group| {
        group["replication"]["state"] == "disconnected" && group["health"]["level"] != "ok"
    })?;
    ensure!(
        blind["replication"]["reason"].is_string(),
        "no reason is given: {blind}"
    );
    let check = lab.try_command(&["status", "--check"])?;
    ensure!(
        check.code == DEGRADED,
        "a blind installation ended the check with {check:?}"
    );
    let refused = lab.try_command(&["point", "create", "lab", "--label", "blind", "--wait"])?;
    ensure!(
        refused.code != 0,
        "a bookmark without a source was published: {refused:?}"
    );
    let older = lab.try_command(&["point", "show", "lab", "--at", "up"])?;
    ensure!(
        older.code == 0,
        "an older point is gone while the gateway is away: {older:?}"
    );
    write(50, "without the gateway")?;
    lab.let_up("gateway")?;
    lab.wait_continuous()?;
    let writes = write(50, "with everything up again")?;
    lab.bookmark("caught-up")?;
    // A role that is stopped but not dead is as harmless.
    lab.signal("gateway", rustix::process::Signal::STOP)?;
    write(100, "with a gateway that hangs")?;
    lab.signal("gateway", rustix::process::Signal::CONT)?;
    lab.signal("cloud", rustix::process::Signal::STOP)?;
    let last = write(100, "with a cloud side that hangs")?;
    lab.signal("cloud", rustix::process::Signal::CONT)?;
    lab.wait_continuous()?;
    lab.bookmark("end")?;
    writer.disconnect();

    let images = export_all(&lab, "caught-up", &["disk"], work.path())?;
    let present = writer
        .check_prefix(&images)
        .with_context(|| format!("seed {seed}"))?;
    ensure!(
        present == writes,
        "{present} of {writes} writes arrived; seed {seed}"
    );
    let images = export_all(&lab, "end", &["disk"], work.path())?;
    let present = writer
        .check_prefix(&images)
        .with_context(|| format!("seed {seed}"))?;
    ensure!(
        present == last,
        "{present} of {last} writes arrived; seed {seed}"
    );
    same_bytes(&images[0], &source)?;
    lab.down()
}

#[test]
fn a_full_disk_refuses_data_with_an_alarm_and_catches_up_after() -> anyhow::Result<()> {
    let seed = seed();
    let work = tempfile::tempdir()?;
    let source = image(work.path(), "disk.raw", VOLUME_BYTES)?;
    let lab = Lab::up(&work.path().join("lab"), &[("disk", &source)])?;
    lab.wait_continuous()?;
    let mut writer = writer(&lab, seed, &["disk"], VOLUME_BYTES)?;
    (0..50).try_for_each(|_| writer.write())?;
    lab.bookmark("before")?;

    // More than any disk has: to the cloud side its disk is full.
    set_floor(&lab, 1 << 60)?;
    let full = lab.wait_group("the full disk to be shown", |group| {
        group["health"]["level"] == "critical"
    })?;
    let status = lab.json(&["status"])?;
    ensure!(
        status["system"]["space"]["below_floor"] == true,
        "the status is {status}"
    );
    let said = full["health"]["reasons"].to_string();
    ensure!(
        said.contains("free"),
        "the alarm does not name space: {said}"
    );
    let check = lab.try_command(&["status", "--check"])?;
    ensure!(
        check.code == DEGRADED,
        "a full disk ended the check with {check:?}"
    );
    ensure!(
        check.error.contains("too full"),
        "the check says {}",
        check.error
    );
    let durable = full["positions"]["durable"].clone();
    for _ in 0..100 {
        writer.write().context("on a full disk cloud-side")?;
    }
    writer.flush()?;
    ensure!(
        writer.acknowledged() == writer.writes() as u64,
        "the source lost a write"
    );
    // What is there stays readable, and nothing new was promised.
    let images = export_all(&lab, "before", &["disk"], work.path())?;
    ensure!(
        writer.check_prefix(&images)? == 50,
        "the point before the full disk changed"
    );
    let later = lab.group()?;
    ensure!(
        later["positions"]["durable"] == durable,
        "data was taken below the floor: {later}"
    );

    set_floor(&lab, 1 << 20)?;
    lab.wait_continuous()?;
    lab.bookmark("after")?;
    writer.disconnect();
    let images = export_all(&lab, "after", &["disk"], work.path())?;
    let present = writer
        .check_prefix(&images)
        .with_context(|| format!("seed {seed}"))?;
    ensure!(
        present == writer.writes() as u64,
        "{present} of {} arrived",
        writer.writes()
    );
    same_bytes(&images[0], &source)?;
    lab.down()
}

fn set_floor(lab: &Lab, bytes: u64) -> anyhow::Result<()> {
    let mut config = CloudConfig::from_toml(&fs::read_to_string(lab.configuration("cloud"))?)?;
    config.store.space_floor_bytes = bytes;
    config.store.space_floor_percent = 0;
    let text = config.to_toml()?;
    lab.reconfigure("cloud", |_| text)
}

#[test]
fn a_full_journal_stops_tracking_and_never_the_source() -> anyhow::Result<()> {
    fill_the_journal(&|lab| {
        shrink_journal(lab)?;
        lab.wait_continuous()?;
        lab.hold_down("gateway")
    })
}

#[test]
fn a_new_journal_that_fills_before_anyone_knows_it_is_no_dead_end() -> anyhow::Result<()> {
    fill_the_journal(&|lab| {
        lab.hold_down("gateway")?;
        shrink_journal(lab)
    })
}

/// The smallest journal there can be: three segments that each hold one longest record. One of
/// another layout is put aside and begun anew.
fn shrink_journal(lab: &Lab) -> anyhow::Result<()> {
    let change = |line: &str| match line.split_once(" =").map(|(key, _)| key) {
        Some("segment_bytes") => "segment_bytes = 18874368".to_owned(),
        Some("segments") => "segments = 3".to_owned(),
        _ => line.to_owned(),
    };
    lab.reconfigure("capture", |text| {
        let lines: Vec<_> = text.lines().map(change).collect();
        lines.join("\n")
    })
}

/// Writes more than the journal can hold while the gateway is away as `go_away` has it.
fn fill_the_journal(go_away: &dyn Fn(&Lab) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let work = tempfile::tempdir()?;
    let source = image(work.path(), "disk.raw", VOLUME_BYTES)?;
    let lab = Lab::up(&work.path().join("lab"), &[("disk", &source)])?;
    lab.wait_continuous()?;
    let uri = lab.uri("disk")?;
    qemu_io(&uri, &["write -P 1 0 16M", "flush"])?;
    lab.bookmark("before")?;
    go_away(&lab)?;
    for round in 2..=9 {
        let write = format!("write -P {round} 0 16M");
        qemu_io(&uri, &[&write, "flush"]).context("with a full journal")?;
    }
    let status = capture_status(&lab)?;
    ensure!(
        status.contains("untracked"),
        "the capture says only {status}"
    );

    lab.let_up("gateway")?;
    lab.wait_continuous()?;
    lab.bookmark("after")?;
    for (at, wanted) in [("before", 1), ("after", 9)] {
        let exported = export_all(&lab, at, &["disk"], work.path())?.remove(0);
        let right = fs::read(&exported)?.iter().all(|byte| *byte == wanted);
        ensure!(right, "the point {at} does not hold what was written");
    }
    same_bytes(&work.path().join("after-disk.raw"), &source)?;
    lab.down()
}

/// What the capture says of itself on its local socket.
fn capture_status(lab: &Lab) -> anyhow::Result<String> {
    let socket = lab.socket("disk")?.with_file_name("capture-api.sock");
    let mut stream = UnixStream::connect(&socket)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(b"GET /status HTTP/1.1\r\nHost: local\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        bail!("the local API answered {answer:?}")
    };
    ensure!(
        head.starts_with("HTTP/1.1 200"),
        "the local API answered {head}"
    );
    Ok(body.to_owned())
}

#[test]
fn configurations_that_make_no_sense_are_refused_by_name() -> anyhow::Result<()> {
    let work = tempfile::tempdir()?;
    let missing = work.path().join("none.toml");
    let wrong = work.path().join("wrong.toml");
    fs::write(&wrong, "state_directory = \"/x\"\nlisten_moon = 1\n")?;
    let roles: [&[&str]; 3] = [&["capture"], &["gateway"], &["cloud", "run"]];
    for role in roles {
        let run = |file: &PathBuf| -> anyhow::Result<Ended> {
            let mut arguments = role.to_vec();
            arguments.extend(["--config", path(file)?]);
            tool::try_run(tool::bcdr()?, arguments)
        };
        require_refusal(
            "a missing configuration",
            &run(&missing)?,
            &[path(&missing)?],
        )?;
        require_refusal(
            "a wrong configuration",
            &run(&wrong)?,
            &[path(&wrong)?, "listen_moon"],
        )?;
    }
    Ok(())
}
