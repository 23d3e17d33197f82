//! Who tries too often: failed sign-ins and calls of strangers, by address and by client.
//!
//! A try is counted before the password is looked at and taken back after a right one, so that guesses
//! in parallel do not slip through. Keys are digests: what somebody typed is not stored. A fixed number
//! of objects holds them all, so that inventing addresses fills no disk with objects; rows that no
//! longer count are removed.

use comind::error::Code;
use comind::limit::{Bucket, Failures, Quota};
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;

use super::sql::{self, Sql, number};
use super::{Outcome, Refusal, reply, serve};
use crate::{config, runtime};

const SCHEMA: &[&str] = &[
    "
    CREATE TABLE failure (key TEXT PRIMARY KEY, count INTEGER NOT NULL, last_ms INTEGER NOT NULL) WITHOUT ROWID;
    CREATE INDEX failure_by_age ON failure (last_ms);
    ",
    "
    CREATE TABLE quota (key TEXT PRIMARY KEY, bucket TEXT NOT NULL, until_ms INTEGER NOT NULL) WITHOUT ROWID;
    CREATE INDEX quota_by_age ON quota (until_ms);
    ",
];

/// What can be asked about a key: see [`key`](super::key).
#[derive(Debug, Deserialize, Serialize)]
pub(crate) enum ThrottleCall {
    /// A try: refused with `rate_limited` and a wait, or counted as a failure for now.
    Try { key: String },
    /// It was the right one: everything is forgotten.
    Clear { key: String },
    /// It was the right one: that try does not count, earlier ones do.
    Forgive { key: String },
    /// One of so many calls: refused with `rate_limited` and a wait when there were more.
    Take { key: String, quota: Quota },
}

/// The tables of one of the objects that count.
#[wasm_bindgen]
#[derive(Debug)]
pub struct ThrottleTables {
    sql: Sql,
}

#[wasm_bindgen]
impl ThrottleTables {
    /// The tables behind the runtime's `ctx.storage.sql`.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new(sql: JsValue) -> Self {
        Self { sql: Sql::new(sql) }
    }

    /// Answers a question of the worker's.
    ///
    /// # Errors
    ///
    /// What the tables complain about.
    pub fn call(&self, question: &[u8]) -> Result<Vec<u8>, JsValue> {
        serve(question, |call| self.answer(call))
    }

    fn answer(&self, call: ThrottleCall) -> sql::Result<Vec<u8>> {
        let sql = &self.sql;
        sql.migrate(SCHEMA)?;
        let now_ms = runtime::now_ms();
        let outcome = match call {
            ThrottleCall::Try { key } => self.count_try(&key, now_ms)?,
            ThrottleCall::Clear { key } => {
                sql.run("DELETE FROM failure WHERE key = ?", &[key.into()])?;
                Ok(())
            }
            ThrottleCall::Forgive { key } => {
                sql.run("UPDATE failure SET count = max(0, count - 1) WHERE key = ?", &[key.into()])?;
                Ok(())
            }
            ThrottleCall::Take { key, quota } => self.take(&key, quota, now_ms)?,
        };
        Ok(reply(&outcome))
    }

    fn count_try(&self, key: &str, now_ms: u64) -> sql::Result<Outcome<()>> {
        let policy = config::current().login_failures;
        let stored = self.sql.row("SELECT count, last_ms FROM failure WHERE key = ?", &[key.into()])?;
        let mut failures =
            stored.map(|mut row| Failures { count: row.count(), last_ms: row.number() }).unwrap_or_default();
        let wait_ms = failures.wait_ms(policy, now_ms);
        if wait_ms > 0 {
            return Ok(Err(too_often(wait_ms)));
        }
        failures.add(policy, now_ms);
        self.sql.run(
            "INSERT OR REPLACE INTO failure VALUES (?, ?, ?)",
            &[key.into(), number(failures.count.into()), number(failures.last_ms)],
        )?;
        let oldest_ms = now_ms.saturating_sub(policy.max_delay_secs.saturating_mul(2000));
        self.sql.run("DELETE FROM failure WHERE last_ms < ?", &[number(oldest_ms)])?;
        Ok(Ok(()))
    }

    fn take(&self, key: &str, quota: Quota, now_ms: u64) -> sql::Result<Outcome<()>> {
        let stored = self.sql.row("SELECT bucket FROM quota WHERE key = ?", &[key.into()])?;
        let bucket = stored.and_then(|mut row| Bucket::from_stored(&row.text()));
        match quota.take(bucket, now_ms) {
            Err(wait_ms) => Ok(Err(too_often(wait_ms))),
            Ok(bucket) => {
                let until_ms = now_ms.saturating_add(quota.forgotten_after_ms());
                self.sql.run(
                    "INSERT OR REPLACE INTO quota VALUES (?, ?, ?)",
                    &[key.into(), bucket.to_stored().into(), number(until_ms)],
                )?;
                self.sql.run("DELETE FROM quota WHERE until_ms < ?", &[number(now_ms)])?;
                Ok(Ok(()))
            }
        }
    }
}

fn too_often(wait_ms: u64) -> Refusal {
    Refusal { wait_ms: Some(wait_ms), ..Refusal::new(Code::RateLimited) }
}
