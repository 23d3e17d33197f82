//! What goes in and what comes out, route by route.

use comind::audit::{Action, AuditLogs, MAX_OFFSET, MAX_PAGE};
use comind::auth::Scope;
use comind::route::Route;
use comind::types::chat::{ChatCompletion, ChatCompletionChunk, Completion, Embeddings, Message, Tool};
use comind::types::{
    ApiToken, BackendCapabilities, BackendSummary, BackendsHealth, Health, List, LoginResponse, Model, ScopeList,
};
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

/// An answer that is no failure.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) description: &'static str,
    /// By media type.
    pub(crate) content: Option<Value>,
}

fn json_answer(status: u16, description: &'static str, schema: &Value) -> Answer {
    Answer { status, description, content: Some(json!({ "application/json": { "schema": schema } })) }
}

fn of<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Value {
    schemas.subschema_for::<T>().into()
}

fn object(members: &Value, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": members, "required": required })
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn texts(description: &str) -> Value {
    json!({ "type": "array", "items": { "type": "string" }, "description": description })
}

fn email() -> Value {
    json!({ "type": "string", "format": "email", "description": "The address." })
}

fn new_password() -> Value {
    json!({
        "type": "string", "minLength": 12, "maxLength": 128, "format": "password",
        "description": "12 to 128 characters, and none of the most common passwords.",
    })
}

fn code() -> Value {
    json!({ "type": "string", "pattern": "^[0-9]{6}$", "description": "The code that was mailed." })
}

/// A user as the operator sees one.
fn whole_user() -> Value {
    let members = json!({
        "id": text("`user_…`."), "email": email(), "username": text("A name for people."),
        "confirmed": { "type": "boolean" }, "suspended": { "type": "boolean" }, "created_at": text("ISO 8601, UTC."),
        "privileges": texts("What the user may do beyond the ordinary."), "groupMemberships": texts("Organizations and groups."),
        "userVersion": { "type": "integer" },
    });
    object(&members, &["id", "email"])
}

/// The pair of tokens that every route gives which opens a session or goes on with one.
fn pair() -> Value {
    let members = json!({
        "access_token": text("A JWT for `Authorization: Bearer`."), "refresh_token": text("A JWT that buys the next pair, once."),
        "token_type": { "const": "bearer" }, "expires_in": { "type": "integer", "description": "Seconds." }, "user": whole_user(),
    });
    object(&members, &["access_token", "refresh_token", "token_type", "expires_in", "user"])
}

fn message() -> Value {
    object(&json!({ "message": text("A sentence for a person.") }), &["message"])
}

/// A token, this once with its secret.
fn created_token() -> Value {
    let members = json!({
        "token": text("The token: shown this once."), "id": text("Its public half."), "name": text("Its name."),
        "scopes": texts("What it may do."), "created_at": text("ISO 8601, UTC."), "expires_at": text("ISO 8601, UTC."),
    });
    object(&members, &["token", "id", "name", "scopes", "created_at", "expires_at"])
}

/// What a request may say besides what is named: all that the backend knows passes.
fn open(mut schema: Value) -> Value {
    schema["additionalProperties"] = json!(true);
    schema
}

fn nullable(mut schema: Value, kind: &str) -> Value {
    schema["type"] = json!([kind, "null"]);
    schema
}

fn common() -> Value {
    json!({
        "model": { "type": "string", "minLength": 1, "description": "One of `GET /v1/models`." },
        "stream": nullable(json!({ "description": "Whether the answer comes as server-sent events." }), "boolean"),
        "temperature": nullable(json!({ "minimum": 0, "maximum": 2 }), "number"),
        "top_p": nullable(json!({ "minimum": 0, "maximum": 1 }), "number"),
        "max_tokens": nullable(json!({ "minimum": 1 }), "integer"),
        "n": nullable(json!({ "minimum": 1 }), "integer"),
        "stream_options": nullable(json!({ "properties": { "include_usage": { "type": "boolean" } } }), "object"),
    })
}

fn with(mut members: Value, name: &str, schema: Value) -> Value {
    members[name] = schema;
    members
}

/// The body that a route reads, and one that it takes.
pub(crate) fn body_of(route: Route, schemas: &mut SchemaGenerator) -> Option<(Value, Value)> {
    let scopes: Vec<&str> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
    let (members, required, example): (Value, &[&str], Value) = match route {
        Route::Login => (
            json!({ "email": email(), "password": { "type": "string", "minLength": 1, "format": "password" } }),
            &["email", "password"],
            json!({ "email": "ann@example.com", "password": "correct horse battery" }),
        ),
        Route::Refresh => {
            (json!({ "refresh_token": text("The token.") }), &["refresh_token"], json!({ "refresh_token": "eyJ…" }))
        }
        Route::Logout => (
            json!({ "access_token": text("Its session ends."), "refresh_token": text("Its session ends.") }),
            &[],
            json!({ "refresh_token": "eyJ…" }),
        ),
        Route::Sso => (
            json!({ "oid": text("The user's id in the tenant."), "tid": text("The tenant."), "upn": email(), "id_token": text("What the tenant signed.") }),
            &["oid", "tid", "upn", "id_token"],
            json!({ "oid": "o", "tid": "t", "upn": "ann@example.com", "id_token": "eyJ…" }),
        ),
        Route::Register => (
            json!({ "email": email(), "password": new_password(), "username": { "type": "string", "maxLength": 100 } }),
            &["email", "password"],
            json!({ "email": "ann@example.com", "password": "correct horse battery", "username": "Ann" }),
        ),
        Route::Confirm => (
            json!({ "email": email(), "code": code() }),
            &["email", "code"],
            json!({ "email": "ann@example.com", "code": "123456" }),
        ),
        Route::ChangePassword => (
            json!({ "currentPassword": { "type": "string", "minLength": 1 }, "newPassword": new_password() }),
            &["currentPassword", "newPassword"],
            json!({ "currentPassword": "correct horse battery", "newPassword": "staple and more of it" }),
        ),
        Route::RequestPasswordReset => (json!({ "email": email() }), &["email"], json!({ "email": "ann@example.com" })),
        Route::ResetPassword => (
            json!({ "email": email(), "code": code(), "newPassword": new_password() }),
            &["email", "code", "newPassword"],
            json!({ "email": "ann@example.com", "code": "123456", "newPassword": "staple and more of it" }),
        ),
        Route::SetPassword => (
            json!({ "email": email(), "user_id": text("In place of the address."), "newPassword": new_password() }),
            &["newPassword"],
            json!({ "email": "ann@example.com", "newPassword": "staple and more of it" }),
        ),
        Route::CreateUser => (
            json!({
                "email": email(), "password": new_password(), "username": { "type": "string", "maxLength": 100 },
                "privileges": texts("`admin`, `auditView`, …"), "groupMemberships": texts("The seeded organization when absent."),
            }),
            &["email"],
            json!({ "email": "ann@example.com", "password": "correct horse battery", "privileges": [], "groupMemberships": ["main"] }),
        ),
        Route::UpdateUser => (
            json!({
                "suspended": { "type": "boolean" }, "username": { "type": "string", "maxLength": 100 },
                "privileges": texts("All of them."), "groupMemberships": texts("All of them."),
            }),
            &[],
            json!({ "suspended": true }),
        ),
        Route::CreateApiToken => (
            json!({
                "name": { "type": "string", "minLength": 1, "maxLength": 100 },
                "scopes": { "type": "array", "items": { "enum": scopes }, "minItems": 1 },
                "expires_in_days": { "type": "integer", "minimum": 1, "maximum": 365, "default": 90 },
            }),
            &["name", "scopes"],
            json!({ "name": "my script", "scopes": ["models:read"], "expires_in_days": 30 }),
        ),
        Route::ChatCompletions => {
            let members =
                with(common(), "messages", json!({ "type": "array", "minItems": 1, "items": of::<Message>(schemas) }));
            let members = with(members, "tools", nullable(json!({ "items": of::<Tool>(schemas) }), "array"));
            let members = with(members, "max_completion_tokens", nullable(json!({ "minimum": 1 }), "integer"));
            let example =
                json!({ "model": "m", "messages": [{ "role": "user", "content": "What is the capital of France?" }] });
            return Some((open(object(&members, &["model", "messages"])), example));
        }
        Route::Completions => {
            let prompt = json!({ "oneOf": [{ "type": "string" }, { "type": "array", "minItems": 1 }] });
            let members = with(common(), "prompt", prompt);
            return Some((open(object(&members, &["model", "prompt"])), json!({ "model": "m", "prompt": "Once" })));
        }
        Route::Embeddings => {
            let members = json!({
                "model": { "type": "string", "minLength": 1 },
                "input": { "oneOf": [{ "type": "string" }, { "type": "array", "minItems": 1 }] },
                "encoding_format": { "enum": ["float", "base64", null] },
                "dimensions": nullable(json!({ "minimum": 1 }), "integer"),
            });
            return Some((open(object(&members, &["model", "input"])), json!({ "model": "m", "input": "Hello" })));
        }
        _ => return None,
    };
    Some((object(&members, required), example))
}

type Filter = (&'static str, &'static str, Value, bool);

/// The query that a route reads: name, meaning, schema, whether it must be there.
pub(crate) fn filters_of(route: Route) -> Vec<Filter> {
    let number = |low: u32, high: u32, default: u32| json!({ "type": "integer", "minimum": low, "maximum": high, "default": default });
    match route {
        Route::CheckRegistration => vec![("email", "The address.", email(), true)],
        Route::Users => vec![
            ("limit", "The most that are given.", number(1, 100, 20), false),
            ("after", "The id of the last user of the page before.", json!({ "type": "string" }), false),
            ("email", "Only the user of this address.", email(), false),
        ],
        Route::AuditLogs => {
            let actions: Vec<&str> = Action::ALL.iter().map(|action| action.as_str()).collect();
            let mut resources: Vec<&str> = Action::ALL.iter().map(|action| action.resource()).collect();
            resources.sort_unstable();
            resources.dedup();
            let instant = json!({ "type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}(\.\d{3})?Z)?$", "examples": ["2026-11-22"] });
            vec![
                ("start", "From this day or instant on, UTC.", instant.clone(), false),
                ("end", "Before this day or instant, UTC.", instant, false),
                ("user_id", "About this user.", json!({ "type": "string" }), false),
                ("action", "What was done.", json!({ "enum": actions }), false),
                ("resource", "What it was done to.", json!({ "enum": resources }), false),
                ("status", "Whether it was let.", json!({ "enum": ["success", "failure"] }), false),
                ("limit", "The most that are given.", number(1, MAX_PAGE, 50), false),
                ("offset", "So many of the newest are left out.", number(0, MAX_OFFSET, 0), false),
            ]
        }
        _ => Vec::new(),
    }
}

/// What a route answers when all is well.
pub(crate) fn answer_of(route: Route, schemas: &mut SchemaGenerator) -> Vec<Answer> {
    let answer = match route {
        Route::Health => json_answer(200, "It is up.", &of::<Health>(schemas)),
        Route::Metrics => {
            let content = json!({ "text/plain": { "schema": { "type": "string" } } });
            Answer { status: 200, description: "Prometheus' text format.", content: Some(content) }
        }
        Route::OpenApi => json_answer(200, "This document.", &json!({ "type": "object" })),
        Route::Login | Route::Sso | Route::Confirm => json_answer(200, "A session.", &of::<LoginResponse>(schemas)),
        Route::Refresh => json_answer(200, "The next pair of tokens.", &pair()),
        Route::Logout | Route::SetPassword | Route::DeleteUser | Route::RevokeApiToken => {
            Answer { status: 204, description: "Done.", content: None }
        }
        Route::Me => json_answer(200, "The caller.", &whole_user()),
        Route::CheckRegistration => {
            let members = json!({ "registered": { "type": "boolean" } });
            json_answer(200, "Whether it has an account.", &object(&members, &["registered"]))
        }
        Route::Register => json_answer(201, "The same for every address.", &message()),
        Route::ChangePassword | Route::RequestPasswordReset | Route::ResetPassword => {
            json_answer(200, "Done.", &message())
        }
        Route::CreateUser => json_answer(201, "The user.", &whole_user()),
        Route::User | Route::UpdateUser => json_answer(200, "The user.", &whole_user()),
        Route::Users => {
            let members = json!({ "object": { "const": "list" }, "data": { "type": "array", "items": whole_user() }, "has_more": { "type": "boolean" } });
            json_answer(200, "A page of users.", &object(&members, &["object", "data", "has_more"]))
        }
        Route::Models => json_answer(200, "The models.", &of::<List<Model>>(schemas)),
        Route::Model => json_answer(200, "The model.", &of::<Model>(schemas)),
        Route::ChatCompletions => {
            return inference(&of::<ChatCompletion>(schemas), Some(of::<ChatCompletionChunk>(schemas)));
        }
        Route::Completions => return inference(&of::<Completion>(schemas), Some(of::<Completion>(schemas))),
        Route::Embeddings => return inference(&of::<Embeddings>(schemas), None),
        Route::Backends => json_answer(200, "The backends.", &of::<List<BackendSummary>>(schemas)),
        Route::BackendsHealth => json_answer(200, "How each answered last.", &of::<BackendsHealth>(schemas)),
        Route::Capabilities => json_answer(200, "What each can do.", &of::<List<BackendCapabilities>>(schemas)),
        Route::ApiTokenScopes => json_answer(200, "The scopes.", &of::<ScopeList>(schemas)),
        Route::CreateApiToken => json_answer(201, "The token, this once.", &created_token()),
        Route::RotateApiToken => json_answer(200, "The new token, this once.", &created_token()),
        Route::ApiTokens => json_answer(200, "The tokens, without their secrets.", &of::<Vec<ApiToken>>(schemas)),
        Route::AuditLogs => json_answer(200, "A page of events, the newest first.", &of::<AuditLogs<'_>>(schemas)),
    };
    vec![answer]
}

fn inference(whole: &Value, chunk: Option<Value>) -> Vec<Answer> {
    let mut content = json!({ "application/json": { "schema": whole } });
    if let Some(chunk) = chunk {
        let description = "With `stream: true`: each event's data is one of these, the last one's `[DONE]`.";
        // Of one kind but for the last: no keyword of JSON Schema says so of a text that holds JSON.
        let data = json!({ "type": "string", "x-json": chunk });
        let event = json!({ "type": "object", "description": description, "properties": { "data": data } });
        content["text/event-stream"] = json!({ "schema": event });
    }
    vec![Answer { status: 200, description: "The backend's answer.", content: Some(content) }]
}
