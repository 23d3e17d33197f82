//! Request bodies: what a gateway must know of one, which is its model and whether it is JSON at all.

use std::hint::black_box;

use comind::request::{InferenceRequest, Operation};
use serde::Deserialize;
use serde_json::Value;
use simd_json::prelude::{ValueAsScalar, ValueObjectAccess};

use crate::Contender;

const NESTING_LIMIT: u32 = 64;

/// All give the length of the model's name.
pub const BODIES: &[Contender] = &[
    Contender { name: "comind, with all its checks", run: scan },
    Contender { name: "serde_json, the model alone", run: model_alone },
    Contender { name: "serde_json::Value", run: value },
    Contender { name: "simd-json, borrowed values", run: simd },
    Contender { name: "simd-json, tape", run: simd_tape },
];

fn scan(body: &[u8], _: usize) -> u64 {
    InferenceRequest::parse(Operation::ChatCompletion, black_box(body), NESTING_LIMIT).unwrap().model.len() as u64
}

fn model_alone(body: &[u8], _: usize) -> u64 {
    #[derive(Deserialize)]
    struct Asked<'a> {
        #[serde(borrow)]
        model: std::borrow::Cow<'a, str>,
    }
    serde_json::from_slice::<Asked<'_>>(black_box(body)).unwrap().model.len() as u64
}

fn value(body: &[u8], _: usize) -> u64 {
    let value: Value = serde_json::from_slice(black_box(body)).unwrap();
    value["model"].as_str().map_or(0, str::len) as u64
}

/// Works on a copy: simd-json writes into what it reads, and a gateway must send the body on as it came.
fn simd(body: &[u8], _: usize) -> u64 {
    let mut copy = black_box(body).to_vec();
    let value = simd_json::to_borrowed_value(&mut copy).unwrap();
    value.get("model").and_then(|model| model.as_str()).map_or(0, str::len) as u64
}

fn simd_tape(body: &[u8], _: usize) -> u64 {
    let mut copy = black_box(body).to_vec();
    let tape = simd_json::to_tape(&mut copy).unwrap();
    let value = tape.as_value();
    value.get("model").and_then(|model| ValueAsScalar::as_str(&model).map(str::len)).unwrap_or(0) as u64
}
