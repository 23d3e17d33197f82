use super::*;
use std::string::String;
use std::vec::Vec;

const NESTING_LIMIT: u32 = 64;

fn parse(operation: Operation, body: &[u8]) -> Result<InferenceRequest, Error> {
    InferenceRequest::parse(operation, body, NESTING_LIMIT)
}

fn body(extra: &str) -> String {
    std::format!(r#"{{"model":"m","messages":[{{"role":"user","content":"Hi"}}]{extra}}}"#)
}

fn param(body: &str) -> Option<String> {
    let error = parse(Operation::ChatCompletion, body.as_bytes()).unwrap_err();
    assert_eq!(error.code, Code::BadRequest, "{body}");
    error.param.map(Cow::into_owned)
}

#[test]
fn what_decides_is_read() {
    let request = parse(
        Operation::ChatCompletion,
        body(r#","stream":true,"tools":[{"type":"function"}],"max_tokens":5,"temperature":2,"top_p":0,"x":{"y":[1]}"#)
            .as_bytes(),
    );
    let request = request.unwrap();
    assert_eq!((request.operation, request.model.as_str()), (Operation::ChatCompletion, "m"));
    assert_eq!((request.stream, request.has_images, request.has_tools, request.choices), (true, false, true, 1));
}

#[test]
fn null_and_empty_stand_for_absent() {
    let plain = parse(Operation::ChatCompletion, body("").as_bytes()).unwrap();
    let spelled_out = r#","stream":null,"tools":[],"max_tokens":null,"temperature":null,"top_p":null"#;
    assert_eq!(parse(Operation::ChatCompletion, body(spelled_out).as_bytes()).unwrap(), plain);
}

#[test]
fn images_are_seen_in_parts_only() {
    let with = |content: &str| {
        let body = std::format!(r#"{{"model":"m","messages":[{{"role":"user","content":{content}}}]}}"#);
        parse(Operation::ChatCompletion, body.as_bytes()).map(|request| request.has_images)
    };
    assert_eq!(with(r#""type image_url""#), Ok(false));
    assert_eq!(with(r#"[{"type":"text","text":"image_url"}]"#), Ok(false));
    assert_eq!(with(r#"[{"type":"text","text":"a"},{"image_url":{"url":"data:,"},"type":"image_url"}]"#), Ok(true));
    assert_eq!(with(r#"[{"type":"\u0069mage_url"}]"#), Ok(true));
    assert_eq!(with("null"), Ok(false));
}

#[test]
fn each_wrong_field_is_named() {
    for (extra, expected) in [
        (r#","temperature":2.01"#, "temperature"),
        (r#","temperature":-0.01"#, "temperature"),
        (r#","temperature":"1""#, "temperature"),
        (r#","top_p":1.01"#, "top_p"),
        (r#","max_tokens":0"#, "max_tokens"),
        (r#","max_tokens":1.5"#, "max_tokens"),
        (r#","max_completion_tokens":-1"#, "max_completion_tokens"),
        (r#","n":0"#, "n"),
        (r#","stream":"true""#, "stream"),
        (r#","tools":{}"#, "tools"),
        (r#","model":"n""#, "model"),
    ] {
        assert_eq!(param(&body(extra)).as_deref(), Some(expected), "{extra}");
    }
    for (body, expected) in [
        (r#"{"messages":[{"role":"user"}]}"#, "model"),
        (r#"{"model":"","messages":[{"role":"user"}]}"#, "model"),
        (r#"{"model":7,"messages":[{"role":"user"}]}"#, "model"),
        (r#"{"model":"m"}"#, "messages"),
        (r#"{"model":"m","messages":null}"#, "messages"),
        (r#"{"model":"m","messages":[]}"#, "messages"),
        (r#"{"model":"m","messages":"Hi"}"#, "messages"),
        (r#"{"model":"m","messages":["Hi"]}"#, "messages.0"),
        (r#"{"model":"m","messages":[{"role":"user"},{"content":"a"}]}"#, "messages.1.role"),
        (r#"{"model":"m","messages":[{"role":3}]}"#, "messages.0.role"),
        (r#"{"model":"m","messages":[{"role":"user","content":3}]}"#, "messages.0.content"),
        (r#"{"model":"m","messages":[{"role":"user","content":[{}]}]}"#, "messages.0.content"),
    ] {
        assert_eq!(param(body).as_deref(), Some(expected), "{body}");
    }
}

#[test]
fn the_ends_of_each_range_pass() {
    for extra in
        [r#","temperature":0"#, r#","temperature":2"#, r#","top_p":0"#, r#","top_p":1.0"#, r#","max_tokens":1"#]
    {
        assert!(parse(Operation::ChatCompletion, body(extra).as_bytes()).is_ok(), "{extra}");
    }
}

#[test]
fn what_is_not_a_json_object_is_refused_without_quoting_it() {
    for text in
        ["", "null", "[]", "\"secret\"", "{", r#"{"secret":}"#, r#"{"model":"secret"} x"#, "{\"model\":\"\u{1}\"}"]
    {
        let error = parse(Operation::ChatCompletion, text.as_bytes()).unwrap_err();
        assert_eq!((error.code, &error.param), (Code::BadRequest, &None), "{text}");
        assert!(!error.message.contains("secret"));
    }
    assert!(parse(Operation::ChatCompletion, b"{\"model\":\"\xff\",\"messages\":[{\"role\":\"user\"}]}").is_err());
}

#[test]
fn deep_nesting_ends_in_an_answer() {
    for open in ["[", "{\"a\":"] {
        let deep = open.repeat(200_000);
        assert!(parse(Operation::ChatCompletion, body(&std::format!(r#","x":{deep}"#)).as_bytes()).is_err());
    }
    let messages = std::format!(r#"{{"model":"m","messages":{}"#, "[".repeat(200_000));
    assert!(parse(Operation::ChatCompletion, messages.as_bytes()).is_err());
}

#[test]
fn nesting_up_to_the_limit_passes_and_one_more_does_not() {
    let nested = |levels: u32| {
        let (open, close) = ("[".repeat(levels as usize), "]".repeat(levels as usize));
        body(&std::format!(r#","x":["[[[","\"[[",{{"[[":0}}],"y":{open}{close},"z":{open}{close}"#))
    };
    // The body's own object is a level too.
    assert!(parse(Operation::ChatCompletion, nested(NESTING_LIMIT - 1).as_bytes()).is_ok());
    let error = parse(Operation::ChatCompletion, nested(NESTING_LIMIT).as_bytes()).unwrap_err();
    assert_eq!((error.code, error.message.contains("64 levels")), (Code::BadRequest, true));
    let deep = nested(9_000);
    assert!(InferenceRequest::parse(Operation::ChatCompletion, deep.as_bytes(), 10_000).is_ok());
}

#[test]
fn every_prefix_of_a_request_is_an_error_and_no_panic() {
    let whole = body(r#","stream":true,"tools":[{"type":"function","function":{"name":"é"}}],"temperature":0.5"#);
    let bytes = whole.as_bytes();
    let failures: Vec<usize> =
        (0..bytes.len()).filter(|&end| parse(Operation::ChatCompletion, &bytes[..end]).is_ok()).collect();
    assert!(failures.is_empty());
    assert!(parse(Operation::ChatCompletion, bytes).is_ok());
}

#[test]
fn a_missing_capability_is_named() {
    let all = Capabilities { chat: true, vision: true, tool_calling: true, streaming: true, ..Capabilities::default() };
    let plain = parse(Operation::ChatCompletion, body("").as_bytes()).unwrap();
    let request = InferenceRequest { model: "m\n".into(), stream: true, has_images: true, has_tools: true, ..plain };
    assert_eq!(request.check_capabilities(&all), Ok(()));
    for (without, word) in [
        (Capabilities { chat: false, ..all }, "chat"),
        (Capabilities { vision: false, ..all }, "vision"),
        (Capabilities { tool_calling: false, ..all }, "tool_calling"),
        (Capabilities { streaming: false, ..all }, "streaming"),
    ] {
        let error = request.check_capabilities(&without).unwrap_err();
        assert_eq!(error.code, Code::CapabilityNotSupported);
        assert!(error.message.contains(word) && error.message.contains("/v1/capabilities"), "{}", error.message);
        assert!(error.message.contains("`m`"));
    }
}

fn completion(rest: &str) -> Result<InferenceRequest, Error> {
    parse(Operation::Completion, std::format!(r#"{{"model":"m",{rest}}}"#).as_bytes())
}

fn embedding(rest: &str) -> Result<InferenceRequest, Error> {
    parse(Operation::Embedding, std::format!(r#"{{"model":"m",{rest}}}"#).as_bytes())
}

#[test]
fn a_completion_has_a_prompt_or_several() {
    for (prompt, choices) in [
        (r#""Hi""#, 1),
        (r#"["a","b"]"#, 2),
        ("[1,2,3]", 1),
        ("[[1,2],[3]]", 2),
        (r#""Hi","n":3"#, 3),
        (r#"["a","b"],"n":3"#, 6),
    ] {
        let request = completion(&std::format!(r#""prompt":{prompt},"stream":true"#)).unwrap();
        assert_eq!((request.choices, request.stream), (choices, true), "{prompt}");
    }
    for rest in [
        r#""prompt":null"#,
        r#""messages":[]"#,
        r#""prompt":[]"#,
        r#""prompt":7"#,
        r#""prompt":{}"#,
        r#""prompt":["a",1]"#,
        r#""prompt":[null]"#,
        r#""prompt":[-1]"#,
    ] {
        assert_eq!(completion(rest).unwrap_err().param.as_deref(), Some("prompt"), "{rest}");
    }
    assert_eq!(completion(r#""prompt":"a","max_tokens":0"#).unwrap_err().param.as_deref(), Some("max_tokens"));
    assert_eq!(completion(r#""prompt":"a","temperature":3"#).unwrap_err().param.as_deref(), Some("temperature"));
}

#[test]
fn an_embedding_has_an_input_and_known_formats() {
    for rest in [
        r#""input":"a""#,
        r#""input":["a","b"],"encoding_format":"base64","dimensions":8"#,
        r#""input":[1,2],"encoding_format":"float""#,
        r#""input":[[1],[2]],"encoding_format":null,"dimensions":null,"temperature":"not looked at""#,
    ] {
        assert!(embedding(rest).is_ok_and(|request| !request.stream), "{rest}");
    }
    for (rest, param) in [
        (r#""prompt":"a""#, "input"),
        (r#""input":[]"#, "input"),
        (r#""input":"a","encoding_format":"int8""#, "encoding_format"),
        (r#""input":"a","encoding_format":7"#, "encoding_format"),
        (r#""input":"a","dimensions":0"#, "dimensions"),
    ] {
        assert_eq!(embedding(rest).unwrap_err().param.as_deref(), Some(param), "{rest}");
    }
}

#[test]
fn each_operation_needs_its_own_capability() {
    let chat_only = Capabilities { chat: true, streaming: true, ..Capabilities::default() };
    let embeds_only = Capabilities { embeddings: true, ..Capabilities::default() };
    let param = |request: &InferenceRequest, capabilities| {
        request.check_capabilities(&capabilities).err().and_then(|error| error.param).map(Cow::into_owned)
    };
    let chat = parse(Operation::ChatCompletion, body("").as_bytes()).unwrap();
    let text = completion(r#""prompt":"a""#).unwrap();
    let embed = embedding(r#""input":"a""#).unwrap();
    assert_eq!(param(&chat, chat_only), None);
    assert_eq!(param(&embed, embeds_only), None);
    assert_eq!(param(&chat, embeds_only).as_deref(), Some("messages"));
    assert_eq!(param(&embed, chat_only).as_deref(), Some("input"));
    assert_eq!(param(&text, chat_only).as_deref(), Some("prompt"));
}

#[test]
fn all_turns_of_a_conversation_begin_alike() {
    let beginning = |messages: &str| {
        let body = std::format!(r#"{{"messages":[{messages}],"model":"m"}}"#);
        parse(Operation::ChatCompletion, body.as_bytes()).unwrap().beginning
    };
    let first = r#"{"role":"system","content":"s"},{"role":"user","content":"a"}"#;
    let second = std::format!(r#"{first},{{"role":"assistant","content":"b"}},{{"role":"user","content":"c"}}"#);
    assert_eq!(beginning(first), beginning(&second));
    assert_ne!(beginning(first), beginning(&first.replace("\"a\"", "\"b\"")));
    assert_ne!(beginning(first), beginning(&first.replace("\"s\"", "\"t\"")));
    assert!(beginning(r#"{"role":"system","content":"s"}"#).is_some());
    let long = |word: &str| {
        let system = "s".repeat(100_000);
        beginning(&std::format!(r#"{{"role":"system","content":"{system}"}},{{"role":"user","content":"{word}"}}"#))
    };
    assert_eq!(long("a"), long("a"));
    assert_ne!(long("a"), long("b"));
}

#[test]
fn a_null_encoding_is_spelled_out() {
    let body = r#"{"model":"m","input":"a","encoding_format": null}"#;
    let request = parse(Operation::Embedding, body.as_bytes()).unwrap();
    let Edit { range, text } = request.edit(crate::backend::Provider::Vllm.quirks()).unwrap();
    assert_eq!((&body[range], text.as_str()), ("null", "\"float\""));
    let request = parse(Operation::Embedding, br#"{"model":"m","input":"a"}"#).unwrap();
    assert_eq!(request.edit(crate::backend::Provider::Vllm.quirks()), None);
}
