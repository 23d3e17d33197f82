//! The core of co-mind edge: it decides, a shell does.
//!
//! Everything that both shells (the edge in `worker/`, the client in `pkg/`) need and that can be
//! decided without a runtime. Bytes and numbers go in, decisions come out. Time, randomness and
//! network answers are arguments; nothing here reads a clock, rolls dice or performs I/O.
//!
//! The story, from the outside in:
//!
//! - [`error`] is the closed list of what can go wrong, the same on both sides of the wire;
//!   [`types`] holds every JSON shape once; [`secret`] keeps credentials unprintable.
//! - [`token`] makes and verifies JWTs and personal access tokens; [`auth`] reads the
//!   `Authorization` header and decides what its bearer may do.
//! - [`request`] checks an inference request and finds what decides its way, without touching
//!   the bytes that go on to the backend.
//! - [`backend`] knows the inference servers: what each says of itself, what its failures mean.
//! - [`sse`] decodes and encodes event streams; [`chat`] turns chunks into one message and
//!   watches a stream pass by.
//! - [`route`] is the table of what the edge serves and what each route asks of its caller.
//! - [`account`] has the rules for addresses, passwords and one-time codes, and who a user is; [`audit`] is what is
//!   remembered of what happens to accounts.
//! - [`trace`] ties the parts of one request together, and says how long each took; [`telemetry`] is what is
//!   told of it: metrics, a line of the log, spans.
//! - [`retry`], [`limit`] and [`lease`] do arithmetic: when to try again, who has had enough, how long
//!   an answer about that holds; [`date`] is the calendar they need.
#![no_std]
#![forbid(unsafe_code)]

#[cfg_attr(feature = "contract", macro_use)] // what derives TypeScript writes `format!`
extern crate alloc;
#[cfg(test)]
extern crate std;
#[cfg(all(feature = "contract", not(test)))] // what derives TypeScript names it
extern crate std;

pub mod account;
pub mod audit;
pub mod auth;
pub mod backend;
pub mod chat;
pub mod cost;
pub mod date;
pub mod error;
mod json;
pub mod lease;
pub mod limit;
pub mod mail;
pub mod request;
pub mod retry;
pub mod route;
pub mod secret;
pub mod sse;
pub mod telemetry;
pub mod token;
pub mod trace;
pub mod types;
