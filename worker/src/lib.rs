//! The edge: a Workers handler in front of inference servers.
//!
//! `router` finds the handler, `admission` lets the caller in, `handlers` do the work, `job` takes an
//! inference request to a backend that `pool` picks, `upstream` talks to backends, `storage` keeps accounts.
//! What becomes of a request its `journal` tells `telemetry` and the `log`. What there is to decide, the core decides.

mod admission;
mod catalog;
mod config;
mod context;
mod cors;
mod guard;
mod handlers;
mod head;
mod http;
mod job;
mod journal;
mod log;
mod mail;
mod pool;
mod relay;
mod router;
mod runtime;
mod seed;
mod sso;
mod storage;
mod telemetry;
mod upstream;

use std::rc::Rc;

use worker::web_sys::{Request, Response};
use worker::{Context, Env, event};

pub use config::{SETTINGS, Setting, complaint, complaint_about};
pub use relay::fallen;

#[event(fetch)]
async fn fetch(request: Request, env: Env, ctx: Context) -> worker::Result<Response> {
    Ok(router::answer(&Rc::new(context::RequestContext::new(request, env, ctx))).await)
}
