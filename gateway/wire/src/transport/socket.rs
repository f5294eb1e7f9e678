//! UDP sockets with buffers large enough for bulk.
//!
//! The kernel's defaults hold a few hundred packets and cost over half of the throughput on a fast
//! path. Where it grants less than asked the connection works and is slower, so that is said once
//! per socket and is no error.

use super::TransportError;
use rustix::net::sockopt;
use std::net::{SocketAddr, UdpSocket};

/// Bytes of socket buffer asked for, each way.
const BUFFER_BYTES: usize = 32 << 20;

pub(super) fn bind(address: SocketAddr) -> Result<UdpSocket, TransportError> {
    let socket =
        UdpSocket::bind(address).map_err(|source| TransportError::Bind { address, source })?;
    // The forced form goes past the kernel's limit and needs a privilege; the plain one is capped.
    if sockopt::set_socket_recv_buffer_size_force(&socket, BUFFER_BYTES).is_err() {
        let _ = sockopt::set_socket_recv_buffer_size(&socket, BUFFER_BYTES);
    }
    if sockopt::set_socket_send_buffer_size_force(&socket, BUFFER_BYTES).is_err() {
        let _ = sockopt::set_socket_send_buffer_size(&socket, BUFFER_BYTES);
    }
    report(
        "receive",
        "net.core.rmem_max",
        sockopt::socket_recv_buffer_size(&socket),
        address,
    );
    report(
        "send",
        "net.core.wmem_max",
        sockopt::socket_send_buffer_size(&socket),
        address,
    );
    Ok(socket)
}

fn report(way: &str, setting: &str, granted: rustix::io::Result<usize>, address: SocketAddr) {
    // The kernel reports twice what it was asked for: half is its own bookkeeping.
    match granted.map(|bytes| bytes / 2) {
        Ok(bytes) if bytes < BUFFER_BYTES => tracing::info!(
            %address,
            granted_bytes = bytes,
            asked_bytes = BUFFER_BYTES,
            "the kernel caps the {way} buffer of this UDP socket; raise {setting} for more throughput"
        ),
        Ok(_) => {}
        Err(error) => tracing::info!(%address, %error, "cannot tell the size of the {way} buffer"),
    }
}
