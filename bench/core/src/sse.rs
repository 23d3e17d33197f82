//! Event streams: all events of a stream that comes in pieces, and the bytes of their data.

use std::convert::Infallible;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use comind::chat::Relay;
use comind::sse::{Decoder, Event};
use eventsource_stream::Eventsource;
use futures_core::Stream;
use sse_core::{SseDecoder, SseEvent};

use crate::Contender;

/// No event of the corpus is nearly as long.
const LIMIT_BYTES: usize = 1 << 20;

/// All give the sum of the lengths of all events' data, but for the limit, which only looks for line ends, and the
/// relay, which gives the bytes that it lets through.
pub const EVENTS: &[Contender] = &[
    Contender { name: "memchr, line ends and nothing else", run: line_ends },
    Contender { name: "comind::sse::Decoder", run: decode },
    Contender { name: "comind::sse::Decoder, data as bytes", run: decode_bytes },
    Contender { name: "sse-core 0.2.3", run: sse_core },
    Contender { name: "sse-parse 0.1.0", run: sse_parse },
    Contender { name: "eventsource-stream 0.2.3", run: eventsource_stream },
    Contender { name: "comind::chat::Relay (what the edge does)", run: relay },
];

fn line_ends(stream: &[u8], piece: usize) -> u64 {
    stream.chunks(piece).map(|chunk| memchr::memchr_iter(b'\n', black_box(chunk)).count() as u64).sum()
}

fn decode(stream: &[u8], piece: usize) -> u64 {
    decode_to(stream, piece, |event| event.text().len())
}

/// As the limit does, it does not ask whether the bytes are UTF-8; the others do.
fn decode_bytes(stream: &[u8], piece: usize) -> u64 {
    decode_to(stream, piece, |event| event.data.len())
}

#[inline(always)]
fn decode_to(stream: &[u8], piece: usize, measure: impl Fn(Event<'_>) -> usize) -> u64 {
    let mut decoder = Decoder::new(LIMIT_BYTES);
    let mut sum = 0;
    for chunk in stream.chunks(piece) {
        decoder.handle_chunk(black_box(chunk), &mut |event: Event<'_>| sum += measure(event) as u64).unwrap();
    }
    sum
}

fn relay(stream: &[u8], piece: usize) -> u64 {
    let mut relay = Relay::new(LIMIT_BYTES);
    let mut sum = 0;
    for chunk in stream.chunks(piece) {
        let forward = relay.handle_chunk(black_box(chunk));
        sum += (forward.held.len() + forward.chunk.len()) as u64;
    }
    sum + relay.handle_end().write.len() as u64
}

fn sse_core(stream: &[u8], piece: usize) -> u64 {
    let mut decoder = SseDecoder::new();
    let mut sum = 0;
    for mut chunk in stream.chunks(piece) {
        while let Some(event) = decoder.next(black_box(&mut chunk)) {
            if let SseEvent::Message(message) = event.unwrap() {
                sum += message.data.len() as u64;
            }
        }
    }
    sum
}

fn sse_parse(stream: &[u8], piece: usize) -> u64 {
    let mut parser = sse_parse::SseParser::new();
    let mut sum = 0;
    for chunk in stream.chunks(piece) {
        parser.feed(black_box(chunk));
        while let Some(event) = parser.next_event() {
            sum += event.data.len() as u64;
        }
    }
    sum
}

fn eventsource_stream(stream: &[u8], piece: usize) -> u64 {
    struct Pieces<'a>(std::slice::Chunks<'a, u8>);
    impl<'a> Stream for Pieces<'a> {
        type Item = Result<&'a [u8], Infallible>;
        fn poll_next(mut self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            Poll::Ready(self.0.next().map(|chunk| Ok(black_box(chunk))))
        }
    }
    let mut events = pin!(Pieces(stream.chunks(piece)).eventsource());
    let mut context = Context::from_waker(Waker::noop());
    let mut sum = 0;
    while let Poll::Ready(Some(event)) = events.as_mut().poll_next(&mut context) {
        sum += event.unwrap().data.len() as u64;
    }
    sum
}
