//! Why a session ends, and what a store's refusal is called on the wire.

use crate::{receive, returns::ServeError};
use bcdr_wire::{feed::Refusal, frame::FrameError, identity::PeerIdentity};
use std::time::Duration;

/// How long a gateway may take to say hello.
pub(super) const HELLO_DEADLINE: Duration = Duration::from_secs(10);

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("{0}")]
    Connection(#[from] quinn::ConnectionError),
    #[error("it said no hello within {} s", HELLO_DEADLINE.as_secs())]
    Silent,
    #[error("it did not begin with a hello")]
    NoHello,
    #[error("it sent a frame of records, which only captures send")]
    UnexpectedFrame,
    #[error("it said hello twice")]
    SecondHello,
    #[error("what it relayed: {0}")]
    Relayed(#[from] ServeError),
    #[error("refused: {0}")]
    Refused(Refusal),
    #[error("this receiver is stopping")]
    Stopping,
}

/// What a store's refusal tells a gateway to do.
pub(super) fn on_the_wire(refusal: receive::Refusal, peer: &str) -> Refusal {
    use receive::Refusal as Why;
    let reason = refusal.to_string();
    match refusal {
        Why::Fenced { held, found } => Refusal::Fenced {
            offered: found,
            current: held,
        },
        Why::Superseded { highest } => Refusal::Superseded { highest },
        Why::Gap { .. } | Why::OpeningMissing | Why::KeyMissing { .. } => {
            Refusal::Discontinuous { reason }
        }
        Why::SpaceFloor(_) => Refusal::NoSpace { reason },
        Why::GenerationAhead { .. } | Why::Damaged(_) | Why::Failed => Refusal::NotReady { reason },
        Why::WrongLineage { .. } | Why::UnknownVolume { .. } | Why::OutsideVolume { .. } => {
            Refusal::NotAllowed {
                peer: peer.to_owned(),
                reason,
            }
        }
    }
}

/// The peer may not do this.
pub(super) fn not_allowed(peer: &PeerIdentity, reason: impl Into<String>) -> Refusal {
    Refusal::NotAllowed {
        peer: peer.to_string(),
        reason: reason.into(),
    }
}
