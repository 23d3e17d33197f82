//! What the vectors cannot say: limits, state across chunks, comparison with a slow reader.

use super::*;
use crate::error::Code;
use std::string::ToString;
use std::vec;

#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Seen {
    events: Vec<(String, String, Vec<u8>)>,
    comments: Vec<Vec<u8>>,
}

impl Sink for Seen {
    fn event(&mut self, event: Event<'_>) {
        self.events.push((event.event_type.to_string(), event.id.to_string(), event.data.to_vec()));
    }
    fn comment(&mut self, text: &[u8]) {
        self.comments.push(text.to_vec());
    }
}

fn feed(decoder: &mut Decoder, chunks: &[&[u8]]) -> (Seen, Result<(), Overlong>) {
    let mut seen = Seen::default();
    for chunk in chunks {
        if let Err(overlong) = decoder.handle_chunk(chunk, &mut seen) {
            return (seen, Err(overlong));
        }
    }
    (seen, Ok(()))
}

/// What a stream gives whole, after checking that no cut changes it.
fn decode(limit_bytes: usize, stream: &[u8]) -> (Seen, Result<(), Overlong>, End) {
    let run = |chunks: &[&[u8]]| {
        let mut decoder = Decoder::new(limit_bytes);
        let (seen, outcome) = feed(&mut decoder, chunks);
        (seen, outcome, decoder.finish())
    };
    let whole = run(&[stream]);
    for first in 0..=stream.len() {
        for second in first..=stream.len() {
            let chunks = [&stream[..first], &stream[first..second], &stream[second..]];
            assert_eq!(run(&chunks), whole, "cut at {first} and {second}");
        }
    }
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(run(&bytes), whole, "byte by byte");
    whole
}

/// The rules of §9.2.6 written down as slowly and plainly as possible.
fn decode_plainly(stream: &[u8]) -> Seen {
    let mut seen = Seen::default();
    let stream = stream.strip_prefix(BYTE_ORDER_MARK).unwrap_or(stream);
    let mut text = stream.to_vec();
    for at in (1..text.len()).rev() {
        if text[at - 1] == b'\r' && text[at] == b'\n' {
            text.remove(at);
        }
    }
    for byte in &mut text {
        if *byte == b'\r' {
            *byte = b'\n';
        }
    }
    let mut lines: Vec<&[u8]> = text.split(|&byte| byte == b'\n').collect();
    lines.pop();
    let (mut data, mut kind, mut id, mut last_id) = (vec![], vec![], vec![], vec![]);
    for line in lines {
        if line.is_empty() {
            last_id.clone_from(&id);
            if !data.is_empty() {
                data.pop();
                let kind = if kind.is_empty() { &b"message"[..] } else { &kind };
                seen.events.push((
                    String::from_utf8_lossy(kind).into_owned(),
                    String::from_utf8_lossy(&last_id).into_owned(),
                    data.clone(),
                ));
            }
            data.clear();
            kind.clear();
            continue;
        }
        let (name, mut value): (&[u8], &[u8]) = match line.iter().position(|&byte| byte == b':') {
            Some(0) => {
                seen.comments.push(line[1..].to_vec());
                continue;
            }
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &[]),
        };
        if value.first() == Some(&b' ') {
            value = &value[1..];
        }
        match name {
            b"data" => {
                data.extend_from_slice(value);
                data.push(b'\n');
            }
            b"event" => kind = value.to_vec(),
            b"id" if !value.contains(&0) => id = value.to_vec(),
            _ => {}
        }
    }
    seen
}

#[test]
fn agrees_with_a_slow_reader_on_generated_streams_however_cut() {
    const PARTS: [&[u8]; 20] = [
        b"data",
        b"data:",
        b"data: ",
        b"event",
        b"event:",
        b"id: ",
        b"id",
        b"retry:",
        b":",
        b" ",
        b"\n",
        b"\n",
        b"\n\n",
        b"\r",
        b"\r\n",
        b"\r\n\r\n",
        b"x",
        b"\xff",
        b"\0",
        BYTE_ORDER_MARK,
    ];
    // A linear congruence: repeatable, and random enough to mix parts.
    let mut state = 1u64;
    let mut roll = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    for _ in 0..1500 {
        let mut stream = vec![];
        for _ in 0..roll(14) {
            stream.extend_from_slice(PARTS[roll(PARTS.len())]);
        }
        let (seen, outcome, _) = decode(1024, &stream);
        assert_eq!(outcome, Ok(()));
        assert_eq!(seen, decode_plainly(&stream), "{}", stream.escape_ascii());
    }
}

#[test]
fn an_event_at_the_limit_passes_and_one_byte_more_is_refused() {
    let cases: [(&[u8], usize); 6] = [
        (b"data: 0123\n\n", 10),
        (b"data:0\ndata:1\n\n", 7),       // "0" is held, the second line has 6 bytes
        (b"event: tick\ndata:x\n\n", 11), // the line `event: tick`
        (b"event:t\ndata: 0123\n\n", 11), // the type and the line
        (b"id: 0123456\n\n", 11),
        (b"retry: 1000\n\n", 11),
    ];
    for (stream, enough) in cases {
        let (_, outcome, end) = decode(enough, stream);
        assert_eq!((outcome, end), (Ok(()), End::Whole), "{}", stream.escape_ascii());
        let (seen, outcome, end) = decode(enough - 1, stream);
        let refused = Err(Overlong { limit_bytes: enough - 1 });
        assert_eq!((outcome, end), (refused, End::Cut), "{}", stream.escape_ascii());
        assert!(seen.events.is_empty());
    }
}

