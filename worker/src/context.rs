//! What belongs to one request.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use comind::limit::Standing;
use comind::telemetry;
use comind::trace::{Stage, Timings, is_traceparent, is_tracestate};
use worker::web_sys::Request;
use worker::{Context, Env};

use crate::config::{self, Config};
use crate::head::Head;
use crate::http::{self, Answer};
use crate::journal::Journal;
use crate::runtime;

/// One request and what it may use.
pub(crate) struct RequestContext {
    /// The request.
    pub request: Request,
    /// What it says before its body.
    pub head: Head,
    /// The bindings.
    pub env: Env,
    /// The runtime's own context.
    pub ctx: Rc<Context>,
    /// The settings.
    pub config: Rc<Config>,
    /// What is told of it when it is over.
    pub journal: Rc<Journal>,
    standings: Cell<(Option<Standing>, Option<Standing>)>,
    timings: Cell<Timings>,
    backend: RefCell<Option<String>>,
}

/// What a backend is told of a request besides its body, so that its log and ours can be read together.
#[derive(Debug)]
pub(crate) struct Trace {
    /// Names and values.
    pub headers: Vec<(&'static str, String)>,
}

impl RequestContext {
    /// The context of a request that just came in.
    pub(crate) fn new(request: Request, env: Env, ctx: Context) -> Self {
        let head = http::read_head(&request);
        let given = head.header("x-request-id").filter(|id| is_request_id(id)).map(str::to_owned);
        let request_id = given.unwrap_or_else(|| format!("req_{}", runtime::random_id()));
        let config = config::current();
        let trace = config.collector.as_ref().and_then(|collector| {
            telemetry::Trace::begin(head.header("traceparent"), collector.share, &runtime::random())
        });
        let journal = Journal::new(request_id, head.method(), trace, Rc::clone(&config));
        Self {
            request,
            timings: Cell::new(Timings::new(journal.started_ms())),
            journal: Rc::new(journal),
            head,
            env,
            ctx: Rc::new(ctx),
            config,
            standings: Cell::default(),
            backend: RefCell::default(),
        }
    }

    /// A header of the request.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// Remembers what the caller has left, for the answer's headers.
    pub(crate) fn note_standing(&self, requests: Option<Standing>, tokens: Option<Standing>) {
        self.standings.set((requests, tokens));
    }

    /// A stage of the request's way has ended.
    pub(crate) fn end_stage(&self, stage: Stage) {
        let mut timings = self.timings.get();
        timings.end(stage, runtime::now_ms());
        self.timings.set(timings);
    }

    /// Remembers which backend answers, for callers who may know.
    pub(crate) fn note_backend(&self, id: &str) {
        *self.backend.borrow_mut() = Some(id.to_owned());
    }

    /// What a backend is told: our name of the request, and the trace that it belongs to: ours where there is one,
    /// else the caller's if it is well-formed.
    pub(crate) fn trace(&self) -> Trace {
        let mut headers = vec![("x-request-id", self.journal.request_id.clone())];
        let state = self.header("tracestate").filter(|text| is_tracestate(text));
        let parent = self.header("traceparent").filter(|text| is_traceparent(text));
        let ours = self.journal.trace.as_ref().map(telemetry::Trace::to_traceparent);
        headers.extend(ours.or_else(|| parent.map(str::to_owned)).map(|parent| ("traceparent", parent)));
        headers.extend(state.filter(|_| parent.is_some()).map(|state| ("tracestate", state.to_owned())));
        Trace { headers }
    }

    /// Adds the headers that every answer has.
    pub(crate) fn finish(&self, mut answer: Answer) -> Answer {
        let (requests, tokens) = self.standings.get();
        let limited = [
            (requests, ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"]),
            (tokens, ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"]),
        ];
        for (standing, [limit, remaining, reset]) in limited {
            if let Some(standing) = standing {
                answer = answer
                    .with(limit, standing.limit.to_string())
                    .with(remaining, standing.remaining.to_string())
                    .with(reset, standing.reset_ms.div_ceil(1000).to_string());
            }
        }
        let timings = self.timings.get().to_header();
        if !timings.is_empty() {
            answer = answer.with("server-timing", timings);
        }
        if let Some(backend) = self.backend.take() {
            answer = answer.with("x-comind-backend", backend);
        }
        answer.with("x-request-id", self.journal.request_id.as_str())
    }
}

/// A caller may name its own request: 1 to 128 letters, digits, `.`, `_` or `-`.
fn is_request_id(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::is_request_id;

    #[test]
    fn a_request_id_is_short_and_plain() {
        assert!(is_request_id("a") && is_request_id(&"a".repeat(128)) && is_request_id("A-z_0.9"));
        for id in ["", " ", "a b", "a\r\nb", "é", &"a".repeat(129)] {
            assert!(!is_request_id(id), "{id:?}");
        }
    }
}
