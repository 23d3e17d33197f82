//! What is printed, and what must hold.

use std::fs;
use std::process::ExitCode;

#[derive(Default)]
pub(crate) struct Report {
    /// Every row of a table.
    rows: Vec<String>,
    passed: u32,
    failed: u32,
}

impl Report {
    pub(crate) fn table(&mut self, title: &str, columns: &[&str]) {
        println!("\n{title}\n");
        self.row(columns);
        println!("|{}", "---|".repeat(columns.len()));
    }

    pub(crate) fn row<T: AsRef<str>>(&mut self, cells: &[T]) {
        let cells: Vec<&str> = cells.iter().map(AsRef::as_ref).collect();
        let row = format!("| {} |", cells.join(" | "));
        println!("{row}");
        self.rows.push(row);
    }

    /// A promise, and whether it holds.
    pub(crate) fn check(&mut self, promise: &str, holds: bool) {
        if holds {
            self.passed += 1;
        } else {
            self.failed += 1;
            println!("FAIL\t{promise}");
        }
    }

    /// The document must say the same.
    pub(crate) fn end(mut self, document: &str) -> ExitCode {
        let text = fs::read_to_string(document).unwrap_or_default();
        // Formatted, a table has wider cells.
        let squeezed: Vec<String> =
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        for row in std::mem::take(&mut self.rows) {
            let holds = squeezed.contains(&row);
            self.check(&format!("{document} says: {row}"), holds);
        }
        println!("\n{} passed, {} failed", self.passed, self.failed);
        if self.failed == 0 && self.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
