//! What each kind of server does in its own way, and what is done about it. Recorded answers of the real
//! servers are in `tests/fixtures`.

use super::Provider;

/// How a server is brought to say what a stream has cost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StreamUsage {
    /// It says so by itself: llama.cpp's last chunk has `timings` in any case.
    Unasked,
    /// `stream_options.include_usage`, as with the `OpenAI` API: one more chunk, before `[DONE]`.
    AtEnd,
    /// vLLM's `continuous_usage_stats` besides: in each chunk, so that it is known of a stream that was left.
    Continuous,
}

/// What is to be seen to with a provider's requests and answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Quirks {
    /// How it is brought to say what a stream has cost.
    pub stream_usage: StreamUsage,
    /// Chunks may have a `usage` of zeros that means nothing, as Ollama's completions do.
    pub has_empty_usage: bool,
    /// Tool calls may lack `id`, `type` or `index`, or share an index, or end in `stop`; Ollama's have.
    pub has_odd_tool_calls: bool,
    /// Embeddings may come as numbers though base64 was asked for; Ollama's do, and the official
    /// `openai` packages ask for base64.
    pub ignores_base64: bool,
}

impl Quirks {
    /// Whether chunks with choices have a usage because the edge asked for it.
    #[must_use]
    pub const fn says_usage_inline(&self) -> bool {
        matches!(self.stream_usage, StreamUsage::Continuous)
    }
}

impl Provider {
    /// The quirks of this kind of server.
    #[must_use]
    pub const fn quirks(self) -> Quirks {
        let is_strict = matches!(self, Self::Vllm | Self::LlamaCpp);
        Quirks {
            stream_usage: match self {
                Self::Vllm => StreamUsage::Continuous,
                Self::LlamaCpp => StreamUsage::Unasked,
                Self::Ollama | Self::OpenAi => StreamUsage::AtEnd,
            },
            has_empty_usage: matches!(self, Self::Ollama),
            has_odd_tool_calls: !is_strict,
            ignores_base64: !is_strict,
        }
    }

    /// What is asked to see whether a server lives: small, and served by what serves inference.
    #[must_use]
    pub const fn pulse_path(self) -> &'static str {
        match self {
            Self::Vllm => "/metrics",
            Self::LlamaCpp => "/health",
            Self::Ollama => "/api/version",
            Self::OpenAi => "/v1/models",
        }
    }
}
