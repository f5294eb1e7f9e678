//! A small API on a free port, with its own certificate, tokens and a handler that can be held.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::routing::{get, post};
use axum::{Extension, Router};
use bcdr_http::{
    ApiJson, ApiPath, ApiQuery, Authenticator, Detail, Drained, Health, Limits, LookupError,
    Metrics, Permission, Permissions, Principal, PrincipalKind, Problem, Role, TlsConfig, Token,
    TokenHash, complete, health, require_principal, serve_tls,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

pub(crate) type TlsStream = rustls::StreamOwned<rustls::ClientConnection, std::net::TcpStream>;

struct Tokens(HashMap<TokenHash, Principal>);

impl Authenticator for Tokens {
    fn principal(&self, token: &TokenHash) -> Result<Option<Principal>, LookupError> {
        Ok(self.0.get(token).cloned())
    }

    fn session(&self, _session: &TokenHash) -> Result<Option<Principal>, LookupError> {
        Ok(None)
    }
}

#[derive(Default)]
struct Hold {
    entered: Notify,
    release: Notify,
}

#[derive(Deserialize)]
struct Page {
    limit: Option<u32>,
}

#[derive(Serialize)]
struct Shown {
    id: u32,
    limit: Option<u32>,
}

#[derive(Deserialize)]
struct NewGroup {
    name: String,
    volumes: u32,
}

#[derive(Deserialize)]
struct GroupPath {
    id: u32,
}

async fn show(
    ApiPath(GroupPath { id }): ApiPath<GroupPath>,
    ApiQuery(Page { limit }): ApiQuery<Page>,
) -> ApiJson<Shown> {
    ApiJson(Shown { id, limit })
}

async fn make(
    Extension(principal): Extension<Principal>,
    ApiJson(group): ApiJson<NewGroup>,
) -> Result<(StatusCode, ApiJson<String>), Problem> {
    if group.volumes == 0 {
        return Err(Problem::invalid("a group needs a volume").field("volumes"));
    }
    Ok((
        StatusCode::CREATED,
        ApiJson(format!("{} by {}", group.name, principal.name)),
    ))
}

async fn slow(State(hold): State<Arc<Hold>>) -> &'static str {
    hold.entered.notify_one();
    hold.release.notified().await;
    "done"
}

async fn panics() -> Problem {
    panic!("planned")
}

pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    pub(crate) admin: Token,
    pub(crate) viewer: Token,
    pub(crate) health: Health,
    pub(crate) client: Arc<rustls::ClientConfig>,
    agent: ureq::Agent,
    tls: TlsConfig,
    hold: Arc<Hold>,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<Drained>,
}

impl Service {
    pub(crate) async fn start() -> Self {
        Self::start_with(Limits::default()).await
    }

    pub(crate) async fn start_with(limits: Limits) -> Self {
        // The clients use the process's provider; a second installation of the same is no matter.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let (admin, viewer) = (Token::generate().unwrap(), Token::generate().unwrap());
        let principal = |name: &str, role| Principal {
            kind: PrincipalKind::Token,
            id: format!("tok-{name}"),
            name: name.to_owned(),
            role,
            expires: None,
            bounds: None,
        };
        let tokens = Tokens(HashMap::from([
            (admin.hash(), principal("admin", Role::Admin)),
            (viewer.hash(), principal("viewer", Role::Viewer)),
        ]));
        let health = Health::new();
        let hold = Arc::new(Hold::default());
        let router = router(tokens, &health, Arc::clone(&hold));

        let (certificate, key) = certificate();
        let tls = TlsConfig::from_certificate(vec![certificate.clone()], key).unwrap();
        let (agent, client) = clients(&certificate);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(serve_tls(listener, tls.clone(), router, limits, async {
            let _ = stopped.await;
        }));
        let stop = Some(stop);
        Self {
            address,
            admin,
            viewer,
            health,
            client,
            agent,
            tls,
            hold,
            stop,
            served,
        }
    }

    pub(crate) async fn get(&self, path: &str, token: Option<&Token>) -> Answer {
        self.request(path, token).await
    }

