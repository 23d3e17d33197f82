//! Tool calls as the `OpenAI` API has them, from servers that have them a little otherwise.
//!
//! Older Ollama gives parallel calls one index, none an id or a type, and ends with `stop`; other
//! servers give arguments as an object. Whatever is right already is not touched.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde_json::{Map, Value};

/// What is known of a stream's calls so far.
#[derive(Clone, Debug, Default)]
pub(super) struct CallFixer {
    choices: Vec<Choice>,
}

#[derive(Clone, Debug, Default)]
struct Choice {
    index: u64,
    /// The ids of its calls, as the caller knows them, and the index the server gave.
    calls: Vec<(String, Option<u64>)>,
}

/// More choices or calls than this are not followed.
const MAX: usize = 128;

impl CallFixer {
    /// A chunk of a stream, put right; `None` when it is right.
    pub(super) fn fix_chunk(&mut self, json: &str) -> Option<String> {
        let mut chunk: Value = serde_json::from_str(json).ok()?;
        let completion = text_of(chunk.get("id")).to_string();
        let mut is_changed = false;
        for choice in chunk.get_mut("choices")?.as_array_mut()? {
            let index = choice.get("index").and_then(Value::as_u64).unwrap_or(0);
            let Some(known) = self.choice(index) else { continue };
            if let Some(Value::Array(calls)) = choice.get_mut("delta").and_then(|delta| delta.get_mut("tool_calls")) {
                for call in calls.iter_mut().filter_map(Value::as_object_mut) {
                    is_changed |= known.fix_piece(call, &completion, index);
                }
            }
            is_changed |= !known.calls.is_empty() && fix_finish_reason(choice);
        }
        is_changed.then(|| chunk.to_string())
    }

    fn choice(&mut self, index: u64) -> Option<&mut Choice> {
        let at = self.choices.iter().position(|choice| choice.index == index).unwrap_or(self.choices.len());
        if at == self.choices.len() {
            if at == MAX {
                return None;
            }
            self.choices.push(Choice { index, calls: Vec::new() });
        }
        self.choices.get_mut(at)
    }
}

impl Choice {
    fn fix_piece(&mut self, call: &mut Map<String, Value>, completion: &str, choice: u64) -> bool {
        let given_index = call.get("index").and_then(Value::as_u64);
        let given_id = text_of(call.get("id")).to_string();
        let has_name = !text_of(call.get("function").and_then(|function| function.get("name"))).is_empty();
        // A piece of a call that has begun has its id, or neither id nor name.
        let known = self.calls.iter().rposition(|(id, index)| {
            if given_id.is_empty() {
                !has_name && (given_index.is_none() || *index == given_index)
            } else {
                *id == given_id
            }
        });
        let mut is_changed = fix_arguments(call);
        let place = match known {
            Some(place) => place,
            None if self.calls.len() < MAX => {
                let place = self.calls.len();
                is_changed |= fix_beginning(call, completion, choice, place);
                self.calls.push((text_of(call.get("id")).to_string(), given_index));
                place
            }
            None => return is_changed,
        };
        if given_index != Some(place as u64) {
            call.insert("index".into(), (place as u64).into());
            is_changed = true;
        }
        is_changed
    }
}

/// A whole completion, put right; `None` when it is right.
#[must_use]
pub fn fix_completion(json: &str) -> Option<String> {
    let mut completion: Value = serde_json::from_str(json).ok()?;
    let id = text_of(completion.get("id")).to_string();
    let mut is_changed = false;
    for (at, choice) in completion.get_mut("choices")?.as_array_mut()?.iter_mut().enumerate() {
        let calls = choice.get_mut("message").and_then(|message| message.get_mut("tool_calls"));
        let Some(Value::Array(calls)) = calls else { continue };
        for (place, call) in calls.iter_mut().filter_map(Value::as_object_mut).enumerate() {
            is_changed |= fix_arguments(call) | fix_beginning(call, &id, at as u64, place);
        }
        is_changed |= !calls.is_empty() && fix_finish_reason(choice);
    }
    is_changed.then(|| completion.to_string())
}

/// The answer to a call names its id, and some clients insist on the type.
fn fix_beginning(call: &mut Map<String, Value>, completion: &str, choice: u64, place: usize) -> bool {
    let mut is_changed = false;
    if text_of(call.get("id")).is_empty() {
        call.insert("id".into(), format!("call_{completion}_{choice}_{place}").into());
        is_changed = true;
    }
    if text_of(call.get("type")).is_empty() {
        call.insert("type".into(), "function".into());
        is_changed = true;
    }
    is_changed
}

