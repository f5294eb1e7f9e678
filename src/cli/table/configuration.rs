//! Changes of the configuration for people.

use super::{Grid, line};
use serde::Deserialize;
use serde_json::Value;

/// What came of a document.
#[derive(Debug, Deserialize)]
pub(crate) struct Applied {
    dry_run: bool,
    /// Of the configuration as it is now; none where that may not be seen.
    pub(crate) etag: Option<String>,
    changes: Vec<Change>,
}

#[derive(Debug, Deserialize)]
struct Change {
    object: String,
    name: String,
    change: String,
    fields: Vec<Field>,
    outcome: String,
    problem: Option<Trouble>,
}

#[derive(Debug, Deserialize)]
struct Field {
    name: String,
    before: Value,
    after: Value,
}

#[derive(Debug, Deserialize)]
struct Trouble {
    detail: String,
    code: String,
}

impl Change {
    fn is_one(&self) -> bool {
        self.change != "unchanged"
    }

    fn about(&self) -> String {
        match &self.problem {
            Some(trouble) => format!("{} ({})", trouble.detail, trouble.code),
            None => self
                .fields
                .iter()
                .map(Field::told)
                .collect::<Vec<_>>()
                .join("; "),
        }
    }
}

impl Field {
    fn told(&self) -> String {
        let Self {
            name,
            before,
            after,
        } = self;
        format!("{name}: {} → {}", short(before), short(after))
    }
}

/// A value in a few words.
fn short(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl Applied {
    /// Whether there is a change.
    pub(crate) fn changes_anything(&self) -> bool {
        self.changes.iter().any(Change::is_one)
    }

    /// What kept it from being applied as a whole.
    pub(crate) fn failure(&self) -> Option<String> {
        let mut failed = self.changes.iter();
        let failed = failed.find(|change| change.problem.is_some())?;
        let object = failed.object.replace('_', " ");
        Some(line(&format!(
            "{object} {}: {}",
            failed.name,
            failed.about()
        )))
    }
}

/// `bcdr configuration apply`
pub(crate) fn applied(applied: &Applied) -> String {
    let mut grid = Grid::new(&["CHANGE", "WHAT", "NAME", "OUTCOME", "FIELDS"], &[]);
    for change in applied.changes.iter().filter(|change| change.is_one()) {
        grid.row([
            change.change.clone(),
            change.object.replace('_', " "),
            change.name.clone(),
            change.outcome.replace('_', " "),
            line(&change.about()),
        ]);
    }
    let count = |kind: &str| {
        let of_kind = applied
            .changes
            .iter()
            .filter(|change| change.change == kind);
        of_kind.count()
    };
    let table = match applied.changes_anything() {
        true => format!("{grid}\n"),
        false => String::new(),
    };
    let (create, update, remove) = (count("create"), count("update"), count("remove"));
    let nothing = match applied.dry_run && applied.changes_anything() {
        true => "; nothing was changed",
        false => "",
    };
    format!(
        "{table}create {create}, update {update}, remove {remove}; unchanged {}{nothing}\n",
        count("unchanged")
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const PLANNED: &str = r#"{"dry_run":true,"complete":true,"etag":"\"abc\"","changes":[
        {"object":"group","name":"db","change":"unchanged","fields":[],"outcome":"nothing","problem":null},
        {"object":"drill_schedule","name":"db","change":"create","fields":[],"outcome":"planned","problem":null},
        {"object":"user","name":"ada","change":"update","fields":[
            {"name":"disabled","before":false,"after":true},{"name":"role","before":"viewer","after":"admin"}],
            "outcome":"planned","problem":null}]}"#;

    #[test]
    fn changes_are_shown_with_what_differs_and_the_rest_is_counted() {
        let planned: Applied = serde_json::from_str(PLANNED).unwrap();
        assert!(planned.changes_anything() && planned.failure().is_none());
        assert_eq!(
            applied(&planned),
            "CHANGE  WHAT            NAME  OUTCOME  FIELDS\n\
             create  drill schedule  db    planned\n\
             update  user            ada   planned  disabled: false → true; role: viewer → admin\n\
             \n\
             create 1, update 1, remove 0; unchanged 1; nothing was changed\n"
        );
        let same = PLANNED.replace("\"create\"", "\"unchanged\"");
        let same = same.replace("\"update\"", "\"unchanged\"");
        let same: Applied = serde_json::from_str(&same).unwrap();
        assert_eq!(
            applied(&same),
            "create 0, update 0, remove 0; unchanged 3\n"
        );
    }

    #[test]
    fn what_failed_is_named() {
        let text = PLANNED
            .replacen("\"problem\":null},\n        {\"object\":\"user\"", "\"problem\":{\"detail\":\"no room\",\"code\":\"full\"}},\n        {\"object\":\"user\"", 1)
            .replace("\"dry_run\":true", "\"dry_run\":false");
        let failed: Applied = serde_json::from_str(&text).unwrap();
        let told = "drill schedule db: no room (full)";
        assert_eq!(failed.failure().as_deref(), Some(told));
        assert!(applied(&failed).contains("no room (full)"));
    }
}
