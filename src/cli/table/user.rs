//! Users for people.

use super::{Fields, Grid};
use crate::cli::client::Items;
use serde::Deserialize;

/// A user, as far as people are shown it.
#[derive(Debug, Deserialize)]
pub(crate) struct User {
    id: String,
    name: String,
    role: String,
    disabled: bool,
    created_at: String,
    password_set_at: String,
}

impl User {
    fn sign_in(&self) -> &'static str {
        if self.disabled { "refused" } else { "allowed" }
    }
}

/// `bcdr user list`
pub(crate) fn list(users: &Items<User>) -> Grid {
    let mut grid =
        Grid::new(&["NAME", "ROLE", "SIGN-IN", "MADE", "ID"], &[]).wide(&["PASSWORD SET"]);
    for user in &users.items {
        let row = [
            user.name.clone(),
            user.role.clone(),
            user.sign_in().to_owned(),
            user.created_at.clone(),
            user.id.clone(),
        ];
        grid.row_wide(row, [user.password_set_at.clone()]);
    }
    grid
}

/// One user.
pub(crate) fn show(user: &User) -> String {
    let mut fields = Fields::new();
    fields.field("user", &user.name);
    fields.field("id", &user.id);
    fields.field("role", &user.role);
    fields.field("sign-in", user.sign_in());
    fields.field("made", &user.created_at);
    fields.field("password set", &user.password_set_at);
    fields.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disabled_user_is_seen_as_such() {
        let text = r#"{"items":[{"id":"usr-1","name":"ada","role":"operator","disabled":true,
            "created_at":"2026-11-09T09:00:00Z","password_set_at":"2026-11-10T09:00:00Z"}],"next_cursor":null}"#;
        let users: Items<User> = serde_json::from_str(text).unwrap();
        assert_eq!(
            list(&users).to_string(),
            "NAME  ROLE      SIGN-IN  MADE                  ID\n\
             ada   operator  refused  2026-11-09T09:00:00Z  usr-1\n"
        );
        assert!(show(&users.items[0]).contains("refused"));
    }
}
