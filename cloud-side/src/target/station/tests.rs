//! The station against a machine in memory.

use std::{net::Ipv4Addr, time::Duration};

use smoltcp::{
    iface::{Config, Interface, SocketHandle, SocketSet},
    phy::ChecksumCapabilities,
    socket::tcp,
    time::Instant,
    wire::{
        ArpOperation, ArpPacket, ArpRepr, DHCP_CLIENT_PORT, DHCP_SERVER_PORT, DhcpMessageType,
        DhcpPacket, DhcpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr,
        IpCidr, IpEndpoint, IpProtocol, Ipv4Packet, Ipv4Repr, TcpPacket, UdpPacket, UdpRepr,
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

use super::{
    AddressOrigin, GuestNetwork,
    runner::{self, ConnectError, StationHandle},
    stack::{Stack, Wire},
};

const CARD: EthernetAddress = EthernetAddress([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
const STRANGER: EthernetAddress = EthernetAddress([0x52, 0x54, 0, 0x12, 0x34, 0x57]);
const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
const OPEN_PORT: u16 = 22;

fn station(network: Option<GuestNetwork>) -> Stack {
    Stack::new(CARD, runner::own_address(CARD), network, 1)
}

fn sent(stack: &mut Stack) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| stack.next_frame()).collect()
}

fn ethernet(
    from: EthernetAddress,
    to: EthernetAddress,
    kind: EthernetProtocol,
    length: usize,
) -> Vec<u8> {
    let header = EthernetFrame::<&[u8]>::header_len();
    let mut bytes = vec![0; header + length];
    EthernetRepr {
        src_addr: from,
        dst_addr: to,
        ethertype: kind,
    }
    .emit(&mut EthernetFrame::new_unchecked(&mut bytes[..]));
    bytes
}

fn arp(
    operation: ArpOperation,
    sender: Ipv4Addr,
    target: Ipv4Addr,
    to: EthernetAddress,
) -> Vec<u8> {
    let arp = ArpRepr::EthernetIpv4 {
        operation,
        source_hardware_addr: CARD,
        source_protocol_addr: sender,
        target_hardware_addr: EthernetAddress([0; 6]),
        target_protocol_addr: target,
    };
    let mut bytes = ethernet(CARD, to, EthernetProtocol::Arp, arp.buffer_len());
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    arp.emit(&mut ArpPacket::new_unchecked(frame.payload_mut()));
    bytes
}

fn arp_in(frame: &[u8]) -> Option<(ArpOperation, Ipv4Addr, Ipv4Addr)> {
    let frame = EthernetFrame::new_checked(frame).unwrap();
    if frame.ethertype() != EthernetProtocol::Arp {
        return None;
    }
    let ArpRepr::EthernetIpv4 {
        operation,
        source_protocol_addr,
        target_protocol_addr,
        ..
    } = ArpRepr::parse(&ArpPacket::new_checked(frame.payload()).unwrap()).unwrap()
    else {
        return None;
    };
    Some((operation, source_protocol_addr, target_protocol_addr))
}

fn dhcp(change: impl FnOnce(&mut DhcpRepr<'_>)) -> Vec<u8> {
    let mut request = DhcpRepr {
        message_type: DhcpMessageType::Discover,
        transaction_id: 77,
        secs: 0,
        client_hardware_address: CARD,
        client_ip: Ipv4Addr::UNSPECIFIED,
        your_ip: Ipv4Addr::UNSPECIFIED,
        server_ip: Ipv4Addr::UNSPECIFIED,
        router: None,
        subnet_mask: None,
        relay_agent_ip: Ipv4Addr::UNSPECIFIED,
        broadcast: false,
        requested_ip: None,
        client_identifier: None,
        server_identifier: None,
        parameter_request_list: None,
        dns_servers: None,
        max_size: None,
        lease_duration: None,
        renew_duration: None,
        rebind_duration: None,
        additional_options: &[],
    };
    change(&mut request);
    let udp = UdpRepr {
        src_port: DHCP_CLIENT_PORT,
        dst_port: DHCP_SERVER_PORT,
    };
    let length = request.buffer_len();
    let ip = Ipv4Repr {
        src_addr: request.client_ip,
        dst_addr: Ipv4Addr::BROADCAST,
        next_header: IpProtocol::Udp,
        payload_len: udp.header_len() + length,
        hop_limit: 64,
    };
    let mut bytes = ethernet(
        request.client_hardware_address,
        EthernetAddress::BROADCAST,
        EthernetProtocol::Ipv4,
        ip.buffer_len() + ip.payload_len,
    );
    let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
    let checksums = ChecksumCapabilities::default();
    let mut packet = Ipv4Packet::new_unchecked(frame.payload_mut());
    ip.emit(&mut packet, &checksums);
    udp.emit(
        &mut UdpPacket::new_unchecked(packet.payload_mut()),
        &ip.src_addr.into(),
        &ip.dst_addr.into(),
        length,
        |payload| {
            request
                .emit(&mut DhcpPacket::new_unchecked(payload))
                .unwrap()
        },
        &checksums,
    );
    bytes
}

/// What the station answers a request with: kind, address, and whether it names a way out.
fn answer(stack: &mut Stack, request: Vec<u8>) -> Option<(DhcpMessageType, Ipv4Addr, Ipv4Addr)> {
    stack.take(request);
    let frame = sent(stack).pop()?;
    let frame = EthernetFrame::new_checked(&frame[..]).unwrap();
    let packet = Ipv4Packet::new_checked(frame.payload()).unwrap();
    let udp = UdpPacket::new_checked(packet.payload()).unwrap();
    assert!(udp.payload().len() >= 300, "old clients take no less");
    let message = DhcpPacket::new_checked(udp.payload()).unwrap();
    let reply = DhcpRepr::parse(&message).unwrap();
    assert_eq!(reply.transaction_id, 77);
    assert_eq!(
        (reply.router, reply.dns_servers),
        (None, None),
        "there is no way out"
    );
    let server = reply.server_identifier.unwrap();
    Some((reply.message_type, reply.your_ip, server))
}

#[test]
fn the_card_gets_one_address_and_nobody_else_does() {
    let mut stack = station(None);
    let (kind, offered, server) = answer(&mut stack, dhcp(|_| {})).unwrap();
    assert_eq!(kind, DhcpMessageType::Offer);
    assert_eq!(stack.machine(), None, "an offer is no address yet");
    let take = |request: &mut DhcpRepr<'_>| {
        request.message_type = DhcpMessageType::Request;
        request.requested_ip = Some(offered);
        request.server_identifier = Some(server);
    };
    // Another card, another server, another address.
    let stranger = dhcp(|request| {
        take(request);
        request.client_hardware_address = STRANGER;
    });
    assert_eq!(answer(&mut stack, stranger), None);
    let elsewhere = dhcp(|request| {
        take(request);
        request.server_identifier = Some(GATEWAY);
    });
    assert_eq!(answer(&mut stack, elsewhere), None);
    let remembered = dhcp(|request| {
        request.message_type = DhcpMessageType::Request;
        request.requested_ip = Some(OWN);
    });
    let (kind, none, _) = answer(&mut stack, remembered).unwrap();
    assert_eq!((kind, none), (DhcpMessageType::Nak, Ipv4Addr::UNSPECIFIED));
    assert_eq!(stack.machine(), None);

    let (kind, given, _) = answer(&mut stack, dhcp(take)).unwrap();
    assert_eq!((kind, given), (DhcpMessageType::Ack, offered));
    let machine = stack.machine().unwrap();
    assert_eq!(
        (machine.address, machine.origin),
        (offered, AddressOrigin::Leased)
    );
    let renewal = dhcp(|request| {
        request.message_type = DhcpMessageType::Request;
        request.client_ip = offered;
    });
    assert_eq!(answer(&mut stack, renewal).unwrap().0, DhcpMessageType::Ack);
}

#[test]
fn a_given_address_is_what_the_machine_gets_and_is_asked_at() {
    let network: GuestNetwork = "192.168.5.20/24".parse().unwrap();
    let mut stack = station(Some(network));
    stack.poll(Duration::ZERO);
    let asked = arp_in(&sent(&mut stack)[0]).unwrap();
    let neighbour = network.neighbour();
    assert_eq!(asked, (ArpOperation::Request, neighbour, network.address()));
    let (_, offered, server) = answer(&mut stack, dhcp(|_| {})).unwrap();
    assert_eq!((offered, server), (network.address(), neighbour));
    assert!(!stack.machine().unwrap().has_answered);
    stack.take(arp(
        ArpOperation::Reply,
        network.address(),
        neighbour,
        runner::own_address(CARD),
    ));
    assert!(stack.machine().unwrap().has_answered);
}

#[test]
fn a_machine_with_an_address_of_its_own_is_heard_and_nobody_but_the_station_is_answered_for() {
    let mut stack = station(None);
    let broadcast = EthernetAddress::BROADCAST;
    stack.poll(Duration::ZERO);
    assert_eq!(
        sent(&mut stack),
        Vec::<Vec<u8>>::new(),
        "it speaks only when spoken to"
    );
    stack.take(arp(ArpOperation::Request, OWN, GATEWAY, broadcast));
    let machine = stack.machine().unwrap();
    assert_eq!(
        (machine.address, machine.origin),
        (OWN, AddressOrigin::Heard)
    );
    stack.poll(Duration::from_secs(1));
    let frames: Vec<_> = sent(&mut stack)
        .iter()
        .filter_map(|frame| arp_in(frame))
        .collect();
    let [(ArpOperation::Request, station, OWN)] = frames[..] else {
        panic!("more than a question for the machine: {frames:?}")
    };
    for foreign in [
        GATEWAY,
        OWN,
        Ipv4Addr::new(10, 0, 2, 3),
        Ipv4Addr::new(8, 8, 8, 8),
    ] {
        stack.take(arp(ArpOperation::Request, OWN, foreign, broadcast));
        stack.poll(Duration::from_millis(1001));
        assert_eq!(sent(&mut stack), Vec::<Vec<u8>>::new(), "{foreign}");
    }
    stack.take(arp(ArpOperation::Request, OWN, station, broadcast));
    stack.poll(Duration::from_millis(1002));
    let frames: Vec<_> = sent(&mut stack)
        .iter()
        .filter_map(|frame| arp_in(frame))
        .collect();
    assert_eq!(frames, [(ArpOperation::Reply, station, OWN)]);
}

/// A machine with a server on [`OPEN_PORT`].
struct Machine {
    interface: Interface,
    sockets: SocketSet<'static>,
    server: SocketHandle,
    wire: Wire,
}

impl Machine {
    fn new() -> Self {
        let mut wire = Wire::default();
        let mut interface = Interface::new(Config::new(CARD.into()), &mut wire, Instant::ZERO);
        interface.update_ip_addrs(|addresses| {
            addresses.push(IpCidr::new(OWN.into(), 24)).unwrap();
        });
        let mut sockets = SocketSet::new(Vec::new());
        let buffer = || tcp::SocketBuffer::new(vec![0; 4096]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.listen(OPEN_PORT).unwrap();
        let server = sockets.add(socket);
        Self {
            interface,
            sockets,
            server,
            wire,
        }
    }

    fn poll(&mut self, frames: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        self.wire.received.extend(frames);
        self.interface
            .poll(Instant::now(), &mut self.wire, &mut self.sockets);
        self.wire.sending.drain(..).collect()
    }

    /// A connection that the machine opens.
    fn open(&mut self, to: IpEndpoint) -> SocketHandle {
        let buffer = || tcp::SocketBuffer::new(vec![0; 4096]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket
            .connect(self.interface.context(), to, 40_000)
            .unwrap();
        self.sockets.add(socket)
    }
}

#[test]
fn the_machine_reaches_nobody_through_the_station() {
    let mut stack = station(None);
    let mut machine = Machine::new();
    stack.take(arp(
        ArpOperation::Request,
        OWN,
        GATEWAY,
        EthernetAddress::BROADCAST,
    ));
    stack.poll(Duration::from_secs(1));
    let (_, own, _) = sent(&mut stack)
        .iter()
        .find_map(|frame| arp_in(frame))
        .unwrap();
    // The station's own address takes no connection.
    let opened = machine.open(IpEndpoint::new(own.into(), 80));
    let mut frames = machine.poll(Vec::new());
    for step in 0..10 {
        frames.drain(..).for_each(|frame| stack.take(frame));
        stack.poll(Duration::from_millis(1000 + step));
        frames = machine.poll(sent(&mut stack));
    }
    let state = machine.sockets.get::<tcp::Socket<'_>>(opened).state();
    assert_eq!(state, tcp::State::Closed, "it was not refused");
    // A packet for somebody else, at the station's door, is no packet for anybody.
    machine.sockets.remove(opened);
    let opened = machine.open(IpEndpoint::new(own.into(), 80));
    let mut frames = machine.poll(Vec::new());
    let mut frame = frames.pop().unwrap();
    machine.sockets.remove(opened);
    let mut outer = EthernetFrame::new_unchecked(&mut frame[..]);
    assert_eq!(outer.dst_addr(), runner::own_address(CARD));
    let mut packet = Ipv4Packet::new_unchecked(outer.payload_mut());
    assert!(TcpPacket::new_unchecked(packet.payload_mut()).syn());
    packet.set_dst_addr(Ipv4Addr::new(8, 8, 8, 8));
    packet.fill_checksum();
    stack.take(frame.clone());
    stack.poll(Duration::from_millis(1100));
    assert_eq!(sent(&mut stack), Vec::<Vec<u8>>::new());
    // Nor is one whose hardware address is another's.
    let mut outer = EthernetFrame::new_unchecked(&mut frame[..]);
    outer.set_dst_addr(STRANGER);
    let mut packet = Ipv4Packet::new_unchecked(outer.payload_mut());
    packet.set_dst_addr(own);
    packet.fill_checksum();
    stack.take(frame);
    stack.poll(Duration::from_millis(1200));
    assert_eq!(sent(&mut stack), Vec::<Vec<u8>>::new());
}

/// Runs a machine at the other end of a station's socket; it says what it is told, echoes one line
/// behind it, and closes.
async fn serve(mut stream: UnixStream, greeting: &'static [u8]) {
    let mut machine = Machine::new();
    let mut incoming = Vec::new();
    let mut has_greeted = false;
    let announcement = arp(ArpOperation::Request, OWN, OWN, EthernetAddress::BROADCAST);
    let mut outgoing = vec![announcement];
    loop {
        for frame in outgoing.drain(..) {
            let length = u32::try_from(frame.len()).unwrap();
            stream.write_all(&length.to_be_bytes()).await.unwrap();
            stream.write_all(&frame).await.unwrap();
        }
        let mut frames = Vec::new();
        let mut buffer = [0; 4096];
        tokio::select! {
            count = stream.read(&mut buffer) => match count {
                Ok(0) | Err(_) => return,
                Ok(count) => incoming.extend_from_slice(&buffer[..count]),
            },
            // A clock of its own, as every stack has.
            () = tokio::time::sleep(Duration::from_millis(5)) => {}
        }
        while let Some(length) = incoming.first_chunk::<4>() {
            let end = 4 + u32::from_be_bytes(*length) as usize;
            if incoming.len() < end {
                break;
            }
            frames.push(incoming[4..end].to_vec());
            incoming.drain(..end);
        }
        outgoing = machine.poll(frames);
        let socket = machine.sockets.get_mut::<tcp::Socket<'_>>(machine.server);
        if socket.may_send() && !has_greeted {
            has_greeted = true;
            socket.send_slice(greeting).unwrap();
        }
        if socket.can_recv() {
            let heard = socket.recv(|bytes| (bytes.len(), bytes.to_vec())).unwrap();
            socket.send_slice(&heard).unwrap();
            if heard.ends_with(b"\n") {
                socket.close();
            }
        }
        outgoing.extend(machine.poll(Vec::new()));
    }
}

async fn with_address(greeting: &'static [u8]) -> StationHandle {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let handle = runner::start(ours, CARD.0, None, 1);
    assert!(matches!(
        handle.connect(OPEN_PORT).await,
        Err(ConnectError::NoAddress)
    ));
    tokio::spawn(serve(theirs, greeting));
    while handle.machine().is_none_or(|machine| !machine.has_answered) {
        tokio::task::yield_now().await;
    }
    handle
}

#[tokio::test]
async fn bytes_go_both_ways_until_the_machine_closes() {
    let handle = with_address(b"SSH-2.0-machine\r\n").await;
    let mut stream = handle.connect(OPEN_PORT).await.unwrap();
    stream.write_all(b"hello ").await.unwrap();
    stream.write_all(b"there\n").await.unwrap();
    let mut heard = String::new();
    stream.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "SSH-2.0-machine\r\nhello there\n");
}

#[tokio::test]
async fn a_port_on_which_nobody_listens_is_refused() {
    let handle = with_address(b"").await;
    let refused = handle.connect(23).await;
    assert!(matches!(refused, Err(ConnectError::Refused)), "{refused:?}");
    // A connection that is given up makes room for another.
    let stream = handle.connect(OPEN_PORT).await.unwrap();
    drop(stream);
    assert!(handle.connect(24).await.is_err());
}

#[tokio::test]
async fn what_is_no_frame_ends_the_station() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let handle = runner::start(ours, CARD.0, None, 1);
    theirs.write_all(&u32::MAX.to_be_bytes()).await.unwrap();
    let mut rest = Vec::new();
    theirs.read_to_end(&mut rest).await.unwrap();
    assert!(matches!(handle.connect(1).await, Err(ConnectError::Ended)));
}
