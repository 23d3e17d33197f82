//! Reads and writes JSON where it stands: one pass, no tree, no shape per type.
//!
//! Ours, beside `serde_json`, for what is done for every event of a stream in every page: the chunk
//! of an answer. A derived shape is a parser of its own in the wasm; this is one for all.
//! It accepts what RFC 8259 does, and differs from `serde_json` as `JSON.parse` does: of a name that
//! is given twice the last counts, and half a surrogate pair is no error (it reads as U+FFFD).

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

/// How deep arrays and objects may be nested unless said; ours, about that of `serde_json`.
const DEPTH_LIMIT: u32 = 128;

/// The text is not JSON, or not of the form that was asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Malformed;

pub(crate) type Read<T> = Result<T, Malformed>;

/// A place in a JSON text.
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: u32,
    depth_limit: u32,
}

impl<'a> Reader<'a> {
    /// At the start of a text.
    pub(crate) const fn new(text: &'a str) -> Self {
        Self::within(text, DEPTH_LIMIT)
    }

    /// At the start of a text that may be nested so deep.
    pub(crate) const fn within(text: &'a str, depth_limit: u32) -> Self {
        Self { text, at: 0, depth: 0, depth_limit }
    }

    /// Whether it was the nesting that made a text malformed.
    pub(crate) const fn is_too_deep(&self) -> bool {
        self.depth > self.depth_limit
    }

    /// Reads all of the text as one value.
    pub(crate) fn whole<T>(text: &'a str, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        let mut reader = Self::new(text);
        let value = read(&mut reader)?;
        reader.end()?;
        Ok(value)
    }

    /// Nothing may come any more.
    pub(crate) fn end(&mut self) -> Read<()> {
        self.skip_space();
        if self.at == self.text.len() { Ok(()) } else { Err(Malformed) }
    }

    /// Where the next token begins, as an offset into the text.
    pub(crate) fn position(&mut self) -> usize {
        self.skip_space();
        self.at
    }

    /// The text from an offset to here.
    pub(crate) fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// Reads an object; `member` is called with each name and must read its value.
    pub(crate) fn object(&mut self, mut member: impl FnMut(&mut Self, &str) -> Read<()>) -> Read<()> {
        self.enter(b'{')?;
        let mut is_first = true;
        while self.goes_on(b'}', &mut is_first)? {
            let name = self.string()?;
            self.skip_space();
            self.expect(b':')?;
            member(self, &name)?;
        }
        Ok(())
    }

    /// Reads an array; `item` must read each of its values.
    pub(crate) fn array(&mut self, mut item: impl FnMut(&mut Self) -> Read<()>) -> Read<()> {
        self.enter(b'[')?;
        let mut is_first = true;
        while self.goes_on(b']', &mut is_first)? {
            item(self)?;
        }
        Ok(())
    }

