//! Small servers on the loopback for tests: what they answer is a function of count and request.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use std::sync::{Arc, Mutex};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// A server that ends with the value.
pub(crate) struct Server {
    port: u16,
    task: JoinHandle<()>,
    requests: Arc<Mutex<Vec<String>>>,
    connected: Arc<Notify>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Respond = Arc<dyn Fn(usize, &str) -> String + Send + Sync>;

impl Server {
    /// Answers the nth request (the first is 1) with what the function makes of its text.
    pub(crate) async fn http(
        respond: impl Fn(usize, &str) -> String + Send + Sync + 'static,
    ) -> Self {
        let respond: Respond = Arc::new(respond);
        Self::start(move |stream, requests| answer(stream, requests, Arc::clone(&respond))).await
    }

    /// The same over TLS under a name; also gives the authority's certificate.
    pub(crate) async fn https(
        name: &str,
        respond: impl Fn(usize, &str) -> String + Send + Sync + 'static,
    ) -> (Self, String) {
        let respond: Respond = Arc::new(respond);
        let (config, authority) = certificate(name);
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let server = Self::start(move |stream, requests| {
            let (acceptor, respond) = (acceptor.clone(), Arc::clone(&respond));
            async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    answer(stream, requests, respond).await;
                }
            }
        })
        .await;
        (server, authority)
    }

    /// Says something to everybody who connects, and ends.
    pub(crate) async fn saying(text: &'static str) -> Self {
        Self::start(move |mut stream, _| async move {
            let _ = stream.write_all(text.as_bytes()).await;
            let _ = stream.shutdown().await;
        })
        .await
    }

    /// Takes connections and never says anything.
    pub(crate) async fn silent() -> Self {
        Self::start(|stream, _| async move {
            let _stream = stream;
            std::future::pending::<()>().await;
        })
        .await
    }

    async fn start<F>(
        serve: impl Fn(TcpStream, Arc<Mutex<Vec<String>>>) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let connected = Arc::new(Notify::new());
        let (kept, told) = (Arc::clone(&requests), Arc::clone(&connected));
        let task = tokio::spawn(async move {
            let mut served = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                told.notify_one();
                served.spawn(serve(stream, Arc::clone(&kept)));
            }
        });
        Self {
            port,
            task,
            requests,
            connected,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Every request, head and body.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// Waits until somebody connects.
    pub(crate) async fn connected(&self) {
        self.connected.notified().await;
    }
}

async fn answer(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    requests: Arc<Mutex<Vec<String>>>,
    respond: Respond,
) {
    let Some(request) = read_request(&mut stream).await else {
        return;
    };
    let response = {
        let mut requests = requests.lock().unwrap();
        requests.push(request.clone());
        respond(requests.len(), &request)
    };
    let _ = stream.write_all(response.as_bytes()).await;
    let _ = stream.shutdown().await;
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    loop {
        let length = stream
            .read(&mut buffer)
            .await
            .ok()
            .filter(|length| *length > 0)?;
        text.push_str(&String::from_utf8_lossy(&buffer[..length]));
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let announced = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            if body.len() >= announced {
                return Some(text);
            }
        }
    }
}

/// A whole answer.
pub(crate) fn status(status: u16, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} Test\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A redirection.
pub(crate) fn redirect(location: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")
}

/// A port on which nobody listened a moment ago.
pub(crate) async fn closed_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    listener.local_addr().unwrap().port()
}

fn certificate(name: &str) -> (ServerConfig, String) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec![name.to_owned()])
        .unwrap()
        .signed_by(&key, &authority)
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            rustls_pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    (config, authority.pem())
}
