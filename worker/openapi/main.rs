//! Writes `worker/openapi.json`, which the edge serves, and `docs/api.md` from it: `make openapi`. Routes, needs and
//! summaries are the core's table, error codes its list, answers its types. A test holds both files against this.
#![allow(clippy::indexing_slicing, reason = "members of a JSON value are made by naming them")]

mod bodies;
mod page;

use std::error::Error;
use std::fs;
use std::path::Path;

use bodies::{Answer, answer_of, body_of, filters_of};
use comind::auth::{Need, Scope};
use comind::error::Code;
use comind::route::{Method, Route};
use comind::types::ErrorBody;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    for (path, text) in files() {
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(path), text)?;
    }
    Ok(())
}

fn files() -> [(&'static str, String); 2] {
    let document = document();
    let page = page::render(&document);
    [("worker/openapi.json", format!("{document}\n")), ("docs/api.md", page)]
}

fn document() -> Value {
    let place = |settings: &mut SchemaSettings| {
        settings.meta_schema = None;
        settings.definitions_path = "/components/schemas".into();
    };
    let mut schemas = SchemaSettings::draft2020_12().with(place).into_generator();
    let mut paths: Map<String, Value> = Map::new();
    for &route in Route::ALL {
        let path = paths.entry(route.path()).or_insert_with(|| json!({}));
        if let Value::Object(path) = path {
            path.insert(route.method().as_str().to_lowercase(), operation(route, &mut schemas));
        }
    }
    let error = schemas.subschema_for::<ErrorBody<'_>>();
    let mut schemas: Map<String, Value> = schemas.take_definitions(true);
    schemas.retain(|_, schema| !schema.is_null());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "co-mind edge",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Private AI behind one OpenAI-compatible API. Every failure is one shape, on every route.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "session": {
                    "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                    "description": "The access token of `POST /v1/auth/login`.",
                },
                "apiToken": {
                    "type": "http", "scheme": "bearer",
                    "description": "A personal access token of `POST /v1/api-tokens`, with the scope that the route names.",
                },
                "service": {
                    "type": "http", "scheme": "bearer",
                    "description": "The operator's `SERVICE_TOKEN`.",
                },
            },
            "responses": responses(&error),
            "schemas": schemas,
        },
    })
}

/// One response a status, with the codes that it comes with.
fn responses(error: &schemars::Schema) -> Value {
    let mut responses = Map::new();
    for code in Code::ALL.iter().filter(|code| code.status() > 0) {
        let entry = responses.entry(format!("E{}", code.status())).or_insert_with(|| {
            json!({
                "description": "",
                "headers": { "x-request-id": { "schema": { "type": "string" } } },
                "content": { "application/json": { "schema": error } },
            })
        });
        if let Some(text) = entry.get_mut("description") {
            let before =
                text.as_str().filter(|text| !text.is_empty()).map_or(String::new(), |text| format!("{text}, "));
            *text = Value::from(format!("{before}`{}`", code.as_str()));
        }
    }
    Value::Object(responses)
}

fn operation(route: Route, schemas: &mut SchemaGenerator) -> Value {
    let mut operation = json!({
        "operationId": lower_first(&format!("{route:?}")),
        "summary": route.summary().trim(),
        "tags": [tag(route)],
        "responses": {},
    });
    let mut parameters = Vec::new();
    if route.path().contains("{id}") {
        let description = if route == Route::Model { "A model's id; may hold slashes." } else { "An id." };
        parameters.push(json!({
            "name": "id", "in": "path", "required": true, "description": description, "schema": { "type": "string", "minLength": 1 },
        }));
    }
    for (name, description, schema, is_required) in filters_of(route) {
        parameters.push(
            json!({ "name": name, "in": "query", "required": is_required, "description": description, "schema": schema }),
        );
    }
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some((schema, example)) = body_of(route, schemas) {
        let media = json!({ "schema": schema, "example": example });
        operation["requestBody"] =
            json!({ "required": route != Route::Logout, "content": { "application/json": media } });
    }
    if let Some(security) = security(route.need()) {
        operation["security"] = security;
    }
    operation["responses"] = answers(route, schemas);
    operation
}

fn tag(route: Route) -> &'static str {
    match route.need() {
        _ if route.operation().is_some() => "inference",
        Need::Service => "operator",
        _ if route.path().starts_with("/v1/auth") => "accounts",
        _ if route.path().starts_with("/v1/api-tokens") => "tokens",
        Need::Scope(_) => "models",
        _ if route == Route::AuditLogs => "audit",
        _ => "edge",
    }
}

fn security(need: Need) -> Option<Value> {
    Some(match need {
        Need::Public => return None,
        Need::Any => json!([{ "session": [] }, { "apiToken": [] }]),
        Need::Session => json!([{ "session": [] }]),
        Need::Scope(scope) => json!([{ "session": [] }, { "apiToken": [Scope::as_str(scope)] }]),
        Need::Service => json!([{ "service": [] }]),
    })
}

fn answers(route: Route, schemas: &mut SchemaGenerator) -> Value {
    let mut answers = Map::new();
    for Answer { status, description, content } in answer_of(route, schemas) {
        let mut answer = json!({ "description": description });
        if let Some(content) = content {
            answer["content"] = content;
        }
        answers.insert(status.to_string(), answer);
    }
    for status in failures(route) {
        answers.insert(status.to_string(), json!({ "$ref": format!("#/components/responses/E{status}") }));
    }
    if route.operation().is_some() {
        // A backend's own complaint passes with its status, in the same shape.
        answers.insert("4XX".into(), json!({ "$ref": "#/components/responses/E400" }));
    }
    Value::Object(answers)
}

/// The statuses that a route may fail with.
fn failures(route: Route) -> Vec<u16> {
    let mut statuses = vec![431, 500];
    match route.need() {
        Need::Public if matches!(route, Route::Health | Route::OpenApi) => {}
        Need::Public => statuses.push(429),
        Need::Service => statuses.push(401),
        Need::Any => statuses.extend([401, 403, 429]),
        Need::Session | Need::Scope(_) => statuses.extend([401, 403, 429]),
    }
    if matches!(route.method(), Method::Post | Method::Patch) && route != Route::RotateApiToken {
        statuses.extend([400, 413, 415]);
    }
    if route.path().contains("{id}") {
        statuses.push(404);
    }
    statuses.extend_from_slice(match route {
        Route::Login => &[401, 403],
        Route::Refresh => &[401, 403],
        Route::Sso => &[401, 403, 404, 409, 502, 503, 504],
        Route::CheckRegistration => &[400, 404],
        Route::Register => &[404],
        Route::Confirm => &[403],
        Route::RequestPasswordReset => &[404],
        Route::SetPassword => &[404],
        Route::CreateUser | Route::CreateApiToken => &[409],
        Route::Users | Route::AuditLogs => &[400],
        Route::ChatCompletions | Route::Completions | Route::Embeddings => &[404, 409, 502, 503, 504],
        _ => &[],
    });
    statuses.sort_unstable();
    statuses.dedup();
    statuses
}

fn lower_first(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_the_core_says() {
        for (path, text) in files() {
            let written = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
            assert!(written == text, "{path} is old: run `make openapi`");
        }
    }

    #[test]
    fn every_route_is_described_and_every_reference_leads_somewhere() {
        let document = document();
        for &route in Route::ALL {
            let operation = &document["paths"][route.path()][route.method().as_str().to_lowercase()];
            assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{route:?}");
        }
        let text = document.to_string();
        for reference in text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(document.pointer(reference).is_some(), "{reference}");
        }
    }
}