    /// The request as a future that owns all it needs.
    pub(crate) fn request(
        &self,
        path: &str,
        token: Option<&Token>,
    ) -> impl Future<Output = Answer> + Send + 'static {
        let mut request = self.agent.get(self.url(path));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {}", token.expose()));
        }
        async { in_thread(move || request.call()).await }
    }

    pub(crate) async fn post(&self, path: &str, token: &Token, body: &str) -> Answer {
        let request = self
            .agent
            .post(self.url(path))
            .header("authorization", format!("Bearer {}", token.expose()))
            .header("content-type", "application/json; charset=utf-8");
        let body = body.to_owned();
        in_thread(move || request.send(body)).await
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }

    /// A connection after its handshake.
    pub(crate) async fn connect(&self) -> TlsStream {
        let (address, client) = (self.address, Arc::clone(&self.client));
        tokio::task::spawn_blocking(move || handshake(address, &client))
            .await
            .unwrap()
    }

    /// Serves a certificate made anew, and trusts only that from now on.
    pub(crate) fn change_certificate(&mut self) {
        let (certificate, key) = certificate();
        self.tls
            .replace_certificate(vec![certificate.clone()], key)
            .unwrap();
        (self.agent, self.client) = clients(&certificate);
    }

    /// Waits until a request is in the slow handler.
    pub(crate) async fn entered(&self) {
        self.hold.entered.notified().await;
    }

    pub(crate) fn release(&self) {
        self.hold.release.notify_one();
    }

    pub(crate) fn order_stop(&mut self) {
        let _ = self.stop.take().expect("stopped once").send(());
    }

    /// Waits until new connections are refused.
    pub(crate) async fn refused(&self) {
        while tokio::net::TcpStream::connect(self.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }

    pub(crate) async fn stop(mut self) -> Drained {
        if self.stop.is_some() {
            self.order_stop();
        }
        self.served.await.unwrap()
    }
}

fn router(tokens: Tokens, health: &Health, hold: Arc<Hold>) -> Router {
    let api = Router::new()
        .route("/groups", post(make))
        .route("/groups/{id}", get(show))
        .route("/panic", get(panics))
        .route("/slow", get(slow))
        .with_state(hold);
    let mut permissions = Permissions::default();
    for (method, path, permission) in [
        (Method::POST, "/api/v1/groups", Permission::Protect),
        (Method::GET, "/api/v1/groups/{id}", Permission::Read),
        (Method::GET, "/api/v1/panic", Permission::Read),
        (Method::GET, "/api/v1/slow", Permission::Read),
    ] {
        permissions.need(method, path, permission);
    }
    let metrics = Metrics::new(prometheus::Registry::new(), "test", "0").unwrap();
    let router = Router::new()
        .nest(
            "/api/v1",
            require_principal(api, Arc::new(tokens), permissions),
        )
        .merge(health::routes(health.clone(), Detail::Names))
        .merge(metrics.routes());
    complete(router, &metrics)
}

fn certificate() -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    (made.cert.der().clone(), key)
}

fn clients(certificate: &CertificateDer<'static>) -> (ureq::Agent, Arc<rustls::ClientConfig>) {
    let root = ureq::tls::Certificate::from_der(certificate.as_ref()).to_owned();
    let tls = ureq::tls::TlsConfig::builder()
        .root_certs(ureq::tls::RootCerts::Specific(Arc::new(vec![root])))
        .build();
    // One connection per request, so that the numbers of a drain are exact.
    let agent = ureq::Agent::config_builder()
        .tls_config(tls)
        .http_status_as_error(false)
        .max_idle_connections(0)
        .build()
        .new_agent();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let client = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (agent, Arc::new(client))
}

/// Connects and completes the handshake; waits as long as the server lets it wait.
pub(crate) fn handshake(address: SocketAddr, client: &Arc<rustls::ClientConfig>) -> TlsStream {
    let name = ServerName::try_from("localhost").unwrap();
    let connection = rustls::ClientConnection::new(Arc::clone(client), name).unwrap();
    let tcp = std::net::TcpStream::connect(address).unwrap();
    let mut stream = rustls::StreamOwned::new(connection, tcp);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).unwrap();
    }
    stream
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    headers: ureq::http::HeaderMap,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The problem in the body, which must have this status inside and outside.
    pub(crate) fn problem(&self, status: u16) -> Problem {
        let problem: Problem = serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.body));
        assert_eq!(
            (self.status, problem.status),
            (status, status),
            "{problem:?}"
        );
        problem
    }
}

async fn in_thread(
    call: impl FnOnce() -> Result<ureq::http::Response<ureq::Body>, ureq::Error> + Send + 'static,
) -> Answer {
    tokio::task::spawn_blocking(move || {
        let mut response = call().unwrap();
        let body = response.body_mut().read_to_string().unwrap();
        Answer {
            status: response.status().as_u16(),
            body,
            headers: response.headers().clone(),
        }
    })
    .await
    .unwrap()
}
