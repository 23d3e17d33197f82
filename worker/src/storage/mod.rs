//! Where state lives.
//!
//! - [`account::Account`]: one SQLite object for each user, by the user's id: password hash, sessions, personal
//!   access tokens, rate limits. One writer, so that nothing passes a limit side by side.
//! - [`directory::Directory`]: who exists, by address and by user, in 256 objects.
//! - [`throttle::Throttle`]: failed sign-ins by address and by client, in 256 objects, whatever anybody types.
//!
//! What an object answers is exact. Everything that isolates keep (the catalogue) is a cache that may vanish.

pub(crate) mod account;
pub(crate) mod directory;
pub(crate) mod password;
pub(crate) mod throttle;

use std::cell::Cell;
use std::rc::Rc;

use comind::error::{Code, Error};
use comind::types::to_json;
use js_sys::{Array, JsString};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use wasm_bindgen::prelude::*;
use worker::{Env, Request, Response, State};

use crate::log;

/// The namespaces, as `wrangler.toml` and the start script bind them.
pub(crate) const ACCOUNTS: &str = "ACCOUNTS";
/// See [`ACCOUNTS`].
pub(crate) const DIRECTORIES: &str = "DIRECTORIES";
/// See [`ACCOUNTS`].
pub(crate) const THROTTLES: &str = "THROTTLES";

#[wasm_bindgen(module = "/src/js/storage.js")]
extern "C" {
    #[wasm_bindgen(catch, js_name = callObject)]
    async fn call_object(namespace: JsValue, name: &str, request: &str) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch, js_name = query)]
    fn query_js(sql: &JsValue, statement: &str, values: Array) -> Result<String, JsValue>;
}

/// What an object answers: a value, or why not.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply<T> {
    /// The value.
    Done(T),
    /// Why not.
    Refused(Refusal),
}

impl<T> Reply<T> {
    /// The value, of a question that is never refused.
    pub(crate) fn done(self) -> Result<T, Error> {
        match self {
            Self::Done(value) => Ok(value),
            Self::Refused(_) => Err(unavailable()),
        }
    }
}

fn unavailable() -> Error {
    Error::new(Code::InternalError, "The edge could not reach its own storage.")
}

/// Why an object refuses: a code and a wait, from which the worker makes the sentence.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Refusal {
    /// [`Code::as_str`].
    pub code: String,
    /// When to try again.
    pub wait_ms: Option<u64>,
}

impl Refusal {
    /// A refusal without a wait.
    pub(crate) fn new(code: Code) -> Self {
        Self { code: code.as_str().to_owned(), wait_ms: None }
    }

    /// What was refused, as a code.
    pub(crate) fn code(&self) -> Code {
        Code::from_spelling(&self.code).unwrap_or(Code::InternalError)
    }
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
) -> Result<Reply<T>, Error> {
    let failed = |what: &str| {
        log::internal(namespace, what);
        unavailable()
    };
    let binding = js_sys::Reflect::get(env, &JsString::from(namespace)).map_err(|_| failed("binding missing"))?;
    let answer = call_object(binding, name, &to_json(question)).await.map_err(|error| failed(&describe(&error)))?;
    let text = answer.as_string().unwrap_or_default();
    serde_json::from_str(&text).map_err(|_| failed("answer not understood"))
}

/// A JavaScript error's own message; object calls carry no secrets in theirs.
fn describe(error: &JsValue) -> String {
    js_sys::Reflect::get(error, &JsString::from("message")).ok().and_then(|text| text.as_string()).unwrap_or_default()
}

/// What an object sends back.
fn reply<T: Serialize>(outcome: Result<T, Refusal>) -> worker::Result<Response> {
    Response::ok(to_json(&match outcome {
        Ok(value) => Reply::Done(value),
        Err(refusal) => Reply::Refused(refusal),
    }))
}

/// The question that an object was asked.
async fn question<Q: DeserializeOwned>(request: &mut Request) -> worker::Result<Q> {
    Ok(serde_json::from_str(&request.text().await?)?)
}

