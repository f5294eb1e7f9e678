//! Making an installation: authority, keys, catalog, first token; and issuing identities from it.
//!
//! Invariant: `installation.json` is written last, so a directory has it only when everything else
//! is there; an initialisation that was interrupted is begun again from nothing, which is harmless
//! because nothing of it was handed out yet.

use crate::{
    access::{self, AccessError},
    catalog::{Catalog, CatalogError},
    clock,
    state_files::StateFiles,
};
use bcdr_disk::{
    DirectoryLock, DiskError, DiskErrorKind, LockError, RealStorage, Storage, read_whole,
    replace_atomically,
};
use bcdr_format::{InstallationId, Timestamp};
use bcdr_http::Token;
use bcdr_wire::{
    identity::{
        AlternativeName, CertificateAuthority, IdentityError, IdentityPaths, IssueRequest,
        IssuedIdentity, Role, VALIDITY_MAX,
    },
    seal::{KeyEncryptionKey, SealError},
};
use serde::{Deserialize, Serialize};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
};

/// Memory for the catalog's pages while a command works on it, in bytes.
const COMMAND_CACHE_BYTES: usize = 4 << 20;
const PEM_BYTES_MAX: u64 = 64 << 10;
const LAYOUT_VERSION: u32 = 1;
/// The name of the token that an initialisation makes.
const FIRST_TOKEN_NAME: &str = "first administrator";

