//! Options of the negotiation phase as bytes: parsing their data and encoding their replies.
//!
//! No decisions here; those are in [`crate::handshake`]. Every length is checked against what is
//! really there before it is used.

use crate::constants::{MAXIMUM_NAME_LENGTH, OPTION_REPLY_MAGIC, info_type, option_reply};
use crate::export::ExportInfo;

/// The data of an option does not add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The data of `INFO` or `GO`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ExportQuery<'a> {
    pub(crate) name: &'a str,
    wanted: &'a [u8],
}

impl<'a> ExportQuery<'a> {
    pub(crate) fn parse(mut data: &'a [u8]) -> Result<Self, Malformed> {
        let name = take_string(&mut data)?;
        let count = usize::from(take_u16(&mut data)?);
        if data.len() != count * 2 {
            return Err(Malformed);
        }
        Ok(Self { name, wanted: data })
    }

    /// Whether the client asked for this information.
    pub(crate) fn wants(&self, info: u16) -> bool {
        self.wanted
            .chunks_exact(2)
            .any(|pair| pair == info.to_be_bytes())
    }
}

/// The data of `LIST_META_CONTEXT` or `SET_META_CONTEXT`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ContextQuery<'a> {
    pub(crate) name: &'a str,
    pub(crate) queries: Vec<&'a [u8]>,
}

impl<'a> ContextQuery<'a> {
    pub(crate) fn parse(mut data: &'a [u8]) -> Result<Self, Malformed> {
        let name = take_string(&mut data)?;
        let count = take_u32(&mut data)?;
        let mut queries = Vec::new();
        for _ in 0..count {
            // A query occupies at least four bytes of the data, so this cannot outgrow it.
            queries.push(take_sized(&mut data)?);
        }
        if data.is_empty() {
            Ok(Self { name, queries })
        } else {
            Err(Malformed)
        }
    }
}

/// An export name: UTF-8 without NUL, of bounded length.
pub(crate) fn parse_name(bytes: &[u8]) -> Result<&str, Malformed> {
    if bytes.len() > MAXIMUM_NAME_LENGTH || bytes.contains(&0) {
        return Err(Malformed);
    }
    str::from_utf8(bytes).map_err(|_| Malformed)
}

fn take_string<'a>(data: &mut &'a [u8]) -> Result<&'a str, Malformed> {
    parse_name(take_sized(data)?)
}

fn take_sized<'a>(data: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let length = usize::try_from(take_u32(data)?).map_err(|_| Malformed)?;
    data.split_off(..length).ok_or(Malformed)
}

fn take_u32(data: &mut &[u8]) -> Result<u32, Malformed> {
    let (number, rest) = data.split_first_chunk().ok_or(Malformed)?;
    *data = rest;
    Ok(u32::from_be_bytes(*number))
}

fn take_u16(data: &mut &[u8]) -> Result<u16, Malformed> {
    let (number, rest) = data.split_first_chunk().ok_or(Malformed)?;
    *data = rest;
    Ok(u16::from_be_bytes(*number))
}

/// Appends one option reply.
pub(crate) fn put_reply(out: &mut Vec<u8>, option: u32, reply: u32, data: &[&[u8]]) {
    let length: usize = data.iter().map(|part| part.len()).sum();
    out.extend_from_slice(&OPTION_REPLY_MAGIC.to_be_bytes());
    out.extend_from_slice(&option.to_be_bytes());
    out.extend_from_slice(&reply.to_be_bytes());
    out.extend_from_slice(&wire_length(length).to_be_bytes());
    for part in data {
        out.extend_from_slice(part);
    }
}

/// Appends an error reply with words for people.
pub(crate) fn put_error(out: &mut Vec<u8>, option: u32, error: u32, message: &str) {
    put_reply(out, option, error, &[message.as_bytes()]);
}

/// Appends one entry of `LIST`.
pub(crate) fn put_listed(out: &mut Vec<u8>, option: u32, name: &str) {
    let length = wire_length(name.len()).to_be_bytes();
    put_reply(
        out,
        option,
        option_reply::SERVER,
        &[&length, name.as_bytes()],
    );
}

