//! A connection that relays what a capture asks of a point that is given back to it.
//!
//! Decides whether the stream may be asked about here: only through the gateway that has the group's
//! session. What is asked is [`crate::returns`]'s.

use super::{Receiver, fault::SessionError};
use crate::returns;
use bcdr_wire::{
    frame::{Frame, FrameReader},
    identity::PeerIdentity,
    restore::{Answer, Refusal, RefusalKind, ReturnHello},
};
use std::time::Duration;

/// How long the last answer may take to be read before the connection is closed over it.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Serves the stream whose first frame this is.
pub(super) async fn serve(
    receiver: &Receiver,
    peer: &PeerIdentity,
    to_gateway: &mut quinn::SendStream,
    frames: &mut FrameReader<quinn::RecvStream>,
    first: &Frame,
) -> Result<(), SessionError> {
    let ended = match admit(receiver, peer, first) {
        Ok(hello) => {
            tracing::info!(group = %hello.group, %peer, "a capture asks for what is given back");
            let returns = &receiver.returns;
            returns.serve(hello.group, frames, to_gateway).await
        }
        Err(refused) => {
            tracing::info!(%peer, %refused, "a stream of a restore is turned away");
            returns::send(to_gateway, &Answer::Refused(refused)).await
        }
    };
    if to_gateway.finish().is_ok() {
        let _read_or_gone = tokio::time::timeout(LAST_WORDS, to_gateway.stopped()).await;
    }
    Ok(ended?)
}

fn admit(receiver: &Receiver, peer: &PeerIdentity, first: &Frame) -> Result<ReturnHello, Refusal> {
    let refuse = |kind, reason| Err(Refusal { kind, reason });
    let hello = match ReturnHello::from_frame(first) {
        Ok(hello) => hello,
        Err(error) => return refuse(RefusalKind::Version, error.to_string()),
    };
    if peer.installation != receiver.installation {
        let reason = format!(
            "this receiver serves installation {}",
            receiver.installation
        );
        return refuse(RefusalKind::NotAllowed, reason);
    }
    let known = receiver.groups.get(hello.group);
    let Some(group) = known.filter(|group| group.record().stream == hello.stream) else {
        let reason = format!(
            "group {} with stream {} is not known cloud-side",
            hello.group, hello.stream
        );
        return refuse(RefusalKind::NotAllowed, reason);
    };
    // Any gateway of the installation may call; whose capture the group's is, only the one that has
    // its session has checked.
    let feeding = group.link.borrow().gateway.clone();
    match feeding {
        Some(feeding) if feeding == peer.to_string() => Ok(hello),
        Some(feeding) => refuse(
            RefusalKind::NotReady,
            format!("group {} is fed through {feeding}: ask there", hello.group),
        ),
        None => refuse(
            RefusalKind::NotReady,
            format!("group {} has no session with a gateway now", hello.group),
        ),
    }
}
