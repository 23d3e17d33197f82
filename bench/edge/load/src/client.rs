//! Who asks: so many connections, each with one request at a time, until the time is up.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::figures::Times;
use crate::{Fault, now_us};

/// What is to be asked, how often at once, and for how long.
pub(crate) struct Plan {
    pub(crate) url: Uri,
    pub(crate) connections: usize,
    pub(crate) duration: Duration,
    /// Names, and the values that take turns.
    pub(crate) headers: Vec<(String, Vec<String>)>,
    pub(crate) sent: Cell<usize>,
    pub(crate) body: Bytes,
    pub(crate) is_stream: bool,
}

#[derive(Default)]
struct Tally {
    requests: u64,
    failures: u64,
    chunks: u64,
    /// The last thing that went wrong.
    complaint: Option<String>,
    /// From the request to its last byte.
    whole: Times,
    /// From the request to its first byte of a body.
    first: Times,
    /// From a chunk's leaving the server to its arrival here.
    delay: Times,
}

pub(crate) async fn run(plan: Plan) -> Result<Value, Fault> {
    let plan = Rc::new(plan);
    let start = Instant::now();
    let end = start + plan.duration;
    let set = LocalSet::new();
    let workers: Vec<_> = (0..plan.connections).map(|_| set.spawn_local(work(Rc::clone(&plan), end))).collect();
    let mut sum = Tally::default();
    set.run_until(async {
        for worker in workers {
            let Ok(tally) = worker.await else { continue };
            sum.requests += tally.requests;
            sum.failures += tally.failures;
            sum.chunks += tally.chunks;
            sum.complaint = tally.complaint.or(sum.complaint.take());
            sum.whole.append(tally.whole);
            sum.first.append(tally.first);
            sum.delay.append(tally.delay);
        }
    })
    .await;
    let seconds = start.elapsed().as_secs_f64();
    Ok(json!({
        "requests": sum.requests,
        "failures": sum.failures,
        "complaint": sum.complaint,
        "chunks": sum.chunks,
        "seconds": seconds,
        "perSecond": sum.requests as f64 / seconds,
        "wholeUs": sum.whole.summary(),
        "firstUs": sum.first.summary(),
        "delayUs": sum.delay.summary(),
    }))
}

async fn work(plan: Rc<Plan>, end: Instant) -> Tally {
    let mut tally = Tally::default();
    while Instant::now() < end {
        // A connection that breaks is made anew.
        if let Err(fault) = converse(&plan, end, &mut tally).await {
            tally.failures += 1;
            tally.complaint = Some(fault.to_string());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    tally
}

async fn converse(plan: &Plan, end: Instant, tally: &mut Tally) -> Result<(), Fault> {
    let host = plan.url.host().ok_or("no host")?;
    let socket = TcpStream::connect((host, plan.url.port_u16().unwrap_or(80))).await?;
    socket.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
    tokio::task::spawn_local(connection);
    while Instant::now() < end {
        sender.ready().await?;
        let mut request =
            Request::post(plan.url.path()).header("host", host).header("content-type", "application/json");
        let turn = plan.sent.replace(plan.sent.get() + 1);
        for (name, values) in &plan.headers {
            request = request.header(name, values.get(turn % values.len().max(1)).map_or("", String::as_str));
        }
        let request = request.body(Full::new(plan.body.clone()))?;
        let sent = Instant::now();
        let response = sender.send_request(request).await?;
        let status = response.status();
        let mut body = response.into_body();
        let mut has_begun = false;
        let mut rest = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            if !has_begun {
                has_begun = true;
                tally.first.push(sent.elapsed().as_micros() as u64);
            }
            if plan.is_stream {
                rest.extend_from_slice(&data);
                take_chunks(&mut rest, tally);
            } else if !status.is_success() {
                rest.extend_from_slice(&data);
            }
        }
        if !status.is_success() || (plan.is_stream && !rest.ends_with(b"[DONE]")) {
            let start = rest.len().saturating_sub(300);
            return Err(format!("{status} {}", String::from_utf8_lossy(&rest[start..])).into());
        }
        tally.requests += 1;
        tally.whole.push(sent.elapsed().as_micros() as u64);
    }
    Ok(())
}

/// Notes the delay of each whole event and takes it out; what is left of `[DONE]` stays.
fn take_chunks(rest: &mut Vec<u8>, tally: &mut Tally) {
    const TEXT: &[u8] = b"\"content\":";
    let now_us = now_us();
    let mut done = 0;
    while let Some(length) = find(&rest[done..], b"\n\n") {
        let event = &rest[done..done + length];
        done += length + 2;
        if event.ends_with(b"[DONE]") {
            rest.truncate(done - 2);
            rest.drain(..done - 2 - 6);
            return;
        }
        let Some(at) = find(event, TEXT) else { continue };
        let mut sent_us = 0_u64;
        for &byte in event[at + TEXT.len()..].iter().skip_while(|byte| matches!(byte, b' ' | b'"')) {
            if !byte.is_ascii_digit() {
                break;
            }
            sent_us = sent_us * 10 + u64::from(byte - b'0');
        }
        if sent_us > 0 {
            tally.chunks += 1;
            tally.delay.push(now_us.saturating_sub(sent_us));
        }
    }
    rest.drain(..done);
}

fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).position(|window| window == word)
}
