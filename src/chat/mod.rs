//! Chat completions as they stream.
//!
//! [`Relay`] stands in the edge and watches a stream pass by in whole events;
//! [`Accumulator`] stands in the client and joins the chunks into the completion that a call
//! without `stream` would have given; [`Memo`] finds the text of a chunk without parsing it.

mod accumulator;
mod boundary;
mod chunk;
mod failure;
mod fix;
mod memo;
mod relay;
mod tool_call;
mod watch;

pub use accumulator::{Accumulator, Seen};
pub use failure::read_failure;
pub use fix::fix_completion;
pub use memo::Memo;
pub use relay::{Ending, Forward, Relay, Verdict};
pub use watch::Rules;

/// The data of the event that ends every whole stream: the one that is not JSON.
pub const DONE: &str = "[DONE]";
