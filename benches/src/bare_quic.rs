//! The peer of the whole way to the receiver: the same bytes over bare QUIC on loopback.
//!
//! The same endpoints, windows, certificates and frames as between gateway and receiver, and
//! nothing behind them: the other end reads and forgets. It shows what the machine gives at most.

use anyhow::Context;
use bcdr_format::{InstallationId, Timestamp};
use bcdr_wire::{
    frame::{FrameError, FrameKind, FrameReader, write_frame},
    identity::{CertificateAuthority, Identity, IssueRequest, Role, VALIDITY_MAX},
    transport::{Protocol, ResetKey, accept, client_endpoint, connect, server_endpoint},
};
use bytes::Bytes;
use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// The name the table gives it.
pub(crate) const NAME: &str = "the same bytes over bare QUIC on loopback";

/// Sends the frames; returns how long it took until the other end had read the last byte.
///
/// # Errors
/// When the connection fails.
pub(crate) async fn send(frames: Vec<Bytes>) -> anyhow::Result<Duration> {
    let now = now()?;
    let authority = CertificateAuthority::create(InstallationId::from_u128(1), now)?;
    let (receiver, sender) = (
        identity(&authority, Role::Cloud, now)?,
        identity(&authority, Role::Gateway, now)?,
    );
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let reset = ResetKey::of(b"a bench has one life");
    let server = server_endpoint(any, &receiver, &[Role::Gateway], Protocol::Ship, &reset)?;
    let address = server.local_addr()?;
    let sink = tokio::spawn(async move {
        let incoming = server.accept().await.context("the endpoint was closed")?;
        let (connection, _) = accept(incoming).await?;
        let (mut answer, stream) = connection.accept_bi().await?;
        let mut reader = FrameReader::new(stream);
        let mut bytes = 0;
        loop {
            match reader.read_frame().await {
                Ok(frame) => bytes += frame.payload.len(),
                Err(FrameError::Closed) => break,
                Err(error) => return Err(error.into()),
            }
        }
        answer.write_all(&(bytes as u64).to_le_bytes()).await?;
        answer.finish()?;
        connection.closed().await;
        anyhow::Ok(())
    });
    let client = client_endpoint(address)?;
    let (connection, _) = connect(&client, address, &sender, Protocol::Ship, Role::Cloud).await?;
    let (mut stream, mut answer) = connection.open_bi().await?;
    let started = Instant::now();
    let mut sent = 0;
    for frame in &frames {
        sent += frame.len() as u64;
        write_frame(&mut stream, FrameKind::Records, &[frame]).await?;
    }
    stream.finish()?;
    let mut read = [0; 8];
    answer
        .read_exact(&mut read)
        .await
        .context("the other end did not read everything")?;
    let elapsed = started.elapsed();
    anyhow::ensure!(
        u64::from_le_bytes(read) == sent,
        "bytes were lost on the way"
    );
    connection.close(0u32.into(), b"done");
    sink.await.context("the other end failed")??;
    Ok(elapsed)
}

fn identity(
    authority: &CertificateAuthority,
    role: Role,
    now: Timestamp,
) -> anyhow::Result<Identity> {
    let request = IssueRequest {
        role,
        name: "bench".to_owned(),
        alternative_names: Vec::new(),
        validity: VALIDITY_MAX,
    };
    let issued = authority.issue(&request, now)?;
    Ok(Identity::load(
        authority.certificate_pem(),
        &issued.certificate_pem,
        &issued.key_pem,
        now,
    )?)
}

/// Now, on the wall clock.
///
/// # Errors
/// When the clock stands before 1970.
pub(crate) fn now() -> anyhow::Result<Timestamp> {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("the clock is before 1970")?;
    Ok(Timestamp(i64::try_from(since.as_micros())?))
}
