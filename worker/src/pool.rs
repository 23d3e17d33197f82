//! What this isolate knows of its backends: who is busy, who is ill, what is under way. The core decides.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use comind::backend::{BreakerPolicy, Candidate, Check, Outcome, Pool, Provider, Pulse, Sign, Standing, Ticket};
use comind::cost::Cost;
use wasm_bindgen::JsValue;

use crate::admission::Bill;
use crate::config::{self, Backend, Config};
use crate::context::RequestContext;
use crate::upstream::{self, Failure};
use crate::{catalog, log, runtime};

/// The bill of a request that the runtime ends without a word comes out of a sweep.
type Bills = Pool<Rc<Bill>>;

thread_local! {
    static POOL: OnceCell<RefCell<Bills>> = const { OnceCell::new() };
}

fn with<T>(work: impl FnOnce(&mut Bills) -> T) -> T {
    POOL.with(|pool| {
        let new = || {
            let config = config::current();
            let policy = BreakerPolicy { failures: config.breaker_failures, open_ms: config.breaker_open_ms };
            RefCell::new(Pool::new(policy, config.retry_burst))
        };
        work(&mut pool.get_or_init(new).borrow_mut())
    })
}

/// Picks one of these backends, and counts a request for it while it gives a sign of life every `patience_ms`.
///
/// # Errors
///
/// How long to wait, in milliseconds, when all are to be left in peace; `None` when there is none, or no
/// retry left for a request that is sent again.
pub(crate) fn begin<'a>(
    backends: &[&'a Backend],
    conversation: Option<u64>,
    is_again: bool,
    patience_ms: u64,
    bill: &Rc<Bill>,
) -> Result<(&'a Backend, Ticket), Option<u64>> {
    let now_ms = runtime::steady_ms();
    let candidates: Vec<Candidate<'_>> =
        backends.iter().map(|backend| Candidate { id: &backend.id, weight: backend.weight }).collect();
    let until_ms = now_ms.saturating_add(patience_ms);
    let (place, ticket) =
        with(|pool| pool.begin(&candidates, conversation, is_again, now_ms, until_ms, Rc::clone(bill)))?;
    backends.get(place).map(|backend| (*backend, ticket)).ok_or(None)
}

/// Something came from the backend.
pub(crate) fn hear(ticket: Ticket, now_ms: u64, patience_ms: u64) {
    with(|pool| pool.hear(ticket, now_ms, now_ms.saturating_add(patience_ms)));
}

/// The request is still wanted.
pub(crate) fn renew(ticket: Ticket, now_ms: u64, patience_ms: u64) {
    with(|pool| pool.renew(ticket, now_ms.saturating_add(patience_ms)));
}

/// A request at a backend is over.
pub(crate) fn end(ticket: Ticket, outcome: Outcome) {
    with(|pool| pool.end(ticket, outcome, runtime::steady_ms()));
}

/// What a request has cost that this backend had.
pub(crate) fn count_cost(backend: usize, cost: Cost) {
    if let Some(backend) = config::current().backends.get(backend) {
        with(|pool| pool.count_cost(&backend.id, cost));
    }
}

/// What has been counted, for a monitor.
pub(crate) fn metrics(config: &Config) -> String {
    with(|pool| pool.metrics(config.backends.iter().map(|backend| backend.id.as_str()), runtime::steady_ms()))
}

/// Whether a backend gets requests as usual.
pub(crate) fn is_trusted(id: &str) -> bool {
    with(|pool| pool.standing(id, runtime::steady_ms()) == Standing::Closed)
}

/// What a backend said of its work.
pub(crate) fn note_pulse(id: &str, pulse: Pulse) {
    with(|pool| pool.note_pulse(id, pulse, runtime::steady_ms()));
}

/// Settles what the runtime has ended without a word, because the caller had gone: it runs nothing of
/// ours in such a request any more, so the next one does it.
pub(crate) fn sweep(context: &RequestContext) {
    for bill in with(|pool| pool.sweep(runtime::steady_ms())) {
        bill.leave(context);
    }
}

/// Whether a backend that has long been silent lives. Many may wonder, one asks.
pub(crate) async fn is_alive(backend: &Backend, config: &Config, every_ms: u64) -> bool {
    match with(|pool| pool.check(&backend.id, runtime::steady_ms(), every_ms)) {
        Check::IsAlive(is_alive) => is_alive,
        Check::Ask => {
            let answer = upstream::ask(backend, backend.provider.pulse_path(), &JsValue::UNDEFINED, config).await;
            let sign = match answer {
                Ok(answer) if answer.status == 200 && backend.provider == Provider::Vllm => {
                    Sign::Alive(Pulse::read(&answer.bytes))
                }
                Ok(_) | Err(Failure::TooLarge) => Sign::Alive(None),
                Err(Failure::Timeout | Failure::Deadline) => Sign::Late,
                Err(_) => Sign::Gone,
            };
            let hung_ms = config.hung_timeout_ms;
            let is_alive = with(|pool| pool.note_check(&backend.id, sign, runtime::steady_ms(), hung_ms));
            if !is_alive && catalog::note_down(&backend.id) {
                log::backend(&backend.id, "is down: it has requests under way and does not answer, or gets nowhere");
            }
            is_alive
        }
    }
}
