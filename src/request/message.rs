//! The messages of a chat: their form, and whether one holds an image.

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::Error;

/// What the messages say about the request's way.
pub(super) struct Messages<'a> {
    pub(super) has_images: bool,
    /// All up to the first message of a user's, as it stands in the body: the same in all turns.
    pub(super) beginning: &'a str,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    role: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
}

impl<'a> Messages<'a> {
    pub(super) fn parse(value: Option<&'a RawValue>) -> Result<Self, Error> {
        let messages: Vec<&'a RawValue> = super::required(value, "messages", "an array of messages")?;
        if messages.is_empty() {
            return Err(Error::bad_param("messages", "`messages` must hold at least one message."));
        }
        let mut has_images = false;
        let mut first_of_user = None;
        for (index, raw) in messages.iter().enumerate() {
            let message: Message<'_> = serde_json::from_str(raw.get()).map_err(|_| wrong(index, "", "an object"))?;
            has_images |= holds_image(index, &message)?;
            if first_of_user.is_none() && message.role.is_some_and(|role| role.get() == "\"user\"") {
                first_of_user = Some(raw);
            }
        }
        let all = value.map_or("", RawValue::get);
        let end = first_of_user
            .or(messages.last())
            .map_or(0, |last| last.get().as_ptr().addr().saturating_sub(all.as_ptr().addr()) + last.get().len());
        Ok(Self { has_images, beginning: all.get(..end).unwrap_or_default() })
    }
}

fn holds_image(index: usize, message: &Message<'_>) -> Result<bool, Error> {
    match message.role.map(RawValue::get) {
        Some(role) if role.starts_with('"') && role != "\"\"" => {}
        _ => return Err(wrong(index, ".role", "a string")),
    }
    match message.content.map(RawValue::get) {
        // An assistant's message that only calls tools has none.
        None | Some("null") => Ok(false),
        Some(content) if content.starts_with('"') => Ok(false),
        Some(content) if content.starts_with('[') => {
            let parts: Vec<Part<'_>> = serde_json::from_str(content)
                .map_err(|_| wrong(index, ".content", "a string or an array of parts, each with a `type`"))?;
            Ok(parts.iter().any(|part| matches!(part.kind.as_ref(), "image_url" | "input_image" | "image")))
        }
        Some(_) => Err(wrong(index, ".content", "a string or an array of parts")),
    }
}

fn wrong(index: usize, member: &str, expected: &str) -> Error {
    let param = format!("messages.{index}{member}");
    let message = format!("`{param}` must be {expected}.");
    Error::bad_param(param, message)
}
