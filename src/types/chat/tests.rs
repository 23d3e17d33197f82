use super::*;
use std::path::Path;
use std::string::ToString;
use std::{format, fs, println};

use serde::de::DeserializeOwned;

/// An exchange with a real server, as `tests/backends/record.mjs` keeps it.
#[derive(Deserialize)]
struct Recorded {
    request: Request,
    status: u16,
    #[serde(rename = "type", default)]
    kind: String,
    text: String,
}

#[derive(Deserialize)]
struct Request {
    path: String,
    #[serde(default)]
    body: Value,
}

/// Reads a shape and gives which members it names and the JSON has, by writing it back.
fn check<T: DeserializeOwned + Serialize>(json: &str, from: &str) {
    let read: T = serde_json::from_str(json).unwrap_or_else(|error| panic!("{from}: {error}: {json}"));
    let (given, kept) = (serde_json::from_str(json).unwrap(), serde_json::to_value(&read).unwrap());
    check_is_part(&kept, &given, from);
}

/// Whatever the shape has kept stands in what was given, with the same value.
fn check_is_part(kept: &Value, given: &Value, from: &str) {
    match (kept, given) {
        (Value::Object(kept), Value::Object(given)) => {
            for (name, value) in kept.iter().filter(|(_, value)| !value.is_null()) {
                let given = given.get(name).unwrap_or_else(|| panic!("{from}: `{name}` was not given"));
                check_is_part(value, given, from);
            }
        }
        (Value::Array(kept), Value::Array(given)) => {
            assert_eq!(kept.len(), given.len(), "{from}");
            for (kept, given) in kept.iter().zip(given) {
                check_is_part(kept, given, from);
            }
        }
        (Value::Number(kept), Value::Number(given)) => assert_eq!(kept.as_f64(), given.as_f64(), "{from}"),
        _ => assert_eq!(kept, given, "{from}"),
    }
}

#[test]
fn what_real_servers_answer_is_of_these_shapes() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures"));
    let (mut answers, mut chunks, mut requests) = (0, 0, 0);
    for server in fs::read_dir(folder).unwrap() {
        for file in fs::read_dir(server.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let recorded: Recorded = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
            let from = path.strip_prefix(folder).unwrap().display().to_string();
            if recorded.status != 200 || recorded.request.body.is_null() {
                continue;
            }
            if let Some(messages) = recorded.request.body.get("messages") {
                check::<Vec<Message>>(&messages.to_string(), &from);
                requests += 1;
            }
            let is_stream = recorded.kind.starts_with("text/event-stream");
            let events = recorded.text.lines().filter_map(|line| line.strip_prefix("data: "));
            match (&*recorded.request.path, is_stream) {
                ("/v1/chat/completions", false) => check::<ChatCompletion>(&recorded.text, &from),
                ("/v1/completions", false) => check::<Completion>(&recorded.text, &from),
                ("/v1/embeddings", false) => check::<Embeddings>(&recorded.text, &from),
                (path, true) => {
                    for data in events.filter(|data| *data != "[DONE]") {
                        match path {
                            "/v1/chat/completions" => check::<ChatCompletionChunk>(data, &from),
                            _ => check::<Completion>(data, &from),
                        }
                        chunks += 1;
                    }
                }
                _ => continue,
            }
            answers += 1;
        }
    }
    println!("{answers} answers, {chunks} chunks, {requests} lists of messages");
    assert!(answers >= 20 && chunks >= 100 && requests >= 10, "{}", format!("{answers} {chunks} {requests}"));
}

#[test]
fn every_kind_of_message_has_its_shape() {
    let messages = r#"[
        {"role":"system","content":"a"},
        {"role":"developer","content":[{"type":"text","text":"a"}],"name":"n"},
        {"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:,","detail":"low"}}]},
        {"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},
        {"role":"tool","content":"a","tool_call_id":"c"}
    ]"#;
    check::<Vec<Message>>(messages, "here");
}
