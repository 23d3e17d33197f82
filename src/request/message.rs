//! The messages of a chat: their form, and whether one holds an image.

use alloc::format;

use crate::error::Error;
use crate::json::{Read, Reader};

/// What the messages say about the request's way.
#[derive(Debug, Default)]
pub(super) struct Messages<'a> {
    /// How many there are.
    pub(super) count: usize,
    pub(super) has_images: bool,
    /// All up to the first message of a user's, as it stands in the body: the same in all turns.
    pub(super) beginning: &'a str,
    /// What is wrong with the first that is not of the documented form.
    pub(super) wrong: Option<Error>,
}

impl<'a> Messages<'a> {
    /// Reads the array.
    pub(super) fn read(reader: &mut Reader<'a>) -> Read<Self> {
        let mut messages = Self::default();
        let start = reader.position();
        let mut has_user = false;
        reader.array(|reader| {
            let is_user = messages.read_message(reader)?;
            messages.count += 1;
            if !has_user {
                has_user = is_user;
                messages.beginning = reader.since(start);
            }
            Ok(())
        })?;
        Ok(messages)
    }

    /// Reads a message; says whether it is a user's.
    fn read_message(&mut self, reader: &mut Reader<'a>) -> Read<bool> {
        if reader.peek() != Some(b'{') {
            self.note("", "an object");
            reader.skip()?;
            return Ok(false);
        }
        let mut role = None;
        reader.object(|reader, name| match name {
            "role" => reader.raw().map(|raw| role = Some(raw)),
            "content" => self.read_content(reader),
            _ => reader.skip(),
        })?;
        if !role.is_some_and(|role| role.starts_with('"') && role != "\"\"") {
            self.note(".role", "a string");
        }
        Ok(role == Some("\"user\""))
    }

    fn read_content(&mut self, reader: &mut Reader<'a>) -> Read<()> {
        match reader.peek() {
            // An assistant's message that only calls tools has none.
            Some(b'"' | b'n') => reader.skip(),
            Some(b'[') => reader.array(|reader| self.read_part(reader)),
            _ => {
                self.note(".content", "a string or an array of parts");
                reader.skip()
            }
        }
    }

    fn read_part(&mut self, reader: &mut Reader<'a>) -> Read<()> {
        let mut has_type = false;
        if reader.peek() == Some(b'{') {
            reader.object(|reader, name| {
                if name != "type" || reader.peek() != Some(b'"') {
                    return reader.skip();
                }
                has_type = true;
                self.has_images |= matches!(reader.string()?.as_ref(), "image_url" | "input_image" | "image");
                Ok(())
            })?;
        } else {
            reader.skip()?;
        }
        if !has_type {
            self.note(".content", "a string or an array of parts, each with a `type`");
        }
        Ok(())
    }

    fn note(&mut self, member: &str, expected: &str) {
        let index = self.count;
        self.wrong.get_or_insert_with(|| {
            let param = format!("messages.{index}{member}");
            let message = format!("`{param}` must be {expected}.");
            Error::bad_param(param, message)
        });
    }
}
