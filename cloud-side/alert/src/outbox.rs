//! The outbox: what is to be told by which channel, until it is marked as told.
//!
//! A delivery is made durable with the change that it tells, in one transaction; it is sent after
//! that, and marked after it was taken. Invariants: of one alert, a channel is told one thing after
//! the other; what is marked is never sent again, and what was taken not by this process, also when
//! its mark cannot be made durable; a delivery that was not taken for a day is given up, and that is
//! kept with its channel until a delivery is taken there again. What is no delivery proves nothing
//! about deliveries: a receiver may take signs of life and refuse alerts.

#[cfg(test)]
mod tests;

use crate::{Alert, AlertId, Now, Since, Transition};
use bcdr_format::Timestamp;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// After this long a delivery is given up.
pub const GIVEN_UP_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
const PAUSE_FIRST: Duration = Duration::from_secs(5);
const PAUSE_MAX: Duration = Duration::from_secs(600);

/// How a delivery stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It is to be sent.
    Pending,
    /// It was taken.
    Delivered {
        /// When.
        at: Timestamp,
    },
    /// It was not taken for a day.
    GivenUp {
        /// When that was decided.
        at: Timestamp,
    },
}

/// One change of one alert, for one channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The channel's name.
    pub channel: String,
    /// What is told.
    pub transition: Transition,
    /// The alert as it was then, without its history.
    pub alert: Alert,
    /// Since when it is to be sent.
    pub since: Since,
    /// How often it was sent.
    pub attempts: u32,
    /// What came of the last time, if it was not taken.
    pub last_error: Option<String>,
    /// How it stands.
    pub state: DeliveryState,
}

/// The id by which a receiver knows a delivery, the same each time it is sent.
pub fn delivery_id(transition: &Transition, channel: &str) -> String {
    format!("{}-{}-{channel}", transition.alert, transition.number)
}

impl Delivery {
    /// Its id.
    pub fn id(&self) -> String {
        delivery_id(&self.transition, &self.channel)
    }

    /// A key under which the deliveries of an alert stand together, in their order.
    pub fn key(&self) -> String {
        let alert = self.transition.alert.newest_first_key();
        format!("{alert}/{:010}/{}", self.transition.number, self.channel)
    }
}

/// What went wrong last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastFailure {
    /// When.
    pub at: Timestamp,
    /// What.
    pub error: String,
}

/// What a channel said that it took.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Taken {
    /// Who of several behind the channel did not take it, and why.
    pub but: Option<String>,
}

/// What came of sending: it was taken, or why not.
pub type Sent = Result<Taken, String>;

/// What is sent besides deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// A sign of life.
    Heartbeat,
    /// Somebody tries the channel.
    Test,
}

/// What is known of a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelRecord {
    /// Its name.
    pub name: String,
    /// When something was taken last.
    pub last_success: Option<Timestamp>,
    /// What went wrong last.
    pub last_failure: Option<LastFailure>,
    /// Deliveries given up since one was taken.
    pub given_up: u32,
    /// Since when something of what is sent is not taken; none while all is well.
    pub failing: Option<Since>,
    /// Since when no delivery is taken although some were sent.
    #[serde(default)]
    pub refusing: Option<Since>,
}

impl ChannelRecord {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            last_success: None,
            last_failure: None,
            given_up: 0,
            failing: None,
            refusing: None,
        }
    }

    fn take_up(&mut self, now: Now) {
        for since in [&mut self.failing, &mut self.refusing]
            .into_iter()
            .flatten()
        {
            since.take_up(now);
        }
    }

    /// Something was taken. A delivery that was shows that deliveries are.
    fn took(&mut self, taken: Taken, is_delivery: bool, now: Now) {
        self.last_success = Some(now.wall);
        if is_delivery {
            self.given_up = 0;
            self.refusing = None;
        }
        self.failing = self.refusing;
        if let Some(error) = taken.but {
            self.last_failure = Some(LastFailure {
                at: now.wall,
                error,
            });
        }
    }

    fn failed(&mut self, error: &str, is_delivery: bool, now: Now) {
        self.last_failure = Some(LastFailure {
            at: now.wall,
            error: error.to_owned(),
        });
        self.failing.get_or_insert(Since::now(now));
        if is_delivery {
            self.refusing.get_or_insert(Since::now(now));
        }
    }
}

