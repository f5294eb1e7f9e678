//! Questions and updates as messages, and what answers hold. No I/O.

use super::{DnsError, Reading, RecordKind, RecordSet, records};
use hickory_proto::{
    op::{Message, MessageType, OpCode, Query},
    rr::{DNSClass, Name, RData, Record, RecordType},
};

/// Asks for all records of a kind at a name, and for no recursion.
pub(super) fn question(name: &Name, kind: RecordKind) -> Message {
    let mut message = Message::new(id(), MessageType::Query, OpCode::Query);
    message.add_query(Query::query(name.clone(), kind.on_wire()));
    message
}

/// Replaces `seen` by `wanted` on condition that the name holds just `seen` (RFC 2136).
pub(super) fn update(
    zone: &Name,
    name: &Name,
    seen: &RecordSet,
    wanted: &RecordSet,
) -> Result<Message, DnsError> {
    let kind = wanted.kind.on_wire();
    let mut message = Message::new(id(), MessageType::Query, OpCode::Update);
    message.add_query(Query::query(zone.clone(), RecordType::SOA));
    if seen.values.is_empty() {
        // "The record set does not exist" (2.4.3).
        message.add_answer(bare(name, kind, DNSClass::NONE));
    }
    for data in seen.data()? {
        // "The record set exists with just these values" (2.4.2); its time to live is not compared.
        message.add_answer(Record::from_rdata(name.clone(), 0, data));
    }
    // "Delete the record set" (2.5.2), then "add to it" (2.5.1), all or nothing.
    message.add_authority(bare(name, kind, DNSClass::ANY));
    for data in wanted.data()? {
        message.add_authority(Record::from_rdata(name.clone(), wanted.ttl_seconds, data));
    }
    Ok(message)
}

fn bare(name: &Name, kind: RecordType, class: DNSClass) -> Record {
    let mut record = Record::from_rdata(name.clone(), 0, RData::Update0(kind));
    record.dns_class = class;
    record
}

/// A number that nobody can guess, or, without randomness, at least not the last one.
fn id() -> u16 {
    let mut bytes = [0; 2];
    if getrandom::fill(&mut bytes).is_err() {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        return (now.unwrap_or_default().subsec_nanos() >> 8) as u16;
    }
    u16::from_be_bytes(bytes)
}

/// What the name holds by an answer of its authority.
pub(super) fn reading(name: &Name, kind: RecordKind, answer: &Message) -> Reading {
    let of_set: Vec<&Record> = answer
        .answers
        .iter()
        .filter(|record| record.name == *name && record.record_type() == kind.on_wire())
        .collect();
    let mut values: Vec<String> = of_set
        .iter()
        .map(|record| records::written(&record.data))
        .collect();
    values.sort_unstable();
    values.dedup();
    let ttl_seconds = of_set.iter().map(|record| record.ttl).max().unwrap_or(0);
    Reading {
        remembered_seconds: if values.is_empty() {
            absence_remembered(answer)
        } else {
            ttl_seconds
        },
        records: RecordSet {
            name: name.to_lowercase().to_ascii(),
            kind,
            ttl_seconds,
            values,
        },
    }
}

/// How long it is remembered that there is nothing (RFC 2308), in seconds.
fn absence_remembered(answer: &Message) -> u32 {
    let soa = answer
        .authorities
        .iter()
        .find_map(|record| match &record.data {
            RData::SOA(soa) => Some(record.ttl.min(soa.minimum)),
            _ => None,
        });
    soa.unwrap_or(0)
}
