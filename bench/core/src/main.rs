//! Times the jobs natively. `bench-core ROUNDS FOLDER` prints one JSON line of nanoseconds, and leaves the bytes that it
//! read in the folder, for `run.mjs` to do the same in wasm.
//!
//! In each round all take turns, so that a busy machine is unfair to all alike; what is given is each round.

use std::path::Path;
use std::time::{Duration, Instant};
use std::{env, fs};

use bench_core::{BODIES, Contender, EVENTS, TOKENS};
use comind::secret::Secret;
use comind::token::jwt::{Claims, ISSUER, Keys, Use};
use serde_json::{Value, json};

const ROUND: Duration = Duration::from_millis(40);
const STREAM_EVENTS: u32 = 20_000;

fn main() {
    let mut args = env::args().skip(1);
    let rounds: usize = args.next().and_then(|text| text.parse().ok()).expect("ROUNDS");
    let folder = args.next().expect("FOLDER");
    let mut jobs = Vec::new();
    let mut add = |job: usize, title: &str, bytes: Vec<u8>, piece: usize, units: u32| {
        let file = format!("{}.bin", jobs.len());
        fs::write(Path::new(&folder).join(&file), &bytes).expect("a writable folder");
        let contenders = [EVENTS, BODIES, TOKENS][job];
        let timed = time(contenders, &bytes, piece, rounds);
        jobs.push(json!({ "job": job, "title": title, "file": file, "bytes": bytes.len(), "piece": piece, "units": units, "native": timed }));
    };
    let stream = stream();
    let event_bytes = stream.len() / STREAM_EVENTS as usize;
    for (title, piece) in [
        (format!("a stream of {STREAM_EVENTS} events of {event_bytes} bytes, one an arrival"), event_bytes),
        ("the same in pieces of 16 KiB".to_owned(), 16 << 10),
        ("the same in pieces of 100 bytes".to_owned(), 100),
    ] {
        add(0, &title, stream.clone(), piece, STREAM_EVENTS);
    }
    for (title, length) in
        [("a body of 1 kB", 1_000), ("a body of 100 kB", 100_000), ("a body of 4 MB, a picture in it", 4_000_000)]
    {
        add(1, title, body(length), 0, 1);
    }
    add(2, "a token", token(), 0, 1);
    println!("{}", Value::Array(jobs));
}

/// Nanoseconds for doing it once: by contender, by round.
fn time(contenders: &[Contender], bytes: &[u8], piece: usize, rounds: usize) -> Value {
    let sums: Vec<u64> = contenders.iter().map(|contender| (contender.run)(bytes, piece)).collect();
    let mut times = vec![Vec::new(); contenders.len()];
    for _ in 0..rounds {
        for (contender, times) in contenders.iter().zip(&mut times) {
            let start = Instant::now();
            let mut runs = 0_u32;
            while start.elapsed() < ROUND {
                std::hint::black_box((contender.run)(bytes, piece));
                runs += 1;
            }
            times.push(start.elapsed().as_nanos() as f64 / f64::from(runs));
        }
    }
    contenders
        .iter()
        .zip(sums)
        .zip(times)
        .map(|((contender, sum), ns)| json!({ "name": contender.name, "sum": sum, "ns": ns }))
        .collect()
}

/// Chunks as vLLM sends them; every event is as long as the first, so that pieces of that length are events.
fn stream() -> Vec<u8> {
    (0..STREAM_EVENTS)
        .flat_map(|at| {
            format!(
                "data: {{\"id\":\"chatcmpl-8f0e4a1c9d3b4f6e\",\"object\":\"chat.completion.chunk\",\"created\":1800000000,\
                 \"model\":\"meta-llama/Llama-3.1-8B-Instruct\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\" w{at:05}\"}},\
                 \"logprobs\":null,\"finish_reason\":null}}]}}\n\n"
            )
            .into_bytes()
        })
        .collect()
}

/// A conversation of so many bytes; a large one is a picture and little text.
fn body(length: usize) -> Vec<u8> {
    let text = "What is the capital of France, and what do people there say \\\"hello\\\" like?\\n";
    let mut messages = vec![r#"{"role":"system","content":"You are a helpful assistant."}"#.to_owned()];
    if length > 1_000_000 {
        let picture = "iVBORw0KGgoAAAANSUhEUgAA".repeat(length / 24 - 20);
        messages.push(format!(
            r#"{{"role":"user","content":[{{"type":"text","text":"What is this?"}},{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{picture}"}}}}]}}"#
        ));
    }
    while messages.iter().map(String::len).sum::<usize>() + 200 < length {
        let times = ((length - 200) / text.len() / 40).clamp(1, 40);
        messages.push(format!(r#"{{"role":"user","content":"{}"}}"#, text.repeat(times)));
    }
    format!(
        r#"{{"messages":[{}],"temperature":0.7,"stream":true,"max_tokens":256,"model":"llama-3.1-8b"}}"#,
        messages.join(",")
    )
    .into_bytes()
}

fn token() -> Vec<u8> {
    let claims = Claims {
        iss: ISSUER.to_owned(),
        sub: comind::token::pat::make_user_id(&[7; 16]),
        iat: bench_core::NOW_SECS - 60,
        exp: bench_core::NOW_SECS + 3600,
        jti: "AAAAAAAAAAAAAAAAAAAAAA".to_owned(),
        sid: "BBBBBBBBBBBBBBBBBBBBBB".to_owned(),
        generation: 0,
        ver: 1,
        used_as: Use::Access,
    };
    Keys::new(Secret::new(bench_core::SECRET), None).sign(&claims).expose().as_bytes().to_vec()
}