/// What came of sending, to be made durable before it is taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marked {
    /// The delivery as it is then.
    pub delivery: Delivery,
    /// Its channel as it is then.
    pub channel: ChannelRecord,
}

type Key = (AlertId, u32);

#[derive(Debug, Clone, Default)]
struct Queue {
    pending: BTreeMap<Key, Delivery>,
    in_flight: BTreeSet<Key>,
    /// When a delivery, or its mark, is tried again; those not named at once.
    again: BTreeMap<Key, Duration>,
    /// Deliveries that are over, whose mark could not be made durable, and how often that was tried.
    /// They are still pending for the next process.
    unmarked: BTreeMap<Key, (Delivery, u32)>,
}

fn key_of(delivery: &Delivery) -> Key {
    (delivery.transition.alert, delivery.transition.number)
}

/// Everything that is to be told.
#[derive(Debug, Clone)]
pub struct Outbox {
    queues: BTreeMap<String, Queue>,
    channels: BTreeMap<String, ChannelRecord>,
}

impl Outbox {
    /// The outbox of these channels, as earlier processes left it. What is for a channel that is not
    /// there any more is left out: nobody can send it.
    pub fn load(
        names: impl IntoIterator<Item = String>,
        channels: Vec<ChannelRecord>,
        pending: Vec<Delivery>,
        now: Now,
    ) -> Self {
        let mut outbox = Self {
            queues: BTreeMap::new(),
            channels: BTreeMap::new(),
        };
        for name in names {
            outbox
                .channels
                .insert(name.clone(), ChannelRecord::new(&name));
            outbox.queues.insert(name, Queue::default());
        }
        for mut channel in channels {
            if let Some(known) = outbox.channels.get_mut(&channel.name) {
                channel.take_up(now);
                *known = channel;
            }
        }
        for mut delivery in pending {
            delivery.since.take_up(now);
            if delivery.state == DeliveryState::Pending {
                outbox.add(delivery);
            }
        }
        outbox
    }

    /// The deliveries of a transition for these channels, to be made durable with it.
    pub fn deliveries(
        transition: &Transition,
        alert: &Alert,
        channels: impl IntoIterator<Item = String>,
        now: Now,
    ) -> Vec<Delivery> {
        let mut alert = alert.clone();
        alert.history.clear();
        let delivery = |channel| Delivery {
            channel,
            transition: *transition,
            alert: alert.clone(),
            since: Since::now(now),
            attempts: 0,
            last_error: None,
            state: DeliveryState::Pending,
        };
        channels.into_iter().map(delivery).collect()
    }

    /// Takes in a delivery that is durable.
    pub fn add(&mut self, delivery: Delivery) {
        if let Some(queue) = self.queues.get_mut(&delivery.channel) {
            queue.pending.insert(key_of(&delivery), delivery);
        }
    }

    /// Gives what a channel is to be sent now, `most` at once, those in flight included. Each is in
    /// flight until it is marked, now or later.
    pub fn take_due(&mut self, channel: &str, most: usize, now: Now) -> Vec<Delivery> {
        let Some(queue) = self.queues.get_mut(channel) else {
            return Vec::new();
        };
        let mut due = Vec::new();
        let mut seen = None;
        for (key, delivery) in &queue.pending {
            // Only the first of an alert: the others come after it, and after its mark, or the next
            // process would send them in another order.
            if seen.replace(key.0) == Some(key.0)
                || queue.in_flight.contains(key)
                || queue.unmarked.contains_key(key)
            {
                continue;
            }
            let waits = queue.again.get(key).is_some_and(|at| *at > now.monotonic);
            if !waits && queue.in_flight.len() + due.len() < most {
                due.push(delivery.clone());
            }
        }
        queue.in_flight.extend(due.iter().map(key_of));
        due
    }

    /// What follows when a delivery was taken, or not.
    pub fn judge(&self, delivery: &Delivery, sent: Sent, now: Now) -> Marked {
        let mut delivery = delivery.clone();
        delivery.attempts = delivery.attempts.saturating_add(1);
        let mut channel = self.channel(&delivery.channel);
        match sent {
            Ok(taken) => {
                delivery.last_error = None;
                delivery.state = DeliveryState::Delivered { at: now.wall };
                channel.took(taken, true, now);
            }
            Err(error) => {
                channel.failed(&error, true, now);
                delivery.last_error = Some(error);
                if delivery.since.elapsed(now) >= GIVEN_UP_AFTER {
                    delivery.state = DeliveryState::GivenUp { at: now.wall };
                    channel.given_up = channel.given_up.saturating_add(1);
                }
            }
        }
        Marked { delivery, channel }
    }

