//! Certificates: what is issued, what is refused, and why.

use super::*;
use bcdr_format::InstallationId;
use rustls_pki_types::CertificateDer;
use std::{fs, time::Duration};

const INSTALLATION: InstallationId = InstallationId::from_u128(0x0123_4567_89ab_cdef);
const NOW: Timestamp = Timestamp(1_800_000_000_000_000);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn days_after(days: i64) -> Timestamp {
    Timestamp(NOW.0 + days * 24 * 60 * 60 * 1_000_000)
}

fn request(role: Role) -> IssueRequest {
    IssueRequest {
        role,
        name: "site-1".to_owned(),
        alternative_names: vec![],
        validity: VALIDITY_MAX,
    }
}

fn authority() -> CertificateAuthority {
    CertificateAuthority::create(INSTALLATION, NOW).unwrap()
}

#[test]
fn every_role_gets_an_identity_that_names_it() {
    let authority = authority();
    for role in Role::ALL {
        let issued = authority.issue(&request(role), NOW).unwrap();
        let identity = Identity::load(
            authority.certificate_pem(),
            &issued.certificate_pem,
            &issued.key_pem,
            NOW,
        )
        .unwrap();
        let peer = identity.peer();
        assert_eq!((peer.installation, peer.role), (INSTALLATION, role));
        assert_eq!(peer.not_after, days_after(30));
        assert_eq!(
            peer.to_string(),
            format!("bcdr://{INSTALLATION}/{role}/site-1")
        );
        assert_eq!(role.as_str().parse::<Role>().unwrap(), role);
        assert_eq!(
            &PeerIdentity::from_certificate(&identity.certificates()[0]).unwrap(),
            peer
        );
    }
}

#[test]
fn a_stored_authority_goes_on_issuing() {
    let first = authority();
    let loaded = CertificateAuthority::load(first.certificate_pem(), &first.key_pem()).unwrap();
    assert_eq!(loaded.installation(), INSTALLATION);
    let issued = loaded.issue(&request(Role::Gateway), NOW).unwrap();
    Identity::load(
        first.certificate_pem(),
        &issued.certificate_pem,
        &issued.key_pem,
        NOW,
    )
    .unwrap();
}

#[test]
fn an_authority_is_loaded_with_its_own_key_only() {
    let [one, two] = [authority(), authority()];
    let mixed = CertificateAuthority::load(one.certificate_pem(), &two.key_pem());
    assert!(matches!(mixed, Err(IdentityError::KeyMismatch { .. })));
    let leaf = one.issue(&request(Role::Cloud), NOW).unwrap();
    let posing = CertificateAuthority::load(&leaf.certificate_pem, &leaf.key_pem);
    assert!(matches!(posing, Err(IdentityError::Certificate { .. })));
    assert!(CertificateAuthority::load("", &one.key_pem()).is_err());
    assert!(CertificateAuthority::load(one.certificate_pem(), "").is_err());
}

#[test]
fn requests_that_would_weaken_the_authority_are_refused() {
    let authority = authority();
    let refused = |change: &dyn Fn(&mut IssueRequest), now| {
        let mut request = request(Role::Capture);
        change(&mut request);
        matches!(
            authority.issue(&request, now),
            Err(IdentityError::Request { .. })
        )
    };
    for name in ["", "a/b", "a b", "ü", &"n".repeat(65)] {
        assert!(
            refused(&|request| request.name = name.to_owned(), NOW),
            "{name}"
        );
    }
    assert!(refused(&|request| request.validity += DAY, NOW));
    assert!(refused(&|request| request.validity = Duration::ZERO, NOW));
    assert!(refused(&|_| {}, days_after(3640)));
    let role_name = server_name(Role::Cloud, INSTALLATION);
    for name in [&*role_name, "X.BCDR", "x.bcdr.", "*.example", "no name", ""] {
        let change = |request: &mut IssueRequest| {
            request.alternative_names = vec![AlternativeName::Dns(name.to_owned())];
        };
        assert!(refused(&change, NOW), "{name}");
    }
}

