//! Which fields of an object differ. No I/O.

use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;
use utoipa::ToSchema;

/// A field that is not as it was.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ConfigurationField)]
pub(super) struct Field {
    /// Its name, as a dotted path; a step of a plan is named by its id.
    name: String,
    /// What it is before the change; null where there is nothing.
    before: Value,
    /// What it is then; null where there is nothing.
    after: Value,
}

/// The fields that differ between two objects, in the order of their names.
pub(super) fn fields(before: &impl Serialize, after: &impl Serialize) -> Vec<Field> {
    let before = serde_json::to_value(before).expect("objects are made of plain data");
    let after = serde_json::to_value(after).expect("objects are made of plain data");
    let mut found = Vec::new();
    compare("", &before, &after, &mut found);
    found
}

fn compare(name: &str, before: &Value, after: &Value, found: &mut Vec<Field>) {
    if before == after {
        return;
    }
    match (before, after) {
        (Value::Object(one), Value::Object(other)) => {
            let names: BTreeSet<_> = one.keys().chain(other.keys()).collect();
            for member in names {
                let of = |object: &serde_json::Map<String, Value>| {
                    object.get(member).cloned().unwrap_or_default()
                };
                compare(&below(name, member), &of(one), &of(other), found);
            }
        }
        (Value::Array(one), Value::Array(other)) => match (ids(one), ids(other)) {
            (Some(one_ids), Some(other_ids)) => {
                if one_ids != other_ids {
                    push(name, &one_ids.into(), &other_ids.into(), found);
                }
                for item in one {
                    let same = other.iter().find(|other| other["id"] == item["id"]);
                    if let (Some(id), Some(same)) = (item["id"].as_str(), same) {
                        compare(&below(name, id), item, same, found);
                    }
                }
            }
            _ => push(name, before, after, found),
        },
        _ => push(name, before, after, found),
    }
}

fn below(name: &str, member: &str) -> String {
    match name {
        "" => member.to_owned(),
        name => format!("{name}.{member}"),
    }
}

fn push(name: &str, before: &Value, after: &Value, found: &mut Vec<Field>) {
    found.push(Field {
        name: name.to_owned(),
        before: before.clone(),
        after: after.clone(),
    });
}

/// The ids of items that all have one.
fn ids(items: &[Value]) -> Option<Vec<String>> {
    let id = |item: &Value| Some(item.get("id")?.as_str()?.to_owned());
    items.iter().map(id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(before: &Value, after: &Value) -> Vec<(String, Value, Value)> {
        let field = |field: Field| (field.name, field.before, field.after);
        fields(before, after).into_iter().map(field).collect()
    }

    #[test]
    fn fields_are_named_as_deep_as_they_differ() {
        let before = json!({"same": [1], "settings": {"cpus": 1, "disks": ["a"]}, "gone": 1});
        let after = json!({"same": [1], "settings": {"cpus": 2, "disks": ["b"]}, "new": null});
        assert_eq!(
            told(&before, &after),
            [
                ("gone".to_owned(), json!(1), json!(null)),
                ("settings.cpus".to_owned(), json!(1), json!(2)),
                ("settings.disks".to_owned(), json!(["a"]), json!(["b"])),
            ]
        );
        assert_eq!(told(&before, &before), []);
    }

    #[test]
    fn steps_are_named_by_their_ids_and_a_new_order_is_told() {
        let step = |id: &str, priority: u8| json!({"id": id, "priority": priority});
        let before = json!({"steps": [step("db", 1), step("web", 1), step("old", 1)]});
        let after = json!({"steps": [step("web", 2), step("db", 1)]});
        assert_eq!(
            told(&before, &after),
            [
                (
                    "steps".to_owned(),
                    json!(["db", "web", "old"]),
                    json!(["web", "db"])
                ),
                ("steps.web.priority".to_owned(), json!(1), json!(2)),
            ]
        );
    }
}
