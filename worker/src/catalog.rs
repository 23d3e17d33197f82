//! The catalogue of models in the isolate's memory: a cache with a time to live, asked for anew when
//! it is stale, and never the only copy of anything.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use comind::backend::{Answered, Catalog, Discovery, Entry};
use comind::types::Status;
use futures_util::future::join_all;
use js_sys::JsString;
use wasm_bindgen::JsValue;

use crate::config::{self, Backend, Config};
use crate::context::RequestContext;
use crate::upstream::Failure;
use crate::{log, pool, runtime, upstream};

struct Cached {
    catalog: Rc<Catalog>,
    at_ms: u64,
}

thread_local! {
    static CACHED: RefCell<Option<Cached>> = const { RefCell::new(None) };
    /// When somebody began to ask all backends; 0 when nobody is at it.
    static ASKING_SINCE_MS: Cell<u64> = const { Cell::new(0) };
}

/// A catalogue that is no older than this may be used while a fresh one is asked for.
const STALE_FACTOR: u64 = 6;

/// The catalogue for routing: when it is older than `max_age_ms` it is asked for anew behind the answer,
/// so that no request waits for a backend that does not answer; only a very old one is waited for.
pub(crate) async fn read(context: &RequestContext) -> Rc<Catalog> {
    let max_age_ms = context.config.catalog_ttl_ms;
    let now_ms = runtime::steady_ms();
    let cached = CACHED.with_borrow(|cached| {
        let cached = cached.as_ref()?;
        Some((now_ms.saturating_sub(cached.at_ms), Rc::clone(&cached.catalog)))
    });
    match cached {
        Some((age_ms, catalog)) if age_ms <= max_age_ms => catalog,
        Some((age_ms, catalog)) if age_ms <= max_age_ms.saturating_mul(STALE_FACTOR) => {
            context.ctx.wait_until(async move {
                read_anew(max_age_ms).await;
            });
            catalog
        }
        _ => read_anew(max_age_ms).await,
    }
}

/// The catalogue, asked for anew when it is older than `max_age_ms`.
///
/// One request asks; those that come meanwhile take the stale one rather than ask or wait as well.
pub(crate) async fn read_anew(max_age_ms: u64) -> Rc<Catalog> {
    let now_ms = runtime::steady_ms();
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

/// The catalogue as people are shown it: a backend that fails requests though it answers questions is degraded.
pub(crate) async fn read_for_people() -> Catalog {
    let mut catalog = Catalog::clone(&*read_anew(config::current().catalog_ttl_ms).await);
    for entry in &mut catalog.entries {
        if entry.status == Status::Up && !pool::is_trusted(&entry.id) {
            entry.status = Status::Degraded;
        }
    }
    catalog
}

/// A backend was found dead: nothing more for it until it answers again. Gives whether that is news.
pub(crate) fn note_down(id: &str) -> bool {
    CACHED.with_borrow_mut(|cached| {
        let entries = cached.as_mut().map(|cached| &mut Rc::make_mut(&mut cached.catalog).entries);
        let Some(entry) = entries.into_iter().flatten().find(|entry| entry.id == id) else { return false };
        std::mem::replace(&mut entry.status, Status::Down) != Status::Down
    })
}

async fn refresh() -> Rc<Catalog> {
    let config = config::current();
    let before = CACHED.with_borrow(|cached| cached.as_ref().map(|cached| Rc::clone(&cached.catalog)));
    let entries = join_all(config.backends.iter().map(|backend| discover(backend, &config, before.as_deref()))).await;
    let catalog = Rc::new(Catalog { entries });
    let cached = Cached { catalog: Rc::clone(&catalog), at_ms: runtime::steady_ms() };
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
    while !probes.is_empty() {
        let asked = probes.iter().map(async |probe| {
            let body = probe.body.as_deref().map_or(JsValue::UNDEFINED, |body| JsString::from(body).into());
            upstream::ask(backend, probe.path, &body, config).await
        });
        let asked_ms = runtime::steady_ms();
        for (probe, answer) in probes.iter().zip(join_all(asked).await) {
            if is_first && let Ok(answer) = &answer {
                let latency_ms = runtime::steady_ms().saturating_sub(asked_ms);
                last = Some(Answered { code: answer.status, latency_ms });
            }
            let complaint = match answer {
                Ok(answer) => {
                    let is_understood = discovery.handle_answer(probe, answer.status, &answer.bytes);
                    (!is_understood).then(|| format!("answered {probe} with {} and no list of models", answer.status))
                }
                Err(Failure::Timeout | Failure::Deadline) => {
                    Some(format!("gave no answer to {probe} within PROBE_TIMEOUT_MS"))
                }
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
    if let Some(pulse) = discovery.pulse() {
        pool::note_pulse(&backend.id, pulse);
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
