use super::*;
use crate::dns::{RecordKind, TsigAlgorithm, message, records};
use hickory_proto::{op::OpCode, rr::rdata::TSIG};

const NOW: u64 = 1_800_000_000;
const MAC: [u8; 32] = [7; 32];

fn key() -> TsigKey {
    TsigKey::new("dr.example", TsigAlgorithm::HmacSha256, "c2VjcmV0").unwrap()
}

fn answer(op_code: OpCode, code: ResponseCode) -> Message {
    let name = records::name("name", "shop.example").unwrap();
    let mut answer = Message::response(17, op_code);
    answer.queries = message::question(&name, RecordKind::A).queries;
    answer.metadata.response_code = code;
    answer
}

fn tsig(time: u64, error: Option<TsigError>, other: &[u8]) -> TSIG {
    TSIG::new(
        TsigAlgorithm::HmacSha256.on_wire(),
        time,
        300,
        Vec::new(),
        17,
        error,
        other.to_vec(),
    )
}

fn signed(answer: Message, tsig: TSIG) -> Vec<u8> {
    signature::answered(answer, &MAC, &key(), tsig)
}

fn believed(bytes: &[u8]) -> Result<Message, Problem> {
    believe(bytes, 17, &MAC, &key(), NOW)
}

fn cause(bytes: &[u8]) -> String {
    match believed(bytes) {
        Err(Problem::NotBelieved(cause)) => cause,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_signed_answer_is_believed_and_no_byte_of_it_can_be_changed() {
    let bytes = signed(
        answer(OpCode::Update, ResponseCode::NoError),
        tsig(NOW, None, &[]),
    );
    assert!(believed(&bytes).is_ok());
    for index in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[index] ^= 1;
        // The lowest bit makes another letter of a letter, never its other case.
        assert!(believed(&changed).is_err(), "byte {index}");
        assert!(believed(&bytes[..index]).is_err(), "cut at {index}");
    }
    let other = TsigKey::new("dr.example", TsigAlgorithm::HmacSha256, "b3RoZXI=").unwrap();
    assert!(believe(&bytes, 17, &MAC, &other, NOW).is_err());
    assert!(
        believe(&bytes, 17, &[8; 32], &key(), NOW).is_err(),
        "of another question"
    );
    assert!(
        believe(&bytes, 18, &MAC, &key(), NOW).is_err(),
        "of another id"
    );
}

#[test]
fn an_answer_of_another_time_is_not_believed() {
    let of = |time| {
        signed(
            answer(OpCode::Update, ResponseCode::NoError),
            tsig(time, None, &[]),
        )
    };
    assert!(believed(&of(NOW - 300)).is_ok());
    for time in [NOW - 301, NOW + 301] {
        assert!(cause(&of(time)).contains("clocks"));
    }
}

#[test]
fn without_a_signature_only_a_plain_no_is_taken() {
    let of = |op_code, code| answer(op_code, code).to_vec().unwrap();
    for (op_code, code) in [
        (OpCode::Update, ResponseCode::NoError),
        (OpCode::Update, ResponseCode::NXRRSet),
        (OpCode::Query, ResponseCode::NoError),
        (OpCode::Query, ResponseCode::NXDomain),
    ] {
        assert!(cause(&of(op_code, code)).contains("not signed"), "{code}");
    }
    let refused = believed(&of(OpCode::Update, ResponseCode::Refused));
    assert_eq!(refused.unwrap_err(), Problem::Refused(Refusal::Refused));
}

#[test]
fn the_signature_says_why_the_key_was_not_accepted() {
    let of = |error, other: &[u8]| {
        let answer = answer(OpCode::Update, ResponseCode::NotAuth);
        believed(&signed(answer, tsig(NOW, Some(error), other))).unwrap_err()
    };
    assert_eq!(
        of(TsigError::BadKey, &[]),
        Problem::Refused(Refusal::BadKey)
    );
    assert_eq!(
        of(TsigError::BadSig, &[]),
        Problem::Refused(Refusal::BadSig)
    );
    let server_time = (NOW + 3600).to_be_bytes();
    let late = of(TsigError::BadTime, &server_time[2..]);
    let Problem::Refused(refusal) = late else {
        panic!("{late:?}");
    };
    let remedy = refusal.remedy("example.");
    assert!(remedy.contains("3600 s ahead of ours"), "{remedy}");
    assert!(remedy.contains("NTP"), "{remedy}");
}

#[test]
fn every_code_has_a_name_and_a_remedy() {
    for code in (1..=11).map(|code| ResponseCode::from(0, code)) {
        let refusal = Refusal::of(code).unwrap();
        assert!(!refusal.to_string().is_empty());
        assert!(refusal.remedy("example.").len() > 15, "{refusal}");
        assert_eq!(
            refusal.is_condition(),
            matches!(u16::from(code), 3 | 6 | 7 | 8)
        );
    }
    assert!(Refusal::of(ResponseCode::NoError).is_none());
}

mod hostile {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn arbitrary_bytes_are_never_believed(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(believed(&bytes).is_err());
        }
    }
}
