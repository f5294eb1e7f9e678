//! One try of an HTTP probe: asks, and follows where it may.

use super::{
    HttpProbe, allowed,
    judge::{BODY_MAX, Verdict, judge},
};
use crate::{
    http::{Answer, Exchange, ExchangeError, Tls, exchange, exchange_over},
    webhook::Networks,
};
use hyper::{Method, body::Bytes};
use std::net::{Ipv4Addr, SocketAddr};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};
use url::Url;

/// What was seen, as success or as failure.
pub(super) async fn ask(
    probe: &HttpProbe,
    mut url: Url,
    tls: &Tls,
    networks: &Networks,
    deadline: Instant,
) -> Result<String, String> {
    let mut followed = 0;
    loop {
        let answer = answer(probe, &url, followed, tls, networks, deadline).await?;
        match judge(probe, &url, followed, &answer) {
            Verdict::Passed(observed) => return Ok(observed),
            Verdict::Failed(observed) => return Err(observed),
            Verdict::Ask(next) => url = *next,
        }
        followed += 1;
    }
}

/// The same over a connection that stands already. It leads to one place, so a redirection is an
/// answer that does not pass.
pub(super) async fn ask_over(
    probe: &HttpProbe,
    url: &Url,
    tls: &Tls,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    deadline: Instant,
) -> Result<String, String> {
    let somewhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let address = probe.connect_to.unwrap_or(somewhere);
    let answer = exchange_over(&question(url, address, deadline), tls, stream)
        .await
        .map_err(|error| error.to_string())?;
    match judge(probe, url, 0, &answer) {
        Verdict::Passed(observed) => Ok(observed),
        Verdict::Failed(observed) => Err(observed),
        Verdict::Ask(next) => Err(format!("redirected to {next}")),
    }
}

fn question(url: &Url, address: SocketAddr, deadline: Instant) -> Exchange<'_> {
    Exchange {
        method: Method::GET,
        url,
        address,
        headers: Vec::new(),
        body: Bytes::new(),
        answer_max: BODY_MAX,
        deadline,
    }
}

/// Asks the first of the host's addresses that takes a connection.
async fn answer(
    probe: &HttpProbe,
    url: &Url,
    followed: u8,
    tls: &Tls,
    networks: &Networks,
    deadline: Instant,
) -> Result<Answer, String> {
    let mut problem = None;
    for address in addresses(probe, url, followed, networks, deadline).await? {
        match exchange(&question(url, address, deadline), tls).await {
            Ok(answer) => return Ok(answer),
            Err(error @ ExchangeError::Connect { .. }) => problem = Some(error.to_string()),
            Err(error) => return Err(error.to_string()),
        }
    }
    Err(problem.unwrap_or_else(|| format!("{url} has no address")))
}

/// Where to connect. A given address stands for the host of the probe, not for others.
async fn addresses(
    probe: &HttpProbe,
    url: &Url,
    followed: u8,
    networks: &Networks,
    deadline: Instant,
) -> Result<Vec<SocketAddr>, String> {
    let same_host = Url::parse(&probe.url).is_ok_and(|first| first.host() == url.host());
    if let (Some(address), true) = (probe.connect_to, followed == 0 || same_host) {
        networks.judge(address.ip(), true)?;
        return Ok(vec![address]);
    }
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or(80);
    allowed(host, port, networks, deadline).await
}
