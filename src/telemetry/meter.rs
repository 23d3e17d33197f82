//! What is counted of requests. Since the isolate started: a monitor sees a reset and goes on.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Page, Record};
use crate::backend::Provider;
use crate::error::Code;
use crate::route::Route;

/// Upper bounds of a histogram: 5 ms and each twice the one before, up to 10 minutes and more.
const BUCKETS: usize = 18;
const FIRST_BOUND_MS: u64 = 5;

#[derive(Clone, Copy, Debug, Default)]
struct Histogram {
    buckets: [u64; BUCKETS],
    count: u64,
    sum_ms: u64,
}

impl Histogram {
    fn observe(&mut self, ms: u64) {
        let at = (0..BUCKETS).find(|&at| ms <= FIRST_BOUND_MS << at);
        if let Some(bucket) = at.and_then(|at| self.buckets.get_mut(at)) {
            *bucket += 1;
        }
        self.count += 1;
        self.sum_ms = self.sum_ms.saturating_add(ms);
    }

    fn write(&self, page: &mut Page, name: &str, label: (&str, &str)) {
        let mut below = 0;
        let bucket = format!("{name}_bucket");
        for (at, count) in self.buckets.iter().enumerate() {
            below += count;
            page.line(&bucket, &[label, ("le", &seconds(FIRST_BOUND_MS << at))], below);
        }
        page.line(&bucket, &[label, ("le", "+Inf")], self.count);
        page.sample(&format!("{name}_sum"), &[label], &seconds(self.sum_ms));
        page.line(&format!("{name}_count"), &[label], self.count);
    }
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

/// A limit that refused something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Limit {
    /// A user's requests or tokens in a minute.
    User,
    /// A client's calls without a token in a minute.
    Client,
    /// Failed sign-ins of an address or from a client.
    SignIn,
    /// Password hashes of everybody in a minute.
    Passwords,
    /// Mails to an address in an hour.
    Mail,
    /// The size of headers.
    Headers,
    /// The size of a body.
    Body,
    /// Active tokens of a user.
    ApiTokens,
}

impl Limit {
    const ALL: [Self; 8] = [
        Self::User,
        Self::Client,
        Self::SignIn,
        Self::Passwords,
        Self::Mail,
        Self::Headers,
        Self::Body,
        Self::ApiTokens,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Client => "client",
            Self::SignIn => "sign_in",
            Self::Passwords => "passwords",
            Self::Mail => "mail",
            Self::Headers => "headers",
            Self::Body => "body",
            Self::ApiTokens => "api_tokens",
        }
    }

    /// The limit that a code alone tells of.
    const fn of(code: Code) -> Option<Self> {
        match code {
            Code::HeadersTooLarge => Some(Self::Headers),
            Code::RequestTooLarge => Some(Self::Body),
            Code::TokenLimitReached => Some(Self::ApiTokens),
            _ => None,
        }
    }
}

/// By what requests are told apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Kind {
    method: &'static str,
    route: Option<Route>,
    status: u16,
    provider: Option<Provider>,
    error: Option<Code>,
}

/// What one isolate has counted since it started. Lists, since each has a few dozen rows at most.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    requests: Vec<(Kind, u64)>,
    durations: Vec<(Option<Route>, Histogram)>,
    first_bytes: Vec<(Provider, Histogram)>,
    /// Of the prompt, of the answer.
    tokens: Vec<((Provider, String), [u64; 2])>,
    limits: [u64; Limit::ALL.len()],
    /// Answered, failed.
    object_calls: Vec<(&'static str, [u64; 2])>,
    open_streams: u64,
    dropped_spans: u64,
}

fn row<K: PartialEq, V: Default>(rows: &mut Vec<(K, V)>, key: K) -> Option<&mut V> {
    let place = rows.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
        rows.push((key, V::default()));
        rows.len() - 1
    });
    rows.get_mut(place).map(|(_, value)| value)
}

fn add(counts: Option<&mut [u64; 2]>, at: usize, number: u64) {
    if let Some(count) = counts.and_then(|counts| counts.get_mut(at)) {
        *count = count.saturating_add(number);
    }
}

