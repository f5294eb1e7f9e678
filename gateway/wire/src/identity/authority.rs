//! The installation's certificate authority.
//!
//! Invariant: it issues leaves of its own installation only, for 30 days at most, and never gives a
//! caller-chosen name in the domain that names roles.

use super::{
    IdentityError,
    credentials::read_certificates,
    peer::{Facts, RESERVED_DOMAIN, Role, SCHEME, name_is_valid, server_name, uri},
};
use bcdr_format::{InstallationId, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls_pki_types::DnsName;
use std::{fmt, net::IpAddr, time::Duration};
use zeroize::Zeroizing;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest time a leaf certificate is valid.
pub const VALIDITY_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);
const AUTHORITY_VALIDITY: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
/// Certificates begin this much before they are issued, for peers whose clocks are behind.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60 * 60);
/// What stands in place of role and name in the authority's own URI.
const AUTHORITY_PATH: &str = "/authority";

/// Signs the installation's certificates.
pub struct CertificateAuthority {
    installation: InstallationId,
    certificate_pem: String,
    key: KeyPair,
    not_after: Timestamp,
}

/// A name under which clients that know nothing of roles look a server up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlternativeName {
    /// A host name.
    Dns(String),
    /// An address.
    Address(IpAddr),
}

/// What certificate is asked for.
#[derive(Debug, Clone)]
pub struct IssueRequest {
    /// The holder's role.
    pub role: Role,
    /// The holder's name: letters, digits, `-`, `_` and `.`, at most 64.
    pub name: String,
    /// Host names and addresses the holder is reached under, besides its role's name.
    pub alternative_names: Vec<AlternativeName>,
    /// How long it is valid; at most [`VALIDITY_MAX`].
    pub validity: Duration,
}

/// A certificate and its key, as files hold them.
pub struct IssuedIdentity {
    /// The certificate.
    pub certificate_pem: String,
    /// Its private key.
    pub key_pem: Zeroizing<String>,
}

impl fmt::Debug for IssuedIdentity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("IssuedIdentity(hidden key)")
    }
}

impl fmt::Debug for CertificateAuthority {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "CertificateAuthority({})", self.installation)
    }
}

impl CertificateAuthority {
    /// A new authority with a fresh key, valid for ten years.
    pub fn create(installation: InstallationId, now: Timestamp) -> Result<Self, IdentityError> {
        let key = KeyPair::generate().map_err(make)?;
        let mut params = issuer_params(installation);
        set_validity(&mut params, now, AUTHORITY_VALIDITY);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.subject_alt_names = vec![uri_name(&authority_uri(installation))?];
        let certificate = params.self_signed(&key).map_err(make)?;
        Ok(Self {
            installation,
            certificate_pem: certificate.pem(),
            not_after: Facts::read(certificate.der(), "the new authority")?.not_after,
            key,
        })
    }

    /// The authority that was stored as these two texts.
    pub fn load(certificate_pem: &str, key_pem: &str) -> Result<Self, IdentityError> {
        let what = "the authority's certificate";
        let refuse = |reason: String| IdentityError::Certificate {
            what: what.to_owned(),
            reason,
        };
        let certificates = read_certificates(certificate_pem.as_bytes(), what)?;
        let [certificate] = certificates.as_slice() else {
            return Err(refuse(format!(
                "{} certificates, not one",
                certificates.len()
            )));
        };
        let facts = Facts::read(certificate, what)?;
        let installation = facts
            .uri
            .strip_prefix(SCHEME)
            .and_then(|rest| rest.strip_suffix(AUTHORITY_PATH))
            .and_then(|id| id.parse().ok())
            .filter(|_| facts.is_authority)
            .ok_or_else(|| refuse(format!("{:?} is no authority", facts.uri)))?;
        let key = KeyPair::from_pem(key_pem).map_err(|error| IdentityError::Pem {
            what: "the authority's key".to_owned(),
            reason: error.to_string(),
        })?;
        if key.public_key_raw() != facts.public_key {
            return Err(IdentityError::KeyMismatch {
                key: "the authority's key".to_owned(),
                certificate: what.to_owned(),
            });
        }
        Ok(Self {
            installation,
            certificate_pem: certificate_pem.to_owned(),
            key,
            not_after: facts.not_after,
        })
    }

    /// The installation it issues for.
    pub const fn installation(&self) -> InstallationId {
        self.installation
    }

