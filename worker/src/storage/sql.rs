//! An object's own tables.

use std::cell::Cell as Flag;
use std::fmt;

use js_sys::Array;
use serde::Deserialize;
use serde::de::{Deserializer, Visitor};
use wasm_bindgen::prelude::*;

#[wasm_bindgen(module = "/src/js/storage.js")]
extern "C" {
    #[wasm_bindgen(catch, js_name = query)]
    fn query_js(sql: &JsValue, statement: &str, values: Array) -> std::result::Result<String, JsValue>;
}

/// What a table has to say, or the runtime's own complaint: thrown as it is, it undoes all that the
/// question changed.
pub(crate) type Result<T> = std::result::Result<T, JsValue>;

/// A value in a row. Ours are texts and whole numbers.
#[derive(Debug, Eq, PartialEq)]
enum Cell {
    Null,
    Number(u64),
    Text(String),
}

impl<'de> Deserialize<'de> for Cell {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Cell;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a cell")
            }

            fn visit_unit<E>(self) -> std::result::Result<Cell, E> {
                Ok(Cell::Null)
            }

            fn visit_u64<E>(self, number: u64) -> std::result::Result<Cell, E> {
                Ok(Cell::Number(number))
            }

            fn visit_str<E>(self, text: &str) -> std::result::Result<Cell, E> {
                Ok(Cell::Text(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// A row; columns are taken in order.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Row(std::collections::VecDeque<Cell>);

impl Row {
    /// The next column, a text; empty when it is `NULL`.
    pub(crate) fn text(&mut self) -> String {
        self.optional_text().unwrap_or_default()
    }

    /// The next column, a text or `NULL`.
    pub(crate) fn optional_text(&mut self) -> Option<String> {
        match self.0.pop_front() {
            Some(Cell::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The next column, a number; 0 when it is `NULL`.
    pub(crate) fn number(&mut self) -> u64 {
        self.optional_number().unwrap_or(0)
    }

    /// The next column, a number or `NULL`.
    pub(crate) fn optional_number(&mut self) -> Option<u64> {
        match self.0.pop_front() {
            Some(Cell::Number(number)) => Some(number),
            _ => None,
        }
    }

    /// The next column, a number that counts something.
    pub(crate) fn count(&mut self) -> u32 {
        u32::try_from(self.number()).unwrap_or(u32::MAX)
    }

    /// The next column, yes or no.
    pub(crate) fn flag(&mut self) -> bool {
        self.number() != 0
    }
}

/// The tables of one object.
#[derive(Debug)]
pub(crate) struct Sql {
    storage: JsValue,
    /// They are of the newest version: nobody else changes them while the object lives.
    is_current: Flag<bool>,
}

impl Sql {
    /// The tables behind the runtime's `ctx.storage.sql`.
    pub(crate) const fn new(storage: JsValue) -> Self {
        Self { storage, is_current: Flag::new(false) }
    }

    /// Runs a statement.
    pub(crate) fn run(&self, statement: &str, values: &[JsValue]) -> Result<()> {
        query_js(&self.storage, statement, values.iter().collect())?;
        Ok(())
    }

    /// The rows of a query.
    pub(crate) fn rows(&self, statement: &str, values: &[JsValue]) -> Result<Vec<Row>> {
        let text = query_js(&self.storage, statement, values.iter().collect())?;
        serde_json::from_str(&text).map_err(|_| JsValue::from_str("a row has a column of an unknown type"))
    }

    /// The first row of a query.
    pub(crate) fn row(&self, statement: &str, values: &[JsValue]) -> Result<Option<Row>> {
        Ok(self.rows(statement, values)?.into_iter().next())
    }

    /// Whether the object has never stored anything. Asking does not make it do so.
    pub(crate) fn is_empty(&self) -> Result<bool> {
        if self.is_current.get() {
            return Ok(false);
        }
        Ok(self.row("SELECT 1 FROM sqlite_master WHERE name = 'schema_version'", &[])?.is_none())
    }

    /// Brings the tables to the newest version. Each step is a version of its own, never changed once
    /// released; an object is moved when it is first used after an upgrade, in the transaction of that
    /// question.
    pub(crate) fn migrate(&self, steps: &[&str]) -> Result<()> {
        if self.is_current.get() {
            return Ok(());
        }
        self.run("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)", &[])?;
        let stored = self.row("SELECT version FROM schema_version", &[])?;
        let done = stored.map_or(0, |mut row| row.count()) as usize;
        if done > steps.len() {
            return Err(JsValue::from_str("the tables were written by a newer version of the edge"));
        }
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
pub(crate) fn number(number: u64) -> JsValue {
    #[expect(clippy::cast_precision_loss, reason = "times and counts")]
    let number = number as f64;
    number.into()
}

/// A text or `NULL`.
pub(crate) fn optional_text(text: Option<&str>) -> JsValue {
    text.map_or(JsValue::NULL, JsValue::from_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_taken_column_by_column() {
        let mut rows: Vec<Row> = serde_json::from_str(r#"[["a",7,null,1,null]]"#).unwrap();
        let row = &mut rows[0];
        assert_eq!((row.text(), row.number(), row.optional_text()), ("a".into(), 7, None));
        assert!(row.flag());
        assert_eq!((row.optional_number(), row.text(), row.number()), (None, String::new(), 0));
        assert!(serde_json::from_str::<Vec<Row>>(r#"[[{}]]"#).is_err());
    }
}
