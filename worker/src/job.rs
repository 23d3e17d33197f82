//! One inference request on its way: to one backend, and to another one where that is safe.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use comind::backend::{Completion, Outcome, Served, Ticket, UpstreamFailure, hash};
use comind::chat::{Relay, Rules};
use comind::error::{Code, Error};
use comind::request::InferenceRequest;
use comind::trace::Stage;
use comind::types::Usage;
use js_sys::{JsString, Reflect, Uint8Array};
use wasm_bindgen::JsValue;

use crate::admission::{Admission, Bill};
use crate::config::Backend;
use crate::context::{RequestContext, Trace};
use crate::upstream::{self, Exchange, Failure, Limits, Reply, UpstreamAnswer};
use crate::{catalog, pool, runtime, telemetry};

/// A catalogue that misses a model is asked for anew when it is older than this.
const RECENT_MS: u64 = 1000;
/// A silent stream's caller is heard of once in a heartbeat; so many may be missed.
const MISSED_HEARTBEATS: u64 = 3;
/// A sign of life is noted no more often than this.
const NOTE_EVERY_MS: u64 = 100;

/// A request, its body, and all that it may use.
pub(crate) struct Job {
    context: Rc<RequestContext>,
    /// What was asked for.
    pub(crate) request: InferenceRequest,
    body: Uint8Array,
    trace: Trace,
    limits: JsValue,
    /// The calls to backends.
    pub(crate) exchange: Exchange,
    bill: Rc<Bill>,
    conversation: Option<u64>,
    is_admin: bool,
    patience_ms: u64,
    ticket: Cell<Option<Ticket>>,
    /// How often it was sent to a backend.
    attempts: Cell<u32>,
    backend: Cell<Option<usize>>,
    noted_ms: Cell<u64>,
    /// Watches the stream, if it is one.
    pub(crate) relay: RefCell<Relay>,
}

/// What a backend gave.
pub(crate) enum Reached {
    /// A whole answer of status 200, to a request for one, and what it says.
    Answer(UpstreamAnswer, Completion),
    /// A stream that has begun.
    Stream(JsValue),
}

/// Why one backend gave nothing.
struct Miss {
    outcome: Outcome,
    failure: UpstreamFailure,
    /// Another backend may be asked.
    may_move: bool,
    /// The same one may, if there is no other: a connection that was kept open is often closed by the
    /// server in the very moment in which it is used again.
    may_repeat: bool,
}

impl Job {
    /// A request whose body is read and checked.
    pub(crate) fn new(
        context: &Rc<RequestContext>,
        caller: &Admission,
        request: InferenceRequest,
        body: Uint8Array,
    ) -> Self {
        let config = &context.config;
        let signal = Reflect::get(&context.request, &JsString::from("signal")).unwrap_or(JsValue::UNDEFINED);
        let limits = Limits::of_requests(config);
        // While nothing comes, a stream has its heartbeats, and a plain request asks whether the backend lives.
        let patience_ms =
            MISSED_HEARTBEATS * u64::from(if request.stream { config.heartbeat_ms } else { config.connect_timeout_ms });
        let conversation =
            request.beginning.map(|beginning| hash(&[caller.profile.id.as_bytes(), &beginning.to_le_bytes()]));
        let relay = Relay::new(config.event_limit_bytes as usize).with_choices(request.choices);
        Self {
            context: Rc::clone(context),
            body,
            trace: context.trace(),
            exchange: Exchange::within(&limits, &signal),
            limits,
            bill: Rc::clone(&caller.bill),
            conversation,
            is_admin: caller.profile.is_admin(),
            patience_ms,
            ticket: Cell::new(None),
            attempts: Cell::new(0),
            backend: Cell::new(None),
            noted_ms: Cell::new(0),
            relay: RefCell::new(relay),
            request,
        }
    }

    /// How often it was sent to a backend.
    pub(crate) const fn attempts(&self) -> u32 {
        self.attempts.get()
    }

    /// The limits, as `js/upstream.js` takes them.
    pub(crate) const fn limits(&self) -> &JsValue {
        &self.limits
    }

    /// The backend that was asked last.
    pub(crate) fn backend(&self) -> Option<&Backend> {
        self.context.config.backends.get(self.backend.get()?)
    }