    /// Takes in what is durable of a delivery that was in flight, or marked later.
    pub fn mark(&mut self, marked: Marked, now: Now) {
        let Marked { delivery, channel } = marked;
        let key = key_of(&delivery);
        if let Some(queue) = self.queues.get_mut(&delivery.channel) {
            queue.in_flight.remove(&key);
            queue.unmarked.remove(&key);
            queue.again.remove(&key);
            if delivery.state == DeliveryState::Pending {
                let pause = pause_after(delivery.attempts, &delivery.id());
                queue.again.insert(key, now.monotonic + pause);
                queue.pending.insert(key, delivery);
            } else {
                queue.pending.remove(&key);
            }
        }
        self.channels.insert(channel.name.clone(), channel);
    }

    /// Takes in what could not be made durable of a delivery. In this process it counts all the same:
    /// what is over is not sent again, and its mark is due after a pause that grows; what was not
    /// taken is tried again as if that were durable.
    pub fn mark_later(&mut self, marked: Marked, now: Now) {
        if marked.delivery.state == DeliveryState::Pending {
            return self.mark(marked, now);
        }
        let Marked { delivery, channel } = marked;
        let key = key_of(&delivery);
        if let Some(queue) = self.queues.get_mut(&delivery.channel) {
            let tried = queue.unmarked.get(&key).map_or(0, |(_, tries)| *tries);
            let tries = tried.saturating_add(1);
            queue.in_flight.remove(&key);
            let pause = pause_after(tries, &delivery.id());
            queue.again.insert(key, now.monotonic + pause);
            queue.unmarked.insert(key, (delivery, tries));
        }
        self.channels.insert(channel.name.clone(), channel);
    }

    /// The marks that are to be made durable now, after they could not be before.
    pub fn marks_due(&self, now: Now) -> Vec<Marked> {
        let mut due = Vec::new();
        for (name, queue) in &self.queues {
            for (key, (delivery, _)) in &queue.unmarked {
                if queue.again.get(key).is_none_or(|at| *at <= now.monotonic) {
                    due.push(Marked {
                        delivery: delivery.clone(),
                        channel: self.channel(name),
                    });
                }
            }
        }
        due
    }

    /// What follows for a channel when something else than a delivery was taken or not. A test that is
    /// taken ends the trouble of deliveries where none is waiting that would show it: somebody looked.
    pub fn tried(&self, channel: &str, sign: Sign, sent: &Sent, now: Now) -> ChannelRecord {
        let mut record = self.channel(channel);
        match sent {
            Ok(taken) => {
                let settles = sign == Sign::Test && self.pending(channel) == 0;
                record.took(taken.clone(), settles, now);
            }
            Err(error) => record.failed(error, false, now),
        }
        record
    }

    /// Takes in what is durable of a channel.
    pub fn note(&mut self, channel: ChannelRecord) {
        self.channels.insert(channel.name.clone(), channel);
    }

    /// What is known of a channel.
    pub fn channel(&self, name: &str) -> ChannelRecord {
        let known = self.channels.get(name).cloned();
        known.unwrap_or_else(|| ChannelRecord::new(name))
    }

    /// All channels, by name.
    pub fn channels(&self) -> impl Iterator<Item = &ChannelRecord> {
        self.channels.values()
    }

    /// How many deliveries a channel has before it.
    pub fn pending(&self, channel: &str) -> usize {
        self.queues
            .get(channel)
            .map_or(0, |queue| queue.pending.len())
    }
}

/// The pause after so many tries: it doubles, and is shortened by up to a quarter, so that many that
/// failed together do not come back together.
fn pause_after(attempts: u32, id: &str) -> Duration {
    let doublings = 1 << attempts.saturating_sub(1).min(16);
    let full = PAUSE_FIRST.saturating_mul(doublings).min(PAUSE_MAX);
    let spread = id.bytes().fold(attempts as u8, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(byte)
    });
    full - full / 4 * u32::from(spread) / 255
}
