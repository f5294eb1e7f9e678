//! Strangers at every door: noise, foreign and expired certificates, wrong tokens. They are sent
//! away, the roles survive, and what they protect goes on.

use anyhow::{Context, ensure};
use bcdr_cloud::config::CloudConfig;
use bcdr_format::Timestamp;
use bcdr_gateway::config::GatewayConfig;
use bcdr_tests::end_to_end::{
    fixture::{export_all, image, same_bytes, seed, writer},
    lab::{Lab, wait_for},
    stamped::Dice,
    tool::{self, Ended},
};
use bcdr_wire::{
    identity::{CertificateAuthority, Identity, IssueRequest, Role, server_name},
    transport::{Protocol, client_endpoint},
};
use quinn::crypto::rustls::QuicClientConfig;
use std::{
    fs,
    net::{SocketAddr, UdpSocket},
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

const VOLUME_BYTES: u64 = 16 << 20;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Exit code for a caller, or a server, that is not who it should be.
const AUTHENTICATION: i32 = 5;

fn now() -> anyhow::Result<Timestamp> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(Timestamp(i64::try_from(since.as_micros())?))
}

fn before(time: Timestamp, duration: Duration) -> anyhow::Result<Timestamp> {
    Ok(time.shifted(-i64::try_from(duration.as_micros())?))
}

/// A door that strangers knock at.
struct Door {
    address: SocketAddr,
    protocol: Protocol,
    /// Who answers.
    server: Role,
    /// Who may come in.
    guest: Role,
}

struct Site {
    // Dropped first: it lies in the directory.
    lab: Lab,
    work: tempfile::TempDir,
    source: std::path::PathBuf,
    authority: CertificateAuthority,
    doors: [Door; 2],
}

impl Site {
    fn up() -> anyhow::Result<Self> {
        let work = tempfile::tempdir()?;
        let source = image(work.path(), "disk.raw", VOLUME_BYTES)?;
        let lab = Lab::up(&work.path().join("lab"), &[("disk", &source)])?;
        lab.wait_continuous()?;
        let keys = lab.directory().join("cloud/authority");
        let authority = CertificateAuthority::load(
            &fs::read_to_string(keys.join("ca.pem"))?,
            &fs::read_to_string(keys.join("ca.key"))?,
        )?;
        let cloud = CloudConfig::from_toml(&fs::read_to_string(lab.configuration("cloud"))?)?;
        let gateway = GatewayConfig::from_toml(&fs::read_to_string(lab.configuration("gateway"))?)?;
        let doors = [
            Door {
                address: cloud.listen_ship,
                protocol: Protocol::Ship,
                server: Role::Cloud,
                guest: Role::Gateway,
            },
            Door {
                address: gateway.listen,
                protocol: Protocol::Feed,
                server: Role::Gateway,
                guest: Role::Capture,
            },
        ];
        Ok(Self {
            work,
            source,
            lab,
            authority,
            doors,
        })
    }

    fn pids(&self) -> anyhow::Result<Vec<i32>> {
        ["capture", "gateway", "cloud"]
            .iter()
            .map(|role| self.lab.pid(role))
            .collect()
    }
}

fn issue(
    authority: &CertificateAuthority,
    role: Role,
    at: Timestamp,
    validity: Duration,
) -> anyhow::Result<Identity> {
    let request = IssueRequest {
        role,
        name: "stranger".to_owned(),
        alternative_names: vec![],
        validity,
    };
    let issued = authority.issue(&request, at)?;
    let (certificate, key) = (issued.certificate_pem, issued.key_pem);
    Ok(Identity::load(
        authority.certificate_pem(),
        &certificate,
        &key,
        at,
    )?)
}

#[test]
fn strangers_at_the_quic_ports_are_sent_away() -> anyhow::Result<()> {
    let seed = seed();
    let site = Site::up()?;
    let mut writer = writer(&site.lab, seed, &["disk"], VOLUME_BYTES)?;
    let pids = site.pids()?;
    for door in &site.doors {
        noise(door, seed)?;
    }
    (0..50).try_for_each(|_| writer.write())?;

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let now = now()?;
    let foreign = CertificateAuthority::create(site.authority.installation(), now)?;
    for door in &site.doors {
        let ours = &site.authority;
        let strangers = [
            ("nobody", None),
            (
                "a foreign authority's",
                Some(issue(&foreign, door.guest, now, DAY)?),
            ),
            (
                "an expired",
                Some(issue(ours, door.guest, before(now, 10 * DAY)?, DAY)?),
            ),
            ("a client's", Some(issue(ours, Role::NbdClient, now, DAY)?)),
        ];
        for (who, stranger) in strangers {
            let heard = runtime.block_on(knock(&site, door, stranger.as_ref()))?;
            ensure!(
                heard.is_none(),
                "{who} certificate was let in at {}: {heard:?}",
                door.address
            );
        }
        // The knock itself is right: whoever belongs there is not sent away.
        let guest = issue(ours, door.guest, now, DAY)?;
        let heard = runtime.block_on(knock(&site, door, Some(&guest)))?;
        ensure!(
            heard.is_some(),
            "a good certificate was sent away from {}",
            door.address
        );
    }
    (0..50).try_for_each(|_| writer.write())?;
    ensure!(site.pids()? == pids, "a role did not survive the strangers");
    site.lab.wait_continuous()?;
    site.lab.bookmark("end")?;
    writer.disconnect();
    let images = export_all(&site.lab, "end", &["disk"], site.work.path())?;
    let present = writer
        .check_prefix(&images)
        .with_context(|| format!("seed {seed}"))?;
    ensure!(
        present == writer.writes() as u64,
        "{present} of {} arrived",
        writer.writes()
    );
    same_bytes(&images[0], &site.source)?;
    site.lab.down()
}

