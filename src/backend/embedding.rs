//! Embeddings in the encoding that was asked for.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use base64ct::{Base64, Encoding};
use serde_json::Value;

/// An embeddings answer with every vector of numbers as base64 of little-endian 32-bit floats, as the
/// `OpenAI` API has it; `None` when all are base64 already, or it is no such answer.
///
/// ```
/// # use comind::backend::to_base64;
/// let fixed = to_base64(r#"{"data":[{"embedding":[1.0,-2.5]}]}"#).unwrap();
/// assert_eq!(fixed, r#"{"data":[{"embedding":"AACAPwAAIMA="}]}"#);
/// ```
#[must_use]
pub fn to_base64(json: &str) -> Option<String> {
    let mut answer: Value = serde_json::from_str(json).ok()?;
    let mut is_changed = false;
    for item in answer.get_mut("data")?.as_array_mut()? {
        let Some(embedding) = item.get_mut("embedding") else { continue };
        let Some(numbers) = embedding.as_array() else { continue };
        let mut bytes: Vec<u8> = Vec::with_capacity(numbers.len().saturating_mul(4));
        for number in numbers {
            #[expect(clippy::cast_possible_truncation, reason = "the format is of 32 bits")]
            let number = number.as_f64()? as f32;
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        *embedding = Value::String(Base64::encode_string(&bytes));
        is_changed = true;
    }
    is_changed.then(|| answer.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_vector_of_numbers_is_left_alone() {
        for json in
            ["", "{}", r#"{"data":[{"embedding":"AAAA"}]}"#, r#"{"data":[{"embedding":["a"]}]}"#, r#"{"data":{}}"#]
        {
            assert_eq!(to_base64(json), None, "{json}");
        }
    }
}
