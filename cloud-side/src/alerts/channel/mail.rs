//! E-mail, by SMTP.
//!
//! With TLS from the first byte, or with STARTTLS that is never done without; plain text goes to this
//! very host only, and then without a password.

use super::{ChannelError, authorities, secret};
use crate::alerts::Message as Told;
use bcdr_alert::Language;
use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    message::{Mailbox, header::ContentType},
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, CertificateStore, Tls, TlsParameters},
    },
};
use serde::{Deserialize, Serialize};
use std::{net::IpAddr, path::PathBuf, time::Duration};

/// Most people who get a mail.
const RECIPIENTS_MAX: usize = 50;
/// The longest time of one command.
const COMMAND: Duration = Duration::from_secs(20);

/// How the connection to the mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EmailTls {
    /// TLS after a STARTTLS, which the server must offer.
    Starttls,
    /// TLS from the first byte.
    Implicit,
    /// None; only to this host itself.
    None,
}

impl EmailTls {
    fn usual_port(self) -> u16 {
        match self {
            Self::Starttls => 587,
            Self::Implicit => 465,
            Self::None => 25,
        }
    }
}

/// Which mail server is used, from whom and to whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmailConfig {
    /// The mail server's name or address.
    pub host: String,
    /// Its port; 587 with STARTTLS, 465 with implicit TLS, 25 without by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// `starttls`, `implicit`, or `none`, which goes to this host only; `starttls` by default.
    #[serde(default = "starttls")]
    pub tls: EmailTls,
    /// The name by which we log in; without one nobody logs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The file with the password; only its owner may read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// The sender, such as `BCDR <bcdr@example.com>`.
    pub from: String,
    /// Who gets it.
    pub to: Vec<String>,
    /// The file with the authorities that are believed, as PEM; those of the system by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorities_file: Option<PathBuf>,
}

fn starttls() -> EmailTls {
    EmailTls::Starttls
}

/// A mail server that is used.
pub(crate) struct Mail {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
}

fn wrong(field: &'static str, cause: impl Into<String>) -> ChannelError {
    ChannelError::Field {
        field,
        cause: cause.into(),
    }
}

fn mailbox(field: &'static str, text: &str) -> Result<Mailbox, ChannelError> {
    text.parse().map_err(|error| {
        let cause = format!("{text:?} is no address: {error}; write NAME <USER@HOST> or USER@HOST");
        wrong(field, cause)
    })
}

impl Mail {
    pub(crate) fn open(config: &EmailConfig) -> Result<Self, ChannelError> {
        let to = config.to.iter().map(|text| mailbox("to", text));
        let to = to.collect::<Result<Vec<_>, _>>()?;
        if to.is_empty() || to.len() > RECIPIENTS_MAX {
            let cause = format!("it has {} addresses, not 1 to {RECIPIENTS_MAX}", to.len());
            return Err(wrong("to", cause));
        }
        let port = config.port.unwrap_or(config.tls.usual_port());
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&config.host)
            .port(port)
            .timeout(Some(COMMAND))
            .tls(tls(config)?);
        builder = match (&config.user, &config.password_file) {
            (Some(_), Some(_)) if config.tls == EmailTls::None => {
                let cause = "a password is not sent in plain text; take starttls or implicit";
                return Err(wrong("tls", cause));
            }
            (Some(user), Some(file)) => {
                let password = secret(file)?;
                builder.credentials(Credentials::new(user.clone(), password.to_string()))
            }
            (None, None) => builder,
            _ => {
                let cause = "user and password_file go together; give both or none";
                return Err(wrong("user", cause));
            }
        };
        Ok(Self {
            transport: builder.build(),
            from: mailbox("from", &config.from)?,
            to,
        })
    }

    pub(crate) async fn send(&self, told: &Told, language: Language) -> Result<(), String> {
        let domain = self.from.email.domain();
        let mut builder = Message::builder()
            .from(self.from.clone())
            // The same each time it is sent, so that a mail that came twice is seen to be one.
            .message_id(Some(format!("<{}@{domain}>", told.id())))
            .subject(told.subject(language))
            .header(ContentType::TEXT_PLAIN);
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        let mail = builder
            .body(told.text(language))
            .map_err(|error| format!("the mail cannot be made: {error}"))?;
        let sent = self.transport.send(mail).await;
        sent.map(drop).map_err(|error| {
            let mut text = error.to_string();
            let mut cause = std::error::Error::source(&error);
            while let Some(next) = cause {
                let more = next.to_string();
                if !text.contains(&more) {
                    text = format!("{text}: {more}");
                }
                cause = next.source();
            }
            format!(
                "the mail server did not take it: {text}; check its address, its certificate and the password"
            )
        })
    }
}

fn tls(config: &EmailConfig) -> Result<Tls, ChannelError> {
    if config.tls == EmailTls::None {
        let address: Option<IpAddr> = config.host.parse().ok();
        let is_here =
            config.host == "localhost" || address.is_some_and(|address| address.is_loopback());
        return if is_here {
            Ok(Tls::None)
        } else {
            let cause = format!(
                "{} is another host, and mail does not go there in plain text; take starttls or implicit",
                config.host
            );
            Err(wrong("tls", cause))
        };
    }
    let unusable = |error: lettre::transport::smtp::Error| {
        wrong("authorities_file", format!("TLS cannot be used: {error}"))
    };
    let mut builder = TlsParameters::builder(config.host.clone());
    if let Some(file) = &config.authorities_file {
        builder = builder.certificate_store(CertificateStore::None);
        let pem = authorities(file)?;
        let certificate = Certificate::from_pem(pem.as_bytes()).map_err(unusable)?;
        builder = builder.add_root_certificate(certificate);
    }
    let parameters = builder.build().map_err(unusable)?;
    Ok(match config.tls {
        EmailTls::Implicit => Tls::Wrapper(parameters),
        _ => Tls::Required(parameters),
    })
}
