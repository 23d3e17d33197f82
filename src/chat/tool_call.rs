//! Joins the pieces of tool calls.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::chunk::{FunctionDelta, ToolCallDelta, string_of, text_of};

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

/// A call as a completion shows it.
#[derive(Serialize)]
pub(super) struct Whole<'a> {
    id: String,
    #[serde(rename = "type")]
    kind: &'a str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: &'a str,
}

impl ToolCalls {
    pub(super) const fn new() -> Self {
        Self { calls: Vec::new() }
    }

    /// Adds a piece and says how many bytes it takes; `None` if it is one call too many.
    pub(super) fn add(&mut self, piece: &ToolCallDelta<'_>) -> Option<usize> {
        let id = text_of(piece.id.as_ref());
        let kind = text_of(piece.kind.as_ref());
        let none = FunctionDelta::default();
        let function = piece.function.as_ref().unwrap_or(&none);
        let name = text_of(function.name.as_ref());

        let known = self.calls.len();
        let at = self.position_of(piece, id, function, name).unwrap_or(known);
        if at == CALLS_LIMIT {
            return None;
        }
        if at == known {
            self.calls.push(ToolCall { index: piece.index, ..ToolCall::default() });
        }
        let call = self.calls.get_mut(at)?;
        let before = call.bytes();
        set_once(&mut call.id, id);
        set_once(&mut call.kind, kind);
        set_once(&mut call.name, name);
        if let Some(arguments) = function.arguments {
            match string_of(arguments) {
                Some(text) => call.arguments.push_str(&text),
                None => call.arguments.push_str(arguments.get()),
            }
        }
        let begun = if at == known { size_of::<ToolCall>() } else { 0 };
        Some(call.bytes() - before + begun)
    }

    /// The finished calls; `None` if there were none.
    ///
    /// A call that never had an id gets `call_0`, `call_1`, … by its place: an answer to it must
    /// name it. (Ours; older Ollama sends none.)
    pub(super) fn whole(&self) -> Option<Vec<Whole<'_>>> {
        if self.calls.is_empty() {
            return None;
        }
        let whole = self.calls.iter().enumerate().map(|(place, call)| Whole {
            id: match &*call.id {
                "" => format!("call_{place}"),
                id => id.into(),
            },
            kind: match &*call.kind {
                "" => "function",
                kind => kind,
            },
            function: Function { name: &call.name, arguments: &call.arguments },
        });
        Some(whole.collect())
    }

    /// Which call a piece continues; `None` if it begins one.
    ///
    /// The index should say. But Ollama gives 0 to every call, and others leave it out, so:
    /// an id that was seen decides; a new id begins a call, unless the call at this index has none
    /// yet; without an id, a name where there is one already begins a call if it is another name,
    /// or if the arguments so far are complete.
    fn position_of(
        &self,
        piece: &ToolCallDelta<'_>,
        id: &str,
        function: &FunctionDelta<'_>,
        name: &str,
    ) -> Option<usize> {
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
        let begins_another = has_new_id || call.is_followed_by(name, function.arguments);
        (!begins_another).then_some(at)
    }
}

impl ToolCall {
    /// Whether a piece with this name, and no id that would tell, is another call.
    fn is_followed_by(&self, name: &str, arguments: Option<&RawValue>) -> bool {
        if name.is_empty() || self.name.is_empty() {
            return false;
        }
        let brings_arguments = arguments.is_some_and(|value| !matches!(value.get(), r#""""# | "null"));
        name != self.name || (brings_arguments && serde_json::from_str::<IgnoredAny>(&self.arguments).is_ok())
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
