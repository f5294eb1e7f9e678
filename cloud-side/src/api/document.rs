//! The OpenAPI document, generated from the routes.

use axum::http::Method;
use bcdr_http::Problem;
use utoipa::{
    Modify,
    openapi::{
        OpenApi,
        security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme},
    },
};

/// What every route shares in the document.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "bcdr cloud side",
        description = "Protection groups, recovery points, views, drills, reports and jobs. Errors are RFC 9457 problems with a stable code, a cause and a remedy.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    modifiers(&Credentials),
    security(("token" = []), ("session" = [])),
    components(schemas(Problem)),
    tags(
        (name = "system", description = "The installation"),
        (name = "groups", description = "Protection groups and their volumes"),
        (name = "points", description = "Recovery points"),
        (name = "views", description = "Read-only images of points, served over NBD"),
        (name = "drills", description = "Boots of points in isolation"),
        (name = "plans", description = "Recovery of several groups in order, and its runs"),
        (name = "reports", description = "Signed reports of drills and recoveries, and runbooks"),
        (name = "audit", description = "Who did what, chained and signed"),
        (name = "configuration", description = "Everything that is set over this API, as one document"),
        (name = "access", description = "Users, tokens, and sessions of the console"),
        (name = "alerts", description = "What is wrong, its life, and the channels that tell it"),
        (name = "events", description = "What changed, as a list and as a stream"),
        (name = "jobs", description = "Work that outlasts its request"),
    )
)]
pub(super) struct Base;

struct Credentials;

impl Modify for Credentials {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_default();
        let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        components.add_security_scheme("token", bearer);
        let cookie = ApiKeyValue::with_description(
            "__Host-bcdr-session",
            "Made by signing in. Requests other than GET and HEAD also carry X-BCDR-Request: 1.",
        );
        let session = SecurityScheme::ApiKey(ApiKey::Cookie(cookie));
        components.add_security_scheme("session", session);
    }
}

/// Every operation that has an id: its method, its path and the id.
pub(super) fn operations(document: &OpenApi) -> impl Iterator<Item = (Method, &str, &str)> {
    document.paths.paths.iter().flat_map(|(path, item)| {
        [
            (Method::GET, &item.get),
            (Method::POST, &item.post),
            (Method::PUT, &item.put),
            (Method::PATCH, &item.patch),
            (Method::DELETE, &item.delete),
        ]
        .into_iter()
        .filter_map(move |(method, operation)| {
            let id = operation.as_ref()?.operation_id.as_deref()?;
            Some((method, path.as_str(), id))
        })
    })
}

/// The document of this release.
pub(super) fn document() -> OpenApi {
    let (_, mut document) = super::routes().split_for_parts();
    let (_, open) = super::open_routes().split_for_parts();
    document.merge(open);
    super::permissions::describe(&mut document);
    super::schema_bounds::describe(&mut document);
    document
}

/// The OpenAPI 3.1 document of this release, as JSON.
pub fn openapi_json() -> String {
    let mut text = document()
        .to_pretty_json()
        .expect("the document is made of plain data");
    text.push('\n');
    text
}