    /// Reads a string, borrowed where it has no escapes.
    #[inline(never)]
    pub(crate) fn string(&mut self) -> Read<Cow<'a, str>> {
        self.skip_space();
        self.expect(b'"')?;
        let start = self.at;
        let mut decoded = String::new();
        let mut piece = start;
        loop {
            self.skip_plain();
            match self.next()? {
                b'"' => break,
                b'\\' => {
                    decoded.push_str(self.text.get(piece..self.at - 1).ok_or(Malformed)?);
                    decoded.push(self.escape()?);
                    piece = self.at;
                }
                _ => return Err(Malformed),
            }
        }
        let rest = self.text.get(piece..self.at - 1).ok_or(Malformed)?;
        if piece == start {
            return Ok(Cow::Borrowed(rest));
        }
        decoded.push_str(rest);
        Ok(Cow::Owned(decoded))
    }

    /// Reads a string or null.
    pub(crate) fn optional_string(&mut self) -> Read<Option<Cow<'a, str>>> {
        if self.peek() == Some(b'"') { self.string().map(Some) } else { self.null().map(|()| None) }
    }

    /// Reads a whole number that fits, or null.
    pub(crate) fn optional_u32(&mut self) -> Read<Option<u32>> {
        match self.peek() {
            Some(b'0'..=b'9') => self.raw()?.parse().map(Some).map_err(|_| Malformed),
            _ => self.null().map(|()| None),
        }
    }

    /// Reads any value and gives its text.
    pub(crate) fn raw(&mut self) -> Read<&'a str> {
        let start = self.position();
        self.skip()?;
        Ok(self.since(start))
    }

    /// Reads any value and gives its text; `None` for null.
    pub(crate) fn optional_raw(&mut self) -> Read<Option<&'a str>> {
        Ok(Some(self.raw()?).filter(|&raw| raw != "null"))
    }

    /// Reads past any value, without recursion.
    #[inline(never)]
    pub(crate) fn skip(&mut self) -> Read<()> {
        // What closes the arrays and objects that are open.
        let mut closing = Vec::new();
        let mut is_first = true;
        loop {
            match self.peek().ok_or(Malformed)? {
                bracket @ (b'{' | b'[') => {
                    self.enter(bracket)?;
                    closing.push(if bracket == b'{' { b'}' } else { b']' });
                    is_first = true;
                }
                b'"' => self.skip_string()?,
                b't' => self.word("true")?,
                b'f' => self.word("false")?,
                b'n' => self.word("null")?,
                _ => self.number()?,
            }
            loop {
                let Some(&bracket) = closing.last() else { return Ok(()) };
                if self.goes_on(bracket, &mut is_first)? {
                    if bracket == b'}' {
                        self.skip_space();
                        self.skip_string()?;
                        self.skip_space();
                        self.expect(b':')?;
                    }
                    break;
                }
                closing.pop();
                is_first = false;
            }
        }
    }

    /// Reads null.
    pub(crate) fn null(&mut self) -> Read<()> {
        self.skip_space();
        self.word("null")
    }

    /// The first byte of the next token.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        self.skip_space();
        self.byte()
    }

    /// A string is checked in the same way whether or not it is wanted.
    fn skip_string(&mut self) -> Read<()> {
        self.expect(b'"')?;
        loop {
            self.skip_plain();
            match self.next()? {
                b'"' => return Ok(()),
                b'\\' => drop(self.escape()?),
                _ => return Err(Malformed),
            }
        }
    }

    /// Passes what stands for itself in a string: all but quotes, backslashes and control characters.
    #[inline(never)]
    fn skip_plain(&mut self) {
        let mut rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        // Long texts in vectors, which the compiler makes of this.
        while let Some((bytes, after)) = rest.split_first_chunk::<32>() {
            if has_special(bytes) {
                break;
            }
            rest = after;
        }
        let mut passed = self.text.len() - rest.len();
        while let Some((bytes, after)) = rest.split_first_chunk::<8>() {
            if let Some(at) = first_special(*bytes) {
                self.at = passed + at;
                return;
            }
            passed += 8;
            rest = after;
        }
        self.at = passed + rest.iter().position(|&byte| is_special(byte)).unwrap_or(rest.len());
    }

    fn enter(&mut self, bracket: u8) -> Read<()> {
        self.skip_space();
        self.expect(bracket)?;
        self.depth += 1;
        if self.depth > self.depth_limit { Err(Malformed) } else { Ok(()) }
    }

    /// Whether another value comes before the closing bracket.
    #[inline(never)]
    fn goes_on(&mut self, bracket: u8, is_first: &mut bool) -> Read<bool> {
        if self.peek() == Some(bracket) {
            self.at += 1;
            self.depth -= 1;
            return Ok(false);
        }
        if !core::mem::replace(is_first, false) {
            self.expect(b',')?;
        }
        Ok(true)
    }

    fn number(&mut self) -> Read<()> {
        self.take(b"-");
        if self.take(b"0") == 0 {
            self.digits()?;
        } else if matches!(self.byte(), Some(b'0'..=b'9')) {
            return Err(Malformed);
        }
        if self.take(b".") > 0 {
            self.digits()?;
        }
        if self.take(b"eE") > 0 {
            self.take(b"+-");
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Read<()> {
        let start = self.at;
        while matches!(self.byte(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(Malformed) } else { Ok(()) }
    }

    /// Passes one byte that is one of these; says how many it passed.
    fn take(&mut self, any_of: &[u8]) -> usize {
        let count = usize::from(self.byte().is_some_and(|byte| any_of.contains(&byte)));
        self.at += count;
        count
    }

    /// The character of an escape; the backslash is read.
    #[inline(never)]
    fn escape(&mut self) -> Read<char> {
        Ok(match self.next()? {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => self.unicode()?,
            _ => return Err(Malformed),
        })
    }

    fn unicode(&mut self) -> Read<char> {
        let unit = self.hex()?;
        if (0xd800..0xdc00).contains(&unit) && self.text.as_bytes().get(self.at..self.at + 2) == Some(b"\\u") {
            let after_first = self.at;
            self.at += 2;
            let low = self.hex()?;
            if (0xdc00..0xe000).contains(&low) {
                let point = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                return char::from_u32(point).ok_or(Malformed);
            }
            // Half a pair, and then another character.
            self.at = after_first;
        }
        Ok(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex(&mut self) -> Read<u32> {
        let mut unit = 0;
        for _ in 0..4 {
            unit = unit * 16 + char::from(self.next()?).to_digit(16).ok_or(Malformed)?;
        }
        Ok(unit)
    }

    fn word(&mut self, word: &str) -> Read<()> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err(Malformed);
        }
        self.at += word.len();
        Ok(())
    }

    fn skip_space(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Read<()> {
        if self.next()? == byte { Ok(()) } else { Err(Malformed) }
    }

    fn next(&mut self) -> Read<u8> {
        let byte = self.byte().ok_or(Malformed)?;
        self.at += 1;
        Ok(byte)
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}

/// Whether a byte of a string stands for something else than itself.
const fn is_special(byte: u8) -> bool {
    (byte == b'"') | (byte == b'\\') | (byte < b' ') // without a jump, for vectors
}

/// Whether one of these is such a byte.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
fn has_special(bytes: &[u8; 32]) -> bool {
    use core::arch::wasm32::{u8x16_eq, u8x16_lt, u8x16_splat, u64x2, v128_any_true, v128_or};
    let (words, _) = bytes.as_chunks::<8>();
    let [a, b, c, d] = words else { return true };
    let special = |low: &[u8; 8], high: &[u8; 8]| {
        let bytes = u64x2(u64::from_le_bytes(*low), u64::from_le_bytes(*high));
        let quotes = v128_or(u8x16_eq(bytes, u8x16_splat(b'"')), u8x16_eq(bytes, u8x16_splat(b'\\')));
        v128_or(quotes, u8x16_lt(bytes, u8x16_splat(b' ')))
    };
    v128_any_true(v128_or(special(a, b), special(c, d)))
}

/// Whether one of these is such a byte. The compiler makes vectors of it.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
fn has_special(bytes: &[u8; 32]) -> bool {
    bytes.iter().fold(false, |any, &byte| any | is_special(byte))
}

/// Where the first such byte of eight stands. Arithmetic on all at once: what it finds behind the first may be wrong.
fn first_special(bytes: [u8; 8]) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);
    let word = u64::from_le_bytes(bytes);
    let less_than = |word: u64, bound: u8| word.wrapping_sub(ONES * u64::from(bound)) & !word & HIGHS;
    let is_byte = |byte: u8| less_than(word ^ (ONES * u64::from(byte)), 1);
    let found = less_than(word, b' ') | is_byte(b'"') | is_byte(b'\\');
    (found != 0).then(|| found.trailing_zeros() as usize / 8)
}

/// Writes a whole number. `format!` would bring all of its machinery into every page.
pub(crate) fn push_number(text: &mut String, number: u64) {
    if number >= 10 {
        push_number(text, number / 10);
    }
    text.push(char::from(b'0' + u8::try_from(number % 10).unwrap_or_default()));
}

/// Writes a text as a JSON string, quotes included.
pub(crate) fn push_string(json: &mut String, text: &str) {
    json.push('"');
    let mut piece = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' {
            continue;
        }
        json.push_str(text.get(piece..at).unwrap_or_default());
        piece = at + 1;
        json.push('\\');
        match byte {
            b'\n' => json.push('n'),
            b'\r' => json.push('r'),
            b'\t' => json.push('t'),
            b'"' | b'\\' => json.push(char::from(byte)),
            _ => {
                json.push_str("u00");
                for digit in [byte >> 4, byte & 15] {
                    json.push(char::from_digit(digit.into(), 16).unwrap_or_default());
                }
            }
        }
    }
    json.push_str(text.get(piece..).unwrap_or_default());
    json.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::vec::Vec;

    /// Everything that is JSON, and much that is not, from a few seeds by cutting, doubling and exchanging bytes.
    fn variants() -> Vec<String> {
        const SEEDS: &[&str] = &[
            r#"{"a":[1,-0.5e+3,{"b":"c\né\ud83d\ude00"}],"d":null,"e":true,"f":false}"#,
            r#" [ "" , "\"\\\/\b\f\r\t" , 0 , 10 , 1E5 , [ ] , { } ] "#,
            "\"\u{7f}\u{80}😀\"",
            "-0",
        ];
        let mut all = Vec::new();
        for seed in SEEDS {
            let bytes = seed.as_bytes();
            for at in 0..=bytes.len() {
                all.push(bytes[..at].to_vec());
                all.push(bytes[at..].to_vec());
                for insert in b"{}[]\",:\\0-.eE+ntfu/ \n\x01" {
                    all.push([&bytes[..at], &[*insert], &bytes[at..]].concat());
                    if at < bytes.len() {
                        all.push([&bytes[..at], &[*insert], &bytes[at + 1..]].concat());
                    }
                }
            }
        }
        all.into_iter().filter_map(|bytes| String::from_utf8(bytes).ok()).collect()
    }

    #[test]
    fn what_is_json_is_what_serde_json_takes_for_it() {
        let (mut good, mut bad) = (0, 0);
        for text in variants() {
            let expected = serde_json::from_str::<serde_json::Value>(&text);
            let ours = Reader::whole(&text, Reader::skip);
            // The one difference in what is accepted.
            let is_half = |message: &str| message.contains("surrogate") || message.contains("end of hex escape");
            if expected.as_ref().is_err_and(|error| is_half(&format!("{error}"))) {
                continue;
            }
            assert_eq!(ours.is_ok(), expected.is_ok(), "{text:?}: {expected:?}");
            if expected.is_ok() { good += 1 } else { bad += 1 }
        }
        assert!(good > 400 && bad > 1000, "{good} {bad}");
    }

    #[test]
    fn strings_read_as_serde_json_reads_them_and_write_back() {
        let mut strings = 0;
        for text in variants() {
            let Ok(expected) = serde_json::from_str::<String>(&text) else { continue };
            let read = Reader::whole(&text, Reader::string).unwrap();
            assert_eq!(read, expected);
            let mut written = String::new();
            push_string(&mut written, &read);
            assert_eq!(serde_json::from_str::<String>(&written).unwrap(), expected);
            strings += 1;
        }
        assert!(strings > 20, "{strings}");
        let all: String = (0..0x250).filter_map(char::from_u32).collect();
        let mut written = String::new();
        push_string(&mut written, &all);
        assert_eq!(serde_json::from_str::<String>(&written).unwrap(), all);
        assert_eq!(written, serde_json::to_string(&all).unwrap().replace("\\b", "\\u0008").replace("\\f", "\\u000c"));
    }

    #[test]
    fn numbers_are_written_as_display_writes_them() {
        for number in [0, 1, 9, 10, 99, 100, 1_741_569_952, u64::MAX] {
            let mut text = String::new();
            push_number(&mut text, number);
            assert_eq!(text, format!("{number}"));
        }
    }

    #[test]
    fn half_a_surrogate_pair_is_a_replacement_character() {
        for (text, expected) in [
            (r#""\ud83d""#, "\u{fffd}"),
            (r#""\ude00""#, "\u{fffd}"),
            (r#""\ud83dx""#, "\u{fffd}x"),
            (r#""\ud83d\n""#, "\u{fffd}\n"),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
            (r#""\ud83d\ude00""#, "😀"),
        ] {
            assert_eq!(Reader::whole(text, Reader::string).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn the_first_special_byte_is_found_wherever_it_stands() {
        for byte in 0..=255 {
            for at in 0..8 {
                for other in [b'a', b' ', b'!', b'#', b'[', b']', 0x7f, 0x80, 0xff] {
                    let mut bytes = [other; 8];
                    bytes[at] = byte;
                    let expected = bytes.iter().position(|&byte| is_special(byte));
                    assert_eq!(first_special(bytes), expected, "{bytes:?}");
                }
            }
        }
        for length in 0..100 {
            let text = format!("\"{}\\n{}\"", "é".repeat(length), "a".repeat(length));
            assert_eq!(Reader::whole(&text, Reader::skip), Ok(()));
            assert_eq!(Reader::whole(&text.replace("\\n", "\n"), Reader::skip), Err(Malformed));
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert_eq!(Reader::whole(&nested(128), Reader::skip), Ok(()));
        assert_eq!(Reader::whole(&nested(129), Reader::skip), Err(Malformed));
        let beside = format!("[{},{}]", nested(127), nested(127));
        assert_eq!(Reader::whole(&beside, Reader::skip), Ok(()));
        assert_eq!(Reader::whole(&"[".repeat(1 << 20), Reader::skip), Err(Malformed));
    }

    #[test]
    fn the_last_of_two_members_counts() {
        let mut seen = None;
        let read = Reader::whole(r#"{"a":1,"a":2}"#, |reader| {
            reader.object(|reader, _| {
                seen = reader.optional_u32()?;
                Ok(())
            })
        });
        assert_eq!((read, seen), (Ok(()), Some(2)));
    }
}