/// Why an installation could not be made or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// There is an installation already.
    #[error(
        "{directory} holds installation {installation} already: use it, or choose another directory"
    )]
    AlreadyInitialised {
        /// The directory.
        directory: PathBuf,
        /// Its installation.
        installation: InstallationId,
    },
    /// There is none.
    #[error("{directory} holds no installation: make one with `bcdr cloud init`")]
    NotInitialised {
        /// The directory.
        directory: PathBuf,
    },
    /// What says so cannot be read.
    #[error("{path} cannot be read: {reason}; restore the state directory from a backup")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Another process has the directory.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A file could not be read or written.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A certificate could not be made.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A key could not be made.
    #[error("cannot make a key: {0}")]
    Seal(#[from] SealError),
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A token could not be made.
    #[error("cannot make a token: {0}")]
    Access(#[from] AccessError),
    /// The system gave no randomness.
    #[error("the system gives no randomness: {0}")]
    Random(#[from] getrandom::Error),
}

/// What an initialisation is told.
#[derive(Debug, Clone)]
pub struct InitOptions {
    /// The directory to initialise; it is made if it is missing.
    pub state_directory: PathBuf,
    /// More host names and addresses for the API's first certificate.
    pub api_names: Vec<String>,
}

/// A new installation.
#[derive(Debug)]
pub struct Initialised {
    /// Its id.
    pub installation: InstallationId,
    /// The authority's certificate, which clients of the API need.
    pub ca_certificate: PathBuf,
    /// An administrator's token. It is stored nowhere: show it once.
    pub token: Token,
    /// The secret with which the first user, an administrator, is made once. It is stored nowhere
    /// either.
    pub setup_secret: Token,
}

/// What certificate is to be issued, and where to.
#[derive(Debug, Clone)]
pub struct IssueOptions {
    /// The holder's role.
    pub role: Role,
    /// The holder's name.
    pub name: String,
    /// Host names and addresses by which it is reached.
    pub alternative_names: Vec<String>,
    /// Where `ca.pem`, `<role>.pem` and `<role>.key` are written; made if it is missing.
    pub directory: PathBuf,
}

/// What `installation.json` holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Installation {
    layout_version: u32,
    installation: InstallationId,
}

/// Makes an installation in a directory. Blocks.
///
/// # Errors
/// [`InitError::AlreadyInitialised`] when there is one; else when something cannot be made.
pub fn initialise(options: &InitOptions) -> Result<Initialised, InitError> {
    let storage = RealStorage::new();
    let files = StateFiles::new(&options.state_directory);
    storage.create_directory_all(files.root())?;
    let _lock = DirectoryLock::acquire(files.root())?;
    if let Some(installation) = read_installation(&storage, &files)? {
        return Err(InitError::AlreadyInitialised {
            directory: files.root().to_owned(),
            installation,
        });
    }
    let now = clock::wall();
    let milliseconds = u64::try_from(now.0 / 1000).unwrap_or(0);
    let installation = InstallationId::from_parts(milliseconds, crate::record_id::random()?);
    let authority = CertificateAuthority::create(installation, now)?;
    storage.create_directory_all(&files.authority())?;
    let certificate = authority.certificate_pem().as_bytes();
    replace_atomically(&storage, &files.authority_certificate(), certificate)?;
    let key = authority.key_pem();
    replace_atomically(&storage, &files.authority_key(), key.as_bytes())?;
    let kek = KeyEncryptionKey::generate()?;
    replace_atomically(&storage, &files.key_encryption_key(), kek.expose())?;
    issue_own(&storage, &files, &authority, &options.api_names, now)?;
    if storage.exists(&files.catalog())? {
        // Left by an interrupted attempt; its token was never shown.
        storage.remove(&files.catalog())?;
    }
    let catalog = Catalog::create(&storage, &files.catalog(), COMMAND_CACHE_BYTES)?;
    let token = access::issue(&catalog, FIRST_TOKEN_NAME, bcdr_http::Role::Admin, now)?;
    let setup_secret = access::new_setup(&catalog)?;
    drop(catalog);
    let written = Installation {
        layout_version: LAYOUT_VERSION,
        installation,
    };
    let text = serde_json::to_vec_pretty(&written).expect("plain data always encodes");
    replace_atomically(&storage, &files.installation(), &text)?;
    Ok(Initialised {
        installation,
        ca_certificate: files.authority_certificate(),
        token,
        setup_secret,
    })
}

/// Whether a directory holds an installation.
///
/// # Errors
/// When it holds something that cannot be read.
pub fn is_initialised(state_directory: &Path) -> Result<bool, InitError> {
    let files = StateFiles::new(state_directory);
    Ok(read_installation(&RealStorage::new(), &files)?.is_some())
}

/// Where the authority's certificate of a state directory lies.
pub fn ca_certificate(state_directory: &Path) -> PathBuf {
    StateFiles::new(state_directory).authority_certificate()
}

/// Issues a certificate with a fresh key for 30 days and writes both, with the authority's, into a
/// directory. The role may be running. Blocks.
///
/// # Errors
/// When there is no installation, the request is not allowed, or a file cannot be written.
pub fn issue(state_directory: &Path, options: &IssueOptions) -> Result<IdentityPaths, InitError> {
    let storage = RealStorage::new();
    let files = StateFiles::new(state_directory);
    require_installation(&storage, &files)?;
    let authority = load_authority(&storage, &files)?;
    let request = IssueRequest {
        role: options.role,
        name: options.name.clone(),
        alternative_names: alternative_names(&options.alternative_names),
        validity: VALIDITY_MAX,
    };
    let issued = authority.issue(&request, clock::wall())?;
    write_identity(
        &storage,
        &options.directory,
        &authority,
        options.role,
        &issued,
    )
}

/// Makes another token for the API, for who has none that makes one. The role must be stopped. Blocks.
///
/// # Errors
/// When there is no installation, the role runs, or the catalog cannot be written.
pub fn create_token(
    state_directory: &Path,
    name: &str,
    role: bcdr_http::Role,
) -> Result<Token, InitError> {
    let storage = RealStorage::new();
    let files = StateFiles::new(state_directory);
    require_installation(&storage, &files)?;
    let _lock = DirectoryLock::acquire(files.root())?;
    let catalog = Catalog::open(&storage, &files.catalog(), COMMAND_CACHE_BYTES)?;
    Ok(access::issue(&catalog, name, role, clock::wall())?)
}

pub(crate) fn require_installation(
    storage: &dyn Storage,
    files: &StateFiles,
) -> Result<InstallationId, InitError> {
    read_installation(storage, files)?.ok_or_else(|| InitError::NotInitialised {
        directory: files.root().to_owned(),
    })
}

fn read_installation(
    storage: &dyn Storage,
    files: &StateFiles,
) -> Result<Option<InstallationId>, InitError> {
    let path = files.installation();
    let bytes = match read_whole(storage, &path, PEM_BYTES_MAX) {
        Err(error) if error.kind() == DiskErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let damaged = |reason: String| InitError::Damaged {
        path: path.clone(),
        reason,
    };
    let found: Installation =
        serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    if found.layout_version != LAYOUT_VERSION {
        let version = found.layout_version;
        return Err(damaged(format!(
            "layout version {version} belongs to another release, this one knows {LAYOUT_VERSION}"
        )));
    }
    Ok(Some(found.installation))
}

pub(crate) fn load_authority(
    storage: &dyn Storage,
    files: &StateFiles,
) -> Result<CertificateAuthority, InitError> {
    let text = |path: PathBuf| -> Result<zeroize::Zeroizing<String>, InitError> {
        let bytes = read_whole(storage, &path, PEM_BYTES_MAX)?;
        let text = String::from_utf8(bytes).map_err(|_| InitError::Damaged {
            path,
            reason: "it is not text".to_owned(),
        })?;
        Ok(zeroize::Zeroizing::new(text))
    };
    let certificate = text(files.authority_certificate())?;
    let key = text(files.authority_key())?;
    Ok(CertificateAuthority::load(&certificate, &key)?)
}

/// The cloud side's own two identities: for gateways, and for clients of the API.
#[derive(Debug, Clone)]
pub(crate) struct OwnIdentities {
    pub(crate) ship: IdentityPaths,
    pub(crate) api: IdentityPaths,
}

/// Issues the cloud side's own certificates anew.
pub(crate) fn issue_own(
    storage: &dyn Storage,
    files: &StateFiles,
    authority: &CertificateAuthority,
    api_names: &[String],
    now: Timestamp,
) -> Result<OwnIdentities, InitError> {
    let issue = |role: Role, names: Vec<AlternativeName>| {
        let request = IssueRequest {
            role,
            name: "cloud".to_owned(),
            alternative_names: names,
            validity: VALIDITY_MAX,
        };
        let issued = authority.issue(&request, now)?;
        write_identity(storage, &files.identity(), authority, role, &issued)
    };
    let mut names = vec![
        AlternativeName::Dns("localhost".to_owned()),
        AlternativeName::Address(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        AlternativeName::Address(IpAddr::V6(Ipv6Addr::LOCALHOST)),
    ];
    for name in alternative_names(api_names) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(OwnIdentities {
        ship: issue(Role::Cloud, Vec::new())?,
        api: issue(Role::ApiServer, names)?,
    })
}

fn write_identity(
    storage: &dyn Storage,
    directory: &Path,
    authority: &CertificateAuthority,
    role: Role,
    issued: &IssuedIdentity,
) -> Result<IdentityPaths, InitError> {
    storage.create_directory_all(directory)?;
    let paths = IdentityPaths {
        ca: directory.join("ca.pem"),
        certificate: directory.join(format!("{role}.pem")),
        key: directory.join(format!("{role}.key")),
    };
    replace_atomically(storage, &paths.ca, authority.certificate_pem().as_bytes())?;
    replace_atomically(storage, &paths.key, issued.key_pem.as_bytes())?;
    replace_atomically(
        storage,
        &paths.certificate,
        issued.certificate_pem.as_bytes(),
    )?;
    Ok(paths)
}

fn alternative_names(names: &[String]) -> Vec<AlternativeName> {
    let name = |name: &String| match name.parse::<IpAddr>() {
        Ok(address) => AlternativeName::Address(address),
        Err(_) => AlternativeName::Dns(name.clone()),
    };
    names.iter().map(name).collect()
}

#[cfg(test)]
mod tests;
