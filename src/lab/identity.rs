//! The identities of a lab's gateway and capture: issued by the lab's own authority, and issued
//! anew well before they end.
//!
//! Invariant: one issue at a time, so that the files of an identity belong together; what an
//! interrupted one left is replaced by the next. The roles read their files again by themselves.
//! The cloud role looks after its own.

use super::layout::Layout;
use anyhow::Context;
use bcdr_cloud::init::{IssueOptions, ca_certificate, issue};
use bcdr_format::Timestamp;
use bcdr_wire::identity::{Identity, IdentityPaths, PeerIdentity, Role};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use std::{
    fs::{self, File},
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

const DAY_MICROSECONDS: i64 = 24 * 60 * 60 * 1_000_000;
/// A certificate that is valid for less than this is issued anew: there are many more attempts
/// before [`ENDS_SOON_DAYS`] says that they come to nothing.
const RENEW_DAYS: i64 = 20;
/// A certificate that is valid for less than this should have been renewed long ago.
const ENDS_SOON_DAYS: i64 = 10;
/// The roles whose identities are issued here.
const ISSUED: [Role; 2] = [Role::Gateway, Role::Capture];

/// Now, by the wall clock.
pub(super) fn wall() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_microsecond())
}

/// The identity of a role: the one that is there, or a new one if that ends soon or is of no use.
pub(super) fn ensure(layout: &Layout, role: Role, now: Timestamp) -> anyhow::Result<IdentityPaths> {
    let cannot = || format!("cannot issue the {role} role's certificate");
    let lock = File::create(layout.identities().join("issuing.lock")).with_context(cannot)?;
    lock.lock().with_context(cannot)?;
    let paths = paths(layout, role);
    if !is_due(usable_until(layout, &paths, now), now) {
        return Ok(paths);
    }
    let options = IssueOptions {
        role,
        name: "lab".to_owned(),
        alternative_names: vec!["localhost".to_owned(), Ipv4Addr::LOCALHOST.to_string()],
        directory: layout.identities(),
    };
    issue(&layout.role_state("cloud"), &options).with_context(cannot)
}

/// Issues anew what is due, for the roles that have a configuration.
pub(super) fn renew(layout: &Layout, now: Timestamp) {
    for role in ISSUED {
        if !layout.role_configuration(role.as_str()).exists() {
            continue;
        }
        if let Err(error) = ensure(layout, role, now) {
            tracing::error!(%role, error = format!("{error:#}"), "a certificate is not renewed; it is tried again");
        }
    }
}

/// Until when the certificate of a role is valid; none if there is no readable one.
pub(super) fn valid_until(layout: &Layout, role: &str) -> Option<Timestamp> {
    let path = certificate(layout, role);
    let certificate = CertificateDer::from_pem_file(path).ok()?;
    let holder = PeerIdentity::from_certificate(&certificate).ok()?;
    Some(holder.not_after)
}

/// What to say of a certificate that ends soon, or has ended; nothing while it does not.
pub(super) fn warning(
    role: &str,
    until: Timestamp,
    now: Timestamp,
    supervised: bool,
) -> Option<String> {
    let left = until.0.saturating_sub(now.0);
    if left >= ENDS_SOON_DAYS * DAY_MICROSECONDS {
        return None;
    }
    let ends = match left.div_euclid(DAY_MICROSECONDS) {
        ..0 => "has ended".to_owned(),
        days => format!("ends in {days} days"),
    };
    let remedy = match (supervised, role) {
        (false, _) => "start the lab with lab up, which renews it".to_owned(),
        (true, "cloud") => "see log/cloud.log for why it is not renewed".to_owned(),
        (true, _) => "see log/supervisor.log for why it is not renewed".to_owned(),
    };
    Some(format!(
        "the certificate of the {role} role {ends}: {remedy}"
    ))
}

/// Whether a certificate that is of use until then is issued anew now.
fn is_due(usable_until: Option<Timestamp>, now: Timestamp) -> bool {
    usable_until.is_none_or(|until| until.0.saturating_sub(now.0) < RENEW_DAYS * DAY_MICROSECONDS)
}

