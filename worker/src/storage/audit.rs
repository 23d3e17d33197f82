//! The audit log: one object for all, since who looks into it asks across users. It is written at most as often as
//! somebody signs in, makes a token or is refused something for the first time in a minute.
//!
//! Events of no known user have a share of their own, so that nobody who types invented addresses can push out what
//! happened to others.

use comind::audit::{AuditEvent, AuditLogs, AuditQuery};
use comind::date::to_iso_8601_ms;
use comind::types::to_json;
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;

use super::sql::{self, Row, Sql, number, optional_text};
use super::{reply, serve};
use crate::{config, runtime};

const SCHEMA: &[&str] = &["
    CREATE TABLE event (
        id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, user_id TEXT, actor TEXT NOT NULL,
        action TEXT NOT NULL, resource TEXT NOT NULL, resource_id TEXT, status TEXT NOT NULL, code TEXT,
        request_id TEXT NOT NULL, ip_address TEXT
    );
    CREATE INDEX event_by_age ON event (at_ms);
    CREATE INDEX event_by_user ON event (user_id, id);
"];

/// The only object of its namespace.
pub(crate) const NAME: &str = "main";

/// What happened.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct NewEvent {
    /// See [`AuditEvent`]; so are all.
    pub user_id: Option<String>,
    /// See [`AuditEvent`].
    pub actor: String,
    /// See [`AuditEvent`].
    pub action: String,
    /// See [`AuditEvent`].
    pub resource: String,
    /// See [`AuditEvent`].
    pub resource_id: Option<String>,
    /// See [`AuditEvent`].
    pub code: Option<String>,
    /// See [`AuditEvent`].
    pub request_id: String,
    /// See [`AuditEvent`].
    pub ip_address: Option<String>,
}

/// What can be asked of the log.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) enum AuditCall {
    /// Remembers an event. Answers nothing.
    Add(NewEvent),
    /// Answers [`AuditLogs`] as JSON.
    Find(AuditQuery),
}

/// The tables of the log.
#[wasm_bindgen]
#[derive(Debug)]
pub struct AuditTables {
    sql: Sql,
}

/// Every so many events those beyond the limit are removed.
const PRUNE_EVERY: u64 = 64;
/// Events of no known user may be so many of a hundred.
const ANONYMOUS_PERCENT: u64 = 25;
const DAY_MS: u64 = 86_400_000;

#[wasm_bindgen]
impl AuditTables {
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

    fn answer(&self, call: AuditCall) -> sql::Result<Vec<u8>> {
        self.sql.migrate(SCHEMA)?;
        Ok(match call {
            AuditCall::Add(event) => reply(&Ok(self.add(&event)?)),
            AuditCall::Find(query) => reply(&Ok(self.find(&query)?)),
        })
    }

    fn add(&self, event: &NewEvent) -> sql::Result<()> {
        let now_ms = runtime::now_ms();
        let status = if event.code.is_none() { "success" } else { "failure" };
        let id = self.sql.row(
            "INSERT INTO event (at_ms, user_id, actor, action, resource, resource_id, status, code, request_id, ip_address)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
            &[
                number(now_ms),
                optional_text(event.user_id.as_deref()),
                event.actor.as_str().into(),
                event.action.as_str().into(),
                event.resource.as_str().into(),
                optional_text(event.resource_id.as_deref()),
                status.into(),
                optional_text(event.code.as_deref()),
                event.request_id.as_str().into(),
                optional_text(event.ip_address.as_deref()),
            ],
        )?;
        let id = id.map_or(0, |mut row| row.number());
        let config = config::current();
        let oldest_ms = now_ms.saturating_sub(config.audit_retention_days * DAY_MS);
        self.sql.run("DELETE FROM event WHERE at_ms < ?", &[number(oldest_ms)])?;
        if id.is_multiple_of(PRUNE_EVERY) {
            let limit = config.audit_limit_events;
            self.prune("user_id IS NULL", limit * ANONYMOUS_PERCENT / 100)?;
            self.prune("user_id IS NOT NULL", limit - limit * ANONYMOUS_PERCENT / 100)?;
        }
        Ok(())
    }

    /// Removes the oldest of a kind beyond so many.
    fn prune(&self, kind: &str, limit: u64) -> sql::Result<()> {
        let newest_too_many = format!("SELECT id FROM event WHERE {kind} ORDER BY id DESC LIMIT 1 OFFSET ?");
        self.sql.run(&format!("DELETE FROM event WHERE {kind} AND id <= ({newest_too_many})"), &[number(limit)])
    }

    fn find(&self, query: &AuditQuery) -> sql::Result<String> {
        let (mut conditions, mut values) = (String::from("at_ms >= ?"), vec![number(query.start_ms)]);
        if let Some(end_ms) = query.end_ms {
            conditions.push_str(" AND at_ms < ?");
            values.push(number(end_ms));
        }
        let status = query.is_success.map(|is_success| if is_success { "success" } else { "failure" });
        for (condition, value) in [
            (" AND user_id = ?", query.user_id.as_deref()),
            (" AND action = ?", query.action.as_deref()),
            (" AND resource = ?", query.resource.as_deref()),
            (" AND status = ?", status),
        ] {
            if let Some(value) = value {
                conditions.push_str(condition);
                values.push(value.into());
            }
        }
        let total = self.sql.row(&format!("SELECT count(*) FROM event WHERE {conditions}"), &values)?;
        values.extend([number(query.limit.into()), number(query.offset.into())]);
        let rows = self.sql.rows(
            &format!(
                "SELECT id, at_ms, user_id, actor, action, resource, resource_id, status, code, request_id, ip_address
                 FROM event WHERE {conditions} ORDER BY id DESC LIMIT ? OFFSET ?"
            ),
            &values,
        )?;
        Ok(to_json(&AuditLogs {
            object: "list".into(),
            data: rows.into_iter().map(to_event).collect(),
            total: total.map_or(0, |mut row| row.number()),
            limit: query.limit,
            offset: query.offset,
        }))
    }
}

fn to_event(mut row: Row) -> AuditEvent<'static> {
    AuditEvent {
        id: row.number(),
        timestamp: to_iso_8601_ms(row.number()).into(),
        user_id: row.optional_text().map(Into::into),
        actor: row.text().into(),
        action: row.text().into(),
        resource: row.text().into(),
        resource_id: row.optional_text().map(Into::into),
        status: row.text().into(),
        code: row.optional_text().map(Into::into),
        request_id: row.text().into(),
        ip_address: row.optional_text().map(Into::into),
    }
}
