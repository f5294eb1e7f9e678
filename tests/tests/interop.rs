//! Foreign NBD clients against a protected volume. Whatever each of them wrote must be read back by
//! the others, be on the backing file, and be in the replica.

use anyhow::{Context, ensure};
use bcdr_tests::end_to_end::{
    fixture::{export_all, image, same_bytes},
    lab::{Lab, wait_for},
    tool::{self, qemu_io},
};
use nbd::client::{NbdClient, handshake};
use serde_json::Value;
use std::{
    fs,
    io::{Read, Seek, SeekFrom, Write},
    net::TcpListener,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
};

const VOLUME_BYTES: u64 = 32 << 20;
const MIB: u64 = 1 << 20;

struct Site {
    // Dropped first: it lies in the directory.
    lab: Lab,
    work: tempfile::TempDir,
    source: PathBuf,
    uri: String,
}

impl Site {
    fn up() -> anyhow::Result<Self> {
        let work = tempfile::tempdir()?;
        let source = image(work.path(), "disk.raw", VOLUME_BYTES)?;
        let lab = Lab::up(&work.path().join("lab"), &[("disk", &source)])?;
        let uri = lab.uri("disk")?;
        lab.wait_continuous()?;
        Ok(Self {
            work,
            source,
            lab,
            uri,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.work.path().join(name)
    }

    /// Whatever was written is in the replica, byte for byte, and on the source.
    fn require_replica_equals_source(&self, label: &str) -> anyhow::Result<PathBuf> {
        self.lab.bookmark(label)?;
        let exported = export_all(&self.lab, label, &["disk"], self.work.path())?.remove(0);
        same_bytes(&exported, &self.source).with_context(|| format!("at {label}"))?;
        Ok(exported)
    }
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("test paths are UTF-8")
}

/// Bytes that no two places share.
fn pattern(bytes: u64) -> Vec<u8> {
    (0..bytes / 8)
        .flat_map(|word| (word.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_be_bytes())
        .collect()
}

#[test]
fn qemu_writes_and_reads_back_in_every_way_it_knows() -> anyhow::Result<()> {
    let site = Site::up()?;
    every_kind_of_request(&site)?;
    a_failed_verification_is_noticed(&site)?;
    images_go_in_and_out(&site)?;
    site.lab.down()
}

fn every_kind_of_request(site: &Site) -> anyhow::Result<()> {
    qemu_io(
        &site.uri,
        &[
            "write -P 0x11 0 4M",
            "write -f -P 0x22 1M 64k",
            "write -P 0x33 2097664 512", // one sector, not at a 4 KiB border
            "write -z 2M 128k",
            "write -z -u 3M 256k",
            "write -P 0x44 2101248 8704",
            "discard 3500k 100k",
            "aio_write -P 0x55 5M 1M",
            "aio_write -P 0x66 6M 1M",
            "aio_flush",
            "flush",
            "read -P 0x11 0 1M",
            "read -P 0x22 1M 64k",
            "read -P 0x11 1114112 65536",
            "read -P 0 2M 4k",
            "read -P 0x44 2101248 8704",
            "read -P 0 2109952 118272",
            "read -P 0 3M 256k",
            "read -P 0x55 5M 1M",
            "read -P 0x66 6M 1M",
            "read -P 0 8M 1M",
        ],
    )?;
    // Another client sees the same, and so does the backing itself.
    qemu_io(
        &site.uri,
        &[
            "read -P 0x11 0 1M",
            "read -P 0x22 1M 64k",
            "read -P 0x66 6M 1M",
        ],
    )?;
    let exported = site.require_replica_equals_source("requests")?;
    let bytes = fs::read(&exported)?;
    ensure!(
        bytes[..MIB as usize].iter().all(|byte| *byte == 0x11),
        "the replica lacks 0x11"
    );
    ensure!(
        bytes[MIB as usize] == 0x22,
        "the replica lacks the FUA write"
    );
    ensure!(
        bytes[2_101_248] == 0x44 && bytes[2_101_247] == 0,
        "the replica lacks 0x44 or a zero"
    );
    let zeroes = &bytes[3 * MIB as usize..3 * MIB as usize + (256 << 10)];
    ensure!(
        zeroes.iter().all(|byte| *byte == 0),
        "the replica has data where zeroes were written"
    );
    Ok(())
}

fn a_failed_verification_is_noticed(site: &Site) -> anyhow::Result<()> {
    let wrong = qemu_io(&site.uri, &["read -P 0x77 0 4k"]);
    ensure!(
        wrong.is_err(),
        "qemu-io took 0x11 for 0x77, so its other verdicts mean nothing"
    );
    Ok(())
}

fn images_go_in_and_out(site: &Site) -> anyhow::Result<()> {
    let info: Value = serde_json::from_str(&tool::run(
        "qemu-img",
        ["info", "--output=json", &site.uri],
    )?)?;
    ensure!(info["virtual-size"] == VOLUME_BYTES, "qemu-img sees {info}");

    let image = site.path("image.qcow2");
    let raw = site.path("image.raw");
    let mut bytes = pattern(20 * MIB);
    bytes[4 * MIB as usize..12 * MIB as usize].fill(0);
    bytes.resize(VOLUME_BYTES as usize, 0);
    fs::write(&raw, &bytes)?;
    let (image, raw) = (text(&image)?, text(&raw)?);
    tool::run(
        "qemu-img",
        ["convert", "-f", "raw", "-O", "qcow2", raw, image],
    )?;
    tool::run(
        "qemu-img",
        [
            "convert", "-n", "-f", "qcow2", "-O", "raw", image, &site.uri,
        ],
    )?;
    tool::run(
        "qemu-img",
        ["compare", "-f", "raw", "-F", "raw", raw, &site.uri],
    )?;
    let map: Value =
        serde_json::from_str(&tool::run("qemu-img", ["map", "--output=json", &site.uri])?)?;
    let mapped: u64 = map
        .as_array()
        .context("a map is a list")?
        .iter()
        .filter_map(|extent| extent["length"].as_u64())
        .sum();
    ensure!(mapped == VOLUME_BYTES, "qemu-img maps {mapped} bytes");
    let exported = site.require_replica_equals_source("converted")?;
    same_bytes(&exported, Path::new(raw))
}

#[test]
fn libnbd_fio_and_the_nbd_crate_agree_with_each_other() -> anyhow::Result<()> {
    let site = Site::up()?;
    nbdinfo_sees_what_is_promised(&site)?;
    nbdcopy_in_and_out(&site)?;
    fio_verifies_what_it_wrote(&site)?;
    the_nbd_crate_reads_and_writes(&site)?;
    site.lab.down()
}

fn nbdinfo_sees_what_is_promised(site: &Site) -> anyhow::Result<()> {
    let seen: Value = serde_json::from_str(&tool::run("nbdinfo", ["--json", &site.uri])?)?;
    ensure!(seen["protocol"] == "newstyle-fixed", "nbdinfo sees {seen}");
    ensure!(
        seen["structured"] == true,
        "structured replies were not negotiated: {seen}"
    );
    let export = &seen["exports"][0];
    ensure!(
        export["export-size"] == VOLUME_BYTES,
        "nbdinfo sees {export}"
    );
    ensure!(export["is_read_only"] == false, "nbdinfo sees {export}");
    for ability in [
        "can_flush",
        "can_fua",
        "can_multi_conn",
        "can_trim",
        "can_zero",
        "can_df",
    ] {
        ensure!(
            export[ability] == true,
            "the volume lacks {ability}: {export}"
        );
    }
    let size = |name: &str| export[name].as_u64().unwrap_or(0);
    ensure!(size("block_size_preferred") >= 512, "nbdinfo sees {export}");
    ensure!(size("block_size_maximum") >= MIB, "nbdinfo sees {export}");

    let (_, socket) = site
        .uri
        .split_once("?socket=")
        .context("a URI with a socket")?;
    let everything = format!("nbd+unix:///?socket={socket}");
    let listed: Value =
        serde_json::from_str(&tool::run("nbdinfo", ["--list", "--json", &everything])?)?;
    let names: Vec<_> = listed["exports"]
        .as_array()
        .context("a list of exports")?
        .iter()
        .filter_map(|export| export["export-name"].as_str())
        .collect();
    ensure!(names == ["disk"], "the server lists {names:?}");
    let unknown = tool::output("nbdinfo", [format!("nbd+unix:///other?socket={socket}")])?;
    ensure!(
        !unknown.status.success(),
        "an export that is not there was entered"
    );
    Ok(())
}

fn nbdcopy_in_and_out(site: &Site) -> anyhow::Result<()> {
    let (into, out) = (site.path("in.raw"), site.path("out.raw"));
    let mut bytes = pattern(VOLUME_BYTES);
    bytes[3 * MIB as usize..9 * MIB as usize].fill(0);
    fs::write(&into, &bytes)?;
    // Several connections at once, and a flush at the end.
    tool::run(
        "nbdcopy",
        ["--connections=4", "--flush", text(&into)?, &site.uri],
    )?;
    tool::run("nbdcopy", ["--connections=4", &site.uri, text(&out)?])?;
    same_bytes(&into, &out)?;
    let exported = site.require_replica_equals_source("copied")?;
    same_bytes(&exported, &into)
}

fn fio_verifies_what_it_wrote(site: &Site) -> anyhow::Result<()> {
    let uri = format!("--uri={}", site.uri);
    let printed = tool::run(
        "fio",
        [
            "--name=verify",
            "--ioengine=nbd",
            &uri,
            "--rw=randwrite",
            "--bssplit=512/20:4k/60:64k/20",
            "--iodepth=16",
            "--size=24m",
            "--fsync=64",
            "--verify=crc32c",
            "--do_verify=1",
            "--verify_state_save=0",
            "--verify_fatal=1",
            "--randseed=7",
            "--output-format=json",
        ],
    )?;
    // Some versions print notes in front of the document.
    let document = printed
        .find('{')
        .map(|start| &printed[start..])
        .context("fio printed nothing")?;
    let report: Value = serde_json::from_str(document)?;
    let job = &report["jobs"][0];
    ensure!(job["error"] == 0, "fio ended with {}", job["error"]);
    let (written, read) = (
        job["write"]["io_bytes"].as_u64(),
        job["read"]["io_bytes"].as_u64(),
    );
    ensure!(
        written >= Some(20 * MIB),
        "fio wrote only {written:?} bytes"
    );
    ensure!(read >= Some(16 * MIB), "fio verified only {read:?} bytes");
    site.require_replica_equals_source("verified")?;
    Ok(())
}

fn the_nbd_crate_reads_and_writes(site: &Site) -> anyhow::Result<()> {
    // It enters with EXPORT_NAME and knows only simple replies: the oldest kind of client.
    let stream = UnixStream::connect(site.lab.socket("disk")?)?;
    let export = handshake(&stream, b"disk")?;
    ensure!(export.size == VOLUME_BYTES, "the crate sees {export:?}");
    ensure!(
        export.send_flush && !export.readonly,
        "the crate sees {export:?}"
    );
    let mut client = NbdClient::new(stream, &export);
    let bytes = pattern(3 * 512);
    client.seek(SeekFrom::Start(VOLUME_BYTES - 1536))?;
    client.write_all(&bytes)?;
    client.flush()?;
    client.seek(SeekFrom::Start(VOLUME_BYTES - 1536))?;
    let mut read = vec![0; bytes.len()];
    client.read_exact(&mut read)?;
    ensure!(read == bytes, "the crate read something else than it wrote");
    site.require_replica_equals_source("crate")?;
    Ok(())
}

#[test]
fn over_tcp_there_is_only_tls_with_a_certificate() -> anyhow::Result<()> {
    let site = Site::up()?;
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    site.lab.reconfigure("capture", |text| {
        format!("nbd_tcp_listen = \"{address}\"\n{text}")
    })?;
    let port = address.port();
    wait_for("the NBD port", || {
        Ok(std::net::TcpStream::connect(address).is_ok())
    })?;

    let issued = site.path("issued");
    let state = site.lab.directory().join("cloud");
    tool::run(
        tool::bcdr()?,
        [
            "cloud",
            "issue",
            "--state-directory",
            text(&state)?,
            "--role",
            "nbd-client",
            "--name",
            "tester",
            "--out",
            text(&issued)?,
        ],
    )?;
    // The names under which these clients look for them.
    let keys = site.path("keys");
    fs::create_dir(&keys)?;
    for (ours, theirs) in [
        ("ca.pem", "ca-cert.pem"),
        ("nbd-client.pem", "client-cert.pem"),
        ("nbd-client.key", "client-key.pem"),
    ] {
        fs::copy(issued.join(ours), keys.join(theirs)).with_context(|| ours.to_owned())?;
    }

    let certificates = format!("tls-certificates={}", text(&keys)?);
    let uri = format!("nbds://localhost:{port}/disk?{certificates}");
    let seen: Value = serde_json::from_str(&tool::run("nbdinfo", ["--json", &uri])?)?;
    ensure!(seen["TLS"] == true, "nbdinfo sees {seen}");
    let into = site.path("tls.raw");
    fs::write(&into, pattern(VOLUME_BYTES))?;
    tool::run("nbdcopy", ["--flush", text(&into)?, &uri])?;

    let object = format!("tls-creds-x509,id=tls,endpoint=client,dir={}", text(&keys)?);
    let options = format!(
        "driver=raw,file.driver=nbd,file.server.type=inet,file.server.host=localhost,\
         file.server.port={port},file.export=disk,file.tls-creds=tls"
    );
    tool::run(
        "qemu-io",
        [
            "--object",
            &object,
            "--image-opts",
            &options,
            "-c",
            "write -P 0x31 1M 1M",
            "-c",
            "read -P 0x31 1M 1M",
        ],
    )?;
    site.require_replica_equals_source("tls")?;

    // Without TLS, and with TLS but no certificate, there is nothing to be had.
    let plain = tool::output("nbdinfo", [format!("nbd://localhost:{port}/disk")])?;
    ensure!(!plain.status.success(), "plain NBD was served over TCP");
    let nameless = site.path("nameless");
    fs::create_dir(&nameless)?;
    fs::copy(keys.join("ca-cert.pem"), nameless.join("ca-cert.pem"))?;
    let uri = format!(
        "nbds://localhost:{port}/disk?tls-certificates={}",
        text(&nameless)?
    );
    let refused = tool::output("nbdinfo", [uri])?;
    ensure!(
        !refused.status.success(),
        "a client without a certificate was served"
    );
    // Another role's certificate is not a client's.
    tool::run(
        tool::bcdr()?,
        [
            "cloud",
            "issue",
            "--state-directory",
            text(&state)?,
            "--role",
            "gateway",
            "--name",
            "tester",
            "--out",
            text(&issued)?,
        ],
    )?;
    fs::copy(issued.join("gateway.pem"), keys.join("client-cert.pem"))?;
    fs::copy(issued.join("gateway.key"), keys.join("client-key.pem"))?;
    let uri = format!("nbds://localhost:{port}/disk?{certificates}");
    let refused = tool::output("nbdinfo", [uri])?;
    ensure!(
        !refused.status.success(),
        "a gateway's certificate was taken for a client's"
    );
    site.lab.down()
}
