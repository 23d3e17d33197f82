//! Joins the pieces of tool calls.

use alloc::string::String;
use alloc::vec::Vec;

use super::chunk::{ToolCallDelta, text_of};
use crate::json::{Reader, push_number, push_string};

/// How many calls a message may hold; ours: finding the right one must stay cheap.
const CALLS_LIMIT: usize = 1024;

/// The tool calls of one message, in the order in which they began.
#[derive(Clone, Debug, Default)]
pub(super) struct ToolCalls {
    calls: Vec<ToolCall>,
}

#[derive(Clone, Debug, Default)]
struct ToolCall {
    index: Option<u32>,
    id: String,
    kind: String,
    name: String,
    arguments: String,
}

impl ToolCalls {
    pub(super) const fn new() -> Self {
        Self { calls: Vec::new() }
    }

    /// Adds a piece and says how many bytes it takes; `None` if it is one call too many.
    pub(super) fn add(&mut self, piece: &ToolCallDelta<'_>) -> Option<usize> {
        let known = self.calls.len();
        let at = self.position_of(piece).unwrap_or(known);
        if at == CALLS_LIMIT {
            return None;
        }
        if at == known {
            self.calls.push(ToolCall { index: piece.index, ..ToolCall::default() });
        }
        let call = self.calls.get_mut(at)?;
        let before = call.bytes();
        set_once(&mut call.id, text_of(&piece.id));
        set_once(&mut call.kind, text_of(&piece.kind));
        set_once(&mut call.name, text_of(&piece.name));
        call.arguments.push_str(piece.arguments.as_deref().unwrap_or_default());
        let begun = if at == known { size_of::<ToolCall>() } else { 0 };
        Some(call.bytes() - before + begun)
    }

    /// Whether there are none.
    pub(super) const fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Writes the list of calls as a completion shows it.
    ///
    /// A call that never had an id gets `call_0`, `call_1`, … by its place: an answer to it must
    /// name it. (Ours; older Ollama sends none.)
    pub(super) fn push_json(&self, json: &mut String) {
        for (place, call) in self.calls.iter().enumerate() {
            json.push_str(if place == 0 { r#"[{"id":"# } else { r#",{"id":"# });
            match &*call.id {
                "" => {
                    json.push_str("\"call_");
                    push_number(json, place as u64);
                    json.push('"');
                }
                id => push_string(json, id),
            }
            json.push_str(r#","type":"#);
            push_string(json, if call.kind.is_empty() { "function" } else { &call.kind });
            json.push_str(r#","function":{"name":"#);
            push_string(json, &call.name);
            json.push_str(r#","arguments":"#);
            push_string(json, &call.arguments);
            json.push_str("}}");
        }
        json.push(']');
    }

    /// Which call a piece continues; `None` if it begins one.
    ///
    /// The index should say. But Ollama gives 0 to every call, and others leave it out, so:
    /// an id that was seen decides; a new id begins a call, unless the call at this index has none
    /// yet; without an id, a name where there is one already begins a call if it is another name,
    /// or if the arguments so far are complete.
    fn position_of(&self, piece: &ToolCallDelta<'_>) -> Option<usize> {
        let (id, name) = (text_of(&piece.id), text_of(&piece.name));
        if !id.is_empty()
            && let Some(at) = self
                .calls
                .iter()
                .rposition(|call| call.id == id && (piece.index.is_none() || call.index == piece.index))
        {
            return Some(at);
        }
        let at = match piece.index {
            Some(_) => self.calls.iter().rposition(|call| call.index == piece.index),
            None => self.calls.len().checked_sub(1),
        }?;
        let call = self.calls.get(at)?;
        let has_new_id = !id.is_empty() && !call.id.is_empty();
        let begins_another = has_new_id || call.is_followed_by(name, text_of(&piece.arguments));
        (!begins_another).then_some(at)
    }
}

impl ToolCall {
    /// Whether a piece with this name, and no id that would tell, is another call.
    fn is_followed_by(&self, name: &str, arguments: &str) -> bool {
        if name.is_empty() || self.name.is_empty() {
            return false;
        }
        let is_complete = || Reader::whole(&self.arguments, Reader::skip).is_ok();
        name != self.name || (!arguments.is_empty() && is_complete())
    }

    fn bytes(&self) -> usize {
        self.id.len() + self.kind.len() + self.name.len() + self.arguments.len()
    }
}

/// Servers that repeat an id or a name with every piece repeat it whole.
fn set_once(field: &mut String, value: &str) {
    if field.is_empty() {
        field.push_str(value);
    }
}
