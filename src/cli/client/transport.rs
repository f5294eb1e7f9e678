//! What keeps a request from being answered, in words with a remedy.

use super::super::{
    exit,
    failure::{Delivery, Failure},
};
use rustls::CertificateError;
use std::io::ErrorKind;
use ureq::{Error, Timeout};

/// An error on the way to or from the server.
pub(super) struct Trouble<'a> {
    pub(super) error: &'a Error,
    pub(super) address: &'a str,
    pub(super) ca: &'a str,
}

impl Trouble<'_> {
    pub(super) fn failure(&self) -> Failure {
        let address = self.address;
        if let Some(tls) = self.tls() {
            return self.tls_failure(tls);
        }
        match self.error {
            Error::HostNotFound => Failure::error(format!("the host of {address} is not known"))
                .remedy("check the context's url, and the name service of this machine")
                .delivered(Delivery::NotSent),
            Error::BadUri(_) | Error::Http(_) => {
                Failure::usage(format!("the context's url {address:?} cannot be used"))
                    .cause(self.error)
                    .remedy("write https://HOST:PORT")
            }
            Error::Timeout(Timeout::Resolve | Timeout::Connect) => {
                Failure::error(format!("{address} does not answer"))
                    .remedy("check the address, and that no firewall is in the way")
                    .delivered(Delivery::NotSent)
            }
            Error::Timeout(_) => Failure::error(format!("{address} did not answer in time"))
                .remedy("look into the cloud side's log, then try again")
                .delivered(Delivery::Unknown),
            Error::Io(error) => self.io_failure(error),
            Error::BodyExceedsLimit(bytes) => Failure::error(format!(
                "the answer of {address} is longer than {bytes} bytes"
            ))
            .remedy("ask for fewer items with --limit"),
            other => Failure::error(format!("the connection to {address} failed"))
                .cause(other)
                .remedy("check that the cloud side runs, then try again")
                .delivered(Delivery::Unknown),
        }
    }

    fn io_failure(&self, error: &std::io::Error) -> Failure {
        let address = self.address;
        match error.kind() {
            ErrorKind::ConnectionRefused => Failure::error(format!("nothing listens at {address}"))
                .remedy("start the cloud side (bcdr cloud run, or bcdr lab up), or check the url")
                .delivered(Delivery::NotSent),
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
                Failure::error(format!("{address} cannot be reached"))
                    .cause(error)
                    .remedy("check the address and this machine's routes")
                    .delivered(Delivery::NotSent)
            }
            _ => Failure::error(format!("the connection to {address} was lost"))
                .cause(error)
                .remedy("check that the cloud side runs, then try again")
                .delivered(Delivery::Unknown),
        }
    }

    /// The TLS error inside, however deep.
    fn tls(&self) -> Option<&rustls::Error> {
        match self.error {
            Error::Rustls(error) => Some(error),
            Error::Io(error) => error.get_ref()?.downcast_ref(),
            _ => None,
        }
    }

    fn tls_failure(&self, error: &rustls::Error) -> Failure {
        let (address, ca) = (self.address, self.ca);
        let failure = match error {
            // A bad signature is that of another authority with the same name.
            rustls::Error::InvalidCertificate(
                CertificateError::UnknownIssuer | CertificateError::BadSignature,
            ) => Failure::new(
                exit::AUTHENTICATION,
                format!("{address} does not belong to the installation of {ca}"),
            )
            .remedy("check the context's url and ca: both must come from one installation"),
            rustls::Error::InvalidCertificate(_) => Failure::new(
                exit::AUTHENTICATION,
                format!("{address} cannot prove who it is"),
            )
            .remedy(
                "check the url's host, which must be in the server's certificate \
                         (api_names), and this machine's clock",
            ),
            _ => Failure::error(format!("no secure connection to {address} is possible"))
                .remedy("check that the context's url is that of the cloud side's API"),
        };
        failure.cause(error).delivered(Delivery::Answered)
    }
}
