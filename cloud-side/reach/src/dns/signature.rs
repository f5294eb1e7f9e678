//! Transaction signatures (TSIG, RFC 8945): a keyed digest over a message, the last record of it.

use super::{DnsError, TsigKey};
use aws_lc_rs::hmac;
use hickory_proto::{
    op::{Header, Message, Query},
    rr::{
        DNSClass, RData, Record,
        rdata::{
            TSIG,
            tsig::{make_tsig_record, message_tbs},
        },
    },
    serialize::binary::{BinDecodable, BinDecoder, BinEncoder},
};

/// How far clocks may be apart, in seconds; what RFC 8945 recommends.
const FUDGE_SECONDS: u16 = 300;

/// Where a message's header counts its additional records.
const ADDITIONAL_COUNT_AT: usize = 10;
const HEADER_LENGTH: usize = 12;

/// Signs a question at `now`; gives its bytes and the signature, which the answer's covers too.
pub(super) fn sign(
    mut message: Message,
    key: &TsigKey,
    now: u64,
) -> Result<(Vec<u8>, Vec<u8>), DnsError> {
    let name = message
        .queries
        .first()
        .map_or_else(String::new, |query| query.name().to_ascii());
    let invalid = |error: hickory_proto::ProtoError| DnsError::Invalid {
        what: "the question for",
        given: name.clone(),
        cause: error.to_string(),
    };
    let bare = TSIG::new(
        key.algorithm().on_wire(),
        now,
        FUDGE_SECONDS,
        Vec::new(),
        message.metadata.id,
        None,
        Vec::new(),
    );
    let signed = message_tbs(&message, &bare, key.name()).map_err(invalid)?;
    let mac = hmac::sign(&key.mac(), &signed).as_ref().to_vec();
    let record = make_tsig_record(key.name().clone(), bare.set_mac(mac.clone()));
    message.signature = Some(Box::new(record));
    let bytes = message.to_vec().map_err(invalid)?;
    Ok((bytes, mac))
}

/// An answer's signature and what it covers, before it was checked.
#[derive(Debug)]
pub(super) struct Signature {
    record: Record,
    /// Where the signature's record begins.
    begins_at: usize,
}

/// Finds the signature of an answer: its last record, if that is one.
///
/// # Errors
/// What is wrong with the message.
pub(super) fn find(bytes: &[u8]) -> Result<Option<Signature>, String> {
    let text = |error: hickory_proto::serialize::binary::DecodeError| error.to_string();
    let mut decoder = BinDecoder::new(bytes);
    let header = Header::read(&mut decoder).map_err(text)?;
    for _ in 0..header.counts.queries {
        Query::read(&mut decoder).map_err(text)?;
    }
    let counts = header.counts;
    let records = [counts.answers, counts.authorities, counts.additionals]
        .map(usize::from)
        .iter()
        .sum::<usize>();
    let mut last = None;
    for _ in 0..records {
        let begins_at = decoder.index();
        let record: Record = Record::read(&mut decoder).map_err(text)?;
        last = Some(Signature { record, begins_at });
    }
    if counts.additionals == 0 {
        return Ok(None);
    }
    Ok(last.filter(|last| matches!(last.record.data, RData::TSIG(_))))
}

impl Signature {
    pub(super) fn content(&self) -> Option<&TSIG> {
        match &self.record.data {
            RData::TSIG(tsig) => Some(tsig),
            _ => None,
        }
    }

    /// Checks that the answer in `bytes` was signed with the key for the question with this signature.
    ///
    /// # Errors
    /// What is wrong, and what to do about it.
    pub(super) fn check(
        &self,
        bytes: &[u8],
        question_mac: &[u8],
        key: &TsigKey,
        now: u64,
    ) -> Result<(), String> {
        let Some(tsig) = self.content() else {
            return Err("it has no signature".to_owned());
        };
        if self.record.name != *key.name() || tsig.algorithm != key.algorithm().on_wire() {
            return Err(format!(
                "it is signed with key {} by {}, and we asked with {key:?}",
                self.record.name, tsig.algorithm
            ));
        }
        // Neither is covered, so neither may be anything else (RFC 8945, 4.2).
        if self.record.dns_class != DNSClass::ANY || self.record.ttl != 0 {
            return Err("its signature is no signature's record".to_owned());
        }
        let covered = self
            .covered(bytes, question_mac, tsig)
            .map_err(|error| error.to_string())?;
        hmac::verify(&key.mac(), &covered, &tsig.mac).map_err(|_| {
            "its signature is wrong; check that both sides have the same secret, and what is \
             between them"
                .to_owned()
        })?;
        if tsig.time.abs_diff(now) > u64::from(tsig.fudge) {
            return Err(format!(
                "it was signed {} s away from our time; set the clocks of both sides (NTP)",
                tsig.time.abs_diff(now)
            ));
        }
        Ok(())
    }

    /// The bytes that the signature covers: the question's signature, the message as it was before it
    /// was signed, and the signature's own fields.
    fn covered(
        &self,
        bytes: &[u8],
        question_mac: &[u8],
        tsig: &TSIG,
    ) -> Result<Vec<u8>, hickory_proto::ProtoError> {
        let mut covered = Vec::with_capacity(bytes.len() + question_mac.len() + 64);
        let length = u16::try_from(question_mac.len()).unwrap_or(u16::MAX);
        covered.extend_from_slice(&length.to_be_bytes());
        covered.extend_from_slice(question_mac);
        let mut header = [0; HEADER_LENGTH];
        header.copy_from_slice(&bytes[..HEADER_LENGTH]);
        header[..2].copy_from_slice(&tsig.oid.to_be_bytes());
        let additional =
            u16::from_be_bytes([header[ADDITIONAL_COUNT_AT], header[ADDITIONAL_COUNT_AT + 1]]);
        header[ADDITIONAL_COUNT_AT..].copy_from_slice(&(additional - 1).to_be_bytes());
        covered.extend_from_slice(&header);
        covered.extend_from_slice(&bytes[HEADER_LENGTH..self.begins_at]);
        let mut fields = Vec::new();
        tsig.emit_tsig_for_mac(&mut BinEncoder::new(&mut fields), &self.record.name)?;
        covered.extend_from_slice(&fields);
        Ok(covered)
    }
}

/// The bytes of an answer that a server with this key would give. For tests of what is believed.
#[cfg(test)]
pub(super) fn answered(
    mut answer: Message,
    question_mac: &[u8],
    key: &TsigKey,
    tsig: TSIG,
) -> Vec<u8> {
    let mut covered = u16::try_from(question_mac.len())
        .unwrap()
        .to_be_bytes()
        .to_vec();
    covered.extend_from_slice(question_mac);
    covered.extend(message_tbs(&answer, &tsig, key.name()).unwrap());
    let mac = hmac::sign(&key.mac(), &covered).as_ref().to_vec();
    answer.signature = Some(Box::new(make_tsig_record(
        key.name().clone(),
        tsig.set_mac(mac),
    )));
    answer.to_vec().unwrap()
}
