//! The client against a real TLS server in this process.

use super::super::exit;
use super::*;
use axum::{
    Json, Router,
    extract::Query,
    http::HeaderMap,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bcdr_format::{InstallationId, Timestamp};
use bcdr_http::{Limits, TlsConfig, serve_tls};
use bcdr_wire::identity::{
    AlternativeName, CertificateAuthority, IssueRequest, Role, VALIDITY_MAX,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::Mutex,
};
use tempfile::TempDir;
use tokio::{net::TcpListener, runtime::Runtime};

/// An API that is not ours, and a way to it.
pub(in crate::cli) struct Site {
    pub(in crate::cli) directory: TempDir,
    pub(in crate::cli) context: Context,
    pub(in crate::cli) token: String,
    pub(in crate::cli) address: SocketAddr,
    runtime: Runtime,
}

impl Site {
    /// Serves these routes with a certificate for this name.
    pub(in crate::cli) fn new(router: Router, name: AlternativeName) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let now = Timestamp(jiff::Timestamp::now().as_microsecond());
        let authority = CertificateAuthority::create(InstallationId::from_u128(1), now).unwrap();
        let request = IssueRequest {
            role: Role::ApiServer,
            name: "api".to_owned(),
            alternative_names: vec![name],
            validity: VALIDITY_MAX,
        };
        let issued = authority.issue(&request, now).unwrap();
        let chain = CertificateDer::pem_slice_iter(issued.certificate_pem.as_bytes());
        let tls = TlsConfig::from_certificate(
            chain.collect::<Result<_, _>>().unwrap(),
            PrivateKeyDer::from_pem_slice(issued.key_pem.as_bytes()).unwrap(),
        )
        .unwrap();
        let runtime = Runtime::new().unwrap();
        let listener = runtime
            .block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
            .unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(serve_tls(
            listener,
            tls,
            router,
            Limits::default(),
            std::future::pending(),
        ));
        let token = Token::generate().unwrap().expose().to_owned();
        let (token_file, ca) = (
            directory.path().join("token"),
            directory.path().join("ca.pem"),
        );
        fs::write(&token_file, format!("{token}\n")).unwrap();
        fs::write(&ca, authority.certificate_pem()).unwrap();
        let url = format!("https://{address}/");
        let context = Context {
            url,
            token_file,
            ca,
            launch: None,
        };
        Self {
            directory,
            context,
            token,
            address,
            runtime,
        }
    }

    fn local(router: Router) -> Self {
        Self::new(router, AlternativeName::Address(Ipv4Addr::LOCALHOST.into()))
    }

    fn client(&self) -> Client {
        Client::open(&self.context).unwrap()
    }

    /// Ends the server and every connection to it.
    fn end(self) -> (TempDir, Context) {
        self.runtime.shutdown_background();
        (self.directory, self.context)
    }
}

