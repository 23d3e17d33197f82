//! The document as a page to read.

use std::fmt::Write;

use serde_json::Value;

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// `docs/api.md`.
pub(crate) fn render(document: &Value) -> String {
    let mut page = String::from(
        "# API\n\nWritten by `make openapi` from the same tables and types as the code. The edge serves the document itself as \
         `GET /openapi.json` (OpenAPI 3.1).\n",
    );
    let mut last_tag = "";
    let mut operations: Vec<(&str, &String, &String, &Value)> = Vec::new();
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            operations.push((operation["tags"][0].as_str().unwrap_or_default(), path, method, operation));
        }
    }
    operations.sort_by_key(|&(tag, path, method, _)| (tag, path, method));
    for (tag, path, method, operation) in operations {
        if tag != last_tag {
            let _ = write!(page, "\n## {tag}\n");
            last_tag = tag;
        }
        let _ = write!(page, "\n### `{} {path}`\n\n{}\n", method.to_uppercase(), text(operation, "summary"));
        write_needs(&mut page, &operation["security"]);
        write_parameters(&mut page, &operation["parameters"]);
        let body = &operation["requestBody"]["content"]["application/json"];
        if body.is_object() {
            write_members(&mut page, &body["schema"]);
            let _ = write!(page, "\n```json\n{}\n```\n", body["example"]);
        }
        write_answers(&mut page, document, &operation["responses"]);
    }
    page
}

fn write_needs(page: &mut String, security: &Value) {
    let needs: Vec<String> = security
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|one| one.as_object().into_iter().flatten())
        .map(|(name, scopes)| match (name.as_str(), scopes[0].as_str()) {
            ("session", _) => "a session".to_owned(),
            ("service", _) => "the service token".to_owned(),
            (_, Some(scope)) => format!("a personal access token with `{scope}`"),
            _ => "a personal access token".to_owned(),
        })
        .collect();
    if !needs.is_empty() {
        let _ = write!(page, "\nNeeds {}.\n", needs.join(", or "));
    }
}

fn write_parameters(page: &mut String, parameters: &Value) {
    let Some(parameters) = parameters.as_array() else { return };
    page.push_str("\n| parameter | in | |\n|---|---|---|\n");
    for parameter in parameters {
        let (name, place, meaning) = (text(parameter, "name"), text(parameter, "in"), text(parameter, "description"));
        let _ = writeln!(page, "| `{name}` | {place} | {meaning}{} |", choices(&parameter["schema"]));
    }
}

fn write_members(page: &mut String, schema: &Value) {
    page.push_str("\n| member | | |\n|---|---|---|\n");
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        let is_required = if required.contains(&name.as_str()) { "required" } else { "" };
        let _ = writeln!(page, "| `{name}` | {is_required} | {}{} |", text(member, "description"), choices(member));
    }
}

/// Ranges and choices, in words.
fn choices(schema: &Value) -> String {
    let mut said = String::new();
    if let Some(choices) = schema["enum"].as_array().or_else(|| schema["items"]["enum"].as_array()) {
        let choices: Vec<String> =
            choices.iter().map(|choice| format!("`{}`", choice.to_string().trim_matches('"'))).collect();
        let _ = write!(said, " {}.", choices.join(", "));
    }
    match (schema["minimum"].as_u64(), schema["maximum"].as_u64()) {
        (Some(low), Some(high)) => {
            let _ = write!(said, " {low}–{high}.");
        }
        (Some(low), None) => {
            let _ = write!(said, " At least {low}.");
        }
        _ => {}
    }
    if let Some(default) = schema.get("default") {
        let _ = write!(said, " By default {default}.");
    }
    said
}

fn write_answers(page: &mut String, document: &Value, answers: &Value) {
    page.push_str("\n| status | |\n|---|---|\n");
    for (status, answer) in answers.as_object().into_iter().flatten() {
        let answer = match answer["$ref"].as_str().and_then(|name| name.strip_prefix('#')) {
            Some(_) if status == "4XX" => {
                page.push_str("| 4XX | what the backend itself complains of |\n");
                continue;
            }
            Some(place) => document.pointer(place).unwrap_or(answer),
            None => answer,
        };
        let kinds: Vec<&str> =
            answer["content"].as_object().into_iter().flatten().map(|(kind, _)| kind.as_str()).collect();
        let kinds = if status.starts_with('2') && !kinds.is_empty() {
            format!(" `{}`", kinds.join("`, `"))
        } else {
            String::new()
        };
        let _ = writeln!(page, "| {status} | {}{kinds} |", text(answer, "description"));
    }
}
