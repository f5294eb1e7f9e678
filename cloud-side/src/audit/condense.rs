//! Refusals that a client can cause without end, as few entries as are useful.
//!
//! Invariant: the entries of one minute are bounded by the number of sources that are told apart (by
//! network or actor, by what was asked for, and by the account it was asked for), which is bounded too;
//! what is beyond is counted together. Every refusal is counted in one entry.

use super::object;
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
/// What a client asked for that was refused before anybody looked at it.
pub(crate) const AUTHENTICATE: &str = "authenticate";
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

/// What is counted in one entry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key {
    source: Source,
    action: String,
    account: Option<String>,
}

/// A refusal of a client that did not prove who it is.
#[derive(Debug)]
pub(crate) struct Stranger<'a> {
    /// Where it came from; none for a process of this host.
    pub(crate) address: Option<IpAddr>,
    /// What it asked for.
    pub(crate) action: &'a str,
    /// Who it claimed to be, where there is such an account: another text may be a password that was
    /// typed into the wrong field.
    pub(crate) account: Option<&'a str>,
    /// The code of the problem that was answered.
    pub(crate) code: &'a str,
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
    counted: HashMap<Key, Counted>,
    /// How many refusals of each known actor were written singly, and since when.
    singly: HashMap<String, (Instant, u64)>,
}

impl Condenser {
    /// Counts a stranger's refusal.
    pub(super) fn stranger(&mut self, stranger: &Stranger<'_>, now: Instant) {
        let source = stranger
            .address
            .map_or(Source::Local, |address| Source::Network(network(address)));
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
        let key = Key {
            source,
            action: stranger.action.to_owned(),
            account: stranger.account.map(str::to_owned),
        };
        self.count(key, actor, stranger.code, now);
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
        let key = Key {
            source: Source::Known(name),
            action: "repeated_refusals".to_owned(),
            account: None,
        };
        self.count(key, draft.actor.clone(), code, now);
        true
    }

    fn count(&mut self, key: Key, actor: Actor, code: &str, now: Instant) {
        let is_known = self.counted.contains_key(&key);
        let (key, actor) = if is_known || self.counted.len() < SOURCES_MAX {
            (key, actor)
        } else {
            let others = Actor {
                kind: ActorKind::Unknown,
                id: None,
                name: "other addresses".to_owned(),
            };
            let key = Key {
                source: Source::Others,
                action: AUTHENTICATE.to_owned(),
                account: None,
            };
            (key, others)
        };
        let counted = self.counted.entry(key).or_insert_with(|| Counted {
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
            .map(|(key, counted)| {
                let mut draft = Draft::new(counted.actor, &key.action, Outcome::Refused);
                if !matches!(key.source, Source::Known(_)) {
                    draft.source = Some(draft.actor.name.clone());
                }
                draft.object = key.account.map(|account| object("user", account));
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

    fn stranger(address: Option<IpAddr>, code: &str) -> Stranger<'_> {
        Stranger {
            address,
            action: AUTHENTICATE,
            account: None,
            code,
        }
    }

    #[test]
    fn failed_sign_ins_are_told_apart_by_account() {
        let mut condenser = Condenser::default();
        let now = Instant::now();
        let sign_in = |account| Stranger {
            action: "sign_in",
            account,
            ..stranger(None, "wrong_password")
        };
        for account in [Some("ada"), None, Some("ada"), Some("eve"), None, None] {
            condenser.stranger(&sign_in(account), now);
        }
        condenser.stranger(&stranger(None, "token_invalid"), now);
        let due = condenser.due(now + WINDOW, false);
        let told: Vec<_> = due
            .iter()
            .map(|draft| {
                let account = draft
                    .object
                    .as_ref()
                    .and_then(|object| object.id.as_deref());
                (draft.action.as_str(), account, draft.count)
            })
            .collect();
        assert_eq!(
            told,
            [
                ("authenticate", None, 1),
                ("sign_in", None, 3),
                ("sign_in", Some("ada"), 2),
                ("sign_in", Some("eve"), 1),
            ]
        );
    }

    #[test]
    fn a_minute_of_strangers_is_one_entry_for_each_network() {
        let mut condenser = Condenser::default();
        let now = Instant::now();
        for host in 0..200u16 {
            let address = format!("2001:db8::{host:x}").parse().unwrap();
            condenser.stranger(&stranger(Some(address), "token_invalid"), now);
        }
        let other = Some("192.0.2.7".parse().unwrap());
        condenser.stranger(&stranger(other, "token_missing"), now);
        condenser.stranger(&stranger(None, "token_missing"), now);
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
            let code = format!("code_{}", host % 50);
            condenser.stranger(&stranger(Some(address), &code), now);
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
