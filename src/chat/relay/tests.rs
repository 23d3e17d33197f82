//! Every stream in every cut: what is written, when, and what the end says.

use super::*;
use crate::sse::{Decoder, Event};
use std::string::{String, ToString};
use std::vec;

const TEXT: &str = r#"data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}],"usage":null}"#;
const STOP: &str = r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
const USAGE: &str = r#"data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}"#;
const FAILURE: &str = r#"data: {"error":{"message":"boom"}}"#;

/// Everything the caller received, and the verdict.
fn relay_all(mut relay: Relay, chunks: &[&[u8]]) -> (Vec<u8>, Verdict, Relay) {
    let mut written = vec![];
    for chunk in chunks {
        let forward = relay.handle_chunk(chunk);
        written.extend_from_slice(forward.held);
        written.extend_from_slice(&chunk[forward.chunk]);
    }
    let ending = relay.handle_end();
    written.extend_from_slice(ending.write);
    let verdict = ending.verdict;
    (written, verdict, relay)
}

/// Relays `stream` in every cut into three and byte by byte; all must give the same.
fn relay_in_every_cut(new: &dyn Fn() -> Relay, stream: &[u8]) -> (Vec<u8>, Verdict, Relay) {
    let whole = relay_all(new(), &[stream]);
    let same = |cut: &(Vec<u8>, Verdict, Relay), how: &str| {
        assert_eq!(cut.0.escape_ascii().to_string(), whole.0.escape_ascii().to_string(), "{how}");
        assert_eq!(
            (cut.1, cut.2.events(), cut.2.usage(), cut.2.is_done()),
            (whole.1, whole.2.events(), whole.2.usage(), whole.2.is_done()),
            "{how}"
        );
    };
    for first in 0..=stream.len() {
        for second in first..=stream.len() {
            let chunks = [&stream[..first], &stream[first..second], &stream[second..]];
            let cut = relay_all(new(), &chunks);
            same(&cut, &std::format!("cut at {first} and {second}"));
        }
    }
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    same(&relay_all(new(), &bytes), "byte by byte");
    whole
}

/// The same stream with its lines ended otherwise.
fn with_ends(events: &[&str], end: &str) -> Vec<u8> {
    events
        .iter()
        .flat_map(|event| [event.replace('\n', end), end.to_string(), end.to_string()])
        .collect::<String>()
        .into_bytes()
}

fn data_of(bytes: &[u8]) -> Vec<String> {
    let mut data = vec![];
    Decoder::new(1 << 20)
        .handle_chunk(bytes, &mut |event: Event<'_>| {
            data.push(event.text().into_owned());
        })
        .unwrap();
    data
}

#[test]
fn a_whole_stream_passes_unaltered_in_any_cut_with_any_line_end() {
    for end in ["\n", "\r", "\r\n"] {
        let stream = with_ends(&[": hi", "data: {\"choices\":[]}", "event: x\ndata: y", "data: [DONE]"], end);
        let (written, verdict, relay) = relay_in_every_cut(&|| Relay::new(1 << 16), &stream);
        assert_eq!(written, stream, "{end:?}");
        assert_eq!(verdict, Verdict::Whole);
        assert!(relay.is_done());
        assert_eq!(relay.events(), 3, "comments do not count");
    }
}

#[test]
fn mixed_line_ends_and_a_byte_order_mark_pass_unaltered() {
    let stream = b"\xef\xbb\xbfdata: 1\r\n\n\n\rdata: 2\n\r\n: c\r\r\ndata:[DONE]\r\n\r\n";
    let (written, verdict, relay) = relay_in_every_cut(&|| Relay::new(1 << 16), stream);
    assert_eq!(written, stream);
    assert_eq!((verdict, relay.events()), (Verdict::Whole, 3));
}

