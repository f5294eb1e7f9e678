//! Windows and timers of a connection.
//!
//! A window must cover bandwidth times round trip, and is the memory a peer can make us hold: 32 MiB
//! carry 2.5 Gbit/s at 100 ms. The feed stays inside a data centre and many captures share one
//! gateway, so its windows are smaller.

use super::Protocol;
use quinn::{IdleTimeout, MtuDiscoveryConfig, TransportConfig, VarInt, congestion::CubicConfig};
use std::{sync::Arc, time::Duration};

const KEEP_ALIVE: Duration = Duration::from_secs(2);
/// After this long without a packet the peer is taken for gone.
const IDLE_TIMEOUT_MILLISECONDS: u32 = 10_000;
/// One busy stream, and a few that begin or end.
const STREAMS_MAX: u32 = 16;

struct Windows {
    stream_receive: u32,
    connection_receive: u32,
    send: u64,
}

const fn windows(protocol: Protocol) -> Windows {
    match protocol {
        Protocol::Feed => Windows {
            stream_receive: 8 << 20,
            connection_receive: 12 << 20,
            send: 16 << 20,
        },
        Protocol::Ship => Windows {
            stream_receive: 32 << 20,
            connection_receive: 48 << 20,
            send: 64 << 20,
        },
    }
}

pub(super) fn transport_config(protocol: Protocol) -> TransportConfig {
    let windows = windows(protocol);
    let mut config = TransportConfig::default();
    config
        .stream_receive_window(VarInt::from_u32(windows.stream_receive))
        .receive_window(VarInt::from_u32(windows.connection_receive))
        .send_window(windows.send)
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS_MAX))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(
            IDLE_TIMEOUT_MILLISECONDS,
        ))))
        .mtu_discovery_config(Some(MtuDiscoveryConfig::default()))
        .congestion_controller_factory(Arc::new(CubicConfig::default()));
    config
}
