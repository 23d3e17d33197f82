//! What becomes of admission, affinity and retries on a thousand isolates: the core's own code, in a world whose time,
//! callers and backends are made up.
//!
//! Prints the tables of `docs/scale.md`, which must hold them word for word, and checks what that document promises.
//! Nothing is measured here: the same numbers come out on every machine.
#![allow(
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a test program: its output is its purpose, and it may stop at the first surprise"
)]

mod admission;
mod random;
mod report;
mod retries;
mod routing;

use std::process::ExitCode;

use report::Report;

fn main() -> ExitCode {
    let mut report = Report::default();
    admission::run(&mut report);
    routing::run(&mut report);
    retries::run(&mut report);
    report.end(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/scale.md"))
}