/// An object's own tables.
#[derive(Debug)]
pub(crate) struct Sql {
    storage: JsValue,
    /// They are of the newest version: nobody else changes them while the object lives.
    is_current: Cell<bool>,
}

impl Sql {
    /// The tables of the object whose state this is.
    pub(crate) fn of(state: &State) -> Rc<Self> {
        Rc::new(Self { storage: state.storage().sql().as_ref().clone(), is_current: Cell::new(false) })
    }

    /// Runs a statement.
    fn run(&self, statement: &str, values: &[JsValue]) -> worker::Result<()> {
        query_js(&self.storage, statement, values.iter().collect())?;
        Ok(())
    }

    /// The rows of a query.
    fn rows<T: DeserializeOwned>(&self, statement: &str, values: &[JsValue]) -> worker::Result<Vec<T>> {
        Ok(serde_json::from_str(&query_js(&self.storage, statement, values.iter().collect())?)?)
    }

    /// Whether the object has never stored anything. Asking does not make it do so.
    fn is_empty(&self) -> worker::Result<bool> {
        if self.is_current.get() {
            return Ok(false);
        }
        let tables: Vec<IgnoredAny> = self.rows("SELECT 1 FROM sqlite_master WHERE name = 'schema_version'", &[])?;
        Ok(tables.is_empty())
    }

    /// Brings the tables to the newest version. Each step is a version of its own, never changed once
    /// released; an object is moved when it is first used after an upgrade. All of it is one
    /// transaction: the runtime commits when the object next waits for something.
    fn migrate(&self, steps: &[&str]) -> worker::Result<()> {
        #[derive(Deserialize)]
        struct Version {
            version: usize,
        }
        if self.is_current.get() {
            return Ok(());
        }
        self.run("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)", &[])?;
        let stored: Vec<Version> = self.rows("SELECT version FROM schema_version", &[])?;
        let done = stored.first().map_or(0, |row| row.version);
        for step in steps.iter().skip(done) {
            self.run(step, &[])?;
        }
        if done < steps.len() {
            self.run("DELETE FROM schema_version", &[])?;
            self.run("INSERT INTO schema_version VALUES (?)", &[number(steps.len() as u64)])?;
        }
        self.is_current.set(true);
        Ok(())
    }
}

/// A whole number for SQLite; ours are all far below 2^53, where JavaScript counts exactly.
fn number(number: u64) -> JsValue {
    #[expect(clippy::cast_precision_loss, reason = "times and counts")]
    let number = number as f64;
    number.into()
}

/// The key under which sharded objects keep a subject: a digest in hexadecimal, so that what somebody
/// typed is not stored. Its first two digits name the object: see [`shard`].
pub(crate) fn key(kind: &str, subject: &str) -> String {
    let digest = Sha256::new().chain_update(kind).chain_update([0]).chain_update(subject).finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The name of the object, of 256, that keeps a key.
pub(crate) fn shard(key: &str) -> &str {
    key.get(..2).unwrap_or_default()
}

/// An e-mail address in the form in which two spellings of one are equal: trimmed, in lower case.
///
/// `None` for what cannot be an address: no `@`, nothing before or behind it, over 254 bytes
/// (RFC 5321 §4.5.3.1.3), white space or control characters.
pub(crate) fn normalize_email(email: &str) -> Option<String> {
    let email = email.trim().to_lowercase();
    let (local, domain) = email.rsplit_once('@')?;
    let is_right = !local.is_empty()
        && !domain.is_empty()
        && email.len() <= 254
        && !email.chars().any(|char| char.is_whitespace() || char.is_control());
    is_right.then_some(email)
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
    fn addresses_are_equal_whatever_their_letter_case() {
        assert_eq!(normalize_email(" Ann@Example.COM ").as_deref(), Some("ann@example.com"));
    }

    #[test]
    fn what_cannot_be_an_address_is_none() {
        let long = format!("{}@example.com", "a".repeat(243));
        assert!(normalize_email(&long).is_none());
        assert!(normalize_email(&long[1..]).is_some());
        for text in ["", "@", "a@", "@b", "a b@c", "a\u{0}@b"] {
            assert_eq!(normalize_email(text), None, "{text:?}");
        }
    }
}
