//! The vectors in `tests/vectors/chunks.json`, and what they cannot say: limits, order, speed of growth.

use super::*;
use serde_json::Value;
use std::string::ToString;
use std::vec;

const VECTORS: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/chunks.json"));

fn text_chunk(text: &str) -> String {
    format!(r#"{{"choices":[{{"index":0,"delta":{{"content":{text:?}}}}}]}}"#)
}

#[test]
fn every_vector_joins_to_its_completion() {
    let file: Value = serde_json::from_str(VECTORS).unwrap();
    for vector in file["vectors"].as_array().unwrap() {
        let name = &vector["name"];
        let mut accumulator = Accumulator::new(1 << 20);
        let mut outcome = Ok(());
        for event in vector["events"].as_array().unwrap() {
            assert_eq!(outcome, Ok(()), "{name}: only the last event may fail");
            let data = event.as_str().map_or_else(|| event.to_string(), Into::into);
            outcome = accumulator.handle_data(&data).map(drop);
        }
        if let Some(code) = vector["error"].as_str() {
            assert_eq!(outcome.unwrap_err().code.as_str(), code, "{name}");
            continue;
        }
        assert_eq!(outcome, Ok(()), "{name}");
        assert_eq!(accumulator.is_whole(), vector["whole"], "{name}");
        let completion: Value = serde_json::from_str(&accumulator.to_json()).unwrap();
        assert_eq!(completion, vector["completion"], "{name}");
    }
}

#[test]
fn knowing_the_surroundings_changes_nothing_in_the_result() {
    let file: Value = serde_json::from_str(VECTORS).unwrap();
    for vector in file["vectors"].as_array().unwrap() {
        let mut with_memo = Accumulator::new(1 << 20);
        let mut without = Accumulator::new(1 << 20);
        for event in vector["events"].as_array().unwrap() {
            let data = event.as_str().map_or_else(|| event.to_string(), Into::into);
            without.memo = Memo::new();
            assert_eq!(with_memo.handle_data(&data).map(drop), without.handle_data(&data).map(drop));
        }
        assert_eq!(with_memo.to_json(), without.to_json());
        assert_eq!(with_memo.held_bytes, without.held_bytes);
    }
}

#[test]
fn text_and_usage_can_be_read_while_the_answer_grows() {
    let mut accumulator = Accumulator::new(1 << 20);
    assert_eq!((accumulator.text(), accumulator.usage()), ("", ""));
    accumulator.handle_data(&text_chunk("Sili")).unwrap();
    accumulator.handle_data(&text_chunk("con")).unwrap();
    assert_eq!(accumulator.text(), "Silicon");
    assert!(!accumulator.is_whole());
    let usage = r#"{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"x":4}"#;
    accumulator.handle_data(&format!(r#"{{"choices":[],"usage":{usage}}}"#)).unwrap();
    assert_eq!(accumulator.usage(), usage);
    assert!(!accumulator.is_done());
    accumulator.handle_data(DONE).unwrap();
    assert!(accumulator.is_done() && accumulator.is_whole());
}

#[test]
fn what_came_before_a_failure_stays_readable() {
    let mut accumulator = Accumulator::new(1 << 20);
    accumulator.handle_data(&text_chunk("half")).unwrap();
    accumulator.handle_data(r#"{"error":{"message":"x"}}"#).unwrap_err();
    assert_eq!(accumulator.text(), "half");
    assert!(!accumulator.is_whole());
}

#[test]
fn an_answer_at_the_limit_passes_and_one_byte_more_is_refused() {
    let limit = size_of::<Choice>() + 10;
    for chunks in [vec!["0123456789"], "0123456789".split("").filter(|c| !c.is_empty()).collect()] {
        let mut accumulator = Accumulator::new(limit);
        for text in &chunks {
            accumulator.handle_data(&text_chunk(text)).unwrap();
        }
        let error = accumulator.handle_data(&text_chunk("x")).unwrap_err();
        assert_eq!(error.code, Code::ResponseMalformed);
        assert_eq!(accumulator.text(), "0123456789");
    }
}

#[test]
fn the_last_choice_and_the_last_call_allowed_pass_and_one_more_is_refused() {
    let choice = |index| format!(r#"{{"choices":[{{"index":{index},"delta":{{}}}}]}}"#);
    let call = |index| format!(r#"{{"choices":[{{"delta":{{"tool_calls":[{{"index":{index}}}]}}}}]}}"#);
    let refused = |data: &dyn Fn(usize) -> String| {
        let mut accumulator = Accumulator::new(1 << 20);
        (0..5000).find(|&index| accumulator.handle_data(&data(index)).is_err())
    };
    assert_eq!(refused(&choice), Some(128));
    assert_eq!(refused(&call), Some(1024));
}

#[test]
fn choices_and_calls_count_towards_the_limit() {
    let mut accumulator = Accumulator::new(2 * size_of::<Choice>() - 1);
    accumulator.handle_data(r#"{"choices":[{"index":0}]}"#).unwrap();
    accumulator.handle_data(r#"{"choices":[{"index":1}]}"#).unwrap_err();

    let mut accumulator = Accumulator::new(2 * size_of::<Choice>());
    let call = |index| format!(r#"{{"choices":[{{"delta":{{"tool_calls":[{{"index":{index}}}]}}}}]}}"#);
    assert!((0..10).any(|index| accumulator.handle_data(&call(index)).is_err()));
}

#[test]
fn a_chunk_like_an_earlier_one_is_told_by_its_text_alone() {
    let mut accumulator = Accumulator::new(1 << 20);
    let finish = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
    assert_eq!(accumulator.handle_data(&text_chunk("a")), Ok(Seen::Model));
    assert_eq!(accumulator.handle_data(&text_chunk("b")), Ok(Seen::Text(r#""b""#)));
    assert_eq!(accumulator.handle_data(&text_chunk("\"é")), Ok(Seen::Text(r#""\"é""#)));
    assert_eq!(accumulator.handle_data(finish), Ok(Seen::Chunk));
    assert_eq!(accumulator.handle_data(&text_chunk("")), Ok(Seen::Text(r#""""#)));
    assert_eq!(accumulator.handle_data(DONE), Ok(Seen::Done));
    assert_eq!(accumulator.text(), "ab\"é");
}

#[test]
fn the_pieces_of_a_text_completion_make_a_whole_one() {
    let mut accumulator = Accumulator::new(1 << 20);
    let piece = |text: &str, reason: &str| {
        format!(
            r#"{{"id":"cmpl-1","object":"text_completion","created":7,"model":"m","choices":[{{"index":0,"text":"{text}","logprobs":null,"finish_reason":{reason}}}]}}"#
        )
    };
    assert_eq!(accumulator.handle_data(&piece("Sili", "null")), Ok(Seen::Model));
    let like = piece("con\\n", "null");
    assert_eq!(accumulator.handle_data(&like), Ok(Seen::Text(r#""con\n""#)));
    assert_eq!(accumulator.text(), "Silicon\n");
    accumulator.handle_data(&piece("", r#""stop""#)).unwrap();
    assert!(accumulator.is_whole());
    assert_eq!(
        accumulator.to_json(),
        r#"{"id":"cmpl-1","object":"text_completion","created":7,"model":"m","choices":[{"index":0,"text":"Silicon\n","finish_reason":"stop"}]}"#
    );
}
