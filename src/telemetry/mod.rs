//! What is told of requests: counted for a monitor ([`Meter`]), one line a request for the log
//! ([`Record::to_log_line`]), spans for a collector ([`Span`]).
//!
//! All three are made of one [`Record`], which has no place for a prompt, an answer, a token, a query or an address
//! of the network. Names of attributes are OpenTelemetry's (semantic conventions for HTTP and for generative AI).

mod meter;
mod page;
mod span;

pub use meter::{Limit, Meter};
pub(crate) use page::Page;
pub use span::{Span, Trace, to_otlp};

use alloc::format;
use alloc::string::String;

use serde::Serialize;

use crate::backend::Provider;
use crate::date::to_iso_8601_ms;
use crate::error::{Code, Kind};
use crate::request::Operation;
use crate::route::Route;
use crate::types::{Usage, to_json};

/// The name that this program goes by where several are watched.
pub const SERVICE: &str = "co-mind-edge";
/// The status by which a request counts whose caller did not wait for the answer; nginx's.
pub const CALLER_LEFT: u16 = 499;

/// What is known of a request when it is over.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    /// Its name: `x-request-id`.
    pub request_id: &'a str,
    /// Unix milliseconds.
    pub started_ms: u64,
    /// Unix milliseconds; of a stream when its last byte was written.
    pub ended_ms: u64,
    /// See [`method_name`].
    pub method: &'static str,
    /// `None` where no route has the path.
    pub route: Option<Route>,
    /// What was answered; [`CALLER_LEFT`] when nobody was there any more.
    pub status: u16,
    /// Why it failed. A stream may, after a status of 200.
    pub error: Option<Code>,
    /// Whose it was.
    pub user_id: Option<&'a str>,
    /// What a backend had to do with it.
    pub inference: Option<Inference<'a>>,
    /// Under which names its spans go, if somebody collects them.
    pub trace: Option<&'a Trace>,
}

/// What a backend had to do with a request.
#[derive(Clone, Copy, Debug)]
pub struct Inference<'a> {
    /// What was asked.
    pub operation: Operation,
    /// A name that a backend serves: never one that only a caller uses.
    pub model: &'a str,
    /// The backend's id; the last one's of several.
    pub backend: &'a str,
    /// The kind of backend.
    pub provider: Provider,
    /// Whether a stream was asked for.
    pub is_stream: bool,
    /// How many backends were asked.
    pub attempts: u32,
    /// Unix milliseconds when the first one was.
    pub sent_ms: u64,
    /// Unix milliseconds when the first byte of the answer came.
    pub first_byte_ms: Option<u64>,
    /// What it has cost, by the backend's own word.
    pub usage: Option<Usage>,
}

impl Operation {
    /// The spelling of `gen_ai.operation.name`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ChatCompletion => "chat",
            Self::Completion => "text_completion",
            Self::Embedding => "embeddings",
        }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    timestamp: String,
    level: &'a str,
    message: String,
    request_id: &'a str,
    #[serde(rename = "http.request.method")]
    method: &'a str,
    #[serde(rename = "http.route", skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    #[serde(rename = "http.response.status_code")]
    status: u16,
    #[serde(rename = "error.type", skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(rename = "user.id", skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    duration_ms: u64,
    #[serde(rename = "gen_ai.operation.name", skip_serializing_if = "Option::is_none")]
    operation: Option<&'a str>,
    #[serde(rename = "gen_ai.provider.name", skip_serializing_if = "Option::is_none")]
    provider: Option<&'a str>,
    #[serde(rename = "gen_ai.request.model", skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    #[serde(rename = "gen_ai.usage.input_tokens", skip_serializing_if = "Option::is_none")]
    input_tokens: Option<u64>,
    #[serde(rename = "gen_ai.usage.output_tokens", skip_serializing_if = "Option::is_none")]
    output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backend: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_byte_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    span_id: Option<&'a str>,
}

/// A method by its name, or `_OTHER`: what a caller invents must not fill a monitor's memory.
///
/// ```
/// # use comind::telemetry::method_name;
/// assert_eq!((method_name("GET"), method_name("BREW")), ("GET", "_OTHER"));
/// ```
#[must_use]
pub fn method_name(method: &str) -> &'static str {
    const KNOWN: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];
    KNOWN.into_iter().find(|&known| known == method).unwrap_or("_OTHER")
}

