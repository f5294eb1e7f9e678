//! Refusals that a client can cause without end, as few entries as are useful.
//!
//! Invariant: the entries of one minute are bounded by the number of addresses and actors that are
//! told apart, which is bounded too; what is beyond is counted together. Every refusal is counted in
//! one entry.

use bcdr_audit::{Actor, ActorKind, Draft, Outcome};
use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, Ipv6Addr},
    time::{Duration, Instant},
};

/// For how long refusals are counted together.
const WINDOW: Duration = Duration::from_secs(60);
/// How many sources are told apart in a window.
const SOURCES_MAX: usize = 64;
/// How many codes are told apart for each.
const CODES_MAX: usize = 4;
/// How many refusals of one known actor in a window have entries of their own.
const SINGLY: u64 = 60;

/// Whose refusals are counted together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Source {
    /// A network: one IPv4 address, or 64 bits of an IPv6 address, which one client has all of.
    Network(IpAddr),
    /// A process of this host.
    Local,
    /// An actor that proved who it is.
    Known(String),
    /// All that are not told apart.
    Others,
}

#[derive(Debug)]
struct Counted {
    actor: Actor,
    since: Instant,
    count: u64,
    codes: BTreeMap<String, u64>,
}

/// What was not written yet.
#[derive(Debug, Default)]
pub(super) struct Condenser {
    counted: HashMap<Source, Counted>,
    /// How many refusals of each known actor were written singly, and since when.
    singly: HashMap<String, (Instant, u64)>,
}

impl Condenser {
    /// Counts a stranger's refusal.
    pub(super) fn stranger(&mut self, address: Option<IpAddr>, code: &str, now: Instant) {
        let source = address.map_or(Source::Local, |address| Source::Network(network(address)));
        let name = match &source {
            Source::Network(IpAddr::V6(address)) => format!("{address}/64"),
            Source::Network(address) => address.to_string(),
            _ => "a process of this host".to_owned(),
        };
        let actor = Actor {
            kind: ActorKind::Unknown,
            id: None,
            name,
        };
        self.count(source, actor, code, now);
    }

    /// Whether the refusal of a known actor is counted here, and needs no entry of its own.
    pub(super) fn takes(&mut self, draft: &Draft, now: Instant) -> bool {
        let name = format!("{}/{}", draft.actor.kind.name(), draft.actor.name);
        if self.singly.len() >= SOURCES_MAX && !self.singly.contains_key(&name) {
            self.singly
                .retain(|_, (since, _)| now.duration_since(*since) < WINDOW);
        }
        // Known actors were made by an administrator; their number is his to bound.
        let (since, count) = self.singly.entry(name.clone()).or_insert((now, 0));
        if now.duration_since(*since) >= WINDOW {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        if *count <= SINGLY {
            return false;
        }
        let code = draft.code.as_deref().unwrap_or("refused");
        self.count(Source::Known(name), draft.actor.clone(), code, now);
        true
    }

    fn count(&mut self, source: Source, actor: Actor, code: &str, now: Instant) {
        let is_known = self.counted.contains_key(&source);
        let (source, actor) = if is_known || self.counted.len() < SOURCES_MAX {
            (source, actor)
        } else {
            let others = Actor {
                kind: ActorKind::Unknown,
                id: None,
                name: "other addresses".to_owned(),
            };
            (Source::Others, others)
        };
        let counted = self.counted.entry(source).or_insert_with(|| Counted {
            actor,
            since: now,
            count: 0,
            codes: BTreeMap::new(),
        });
        counted.count += 1;
        let code = if counted.codes.contains_key(code) || counted.codes.len() < CODES_MAX {
            code
        } else {
            "others"
        };
        *counted.codes.entry(code.to_owned()).or_default() += 1;
    }

    /// The entries of what has been counted for long enough, or of everything.
    pub(super) fn due(&mut self, now: Instant, all: bool) -> Vec<Draft> {
        let is_due = |counted: &Counted| all || now.duration_since(counted.since) >= WINDOW;
        let due = self.counted.extract_if(|_, counted| is_due(counted));
        let mut due: Vec<_> = due.collect();
        due.sort_by(|(one, _), (other, _)| one.cmp(other));
        due.into_iter()
            .map(|(source, counted)| {
                let mut draft = Draft::new(counted.actor, "authenticate", Outcome::Refused);
                if matches!(source, Source::Known(_)) {
                    "repeated_refusals".clone_into(&mut draft.action);
                } else {
                    draft.source = Some(draft.actor.name.clone());
                }
                draft.count = counted.count;
                let count = |(code, count): (String, u64)| (code, count.to_string());
                draft.changes = counted.codes.into_iter().map(count).collect();
                draft
            })
            .collect()
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let bits = address.to_bits() >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from_bits(bits))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_of_strangers_is_one_entry_for_each_network() {
        let mut condenser = Condenser::default();
        let now = Instant::now();
        for host in 0..200u16 {
            let address = format!("2001:db8::{host:x}").parse().unwrap();
            condenser.stranger(Some(address), "token_invalid", now);
        }
        condenser.stranger(Some("192.0.2.7".parse().unwrap()), "token_missing", now);
        condenser.stranger(None, "token_missing", now);
        assert!(condenser.due(now + WINDOW / 2, false).is_empty());
        let due = condenser.due(now + WINDOW, false);
        let told: Vec<_> = due
            .iter()
            .map(|draft| (draft.actor.name.as_str(), draft.count))
            .collect();
        assert_eq!(
            told,
            [
                ("192.0.2.7", 1),
                ("2001:db8::/64", 200),
                ("a process of this host", 1)
            ]
        );
        assert_eq!(due[1].changes["token_invalid"], "200");
        assert!(condenser.due(now + 2 * WINDOW, true).is_empty());
    }

    #[test]
    fn more_sources_than_are_told_apart_are_counted_together() {
        let mut condenser = Condenser::default();
        let now = Instant::now();
        for host in 0..10_000u32 {
            let address = IpAddr::V4(std::net::Ipv4Addr::from_bits(host));
            condenser.stranger(Some(address), &format!("code_{}", host % 50), now);
        }
        let due = condenser.due(now, true);
        assert_eq!(due.len(), SOURCES_MAX + 1);
        let counted: u64 = due.iter().map(|draft| draft.count).sum();
        assert_eq!(counted, 10_000);
        assert!(due.iter().all(|draft| draft.changes.len() <= CODES_MAX + 1));
    }

    #[test]
    fn a_known_actor_has_entries_of_its_own_up_to_a_number() {
        let mut condenser = Condenser::default();
        let now = Instant::now();
        let actor = Actor {
            kind: ActorKind::Token,
            id: None,
            name: "wall".to_owned(),
        };
        let mut draft = Draft::new(actor, "create_group", Outcome::Refused);
        draft.code = Some("forbidden".to_owned());
        let single = (0..100).filter(|_| !condenser.takes(&draft, now)).count();
        assert_eq!(single as u64, SINGLY);
        let due = condenser.due(now + WINDOW, false);
        assert_eq!((due.len(), due[0].count), (1, 100 - SINGLY));
        assert_eq!(due[0].changes["forbidden"], (100 - SINGLY).to_string());
        assert!(!condenser.takes(&draft, now + WINDOW));
    }
}
