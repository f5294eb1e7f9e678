//! Orders on their way through the feed: handed on as they come, and records only as they allow.
//!
//! Invariant: records go out only while the order that the gateway told last is durable here, and is
//! one that takes them.

use std::time::Duration;

use bcdr_wire::order::SourceOrder;

use super::{FeedClient, Link};
use crate::standing::HeardOrder;

impl FeedClient {
    pub(super) fn tell(&self, order: HeardOrder) {
        if self.orders.send(order).is_err() {
            tracing::debug!("nobody hears orders any more");
        }
    }

    /// The gateway gives another order.
    pub(super) fn ordered(&mut self, order: SourceOrder) {
        let Link::Up(peer) = &mut self.link else {
            return;
        };
        let before = std::mem::replace(&mut peer.order, order.clone());
        match (before.takes_records(), order.takes_records()) {
            (true, false) => {
                self.session.disconnected();
                self.reading = None;
            }
            (false, true) => {
                // Where the gateway is by now only its next welcome tells.
                peer.close("records are taken again");
                self.tell(HeardOrder::confirmed(order));
                let why = "the gateway is asked anew where it is".to_owned();
                return self.go_down(why, Duration::ZERO);
            }
            (true, true) | (false, false) => {}
        }
        self.tell(HeardOrder::confirmed(order));
    }

    /// Whether records may go out: the order that the gateway told is durable here.
    pub(super) fn may_feed(&self) -> bool {
        let Link::Up(peer) = &self.link else {
            return false;
        };
        peer.order.takes_records() && self.stance.borrow().order.as_ref() == Some(&peer.order)
    }

    pub(super) fn stance_changed(&mut self) {
        self.stance.mark_unchanged();
        self.report_due = true;
        self.eager = true;
        if let Link::Up(peer) = &self.link
            && let Some(standing) = peer.waiting
        {
            self.shake_hands(standing);
        }
    }
}
