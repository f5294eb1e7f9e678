//! E-mail to a small mail server over real sockets.

use super::*;
use crate::alerts::channel::mail::{EmailConfig, EmailTls};
use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use std::sync::Arc;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// What a mail server was told in one session.
#[derive(Debug, Default)]
struct Session {
    /// Whether it was told behind TLS.
    is_private: bool,
    commands: Vec<String>,
    mail: String,
}

struct MailServer {
    port: u16,
    authority: String,
    sessions: mpsc::UnboundedReceiver<Session>,
    task: JoinHandle<()>,
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn certificate() -> (TlsAcceptor, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned()];
    let leaf = CertificateParams::new(names).unwrap();
    let leaf = leaf.signed_by(&key, &authority).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), authority.pem())
}

impl MailServer {
    async fn start(tls: EmailTls) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (acceptor, authority) = certificate();
        let (sender, sessions) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let session = serve(stream, &acceptor, tls).await.unwrap_or_default();
                let _gone = sender.send(session);
            }
        });
        Self {
            port,
            authority,
            sessions,
            task,
        }
    }
}

async fn serve(
    mut stream: TcpStream,
    acceptor: &TlsAcceptor,
    tls: EmailTls,
) -> std::io::Result<Session> {
    let mut session = Session::default();
    match tls {
        EmailTls::None => converse(&mut stream, &mut session, true, false).await?,
        EmailTls::Implicit => {
            session.is_private = true;
            let mut stream = acceptor.accept(stream).await?;
            converse(&mut stream, &mut session, true, false).await?;
        }
        EmailTls::Starttls => {
            converse(&mut stream, &mut session, true, true).await?;
            session.is_private = true;
            let mut stream = acceptor.accept(stream).await?;
            converse(&mut stream, &mut session, false, false).await?;
        }
    }
    Ok(session)
}

/// Until the other side leaves, or wants TLS.
async fn converse(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    session: &mut Session,
    greets: bool,
    offers: bool,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    if greets {
        stream.write_all(b"220 mail.example ESMTP\r\n").await?;
    }
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let command = line.trim_end().to_owned();
        let answer = match command.split(' ').next().unwrap_or_default() {
            "EHLO" if offers => "250-mail.example\r\n250 STARTTLS\r\n",
            "EHLO" => "250-mail.example\r\n250 AUTH PLAIN\r\n",
            "STARTTLS" if offers => {
                stream.write_all(b"220 go on\r\n").await?;
                session.commands.push(command);
                return Ok(());
            }
            "AUTH" => "235 welcome\r\n",
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                while !session.mail.ends_with("\r\n.\r\n") {
                    stream.read_line(&mut session.mail).await?;
                }
                "250 taken\r\n"
            }
            "QUIT" => {
                stream.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            "RCPT" if command.contains("gone@") => "550 5.1.1 no such user\r\n",
            "MAIL" | "RCPT" | "NOOP" | "RSET" => "250 ok\r\n",
            _ => "500 what?\r\n",
        };
        session.commands.push(command);
        stream.write_all(answer.as_bytes()).await?;
    }
}

fn mail(site: &Site, server: &MailServer, tls: EmailTls) -> EmailConfig {
    let private_way = tls != EmailTls::None;
    EmailConfig {
        host: "localhost".to_owned(),
        port: Some(server.port),
        tls,
        user: private_way.then(|| "bcdr".to_owned()),
        password_file: private_way.then(|| private(site, "mail.password", "hunter2\n")),
        from: "BCDR <bcdr@example.com>".to_owned(),
        to: vec!["ann@example.com".to_owned(), "bob@example.com".to_owned()],
        authorities_file: private_way.then(|| private(site, "ca.pem", &server.authority)),
    }
}

#[tokio::test]
async fn a_mail_arrives_by_every_way() {
    for tls in [EmailTls::Starttls, EmailTls::Implicit, EmailTls::None] {
        let mut server = MailServer::start(tls).await;
        let mut site = Site::start().await;
        let channel = ChannelConfig {
            email: Some(mail(&site, &server, tls)),
            ..channel("mail")
        };
        with_channels(&mut site, vec![channel]).await;
        group(&site, "lab").await;
        let is_told = |alert: &Value| alert["state"] == "raised";
        let id = the_alert(&site, is_told).await["id"].clone();
        let path = format!("/api/v1/alerts/{}", id.as_str().unwrap());
        let told = |alert: &Value| alert["deliveries"][0]["state"] == "delivered";
        let alert = site.until(&path, told).await;
        site.stop().await;
        let session = server.sessions.recv().await.unwrap();
        assert_eq!(session.is_private, tls != EmailTls::None, "{session:?}");
        let logged_in = session.commands.iter().any(|one| one.starts_with("AUTH"));
        assert_eq!(logged_in, session.is_private, "{session:?}");
        let to = session
            .commands
            .iter()
            .filter(|one| one.starts_with("RCPT"));
        assert_eq!(to.count(), 2, "{session:?}");
        let delivery = alert["deliveries"][0]["id"].as_str().unwrap();
        let id = format!("Message-ID: <{delivery}@example.com>");
        assert!(session.mail.contains(&id), "{session:?}");
        assert!(
            session.mail.contains("lab: unprotected raised"),
            "{session:?}"
        );
    }
}

