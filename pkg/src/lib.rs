//! What the client leaves to the core: reading streams ([`stream`]) and deciding when to try again
//! ([`waits`]).
//!
//! Only bytes and numbers cross. The hand-written modules beside this folder (`client.js`, `stream.js`)
//! own `fetch`, timers, signals and iteration, and look nothing up themselves: routes and error codes come
//! from the core as well, as `wasm/contract.js` (`examples/contract.rs`).
#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

#[cfg(target_arch = "wasm32")]
mod platform;
pub mod stream;
pub mod waits;