    /// Asks backends until one gives something, or there is no sense in asking another.
    ///
    /// # Errors
    ///
    /// What the caller is told: the last backend's own failure, or why there was none to ask.
    pub(crate) async fn run(&self) -> Result<Reached, UpstreamFailure> {
        let mut tried: Vec<&str> = Vec::new();
        let mut missed: Option<Miss> = None;
        let mut losses = 0;
        loop {
            let chosen = match (self.choose(&tried, missed.is_some()).await, &missed) {
                (Err(_), Some(miss)) if miss.may_repeat => self.choose(&[], true).await,
                (chosen, _) => chosen,
            };
            // Why there is no other one is less to the point than what the last one said.
            let backend = chosen.map_err(|error| match missed.take() {
                Some(miss) => miss.failure,
                None => UpstreamFailure::from(&error),
            })?;
            self.context.end_stage(Stage::Route);
            tried.push(&backend.id);
            self.attempts.set(self.attempts.get() + 1);
            let sent_ms = runtime::steady_ms();
            let attempt = self.attempt(backend, sent_ms).await;
            self.context.end_stage(Stage::Upstream);
            let miss = match attempt {
                Ok(reached) => {
                    self.context.journal.note_first_byte();
                    return Ok(reached);
                }
                Err(miss) => miss,
            };
            self.end(miss.outcome);
            // What broke may have been accepted: it is sent again once, not more.
            losses += u32::from(miss.outcome == Outcome::Broken);
            if !miss.may_move || losses > 1 || self.attempts.get() >= self.context.config.backend_attempts {
                return Err(miss.failure);
            }
            missed = Some(miss);
        }
    }

    /// The backends that have the model and can do what is asked, but for those that were tried.
    async fn candidates(&self, tried: &[&str]) -> Result<Vec<&Backend>, Error> {
        let config = &self.context.config;
        let mut catalog = catalog::read(&self.context).await;
        if catalog.serving(&self.request.model).is_err() {
            catalog = catalog::read_anew(RECENT_MS.min(config.catalog_ttl_ms)).await;
        }
        let serving = catalog.serving(&self.request.model)?;
        let check = |served: &Served| self.request.check_capabilities(&served.capabilities);
        // Both are in the order of the configuration.
        let mut able =
            serving.iter().filter(|(_, served)| check(served).is_ok()).map(|(entry, _)| &entry.id).peekable();
        if able.peek().is_none() {
            // What the first of them lacks, the caller is told.
            serving.first().map_or(Ok(()), |(_, served)| check(served))?;
        }
        let is_able = |backend: &&Backend| able.next_if(|id| **id == backend.id).is_some();
        let candidates: Vec<&Backend> =
            config.backends.iter().filter(is_able).filter(|backend| !tried.contains(&backend.id.as_str())).collect();
        if candidates.is_empty() { Err(none_left(None)) } else { Ok(candidates) }
    }

    async fn choose(&self, tried: &[&str], is_again: bool) -> Result<&Backend, Error> {
        let candidates = self.candidates(tried).await?;
        let (backend, ticket) =
            pool::begin(&candidates, self.conversation, is_again, self.patience_ms, &self.bill).map_err(none_left)?;
        self.ticket.set(Some(ticket));
        self.backend.set(self.context.config.backends.iter().position(|known| known.id == backend.id));
        self.bill.note_backend(self.backend.get());
        if let Some(place) = self.backend.get() {
            self.context.journal.note_call(&self.request, place);
        }
        if self.is_admin {
            self.context.note_backend(&backend.id);
        }
        Ok(backend)
    }

    async fn attempt(&self, backend: &Backend, sent_ms: u64) -> Result<Reached, Miss> {
        let quirks = backend.provider.quirks();
        let edit = self.request.edit(quirks).filter(|_| backend.stream_usage || !self.request.stream);
        if self.request.stream {
            let options = &self.request.stream_options;
            let rules = Rules {
                drop_usage_chunk: edit.is_some() && !options.wants_usage,
                drop_inline_usage: edit.is_some() && !options.wants_continuous && quirks.says_usage_inline(),
                drop_empty_usage: quirks.has_empty_usage,
                fix_tool_calls: quirks.has_odd_tool_calls && self.request.has_tools,
            };
            self.relay.replace_with(|relay| relay.clone().with_rules(rules));
        }
        let body = edit.map_or_else(|| self.body.clone(), |edit| upstream::edited(&self.body, &edit));
        let path = self.request.operation.path();
        let call = self.exchange.call(backend, path, &body, self.request.stream, Some(&self.trace));
        let reply = loop {
            if let Some(reply) = call.poll().await {
                break reply;
            }
            self.renew();
            if !self.is_alive().await {
                call.give_up();
            }
        };
        match reply {
            Ok(Reply::Stream(opened)) => Ok(Reached::Stream(opened)),
            Ok(Reply::Answer(answer)) => {
                let is_success = answer.status == 200 && !self.request.stream;
                match Completion::read(&answer.bytes).filter(|_| is_success) {
                    Some(completion) => Ok(Reached::Answer(answer, completion)),
                    None => Err(Miss::refused(&answer)),
                }
            }
            Err(failure) => Err(self.lost(backend, failure, sent_ms).await),
        }
    }