/// Datagrams that are nothing, and some that begin like QUIC.
fn noise(door: &Door, seed: u64) -> anyhow::Result<()> {
    let mut dice = Dice::new(seed);
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    for _ in 0..300 {
        let mut bytes = vec![0; 1 + dice.below(1500) as usize];
        bytes
            .iter_mut()
            .for_each(|byte| *byte = dice.below(256) as u8);
        match dice.below(4) {
            // A long header of version 1, of an unknown version, a short header.
            0 if bytes.len() > 20 => bytes[..6].copy_from_slice(&[0xc3, 0, 0, 0, 1, 8]),
            1 if bytes.len() > 20 => bytes[..6].copy_from_slice(&[0xc3, 0x1a, 0x2a, 0x3a, 0x4a, 8]),
            2 => bytes[0] = 0x40 | bytes[0] & 0x3f,
            _ => {}
        }
        socket.send_to(&bytes, door.address)?;
    }
    Ok(())
}

/// Knocks with a certificate, or none, and says something. Returns whether the server kept the
/// conversation up: none when it ended the connection because of who we are.
async fn knock(
    site: &Site,
    door: &Door,
    stranger: Option<&Identity>,
) -> anyhow::Result<Option<String>> {
    let now = now()?;
    let known = issue(&site.authority, door.guest, now, DAY)?;
    let tls = rustls::ClientConfig::builder_with_provider(known.provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(known.authorities());
    let mut tls = match stranger {
        Some(identity) => {
            tls.with_client_auth_cert(identity.certificates().to_vec(), identity.private_key())?
        }
        None => tls.with_no_client_auth(),
    };
    tls.alpn_protocols = vec![door.protocol.alpn().to_vec()];
    let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    let endpoint = client_endpoint(door.address)?;
    let name = server_name(door.server, site.authority.installation());
    let patience = Duration::from_secs(20);
    let connecting = endpoint.connect_with(config, door.address, &name)?;
    let Ok(connection) = tokio::time::timeout(patience, connecting)
        .await
        .context("no handshake")?
    else {
        return Ok(None);
    };
    // A server checks the client after the client is done: a refusal comes with the next packets. A
    // guest that says nothing is waited for.
    let closed = tokio::time::timeout(Duration::from_millis(1500), connection.closed()).await;
    Ok(match closed {
        Ok(_refused) => None,
        Err(_still_open) => Some(format!("{:?} is open", connection.remote_address())),
    })
}

#[test]
fn a_role_with_a_wrong_identity_says_so_and_the_source_goes_on() -> anyhow::Result<()> {
    let seed = seed();
    let mut site = Site::up()?;
    let mut writer = writer(&site.lab, seed, &["disk"], VOLUME_BYTES)?;
    (0..50).try_for_each(|_| writer.write())?;
    let identity = site.lab.directory().join("identity");
    let now = now()?;

    let expired = issue_pem(&site.authority, Role::Gateway, before(now, 10 * DAY)?)?;
    replace(&identity, "gateway", &expired)?;
    kill_and_leave(&site.lab, "gateway")?;
    wait_for_log(&site.lab, "gateway", "valid until")?;
    (0..50).try_for_each(|_| writer.write())?;
    site.lab
        .wait_group("the missing gateway to be shown", |group| {
            group["replication"]["state"] == "disconnected" && group["health"]["level"] != "ok"
        })?;

    // Bringing the lab up again issues new certificates.
    site.lab.up_again()?;
    site.lab.wait_continuous()?;
    (0..50).try_for_each(|_| writer.write())?;

    // A whole identity of another installation's authority: only the peers can know.
    let foreign = CertificateAuthority::create(site.authority.installation(), now)?;
    let stranger = issue_pem(&foreign, Role::Gateway, now)?;
    replace(&identity, "gateway", &stranger)?;
    let ca = site.lab.directory().join("identity/ca.pem");
    let good_ca = fs::read_to_string(&ca)?;
    fs::write(&ca, foreign.certificate_pem())?;
    kill_and_leave(&site.lab, "gateway")?;
    site.lab.wait_group("the stranger to be refused", |group| {
        group["replication"]["state"] == "disconnected"
    })?;
    wait_for_log(&site.lab, "gateway", "certificate")?;
    (0..50).try_for_each(|_| writer.write())?;
    fs::write(&ca, good_ca)?;
    site.lab.up_again()?;
    // The gateway that runs is still the stranger; a new process takes the new certificate.
    kill_and_leave(&site.lab, "gateway")?;
    site.lab.wait_continuous()?;
    site.lab.bookmark("end")?;
    writer.disconnect();
    let images = export_all(&site.lab, "end", &["disk"], site.work.path())?;
    let present = writer
        .check_prefix(&images)
        .with_context(|| format!("seed {seed}"))?;
    ensure!(
        present == writer.writes() as u64,
        "{present} of {} arrived",
        writer.writes()
    );
    same_bytes(&images[0], &site.source)?;
    site.lab.down()
}

fn issue_pem(
    authority: &CertificateAuthority,
    role: Role,
    at: Timestamp,
) -> anyhow::Result<(String, String)> {
    let request = IssueRequest {
        role,
        name: "lab".to_owned(),
        alternative_names: vec![],
        validity: DAY,
    };
    let issued = authority.issue(&request, at)?;
    Ok((issued.certificate_pem, issued.key_pem.to_string()))
}

fn replace(directory: &Path, role: &str, issued: &(String, String)) -> anyhow::Result<()> {
    fs::write(directory.join(format!("{role}.pem")), &issued.0)?;
    fs::write(directory.join(format!("{role}.key")), &issued.1)?;
    Ok(())
}

/// Kills a role, which may not come back as long as its identity is wrong.
fn kill_and_leave(lab: &Lab, role: &str) -> anyhow::Result<()> {
    lab.signal(role, rustix::process::Signal::KILL)
}

fn wait_for_log(lab: &Lab, role: &str, text: &str) -> anyhow::Result<()> {
    wait_for(&format!("{role} to say {text}"), || {
        Ok(lab.log(role)?.contains(text))
    })
}

#[test]
fn wrong_tokens_and_servers_that_prove_nothing_end_with_their_own_code() -> anyhow::Result<()> {
    let site = Site::up()?;
    let url = site.lab.report()["api"]["url"]
        .as_str()
        .context("the API's address")?
        .to_owned();
    let token = site.lab.report()["api"]["token"]
        .as_str()
        .context("a token")?
        .to_owned();
    let ca = site.lab.report()["api"]["ca"]
        .as_str()
        .context("a CA")?
        .to_owned();
    let foreign = CertificateAuthority::create(site.authority.installation(), now()?)?;
    let foreign_ca = site.work.path().join("foreign.pem");
    fs::write(&foreign_ca, foreign.certificate_pem())?;
    let foreign_ca = foreign_ca.to_str().context("test paths are UTF-8")?;

    let unknown = format!("bcdr_{}", "0".repeat(64));
    let cases = [
        ("a good token", url.as_str(), token.as_str(), ca.as_str(), 0),
        ("an unknown token", &url, &unknown, &ca, AUTHENTICATION),
        ("no token", &url, "", &ca, AUTHENTICATION),
        ("half a token", &url, &token[..30], &ca, AUTHENTICATION),
        (
            "another authority",
            &url,
            &token,
            foreign_ca,
            AUTHENTICATION,
        ),
        ("nobody there", "https://127.0.0.1:1", &token, &ca, 1),
    ];
    for (what, url, token, ca, code) in cases {
        let ended = status_with(site.work.path(), url, token, ca)?;
        ensure!(ended.code == code, "{what} ended with {ended:?}");
        let secret =
            !token.is_empty() && (ended.error.contains(token) || ended.output.contains(token));
        ensure!(!secret, "{what} printed its token");
        ensure!(code == 0 || !ended.error.is_empty(), "{what} says nothing");
    }
    site.lab.down()
}

fn status_with(work: &Path, url: &str, token: &str, ca: &str) -> anyhow::Result<Ended> {
    let context = work.join("context.toml");
    fs::write(work.join("token"), token)?;
    fs::write(
        &context,
        format!("url = {url:?}\ntoken_file = \"token\"\nca = {ca:?}\n"),
    )?;
    let context = context.to_str().context("test paths are UTF-8")?;
    tool::try_run(
        tool::bcdr()?,
        ["status", "-o", "json", "--context", context],
    )
}
