use super::*;
use std::string::String;
use std::vec::Vec;

fn body(extra: &str) -> String {
    std::format!(r#"{{"model":"m","messages":[{{"role":"user","content":"Hi"}}]{extra}}}"#)
}

fn param(body: &str) -> Option<String> {
    let error = ChatRequest::parse(body.as_bytes()).unwrap_err();
    assert_eq!(error.code, Code::BadRequest, "{body}");
    error.param.map(Cow::into_owned)
}

#[test]
fn what_decides_is_read() {
    let request = ChatRequest::parse(
        body(r#","stream":true,"tools":[{"type":"function"}],"max_tokens":5,"temperature":2,"top_p":0,"x":{"y":[1]}"#)
            .as_bytes(),
    );
    let expected = ChatRequest { model: "m".into(), stream: true, has_images: false, has_tools: true, choices: 1 };
    assert_eq!(request, Ok(expected));
}

#[test]
fn null_and_empty_stand_for_absent() {
    let plain = ChatRequest::parse(body("").as_bytes()).unwrap();
    let spelled_out = r#","stream":null,"tools":[],"max_tokens":null,"temperature":null,"top_p":null"#;
    assert_eq!(ChatRequest::parse(body(spelled_out).as_bytes()).unwrap(), plain);
}

#[test]
fn images_are_seen_in_parts_only() {
    let with = |content: &str| {
        let body = std::format!(r#"{{"model":"m","messages":[{{"role":"user","content":{content}}}]}}"#);
        ChatRequest::parse(body.as_bytes()).map(|request| request.has_images)
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
        assert!(ChatRequest::parse(body(extra).as_bytes()).is_ok(), "{extra}");
    }
}

#[test]
fn what_is_not_a_json_object_is_refused_without_quoting_it() {
    for text in
        ["", "null", "[]", "\"secret\"", "{", r#"{"secret":}"#, r#"{"model":"secret"} x"#, "{\"model\":\"\u{1}\"}"]
    {
        let error = ChatRequest::parse(text.as_bytes()).unwrap_err();
        assert_eq!((error.code, &error.param), (Code::BadRequest, &None), "{text}");
        assert!(!error.message.contains("secret"));
    }
    assert!(ChatRequest::parse(b"{\"model\":\"\xff\",\"messages\":[{\"role\":\"user\"}]}").is_err());
}

#[test]
fn deep_nesting_ends_in_an_answer() {
    for open in ["[", "{\"a\":"] {
        let deep = open.repeat(200_000);
        assert!(ChatRequest::parse(body(&std::format!(r#","x":{deep}"#)).as_bytes()).is_err());
    }
    let messages = std::format!(r#"{{"model":"m","messages":{}"#, "[".repeat(200_000));
    assert!(ChatRequest::parse(messages.as_bytes()).is_err());
}

#[test]
fn every_prefix_of_a_request_is_an_error_and_no_panic() {
    let whole = body(r#","stream":true,"tools":[{"type":"function","function":{"name":"é"}}],"temperature":0.5"#);
    let bytes = whole.as_bytes();
    let failures: Vec<usize> = (0..bytes.len()).filter(|&end| ChatRequest::parse(&bytes[..end]).is_ok()).collect();
    assert!(failures.is_empty());
    assert!(ChatRequest::parse(bytes).is_ok());
}

#[test]
fn a_missing_capability_is_named() {
    let all = Capabilities { chat: true, vision: true, tool_calling: true, streaming: true, ..Capabilities::default() };
    let request = ChatRequest { model: "m\n".into(), stream: true, has_images: true, has_tools: true, choices: 1 };
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