#[tokio::test]
async fn a_mailbox_that_is_gone_keeps_nobody_else_from_being_told() {
    let mut server = MailServer::start(EmailTls::None).await;
    let mut site = Site::start().await;
    let email = |to: &[&str]| EmailConfig {
        to: to.iter().map(|to| (*to).to_owned()).collect(),
        ..mail(&site, &server, EmailTls::None)
    };
    let some = ChannelConfig {
        email: Some(email(&["gone@example.com", "ann@example.com"])),
        ..channel("some")
    };
    let nobody = ChannelConfig {
        email: Some(email(&["gone@example.com"])),
        codes: [AlertCode::SplitBrainSuspected].into(),
        ..channel("nobody")
    };
    with_channels(&mut site, vec![some, nobody]).await;
    group(&site, "lab").await;
    let is_told = |alert: &Value| alert["state"] == "raised";
    let id = the_alert(&site, is_told).await["id"].clone();
    let path = format!("/api/v1/alerts/{}", id.as_str().unwrap());
    let told = |alert: &Value| alert["deliveries"][0]["state"] == "delivered";
    site.until(&path, told).await;
    let session = server.sessions.recv().await.unwrap();
    assert!(session.mail.contains("unprotected raised"), "{session:?}");
    let asked = session
        .commands
        .iter()
        .filter(|one| one.starts_with("RCPT"));
    assert_eq!(asked.count(), 2, "{session:?}");

    // Whom it does not reach is shown all the same, and the channel works.
    let shown = site.get("/api/v1/alert-channels").await.expect(200);
    let some = &shown["items"][1];
    let failure = some["last_failure"].to_string();
    assert!(
        failure.contains("gone@example.com") && failure.contains("550"),
        "{shown}"
    );
    assert!(some["failing_since"].is_null() && some["last_success_at"].is_string());
    for (name, words) in [
        ("some", "took it for others"),
        ("nobody", "takes it for nobody"),
    ] {
        let path = format!("/api/v1/alert-channels/{name}/actions/test");
        let tested = site.post(&path, json!({})).await.expect(200);
        let error = tested["error"].as_str().unwrap();
        assert!(
            error.contains(words) && error.contains("gone@example.com: "),
            "{error}"
        );
        let session = server.sessions.recv().await.unwrap();
        assert_eq!(session.mail.is_empty(), name == "nobody", "{session:?}");
    }
}

#[tokio::test]
async fn a_mail_server_that_is_not_trusted_is_told_nothing() {
    let server = MailServer::start(EmailTls::Starttls).await;
    let other = MailServer::start(EmailTls::Starttls).await;
    let mut site = Site::start().await;
    let email = EmailConfig {
        authorities_file: Some(private(&site, "other.pem", &other.authority)),
        ..mail(&site, &server, EmailTls::Starttls)
    };
    let channel = ChannelConfig {
        email: Some(email),
        ..channel("mail")
    };
    with_channels(&mut site, vec![channel]).await;
    let tested = site.post("/api/v1/alert-channels/mail/actions/test", json!({}));
    let tested = tested.await.expect(200);
    assert_eq!(tested["delivered"], false, "{tested}");
    let error = tested["error"].as_str().unwrap();
    assert!(
        error.contains("certificate") && !error.contains("hunter2"),
        "{error}"
    );
}

#[tokio::test]
async fn plain_text_goes_to_this_host_only_and_never_with_a_password() {
    let server = MailServer::start(EmailTls::None).await;
    let mut site = Site::start().await;
    let plain = mail(&site, &server, EmailTls::None);
    let elsewhere = EmailConfig {
        host: "mail.example.com".to_owned(),
        ..plain.clone()
    };
    let with_password = EmailConfig {
        user: Some("bcdr".to_owned()),
        password_file: Some(private(&site, "mail.password", "hunter2")),
        ..plain.clone()
    };
    let nobody = EmailConfig {
        to: vec!["nobody".to_owned()],
        ..plain
    };
    site.stop().await;
    for (email, named) in [
        (elsewhere, "mail.example.com is another host"),
        (with_password, "a password is not sent in plain text"),
        (nobody, "\"nobody\" is no address"),
    ] {
        let mut config = site.config.clone();
        config.alerts.channels = vec![ChannelConfig {
            email: Some(email),
            ..channel("mail")
        }];
        let refused = crate::role::start(config, tokio_util::sync::CancellationToken::new());
        let error = refused.await.unwrap_err().to_string();
        assert!(error.contains(named), "{named}: {error}");
    }
    site.resume().await;
}