impl Record<'_> {
    /// `POST /v1/chat/completions`, or the method alone.
    fn name(&self) -> String {
        match self.route {
            Some(route) => format!("{} {}", self.method, route.path()),
            None => self.method.into(),
        }
    }

    const fn duration_ms(&self) -> u64 {
        self.ended_ms.saturating_sub(self.started_ms)
    }

    /// `info`; `warn` for what the edge or a backend did not get done.
    fn level(&self) -> &'static str {
        match self.error.map(Code::kind) {
            Some(Kind::Server) => "warn",
            _ => "info",
        }
    }

    /// The line of the log: one object, its members named as OpenTelemetry's attributes.
    ///
    /// ```text
    /// {"timestamp":"2026-11-02T10:00:00.120Z","level":"info","message":"POST /v1/chat/completions 200","request_id":"req_…",
    ///  "http.request.method":"POST","http.route":"/v1/chat/completions","http.response.status_code":200,"user.id":"user_…",
    ///  "duration_ms":812,"gen_ai.operation.name":"chat","gen_ai.provider.name":"vllm","gen_ai.request.model":"m",
    ///  "gen_ai.usage.input_tokens":9,"gen_ai.usage.output_tokens":41,"backend":"gpu-a","stream":true,"attempts":1,"first_byte_ms":88}
    /// ```
    #[must_use]
    pub fn to_log_line(&self) -> String {
        let inference = self.inference;
        let usage = inference.and_then(|it| it.usage);
        to_json(&Line {
            timestamp: to_iso_8601_ms(self.ended_ms),
            level: self.level(),
            message: format!("{} {}", self.name(), self.status),
            request_id: self.request_id,
            method: self.method,
            route: self.route.map(Route::path),
            status: self.status,
            error: self.error.map(Code::as_str),
            user_id: self.user_id,
            duration_ms: self.duration_ms(),
            operation: inference.map(|it| it.operation.as_str()),
            provider: inference.map(|it| it.provider.as_str()),
            model: inference.map(|it| it.model),
            input_tokens: usage.map(|usage| usage.prompt_tokens),
            output_tokens: usage.map(|usage| usage.completion_tokens),
            backend: inference.map(|it| it.backend),
            stream: inference.map(|it| it.is_stream),
            attempts: inference.map(|it| it.attempts),
            first_byte_ms: inference.and_then(|it| Some(it.first_byte_ms?.saturating_sub(self.started_ms))),
            trace_id: self.trace.map(Trace::trace_id),
            span_id: self.trace.map(Trace::span_id),
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::Value;

    pub(crate) const USAGE: Usage = Usage { prompt_tokens: 9, completion_tokens: 41, total_tokens: 50 };

    pub(crate) fn record<'a>() -> Record<'a> {
        Record {
            request_id: "req_1",
            started_ms: 1_793_613_600_000,
            ended_ms: 1_793_613_600_812,
            method: "POST",
            route: Some(Route::ChatCompletions),
            status: 200,
            error: None,
            user_id: Some("user_1"),
            inference: Some(Inference {
                operation: Operation::ChatCompletion,
                model: "Qwen/Qwen3",
                backend: "gpu-a",
                provider: Provider::Vllm,
                is_stream: true,
                attempts: 1,
                sent_ms: 1_793_613_600_010,
                first_byte_ms: Some(1_793_613_600_088),
                usage: Some(USAGE),
            }),
            trace: None,
        }
    }

    #[test]
    fn a_line_has_the_attributes_by_their_names() {
        let line: Value = serde_json::from_str(&record().to_log_line()).unwrap();
        for (name, value) in [
            ("timestamp", "2026-11-02T10:00:00.812Z".into()),
            ("level", "info".into()),
            ("message", "POST /v1/chat/completions 200".into()),
            ("http.route", "/v1/chat/completions".into()),
            ("http.response.status_code", Value::from(200)),
            ("gen_ai.operation.name", "chat".into()),
            ("gen_ai.provider.name", "vllm".into()),
            ("gen_ai.request.model", "Qwen/Qwen3".into()),
            ("gen_ai.usage.input_tokens", 9.into()),
            ("gen_ai.usage.output_tokens", 41.into()),
            ("user.id", "user_1".into()),
            ("duration_ms", 812.into()),
            ("first_byte_ms", 88.into()),
        ] {
            assert_eq!(line[name], value, "{name}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_said() {
        let record = Record {
            method: method_name("BREW"),
            route: None,
            status: 404,
            error: Some(Code::NotFound),
            user_id: None,
            inference: None,
            ..record()
        };
        let line: Value = serde_json::from_str(&record.to_log_line()).unwrap();
        assert_eq!((line["message"].as_str(), line["error.type"].as_str()), (Some("_OTHER 404"), Some("not_found")));
        assert_eq!(line.as_object().unwrap().len(), 8, "{line}");
        let failed = Record { error: Some(Code::UpstreamError), ..record };
        assert!(failed.to_log_line().contains(r#""level":"warn""#));
    }
}
