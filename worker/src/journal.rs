//! What becomes known of a request on its way, told once when it is over: to the counters, the log, a collector.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use comind::error::Code;
use comind::request::InferenceRequest;
use comind::route::Route;
use comind::telemetry::{CALLER_LEFT, Inference, Record, Trace, method_name};
use comind::types::Usage;

use crate::config::{Config, RequestLog};
use crate::{log, runtime, telemetry};

/// One request's.
#[derive(Debug)]
pub(crate) struct Journal {
    /// The name that the answer, the log and a complaint have in common.
    pub request_id: String,
    /// The names of its spans, if it is traced.
    pub trace: Option<Trace>,
    config: Rc<Config>,
    started_ms: u64,
    method: &'static str,
    route: Cell<Option<Route>>,
    user_id: RefCell<Option<String>>,
    resource_id: RefCell<Option<String>>,
    status: Cell<u16>,
    error: Cell<Option<Code>>,
    call: RefCell<Option<BackendCall>>,
    first_byte_ms: Cell<Option<u64>>,
    usage: Cell<Option<Usage>>,
    /// Its stream has been handed to the runtime.
    is_streaming: Cell<bool>,
    /// The backend's part of a stream is over; the head may not have been sent yet.
    has_ended: Cell<bool>,
    is_told: Cell<bool>,
}

#[derive(Debug)]
struct BackendCall {
    model: String,
    backend: usize,
    is_stream: bool,
    attempts: u32,
    sent_ms: u64,
}

impl Journal {
    /// Of a request that just came in.
    pub(crate) fn new(request_id: String, method: &str, trace: Option<Trace>, config: Rc<Config>) -> Self {
        Self {
            request_id,
            trace,
            config,
            started_ms: runtime::now_ms(),
            method: method_name(method),
            route: Cell::default(),
            user_id: RefCell::default(),
            resource_id: RefCell::default(),
            status: Cell::default(),
            error: Cell::default(),
            call: RefCell::default(),
            first_byte_ms: Cell::default(),
            usage: Cell::default(),
            is_streaming: Cell::default(),
            has_ended: Cell::default(),
            is_told: Cell::default(),
        }
    }

    /// Unix milliseconds when it came in.
    pub(crate) const fn started_ms(&self) -> u64 {
        self.started_ms
    }

    /// What it asks for.
    pub(crate) fn note_route(&self, route: Route) {
        self.route.set(Some(route));
    }

    /// Whose it is, or of whom it is.
    pub(crate) fn note_user(&self, user_id: &str) {
        *self.user_id.borrow_mut() = Some(user_id.to_owned());
    }

    /// Whose it is, if that is known.
    pub(crate) fn user_id(&self) -> Option<String> {
        self.user_id.borrow().clone()
    }

    /// What it is about, where its path does not say so.
    pub(crate) fn note_resource(&self, id: &str) {
        *self.resource_id.borrow_mut() = Some(id.to_owned());
    }

    /// What it is about, if that was noted.
    pub(crate) fn resource_id(&self) -> Option<String> {
        self.resource_id.borrow().clone()
    }

    /// It goes to this backend, by its place in the configuration.
    pub(crate) fn note_call(&self, request: &InferenceRequest, backend: usize) {
        let mut call = self.call.borrow_mut();
        let call = call.get_or_insert_with(|| BackendCall {
            model: request.model.clone(),
            backend,
            is_stream: request.stream,
            attempts: 0,
            sent_ms: runtime::now_ms(),
        });
        call.attempts += 1;
        call.backend = backend;
    }

    /// The answer has begun.
    pub(crate) fn note_first_byte(&self) {
        self.first_byte_ms.set(Some(runtime::now_ms()));
    }

    /// What the backend says that it cost.
    pub(crate) fn note_usage(&self, usage: Option<Usage>) {
        self.usage.set(usage.or(self.usage.get()));
    }

    /// Why it fails; the first reason counts.
    pub(crate) fn note_error(&self, code: Code) {
        if code == Code::Unauthorized {
            // Anybody can make a token that names a user.
            self.user_id.take();
        }
        self.error.set(self.error.get().or(Some(code)));
    }

    /// The answer is known: told now, or at the end of its stream.
    pub(crate) fn answer(&self, status: u16, is_stream: bool) {
        self.status.set(status);
        if status >= 400 {
            self.note_error(Code::from_status(status));
        }
        if is_stream {
            self.is_streaming.set(true);
            telemetry::begin_stream();
        }
        if !is_stream || self.has_ended.get() {
            self.tell();
        }
    }

    /// The backend's part of a stream is over; `error` unless the answer was whole.
    pub(crate) fn end_stream(&self, error: Option<Code>) {
        if let Some(code) = error {
            self.note_error(code);
        }
        self.has_ended.set(true);
        if self.is_streaming.get() {
            self.tell();
        }
    }

    /// Nobody waits for the answer any more.
    pub(crate) fn leave(&self) {
        self.note_error(Code::Aborted);
        self.tell();
    }

    fn tell(&self) {
        if self.is_told.replace(true) {
            return;
        }
        if self.is_streaming.get() {
            telemetry::end_stream();
        }
        let user_id = self.user_id.borrow();
        let call = self.call.borrow();
        let has_left = self.error.get() == Some(Code::Aborted);
        let inference = call.as_ref().and_then(|call| {
            let backend = self.config.backends.get(call.backend)?;
            Some(Inference {
                operation: self.route.get()?.operation()?,
                model: &call.model,
                backend: &backend.id,
                provider: backend.provider,
                is_stream: call.is_stream,
                attempts: call.attempts,
                sent_ms: call.sent_ms,
                first_byte_ms: self.first_byte_ms.get(),
                usage: self.usage.get(),
            })
        });
        let record = Record {
            request_id: &self.request_id,
            started_ms: self.started_ms,
            ended_ms: runtime::now_ms(),
            method: self.method,
            route: self.route.get(),
            status: if has_left { CALLER_LEFT } else { self.status.get() },
            error: self.error.get(),
            user_id: user_id.as_deref(),
            inference,
            trace: self.trace.as_ref(),
        };
        telemetry::observe(&record);
        let is_wanted = match self.config.request_log {
            RequestLog::All => true,
            RequestLog::Errors => record.error.is_some(),
            RequestLog::Off => false,
        };
        if is_wanted {
            log::request(&record);
        }
    }
}
