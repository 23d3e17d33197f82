//! Inference servers: what each kind says about itself, and what its failures mean.
//!
//! Everything that one provider does differently from the others is in here, and nowhere else.

mod affinity;
mod answer;
mod breaker;
mod catalog;
mod discovery;
mod embedding;
mod failure;
mod metrics;
mod pool;
mod pulse;
mod quirks;

pub use affinity::hash;
pub use answer::Completion;
pub use breaker::{BreakerPolicy, Standing};
pub use catalog::{Answered, Catalog, Entry, Served};
pub use discovery::{Discovery, Probe};
pub use embedding::to_base64;
pub use failure::{UpstreamFailure, read_failure};
pub use pool::{Candidate, Outcome, Pool, Ticket};
pub use pulse::{Check, Pulse, Sign, Vitals};
pub use quirks::{Quirks, StreamUsage};

use serde::Deserialize;

/// What kind of server a backend is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// vLLM.
    Vllm,
    /// Ollama.
    Ollama,
    /// llama.cpp's server.
    LlamaCpp,
    /// Anything else that speaks the `OpenAI` API.
    OpenAi,
}

impl Provider {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Vllm, Self::Ollama, Self::LlamaCpp, Self::OpenAi];

    /// The spelling in `BACKENDS`, and `owned_by` of the models it serves.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Vllm => "vllm",
            Self::Ollama => "ollama",
            Self::LlamaCpp => "llamacpp",
            Self::OpenAi => "openai",
        }
    }
}
