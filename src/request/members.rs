//! The members of a small JSON object, taken one by one so that the one at fault is named.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{optional, read_object};
use crate::account::Email;
use crate::error::Error;
use crate::secret::Secret;

/// The members as they stand in the text. One reader for every small object: a shape of its own for each
/// would be a parser of its own in the wasm.
pub(crate) struct Members<'a>(pub(crate) Vec<(Name<'a>, &'a RawValue)>);

/// A name without a copy where it has no escapes.
#[derive(Deserialize, Eq, PartialEq)]
pub(crate) struct Name<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

impl<'a> Members<'a> {
    /// Reads the body. Members that nobody asks for are ignored.
    pub(super) fn read(body: &'a [u8]) -> Result<Self, Error> {
        read_object(body)
    }

    fn raw(&self, name: &'static str) -> Result<Option<&'a RawValue>, Error> {
        let mut found = self.0.iter().filter(|(Name(given), _)| given == name).map(|&(_, value)| value);
        match (found.next(), found.next()) {
            (_, Some(_)) => Err(Error::bad_param(name, format!("`{name}` is given twice."))),
            (value, None) => Ok(value),
        }
    }

    /// A member's value, or `None` when it is absent or `null`.
    pub(super) fn optional<T: Deserialize<'a>>(&self, name: &'static str, expected: &str) -> Result<Option<T>, Error> {
        optional(self.raw(name)?.map(RawValue::get), name, expected)
    }

    /// A member that must be there.
    pub(super) fn required<T: Deserialize<'a>>(&self, name: &'static str, expected: &str) -> Result<T, Error> {
        self.optional(name, expected)?.ok_or_else(|| Error::bad_param(name, format!("`{name}` is required.")))
    }

    pub(super) fn text(&self, name: &'static str) -> Result<String, Error> {
        self.required(name, "a string")
    }

    pub(super) fn optional_text(&self, name: &'static str) -> Result<Option<String>, Error> {
        self.optional(name, "a string")
    }

    pub(super) fn optional_texts(&self, name: &'static str) -> Result<Option<Vec<String>>, Error> {
        self.optional(name, "an array of strings")
    }

    pub(super) fn secret(&self, name: &'static str) -> Result<Secret, Error> {
        self.text(name).map(Secret::new)
    }

    pub(super) fn email(&self, name: &'static str) -> Result<Email, Error> {
        Email::parse(&self.text(name)?)
            .ok_or_else(|| Error::bad_param(name, format!("`{name}` must be an e-mail address.")))
    }
}