#[test]
fn a_chunk_of_whole_events_is_passed_on_as_it_is() {
    let mut relay = Relay::new(1 << 16);
    let chunk = with_ends(&[TEXT, TEXT, STOP], "\n");
    for _ in 0..3 {
        let forward = relay.handle_chunk(&chunk);
        assert_eq!((forward.held, forward.chunk), (&b""[..], 0..chunk.len()));
    }
    assert_eq!(relay.held.capacity() + relay.lent.capacity(), 0, "nothing was allocated");
}

#[test]
fn only_whole_events_are_written_wherever_the_chunks_end() {
    for end in ["\n", "\r", "\r\n"] {
        let stream = with_ends(&[TEXT, STOP, "data: [DONE]"], end);
        let mut relay = Relay::new(1 << 16);
        let mut written = vec![];
        for byte in stream.chunks(1) {
            let forward = relay.handle_chunk(byte);
            if !forward.held.is_empty() || !forward.chunk.is_empty() {
                written.extend_from_slice(forward.held);
                written.extend_from_slice(&byte[forward.chunk]);
                let mut decoder = Decoder::new(1 << 16);
                decoder.handle_chunk(&written, &mut |_: Event<'_>| {}).unwrap();
                assert_eq!(decoder.finish(), crate::sse::End::Whole);
            }
            assert!(relay.is_between_events());
        }
        assert_eq!(written, stream);
    }
}

#[test]
fn a_cut_stream_loses_its_half_event_and_is_called_cut() {
    let whole = with_ends(&[TEXT, TEXT], "\n");
    for length in 0..TEXT.len() {
        let stream = [&whole, &TEXT.as_bytes()[..length]].concat();
        let (written, verdict, _) = relay_all(Relay::new(1 << 16), &[&stream]);
        assert_eq!((written, verdict), (whole.clone(), Verdict::Cut), "{length}");
    }
    let (written, verdict, relay) = relay_all(Relay::new(1 << 16), &[]);
    assert_eq!((&*written, verdict, relay.events()), (&b""[..], Verdict::Cut, 0));
}

#[test]
fn an_event_that_lacks_only_its_blank_line_gets_it() {
    for (tail, missing) in [
        ("data: [DONE]", "\n\n"),
        ("data: [DONE]\n", "\n"),
        ("data: [DONE]\r", "\n\n"),
        ("data: [DONE]\r\n", "\n"),
        ("data:[DONE]", "\n\n"),
        ("event: x\r\ndata: [DONE]\r\n", "\n"),
        (STOP, "\n\n"),
    ] {
        let stream = [&with_ends(&[TEXT], "\n"), tail.as_bytes()].concat();
        let (written, verdict, _) = relay_in_every_cut(&|| Relay::new(1 << 16), &stream);
        assert_eq!(verdict, Verdict::Whole, "{tail}");
        let done: &[u8] = if tail == STOP { b"data: [DONE]\n\n" } else { b"" };
        assert_eq!(written, [&stream, missing.as_bytes(), done].concat(), "{tail}");
        assert_eq!(data_of(&written).last().map(String::as_str), Some("[DONE]"), "{tail}");
    }
    for tail in ["data: [DONE", "data: [DON\n", "data: {\"a\":", ": [DONE]", "event: x\n", "data\n"] {
        let (written, verdict, _) = relay_in_every_cut(&|| Relay::new(1 << 16), tail.as_bytes());
        assert_eq!((written.len(), verdict), (0, Verdict::Cut), "{tail}");
    }
}

#[test]
fn a_finish_reason_of_every_choice_makes_an_answer_whole_without_done() {
    let second = STOP.replace(r#""index":0"#, r#""index":1"#);
    for (events, n, verdict) in [
        (vec![TEXT, STOP], 1, Verdict::Whole),
        (vec![TEXT, STOP, USAGE], 1, Verdict::Whole),
        (vec![TEXT], 1, Verdict::Cut),
        (vec![STOP, STOP], 2, Verdict::Cut),
        (vec![STOP, &second], 2, Verdict::Whole),
        (vec![STOP, &second], 3, Verdict::Cut),
        (vec![TEXT, "data: [DONE]"], 2, Verdict::Whole),
    ] {
        let relay = Relay::new(1 << 16).with_choices(n);
        let ended = relay_all(relay, &[&with_ends(&events, "\n")]);
        assert_eq!(ended.1, verdict, "{events:?}, n = {n}");
    }
}

#[test]
fn a_finish_reason_is_seen_however_the_json_is_spaced_and_empty_is_none() {
    for (json, verdict) in [
        (r#"{"choices":[{"finish_reason":"stop"}]}"#, Verdict::Whole),
        (r#"{"choices": [{"finish_reason" : "length"}]}"#, Verdict::Whole),
        (r#"{"choices":[{"finish_reason":null},{"index":0,"finish_reason":"stop"}]}"#, Verdict::Whole),
        (r#"{"choices":[{"finish_reason":""}]}"#, Verdict::Cut),
        (r#"{"choices":[{"finish_reason": null}]}"#, Verdict::Cut),
        (r#"{"choices":[{"delta":{"content":"\"finish_reason\":\"stop\""}}]}"#, Verdict::Cut),
        (r#"{"choices":[{"delta":{"content":"finish_reason"}}]}"#, Verdict::Cut),
        (r#"{"choices":[{"delta":{"content":"error"}}]}"#, Verdict::Cut),
        (r#"{"usage":"odd","choices":[{"finish_reason":"stop"}]}"#, Verdict::Whole),
    ] {
        let stream = std::format!("data: {json}\n\n");
        let (_, seen, relay) = relay_in_every_cut(&|| Relay::new(1 << 16), stream.as_bytes());
        assert_eq!(seen, verdict, "{json}");
        assert!(!relay.has_failed());
    }
}

#[test]
fn the_backends_own_error_event_is_the_last_word() {
    for failure in [
        FAILURE,
        r#"data: {"id":"c","error":{"code":500},"choices":[{"finish_reason":"error"}]}"#,
        r#"data: {"error":"out of memory"}"#,
        "event: error\ndata: {\"error\":{}}",
    ] {
        for end in ["\n\n", "\n", ""] {
            let stream = [&with_ends(&[TEXT], "\n"), failure.as_bytes(), end.as_bytes()].concat();
            let (written, verdict, relay) = relay_all(Relay::new(1 << 16), &[&stream]);
            assert_eq!(verdict, Verdict::Failed, "{failure}");
            assert!(relay.has_failed());
            assert_eq!(data_of(&written).len(), 2, "the caller has the event");
        }
    }
    let (_, verdict, _) = relay_all(Relay::new(1 << 16), &[b"data: {\"error\":null}\n\n"]);
    assert_eq!(verdict, Verdict::Cut);
}

#[test]
fn the_last_usage_is_known() {
    let none = USAGE.replace(r#"{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}"#, "null");
    let first = USAGE.replace('7', "5");
    let (_, _, relay) = relay_all(Relay::new(1 << 16), &[&with_ends(&[&first, USAGE, &none], "\n")]);
    assert_eq!(relay.usage(), Some(Usage { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 }));
}

#[test]
fn an_event_at_the_limit_is_held_and_one_byte_more_is_released() {
    for (length, is_held) in [(64, true), (65, false)] {
        let mut relay = Relay::new(64);
        let begin = std::format!("data: {}", "x".repeat(length - 6));
        let forward = relay.handle_chunk(begin.as_bytes());
        assert_eq!(forward.chunk.is_empty(), is_held);
        assert_eq!(relay.is_between_events(), is_held);
        assert_eq!(relay.heartbeat().is_empty(), !is_held);
    }
}

#[test]
fn an_event_over_the_limit_passes_unaltered_and_is_closed_when_cut() {
    let big = std::format!("data: {}", "x".repeat(200));
    let stream = with_ends(&[TEXT, &big, STOP, "data: [DONE]"], "\r\n");
    for piece in [1, 3, 7, 64, 100, 1000] {
        let chunks: Vec<&[u8]> = stream.chunks(piece).collect();
        let (written, verdict, relay) = relay_all(Relay::new(100), &chunks);
        assert_eq!((written, verdict), (stream.clone(), Verdict::Whole), "{piece}");
        assert_eq!(relay.events(), 4, "{piece}");
        assert!(relay.held.capacity() <= 256 && relay.lent.capacity() <= 256);
    }
    let start = with_ends(&[TEXT], "\n").len();
    for (length, close) in [(150, "\n\n"), (206, "\n\n")] {
        let stream = [&with_ends(&[TEXT], "\n"), &big.as_bytes()[..length]].concat();
        let mut relay = Relay::new(100);
        let forward = relay.handle_chunk(&stream);
        assert_eq!(forward.chunk, 0..start + length);
        assert!(!relay.is_between_events());
        let ending = relay.handle_end();
        assert_eq!((ending.verdict, ending.write), (Verdict::Cut, close.as_bytes()));
        assert!(relay.is_between_events());
    }
}

#[test]
fn after_an_event_over_the_limit_the_next_is_held_again() {
    let mut relay = Relay::new(20);
    let big = "data: 0123456789012345678901";
    assert_eq!(relay.handle_chunk(big.as_bytes()).chunk, 0..big.len());
    let forward = relay.handle_chunk(b"2\n\ndata: x");
    assert_eq!((forward.held, forward.chunk), (&b""[..], 0..3));
    assert!(relay.is_between_events());
    let forward = relay.handle_chunk(b"\n\n");
    assert_eq!((forward.held, forward.chunk), (&b"data: x\n\n"[..], 2..2));
}

#[test]
fn a_heartbeat_may_stand_at_every_write_and_loses_no_event() {
    for end in ["\n", "\r", "\r\n"] {
        let stream = [b"\xef\xbb\xbf", &*with_ends(&[TEXT, STOP, "data: [DONE]"], end)].concat();
        for piece in 1..40 {
            let mut relay = Relay::new(1 << 16);
            let mut written = relay.heartbeat().as_bytes().to_vec();
            for chunk in stream.chunks(piece) {
                let forward = relay.handle_chunk(chunk);
                written.extend_from_slice(forward.held);
                written.extend_from_slice(&chunk[forward.chunk]);
                written.extend_from_slice(relay.heartbeat().as_bytes());
            }
            assert_eq!(data_of(&written).len(), 3, "{end:?}, {piece}");
            assert_eq!(relay.handle_end().verdict, Verdict::Whole);
        }
    }
}

#[test]
fn nothing_passes_behind_the_backends_own_error_event() {
    let error = b"data: {\"error\":{\"message\":\"m\"}}\n\n";
    let stream = [&b"data: {\"a\":1}\n\n"[..], error, b"data: [DONE]\n\n"].concat();
    for cut in 0..=stream.len() {
        let mut relay = Relay::new(1 << 20);
        let mut written = Vec::new();
        for chunk in [&stream[..cut], &stream[cut..]] {
            let forward = relay.handle_chunk(chunk);
            written.extend_from_slice(forward.held);
            written.extend_from_slice(&chunk[forward.chunk]);
        }
        let data = data_of(&written);
        assert_eq!(data.len(), 2, "cut at {cut}");
        assert!(data[1].contains("upstream_error") && !data[1].contains("\"m\""), "{}", data[1]);
        let ending = relay.handle_end();
        assert_eq!((ending.verdict, ending.write), (Verdict::Failed, &b""[..]));
    }
}

/// What the caller gets of these events, whatever the cuts.
fn passed(rules: Rules, events: &[&str]) -> (Vec<String>, Option<Usage>) {
    let stream = with_ends(events, "\n");
    let (written, _, relay) = relay_in_every_cut(&|| Relay::new(1 << 16).with_rules(rules), &stream);
    (data_of(&written), relay.usage())
}

#[test]
fn the_usage_that_only_the_edge_asked_for_is_known_and_not_passed() {
    const WITH: &str = r#"data: {"id":"c","choices":[{"index":0,"delta":{"content":"\"usage\":{}"}}],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}"#;
    const FIRST: &str =
        r#"data: {"usage" : {"prompt_tokens":3,"completion_tokens":2,"total_tokens":5} , "choices":[{"index":0}]}"#;
    let end = "data: [DONE]";
    let spent = Some(Usage { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 });
    let events = [WITH, FIRST, TEXT, USAGE, end];
    let data = |event: &str| event.trim_start_matches("data: ").to_string();

    let all = Rules { drop_usage_chunk: true, drop_inline_usage: true, ..Rules::default() };
    let without = [
        r#"{"id":"c","choices":[{"index":0,"delta":{"content":"\"usage\":{}"}}]}"#.to_string(),
        r#"{ "choices":[{"index":0}]}"#.to_string(),
        data(TEXT),
    ];
    let (written, usage) = passed(all, &events);
    assert_eq!((&written[..3], written.len(), usage), (&without[..], 4, spent));

    let inline = Rules { drop_inline_usage: true, ..Rules::default() };
    let (written, usage) = passed(inline, &events);
    assert_eq!((&written[..3], &written[3], written.len(), usage), (&without[..], &data(USAGE), 5, spent));

    let (written, usage) = passed(Rules::default(), &events);
    assert_eq!((written, usage), (events.map(data).to_vec(), spent));
}

#[test]
fn a_usage_of_zeros_is_none() {
    let zeros = r#"data: {"choices":[{"text":"a","index":0}],"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}"#;
    let rules = Rules { drop_empty_usage: true, ..Rules::default() };
    let (written, usage) = passed(rules, &[zeros, STOP]);
    assert_eq!((written[0].as_str(), usage), (r#"{"choices":[{"text":"a","index":0}]}"#, None));
}

#[test]
fn llamacpp_says_what_a_stream_cost_by_its_timings() {
    let stop = r#"data: {"choices":[{"finish_reason":"stop","index":0,"delta":{}}],"timings":{"cache_n":35,"prompt_n":1,"prompt_ms":6.4,"predicted_n":12}}"#;
    let (written, usage) = passed(Rules::default(), &[TEXT, stop]);
    assert_eq!(written.len(), 3, "it gets its [DONE]");
    assert_eq!(usage, Some(Usage { prompt_tokens: 36, completion_tokens: 12, total_tokens: 48 }));
}

#[test]
fn odd_tool_calls_are_put_right_when_asked_to() {
    let call = r#"data: {"id":"c","choices":[{"index":0,"delta":{"tool_calls":[{"function":{"name":"f","arguments":"{}"}}]},"finish_reason":null}]}"#;
    let (written, _) = passed(Rules { fix_tool_calls: true, ..Rules::default() }, &[call, STOP, "data: [DONE]"]);
    assert!(written[0].contains(r#""id":"call_c_0_0""#) && written[0].contains(r#""index":0"#), "{}", written[0]);
    assert!(written[1].contains(r#""finish_reason":"tool_calls""#), "{}", written[1]);
    let (written, _) = passed(Rules::default(), &[call, STOP]);
    assert!(!written[0].contains("call_c_0_0") && written[1].contains(r#""stop""#));
}

#[test]
fn the_backends_own_error_goes_on_in_the_documented_form() {
    for (error, code, message) in [
        (r#"{"code":500,"message":"secret path","type":"server_error"}"#, "upstream_error", "The backend failed"),
        (r#"{"code":400,"message":"too long"}"#, "bad_request", "too long"),
        (r#""out of memory""#, "upstream_error", "The backend failed"),
        (r#"{"code":"x","message":"m"}"#, "upstream_error", "The backend failed"),
    ] {
        let (written, _) =
            passed(Rules::default(), &[TEXT, &std::format!("event: error\ndata: {{\"error\":{error}}}")]);
        let value: serde_json::Value = serde_json::from_str(&written[1]).unwrap();
        assert_eq!(value["error"]["code"], code, "{error}");
        assert!(value["error"]["message"].as_str().unwrap().starts_with(message), "{}", written[1]);
    }
}
