//! From a request to its handler and back.

use comind::error::Error;
use comind::route::{self, Match, NoMatch, Route};
use js_sys::{Function, JsString, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use worker::web_sys::Response;

use crate::context::RequestContext;
use crate::handlers::{api_tokens, capabilities, chat, health, login, models};
use crate::http::{Answer, path};
use crate::{admission, cors};

/// Answers a request. Every failure has become an answer by the time this returns.
pub(crate) async fn answer(context: RequestContext) -> Response {
    let method = context.request.method();
    let url = context.request.url();
    let path = path(&url);
    if matches!(method.as_str(), "GET" | "HEAD")
        && path != Route::Health.path()
        && !path.starts_with("/v1/")
        && let Some(page) = fetch_asset(&context).await
    {
        return page;
    }
    let answer = match dispatch(&context, &method, path).await {
        Ok(answer) => answer,
        Err(error) => Answer::from(&error),
    };
    let origin = context.header("origin");
    let answer = cors::allow(context.finish(answer), &context.config.allowed_origins, origin.as_deref());
    answer.into_response(method == "HEAD")
}

async fn dispatch(context: &RequestContext, method: &str, path: &str) -> Result<Answer, Error> {
    let Match { route, id } = match route::find(method, path) {
        Ok(found) => found,
        Err(NoMatch::MethodNotAllowed(allow)) if method == "OPTIONS" => {
            return Ok(cors::preflight(&context.request, &allow, &context.config.allowed_origins));
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
    match route {
        Route::Health => return Ok(health::health()),
        Route::Login => return login::sign_in(context).await,
        _ => {}
    }
    let caller = admission::admit(context, route).await?;
    match route {
        // Answered above. Whatever else is public by mistake asks for a token.
        Route::Health | Route::Login => Err(NoMatch::NotFound.into()),
        Route::Models => Ok(models::list(context).await),
        Route::Model => models::one(context, &id).await,
        Route::ChatCompletions => chat::complete(context, caller).await,
        Route::Capabilities => Ok(capabilities::list(context).await),
        Route::ApiTokenScopes => Ok(api_tokens::scopes(&caller.user)),
        Route::CreateApiToken => api_tokens::create(context, &caller.user).await,
        Route::ApiTokens => api_tokens::list(context, &caller.user).await,
        Route::RevokeApiToken => api_tokens::revoke(context, &caller.user, &id).await,
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