fn fix_arguments(call: &mut Map<String, Value>) -> bool {
    let arguments = call.get_mut("function").and_then(|function| function.get_mut("arguments"));
    match arguments {
        Some(arguments @ (Value::Object(_) | Value::Array(_))) => {
            *arguments = Value::String(arguments.to_string());
            true
        }
        _ => false,
    }
}

fn fix_finish_reason(choice: &mut Value) -> bool {
    match choice.get_mut("finish_reason") {
        Some(reason) if reason == "stop" => {
            *reason = "tool_calls".into();
            true
        }
        _ => false,
    }
}

fn text_of(value: Option<&Value>) -> &str {
    value.and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    fn chunk(delta: &str, reason: &str) -> String {
        std::format!(r#"{{"id":"c","choices":[{{"index":0,"delta":{delta},"finish_reason":{reason}}}]}}"#)
    }

    fn fixed(chunks: &[String]) -> Vec<Option<Value>> {
        let mut fixer = CallFixer::default();
        chunks.iter().map(|chunk| fixer.fix_chunk(chunk).map(|json| serde_json::from_str(&json).unwrap())).collect()
    }

    #[test]
    fn a_right_stream_is_not_touched() {
        let chunks = [
            chunk(r#"{"role":"assistant","content":""}"#, "null"),
            chunk(
                r#"{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]}"#,
                "null",
            ),
            chunk(r#"{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}"#, "null"),
            chunk(
                r#"{"tool_calls":[{"index":1,"id":"b","type":"function","function":{"name":"f","arguments":""}}]}"#,
                "null",
            ),
            chunk(r#"{"tool_calls":[{"index":1,"function":{"arguments":"{}"}}]}"#, "null"),
            chunk("{}", r#""tool_calls""#),
        ];
        assert_eq!(fixed(&chunks), vec![None; 6]);
        assert_eq!(fixed(&[chunk(r#"{"content":"a"}"#, "null"), chunk("{}", r#""stop""#), "[]".into()]), vec![None; 3]);
    }

    #[test]
    fn parallel_calls_of_one_index_without_ids_are_told_apart() {
        let call = |city: &str| {
            let call = std::format!(r#"{{"index":0,"function":{{"name":"f","arguments":{{"city":"{city}"}}}}}}"#);
            chunk(&std::format!(r#"{{"tool_calls":[{call}]}}"#), "null")
        };
        let fixed = fixed(&[call("Paris"), call("Rome"), chunk("{}", r#""stop""#)]);
        for (place, city) in [(0, "Paris"), (1, "Rome")] {
            let call = &fixed[place].as_ref().unwrap()["choices"][0]["delta"]["tool_calls"][0];
            assert_eq!(call["index"], place);
            assert_eq!(call["id"], std::format!("call_c_0_{place}"));
            assert_eq!(call["type"], "function");
            assert_eq!(call["function"]["arguments"], std::format!(r#"{{"city":"{city}"}}"#));
        }
        assert_eq!(fixed[2].as_ref().unwrap()["choices"][0]["finish_reason"], "tool_calls");
    }

    #[test]
    fn pieces_without_an_index_go_to_the_last_call() {
        let fixed = fixed(&[
            chunk(r#"{"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":""}}]}"#, "null"),
            chunk(r#"{"tool_calls":[{"id":"b","type":"function","function":{"name":"g","arguments":""}}]}"#, "null"),
            chunk(r#"{"tool_calls":[{"function":{"arguments":"{}"}}]}"#, "null"),
            chunk(r#"{"tool_calls":[{"id":"a","function":{"arguments":"{}"}}]}"#, "null"),
        ]);
        let index = |at: usize| fixed[at].as_ref().unwrap()["choices"][0]["delta"]["tool_calls"][0]["index"].clone();
        assert_eq!([index(0), index(1), index(2), index(3)], [0, 1, 1, 0].map(Value::from));
    }

    #[test]
    fn a_whole_completion_is_put_right() {
        let odd = r#"{"id":"c","choices":[{"finish_reason":"stop","message":{"tool_calls":[{"function":{"name":"f","arguments":{}}},{"id":"x","type":"function","function":{"name":"g","arguments":"{}"}}]}}]}"#;
        let fixed: Value = serde_json::from_str(&fix_completion(odd).unwrap()).unwrap();
        let choice = &fixed["choices"][0];
        assert_eq!(choice["finish_reason"], "tool_calls");
        assert_eq!(choice["message"]["tool_calls"][0]["id"], "call_c_0_0");
        assert_eq!(choice["message"]["tool_calls"][0]["function"]["arguments"], "{}");
        assert_eq!(choice["message"]["tool_calls"][1]["id"], "x");
        assert_eq!(fix_completion(&fixed.to_string()), None);
        assert_eq!(fix_completion(r#"{"choices":[{"finish_reason":"stop","message":{"content":"a"}}]}"#), None);
    }
}