#[test]
fn alternative_names_are_certified() {
    use rustls::client::{WebPkiServerVerifier, danger::ServerCertVerifier};
    let authority = authority();
    let mut request = request(Role::ApiServer);
    request.alternative_names = vec![
        AlternativeName::Dns("dr.example.org".to_owned()),
        AlternativeName::Address([127, 0, 0, 1].into()),
    ];
    let issued = authority.issue(&request, NOW).unwrap();
    let identity = Identity::load(
        authority.certificate_pem(),
        &issued.certificate_pem,
        &issued.key_pem,
        NOW,
    )
    .unwrap();
    let verifier =
        WebPkiServerVerifier::builder_with_provider(identity.authorities(), identity.provider())
            .build()
            .unwrap();
    let now = rustls_pki_types::UnixTime::since_unix_epoch(Duration::from_micros(NOW.0 as u64));
    let verify = |name: &'static str| {
        verifier.verify_server_cert(
            &identity.certificates()[0],
            &[],
            &name.try_into().unwrap(),
            &[],
            now,
        )
    };
    assert!(verify("dr.example.org").is_ok());
    assert!(verify("127.0.0.1").is_ok());
    assert!(verify("other.example.org").is_err());
}

#[test]
fn identities_that_peers_would_refuse_are_refused_at_the_start() {
    let [ours, theirs] = [authority(), authority()];
    let issued = ours.issue(&request(Role::Capture), NOW).unwrap();
    let again = ours.issue(&request(Role::Capture), NOW).unwrap();
    let client = ours.issue(&request(Role::NbdClient), NOW).unwrap();
    let load = |authority: &CertificateAuthority,
                certificate: &IssuedIdentity,
                key: &IssuedIdentity,
                now| {
        Identity::load(
            authority.certificate_pem(),
            &certificate.certificate_pem,
            &key.key_pem,
            now,
        )
    };
    assert!(load(&ours, &issued, &issued, NOW).is_ok());
    assert!(load(&ours, &issued, &issued, days_after(29)).is_ok());
    let late = load(&ours, &issued, &issued, days_after(31));
    assert!(
        matches!(late, Err(IdentityError::Expired { .. })),
        "{late:?}"
    );
    let late = load(&ours, &client, &client, days_after(31));
    assert!(
        matches!(late, Err(IdentityError::Expired { .. })),
        "{late:?}"
    );
    let early = load(&ours, &issued, &issued, days_after(-1));
    assert!(
        matches!(early, Err(IdentityError::NotValidYet { .. })),
        "{early:?}"
    );
    let foreign = load(&theirs, &issued, &issued, NOW);
    assert!(
        matches!(foreign, Err(IdentityError::OtherAuthority { .. })),
        "{foreign:?}"
    );
    let mixed = load(&ours, &issued, &again, NOW);
    assert!(
        matches!(mixed, Err(IdentityError::KeyMismatch { .. })),
        "{mixed:?}"
    );
}

#[test]
fn files_are_named_when_they_fail() {
    let directory = tempfile::tempdir().unwrap();
    let authority = authority();
    let issued = authority.issue(&request(Role::Gateway), NOW).unwrap();
    let paths = IdentityPaths {
        ca: directory.path().join("ca.pem"),
        certificate: directory.path().join("gateway.pem"),
        key: directory.path().join("gateway.key"),
    };
    fs::write(&paths.ca, authority.certificate_pem()).unwrap();
    fs::write(&paths.certificate, &issued.certificate_pem).unwrap();
    let missing = Identity::load_from(&paths, NOW).unwrap_err().to_string();
    assert!(missing.contains("gateway.key"), "{missing}");
    fs::write(&paths.key, "not a key").unwrap();
    let broken = Identity::load_from(&paths, NOW).unwrap_err().to_string();
    assert!(broken.contains("gateway.key"), "{broken}");
    fs::write(&paths.key, &*issued.key_pem).unwrap();
    let identity = Identity::load_from(&paths, NOW).unwrap();
    assert_eq!(identity.peer().role, Role::Gateway);
    let late = Identity::load_from(&paths, days_after(31))
        .unwrap_err()
        .to_string();
    assert!(
        late.contains("gateway.pem") && late.contains("new one"),
        "{late}"
    );
}

