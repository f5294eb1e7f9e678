//! E-mail, by SMTP.
//!
//! With TLS from the first byte, or with STARTTLS that is never done without; plain text goes to this
//! very host only, and then without a password. A mail is taken when the server takes it for anybody:
//! a mailbox that is gone must not keep the others from being told.

use super::{ChannelError, authorities, secret};
use crate::alerts::Message as Told;
use bcdr_alert::{Language, Sent, Taken};
use lettre::{
    Message,
    message::{Mailbox, header::ContentType},
    transport::smtp::{
        Error as SmtpError,
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{AsyncSmtpConnection, Certificate, CertificateStore, Tls, TlsParameters},
        commands,
        extension::{ClientId, MailBodyParameter, MailParameter},
    },
};
use serde::{Deserialize, Serialize};
use std::{net::IpAddr, path::PathBuf, time::Duration};

/// Most people who get a mail.
const RECIPIENTS_MAX: usize = 50;
/// The longest time in which a server is reached.
const REACHED: Duration = Duration::from_secs(20);

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
    host: String,
    port: u16,
    tls: Tls,
    credentials: Option<Credentials>,
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
        let credentials = match (&config.user, &config.password_file) {
            (Some(_), Some(_)) if config.tls == EmailTls::None => {
                let cause = "a password is not sent in plain text; take starttls or implicit";
                return Err(wrong("tls", cause));
            }
            (Some(user), Some(file)) => {
                let password = secret(file)?;
                Some(Credentials::new(user.clone(), password.to_string()))
            }
            (None, None) => None,
            _ => {
                let cause = "user and password_file go together; give both or none";
                return Err(wrong("user", cause));
            }
        };
        Ok(Self {
            host: config.host.clone(),
            port: config.port.unwrap_or(config.tls.usual_port()),
            tls: tls(config)?,
            credentials,
            from: mailbox("from", &config.from)?,
            to,
        })
    }

    pub(crate) async fn send(&self, told: &Told, language: Language) -> Sent {
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
        let refused = self.deliver(&mail.formatted()).await.map_err(|error| {
            let error = words(&error);
            format!(
                "the mail server did not take it: {error}; check its address, its certificate and the password"
            )
        })?;
        if refused.len() == self.to.len() {
            let refused = refused.join("; ");
            return Err(format!(
                "the mail server takes it for nobody: {refused}; correct the channel's addresses"
            ));
        }
        let but = (!refused.is_empty()).then(|| {
            let refused = refused.join("; ");
            format!(
                "the mail server took it for others, but not for {refused}; correct that address of the channel"
            )
        });
        Ok(Taken { but })
    }

    /// Gives a mail to the server, and says for whom it was not taken, and why.
    async fn deliver(&self, mail: &[u8]) -> Result<Vec<String>, SmtpError> {
        let mut connection = self.connect().await?;
        let refused = self.converse(&mut connection, mail).await;
        connection.abort().await;
        refused
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, SmtpError> {
        let hello = ClientId::default();
        let from_the_first_byte = match &self.tls {
            Tls::Wrapper(parameters) => Some(parameters.clone()),
            _ => None,
        };
        let server = (self.host.as_str(), self.port);
        let connected = AsyncSmtpConnection::connect_tokio1(
            server,
            Some(REACHED),
            &hello,
            from_the_first_byte,
            None,
        );
        let mut connection = connected.await?;
        if let Tls::Required(parameters) = &self.tls {
            connection.starttls(parameters.clone(), &hello).await?;
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }

    /// One mail, for all that the server takes it for.
    async fn converse(
        &self,
        connection: &mut AsyncSmtpConnection,
        mail: &[u8],
    ) -> Result<Vec<String>, SmtpError> {
        // Only where it is needed: what is sent with them may go no further than to this server.
        let mut parameters = Vec::new();
        let mut addresses = self.to.iter().chain([&self.from]);
        if addresses.any(|one| !one.email.to_string().is_ascii()) {
            parameters.push(MailParameter::SmtpUtfEight);
        }
        if !mail.is_ascii() {
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        let from = Some(self.from.email.clone());
        connection
            .command(commands::Mail::new(from, parameters))
            .await?;
        let mut refused = Vec::new();
        for to in &self.to {
            let command = commands::Rcpt::new(to.email.clone(), Vec::new());
            match connection.command(command).await {
                Ok(_) => {}
                // What the server says of this one; it goes on with the next.
                Err(error) if error.status().is_some() => {
                    refused.push(format!("{}: {}", to.email, words(&error)));
                }
                Err(error) => return Err(error),
            }
        }
        if refused.len() < self.to.len() {
            connection.command(commands::Data).await?;
            connection.message(mail).await?;
        }
        Ok(refused)
    }
}

/// What went wrong, with all its causes.
fn words(error: &SmtpError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        let more = next.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = next.source();
    }
    text
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
