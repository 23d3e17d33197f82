//! The client: a shell around the core, for browsers, Node and Workers.
//!
//! JavaScript reaches it through the hand-written modules beside it (`client.js`, `stream.js`),
//! which own timers, signals and iteration. Here are the exports that they use: [`client`] asks
//! and tries again, [`fetch`] sends one request, [`stream`] turns bytes into chunks, [`error`]
//! makes failures that JavaScript can throw.
#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod client;
mod convert;
mod error;
mod fetch;
#[cfg(target_arch = "wasm32")]
mod platform;
mod stream;