/// Until when an identity is of use; none if it is of no use now.
fn usable_until(layout: &Layout, paths: &IdentityPaths, now: Timestamp) -> Option<Timestamp> {
    let authority = fs::read(ca_certificate(&layout.role_state("cloud"))).ok()?;
    if fs::read(&paths.ca).ok()? != authority {
        return None;
    }
    let identity = Identity::load_from(paths, now).ok()?;
    Some(identity.peer().not_after)
}

/// Where [`issue`] puts an identity.
fn paths(layout: &Layout, role: Role) -> IdentityPaths {
    let directory = layout.identities();
    IdentityPaths {
        ca: directory.join("ca.pem"),
        certificate: certificate(layout, role.as_str()),
        key: directory.join(format!("{role}.key")),
    }
}

/// Where a role's certificate is; the cloud role has its own in its state directory.
fn certificate(layout: &Layout, role: &str) -> PathBuf {
    let name = Path::new(role).with_extension("pem");
    if role == "cloud" {
        return layout.role_state(role).join("identity").join(name);
    }
    layout.identities().join(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bcdr_cloud::init::{InitOptions, initialise};

    const NOW: Timestamp = Timestamp(1_800_000_000_000_000);

    fn days_after(now: Timestamp, days: i64) -> Timestamp {
        Timestamp(now.0 + days * DAY_MICROSECONDS)
    }

    #[test]
    fn a_certificate_is_renewed_long_before_it_ends() {
        let due = |days| is_due(Some(days_after(NOW, days)), NOW);
        assert!(is_due(None, NOW));
        assert!(due(-1) && due(0) && due(19));
        assert!(!due(20) && !due(30));
        assert!(is_due(Some(Timestamp(i64::MIN)), NOW));
    }

    #[test]
    fn only_a_certificate_that_was_not_renewed_is_warned_of() {
        let said = |days, supervised| warning("capture", days_after(NOW, days), NOW, supervised);
        assert_eq!(said(10, true), None);
        let soon = said(9, true).unwrap();
        assert!(
            soon.contains("capture") && soon.contains("in 9 days") && soon.contains("log/"),
            "{soon}"
        );
        let ended = said(-1, false).unwrap();
        assert!(
            ended.contains("has ended") && ended.contains("lab up"),
            "{ended}"
        );
    }

    #[test]
    fn an_identity_stays_until_it_is_due_and_a_broken_one_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::create(&directory.path().join("lab")).unwrap();
        layout.create_directories().unwrap();
        initialise(&InitOptions {
            state_directory: layout.role_state("cloud"),
            api_names: Vec::new(),
        })
        .unwrap();
        assert!(valid_until(&layout, "cloud").is_some());
        assert_eq!(valid_until(&layout, "gateway"), None);
        let now = wall();
        let paths = ensure(&layout, Role::Gateway, now).unwrap();
        let read = || fs::read(&paths.certificate).unwrap();
        let first = read();
        // What the role takes for its own is what status shows.
        let shown = Identity::load_from(&paths, now).unwrap().peer().not_after;
        assert_eq!(valid_until(&layout, "gateway"), Some(shown));
        ensure(&layout, Role::Gateway, days_after(now, 9)).unwrap();
        assert_eq!(read(), first);

        // The supervisor renews only the roles that there are.
        renew(&layout, days_after(now, 11));
        assert_eq!(read(), first);
        fs::write(layout.role_configuration("gateway"), "").unwrap();
        renew(&layout, days_after(now, 11));
        let second = read();
        assert_ne!(second, first);
        assert_eq!(valid_until(&layout, "capture"), None);

        // An issue was interrupted between key and certificate, or the authority is another.
        fs::write(&paths.certificate, &first).unwrap();
        assert!(Identity::load_from(&paths, now).is_err());
        renew(&layout, now);
        Identity::load_from(&paths, now).unwrap();
        let third = read();
        fs::write(&paths.ca, "").unwrap();
        renew(&layout, now);
        assert_ne!(read(), third);
        Identity::load_from(&paths, now).unwrap();
    }
}
