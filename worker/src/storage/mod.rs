//! Where state lives.
//!
//! - [`account`]: one SQLite object for each user, by the user's id: password hash, sessions, personal
//!   access tokens, rate limits. One writer, so that nothing passes a limit side by side.
//! - [`directory`]: who exists, by address and by user, and the codes that were mailed, in 256 objects.
//! - [`audit`]: what happened to accounts, in one object.
//! - [`throttle`]: tries and calls by address and by client, in 256 objects, whatever anybody types.
//! - [`users`]: what takes several of them: to make, find and delete a user.
//!
//! What an object answers is exact. Everything that isolates keep (the catalogue, leases) is a cache that may vanish.

pub(crate) mod account;
pub(crate) mod audit;
pub(crate) mod directory;
pub(crate) mod password;
pub(crate) mod sql;
pub(crate) mod throttle;
pub(crate) mod users;

use comind::error::{Code, Error};
use comind::token::to_hex;
use js_sys::{JsString, Reflect};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use wasm_bindgen::prelude::*;
use worker::Env;

use crate::{log, telemetry};

/// The namespaces, as `wrangler.toml` and the start script bind them.
pub(crate) const ACCOUNTS: &str = "ACCOUNTS";
/// See [`ACCOUNTS`].
pub(crate) const DIRECTORIES: &str = "DIRECTORIES";
/// See [`ACCOUNTS`].
pub(crate) const THROTTLES: &str = "THROTTLES";
/// See [`ACCOUNTS`].
pub(crate) const AUDIT: &str = "AUDIT";

#[wasm_bindgen(module = "/src/js/storage.js")]
extern "C" {
    // By value: bytes that only point into wasm's memory would take all of it along.
    #[wasm_bindgen(catch, js_name = callObject)]
    async fn call_object(namespace: JsValue, name: &str, question: Vec<u8>) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch, js_name = forgetObject)]
    async fn forget_object(namespace: JsValue, name: &str) -> Result<JsValue, JsValue>;
}

/// Why an object refuses: a code and a wait, from which the worker makes the sentence.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Refusal {
    /// The place in [`Code::ALL`].
    code: u8,
    /// When to try again.
    pub wait_ms: Option<u64>,
}

impl Refusal {
    /// A refusal without a wait.
    pub(crate) fn new(code: Code) -> Self {
        let place = Code::ALL.iter().position(|&other| other == code);
        Self { code: place.and_then(|place| u8::try_from(place).ok()).unwrap_or(u8::MAX), wait_ms: None }
    }

    /// What was refused, as a code.
    pub(crate) fn code(self) -> Code {
        Code::ALL.get(usize::from(self.code)).copied().unwrap_or(Code::InternalError)
    }
}

/// What an object answers: a value, or why not.
pub(crate) type Outcome<T> = Result<T, Refusal>;

fn unavailable() -> Error {
    Error::new(Code::InternalError, "The edge could not reach its own storage.")
}

/// Asks the object `name` of a namespace.
///
/// # Errors
///
/// [`Code::InternalError`], logged, when the object cannot be reached or fails.
pub(crate) async fn ask<Q: Serialize, T: DeserializeOwned>(
    env: &Env,
    namespace: &'static str,
    name: &str,
    question: &Q,
) -> Result<Outcome<T>, Error> {
    let answer = exchange(env, namespace, name, postcard::to_allocvec(question).unwrap_or_default()).await?;
    postcard::from_bytes(&answer).map_err(|_| {
        log::internal(namespace, "answer not understood");
        unavailable()
    })
}

/// [`ask`], of a question that is never refused.
///
/// # Errors
///
/// [`Code::InternalError`].
pub(crate) async fn know<Q: Serialize, T: DeserializeOwned>(
    env: &Env,
    namespace: &'static str,
    name: &str,
    question: &Q,
) -> Result<T, Error> {
    ask(env, namespace, name, question).await?.map_err(|_| unavailable())
}

/// Has an object forget all it knows, so that nothing of it is left on the disk.
///
/// # Errors
///
/// [`Code::InternalError`], logged.
pub(crate) async fn forget(env: &Env, namespace: &'static str, name: &str) -> Result<(), Error> {
    let done = forget_object(binding(env, namespace)?, name).await;
    done.map(drop).map_err(|error| failed(namespace, &describe(&error)))
}

/// Question and answer as bytes: the part of [`ask`] that is the same for all.
async fn exchange(env: &Env, namespace: &'static str, name: &str, question: Vec<u8>) -> Result<Vec<u8>, Error> {
    let answer = call_object(binding(env, namespace)?, name, question).await;
    telemetry::call_object(namespace, answer.is_ok());
    let answer = answer.map_err(|error| failed(namespace, &describe(&error)))?;
    Ok(js_sys::Uint8Array::new(&answer).to_vec())
}

fn binding(env: &Env, namespace: &'static str) -> Result<JsValue, Error> {
    Reflect::get(env, &JsString::from(namespace)).map_err(|_| failed(namespace, "binding missing"))
}

fn failed(namespace: &str, what: &str) -> Error {
    log::internal(namespace, what);
    unavailable()
}

/// A JavaScript error's own message; object calls carry no secrets in theirs.
fn describe(error: &JsValue) -> String {
    Reflect::get(error, &JsString::from("message")).ok().and_then(|text| text.as_string()).unwrap_or_default()
}

/// An object's side of [`ask`]: the question read, and what to send back.
fn serve<Q: DeserializeOwned>(
    question: &[u8],
    answer: impl FnOnce(Q) -> sql::Result<Vec<u8>>,
) -> Result<Vec<u8>, JsValue> {
    let Ok(question) = postcard::from_bytes(question) else { return Err(JsValue::from_str("question not understood")) };
    answer(question)
}

/// What an object sends back.
fn reply<T: Serialize>(outcome: &Outcome<T>) -> Vec<u8> {
    postcard::to_allocvec(outcome).unwrap_or_default()
}

/// The key under which sharded objects keep a subject: a digest in hexadecimal, so that what somebody
/// typed is not stored. Its first two digits name the object: see [`shard`].
pub(crate) fn key(kind: &str, subject: &str) -> String {
    let digest = Sha256::new().chain_update(kind).chain_update([0]).chain_update(subject).finalize();
    to_hex(&digest)
}

/// The name of the object, of 256, that keeps a key.
pub(crate) fn shard(key: &str) -> &str {
    key.get(..2).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_do_not_show_what_was_typed_and_do_not_mix_kinds() {
        let address = key("address", "ann@example.com");
        assert_eq!(address.len(), 64);
        assert_ne!(address, key("client", "ann@example.com"));
        assert_eq!(shard(&address), &address[..2]);
    }

    #[test]
    fn every_code_crosses_as_itself() {
        for &code in Code::ALL {
            let crossed: Outcome<()> = postcard::from_bytes(&reply::<()>(&Err(Refusal::new(code)))).unwrap();
            assert_eq!(crossed.unwrap_err().code(), code);
        }
    }
}
