//! One question and its answer, over UDP or TCP. It believes nothing: whose answer it is, is judged later.

use super::{DnsError, Transport};
use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket, lookup_host},
    time::timeout,
};

/// A datagram that was not answered by then is sent again. The same one: an update's condition keeps
/// it from being carried out twice.
const SEND_AGAIN_AFTER: Duration = Duration::from_secs(2);
/// Most bytes of an answer in a datagram; without EDNS no server sends more than 512.
const DATAGRAM_MAX: usize = 4096;
/// Where and which the bit is that says that an answer did not fit.
const TRUNCATED: (usize, u8) = (2, 0x02);

/// The address with its port, 53 unless it names one.
pub(super) fn with_port(address: &str) -> Result<String, DnsError> {
    let invalid = || DnsError::Invalid {
        what: "the name server's address",
        given: address.to_owned(),
        cause: "write HOST or HOST:PORT, with brackets around an IPv6 address that has a port"
            .to_owned(),
    };
    if address.is_empty() || address.contains(char::is_whitespace) {
        return Err(invalid());
    }
    if address.parse::<Ipv6Addr>().is_ok() {
        return Ok(format!("[{address}]:53"));
    }
    if address.parse::<SocketAddr>().is_ok() {
        return Ok(address.to_owned());
    }
    match address.split_once(':') {
        None => Ok(format!("{address}:53")),
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
            Ok(address.to_owned())
        }
        Some(_) => Err(invalid()),
    }
}

/// Sends a question and waits for its answer, for ever: the caller limits it. `sent` is set before
/// anything of the question leaves.
pub(super) async fn exchange(
    server: &str,
    transport: Transport,
    question: &[u8],
    sent: &AtomicBool,
) -> io::Result<Vec<u8>> {
    if transport == Transport::Udp {
        let answer = by_datagram(server, question, sent).await?;
        let (at, bit) = TRUNCATED;
        if answer.get(at).is_some_and(|flags| flags & bit == 0) {
            return Ok(answer);
        }
    }
    by_stream(server, question, sent).await
}

async fn by_stream(server: &str, question: &[u8], sent: &AtomicBool) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(question.len()).map_err(io::Error::other)?;
    let framed = [&length.to_be_bytes(), question].concat();
    sent.store(true, Ordering::Relaxed);
    stream.write_all(&framed).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

async fn by_datagram(server: &str, question: &[u8], sent: &AtomicBool) -> io::Result<Vec<u8>> {
    let address = lookup_host(server)
        .await?
        .next()
        .ok_or_else(|| io::Error::other("the name has no address"))?;
    let local: SocketAddr = if address.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let socket = UdpSocket::bind(local).await?;
    // The system then gives us only what comes from there.
    socket.connect(address).await?;
    let mut buffer = vec![0; DATAGRAM_MAX];
    sent.store(true, Ordering::Relaxed);
    loop {
        socket.send(question).await?;
        let received = timeout(SEND_AGAIN_AFTER, async {
            loop {
                let length = socket.recv(&mut buffer).await?;
                if buffer[..length].get(..2) == question.get(..2) {
                    return io::Result::Ok(length);
                }
            }
        });
        if let Ok(length) = received.await {
            buffer.truncate(length?);
            return Ok(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gets_its_port() {
        for (given, expected) in [
            ("ns.example", "ns.example:53"),
            ("ns.example:5353", "ns.example:5353"),
            ("10.0.0.1", "10.0.0.1:53"),
            ("2001:db8::1", "[2001:db8::1]:53"),
            ("[2001:db8::1]:54", "[2001:db8::1]:54"),
        ] {
            assert_eq!(with_port(given).unwrap(), expected);
        }
        for wrong in ["", "ns:x", ":53", "a b", "ns:53:54"] {
            assert!(with_port(wrong).is_err(), "{wrong:?}");
        }
    }
}
