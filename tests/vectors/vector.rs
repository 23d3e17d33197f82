//! The format of a vector file, and the ways in which to cut a stream.

use std::fmt::Debug;

use base64ct::{Base64, Encoding};
use comind::sse::End;
use serde::Deserialize;

/// Streams up to this length are cut at every position and every pair of positions.
const SMALL_BYTES: usize = 64;

/// One vector, its stream joined.
pub(crate) struct Vector {
    pub(crate) name: String,
    pub(crate) stream: Vec<u8>,
    /// The lengths of the declared chunks.
    lengths: Vec<usize>,
    pub(crate) expected: Expected,
    /// A reader that flushes at the end of the stream would see more: so something was unfinished.
    pub(crate) is_cut: bool,
}

/// What a decoder is to give, and has given.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Seen {
    pub(crate) events: Vec<Event>,
    pub(crate) comments: Vec<String>,
    pub(crate) retry: Option<u64>,
    pub(crate) last_event_id: String,
    pub(crate) end: Option<End>,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub(crate) struct Event {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) data: String,
    #[serde(default)]
    pub(crate) id: String,
}

/// The expectations that a vector states; what it leaves out is not checked.
#[derive(Deserialize)]
pub(crate) struct Expected {
    events: Option<Vec<Event>>,
    #[serde(default, deserialize_with = "stated")]
    retry: Option<Option<u64>>,
    last_event_id: Option<String>,
    comments: Option<Vec<String>>,
    pub(crate) events_after_chunk: Option<Vec<usize>>,
    event_count: Option<usize>,
    data_fill: Option<String>,
    data_len: Option<usize>,
}

/// Tells `null` from a member that is not there.
fn stated<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

#[derive(Deserialize)]
struct File {
    vectors: Vec<Written>,
}

#[derive(Deserialize)]
struct Written {
    name: String,
    chunks: Option<Vec<String>>,
    build: Option<Build>,
    expected: Expected,
    #[serde(default)]
    variants: Variants,
}

#[derive(Default, Deserialize)]
struct Variants {
    eof_flush: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Build {
    prefix: String,
    fill: String,
    fill_count: usize,
    suffix: String,
    chunk_bytes: usize,
}

/// The vectors of a file.
pub(crate) fn parse_file(text: &str) -> Result<Vec<Vector>, String> {
    let file: File = serde_json::from_str(text).map_err(|error| error.to_string())?;
    file.vectors.into_iter().map(Vector::try_from).collect()
}

impl TryFrom<Written> for Vector {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let (stream, lengths) = match (written.chunks, written.build) {
            (Some(chunks), None) => {
                let chunks: Result<Vec<Vec<u8>>, _> = chunks.iter().map(|chunk| Base64::decode_vec(chunk)).collect();
                let chunks = chunks.map_err(|error| format!("{}: {error}", written.name))?;
                (chunks.concat(), chunks.iter().map(Vec::len).collect())
            }
            (None, Some(build)) => {
                let fill = build.fill.repeat(build.fill_count);
                let stream = [build.prefix, fill, build.suffix].concat().into_bytes();
                let size = match build.chunk_bytes {
                    0 => stream.len(),
                    size => size,
                };
                let lengths = stream.chunks(size).map(<[u8]>::len).collect();
                (stream, lengths)
            }
            _ => return Err(format!("{}: neither chunks nor build", written.name)),
        };
        Ok(Self {
            name: written.name,
            stream,
            lengths,
            expected: written.expected,
            is_cut: written.variants.eof_flush.is_some(),
        })
    }
}

/// Where a stream is cut.
pub(crate) enum Cuts<'v> {
    Declared(&'v [usize]),
    Every(usize),
    At(usize, usize),
}

impl Vector {
    /// Every way to cut this vector, with its name.
    pub(crate) fn ways(&self) -> impl Iterator<Item = (String, Cuts<'_>)> {
        let length = self.stream.len();
        let fixed = [
            ("as declared", Cuts::Declared(&self.lengths)),
            ("whole", Cuts::Every(length.max(1))),
            ("1-byte pieces", Cuts::Every(1)),
            ("2-byte pieces", Cuts::Every(2)),
            ("3-byte pieces", Cuts::Every(3)),
            ("7-byte pieces", Cuts::Every(7)),
        ];
        let fixed = fixed.into_iter().map(|(way, cuts)| (way.to_owned(), cuts));
        // A pair of equal positions cuts once; an empty piece in the middle is a case of its own.
        let last = if length <= SMALL_BYTES { length } else { 0 };
        let pairs = (1..=last).flat_map(move |first| {
            (first..=last).map(move |second| {
                let way = format!("cut at {first} and {second}");
                (way, Cuts::At(first, second))
            })
        });
        fixed.chain(pairs)
    }
}

impl Cuts<'_> {
    pub(crate) fn are_declared(&self) -> bool {
        matches!(self, Self::Declared(_))
    }

    /// The pieces of `stream`.
    pub(crate) fn chunks<'s>(&'s self, stream: &'s [u8]) -> Box<dyn Iterator<Item = &'s [u8]> + 's> {
        match *self {
            Self::Declared(lengths) => {
                let mut rest = stream;
                Box::new(lengths.iter().map(move |&length| {
                    let (piece, tail) = rest.split_at(length);
                    rest = tail;
                    piece
                }))
            }
            Self::Every(size) => Box::new(stream.chunks(size)),
            Self::At(first, second) => {
                Box::new([&stream[..first], &stream[first..second], &stream[second..]].into_iter())
            }
        }
    }
}

impl Expected {
    /// Compares; the reason names the first thing that differs.
    pub(crate) fn check(&self, seen: &Seen) -> Result<(), String> {
        same("events", self.events.as_ref(), &seen.events)?;
        same("retry", self.retry.as_ref(), &seen.retry)?;
        same("last event id", self.last_event_id.as_ref(), &seen.last_event_id)?;
        same("comments", self.comments.as_ref(), &seen.comments)?;
        same("event count", self.event_count.as_ref(), &seen.events.len())?;
        let Some(event) = seen.events.first() else {
            return Ok(());
        };
        same("data length", self.data_len.as_ref(), &event.data.len())?;
        match &self.data_fill {
            Some(fill) if !event.data.replace(fill, "").is_empty() => Err(format!("data is not all {fill:?}")),
            _ => Ok(()),
        }
    }
}

fn same<T: Debug + PartialEq>(what: &str, expected: Option<&T>, seen: &T) -> Result<(), String> {
    match expected {
        Some(expected) if expected != seen => Err(format!("{what}: {seen:?}, expected {expected:?}")),
        _ => Ok(()),
    }
}