#[test]
fn events_before_an_overlong_one_are_given_and_nothing_after_it() {
    let mut decoder = Decoder::new(10);
    let (seen, outcome) = feed(&mut decoder, &[b"data: 1\n\ndata: 0123456789\n\ndata: 2\n\n"]);
    assert_eq!(outcome, Err(Overlong { limit_bytes: 10 }));
    assert_eq!(seen.events.len(), 1);
    let (seen, outcome) = feed(&mut decoder, &[b"data: 3\n\n"]);
    assert_eq!(outcome, Err(Overlong { limit_bytes: 10 }));
    assert_eq!(seen, Seen::default());
    assert_eq!(Error::from(Overlong { limit_bytes: 10 }).code, Code::ResponseMalformed);
}

#[test]
fn comments_and_unknown_fields_pass_in_any_length_and_are_not_held() {
    for head in [":", "color: ", "datax", "ids"] {
        let mut decoder = Decoder::new(64);
        let mut seen = Seen::default();
        decoder.handle_chunk(head.as_bytes(), &mut seen).unwrap();
        for _ in 0..1000 {
            decoder.handle_chunk(&[b'z'; 100], &mut seen).unwrap();
            assert!(decoder.line.capacity() <= 256, "{head}");
        }
        decoder.handle_chunk(b"\ndata: q\n\n", &mut seen).unwrap();
        assert_eq!(seen.events.len(), 1, "{head}");
        assert!(seen.comments.is_empty(), "a comment over the limit is not reported");
        assert_eq!(decoder.finish(), End::Whole);
    }
}

#[test]
fn a_comment_over_the_limit_is_reported_by_no_cut() {
    let (seen, ..) = decode(8, b":0123456\n:01234567\ndata:x\n\n");
    assert_eq!(seen.comments, [b"0123456"]);
    assert_eq!(seen.events.len(), 1);
}

#[test]
fn a_limit_of_nothing_still_passes_what_is_ignored() {
    let (seen, outcome, _) = decode(0, b"\n: hi\nd\nda:\neventual: 1\n\n");
    assert_eq!((seen, outcome), (Seen::default(), Ok(())));
    assert!(decode(0, b"id\n").1.is_err());
}

#[test]
fn the_end_tells_whole_from_cut() {
    for (stream, end) in [
        (&b""[..], End::Whole),
        (b"data: x\n\n", End::Whole),
        (b"data: x\r\r", End::Whole),
        (b"data: x\n\n: half a comm", End::Whole),
        (b"data: x\n\n: a comment\n", End::Whole),
        (b"data: x\n", End::Cut),
        (b"data: x", End::Cut),
        (b"data: x\n\nd", End::Cut),
        (b"event: tick\n", End::Cut),
        (b"id: 1\n", End::Cut),
        (b"\xef\xbb", End::Cut),
        (b"\xef\xbb\xbf", End::Whole),
    ] {
        assert_eq!(decode(64, stream).2, end, "{}", stream.escape_ascii());
    }
}

#[test]
fn after_the_end_a_new_stream_begins_with_the_old_id() {
    let mut decoder = Decoder::new(64);
    feed(&mut decoder, &[b"retry: 50\nid: 7\ndata: a\n\nid: 8\ndata: cut\r"]).1.unwrap();
    assert_eq!(decoder.finish(), End::Cut);
    assert_eq!((decoder.last_event_id(), decoder.retry_ms()), ("7", Some(50)));
    let (seen, _) = feed(&mut decoder, &[b"\xef\xbb\xbfdata: b\n\n"]);
    assert_eq!(seen.events, [("message".into(), "7".into(), b"b".to_vec())]);
}

#[test]
fn retry_takes_ascii_digits_up_to_64_bits() {
    for (value, expected) in [
        ("0", Some(0)),
        ("007", Some(7)),
        ("18446744073709551615", Some(u64::MAX)),
        ("18446744073709551616", None),
        ("", None),
        ("+1", None),
        ("1.5", None),
        ("1 ", None),
        ("\u{0661}", None),
    ] {
        let mut decoder = Decoder::new(64);
        feed(&mut decoder, &[format!("retry: {value}\n").as_bytes()]).1.unwrap();
        assert_eq!(decoder.retry_ms(), expected, "{value}");
    }
}

#[test]
fn one_data_line_in_one_chunk_is_lent_and_not_copied() {
    let chunk = b"data: abc\n\n";
    let mut decoder = Decoder::new(64);
    let mut lent = false;
    decoder
        .handle_chunk(chunk, &mut |event: Event<'_>| {
            lent = chunk.as_ptr_range().contains(&event.data.as_ptr());
        })
        .unwrap();
    assert!(lent);
    assert_eq!(decoder.data.capacity(), 0);
}
