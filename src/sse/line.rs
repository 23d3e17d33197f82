//! What one line says.

/// One line that is not blank (§9.2.6, "process the field").
#[derive(Clone, Copy)]
pub(super) enum Field<'l> {
    Data(&'l [u8]),
    EventType(&'l [u8]),
    Id(&'l [u8]),
    Retry(u64),
    /// A known field whose value counts for nothing: an id with NUL, a retry that is no number.
    Void,
    Comment(&'l [u8]),
    Unknown,
}

impl<'l> Field<'l> {
    pub(super) fn parse(line: &'l [u8]) -> Self {
        if let Some(value) = value_of(line, b"data") {
            Self::Data(value)
        } else if let Some(text) = line.strip_prefix(b":") {
            Self::Comment(text)
        } else if let Some(value) = value_of(line, b"event") {
            Self::EventType(value)
        } else if let Some(value) = value_of(line, b"id") {
            if value.contains(&0) { Self::Void } else { Self::Id(value) }
        } else if let Some(value) = value_of(line, b"retry") {
            parse_digits(value).map_or(Self::Void, Self::Retry)
        } else {
            Self::Unknown
        }
    }
}

/// The value of `line` if its field is `name`: without a colon it is empty, and one space after
/// the colon is not part of it.
fn value_of<'l>(line: &'l [u8], name: &[u8]) -> Option<&'l [u8]> {
    match line.strip_prefix(name)? {
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        [] => Some(&[]),
        _ => None,
    }
}

fn parse_digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| byte - b'0')?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// What the first bytes of an unfinished line say about it.
pub(super) enum Head {
    /// It is a field that counts.
    Field,
    /// It is a comment or an unknown field.
    Ignored,
    /// It may still become either.
    Open,
}

impl Head {
    pub(super) fn of(held: &[u8], piece: &[u8]) -> Self {
        const NAMES: [&[u8]; 4] = [b"data", b"event", b"id", b"retry"];
        // The longest name and its colon.
        let mut bytes = held.iter().chain(piece).take(6);
        let mut head = [0u8; 6];
        let mut length = 0;
        for (slot, &byte) in head.iter_mut().zip(&mut bytes) {
            *slot = byte;
            length += 1;
        }
        let head = head.get(..length).unwrap_or_default();
        if NAMES.iter().any(|name| head.strip_prefix(*name).is_some_and(|tail| tail.starts_with(b":"))) {
            Self::Field
        } else if NAMES.iter().any(|name| name.starts_with(head)) {
            Self::Open
        } else {
            Self::Ignored
        }
    }
}