/// So many models are counted by name; what comes after them by none.
const MAX_MODELS: usize = 1000;

impl Meter {
    /// Nothing is counted.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            requests: Vec::new(),
            durations: Vec::new(),
            first_bytes: Vec::new(),
            tokens: Vec::new(),
            limits: [0; Limit::ALL.len()],
            object_calls: Vec::new(),
            open_streams: 0,
            dropped_spans: 0,
        }
    }

    /// A request is over.
    pub fn observe(&mut self, record: &Record<'_>) {
        let inference = record.inference.as_ref();
        let provider = inference.map(|inference| inference.provider);
        let Record { method, route, status, error, .. } = *record;
        if let Some(count) = row(&mut self.requests, Kind { method, route, status, provider, error }) {
            *count += 1;
        }
        if let Some(histogram) = row(&mut self.durations, route) {
            histogram.observe(record.duration_ms());
        }
        if let Some(limit) = error.and_then(Limit::of) {
            self.refuse(limit);
        }
        let Some(inference) = inference else { return };
        if let Some(first_byte_ms) = inference.first_byte_ms
            && let Some(histogram) = row(&mut self.first_bytes, inference.provider)
        {
            histogram.observe(first_byte_ms.saturating_sub(record.started_ms));
        }
        if let Some(usage) = inference.usage {
            let model = if self.tokens.len() < MAX_MODELS { inference.model } else { "" };
            let mut counts = row(&mut self.tokens, (inference.provider, model.into()));
            add(counts.as_deref_mut(), 0, usage.prompt_tokens);
            add(counts, 1, usage.completion_tokens);
        }
    }

    /// A limit has refused something.
    pub fn refuse(&mut self, limit: Limit) {
        if let Some(count) = self.limits.get_mut(limit as usize) {
            *count += 1;
        }
    }

    /// An object of this namespace was asked.
    pub fn call_object(&mut self, namespace: &'static str, is_answered: bool) {
        add(row(&mut self.object_calls, namespace), usize::from(!is_answered), 1);
    }

    /// A stream has begun.
    pub const fn begin_stream(&mut self) {
        self.open_streams += 1;
    }

    /// A stream is over.
    pub const fn end_stream(&mut self) {
        self.open_streams = self.open_streams.saturating_sub(1);
    }

    /// So many spans found no collector.
    pub const fn drop_spans(&mut self, count: u64) {
        self.dropped_spans = self.dropped_spans.saturating_add(count);
    }

    /// The page of what has been counted: Prometheus' text format. `memory_bytes` is what wasm has.
    #[must_use]
    pub fn render(&self, memory_bytes: u64) -> String {
        let mut page = Page::default();
        let name = "comind_requests_total";
        page.begin(name, "counter", "Requests that are over, by route, status, provider and error code.");
        for (kind, count) in &self.requests {
            let labels = [
                ("method", kind.method),
                ("route", route_label(kind.route)),
                ("status", &format!("{}", kind.status)),
                ("provider", kind.provider.map_or("", Provider::as_str)),
                ("code", kind.error.map_or("", Code::as_str)),
            ];
            page.line(name, &labels, *count);
        }
        let name = "comind_request_duration_seconds";
        page.begin(name, "histogram", "From a request's head to the last byte of its answer.");
        for (route, histogram) in &self.durations {
            histogram.write(&mut page, name, ("route", route_label(*route)));
        }
        let name = "comind_first_byte_seconds";
        page.begin(name, "histogram", "From a request's head to the first byte of the backend's answer.");
        for (provider, histogram) in &self.first_bytes {
            histogram.write(&mut page, name, ("provider", provider.as_str()));
        }
        let name = "comind_model_tokens_total";
        page.begin(name, "counter", "Tokens by the backends' own word.");
        for ((provider, model), counts) in &self.tokens {
            for (direction, count) in ["input", "output"].iter().zip(counts) {
                let labels = [("provider", provider.as_str()), ("model", model.as_str()), ("type", direction)];
                page.line(name, &labels, *count);
            }
        }
        let name = "comind_limits_hit_total";
        page.begin(name, "counter", "Requests that a limit refused.");
        for (limit, count) in Limit::ALL.iter().zip(self.limits) {
            page.line(name, &[("limit", limit.as_str())], count);
        }
        let name = "comind_object_calls_total";
        page.begin(name, "counter", "Questions to the edge's own storage.");
        for (namespace, counts) in &self.object_calls {
            for (outcome, count) in ["answered", "failed"].iter().zip(counts) {
                page.line(name, &[("namespace", namespace), ("outcome", outcome)], *count);
            }
        }
        for (name, kind, help, value) in [
            ("comind_open_streams", "gauge", "Streams that have begun and are not over.", self.open_streams),
            ("comind_spans_dropped_total", "counter", "Spans that no collector took.", self.dropped_spans),
            ("comind_wasm_memory_bytes", "gauge", "Memory that WebAssembly has; it never shrinks.", memory_bytes),
        ] {
            page.begin(name, kind, help);
            page.line(name, &[], value);
        }
        page.finish()
    }
}

