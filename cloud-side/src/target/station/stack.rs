//! What the station does with frames: addresses, ARP, TCP. Sans I/O.
//!
//! Frames and the time go in; frames, what is known of the machine, and the bytes of connections come
//! out. Time is counted from the station's start.

use std::{collections::VecDeque, net::Ipv4Addr, time::Duration};

use smoltcp::{
    iface::{Config, Interface, SocketHandle, SocketSet},
    phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken},
    socket::tcp,
    time::Instant,
    wire::{
        ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
        EthernetRepr, IpCidr, IpEndpoint, IpListenEndpoint, Ipv4Cidr,
    },
};

use super::{AddressOrigin, CardAddress, GuestNetwork, dhcp};

/// The longest frame on an Ethernet without a tag, in bytes.
pub(super) const FRAME_BYTES_MAX: usize = 1514;
/// Most frames that wait to be sent.
const FRAMES_WAITING_MAX: usize = 256;
/// Most connections at once.
pub(super) const CONNECTIONS_MAX: usize = 32;
/// Buffer of a connection in each direction, in bytes.
const WINDOW_BYTES: usize = 64 * 1024;
/// How long a machine may be silent while something waits for its acknowledgement.
const SILENCE: Duration = Duration::from_secs(30);
/// Pause between two questions for the owner of the machine's address.
const ASK_PAUSE: Duration = Duration::from_secs(1);
/// First port from which connections are opened.
const FIRST_PORT: u16 = 49_152;

/// The stack of one station.
pub(super) struct Stack {
    card: EthernetAddress,
    own: EthernetAddress,
    interface: Interface,
    sockets: SocketSet<'static>,
    wire: Wire,
    server: dhcp::Server,
    /// Where the machine is, and the station's own address there.
    place: Option<Place>,
    next_port: u16,
    asked_at: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    machine: CardAddress,
    own: Ipv4Addr,
}

impl Stack {
    pub(super) fn new(
        card: EthernetAddress,
        own: EthernetAddress,
        network: Option<GuestNetwork>,
        seed: u64,
    ) -> Self {
        let mut config = Config::new(own.into());
        config.random_seed = seed;
        let mut wire = Wire::default();
        let interface = Interface::new(config, &mut wire, Instant::ZERO);
        let lease = network.unwrap_or(GuestNetwork::leased());
        let mut stack = Self {
            card,
            own,
            interface,
            sockets: SocketSet::new(Vec::new()),
            wire,
            server: dhcp::Server { own, card, lease },
            place: None,
            // Another sequence for each station; a port is no secret.
            next_port: FIRST_PORT + (seed % 8192) as u16,
            asked_at: None,
        };
        if let Some(network) = network {
            stack.settle(network, AddressOrigin::Given);
        }
        stack
    }

    /// What is known of the machine.
    pub(super) fn machine(&self) -> Option<CardAddress> {
        self.place.map(|place| place.machine)
    }

    /// Takes a frame from the machine.
    pub(super) fn take(&mut self, frame: Vec<u8>) {
        if dhcp::Server::is_request(&frame) {
            if let Some(answer) = self.server.answer(&frame) {
                self.wire.send(answer.frame);
                if answer.is_taken {
                    self.settle(self.server.lease, AddressOrigin::Leased);
                }
            }
            return;
        }
        self.listen(&frame);
        self.wire.received.push_back(frame);
    }

    /// Learns from ARP where the machine is and that it is there.
    fn listen(&mut self, frame: &[u8]) {
        let Some(ArpRepr::EthernetIpv4 {
            operation,
            source_hardware_addr,
            source_protocol_addr: sender,
            ..
        }) = arp_of(frame)
        else {
            return;
        };
        if source_hardware_addr != self.card {
            return;
        }
        if self.place.is_none()
            && let Some(network) = GuestNetwork::around(sender)
        {
            self.settle(network, AddressOrigin::Heard);
        }
        if let Some(place) = &mut self.place
            && operation == ArpOperation::Reply
            && sender == place.machine.address
        {
            place.machine.has_answered = true;
        }
    }

    /// The machine is in this network: the station takes an address beside it.
    fn settle(&mut self, network: GuestNetwork, origin: AddressOrigin) {
        let machine = CardAddress {
            address: network.address(),
            origin,
            has_answered: self
                .machine()
                .is_some_and(|known| known.address == network.address() && known.has_answered),
        };
        let own = network.neighbour();
        self.place = Some(Place { machine, own });
        self.interface.update_ip_addrs(|addresses| {
            addresses.clear();
            // One of two places is always free in an empty list.
            let _ = addresses.push(IpCidr::Ipv4(Ipv4Cidr::new(own, network.prefix())));
        });
        self.asked_at = None;
    }

