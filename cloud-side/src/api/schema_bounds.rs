//! What a request may hold, as far as a schema can say it: lengths, ranges, forms and names.
//!
//! Invariant: what is written here into the document is what the handlers take. `tests/tests/strangers_api.rs`
//! sends both sides of each bound to the program. What no schema can say (that a name is free, that a time is
//! ahead, that a confirmation is the group's name) is refused by the handlers alone.

mod fields;

use std::collections::BTreeSet;
use utoipa::openapi::{
    ObjectBuilder, OneOfBuilder, OpenApi, Ref, RefOr, Schema, SchemaFormat,
    path::Operation,
    schema::{AdditionalProperties, ArrayItems, KnownFormat, Object, SchemaType, Type},
};

/// What a value must be.
enum Bound {
    /// A number from one to the other.
    Range(u64, u64),
    /// The same, in steps of this size.
    Steps(u64, u64, u64),
    /// A text of so many characters.
    Length(usize, usize),
    /// A text of so many characters that looks like this.
    Form(usize, usize, String),
    /// A text that looks like this.
    Pattern(String),
    /// One of these texts.
    Names(Vec<&'static str>),
    /// A list of so many items.
    Items(usize, Option<usize>),
}

impl Bound {
    fn write(&self, schema: &mut Schema) {
        let number = |value: u64| Some(usize::try_from(value).unwrap_or(usize::MAX).into());
        match (self, schema) {
            (Self::Items(least, most), Schema::Array(array)) => {
                (array.min_items, array.max_items) = (Some(*least), *most);
            }
            (Self::Range(least, most), Schema::Object(object)) => {
                (object.minimum, object.maximum) = (number(*least), number(*most));
            }
            (Self::Steps(step, least, most), Schema::Object(object)) => {
                (object.minimum, object.maximum) = (number(*least), number(*most));
                object.multiple_of = number(*step);
            }
            (Self::Length(least, most), Schema::Object(object)) => {
                (object.min_length, object.max_length) = (Some(*least), Some(*most));
            }
            (Self::Form(least, most, form), Schema::Object(object)) => {
                (object.min_length, object.max_length) = (Some(*least), Some(*most));
                object.pattern = Some(form.clone());
            }
            (Self::Pattern(form), Schema::Object(object)) => object.pattern = Some(form.clone()),
            (Self::Names(names), Schema::Object(object)) => {
                object.enum_values = Some(names.iter().map(|name| (*name).into()).collect());
            }
            _ => unreachable!(
                "a bound belongs to a schema of its kind; every test of the document comes here"
            ),
        }
    }
}

/// Writes the bounds of all requests into the document.
pub(super) fn describe(document: &mut OpenApi) {
    let mut sent = BTreeSet::new();
    for item in document.paths.paths.values_mut() {
        let operations = [
            &mut item.get,
            &mut item.post,
            &mut item.put,
            &mut item.patch,
            &mut item.delete,
        ];
        for operation in operations.into_iter().filter_map(Option::as_mut) {
            bound_parameters(operation);
            name_sent(operation, &mut sent);
        }
    }
    let schemas = &mut document.components.get_or_insert_default().schemas;
    for (name, path, bound) in fields::of_bodies() {
        let mut found = schemas.get_mut(name);
        for step in path {
            found = found.and_then(|schema| property(schema, step));
        }
        match found {
            Some(RefOr::T(schema)) => bound.write(schema),
            _ => unreachable!("{name} has no {path:?} of its own"),
        }
    }
    // What is sent is made of other schemas, which are sent with it.
    let mut open: Vec<_> = sent.iter().cloned().collect();
    while let Some(name) = open.pop() {
        let Some(RefOr::T(schema)) = schemas.get_mut(&name) else {
            continue;
        };
        let mut named = BTreeSet::new();
        close(schema, &mut named);
        open.extend(named.into_iter().filter(|name| sent.insert(name.clone())));
    }
}

fn bound_parameters(operation: &mut Operation) {
    let id = operation.operation_id.clone().unwrap_or_default();
    for parameter in operation.parameters.iter_mut().flatten() {
        let RefOr::T(parameter) = parameter else {
            continue;
        };
        let Some(RefOr::T(schema)) = &mut parameter.schema else {
            continue;
        };
        // What may be left out is left out: there is no null in a header or a query.
        if let Schema::Object(object) = &mut *schema
            && is_nullable(object)
        {
            object.schema_type = SchemaType::Type(Type::String);
        }
        if let Some(bound) = fields::of_parameter(&id, &parameter.name) {
            bound.write(schema);
        }
    }
}

/// Names the schemas of an operation's body.
fn name_sent(operation: &Operation, sent: &mut BTreeSet<String>) {
    let Some(RefOr::T(body)) = &operation.request_body else {
        return;
    };
    for content in body.content.values() {
        if let RefOr::T(content) = content
            && let Some(RefOr::Ref(reference)) = &content.schema
        {
            sent.extend(name_of(reference));
        }
    }
}

fn name_of(reference: &Ref) -> Option<String> {
    let (_, name) = reference.ref_location.rsplit_once('/')?;
    Some(name.to_owned())
}

/// The property of a schema with this name, or of one of those it may be; `items` of a list.
fn property<'a>(schema: &'a mut RefOr<Schema>, name: &str) -> Option<&'a mut RefOr<Schema>> {
    let RefOr::T(schema) = schema else {
        return None;
    };
    match schema {
        Schema::Object(object) => object.properties.get_mut(name),
        Schema::OneOf(one) => one.items.iter_mut().find_map(|one| property(one, name)),
        Schema::Array(array) => match &mut array.items {
            ArrayItems::RefOrSchema(items) if name == "items" => Some(items),
            _ => None,
        },
        _ => None,
    }
}

/// Says that an object has no other fields than those described, which is how bodies are read, and does so with
/// all that it is made of. Collects the schemas that it names.
fn close(schema: &mut Schema, named: &mut BTreeSet<String>) {
    let mut inside = |schema: &mut RefOr<Schema>| match schema {
        RefOr::Ref(reference) => named.extend(name_of(reference)),
        RefOr::T(schema) => close(schema, named),
    };
    match schema {
        Schema::Object(object) => {
            object.properties.values_mut().for_each(&mut inside);
            object.properties.values_mut().for_each(part_null);
            if !object.properties.is_empty() {
                let none = AdditionalProperties::FreeForm(false);
                object.additional_properties.get_or_insert(Box::new(none));
            }
        }
        Schema::OneOf(one) => one.items.iter_mut().for_each(inside),
        Schema::Array(array) => {
            if let ArrayItems::RefOrSchema(items) = &mut array.items {
                inside(items);
            }
        }
        _ => {}
    }
}

fn is_nullable(object: &Object) -> bool {
    matches!(&object.schema_type, SchemaType::Array(types) if types.contains(&Type::Null))
}

/// Parts null from a time: a format says nothing of a value that need not be a text, and readers of the document
/// differ in whether it holds for those that are.
fn part_null(schema: &mut RefOr<Schema>) {
    let RefOr::T(Schema::Object(object)) = schema else {
        return;
    };
    let time = SchemaFormat::KnownFormat(KnownFormat::DateTime);
    if !is_nullable(object) || object.format != Some(time) {
        return;
    }
    let mut text = object.clone();
    text.schema_type = SchemaType::Type(Type::String);
    let description = text.description.take();
    let either = OneOfBuilder::new()
        .item(text)
        .item(ObjectBuilder::new().schema_type(Type::Null))
        .description(description);
    *schema = RefOr::T(either.into());
}
