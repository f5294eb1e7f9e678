//! The session with a gateway of a group that feeds nothing: orders come down, reports go up.
//!
//! It sends no record and says hello without an incarnation. It owns nothing but the connection,
//! which tasks may use for streams of their own; what an order means is decided by whoever hears it.

use std::net::SocketAddr;

use bcdr_wire::{
    feed::{Refusal, ToCapture},
    identity::IdentitySource,
    order::{Serving, SourceOrder, TaskState},
};
use tokio::{
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{HeardOrder, Stance};
use crate::{
    clock,
    feed_client::{
        BACKOFF, BACKOFF_MAX, BACKOFF_REFUSED, FeedStatus, REPORT_INTERVAL,
        dial::{self, DialError, Dialed, Peer},
        outgoing::Outgoing,
    },
    status::{GroupDescription, standing_report},
};

/// What the session begins with.
pub(crate) struct LinkParts {
    /// The group; changes when its volumes are seen.
    pub(crate) description: watch::Receiver<GroupDescription>,
    /// Who we are; none until there are certificates.
    pub(crate) identity: watch::Receiver<Option<IdentitySource>>,
    /// The gateways, tried in turn.
    pub(crate) gateways: Vec<SocketAddr>,
    /// Where orders go.
    pub(crate) orders: mpsc::UnboundedSender<HeardOrder>,
    /// What is reported.
    pub(crate) stance: watch::Receiver<Stance>,
    /// Where the session is shown.
    pub(crate) shown: watch::Sender<FeedStatus>,
}

/// Keeps a session up until `stop`.
pub(crate) async fn run(mut parts: LinkParts, stop: CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = keep_up(&mut parts) => {}
    }
}

async fn keep_up(parts: &mut LinkParts) {
    let identity = match parts.identity.wait_for(Option::is_some).await {
        Ok(identity) => identity.clone(),
        Err(_) => None,
    };
    let Some(identity) = identity else { return };
    let mut backoff = BACKOFF;
    let gateways = parts.gateways.clone();
    for address in gateways.into_iter().cycle() {
        let (group, stream) = {
            let description = parts.description.borrow();
            (description.id, description.stream)
        };
        let refused = match dial::dial(address, identity.clone(), group, stream, None).await {
            Ok(dialed) => {
                backoff = BACKOFF;
                converse(parts, dialed).await
            }
            Err(DialError::Refused(refusal)) => refusal_text(refusal),
            Err(error) => Ended {
                why: error.to_string(),
                lasting: false,
            },
        };
        let known = parts.shown.borrow().last_error.as_ref() == Some(&refused.why);
        if !known {
            tracing::warn!(
                group = parts.description.borrow().name,
                why = refused.why,
                "no gateway hears where the source stands"
            );
        }
        parts
            .shown
            .send_modify(|shown| shown.disconnected(refused.why));
        let pause = if refused.lasting {
            BACKOFF_REFUSED
        } else {
            backoff
        };
        backoff = (backoff * 2).min(BACKOFF_MAX);
        sleep(pause).await;
    }
}

/// Why there is no session.
struct Ended {
    why: String,
    /// Only people can change it.
    lasting: bool,
}

fn refusal_text(refusal: Refusal) -> Ended {
    let lasting = matches!(
        refusal,
        Refusal::Version { .. } | Refusal::UnknownStream { .. } | Refusal::NotAllowed { .. }
    );
    Ended {
        why: DialError::Refused(refusal).to_string(),
        lasting,
    }
}

async fn converse(parts: &mut LinkParts, dialed: Dialed) -> Ended {
    let mut peer = dialed.peer;
    tracing::info!(group = parts.description.borrow().name, gateway = %peer.name, "a gateway hears where the source stands");
    parts
        .shown
        .send_modify(|shown| shown.connected(&peer.name, peer.address));
    tell(parts, HeardOrder::remembered(peer.order.clone()));
    let mut reports = interval(REPORT_INTERVAL);
    reports.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reported = None;
    loop {
        tokio::select! {
            message = peer.incoming.recv() => match message {
                Some(ToCapture::Order(order)) => tell(parts, HeardOrder::confirmed(order)),
                Some(ToCapture::Refused(refusal)) => return refusal_text(refusal),
                Some(ToCapture::Acknowledged(acknowledged)) => {
                    parts.shown.send_modify(|shown| shown.acknowledged = acknowledged);
                }
                // Without records there is no place for a marker or a beat, and no fork.
                Some(ToCapture::PlaceMarker(_) | ToCapture::Beat(_) | ToCapture::Fork(_)) => {}
                Some(ToCapture::Welcome { .. }) => {
                    peer.close("a second welcome");
                    return Ended { why: DialError::Unexpected.to_string(), lasting: false };
                }
                None => return Ended { why: peer.why_closed(), lasting: false },
            },
            _ = reports.tick() => reported = report(parts, &peer).or(reported),
            changed = parts.stance.changed() => {
                if changed.is_err() {
                    return Ended { why: "the group is gone".to_owned(), lasting: false };
                }
                // How far a task is can wait for the next regular report.
                let now = Some(gist(&parts.stance.borrow_and_update()));
                if now != reported {
                    reported = report(parts, &peer).or(reported);
                }
            }
        }
    }
}

/// What is worth a report of its own when it changes.
type Gist = (
    Option<SourceOrder>,
    Serving,
    Option<(bcdr_format::RestoreId, bool)>,
);

fn gist(stance: &Stance) -> Gist {
    let task = stance.task.as_ref().map(|task| {
        let ended = !matches!(task.state, TaskState::Working { .. });
        (task.id, ended)
    });
    (stance.order.clone(), stance.standing(None).serving, task)
}

/// Reports, unless the last report still waits to be sent: the next one says more.
fn report(parts: &LinkParts, peer: &Peer) -> Option<Gist> {
    let stance = parts.stance.borrow();
    let report = standing_report(&parts.description.borrow(), &stance, clock::wall());
    let sent = peer.outgoing.try_send(Outgoing::Report(Box::new(report)));
    sent.is_ok().then(|| gist(&stance))
}

fn tell(parts: &LinkParts, order: HeardOrder) {
    if parts.orders.send(order).is_err() {
        tracing::debug!("nobody hears orders any more");
    }
}