#[test]
fn certificates_of_others_name_no_identity() {
    let key = rcgen::KeyPair::generate().unwrap();
    let read = |uris: &[&str]| {
        let mut params = rcgen::CertificateParams::new(vec!["host.example".to_owned()]).unwrap();
        for uri in uris {
            let uri = rcgen::SanType::URI((*uri).try_into().unwrap());
            params.subject_alt_names.push(uri);
        }
        PeerIdentity::from_certificate(params.self_signed(&key).unwrap().der())
    };
    let good = format!("bcdr://{INSTALLATION}/cloud/a");
    assert!(read(&[&good]).is_ok());
    assert!(read(&["https://example.org", &good]).is_ok());
    let bad = [
        format!("bcdr://{INSTALLATION}/cloud"),
        format!("bcdr://{INSTALLATION}/cloud/"),
        format!("bcdr://{INSTALLATION}/cloud/a/b"),
        format!("bcdr://{INSTALLATION}/root/a"),
        "bcdr://ins-nonsense/cloud/a".to_owned(),
    ];
    for uri in &bad {
        assert!(read(&[uri]).is_err(), "{uri}");
    }
    assert!(read(&[]).is_err());
    assert!(
        read(&[&good, &good]).is_err(),
        "two identities in one certificate"
    );
    assert!(PeerIdentity::from_certificate(&CertificateDer::from(vec![1, 2, 3])).is_err());
}

/// The files of a role, and putting an identity there.
struct Files {
    _directory: tempfile::TempDir,
    paths: IdentityPaths,
}

impl Files {
    fn new(authority: &CertificateAuthority) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let paths = IdentityPaths {
            ca: directory.path().join("ca.pem"),
            certificate: directory.path().join("role.pem"),
            key: directory.path().join("role.key"),
        };
        fs::write(&paths.ca, authority.certificate_pem()).unwrap();
        Self {
            _directory: directory,
            paths,
        }
    }

    fn put_key(&self, issued: &IssuedIdentity) {
        fs::write(&self.paths.key, &*issued.key_pem).unwrap();
    }

    fn put(&self, issued: &IssuedIdentity) {
        self.put_key(issued);
        fs::write(&self.paths.certificate, &issued.certificate_pem).unwrap();
    }
}

#[tokio::test]
async fn a_renewed_identity_is_read_and_a_bad_one_never_takes_its_place() {
    let authority = authority();
    let files = Files::new(&authority);
    let issue = |role, now| authority.issue(&request(role), now).unwrap();
    files.put(&issue(Role::Gateway, NOW));
    let source = IdentitySource::load_from(files.paths.clone(), NOW).unwrap();
    let first = source.current();

    // Between the two files of a renewal, and while they are another role's.
    let next = issue(Role::Gateway, days_after(20));
    files.put_key(&next);
    let read = source.renewed(days_after(20)).await;
    assert_eq!(read.certificates(), first.certificates());
    files.put(&issue(Role::Cloud, days_after(20)));
    let read = source.renewed(days_after(20)).await;
    assert_eq!(read.certificates(), first.certificates());

    files.put(&next);
    let shared = source.clone();
    let read = source.renewed(days_after(20)).await;
    assert_eq!(read.peer().not_after, days_after(50));
    assert_eq!(shared.current().certificates(), read.certificates());
    // The old one would be of no use by now; nor is what is no file at all.
    fs::remove_file(&files.paths.certificate).unwrap();
    let read = source.renewed(days_after(40)).await;
    assert_eq!(read.peer().not_after, days_after(50));
}
