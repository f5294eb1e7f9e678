//! The station's DHCP server (RFC 2131, 2132): one address for one card. Pure.
//!
//! It names no router and no name server, since there is none. It answers the card it was made for, and
//! nobody else.

use std::net::Ipv4Addr;

use smoltcp::{
    phy::ChecksumCapabilities,
    wire::{
        DHCP_CLIENT_PORT, DHCP_SERVER_PORT, DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress,
        EthernetFrame, EthernetProtocol, EthernetRepr, IpProtocol, Ipv4Packet, Ipv4Repr, UdpPacket,
        UdpRepr,
    },
};

use super::GuestNetwork;

/// Seconds for which the address is given out; a drill is shorter, or the machine asks again.
const LEASE_SECONDS: u32 = 24 * 60 * 60;
/// Shortest message that old clients take, in bytes (RFC 951).
const MESSAGE_BYTES_MIN: usize = 300;
/// The time to live of what is sent.
const HOP_LIMIT: u8 = 64;

/// What came of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// The frame to send.
    pub(super) frame: Vec<u8>,
    /// Whether the machine has the address now.
    pub(super) is_taken: bool,
}

/// The server.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) own: EthernetAddress,
    pub(super) card: EthernetAddress,
    pub(super) lease: GuestNetwork,
}

impl Server {
    fn address(&self) -> Ipv4Addr {
        self.lease.neighbour()
    }

    /// Whether a frame is for the server at all, so that nobody else looks at it.
    pub(super) fn is_request(frame: &[u8]) -> bool {
        udp_of(frame).is_some_and(|(_, udp)| udp.dst_port() == DHCP_SERVER_PORT)
    }

    /// Answers a request of the card; none when there is nothing to say.
    pub(super) fn answer(&self, frame: &[u8]) -> Option<Answer> {
        let (_, udp) = udp_of(frame)?;
        let packet = DhcpPacket::new_checked(udp.payload()).ok()?;
        let request = DhcpRepr::parse(&packet).ok()?;
        let named = request.server_identifier;
        if request.client_hardware_address != self.card
            || named.is_some_and(|server| server != self.address())
        {
            return None;
        }
        let kind = match request.message_type {
            DhcpMessageType::Discover => DhcpMessageType::Offer,
            DhcpMessageType::Request if self.is_wanted(&request) => DhcpMessageType::Ack,
            // It has another address from elsewhere, and is to ask for a new one.
            DhcpMessageType::Request => DhcpMessageType::Nak,
            DhcpMessageType::Inform => DhcpMessageType::Ack,
            _ => return None,
        };
        let is_lease = request.message_type != DhcpMessageType::Inform;
        let reply = self.reply(&request, kind, is_lease);
        let to = match kind {
            DhcpMessageType::Nak => Ipv4Addr::BROADCAST,
            _ if !request.client_ip.is_unspecified() => request.client_ip,
            _ if request.broadcast => Ipv4Addr::BROADCAST,
            _ => self.lease.address(),
        };
        Some(Answer {
            frame: self.frame(&reply, to)?,
            is_taken: kind == DhcpMessageType::Ack && is_lease,
        })
    }

    fn is_wanted(&self, request: &DhcpRepr<'_>) -> bool {
        let wanted = request.requested_ip.unwrap_or(request.client_ip);
        wanted == self.lease.address()
    }

    fn reply(
        &self,
        request: &DhcpRepr<'_>,
        kind: DhcpMessageType,
        is_lease: bool,
    ) -> DhcpRepr<'static> {
        let given = kind != DhcpMessageType::Nak;
        let lease = given && is_lease;
        DhcpRepr {
            message_type: kind,
            transaction_id: request.transaction_id,
            secs: 0,
            client_hardware_address: request.client_hardware_address,
            client_ip: Ipv4Addr::UNSPECIFIED,
            your_ip: if lease {
                self.lease.address()
            } else {
                Ipv4Addr::UNSPECIFIED
            },
            server_ip: Ipv4Addr::UNSPECIFIED,
            router: None,
            subnet_mask: given.then(|| self.lease.mask()),
            relay_agent_ip: Ipv4Addr::UNSPECIFIED,
            broadcast: false,
            requested_ip: None,
            client_identifier: None,
            server_identifier: Some(self.address()),
            parameter_request_list: None,
            dns_servers: None,
            max_size: None,
            lease_duration: lease.then_some(LEASE_SECONDS),
            renew_duration: None,
            rebind_duration: None,
            additional_options: &[],
        }
    }

    fn frame(&self, reply: &DhcpRepr<'_>, to: Ipv4Addr) -> Option<Vec<u8>> {
        let message = reply.buffer_len().max(MESSAGE_BYTES_MIN);
        let udp = UdpRepr {
            src_port: DHCP_SERVER_PORT,
            dst_port: DHCP_CLIENT_PORT,
        };
        let ip = Ipv4Repr {
            src_addr: self.address(),
            dst_addr: to,
            next_header: IpProtocol::Udp,
            payload_len: udp.header_len() + message,
            hop_limit: HOP_LIMIT,
        };
        let ethernet = EthernetRepr {
            src_addr: self.own,
            dst_addr: if to.is_broadcast() {
                EthernetAddress::BROADCAST
            } else {
                self.card
            },
            ethertype: EthernetProtocol::Ipv4,
        };
        let header = EthernetFrame::<&[u8]>::header_len();
        let mut bytes = vec![0; header + ip.buffer_len() + ip.payload_len];
        let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
        ethernet.emit(&mut frame);
        let checksums = ChecksumCapabilities::default();
        let mut packet = Ipv4Packet::new_unchecked(frame.payload_mut());
        ip.emit(&mut packet, &checksums);
        let mut datagram = UdpPacket::new_unchecked(packet.payload_mut());
        let mut emitted = Ok(());
        udp.emit(
            &mut datagram,
            &ip.src_addr.into(),
            &ip.dst_addr.into(),
            message,
            |payload| emitted = reply.emit(&mut DhcpPacket::new_unchecked(payload)),
            &checksums,
        );
        emitted.ok().map(|()| bytes)
    }
}

/// The datagram in a frame whose headers are whole and whose checksums are right.
fn udp_of(frame: &[u8]) -> Option<(Ipv4Repr, UdpPacket<&[u8]>)> {
    let frame = EthernetFrame::new_checked(frame).ok()?;
    if frame.ethertype() != EthernetProtocol::Ipv4 {
        return None;
    }
    let checksums = ChecksumCapabilities::default();
    let packet = Ipv4Packet::new_checked(frame.payload()).ok()?;
    let ip = Ipv4Repr::parse(&packet, &checksums).ok()?;
    if ip.next_header != IpProtocol::Udp || packet.more_frags() || packet.frag_offset() != 0 {
        return None;
    }
    let udp = UdpPacket::new_checked(packet.payload()).ok()?;
    UdpRepr::parse(&udp, &ip.src_addr.into(), &ip.dst_addr.into(), &checksums).ok()?;
    Some((ip, udp))
}
