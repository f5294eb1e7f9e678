//! Tokens for people.

use super::{Fields, Grid};
use crate::cli::client::Items;
use serde::Deserialize;

/// A token, as far as people are shown it.
#[derive(Debug, Deserialize)]
pub(crate) struct Token {
    id: String,
    name: String,
    role: String,
    created_at: String,
    expires_at: Option<String>,
    #[serde(default)]
    groups: Option<Vec<String>>,
}

/// A token that was just made.
#[derive(Debug, Deserialize)]
pub(crate) struct Made {
    token: String,
    #[serde(flatten)]
    kept: Token,
}

impl Token {
    fn ends(&self) -> String {
        let ends = self.expires_at.clone();
        ends.unwrap_or_else(|| "when revoked".to_owned())
    }

    fn groups(&self) -> String {
        let groups = self.groups.as_ref().map(|groups| groups.join(", "));
        groups.unwrap_or_else(|| "all".to_owned())
    }
}

/// `bcdr token list`
pub(crate) fn list(tokens: &Items<Token>) -> Grid {
    let mut grid = Grid::new(&["ID", "NAME", "ROLE", "GROUPS", "MADE", "ENDS"], &[]);
    for token in &tokens.items {
        grid.row([
            token.id.clone(),
            token.name.clone(),
            token.role.clone(),
            token.groups(),
            token.created_at.clone(),
            token.ends(),
        ]);
    }
    grid
}

/// `bcdr token create`
pub(crate) fn made(made: &Made) -> String {
    let mut fields = Fields::new();
    fields.field("token", &made.token);
    fields.field("id", &made.kept.id);
    fields.field("name", &made.kept.name);
    fields.field("role", &made.kept.role);
    fields.field("groups", made.kept.groups());
    fields.field("ends", made.kept.ends());
    fields.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_token_is_shown_with_its_secret_and_a_listed_one_without() {
        let text = r#"{"token":"bcdr_00","id":"tok-1","name":"wall","role":"viewer",
            "created_at":"2026-11-09T09:00:00Z","expires_at":null}"#;
        let shown = made(&serde_json::from_str(text).unwrap());
        assert!(shown.starts_with("token   bcdr_00\n"), "{shown}");
        assert!(shown.contains("when revoked"), "{shown}");
        let kept: Token = serde_json::from_str(text).unwrap();
        let items = Items {
            items: vec![kept],
            next_cursor: None,
        };
        let listed = list(&items).to_string();
        assert!(
            !listed.contains("bcdr_00") && listed.contains(" all "),
            "{listed}"
        );
        let bound = text.replace("null}", r#"null,"groups":["billing","shop"]}"#);
        let shown = made(&serde_json::from_str(&bound).unwrap());
        assert!(shown.contains("billing, shop"), "{shown}");
    }
}
