//! Failed sign-ins, by address and by client.
//!
//! Counted before the password is looked at and taken back after a right one, so that guesses in
//! parallel do not slip through. Keys are digests: what somebody typed is not stored. A fixed number
//! of objects holds them all, so that inventing addresses fills no disk with objects; rows that no
//! longer count are removed.

use std::rc::Rc;

use comind::error::Code;
use comind::limit::Failures;
use serde::{Deserialize, Serialize};
use worker::{DurableObject, Env, Request, Response, State, durable_object};

use super::{Refusal, Sql, number, question, reply};
use crate::{config, runtime};

const SCHEMA: &[&str] = &["
    CREATE TABLE failure (key TEXT PRIMARY KEY, count INTEGER NOT NULL, last_ms INTEGER NOT NULL) WITHOUT ROWID;
    CREATE INDEX failure_by_age ON failure (last_ms);
"];

/// What can be asked about a key.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ThrottleCall {
    /// A try: refused with `rate_limited` and a wait, or counted as a failure for now.
    Try {
        /// See [`key`](super::key).
        key: String,
    },
    /// It was the right one: everything is forgotten.
    Clear {
        /// See [`key`](super::key).
        key: String,
    },
    /// It was the right one: that try does not count, earlier ones do.
    Forgive {
        /// See [`key`](super::key).
        key: String,
    },
}

/// One of the objects that count.
#[durable_object(fetch)]
#[derive(Debug)]
pub struct Throttle {
    sql: Rc<Sql>,
}

impl DurableObject for Throttle {
    fn new(state: State, _env: Env) -> Self {
        Self { sql: Sql::of(&state) }
    }

    async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        let call: ThrottleCall = question(&mut request).await?;
        let sql = &self.sql;
        sql.migrate(SCHEMA)?;
        let now_ms = runtime::now_ms();
        match call {
            ThrottleCall::Try { key } => reply(count_try(sql, &key, now_ms)?),
            ThrottleCall::Clear { key } => {
                sql.run("DELETE FROM failure WHERE key = ?", &[key.into()])?;
                reply(Ok(()))
            }
            ThrottleCall::Forgive { key } => {
                sql.run("UPDATE failure SET count = max(0, count - 1) WHERE key = ?", &[key.into()])?;
                reply(Ok(()))
            }
        }
    }
}

fn count_try(sql: &Sql, key: &str, now_ms: u64) -> worker::Result<Result<(), Refusal>> {
    let policy = config::current().login_failures;
    let stored = sql.rows::<Failures>("SELECT count, last_ms FROM failure WHERE key = ?", &[key.into()])?;
    let mut failures = stored.first().copied().unwrap_or_default();
    let wait_ms = failures.wait_ms(policy, now_ms);
    if wait_ms > 0 {
        return Ok(Err(Refusal { wait_ms: Some(wait_ms), ..Refusal::new(Code::RateLimited) }));
    }
    failures.add(policy, now_ms);
    sql.run(
        "INSERT OR REPLACE INTO failure VALUES (?, ?, ?)",
        &[key.into(), number(failures.count.into()), number(failures.last_ms)],
    )?;
    let oldest_ms = now_ms.saturating_sub(policy.max_delay_secs.saturating_mul(2000));
    sql.run("DELETE FROM failure WHERE last_ms < ?", &[number(oldest_ms)])?;
    Ok(Ok(()))
}