#[test]
fn the_token_is_sent_and_the_answer_comes_back_untouched() {
    let site = Site::local(Router::new().route(
        "/api/v1/groups/{group}",
        get(|headers: HeaderMap| async move {
            let token = headers["authorization"].to_str().unwrap().to_owned();
            format!(r#"{{"token":"{token}", "n":1.50}}"#)
        }),
    ));
    let document = site.client().get(&Path::new("groups").item("a/b")).unwrap();
    let text = serde_json::to_string(&document).unwrap();
    assert_eq!(
        text,
        format!(r#"{{"token":"Bearer {}", "n":1.50}}"#, site.token)
    );
}

#[test]
fn a_problem_keeps_its_words_and_gets_its_exit_code() {
    let site = Site::local(
        Router::new()
            .fallback(|| async { Problem::not_found("group", "x").cause("it was never made") }),
    );
    let failure = site
        .client()
        .get(&Path::new("groups").item("x"))
        .unwrap_err();
    assert_eq!(failure.code(), exit::NOT_FOUND);
    let text = failure.to_string();
    assert!(
        text.starts_with("there is no group x: it was never made; list"),
        "{text}"
    );
    assert!(site.client().group("x").unwrap().is_none());
}

#[test]
fn an_answer_of_something_else_is_named_as_such() {
    let router = Router::new()
        .route("/api/v1/page", get(|| async { "<html>" }))
        .fallback(|| async { (StatusCode::BAD_GATEWAY, "<html>") });
    let site = Site::local(router);
    for path in ["page", "other"] {
        let failure = site.client().get(&Path::new(path)).unwrap_err();
        assert_eq!(failure.code(), exit::ERROR);
        assert!(
            failure.to_string().contains("check that the context's url"),
            "{failure}"
        );
    }
}

#[test]
fn a_server_that_is_not_there_or_not_ours_is_told_apart_and_no_secret_is_shown() {
    let site = Site::local(Router::new());
    let other = Site::local(Router::new());
    let wrong_name = Site::new(
        Router::new(),
        AlternativeName::Dns("dr.example.com".to_owned()),
    );
    let path = Path::new("groups");
    let mut stranger = site.context.clone();
    stranger.ca.clone_from(&other.context.ca);
    let failure = Client::open(&stranger).unwrap().get(&path).unwrap_err();
    assert_eq!(failure.code(), exit::AUTHENTICATION);
    assert!(
        failure
            .to_string()
            .contains("does not belong to the installation"),
        "{failure}"
    );
    assert!(!failure.to_string().contains(&site.token));

    let failure = wrong_name.client().get(&path).unwrap_err();
    assert_eq!(failure.code(), exit::AUTHENTICATION);
    assert!(
        failure.to_string().contains("cannot prove who it is"),
        "{failure}"
    );

    let (token, address) = (site.token.clone(), site.address);
    assert!(!site.client().is_live());
    let (_directory, context) = site.end();
    let client = Client::open(&context).unwrap();
    let failure = client.get(&path).unwrap_err();
    assert_eq!(failure.code(), exit::ERROR);
    assert_eq!(failure.delivery(), Delivery::NotSent);
    let text = failure.to_string();
    assert!(
        text.contains(&format!("nothing listens at https://{address}")),
        "{text}"
    );
    assert!(
        text.contains("start the cloud side") && !text.contains(&token),
        "{text}"
    );
    assert!(!client.is_live());
}

#[test]
fn contexts_that_cannot_work_are_refused_before_anything_is_sent() {
    let site = Site::local(Router::new());
    let with = |change: &dyn Fn(&mut Context)| {
        let mut context = site.context.clone();
        change(&mut context);
        Client::open(&context).err().unwrap()
    };
    let plain = with(&|context| context.url = "http://127.0.0.1:1".to_owned());
    assert_eq!(plain.code(), exit::USAGE);
    assert!(plain.to_string().contains("TLS only"), "{plain}");
    let no_ca = with(&|context| context.ca = site.directory.path().join("none"));
    assert_eq!(no_ca.code(), exit::USAGE);
    let token_as_ca = with(&|context| context.ca.clone_from(&context.token_file.clone()));
    assert!(
        token_as_ca.to_string().contains("no certificate"),
        "{token_as_ca}"
    );
    assert!(!token_as_ca.to_string().contains(&site.token));
    let no_host = with_url(&site, "https://no-such-host.invalid:1");
    assert!(
        no_host.to_string().contains("no-such-host.invalid"),
        "{no_host}"
    );
}

fn with_url(site: &Site, url: &str) -> Failure {
    let context = Context {
        url: url.to_owned(),
        ..site.context.clone()
    };
    Client::open(&context)
        .unwrap()
        .get(&Path::new("system"))
        .unwrap_err()
}

/// Numbers from 0 to 2499, at most 1000 in a page.
async fn numbers(Query(query): Query<HashMap<String, String>>) -> Response {
    let from: u64 = query
        .get("cursor")
        .map_or(0, |cursor| cursor.parse().unwrap());
    let limit: u64 = query["limit"].parse().unwrap();
    assert!((1..=1000).contains(&limit), "limit {limit}");
    assert_eq!(query["kind"], "a&b");
    let end = (from + limit).min(2500);
    let next = (end < 2500).then(|| end.to_string());
    let items: Vec<u64> = (from..end).collect();
    Json(serde_json::json!({ "items": items, "next_cursor": next })).into_response()
}

#[test]
fn lists_are_read_to_their_end_or_to_the_limit() {
    let site = Site::local(Router::new().route("/api/v1/numbers", get(numbers)));
    let path = Path::new("numbers").query("kind", "a&b");
    let list = |limit| -> Items<u64> { site.client().list(&path, limit).unwrap().read().unwrap() };
    let all = list(None);
    assert_eq!(all.items, (0..2500).collect::<Vec<_>>());
    assert_eq!(all.next_cursor, None);
    let some = list(Some(1500));
    assert_eq!(some.items, (0..1500).collect::<Vec<_>>());
    assert_eq!(some.next_cursor.as_deref(), Some("1500"));
    assert_eq!(list(Some(2500)).items.len(), 2500);
}

#[test]
fn a_lost_answer_is_asked_for_again_with_the_same_key() {
    let keys = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&keys);
    let handler = move |headers: HeaderMap| {
        let seen = Arc::clone(&seen);
        async move {
            let key = headers["idempotency-key"].to_str().unwrap().to_owned();
            let first = {
                let mut seen = seen.lock().unwrap();
                seen.push(key);
                seen.len() == 1
            };
            // The connection breaks while the first answer is on its way.
            assert!(!first, "the connection breaks here");
            r#"{"id":"job-1"}"#
        }
    };
    let site = Site::local(Router::new().route("/api/v1/drills", post(handler)));
    let document = site
        .client()
        .post_repeatably(&Path::new("drills"), &[1])
        .unwrap();
    assert_eq!(document.json(), "{\n  \"id\": \"job-1\"\n}\n");
    let keys = keys.lock().unwrap();
    assert_eq!(keys.len(), 2);
    assert!(keys[0] == keys[1] && keys[0].len() == 32, "{keys:?}");
}

#[test]
fn a_refusal_is_not_repeated() {
    let count = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&count);
    let handler = move || {
        *counted.lock().unwrap() += 1;
        async { Problem::unavailable("starting", "not yet") }
    };
    let site = Site::local(Router::new().route("/api/v1/drills", post(handler)));
    let failure = site
        .client()
        .post_repeatably(&Path::new("drills"), &[1])
        .unwrap_err();
    assert_eq!(failure.delivery(), Delivery::Later);
    assert_eq!(*count.lock().unwrap(), 1);
}