    /// Its certificate, which every role has.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Its private key, to be stored where it was created and nowhere else.
    pub fn key_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.key.serialize_pem())
    }

    /// Issues a certificate with a fresh key.
    pub fn issue(
        &self,
        request: &IssueRequest,
        now: Timestamp,
    ) -> Result<IssuedIdentity, IdentityError> {
        self.check(request, now)?;
        let role = request.role;
        let mut params = CertificateParams::default();
        set_validity(&mut params, now, request.validity);
        params.distinguished_name = common_name(&request.name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if role == Role::NbdClient {
            // QEMU does not load a client certificate without it, although TLS 1.3 has no use for it.
            params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
        }
        if role.serves() {
            params
                .extended_key_usages
                .push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        if role.dials() {
            params
                .extended_key_usages
                .push(ExtendedKeyUsagePurpose::ClientAuth);
        }
        params.use_authority_key_identifier_extension = true;
        params.subject_alt_names = vec![
            uri_name(&uri(self.installation, role, &request.name))?,
            dns_name(&server_name(role, self.installation))?,
        ];
        for name in &request.alternative_names {
            params.subject_alt_names.push(match name {
                AlternativeName::Dns(name) => requested_dns_name(name)?,
                AlternativeName::Address(address) => SanType::IpAddress(*address),
            });
        }
        let key = KeyPair::generate().map_err(make)?;
        let issuer_params = issuer_params(self.installation);
        let issuer = Issuer::from_params(&issuer_params, &self.key);
        let certificate = params.signed_by(&key, &issuer).map_err(make)?;
        Ok(IssuedIdentity {
            certificate_pem: certificate.pem(),
            key_pem: Zeroizing::new(key.serialize_pem()),
        })
    }

    fn check(&self, request: &IssueRequest, now: Timestamp) -> Result<(), IdentityError> {
        let refuse = |reason: String| Err(IdentityError::Request { reason });
        if !name_is_valid(&request.name) {
            return refuse(format!(
                "{:?} is no name; use at most 64 letters, digits, '-', '_' and '.'",
                request.name
            ));
        }
        if request.validity.is_zero() || request.validity > VALIDITY_MAX {
            return refuse(format!(
                "it would be valid for {} days; at most {} are allowed",
                request.validity.as_secs() / DAY.as_secs(),
                VALIDITY_MAX.as_secs() / DAY.as_secs()
            ));
        }
        let validity = i64::try_from(request.validity.as_micros()).unwrap_or(i64::MAX);
        if now.0.saturating_add(validity) > self.not_after.0 {
            return refuse(format!(
                "it would outlive the authority, which ends {}",
                super::readable(self.not_after)
            ));
        }
        Ok(())
    }
}

fn make(source: rcgen::Error) -> IdentityError {
    IdentityError::Make { source }
}

fn authority_uri(installation: InstallationId) -> String {
    format!("{SCHEME}{installation}{AUTHORITY_PATH}")
}

/// What the authority's name and key usages are, whether it was just made or loaded: issuing needs
/// nothing else of its certificate.
fn issuer_params(installation: InstallationId) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(&format!("bcdr {installation}"));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn set_validity(params: &mut CertificateParams, now: Timestamp, validity: Duration) {
    let since_epoch = Duration::from_micros(u64::try_from(now.0).unwrap_or(0));
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + since_epoch.saturating_sub(CLOCK_TOLERANCE);
    params.not_after = epoch + since_epoch + validity;
}

fn uri_name(uri: &str) -> Result<SanType, IdentityError> {
    Ok(SanType::URI(uri.try_into().map_err(make)?))
}

fn dns_name(name: &str) -> Result<SanType, IdentityError> {
    Ok(SanType::DnsName(name.try_into().map_err(make)?))
}

/// A caller's host name. One in the reserved domain would let its holder pass for another role.
fn requested_dns_name(name: &str) -> Result<SanType, IdentityError> {
    let lower = name.trim_end_matches('.').to_ascii_lowercase();
    let reserved = lower.rsplit('.').next() == Some(RESERVED_DOMAIN);
    if reserved || lower.contains('*') || DnsName::try_from(lower.as_str()).is_err() {
        return Err(IdentityError::Request {
            reason: format!(
                "{name:?} is not a host name that can be certified; names ending in .{RESERVED_DOMAIN} are kept for roles"
            ),
        });
    }
    dns_name(&lower)
}
