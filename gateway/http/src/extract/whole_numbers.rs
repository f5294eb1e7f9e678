//! Whole numbers that are written with a point or an exponent.
//!
//! JSON has one kind of number, and `7`, `7.0` and `7e0` are the same one; so has JSON Schema, for which all three
//! are integers. The reader of bodies knows two kinds. Here what is whole is written so that it is read as such;
//! everything else, what is no JSON included, stays as it was sent.

use std::borrow::Cow;

/// More digits than any integer here has.
const DIGITS_MAX: usize = 20;

/// The same JSON with whole numbers in digits alone.
pub(super) fn in_digits(json: &[u8]) -> Cow<'_, [u8]> {
    let mut written = Vec::new();
    let (mut kept, mut at) = (0, 0);
    while at < json.len() {
        match json[at] {
            b'"' => at = end_of_string(json, at),
            b'-' | b'0'..=b'9' => {
                let end = end_of_number(json, at);
                if let Some(digits) = digits_of(&json[at..end]) {
                    written.extend_from_slice(&json[kept..at]);
                    written.extend_from_slice(digits.as_bytes());
                    kept = end;
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    if kept == 0 {
        return Cow::Borrowed(json);
    }
    written.extend_from_slice(&json[kept..]);
    Cow::Owned(written)
}

/// Where a string that begins here is over.
fn end_of_string(json: &[u8], begin: usize) -> usize {
    let mut at = begin + 1;
    while at < json.len() {
        match json[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    json.len()
}

fn end_of_number(json: &[u8], begin: usize) -> usize {
    let rest = &json[begin + 1..];
    let length = rest
        .iter()
        .position(|byte| !matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    begin + 1 + length.unwrap_or(rest.len())
}

/// The digits of a whole number that is written with a point or an exponent.
fn digits_of(number: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(number).ok()?;
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text),
    };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    if exponent.is_none() && fraction.is_none() {
        return None;
    }
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_json = is_digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(is_digits)
        && exponent.is_none_or(|text| is_digits(text.strip_prefix(['+', '-']).unwrap_or(text)));
    if !is_json {
        return None;
    }
    let digits = [whole, fraction.unwrap_or_default()].concat();
    let moved: i64 = exponent.map_or(Ok(0), str::parse).ok()?;
    let point = i64::try_from(whole.len()).ok()?.checked_add(moved)?;
    let point = usize::try_from(point.max(0)).ok()?;
    let (before, after) = digits.split_at(point.min(digits.len()));
    if after.bytes().any(|digit| digit != b'0') {
        return None;
    }
    let before = before.trim_start_matches('0');
    if before.is_empty() {
        return Some("0".to_owned());
    }
    let zeros = point.saturating_sub(digits.len());
    (before.len().saturating_add(zeros) <= DIGITS_MAX)
        .then(|| [sign, before, &"0".repeat(zeros)].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> String {
        String::from_utf8(in_digits(json.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn whole_numbers_are_written_in_digits() {
        for (sent, wanted) in [
            ("7.0", "7"),
            ("[1e3,-2.50E+1]", "[1000,-25]"),
            ("{\"a\":120e-1 , \"b\":0.0}", "{\"a\":12 , \"b\":0}"),
            ("-0.0", "0"),
            ("0e999999999999", "0"),
            ("18446744073709551615.0", "18446744073709551615"),
        ] {
            assert_eq!(read(sent), wanted);
        }
    }

    #[test]
    fn what_is_not_whole_not_json_or_a_text_stays() {
        for kept in [
            "7",
            "7.5",
            "1e-1",
            "1e999999999999",
            "01.0",
            "1.",
            "1.e2",
            "1e",
            "1e+",
            "--1.0",
            "-",
            "\"7.0\"",
            "\"\\\"7.0\"",
            "\"7.0",
            "\"\\",
            "100000000000000000000.0",
        ] {
            assert_eq!(read(kept), kept);
        }
    }
}
