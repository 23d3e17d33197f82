//! Spans, as a collector takes them by OTLP/HTTP in JSON (opentelemetry-proto 1.x).

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::Serialize;

use super::{Record, SERVICE};
use crate::error::Code;
use crate::token::to_hex;
use crate::trace::is_traceparent;
use crate::types::to_json;

/// Under which names a request's spans go: that of the request, and that of what a backend had to do with it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trace {
    trace_id: String,
    parent_id: Option<String>,
    span_id: String,
    call_id: String,
}

impl Trace {
    /// The names for a request, if it is to be traced: when its caller's `traceparent` says that it is sampled, or,
    /// without one, for `share` of 2^32 requests. `random` are 32 bytes that nobody has used.
    #[must_use]
    pub fn begin(traceparent: Option<&str>, share: u64, random: &[u8; 32]) -> Option<Self> {
        let (trace, rest) = random.split_at(16);
        let (span, call) = rest.split_at(8);
        let (trace_id, parent_id) = match traceparent.filter(|text| is_traceparent(text)) {
            Some(parent) => {
                let is_sampled = u8::from_str_radix(parent.get(53..55)?, 16).ok()? & 1 == 1;
                if !is_sampled {
                    return None;
                }
                (parent.get(3..35)?.to_owned(), Some(parent.get(36..52)?.to_owned()))
            }
            None => {
                let chance = u32::from_be_bytes(*trace.last_chunk()?);
                if u64::from(chance) >= share {
                    return None;
                }
                (to_hex(trace), None)
            }
        };
        Some(Self { trace_id, parent_id, span_id: to_hex(span), call_id: to_hex(call) })
    }

    /// 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(&self) -> &str {
        &self.trace_id
    }

    /// The request's own span: 16 hexadecimal digits.
    #[must_use]
    pub fn span_id(&self) -> &str {
        &self.span_id
    }

    /// What a backend is told: the span of the call is its parent.
    #[must_use]
    pub fn to_traceparent(&self) -> String {
        format!("00-{}-{}-01", self.trace_id, self.call_id)
    }
}

/// A span, as text that goes into [`to_otlp`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Span(String);

/// OTLP's numbers for `kind`.
const SERVER: u8 = 2;
const CLIENT: u8 = 3;
/// And for `status.code`.
const ERROR: u8 = 2;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shape<'a> {
    trace_id: &'a str,
    span_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<&'a str>,
    name: String,
    kind: u8,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: Vec<Attribute<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
}

#[derive(Serialize)]
struct Status {
    code: u8,
}

#[derive(Serialize)]
struct Attribute<'a> {
    key: &'a str,
    value: Value<'a>,
}

#[derive(Serialize)]
enum Value<'a> {
    #[serde(rename = "stringValue")]
    Text(&'a str),
    /// 64 bits are a string in protobuf's JSON.
    #[serde(rename = "intValue")]
    Number(String),
    #[serde(rename = "boolValue")]
    Flag(bool),
}

const fn text<'a>(key: &'a str, value: &'a str) -> Attribute<'a> {
    Attribute { key, value: Value::Text(value) }
}

fn number(key: &str, value: u64) -> Attribute<'_> {
    Attribute { key, value: Value::Number(format!("{value}")) }
}

fn nanos(ms: u64) -> String {
    format!("{ms}000000")
}

impl Record<'_> {
    /// The request's spans: its own, and one of what a backend had to do with it. None without a [`Trace`].
    #[must_use]
    pub fn to_spans(&self) -> Vec<Span> {
        let Some(trace) = self.trace else { return Vec::new() };
        let mut spans = Vec::from([self.own_span(trace)]);
        spans.extend(self.call_span(trace));
        spans
    }

    fn own_span(&self, trace: &Trace) -> Span {
        let mut attributes = Vec::from([
            text("http.request.method", self.method),
            number("http.response.status_code", self.status.into()),
            text("comind.request.id", self.request_id),
        ]);
        attributes.extend(self.route.map(|route| text("http.route", route.path())));
        attributes.extend(self.user_id.map(|user_id| text("user.id", user_id)));
        attributes.extend(self.error.map(|code| text("error.type", code.as_str())));
        Span(to_json(&Shape {
            trace_id: &trace.trace_id,
            span_id: &trace.span_id,
            parent_span_id: trace.parent_id.as_deref(),
            name: self.name(),
            kind: SERVER,
            start_time_unix_nano: nanos(self.started_ms),
            end_time_unix_nano: nanos(self.ended_ms),
            attributes,
            // What a caller did wrong is no error of the server's (HTTP spans, "Status").
            status: (self.level() == "warn").then_some(Status { code: ERROR }),
        }))
    }

    fn call_span(&self, trace: &Trace) -> Option<Span> {
        let inference = self.inference.as_ref()?;
        let operation = inference.operation.as_str();
        let mut attributes = Vec::from([
            text("gen_ai.operation.name", operation),
            text("gen_ai.provider.name", inference.provider.as_str()),
            text("gen_ai.request.model", inference.model),
            text("comind.backend.id", inference.backend),
            number("comind.attempts", inference.attempts.into()),
            Attribute { key: "comind.stream", value: Value::Flag(inference.is_stream) },
        ]);
        if let Some(usage) = inference.usage {
            attributes.push(number("gen_ai.usage.input_tokens", usage.prompt_tokens));
            attributes.push(number("gen_ai.usage.output_tokens", usage.completion_tokens));
        }
        if let Some(at_ms) = inference.first_byte_ms {
            attributes.push(number("comind.first_byte_ms", at_ms.saturating_sub(inference.sent_ms)));
        }
        let failed = self.error.filter(|&code| code != Code::Aborted);
        attributes.extend(failed.map(|code| text("error.type", code.as_str())));
        Some(Span(to_json(&Shape {
            trace_id: &trace.trace_id,
            span_id: &trace.call_id,
            parent_span_id: Some(&trace.span_id),
            name: format!("{operation} {}", inference.model),
            kind: CLIENT,
            start_time_unix_nano: nanos(inference.sent_ms),
            end_time_unix_nano: nanos(self.ended_ms),
            attributes,
            status: failed.map(|_| Status { code: ERROR }),
        })))
    }
}