    /// Lets everything happen that is due.
    pub(super) fn poll(&mut self, now: Duration) {
        self.ask(now);
        let now = instant(now);
        self.interface.poll(now, &mut self.wire, &mut self.sockets);
    }

    /// When something is due without a frame.
    pub(super) fn delay(&mut self, now: Duration) -> Duration {
        let own = self
            .interface
            .poll_delay(instant(now), &self.sockets)
            .map_or(ASK_PAUSE, |delay| {
                Duration::from_micros(delay.total_micros())
            });
        own.min(ASK_PAUSE)
    }

    /// Asks who has the machine's address, until the machine answers.
    fn ask(&mut self, now: Duration) {
        let Some(place) = self.place.filter(|place| !place.machine.has_answered) else {
            return;
        };
        if self
            .asked_at
            .is_some_and(|at| now.saturating_sub(at) < ASK_PAUSE)
        {
            return;
        }
        self.asked_at = Some(now);
        let arp = ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Request,
            source_hardware_addr: self.own,
            source_protocol_addr: place.own,
            target_hardware_addr: EthernetAddress([0; 6]),
            target_protocol_addr: place.machine.address,
        };
        let ethernet = EthernetRepr {
            src_addr: self.own,
            dst_addr: EthernetAddress::BROADCAST,
            ethertype: EthernetProtocol::Arp,
        };
        let header = EthernetFrame::<&[u8]>::header_len();
        let mut bytes = vec![0; header + arp.buffer_len()];
        let mut frame = EthernetFrame::new_unchecked(&mut bytes[..]);
        ethernet.emit(&mut frame);
        arp.emit(&mut ArpPacket::new_unchecked(frame.payload_mut()));
        self.wire.send(bytes);
    }

    /// Whether so much waits to be sent that nothing more is to be taken.
    pub(super) fn is_congested(&self) -> bool {
        self.wire.sending.len() >= FRAMES_WAITING_MAX
    }

    /// The next frame for the machine.
    pub(super) fn next_frame(&mut self) -> Option<Vec<u8>> {
        self.wire.sending.pop_front()
    }

    /// Begins a connection to a port of the machine; none while its address is unknown.
    pub(super) fn connect(&mut self, port: u16) -> Option<SocketHandle> {
        let place = self.place?;
        let buffer = || tcp::SocketBuffer::new(vec![0; WINDOW_BYTES]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.set_timeout(Some(SILENCE.into()));
        socket.set_nagle_enabled(false);
        let local = IpListenEndpoint {
            addr: Some(place.own.into()),
            port: self.next_port,
        };
        self.next_port = self.next_port.checked_add(1).unwrap_or(FIRST_PORT);
        let remote = IpEndpoint::new(place.machine.address.into(), port);
        socket
            .connect(self.interface.context(), remote, local)
            .ok()?;
        Some(self.sockets.add(socket))
    }

    pub(super) fn socket(&mut self, handle: SocketHandle) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(handle)
    }

    /// Ends a connection at once.
    pub(super) fn drop_socket(&mut self, handle: SocketHandle, now: Duration) {
        self.socket(handle).abort();
        // The reset goes out before the socket is forgotten.
        self.poll(now);
        self.sockets.remove(handle);
    }
}

fn instant(now: Duration) -> Instant {
    Instant::from_micros(i64::try_from(now.as_micros()).unwrap_or(i64::MAX))
}

fn arp_of(frame: &[u8]) -> Option<ArpRepr> {
    let frame = EthernetFrame::new_checked(frame).ok()?;
    if frame.ethertype() != EthernetProtocol::Arp {
        return None;
    }
    ArpRepr::parse(&ArpPacket::new_checked(frame.payload()).ok()?).ok()
}

/// Frames that came and frames that go.
#[derive(Default)]
pub(super) struct Wire {
    pub(super) received: VecDeque<Vec<u8>>,
    pub(super) sending: VecDeque<Vec<u8>>,
}

impl Wire {
    /// Like a real wire, it loses what does not fit.
    fn send(&mut self, frame: Vec<u8>) {
        if self.sending.len() < FRAMES_WAITING_MAX {
            self.sending.push_back(frame);
        }
    }
}

pub(super) struct Received(Vec<u8>);

pub(super) struct Sending<'a>(&'a mut VecDeque<Vec<u8>>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut frame = vec![0; length];
        let result = write(&mut frame);
        self.0.push_back(frame);
        result
    }
}

impl Device for Wire {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received, Sending<'_>)> {
        let frame = self.received.pop_front()?;
        Some((Received(frame), Sending(&mut self.sending)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sending<'_>> {
        (self.sending.len() < FRAMES_WAITING_MAX).then_some(Sending(&mut self.sending))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = FRAME_BYTES_MAX;
        capabilities
    }
}
