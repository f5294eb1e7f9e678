//! The role's own certificates: issued anew at each start and every day, unless the operator
//! manages them, in which case their files are read again.

use super::RoleError;
use crate::{clock, config::CloudConfig, init, state_files::StateFiles};
use bcdr_disk::Storage;
use bcdr_wire::{
    identity::{Identity, IdentityPaths},
    transport::ResetKey,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use std::{path::Path, sync::Arc};

/// What the listeners show.
pub(super) struct Loaded {
    /// To gateways.
    pub(super) ship: Identity,
    /// What tells gateways that a former life is over: the same at each start.
    pub(super) reset: ResetKey,
    /// To clients of the API: own certificate first.
    pub(super) chain: Vec<CertificateDer<'static>>,
    /// The API's key.
    pub(super) key: PrivateKeyDer<'static>,
}

/// Where certificates come from.
pub(super) struct Certificates {
    storage: Arc<dyn Storage>,
    files: StateFiles,
    config: CloudConfig,
}

impl Certificates {
    pub(super) fn new(storage: Arc<dyn Storage>, files: StateFiles, config: CloudConfig) -> Self {
        Self {
            storage,
            files,
            config,
        }
    }

    /// Issues or reads the certificates. Blocks.
    pub(super) fn load(&self) -> Result<Loaded, RoleError> {
        let managed = (&self.config.identity, &self.config.api_certificate);
        let (ship, certificate, key) = match managed {
            (Some(ship), Some(api)) => (ship.clone(), api.certificate.clone(), api.key.clone()),
            (ship, api) => {
                let own = self.issue()?;
                let ship = ship.clone().unwrap_or(own.ship);
                let api = api.clone().map(|api| (api.certificate, api.key));
                let (certificate, key) = api.unwrap_or((own.api.certificate, own.api.key));
                (ship, certificate, key)
            }
        };
        let ship = load_identity(&ship)?;
        Ok(Loaded {
            reset: self.reset_key(&ship)?,
            ship,
            chain: read_chain(&certificate)?,
            key: PrivateKeyDer::from_pem_file(&key).map_err(|error| unreadable(&key, &error))?,
        })
    }

    /// An identity of our own has another key after each start, the authority that issues it has not.
    fn reset_key(&self, ship: &Identity) -> Result<ResetKey, RoleError> {
        if self.config.identity.is_some() {
            return Ok(ResetKey::of(ship.private_key().secret_der()));
        }
        let authority = init::load_authority(&*self.storage, &self.files)?;
        Ok(ResetKey::of(authority.key_pem().as_bytes()))
    }

    fn issue(&self) -> Result<init::OwnIdentities, RoleError> {
        let authority = init::load_authority(&*self.storage, &self.files)?;
        let mut names = self.config.api_names.clone();
        let address = self.config.listen_api.ip();
        if !address.is_unspecified() {
            names.push(address.to_string());
        }
        let storage = &*self.storage;
        Ok(init::issue_own(
            storage,
            &self.files,
            &authority,
            &names,
            clock::wall(),
        )?)
    }
}

fn load_identity(paths: &IdentityPaths) -> Result<Identity, RoleError> {
    Ok(Identity::load_from(paths, clock::wall())?)
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, RoleError> {
    let chain = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable(path, &error))?;
    if chain.is_empty() {
        return Err(RoleError::Pem {
            path: path.to_owned(),
            reason: "it holds no certificate".to_owned(),
        });
    }
    Ok(chain)
}

fn unreadable(path: &Path, error: &rustls::pki_types::pem::Error) -> RoleError {
    RoleError::Pem {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}