/// The body of a `POST /v1/traces`: an `ExportTraceServiceRequest` in protobuf's JSON.
#[must_use]
pub fn to_otlp(spans: &[Span], version: &str) -> String {
    let service = [text("service.name", SERVICE), text("service.version", version)];
    let mut body = format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":{}}},"scopeSpans":[{{"scope":{{"name":"{SERVICE}"}},"spans":["#,
        to_json(&service)
    );
    for (at, Span(span)) in spans.iter().enumerate() {
        if at > 0 {
            body.push(',');
        }
        body.push_str(span);
    }
    body.push_str("]}]}]}");
    body
}

#[cfg(test)]
mod tests {
    use super::super::tests::record;
    use super::*;
    use serde_json::Value as Json;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const ALL: u64 = 1 << 32;

    #[test]
    fn a_trace_goes_on_or_begins() {
        let trace = Trace::begin(Some(PARENT), 0, &[0xab; 32]).unwrap();
        assert_eq!(trace.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(trace.parent_id.as_deref(), Some("00f067aa0ba902b7"));
        assert_eq!(trace.to_traceparent(), "00-4bf92f3577b34da6a3ce929d0e0e4736-abababababababab-01");
        assert!(is_traceparent(&trace.to_traceparent()));
        let new = Trace::begin(None, ALL, &[0xff; 32]).unwrap();
        assert_eq!((new.trace_id(), &new.parent_id), ("ffffffffffffffffffffffffffffffff", &None));
    }

    #[test]
    fn what_is_not_sampled_is_not_traced() {
        let unsampled = PARENT.replace("-01", "-00");
        assert_eq!(Trace::begin(Some(&unsampled), ALL, &[1; 32]), None);
        assert_eq!(Trace::begin(None, 0, &[0; 32]), None);
        let half = |byte| Trace::begin(None, ALL / 2, &[byte; 32]).is_some();
        assert!(half(0x7f) && !half(0x80));
        // What is no parent is none.
        assert!(Trace::begin(Some("x"), ALL, &[1; 32]).unwrap().parent_id.is_none());
    }

    #[test]
    fn spans_have_the_attributes_and_hang_together() {
        let trace = Trace::begin(Some(PARENT), 0, &[0xab; 32]).unwrap();
        let record = Record { trace: Some(&trace), error: Some(Code::UpstreamError), ..record() };
        let body: Json = serde_json::from_str(&to_otlp(&record.to_spans(), "1.2.3")).unwrap();
        let spans = &body["resourceSpans"][0]["scopeSpans"][0]["spans"];
        assert_eq!(spans.as_array().unwrap().len(), 2);
        assert_eq!((&spans[0]["name"], &spans[0]["kind"]), (&"POST /v1/chat/completions".into(), &2.into()));
        assert_eq!((&spans[1]["name"], &spans[1]["kind"]), (&"chat Qwen/Qwen3".into(), &3.into()));
        assert_eq!(spans[1]["parentSpanId"], spans[0]["spanId"]);
        assert_eq!(spans[0]["startTimeUnixNano"], "1793613600000000000");
        assert_eq!(spans[0]["status"]["code"], 2);
        let attribute = |span: &Json, key: &str| {
            let found = span["attributes"].as_array().unwrap().iter().find(|it| it["key"] == key).cloned();
            found.map(|it| it["value"].clone())
        };
        assert_eq!(attribute(&spans[1], "gen_ai.usage.output_tokens").unwrap()["intValue"], "41");
        assert_eq!(attribute(&spans[1], "comind.first_byte_ms").unwrap()["intValue"], "78");
        assert_eq!(attribute(&spans[0], "error.type").unwrap()["stringValue"], "upstream_error");
        assert_eq!(body["resourceSpans"][0]["resource"]["attributes"][1]["value"]["stringValue"], "1.2.3");
    }

    #[test]
    fn nothing_without_a_trace() {
        assert!(record().to_spans().is_empty());
    }
}
