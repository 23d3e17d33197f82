//! Event streams (`text/event-stream`), read and written.
//!
//! [`Decoder`] takes the pieces that a network delivers and lends each event to a [`Sink`];
//! [`encoder`] writes events and comments that no field can break out of.
//! Source of every rule: WHATWG HTML, "Server-sent events", §9.2.5 (parsing) and §9.2.6 (interpreting).

mod decoder;
pub mod encoder;
mod event;
mod line;

pub use decoder::{Decoder, End, Overlong};
pub use event::{Event, Sink};
