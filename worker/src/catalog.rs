//! The catalogue of models in the isolate's memory: a cache with a time to live, asked for anew when
//! it is stale, and never the only copy of anything.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use comind::backend::{Answered, Balance, Catalog, Discovery, Entry, Ticket};
use comind::types::Status;
use futures_util::future::join_all;
use js_sys::JsString;
use wasm_bindgen::JsValue;

use crate::config::{self, Backend, Config};
use crate::upstream::{Failure, Limits};
use crate::{log, runtime, upstream};

/// A request under way at a backend; over when this goes, or when it has long given no sign of life.
#[derive(Debug)]
pub struct Outstanding {
    ticket: Ticket,
    patience_ms: u64,
    renewed_ms: u64,
}

impl Outstanding {
    /// A sign of life.
    pub(crate) fn renew(&mut self) {
        let now_ms = runtime::now_ms();
        if now_ms.saturating_sub(self.renewed_ms) >= self.patience_ms / 4 {
            self.renewed_ms = now_ms;
            BALANCE.with_borrow_mut(|balance| balance.renew(self.ticket, now_ms.saturating_add(self.patience_ms)));
        }
    }
}

impl Drop for Outstanding {
    fn drop(&mut self) {
        BALANCE.with_borrow_mut(|balance| balance.end(self.ticket));
    }
}

/// Picks one of these backends, and counts a request for it while it gives a sign of life every
/// `patience_ms`.
pub(crate) fn pick<'a>(candidates: &[&'a Backend], patience_ms: u64) -> Option<(&'a Backend, Outstanding)> {
    let now_ms = runtime::now_ms();
    let weights = candidates.iter().map(|backend| (backend.id.as_str(), backend.weight));
    let until_ms = now_ms.saturating_add(patience_ms);
    let (place, ticket) = BALANCE.with_borrow_mut(|balance| balance.begin(weights, now_ms, until_ms))?;
    let backend = candidates.get(place)?;
    Some((backend, Outstanding { ticket, patience_ms, renewed_ms: now_ms }))
}

struct Cached {
    catalog: Rc<Catalog>,
    at_ms: u64,
}

thread_local! {
    static BALANCE: RefCell<Balance> = const { RefCell::new(Balance::new()) };
    static CACHED: RefCell<Option<Cached>> = const { RefCell::new(None) };
    /// When somebody began to ask all backends; 0 when nobody is at it.
    static ASKING_SINCE_MS: Cell<u64> = const { Cell::new(0) };
}

/// The catalogue, asked for anew when it is older than `max_age_ms`.
///
/// One request asks; those that come meanwhile take the stale one rather than ask or wait as well.
pub(crate) async fn read(max_age_ms: u64) -> Rc<Catalog> {
    let now_ms = runtime::now_ms();
    // A request that was cut off while it asked must not keep all others from asking.
    let patience_ms = 2 * u64::from(config::current().probe_timeout_ms);
    let is_asked = now_ms.saturating_sub(ASKING_SINCE_MS.get()) < patience_ms;
    let cached = CACHED.with_borrow(|cached| {
        let cached = cached.as_ref()?;
        let is_fresh = now_ms.saturating_sub(cached.at_ms) <= max_age_ms;
        (is_fresh || is_asked).then(|| Rc::clone(&cached.catalog))
    });
    match cached {
        Some(catalog) => catalog,
        None => {
            ASKING_SINCE_MS.set(now_ms);
            let catalog = refresh().await;
            ASKING_SINCE_MS.set(0);
            catalog
        }
    }
}

/// Asks a backend that lost a request whether it is there at all, and remembers the answer.
pub(crate) async fn is_alive(backend: &Backend) -> bool {
    let config = config::current();
    let before = CACHED.with_borrow(|cached| cached.as_ref().map(|cached| Rc::clone(&cached.catalog)));
    let now = discover(backend, &config, before.as_deref()).await;
    let is_alive = now.status != Status::Down;
    CACHED.with_borrow_mut(|cached| {
        let entries = cached.as_mut().map(|cached| &mut Rc::make_mut(&mut cached.catalog).entries);
        if let Some(entry) = entries.into_iter().flatten().find(|entry| entry.id == backend.id) {
            *entry = now;
        }
    });
    is_alive
}

async fn refresh() -> Rc<Catalog> {
    let config = config::current();
    let before = CACHED.with_borrow(|cached| cached.as_ref().map(|cached| Rc::clone(&cached.catalog)));
    let entries = join_all(config.backends.iter().map(|backend| discover(backend, &config, before.as_deref()))).await;
    let catalog = Rc::new(Catalog { entries });
    let cached = Cached { catalog: Rc::clone(&catalog), at_ms: runtime::now_ms() };
    CACHED.with_borrow_mut(|slot| *slot = Some(cached));
    catalog
}

/// Asks one backend. When it does not answer, what it served before is kept, marked as down.
async fn discover(backend: &Backend, config: &Config, before: Option<&Catalog>) -> Entry {
    let known = before.and_then(|catalog| catalog.entries.iter().find(|entry| entry.id == backend.id));
    let was_up = known.is_none_or(|entry| entry.status != Status::Down);
    let down = |last| match known {
        Some(entry) => Entry { status: Status::Down, last, ..entry.clone() },
        None => Entry { last, ..Entry::unasked(backend.id.clone(), backend.provider, &backend.models) },
    };
    let mut discovery = Discovery::new(backend.provider);
    let mut probes = Vec::from_iter(discovery.poll_probe());
    let mut is_first = true;
    let mut last = None;
    let no_caller = JsValue::UNDEFINED;
    while !probes.is_empty() {
        let asked = probes.iter().map(|probe| {
            let body = probe.body.as_deref().map_or(JsValue::UNDEFINED, |body| JsString::from(body).into());
            upstream::ask(backend, probe.path, body, Limits::of_probe(config), None, &no_caller)
        });
        let asked_ms = runtime::now_ms();
        for (probe, answer) in probes.iter().zip(join_all(asked).await) {
            if is_first && let Ok(answer) = &answer {
                let latency_ms = runtime::now_ms().saturating_sub(asked_ms);
                last = Some(Answered { code: answer.status, latency_ms });
            }
            let complaint = match answer {
                Ok(answer) if answer.status != 200 => Some(format!("answered {probe} with {}", answer.status)),
                Ok(answer) => {
                    let is_understood = discovery.handle_answer(probe, &answer.body.to_vec());
                    (!is_understood).then(|| format!("gave no list of models to {probe}"))
                }
                Err(Failure::Timeout) => Some(format!("gave no answer to {probe} within PROBE_TIMEOUT_MS")),
                Err(Failure::TooLarge) => Some(format!("gave too long an answer to {probe}")),
                Err(_) => Some("refused or broke the connection".to_owned()),
            };
            if let Some(complaint) = complaint.filter(|_| is_first) {
                if was_up {
                    log::backend(&backend.id, &format!("is down: it {complaint}"));
                }
                return down(last);
            }
        }
        is_first = false;
        probes = std::iter::from_fn(|| discovery.poll_probe()).collect();
    }
    Entry {
        id: backend.id.clone(),
        provider: backend.provider,
        status: Status::Up,
        models: discovery.finish(&backend.models),
        is_known: true,
        last,
    }
}
