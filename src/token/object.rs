//! The members of a JSON object in a token or a key, each of the one type that it may have.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::types::from_json;

/// The members as they stand in the text, each name once: two parsers could take different ones.
pub(super) struct Object<'a>(Vec<(Name<'a>, &'a RawValue)>);

/// More members than any token or key has.
const MAX_MEMBERS: usize = 256;

/// A name without a copy where it has no escapes.
#[derive(Deserialize, PartialEq)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members: Vec<(Name<'de>, &RawValue)> = Vec::new();
                while let Some((name, value)) = map.next_entry()? {
                    if members.len() >= MAX_MEMBERS || members.iter().any(|(given, _)| *given == name) {
                        return Err(A::Error::custom("a member twice, or too many"));
                    }
                    members.push((name, value));
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

impl<'a> Object<'a> {
    /// `None` for what is no JSON object, or has a member twice.
    pub(super) fn read(text: &'a [u8]) -> Option<Self> {
        from_json(text)
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(Name(given), _)| given == name).map(|&(_, value)| value)
    }

    /// `Some(None)` for a member that is not there, `None` for one of another type, `null` too.
    fn optional<T: Deserialize<'a>>(&self, name: &str) -> Option<Option<T>> {
        match self.get(name) {
            Some(value) => serde_json::from_str(value.get()).ok().map(Some),
            None => Some(None),
        }
    }

    pub(super) fn optional_text(&self, name: &str) -> Option<Option<String>> {
        self.optional(name)
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.optional_text(name)?
    }

    /// A whole number from 0 on, and never in any other spelling than digits.
    pub(super) fn optional_number(&self, name: &str) -> Option<Option<u64>> {
        self.optional(name)
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.optional_number(name)?
    }

    pub(super) fn list(&self, name: &str) -> Option<Vec<&'a RawValue>> {
        self.optional(name)?
    }
}
