//! Names of what steps are told of their run: in a script's environment, and in the body of a call.
//!
//! Owns the names and the places in a text that ask for them. What the facts are is known to whoever
//! drives the run.

use std::collections::BTreeMap;

/// How every name begins.
const BEGINNING: &str = "BCDR_";
/// Facts of the run itself.
const OF_RUN: [&str; 9] = [
    "BCDR_AT",
    "BCDR_ATTEMPT",
    "BCDR_ERRAND",
    "BCDR_GROUPS",
    "BCDR_MODE",
    "BCDR_PLAN",
    "BCDR_PLAN_VERSION",
    "BCDR_RUN",
    "BCDR_STEP",
];
/// Facts of each group, after what names the group.
const OF_GROUP: [&str; 4] = ["_JOB", "_POINT", "_POINT_TIME", "_STATE"];
/// Begins the name of where a port of a group's machine is reached; the port follows.
const PORT: &str = "_PORT_";

/// How the names of a group's facts begin, such as `BCDR_GROUP_SHOP_DB` for `shop-db`.
pub fn of_group(name: &str) -> String {
    let plain = |letter: char| match letter {
        letter if letter.is_ascii_alphanumeric() => letter.to_ascii_uppercase(),
        _ => '_',
    };
    let name: String = name.chars().map(plain).collect();
    format!("{BEGINNING}GROUP_{name}")
}

/// The name at the beginning of a text that follows `${`, and what follows its `}`. What is written
/// otherwise is not ours: it may be what the receiver reads.
fn placeholder(text: &str) -> Option<(&str, &str)> {
    let (name, after) = text.split_once('}')?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (name.starts_with(BEGINNING) && name.bytes().all(plain)).then_some((name, after))
}

/// The names that a text asks for, in their order.
pub fn asked_for(text: &str) -> impl Iterator<Item = &str> {
    let places = text.split("${").skip(1);
    places.filter_map(|rest| Some(placeholder(rest)?.0))
}

/// Whether there is such a fact in runs with groups of these beginnings.
pub(crate) fn is_known<'a>(name: &str, mut groups: impl Iterator<Item = &'a String>) -> bool {
    let is_of = |group: &String| {
        name.strip_prefix(group.as_str()).is_some_and(|fact| {
            let port = fact.strip_prefix(PORT).map(str::parse::<u16>);
            OF_GROUP.contains(&fact) || matches!(port, Some(Ok(port)) if port > 0)
        })
    };
    OF_RUN.contains(&name) || groups.any(is_of)
}

/// The text with the facts in place of what asks for them.
///
/// # Errors
/// Gives the first name that nothing is known of.
pub fn fill(text: &str, facts: &BTreeMap<String, String>) -> Result<String, String> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, found) = rest.split_at(at);
        filled.push_str(before);
        let found = &found[2..];
        match placeholder(found) {
            Some((name, after)) => {
                filled.push_str(facts.get(name).ok_or_else(|| name.to_owned())?);
                rest = after;
            }
            None => {
                filled.push_str("${");
                rest = found;
            }
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_take_the_places_that_ask_for_them_and_nothing_else_is_touched() {
        let facts = BTreeMap::from([("BCDR_RUN".to_owned(), "prn-1".to_owned())]);
        let text = r#"{"run": "${BCDR_RUN}", "theirs": "${host}", "open": "${BCDR_RUN"}"#;
        let filled = fill(text, &facts).unwrap();
        assert_eq!(
            filled,
            r#"{"run": "prn-1", "theirs": "${host}", "open": "${BCDR_RUN"}"#
        );
        assert_eq!(fill("${BCDR_AT}", &facts), Err("BCDR_AT".to_owned()));
        assert_eq!(
            asked_for("${BCDR_A}${x}${BCDR_B}").collect::<Vec<_>>(),
            ["BCDR_A", "BCDR_B"]
        );
        // What a fact holds is not read again.
        let twice = BTreeMap::from([("BCDR_RUN".to_owned(), "${BCDR_RUN}".to_owned())]);
        assert_eq!(fill("${BCDR_RUN}", &twice).unwrap(), "${BCDR_RUN}");
    }

    #[test]
    fn a_fact_is_known_by_the_run_or_by_a_group_of_the_plan() {
        let groups = [of_group("shop-db")];
        for known in [
            "BCDR_MODE",
            "BCDR_GROUP_SHOP_DB_POINT",
            "BCDR_GROUP_SHOP_DB_PORT_443",
        ] {
            assert!(is_known(known, groups.iter()), "{known}");
        }
        for unknown in [
            "BCDR_MOOD",
            "BCDR_GROUP_WEB_POINT",
            "BCDR_GROUP_SHOP_DB",
            "BCDR_GROUP_SHOP_DB_PORT_0",
            "BCDR_GROUP_SHOP_DB_PORT_x",
        ] {
            assert!(!is_known(unknown, groups.iter()), "{unknown}");
        }
    }
}