fn route_label(route: Option<Route>) -> &'static str {
    route.map_or("", Route::path)
}

#[cfg(test)]
mod tests {
    use super::super::tests::record;
    use super::*;

    #[test]
    fn requests_are_told_apart_and_timed() {
        let mut meter = Meter::new();
        meter.observe(&record());
        meter.observe(&record());
        meter.observe(&Record { status: 413, error: Some(Code::RequestTooLarge), inference: None, ..record() });
        meter.refuse(Limit::SignIn);
        meter.call_object("ACCOUNTS", true);
        meter.call_object("ACCOUNTS", false);
        meter.begin_stream();
        let page = meter.render(65536);
        let route = "route=\"/v1/chat/completions\"";
        for line in [
            &*format!(
                "comind_requests_total{{method=\"POST\",{route},status=\"200\",provider=\"vllm\",code=\"\"}} 2\n"
            ),
            &*format!(
                "comind_requests_total{{method=\"POST\",{route},status=\"413\",provider=\"\",code=\"request_too_large\"}} 1\n"
            ),
            &*format!("comind_request_duration_seconds_bucket{{{route},le=\"0.640\"}} 0\n"),
            &*format!("comind_request_duration_seconds_bucket{{{route},le=\"1.280\"}} 3\n"),
            &*format!("comind_request_duration_seconds_bucket{{{route},le=\"+Inf\"}} 3\n"),
            &*format!("comind_request_duration_seconds_sum{{{route}}} 2.436\n"),
            &*format!("comind_request_duration_seconds_count{{{route}}} 3\n"),
            "comind_first_byte_seconds_bucket{provider=\"vllm\",le=\"0.080\"} 0\n",
            "comind_first_byte_seconds_bucket{provider=\"vllm\",le=\"0.160\"} 2\n",
            "comind_model_tokens_total{provider=\"vllm\",model=\"Qwen/Qwen3\",type=\"input\"} 18\n",
            "comind_model_tokens_total{provider=\"vllm\",model=\"Qwen/Qwen3\",type=\"output\"} 82\n",
            "comind_limits_hit_total{limit=\"sign_in\"} 1\n",
            "comind_limits_hit_total{limit=\"body\"} 1\n",
            "comind_object_calls_total{namespace=\"ACCOUNTS\",outcome=\"answered\"} 1\n",
            "comind_object_calls_total{namespace=\"ACCOUNTS\",outcome=\"failed\"} 1\n",
            "comind_open_streams 1\n",
            "comind_wasm_memory_bytes 65536\n",
        ] {
            assert!(page.contains(line), "{line}{page}");
        }
    }

    #[test]
    fn the_ends_of_a_bucket() {
        let mut histogram = Histogram::default();
        for ms in [0, 5, 6, 655_360, 655_361, u64::MAX] {
            histogram.observe(ms);
        }
        assert_eq!((histogram.buckets[0], histogram.buckets[1], histogram.buckets[17]), (2, 1, 1));
        assert_eq!((histogram.count, histogram.sum_ms), (6, u64::MAX));
    }

    #[test]
    fn an_end_too_many_is_none_below_nothing() {
        let mut meter = Meter::new();
        meter.end_stream();
        assert!(meter.render(0).contains("comind_open_streams 0\n"));
    }
}
