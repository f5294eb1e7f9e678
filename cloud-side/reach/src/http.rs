//! One HTTP exchange with an address that the caller chose.
//!
//! Invariants: it connects to the given address and to no other, follows nothing, uses no proxy, ends
//! at its deadline, and takes at most a given number of bytes of an answer. hyper and tokio are used
//! rather than a blocking client, so that an exchange that is dropped is over at once, and so that the
//! address is exactly the one that was checked.

mod tls;

use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request,
    body::{Bytes, Incoming},
    client::conn::http1,
    header::{CONTENT_LENGTH, HOST, HeaderName, HeaderValue, LOCATION, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use std::{convert::Infallible, io, net::SocketAddr};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{Instant, timeout_at},
};
use url::Url;

pub(crate) use tls::{Tls, text_of};
pub use tls::{Trust, TrustError};

/// Most bytes of status line and headers that are taken.
const HEAD_MAX: usize = 64 * 1024;

/// The stage in which the request is on its way, or was taken.
const WAITING: &str = "waiting for the answer";

/// What to send where.
pub(crate) struct Exchange<'a> {
    pub(crate) method: Method,
    pub(crate) url: &'a Url,
    /// The address to connect to, whatever the URL's host resolves to.
    pub(crate) address: SocketAddr,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
    /// Most bytes of the answer's body that are taken.
    pub(crate) answer_max: usize,
    pub(crate) deadline: Instant,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) location: Option<String>,
    pub(crate) body: Vec<u8>,
    /// Whether the body went on.
    pub(crate) was_cut: bool,
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExchangeError {
    #[error("cannot connect to {address}: {source}")]
    Connect {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("TLS with {address} failed: {}", text_of(.source))]
    Tls {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("{host:?} cannot be the name of a TLS server; give a DNS name or an address")]
    ServerName { host: String },
    #[error("no time was left while {stage}")]
    TimedOut { stage: &'static str },
    #[error("{address} does not speak HTTP as it should: {}", text_of(.source))]
    Http {
        address: SocketAddr,
        #[source]
        source: hyper::Error,
    },
    #[error("the request cannot be made: {0}")]
    Request(#[from] hyper::http::Error),
}

impl ExchangeError {
    /// Whether another try, with nothing changed by anybody, may end differently.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            // A server that is being started may refuse or cut; one with a bad certificate stays so.
            Self::Tls { source, .. } => !tls::is_about_trust(source),
            Self::Connect { .. } | Self::TimedOut { .. } | Self::Http { .. } => true,
            Self::ServerName { .. } | Self::Request(_) => false,
        }
    }

    /// Whether nothing of the request can have reached the server.
    pub(crate) fn sent_nothing(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::Tls { .. }
            | Self::ServerName { .. }
            | Self::Request(_) => true,
            Self::TimedOut { stage } => *stage != WAITING,
            Self::Http { .. } => false,
        }
    }
}

/// Connects, sends, and reads the answer.
pub(crate) async fn exchange(exchange: &Exchange<'_>, tls: &Tls) -> Result<Answer, ExchangeError> {
    let address = exchange.address;
    let stream = within(exchange, "connecting", TcpStream::connect(address))
        .await?
        .map_err(|source| ExchangeError::Connect { address, source })?;
    // What is asked fits into one packet, and nothing follows it.
    let _ = stream.set_nodelay(true);
    exchange_over(exchange, tls, stream).await
}

/// Sends over a connection that stands already, and reads the answer.
pub(crate) async fn exchange_over(
    exchange: &Exchange<'_>,
    tls: &Tls,
    stream: impl AsyncRead + AsyncWrite + Unpin,
) -> Result<Answer, ExchangeError> {
    let address = exchange.address;
    if exchange.url.scheme() != "https" {
        return speak(exchange, stream).await;
    }
    let name = tls::server_name(exchange.url)?;
    let stream = within(
        exchange,
        "agreeing on TLS",
        tls.connector().connect(name, stream),
    )
    .await?
    .map_err(|source| ExchangeError::Tls { address, source })?;
    speak(exchange, stream).await
}

async fn within<T>(
    exchange: &Exchange<'_>,
    stage: &'static str,
    work: impl Future<Output = T>,
) -> Result<T, ExchangeError> {
    timeout_at(exchange.deadline, work)
        .await
        .map_err(|_| ExchangeError::TimedOut { stage })
}

async fn speak(
    exchange: &Exchange<'_>,
    stream: impl AsyncRead + AsyncWrite + Unpin,
) -> Result<Answer, ExchangeError> {
    let request = request(exchange)?;
    let conversation = async {
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_MAX)
            .handshake(TokioIo::new(stream))
            .await?;
        let answer = async {
            let response = sender.send_request(request).await?;
            read(response, exchange.answer_max).await
        };
        // What a connection that ended had read is still to be taken from it.
        let driven = async {
            let _ = connection.await;
            std::future::pending::<Infallible>().await
        };
        tokio::select! {
            answer = answer => answer,
            never = driven => match never {},
        }
    };
    within(exchange, WAITING, conversation)
        .await?
        .map_err(|source: hyper::Error| ExchangeError::Http {
            address: exchange.address,
            source,
        })
}

fn request(exchange: &Exchange<'_>) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let url = exchange.url;
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let host = match (url.host_str().unwrap_or_default(), url.port()) {
        (host, Some(port)) => format!("{host}:{port}"),
        (host, None) => host.to_owned(),
    };
    let mut request = Request::builder()
        .method(exchange.method.clone())
        .uri(target)
        .header(HOST, host)
        .header(USER_AGENT, concat!("bcdr/", env!("CARGO_PKG_VERSION")))
        .header("connection", "close");
    for (name, value) in &exchange.headers {
        request = request.header(name, value);
    }
    if exchange.method != Method::GET {
        request = request.header(CONTENT_LENGTH, exchange.body.len());
    }
    request.body(Full::new(exchange.body.clone()))
}

async fn read(response: hyper::Response<Incoming>, most: usize) -> Result<Answer, hyper::Error> {
    let status = response.status().as_u16();
    let location = response
        .headers()
        .get(LOCATION)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let mut incoming = response.into_body();
    let mut body = Vec::new();
    let mut was_cut = false;
    while let Some(frame) = incoming.frame().await {
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        let room = most - body.len();
        body.extend_from_slice(&data[..room.min(data.len())]);
        if data.len() > room {
            was_cut = true;
            break;
        }
    }
    Ok(Answer {
        status,
        location,
        body,
        was_cut,
    })
}