    async fn lost(&self, backend: &Backend, failure: Failure, sent_ms: u64) -> Miss {
        const JUST_ASKED_MS: u64 = 100;
        const AT_ONCE_MS: u64 = 200;
        if failure == Failure::Left {
            self.context.journal.note_error(Code::Aborted);
        }
        let was_at_once = runtime::steady_ms().saturating_sub(sent_ms) <= AT_ONCE_MS;
        let failure = match failure {
            // Died, or only broke off? The catalogue is to know, and who waits there too.
            Failure::Lost | Failure::Cut if !pool::is_alive(backend, &self.context.config, JUST_ASKED_MS).await => {
                Failure::Dead
            }
            failure => failure,
        };
        Miss {
            outcome: failure.outcome(),
            may_move: matches!(failure, Failure::Lost | Failure::Cut | Failure::Dead),
            may_repeat: failure == Failure::Lost && was_at_once,
            failure: UpstreamFailure::from(&Error::from(failure)),
        }
    }

    /// Whether the backend that has the request lives, as far as anybody knows.
    pub(crate) async fn is_alive(&self) -> bool {
        let Some(backend) = self.backend() else { return true };
        pool::is_alive(backend, &self.context.config, self.context.config.connect_timeout_ms.into()).await
    }

    /// The request is still wanted.
    pub(crate) fn renew(&self) {
        if let Some(ticket) = self.ticket.get() {
            pool::renew(ticket, runtime::steady_ms(), self.patience_ms);
        }
    }

    /// Something came, and has been looked at.
    pub(crate) fn hear(&self) {
        let relay = self.relay.borrow();
        // An error is no part of an answer.
        self.bill.note(relay.usage(), relay.events().saturating_sub(relay.has_failed().into()));
        let now_ms = runtime::steady_ms();
        if now_ms.saturating_sub(self.noted_ms.get()) >= NOTE_EVERY_MS
            && let Some(ticket) = self.ticket.get()
        {
            self.noted_ms.set(now_ms);
            pool::hear(ticket, now_ms, self.patience_ms);
        }
    }

    /// The backend's part is over.
    pub(crate) fn end(&self, outcome: Outcome) {
        if let Some(ticket) = self.ticket.take() {
            pool::end(ticket, outcome);
        }
    }

    /// The answer was whole.
    pub(crate) fn settle(&self, usage: Option<Usage>) {
        if usage.is_some() {
            self.bill.note(usage, 0);
        }
        self.bill.settle(&self.context);
        self.end(Outcome::Answered);
        self.end_stream(None);
    }

    /// The answer was not whole.
    pub(crate) fn settle_part(&self, outcome: Outcome, code: Code) {
        self.bill.settle_part(Some(&self.context));
        self.end(outcome);
        self.end_stream(Some(code));
    }

    fn end_stream(&self, error: Option<Code>) {
        if self.request.stream {
            self.context.journal.end_stream(error);
            telemetry::flush_soon(&self.context.ctx);
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        // Whoever drops it may be another request: nothing of the runtime's may be touched.
        self.bill.settle_part(None);
        self.end(Outcome::Left);
        if self.request.stream {
            self.context.journal.end_stream(Some(Code::Aborted));
        }
    }
}

/// None of those that have the model is to be asked.
fn none_left(wait_ms: Option<u64>) -> Error {
    let message = "The backends that serve the model are not to be asked now: they have failed, or are being drained. Try again soon.";
    let error = Error::new(Code::NoBackendAvailable, message);
    match wait_ms {
        Some(wait_ms) => error.retry_after_ms(wait_ms),
        None => error,
    }
}

impl Miss {
    /// The backend answered, but not with what was asked for.
    fn refused(answer: &UpstreamAnswer) -> Self {
        let (outcome, may_move) = match answer.status {
            // It did not even look at the request.
            429 => (Outcome::Busy, true),
            401 | 403 | 503 => (Outcome::Unready, true),
            200 | 500 | 502 | 504 => (Outcome::Broken, false),
            _ => (Outcome::Answered, false),
        };
        Self { outcome, may_move, may_repeat: false, failure: answer.to_failure() }
    }
}

impl Failure {
    /// What it says of the backend.
    pub(crate) const fn outcome(self) -> Outcome {
        match self {
            Self::Lost | Self::Cut => Outcome::Broken,
            Self::Timeout => Outcome::Slow,
            Self::TooLarge => Outcome::Answered,
            Self::Dead => Outcome::Dead,
            Self::Deadline | Self::Left => Outcome::Left,
        }
    }
}
