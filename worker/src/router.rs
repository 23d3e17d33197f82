//! From a request to its handler and back.

use std::rc::Rc;

use comind::auth::Need;
use comind::error::Error;
use comind::route::{self, Match, NoMatch, Route};
use js_sys::{Function, JsString, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use worker::web_sys::Response;

use crate::admission::{self, Admission};
use crate::context::RequestContext;
use crate::handlers::{
    api_tokens, audit, backends, health, inference, models, password, registration, session, sso, users,
};
use crate::http::{Answer, Body, check_headers};
use crate::{cors, guard, telemetry};

/// Answers a request. Every failure has become an answer by the time this returns.
pub(crate) async fn answer(context: &Rc<RequestContext>) -> Response {
    let method = context.head.method();
    let path = context.head.path();
    if matches!(method, "GET" | "HEAD")
        && !matches!(path, "/health" | "/metrics" | "/openapi.json")
        && !path.starts_with("/v1/")
        && let Some(page) = fetch_asset(context).await
    {
        return page;
    }
    let answer = match dispatch(context, method, path).await {
        Ok(answer) => answer,
        Err(error) => {
            context.journal.note_error(error.code);
            Answer::from(&error)
        }
    };
    context.journal.answer(answer.status, matches!(answer.body, Body::Stream(_)));
    telemetry::flush_soon(&context.ctx);
    let origin = context.header("origin");
    let answer = cors::allow(context.finish(answer), &context.config.allowed_origins, origin);
    answer.into_response(method == "HEAD")
}

async fn dispatch(context: &Rc<RequestContext>, method: &str, path: &str) -> Result<Answer, Error> {
    check_headers(&context.head, context.config.header_limit_bytes)?;
    let Match { route, id } = match route::find(method, path) {
        Ok(found) => found,
        Err(NoMatch::MethodNotAllowed(allow)) if method == "OPTIONS" => {
            return Ok(cors::preflight(&context.head, &allow, &context.config.allowed_origins));
        }
        Err(no_match) => {
            let allow = if let NoMatch::MethodNotAllowed(allow) = &no_match { Some(allow.clone()) } else { None };
            let answer = Answer::from(&Error::from(no_match));
            return Ok(match allow {
                Some(allow) => answer.with("allow", allow),
                None => answer,
            });
        }
    };
    context.journal.note_route(route);
    let outcome = answer_route(context, route, &id).await;
    audit::note(context, route, &id, outcome.as_ref().err().map(|error| error.code)).await;
    outcome
}

async fn answer_route(context: &Rc<RequestContext>, route: Route, id: &str) -> Result<Answer, Error> {
    match route.need() {
        Need::Public => answer_stranger(context, route).await,
        Need::Service => {
            admission::admit_service(context)?;
            answer_operator(context, route, id).await
        }
        Need::Any | Need::Session | Need::Scope(_) => {
            answer_user(context, route, id, admission::admit(context, route).await?).await
        }
    }
}

/// A route in the wrong place is none; a test asks every one.
fn misplaced() -> Result<Answer, Error> {
    Err(NoMatch::NotFound.into())
}

async fn answer_stranger(context: &RequestContext, route: Route) -> Result<Answer, Error> {
    // Whether the edge is up, monitors ask as often as they like.
    if !matches!(route, Route::Health | Route::OpenApi) {
        guard::count_stranger(context).await?;
    }
    match route {
        Route::Health => Ok(health::health()),
        Route::OpenApi => Ok(health::openapi()),
        Route::Login => session::sign_in(context).await,
        Route::Refresh => session::refresh(context).await,
        Route::Logout => session::sign_out(context).await,
        Route::Sso => sso::sign_in(context).await,
        Route::CheckRegistration => registration::check(context).await,
        Route::Register => registration::register(context).await,
        Route::Confirm => registration::confirm(context).await,
        Route::RequestPasswordReset => password::request_reset(context).await,
        Route::ResetPassword => password::reset(context).await,
        _ => misplaced(),
    }
}

async fn answer_operator(context: &RequestContext, route: Route, id: &str) -> Result<Answer, Error> {
    match route {
        Route::Metrics => Ok(health::metrics(context)),
        Route::SetPassword => password::set(context).await,
        Route::CreateUser => users::create(context).await,
        Route::Users => users::list(context).await,
        Route::User => users::one(context, id).await,
        Route::UpdateUser => users::update(context, id).await,
        Route::DeleteUser => users::delete(context, id).await,
        _ => misplaced(),
    }
}

async fn answer_user(context: &Rc<RequestContext>, route: Route, id: &str, caller: Admission) -> Result<Answer, Error> {
    if let Some(operation) = route.operation() {
        return inference::answer(context, caller, operation).await;
    }
    match route {
        Route::Me => Ok(session::me(&caller.profile)),
        Route::ChangePassword => password::change(context, caller).await,
        Route::Models => Ok(models::list().await),
        Route::Model => models::one(id).await,
        Route::Backends => Ok(backends::list().await),
        Route::BackendsHealth => Ok(backends::health().await),
        Route::Capabilities => Ok(backends::capabilities().await),
        Route::ApiTokenScopes => Ok(api_tokens::scopes(&caller.profile)),
        Route::CreateApiToken => api_tokens::create(context, &caller.profile).await,
        Route::ApiTokens => api_tokens::list(context, &caller.profile).await,
        Route::RevokeApiToken => api_tokens::revoke(context, &caller.profile, id).await,
        Route::RotateApiToken => api_tokens::rotate(context, &caller.profile, id).await,
        Route::AuditLogs => audit::list(context, &caller.profile).await,
        _ => misplaced(),
    }
}

/// A file of the console, when one is bound as `ASSETS` and has it. On Cloudflare the platform serves
/// them before the edge is asked.
async fn fetch_asset(context: &RequestContext) -> Option<Response> {
    let assets = Reflect::get(&context.env, &JsString::from("ASSETS")).ok().filter(JsValue::is_object)?;
    let fetch: Function = Reflect::get(&assets, &JsString::from("fetch")).ok()?.dyn_into().ok()?;
    let promise: Promise = fetch.call1(&assets, &context.request).ok()?.dyn_into().ok()?;
    let response: Response = JsFuture::from(promise).await.ok()?.dyn_into().ok()?;
    (response.status() != 404).then_some(response)
}
