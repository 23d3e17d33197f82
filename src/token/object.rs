//! The members of a JSON object in a token or a key, each of the one type that it may have.

use alloc::string::String;
use alloc::vec::Vec;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::request::members::{Members, Name};
use crate::types::from_json;

/// The members as they stand in the text, each name once: two parsers could take different ones.
pub(super) struct Object<'a>(Members<'a>);

/// More members than any token or key has.
const MAX_MEMBERS: usize = 256;

impl<'a> Object<'a> {
    /// `None` for what is no JSON object, or has a member twice.
    pub(super) fn read(text: &'a [u8]) -> Option<Self> {
        let Members(mut left) = from_json(text)?;
        if left.len() > MAX_MEMBERS {
            return None;
        }
        let mut members = Vec::with_capacity(left.len());
        while let Some(member) = left.pop() {
            if left.iter().any(|(name, _)| *name == member.0) {
                return None;
            }
            members.push(member);
        }
        Some(Self(Members(members)))
    }

    // Each of these would be a parser at every place that asks, were it built in there.
    #[inline(never)]
    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        let Self(Members(members)) = self;
        members.iter().find(|(Name(given), _)| given == name).map(|&(_, value)| value)
    }

    /// A member of any type; `None` where there is none, or it is of another type.
    fn typed<T: Deserialize<'a>>(&self, name: &str) -> Option<T> {
        serde_json::from_str(self.get(name)?.get()).ok()
    }

    #[inline(never)]
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.typed(name)
    }

    /// Whether it has no members but these.
    pub(super) fn has_only(&self, names: &[&str]) -> bool {
        let Self(Members(members)) = self;
        members.iter().all(|(Name(given), _)| names.contains(&given.as_ref()))
    }

    /// Whether a member is there and says this.
    #[inline(never)]
    pub(super) fn says(&self, name: &str, expected: &str) -> bool {
        self.text(name).is_some_and(|text| text == expected)
    }

    /// Whether a member says this if it is there.
    pub(super) fn says_at_most(&self, name: &str, expected: &str) -> bool {
        self.get(name).is_none() || self.says(name, expected)
    }

    /// A whole number from 0 on, and never in any other spelling than digits.
    #[inline(never)]
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.typed(name)
    }

    pub(super) fn texts(&self, name: &str) -> Option<Vec<String>> {
        self.typed(name)
    }

    pub(super) fn list(&self, name: &str) -> Option<Vec<&'a RawValue>> {
        self.typed(name)
    }
}