/// Appends one metadata context.
pub(crate) fn put_context(out: &mut Vec<u8>, option: u32, id: u32, name: &str) {
    put_reply(
        out,
        option,
        option_reply::META_CONTEXT,
        &[&id.to_be_bytes(), name.as_bytes()],
    );
}

/// Appends everything `INFO` and `GO` tell about an export, without the final acknowledgement.
pub(crate) fn put_export_info(
    out: &mut Vec<u8>,
    option: u32,
    query: &ExportQuery<'_>,
    export: &ExportInfo,
    transmission_flags: u16,
) {
    let mut put = |info: u16, parts: [&[u8]; 3]| {
        let [first, second, third] = parts;
        put_reply(
            out,
            option,
            option_reply::INFO,
            &[&info.to_be_bytes(), first, second, third],
        );
    };
    put(
        info_type::EXPORT,
        [
            &export.size.to_be_bytes(),
            &transmission_flags.to_be_bytes(),
            &[],
        ],
    );
    if query.wants(info_type::NAME) {
        put(info_type::NAME, [export.name.as_bytes(), &[], &[]]);
    }
    if query.wants(info_type::DESCRIPTION) && !export.description.is_empty() {
        put(
            info_type::DESCRIPTION,
            [export.description.as_bytes(), &[], &[]],
        );
    }
    let sizes = export.block_sizes;
    // Told unasked when it restricts the client: the client may ignore it, but not unknowingly.
    if query.wants(info_type::BLOCK_SIZE) || sizes.minimum() > 1 {
        put(
            info_type::BLOCK_SIZE,
            [
                &sizes.minimum().to_be_bytes(),
                &sizes.preferred().to_be_bytes(),
                &sizes.maximum_payload().to_be_bytes(),
            ],
        );
    }
}

/// Lengths of what we send ourselves: names and short messages.
fn wire_length(length: usize) -> u32 {
    u32::try_from(length).expect("our own option replies are far shorter than 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn export_query_lengths_must_add_up() {
        let good = [0, 0, 0, 1, b'x', 0, 2, 0, 3, 0, 9];
        let query = ExportQuery::parse(&good).unwrap();
        assert_eq!(query.name, "x");
        assert!(query.wants(3) && query.wants(9) && !query.wants(0));
        assert_eq!(ExportQuery::parse(&good[..10]), Err(Malformed));
        assert_eq!(
            ExportQuery::parse(&[&good[..], &[0]].concat()),
            Err(Malformed)
        );
        assert_eq!(
            ExportQuery::parse(&[0, 0, 0, 9, b'x', 0, 0]),
            Err(Malformed)
        );
        assert_eq!(
            ExportQuery::parse(&[0xff, 0xff, 0xff, 0xff, b'x', 0, 0]),
            Err(Malformed)
        );
        assert_eq!(
            ExportQuery::parse(&[0, 0, 0, 1, 0, 0, 0]),
            Err(Malformed),
            "NUL in the name"
        );
        assert_eq!(
            ExportQuery::parse(&[0, 0, 0, 1, 0xff, 0, 0]),
            Err(Malformed),
            "not UTF-8"
        );
    }

    #[test]
    fn context_query_counts_must_add_up() {
        let good = [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, b'a', b':'];
        assert_eq!(
            ContextQuery::parse(&good).unwrap().queries,
            vec![&b"a:"[..]]
        );
        assert_eq!(ContextQuery::parse(&good[..13]), Err(Malformed));
        assert_eq!(
            ContextQuery::parse(&[&good[..], &[0]].concat()),
            Err(Malformed)
        );
        let boast = [0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(ContextQuery::parse(&boast), Err(Malformed));
    }

    #[test]
    fn a_name_has_a_longest_length() {
        let name = "n".repeat(MAXIMUM_NAME_LENGTH);
        assert_eq!(parse_name(name.as_bytes()), Ok(name.as_str()));
        assert_eq!(parse_name(format!("{name}n").as_bytes()), Err(Malformed));
    }
}
