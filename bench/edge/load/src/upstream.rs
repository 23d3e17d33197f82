//! An inference server that costs next to nothing.
//!
//! Of a request it looks at `model` (the body's length apart, all that it needs to know), `stream`, `max_tokens` (so
//! many chunks) and `seed` (microseconds between two of them). Each chunk's text is the time at which it left.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::{Fault, now_us};

type Body = BoxBody<Bytes, Infallible>;

pub(crate) async fn serve() -> Result<(), Fault> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{}", listener.local_addr()?.port());
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        // A gateway that goes away in mid-answer is none of ours.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), service_fn(answer)));
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path().to_owned();
    let Ok(body) = request.into_body().collect().await else { return Ok(json("{}".into())) };
    let body = body.to_bytes();
    if path.ends_with("/models") {
        let models = std::env::var("MODELS").ok().and_then(|count| count.parse().ok()).unwrap_or(1);
        let data: Vec<String> = (0..models)
            .map(|at| format!(r#"{{"id":"{}","object":"model","created":1,"owned_by":"bench"}}"#, name(at)))
            .collect();
        return Ok(json(format!(r#"{{"object":"list","data":[{}]}}"#, data.join(","))));
    }
    // The last kilobyte says how: what stands before it may be megabytes.
    let head = &body[body.len().saturating_sub(1024)..];
    let number = |name: &str| number_after(head, name);
    if find(head, br#""stream":true"#).or_else(|| find(head, br#""stream": true"#)).is_none() {
        return Ok(json(
            r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"bench","choices":[{"index":0,"message":{"role":"assistant","content":"The capital of France is Paris."},"finish_reason":"stop"}],"usage":{"prompt_tokens":14,"completion_tokens":8,"total_tokens":22}}"#.into(),
        ));
    }
    Ok(stream(number("max_tokens").unwrap_or(200), number("seed").unwrap_or(0)))
}

fn stream(chunks: u64, pause_us: u64) -> Response<Body> {
    let (sender, mut receiver) = mpsc::channel::<Bytes>(1);
    tokio::spawn(async move {
        let start = tokio::time::Instant::now();
        for at in 0..chunks {
            if pause_us > 0 {
                tokio::time::sleep_until(start + Duration::from_micros(pause_us * at)).await;
            }
            if sender.send(chunk(&now_us().to_string(), "null")).await.is_err() {
                return;
            }
        }
        let _ = sender.send(chunk("", "\"stop\"")).await;
        let _ = sender.send(Bytes::from_static(b"data: [DONE]\n\n")).await;
    });
    let frames = futures_of(move |context| receiver.poll_recv(context));
    let body = StreamBody::new(frames).boxed();
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, "text/event-stream".parse().expect("a header"));
    response
}

fn chunk(text: &str, finish: &str) -> Bytes {
    format!("data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"bench\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":{finish}}}]}}\n\n").into()
}

fn json(text: String) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from(text)).boxed());
    response.headers_mut().insert(CONTENT_TYPE, "application/json".parse().expect("a header"));
    response
}

/// The nth model's name; the first is `bench`.
fn name(at: u32) -> String {
    if at == 0 { "bench".into() } else { format!("bench-{at}") }
}

fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).position(|window| window == word)
}

fn number_after(text: &[u8], name: &str) -> Option<u64> {
    let at = find(text, format!("\"{name}\":").as_bytes())? + name.len() + 3;
    let digits: Vec<u8> =
        text[at..].iter().copied().skip_while(|&byte| byte == b' ').take_while(u8::is_ascii_digit).collect();
    std::str::from_utf8(&digits).ok()?.parse().ok()
}

/// A stream of frames of a function that is polled.
fn futures_of(
    poll: impl FnMut(&mut std::task::Context<'_>) -> std::task::Poll<Option<Bytes>> + Unpin,
) -> impl futures_core::Stream<Item = Result<Frame<Bytes>, Infallible>> {
    struct Polled<F>(F);
    impl<F: FnMut(&mut std::task::Context<'_>) -> std::task::Poll<Option<Bytes>> + Unpin> futures_core::Stream
        for Polled<F>
    {
        type Item = Result<Frame<Bytes>, Infallible>;
        fn poll_next(
            mut self: std::pin::Pin<&mut Self>,
            context: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Self::Item>> {
            (self.0)(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
        }
    }
    Polled(poll)
}
